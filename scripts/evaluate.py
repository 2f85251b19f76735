"""Measure a trained model on a catalog: nothing is trained, and only held-out galaxies are scored.

python scripts/evaluate.py contrastive_denoiser folder:data/gz_clean5 --json metrics.json
python scripts/evaluate.py vote_regressor folder:data/gz_clean5 --votes gz2:data/gz2 --json metrics.json
python scripts/evaluate.py clustering folder:data/gz_clean5 --json clusters.json     # all galaxies, no classes needed
python scripts/evaluate.py clustering --from-artifacts gz_clean5                     # with the embedding made already
python scripts/evaluate.py denoising folder:data/gz_clean5 --frames data/frames --json denoising.json
python scripts/evaluate.py cross_survey folder:data/gz_examples --against folder:data/gz_clean5
python scripts/evaluate.py few_labels folder:data/gz_clean5 --models contrastive_denoiser cae --json few_labels.json
python scripts/evaluate.py segmenter --frames data/frames --segmaps data/segmaps --json metrics.json   # no catalog
python scripts/evaluate.py star_galaxy_vae --frames data/frames --json frames.json   # on whole frames, no catalog
python scripts/evaluate.py central_object gz2:data/gz2 --json crops.json             # how a frame is best cut
"""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # galaxy_core lives beside scripts/

from galaxy_core.errors import CatalogError, GalaxyError
from scripts import evaluation_few_labels
from scripts.evaluation_reports import bars_for, print_scores
from scripts.reporting import artifacts_folder, check_output


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "recipe",
        help="whose model is measured, e.g. contrastive_denoiser; or: clustering, denoising, cross_survey, few_labels, "
        "central_object",
    )
    parser.add_argument("catalog", metavar="LAYOUT:PATH", nargs="?", help="images to measure it on")
    parser.add_argument("--from-artifacts", metavar="NAME", help="clustering: this catalog's embedding, as it is")
    parser.add_argument(
        "--frames", type=Path, nargs="+", help="denoising, segmenter, star_galaxy_vae: FITS frames, or folders"
    )
    parser.add_argument("--segmaps", type=Path, nargs="+", default=[], help="segmenter: folders of vetted outlines")
    parser.add_argument("--votes", metavar="LAYOUT:PATH", help="vote_regressor: measure votes on this catalog instead")
    parser.add_argument("--against", metavar="LAYOUT:PATH", help="cross_survey: SDSS galaxies to tell surveys from")
    parser.add_argument("--refits", type=int, default=10, help="clustering: bootstrap samples, 1 or more (%(default)s)")
    parser.add_argument("--redraws", type=int, default=10, help="those that make the space anew: slow (%(default)s)")
    parser.add_argument(
        "--artifacts", type=artifacts_folder, default="artifacts", help="where models/ is (%(default)s)"
    )
    parser.add_argument("--model", help="name or folder of the model (default: the recipe's)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--n-denoise", type=int, help="at most so many test galaxies (1000; for denoising 300)")
    parser.add_argument("--no-clusters", action="store_true", help="leave out the clusterings, which take a minute")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    evaluation_few_labels.add_options(parser)
    options = parser.parse_args()
    evaluation_few_labels.check_options(parser, options)
    if not 0 <= options.seed < 2**32:
        parser.error(f"--seed takes 0 to {2**32 - 1}")
    if options.json and options.json.is_dir():
        parser.error(f"--json takes a file, and {options.json} is a folder")
    if options.recipe == "segmenter" and (not options.frames or options.catalog):
        parser.error("a segmenter is measured on frames: --frames, and no catalog")
    if options.recipe == "segmenter" or (
        options.recipe == "star_galaxy_vae" and options.frames and not options.catalog
    ):
        return options
    if bool(options.catalog) == bool(options.from_artifacts):
        parser.error("name one catalog: LAYOUT:PATH, or for clustering --from-artifacts NAME")
    if options.from_artifacts and options.recipe != "clustering":
        parser.error("--from-artifacts is for clustering; a recipe needs the images: LAYOUT:PATH")
    if options.frames and options.recipe != "denoising":
        parser.error("--frames is for denoising, and without a catalog for segmenter and star_galaxy_vae")
    if options.against and options.recipe != "cross_survey":
        parser.error("--against is for cross_survey")
    if options.votes and options.recipe != "vote_regressor":
        parser.error("--votes is for vote_regressor")
    if options.n_denoise is None:
        options.n_denoise = 300 if options.recipe == "denoising" else 1000
    if options.n_denoise < 1:
        parser.error("--n-denoise takes 1 or more")
    if options.refits < 1 or options.redraws < 0:
        parser.error("--refits takes 1 or more, --redraws 0 or more")
    return options


