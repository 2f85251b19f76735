"""Gaps between clusters: against the definition written out, and of continua and groups that are known."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.cluster_gaps import CHUNK, FEWEST, STEPS, measure_gaps
from galaxy_core.clustering import fit_clustering
from galaxy_core.similarity import unit_vectors
from pages.views.verdict import GAP, WIDE_GAP


def by_definition(labels, vectors) -> dict[int, float]:
    """Every galaxy and every pair of clusters on its own."""
    names = [name for name in np.unique(labels[labels >= 0]) if (labels == name).sum() >= FEWEST]
    unit, halves = unit_vectors(vectors).astype(float), np.empty(len(labels), int)
    halves[np.argsort(labels, kind="stable")] = np.arange(len(labels)) % 2
    means = {(h, name): unit[(halves == h) & (labels == name)].mean(axis=0) for h in (0, 1) for name in names}
    found = {}
    for a in names:
        depths = []
        for b in (b for b in names if b != a):
            counts = np.zeros(STEPS + 1)
            for point, half in zip(unit, halves, strict=True):
                nearest = min(names, key=lambda name: np.sum((point - means[1 - half, name]) ** 2))
                line = means[1 - half, b] - means[1 - half, a]
                step = round(STEPS * (point - means[1 - half, a]) @ line / (line @ line))
                if nearest in (a, b) and 0 <= step <= STEPS:
                    counts[step] += 1
            for k in range(1, STEPS):
                peak = min(counts[:k].max(), counts[k + 1 :].max())
                depths.append((b, 1 - (counts[k] + np.sqrt(counts[k]) + 1) / (peak - np.sqrt(peak) + 1)))
        found[int(a)] = min(max(0, *(depth for name, depth in depths if name == b)) for b, _ in depths)
    return found


@pytest.mark.parametrize("n_clusters", [2, 4])
def test_gaps_agree_with_their_definition(n_clusters):
    rng = np.random.default_rng(n_clusters)
    vectors = rng.normal(size=(200, 4)) + 4 * np.eye(4)[rng.integers(0, 3, 200)]
    labels = fit_clustering("kmeans", vectors, 0, n_clusters=n_clusters).labels.copy()
    labels[rng.random(200) < 0.3] = -1  # counted, too
    labels[: FEWEST - 1] = 7
    found = measure_gaps(labels, vectors)
    assert found == pytest.approx(by_definition(labels, vectors))
    assert sorted(found) == list(range(n_clusters)) and max(found.values()) > 0.1


def on_sphere(flat: np.ndarray, seed: int = 0) -> np.ndarray:
    """Places turned at random into 48 dimensions and put on a sphere, as embeddings are."""
    rng = np.random.default_rng(seed)
    turned, _ = np.linalg.qr(rng.normal(size=(48, 48)))
    middle = rng.normal(size=48)
    return flat @ turned[: flat.shape[1]] / (2 * flat.std() * flat.shape[1] ** 0.5) + 1.5 * middle / np.linalg.norm(
        middle
    )


def continuum(kind: str, n: int = 1500) -> np.ndarray:
    rng = np.random.default_rng(0)
    angle, u = np.pi * rng.random(n), rng.random(n)
    bent = np.column_stack([np.cos(angle), np.sin(angle)])
    side = np.where(u < 0.5, 1.0, -1.0)
    flat = {
        "half ring": bent,
        "ring": np.column_stack([np.cos(2 * angle), np.sin(2 * angle)]),
        "S": np.column_stack([-side * np.sin(angle), side * (1 - np.cos(angle))]),
        "curved sheet": np.column_stack([bent, 2 * u]),
        "Gaussian": rng.normal(size=(n, 32)),
        "square": rng.random((n, 2)),
        "curled": np.cos(3 * rng.random((n, 2)) @ rng.normal(size=(2, 40)) + 2 * np.pi * rng.random(40)),
    }[kind]
    return on_sphere(flat + (kind != "Gaussian") * 0.05 * rng.normal(size=flat.shape))


@pytest.mark.parametrize("method", ["kmeans 2", "kmeans 5", "hdbscan"])
@pytest.mark.parametrize("kind", ["half ring", "ring", "S", "curved sheet", "Gaussian", "square", "curled"])
def test_cuts_through_a_continuum_are_no_gaps(kind, method):
    vectors, (name, *k) = continuum(kind), method.split()
    space = (
        np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)[0][:, :3] if name == "hdbscan" else vectors
    )
    labels = fit_clustering(name, space, 0, **({"n_clusters": int(k[0])} if k else {"min_cluster_size": 20})).labels
    gaps = list(measure_gaps(labels, vectors).values())
    assert not gaps or np.median(gaps) < GAP > min(gaps)


@pytest.mark.parametrize("n_features", [2, 8, 32])
@pytest.mark.parametrize(
    ("sizes", "apart", "least", "most"),
    [
        ([750, 750], 0.5, 0, 0.1),
        ([750, 750], 4, GAP, 0.8),
        ([300] * 5, 4, 0.4, 0.8),
        ([300] * 5, 5, WIDE_GAP, 0.95),
        ([1480, 20], 8, WIDE_GAP, 1),
        ([750, 750], 8, 0.95, 1),
    ],
)
def test_the_further_groups_are_apart_the_wider_is_the_gap_whatever_the_dimension(
    sizes, apart, least, most, n_features
):
    angles = 2 * np.pi * np.arange(len(sizes)) / len(sizes)
    circle = apart / 2 / np.sin(np.pi / len(sizes)) * np.column_stack([np.cos(angles), np.sin(angles)])
    labels = np.repeat(np.arange(len(sizes)), sizes)
    flat = np.random.default_rng(n_features).normal(size=(len(labels), n_features))
    flat[:, :2] += circle[labels]
    labels[::10] = -1
    gaps = measure_gaps(labels, on_sphere(flat))
    assert len(gaps) == len(sizes) and least <= min(gaps.values()) <= max(gaps.values()) <= most


def test_galaxies_that_were_put_wrongly_or_left_out_make_no_gap_and_close_none():
    rng = np.random.default_rng(0)
    labels = np.arange(1000) % 2
    vectors = on_sphere(rng.normal(size=(1000, 8)) + 3 * labels[:, None])
    labels[:20] = 1 - labels[:20]
    assert min(measure_gaps(labels, vectors).values()) > WIDE_GAP
    assert max(measure_gaps(rng.integers(0, 5, 1000), vectors).values()) < 0.2
    line = rng.random(2000)
    ends = np.where(line < 0.3, 0, np.where(line > 0.7, 1, -1))
    assert max(measure_gaps(ends, on_sphere(np.column_stack([line, 0.1 * rng.normal(size=2000)]))).values()) < GAP


def test_where_there_is_nothing_to_part_or_to_go_by_there_is_no_number():
    vectors, halves = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    assert measure_gaps(np.zeros(40, int), vectors) == {} == measure_gaps(np.full(40, -1), vectors)
    assert measure_gaps(np.repeat([0, 1], [40 - FEWEST + 1, FEWEST - 1]), vectors) == {}
    assert sorted(measure_gaps(np.repeat([0, 1], [40 - FEWEST, FEWEST]), vectors)) == [0, 1]
    assert measure_gaps(halves, np.ones((40, 3))) == {0: 0.0, 1: 0.0}  # all galaxies alike


def test_chunks_change_nothing(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(300, 3))
    labels, whole = fit_clustering("kmeans", vectors, 0, n_clusters=3).labels, CHUNK
    before = measure_gaps(labels, vectors)
    monkeypatch.setattr("galaxy_core.cluster_gaps.CHUNK", 64)
    assert whole > 300 and measure_gaps(labels, vectors) == pytest.approx(before)
