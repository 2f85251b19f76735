"""What a model of morphology says, in words an astronomer uses; pure functions of the numbers."""

from __future__ import annotations

import math

import numpy as np

from galaxy_core.model_files import section
from galaxy_core.morphology import Morphology
from galaxy_core.published_lookups import is_number
from galaxy_core.trees import GZ2
from galaxy_core.turning import EXACT, Turned
from galaxy_core.vote_forms import FROM_KAGGLE, TO_KAGGLE, asked_shares, cumulative_from_conditional
from galaxy_core.vote_labels import N_VOLUNTEERS
from pages.views import words
from pages.views.question_tree import percent

CLASSES = {
    "round_smooth": "round, smooth",
    "in_between_smooth": "in between, smooth",
    "cigar_smooth": "cigar-shaped, smooth",
    "edge_on": "disk, edge-on",
    "spiral": "spiral",
    "edge_on_rounded_bulge": "edge-on disk, rounded bulge",
    "edge_on_boxy_bulge": "edge-on disk, boxy bulge",
    "edge_on_no_bulge": "edge-on disk, no bulge",
    "disk_without_arms": "disk without spiral arms",
}
WITH_A_CLASS = (
    "Counted are galaxies that have a class. Many catalogs, such as gz_clean5, give one only where volunteers agreed:"
    " of galaxies on which they did not, fewer are told rightly."
)
ANSWERS = [(question, answer) for question in GZ2.questions for answer in question.answers]


def class_words(name: str) -> str:
    """A class as people write it.

    Examples
    --------
    >>> class_words("round_smooth"), class_words("ring_galaxy")
    ('round, smooth', 'ring galaxy')
    """
    return CLASSES.get(name, name.replace("_", " "))


def answer_words(column: int) -> str:
    """Question and answer of one of the 37 columns in Kaggle's order.

    Examples
    --------
    >>> answer_words(0)
    'Smooth, or with features or a disk? smooth'
    """
    question, answer = ANSWERS[TO_KAGGLE[column]]
    return f"{question.text} {answer.text}"


def in_tree_order(values: np.ndarray) -> np.ndarray:
    """Values of the 37 answers in Kaggle's order, as the question tree has them."""
    return values[..., FROM_KAGGLE]


def leading_path(told: Morphology) -> list[int]:
    """Columns, in Kaggle's order, of the leading answers from the first question on."""
    shares, path, key = in_tree_order(told.conditional.expected[0]), [], GZ2.questions[0].key
    while key:
        part = GZ2.slices[key]
        place = part.start + int(shares[part].argmax())
        path.append(int(FROM_KAGGLE[place]))
        key = ANSWERS[place][1].leads_to
    return path


def volunteers_sentences(told: Morphology) -> list[str]:
    """What 40 volunteers would say: the first question with intervals, then the way most of them would go."""
    first = [int(FROM_KAGGLE[place]) for place in range(len(GZ2.questions[0].answers))]
    first.sort(key=lambda column: -told.cumulative.expected[0, column])
    one, two, three = (f"“{ANSWERS[TO_KAGGLE[column]][1].text}”" for column in first)
    n_one, n_two, n_three = (_number_of(told, column) for column in first)
    sentences = [f"Of {N_VOLUNTEERS} volunteers, about {n_one} would say {one}, {n_two} {two} and {n_three} {three}."]
    shares = in_tree_order(told.conditional.expected)
    asked = asked_shares(cumulative_from_conditional(shares))[0]  # as the drawing counts them
    later = [_step_of(column, shares[0], asked) for column in leading_path(told)[1:]]
    if later:
        sentences.append(f"Most would go on with {', '.join(later)}.")
    return sentences


def disagreement_sentence(told: Morphology) -> str:
    """What to think where the likeliest class is smooth and most volunteers would see features, or the reverse."""
    if told.cumulative is None or not told.class_names:
        return ""
    name = told.class_names[int(told.class_probabilities[0].argmax())]
    if name not in CLASSES:
        return ""
    answer = ANSWERS[TO_KAGGLE[leading_path(told)[0]]][1].key
    if answer == "artifact" or name.endswith("smooth") == (answer == "smooth"):
        return ""
    return (
        "The class and the votes disagree. Two parts of the model tell them, and each learned from labels of its own:"
        " such a galaxy lies at the border of both."
    )


