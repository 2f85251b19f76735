"""The pipeline once more: what changed is made again, what did not is kept, and readers see one whole state."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from PIL import Image

from galaxy_core import artifacts, cluster_steps
from galaxy_core.catalogs import read_catalog
from galaxy_core.embedding import Embedder
from galaxy_core.errors import ArtifactError
from galaxy_core.image_steps import catalog_fingerprint, limit_catalog
from galaxy_core.pipeline import add_clusterings, add_embedding, remove_clustering, rerun_steps, run_pipeline
from galaxy_core.vectors import VectorError
from tests.pipeline_child import CONFIG, EMBEDDER, means, run
from tests.pipeline_runs import BROKEN, N, hashes, write_images


def test_the_previous_state_stays_readable_while_another_is_made(galaxy_folder, pipeline_root, tmp_path):
    shutil.copytree(pipeline_root, tmp_path, dirs_exist_ok=True)
    seen = []

    def progress(step: str, done: int, total: int) -> None:
        seen.append(step)
        assert artifacts.verify(tmp_path, "sample") == []
        assert artifacts.read_manifest(tmp_path, "sample").seed == 0

    catalog = read_catalog(f"folder:{galaxy_folder}")
    run_pipeline(catalog, EMBEDDER, tmp_path, "sample", replace(CONFIG, seed=5), progress)
    assert set(seen) == {"images", "neighbors", "projections", "trust", "clusters", "anomalies"}
    assert artifacts.read_manifest(tmp_path, "sample").seed == 5


def test_a_changed_seed_keeps_the_images_and_redoes_the_maps(galaxy_folder, pipeline_root, tmp_path):
    shutil.copytree(pipeline_root, tmp_path, dirs_exist_ok=True)
    reused = {step.name: step.reused for step in run(galaxy_folder, tmp_path, seed=3).steps}
    assert reused == {
        "images": True,
        "neighbors": True,
        "projections": False,
        "trust": False,
        "space_pca_3": False,
        "clusters": False,
        "anomalies": False,
    }


def test_a_changed_image_is_noticed(tmp_path):
    images = write_images(tmp_path / "images", 12, broken=())
    run(images, tmp_path / "root")
    before = artifacts.read_embedding(tmp_path / "root", "sample", "means")[1]
    Image.new("RGB", (20, 20), (255, 255, 255)).save(images / "images/103.png")
    assert not run(images, tmp_path / "root").steps[0].reused
    after = artifacts.read_embedding(tmp_path / "root", "sample", "means")[1]
    assert (before != after).any(axis=1).tolist() == [i == 3 for i in range(12)]


def test_changes_behind_a_link_and_in_a_single_file_are_noticed(tmp_path):
    images = write_images(tmp_path / "images", 12, broken=())
    (images / "images").rename(tmp_path / "disk")
    (images / "images").symlink_to(tmp_path / "disk")
    (tmp_path / "disk/up").symlink_to(images)  # and back up the tree
    (tmp_path / "disk/gone").symlink_to(tmp_path / "nowhere")
    before = catalog_fingerprint(read_catalog(f"folder:{images}"))
    assert catalog_fingerprint(read_catalog(f"folder:{images}")) == before
    Image.new("RGB", (20, 20), (255, 255, 255)).save(tmp_path / "disk/103.png")  # not one of the three that are read
    assert catalog_fingerprint(read_catalog(f"folder:{images}")) != before
    hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(np.full((8, 8), float(k))) for k in range(6))]
    fits.HDUList(hdus).writeto(tmp_path / "stamps.fits")
    before = catalog_fingerprint(read_catalog(f"fits-stamps:{tmp_path}/stamps.fits"))
    hdus[2].data += 1
    fits.HDUList(hdus).writeto(tmp_path / "stamps.fits", overwrite=True)
    assert catalog_fingerprint(read_catalog(f"fits-stamps:{tmp_path}/stamps.fits")) != before


@pytest.mark.parametrize("relative", ["embedding/means/part-00001.parquet", "clusters.parquet", "manifest.json"])
def test_the_mend_command_mends(galaxy_folder, pipeline_root, tmp_path, relative):
    shutil.copytree(pipeline_root, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "sample" / relative
    content = bytearray(path.read_bytes())
    content[10] ^= 0xFF
    path.write_bytes(content)
    assert artifacts.verify(tmp_path, "sample") != []
    run(galaxy_folder, tmp_path)
    assert hashes(tmp_path) == hashes(pipeline_root)


def test_rerun_adds_a_clustering_and_keeps_the_rest(pipeline_root, tmp_path):
    shutil.copytree(pipeline_root, tmp_path, dirs_exist_ok=True)
    added = {"method": "kmeans", "space": "embedding", "params": {"n_clusters": 5}}
    result = rerun_steps(
        tmp_path, "sample", lambda config: replace(config, clusterings={**config.clusterings, "kmeans_5": added})
    )
    assert {step.name for step in result.steps if not step.reused} == {"clusters"}
    assert artifacts.read_table(tmp_path, "sample", "clusters")["kmeans_5_label"].nunique() == 5
    assert artifacts.verify(tmp_path, "sample") == []
    assert result.manifest.report == artifacts.read_manifest(pipeline_root, "sample").report


def test_a_rerun_of_the_pipeline_keeps_clusterings_that_were_added(galaxy_folder, pipeline_root, tmp_path):
    shutil.copytree(pipeline_root, tmp_path, dirs_exist_ok=True)
    added = {"method": "gmm", "space": "pca_3", "params": {"n_clusters": 2}, "seed": 9}
    add_clusterings(tmp_path, "sample", {"mine": added})
    again = run(galaxy_folder, tmp_path)
    assert again.unchanged and again.manifest.clusterings["mine"]["seed"] == 9
    other_seed = run(galaxy_folder, tmp_path, seed=3).manifest
    assert set(other_seed.clusterings) == {"kmeans_3", "kmeans_2", "mine"}
    remove_clustering(tmp_path, "sample", "mine")
    assert set(run(galaxy_folder, tmp_path, seed=3).manifest.clusterings) == {"kmeans_3", "kmeans_2"}


def test_a_rerun_of_the_pipeline_keeps_what_was_measured_on_its_own_clusterings(galaxy_folder, pipeline_root, tmp_path):
    shutil.copytree(pipeline_root, tmp_path, dirs_exist_ok=True)
    tried = {**CONFIG.clusterings["kmeans_2"], "stability": 2, "redraws": 2, "null": True}
    other = {**CONFIG.clusterings["kmeans_3"], "params": {"n_clusters": 4, "n_init": 2}, "null": True}
    before = add_clusterings(tmp_path, "sample", {"kmeans_2": tried, "kmeans_3": other}).manifest
    after = run(galaxy_folder, tmp_path).manifest
    assert {"stability", "stability_redrawn", "null"} <= set(after.clusterings["kmeans_2"]["scores"])
    assert after.clusterings["kmeans_2"] == before.clusterings["kmeans_2"]
    assert after.config["clusterings"]["kmeans_3"] == other  # made otherwise under the same name, as somebody asked
    assert after.clusterings["kmeans_3"] == before.clusterings["kmeans_3"]
    remove_clustering(tmp_path, "sample", "kmeans_3")
    again = run(galaxy_folder, tmp_path).manifest.config
    assert again["clusterings"]["kmeans_3"] == CONFIG.clusterings["kmeans_3"] and again["added"] == []


def test_what_nobody_made_otherwise_follows_the_pipeline(galaxy_folder, pipeline_root, tmp_path):
    """Settings that an earlier version had give way to those of today."""
    shutil.copytree(pipeline_root, tmp_path, dirs_exist_ok=True)
    earlier = {**CONFIG.clusterings["kmeans_3"], "params": {"n_clusters": 4, "n_init": 2}}
    rerun_steps(tmp_path, "sample", lambda c: replace(c, clusterings={**c.clusterings, "kmeans_3": earlier}))
    assert run(galaxy_folder, tmp_path).manifest.config["clusterings"]["kmeans_3"] == CONFIG.clusterings["kmeans_3"]


def test_a_clustering_that_needs_classes_is_left_out_while_there_are_none(galaxy_folder, pipeline_root, tmp_path):
    shutil.copytree(pipeline_root, tmp_path / "root", dirs_exist_ok=True)
    shutil.copytree(galaxy_folder, tmp_path / "images")
    by_class = {"method": "kmeans", "space": "lda_1", "params": {"n_clusters": 2, "n_init": 2}}
    add_clusterings(tmp_path / "root", "sample", {"by_class": by_class})
    labels = tmp_path / "images/labels.csv"
    table = pd.read_csv(labels)
    table.drop(columns="class").to_csv(labels, index=False)
    without = run(tmp_path / "images", tmp_path / "root").manifest
    assert set(without.clusterings) == set(CONFIG.clusterings) and artifacts.verify(tmp_path / "root", "sample") == []
    assert any(note.startswith("The clustering by_class was left out: its space lda_1") for note in without.report)
    with pytest.raises(VectorError, match="lda_1 separates known classes"):
        add_clusterings(tmp_path / "root", "sample", {"by_class": {**by_class, "stability": 2}})
    table.to_csv(labels, index=False)
    again = run(tmp_path / "images", tmp_path / "root").manifest
    assert "by_class" in again.clusterings and not any("was left out" in note for note in again.report)


@pytest.mark.parametrize(("what", "rule"), [("stability", "DRAWN"), ("null", "WITHOUT_GROUPS")])
def test_what_was_measured_by_another_rule_is_measured_anew_and_nothing_else(
    galaxy_folder, pipeline_root, tmp_path, monkeypatch, what, rule
):
    shutil.copytree(pipeline_root, tmp_path, dirs_exist_ok=True)
    tried = {**CONFIG.clusterings["kmeans_2"], what: 2}
    with monkeypatch.context() as patch:
        patch.setattr(cluster_steps, rule, "as it was")
        add_clusterings(tmp_path, "sample", {"kmeans_2": tried})
    made, cluster = [], cluster_steps._cluster
    monkeypatch.setattr(cluster_steps, "_cluster", lambda *a, **k: made.append(a[2].settings) or cluster(*a, **k))
    result = run(galaxy_folder, tmp_path)
    assert {step.name for step in result.steps if not step.reused} == {"clusters"}
    assert [settings.get(what) for settings in made] == [2]  # the other clustering is taken over
    assert run(galaxy_folder, tmp_path).unchanged


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "kmeans", "space": "embedding", "params": {"n_clusters": 500}},
        {"method": "kmeans", "space": "embedding", "params": {"n_cluster": 5}},
        {"method": "magic", "space": "embedding", "params": {}},
        {"method": "kmeans", "space": "somewhere", "params": {}},
    ],
)
def test_a_rerun_that_cannot_be_done_leaves_everything_as_it_was(pipeline_root, tmp_path, wrong):
    shutil.copytree(pipeline_root, tmp_path, dirs_exist_ok=True)
    with pytest.raises(VectorError):
        rerun_steps(tmp_path, "sample", lambda c: replace(c, clusterings={**c.clusterings, "wrong": wrong}))
    assert hashes(tmp_path / "sample") == hashes(pipeline_root / "sample")


def test_one_more_embedding_survives_a_rerun_of_the_pipeline(galaxy_folder, pipeline_root, tmp_path):
    shutil.copytree(pipeline_root, tmp_path, dirs_exist_ok=True)
    catalog = read_catalog(f"folder:{galaxy_folder}")
    other = Embedder("other", "1", 16, 12, lambda images: means(1 - images))
    add_embedding(catalog, other, tmp_path, "sample")
    run(galaxy_folder, tmp_path, seed=4)
    assert artifacts.list_embeddings(tmp_path, "sample") == ["means", "other"]
    assert artifacts.read_neighbors(tmp_path, "sample", "other")[0].shape == (N - len(BROKEN), 12)
    assert artifacts.verify(tmp_path, "sample") == []
    result = rerun_steps(tmp_path, "sample", lambda config: config)
    assert result.unchanged and all(step.reused for step in result.steps)
    with pytest.raises(ArtifactError, match="is not, or no longer"):
        add_embedding(limit_catalog(catalog, 10, 0), other, tmp_path, "sample")


def test_other_weights_of_the_same_name_are_no_more_said_to_have_embedded(galaxy_folder, pipeline_root, tmp_path):
    shutil.copytree(pipeline_root, tmp_path, dirs_exist_ok=True)
    catalog = read_catalog(f"folder:{galaxy_folder}")
    assert add_embedding(catalog, EMBEDDER, tmp_path, "sample").unchanged
    trained_again = replace(EMBEDDER, fingerprint="version 2")
    with pytest.raises(ArtifactError, match=r"embedded by other weights called means.*a name of its own"):
        add_embedding(catalog, trained_again, tmp_path, "sample")
    assert hashes(tmp_path / "sample") == hashes(pipeline_root / "sample")


def test_what_people_tagged_is_kept(galaxy_folder, pipeline_root, tmp_path):
    shutil.copytree(pipeline_root, tmp_path, dirs_exist_ok=True)
    artifacts.tags_path(tmp_path, "sample").write_bytes(b"tags")
    run(galaxy_folder, tmp_path, seed=2)
    assert artifacts.tags_path(tmp_path, "sample").read_bytes() == b"tags"


def test_galaxies_that_are_still_the_same_are_not_embedded_again(tmp_path):
    images, root = write_images(tmp_path / "images", 12, broken=(2,)), tmp_path / "root"
    seen = []

    def counted(some):
        seen.append(len(some))
        return means(some)

    def make(folder=images):
        seen.clear()
        embedder = Embedder("means", "version 1", 16, 12, counted)
        made = run_pipeline(read_catalog(f"folder:{folder}"), embedder, root, "sample", CONFIG)
        vectors = artifacts.read_embedding(root, "sample", "means")
        assert artifacts.verify(root, "sample") == [] and not made.steps[0].reused
        return sum(seen), dict(zip(*vectors, strict=True))

    n_embedded, before = make()  # in shards of 8 and 4
    assert n_embedded == 11
    table = pd.read_csv(images / "labels.csv", dtype=str)
    table.assign(z="0.1").to_csv(images / "labels.csv", index=False)
    assert make()[0] == 0 and artifacts.read_table(root, "sample", "catalog")["z"].tolist() == [0.1] * 11
    for name in ("200", "201"):
        Image.new("RGB", (20, 20), (250, 120, 0)).save(images / f"images/{name}.png")
    pd.concat([table, pd.DataFrame({"galaxy_id": ["200", "201"]})]).to_csv(images / "labels.csv", index=False)
    n_embedded, after = make()
    assert n_embedded == 2 and len(after) == 13 and all((after[name] == before[name]).all() for name in before)
    table.iloc[8:].to_csv(images / "labels.csv", index=False)
    assert make()[0] == 0
    table.to_csv(images / "labels.csv", index=False)
    assert make()[0] == 7
    Image.new("RGB", (20, 20), (0, 0, 250)).save(images / "images/100.png")
    n_embedded, after = make()
    assert n_embedded == 1 and [name for name in before if (after[name] != before[name]).any()] == ["100"]
    embedding = root / "sample/embedding/means/part-00001.parquet"
    embedding.write_bytes(embedding.read_bytes()[:-1] + b"x")
    table.assign(z="0.2").to_csv(images / "labels.csv", index=False)
    assert make()[0] == 4  # what is damaged is made again


def test_a_catalog_without_clusterings_may_grow(tmp_path):
    images, root = write_images(tmp_path / "images", 12, broken=()), tmp_path / "root"
    table = pd.read_csv(images / "labels.csv", dtype=str)
    for rows in (table.iloc[:11], table):
        rows.to_csv(images / "labels.csv", index=False)
        catalog = read_catalog(f"folder:{images}")
        run_pipeline(catalog, EMBEDDER, root, "sample", replace(CONFIG, clusterings={}))
        assert artifacts.verify(root, "sample") == []
