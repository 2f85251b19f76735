"""A catalog that grows and keeps its maps: who was there stays to the last bit, who is new lies among its like."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from galaxy_core import artifacts, map_keeping, projection
from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import ArtifactError
from galaxy_core.map_layers import Extent, extent_of
from galaxy_core.pipeline import add_clusterings, rerun_steps, run_pipeline
from galaxy_core.placer import Placer
from galaxy_core.placing import open_beside
from galaxy_core.principal import fit_pca
from pages.views import about_map
from pages.views.outlines import mark_of
from scripts import run_pipeline as command
from tests.pipeline_child import CONFIG, EMBEDDER
from tests.pipeline_runs import hashes, write_images

pytestmark = pytest.mark.usefixtures("small_shards")

MAPS = {name: {"method": name} for name in ("umap", "tsne", "pca", "lda")}
CLUSTERINGS = {"kmeans_3": CONFIG.clusterings["kmeans_3"]}
SMALL = replace(CONFIG, projections=MAPS, clusterings=CLUSTERINGS)
N = 42
TINTS = np.array([(200, 60, 40), (60, 200, 40), (40, 60, 200)])


def bent(vectors, seed, n_components, **_):
    """In place of UMAP, which takes long to import: no linear map."""
    places = np.round(5 * fit_pca(vectors, seed, n_components)[0].astype(np.float32), 1) ** 3
    return places, {}, Placer(open_beside, lambda: {"vectors": vectors, "coordinates": places})


@pytest.fixture(autouse=True)
def quick_umap(monkeypatch):
    monkeypatch.setitem(projection.METHODS, "umap", bent)


def make(images: Path, root: Path, keep: bool = True, embedder=EMBEDDER, config=SMALL, **changed):
    catalog = read_catalog(f"folder:{images}")
    return run_pipeline(catalog, embedder, root, "sample", replace(config, **changed), keep_maps=keep)


def grow(images: Path, first: int, n: int) -> None:
    """Add galaxies, of the three kinds in turn, ahead of those that there are."""
    rng = np.random.default_rng(first)
    for i in range(first, first + n):
        pixels = rng.integers(0, 40, (20, 24, 3), np.uint8) + TINTS[i % 3].astype(np.uint8)
        Image.fromarray(pixels).save(images / f"images/{100 + i}.png")
    table = pd.read_csv(images / "labels.csv", dtype=str)
    rows = range(first, first + n)
    new = pd.DataFrame({"galaxy_id": [str(100 + i) for i in rows], "class": [("a", "b", "c")[i % 3] for i in rows]})
    pd.concat([new, table]).to_csv(images / "labels.csv", index=False)


def shrink(images: Path, *ids: str) -> None:
    table = pd.read_csv(images / "labels.csv", dtype=str)
    table[~table["galaxy_id"].isin(ids)].to_csv(images / "labels.csv", index=False)
    for name in ids:
        (images / f"images/{name}.png").unlink()


def maps_of(root: Path) -> pd.DataFrame:
    assert artifacts.verify(root, "sample") == []
    return artifacts.read_table(root, "sample", "projections").set_index("galaxy_id")


def places(table: pd.DataFrame, name: str) -> np.ndarray:
    return table[[f"{name}_x", f"{name}_y"]].to_numpy()


def bits(table: pd.DataFrame, ids) -> dict[str, bytes]:
    return {name: places(table.loc[list(ids)], name).tobytes() for name in MAPS}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """``images`` of a catalog and ``root``, its artifacts; shared, so not to be changed."""
    folder = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(projection.METHODS, "umap", bent)
        make(write_images(folder / "images", N, broken=()), folder / "root", keep=False)
    return folder


@pytest.fixture
def work(first, tmp_path) -> Path:
    shutil.copytree(first, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_catalog_grows_twice_and_nobody_moves(work):
    images, root = work / "images", work / "root"
    before = maps_of(root)
    grow(images, N, 9)
    shrink(images, "103")
    manifest = make(images, root).manifest
    after, stayed = maps_of(root), before.index.drop("103")
    assert bits(after, stayed) == bits(before, stayed) and len(after) == N + 8
    new = [str(100 + i) for i in range(N, N + 9)]
    kinds = {name: (int(name) - 100) % 3 for name in after.index}
    for name in MAPS:
        assert after.index[after[f"{name}_placed"]].tolist() == new
        assert manifest.projections[name]["kept"] == {"n_fitted": N - 1, "n_placed": 9}
        assert manifest.projections[name]["trust"]["n_galaxies"] == N + 8
        apart = np.linalg.norm(places(after.loc[new], name)[:, None] - places(after.loc[stayed], name), axis=2)
        assert [kinds[stayed[k]] for k in apart.argmin(axis=1)] == [kinds[name] for name in new], name
    # the axes of the first fit, and not of those who came later
    vectors = dict(zip(*artifacts.read_embedding(root, "sample", "means"), strict=True))
    old = np.stack([vectors[name] for name in stayed]).astype(float)
    line = np.linalg.lstsq(np.c_[old, np.ones(len(old))], places(before.loc[stayed], "pca"), rcond=None)[0]
    expected = np.c_[np.stack([vectors[name] for name in new]), np.ones(9)] @ line
    np.testing.assert_allclose(places(after.loc[new], "pca"), expected, atol=1e-5)

    assert make(images, root).unchanged
    grow(images, N + 9, 6)
    shrink(images, new[0])
    manifest = make(images, root).manifest
    again = maps_of(root)
    assert bits(again, after.index.drop(new[0])) == bits(after, after.index.drop(new[0]))
    newer = [str(100 + i) for i in range(N + 9, N + 15)]
    for name in MAPS:
        assert set(again.index[again[f"{name}_placed"]]) == {*new[1:], *newer}
        assert manifest.projections[name]["kept"] == {"n_fitted": N - 1, "n_placed": 14}
        home = Extent(*manifest.projections[name]["home"])  # by which links tell places: as before it grew at all
        assert mark_of(home) == mark_of(extent_of(*places(before, name).T))
    assert manifest.clusterings["kmeans_3"]["scores"] and manifest.n_galaxies == N + 13


def test_lda_stays_where_the_classes_are_gone(work):
    images, root = work / "images", work / "root"
    before = maps_of(root)
    pd.read_csv(images / "labels.csv", dtype=str).drop(columns="class").to_csv(images / "labels.csv", index=False)
    make(images, root)
    assert bits(maps_of(root), before.index) == bits(before, before.index)
    assert "lda" not in make(images, root, keep=False).manifest.projections


def test_galaxies_are_placed_by_those_that_were_fitted_alone(work, monkeypatch):
    images, root, placed_by = work / "images", work / "root", []
    beside = map_keeping.open_beside

    def open_beside(vectors, coordinates):
        placed_by.append(len(vectors))
        return beside(vectors, coordinates)

    monkeypatch.setattr(map_keeping, "open_beside", open_beside)
    monkeypatch.setitem(map_keeping.OPENERS, "open_beside", open_beside)
    for start in (N, N + 6):
        grow(images, start, 6)
        make(images, root)
    assert placed_by == [N, N]


def test_a_map_of_a_sample_stays_one(work):
    images, root = work / "images", work / "root"
    made = make(images, root, keep=False, fit_limit=30).manifest
    drawn = projection_sample(root, made)
    before = maps_of(root)
    grow(images, N, 6)
    manifest = make(images, root, fit_limit=30).manifest
    after = maps_of(root)
    assert bits(after, before.index) == bits(before, before.index)
    assert set(after.index[~after["umap_placed"]]) == set(before.index[drawn])
    assert manifest.projections["umap"]["kept"] == {"n_fitted": 30, "n_placed": N - 30 + 6}
    assert manifest.projections["pca"]["kept"] == {"n_fitted": N, "n_placed": 6}  # it was of all
    assert not list(root.rglob("*placing*")) and make(images, root, fit_limit=30).unchanged


def projection_sample(root: Path, manifest) -> np.ndarray:
    vectors = artifacts.read_embedding(root, "sample", "means")[1]
    return map_keeping.draw_sample(vectors, manifest.config["fit_limit"], manifest.seed)


def test_what_is_done_later_keeps_the_maps_too(work):
    images, root = work / "images", work / "root"
    grow(images, N, 5)
    make(images, root)
    kept = maps_of(root)
    mine = {"mine": {"method": "kmeans", "space": "pca_2", "params": {"n_clusters": 2, "n_init": 1}}}
    steps = add_clusterings(root, "sample", mine).steps
    assert {step.name: step.reused for step in steps}["projections"] and bits(maps_of(root), kept.index)
    changed = {**MAPS, "tsne": {"method": "tsne", "perplexity": 4}}
    manifest = rerun_steps(root, "sample", lambda config: replace(config, projections=changed)).manifest
    now = maps_of(root)
    assert {n for n in MAPS if bits(now, kept.index)[n] == bits(kept, kept.index)[n]} == {"umap", "pca", "lda"}
    assert "kept" not in manifest.projections["tsne"] and "tsne_placed" not in now
    words = shlex.split(artifacts.mend_command(root, "sample", manifest))
    assert command.parse(words[2:]).keep_maps
    grow(images, N + 5, 4)
    manifest = make(images, root).manifest  # with the map as it was asked for, not as the config has it
    assert bits(maps_of(root), now.index) == bits(now, now.index)
    assert manifest.projections["tsne"]["kept"] == {"n_fitted": N + 5, "n_placed": 4}
    assert "mine" in manifest.clusterings
    other = rerun_steps(root, "sample", lambda config: replace(config, seed=3)).manifest
    assert not any("kept" in made for made in other.projections.values())
    assert "--keep-maps" not in artifacts.mend_command(root, "sample", other)


def test_another_machine_of_the_kind_is_no_reason_to_move(work):
    """Vectors in bfloat16 differ by 1 % and more from one processor to another, whose fingerprint is the same."""
    images, root = work / "images", work / "root"
    before = maps_of(root)
    grow(images, N, 5)

    def rounded(some):
        vectors = EMBEDDER.embed(some)
        noise = np.random.default_rng(0).normal(size=vectors.shape)
        return (vectors + 0.015 * noise / np.linalg.norm(noise, axis=1, keepdims=True)).astype(np.float32)

    make(images, root, embedder=replace(EMBEDDER, embed=rounded))
    assert bits(maps_of(root), before.index) == bits(before, before.index)


def test_nothing_new_changes_nothing(work):
    make(work / "images", work / "root", keep=False)  # as the copy of the images is where it is
    before = hashes(work / "root")
    assert make(work / "images", work / "root").unchanged and hashes(work / "root") == before
    assert not make(work / "images", work / "root", seed=4).unchanged  # everything else is drawn anew
    assert bits(maps_of(work / "root"), ["100"]) and "umap_placed" in maps_of(work / "root")


def test_a_run_that_died_ends_with_the_same_files(work, monkeypatch):
    images, root = work / "images", work / "root"
    grow(images, N, 9)
    shutil.copytree(root, work / "other")
    make(images, work / "other")
    place = map_keeping.KeptMaps.place

    def die(self, name, *rest):
        if name == "pca":
            raise KeyboardInterrupt
        return place(self, name, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(map_keeping.KeptMaps, "place", die)
        with pytest.raises(KeyboardInterrupt):
            make(images, root)
    make(images, root)
    assert hashes(root) == hashes(work / "other")


def test_maps_that_cannot_be_kept_are_one_sentence_and_stay_readable(work):
    images, root = work / "images", work / "root"
    with pytest.raises(ArtifactError, match="has no maps that could be kept"):
        make(images, work / "elsewhere")
    before = hashes(root / "sample")
    with pytest.raises(ArtifactError, match=r"embedded by another model than this means"):
        make(images, root, embedder=replace(EMBEDDER, fingerprint="version 2"))
    with pytest.raises(ArtifactError, match=r"another model than this others \(means, or"):
        make(images, root, embedder=replace(EMBEDDER, name="others"))
    Image.new("RGB", (20, 20), (255, 255, 255)).save(images / "images/103.png")
    grow(images, N, 3)
    with pytest.raises(ArtifactError, match=r"Images have changed .*\(1, of 103\), so.*without --keep-maps"):
        make(images, root)
    assert hashes(root / "sample") == before
    shrink(images, *(str(100 + i) for i in range(N - 2)))
    with pytest.raises(ArtifactError, match="holds 2 of the galaxies it was fitted on, too few"):
        make(images, root)
    assert hashes(root / "sample") == before
    path = root / "sample/projections.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"projections.parquet is missing or corrupt, so the maps cannot be kept"):
        make(images, root)


def test_the_command_and_the_page_say_who_was_placed(work, monkeypatch, capsys):
    images, root = work / "images", work / "root"
    monkeypatch.setattr("galaxy_core.embedding.find_model", lambda *_: None)
    monkeypatch.setattr("galaxy_core.embedding.load_embedder", lambda *_: EMBEDDER)
    monkeypatch.setattr("galaxy_core.pipeline.PipelineConfig", lambda **given: replace(SMALL, **given))
    grow(images, N, 5)
    words = [f"folder:{images}", "--name", "sample", "--artifacts", str(root), "--keep-maps"]
    monkeypatch.setattr(sys, "argv", ["run_pipeline.py", *words])
    assert command.main() == 0
    said = capsys.readouterr().out
    assert f"umap: kept, fitted on {N} galaxies; 5 are placed among them" in said and "Clusterings are not kept" in said
    manifest = artifacts.read_manifest(root, "sample")
    galaxies = type("Some", (), {"__len__": lambda self: N + 5, "manifest": manifest})()
    assert about_map.fitted_sentence(galaxies).startswith(
        f"Kept as they were while the catalog grew: LDA, PCA, t-SNE, UMAP. They were fitted on {N} galaxies that are"
        " still here; the other 5 were placed"
    )
    for more, why in ((["--recipe", "moco"], "needs the model"), (["--limit", "9"], "--limit draws other galaxies")):
        with pytest.raises(SystemExit):
            command.parse([*words, *more])
        assert why in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["run_pipeline.py", *words[:1], "--name", "none", *words[3:]])
    assert command.main() == 1 and "has no maps that could be kept" in capsys.readouterr().err
