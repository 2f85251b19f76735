"""The science of Galaxy Atlas, which knows nothing of the app."""

import sys
from importlib.util import find_spec
from pathlib import Path

for _name in ("numpy", "scipy", "pandas", "pyarrow", "astropy", "torch", "tqdm"):
    if find_spec(_name) is None:
        _said = (
            f"{sys.executable} has no package {_name}: enter the environment of Galaxy Atlas with"
            " `source .venv/bin/activate` in its folder, and run this again. `python3 scripts/start.py` makes it."
        )
        if Path(sys.argv[0]).absolute().parent == Path(__file__).resolve().parents[1] / "scripts":
            sys.exit(_said)  # one sentence for who gave a command
        raise ModuleNotFoundError(_said)
