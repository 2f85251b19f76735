"""Trust in maps: against the definitions spelled out, scikit-learn, and maps whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from galaxy_core import map_trust
from galaxy_core.map_trust import measure_trust, neighborhood_preservation, trust_of_queries
from galaxy_core.similarity import nearest_neighbors, unit_vectors
from galaxy_core.vectors import VectorError


def galaxies(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors, their stored neighbours, and a map that is half right."""
    rng = np.random.default_rng(seed)
    vectors = unit_vectors(rng.normal(size=(n, 6)).astype(np.float32))
    index, _ = nearest_neighbors(vectors, 12)
    return vectors, index, (vectors[:, :2] + rng.normal(0, 0.3, (n, 2))).astype(np.float32)


def ranks(distance: np.ndarray, i: int) -> np.ndarray:
    """Rank of every galaxy by nearness to galaxy i, itself 0, ties by row: the definition, slowly."""
    others = sorted((d, j) for j, d in enumerate(distance) if j != i)
    place = {j: rank for rank, (_, j) in enumerate(others, 1)}
    return np.array([place.get(j, 0) for j in range(len(distance))])


def naive(vectors: np.ndarray, flat: np.ndarray, k: int) -> tuple[float, float, list[float]]:
    """Trustworthiness, continuity and preservation, straight from the formulas of Venna & Kaski (2001)."""
    n, false, torn, kept = len(vectors), 0, 0, []
    flat = flat.astype(np.float64)
    for i in range(n):
        embedded = ranks(-np.round(vectors @ vectors[i], 6), i)
        on_map = ranks(((flat - flat[i]) ** 2).sum(axis=1), i)
        near, near_on_map = (set(np.flatnonzero((r >= 1) & (r <= k))) for r in (embedded, on_map))
        false += sum(embedded[j] - k for j in near_on_map - near)
        torn += sum(on_map[j] - k for j in near - near_on_map)
        kept.append(len(near & near_on_map) / k)
    scale = 2 / (n * k * (2 * n - 3 * k - 1))
    return 1 - scale * false, 1 - scale * torn, kept


@pytest.mark.parametrize(("n", "k"), [(60, 12), (25, 12), (24, 11), (7, 3), (3, 1)])
def test_numbers_are_those_of_the_definitions(n, k):
    vectors, index, flat = galaxies(n)
    trust = measure_trust(vectors, index, flat, seed=0)
    expected_trust, expected_continuity, kept = naive(vectors, flat, k)
    assert trust.k == k and trust.n_queries == trust.n_galaxies == n
    assert trust.trustworthiness == pytest.approx(expected_trust, abs=1e-9)
    assert trust.continuity == pytest.approx(expected_continuity, abs=1e-9)
    np.testing.assert_allclose(trust.per_galaxy, kept, atol=1e-6)
    assert trust.per_galaxy.dtype == np.float32 and trust.preservation == pytest.approx(np.mean(kept), abs=1e-6)


def test_trustworthiness_is_that_of_scikit_learn_and_continuity_its_mirror():
    vectors, index, flat = galaxies(300)
    trust = measure_trust(vectors, index, flat, seed=0)
    assert trust.trustworthiness == pytest.approx(trustworthiness(vectors, flat, n_neighbors=12), abs=1e-4)
    assert trust.continuity == pytest.approx(trustworthiness(flat, vectors, n_neighbors=12), abs=1e-4)


def test_equally_near_galaxies_are_ranked_by_row_in_both_spaces():
    rng = np.random.default_rng(3)
    vectors = rng.choice([-0.5, 0.5], (40, 4)) + rng.normal(0, 3e-8, (40, 4))  # cosines differ by less than they tell
    vectors, flat = vectors.astype(np.float32), rng.integers(0, 3, (40, 2)).astype(np.float32)
    trust = measure_trust(vectors, nearest_neighbors(vectors, 12)[0], flat, seed=0)
    assert (trust.trustworthiness, trust.continuity) == pytest.approx(naive(vectors, flat, 12)[:2], abs=1e-9)


def test_only_angles_count_in_the_embedding():
    vectors, index, flat = galaxies(50)
    longer = vectors * np.random.default_rng(1).uniform(1, 9, (50, 1)).astype(np.float32)
    assert measure_trust(longer, index, flat, 0).as_dict() == measure_trust(vectors, index, flat, 0).as_dict()


def test_a_perfect_map_has_one_and_a_random_one_about_a_half():
    angle = np.random.default_rng(0).uniform(0, 1.5, 400)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    index, _ = nearest_neighbors(circle.astype(np.float32), 12)
    perfect = measure_trust(circle, index, np.stack([angle, np.zeros(400)], axis=1), 0)
    assert perfect.trustworthiness > 0.9999 and perfect.continuity > 0.9999 and perfect.preservation > 0.99
    chance = measure_trust(circle, index, np.random.default_rng(1).normal(size=(400, 2)), 0)
    assert chance.trustworthiness == pytest.approx(0.5, abs=0.03) == chance.continuity
    assert chance.preservation == pytest.approx(12 / 399, abs=0.02)


