"""Galaxies that were not fitted on: placed alike by any engine, after any death, and from arrays in a file alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from galaxy_core import clustering, placer
from galaxy_core.clustering import fit_clustering
from galaxy_core.image_steps import silent
from galaxy_core.place_steps import placing, read_fit, remove_parts
from galaxy_core.placer import NOBODY, Fitted, Placer, fill_in, openers_of, place_others, rows_to_place
from galaxy_core.placing import grow_trees, open_beside, open_tsne
from galaxy_core.projection import fit_projection
from galaxy_core.spaces import fit_space
from galaxy_core.vectors import VectorError
from tests.place_child import OPENERS, SAMPLE, VECTORS, N, place
from tests.test_sampling import crowd

pytestmark = pytest.mark.usefixtures("small_shards")

METHODS = {
    "hdbscan": {"min_cluster_size": 60},
    "kmeans": {"n_clusters": 3},
    "dbscan": {},
    "agglomerative": {"n_clusters": 3},
    "gmm": {"n_clusters": 3},
}


def assert_same(first: list, second: list) -> None:
    """Equal to the last bit, types included."""
    assert len(first) == len(second)
    for one, two in zip(first, second, strict=True):
        assert [(a.dtype, a.shape, a.tobytes()) for a in one] == [(a.dtype, a.shape, a.tobytes()) for a in two]


@pytest.mark.parametrize("method", METHODS)
def test_clusters_from_a_file_are_those_of_memory(method, tmp_path, monkeypatch):
    monkeypatch.setattr(placer, "SHARD", 100)
    vectors, _ = crowd(600)
    sample = np.arange(0, 600, 3)
    here = fit_clustering(method, vectors, 0, sample=sample, **METHODS[method])
    through = placing(tmp_path, "c", None, silent)
    there = fit_clustering(method, vectors, 0, sample=sample, place=through, **METHODS[method])
    assert_same([(here.labels, here.membership)], [(there.labels, there.membership)])
    assert (here.params, here.measures, here.notes) == (there.params, there.measures, there.notes)
    assert here.n_clusters and len(list(tmp_path.iterdir())) == 7  # the fit and six shards
    assert_same([here.place(vectors[:9])], [there.place(vectors[:9])])


# above a thousand galaxies openTSNE has another search for neighbours
@pytest.mark.parametrize(
    "method, n_sample", [("tsne", 200), ("tsne", 1_100), ("lda", 200), ("pca", 200), ("smoothed", 200)]
)
def test_maps_from_a_file_are_those_of_memory(method, n_sample, tmp_path, monkeypatch):
    monkeypatch.setattr(placer, "SHARD", 100)
    vectors, group = crowd(n_sample + 250)
    sample = np.sort(np.random.default_rng(1).permutation(len(vectors))[:n_sample])
    extra = {"classes": group.astype(str).astype(object)} if method == "lda" else {}
    here = fit_projection(method, vectors, 0, sample=sample, **extra)
    there = fit_projection(method, vectors, 0, sample=sample, place=placing(tmp_path, "m", None, silent), **extra)
    assert_same([(here.coordinates,)], [(there.coordinates,)])
    assert here.params == there.params and (tmp_path / "m.placing-fit.npz").is_file()


def test_tsne_places_a_shard_alike_whatever_was_placed_before():
    vectors, _ = crowd(150)
    transform = fit_projection("tsne", vectors[:90], 0).transform
    first = transform(vectors[90:120])
    transform(vectors[120:])
    np.testing.assert_array_equal(transform(vectors[90:120]), first)


def test_beside_from_a_file_is_beside_from_memory(tmp_path):
    vectors, _ = crowd(90)
    sample, coordinates = np.arange(0, 90, 2), np.random.default_rng(0).normal(size=(45, 2)).astype(np.float32)
    arrays = {"vectors": vectors[sample], "coordinates": coordinates}
    fitted = Fitted(Placer(open_beside, lambda: arrays), {}, {})
    _, placed = placing(tmp_path, "u", None, silent)(lambda: fitted, vectors, sample, openers_of(open_beside))
    others = np.concatenate([part for (part,) in placed])
    for rows in (slice(0, 4), slice(4, 8)):  # a shard has four that are not in the sample
        np.testing.assert_array_equal(others[rows], open_beside(**arrays)(vectors[1::2][rows]))


@pytest.mark.parametrize("workers", [0, 2])
def test_all_engines_place_alike_and_the_fit_comes_back_whole(workers, tmp_path, engines):
    told = []
    fitted, placed = place(tmp_path, engines[workers], lambda *said: told.append(said))
    expected = place_others(lambda: fitted, VECTORS, SAMPLE, OPENERS)[1]
    assert_same(placed, expected)
    others = np.setdiff1d(np.arange(N), SAMPLE)
    np.testing.assert_array_equal(fill_in(N, SAMPLE, 2 * VECTORS[SAMPLE], [part[0] for part in placed]), 2 * VECTORS)
    assert told[0] == ("placing", 0, len(others)) and told[-1] == ("placing", len(others), len(others))
    assert fitted.about == {"n": 0.1, "words": ["α", None]} and (tmp_path / "fits").read_text() == "fit\n"
    np.testing.assert_array_equal(fitted.arrays["own"], VECTORS[SAMPLE])
    (tmp_path / "parts" / "map.npz").touch()
    remove_parts(tmp_path / "parts", "ma")
    assert len(list((tmp_path / "parts").iterdir())) == 7 + (workers > 0)  # the vectors, where others read them
    remove_parts(tmp_path / "parts", "map")
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["map.npz"]


def test_a_worker_that_is_killed_costs_nothing(tmp_path, engines):
    _, placed = place(tmp_path, engines[2], deadly=True)
    assert (tmp_path / "died").exists()
    assert_same(placed, [(2 * part, part.sum(axis=1)) for part in shards_of(VECTORS)])


def shards_of(vectors: np.ndarray) -> list[np.ndarray]:
    return [vectors[rows_to_place(start, start + 8, SAMPLE)] for start in range(0, N, 8)]


def test_killed_while_placing_it_goes_on_where_it_was(tmp_path):
    child = subprocess.Popen([sys.executable, str(Path(__file__).with_name("place_child.py")), str(tmp_path)])
    parts = tmp_path / "parts"
    for _ in range(12_000):
        if len(list(parts.glob("map.placing-0*.npz"))) >= 2:
            break
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = {path.name: path.stat().st_mtime_ns for path in parts.glob("map.*")}
    assert 3 <= len(before) < 6  # the fit, and not all of five shards
    told = []
    _, placed = place(tmp_path, progress=lambda *said: told.append(said))
    after = {path.name: path.stat().st_mtime_ns for path in parts.glob("map.*")}
    assert len(after) == 6 and before.items() <= after.items()
    assert (tmp_path / "fits").read_text() == "fit\n" and told[0][1] > 0
    assert_same(placed, [(2 * part, part.sum(axis=1)) for part in shards_of(VECTORS)])


@pytest.mark.parametrize("workers", [0, 2])
def test_one_galaxy_to_place_and_none(workers, tmp_path, engines):
    for n_left, n_parts in ((1, 1), (0, 0)):
        folder = tmp_path / str(n_left)
        folder.mkdir()
        _, placed = place(folder, engines[workers], sample=np.arange(N - n_left))
        assert len(placed) == n_parts and all(len(part[0]) == 1 for part in placed)
    one = VECTORS[:1]
    folder = tmp_path / "pca"
    made = fit_projection("pca", one, 0, sample=NOBODY, place=placing(folder, "p", None, silent, engines[workers]))
    np.testing.assert_array_equal(made.coordinates, np.zeros((1, 2), np.float32))


@pytest.mark.parametrize("method", METHODS)
def test_a_sample_of_all_is_the_fit_of_all(method):
    vectors, _ = crowd(150)
    params = {**METHODS[method], **({"min_cluster_size": 20} if method == "hdbscan" else {})}
    all_of_them = fit_clustering(method, vectors, 0, sample=np.arange(150), **params)
    np.testing.assert_array_equal(all_of_them.labels, fit_clustering(method, vectors, 0, **params).labels)


def test_vectors_that_are_no_numbers_are_refused_before_anything_is_fitted(tmp_path):
    vectors, _ = crowd(60)
    vectors[50] = np.nan
    through = placing(tmp_path, "c", None, silent)
    for fit in (partial(fit_clustering, "kmeans", n_clusters=2), partial(fit_projection, "pca")):
        with pytest.raises(VectorError, match="1 of 60 galaxies have NaN"):
            fit(vectors=vectors, seed=0, sample=np.arange(30), place=through)
    assert not list(tmp_path.iterdir())


def test_where_no_cluster_is_found_nobody_is_in_one(tmp_path):
    vectors = np.ones((40, 2), np.float32)
    through = placing(tmp_path, "c", None, silent)
    made = fit_clustering("hdbscan", vectors, 0, sample=np.arange(20), place=through)
    assert (made.labels == clustering.UNCLUSTERED).all() and (made.membership == 0).all()


def test_a_space_made_in_two_stages_keeps_their_parts_apart(tmp_path, engines):
    vectors, group = crowd(120)
    sample, about = np.arange(0, 120, 2), (group.astype(str).astype(object), np.ones(120, dtype=bool))
    here = fit_space("lda_2_of_pca_4", vectors, 0, *about, sample)
    there = fit_space(
        "lda_2_of_pca_4", vectors, 0, *about, sample, lambda k: placing(tmp_path, f"s{k}", None, silent, engines[2])
    )
    assert_same([(here.vectors,)], [(there.vectors,)])
    assert {path.name.split(".")[0] for path in tmp_path.iterdir()} == {"s0", "s1"}


def test_nothing_in_a_file_runs_when_it_is_read(tmp_path):
    place(tmp_path)
    path = tmp_path / "parts" / "map.placing-fit.npz"
    with np.load(path) as stored:
        arrays = {**stored, "placer.seconds": np.array([print], dtype=object)}
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="allow_pickle"):
        read_fit(path, OPENERS)
    about = {"open": "system", "about": {}}
    np.savez(path, **{**arrays, "placer.seconds": 0, "about": np.array(json.dumps(about))})
    with pytest.raises(KeyError, match="system"):
        read_fit(path, OPENERS)


def test_trees_find_the_like_of_a_galaxy_as_a_whole_search_does():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 6)).astype(np.float32)
    coordinates = vectors[:, :2].astype(np.float64)
    arrays = {"coordinates": coordinates, "vectors": vectors, "perplexity": 5.0}
    new = rng.normal(size=(9, 6)).astype(np.float32)
    by_all = open_tsne(**arrays)(new)
    by_trees = open_tsne(**arrays, trees=grow_trees(vectors, 2**32 - 1))(new)
    np.testing.assert_allclose(by_trees, by_all, atol=0.3)
