"""Commands that pages print, quoted so that they run as they stand; capitals are for the reader to fill in."""

from __future__ import annotations

import shlex
from pathlib import Path

from galaxy_core.artifacts import shown
from galaxy_core.model_files import METRICS_FILE
from galaxy_core.recipes import RECIPES

PROJECT = Path(__file__).resolve().parents[2]
TERMINAL = "Commands are for a terminal in the folder of the program, in its environment (`source .venv/bin/activate`)."
CATALOG = "LAYOUT:PATH"
FRAMES = ("--frames", "FRAMES")
OF_NETWORK = {
    "morphology_net": "vote_regressor",
    "morphology_ensemble": "vote_regressor",
    "autoencoder": "cae",
    "star_galaxy": "star_galaxy_vae",
}


def train(recipe: str, root: Path, *options: str) -> str:
    """Trains a model into a folder of artifacts."""
    return shlex.join(["python", "scripts/train.py", recipe, CATALOG, *options, "--artifacts", place(shown(root))])


def place(path: Path | str) -> str:
    """A path as it is typed in the folder of the program; an address as it is.

    Examples
    --------
    >>> place(PROJECT / "artifacts" / "models"), place("s3://sky/atlas")
    ('artifacts/models', 's3://sky/atlas')
    """
    inside = isinstance(path, Path) and path.is_relative_to(PROJECT)
    return path.relative_to(PROJECT).as_posix() if inside else str(path)


def measure(kind: str, folder: Path) -> str:
    """Measures the model in a folder, of a recipe or a network, and keeps the numbers there.

    Examples
    --------
    >>> measure("morphology_net", Path("my models/m"))
    "python scripts/evaluate.py vote_regressor LAYOUT:PATH --model 'my models/m' --json 'my models/m/metrics.json'"
    """
    recipe = OF_NETWORK.get(kind, kind)
    on = FRAMES if recipe == "segmenter" else (CATALOG,)
    words = ["python", "scripts/evaluate.py", recipe if recipe in RECIPES else "RECIPE", *on]
    return shlex.join([*words, "--model", place(folder), "--json", place(folder / METRICS_FILE)])
