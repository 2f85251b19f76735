"""The commands and the pipeline place galaxies through the engine: the same files, and no fit is made twice."""

from __future__ import annotations

import shutil
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from galaxy_core import artifacts, projection
from galaxy_core.engine import Engine, Shard, map_shards
from galaxy_core.pipeline import add_clusterings, rerun_steps
from galaxy_core.sweeps import run_sweep
from scripts import cluster, project
from tests import pipeline_child
from tests.pipeline_child import run
from tests.test_pipeline import hashes, write_images

pytestmark = pytest.mark.usefixtures("small_shards")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Artifacts of a small catalog in three classes."""
    root = tmp_path_factory.mktemp("made")
    run(write_images(tmp_path_factory.mktemp("catalog"), 60, broken=()), root)
    return root


def test_the_commands_write_the_same_files_whoever_places(made, tmp_path, engines, monkeypatch, capsys):
    seen = {}
    for workers, engine in engines.items():
        root = tmp_path / str(workers)
        shutil.copytree(made, root)
        used = counted(engine, shards := [])
        if workers:  # else the engine that there is without the option
            monkeypatch.setattr("scripts.engine_options.open_engine", lambda *_, used=used: nullcontext(used))
        also = ["--artifacts", str(root), *(["--workers", str(workers)] if workers else [])]
        for script, words in (
            (project, ["--fit-limit", "30", "--projection", "tsne"]),
            (cluster, ["--method", "kmeans", "--param", "n_clusters=4", "--space", "pca_2"]),
            (cluster, ["--method", "gmm", "--sweep", "n_clusters=2,3"]),
        ):
            monkeypatch.setattr(sys, "argv", ["script", "sample", *words, *also])
            assert script.main() == 0
        files = hashes(root)
        seen[workers] = {name: found for name, found in files.items() if "sweep" not in name}  # these hold seconds
        fits = artifacts.read_sweeps(root, "sample").drop(columns=["seconds"])
        seen[workers]["fits"] = fits.astype(str).to_csv()
        assert not list(root.rglob("*placing*")) and not (root / artifacts.STAGING).exists()
        assert not workers or len(shards) > 8 * 9  # a pca, lda, tsne, two spaces, three clusterings, two of the sweep
    assert seen[0] == seen[2]
    assert "placing" in capsys.readouterr().err
    manifest = artifacts.read_manifest(tmp_path / "2", "sample")
    assert manifest.clusterings["kmeans_4_pca_2"]["measures"]["n_fitted"] == 30


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--seed", "-1"], "A seed must be a number from 0 to 4,294,967,295, not -1."),
        (["--projection", "umap", "--set", "min_dist=7"], "min_dist must be a number from 0 to 1, not 7."),
        (["--projection", "tsne", "--set", "perplexity=0"], "perplexity must be a number of at least 1, not 0."),
        (["--projection", "umap", "--set", "wrong=1"], "umap has no parameter 'wrong'; it has n_neighbors, min_dist."),
    ],
)
def test_maps_that_cannot_be_made_are_one_sentence_and_change_nothing(
    made, tmp_path, monkeypatch, capsys, words, sentence
):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(sys, "argv", ["project.py", "sample", *words, "--artifacts", str(tmp_path)])
    assert project.main() == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1].split("\r")[-1] == sentence
    assert "wrong=1" not in words or "projections" not in said, "said before the other maps are made"
    assert hashes(tmp_path / "sample") == hashes(made / "sample")


def test_a_map_that_is_asked_for_by_name_and_cannot_be_is_said_so(tmp_path, monkeypatch, capsys):
    for n in (1, 2):  # one class, so that LDA is not tried by itself; two, of which too few galaxies are known
        root = tmp_path / str(n)
        run(write_images(tmp_path / f"images{n}", n, broken=()), root)
        before = hashes(root / "sample")
        assert set(artifacts.read_manifest(root, "sample").projections) == {"pca"}
        monkeypatch.setattr(sys, "argv", ["project.py", "sample", "--projection", "lda", "--artifacts", str(root)])
        assert project.main() == 1
        said = capsys.readouterr().err.splitlines()[-1].split("\r")[-1]
        assert said.startswith("LDA ") and said.endswith("use UMAP, t-SNE or PCA.")
        assert hashes(root / "sample") == before


def stop(step: str, done: int, total: int) -> None:
    """Ctrl-C in the midst of placing."""
    if step == "placing" and done >= 12:
        raise KeyboardInterrupt


def counted(engine: Engine | None, shards: list[Shard]) -> Engine | None:
    """An engine that notes what it is given to do."""

    def backend(work, setup, todo, tell):
        def noted():
            for shard in todo:
                shards.append(shard)
                yield shard

        return engine.run(work, setup, noted(), tell)

    return engine and Engine(backend, elsewhere=True)


def test_the_pipeline_places_with_the_engine_it_is_given(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline_child, "CONFIG", replace(pipeline_child.CONFIG, fit_limit=25))
    names = []

    def backend(work, setup, shards, tell):
        def noted():
            for shard in shards:
                names.append(shard.name)
                yield shard

        return map_shards(work, noted(), setup)

    images = write_images(tmp_path / "images")
    run(images, tmp_path / "one")
    run(images, tmp_path / "two", engine=Engine(backend))
    assert hashes(tmp_path / "one" / "sample") == hashes(tmp_path / "two" / "sample")
    placed = {name.split(",")[0] for name in names if ", rows" in name}
    assert placed == {"pca", "lda", "stage_0", "kmeans_3", "kmeans_2"}


def test_a_run_stopped_while_placing_fits_nothing_again(made, tmp_path, monkeypatch):
    root, fits, fit_lda = tmp_path / "root", [], projection.METHODS["lda"]
    monkeypatch.setitem(projection.METHODS, "lda", lambda *of, **params: fits.append(1) or fit_lda(*of, **params))
    shutil.copytree(made, root)
    settings = {"k4": {"method": "kmeans", "space": "embedding", "params": {"n_clusters": 4}}}
    with pytest.raises(KeyboardInterrupt):
        add_clusterings(root, "sample", settings, stop, fit_limit=30)  # in the first map, which is by LDA
    parts = {path.name: path.stat().st_mtime_ns for path in root.rglob("*placing-*")}
    assert len(parts) >= 3 and all(name.startswith("lda.") for name in parts) and fits == [1]
    told = []
    add_clusterings(root, "sample", settings, lambda *said: told.append(said), fit_limit=30)
    assert next(done for step, done, _ in told if step == "placing") >= 12
    assert fits == [1] and not list(root.rglob("*placing*"))


def test_a_sweep_that_was_stopped_leaves_its_parts_for_the_next(made, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(made, root)
    rerun_steps(root, "sample", lambda config: replace(config, fit_limit=30))
    before = hashes(root)
    settings = {"method": "kmeans", "space": "embedding", "params": {}}

    with pytest.raises(KeyboardInterrupt):
        run_sweep(root, "sample", settings, "n_clusters", [2], progress=stop)
    assert len(list(root.rglob("*placing-0*"))) >= 2
    told = []
    run_sweep(root, "sample", settings, "n_clusters", [2, 3], progress=lambda *said: told.append(said))
    assert next(done for step, done, _ in told if step == "placing") >= 12
    assert {**hashes(root), **before} == hashes(root) and not (root / artifacts.STAGING).exists()
