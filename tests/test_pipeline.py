"""The pipeline: the same files from the same input, whatever happens in between; nothing stale, nothing half."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from galaxy_core import artifacts
from galaxy_core.artifacts.staging import open_staging
from galaxy_core.catalogs import read_catalog
from galaxy_core.cluster_steps import check_settings
from galaxy_core.embedding import Embedder
from galaxy_core.errors import ArtifactError, CatalogError, ImageError
from galaxy_core.image_steps import limit_catalog
from galaxy_core.pipeline import (
    PipelineConfig,
    add_clusterings,
    add_embedding,
    remove_clustering,
    rerun_steps,
    run_pipeline,
)
from galaxy_core.splits import split_of
from galaxy_core.vectors import VectorError
from tests.pipeline_child import CONFIG, EMBEDDER, means, run

PROJECT = Path(__file__).resolve().parents[1]
N, BROKEN = 41, (5, 16, 40)


def write_images(folder: Path, n: int = N, broken=BROKEN) -> Path:
    """Colour stamps in three classes with labels.csv; the broken ones are no images."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(n):
        path = folder / "images" / f"{100 + i}.png"
        if i in broken:
            path.write_bytes(b"\x89PNG\r\n\x1a\n broken")
            continue
        tint = np.array([(200, 60, 40), (60, 200, 40), (40, 60, 200)][i % 3])
        Image.fromarray(rng.integers(0, 40, (20, 24, 3), np.uint8) + tint.astype(np.uint8)).save(path)
    labels = {"galaxy_id": [str(100 + i) for i in range(n)], "class": [("a", "b", "c")[i % 3] for i in range(n)]}
    pd.DataFrame(labels).to_csv(folder / "labels.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """A folder of galaxies of which three cannot be decoded."""
    return write_images(tmp_path_factory.mktemp("catalog"))


@pytest.fixture(scope="module")
def made(images, tmp_path_factory) -> Path:
    """The artifacts root of a run that nothing disturbed."""
    root = tmp_path_factory.mktemp("made")
    run(images, root)
    return root


def hashes(root: Path) -> dict[str, str]:
    """sha256 of every file; the manifest without the two fields that tell of the run and not of the result."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name == "manifest.json":
                content = json.dumps({**json.loads(content), "created": "", "timings": {}}, sort_keys=True).encode()
            found[path.relative_to(root).as_posix()] = hashlib.sha256(content).hexdigest()
    return found


def test_makes_every_table(made):
    manifest = artifacts.read_manifest(made, "sample")
    assert artifacts.verify(made, "sample") == []
    assert manifest.n_galaxies == N - len(BROKEN)
    projections = artifacts.read_table(made, "sample", "projections")
    assert list(projections) == [
        "galaxy_id",
        *(f"{name}_{end}" for name in ("pca", "lda") for end in ("x", "y", "trust")),
    ]
    clusters = artifacts.read_table(made, "sample", "clusters")
    assert {"kmeans_3_label", "kmeans_2_silhouette"} <= set(clusters)
    index, similarity = artifacts.read_neighbors(made, "sample", "means")
    _, vectors = artifacts.read_embedding(made, "sample", "means")
    np.testing.assert_allclose(similarity[0], vectors[index[0]] @ vectors[0], atol=1e-5)
    assert manifest.clusterings["kmeans_2"]["space"] == "pca_3"
    assert 0 <= manifest.clusterings["kmeans_3"]["scores"]["coverage"] <= 1
    assert artifacts.read_space(made, "sample", "pca_3").shape == (N - len(BROKEN), 3)
    assert set(manifest.timings) == {*manifest.config["steps"], "total"}
    assert sorted(path.name for path in made.iterdir()) == ["sample"]


def test_images_that_cannot_be_decoded_are_left_out_and_named(made):
    manifest = artifacts.read_manifest(made, "sample")
    table = artifacts.read_table(made, "sample", "catalog")
    assert not {"105", "116", "140"} & set(table["galaxy_id"])
    assert any(s.startswith("3 images could not be decoded") and "105, 116, 140" in s for s in manifest.report)


def test_split_is_that_of_the_rule(made):
    table = artifacts.read_table(made, "sample", "catalog")
    assert table["split"].tolist() == [split_of(galaxy_id) for galaxy_id in table["galaxy_id"]]


def test_two_runs_give_the_same_files(images, made, tmp_path):
    run(images, tmp_path)
    assert hashes(tmp_path) == hashes(made)


def test_a_rerun_of_a_complete_run_changes_nothing(images, made):
    before = (made / "sample/manifest.json").read_bytes()
    result = run(images, made)
    assert result.unchanged and all(step.reused for step in result.steps)
    assert (made / "sample/manifest.json").read_bytes() == before


@pytest.fixture(scope="module")
def nursery():
    """A process that has imported everything and forks a run when asked."""
    command = [sys.executable, str(PROJECT / "tests" / "pipeline_child.py")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.communicate()


def run_apart(
    nursery, images: Path, root: Path, kill_after_s: float = 60, seed: int = 0, kill_at_rename: int = 0
) -> int:
    """Run the pipeline in a process of its own, which is killed after a while; how it ended."""
    nursery.stdin.write(f"{images}\t{root}\t{seed}\t{kill_at_rename}\n")
    nursery.stdin.flush()
    killer = threading.Timer(kill_after_s, os.kill, (int(nursery.stdout.readline()), signal.SIGKILL))
    killer.start()
    code = int(nursery.stdout.readline())
    killer.cancel()
    return code


@pytest.fixture(scope="module")
def length_s(nursery, images, tmp_path_factory) -> float:
    """Seconds that a run takes that nothing disturbs."""
    lengths = []
    for _ in range(2):
        started = time.perf_counter()
        assert run_apart(nursery, images, tmp_path_factory.mktemp("timed")) == 0
        lengths.append(time.perf_counter() - started)
    return min(lengths)


def test_killed_at_ten_random_moments_it_ends_with_the_same_files(nursery, images, made, tmp_path, length_s):
    """Ten runs, killed at moments spread over the length of one, each then run to its end."""
    rng, wanted, n_cut_short = np.random.default_rng(), hashes(made), 0
    for number in range(10):
        root = tmp_path / str(number)
        code = run_apart(nursery, images, root, length_s * (number + rng.random()) / 10)
        n_cut_short += code == -signal.SIGKILL
        run(images, root)
        assert hashes(root) == wanted, f"killed in the {number + 1}th tenth"
    assert n_cut_short >= 5  # otherwise nothing was tested


def test_killed_again_and_again_it_still_gets_there(nursery, images, made, tmp_path, length_s):
    """What is finished is not done again, so runs that are each killed at a third of the way come to an end."""
    codes = []
    while 0 not in codes and len(codes) < 30:
        share = min(1 / 3 + len(codes) / 60, 2 / 3)  # a busy machine needs longer, and still never the whole
        codes.append(run_apart(nursery, images, tmp_path, length_s * share))
    assert codes[0] == -signal.SIGKILL and codes[-1] == 0
    assert hashes(tmp_path) == hashes(made)


@pytest.mark.parametrize("rename", [1, 2])
def test_killed_while_one_state_replaces_another(nursery, images, made, tmp_path, rename):
    """Right after either rename there is one whole state to read, and the next run ends as it should."""
    root = tmp_path / "root"
    shutil.copytree(made, root)
    assert run_apart(nursery, images, root, seed=1, kill_at_rename=rename) == -signal.SIGKILL
    assert artifacts.list_catalogs(root) == ["sample"]
    assert artifacts.verify(root, "sample") == []
    assert artifacts.read_manifest(root, "sample").seed == rename - 1
    assert len(artifacts.read_thumbnails(root, "sample", range(N - len(BROKEN)))) == N - len(BROKEN)
    run(images, root, seed=1)
    run(images, tmp_path / "other", seed=1)
    assert hashes(root) == hashes(tmp_path / "other")


def test_the_previous_state_stays_readable_while_another_is_made(images, made, tmp_path):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    seen = []

    def progress(step: str, done: int, total: int) -> None:
        seen.append(step)
        assert artifacts.verify(tmp_path, "sample") == []
        assert artifacts.read_manifest(tmp_path, "sample").seed == 0

    catalog = read_catalog(f"folder:{images}")
    run_pipeline(catalog, EMBEDDER, tmp_path, "sample", replace(CONFIG, seed=5), progress)
    assert set(seen) == {"images", "neighbors", "projections", "trust", "clusters", "anomalies"}
    assert artifacts.read_manifest(tmp_path, "sample").seed == 5


def test_a_changed_seed_keeps_the_images_and_redoes_the_maps(images, made, tmp_path):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    reused = {step.name: step.reused for step in run(images, tmp_path, seed=3).steps}
    assert reused == {
        "images": True,
        "neighbors": True,
        "projections": False,
        "trust": False,
        "space_pca_3": False,
        "clusters": False,
        "anomalies": False,
    }


def test_a_changed_model_redoes_everything(nursery, images, made, tmp_path, length_s):
    """Also where the old model's shards are half there: they are never mixed."""
    run_apart(nursery, images, tmp_path, length_s / 3)
    other = Embedder("means", "version 2", 16, 12, lambda images: means(1 - images))
    run_pipeline(read_catalog(f"folder:{images}"), other, tmp_path, "sample", CONFIG)
    run_pipeline(read_catalog(f"folder:{images}"), other, tmp_path / "fresh", "sample", CONFIG)
    assert hashes(tmp_path / "sample") == hashes(tmp_path / "fresh/sample")
    assert hashes(tmp_path / "sample") != hashes(made / "sample")


def test_a_changed_image_is_noticed(tmp_path):
    images = write_images(tmp_path / "images", 12, broken=())
    run(images, tmp_path / "root")
    before = artifacts.read_embedding(tmp_path / "root", "sample", "means")[1]
    Image.new("RGB", (20, 20), (255, 255, 255)).save(images / "images/103.png")
    assert not run(images, tmp_path / "root").steps[0].reused
    after = artifacts.read_embedding(tmp_path / "root", "sample", "means")[1]
    assert (before != after).any(axis=1).tolist() == [i == 3 for i in range(12)]


@pytest.mark.parametrize("relative", ["embedding/means/part-00001.parquet", "clusters.parquet", "manifest.json"])
def test_the_mend_command_mends(images, made, tmp_path, relative):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "sample" / relative
    content = bytearray(path.read_bytes())
    content[10] ^= 0xFF
    path.write_bytes(content)
    assert artifacts.verify(tmp_path, "sample") != []
    run(images, tmp_path)
    assert hashes(tmp_path) == hashes(made)


def test_no_image_can_be_decoded(tmp_path):
    images = write_images(tmp_path / "images", 3, broken=(0, 1, 2))
    with pytest.raises(CatalogError, match=r"None of the 3 images"):
        run(images, tmp_path / "root")
    assert artifacts.list_catalogs(tmp_path / "root") == []


@pytest.mark.parametrize("n", [1, 2, 5])
def test_tiny_catalogs_have_a_map_and_say_what_they_lack(tmp_path, n):
    images = write_images(tmp_path / "images", n, broken=())
    manifest = run(images, tmp_path / "root").manifest
    assert artifacts.verify(tmp_path / "root", "sample") == []
    assert "pca" in manifest.projections
    assert artifacts.read_neighbors(tmp_path / "root", "sample", "means")[0].shape == (n, n - 1)
    if n == 1:
        assert any("kmeans_3" in sentence for sentence in manifest.report)
        assert (artifacts.read_table(tmp_path / "root", "sample", "clusters")["kmeans_3_label"] == -1).all()


def test_lda_learns_from_training_galaxies_only(images, made, tmp_path):
    """Other labels for the galaxies held out must not move one point of the map."""
    catalog = read_catalog(f"folder:{images}")
    table = catalog.table.copy()
    held_out = np.array([split_of(galaxy_id) != "train" for galaxy_id in table["galaxy_id"]])
    assert 0 < held_out.sum() < len(table)
    table["class"] = np.where(held_out, "a", table["class"].astype(object))
    run_pipeline(replace(catalog, table=table), EMBEDDER, tmp_path, "sample", CONFIG)
    for column in ("lda_x", "lda_y"):
        before, after = (artifacts.read_table(root, "sample", "projections")[column] for root in (made, tmp_path))
        np.testing.assert_array_equal(before, after)


def test_rerun_adds_a_clustering_and_keeps_the_rest(made, tmp_path):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    added = {"method": "kmeans", "space": "embedding", "params": {"n_clusters": 5}}
    result = rerun_steps(
        tmp_path, "sample", lambda config: replace(config, clusterings={**config.clusterings, "kmeans_5": added})
    )
    assert {step.name for step in result.steps if not step.reused} == {"clusters"}
    assert artifacts.read_table(tmp_path, "sample", "clusters")["kmeans_5_label"].nunique() == 5
    assert artifacts.verify(tmp_path, "sample") == []
    assert result.manifest.report == artifacts.read_manifest(made, "sample").report


def test_a_rerun_of_the_pipeline_keeps_clusterings_that_were_added(images, made, tmp_path):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    added = {"method": "gmm", "space": "pca_3", "params": {"n_clusters": 2}, "seed": 9}
    add_clusterings(tmp_path, "sample", {"mine": added})
    again = run(images, tmp_path)
    assert again.unchanged and again.manifest.clusterings["mine"]["seed"] == 9
    other_seed = run(images, tmp_path, seed=3).manifest
    assert set(other_seed.clusterings) == {"kmeans_3", "kmeans_2", "mine"}
    remove_clustering(tmp_path, "sample", "mine")
    assert set(run(images, tmp_path, seed=3).manifest.clusterings) == {"kmeans_3", "kmeans_2"}


def test_the_default_clusterings_can_be_made_and_are_named_as_before():
    clusterings = PipelineConfig().clusterings
    assert {"hdbscan", "kmeans_8"} <= set(clusterings)
    assert clusterings["hdbscan"]["space"] == "umap_10" and clusterings["kmeans_8"]["space"] == "embedding"
    for settings in clusterings.values():
        check_settings(settings, has_classes=False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "kmeans", "space": "embedding", "params": {"n_clusters": 500}},
        {"method": "kmeans", "space": "embedding", "params": {"n_cluster": 5}},
        {"method": "magic", "space": "embedding", "params": {}},
        {"method": "kmeans", "space": "somewhere", "params": {}},
    ],
)
def test_a_rerun_that_cannot_be_done_leaves_everything_as_it_was(made, tmp_path, wrong):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    with pytest.raises(VectorError):
        rerun_steps(tmp_path, "sample", lambda c: replace(c, clusterings={**c.clusterings, "wrong": wrong}))
    assert hashes(tmp_path / "sample") == hashes(made / "sample")


