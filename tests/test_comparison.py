"""Scores of clusterings: against definitions written out in full, and at the extremes."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples as silhouettes_of_sklearn

from galaxy_core import comparison, silhouette
from galaxy_core.agreement import measure_agreement
from galaxy_core.comparison import bootstrap_interval, measure_clustering, score_silhouettes
from galaxy_core.silhouette import measure_silhouettes, silhouette_samples
from galaxy_core.vectors import VectorError


def overlapping(n_galaxies: int, n_features: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four groups that overlap, of sizes 1:2:3:4, a tenth of the galaxies unclustered."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, size=n_galaxies, p=[0.1, 0.2, 0.3, 0.4])
    vectors = (rng.normal(size=(4, n_features)) * 2)[labels] + rng.normal(size=(n_galaxies, n_features))
    return vectors.astype(np.float32), np.where(rng.random(n_galaxies) < 0.1, -1, labels)


def silhouettes_by_definition(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rousseeuw's (b - a) / max(a, b), one galaxy and one cluster at a time."""
    values = np.zeros(len(vectors))
    for i, label in enumerate(labels):
        if label == -1 or (labels == label).sum() == 1:
            continue
        distance = np.sqrt(((vectors - vectors[i]) ** 2).sum(axis=1))
        a = distance[labels == label].sum() / ((labels == label).sum() - 1)
        b = min(distance[labels == other].mean() for other in set(labels.tolist()) - {label, -1})
        values[i] = (b - a) / max(a, b)
    return values


def test_silhouettes_agree_with_the_definition_and_with_sklearn(monkeypatch):
    vectors, labels = overlapping(300)
    labels[7] = 9  # a galaxy alone in its cluster
    monkeypatch.setattr(silhouette, "ROWS", 70)  # several strips, of several pieces each
    monkeypatch.setattr(silhouette, "COLUMNS", 40)
    values = silhouette_samples(vectors, labels, seed=0)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, silhouettes_by_definition(vectors.astype(float), labels), atol=1e-5)
    clustered = labels != -1
    np.testing.assert_allclose(
        values[clustered], silhouettes_of_sklearn(vectors[clustered], labels[clustered]), atol=1e-4
    )
    assert values[7] == 0 and (values[~clustered] == 0).all()


def test_strict_counts_the_unclustered_and_the_flattering_one_does_not():
    vectors, labels = overlapping(400)
    scores = measure_clustering(vectors, vectors, labels, seed=0)
    values = silhouettes_by_definition(vectors.astype(float), labels)
    assert scores.fitted_space.strict == pytest.approx(values.mean(), abs=1e-5)
    assert scores.fitted_space.clustered == pytest.approx(values[labels != -1].mean(), abs=1e-5)
    assert scores.fitted_space.strict < scores.fitted_space.clustered
    assert scores.coverage == (labels != -1).mean()
    assert scores.sizes == tuple((labels == label).sum() for label in range(4))
    assert scores.fitted_space.exact and scores.fitted_space.n_reference == (labels != -1).sum()


def test_leaving_galaxies_out_never_raises_the_strict_score_of_well_separated_ones():
    vectors = np.repeat([[0.0, 0.0], [50.0, 0.0]], 50, axis=0) + np.random.default_rng(0).normal(size=(100, 2))
    labels = np.repeat([0, 1], 50)
    whole = measure_clustering(vectors, vectors, labels, seed=0).fitted_space
    picked = measure_clustering(vectors, vectors, np.where(np.arange(100) % 2, labels, -1), seed=0).fitted_space
    assert whole.strict > 0.9
    assert picked.clustered > 0.9 and picked.strict == pytest.approx(whole.strict / 2, abs=0.02)


def test_both_spaces_are_measured():
    vectors, labels = overlapping(300)
    noise = np.random.default_rng(1).normal(size=(300, 8))
    scores = measure_clustering(vectors, noise, labels, seed=0)
    assert scores.fitted_space.strict > 0.2
    assert abs(scores.embedding.strict) < 0.05


