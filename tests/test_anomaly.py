"""Anomaly scores: against scikit-learn and slow definitions, and on galaxies that are unusual beyond doubt."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.neighbors import NearestNeighbors

from galaxy_core import anomaly
from galaxy_core.anomaly import isolation_scores, neighbor_distances, percentile_ranks, score_anomalies
from galaxy_core.similarity import nearest_neighbors, unit_vectors
from galaxy_core.vectors import VectorError


def crowd(n: int = 400, d: int = 8, seed: int = 0) -> np.ndarray:
    """Galaxies all about one direction of the embedding."""
    vectors = np.random.default_rng(seed).normal(0, 0.1, (n, d))
    vectors[:, 0] += 1
    return unit_vectors(vectors.astype(np.float32))


def scores_of(vectors: np.ndarray, seed: int = 0, **changes) -> anomaly.AnomalyScores:
    return score_anomalies(vectors, nearest_neighbors(vectors, 12)[1], seed, **changes)


def test_galaxies_unlike_all_others_come_first():
    vectors = crowd()
    vectors[[7, 90]] = unit_vectors(np.float32([[-1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, -1, 0, 0, 1, 0]]))
    scores = scores_of(vectors)
    for values in (scores.isolation_forest, scores.neighbor_distance, scores.anomaly):
        assert values.dtype == np.float32 and values.shape == (400,)
        assert set(np.argsort(-values)[:2]) == {7, 90}
    assert scores.anomaly.min() >= 0 and 0.99 < scores.anomaly.max() <= 1
    assert scores.isolation_forest.min() > 0 and scores.isolation_forest.max() < 1


def test_anomaly_is_the_mean_of_the_two_percentile_ranks():
    scores = scores_of(crowd(50))
    for row in range(50):
        ranks = []
        for values in (scores.isolation_forest, scores.neighbor_distance):
            ties = np.sum(values == values[row]) - 1
            ranks.append((np.sum(values < values[row]) + ties / 2) / 49)
        assert scores.anomaly[row] == pytest.approx(np.mean(ranks), abs=1e-6)


def test_neighbour_distance_is_that_of_scikit_learn_without_a_second_search():
    vectors = crowd(200)
    expected = NearestNeighbors(n_neighbors=13).fit(vectors).kneighbors(vectors)[0][:, 12]
    np.testing.assert_allclose(neighbor_distances(nearest_neighbors(vectors, 12)[1]), expected, atol=1e-4)


def test_isolation_forest_is_the_published_formula(monkeypatch):
    """Two galaxies: every tree isolates each with one cut, c(2) = 1, so the score is 2 ** -1."""
    np.testing.assert_allclose(isolation_scores(np.eye(2, dtype=np.float32), 0, 20), 0.5)
    with monkeypatch.context() as patch:
        patch.setattr(anomaly, "MAX_SAMPLES", 2)  # trees of two galaxies each, whatever the number of all
        np.testing.assert_allclose(isolation_scores(crowd(30), 0, 5), 0.5)
    vectors = crowd()
    scores = isolation_scores(vectors, 0, 200)
    distance = np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)
    assert spearmanr(scores, distance)[0] > 0.8  # in one round cloud the outer galaxies are isolated first


def test_the_unusual_along_an_axis_of_little_variance_is_found():
    """What keeping only the first principal components would lose."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(0, 1, (500, 10)).astype(np.float32)
    vectors[:, 9] *= 0.01
    vectors[123, 9] = 0.3
    assert isolation_scores(vectors, 0, 300).argmax() == 123


def test_turning_the_embedding_changes_little():
    vectors = crowd(600, 16)
    vectors[:20] = unit_vectors(vectors[:20] + np.random.default_rng(1).normal(0, 0.3, (20, 16)).astype(np.float32))
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(16, 16)))[0].astype(np.float32)
    assert spearmanr(isolation_scores(vectors, 0), isolation_scores(vectors @ turn, 0))[0] > 0.9


def test_the_seed_decides_and_chunks_do_not(monkeypatch):
    vectors = crowd()
    first = isolation_scores(vectors, 3, 30)
    np.testing.assert_array_equal(first, isolation_scores(vectors, 3, 30))
    assert (first != isolation_scores(vectors, 4, 30)).any()
    seen = []
    monkeypatch.setattr(anomaly, "CHUNK_ROWS", 150)
    np.testing.assert_allclose(first, isolation_scores(vectors, 3, 30, lambda *count: seen.append(count)), atol=1e-6)
    assert seen == [(150, 400), (300, 400), (400, 400)]


def test_a_large_catalog_is_fitted_on_a_sample_and_scored_in_full(monkeypatch):
    vectors = crowd(800)
    whole = isolation_scores(vectors, 0)
    monkeypatch.setattr(anomaly, "FIT_LIMIT", 400)
    sampled = isolation_scores(vectors, 0)
    assert sampled.shape == (800,) and (sampled != whole).any()
    assert spearmanr(sampled, whole)[0] > 0.85


def test_one_galaxy_is_neither_usual_nor_unusual():
    scores = scores_of(crowd(1))
    assert scores.isolation_forest.tolist() == scores.anomaly.tolist() == [0.5]
    assert np.isnan(scores.neighbor_distance).all()


@pytest.mark.parametrize("n", [2, 40])
def test_identical_galaxies_are_equally_unusual(n):
    scores = scores_of(np.tile(crowd(1), (n, 1)))
    assert set(scores.anomaly.tolist()) == {0.5} == set(scores.isolation_forest.tolist())
    assert (scores.neighbor_distance == 0).all()


def test_ranks_share_ties_and_pass_over_what_is_missing():
    assert percentile_ranks(np.array([1.0, 5.0, 1.0, np.nan, 9.0])).tolist() == pytest.approx(
        [1 / 6, 2 / 3, 1 / 6, 0.5, 1]
    )
    assert percentile_ranks(np.array([])).size == 0
    assert percentile_ranks(np.array([3.0])).tolist() == [0.5]


def test_what_cannot_be_scored_is_one_sentence():
    vectors = crowd(30)
    similarity = nearest_neighbors(vectors, 12)[1]
    with pytest.raises(VectorError, match="NaN or infinite"):
        score_anomalies(np.full_like(vectors, np.nan), similarity, 0)
    with pytest.raises(VectorError, match="from the same embedding"):
        score_anomalies(vectors, similarity[:5], 0)
    with pytest.raises(VectorError, match="at least 1 tree"):
        score_anomalies(vectors, similarity, 0, n_trees=0)
    with pytest.raises(VectorError, match="at least 1 galaxies"):
        score_anomalies(vectors[:0], similarity[:0], 0)
