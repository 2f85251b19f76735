"""The options of scripts whose work can be done in several processes: ``--workers`` and ``--scheduler``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

from galaxy_core.engine import Engine, open_engine
from galaxy_core.errors import GalaxyError


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add both options; without either the work is done in this process."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--workers",
        type=number_of_processes,
        default=0,
        metavar="N",
        help="work in N processes of this machine (default: in this one)",
    )
    group.add_argument(
        "--scheduler",
        type=address,
        default=None,
        metavar="URL",
        help="work on the cluster of the Dask scheduler tcp://HOST:PORT",
    )


def engine_of(options: argparse.Namespace) -> AbstractContextManager[Engine]:
    """The engine asked for, to be used as ``with engine_of(options) as engine``."""
    if options.scheduler:
        from galaxy_core.engine_dask import PATIENCE_S

        told = f"Waiting for the Dask scheduler {options.scheduler} and its workers, for {PATIENCE_S:g} s each at most."
        print(told, file=sys.stderr, flush=True)
    return open_engine(options.workers, options.scheduler or "")


def run_on_engine(options: argparse.Namespace, work: Callable[[Engine], int]) -> int:
    """The exit code of ``work`` on the engine asked for: 1 after an error, which is told, and 130 after Ctrl-C."""
    try:
        with engine_of(options) as engine:
            return work(engine)
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; what is done stays, and the same command goes on from there.", file=sys.stderr)
        return 130


def number_of_processes(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 1024):
        raise argparse.ArgumentTypeError(f"give 1 to 1024 processes, not {text!r}")
    return int(text)


def address(text: str) -> str:
    if "://" not in text:
        raise argparse.ArgumentTypeError(f"give tcp://HOST:PORT, not {text!r}")
    return text