def test_interval_of_a_sample_covers_the_exact_value():
    vectors, labels = overlapping(10_000)
    exact = measure_silhouettes(vectors, labels, seed=0)
    n_seeds, covered, by_sample_alone, errors = 20, 0, 0, []
    for seed in range(n_seeds):
        sampled = measure_silhouettes(vectors, labels, seed=seed, exact_limit=800)
        assert 750 < sampled.n_reference < 850 and sampled.reference_error > 0
        np.testing.assert_allclose(sampled.values, exact.values, atol=0.2)
        low, high = score_silhouettes(sampled, labels, seed).strict_interval
        error = sampled.values.mean() - exact.values.mean()
        covered += low <= exact.values.mean() <= high
        by_sample_alone += abs(error) <= 1.96 * sampled.reference_error
        errors.append(error / sampled.reference_error)
    assert covered >= 0.9 * n_seeds
    score, error = score_silhouettes(sampled, labels, seed), 1.96 * sampled.reference_error
    low, high = bootstrap_interval(sampled.values, np.random.default_rng(seed))
    sides = [np.hypot(side, error) for side in (score.strict - low, high - score.strict)]
    assert score.strict_interval == pytest.approx((score.strict - sides[0], score.strict + sides[1]), abs=1e-9)
    assert not score.exact
    assert by_sample_alone >= 0.75 * n_seeds  # 91 % expected of an error known from eight groups
    assert 0.3 < np.sqrt(np.mean(np.square(errors))) < 2.5  # the stated error is the error made
    assert exact.reference_error == 0 and exact.n_reference == exact.n_clustered == (labels != -1).sum()


def test_the_error_of_a_sample_is_none_of_what_is_in_it_whole():
    vectors, labels = overlapping(3_000)
    labels[np.flatnonzero(labels == 0)[0]] = labels.max() + 1  # an outlier by itself, as single linkage finds them
    exact = measure_silhouettes(vectors, labels, seed=0).values.mean()
    sampled = [measure_silhouettes(vectors, labels, seed, exact_limit=400) for seed in range(10)]
    made = np.sqrt(np.mean([(one.values.mean() - exact) ** 2 for one in sampled]))
    assert 0.3 < made / np.mean([one.reference_error for one in sampled]) < 2.5


def test_the_error_of_a_sample_is_that_of_a_jackknife_written_out(monkeypatch):
    monkeypatch.setattr(silhouette, "LEAST_PER_CLUSTER", 5)
    vectors, labels = overlapping(150)
    labels[0] = 9  # a galaxy alone is in the sample whole, and never left out
    found = measure_silhouettes(vectors, labels, seed=4, exact_limit=70)
    clustered, rng = np.flatnonzero(labels >= 0), np.random.default_rng(4)
    cluster = np.unique(labels[clustered], return_inverse=True)[1]
    reference = silhouette.sample_reference(cluster, 70, rng)
    group = silhouette.groups_of(cluster, reference, rng)
    assert set(group[cluster[reference] == cluster.max()]) == {8} and set(group) == set(range(9))
    apart = np.linalg.norm(vectors[clustered, None].astype(float) - vectors[clustered], axis=2)

    def mean_to(kept: np.ndarray) -> float:
        total = 0.0
        for i in range(len(clustered)):
            to = [apart[i, kept[(cluster[kept] == k) & (kept != i)]] for k in range(cluster.max() + 1)]
            own = to.pop(cluster[i])
            if len(own):
                a, b = own.mean(), min(other.mean() for other in to)
                total += (b - a) / max(a, b)
        return total / len(vectors)  # the unclustered count 0

    assert found.values.mean() == pytest.approx(mean_to(reference), abs=1e-6)
    without = np.array([mean_to(reference[group != part]) for part in range(8)])
    variance = 7 / 8 * ((without - without.mean()) ** 2).sum() * (1 - len(reference) / len(clustered))
    assert found.reference_error == pytest.approx(np.sqrt(variance), rel=1e-6) and variance > 0


def test_a_sample_keeps_small_clusters():
    rng = np.random.default_rng(0)
    cluster = np.repeat([0, 1, 2], [9_000, 950, 50])
    chosen = silhouette.sample_reference(cluster, 1_000, rng)
    assert np.bincount(cluster[chosen]).tolist() == [900, 100, 50]
    assert (np.diff(chosen) > 0).all()


