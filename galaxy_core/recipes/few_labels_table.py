"""The numbers of `few_labels` as lines of text."""

from __future__ import annotations


def table_lines(scores: dict) -> list[str]:
    """What evaluate.py prints of the scores of `galaxy_core.recipes.few_labels.evaluate`."""
    lines = [
        f"Measured on all {scores['n_test']:,} test galaxies of {scores['catalog']}, {len(scores['class_names'])}"
        f" classes at their natural mix: {', '.join(scores['class_names'])}",
        f"Labels are drawn from {scores['n_train']:,} training galaxies; intervals: 95 % of the mean over seeds.",
        "",
        f"{'way':<24}{'model':<24}{'labels':>8}{'share':>8}{'seeds':>7}{'accuracy':>10}{'interval':>18}"
        f"{'macro-F1':>10}{'interval':>18}",
    ]
    for point in scores["points"]:
        lines.append(
            f"{point['way'].replace('_', ' '):<24}{point['model']:<24}{point['n_labels']:>8,}{point['share']:>8.1%}"
            f"{point['n_seeds']:>7}{point['accuracy']:>10.4f}{_interval(point['accuracy_interval']):>18}"
            f"{point['macro_f1']:>10.4f}{_interval(point['macro_f1_interval']):>18}"
        )
    return lines


def _interval(bounds: list[float] | None) -> str:
    return "-" if bounds is None else f"{bounds[0]:.4f} to {bounds[1]:.4f}"
