"""Where a question tree is drawn: nothing on top of anything, and branches as wide as the volunteers on them."""

from __future__ import annotations

import numpy as np
import pytest
from tree_walks import count_walks

from galaxy_core.tree_layout import lay_out_tree
from galaxy_core.trees import GZ2, TREES
from galaxy_core.vote_forms import fractions_from_counts

N = 40


def filled(tree, seed=1, row=1):
    counts = count_walks(tree, 3, N, seed)
    return counts[row], lay_out_tree(tree, fractions_from_counts(counts, tree)[0][row])


@pytest.mark.parametrize("key", TREES)
def test_everything_has_a_row_of_its_own_in_the_order_of_the_tree(key):
    layout = lay_out_tree(TREES[key])
    rows = sorted([question.row for question in layout.questions] + [answer.row for answer in layout.answers])
    assert len(rows) == len(TREES[key].questions) + TREES[key].n_answers
    assert min(np.diff(rows)) >= 1 - 1e-9 and rows[-1] < layout.n_rows and rows[0] == 0
    assert [answer.key for answer in layout.answers] == [answer for _, answer in TREES[key].index]
    starts = {question.key: question.row for question in layout.questions}
    for branch in layout.branches:
        assert starts[branch.question] < branch.start_row < branch.end_row == starts[branch.leads_to]


@pytest.mark.parametrize("key", TREES)
def test_lanes_hold_one_question_at_a_time(key):
    layout = lay_out_tree(TREES[key])
    spans = {}
    for trunk in layout.trunks:
        first, last, lane = spans.get(trunk.leads_to, (np.inf, 0, trunk.lane))
        assert lane == trunk.lane
        spans[trunk.leads_to] = (min(first, trunk.start_row), max(last, trunk.end_row), lane)
    spans = list(spans.values())
    for i, (first, last, lane) in enumerate(spans):
        for other_first, other_last, other in spans[:i]:
            assert lane != other or last <= other_first or other_last <= first
    assert {lane for *_, lane in spans} == set(range(layout.n_lanes)) and layout.n_lanes <= 5, "room on a phone"


@pytest.mark.parametrize("key", TREES)
def test_widths_are_shares_of_all_volunteers(key):
    tree = TREES[key]
    counts, layout = filled(tree)
    for answer in layout.answers:
        assert answer.of_all == pytest.approx(counts[tree.index[answer.question, answer.key]] / N)
    asked = {question.key: question.asked for question in layout.questions}
    for key, part in tree.slices.items():
        assert asked[key] == pytest.approx(counts[part].sum() / N)
        arriving = [trunk for trunk in layout.trunks if trunk.leads_to == key]
        if arriving:
            assert max(arriving, key=lambda trunk: trunk.end_row).share == pytest.approx(asked[key])
            widths = [trunk.share for trunk in arriving]
            assert widths == sorted(widths), "a lane only gains"


def test_the_leading_way_is_one_unbroken_way():
    counts, layout = filled(GZ2, seed=3)
    key, way = GZ2.questions[0].key, []
    while key and counts[GZ2.slices[key]].sum():
        answer = GZ2.by_key[key].answers[int(counts[GZ2.slices[key]].argmax())]
        way.append((key, answer.key))
        key = answer.leads_to
    assert [(answer.question, answer.key) for answer in layout.answers if answer.leading] == way
    assert [(branch.question, branch.answer) for branch in layout.branches if branch.leading] == [
        (question, answer) for question, answer in way if answer not in ("artifact",) and _leads(question, answer)
    ]


def _leads(question, answer):
    return next(a.leads_to for a in GZ2.by_key[question].answers if a.key == answer)


def test_an_empty_tree_says_nothing_and_an_unknown_branch_is_no_zero():
    layout = lay_out_tree()
    assert all(question.asked is None for question in layout.questions)
    assert all(answer.share is None and answer.of_all is None and not answer.leading for answer in layout.answers)
    assert all(branch.share is None for branch in (*layout.branches, *layout.trunks))
    conditional = np.full(37, np.nan)
    conditional[:3] = [0.75, 0.25, 0]
    layout = lay_out_tree(GZ2, conditional)
    assert [question.asked for question in layout.questions][:4] == [1.0, 0.75, 0.25, None]
    assert [branch.share for branch in layout.branches][:2] == [0.75, 0.25] and layout.branches[2].share is None


def test_what_a_release_leaves_out_takes_no_width_from_what_is_known():
    conditional = np.full(TREES["candels"].n_answers, np.nan)
    conditional[:6] = 0.6, 0.3, 0.1, 0.25, 0.75, 0.0
    trunks = [trunk for trunk in lay_out_tree(TREES["candels"], conditional).trunks if trunk.leads_to == "merging"]
    assert trunks[-1].share == pytest.approx(0.6), "of those who found it smooth, beside clumps that are not known"


def test_given_numbers_of_those_asked_and_intervals_are_kept():
    counts = count_walks(GZ2, 2, N, 5)
    conditional, n_asked = fractions_from_counts(counts)
    asked = np.minimum(n_asked[1] / N * 0.5, 1)
    layout = lay_out_tree(GZ2, conditional[1], asked, (conditional[1] - 0.1, conditional[1] + 0.1))
    assert [question.asked for question in layout.questions] == pytest.approx(asked.tolist())
    first = layout.answers[0]
    assert (first.low, first.high) == pytest.approx((first.share - 0.1, first.share + 0.1))
    assert first.of_all == pytest.approx(first.share * asked[0])
    assert layout.questions[0].depth == 0 and {q.key: q.depth for q in layout.questions}["something-odd"] == 2
