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
import sys
from dataclasses import fields
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # galaxy_core lives beside scripts/

from galaxy_core.errors import GalaxyError
from scripts import evaluation_few_labels
from scripts.evaluation_bars import progress_bars
from scripts.reporting import artifacts_folder, check_output

UNITS = {"cross_survey": "image", "clustering": "step", "denoising": "step", "few_labels": "step"}


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
        "--frames",
        type=Path,
        nargs="+",
        default=[],
        help="denoising, segmenter, star_galaxy_vae: FITS frames, or folders",
    )
    parser.add_argument("--segmaps", type=Path, nargs="+", default=[], help="segmenter: folders of vetted outlines")
    parser.add_argument(
        "--votes",
        action="append",
        default=[],
        metavar="LAYOUT:PATH",
        help="vote_regressor: measure votes on this catalog instead; given again, another's beside them",
    )
    parser.add_argument("--against", metavar="LAYOUT:PATH", help="cross_survey: SDSS galaxies to tell surveys from")
    parser.add_argument("--refits", type=int, default=10, help="clustering: bootstrap samples, 1 or more (%(default)s)")
    parser.add_argument("--redraws", type=int, default=10, help="those that make the space anew: slow (%(default)s)")
    parser.add_argument(
        "--artifacts", type=artifacts_folder, default="artifacts", help="where models/ is (%(default)s)"
    )
    parser.add_argument("--model", help="name or folder of the model (default: the recipe's)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--n-denoise", type=int, help="at most so many test galaxies (1000; for denoising 300)")
    parser.add_argument(
        "--no-clusters", dest="clusters", action="store_false", help="leave out the clusterings, which take a minute"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    evaluation_few_labels.add_options(parser)
    options = parser.parse_args()
    evaluation_few_labels.check_options(parser, options)
    check_options(parser, options)
    if options.n_denoise is None:
        options.n_denoise = 300 if options.recipe == "denoising" else 1000
    return options


def check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with one sentence where options do not go together."""
    if not 0 <= options.seed < 2**32:
        parser.error(f"--seed takes 0 to {2**32 - 1}")
    if options.json and options.json.is_dir():
        parser.error(f"--json takes a file, and {options.json} is a folder")
    if options.recipe == "segmenter" and (not options.frames or options.catalog):
        parser.error("a segmenter is measured on frames: --frames, and no catalog")
    if options.recipe == "segmenter" or (
        options.recipe == "star_galaxy_vae" and options.frames and not options.catalog
    ):
        return
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
    if len(options.votes) > 2:
        parser.error("--votes can be given twice at most")
    if options.n_denoise is not None and options.n_denoise < 1:
        parser.error("--n-denoise takes 1 or more")
    if options.refits < 1 or options.redraws < 0:
        parser.error("--refits takes 1 or more, --redraws 0 or more")


def run(arguments: argparse.Namespace) -> None:
    from galaxy_core.artifacts import write_json

    check_output(arguments.json)
    unit = UNITS.get(arguments.recipe, "galaxy" if arguments.catalog else "step")
    with progress_bars(unit) as report:
        if arguments.recipe == "few_labels":
            scores, lines = evaluation_few_labels.measure(arguments, report)
        else:
            from galaxy_core.recipes.measuring import Request, measure

            given = {item.name for item in fields(Request)} & vars(arguments).keys()
            request = Request(arguments.recipe, **{name: getattr(arguments, name) for name in given})
            scores, lines = measure(request, report)
    print("\n" + "\n".join(lines))
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
