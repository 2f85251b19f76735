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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # galaxy_core lives beside scripts/

from galaxy_core.artifacts import check_name, fetch_models, send_model
from galaxy_core.errors import GalaxyError, ModelError, StorageError
from galaxy_core.model_files import WEIGHTS_FILE
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
    from tqdm import tqdm

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
    bars: dict[str, tqdm] = {}

    def report(phase: str, step: int, n_steps: int, losses: dict[str, float]) -> None:
        if phase not in bars:
            bars[phase] = tqdm(total=n_steps, initial=step - 1, desc=phase, unit="step", smoothing=0.05)
        bars[phase].update()
        bars[phase].set_postfix({name: f"{value:.4g}" for name, value in losses.items()}, refresh=False)

    def report_decoding(done: int, total: int) -> None:
        if "decode" not in bars:
            bars["decode"] = tqdm(total=total, desc="decode", unit="galaxy")
        bars["decode"].update()

    started = time.perf_counter()
    with joined_ranks(device, arguments.own_views):
        name = name or as_first_says(free_name(recipe, arguments.artifacts))  # a shared folder may look older elsewhere
        folder = arguments.artifacts / "models" / name
        if is_first():
            for spec, catalog in zip(arguments.catalogs, catalogs, strict=True):
                print(f"{spec}: " + "; ".join(catalog.report.sentences()))
            if arguments.name is None and name != recipe:
                print(f"There is a model {recipe} already, which stays; --name {recipe} would replace it: {folder}")
        with one_training(folder):
            module.train(
                catalogs,
                folder,
                config,
                device,
                report if is_first() else None,
                report_decoding if is_first() else None,
                arguments.phases or module.PHASES,
                arguments.start_from,
            )
        for bar in bars.values():
            bar.close()
        if is_first():
            send_model(arguments.artifacts, folder)
            print(f"{folder}  trained in {(time.perf_counter() - started) / 60:.1f} min")


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