def _number_of(told: Morphology, column: int) -> str:
    low, expected, high = (
        float(getattr(told.cumulative, name)[0, column]) * N_VOLUNTEERS for name in ("low", "expected", "high")
    )
    return f"{round(expected)} ({math.floor(low + 0.5)} to {math.ceil(high - 0.5)})"


def _step_of(column: int, conditional: np.ndarray, asked: np.ndarray) -> str:
    place = int(TO_KAGGLE[column])
    question, answer = ANSWERS[place]
    n_asked = N_VOLUNTEERS * asked[GZ2.questions.index(question)]
    words = f"{answer.text} arms" if question.key == "spiral-arm-count" and answer.key != "cant-tell" else answer.text
    return f"“{words}” ({round(n_asked * conditional[place])} of {round(n_asked)} asked)"


def turning_sentence(turned: Turned, names: tuple[str, ...], leading: int | None) -> str:
    """By how much the leading class and the most moved answer change from view to view."""
    parts = []
    if leading is not None:
        low, high, spread = turned.spread(turned.class_probabilities[:, leading])
        low, high, n = percent(low), percent(high), len(turned.names)
        runs = f"is {low} in all {n} views" if low == high else f"runs from {low} to {high} over the {n} views"
        parts.append(
            f"The probability of “{class_words(names[leading])}” {runs}; its standard deviation over the {len(EXACT)}"
            f" exact ones is {spread:.3f}."
        )
        n_other = int((turned.class_probabilities.argmax(axis=1) != leading).sum())
        parts.append(
            "All of them have the same likeliest class."
            if n_other == 0
            else f"Another class is likelier in {n_other} of them."
        )
    moved = turned.most_moved()
    if moved is not None:
        low, high, spread = turned.spread(turned.cumulative[:, moved])
        low, high = percent(low), percent(high)
        runs = low if low == high else f"{low} to {high}"
        parts.append(
            f"The answer that moves most is “{answer_words(moved)}”: {runs} of all volunteers, standard deviation"
            f" {spread:.3f}."
        )
    return " ".join(parts)


def measured_sentences(metrics: dict) -> list[str]:
    """On what the model was measured and with what result, from its ``metrics.json``; what is missing is left out.

    Examples
    --------
    >>> measured_sentences({"catalog": "gz2:data", "votes": {"n_test": 70, "model": {"rmse": 0.1}}})
    ['Votes: root mean square error 0.100 on 70 galaxies of gz2:data that were not trained on.']
    >>> votes = {"model": {"rmse": 0.2}, "training_mean": {"rmse": 0.27}, "noise_floor": {"rmse": 0.15}}
    >>> measured_sentences({"catalog": "gz2:data", "votes": votes})[0][:94]
    'Votes: root mean square error 0.200 (the mean galaxy as the answer: 0.270; noise floor: 0.150)'
    >>> measured_sentences({"catalog": "gz2:data", "votes": {"reading": "debiased", "model": {"r2": 0.6}}})
    ['Votes, debiased: R² 0.600 on galaxies of gz2:data that were not trained on.']
    >>> classes = {"expected_calibration_error": 0.02, "by_chance_95": 0.03, "n_test": 70}
    >>> measured_sentences({"catalog": "gz2:data", "classes": classes})[0][:68]
    'Class: probabilities off by 0.020 on average (by chance up to 0.030)'
    >>> measured_sentences({})
    []
    """
    sentences = []
    parts = (("Class", "classes", _class_facts), ("Votes", "votes", _vote_facts))
    for title, key, facts in (*parts, ("Votes as cast", "votes_as_cast", _vote_facts)):
        part = metrics.get(key)
        said = facts(part) if isinstance(part, dict) else []
        if said:
            where = part.get("catalog") or metrics.get("catalog") or "a catalog that is not named"
            n = part.get("n_test", metrics.get("n_test"))
            galaxies = words.count(n) if is_number(n) else "galaxies"
            title += {"debiased": ", debiased", "challenge": " as in the challenge"}.get(str(part.get("reading")), "")
            sentences.append(f"{title}: {', '.join(said)} on {galaxies} of {where} that were not trained on.")
    return sentences


