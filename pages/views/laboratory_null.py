"""What the laboratory's method finds in data without groups, beside what it found in the galaxies."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from galaxy_core.laboratory import CANCELLED, FAILED, Job, Trial
from pages.views import frame, scores, words

LABEL = "Compare with data without groups"
HELP = (
    "Does the same, several times, with every feature of the embedding shuffled on its own, and with one even cloud as"
    " long in each direction as the embedding. A silhouette that is no better says nothing about galaxies."
)


def draw_null(trial: Trial, job: Job) -> None:
    """What the draws reached that were made, and what that says of the result."""
    if job.state == FAILED:
        frame.show_problem(job.error)
    if job.rows:
        stopped = " The others were not made: it was stopped." if job.state == CANCELLED else ""
        st.markdown(f"- {sentence_of(trial.about['scores']['fitted_space'], job.rows)}{stopped}")


def sentence_of(fitted: dict, rows: Sequence[dict]) -> str:
    """How the strict silhouette of a result compares with that of data without groups.

    Examples
    --------
    >>> rows = [{"strict": 0.3, "n_clusters": 8}, {"strict": 0.32, "n_clusters": 8}]
    >>> sentence_of({"strict": 0.31, "strict_interval": [0.30, 0.32]}, rows)
    'In data without groups the same method reaches 0.300 to 0.320 (2 draws; 8 clusters): no less, so the silhouette says nothing about the galaxies.'
    >>> sentence_of({"strict": 0.5, "strict_interval": [0.49, 0.51]}, rows)[-33:]
    'less than in the galaxies: 0.500.'
    """  # noqa: E501
    low, high = scores.null_range({"each": list(rows)})
    counts = [int(row["n_clusters"]) for row in rows]
    few = f"{min(counts):,} to " if min(counts) < max(counts) else ""
    found = few + words.count(max(counts), "cluster", "clusters")
    reached = scores.null_text((low, high)).removeprefix("null ")
    tried = words.count(len(rows), "draw", "draws")
    as_null = fitted["strict_interval"][0] <= high
    meaning = (
        "no less, so the silhouette says nothing about the galaxies"
        if as_null
        else f"less than in the galaxies: {scores.score_text(fitted['strict'])}"
    )
    return f"In data without groups the same method reaches {reached} ({tried}; {found}): {meaning}."