def test_one_more_embedding_survives_a_rerun_of_the_pipeline(images, made, tmp_path):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    catalog = read_catalog(f"folder:{images}")
    other = Embedder("other", "1", 16, 12, lambda images: means(1 - images))
    add_embedding(catalog, other, tmp_path, "sample")
    run(images, tmp_path, seed=4)
    assert artifacts.list_embeddings(tmp_path, "sample") == ["means", "other"]
    assert artifacts.read_neighbors(tmp_path, "sample", "other")[0].shape == (N - len(BROKEN), 12)
    assert artifacts.verify(tmp_path, "sample") == []
    result = rerun_steps(tmp_path, "sample", lambda config: config)
    assert result.unchanged and all(step.reused for step in result.steps)
    with pytest.raises(ArtifactError, match="is not, or no longer"):
        add_embedding(limit_catalog(catalog, 10, 0), other, tmp_path, "sample")


def test_what_people_tagged_is_kept(images, made, tmp_path):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    artifacts.tags_path(tmp_path, "sample").write_bytes(b"tags")
    run(images, tmp_path, seed=2)
    assert artifacts.tags_path(tmp_path, "sample").read_bytes() == b"tags"


def test_a_second_run_at_the_same_time_is_refused(images, tmp_path):
    with open_staging(tmp_path, "sample"), pytest.raises(ArtifactError, match="Another run"):
        run(images, tmp_path)


