"""Train a recipe on one or more catalogs and write its model folder; a stopped run goes on where it was.

Example: python scripts/train.py contrastive_denoiser folder:data/gz_clean5 synthetic:6000
Votes and classes together, from what was learned without labels:
python scripts/train.py vote_regressor folder:data/gz_clean5 gz2:data/gz2 --start-from artifacts/models/m
One phase alone, on a model that exists:
python scripts/train.py contrastive_denoiser folder:data/gz_clean5 --phases uncertainty --start-from artifacts/models/m
python scripts/train.py vote_regressor folder:data/gz_clean5 --phases novelty --start-from artifacts/models/m --name m
On four GPUs, taken up again after a failure:
torchrun --nproc-per-node 4 --max-restarts 3 scripts/train.py contrastive_denoiser folder:data/gz_clean5
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # galaxy_core lives beside scripts/

from galaxy_core.artifacts import check_name, fetch_models, send_model, shown
from galaxy_core.errors import GalaxyError, ModelError, StorageError
from galaxy_core.model_files import WEIGHTS_FILE, read_model_files, section
from scripts.reporting import artifacts_folder


def parse_arguments() -> argparse.Namespace:
    from galaxy_core.recipes import RECIPES

    recipes = "\n".join(f"  {recipe.name}: {recipe.summary}" for recipe in RECIPES.values())
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nrecipes:\n{recipes}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", help="what to train")
    parser.add_argument(
        "catalogs",
        nargs="+",
        metavar="LAYOUT:PATH",
        help="catalogs to learn from; labels are read only by recipes that need them",
    )
    parser.add_argument(
        "--artifacts", type=artifacts_folder, default="artifacts", help="where models/ is (%(default)s)"
    )
    parser.add_argument(
        "--name",
        help="name of the model's folder, whose model is replaced (default: the recipe's, or v2 where there is one)",
    )
    parser.add_argument("--epochs", type=int, help="passes over the training galaxies in every phase")
    parser.add_argument("--phases", nargs="+", metavar="PHASE", help="train these phases only (default: all)")
    parser.add_argument("--start-from", type=Path, metavar="FOLDER", help="model to start from (default: a new one)")
    parser.add_argument("--batch-size", type=int, help="galaxies a step, in every phase (default: the recipe's)")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="change the recipe's configuration: whole.epochs=5"
    )
    parser.add_argument("--seed", type=int, help="seed of everything random (default: the recipe's)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    parser.add_argument(
        "--own-views",
        action="store_true",
        help="under torchrun, let each process draw the views of its own galaxies: faster on many GPUs, but no longer "
        "the same weights as one process gives",
    )
    group = parser.add_argument_group("contrastive_denoiser", "passes in one of its phases (default: the recipe's)")
    group.add_argument("--denoise-epochs", type=int, help="of the denoiser")
    group.add_argument("--polish-epochs", type=int, help="of the denoiser, for sharper galaxies")
    group.add_argument("--contrast-epochs", type=int, help="of the encoder; also in moco")
    group.add_argument("--noise-epochs", type=int, help="of the noise estimator")
    group.add_argument("--uncertainty-epochs", type=int, help="of the uncertainty network")
    return parser.parse_args()


def configure(module, arguments: argparse.Namespace):
    """The recipe's configuration with the command line's changes."""
    from galaxy_core.recipes.options import with_options

    config = module.Config()
    wanted = {"seed": arguments.seed}
    for option, value in vars(arguments).items():
        phase = option.removesuffix("_epochs")
        if phase != option and value is not None and phase not in module.PHASES:
            raise ModelError(
                f"{arguments.recipe} has no phase {phase}; leave --{phase}-epochs out, or name the passes of its phases"
                f" ({', '.join(module.PHASES)}) with --epochs or --set {module.PHASES[0]}.epochs=5."
            )
    for phase in module.PHASES:
        if not hasattr(config, phase):  # a phase that measures, and has no epochs
            continue
        epochs = getattr(arguments, f"{phase}_epochs", None)
        wanted[f"{phase}.epochs"] = arguments.epochs if epochs is None else epochs
        wanted[f"{phase}.batch_size"] = arguments.batch_size
    given = [f"{name}={value}" for name, value in wanted.items() if value is not None]
    return with_options(config, [*arguments.set, *given])


def free_name(recipe: str, artifacts: Path) -> str:
    """``recipe``, or ``recipe_v2``, ... where there is such a model already: none is lost unasked."""
    from galaxy_core.training_state import state_of

    number, name = 1, recipe
    while True:
        fetch_models(artifacts, name)
        folder = artifacts / "models" / name
        under_way = any(state_of(folder)[0].glob("*.safetensors"))  # which the same command goes on with
        if under_way or not (folder / WEIGHTS_FILE).exists():
            return name
        number += 1
        name = f"{recipe}_v{number}"


def run(arguments: argparse.Namespace) -> None:
    from galaxy_core.catalogs import read_catalog
    from galaxy_core.models import resolve_device
    from galaxy_core.ranks import as_first_says, is_first, joined_ranks
    from galaxy_core.recipes import find_recipe
    from galaxy_core.training_state import one_training

    module = find_recipe(arguments.recipe).module()
    config, recipe = configure(module, arguments), arguments.recipe
    name = None if arguments.name is None else check_name(arguments.name, "model")
    device = resolve_device(arguments.device)
    catalogs = [read_catalog(spec) for spec in arguments.catalogs]
    started = time.perf_counter()
    with joined_ranks(device, arguments.own_views):
        name = name or as_first_says(free_name(recipe, arguments.artifacts))  # a shared folder may look older elsewhere
        folder, told = arguments.artifacts / "models" / name, shown(arguments.artifacts, "models", name)
        if is_first():
            for spec, catalog in zip(arguments.catalogs, catalogs, strict=True):
                print(f"{spec}: " + "; ".join(catalog.report.sentences()))
            if arguments.name is None and name != recipe:
                print(f"There is a model {recipe} already, which stays; --name {recipe} would replace it: {told}")
        with one_training(folder), phase_bars() as show:

            def show_decoding(done: int, total: int) -> None:
                show("decode", done, total, {}, "galaxy")

            module.train(
                catalogs,
                folder,
                config,
                device,
                show if is_first() else None,
                show_decoding if is_first() else None,
                arguments.phases or module.PHASES,
                arguments.start_from,
            )
        if is_first():
            send_model(arguments.artifacts, folder)
            for line in what_was_learned(folder, config, arguments.phases or module.PHASES):
                print(line)
            print(f"{told}  trained in {(time.perf_counter() - started) / 60:.1f} min")


@contextmanager
def phase_bars() -> Iterator[Callable[..., None]]:
    """A function that shows how far a phase is; its bar ends with it, so that its rate is that of the phase alone."""
    from tqdm import tqdm

    bar: tqdm | None = None
    seconds = 0.1 if sys.stderr.isatty() else 10  # between lines of a log

    def show(phase: str, done: int, total: int, losses: dict[str, float], unit: str = "step") -> None:
        nonlocal bar
        if bar is None or bar.desc != phase:
            if bar is not None:
                bar.close()
            bar = tqdm(total=total, initial=done - 1, desc=phase, unit=unit, smoothing=0.05, mininterval=seconds)
        bar.set_postfix({name: f"{value:.4g}" for name, value in losses.items()}, refresh=False)
        bar.update(done - bar.n)

    try:
        yield show
    finally:
        if bar is not None:
            bar.close()


def what_was_learned(folder: Path, config, phases: Collection[str]) -> list[str]:
    """A line on each phase that was trained, and what the model's record notes of its galaxies."""
    model = read_model_files(folder)
    about, lines = section(model.config, "about"), []
    about = about.get("then", [about])[-1]  # of this training, where it went on with a model
    for phase in phases:
        scores = [row["validation"]["score"] for row in model.history if row["phase"] == phase]
        if scores:
            lines.append(
                f"{phase}: {len(scores)} of {getattr(config, phase).epochs} passes; kept is pass"
                f" {scores.index(min(scores)) + 1}, whose loss on validation galaxies is least ({min(scores):.4g})"
            )
    return [*lines, *(f"note: {sentence}" for sentence in about.get("notes", []))]


def main() -> int:
    rank = os.environ.get("RANK", "0")  # of torchrun; the first speaks for all, unless the error is another's own
    try:
        run(parse_arguments())
    except GalaxyError as error:
        print(error if rank == "0" else f"process {rank}: {error}", file=sys.stderr, flush=True)
        if not isinstance(error, StorageError):  # a store may be there the next time
            from galaxy_core.ranks import end_restarts

            end_restarts()
        return 1
    except KeyboardInterrupt:
        if rank == "0":
            print("\nStopped; the same command goes on from the last pass that was finished.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