def test_false_neighbours_lower_trustworthiness_and_torn_ones_continuity():
    """Two groups laid on top of each other, and one group torn into two."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 0.4, 200)
    apart = np.stack(
        [np.cos(angle + np.pi / 2 * (np.arange(200) % 2)), np.sin(angle + np.pi / 2 * (np.arange(200) % 2))], 1
    )
    glued = measure_trust(apart, nearest_neighbors(apart, 12)[0], np.stack([angle, 0 * angle], 1), 0)
    assert glued.trustworthiness < glued.continuity - 0.1
    one = np.stack([np.cos(angle), np.sin(angle)], 1)
    torn = measure_trust(one, nearest_neighbors(one, 12)[0], np.stack([angle, 9.0 * (np.arange(200) % 2)], 1), 0)
    assert torn.continuity < torn.trustworthiness - 0.1


def test_a_sample_of_queries_ranks_among_all_and_its_interval_holds_the_truth():
    vectors, index, flat = galaxies(900)
    exact = measure_trust(vectors, index, flat, seed=0)
    sample = measure_trust(vectors, index, flat, seed=0, n_queries=300)
    assert sample.n_queries == 300 and sample.n_galaxies == 900
    np.testing.assert_array_equal(sample.per_galaxy, exact.per_galaxy)
    for name in ("trustworthiness", "continuity"):
        low, high = getattr(sample, f"{name}_interval")
        assert low < getattr(exact, name) < high and low < getattr(sample, name) < high and high - low < 0.05
    assert sample.as_dict() == measure_trust(vectors, index, flat, seed=0, n_queries=300).as_dict()
    assert sample.trustworthiness != measure_trust(vectors, index, flat, seed=1, n_queries=300).trustworthiness


def test_blocks_change_nothing(monkeypatch):
    vectors, index, flat = galaxies(70)
    whole = measure_trust(vectors, index, flat, 0)
    monkeypatch.setattr(map_trust, "CHUNK_ELEMENTS", 200)
    blocks = measure_trust(vectors, index, flat, 0)
    assert blocks.as_dict() == whole.as_dict()
    np.testing.assert_array_equal(blocks.per_galaxy, whole.per_galaxy)


def test_identical_galaxies_at_one_place_lose_nothing():
    vectors = np.tile(np.float32([[0.6, 0.8]]), (40, 1))
    trust = measure_trust(vectors, nearest_neighbors(vectors, 12)[0], np.zeros((40, 2)), 0)
    assert trust.preservation == trust.trustworthiness == trust.continuity == 1


def test_those_that_tie_with_the_last_neighbour_on_the_map_are_near():
    flat = np.array([[0.0, 0], [1, 0], [-1, 0], [0, 1], [0, -1], [3, 3]])
    neighbors = np.array([[4, 3], [0, 5], [0, 5], [0, 5], [0, 5], [0, 1]])
    assert neighborhood_preservation(neighbors, flat).tolist() == [1, 0.5, 0.5, 0.5, 0.5, 0.5]


def test_galaxies_that_are_not_on_the_map_are_left_out_and_lost_as_neighbours():
    vectors, index, flat = galaxies(60)
    flat[[3, 20]] = np.nan
    trust = measure_trust(vectors, index, flat, 0)
    assert np.flatnonzero(np.isnan(trust.per_galaxy)).tolist() == [3, 20] and trust.n_galaxies == 58
    kept = np.setdiff1d(np.arange(60), [3, 20])
    rest = measure_trust(vectors[kept], nearest_neighbors(vectors[kept], 12)[0], flat[kept], 0)
    assert trust.trustworthiness == rest.trustworthiness and trust.continuity == rest.continuity
    has_lost = np.isin(index[kept], [3, 20]).any(axis=1)
    assert has_lost.any() and (trust.per_galaxy[kept][has_lost] < 1).all()
    np.testing.assert_allclose(trust.per_galaxy[kept][~has_lost], rest.per_galaxy[~has_lost])
    flat[:] = np.nan
    nowhere = measure_trust(vectors, index, flat, 0)
    assert np.isnan(nowhere.per_galaxy).all() and nowhere.trustworthiness is None and nowhere.n_galaxies == 0


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_galaxies_have_nothing_to_measure(n):
    vectors, index, flat = galaxies(n)
    trust = measure_trust(vectors, index, flat, 0)
    assert np.isnan(trust.per_galaxy).all() and trust.per_galaxy.shape == (n,)
    values = trust.as_dict()
    assert (values.pop("k"), values.pop("n_queries"), values.pop("n_galaxies")) == (0, 0, n)
    assert set(values.values()) == {None}


def test_what_does_not_fit_together_is_one_sentence():
    vectors, index, flat = galaxies(30)
    with pytest.raises(VectorError, match="from the same catalog"):
        measure_trust(vectors, index[:20], flat, 0)
    with pytest.raises(VectorError, match="from the same catalog"):
        measure_trust(vectors, index, flat[:, :1], 0)
    with pytest.raises(VectorError, match="NaN"):
        measure_trust(np.full_like(vectors, np.nan), index, flat, 0)
    with pytest.raises(VectorError, match="below n / 2"):
        trust_of_queries(vectors, flat.astype(float), np.arange(3), 15)