def test_limit_draws_at_random_and_keeps_the_order(images):
    catalog = read_catalog(f"folder:{images}")
    few = limit_catalog(catalog, 10, seed=1)
    rows = [catalog.table["galaxy_id"].tolist().index(galaxy_id) for galaxy_id in few.galaxy_ids]
    assert len(few) == 10 and rows == sorted(rows) and rows != list(range(10))
    good = next(k for k, row in enumerate(rows) if row not in BROKEN)
    np.testing.assert_array_equal(few.load_image(good), catalog.load_image(rows[good]))
    assert limit_catalog(catalog, 0, 0) is catalog and limit_catalog(catalog, 99, 0) is catalog


def test_an_image_that_fails_only_sometimes_is_left_out_not_mixed_up(images, tmp_path):
    """Vectors stay with their own galaxies when others fail."""
    catalog = read_catalog(f"folder:{images}")

    def load_image(i: int) -> np.ndarray:
        if i % 2:
            raise ImageError("odd")
        return catalog.load_image(i)

    run_pipeline(replace(catalog, load_image=load_image), EMBEDDER, tmp_path, "sample", CONFIG)
    ids, vectors = artifacts.read_embedding(tmp_path, "sample", "means")
    by_id = dict(zip(catalog.galaxy_ids, range(len(catalog)), strict=True))
    assert all(by_id[galaxy_id] % 2 == 0 for galaxy_id in ids)
    whole_ids, whole = _whole(images, tmp_path)
    for galaxy_id, vector in zip(ids, vectors, strict=True):
        np.testing.assert_array_equal(vector, whole[whole_ids.index(galaxy_id)])


