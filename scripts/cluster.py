"""Cluster a catalog in one more way, or sweep over a parameter; its images are not read.

  one clustering, stored under a name for the pages:
    python scripts/cluster.py demo --method hdbscan --space umap_10 --param min_cluster_size=40 --name hdbscan_40
    python scripts/cluster.py demo --method kmeans --param n_clusters=12 --stability --null
    python scripts/cluster.py demo --method gmm --space pca_20 --seed 0 1 2
  a stored one, tested harder: refits for which its space is made anew, which takes as long as N such spaces
    python scripts/cluster.py demo --name hdbscan --redraws 10
  a sweep, every fit stored as soon as it is made:
    python scripts/cluster.py demo --method kmeans --sweep n_clusters=2..20 --seed 0 1 2
    python scripts/cluster.py demo --method hdbscan --space umap_10 --sweep min_cluster_size=50,100,200,400
  and without it again:
    python scripts/cluster.py demo --name kmeans_12 --remove

methods and their parameters:
  hdbscan        min_cluster_size or min_cluster_share, min_samples, cluster_selection_method (eom, leaf)
  kmeans         n_clusters, n_init
  dbscan         eps (the elbow of the k-distance curve unless given), min_samples
  agglomerative  n_clusters, linkage (ward, average, complete, single), n_sample (20,000: more are not merged)
  gmm            n_clusters, covariance (full, tied, diag, spherical), n_init

spaces:
  embedding, pca_20, lda_4 (where there are classes; learned from training galaxies only), umap_10, tsne_2;
  with parameters, umap_10,n_neighbors=30; one made of another, umap_2_of_pca_16
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.artifacts import DEFAULT_ROOT, check_name
from galaxy_core.clustering.centres import LARGEST_SEED
from galaxy_core.engine import Engine
from galaxy_core.errors import ArtifactError, GalaxyError
from galaxy_core.stability import N_DRAWS
from scripts.engine_options import add_engine_options, engine_of
from scripts.reporting import (
    Bars,
    add_fit_limit,
    artifacts_folder,
    parse_settings,
    print_headlines,
    print_made,
    print_sweep,
)

METHODS = ("hdbscan", "kmeans", "dbscan", "agglomerative", "gmm")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("catalog", metavar="CATALOG", help="its name under the artifacts folder")
    add("--method", choices=METHODS, help="unless given, what the name begins with")
    add("--space", help="where to cluster (embedding)")
    add("--param", "--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter of the method")
    add(
        "--name",
        "--clustering",
        metavar="NAME",
        help="what the clustering is called (method, k and space, and v2 where that is another's name)",
    )
    add("--seed", type=int, nargs="+", default=[], metavar="N", help="of the method; several make several fits")
    add("--stability", type=int, nargs="?", const=10, default=0, metavar="N", help="refit N bootstrap samples (10)")
    add(
        "--redraws",
        type=int,
        nargs="?",
        const=10,
        default=0,
        metavar="N",
        help="refit N times, each in a new space (10)",
    )
    add(
        "--null",
        type=int,
        nargs="?",
        const=N_DRAWS,
        default=0,
        metavar="N",
        help="try the same on N draws of each kind of data without groups: shuffled, an even cloud (%(const)s)",
    )
    add("--sweep", metavar="KEY=VALUES", help="one fit a value: 2..20, 100..500:50 (in steps) or 50,100,200")
    add("--remove", action="store_true", help="drop the clustering --name instead")
    add("--artifacts", type=artifacts_folder, default=DEFAULT_ROOT, help="folder or s3://... (%(default)s)")
    add_engine_options(parser)
    add_fit_limit(parser)
    options = parser.parse_args(arguments)
    said = options.method or options.param or options.space or options.sweep
    options.stored = bool(options.name) and not said
    options.method = options.method or (options.name or "").split("_")[0]
    options.space = options.space or "embedding"
    if options.remove and not options.name:
        parser.error("--remove needs --name")
    if not (options.remove or options.stored) and options.method not in METHODS:
        parser.error(f"--method is needed: {', '.join(METHODS)}")
    if min([*options.seed, options.stability, options.redraws, options.null, options.fit_limit or 0]) < 0:
        parser.error("--seed, --stability, --redraws, --null and --fit-limit cannot be negative")
    if max([0, *options.seed]) > LARGEST_SEED:
        parser.error(f"--seed takes numbers up to {LARGEST_SEED:,}")
    not_swept = options.name or options.stability or options.redraws or options.null or options.remove
    if options.sweep and ("=" not in options.sweep or not_swept):
        parser.error("--sweep takes KEY=VALUES, and none of --name, --stability, --redraws, --null and --remove")
    if options.sweep and options.fit_limit is not None:
        parser.error("--sweep fits on as many galaxies as the catalog's clusterings do, and takes no --fit-limit")
    options.params = parse_settings(parser, options.param, "--param")
    return options


def names_and_settings(options: argparse.Namespace) -> dict[str, dict]:
    """What to make: the first seed under the name itself, others under ``<name>_seed_<seed>``."""
    name = options.name
    if not name:
        parts = [options.method, str(options.params.get("n_clusters", ""))]
        parts += [options.space.replace("=", "") if options.space != "embedding" else ""]
        name = "_".join(filter(None, parts))
    settings: dict = {"method": options.method, "space": options.space, "params": options.params}
    known = known_clusterings(options)
    if options.stored and name not in known:
        raise ArtifactError(
            f"{options.catalog} has no clustering {name!r}; say how to make it, with --method and --space."
        )
    if not options.name:
        name = free_name(name, settings, known)
    if options.stored or made_by(known.get(name, settings)) == made_by(settings):
        settings = dict(known.get(name, settings))  # with what it was put to before
    settings |= {"stability": options.stability} if options.stability else {}
    settings |= {"redraws": options.redraws} if options.redraws else {}
    settings |= {"null": options.null} if options.null else {}
    if not options.seed:
        return {check_name(name, "clustering"): settings}
    names = [name, *(f"{name}_seed_{seed}" for seed in options.seed[1:])]
    return {check_name(n, "clustering"): {**settings, "seed": s} for n, s in zip(names, options.seed, strict=True)}


def known_clusterings(options: argparse.Namespace) -> dict[str, dict]:
    """Name and settings of every clustering that the catalog has."""
    from galaxy_core.artifacts import read_manifest

    return read_manifest(options.artifacts, options.catalog).config.get("clusterings", {})


def free_name(name: str, settings: dict, known: dict[str, dict]) -> str:
    """``name``, or ``name_v2``, ... where a clustering that is made otherwise has it: none is lost unasked."""
    number, found = 1, name
    while found in known and made_by(known[found]) != made_by(settings):
        number += 1
        found = f"{name}_v{number}"
    return found


def made_by(settings: dict) -> tuple:
    """What tells a clustering from others, whatever it is put to and whichever its seed."""
    return settings["method"], settings["space"], settings.get("params", {})


def run(options: argparse.Namespace, engine: Engine) -> None:
    where = (options.artifacts, options.catalog)
    if options.sweep:
        from galaxy_core.sweeps import parse_values, run_sweep

        parameter, _, text = options.sweep.partition("=")
        settings = {"method": options.method, "space": options.space, "params": options.params}
        with Bars() as bars:
            swept = (settings, parameter, parse_values(text), options.seed)
            fits, notes = run_sweep(*where, *swept, bars.progress, engine)
        print_sweep(fits, notes)
        return
    from galaxy_core.pipeline import add_clusterings, remove_clustering

    with Bars() as bars:
        if options.remove:
            result = remove_clustering(*where, options.name, bars.progress, engine)
        else:
            result = add_clusterings(*where, names_and_settings(options), bars.progress, options.fit_limit, engine)
    print_made(result)
    print_headlines(result.manifest)
    print(result.folder)


def main() -> int:
    try:
        options = parse()
        with engine_of(options) as engine:
            run(options, engine)
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; finished fits are kept, and the same command goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
