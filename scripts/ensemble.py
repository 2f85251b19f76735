"""Put trained models together to one: models of morphology whose predictions are averaged, or any whose weights are.

python scripts/ensemble.py MODEL MODEL [MODEL ...] --name NAME
python scripts/ensemble.py MODEL MODEL [MODEL ...] --average --name NAME

An ensemble takes as many times longer to classify with as it has members; one of averaged weights takes no longer, but
its members must have been trained on from the same model. The members stay as they are, and so does any other model.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.artifacts import check_name, fetch_models, send_model, shown
from galaxy_core.embedding import find_model
from galaxy_core.errors import GalaxyError, ModelError
from galaxy_core.model_files import WEIGHTS_FILE
from scripts.reporting import artifacts_folder

ROOT = Path(__file__).resolve().parents[1]


def parse() -> argparse.Namespace:
    summary, _, rest = __doc__.partition("\n\n")
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=summary, epilog=rest, formatter_class=style)
    parser.add_argument("models", metavar="MODEL", nargs="+", help="trained models, by name or folder")
    parser.add_argument("--average", action="store_true", help="one network, whose weights are the mean of theirs")
    parser.add_argument("--name", required=True, help="name of the new model's folder")
    parser.add_argument("--artifacts", type=artifacts_folder, default=ROOT / "artifacts", help="where models/ is")
    return parser.parse_args()


def run(options: argparse.Namespace) -> None:
    from galaxy_core.averaging import write_average
    from galaxy_core.ensembles import write_ensemble
    from galaxy_core.models.morphology import MorphologyTeller

    folder = options.artifacts / "models" / check_name(options.name, "model")
    told = shown(options.artifacts, "models", options.name)
    members = [find_model(name, options.artifacts) for name in options.models]
    fetch_models(options.artifacts, options.name)
    if (folder / WEIGHTS_FILE).exists():
        raise ModelError(
            f"There is a model {options.name} already, which stays; give another --name, or remove {told}."
        )
    write = write_average if options.average else write_ensemble
    made = write(members, folder)
    send_model(options.artifacts, folder)
    size = (folder / WEIGHTS_FILE).stat().st_size
    print(f"{told}  {len(members)} members, {size / 1e6:.1f} MB")
    if options.average and isinstance(made, MorphologyTeller):
        print(
            f"It has no gauge of novelty; set one with `python scripts/train.py vote_regressor CATALOG --start-from"
            f" {folder} --name {options.name} --phases novelty`."
        )


def main() -> int:
    try:
        run(parse())
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; the same command starts anew.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
