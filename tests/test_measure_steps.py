"""The steps that measure: made by default, kept when nothing changed, added to catalogs made before there were any."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from galaxy_core import artifacts, projection
from galaxy_core.anomaly import score_anomalies
from galaxy_core.errors import ArtifactError
from galaxy_core.map_trust import measure_trust
from galaxy_core.pipeline import rerun_steps
from tests.pipeline_child import CONFIG, run


def write_images(folder: Path, n: int) -> Path:
    """Colour stamps in a folder."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(n):
        tint = rng.integers(0, 200, 3, np.uint8)
        Image.fromarray(rng.integers(0, 40, (20, 24, 3), np.uint8) + tint).save(folder / "images" / f"{i}.png")
    classes = "\n".join(f"{i},{'ab'[i % 2]}" for i in range(n))
    (folder / "labels.csv").write_text(f"galaxy_id,class\n{classes}\n")
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    return write_images(tmp_path_factory.mktemp("catalog"), 40)


@pytest.fixture(scope="module")
def made(images, tmp_path_factory) -> Path:
    """The artifacts root of one run."""
    root = tmp_path_factory.mktemp("made")
    run(images, root)
    return root


@pytest.fixture
def root(made, tmp_path) -> Path:
    """A copy of it to change."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def hashes(root: Path) -> dict[str, str]:
    """sha256 of every file; the manifest without when it was made and how long it took."""
    found = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if path.name == "manifest.json":
            content = json.dumps({**json.loads(content), "created": "", "timings": {}}, sort_keys=True).encode()
        found[path.relative_to(root).as_posix()] = hashlib.sha256(content).hexdigest()
    return found


def forget_measures(root: Path) -> None:
    """Turn a catalog into one that was made before maps and galaxies were measured."""
    manifest = artifacts.read_manifest(root, "sample")
    table = artifacts.read_table(root, "sample", "projections")
    artifacts.write_table(root, "sample", "projections", table.drop(columns=table.filter(like="_trust").columns))
    (root / "sample/anomalies.parquet").unlink()
    config = {**manifest.config, "steps": dict(manifest.config["steps"])}
    for gone in ("trust", "anomalies"):
        del config["steps"][gone]
    del config["n_trees"]
    projections = {name: {k: v for k, v in p.items() if k != "trust"} for name, p in manifest.projections.items()}
    artifacts.write_manifest(root, "sample", replace(manifest, config=config, projections=projections))


def test_both_are_made_from_the_embedding_and_recorded(made):
    manifest = artifacts.read_manifest(made, "sample")
    _, vectors = artifacts.read_embedding(made, "sample", "means")
    index, similarity = artifacts.read_neighbors(made, "sample", "means")
    table = artifacts.read_table(made, "sample", "projections")
    for name in ("pca", "lda"):
        trust = measure_trust(vectors, index, table[[f"{name}_x", f"{name}_y"]].to_numpy(), 0)
        np.testing.assert_array_equal(table[f"{name}_trust"], trust.per_galaxy)
        assert table[f"{name}_trust"].dtype == np.float32
        recorded = manifest.projections[name]["trust"]
        assert recorded["k"] == 12 and recorded["n_queries"] == recorded["n_galaxies"] == 40
        for key in ("preservation", "trustworthiness", "continuity", "trustworthiness_interval", "continuity_interval"):
            assert recorded[key] == pytest.approx(trust.as_dict()[key], abs=1e-6)
    scores = score_anomalies(vectors, similarity, 0, n_trees=CONFIG.n_trees)
    anomalies = artifacts.read_table(made, "sample", "anomalies")
    assert list(anomalies) == ["galaxy_id", "isolation_forest", "neighbor_distance", "anomaly"]
    np.testing.assert_array_equal(anomalies["anomaly"], scores.anomaly)
    assert manifest.config["steps"]["anomalies"]["result"] == {"model": "means", "k": 12, "n_trees": 10, "seed": 0}


def test_a_catalog_made_before_gets_them_and_keeps_the_rest(images, made, root):
    forget_measures(root)
    assert artifacts.verify(root, "sample") == []
    assert not artifacts.has_table(artifacts.read_manifest(root, "sample"), "anomalies")
    with pytest.raises(ArtifactError, match=r"anomalies\.parquet is missing; make it again with"):
        artifacts.read_table(root, "sample", "anomalies")
    before = {path: path.stat().st_ino for path in root.rglob("*.parquet") if path.name != "projections.parquet"}
    result = run(images, root)
    assert {step.name for step in result.steps if not step.reused} == {"trust", "anomalies"}
    assert hashes(root) == hashes(made)
    assert all(path.stat().st_ino == inode for path, inode in before.items() if path.name != "catalog.parquet")


@pytest.mark.parametrize("harmed", [False, True])
def test_a_map_drawn_again_is_measured_again_and_the_scores_are_kept(root, monkeypatch, harmed):
    """The anomaly scores depend on no map, nor do the other maps, which are drawn again only if they are harmed."""
    added, fits, fit_lda = {"method": "pca"}, [], projection.METHODS["lda"]
    monkeypatch.setitem(projection.METHODS, "lda", lambda *of, **params: fits.append(1) or fit_lda(*of, **params))
    before = artifacts.read_table(root, "sample", "projections")
    if harmed:
        path = root / "sample" / "projections.parquet"
        path.write_bytes(path.read_bytes()[:-9])
    result = rerun_steps(root, "sample", lambda c: replace(c, projections={**c.projections, "second": added}))
    assert len(fits) == harmed
    now = artifacts.read_table(root, "sample", "projections")
    assert all(now[name].equals(before[name]) for name in before if name.endswith(("_x", "_y")))
    assert {step.name for step in result.steps if not step.reused} == {"projections", "trust"}
    assert result.manifest.projections["second"]["trust"] == result.manifest.projections["pca"]["trust"]
    again = rerun_steps(root, "sample", lambda config: config)
    assert again.unchanged and all(step.reused for step in again.steps)


def test_other_trees_redo_the_scores_alone(root):
    result = rerun_steps(root, "sample", lambda config: replace(config, n_trees=11))
    assert {step.name for step in result.steps if not step.reused} == {"anomalies"}
    assert artifacts.verify(root, "sample") == []


@pytest.mark.parametrize("relative", ["anomalies.parquet", "projections.parquet"])
@pytest.mark.parametrize("harm", ["flip", "cut", "delete"])
def test_a_damaged_table_is_named_and_mended(images, made, root, relative, harm):
    path = root / "sample" / relative
    content = bytearray(path.read_bytes())
    path.unlink()
    if harm == "flip":
        content[30] ^= 0xFF
    if harm != "delete":
        path.write_bytes(content if harm == "flip" else content[:-9])
    (wrong,) = artifacts.verify(root, "sample")
    assert relative in wrong and "make it again with" in wrong
    run(images, root)
    assert hashes(root) == hashes(made)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_tiny_catalogs_have_both_and_say_what_cannot_be_measured(tmp_path, n):
    manifest = run(write_images(tmp_path / "images", n), tmp_path / "root").manifest
    assert artifacts.verify(tmp_path / "root", "sample") == []
    trust = manifest.projections["pca"]["trust"]
    table = artifacts.read_table(tmp_path / "root", "sample", "projections")
    assert trust["k"] == (n == 3) and table["pca_trust"].isna().all() == (n < 3)
    assert (trust["trustworthiness"] is None) == (n < 3)
    anomalies = artifacts.read_table(tmp_path / "root", "sample", "anomalies")
    assert anomalies["anomaly"].between(0, 1).all() and anomalies["neighbor_distance"].isna().all() == (n == 1)
