"""The numbers of `cross_survey_scores` as lines of text."""

from __future__ import annotations


def table_lines(scores: dict) -> list[str]:
    """What evaluate.py prints of the scores of `galaxy_core.recipes.cross_survey_scores.evaluate`."""
    unmatched, against = scores["unmatched"], scores["against"]
    lines = [f"Measured on {scores['n_images']:,} images of {scores['catalog']} with the model {scores['model']}"]
    if scores["n_unreadable"]:
        lines.append(f"note: {scores['n_unreadable']:,} images could not be read")
    lines.append(
        f"{unmatched['n_matched']:,} of {unmatched['n_rows']:,} answers are on the tree of Galaxy Zoo 2 and are judged;"
        f" {unmatched['several_answers']:,} are several answers of one image to one question"
    )
    for what in ("questions", "answers"):
        if unmatched[what]:
            lines.append(f"{sum(unmatched[what].values()):,} have no counterpart among its {what}:")
            lines += [f"  {number:>4,}  {text}" for text, number in unmatched[what].items()]
    lines += ["", *novelty_lines(scores, against), "", *accuracy_lines(scores)]
    return lines


def novelty_lines(scores: dict, against: dict | None) -> list[str]:
    """Share flagged and AUC of each survey."""
    if scores["others"]["flagged"] is None:
        return ["This model has no gauge of novelty; set one with `python scripts/train.py vote_regressor CATALOG"
                " --phases novelty --start-from MODEL`."]  # fmt: skip
    lines = []
    if against is not None:
        lines.append(f"AUC against {against['n']:,} test galaxies of {against['catalog']}")
    lines.append("AUC here: against the SDSS images of this catalog, framed and chosen alike")
    lines.append(
        f"{'survey':<24}{'images':>8}{'flagged':>10}{'interval':>18}{'AUC':>8}{'interval':>18}"
        f"{'AUC here':>10}{'interval':>18}"
    )
    rows = list(scores["surveys"].items())
    if against is not None:
        rows.append(("test galaxies", {"n_images": against["n"], **against, "auc": None, "auc_here": None}))
    rows.append(("all but SDSS", scores["others"]))
    for name, row in rows:
        told, here = (row[name] or {"auc": None, "auc_interval": None} for name in ("auc", "auc_here"))
        label = f"{name} (SDSS)" if row.get("is_sdss") else name
        lines.append(
            f"{label:<24}{row['n_images']:>8,}{_number(row['flagged']):>10}{_interval(row['flagged_interval']):>18}"
            f"{_number(told['auc']):>8}{_interval(told['auc_interval']):>18}"
            f"{_number(here['auc']):>10}{_interval(here['auc_interval']):>18}"
        )
    return lines


def accuracy_lines(scores: dict) -> list[str]:
    """Accuracy of each survey and question, beside the majority answer."""
    if scores["others"]["questions"] is None:
        return ["This model learned no votes, so it gives no answers."]
    lines = [f"{'survey':<24}{'question':<22}{'n':>6}{'accuracy':>10}{'interval':>18}{'majority answer':>17}"]
    for name, row in [*scores["surveys"].items(), ("all but SDSS", scores["others"])]:
        for key, score in row["questions"].items():
            lines.append(
                f"{name:<24}{key:<22}{score['n']:>6,}{_number(score['accuracy']):>10}"
                f"{_interval(score['accuracy_interval']):>18}{_number(score['majority']):>17}"
            )
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(bounds: list[float] | None) -> str:
    return "-" if bounds is None else f"{bounds[0]:.3f} to {bounds[1]:.3f}"
