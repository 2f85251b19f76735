"""Stability and the null: against the definition written out, and at the extremes of real and imagined clusters."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import kstest, uniform
from sklearn.metrics import adjusted_rand_score, silhouette_samples

from galaxy_core.clustering import fit_clustering
from galaxy_core.stability import (
    best_jaccard,
    data_without_groups,
    measure_null,
    measure_stability,
    refit_of,
    summarise_null,
)
from galaxy_core.vectors import VectorError


def islands(n_each: int = 100, n_islands: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Groups far apart in four dimensions, and which group each galaxy is of."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_islands), n_each)
    return rng.normal(size=(len(labels), 4)) + 30 * np.eye(4)[labels % 4] * (1 + labels[:, None] // 4), labels


def kmeans(k: int):
    return lambda vectors, seed: fit_clustering("kmeans", vectors, seed, n_clusters=k, n_init=3).labels


def jaccard_by_definition(labels, refit, name) -> float:
    own = set(np.flatnonzero(labels == name))
    others = [set(np.flatnonzero(refit == other)) for other in set(refit.tolist()) - {-1}]
    return max((len(own & other) / len(own | other) for other in others), default=0.0)


def test_best_match_agrees_with_sets_of_galaxies():
    rng = np.random.default_rng(0)
    for _ in range(20):
        labels, refit = rng.integers(-1, 4, 60), rng.integers(-1, 6, 60) * 3
        refit[refit < 0] = -1
        names = np.arange(5)  # nobody is in cluster 4
        found = best_jaccard(labels, refit, names)
        assert np.isnan(found[4])
        np.testing.assert_allclose(found[:4], [jaccard_by_definition(labels, refit, name) for name in names[:4]])
    assert best_jaccard(labels, np.full(60, -1), names)[:4].tolist() == [0] * 4  # the unclustered match nothing


def test_stability_agrees_with_its_definition():
    vectors, labels = islands(30)
    labels = labels.copy()
    labels[:5] = -1
    samples = []

    def cut(sample):
        return np.where(sample[:, 0] > 15, 0, np.where(sample[:, 1] > 29, 1, -1))  # the second island in two

    def fit(sample, seed):
        samples.append(sample)
        return cut(sample)

    stability = measure_stability(fit, vectors, labels, seed=4, n_refits=5)
    rows = {tuple(row): i for i, row in enumerate(vectors.astype(np.float32))}
    expected, agreement = {"0": [], "1": [], "2": []}, []
    for sample in samples:
        once = np.array([rows[tuple(row)] for row in sample])
        assert once.tolist() == sorted(set(once.tolist()))  # each galaxy drawn is there once
        assert 0.5 < len(once) / len(vectors) < 0.75  # with replacement: 1 - 1/e of them
        found = cut(vectors[once])
        for name in expected:
            expected[name].append(jaccard_by_definition(labels[once], found, int(name)))
        agreement.append(adjusted_rand_score(labels[once], found))
    assert stability["ari_each"] == pytest.approx(agreement)
    assert stability["ari"] == pytest.approx(np.mean(agreement))
    assert stability["jaccard"] == pytest.approx({name: np.mean(values) for name, values in expected.items()})
    assert stability["dissolved"] == {name: sum(v <= 0.5 for v in values) for name, values in expected.items()}
    assert stability["dissolved"]["2"] == 5 and stability["n_refits"] == 5


def test_a_cluster_that_half_overlaps_its_best_match_has_dissolved():
    """Hennig's rule: a Jaccard similarity of 0.5 or less. Here half of the galaxies drawn join nobody."""
    vectors = np.arange(40, dtype=float)[:, None]

    def half(sample, seed):
        drawn = np.arange(len(sample))
        return np.where(drawn < (len(sample) + 1) // 2, 0, -1)  # of an even number exactly a half

    found = measure_stability(half, vectors, np.zeros(40, dtype=int), seed=0, n_refits=20)
    rng = np.random.default_rng(0)
    even = 0
    for _ in range(20):
        even += len(np.unique(rng.integers(0, 40, 40))) % 2 == 0
        rng.integers(2**31)
    assert 0 < even < 20 and found["dissolved"] == {"0": even}


def test_islands_come_back_and_arbitrary_cuts_do_not():
    vectors, truth = islands()
    real = measure_stability(kmeans(3), vectors, truth, seed=0)
    assert real["ari"] == pytest.approx(1) and min(real["jaccard"].values()) == pytest.approx(1)
    assert real["dissolved"] == {"0": 0, "1": 0, "2": 0}
    blob = np.random.default_rng(0).normal(size=(300, 4))
    cut = measure_stability(kmeans(8), blob, kmeans(8)(blob, 0), seed=0)
    assert cut["ari"] < 0.7 and np.mean(list(cut["jaccard"].values())) < 0.7 and sum(cut["dissolved"].values()) > 5


FEW = ("hdbscan", {"min_cluster_size": 6, "min_samples": 4})  # so few that repeats would pass for clusters
MANY = ("hdbscan", {"min_cluster_size": 20, "min_samples": 10})


@pytest.mark.parametrize(
    ("method", "params"), [FEW, MANY, ("dbscan", {"min_samples": 10}), ("kmeans", {"n_clusters": 2})]
)
def test_two_blobs_well_apart_come_back_by_every_method(method, params):
    rng = np.random.default_rng(3)
    vectors = np.vstack([rng.normal(size=(300, 2)), rng.normal(size=(100, 2)) + 8])
    labels = fit_clustering(method, vectors, 0, **params).labels
    assert labels.max() == 1 and (labels < 0).sum() < 20
    found = measure_stability(refit_of(method, params, 400), vectors, labels, seed=0)
    assert min(found["jaccard"].values()) > 0.9 and found["dissolved"] == {"0": 0, "1": 0}


@pytest.mark.parametrize(("method", "params"), [MANY, ("kmeans", {"n_clusters": 4})])
def test_what_a_method_cuts_out_of_a_continuum_does_not_come_back(method, params):
    vectors = np.random.default_rng(0).normal(size=(400, 2))
    labels = (vectors[:, 0] > np.median(vectors[:, 0])).astype(int)  # HDBSCAN finds none: one half and the other
    if method == "kmeans":
        labels = fit_clustering(method, vectors, 0, **params).labels
    found = measure_stability(refit_of(method, params, 400), vectors, labels, seed=0)
    assert np.mean(list(found["jaccard"].values())) < 0.75 and sum(found["dissolved"].values()) > 0


def test_parameters_that_count_galaxies_are_those_of_the_galaxies_drawn(monkeypatch):
    from galaxy_core import stability

    seen = []
    monkeypatch.setattr(stability, "fit_clustering", lambda *a, **k: seen.append(k) or fit_clustering(*a, **k))
    half = np.random.default_rng(0).normal(size=(100, 2))
    for method, params in (
        ("hdbscan", {"min_cluster_size": 20, "min_samples": 10}),
        ("dbscan", {"eps": 0.5, "min_samples": 20}),
        ("dbscan", {"min_samples": 10}),  # eps is read from the galaxies drawn
        ("kmeans", {"n_clusters": 3, "n_init": 1}),
    ):
        refit_of(method, params, 200)(half, 0)
    assert seen == [
        {"min_cluster_size": 10, "min_samples": 5},
        {"eps": 0.5, "min_samples": 10},
        {"min_samples": 10},
        {"n_clusters": 3, "n_init": 1},
    ]


def test_one_real_cluster_among_cuts_is_told_apart():
    rng = np.random.default_rng(1)
    vectors = np.vstack([rng.normal(size=(400, 4)), rng.normal(size=(60, 4)) + 40])
    labels = kmeans(6)(vectors, 0)
    alone = labels[-1]
    assert (labels == alone).sum() == 60
    stability = measure_stability(kmeans(6), vectors, labels, seed=0)
    others = [value for name, value in stability["jaccard"].items() if name != str(alone)]
    assert stability["jaccard"][str(alone)] == pytest.approx(1) and max(others) < 0.9


def test_the_same_seed_gives_the_same_numbers_and_each_refit_another_seed():
    vectors, labels = islands(20)
    seeds = []

    def fit(sample, seed):
        seeds.append(seed)
        return kmeans(3)(sample, seed)

    first, again = (measure_stability(fit, vectors, labels, seed=2, n_refits=4) for _ in range(2))
    assert first == again and seeds[:4] == seeds[4:] and len(set(seeds)) == 4
    json.dumps(first, allow_nan=False)


@pytest.mark.parametrize("labels", [[-1], [0], [-1, -1], [0, 0], [0, 1], [0, -1]])
def test_one_or_two_galaxies(labels):
    vectors = np.arange(len(labels) * 2, dtype=float).reshape(-1, 2)
    stability = measure_stability(kmeans(2), vectors, np.array(labels), seed=0)
    json.dumps(stability, allow_nan=False)
    assert set(stability["jaccard"]) == {str(label) for label in labels if label >= 0}
    if len(set(labels)) == 1:
        assert stability["ari"] is None and stability["ari_each"] == []


def test_a_refit_that_fails_found_nothing():
    def fit(vectors, seed):
        raise VectorError("cannot be made")

    vectors, labels = islands(10)
    stability = measure_stability(fit, vectors, labels, seed=0, n_refits=3)
    assert stability["jaccard"] == {"0": 0.0, "1": 0.0, "2": 0.0} and stability["ari"] == 0
    assert stability["dissolved"] == {"0": 3, "1": 3, "2": 3}
    null = measure_null(fit, vectors, seed=0)
    nothing = {"n_clusters": 0, "coverage": 0.0, "strict": 0.0, "largest_share": 0.0}
    assert null["each"] == [{"kind": kind, **nothing} for kind in ("shuffled", "shuffled", "even", "even")]
    assert null["strict"] == 0 and null["n_clusters"] == 0


def test_one_half_of_the_null_keeps_every_feature_and_breaks_their_relations():
    along = np.linspace(0, 1, 500)
    embedding = np.column_stack([along, along, -along])
    seen = []

    def fit(drawn, seed):
        seen.append(drawn)
        return drawn, np.zeros(len(drawn), dtype=int)

    null = measure_null(fit, embedding, seed=0)
    np.testing.assert_allclose(np.sort(seen[0], axis=0), np.sort(embedding, axis=0), atol=1e-6)
    assert np.abs(np.corrcoef(seen[0].T) - np.eye(3)).max() < 0.2
    one = {"n_clusters": 1, "coverage": 1.0, "strict": 0.0, "largest_share": 1.0}
    assert null["each"][:2] == [{"kind": "shuffled", **one}] * 2 and not np.array_equal(seen[0], seen[1])
    few = measure_null(lambda drawn, seed: (drawn, np.repeat([-1, 0, 1], [250, 200, 50])), embedding, seed=0)
    assert (few["n_clusters"], few["coverage"], few["largest_share"]) == (2, 0.5, 0.4), "of all galaxies"


def test_the_other_half_is_even_and_as_long_in_each_direction():
    rng = np.random.default_rng(1)
    embedding = (rng.normal(size=(4000, 3)) * [5, 1, 0]) @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + 7
    cloud = data_without_groups(embedding.astype(np.float32), "even", seed=0)
    assert cloud.dtype == np.float32 and cloud.shape == embedding.shape
    np.testing.assert_allclose(cloud.mean(axis=0), embedding.mean(axis=0), atol=0.3)
    np.testing.assert_allclose(np.cov(cloud.T), np.cov(embedding.T), atol=0.6)
    along = (cloud - embedding.mean(axis=0)) @ np.linalg.svd(embedding - embedding.mean(axis=0))[2].T
    assert kstest(along[:, 0], uniform(-np.sqrt(75), 2 * np.sqrt(75)).cdf).pvalue > 1e-3
    assert np.abs(along[:, 2]).max() < 1e-4  # flat stays flat
    assert np.ptp(data_without_groups(np.full((5, 3), 2.0, np.float32), "even", 0)) == 0
    unit = (5 * embedding / np.linalg.norm(embedding, axis=1, keepdims=True)).astype(np.float32)
    for kind in ("even", "shuffled"):  # of an embedding on a sphere both stay there
        drawn = data_without_groups(unit, kind, seed=0)
        assert drawn.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 5, rtol=1e-5)


