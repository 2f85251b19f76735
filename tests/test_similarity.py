"""Nearest neighbours: those a sort of all cosines gives."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core import similarity
from galaxy_core.similarity import nearest_neighbors, unit_vectors
from galaxy_core.vectors import VectorError


def neighbors_by_sorting(vectors: np.ndarray, k: int) -> list[list[int]]:
    """Neighbours of every row by the definition of the cosine, ties by row."""
    rows = []
    for i, vector in enumerate(vectors):
        cosines = [
            (-round(float(vector @ other / np.linalg.norm(vector) / np.linalg.norm(other)), 6), j)
            for j, other in enumerate(vectors)
            if j != i
        ]
        rows.append([j for _, j in sorted(cosines)[:k]])
    return rows


def test_agrees_with_sorting_every_cosine_whatever_the_chunk(monkeypatch):
    vectors = np.random.default_rng(2).normal(size=(150, 6)) * np.linspace(0.01, 50, 150)[:, None]
    index, cosines = nearest_neighbors(vectors, 12)
    assert index.tolist() == neighbors_by_sorting(vectors, 12)
    assert index.dtype == np.int32 and cosines.dtype == np.float32 and index.shape == cosines.shape == (150, 12)
    assert (np.diff(cosines, axis=1) <= 0).all()
    for rows, columns in ((7, 11), (150, 13), (1, 150), (64, 200)):  # fewer columns than neighbours, too
        monkeypatch.setattr(similarity, "BLOCK_ROWS", rows)
        monkeypatch.setattr(similarity, "BLOCK_COLUMNS", columns)
        np.testing.assert_array_equal(nearest_neighbors(vectors, 12)[0], index)


def test_equal_similarities_are_ordered_by_row_across_blocks(monkeypatch):
    """Vectors of whole numbers, among them zeros and duplicates: most similarities come several times."""
    vectors = np.random.default_rng(0).integers(-2, 3, (300, 4)).astype(np.float32)
    vectors[5:7] = 0
    lengths = np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1)
    cosines = np.round(unit @ unit.T, 6)
    np.fill_diagonal(cosines, -9)
    monkeypatch.setattr(similarity, "BLOCK_ROWS", 32)
    monkeypatch.setattr(similarity, "BLOCK_COLUMNS", 50)
    index, found = nearest_neighbors(vectors, 12)
    np.testing.assert_array_equal(index, np.argsort(-cosines, axis=1, kind="stable")[:, :12])
    np.testing.assert_allclose(found, -np.sort(-cosines, axis=1)[:, :12], atol=1e-6)


def test_some_rows_are_as_similar_to_one_vector_as_among_all(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    vectors[3] = 0
    naive = [v @ vectors[9] / max(np.linalg.norm(v) * np.linalg.norm(vectors[9]), 1e-30) for v in vectors]
    monkeypatch.setattr(similarity, "READ_ROWS", 6)
    found, rows = similarity.similarities_to(vectors, vectors[9]), np.r_[39, 9, 3, 20:30]
    np.testing.assert_allclose(found, naive, atol=1e-5)
    np.testing.assert_array_equal(similarity.similarities_to(vectors, vectors[9], rows), found[rows])


def test_similarity_is_the_cosine_of_the_angle():
    degrees = np.deg2rad([0, 10, 60, 180])
    vectors = np.stack([np.cos(degrees), np.sin(degrees)], axis=1) * np.array([[1], [7], [0.2], [3]])
    index, cosines = nearest_neighbors(vectors, 3)
    assert index[0].tolist() == [1, 2, 3]
    np.testing.assert_allclose(cosines[0], np.cos(np.deg2rad([10, 60, 180])), atol=2e-6)


def test_duplicates_are_neighbours_in_row_order_and_never_oneself():
    vectors = np.tile([[0.3, 0.1, 0.9]], (6, 1))
    index, cosines = nearest_neighbors(vectors, 3)
    assert index.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2], [0, 1, 2]]
    np.testing.assert_allclose(cosines, 1, atol=1e-6)
    assert cosines.max() <= 1


def test_small_catalogs_give_the_neighbours_there_are():
    assert nearest_neighbors(np.ones((1, 4)), 12)[0].shape == (1, 0)
    assert nearest_neighbors(np.eye(2), 12)[0].tolist() == [[1], [0]]
    assert nearest_neighbors(np.eye(5), 12)[1].shape == (5, 4)


def test_a_zero_vector_resembles_nothing():
    _, cosines = nearest_neighbors(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]), 2)
    assert (cosines[0] == 0).all() and np.isfinite(cosines).all()


def test_bad_input_is_one_sentence():
    with pytest.raises(VectorError, match="1 of 3 galaxies have NaN"):
        nearest_neighbors(np.array([[1.0], [np.nan], [2.0]]), 1)
    with pytest.raises(VectorError, match="at least 1"):
        nearest_neighbors(np.eye(3), 0)


def test_unit_vectors_survive_huge_and_tiny_values():
    lengths = np.linalg.norm(unit_vectors(np.array([[1e30, 1e30], [1e-30, 0], [0, 0]], dtype=np.float32)), axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 0], atol=1e-6)