def score_clusters(arguments: argparse.Namespace) -> dict:
    """Scores of the clusterings of an embedding, with where it is from."""
    from galaxy_core.recipes import clustering_scores as recipe

    report, close = bars_for("step")
    if arguments.from_artifacts:
        embedding, classes, source = recipe.from_artifacts(
            arguments.artifacts, arguments.from_artifacts, arguments.model
        )
    else:
        embedding, classes, source = recipe.from_catalog(
            arguments.catalog, arguments.artifacts, arguments.model, arguments.device, report
        )
    scores = recipe.score_clusterings(
        embedding, classes, arguments.seed, arguments.refits, arguments.redraws, report=report
    )
    close()
    return source | scores


def score_denoiser(arguments: argparse.Namespace) -> dict:
    """Everything about denoising: galaxies, blank sky, frames, injected sources."""
    from galaxy_core.catalogs import read_catalog
    from galaxy_core.embedding import find_model
    from galaxy_core.models import read_model_config, resolve_device
    from galaxy_core.recipes.denoising_scores import evaluate

    folder = find_model(arguments.model or "contrastive_denoiser", arguments.artifacts)
    catalog = read_catalog(arguments.catalog)
    device = resolve_device(arguments.device)
    report, close = bars_for("step")
    scores = evaluate(folder, catalog, arguments.frames, arguments.seed, device, arguments.n_denoise, report)
    close()
    scores["catalog"] = f"{catalog.layout}:{Path(catalog.source).name}"
    scores["weights_sha256"] = read_model_config(folder)["weights_sha256"]
    return scores


def score_segmenter(arguments: argparse.Namespace) -> dict:
    """A segmenter on real frames, beside sep and photutils."""
    from galaxy_core.embedding import find_model
    from galaxy_core.models import resolve_device
    from galaxy_core.recipes.segmenter_evaluation import evaluate

    folder = find_model(arguments.model or "segmenter", arguments.artifacts)
    report, close = bars_for("step")
    device = resolve_device(arguments.device)
    scores = evaluate(folder, arguments.frames, arguments.segmaps, arguments.seed, device, report)
    close()
    return scores


def score_kinds(arguments: argparse.Namespace) -> dict:
    """Stars told from galaxies on whole frames, simulated and real."""
    from galaxy_core.embedding import find_model
    from galaxy_core.models import read_model_config, resolve_device
    from galaxy_core.recipes.star_galaxy_frames import score_frames
    from galaxy_core.star_galaxy import load_separator

    name, device = arguments.model or "star_galaxy", resolve_device(arguments.device)
    model = load_separator(name, arguments.artifacts, device)
    report, close = bars_for("step")
    scores = score_frames(model, arguments.frames, arguments.seed, device, report)
    close()
    return scores | {"weights_sha256": read_model_config(find_model(name, arguments.artifacts))["weights_sha256"]}


def score_surveys(arguments: argparse.Namespace) -> dict:
    """A morphology net on images of surveys it never saw."""
    from galaxy_core.catalogs import read_catalog
    from galaxy_core.embedding import find_model
    from galaxy_core.models import read_model_config, resolve_device
    from galaxy_core.recipes.cross_survey_scores import evaluate

    folder = find_model(arguments.model or "vote_regressor", arguments.artifacts)
    catalog = read_catalog(arguments.catalog)
    against = read_catalog(arguments.against) if arguments.against else None
    report, close = bars_for("image")
    scores = evaluate(folder, catalog, against, arguments.seed, resolve_device(arguments.device), report)
    close()
    scores["catalog"] = f"{catalog.layout}:{Path(catalog.source).name}"
    if against is not None:
        scores["against"]["catalog"] = f"{against.layout}:{Path(against.source).name}"
    return scores | {"model": folder.name, "weights_sha256": read_model_config(folder)["weights_sha256"]}