def test_many_small_clusters_take_no_table_of_galaxies_by_clusters(monkeypatch):
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(1_000), 3)
    vectors = (labels[:, None] + rng.normal(scale=0.3, size=(3_000, 2))).astype(np.float32)
    monkeypatch.setattr(silhouette, "ROWS", 30)
    tracemalloc.start()
    found = measure_silhouettes(vectors, labels, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6  # 3,000 x 1,000 numbers are 24 MB
    np.testing.assert_allclose(found.values, silhouettes_of_sklearn(vectors, labels), atol=1e-5)


def test_the_same_galaxies_are_the_reference_in_whatever_pieces_distances_are_held(monkeypatch):
    vectors, labels = overlapping(700)
    whole = measure_silhouettes(vectors, labels, seed=0, exact_limit=400)
    monkeypatch.setattr(silhouette, "ROWS", 64)
    monkeypatch.setattr(silhouette, "COLUMNS", 32)
    parted = measure_silhouettes(vectors, labels, seed=0, exact_limit=400)
    np.testing.assert_allclose(parted.values, whole.values, atol=1e-6)
    assert parted.reference_error == pytest.approx(whole.reference_error, rel=1e-9) and whole.reference_error > 0


def test_bootstrap_interval_has_the_width_of_the_standard_error():
    values = np.random.default_rng(3).normal(2.0, 1.5, size=4_000)
    low, high = bootstrap_interval(values, np.random.default_rng(0))
    standard_error = values.std() / np.sqrt(len(values))
    assert (low + high) / 2 == pytest.approx(values.mean(), abs=0.2 * standard_error)
    assert (high - low) / 2 == pytest.approx(1.96 * standard_error, rel=0.1)


def test_identical_galaxies_score_nothing():
    labels = np.repeat([0, 1], 10)
    assert (silhouette_samples(np.ones((20, 3)), labels, seed=0) == 0).all()


@pytest.mark.parametrize("labels", [np.full(20, -1), np.zeros(20, dtype=int), np.r_[np.zeros(5, dtype=int), [-1] * 15]])
def test_fewer_than_two_clusters_have_no_silhouette(labels):
    vectors = np.random.default_rng(0).normal(size=(20, 3))
    scores = measure_clustering(vectors, vectors, labels, seed=0)
    assert scores.fitted_space.strict == 0 and scores.fitted_space.clustered is None
    assert scores.n_clusters == len(set(labels.tolist()) - {-1})


def test_one_galaxy():
    scores = measure_clustering(np.ones((1, 3)), np.ones((1, 3)), np.array([-1]), seed=0)
    assert scores.n_clusters == 0 and scores.coverage == 0 and scores.sizes == ()


def test_agreement_with_classes_is_one_for_the_classes_and_none_for_chance():
    vectors, labels = overlapping(600)
    names = np.array(["edge_on", "spiral", "round", "cigar"], dtype=object)
    classes = np.where(labels >= 0, names[labels], None)  # galaxies without a class are left out
    same = measure_clustering(vectors, vectors, labels, seed=0, classes=classes)
    assert same.ami == pytest.approx(1) and same.ari == pytest.approx(1) and same.n_classes == 4
    assert same.homogeneity == pytest.approx(1) and same.completeness == pytest.approx(1)
    shuffled = measure_clustering(vectors, vectors, np.random.default_rng(0).permutation(labels), 0, classes)
    assert abs(shuffled.ami) < 0.05 and abs(shuffled.ari) < 0.05
    pairs = measure_clustering(vectors, vectors, labels // 2, 0, classes)  # each of two classes
    agreement = measure_agreement(labels // 2, classes)
    named = ("ami", "ari", "homogeneity", "completeness", "n_classes")
    assert [getattr(pairs, name) for name in named] == [getattr(agreement, name) for name in named]
    assert pairs.homogeneity < 0.9 < pairs.completeness
    assert measure_clustering(vectors, vectors, labels, seed=0).ami is None
    assert measure_clustering(vectors, vectors, labels, 0, np.full(600, "spiral")).ari is None


def calinski_harabasz_by_definition(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Spread of the centres over the spread within, each by its degrees of freedom."""
    names, mean = np.unique(labels), vectors.mean(axis=0)
    groups = [vectors[labels == name] for name in names]
    between = sum(len(group) * ((group.mean(axis=0) - mean) ** 2).sum() for group in groups) / (len(names) - 1)
    within = sum(((group - group.mean(axis=0)) ** 2).sum() for group in groups) / (len(vectors) - len(names))
    return between / within


def davies_bouldin_by_definition(vectors: np.ndarray, labels: np.ndarray) -> float:
    """For each cluster the worst of (scatter of both) / (distance of their centres), averaged."""
    groups = [vectors[labels == name] for name in np.unique(labels)]
    centres = [group.mean(axis=0) for group in groups]
    scatter = [np.linalg.norm(group - c, axis=1).mean() for group, c in zip(groups, centres, strict=True)]
    return np.mean(
        [
            max(
                (scatter[i] + scatter[j]) / np.linalg.norm(centres[i] - centres[j])
                for j in range(len(groups))
                if j != i
            )
            for i in range(len(groups))
        ]
    )


def test_agreement_with_votes_is_among_the_scores_with_what_it_was_measured_on():
    from galaxy_core.agreement import agreement_with_votes

    vectors, labels = overlapping(400)
    smooth = np.where(labels == 0, 0.9, 0.2)
    smooth[:50] = np.nan  # nobody was asked
    votes = {"smooth-or-featured_smooth": smooth, "smooth-or-featured_featured": 1 - smooth}
    found = measure_clustering(vectors, vectors, labels, 0, votes=votes).as_dict()["votes"]
    assert found == agreement_with_votes(labels, votes, list(votes))
    assert found["smooth-or-featured"]["n_galaxies"] == 350 and found["smooth-or-featured"]["homogeneity"] > 0.99
    assert measure_clustering(vectors, vectors, labels, 0).votes == {}
    json.dumps(found, allow_nan=False)


def test_spread_indices_are_of_the_clustered_in_the_fitted_space():
    vectors, labels = overlapping(500)
    other = np.random.default_rng(0).normal(size=(500, 3))
    scores = measure_clustering(vectors, other, labels, seed=0)
    clustered = labels != -1
    points = vectors[clustered].astype(float)
    assert scores.calinski_harabasz == pytest.approx(calinski_harabasz_by_definition(points, labels[clustered]))
    assert scores.davies_bouldin == pytest.approx(davies_bouldin_by_definition(points, labels[clustered]))
    single = measure_clustering(vectors, vectors, np.zeros(500, dtype=int), seed=0)
    assert single.calinski_harabasz is None and single.davies_bouldin is None
    alone = measure_clustering(vectors[:3], vectors[:3], np.arange(3), seed=0)
    assert alone.calinski_harabasz is None and alone.davies_bouldin is None


def test_scores_go_into_json():
    vectors, labels = overlapping(100)
    stored = json.loads(json.dumps(measure_clustering(vectors, vectors, labels, seed=0).as_dict(), allow_nan=False))
    assert stored["sizes"] and stored["fitted_space"]["strict_interval"][0] < stored["fitted_space"]["strict"]


def test_known_silhouettes_are_not_measured_again(monkeypatch):
    vectors, labels = overlapping(100)
    known = measure_silhouettes(vectors, labels, seed=0)
    monkeypatch.setattr(comparison, "measure_silhouettes", lambda *_: pytest.fail("measured twice"))
    scores = measure_clustering(vectors, vectors, labels, seed=0, silhouettes_fitted=known)
    assert scores.embedding.strict == pytest.approx(known.values.mean())


def test_bad_input_is_one_sentence():
    with pytest.raises(VectorError, match="one entry a galaxy"):
        silhouette_samples(np.ones((5, 2)), np.zeros(4), seed=0)
    with pytest.raises(VectorError, match="1 of 2 galaxies have NaN"):
        silhouette_samples(np.array([[np.nan], [1.0]]), np.zeros(2), seed=0)
