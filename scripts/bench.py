"""Benchmarks: each prints a rate beside a baseline measured in the same run, and their ratio.

python scripts/bench.py embed
python scripts/bench.py embed folder:data/my_galaxies --json embed.json
python scripts/bench.py map --rows 100000 1000000
python scripts/bench.py cluster
python scripts/bench.py sample --rows 60000
python scripts/bench.py denoise --side 2048 --sources 200
python scripts/bench.py detect --side 2600 --sources 4000
python scripts/bench.py scale --json scale.json
python scripts/bench.py load --users 20 --seconds 120
python scripts/bench.py train --recipes vote_regressor --json train.json
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.artifacts import DEFAULT_ROOT, write_json
from galaxy_core.errors import GalaxyError
from scripts.reporting import check_output

# a benchmark is a module with `add_arguments(parser)` and `measure(options) -> dict`, imported when it is run
BENCHMARKS = {
    "embed": ("scripts.benchmarks.embed", "the embedding step against the bare forward pass of its network"),
    "cluster": ("scripts.benchmarks.cluster", "clustering and scoring of many galaxies against the bare library calls"),
    "denoise": ("scripts.benchmarks.denoise", "denoising a frame against the bare network on its tiles"),
    "detect": ("scripts.benchmarks.detect", "a frame made into a catalogue against sep, and its network alone"),
    "scale": ("scripts.benchmarks.scale", "the embedding step on workers, its cost in parts, and what a survey costs"),
    "load": ("scripts.benchmarks.load", "many visitors at once in browsers: errors, isolation, waiting and memory"),
    "map": ("scripts.benchmarks.map", "the galaxy map in a browser beside a bare Plotly page of the same points"),
    "sample": (
        "scripts.benchmarks.sample",
        "maps and clusters fitted on a sample against those fitted on all galaxies",
    ),
    "train": ("scripts.benchmarks.train", "training against its bare network step, and that against a naive loop"),
    "unusual": ("scripts.benchmarks.unusual", "how soon answers find a rare class, beside chance and the plain score"),
}


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = parser.add_subparsers(dest="benchmark", metavar="NAME", required=True)
    for name, (module, summary) in BENCHMARKS.items():
        one = names.add_parser(name, help=summary, description=summary)
        one.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there")
        one.add_argument("--artifacts", type=Path, default=Path(DEFAULT_ROOT), help="where models/ is (%(default)s)")
        import_module(module).add_arguments(one)
    return parser.parse_args()


def main() -> int:
    options = parse()
    try:
        check_output(options.json)
        numbers = import_module(BENCHMARKS[options.benchmark][0]).measure(options)
        if options.json:
            print(f"Written: {write_json(options.json, numbers)}")
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; nothing was written.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
