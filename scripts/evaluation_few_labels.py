"""The part of evaluate.py that measures models given few labels: its options, and its call."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from galaxy_core.label_efficiency import FINE_TUNED, FROZEN, SCRATCH, WAYS

SHARES, USUAL_WAYS = [0.01, 0.05, 0.1, 1.0], [FROZEN, FINE_TUNED, SCRATCH]
Report = Callable[[str, int, int], None]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``evaluate.py few_labels``."""
    group = parser.add_argument_group("few_labels")
    group.add_argument("--models", nargs="+", metavar="FOLDER", help="models that learned without labels")
    group.add_argument(
        "--shares", type=float, nargs="+", default=SHARES, help=f"of the training labels ({' '.join(map(str, SHARES))})"
    )
    group.add_argument("--seeds", type=int, default=5, help="draws of each share (%(default)s)")
    group.add_argument(
        "--ways",
        nargs="+",
        choices=list(WAYS),
        default=USUAL_WAYS,
        help=f"how labels are learned from ({' '.join(USUAL_WAYS)})",
    )
    group.add_argument(
        "--trained-shares", type=float, nargs="+", help="shares that encoders are trained on; slow (default: all)"
    )
    group.add_argument("--trained-seeds", type=int, help="draws that encoders are trained on; slow (default: all)")
    group.add_argument(
        "--trained-px",
        type=int,
        help="size at which encoders are trained, where they take more than one (default: that they learned from)",
    )
    group.add_argument("--merge", nargs="+", default=[], metavar="CLASS+CLASS", help="classes that are counted as one")
    group.add_argument("--work", type=Path, help="folder of working files, may be deleted afterwards (beside --json)")


def check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Say what does not go together, and exit."""
    if options.recipe != "few_labels":
        if options.models or options.merge or options.work or options.trained_px:
            parser.error("--models, --merge, --work and --trained-px are for few_labels")
        return
    if not options.models or not options.json:
        parser.error("few_labels needs --models FOLDER [FOLDER ...] and --json FILE")
    if options.json.suffix in (".jsonl", ".work"):
        parser.error(
            "single results and working files are kept in FILE.jsonl and FILE.work; give --json another suffix"
        )
    if any(not 0 < share <= 1 for share in [*options.shares, *(options.trained_shares or [])]):
        parser.error("shares of labels are above 0 and at most 1")
    if options.trained_px is not None:
        from galaxy_core.recipes.few_labels_task import STAMP_PX  # brings torch, which no other option waits for

        if not 8 <= options.trained_px <= STAMP_PX:
            parser.error(f"--trained-px takes 8 to {STAMP_PX}, the size of the stamps")
    if options.seeds < 1 or (options.trained_seeds is not None and options.trained_seeds < 0):
        parser.error("--seeds takes 1 or more, --trained-seeds 0 or more")


def measure(arguments: argparse.Namespace, report: Report) -> tuple[dict, list[str]]:
    """Accuracy against number of labels; every result is added to a JSONL beside ``--json`` as soon as it is there."""
    from galaxy_core.artifacts.staging import hold_lock
    from galaxy_core.catalogs import read_catalog
    from galaxy_core.embedding import find_model
    from galaxy_core.models import resolve_device
    from galaxy_core.recipes.few_labels import Config, Plan, TrainingConfig, evaluate
    from galaxy_core.recipes.few_labels_table import table_lines

    plan = Plan(
        tuple(arguments.shares),
        arguments.seeds,
        tuple(arguments.trained_shares or arguments.shares),
        arguments.seeds if arguments.trained_seeds is None else arguments.trained_seeds,
        tuple(arguments.ways),
    )
    work = arguments.work or arguments.json.with_suffix(".work")
    with hold_lock(work / ".lock", f"working in {work}", "--work"):
        scores = evaluate(
            [find_model(model, arguments.artifacts) for model in arguments.models],
            read_catalog(arguments.catalog),
            arguments.json.with_suffix(".jsonl"),
            work,
            plan,
            Config(training=TrainingConfig(input_px=arguments.trained_px)),
            merges=arguments.merge,
            device=resolve_device(arguments.device),
            report=report,
        )
    return scores, table_lines(scores)
