"""The numbers of `crop_scores` as a table in Markdown, which a terminal shows and a model card takes."""

from __future__ import annotations

from galaxy_core.recipes.crop_scores import WAYS

NAMES = {"centre": "centre crop", "field": "whole field", "object": "central object"}
CASES = {
    "quarter": "a quarter of the side",
    "half": "half of the side",
    "frame": "the whole frame, for a large object or one off the centre",
    "nothing": "the whole frame, for no object was found",
}


def table_lines(scores: dict) -> list[str]:
    """What evaluate.py prints of the scores of `galaxy_core.recipes.crop_scores.evaluate`."""
    lines = [f"Crops of {scores['catalog']} seen by the frozen encoder of {scores['model']}"]
    lines += [f"note: {note}" for note in scores["notes"]]
    for name, what in (("n_without_votes", "without votes on all 37 answers"), ("n_unreadable", "unreadable")):
        if scores[name]:
            lines.append(f"note: {scores[name]:,} galaxies {what} were left out")
    lines += ["", "| galaxies | crop | RMSE (95 %) | R2 | RMSE less that of the centre crop (95 %) |"]
    lines.append("|---|---|---|---|---|")
    for part, label in (("folds", "10-fold"), ("test", "test split")):
        rows = [(NAMES[way], scores[part][way]) for way in WAYS]
        if "training_mean" in scores[part]:
            rows.append(("mean galaxy, no image", scores[part]["training_mean"]))
        lines += [_row(f"{label}, {scores[part]['n']:,}", name, row) for name, row in rows]
    lines += [
        "",
        "| the ten steps keep | galaxies | share | RMSE: centre | field | object |",
        "|---|---|---|---|---|---|",
    ]
    for case, what in CASES.items():
        counted, errors = scores["cases"][case], scores["by_case"].get(case)
        told = " | ".join("-" if errors is None else f"{errors[way]:.4f}" for way in WAYS)
        lines.append(f"| {what} | {counted['n']:,} | {counted['share']:.1%} | {told} |")
    return lines


def _row(label: str, name: str, row: dict) -> str:
    low, high = row["rmse_interval"]
    told = f"| {label} | {name} | {row['rmse']:.4f} ({low:.4f} to {high:.4f}) | {row['r2']:.3f} |"
    if "difference" not in row:
        return f"{told} |"
    low, high = row["difference"]["rmse_interval"]
    return f"{told} {row['difference']['rmse']:+.4f} ({low:+.4f} to {high:+.4f}) |"
