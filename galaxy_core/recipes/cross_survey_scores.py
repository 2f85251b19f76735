"""How a morphology net does on surveys it never saw: single answers per survey, and whether it notices that it is new.

The answers are those that example images stand for on the site of Galaxy Zoo. Examples are chosen to show an answer, so
each comes about as often as any other: these accuracies are not those of a survey as it is observed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_core.answer_words import find_answer, find_question
from galaxy_core.catalogs.answers import read_answers
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import CatalogError
from galaxy_core.models import load_model
from galaxy_core.morphology import Morphology, classify_rows
from galaxy_core.probes import wilson_interval
from galaxy_core.recipes import Report
from galaxy_core.splits import TEST, split_mask
from galaxy_core.vote_tree import COLUMN_OF, QUESTION_KEYS, SLICES

SDSS = ("sloan", "sdss")  # names of its colour images; those of others made of them begin so
N_AGAINST = 1000
N_RESAMPLES = 300

DEFINITIONS = {
    "accuracy": "share of images whose likeliest answer, by the expected fractions of those asked the question, is the "
    "one they are an example of; of questions and answers the tree of Galaxy Zoo 2 has; 95 % interval of Wilson 1927",
    "majority": "the same of the answer most frequent among these very images, given to all",
    "flagged": "share of images with novelty above 1, the threshold set on validation galaxies of the training",
    "auc": "chance that an image of the survey has more novelty than a galaxy of the catalog compared with; 95 % "
    "interval of bootstrap resamples of both. Surveys whose name begins with sloan or sdss are no other survey, and "
    "stand as a control: what sets them apart is not the telescope but framing, choice and bands",
    "auc_here": "the same against the images of this very catalog whose survey is named sloan or sdss: framed and "
    "chosen in the same way, so what is left sets surveys apart",
}


def evaluate(
    folder: str | Path,
    catalog: Catalog,
    against: Catalog | None = None,
    seed: int = 0,
    device: str = "cpu",
    report: Report | None = None,
) -> dict:
    """Accuracy by survey and question, share flagged, and AUC of novelty against galaxies of another catalog.

    Parameters
    ----------
    catalog : Catalog
        Images with a survey, a question and an answer; see `galaxy_core.catalogs.answers.read_answers`.
    against : Catalog, optional
        Of SDSS; up to `N_AGAINST` galaxies of its test split are compared with.

    Returns
    -------
    dict
        Without NaN: what the model does not tell is None.
    """
    model = load_model(folder, device)
    answers, unmatched = match_answers(read_answers(catalog))
    told, rows = classify_rows(model, catalog, np.arange(len(catalog)), report)
    scores: dict = {"definitions": DEFINITIONS, "n_images": len(rows), "n_unreadable": len(catalog) - len(rows)}
    scores |= {"unmatched": unmatched, "against": None}
    novelty = dict(zip(rows.tolist(), told.novelty.tolist(), strict=True)) if told.novelty is not None else None
    base = None
    if against is not None:
        splits = np.flatnonzero(split_mask(against.split_keys, TEST))
        if not len(splits):
            raise CatalogError(f"None of the {len(against):,} galaxies to compare with is of the test split.")
        chosen = np.sort(np.random.default_rng(seed).permutation(splits)[:N_AGAINST])
        other, read = classify_rows(model, against, chosen, report and (lambda _, *done: report("against", *done)))
        base = other.novelty
        scores["against"] = {"n": len(read)} | flagged_share(base)
    judged = judge(answers[answers["row"].isin(rows)], told, rows) if told.conditional is not None else None
    own = np.intersect1d(answers.loc[answers["survey"].str.lower().isin(SDSS), "row"], rows)
    here = np.array([novelty[row] for row in own.tolist()]) if novelty is not None else None
    read_rows = set(rows.tolist())

    def readable(some: pd.DataFrame) -> list[int]:
        return [row for row in some["row"].unique().tolist() if row in read_rows]

    scores["surveys"] = {}
    for survey, part in answers.groupby("survey"):
        images = readable(part)
        values = None if novelty is None else np.array([novelty[row] for row in images])
        scores["surveys"][survey] = {
            "n_images": len(images),
            "is_sdss": is_sdss(survey),
            **flagged_share(values),
            "auc": auc_of(base, values, seed),
            "auc_here": auc_of(here, values, seed),
            "questions": None if judged is None else by_question(judged[judged["survey"] == survey]),
        }
    others = readable(answers[~answers["survey"].map(is_sdss)])
    scores["others"] = score_others(others, novelty, (base, here), judged, seed)
    return scores


def is_sdss(survey: str) -> bool:
    """Whether images of a survey are of SDSS, by its name."""
    return survey.lower().startswith(SDSS)


def match_answers(answers: pd.DataFrame) -> tuple[pd.DataFrame, dict]:
    """Answers with the keys of the tree in place of texts, ``None`` where it has none; and counts of those, by text.

    Where rows give one image several answers to a question, as where boxes could be ticked, there is no one right
    answer: they count as "several answers", and have no key.
    """
    found = answers.assign(key=[find_question(text) for text in answers["question"]])
    found["choice"] = [
        None if pd.isna(key) else find_answer(key, text)
        for key, text in zip(found["key"], found["answer"], strict=True)
    ]
    no_question, no_answer = found["key"].isna(), found["key"].notna() & found["choice"].isna()
    several = found["choice"].notna() & (
        found.groupby(["row", "survey", "key"], dropna=False)["answer"].transform("nunique") > 1
    )
    found.loc[several, "choice"] = None
    pairs = found["question"] + " – " + found["answer"]
    return found, {
        "questions": found.loc[no_question, "question"].value_counts().sort_index().to_dict(),
        "answers": pairs[no_answer].value_counts().sort_index().to_dict(),
        "several_answers": int(several.sum()),
        "n_rows": len(found),
        "n_matched": int(found["choice"].notna().sum()),
    }


def judge(answers: pd.DataFrame, told: Morphology, rows: np.ndarray) -> pd.DataFrame:
    """The answers that have a counterpart, with ``right``: whether the model's likeliest answer is theirs."""
    places = {row: place for place, row in enumerate(rows.tolist())}
    kept = answers[answers["choice"].notna()].drop_duplicates(["row", "survey", "key", "choice"])
    right = []
    for row, key, choice in zip(kept["row"], kept["key"], kept["choice"], strict=True):
        part = SLICES[QUESTION_KEYS.index(key)]
        likeliest = part.start + int(told.conditional.expected[places[row], part].argmax())
        right.append(likeliest == COLUMN_OF[key, choice])
    return kept.assign(right=np.array(right, dtype=bool))


