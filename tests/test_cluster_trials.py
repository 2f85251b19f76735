"""How the pipeline refits a clustering for its tests: each galaxy once in a new space, those of the null made once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from galaxy_core import cluster_trials, spaces, stability
from galaxy_core.cluster_trials import Trials
from galaxy_core.clustering import fit_clustering
from galaxy_core.silhouette import measure_silhouettes
from galaxy_core.steps import Embedded

N = 80


@pytest.fixture
def galaxies() -> Embedded:
    rng = np.random.default_rng(0)
    kinds = np.arange(N) % 2
    vectors = (kinds[:, None] * 8 + rng.normal(size=(N, 6))).astype(np.float32)
    split = np.where(np.arange(N) % 4 < 3, "train", "test")
    table = pd.DataFrame(
        {"galaxy_id": [f"g{i}" for i in range(N)], "split": split, "class": np.array(["a", "b"])[kinds]}
    )
    return Embedded(table, vectors, "toy", "f")


def trials_of(galaxies: Embedded, space: str = "pca_2", method: str = "kmeans", params=None, **asked):
    settings = {"method": method, "space": space, "params": params or {"n_clusters": 2}, "seed": 3, **asked}
    vectors = galaxies.vectors if space == "embedding" else spaces.fit_space(space, galaxies.vectors, 0).vectors
    return Trials(galaxies, settings, 0), fit_clustering(method, vectors, 3, **settings["params"]), vectors


def test_nothing_is_measured_that_was_not_asked_for(galaxies):
    trials, fitted, vectors = trials_of(galaxies)
    assert trials.measure(fitted, vectors) == {}


def test_the_null_is_measured_in_the_space_and_in_the_embedding(galaxies):
    trials, fitted, vectors = trials_of(galaxies, null=True)
    null = trials.measure(fitted, vectors)["null"]
    for found, (kind, seed) in zip(null["each"], stability.draws_of(3, 1), strict=True):
        drawn = stability.data_without_groups(galaxies.vectors, kind, seed)
        flat = spaces.fit_space("pca_2", drawn, 0).vectors
        labels = fit_clustering("kmeans", flat, seed, n_clusters=2).labels
        assert found["strict"] == pytest.approx(measure_silhouettes(flat, labels, seed).values.mean(dtype=float))
        inside = measure_silhouettes(drawn, labels, seed).values.mean(dtype=float)
        assert found["strict_embedding"] == pytest.approx(inside) and inside < found["strict"]
    trials, fitted, vectors = trials_of(galaxies, "embedding", null=True)
    null = trials.measure(fitted, vectors)["null"]
    assert null["strict_embedding"] == null["strict"]


def test_every_draw_of_a_null_is_kept_and_the_highest_stands_for_them(galaxies):
    trials, fitted, vectors = trials_of(galaxies, null=3)
    null = trials.measure(fitted, vectors)["null"]
    each = null.pop("each")
    assert len({one["strict"] for one in each}) == 6 and null == max(each, key=lambda one: one["strict"])
    for k in range(3):  # each with its own silhouette in the embedding that was drawn
        alone, fitted, vectors = trials_of(galaxies, null=1)
        alone = Trials(galaxies, alone.settings | {"seed": 3 + k}, 0)
        assert alone.measure(fitted, vectors)["null"]["each"] == each[k::3]


def test_a_null_without_clusters_is_nothing_in_both_spaces(galaxies):
    trials, fitted, vectors = trials_of(galaxies, method="hdbscan", params={"min_cluster_size": 30}, null=True)
    assert fitted.n_clusters == 2
    null = trials.measure(fitted, vectors)["null"]
    assert null["n_clusters"] == 0 and null["strict"] == null["strict_embedding"] == 0


def test_clusterings_of_one_space_share_those_of_the_null(galaxies, monkeypatch):
    made, fit_space, shared = [], spaces.fit_space, {}
    monkeypatch.setattr(spaces, "fit_space", lambda name, *a: made.append((name, a[1])) or fit_space(name, *a))
    found = []
    for k in (2, 3):
        trials, fitted, vectors = trials_of(galaxies, params={"n_clusters": k}, null=True)
        made.clear() if k == 2 else None
        found.append(Trials(galaxies, trials.settings, 0, shared).measure(fitted, vectors)["null"]["n_clusters"])
    assert found == [2, 3] and len(shared) == 2  # what was made: those of the null, and the space of the second
    assert made == [("pca_2", 0)] * 3, "by the seed of the space that was clustered"


def test_a_redrawn_space_is_made_of_each_galaxy_once_and_told(galaxies, monkeypatch):
    trials, fitted, vectors = trials_of(galaxies, redraws=3)
    seen, seeds, told, fit_space = [], set(), [], spaces.fit_space

    def watched(name, embedding, seed, classes, train_mask):
        seen.append((embedding, classes, train_mask))
        seeds.add(seed)
        return fit_space(name, embedding, seed, classes, train_mask)

    monkeypatch.setattr(cluster_trials.spaces, "fit_space", watched)
    trials = Trials(galaxies, trials.settings, 0, progress=lambda *what: told.append(what))
    found = trials.measure(fitted, vectors)["stability_redrawn"]
    assert found["n_refits"] == 3 and found["ari"] == pytest.approx(1) and found["jaccard"] == {"0": 1.0, "1": 1.0}
    row_of = {tuple(vector): row for row, vector in enumerate(galaxies.vectors)}
    for embedding, classes, train_mask in seen:
        rows = [row_of[tuple(vector)] for vector in embedding]
        assert rows == sorted(set(rows)) and 0.5 * N < len(rows) < 0.8 * N
        assert classes.tolist() == galaxies.table["class"].iloc[rows].tolist()
        assert train_mask.tolist() == (galaxies.table["split"].iloc[rows] == "train").tolist()
    assert told[0] == ("redraws", 0, 3) and told[-1] == ("redraws", 3, 3)
    assert len(seeds) == 3, "each space by a seed of its own"


def test_a_cluster_that_only_one_drawing_shows_does_not_come_back(galaxies, monkeypatch):
    """A space that puts galaxies anywhere: what is found in one drawing is not found in the next."""
    trials, _, _ = trials_of(galaxies)

    def anywhere(name, embedding, seed, *_):
        rng = np.random.default_rng(seed)
        places = rng.integers(0, 2, len(embedding))[:, None] * 9 + rng.normal(size=(len(embedding), 2))
        return spaces.Space(name, places.astype(np.float32), {})

    monkeypatch.setattr(cluster_trials.spaces, "fit_space", anywhere)
    vectors = anywhere("pca_2", galaxies.vectors, 0).vectors
    fitted = fit_clustering("kmeans", vectors, 3, n_clusters=2)
    found = Trials(galaxies, trials.settings | {"stability": 4, "redraws": 4}, 0).measure(fitted, vectors)
    assert found["stability"]["ari"] == pytest.approx(1)
    assert abs(found["stability_redrawn"]["ari"]) < 0.2
    assert max(found["stability_redrawn"]["jaccard"].values()) < 0.75


def test_refits_start_as_often_as_the_fit_so_that_a_small_group_comes_back():
    """One start of k-means misses a group of one in sixty as often as not; it is as real as any."""
    rng = np.random.default_rng(0)
    vectors = np.vstack([rng.normal(size=(600, 3)), rng.normal(size=(10, 3)) + 9 * np.eye(3)[0]]).astype(np.float32)
    fitted = fit_clustering("kmeans", vectors, 0, n_clusters=2)
    assert np.bincount(fitted.labels).tolist() == [600, 10]
    settings = {"method": "kmeans", "space": "embedding", "params": {"n_clusters": 2}, "seed": 0, "stability": 10}
    table = pd.DataFrame({"galaxy_id": np.arange(610).astype(str), "split": "train"})
    found = Trials(Embedded(table, vectors, "toy", "f"), settings, 0).measure(fitted, vectors)["stability"]
    assert min(found["jaccard"].values()) > 0.9 and found["params"]["n_init"] == 10


def test_a_sample_is_tried_with_its_share_of_the_parameters(galaxies, monkeypatch):
    """Of a catalog four times as large: refits and the null are looked at with what the fit was made with."""
    asked = {"min_cluster_size": 40, "min_samples": 20}
    settings = {"method": "hdbscan", "space": "pca_2", "params": asked, "seed": 3}
    settings |= {"stability": 1, "redraws": 1, "null": True}
    vectors = spaces.fit_space("pca_2", galaxies.vectors, 0).vectors
    fitted = fit_clustering("hdbscan", vectors, 3, min_cluster_size=10, min_samples=5)
    seen = watch_fits(monkeypatch)
    found = Trials(galaxies, settings, 0).measure(fitted, vectors)
    assert [n for n, _ in seen] == [seen[0][0]] * 2 + [N] * 2 and 0.5 * N < seen[0][0] < 0.75 * N
    for n, params in seen:
        share = n / N
        assert params["min_cluster_size"] == round(10 * share) and params["min_samples"] == max(4, round(5 * share))
    assert found["stability_redrawn"]["jaccard"]["0"] > 0.9 and found["stability"]["jaccard"]["0"] > 0.9


@pytest.mark.parametrize("asked", [{}, {"eps": 2.5}, {"eps": None}])
def test_what_was_read_from_the_galaxies_is_read_again(galaxies, monkeypatch, asked):
    trials, fitted, vectors = trials_of(
        galaxies, method="dbscan", params={"min_samples": 8, **asked}, stability=1, redraws=1, null=True
    )
    seen = watch_fits(monkeypatch)
    found = trials.measure(fitted, vectors)
    assert len(seen) == 4 and fitted.params["eps"] > 0
    for n, params in seen:
        if asked.get("eps"):  # as many within it as that share of the galaxies has
            assert params["eps"] == 2.5 and params["min_samples"] == max(4, round(8 * n / N))
        else:
            assert params == {"min_samples": 8}
    assert found["stability"]["params"] == {"min_samples": 8, **{k: v for k, v in asked.items() if v}}


def watch_fits(monkeypatch) -> list[tuple[int, dict]]:
    """How many galaxies every clustering from now on is of, and its parameters."""
    seen, fit = [], cluster_trials.clustering.fit_clustering

    def watched(method, vectors, seed, **params):
        seen.append((len(vectors), params))
        return fit(method, vectors, seed, **params)

    monkeypatch.setattr(cluster_trials.clustering, "fit_clustering", watched)
    monkeypatch.setattr(stability, "fit_clustering", watched)
    return seen
