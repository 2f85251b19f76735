"""Counts, shares of those asked and shares of all volunteers: each from the others, on walks and on released rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tree_walks import count_walks

from galaxy_core.errors import CatalogError
from galaxy_core.galaxy_zoo import read_column
from galaxy_core.trees import GZ2, TREES
from galaxy_core.vote_forms import (
    FROM_KAGGLE,
    HART_STEMS,
    KAGGLE_COLUMNS,
    KAGGLE_EVERYBODY,
    TO_KAGGLE,
    asked_shares,
    conditional_from_cumulative,
    conditional_from_kaggle,
    counts_from_fractions,
    cumulative_from_conditional,
    fractions_from_counts,
    hart_columns,
    kaggle_from_conditional,
)

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SOLUTIONS, HART = DATA / "kaggle_gz" / "training_solutions_rev1.csv", DATA / "gz2" / "gz2_hart16.csv"
needs_kaggle = pytest.mark.skipif(not SOLUTIONS.exists(), reason="needs the Kaggle rows at ../shared/data/kaggle_gz")
needs_hart = pytest.mark.skipif(not HART.exists(), reason="needs the votes of Hart et al. at ../shared/data/gz2")


def naive_cumulative(conditional, tree, everybody=()):
    """Walk every way down from the first question, multiplying as it goes."""
    out = np.zeros(tree.n_answers)

    def visit(key, share):
        if share == 0:
            return
        for answer in tree.by_key[key].answers:
            place = tree.index[key, answer.key]
            out[place] += share * conditional[place]
            if answer.leads_to and answer.leads_to not in everybody:
                visit(answer.leads_to, share * conditional[place])

    visit(tree.questions[0].key, 1.0)
    for key in everybody:
        visit(key, 1.0)
    return out


@pytest.mark.parametrize("key", TREES)
def test_counts_and_both_kinds_of_shares_tell_the_same(key):
    tree, n = TREES[key], 40
    counts = count_walks(tree, n_volunteers=n, seed=3)
    conditional, n_asked = fractions_from_counts(counts, tree)
    assert conditional.dtype == n_asked.dtype == np.float64 and (n_asked[:, 0] == n).all()
    np.testing.assert_array_equal(counts_from_fractions(conditional, n_asked, tree), counts)
    cumulative = cumulative_from_conditional(conditional, tree)
    np.testing.assert_allclose(cumulative, counts / n, atol=1e-12, err_msg="an answer's share of all volunteers")
    np.testing.assert_allclose(asked_shares(cumulative, tree), n_asked / n, atol=1e-12)
    back, totals = conditional_from_cumulative(cumulative, tree)
    np.testing.assert_allclose(back, conditional, atol=1e-12)
    np.testing.assert_allclose(totals, n_asked / n, atol=1e-12)
    first = tree.slices[tree.questions[0].key]
    assert np.isnan(conditional[0, first.stop :]).all(), "a star is asked nothing more"
    assert np.isfinite(conditional[0, first]).all() and (cumulative[0, first.stop :] == 0).all()


@pytest.mark.parametrize("everybody", [(), KAGGLE_EVERYBODY])
def test_multiplying_down_is_every_way_walked(everybody):
    conditional, _ = fractions_from_counts(count_walks(n_galaxies=6, seed=5)[1:])
    conditional = np.nan_to_num(conditional)
    found = cumulative_from_conditional(conditional, everybody=everybody)
    for row in range(len(conditional)):
        np.testing.assert_allclose(found[row], naive_cumulative(conditional[row], GZ2, everybody), atol=1e-12)


def test_kaggle_counts_anything_odd_as_asked_of_everybody():
    conditional, _ = fractions_from_counts(count_walks(seed=6)[1:])
    kaggle = pd.DataFrame(kaggle_from_conditional(conditional), columns=KAGGLE_COLUMNS)
    assert np.allclose(kaggle[["Class6.1", "Class6.2"]].sum(axis=1), 1)
    artifacts = kaggle["Class1.3"] > 0
    assert artifacts.any() and not np.allclose(kaggle.loc[artifacts, ["Class1.1", "Class1.2"]].sum(axis=1), 1)
    odd = kaggle.filter(regex=r"Class8\.").sum(axis=1)
    np.testing.assert_allclose(odd, kaggle["Class6.1"], atol=1e-12)
    back, totals = conditional_from_kaggle(kaggle.to_numpy())
    np.testing.assert_allclose(back, conditional, atol=1e-12)
    np.testing.assert_allclose(kaggle_from_conditional(back, totals), kaggle, atol=1e-15)


def test_what_is_not_known_stays_unknown_and_what_nobody_saw_is_zero():
    conditional = np.full((2, 37), np.nan)
    conditional[:, :3] = [[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]]
    cumulative = cumulative_from_conditional(conditional)
    assert (cumulative[0, 3:] == 0).all(), "nobody was asked"
    assert np.isnan(cumulative[1, 3:]).all(), "somebody was, and the answers are not known"
    assert np.isnan(asked_shares(cumulative)[1, 3:]).all() and asked_shares(cumulative)[1, :3].tolist() == [1, 0.5, 0.5]
    assert np.isnan(conditional_from_cumulative(np.zeros((1, 37)))[0]).all()


def test_empty_tables_and_wrong_shapes():
    none = np.zeros((0, 37))
    assert asked_shares(none).shape == (0, 11) and cumulative_from_conditional(none).shape == (0, 37)
    assert fractions_from_counts(none)[1].shape == (0, 11) and kaggle_from_conditional(none).shape == (0, 37)
    for wrong in (np.zeros((2, 36)), np.zeros(37)):
        with pytest.raises(CatalogError, match="37 columns"):
            conditional_from_kaggle(wrong)
    with pytest.raises(CatalogError, match="57 columns"):
        asked_shares(np.zeros((1, 37)), TREES["hubble"])


def test_kaggle_hart_and_the_tree_number_the_same_answers():
    assert len(KAGGLE_COLUMNS) == len(set(KAGGLE_COLUMNS)) == len(set(HART_STEMS)) == 37
    assert KAGGLE_COLUMNS[0] == "Class1.1" and KAGGLE_COLUMNS[-1] == "Class11.6"
    assert (TO_KAGGLE[FROM_KAGGLE] == np.arange(37)).all()
    order = list(GZ2.index)
    for place, (kaggle, hart) in enumerate(zip(KAGGLE_COLUMNS, hart_columns("weighted_fraction"), strict=True)):
        for column in (read_column(kaggle), read_column(hart)):
            assert (column.question, column.answer) == order[TO_KAGGLE[place]], (kaggle, hart)


@needs_kaggle
def test_sums_of_the_kaggle_rows_hold_to_a_millionth():
    kaggle = pd.read_csv(SOLUTIONS)[list(KAGGLE_COLUMNS)]
    led = {1: 1.0, 2: "1.2", 3: "2.2", 4: "2.2", 5: "2.2", 6: 1.0, 7: "1.1", 8: "6.1", 9: "2.1", 10: "4.1", 11: "4.1"}
    for task, source in led.items():
        total = kaggle.filter(regex=rf"Class{task}\.").sum(axis=1)
        expected = kaggle[f"Class{source}"] if isinstance(source, str) else source
        assert np.abs(total - expected).max() <= 1e-6 + 1e-12, task
    walked = kaggle["Class1.1"] + kaggle["Class1.2"]
    assert (np.abs(walked - 1) > 1e-3).any(), "so that question 6 tells who counts as asked"


@needs_kaggle
def test_kaggle_rows_come_back_exactly():
    kaggle = pd.read_csv(SOLUTIONS)[list(KAGGLE_COLUMNS)].to_numpy()
    conditional, totals = conditional_from_kaggle(kaggle)
    np.testing.assert_allclose(kaggle_from_conditional(conditional, totals), kaggle, atol=1e-15)
    np.testing.assert_allclose(kaggle_from_conditional(conditional), kaggle, atol=2e-6, err_msg="rounded as released")
    for part in GZ2.slices.values():
        total = conditional[:, part].sum(axis=1)
        np.testing.assert_allclose(total[np.isfinite(total)], 1, atol=1e-12)
    asked = asked_shares(kaggle[:, FROM_KAGGLE], GZ2, KAGGLE_EVERYBODY)
    np.testing.assert_allclose(asked, totals, atol=4e-6, err_msg="a sum over seven rounded answers")


@needs_hart
def test_columns_of_hart_are_those_of_the_release():
    header = set(pd.read_csv(HART, nrows=0).columns)
    assert set(hart_columns()) <= header and set(hart_columns("weighted_fraction")) <= header
