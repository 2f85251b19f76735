"""From a catalog of galaxy images to a map the app can open: embed, project, cluster, score, find neighbours.

    python scripts/run_pipeline.py folder:data/my_galaxies --name my_galaxies
    python scripts/run_pipeline.py synthetic:2000 --name demo
    python scripts/run_pipeline.py folder:data/my_galaxies --name my_galaxies --keep-maps    # when galaxies were added

Interrupted or killed, the same command goes on where it stopped. What was made under the same name before stays
readable until the new one is complete.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.artifacts import DEFAULT_FIT_LIMIT, DEFAULT_MODEL, DEFAULT_ROOT
from galaxy_core.engine import Engine
from scripts.engine_options import add_engine_options, run_on_engine
from scripts.reporting import Bars, add_fit_limit, artifacts_folder, count, peak_memory_gib, print_headlines, print_made


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "catalog", metavar="CATALOG", help="LAYOUT:SOURCE, such as folder:PATH, gz2:PATH or synthetic:2000"
    )
    parser.add_argument(
        "--name", required=True, help="what the app calls this catalog, and the folder it is written to"
    )
    parser.add_argument(
        "--artifacts", type=artifacts_folder, default=DEFAULT_ROOT, help="folder or s3://... (%(default)s)"
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--model", default=DEFAULT_MODEL, help="trained model, by name or folder (%(default)s)")
    group.add_argument("--recipe", help="train a model on this catalog first, by this recipe")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything random (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="use N galaxies drawn at random (all)")
    parser.add_argument(
        "--keep-maps",
        action="store_true",
        help="leave galaxies where they are on the maps there are, and place those that are new among them",
    )
    add_engine_options(parser)
    add_fit_limit(parser, DEFAULT_FIT_LIMIT)
    options = parser.parse_args(arguments)
    if min(options.limit, options.seed, options.fit_limit) < 0:
        parser.error("--limit, --seed and --fit-limit cannot be negative")
    if options.keep_maps and options.limit:
        parser.error("--keep-maps is for the galaxies there are, but --limit draws other galaxies once there are more")
    if options.keep_maps and options.recipe:
        parser.error("--keep-maps needs the model that the maps were made with: give --model, not --recipe")
    return options


def run(options: argparse.Namespace, engine: Engine) -> int:
    started = time.perf_counter()
    from galaxy_core.artifacts import check_free, check_writable, send_model

    check_free(options.artifacts, options.name)
    check_writable(options.artifacts)
    from galaxy_core.catalogs import read_catalog
    from galaxy_core.embedding import find_model, load_embedder
    from galaxy_core.image_steps import limit_catalog
    from galaxy_core.map_keeping import n_moving
    from galaxy_core.pipeline import PipelineConfig, run_pipeline
    from galaxy_core.train_step import train_model

    catalog = read_catalog(options.catalog)
    print(f"{options.catalog}: {'; '.join(catalog.report.sentences())}", flush=True)
    catalog = limit_catalog(catalog, options.limit, options.seed)  # a model is trained on these, too
    folder = None if options.recipe else find_model(options.model, options.artifacts)
    if options.recipe:
        where = (options.artifacts, options.name, options.seed, options.device)
        with Bars() as bars:
            folder = train_model(options.recipe, catalog, *where, bars.progress)
        send_model(options.artifacts, folder)
    embedder = load_embedder(folder, options.device)
    print(f"Model {embedder.name} on {embedder.device} in {embedder.precision}", flush=True)
    config = PipelineConfig(seed=options.seed, limit=options.limit, fit_limit=options.fit_limit)
    where = (options.artifacts, options.name)
    if not options.keep_maps and not options.limit:  # which it does not go with
        print_moving(n_moving(*where, catalog.table["galaxy_id"], embedder.name, embedder.fingerprint))

    def find_embedder(model: str):
        return load_embedder(find_model(model, options.artifacts), options.device)

    with Bars() as bars:
        more = (bars.progress, engine, options.keep_maps, find_embedder)
        result = run_pipeline(catalog, embedder, *where, config, *more)
    print_made(result)
    if options.keep_maps:
        print_kept(result.manifest)
    print_headlines(result.manifest)
    for sentence in result.notes:
        print(f"note: {sentence}")
    seconds = time.perf_counter() - started
    print(f"This run took {seconds:,.1f} s and {peak_memory_gib():.2f} GiB of memory at its peak.")
    print(f"{'Already complete, unchanged' if result.unchanged else 'Written'}: {result.folder}")
    return 0


def print_moving(n: int) -> None:
    """A line on galaxies that move on the maps, while it is time to stop."""
    if n:
        print(
            f"Maps are made anew, and the places of {count(n)} on them change, and with them what links show; to leave"
            " galaxies where they are, stop this with Ctrl-C and run the same command with --keep-maps.",
            flush=True,
        )


def print_kept(manifest) -> None:
    """A line for each map that was kept: how many it was fitted on, and how many were placed."""
    for name, projection in manifest.projections.items():
        if kept := projection.get("kept"):
            print(f"{name}: kept, fitted on {kept['n_fitted']:,} galaxies; {kept['n_placed']:,} are placed among them")
    print("Clusterings are not kept: they are made of all galaxies anew whenever these change.")


def main() -> int:
    options = parse()
    return run_on_engine(options, partial(run, options))


if __name__ == "__main__":
    sys.exit(main())
