"""How often a model is right where it says so: expected against observed, of votes and of stars and galaxies."""

from __future__ import annotations

import numpy as np
import streamlit as st

from galaxy_core.model_files import ModelFiles, section
from pages.views import figures, frame, models_figures, models_numbers, models_sky_numbers, models_vote_numbers, words
from pages.views.models_numbers import value_of
from pages.views.models_panels import CHOICE_PX

VOTES_HELP = """Each point: all fractions the model expects to be in a tenth of the range, against what volunteers
really said. On the diagonal the model is right on average; below it, it expects too much."""
STARS_HELP = """Each point: all objects that the model gives a probability in a tenth of the range, against the share of
them that are galaxies. On the diagonal the model is right on average; below it, it calls too many galaxies."""
FIGURE_PX = 760  # wider, bins lie too far apart to follow
Record = tuple[np.ndarray, np.ndarray, np.ndarray, float]


def draw_reliability(model: ModelFiles) -> None:
    """Reliability of what the model says in shares; nothing for models that say none."""
    of_votes = {part: reliability_curves(section(model.metrics, part)) for part in models_vote_numbers.VOTE_PARTS}
    of_votes = {part: curves for part, curves in of_votes.items() if curves}
    if of_votes:
        _draw_votes(model, of_votes)
    scored, calibration = models_sky_numbers.calibration(model.metrics)
    if curve := _curve(calibration, "n"):
        _draw_stars(model, scored, curve)


def _draw_votes(model: ModelFiles, forms: dict[str, dict[str, Record]]) -> None:
    """How often volunteers say what the model expects, for one question."""
    st.subheader("Reliability", anchor=False, help=VOTES_HELP)
    with st.container(horizontal=True):
        key = next(iter(forms))
        part = key
        if len(forms) > 1:
            readings = {one: str(section(model.metrics, one).get("reading")) for one in forms}
            named = {one: models_vote_numbers.FORMS.get(reading, "").strip() for one, reading in readings.items()}
            part = st.segmented_control(
                "Votes", list(forms), format_func=named.get, default=key, required=True, key="models-votes"
            )
        curves = forms[part]
        key = st.selectbox(
            "Question",
            list(curves),
            format_func=models_vote_numbers.question_text,
            key="models-question",
            width=CHOICE_PX,
        )
    expected, observed, n, error = curves[key]
    title = f"Reliability: {figures.shorten(models_vote_numbers.question_text(key), 40)}"
    figure = models_figures.reliability_figure(expected, observed, n, title, frame.is_dark())
    _plot(figure, f"{model.name}-reliability-{key}")
    chance = value_of(section(model.metrics, part, "reliability", key), "by_chance_95")
    beside = f", by chance up to {words.number(chance)}" if np.isfinite(chance) else ""
    known = f" Expected calibration error {words.number(error)}{beside}." if np.isfinite(error) else ""
    n_galaxies = value_of(section(model.metrics, part), "n_test")
    of = models_numbers.measured_on(model.metrics, n_galaxies, part=part)
    counted = words.count(int(n.sum()), "fraction", "fractions")
    st.caption(frame.plain(f"{counted} of those who were asked, on {of}.{known}"))


def _draw_stars(model: ModelFiles, scored: dict, curve: Record) -> None:
    """How often what the model calls a galaxy is one."""
    st.subheader("Reliability", anchor=False, help=STARS_HELP)
    expected, observed, n, _ = curve
    figure = models_figures.reliability_figure(
        expected, observed, n, "Reliability: star or galaxy", frame.is_dark(), "probability of a galaxy", "objects"
    )
    _plot(figure, f"{model.name}-reliability")
    on = models_numbers.measured_on(scored, int(n.sum()), "test objects")
    st.caption(frame.plain(f"Of the network that learns without labels, on {on}."))


def _plot(figure, name: str) -> None:
    with st.container(width=FIGURE_PX):
        config = figures.chart_config(name) | {"scrollZoom": False}
        st.plotly_chart(figure, key="models-reliability", config=config)


def reliability_curves(votes: dict) -> dict[str, Record]:
    """Expected, observed, number in each bin, and calibration error of each question whose record is whole."""
    found = {}
    for key, record in models_vote_numbers.in_order(section(votes, "reliability")).items():
        if curve := _curve(record, "n_values"):
            found[key] = curve
    return found


def _curve(record: object, counts: str) -> Record | None:
    """A curve of a record; None where it is not whole."""
    try:
        expected, observed = (np.array(record[name], dtype=np.float64) for name in ("expected", "observed"))
        n = np.nan_to_num(np.array(record[counts], dtype=np.float64)).astype(np.int64)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    if expected.ndim == 1 and expected.shape == observed.shape == n.shape and n.sum() > 0:
        return expected, observed, n, value_of(record, "expected_calibration_error")
    return None
