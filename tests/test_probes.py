"""Probes: perfect on separated classes, chance on noise, fitted on the training galaxies alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from galaxy_core.probes import knn_probe, linear_probe, wilson_interval
from galaxy_core.vectors import VectorError


def two_classes(n_galaxies: int, apart: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Galaxies of two classes on either side of a plane, the first feature in units a thousand times larger."""
    rng = np.random.default_rng(seed)
    classes = np.where(rng.random(n_galaxies) < 0.5, "spiral", "smooth").astype(object)
    vectors = rng.normal(size=(n_galaxies, 4))
    vectors[:, 1] += np.where(classes == "spiral", apart, -apart)
    vectors[:, 0] *= 1_000
    return vectors.astype(np.float32), classes


def test_linear_probe_separates_what_a_plane_separates_whatever_the_units():
    result = linear_probe(*two_classes(400, 5.0, 0), *two_classes(200, 5.0, 1), seed=0)
    assert result.accuracy == 1.0 and result.n_test == 200
    assert result.recall == {"smooth": 1.0, "spiral": 1.0}


def test_probes_find_nothing_in_noise():
    train, test = two_classes(600, 0.0, 0), two_classes(600, 0.0, 1)
    for result in (linear_probe(*train, *test, seed=0), knn_probe(*train, *test)):
        assert result.interval[0] < 0.55 and abs(result.accuracy - 0.5) < 0.1


def test_knn_probe_is_the_majority_among_the_nearest_by_cosine():
    rng = np.random.default_rng(4)
    train, test = rng.normal(size=(120, 5)), rng.normal(size=(40, 5))
    classes = np.where(train[:, 0] + 0.3 * rng.normal(size=120) > 0, "a", "b")
    truth = np.where(test[:, 0] > 0, "a", "b")
    right = []
    for vector, name in zip(test, truth, strict=True):
        cosines = train @ vector / np.linalg.norm(train, axis=1) / np.linalg.norm(vector)
        votes = classes[np.argsort(-cosines)[:15]]
        right.append(("a" if (votes == "a").sum() > 7 else "b") == name)
    result = knn_probe(train, classes, test, truth)
    assert result.accuracy == pytest.approx(np.mean(right))
    for name in "ab":
        assert result.recall[name] == pytest.approx(np.mean(np.array(right)[truth == name]))
    assert knn_probe(train, classes, train, classes, k=1).accuracy == 1.0
    scaled = test * rng.uniform(0.1, 10, size=(40, 1))
    assert knn_probe(train, classes, scaled, truth).accuracy == result.accuracy


def test_more_neighbours_than_galaxies_uses_them_all():
    classes = np.array(["a", "a", "b"])
    result = knn_probe(np.eye(3), classes, np.eye(3), classes, k=50)
    assert result.accuracy == pytest.approx(2 / 3) and result.recall == {"a": 1.0, "b": 0.0}


def test_galaxies_without_a_class_are_left_out():
    vectors, classes = two_classes(200, 5.0, 0)
    classes[:50] = None
    vectors[:50, 1] *= -1  # would mislead, if they were learned from
    result = linear_probe(vectors, classes, vectors, classes, seed=0)
    assert result.n_test == 150 and result.accuracy == 1.0


def test_interval_is_the_normal_one_for_large_samples_and_stays_inside_the_unit_range():
    low, high = wilson_interval(91_000, 100_000)
    half = 1.96 * np.sqrt(0.91 * 0.09 / 100_000)
    np.testing.assert_allclose([low, high], [0.91 - half, 0.91 + half], atol=3e-5)
    assert wilson_interval(5, 5)[1] == pytest.approx(1) and wilson_interval(0, 5)[0] == pytest.approx(0)


def test_wilson_interval_by_hand_and_at_its_ends():
    for edge in wilson_interval(8, 10):  # the two shares p with |0.8 - p| = z sqrt(p (1 - p) / n)
        assert abs(0.8 - edge) == pytest.approx(1.959964 * np.sqrt(edge * (1 - edge) / 10), rel=1e-6)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 20)[0] == 0 and wilson_interval(20, 20)[1] == pytest.approx(1)


def test_result_goes_into_json():
    train = two_classes(100, 1.0, 0)
    stored = json.loads(json.dumps(linear_probe(*train, *train, seed=0).as_dict()))
    assert set(stored) == {"accuracy", "interval", "n_test", "recall"}


def test_bad_input_is_one_sentence():
    vectors, classes = two_classes(20, 1.0, 0)
    one_class = np.full(20, "spiral")
    with pytest.raises(VectorError, match="1 training classes"):
        linear_probe(vectors, one_class, vectors, classes, seed=0)
    with pytest.raises(VectorError, match="0 test galaxies"):
        knn_probe(vectors, classes, vectors, np.full(20, None))
    with pytest.raises(VectorError, match="same model"):
        linear_probe(vectors, classes, vectors[:, :2], classes, seed=0)
    with pytest.raises(VectorError, match="at least one neighbour"):
        knn_probe(vectors, classes, vectors, classes, k=0)
    broken = vectors.copy()
    broken[0, 0] = np.inf
    with pytest.raises(VectorError, match="1 of 20 galaxies have NaN or infinite"):
        linear_probe(broken, classes, vectors, classes, seed=0)
