"""The scores of `clustering_scores` as lines of text: strict numbers first, flattering ones labelled as such."""

from __future__ import annotations

from galaxy_core.percent import percent
from galaxy_core.recipes.clustering_scores import least_stability


def table_lines(scores: dict) -> list[str]:
    """What is printed of ``clustering_scores.score_clusterings``."""
    made = scores["clusterings"]
    marks = {name: "".join("*" for chosen in set(scores["chosen"].values()) if chosen == name) for name in made}
    rows = {name + marks[name]: row for name, row in made.items()}
    lines = [f"Clusterings of {scores['n_galaxies']:,} galaxies; * chosen without classes", ""]
    lines += aligned([["silhouette", *SILHOUETTES], *([name, *silhouettes_of(row)] for name, row in rows.items())])
    lines += ["", *aligned([["tests", *TESTS], *([name, *tests_of(row)] for name, row in rows.items())])]
    if any(row["scores"]["ami"] is not None for row in made.values()):
        table = [["classes, never used to choose", *AGREEMENT], *([n, *agreement_of(r)] for n, r in rows.items())]
        lines += ["", *aligned(table)]
    lines += ["", "The numbers to beat"]
    lines += aligned([["", "of", "value", "at least", "", ""], *(target_row(target) for target in scores["targets"])])
    return [*lines, "", *sentences(scores)]


SILHOUETTES = (
    "space",
    "clusters",
    "smallest",
    "coverage",
    "STRICT, fitted space",
    "95 %",
    "flattering",
    "STRICT, embedding",
    "flattering",
)
TESTS = (
    "least stability",
    "redrawn",
    "ARI of refits",
    "null: clusters",
    "coverage",
    "STRICT",
    "DBCV",
    "Calinski-H.",
    "Davies-B.",
)
AGREEMENT = ("AMI", "ARI", "homogeneity", "completeness")


def silhouettes_of(row: dict) -> list[str]:
    scores = row["scores"]
    fitted, embedded = scores["fitted_space"], scores["embedding"]
    low, high = fitted["strict_interval"]
    smallest = min(scores["sizes"], default=0) / max(scores["n_galaxies"], 1)
    return [
        row["space"],
        str(scores["n_clusters"]),
        f"{smallest:.1%}",
        percent(scores["coverage"]),
        number(fitted["strict"]),
        f"{low:.3f} to {high:.3f}",
        number(fitted["clustered"]),
        number(embedded["strict"]),
        number(embedded["clustered"]),
    ]


def tests_of(row: dict) -> list[str]:
    scores, null = row["scores"], row["scores"]["null"]
    return [
        number(least_stability(scores["stability"]), 2),
        number(least_stability(row["redrawn"]), 2) if "redrawn" in row else "-",
        number(scores["stability"]["ari"], 2),
        str(null["n_clusters"]),
        percent(null["coverage"]),
        number(null["strict"]),
        number(scores["dbcv"]),
        number(scores["calinski_harabasz"], 0),
        number(scores["davies_bouldin"], 2),
    ]


def agreement_of(row: dict) -> list[str]:
    return [number(row["scores"][name]) for name in ("ami", "ari", "homogeneity", "completeness")]


def target_row(target: dict) -> list[str]:
    value = "not measured" if target["value"] is None else f"{target['value']:.3g}"
    answer = "reached" if target["reached"] else "NOT reached"
    return [target["what"], target["of"], value, f"{target['at_least']:g}", answer, target["beside"]]


def sentences(scores: dict) -> list[str]:
    """What the null and the redrawn spaces say of the chosen clusterings."""
    said = []
    for name in dict.fromkeys(scores["chosen"].values()):
        row = scores["clusterings"][name]
        strict, null = row["scores"]["fitted_space"]["strict"], row["scores"]["null"]
        said.append(
            f"{name}: strict silhouette {strict:.3f}; where there are no groups up to {null['strict']:.3f} in "
            f"{len(null['each'])} draws of the null, with {null['n_clusters']} clusters. "
            + ("So its silhouette is no sign of populations. " if null["strict"] >= strict else "")
            + ("No clustering was eligible: this is the least bad. " if not row["eligible"] else "")
            + (redrawn_sentence(row["redrawn"]) if "redrawn" in row else "")
        )
    return said


def redrawn_sentence(stability: dict) -> str:
    gone = [name for name, times in stability["dissolved"].items() if times]
    if not gone:
        return f"With the space made anew every cluster came back in all {stability['n_refits']} refits."
    listed = ", ".join(f"cluster {name} in {stability['dissolved'][name]}" for name in gone)
    return f"With the space made anew in {stability['n_refits']} refits, there dissolved: {listed}."


def number(value: float | None, digits: int = 3) -> str:
    """A number with so many decimals; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def aligned(rows: list[list[str]]) -> list[str]:
    """Rows of text with their columns below one another; the first column to the left, the others to the right.

    Examples
    --------
    >>> aligned([["a", "bb"], ["ccc", "d"]])
    ['a    bb', 'ccc   d']
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