def _whole(images: Path, tmp_path: Path) -> tuple[list[str], np.ndarray]:
    run(images, tmp_path / "whole")
    ids, vectors = artifacts.read_embedding(tmp_path / "whole", "sample", "means")
    return list(ids), vectors


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing:here", "--name", "x"], 1, "is not LAYOUT:PATH"),
        (["synthetic:5", "--name", "a/b"], 1, "cannot name a catalog"),
        (["synthetic:5"], 2, "--name"),
        (["synthetic:5", "--name", "x", "--limit", "-1"], 2, "cannot be negative"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(tmp_path, arguments, code, words):
    command = [sys.executable, str(PROJECT / "scripts/run_pipeline.py"), *arguments, "--artifacts", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == code and words in done.stderr and "Traceback" not in done.stderr
    assert code == 2 or done.stderr.count("\n") == 1
    assert not any(tmp_path.iterdir())


def call(script: str, *arguments: str) -> subprocess.CompletedProcess:
    """A script of the project, run as a user does."""
    command = [sys.executable, str(PROJECT / "scripts" / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_cluster_and_project_scripts(made, tmp_path):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    options = ["--clustering", "kmeans_4", "--set", "n_clusters=4", "--artifacts", str(tmp_path)]
    done = call("cluster.py", "sample", *options)
    assert done.returncode == 0, done.stderr
    assert "kmeans_4: 4 clusters hold 100.0% of all galaxies; strict silhouette" in done.stdout
    assert artifacts.read_manifest(tmp_path, "sample").clusterings["kmeans_4"]["params"]["n_clusters"] == 4
    done = call("project.py", "sample", "--seed", "7", "--artifacts", str(tmp_path))
    assert done.returncode == 0 and "2 maps of 38 galaxies" in done.stdout
    assert re.search(r"pca: keeps [\d.]+% of the 12 nearest, over all galaxies; trustworthiness 0\.\d+ \[", done.stdout)
    assert artifacts.read_manifest(tmp_path, "sample").seed == 7
    done = call("project.py", "nowhere", "--artifacts", str(tmp_path))
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "is missing; make it again with" in done.stderr