def score_crops(arguments: argparse.Namespace) -> dict:
    """How well votes follow from galaxies cut out in three ways."""
    from galaxy_core.catalogs import read_catalog
    from galaxy_core.embedding import find_model
    from galaxy_core.models import read_model_config, resolve_device
    from galaxy_core.recipes.crop_scores import evaluate

    folder = find_model(arguments.model or "contrastive_denoiser", arguments.artifacts)
    catalog = read_catalog(arguments.catalog)
    report, close = bars_for("galaxy")
    scores = evaluate(folder, catalog, arguments.seed, resolve_device(arguments.device), report)
    close()
    scores["catalog"] = f"{catalog.layout}:{Path(catalog.source).name}"
    return scores | {"model": folder.name, "weights_sha256": read_model_config(folder)["weights_sha256"]}


def score_recipe(arguments: argparse.Namespace) -> dict:
    from galaxy_core.catalogs import read_catalog
    from galaxy_core.embedding import find_model
    from galaxy_core.models import read_model_config, resolve_device
    from galaxy_core.recipes import find_recipe

    module = find_recipe(arguments.recipe).module()
    folder = find_model(arguments.model or arguments.recipe, arguments.artifacts)
    options = {"n_denoise": arguments.n_denoise, "clusters": not arguments.no_clusters}
    taken = inspect.signature(module.evaluate).parameters

    def measure(spec: str) -> dict:
        catalog = read_catalog(spec)
        report, close = bars_for("galaxy")
        scores = module.evaluate(
            folder,
            catalog,
            seed=arguments.seed,
            device=resolve_device(arguments.device),
            report=report,
            **{name: value for name, value in options.items() if name in taken},
        )
        close()
        return scores | {"catalog": f"{catalog.layout}:{Path(catalog.source).name}"}

    scores = measure(arguments.catalog)
    if arguments.votes:
        of_votes = measure(arguments.votes)
        if "votes" not in of_votes:
            raise CatalogError(f"{arguments.votes} has no votes this model tells; name a catalog that has.")
        for name in ("votes", "votes_as_cast"):
            if name in of_votes:
                scores[name] = of_votes[name] | {"catalog": of_votes["catalog"]}
        scores["notes"] = [*scores["notes"], *of_votes["notes"]]
    scores["weights_sha256"] = read_model_config(folder)["weights_sha256"]
    return scores


def run(arguments: argparse.Namespace) -> None:
    from galaxy_core.artifacts import write_json

    check_output(arguments.json)
    if arguments.recipe == "clustering":
        from galaxy_core.recipes.clustering_table import table_lines

        scores = score_clusters(arguments)
        print("\n" + "\n".join(table_lines(scores)))
    elif arguments.recipe == "denoising":
        from galaxy_core.recipes.denoising_table import table_lines

        scores = score_denoiser(arguments)
        print("\n" + "\n".join(table_lines(scores)))
    elif arguments.recipe == "segmenter":
        from galaxy_core.recipes.segmenter_evaluation import table_lines

        scores = score_segmenter(arguments)
        print("\n" + "\n".join(table_lines(scores)))
    elif arguments.recipe == "star_galaxy_vae" and not arguments.catalog:
        from galaxy_core.recipes.star_galaxy_table import frame_lines

        scores = score_kinds(arguments)
        print("\n" + "\n".join(frame_lines(scores)))
    elif arguments.recipe == "cross_survey":
        from galaxy_core.recipes.cross_survey_table import table_lines

        scores = score_surveys(arguments)
        print("\n" + "\n".join(table_lines(scores)))
    elif arguments.recipe == "few_labels":
        from galaxy_core.recipes.few_labels_table import table_lines

        scores = evaluation_few_labels.score_few_labels(arguments)
        print("\n" + "\n".join(table_lines(scores)))
    elif arguments.recipe == "central_object":
        from galaxy_core.recipes.crop_table import table_lines

        scores = score_crops(arguments)
        print("\n" + "\n".join(table_lines(scores)))
    else:
        from galaxy_core.recipes import find_recipe

        scores = score_recipe(arguments)
        module = find_recipe(arguments.recipe).module()
        if hasattr(module, "table_lines"):
            print("\n" + "\n".join(module.table_lines(scores)))
        else:
            print_scores(scores)
    if arguments.json:
        print(f"\nWritten: {write_json(arguments.json, scores)}")


def main() -> int:
    arguments = parse_arguments()
    try:
        run(arguments)
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        kept = "what is done stays, and the same command goes on from there"
        print(f"\nStopped; {kept if arguments.recipe == 'few_labels' else 'nothing was written'}.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
