"""What lies in a model's folder besides the network, read without torch: its origin, how it learned, its numbers.

A page must say what is wrong with one file and go on with the others, so reading never raises: what cannot be read is
empty, and a sentence in ``problems`` names the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from galaxy_core import embedding
from galaxy_core.artifacts import fetch_models
from galaxy_core.artifacts.files import cached_sha256

WEIGHTS_FILE, CONFIG_FILE, HISTORY_FILE = "weights.safetensors", "config.json", "history.jsonl"
METRICS_FILE, CARD_FILE = "metrics.json", "card.md"
FILES = (WEIGHTS_FILE, CONFIG_FILE, HISTORY_FILE, METRICS_FILE, CARD_FILE)


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model.

    Attributes
    ----------
    name, folder : str, pathlib.Path
    config, metrics : dict
        Of ``config.json`` and ``metrics.json``; empty where there is none to read.
    history : tuple of dict
        One a pass over the training galaxies.
    card : str
        Markdown.
    weights_bytes : int or None
        Size of the weights; None where there are none.
    measured : str
        On which weights ``metrics`` was measured: "these", "others", "unknown", or "" where nothing was measured.
    missing, problems : tuple of str
        Names of files that are not there, and a sentence on each that is broken.
    """

    name: str
    folder: Path
    config: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    history: tuple[dict, ...] = ()
    card: str = ""
    weights_bytes: int | None = None
    measured: str = ""
    missing: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The recipe that made it, else what its configuration calls it, else its own name."""
        recipe = section(self.config, "about").get("recipe")
        kind = recipe or self.config.get("model")
        return kind if isinstance(kind, str) else self.name


def model_folders(root: str | Path) -> dict[str, Path]:
    """Name and folder of every model under ``<root>/models``, and of those that are shipped, by name."""
    fetch_models(root)
    found: dict[str, Path] = {}
    for folder in (Path(root) / "models", embedding._REPOSITORY_MODELS):
        for path in sorted(folder.glob("*/")) if folder.is_dir() else ():
            hidden = path.name.startswith(".")
            if not hidden and path.is_dir() and any((path / name).exists() for name in FILES):
                found.setdefault(path.name, path)
    return dict(sorted(found.items()))


def read_model_files(folder: str | Path) -> ModelFiles:
    """Read all that can be read of a model's folder; nothing is raised."""
    folder, problems = Path(folder), []
    there = [name for name in FILES if (folder / name).exists()]
    config = _read_json(folder / CONFIG_FILE, problems) if CONFIG_FILE in there else {}
    metrics = _read_json(folder / METRICS_FILE, problems) if METRICS_FILE in there else {}
    weights_bytes = None
    if WEIGHTS_FILE in there:
        weights_bytes = _check_weights(folder / WEIGHTS_FILE, config.get("weights_sha256"), problems)
    measured = ""
    if metrics:
        of, here = metrics.get("weights_sha256"), config.get("weights_sha256")
        measured = "unknown" if not of or not here else "these" if of == here else "others"
    return ModelFiles(
        folder.name,
        folder,
        config,
        metrics,
        _read_history(folder / HISTORY_FILE, problems) if HISTORY_FILE in there else (),
        _read_text(folder / CARD_FILE, problems) if CARD_FILE in there else "",
        weights_bytes,
        measured,
        tuple(name for name in FILES if name not in there),
        tuple(problems),
    )


def section(value: object, *keys: str) -> dict:
    """A dict within nested dicts; empty where there is none of that name, or something else.

    Examples
    --------
    >>> section({"votes": {"model": {"r2": 0.6}}}, "votes", "model"), section({"votes": 3}, "votes", "model")
    ({'r2': 0.6}, {})
    """
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _read_text(path: Path, problems: list[str]) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        problems.append(f"{path} cannot be read as text; restore it or train the model again.")
        return ""


def _read_json(path: Path, problems: list[str]) -> dict:
    before = len(problems)
    text = _read_text(path, problems)
    if len(problems) > before:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        again = "measure the model again" if path.name == METRICS_FILE else "train the model again"
        problems.append(f"{path} is damaged (not a JSON object); restore it or {again}.")
        return {}
    return value


def _read_history(path: Path, problems: list[str]) -> tuple[dict, ...]:
    """Lines that can be read; a last one without its end is that of a run that was killed, or is under way."""
    text = _read_text(path, problems)
    lines, rows, broken = text.splitlines(), [], []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            row = 0
        if isinstance(row, dict):
            rows.append(row)
        elif row is not None:
            broken.append(number)
    if broken == [len(lines)] and not text.endswith("\n"):
        problems.append(f"{path} ends in the middle of line {broken[0]}; that pass is left out.")
    elif broken:
        first = f"line {broken[0]}" if len(broken) == 1 else f"{len(broken)} lines, the first is line {broken[0]}"
        problems.append(f"{path} cannot be read in part ({first}); these passes are left out.")
    return tuple(rows)


def _check_weights(path: Path, checksum: object, problems: list[str]) -> int | None:
    try:
        size, found = path.stat().st_size, cached_sha256(path)
    except OSError:
        problems.append(f"{path} cannot be read; restore it or train the model again.")
        return None
    if checksum and found != checksum:
        problems.append(
            f"{path} is damaged (its checksum is not that of {CONFIG_FILE}); restore it or train the model again."
        )
    return size
