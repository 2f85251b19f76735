"""Projections: groups stay together, the same seed gives the same map, and odd catalogs give a map or a sentence."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from galaxy_core.projection import METHODS, fit_projection, place
from galaxy_core.umap_package import KEPT
from galaxy_core.vectors import VectorError

ROOT = Path(__file__).parents[1]


def groups(n_galaxies: int = 90, n_groups: int = 3, n_features: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Well separated groups, one on each axis, and the name of each galaxy's group."""
    rng = np.random.default_rng(11)
    group = np.arange(n_galaxies) % n_groups
    vectors = 12 * np.eye(n_groups, n_features)[group] + rng.normal(size=(n_galaxies, n_features))
    return vectors.astype(np.float32), np.array(["edge_on", "round", "spiral", "cigar"], dtype=object)[group]


def share_with_neighbour_of_own_group(coordinates: np.ndarray, names: np.ndarray) -> float:
    """Share of galaxies whose nearest neighbour on the map is of their group."""
    distance = np.linalg.norm(coordinates[:, None] - coordinates[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    return float((names[distance.argmin(axis=1)] == names).mean())


@pytest.mark.parametrize("method", list(METHODS))
def test_groups_stay_together_and_new_galaxies_land_in_theirs(method):
    vectors, names = groups()
    projection = fit_projection(method, vectors, seed=1, classes=names)
    again = fit_projection(method, vectors, seed=1, classes=names)
    assert projection.coordinates.shape == (90, 2) and projection.coordinates.dtype == np.float32
    assert np.isfinite(projection.coordinates).all()
    assert share_with_neighbour_of_own_group(projection.coordinates, names) == 1.0
    np.testing.assert_array_equal(projection.coordinates, again.coordinates)

    before = projection.coordinates.copy()
    new = place(projection, vectors[:6] + 0.01)
    np.testing.assert_array_equal(projection.coordinates, before)
    nearest = np.linalg.norm(new[:, None] - before[None], axis=2).argmin(axis=1)
    assert (names[nearest] == names[:6]).all()
    np.testing.assert_array_equal(new, place(projection, vectors[:6] + 0.01))


def test_what_numba_keeps_of_umap_is_called_with_numbers_of_one_type():
    vectors, _ = groups()
    for n_components, n_galaxies in ((2, 90), (10, 60)):
        made = fit_projection("umap", vectors[:n_galaxies].astype(np.float64), seed=1, n_components=n_components)
        place(made, vectors[:6] + 0.01)
    functions = [getattr(importlib.import_module(module), name) for module, name in KEPT]
    assert [len(function.signatures) for function in functions] == [1] * len(KEPT)


def test_umap_is_told_the_exact_neighbours_unless_there_are_very_many(monkeypatch):
    told = []

    class Watched:
        def __init__(self, **params):
            told.append(params)

        def fit_transform(self, vectors):
            return vectors[:, :2]

    monkeypatch.setattr("galaxy_core.projection.import_umap", lambda: SimpleNamespace(UMAP=Watched))
    monkeypatch.setattr("galaxy_core.projection.MOST_COMPARED", 80)
    vectors = groups()[0]
    vectors[5] = vectors[2]  # a duplicate is at no distance at all
    for n_galaxies in (60, 80, 81):
        fit_projection("umap", vectors[:n_galaxies], seed=1, n_neighbors=6)
    assert ["precomputed_knn" in params for params in told] == [True, True, False]
    index, distances = told[0]["precomputed_knn"]
    apart = np.linalg.norm(vectors[:60, None].astype(float) - vectors[None, :60], axis=2)
    assert (index[:, 0] == np.arange(60)).all() and index.dtype == np.int32  # itself, also before its duplicate
    assert index[5, 1] == 2 and distances[5, 1] == 0
    np.testing.assert_allclose(distances, np.sort(apart, axis=1)[:, :6], rtol=1e-5)
    np.testing.assert_allclose(distances, np.take_along_axis(apart, index.astype(int), axis=1), rtol=1e-5)


def test_pca_is_the_singular_value_decomposition():
    vectors, _ = groups()
    projection = fit_projection("pca", vectors, seed=0)
    centred = vectors.astype(float) - vectors.astype(float).mean(axis=0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    expected = centred @ axes[:2].T
    sign = np.sign((projection.coordinates * expected).sum(axis=0))  # an axis may point either way
    np.testing.assert_allclose(projection.coordinates, expected * sign, atol=1e-3)
    shares = singular[:2] ** 2 / (singular**2).sum()
    np.testing.assert_allclose(projection.params["explained_variance"], shares, atol=1e-5)
    np.testing.assert_allclose(place(projection, vectors), projection.coordinates, atol=1e-5)


def test_lda_sees_a_difference_that_pca_does_not():
    rng = np.random.default_rng(0)
    names = np.array(["a", "b"], dtype=object)[np.arange(200) % 2]
    vectors = rng.normal(size=(200, 5)) * [100, 100, 1, 1, 0.1]
    vectors[:, 4] += names == "a"
    lda, pca = (fit_projection(method, vectors, seed=0, classes=names).coordinates for method in ("lda", "pca"))
    gap = [abs(axis[names == "a"].mean() - axis[names == "b"].mean()) / axis.std() for axis in (lda[:, 0], pca[:, 0])]
    assert gap[0] > 1.8 and gap[1] < 0.5
    assert lda[:, 1].std() > 1  # two classes have one discriminant; the second axis is what it leaves out


def test_lda_learns_from_training_galaxies_with_a_class_only():
    vectors, names = groups()
    train = np.arange(90) < 60
    honest = fit_projection("lda", vectors, seed=0, classes=names, train_mask=train)
    wrong = names.copy()
    wrong[60:] = np.roll(names[60:], 1)
    np.testing.assert_array_equal(
        honest.coordinates, fit_projection("lda", vectors, seed=0, classes=wrong, train_mask=train).coordinates
    )
    missing = names.copy()
    missing[60:] = None
    np.testing.assert_array_equal(
        honest.coordinates, fit_projection("lda", vectors, seed=0, classes=missing).coordinates
    )
    assert honest.params["n_train"] == 60 and honest.params["classes"] == ["edge_on", "round", "spiral"]


def test_more_dimensions_for_clustering_pack_tightly():
    vectors, _ = groups()
    projection = fit_projection("umap", vectors, seed=0, n_components=10)
    assert projection.coordinates.shape == (90, 10)
    assert projection.params["min_dist"] == 0.0 and projection.params["n_components"] == 10
    assert fit_projection("umap", vectors, seed=0).params["min_dist"] == 0.1


@pytest.mark.parametrize("method", ["umap", "tsne", "pca"])
@pytest.mark.parametrize("n_galaxies", [1, 2, 3, 4, 5, 12])
def test_tiny_catalogs_have_a_map(method, n_galaxies):
    vectors = np.random.default_rng(0).normal(size=(n_galaxies, 6))
    projection = fit_projection(method, vectors, seed=0)
    assert projection.coordinates.shape == (n_galaxies, 2) and np.isfinite(projection.coordinates).all()
    assert (projection.params.get("drawn_by") == "pca") == (method != "pca" and n_galaxies < 4)
    assert np.isfinite(place(projection, vectors[:1])).all()
    if "n_neighbors" in projection.params:
        assert projection.params["n_neighbors"] < n_galaxies
    if "perplexity" in projection.params:
        assert projection.params["perplexity"] == (n_galaxies - 1) / 3


@pytest.mark.parametrize("method", ["umap", "tsne", "pca"])
def test_identical_galaxies_share_one_point(method):
    projection = fit_projection(method, np.full((40, 5), 0.7), seed=0)
    assert np.ptp(projection.coordinates, axis=0).max() < 1e-5


@pytest.mark.parametrize("method", list(METHODS))
def test_repeated_galaxies_have_a_map(method):
    vectors, names = groups(6)
    repeated = np.repeat(vectors, 20, axis=0)
    projection = fit_projection(method, repeated, seed=0, classes=np.repeat(names, 20))
    assert np.isfinite(projection.coordinates).all()


def test_more_axes_than_features_are_zero():
    coordinates = fit_projection("pca", np.arange(5.0)[:, None], seed=0).coordinates
    assert (coordinates[:, 1] == 0).all() and np.ptp(coordinates[:, 0]) == pytest.approx(4)


@pytest.mark.parametrize("method", list(METHODS))
def test_nan_is_named_with_a_count(method):
    vectors, names = groups()
    vectors[4, 2] = np.nan
    with pytest.raises(VectorError, match="1 of 90 galaxies have NaN"):
        fit_projection(method, vectors, seed=0, classes=names)


def test_bad_input_is_one_sentence():
    vectors, names = groups()
    for classes, sentence in (
        (None, "this catalog has none"),
        (np.full(90, "spiral"), "90 training galaxies in 1 classes"),
        (np.full(90, None), "0 training galaxies in 0 classes"),
        (names[:5], "one entry a galaxy"),
    ):
        with pytest.raises(VectorError, match=sentence):
            fit_projection("lda", vectors, seed=0, classes=classes)
    with pytest.raises(VectorError, match="identical"):
        fit_projection("lda", np.ones((90, 4)), seed=0, classes=names)
    with pytest.raises(VectorError, match="choose one of umap, tsne, pca, lda"):
        fit_projection("isomap", vectors, seed=0)
    with pytest.raises(VectorError, match="cannot give 3 dimensions"):
        fit_projection("tsne", vectors, seed=0, n_components=3)
    with pytest.raises(VectorError, match="same model"):
        place(fit_projection("pca", vectors, seed=0), vectors[:, :3])


@pytest.mark.parametrize(
    ("method", "params", "sentence"),
    [
        ("umap", {"n_neighbors": "abc"}, "n_neighbors must be a number of at least 2, not 'abc'"),
        ("umap", {"n_neighbors": -3}, "n_neighbors must be a number of at least 2, not -3"),
        ("umap", {"n_neighbors": 2.5}, "n_neighbors must be a whole number, not 2.5"),
        ("umap", {"min_dist": 7}, "min_dist must be a number from 0 to 1, not 7"),
        ("umap", {"min_dist": np.nan}, "min_dist must be a number from 0 to 1, not nan"),
        ("tsne", {"perplexity": 0}, "perplexity must be a number of at least 1, not 0"),
        ("tsne", {"perplexity": "abc"}, "perplexity must be a number of at least 1, not 'abc'"),
        ("pca", {"seed": -1}, "A seed must be a number from 0 to 4,294,967,295, not -1"),
        ("umap", {"seed": 2**32}, "A seed must be a number from 0 to 4,294,967,295, not 4294967296"),
    ],
)
def test_numbers_that_no_map_can_be_made_with_are_one_sentence(method, params, sentence):
    with pytest.raises(VectorError, match=sentence):
        fit_projection(method, groups()[0], **{"seed": 0, **params})


def test_the_module_loads_without_umap_or_torch():
    code = "import sys, galaxy_core.projection; print(sorted({'umap', 'torch', 'numba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
