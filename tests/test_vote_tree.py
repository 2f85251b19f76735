"""The 37 columns: who is asked what, and the two forms of the same votes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxy_core.galaxy_zoo import BY_KEY, QUESTIONS, gates, read_column
from galaxy_core.vote_tree import (
    COLUMN_OF,
    CONDITIONAL_COLUMNS,
    CUMULATIVE_COLUMNS,
    LEADING_ANSWER,
    PARENT,
    QUESTION_KEYS,
    QUESTION_OF,
    SLICES,
    asked_share,
    question_sums,
    to_conditional,
    to_cumulative,
)

KAGGLE = Path(__file__).resolve().parents[2] / "shared" / "data" / "kaggle_gz" / "training_solutions_rev1.csv"


@pytest.fixture(scope="module")
def kaggle():
    if not KAGGLE.exists():
        pytest.skip(f"the challenge's table is not at {KAGGLE}")
    return pd.read_csv(KAGGLE).set_index("GalaxyID")


def random_conditional(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.dirichlet(np.ones(s.stop - s.start), n) for s in SLICES], axis=1)


def test_columns_are_those_that_releases_are_read_by():
    for place, (cumulative, conditional) in enumerate(zip(CUMULATIVE_COLUMNS, CONDITIONAL_COLUMNS, strict=True)):
        first, second = read_column(cumulative), read_column(conditional)
        assert (first.question, first.answer) == (second.question, second.answer)
        assert COLUMN_OF[first.question, first.answer] == place
    assert len(set(CUMULATIVE_COLUMNS)) == 37 and CUMULATIVE_COLUMNS[-1] == "Class11.6"


def test_the_answer_that_leads_to_a_question_is_the_trees():
    for question in QUESTIONS:
        if question.key == "something-odd":  # of everybody, in the challenge; of all but artifacts, in Galaxy Zoo
            assert len(gates(question.key)) == 2 and PARENT[QUESTION_KEYS.index(question.key)] == -1
        else:
            assert gates(question.key) == ((LEADING_ANSWER[question.key],) if question.key in LEADING_ANSWER else ())
    assert [len(BY_KEY[key].answers) for key in QUESTION_KEYS] == [s.stop - s.start for s in SLICES]


def test_forms_are_each_others_inverse():
    conditional = random_conditional(200)
    cumulative = to_cumulative(conditional)
    np.testing.assert_allclose(to_conditional(cumulative, least_asked=0), conditional, atol=1e-9)
    np.testing.assert_allclose(question_sums(cumulative), asked_share(cumulative), atol=1e-12)


def test_by_hand():
    conditional = random_conditional(1)[0]
    c = dict(zip(CUMULATIVE_COLUMNS, conditional, strict=True))
    got = dict(zip(CUMULATIVE_COLUMNS, to_cumulative(conditional), strict=True))
    assert got["Class11.2"] == pytest.approx(c["Class1.2"] * c["Class2.2"] * c["Class4.1"] * c["Class11.2"])
    assert got["Class8.7"] == pytest.approx(c["Class6.1"] * c["Class8.7"])
    assert got["Class9.3"] == pytest.approx(c["Class1.2"] * c["Class2.1"] * c["Class9.3"])
    assert got["Class5.4"] == pytest.approx(c["Class1.2"] * c["Class2.2"] * c["Class5.4"])
    assert got["Class7.1"] == pytest.approx(c["Class1.1"] * c["Class7.1"])


def test_nobody_asked_is_nan_in_one_form_and_zero_in_the_other():
    conditional = random_conditional(1)
    conditional[0, SLICES[0]] = (1, 0, 0)  # all say smooth
    cumulative = to_cumulative(conditional)
    asked = asked_share(cumulative)[0]
    assert asked[QUESTION_KEYS.index("how-rounded")] == 1 and asked[QUESTION_KEYS.index("spiral-winding")] == 0
    back = to_conditional(cumulative)[0]
    for key, part in zip(QUESTION_KEYS, SLICES, strict=True):
        nobody = key not in ("smooth-or-featured", "how-rounded", "something-odd", "odd-feature")
        assert np.isnan(back[part]).all() == nobody
    np.testing.assert_array_equal(to_cumulative(back), cumulative[0])
    bar = SLICES[QUESTION_KEYS.index("bar")]
    cumulative[0, bar] = 1e-6, 2e-6  # what rounding left of nothing
    assert np.isnan(to_conditional(cumulative)[0, bar]).all()
    cumulative[0, bar] = 1e-5, 3e-5
    assert to_conditional(cumulative)[0, bar] == pytest.approx([0.25, 0.75])


def test_the_challenges_table_obeys_the_tree(kaggle):
    assert tuple(kaggle.columns) == CUMULATIVE_COLUMNS
    values = kaggle.to_numpy()
    gaps = np.abs(question_sums(values) - asked_share(values))
    assert gaps.max() < 2e-6
    odd = SLICES[QUESTION_KEYS.index("something-odd")]
    np.testing.assert_allclose(values[:, odd].sum(axis=1), 1, atol=1e-9)  # whatever share said artifact
    assert values[:, 2].max() > 0.3
    conditional = to_conditional(values)
    np.testing.assert_allclose(to_cumulative(conditional), values, atol=2e-6)
    asked = question_sums(values) > 5e-6
    assert (np.isfinite(conditional) == asked[:, QUESTION_OF]).all() and not asked.all()
