"""Sweeps and spaces: every fit kept, none made twice, none of another embedding; spaces by name."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import silhouette_score

from galaxy_core import artifacts, clustering, spaces
from galaxy_core.artifacts.sweeps import SCHEMA
from galaxy_core.clustering import fit_clustering
from galaxy_core.errors import ArtifactError
from galaxy_core.pipeline import add_clusterings, rerun_steps
from galaxy_core.spaces import fit_space, parse_space, uses_classes
from galaxy_core.sweeps import parse_values, run_sweep, sweep
from galaxy_core.vectors import VectorError
from tests.pipeline_child import run
from tests.pipeline_runs import write_images

KMEANS = {"method": "kmeans", "space": "embedding", "params": {"n_init": 2}}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Artifacts of a small catalog in three classes."""
    root = tmp_path_factory.mktemp("made")
    run(write_images(tmp_path_factory.mktemp("catalog"), 60, broken=()), root)
    return root


@pytest.fixture
def root(made, tmp_path) -> Path:
    """A copy of it to work on."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_there_is_no_sweep_at_first_and_its_columns_are_known(made):
    fits = artifacts.read_sweeps(made, "sample")
    assert len(fits) == 0 and list(fits) == SCHEMA.names
    wanted = "space method parameter value seed n_clusters coverage strict clustered inertia dbcv ami ari"
    assert set(wanted.split()) <= set(fits)


def test_every_fit_is_measured_like_the_library_does(root):
    fits, notes = run_sweep(root, "sample", KMEANS, "n_clusters", [2, 3, 5], [0, 1])
    assert notes == [] and fits[["value", "seed"]].to_numpy().tolist() == [[v, s] for v in (2, 3, 5) for s in (0, 1)]
    _, vectors = artifacts.read_embedding(root, "sample", "means")
    for fit in fits.itertuples():
        bare = fit_clustering("kmeans", vectors, fit.seed, n_clusters=int(fit.value), n_init=2)
        assert fit.strict == pytest.approx(silhouette_score(vectors, bare.labels), abs=1e-5)
        assert fit.strict == fit.clustered and fit.strict_low <= fit.strict <= fit.strict_high
        assert fit.inertia == pytest.approx(bare.measures["inertia"]) and fit.n_clusters == fit.value
        assert fit.coverage == 1 and np.isnan(fit.dbcv) and 0 <= fit.ami <= 1
    pd.testing.assert_frame_equal(fits, artifacts.read_sweeps(root, "sample"))
    assert artifacts.verify(root, "sample") == []


def test_a_sweep_that_is_stopped_keeps_its_fits_and_goes_on_from_there(root, monkeypatch):
    fit, fitted = clustering.fit_clustering, []

    def stop_at_4(method, vectors, seed, **params):
        fitted.append(params["n_clusters"])
        if params["n_clusters"] == 4 and fitted.count(4) == 1:
            raise KeyboardInterrupt
        return fit(method, vectors, seed, **params)

    monkeypatch.setattr(clustering, "fit_clustering", stop_at_4)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(root, "sample", KMEANS, "n_clusters", range(2, 7))
    assert artifacts.read_sweeps(root, "sample")["value"].tolist() == [2, 3]
    seen = []
    fits, _ = run_sweep(root, "sample", KMEANS, "n_clusters", range(2, 7), progress=lambda *told: seen.append(told))
    assert fits["value"].tolist() == [2, 3, 4, 5, 6] and fitted == [2, 3, 4, 4, 5, 6]
    assert seen == [("sweep", done, 5) for done in (2, 3, 4, 5)]


def test_values_that_cannot_be_are_left_out_and_named(root):
    fits, notes = run_sweep(root, "sample", {**KMEANS, "method": "gmm", "params": {}}, "n_clusters", [2, 61, 0])
    assert fits["value"].tolist() == [2] and np.isfinite(fits["bic"]).all() and np.isnan(fits["inertia"]).all()
    assert len(notes) == 2 and notes[0].startswith("n_clusters = 61 was left out: A Gaussian mixture with 61 clusters")


def test_a_method_that_finds_nothing_is_a_row_too(root):
    settings = {"method": "hdbscan", "space": "pca_3"}
    fits, _ = run_sweep(root, "sample", settings, "min_cluster_size", [8, 31])
    assert fits["n_clusters"].tolist() == [3, 0] and fits["coverage"].tolist()[1] == 0
    assert fits["strict"].tolist()[1] == 0 and np.isnan(fits["clustered"].tolist()[1])
    assert np.isfinite(fits["dbcv"].tolist()[0])


def test_sweeps_over_one_thing_do_not_answer_for_another(root):
    run_sweep(root, "sample", KMEANS, "n_clusters", [2])
    run_sweep(root, "sample", {**KMEANS, "space": "pca_3"}, "n_clusters", [2])
    run_sweep(root, "sample", {**KMEANS, "params": {"n_init": 1}}, "n_clusters", [2])
    fits = artifacts.read_sweeps(root, "sample")
    assert len(fits) == 3 and set(fits["space"]) == {"embedding", "pca_3"}
    run_sweep(root, "sample", KMEANS, "n_clusters", [2])
    pd.testing.assert_frame_equal(artifacts.read_sweeps(root, "sample"), fits)


def test_a_sweep_and_an_added_clustering_survive_reruns_of_other_steps(root):
    run_sweep(root, "sample", KMEANS, "n_clusters", [2, 3, 4])
    add_clusterings(root, "sample", {"kmeans_5": {**KMEANS, "params": {"n_clusters": 5}}})
    rerun_steps(root, "sample", lambda config: config)
    assert "kmeans_5" in artifacts.read_manifest(root, "sample").clusterings
    assert artifacts.read_sweeps(root, "sample")["value"].tolist() == [2, 3, 4]
    assert artifacts.verify(root, "sample") == []


def test_sweeps_of_another_embedding_are_not_read_and_go_with_the_next(root):
    run_sweep(root, "sample", KMEANS, "n_clusters", [2, 3])
    manifest = artifacts.read_manifest(root, "sample")
    artifacts.write_manifest(root, "sample", replace(manifest, seed=7))
    assert len(artifacts.read_sweeps(root, "sample")) == 0
    run_sweep(root, "sample", KMEANS, "n_clusters", [4])
    artifacts.write_manifest(root, "sample", manifest)
    assert len(artifacts.read_sweeps(root, "sample")) == 0


def test_sweeps_of_another_sample_are_not_read_and_those_of_all_galaxies_name_none(root):
    source = artifacts.sweep_source(artifacts.read_manifest(root, "sample"))
    assert len(source.split()) == 3
    rerun_steps(root, "sample", lambda config: replace(config, fit_limit=60))
    assert artifacts.sweep_source(artifacts.read_manifest(root, "sample")) == source
    for limit in (30, 40):
        rerun_steps(root, "sample", lambda config, limit=limit: replace(config, fit_limit=limit))
        assert len(artifacts.read_sweeps(root, "sample")) == 0
        fits, _ = run_sweep(root, "sample", KMEANS, "n_clusters", [2])
        assert fits["source"].tolist() == [f"{source} {limit}"]


def test_a_fit_of_a_sweep_on_a_sample_is_the_clustering_of_those_settings(root):
    rerun_steps(root, "sample", lambda config: replace(config, fit_limit=40))
    settings = {"method": "kmeans", "space": "pca_1", "params": {"n_clusters": 3}}
    stored = add_clusterings(root, "sample", {"along": settings}).manifest.clusterings["along"]
    fits, _ = run_sweep(root, "sample", {**settings, "params": {}}, "n_clusters", [3])
    assert fits["inertia"][0] == pytest.approx(stored["measures"]["inertia"], abs=1e-8)
    assert fits["strict"][0] == pytest.approx(stored["scores"]["fitted_space"]["strict"], abs=1e-6)


def test_a_stored_space_is_used_and_one_that_is_not_is_made(root, monkeypatch):
    made, fit = [], spaces.fit_space
    monkeypatch.setattr(spaces, "fit_space", lambda name, *rest: made.append(name) or fit(name, *rest))
    run_sweep(root, "sample", {**KMEANS, "space": "pca_3"}, "n_clusters", [2])
    run_sweep(root, "sample", {**KMEANS, "space": "pca_4"}, "n_clusters", [2])
    assert made == ["pca_4"]


@pytest.mark.parametrize("content", [b"", b"not a table", None])
def test_a_corrupt_table_of_sweeps_is_one_sentence(root, content):
    path = root / "sample" / "sweeps.parquet"
    if content is None:
        pd.DataFrame({"galaxy_id": ["a"]}).to_parquet(path)
    else:
        path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"sweeps\.parquet .*; delete it and run the sweep again with `python"):
        artifacts.read_sweeps(root, "sample")


def test_values_of_a_sweep():
    assert parse_values("2..20") == list(range(2, 21))
    assert parse_values("100..400:150, 50,100") == [100, 250, 400, 50]
    assert parse_values("0.1,2.5e-1") == [0.1, 0.25]
    for wrong in ("", "5..2", "a", "1..", "nan", "1..5000", "2..8:0"):
        with pytest.raises(VectorError):
            parse_values(wrong)


def test_a_sweep_streams():
    vectors = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    stream = sweep(vectors, "kmeans", "n_clusters", iter([2, 3]))
    assert next(stream)["n_clusters"] == 2 and next(stream)["n_clusters"] == 3
    with pytest.raises(VectorError, match="kmeans has no parameter 'eps'"):
        next(sweep(vectors, "kmeans", "eps", [1]))


def embedding_and_classes(n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    kinds = np.arange(n) % 3
    vectors = 2 * np.eye(6)[kinds] + rng.normal(size=(n, 6))
    return vectors.astype(np.float32), np.array(["a", "b", "c"], dtype=object)[kinds]


def test_spaces_are_what_their_names_say():
    vectors, classes = embedding_and_classes()
    np.testing.assert_array_equal(fit_space("embedding", vectors, 0).vectors, vectors)
    wanted = PCA(3).fit_transform(vectors.astype(float))
    np.testing.assert_allclose(np.abs(fit_space("pca_3", vectors, 0).vectors), np.abs(wanted), atol=1e-4)
    chain = fit_space("pca_2_of_pca_5", vectors, 0)
    np.testing.assert_allclose(np.abs(chain.vectors), np.abs(wanted[:, :2]), atol=1e-4)
    assert chain.about["method"] == "pca" and chain.about["of"]["params"]["n_components"] == 5
    train = np.arange(120) < 80
    lda = fit_space("lda_2", vectors, 0, classes, train)
    bare = LinearDiscriminantAnalysis().fit(vectors[:80].astype(float), classes[:80].astype(str))
    np.testing.assert_allclose(lda.vectors, bare.transform(vectors.astype(float))[:, :2], atol=1e-3)
    swapped = np.where(train, classes, "a")  # labels held out move nothing
    np.testing.assert_array_equal(fit_space("lda_2", vectors, 0, swapped, train).vectors, lda.vectors)
    assert uses_classes("umap_2_of_lda_2") and not uses_classes("umap_2_of_pca_3")


def test_umap_packs_tightly_for_clustering_and_takes_parameters_and_a_seed(monkeypatch):
    """The names are what is tested here; UMAP itself compiles for a while and is tested with the maps."""
    asked, fit = [], spaces.fit_projection

    def pca_instead(method, vectors, seed, n_components, sample, place, **params):
        assert sample is None  # all are fitted on
        asked.append((method, seed, n_components, params))
        return fit("pca", vectors, seed, n_components=n_components)

    monkeypatch.setattr(spaces, "fit_projection", pca_instead)
    vectors, _ = embedding_and_classes(60)
    space = fit_space("umap_2,n_neighbors=5,seed=4_of_pca_4", vectors, 0)
    assert asked == [("pca", 0, 4, {}), ("umap", 4, 2, {"min_dist": 0.0, "n_neighbors": 5})]
    assert space.about["method"] == "umap" and space.about["params"]["seed"] == 4
    fit_space("umap_2,min_dist=0.3", vectors, 7)
    assert asked[-1] == ("umap", 7, 2, {"min_dist": 0.3})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("umap", "There is no space 'umap' to cluster in; choose embedding"),
        ("magic_3", "choose embedding"),
        ("pca_3_of_", "choose embedding"),
        ("embedding_of_pca_3", "choose embedding"),
        ("pca_0", "at least one dimension"),
        ("tsne_3", "1 or 2 dimensions"),
        ("umap_3,perplexity=3", "gives umap a perplexity; it has n_neighbors, min_dist, seed"),
        ("lda_3,classes=2", "gives lda a classes"),
        ("umap_3,n_neighbors=few", "needs a number for n_neighbors, not 'few'"),
    ],
)
def test_names_of_no_space(name, words):
    with pytest.raises(VectorError, match=words):
        parse_space(name)


def test_lda_without_classes_is_one_sentence():
    with pytest.raises(VectorError, match="LDA separates known classes, but this catalog has none"):
        fit_space("lda_2", embedding_and_classes()[0], 0)