def _class_facts(part: dict) -> list[str]:
    said = []
    if is_number(part.get("accuracy")):
        interval = _interval(part.get("accuracy_interval"), lambda value: f"{100 * value:.1f}")
        said.append(f"{100 * part['accuracy']:.1f} % right{interval}")
    if is_number(part.get("largest_class_share")):
        said.append(f"where the largest class alone gives {100 * part['largest_class_share']:.1f} %")
    if is_number(part.get("macro_f1")):
        said.append(f"macro-F1 {part['macro_f1']:.3f}")
    if is_number(part.get("expected_calibration_error")):
        chance = part.get("by_chance_95")
        beside = f" (by chance up to {chance:.3f})" if is_number(chance) else ""
        said.append(f"probabilities off by {part['expected_calibration_error']:.3f} on average{beside}")
    return said


def _vote_facts(part: dict) -> list[str]:
    model, said = section(part, "model"), []
    if is_number(model.get("rmse")):
        others = {"training_mean": "the mean galaxy as the answer", "noise_floor": "noise floor"}
        errors = {words: section(part, key).get("rmse") for key, words in others.items()}
        beside = "; ".join(f"{words}: {error:.3f}" for words, error in errors.items() if is_number(error))
        said.append(f"root mean square error {model['rmse']:.3f}" + (f" ({beside})" if beside else ""))
    if is_number(model.get("r2")):
        said.append(f"R² {model['r2']:.3f}")
    held = section(part, "coverage_90", "conditional").get("all")
    if is_number(held):
        said.append(f"the 90 % intervals held {100 * held:.0f} % of what those asked said")
    return said


def _interval(pair: object, text) -> str:
    if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(map(is_number, pair)):
        return ""
    return f" ({text(pair[0])} to {text(pair[1])})"


def trained_sentence(about: dict) -> str:
    """What images a model learned from, from the ``about`` of its ``config.json``.

    Examples
    --------
    >>> trained_sentence({"catalogs": ["gz2:gz2"], "n_train": 560, "n_train_with_votes": 560})
    'Trained on 560 galaxies of gz2:gz2 (560 with votes).'
    >>> trained_sentence({})
    'It is not recorded which images this model was trained on.'
    """
    catalogs = about.get("catalogs")
    if not isinstance(catalogs, list | tuple) or not catalogs:
        return "It is not recorded which images this model was trained on."
    n, counts = about.get("n_train"), []
    for key, what in (("n_train_with_class", "with a class"), ("n_train_with_votes", "with votes")):
        if is_number(about.get(key)) and about[key]:
            counts.append(f"{about[key]:,} {what}")
    galaxies = words.count(n) if is_number(n) else "galaxies"
    beside = f" ({', '.join(counts)})" if counts else ""
    return f"Trained on {galaxies} of {' and '.join(map(str, catalogs))}{beside}."


def unlike_sentence(about: dict) -> str:
    """What to think of an image beyond the limit of novelty, and how many galaxies of the model's own surveys are.

    Examples
    --------
    >>> unlike_sentence({"novelty": {"flagged_share": 0.0503, "n_validation": 2048}})[:68]
    'Unlike most that the model learned from (so are 5.03 % of 2,048 gala'
    >>> unlike_sentence({})
    'Unlike most that the model learned from: what it says here may be wrong.'
    """
    gauge, those = section(about, "novelty"), ""
    share, n = gauge.get("flagged_share"), gauge.get("n_validation")
    if is_number(share) and is_number(n):
        those = f" (so are {100 * share:.3g} % of {words.count(n)} of the same surveys that it did not learn from)"
    return f"Unlike most that the model learned from{those}: what it says here may be wrong."
