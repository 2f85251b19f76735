"""Labels of a catalog: every release becomes the same columns, and what cannot be used is told."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.catalog import Catalog, ReadReport
from galaxy_core.vote_labels import N_VOLUNTEERS, has_both_forms, join_labels, number_classes, read_labels
from galaxy_core.vote_tree import (
    CONDITIONAL_COLUMNS,
    CUMULATIVE_COLUMNS,
    QUESTION_KEYS,
    QUESTION_OF,
    SLICES,
    question_sums,
)

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def catalog_of(table: dict, columns, kind: str) -> Catalog:
    frame = pd.DataFrame(table)
    frame.insert(0, "galaxy_id", [f"g{i}" for i in range(len(frame))])
    report = ReadReport(len(frame), len(frame))
    return Catalog(frame, lambda i: None, "test", "x", report, answer_columns=tuple(columns), answer_kind=kind)


@pytest.fixture(scope="module")
def synthetic():
    return read_catalog("synthetic:80")


def test_shares_numbers_and_products_of_the_same_votes_agree(synthetic):
    labels, _ = read_labels(synthetic)
    names = [column.removesuffix("_fraction") for column in CONDITIONAL_COLUMNS]
    rounded = np.rint(labels.counts)  # whole votes, of which all three forms are made
    counted, _ = read_labels(catalog_of(dict(zip(names, rounded.T, strict=True)), names, "count"))
    cumulative = dict(zip(CUMULATIVE_COLUMNS, counted.cumulative.T, strict=True))
    product, _ = read_labels(catalog_of(cumulative, CUMULATIVE_COLUMNS, "fraction"))
    assert counted.counted.all() and not product.counted.any() and product.cumulative_release.all()
    np.testing.assert_allclose(product.conditional, counted.conditional, atol=1e-5)
    np.testing.assert_allclose(product.cumulative, counted.cumulative, atol=1e-6)
    np.testing.assert_array_equal(counted.counts, rounded)
    asked = question_sums(rounded)[:, QUESTION_OF] > 0
    assert (np.isfinite(counted.conditional) == asked).all()


def test_pseudo_counts_are_those_of_the_people_who_were_asked(synthetic):
    labels, _ = read_labels(synthetic)
    sums = question_sums(labels.counts)
    np.testing.assert_allclose(sums[:, 0], N_VOLUNTEERS, rtol=1e-5)
    np.testing.assert_allclose(sums[:, 1], labels.counts[:, 1], atol=1e-3)  # asked of those who said features
    told = dataclasses.replace(synthetic, table=synthetic.table.assign(total_classifications=np.arange(80.0)))
    np.testing.assert_allclose(question_sums(read_labels(told)[0].counts)[1:, 0], np.arange(1, 80), rtol=1e-5)


def test_rows_of_zeros_and_nan_are_not_known():
    zero = {name: [0.0, np.nan, 0.5, -1.0] for name in CONDITIONAL_COLUMNS}
    labels, _ = read_labels(catalog_of(zero, CONDITIONAL_COLUMNS, "count"))
    assert labels.has_votes.tolist() == [False, False, True, False]
    assert not labels.counts[[0, 1, 3]].any() and np.isfinite(labels.counts).all()
    labels, _ = read_labels(catalog_of(zero, CONDITIONAL_COLUMNS, "fraction"))
    assert not labels.has_votes[[0, 1, 3]].any() and np.isfinite(labels.counts).all()


def test_answers_that_break_the_tree_are_left_out_and_told(synthetic):
    table = synthetic.table.copy()
    table.loc[0, "bar_yes_fraction"] = table.loc[0, "bar_no_fraction"] = 0.9
    table.loc[6, "bar_yes_fraction"] = table.loc[6, "bar_no_fraction"] = 0.52  # a sum of 1.04 is let pass
    labels, notes = read_labels(dataclasses.replace(synthetic, table=table))
    assert np.isnan(labels.conditional[0, SLICES[2]]).all() and np.isfinite(labels.conditional[0, SLICES[0]]).all()
    name = synthetic.galaxy_ids[0]
    assert notes == [f"1 galaxy has answers that break the question tree ({name}); those questions were left out"]
    table.loc[1:4, "bar_yes_fraction"] = table.loc[1:4, "bar_no_fraction"] = 0.53  # and one of 1.06 is not
    _, (note,) = read_labels(dataclasses.replace(synthetic, table=table))
    assert note.startswith(f"5 galaxies have answers that break the question tree ({name}, ") and ", ...); " in note


def test_more_answers_than_votes_that_led_there_break_the_tree():
    table = {"smooth-or-featured_smooth": [30.0] * 4, "smooth-or-featured_featured-or-disk": [8.0] * 4}
    table |= {
        "smooth-or-featured_artifact": [2.0] * 4,
        "disk-edge-on_yes": [3, 8, 10, np.nan],
        "disk-edge-on_no": [5.0, 2, 1, 40],
    }
    labels, notes = read_labels(catalog_of(table, table, "count"))
    assert notes == ["1 galaxy has answers that break the question tree (g2); those questions were left out"]
    assert np.isnan(labels.conditional[2:, SLICES[1]]).all() and not labels.counts[2:, SLICES[1]].any()
    assert labels.counts[:2, SLICES[1]].tolist() == [[3, 5], [8, 2]], "two more are within what was cleaned away"
    assert np.isfinite(labels.conditional[:, SLICES[0]]).all()
    of_two = {
        name.replace("_", "-dr5_") if "edge" in name else name.replace("_", "-dr8_"): votes
        for name, votes in table.items()
    }
    assert read_labels(catalog_of(of_two, of_two, "count"))[1] == [], "others were asked by another survey"


def test_who_saw_an_artifact_was_not_asked_whether_anything_is_odd(synthetic):
    """Both kinds of table state "anything odd?" for everybody; votes that were never cast are not to be counted."""
    table = synthetic.table.copy()
    first = ["smooth-or-featured_smooth", "smooth-or-featured_featured-or-disk", "smooth-or-featured_artifact"]
    table.loc[0, [f"{name}_fraction" for name in first]] = (0.5, 0.25, 0.25)
    table.loc[0, ["something-odd_yes_fraction", "something-odd_no_fraction"]] = (0.4, 0.6)
    labels, notes = read_labels(dataclasses.replace(synthetic, table=table))
    asked = dict(zip(QUESTION_KEYS, question_sums(labels.counts)[0], strict=True))
    assert not notes and asked["something-odd"] == pytest.approx(0.75 * N_VOLUNTEERS)
    assert asked["odd-feature"] == pytest.approx(0.4 * 0.75 * N_VOLUNTEERS)
    assert asked["how-rounded"] == pytest.approx(0.5 * N_VOLUNTEERS)


def test_a_missing_answer_breaks_no_tree_and_takes_no_other_along(synthetic):
    votes, _ = read_labels(synthetic)
    table = dict(zip(CUMULATIVE_COLUMNS, votes.cumulative.T.astype(float), strict=True))
    table["Class1.1"][0] = np.nan
    labels, notes = read_labels(catalog_of(table, CUMULATIVE_COLUMNS, "fraction"))
    assert not notes and np.isnan(labels.conditional[0, SLICES[0]]).all()
    rounded = SLICES[QUESTION_KEYS.index("how-rounded")]
    np.testing.assert_allclose(labels.conditional[0, rounded], votes.conditional[0, rounded], atol=1e-5)
    np.testing.assert_allclose(labels.cumulative[0, rounded], votes.cumulative[0, rounded], atol=1e-6)


def test_a_question_with_other_answers_is_another_question():
    columns = ["bar_strong_fraction", "bar_weak_fraction", "bar_no_fraction", "disk-edge-on_yes", "disk-edge-on_no"]
    labels, _ = read_labels(catalog_of({name: [0.5, 0.25] for name in columns}, columns, "fraction"))
    assert np.isnan(labels.conditional[:, SLICES[2]]).all()


def test_unknown_classes_and_gaps():
    names = pd.Series(["spiral", None, "", "merger", float("nan"), "edge_on"], dtype=object)
    numbers, notes = number_classes(names, ("edge_on", "spiral"))
    assert numbers.tolist() == [1, -1, -1, -1, -1, 0] and "1 galaxy is" in notes[0] and "merger" in notes[0]


def test_classes_beside_votes_can_be_left(synthetic):
    both, _ = read_labels(synthetic, ("spiral",))
    votes, _ = read_labels(synthetic, ("spiral",), classes_beside_votes=False)
    assert (both.classes >= 0).any() and not (votes.classes >= 0).any()
    joined = join_labels([both, votes])
    assert len(joined.classes) == 160 and joined.has_votes.all()


def test_galaxy_zoo_2_as_released():
    if not (DATA / "gz2").exists():
        pytest.skip(f"Galaxy Zoo 2 is not at {DATA / 'gz2'}")
    catalog = read_catalog(f"gz2:{DATA / 'gz2'}")
    labels, notes = read_labels(catalog)
    assert not notes and labels.has_votes.all() and np.isfinite(labels.released).all()
    nobody = question_sums(labels.released)[:, QUESTION_OF] == 0
    assert (np.isnan(labels.conditional) == nobody).all() and nobody.any()
    np.testing.assert_array_equal(labels.conditional[~nobody], labels.released[~nobody])
    totals = catalog.table["total_classifications"].to_numpy()
    np.testing.assert_allclose(question_sums(labels.counts)[:, 0], totals, rtol=1e-5)


def hart(n: int = 6) -> Catalog:
    """Two questions with votes as cast, which obey the tree, and debiased ones, which need not."""
    rng = np.random.default_rng(0)
    names = ("t01_smooth_or_features_a01_smooth", "t01_smooth_or_features_a02_features_or_disk")
    names += ("t01_smooth_or_features_a03_star_or_artifact", "t02_edgeon_a04_yes", "t02_edgeon_a05_no")
    cast = np.hstack([rng.dirichlet(np.ones(3), n), rng.dirichlet(np.ones(2), n)])
    table = {"total_classifications": np.arange(n) + 30}
    table |= {f"{name}_weighted_fraction": cast[:, k] for k, name in enumerate(names)}
    table |= {f"{name}_debiased": rng.random(n) for name in names}
    return catalog_of(table, [f"{name}_debiased" for name in names], "fraction")


def test_votes_as_cast_and_debiased_ones_are_told_apart():
    catalog = hart()
    assert has_both_forms(catalog) and not has_both_forms(read_catalog("synthetic:5"))
    cast, debiased, released = (read_labels(catalog, form=form)[0] for form in ("cast", "debiased", "released"))
    for name in ("conditional", "cumulative", "counts", "counted"):
        np.testing.assert_array_equal(getattr(debiased, name), getattr(released, name))
    assert cast.counted.all() and not debiased.counted.any(), "shares of a known number are numbers"
    first = catalog.table["t01_smooth_or_features_a01_smooth_weighted_fraction"].to_numpy()
    np.testing.assert_allclose(cast.conditional[:, 0], first, rtol=1e-6)
    np.testing.assert_allclose(cast.counts[:, 0], first * np.arange(30, 36), rtol=1e-5)
    np.testing.assert_allclose(
        debiased.conditional[:, 0], catalog.table["t01_smooth_or_features_a01_smooth_debiased"], rtol=1e-6
    )
    np.testing.assert_allclose(question_sums(debiased.counts)[:, 0], np.arange(30, 36), rtol=1e-5)
    np.testing.assert_allclose(question_sums(debiased.counts)[:, 1], cast.counts[:, 1], rtol=1e-5)  # asked as cast
    np.testing.assert_allclose(question_sums(debiased.cumulative)[:, 0], 1, rtol=1e-6)  # which obey the tree
    beyond = catalog.table.assign(t02_edgeon_a04_yes_debiased=1.5)  # no share of anybody
    edge_on = read_labels(dataclasses.replace(catalog, table=beyond), form="debiased")[0].conditional[:, SLICES[1]]
    assert np.isnan(edge_on).all()


def test_a_table_of_one_form_is_as_cast(synthetic):
    cast, released = read_labels(synthetic, form="cast")[0], read_labels(synthetic)[0]
    np.testing.assert_array_equal(cast.conditional, released.conditional)
    assert not read_labels(synthetic, form="debiased")[0].has_votes.any()
    fewer = hart()
    table = fewer.table.drop(columns="t02_edgeon_a05_no_weighted_fraction")
    assert not has_both_forms(dataclasses.replace(fewer, table=table)), "both forms of every answer, or of none"
    numbers = hart()
    numbers = dataclasses.replace(numbers, table=numbers.table.drop(columns="total_classifications"))
    assert not read_labels(numbers, form="cast")[0].counted.any(), "nobody knows of how many volunteers"
