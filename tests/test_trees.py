"""The question trees of three projects, against volunteers who walk down them and columns as they are released."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tree_walks import walk

from galaxy_core.galaxy_zoo import QUESTIONS
from galaxy_core.trees import CANDELS, GZ2, HUBBLE, TREES, gates

SIZES = {"gz2": (11, 37), "hubble": (18, 57), "candels": (17, 50)}
# Columns of galaxy-datasets, question by question, written out.
RELEASED = {
    "hubble": "smooth-or-featured smooth features artifact|how-rounded completely in-between cigar-shaped"
    "|clumpy-appearance yes no|clump-count 1 2 3 4 5-plus cant-tell|galaxy-symmetrical yes no"
    "|clumps-embedded-larger-object yes no|disk-edge-on yes no|bulge-shape rounded boxy none|bar yes no"
    "|has-spiral-arms yes no|spiral-winding tight medium loose|spiral-arm-count 1 2 3 4 5-plus cant-tell"
    "|bulge-size none just-noticeable obvious dominant",
    "candels": "smooth-or-featured smooth features artifact|how-rounded completely in-between cigar-shaped"
    "|clumpy-appearance yes no|clump-count 1 2 3 4 5-plus cant-tell|disk-edge-on yes no|edge-on-bulge yes no"
    "|bar yes no|has-spiral-arms yes no|spiral-winding tight medium loose"
    "|spiral-arm-count 1 2 3 4 5-plus cant-tell|bulge-size none obvious dominant"
    "|merging merger tidal-debris both neither",
    "gz2": "smooth-or-featured smooth featured-or-disk artifact|how-rounded round in-between cigar|disk-edge-on yes no"
    "|bulge-shape round boxy no-bulge|bar yes no|has-spiral-arms yes no|spiral-winding tight medium loose"
    "|spiral-arm-count 1 2 3 4 more-than-4 cant-tell|bulge-size dominant obvious just-noticeable no"
    "|something-odd yes no",
}


@pytest.mark.parametrize("key", TREES)
def test_every_tree_is_whole(key):
    tree = TREES[key]
    assert (len(tree.questions), tree.n_answers) == SIZES[key] and tree.key == key and "MNRAS" in tree.reference
    assert len(tree.by_key) == len(tree.questions) and len({q.task for q in tree.questions}) == len(tree.questions)
    places = {question.key: place for place, question in enumerate(tree.questions)}
    for question in tree.questions:
        assert len({answer.number for answer in question.answers}) == len(question.answers) >= 2
        for answer in question.answers:
            assert not answer.leads_to or places[answer.leads_to] > places[question.key], "each after what leads to it"
    led = {answer.leads_to for question in tree.questions for answer in question.answers} - {""}
    assert led == set(places) - {tree.questions[0].key}
    columns = [column for part in tree.slices.values() for column in range(part.start, part.stop)]
    assert columns == list(range(tree.n_answers)) == list(tree.index.values())


@pytest.mark.parametrize("key", TREES)
def test_a_volunteer_gives_one_gate_of_each_question_asked_and_is_asked_nothing_twice(key):
    tree, rng = TREES[key], np.random.default_rng(1)
    odds = {q.key: np.full(len(q.answers), 1 / len(q.answers)) for q in tree.questions}
    seen = set()
    for _ in range(600):
        given = walk(rng, tree, odds)
        asked = [question for question, _ in given]
        assert len(set(asked)) == len(asked)
        seen |= set(asked)
        for question in tree.questions[1:]:
            assert sum(way in given for way in tree.ways[question.key]) == (question.key in asked)
            assert sum(gate in given for gate in gates(tree, question.key)) == (question.key in asked)
    assert seen == set(tree.by_key), "every question is reached"
    assert gates(tree, tree.questions[0].key) == tree.ways[tree.questions[0].key] == ()


@pytest.mark.parametrize("key", TREES)
def test_columns_are_those_of_galaxy_datasets(key):
    questions = [row.split() for row in RELEASED[key].split("|")]
    written = {f"{question}-{key}_{answer}" for question, *answers in questions for answer in answers}
    assert set(TREES[key].columns(released=True)) == written
    assert set(TREES[key].columns()) >= written and len(TREES[key].columns()) == TREES[key].n_answers


def test_who_is_asked_what_in_each_project():
    assert GZ2.questions is QUESTIONS
    assert gates(HUBBLE, "disk-edge-on") == gates(CANDELS, "disk-edge-on") == (("clumpy-appearance", "no"),)
    assert gates(HUBBLE, "how-rounded") == (("smooth-or-featured", "smooth"),)
    not_artifact = (("smooth-or-featured", "smooth"), ("smooth-or-featured", "features"))
    assert gates(HUBBLE, "something-odd") == gates(CANDELS, "merging") == not_artifact
    leads = {answer.key: answer.leads_to for answer in CANDELS.by_key["clump-count"].answers}
    assert leads["1"] == "galaxy-symmetrical" and leads["2"] == "one-clump-brightest", "no pattern of one or two"
    assert leads["3"] == leads["5-plus"] == leads["cant-tell"] == "clump-configuration"
    ends = [tree.by_key["brightest-clump-central"].answers[1].leads_to for tree in (HUBBLE, CANDELS)]
    assert ends == ["something-odd", "merging"], "an off-centre clump ends the questions about clumps"
    assert "merging" not in HUBBLE.by_key and "something-odd" not in CANDELS.by_key
    assert len(HUBBLE.by_key["bulge-size"].answers) == 4 and len(CANDELS.by_key["bulge-size"].answers) == 3
    assert {q.task for q in CANDELS.questions} == set(range(17)) and {q.task for q in HUBBLE.questions} == set(
        range(1, 19)
    )


def test_words_are_words():
    for tree in TREES.values():
        for question in tree.questions:
            assert question.text.endswith("?") and len(question.text) < 40, "room for it on a phone"
            assert all(re.fullmatch(r"[\w' ]{1,22}", answer.text) for answer in question.answers)