@pytest.mark.parametrize(("apart", "surpassed"), [(0, False), (6, True)])
def test_the_halves_of_one_long_cloud_are_no_groups_and_two_clouds_are(apart, surpassed):
    """Halves of a long cloud come back in every refit, and shuffled features, which no cloud is long in, part worse."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    long = rng.normal(size=(600, 8)) * [1, *[0.05] * 7]
    long[:300, 0] += apart

    def fit(vectors, seed):
        return vectors, fit_clustering("kmeans", vectors, seed, n_clusters=2).labels

    vectors, labels = fit((long @ axes).astype(np.float32), 0)
    strict = silhouette_samples(vectors, labels).mean()
    null = measure_null(fit, vectors, seed=0)
    assert min(measure_stability(kmeans(2), vectors, labels, seed=0)["jaccard"].values()) > 0.9 and strict > 0.5
    assert strict > 1.5 * max(one["strict"] for one in null["each"] if one["kind"] == "shuffled")
    assert (strict > null["strict"]) == surpassed


def test_the_null_finds_no_islands_where_the_catalog_has_them():
    place = np.repeat([0, 30, 60], 100)[:, None]  # the same in six features
    embedding = place + np.random.default_rng(0).normal(size=(300, 6))

    def fit(vectors, seed):
        return vectors, fit_clustering("hdbscan", vectors, seed, min_cluster_size=20).labels

    assert fit(embedding, 0)[1].max() == 2
    null = measure_null(fit, embedding, seed=0)
    assert max(one["n_clusters"] for one in null["each"][:2]) < 3
    assert null["strict"] < 0.6 < 0.9 < silhouette_samples(*fit(embedding, 0)).mean()
    assert null == measure_null(fit, embedding, seed=0)
    each = measure_null(fit, embedding, seed=0, n_draws=3)["each"]
    assert len(each) == 6 and each[:2] + each[3:5] == null["each"]
    assert null["strict"] == max(one["strict"] for one in null["each"])
    assert summarise_null([{"strict": value} for value in (0.1, 0.3, 0.2)])["strict"] == 0.3
    assert [each[2], each[5]] == measure_null(fit, embedding, seed=2, n_draws=1)["each"]


def test_bad_input_is_one_sentence():
    with pytest.raises(VectorError, match="one entry a galaxy"):
        measure_stability(kmeans(2), np.ones((5, 2)), np.zeros(4), seed=0)
    with pytest.raises(VectorError, match="NaN"):
        measure_null(lambda e, s: (e, s), np.array([[np.nan], [1.0]]), seed=0)
