"""Columns of every release, read as one array on their tree."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tree_walks import count_walks

from galaxy_core.errors import CatalogError
from galaxy_core.trees import GZ2, TREES
from galaxy_core.vote_forms import KAGGLE_COLUMNS, fractions_from_counts, hart_columns, kaggle_from_conditional
from galaxy_core.vote_tables import find_tree, read_vote_table

COUNTS = count_walks(seed=8)
CONDITIONAL, N_ASKED = fractions_from_counts(COUNTS)


def released(form: str) -> tuple[pd.DataFrame, str]:
    """The same votes as a table of a release, and whether it has counts."""
    if form == "kaggle":
        return pd.DataFrame(kaggle_from_conditional(CONDITIONAL), columns=KAGGLE_COLUMNS), "fraction"
    if form == "hart":
        kaggle_order = CONDITIONAL[:, [GZ2.index[way] for way in _hart_ways()]]
        return pd.DataFrame(kaggle_order, columns=hart_columns()), "fraction"
    if form == "count":
        return pd.DataFrame(COUNTS.astype(int), columns=GZ2.columns()), "count"
    names = [f"{question}_{answer}_fraction" for question, answer in GZ2.index]
    return pd.DataFrame(CONDITIONAL, columns=names), "fraction"


def _hart_ways():
    questions = sorted(GZ2.questions, key=lambda question: question.task)
    return [(q.key, a.key) for q in questions for a in sorted(q.answers, key=lambda answer: answer.number)]


@pytest.mark.parametrize("form", ["kaggle", "hart", "count", "names"])
def test_every_release_gives_the_same_array(form):
    table, kind = released(form)
    shuffled = table[np.random.default_rng(0).permutation(table.columns)]
    votes = read_vote_table(shuffled, list(shuffled), kind)
    assert votes.tree is GZ2 and votes.odd_of_everybody == (form == "kaggle")
    np.testing.assert_allclose(votes.conditional[1:], CONDITIONAL[1:], atol=1e-9)
    np.testing.assert_allclose(votes.asked[1:, :9], (N_ASKED / 40)[1:, :9], atol=1e-9)
    odd = 1.0 if form == "kaggle" else (N_ASKED / 40)[1:, 9]
    np.testing.assert_allclose(votes.asked[1:, 9], odd, atol=1e-9)
    assert (votes.n_asked is not None) == (form == "count")


@pytest.mark.parametrize("key", ["hubble", "candels"])
def test_other_projects_by_their_own_names(key):
    tree = TREES[key]
    counts = count_walks(tree, n_galaxies=5, seed=2)
    table = pd.DataFrame(counts, columns=tree.columns())[list(tree.columns(released=True))]
    votes = read_vote_table(table, [*table, "bar-dr5_strong"][:-1], "count")
    expected, n_asked = fractions_from_counts(counts, tree)
    assert votes.tree is tree
    for place, question in enumerate(tree.questions):
        found = votes.conditional[:, tree.slices[question.key]]
        if question.released:
            np.testing.assert_array_equal(found, expected[:, tree.slices[question.key]])
            np.testing.assert_array_equal(votes.n_asked[:, place], n_asked[:, place])
        else:
            assert np.isnan(found).all(), question.key
    fractions = pd.DataFrame(expected, columns=[f"{column}_fraction" for column in tree.columns()])
    np.testing.assert_array_equal(read_vote_table(fractions, list(fractions), "fraction").conditional, expected)


def test_no_tree_and_columns_that_are_gone():
    assert find_tree([]) is None and find_tree(["sky", "bar-dr5_strong", "smooth-or-featured-dr5_smooth"]) is None
    with pytest.raises(CatalogError, match="None of the columns"):
        read_vote_table(pd.DataFrame({"sky": [1]}), ["sky"], "count")
    with pytest.raises(CatalogError, match=r"has no column Class1\.1"):
        read_vote_table(pd.DataFrame({"sky": [1]}), ["Class1.1"], "fraction")


def test_words_and_nulls_are_unknown():
    table = pd.DataFrame({"bar-gz2_yes": [3, None, "many"], "bar-gz2_no": [1, 2, 2]})
    found = read_vote_table(table, list(table), "count").conditional[:, GZ2.slices["bar"]]
    assert found[0].tolist() == [0.75, 0.25] and np.isnan(found[1:]).all()
