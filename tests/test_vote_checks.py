"""Tables of votes that cannot be: each kind of harm is counted, named and left out, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tree_walks import count_walks

from galaxy_core.errors import CatalogError
from galaxy_core.trees import GZ2, TREES
from galaxy_core.vote_checks import check_votes, vote_columns
from galaxy_core.vote_forms import TO_KAGGLE, fractions_from_counts, kaggle_from_conditional

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
COUNTS = count_walks(n_galaxies=9, seed=4)[1:]


def sound(form: str) -> pd.DataFrame:
    """Eight galaxies with nothing wrong."""
    conditional, _ = fractions_from_counts(COUNTS)
    values = {
        "kaggle": lambda: kaggle_from_conditional(conditional)[:, np.argsort(TO_KAGGLE)],
        "count": lambda: COUNTS[:, : len(vote_columns("count"))],
        "conditional": lambda: np.nan_to_num(conditional),
        "debiased": lambda: np.nan_to_num(conditional) * 0.7,
    }[form]()
    table = pd.DataFrame(values, columns=vote_columns(form))
    return table.assign(galaxy_id=[f"g{row}" for row in range(len(table))])


def broken(table: pd.DataFrame, **changes) -> pd.DataFrame:
    """With one cell changed: ``row=(column number, value)`` such as ``r3=(0, 2.0)``."""
    table = table.copy()
    for row, (column, value) in changes.items():
        table.iloc[int(row[1:]), column] = value
    return table


@pytest.mark.parametrize("form", ["kaggle", "conditional", "debiased", "count"])
def test_sound_tables_pass(form):
    report = check_votes(sound(form), form)
    assert report.usable.all() and report.problems == ()
    empty = check_votes(sound(form).iloc[:0], form)
    assert empty.usable.shape == (0,) and empty.problems == ()


@pytest.mark.parametrize("form", ["kaggle", "conditional", "debiased", "count"])
def test_each_harm_is_named_once_with_its_galaxy(form):
    table = broken(sound(form), r1=(0, np.nan), r2=(1, -0.5), r5=(0, 1.5))
    table.loc[3, list(vote_columns(form)[:3])] = 0
    table.loc[7, "galaxy_id"] = "g0"
    report = check_votes(table, form)
    found = {problem.kind: problem for problem in report.problems}
    assert set(found) == {"duplicate", "missing", "range", "empty"}
    assert found["missing"].ids == ("g1",) and found["range"].ids == ("g2", "g5") and found["empty"].ids == ("g3",)
    assert found["duplicate"].rows.tolist() == [7] and found["duplicate"].ids == ("g0",)
    assert np.flatnonzero(report.usable).tolist() == [0, 4, 6]
    assert found["range"].sentence.startswith("2 galaxies have ") and found["range"].sentence.endswith(": g2, g5.")
    assert found["missing"].sentence == "1 galaxy lacks a number for an answer and cannot be used: g1."
    assert found["duplicate"].sentence.startswith("1 galaxy comes again under the same id and ")


def test_a_number_of_votes_is_finite():
    report = check_votes(broken(sound("count"), r4=(0, np.inf)), "count")
    assert [problem.kind for problem in report.problems] == ["range"] and not report.usable[4]


@pytest.mark.parametrize(
    ("form", "column", "value"),
    [
        ("kaggle", "Class7.1", 0.9),
        ("kaggle", "Class6.1", 0.5),
        ("kaggle", "Class11.6", 1.0),
        ("kaggle", "Class1.3", 1e-5),
        ("conditional", "t03_bar_a06_bar_weighted_fraction", 0.5),
        ("count", "how-rounded-gz2_round", 41),
    ],
)
def test_votes_that_break_the_tree(form, column, value):
    table = sound(form)
    table.loc[2, column] += value if table.loc[2, column] + value <= 1 or form == "count" else -value / 2
    (problem,) = check_votes(table, form).problems
    assert problem.kind in ("tree", "range") and problem.ids == ("g2",)
    assert check_votes(table, form, tolerance=100.0).usable[2] or problem.kind == "range"


def test_fewer_answers_than_were_led_there_is_no_harm_in_counts():
    table = sound("count")
    part = list(vote_columns("count")[GZ2.slices["how-rounded"]])
    table.loc[2, part] = 0
    assert check_votes(table, "count").usable.all(), "a volunteer may stop early"


def test_debiased_shares_need_not_add_up():
    table = sound("debiased")
    table.loc[0, list(vote_columns("debiased")[:3])] = [1.0, 0.9, 0.0]
    assert (
        check_votes(table, "debiased").usable.all()
        and not check_votes(
            table.set_axis([*vote_columns("conditional"), "galaxy_id"], axis=1), "conditional"
        ).usable.any()
    )


def test_nan_where_nobody_was_asked_is_no_harm_in_shares_of_those_asked():
    table = sound("conditional")
    part = list(vote_columns("conditional")[GZ2.slices["odd-feature"]])
    table.loc[0, part] = np.nan
    assert check_votes(table, "conditional").usable[0]
    table.loc[0, part[0]] = 1.0
    assert [problem.kind for problem in check_votes(table, "conditional").problems] == ["missing"]


def test_wrong_columns_are_refused_in_one_sentence():
    with pytest.raises(CatalogError, match=r"no column Class7\.1; give"):
        check_votes(sound("kaggle").drop(columns="Class7.1"), "kaggle")
    with pytest.raises(CatalogError, match="and 36 more"):
        check_votes(sound("count"), "kaggle")
    with pytest.raises(CatalogError, match="57 answers, 40 of them released, and not 1"):
        check_votes(pd.DataFrame({"a": [1]}), "count", TREES["hubble"], ["a"])


@pytest.mark.parametrize("key", ["hubble", "candels"])
def test_other_trees_with_the_questions_that_are_released(key):
    tree = TREES[key]
    counts = pd.DataFrame(count_walks(tree, 6, seed=1), columns=tree.columns())
    assert check_votes(counts, "count", tree).usable.all()
    counts.loc[4, f"disk-edge-on-{key}_yes"] += 60
    report = check_votes(counts, "count", tree, ids=list("abcdef"))
    assert [(problem.kind, problem.ids) for problem in report.problems] == [("tree", ("e",))]
    shares = pd.DataFrame(fractions_from_counts(counts, tree)[0], columns=tree.columns()).add_suffix("_fraction")
    assert check_votes(shares, "conditional", tree).usable.all()


def test_text_is_a_missing_number():
    table = sound("kaggle").astype(object)
    table.loc[1, "Class1.1"] = "many"
    assert [problem.ids for problem in check_votes(table, "kaggle").problems] == [("g1",)]


@pytest.mark.skipif(not DATA.exists(), reason="needs released votes at ../shared/data")
def test_released_rows_are_sound():
    kaggle = pd.read_csv(DATA / "kaggle_gz" / "training_solutions_rev1.csv")
    hart = pd.read_csv(DATA / "gz2" / "gz2_hart16.csv")
    for table, form in ((kaggle, "kaggle"), (hart, "conditional"), (hart, "debiased")):
        report = check_votes(table, form)
        assert report.usable.all() and len(report.usable) == 700, [problem.sentence for problem in report.problems]
