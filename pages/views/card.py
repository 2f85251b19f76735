"""One galaxy, looking the same on every page: picture, id, class, place, clusters, votes, the rest of its row."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from pages.views import frame, readers, words
from pages.views.gallery import gallery, large_picture
from pages.views.readers import Galaxies

MAIN_COLUMNS = ("galaxy_id", "class", "split", "ra_deg", "dec_deg", "split_group")
QUESTION_PATTERNS = (
    r"(?P<question>t\d+_.+)_a\d+_(?P<answer>.+?)_(?:debiased|weighted_fraction|fraction|count)",  # Hart et al. 2016
    r"(?P<question>Class\d+)\.(?P<answer>\d+)",  # Kaggle
    r"(?P<question>.+)_(?P<answer>[^_]+?)(?:_fraction)?",  # Galaxy Zoo releases
)


def draw_card(galaxies: Galaxies, row: int) -> None:
    """The picture of a galaxy, its id, class, place and clusters."""
    galaxy_id = str(galaxies.ids[row])
    with frame.panel():
        st.html(large_picture(galaxy_id, readers.thumbnails(galaxies, [row])[0]))
    st.markdown(f"### {frame.plain(galaxy_id)}")
    st.html(facts_html(main_facts(galaxies, row)))


def draw_details(galaxies: Galaxies, row: int) -> None:
    """Votes as bars, and the rest of the galaxy's row in the catalog."""
    questions = vote_questions(galaxies, row)
    if questions:
        first, *others = questions.items()
        st.html(votes_html(dict([first])))
        if others:
            with st.expander(f"Votes on {words.count(len(others), 'more question', 'more questions')}"):
                st.html(votes_html(dict(others)))
    rest = other_facts(galaxies, row)
    if rest:
        with st.expander(f"Catalog: {words.count(len(rest), 'more value', 'more values')}"):
            st.html(facts_html(rest))


def draw_neighbors(galaxies: Galaxies, row: int, on_open: Callable[[Galaxies, int], None]) -> None:
    """The nearest neighbours of a galaxy with their similarity; clicking one opens it."""
    st.markdown(
        "**Most similar galaxies**",
        help="Nearest in the embedding, the description of each picture that the model has learned; not on the map."
        " The number is the cosine similarity: 1 for the same description, 0 for nothing in common.",
    )
    with frame.panel():
        index, similarity = readers.neighbors(galaxies)
        if index.shape[1] == 0:
            st.caption("This catalog has no other galaxy.")
            return
        captions = [f"{value:.3f}" for value in similarity[row]]
        gallery(galaxies, index[row].tolist(), "neighbors", captions, on_open)


def main_facts(galaxies: Galaxies, row: int) -> dict[str, str]:
    """Class, place, split and clusters of a galaxy."""
    values, facts = galaxies.catalog.iloc[row], {}
    if "class" in values and not pd.isna(values["class"]):
        facts["Class"] = str(values["class"]).replace("_", " ")
    if "ra_deg" in values and "dec_deg" in values and np.isfinite([values["ra_deg"], values["dec_deg"]]).all():
        facts["RA, Dec"] = f"{values['ra_deg']:.5f}°, {values['dec_deg']:+.5f}° (ICRS)"
    for name in galaxies.clustering_names:
        label = int(galaxies.labels(name)[row])
        membership = float(galaxies.clusters[f"{name}_membership"].iloc[row])
        text = words.cluster_name(label)
        facts[words.name_of(name)] = text if label < 0 else f"{text}, membership {membership:.2f}"
    facts["Split"] = {"train": "training"}.get(values["split"], values["split"])
    return facts


def other_facts(galaxies: Galaxies, row: int) -> dict[str, str]:
    """The columns of the catalog that are shown nowhere else, where they hold something."""
    values = galaxies.catalog.iloc[row]
    hidden = {*MAIN_COLUMNS, *galaxies.manifest.answer_columns}
    return {words.column_name(column): text_of(values[column]) for column in values.index if column not in hidden}


def text_of(value: object) -> str:
    """One value of a table as text.

    Examples
    --------
    >>> text_of(1.23456), text_of(None), text_of("SDSS"), text_of(True)
    ('1.23', '–', 'SDSS', 'yes')
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | int | np.number):
        return words.number(float(value)) if abs(float(value)) < 1e7 or isinstance(value, float) else str(value)
    return "–" if value is None or value is pd.NA or value is pd.NaT else str(value)


def vote_questions(galaxies: Galaxies, row: int) -> dict[str, list[tuple[str, float]]]:
    """Answers of each question that somebody was asked, as shares of the question's answers.

    Numbers of votes are divided by those of their question; released fractions are shown as they are.
    """
    values, questions = galaxies.catalog.iloc[row], {}
    for column in galaxies.manifest.answer_columns:
        if column in values and np.isfinite(value := float(values[column] if values[column] is not None else np.nan)):
            question, answer = split_column(column)
            questions.setdefault(question, []).append((answer, value))
    questions = {question: answers for question, answers in questions.items() if sum(v for _, v in answers) > 0}
    if galaxies.manifest.answer_kind != "count":
        return questions
    totals = {question: sum(value for _, value in answers) for question, answers in questions.items()}
    return {q: [(answer, value / totals[q]) for answer, value in answers] for q, answers in questions.items()}


def split_column(column: str) -> tuple[str, str]:
    """Question and answer of a column of votes.

    Examples
    --------
    >>> split_column("t01_smooth_or_features_a02_features_or_disk_debiased")
    ('smooth or features', 'features or disk')
    >>> split_column("smooth-or-featured-hubble_smooth"), split_column("Class7.2")
    (('smooth or featured hubble', 'smooth'), ('Class7', '2'))
    """
    for pattern in QUESTION_PATTERNS:
        if match := re.fullmatch(pattern, column):
            question = re.sub(r"^t\d+_", "", match["question"])
            return re.sub(r"[-_]", " ", question), re.sub(r"[-_]", " ", match["answer"])
    return "votes", column


def facts_html(facts: dict[str, str]) -> str:
    """A list of names and values."""
    items = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts.items())
    return f'<dl class="facts">{items}</dl>'


def votes_html(questions: dict[str, list[tuple[str, float]]]) -> str:
    """A bar for each answer, as long as its share of the votes."""
    parts = []
    for question, answers in questions.items():
        parts.append(f'<div class="question">Votes: {html.escape(question)}? [share of answers]</div>')
        for answer, value in answers:
            width = 100 * min(max(value, 0), 1)
            parts.append(
                f'<div>{html.escape(answer)}</div><div class="bar"><span style="width:{width:.1f}%"></span></div>'
                f'<div class="value">{value:.2f}</div>'
            )
    return f'<div class="votes">{"".join(parts)}</div>'
