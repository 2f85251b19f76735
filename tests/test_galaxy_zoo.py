"""The question tree against volunteers who walk down it one by one, released in every form the project reads."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.galaxy_zoo import BY_KEY, BY_TASK, FIRST, QUESTIONS, gates, read_column
from galaxy_core.votes import read_votes

N = 400


def walk(rng, odds) -> list[tuple[str, str]]:
    """The questions and answers of one volunteer, from the first question to the end."""
    key, given = FIRST.key, []
    while key:
        question = BY_KEY[key]
        answer = question.answers[rng.choice(len(question.answers), p=odds[key])]
        given.append((key, answer.key))
        key = answer.leads_to
    return given


@pytest.fixture(scope="module")
def volunteers():
    """What 400 volunteers answered: ``{question: {answer: votes}}``."""
    rng = np.random.default_rng(4)
    odds = {question.key: rng.dirichlet(np.ones(len(question.answers))) for question in QUESTIONS}
    counts = {question.key: {answer.key: 0 for answer in question.answers} for question in QUESTIONS}
    for _ in range(N):
        for question, answer in walk(rng, odds):
            counts[question][answer] += 1
    assert all(sum(answers.values()) for answers in counts.values())
    return counts


def released(counts, form: str) -> dict[str, float]:
    """The votes as a row of a release: Hart et al., a newer release, or the Kaggle challenge."""
    row = {}
    for question in QUESTIONS:
        answers = counts[question.key]
        asked = sum(answers.values())
        ordered = sorted(question.answers, key=lambda answer: answer.number)
        for place, answer in enumerate(ordered, 1):
            share = answers[answer.key] / asked if asked else 0.0
            stem = f"t{question.task:02d}_words_a{answer.number:02d}_{answer.key.replace('-', '_')}"
            not_artifact = N - counts[FIRST.key]["artifact"]
            odd = {"something-odd": share, "odd-feature": asked / not_artifact * share}  # as if everybody was asked
            row |= {
                "hart": {f"{stem}_weighted_fraction": share, f"{stem}_debiased": share},
                "fraction": {f"{question.key}_{answer.key}_fraction": share},
                "count": {f"{question.key}-gz2_{answer.key}": answers[answer.key]},
                "kaggle": {f"Class{question.task}.{place}": odd.get(question.key, asked / N * share)},
            }[form]
    return row


def test_eleven_questions_with_37_answers_that_all_lead_on():
    assert sorted(BY_TASK) == list(range(1, 12)) and sum(len(q.answers) for q in QUESTIONS) == 37
    numbers = sorted(answer.number for question in QUESTIONS for answer in question.answers)
    assert numbers == [*range(1, 35), 36, 37, 38]  # a35 was never used
    leads = {answer.leads_to for question in QUESTIONS for answer in question.answers}
    assert leads - {""} == set(BY_KEY) - {FIRST.key}


def test_gates_say_who_is_asked():
    """A volunteer gives exactly one of a question's gates if asked it, and none if not."""
    rng = np.random.default_rng(0)
    odds = {question.key: np.full(len(question.answers), 1 / len(question.answers)) for question in QUESTIONS}
    for _ in range(300):
        given = walk(rng, odds)
        for question in QUESTIONS[1:]:
            passed = sum(gate in given for gate in gates(question.key))
            assert passed == (question.key in dict(given)), question.key
    assert gates(FIRST.key) == ()


@pytest.mark.parametrize("form", ["hart", "fraction", "count", "kaggle"])
def test_every_release_gives_the_same_votes(volunteers, form):
    row = released(volunteers, form)
    columns = [name for name in row if not name.endswith("_weighted_fraction")]
    votes = read_votes(row, columns, "count" if form == "count" else "fraction")
    found = {question.key: question for question in (*votes.path, *votes.rest)}
    assert set(found) == set(BY_KEY)
    for key, answers in volunteers.items():
        asked = sum(answers.values())
        assert found[key].asked == pytest.approx(asked / N, abs=1e-6), key
        assert {a.key: a.share for a in found[key].answers} == pytest.approx({k: v / asked for k, v in answers.items()})
        assert found[key].n_asked == (asked if form == "count" else None)
        assert found[key].text == BY_KEY[key].text
    assert votes.n_volunteers == (N if form == "count" else None)


@pytest.mark.parametrize("form", ["hart", "fraction", "count", "kaggle"])
def test_the_path_is_that_of_the_leading_answers(form):
    counts = {question.key: {answer.key: 0 for answer in question.answers} for question in QUESTIONS}
    spiral = {"smooth-or-featured": "featured-or-disk", "disk-edge-on": "no", "bar": "yes", "has-spiral-arms": "yes"}
    spiral |= {"spiral-winding": "loose", "spiral-arm-count": "2", "bulge-size": "obvious", "something-odd": "no"}
    for question, answer in spiral.items():
        counts[question][answer] = N - 10
    counts["smooth-or-featured"]["smooth"] = counts["how-rounded"]["cigar"] = 10
    counts["something-odd"]["no"] = N
    row = released(counts, form)
    votes = read_votes(row, list(row), "count" if form == "count" else "fraction")
    assert [question.key for question in votes.path] == list(spiral)
    assert [question.leading.key for question in votes.path] == list(spiral.values())
    assert [question.key for question in votes.rest] == ["how-rounded"], "questions nobody was asked are left out"