def by_question(judged: pd.DataFrame) -> dict:
    """Accuracy with its interval, and that of the majority answer, of each question in the tree's order, and of all."""
    scores = {key: accuracy_of(judged[judged["key"] == key]) for key in QUESTION_KEYS}
    scores = {key: score for key, score in scores.items() if score is not None}
    total = accuracy_of(judged)
    if total is not None:  # one majority answer for each question
        total["majority"] = sum(score["majority"] * score["n"] for score in scores.values()) / total["n"]
        scores["all"] = total
    return scores


def accuracy_of(judged: pd.DataFrame) -> dict | None:
    """Accuracy of some judged answers to one question; None if there are none."""
    n, n_right = len(judged), int(judged["right"].sum())
    if not n:
        return None
    interval = list(wilson_interval(n_right, n))
    majority = float(judged["choice"].value_counts().max() / n)
    return {"n": n, "accuracy": n_right / n, "accuracy_interval": interval, "majority": majority}


def score_others(
    rows: list[int],
    novelty: dict[int, float] | None,
    bases: tuple[np.ndarray | None, np.ndarray | None],
    judged: pd.DataFrame | None,
    seed: int,
) -> dict:
    """All surveys but SDSS together, whose images are ``rows``; ``bases``: novelties of the two they stand beside."""
    values = None if novelty is None else np.array([novelty[row] for row in rows])
    questions = None
    if judged is not None:
        questions = by_question(judged[~judged["survey"].map(is_sdss)])
    auc, auc_here = (auc_of(base, values, seed) for base in bases)
    scores = {"n_images": len(rows), **flagged_share(values), "auc": auc, "auc_here": auc_here}
    return scores | {"questions": questions}


def flagged_share(novelty: np.ndarray | None) -> dict:
    """Share of images above the threshold with its interval; None where it is not told."""
    if novelty is None or not len(novelty):
        return {"flagged": None, "flagged_interval": None}
    n_flagged = int((novelty > 1).sum())
    return {"flagged": n_flagged / len(novelty), "flagged_interval": list(wilson_interval(n_flagged, len(novelty)))}


def auc_of(base: np.ndarray | None, values: np.ndarray | None, seed: int) -> dict | None:
    """Area under the ROC curve of ``values`` against ``base``, with a bootstrap interval.

    Examples
    --------
    >>> auc_of(np.array([0.1, 0.2]), np.array([0.3, 0.4]), 0)["auc"]
    1.0
    """
    if base is None or values is None or not len(base) or not len(values):
        return None
    rng = np.random.default_rng(seed)

    def area(some: np.ndarray, sorted_base: np.ndarray) -> float:
        below, upto = (np.searchsorted(sorted_base, some, side=side) for side in ("left", "right"))
        return float((below + upto).mean() / (2 * len(sorted_base)))

    draws = [area(rng.choice(values, len(values)), np.sort(rng.choice(base, len(base)))) for _ in range(N_RESAMPLES)]
    return {"auc": area(values, np.sort(base)), "auc_interval": np.percentile(draws, (2.5, 97.5)).tolist()}
