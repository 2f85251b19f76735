"""Neighbourhood means: against a loop over galaxies, and at the extremes."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.projection import fit_projection, place
from galaxy_core.smoothing import mean_of_nearest, neighborhood_size, smooth, smooth_new
from galaxy_core.spaces import fit_space
from galaxy_core.vectors import VectorError


def smoothed_by_definition(vectors: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Each vector's mean over the galaxies nearest to it, itself included, one galaxy at a time."""
    nearest = [np.argsort(np.linalg.norm(vectors - v, axis=1), kind="stable")[:n_neighbors] for v in vectors]
    return np.array([vectors[rows].mean(axis=0) for rows in nearest])


def test_steps_agree_with_the_definition():
    vectors = np.random.default_rng(0).normal(size=(120, 5)).astype(np.float32)
    before, once, twice = smooth(vectors, n_neighbors=7, n_steps=2)
    assert before is vectors and twice.dtype == np.float32
    np.testing.assert_allclose(once, smoothed_by_definition(vectors, 7), atol=1e-5)
    np.testing.assert_allclose(twice, smoothed_by_definition(once, 7), atol=1e-5)


def test_a_galaxy_is_placed_where_it_would_be_among_the_others():
    vectors = np.random.default_rng(1).normal(size=(200, 4)).astype(np.float32)
    others, new = vectors[:-1], vectors[-1:]
    levels = smooth(others, n_neighbors=5, n_steps=1)
    placed = smooth_new(new, levels, 5)
    np.testing.assert_allclose(placed[0], smoothed_by_definition(vectors, 5)[-1], atol=1e-5)
    assert (smooth_new(new, smooth(others, 1, 2), 1) == new).all()


def test_smoothing_draws_crowds_together_and_leaves_them_apart():
    rng = np.random.default_rng(0)
    crowd = np.repeat([0, 1], 1_500)
    vectors = (rng.normal(size=(3_000, 10)) + 5 * crowd[:, None]).astype(np.float32)
    after = smooth(vectors, 30, 2)[-1]
    assert after[crowd == 0].std(axis=0).max() < 0.5 * vectors[crowd == 0].std(axis=0).min()
    assert np.linalg.norm(after[crowd == 0].mean(0) - after[crowd == 1].mean(0)) == pytest.approx(5 * 10**0.5, rel=0.05)


def test_neighbourhoods_stay_small_beside_the_catalog():
    assert [neighborhood_size(80, n) for n in (1, 2, 50, 400, 7_999, 240_000)] == [1, 2, 2, 4, 79, 80]
    fitted = fit_projection("smoothed", np.random.default_rng(0).normal(size=(500, 6)), seed=0, n_components=3)
    assert fitted.params["n_neighbors"] == 5 and fitted.params["n_steps"] == 2
    assert len(fitted.params["explained_variance"]) == 3 and fitted.coordinates.shape == (500, 3)


@pytest.mark.parametrize("n_galaxies", [1, 2, 3])
def test_few_galaxies_and_identical_ones(n_galaxies):
    vectors = np.arange(n_galaxies * 3, dtype=float).reshape(n_galaxies, 3)
    fitted = fit_projection("smoothed", vectors, seed=0)
    assert fitted.coordinates.shape == (n_galaxies, 2) and np.isfinite(place(fitted, vectors + 1)).all()
    same = fit_projection("smoothed", np.ones((300, 3)), seed=0).coordinates
    assert np.abs(same).max() < 1e-6
    assert np.allclose(mean_of_nearest(np.ones((2, 3), np.float32), np.ones((4, 3), np.float32), 4), 1)


def test_it_is_a_space_to_cluster_in():
    vectors = np.random.default_rng(0).normal(size=(300, 8))
    made = fit_space("pca_2_of_smoothed_4,n_neighbors=3,n_steps=1", vectors, seed=0)
    assert made.vectors.shape == (300, 2) and made.about["of"]["params"]["n_neighbors"] == 3
    by_hand = smooth(vectors.astype(np.float32), 3, 1)[-1]
    assert np.allclose(np.abs(made.vectors), np.abs(fit_projection("pca", by_hand, 0).coordinates), atol=1e-4)


def test_bad_input_is_one_sentence():
    for params in ({"n_neighbors": 0}, {"n_steps": 0}):
        with pytest.raises(VectorError, match="at least one neighbour and one step"):
            fit_projection("smoothed", np.ones((5, 2)), seed=0, **params)