def test_debiased_shares_stay_as_released_and_those_asked_come_from_the_votes_as_given():
    row = {"t01_x_a01_smooth_debiased": 0.1, "t01_x_a02_features_debiased": 0.8, "t02_edgeon_a04_yes_debiased": 0.9}
    row |= {"t01_x_a01_smooth_weighted_fraction": 0.7, "t01_x_a02_features_weighted_fraction": 0.3}
    votes = read_votes(row, [name for name in row if name.endswith("_debiased")], "fraction")
    first, second = votes.path
    assert [answer.share for answer in first.answers] == [0.1, 0.8] and second.asked == pytest.approx(0.3)


def test_questions_of_other_projects_stay_and_are_named():
    row = {"smooth-or-featured-hubble_smooth": 4, "smooth-or-featured-hubble_features": 36}
    row |= {"clumpy-appearance-hubble_yes": 33, "clumpy-appearance-hubble_no": 3, "disk-edge-on-hubble_no": 3}
    row |= {"bulge-shape-hubble_none": 0, "clump-count-hubble_5-plus": 15, "smooth-or-featured-hubble_total-votes": 40}
    votes = read_votes(row, list(row)[:-1], "count")
    assert [question.text for question in votes.path] == ["Smooth, or with features or a disk?", "clumpy appearance?"]
    assert [(q.text, q.n_asked, q.asked) for q in votes.rest] == [
        ("A disk viewed edge-on?", 3, 3 / 40),
        ("clump count?", 15, 15 / 40),
    ]


def test_two_surveys_of_one_galaxy_are_kept_apart():
    row = {"smooth-or-featured-dr5_smooth": 3, "smooth-or-featured-dr8_smooth": 30, "bar-dr8_strong": 2}
    row |= {"how-rounded-dr8_round": 29, "how-rounded-dr5_cigar-shaped": 3}
    votes = read_votes(row, list(row), "count")
    assert [(q.survey, q.key) for q in votes.path] == [("dr8", "smooth-or-featured"), ("dr8", "how-rounded")]
    assert [q.text for q in votes.rest][:2] == [
        "Smooth, or with features or a disk? (dr5)",
        "How rounded is it? (dr5)",
    ]
    assert votes.rest[2].answers[0].text == "strong" and votes.n_volunteers == 30
    assert votes.rest[1].asked == 1, "all three of that survey"


def test_half_of_the_volunteers_are_enough_and_the_first_question_counts_them():
    row = {"smooth-or-featured-hubble_smooth": 40, "how-rounded-hubble_round": 20, "something-odd-hubble_no": 41.6}
    row |= {"clumpy-appearance-hubble_yes": 20}
    votes = read_votes(row, list(row), "count")
    assert [question.key for question in votes.path] == [
        *("smooth-or-featured", "how-rounded", "something-odd", "clumpy-appearance-hubble")
    ]
    assert votes.n_volunteers == 40 and votes.path[2].asked == 1 and votes.path[2].answers[0].n_votes == 42


def test_shares_of_all_volunteers_stay_so_where_other_answers_are_not_stated():
    row = {"Class1.1": 0.8, "Class6.1": 0.3, "Class7.1": 0.6}
    votes = read_votes(row, list(row), "fraction")
    assert {q.key: (q.leading.share, q.asked) for q in (*votes.path, *votes.rest)} == {
        "smooth-or-featured": pytest.approx((0.8, 1)),
        "something-odd": pytest.approx((0.3, 0.8)),  # asked: of those whose way there is stated
        "how-rounded": pytest.approx((0.75, 0.8)),
    }


def test_nothing_nulls_and_columns_of_no_known_form():
    assert read_votes({}, [], "") == read_votes(
        {"bar_yes": None, "bar_no": float("nan")}, ["bar_yes", "bar_no"], "count"
    )
    votes = read_votes({"Class12.3": 0.5, "P": "many"}, ["Class12.3", "P", "gone_yes"], "fraction")
    assert [(q.text, q.answers[0].text, q.asked) for q in votes.path] == [("Class12?", "3", None)]
    assert read_votes({"bar_yes": 0, "bar_no": 0}, ["bar_yes", "bar_no"], "count").path == ()


@pytest.mark.parametrize(
    ("column", "question", "answer"),
    [
        ("Class1.3", "smooth-or-featured", "artifact"),
        ("Class5.1", "bulge-size", "no"),
        ("Class8.7", "odd-feature", "dust-lane"),
        ("Class11.6", "spiral-arm-count", "cant-tell"),
        ("t05_bulge_prominence_a13_dominant_weighted_fraction", "bulge-size", "dominant"),
        ("t11_arms_number_a36_more_than_4_debiased", "spiral-arm-count", "more-than-4"),
        ("smooth-or-featured_featured-or-disk", "smooth-or-featured", "featured-or-disk"),
        ("smooth-or-featured-candels_features", "smooth-or-featured", "featured-or-disk"),
        ("how-rounded-dr12_completely_fraction", "how-rounded", "round"),
        ("edge-on-bulge-dr5_none", "bulge-shape", "no-bulge"),
        ("bulge-size-dr8_none", "bulge-size", "no"),
        ("smooth-or-featured-cd_problem", "smooth-or-featured", "artifact"),
        ("spiral-arm-count-hubble_5-plus", "spiral-arm-count", "more-than-4"),
        ("bar-dr5_weak", "bar", "weak"),
        ("merging-dr5_minor-disturbance", "merging-dr5", "minor-disturbance"),
    ],
)
def test_columns_of_each_release(column, question, answer):
    found = read_column(column)
    assert (found.question, found.answer) == (question, answer)
