"""How far clusterings agree: against the definitions, permutations and scikit-learn, and as the page counts it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from galaxy_core import cluster_agreement
from pages.views import agreement_panels, readers, verdict, words


@pytest.fixture
def pair():
    rng = np.random.default_rng(2)
    first = rng.integers(-1, 4, 400)
    second = np.where(rng.random(400) < 0.7, (first + 2) % 4, rng.integers(-1, 6, 400))
    return first, np.where((first < 0) & (rng.random(400) < 0.5), -1, second)


def test_contingency_counts_every_pair(pair):
    table = cluster_agreement.contingency(*pair)
    for i, row in enumerate(table.rows):
        for j, column in enumerate(table.columns):
            assert table.counts[i, j] == ((pair[0] == row) & (pair[1] == column)).sum()
    assert table.rows == (0, 1, 2, 3, -1) and table.columns[-1] == -1 and table.counts.sum() == 400
    assert cluster_agreement.contingency(np.zeros(0, int), np.zeros(0, int)).counts.shape == (0, 0)


def test_the_match_is_the_best_of_all_permutations(pair):
    from itertools import permutations

    first, second = pair
    best = max(
        sum(((first == k) & (second == column)).sum() for k, column in enumerate(columns))
        for columns in permutations(range(6), 4)
    )
    both_none = ((first < 0) & (second < 0)).sum()
    assert cluster_agreement.agreeing_share(first, second) == pytest.approx((best + both_none) / 400)
    assert cluster_agreement.agreeing_share(first, np.where(first < 0, -1, 9 - first)) == 1
    assert cluster_agreement.agreeing_share(np.zeros(4, int), np.full(4, -1)) == 0
    assert np.isnan(cluster_agreement.agreeing_share(np.zeros(0, int), np.zeros(0, int)))


def test_agreement_by_chance_is_that_of_shuffled_labels(tiny_root):
    rng = np.random.default_rng(3)
    first, second = rng.choice([-1, 0, 1], 9_000, p=[0.1, 0.85, 0.05]), rng.choice([-1, 0, 1], 9_000, p=[0.2, 0.7, 0.1])
    shuffled = np.mean([cluster_agreement.agreeing_share(first, rng.permutation(second)) for _ in range(10)])
    assert cluster_agreement.chance_share(first, second) == pytest.approx(shuffled, abs=0.005)
    assert 0.6 < shuffled < cluster_agreement.agreeing_share(first, first) == 1
    assert np.isnan(cluster_agreement.chance_share(np.zeros(0, int), np.zeros(0, int)))
    for n, k in (
        (60, 8),
        (2_000, 40),
    ):  # matched groups are those that chance made alike, the more so the more there are
        first, second = rng.integers(0, k, (2, n))
        found = [cluster_agreement.agreeing_share(first, rng.permutation(second)) for _ in range(50)]
        assert cluster_agreement.chance_share(first, second) == pytest.approx(np.mean(found), rel=0.05)
        assert np.mean(found) > 2 / k
    galaxies = readers.open_catalog(tiny_root, "tiny")
    labels = [galaxies.labels(name) for name in ("hdbscan", "kmeans_8")]
    by_chance = f"(about {words.share(cluster_agreement.chance_share(*labels), 1)} by chance)"
    assert by_chance in verdict.sentence_of_pair(galaxies, "hdbscan", "kmeans_8")


def test_the_diagonal_holds_the_matched_clusters_the_largest_first(pair):
    before, table = (
        cluster_agreement.contingency(*pair),
        cluster_agreement.on_diagonal(cluster_agreement.contingency(*pair)),
    )
    diagonal = [table.counts[k, k] for k in range(4)]
    assert diagonal == sorted(diagonal, reverse=True) and sum(diagonal) > 0.5 * table.counts.sum()
    assert table.rows[-1] == table.columns[-1] == -1 and sorted(table.rows) == sorted(before.rows)
    more = cluster_agreement.Contingency(np.array([[1, 9, 2, 5, 7]]), (0,), (0, 1, 2, 3, -1))
    assert cluster_agreement.on_diagonal(more).columns == (1, 3, 2, 0, -1), "the rest by size, no cluster last"
    nobody = cluster_agreement.Contingency(np.array([[5, 0], [4, 0]]), (0, 1), (0, 1))
    assert cluster_agreement.match(nobody) == [(0, 0)], "of nobody there is no pair"
    row, column = before.rows.index(table.rows[1]), before.columns.index(table.columns[2])
    assert table.counts[1, 2] == before.counts[row, column]


@pytest.mark.parametrize(("measure", "expected"), [("ari", adjusted_rand_score), ("ami", adjusted_mutual_info_score)])
def test_matrices_against_scikit_learn(pair, measure, expected):
    first, second = pair
    groupings = {"a": first, "b": second}
    values, n = cluster_agreement.agreement_matrix(groupings, measure, {"a": True, "b": True})
    assert values[0, 1] == values[1, 0] == pytest.approx(expected(first, second)) and (n == 400).all()
    assert values[0, 0] == pytest.approx(1)
    values, n = cluster_agreement.agreement_matrix(groupings, measure, {"a": False, "b": False})
    both = (first >= 0) & (second >= 0)
    assert n[0, 1] == both.sum() and values[0, 1] == pytest.approx(expected(first[both], second[both]))
    values, n = cluster_agreement.agreement_matrix(groupings, measure, {"a": True, "b": False})
    assert n[0, 1] == (second >= 0).sum() and values[0, 1] == pytest.approx(expected(*(x[second >= 0] for x in pair)))
    for one, other in (([0, 0, 0], [0, 0, 0]), ([0, 0, 0], [0, 1, 2]), ([0, 1, 2], [0, 1, 2]), ([0, 0, 1], [0, 0, 0])):
        few = {"a": np.array(one), "b": np.array(other)}
        values, _ = cluster_agreement.agreement_matrix(few, measure, {"a": True, "b": True})
        assert values[0, 1] == pytest.approx(expected(one, other)), (one, other)
    few = {"a": np.array([0, 0, 1]), "b": np.array([0, 0, -1])}  # of what is left both make one group
    assert cluster_agreement.agreement_matrix(few, measure, {"a": 1, "b": 0})[0][0, 1] == 1
    nothing, n = cluster_agreement.agreement_matrix({"a": first, "b": np.full(400, -1)}, measure, {"a": 1, "b": 0})
    assert np.isnan(nothing[0, 1]) and n[0, 1] == 0


def test_groups_beyond_those_that_can_be_read_are_counted(tiny_root):
    galaxies = readers.open_catalog(tiny_root, "tiny")
    table, left_out = agreement_panels.table_of(galaxies, "hdbscan", "class")
    assert table.counts.sum() + left_out == 90 and set(table.rows) == {0, 1, 2, -1}
    counts = np.arange(1, 101)[:, None]
    kept = agreement_panels.largest(counts, (*range(99), -1), 1)
    assert len(kept) == agreement_panels.MAX_SHOWN and kept[-1] == 99 and min(kept) == 76


def test_classes_that_a_space_learned_count_for_nothing_in_the_matrices(broken_root):
    from galaxy_core import artifacts

    manifest = artifacts.read_manifest(broken_root, "tiny")
    manifest.clusterings["hdbscan"]["space"] = "umap_2_of_lda_4"
    manifest.clusterings["kmeans_8"]["space"] = "of another version"
    artifacts.write_manifest(broken_root, "tiny", manifest)
    galaxies = readers.open_catalog(broken_root, "tiny")
    split, codes = galaxies.catalog["split"].to_numpy(), agreement_panels.codes_of(galaxies, "class")
    names, matrices = agreement_panels.matrices_of(galaxies, True)
    for name, galaxies_left in (("hdbscan", split != "train"), ("kmeans_8", np.ones(90, bool))):
        kept = galaxies_left & (codes >= 0)
        place = galaxies.clustering_names.index(name), len(names) - 1
        assert kept.any() and (matrices["ami"][1][place], matrices["ami"][1][place[::-1]]) == (kept.sum(),) * 2
        expected = adjusted_mutual_info_score(galaxies.labels(name)[kept], codes[kept])
        assert matrices["ami"][0][place] == matrices["ami"][0][place[::-1]] == pytest.approx(expected)
    assert agreement_panels.learned_among(galaxies) == ["hdbscan"]
