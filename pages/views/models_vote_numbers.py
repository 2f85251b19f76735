"""The numbers of votes as tables and sentences: errors, calibration, intervals; what has another form is left out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from galaxy_core.galaxy_zoo import BY_KEY
from galaxy_core.model_files import section
from galaxy_core.published_lookups import MOST, is_number
from galaxy_core.vote_tree import QUESTION_KEYS
from pages.views import words
from pages.views.models_numbers import decimals, interval, percent, value_of

VOTE_PARTS = ("votes_as_cast", "votes", "votes_elsewhere")  # as cast first, as the page Morphology shows them
FORMS = {"cast": " as cast", "debiased": " debiased", "challenge": " as in the challenge"}
NOISE_FLOOR = "noise floor"
PREDICTIONS = {"model": "this model", "training_mean": "mean training galaxy", "noise_floor": NOISE_FLOOR}


def votes_table(votes: dict) -> pd.DataFrame:
    """Errors of the model beside those of the mean training galaxy and the noise floor."""
    rows = []
    for fractions, part in (("as the catalog states them", ""), ("where somebody was asked", "asked_")):
        for key, name in PREDICTIONS.items():
            if scores := section(votes, part + key):
                row = {"vote fractions": fractions, "prediction": name, "RMSE": value_of(scores, "rmse")}
                row |= {"95 %": interval(scores, "rmse_interval", words.number), "R2": value_of(scores, "r2")}
                rows.append(row | {"R2 by column": value_of(scores, "r2_by_column")})
    return pd.DataFrame(rows)


def question_text(key: str) -> str:
    """A question as volunteers are asked it."""
    return BY_KEY[key].text if key in BY_KEY else key.replace("-", " ")


def in_order(questions: Mapping[str, object]) -> dict[str, object]:
    """Records of questions in the order in which volunteers know them; others after them."""
    known = [key for key in QUESTION_KEYS if key in questions]
    return {key: questions[key] for key in dict.fromkeys([*known, *questions])}


def calibration_table(votes: dict) -> pd.DataFrame:
    """Calibration error and coverage of the 90 % intervals, question by question."""
    curves = in_order(section(votes, "reliability"))
    held = {form: section(votes, "coverage_90", form) for form in ("conditional", "cumulative")}
    keys = [key for key in dict.fromkeys([*curves, *held["conditional"]]) if key != "all"]
    rows = [
        {
            "question": question_text(key),
            "fractions": n_fractions(section(curves, key)),
            "calibration error": decimals(value_of(section(curves, key), "expected_calibration_error")),
            "by chance, up to": decimals(value_of(section(curves, key), "by_chance_95")),
            "in the 90 % interval, of those asked": percent(value_of(held["conditional"], key)),
            "of all volunteers": percent(value_of(held["cumulative"], key)),
        }
        for key in keys
    ]
    if rows and any("all" in shares for shares in held.values()):
        rows.append(
            {"question": "all together"}
            | dict.fromkeys(("fractions", "calibration error", "by chance, up to"), decimals(np.nan))
            | {"in the 90 % interval, of those asked": percent(value_of(held["conditional"], "all"))}
            | {"of all volunteers": percent(value_of(held["cumulative"], "all"))}
        )
    return pd.DataFrame(rows)


def width_sentence(votes: dict) -> str:
    """How wide the 90 % intervals are, and what they hold where many were asked; empty where that was not measured.

    Examples
    --------
    >>> votes = {"interval_width": {"conditional": 0.44, "cumulative": 0.13}, "coverage_90_asked_enough": 0.93}
    >>> width_sentence(votes)
    'The intervals are 0.44 wide on average for those asked, 0.13 for all volunteers. Where ten or more were asked they hold 93.0 %.'
    """  # noqa: E501
    widths = section(votes, "interval_width")
    known = {form: value_of(widths, form) for form in ("conditional", "cumulative")}
    said = [
        f"{value:.2f} {'wide on average for those asked' if form == 'conditional' else 'for all volunteers'}"
        for form, value in known.items()
        if np.isfinite(value)
    ]
    enough = value_of(votes, "coverage_90_asked_enough")
    parts = [f"The intervals are {', '.join(said)}."] if np.isfinite(known["conditional"]) else []
    parts += [f"Where ten or more were asked they hold {percent(enough)}."] if np.isfinite(enough) else []
    return " ".join(parts)


def n_fractions(curve: Mapping) -> str:
    """Of how many fractions a reliability curve is; a dash where that is not recorded."""
    counts = curve.get("n_values")
    known = isinstance(counts, list) and all(is_number(n) and 0 <= n <= MOST for n in counts)
    return f"{int(sum(counts)):,}" if known and counts else "–"
