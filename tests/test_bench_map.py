"""The benchmark of the map: artifacts of any number of galaxies, and the stopwatch in a real Chromium."""

from __future__ import annotations

import argparse
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import make_catalog

from galaxy_core import artifacts
from galaxy_core.column_notes import OWN_NAME, OWN_TYPE, UNIT, noted, notes_in
from galaxy_core.errors import ArtifactError, GalaxyError
from scripts.benchmarks import many_galaxies, map_browser, stopwatch
from scripts.benchmarks import map as bench
from scripts.benchmarks.many_galaxies import resample, write_many


@pytest.fixture(scope="module")
def many(tiny_root, tmp_path_factory) -> Path:
    """Artifacts with ``more``, 250 galaxies of the 90 of ``tiny``, and ``fewer``, 40 of them."""
    root = tmp_path_factory.mktemp("many")
    write_many(tiny_root, "tiny", root, "more", 250)
    write_many(tiny_root, "tiny", root, "fewer", 40)
    return root


def test_copies_keep_what_is_told_of_a_galaxy_and_move_a_little(many, tiny_root):
    source = np.arange(250) % 90
    catalog = artifacts.read_table(many, "more", "catalog")
    assert catalog["galaxy_id"].is_unique and artifacts.read_manifest(many, "more").n_galaxies == 250
    old = artifacts.read_table(tiny_root, "tiny", "catalog")
    assert catalog.drop(columns="galaxy_id").equals(old.drop(columns="galaxy_id").iloc[source].reset_index(drop=True))
    assert all(new.startswith(was) for new, was in zip(catalog["galaxy_id"], old["galaxy_id"][source], strict=True))
    clusters, before = (artifacts.read_table(*where, "clusters") for where in ((many, "more"), (tiny_root, "tiny")))
    assert (clusters["hdbscan_label"].to_numpy() == before["hdbscan_label"].to_numpy()[source]).all()

    places, was = (artifacts.read_table(*where, "projections") for where in ((many, "more"), (tiny_root, "tiny")))
    moved = places["umap_x"].to_numpy() - was["umap_x"].to_numpy()[source]
    assert (moved[:90] == 0).all() and (moved[90:] != 0).all() and np.abs(moved).max() < 0.2 * was["umap_x"].std()
    assert places["umap_trust"].between(was["umap_trust"].min(), was["umap_trust"].max()).all()
    _, vectors = artifacts.read_embedding(many, "more", "toy")
    _, originals = artifacts.read_embedding(tiny_root, "tiny", "toy")
    assert vectors.shape == (250, 8) and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors * originals[source]).sum(axis=1).min() > 0.99


def test_neighbours_are_copies_of_the_neighbours(many, tiny_root):
    index, similarity = artifacts.read_neighbors(many, "more", "toy")
    before, was = artifacts.read_neighbors(tiny_root, "tiny", "toy")
    source = np.arange(250) % 90
    assert index.min() >= 0 and index.max() < 250 and (index % 90 == before[source]).all()
    assert (similarity == was[source]).all() and (index // 90).max() == 1
    assert (index % 90 != source[:, None]).all()


def test_thumbnails_are_those_of_the_source(many, tiny_root):
    rows = [0, 89, 90, 179, 180, 249]
    wanted = artifacts.read_thumbnails(tiny_root, "tiny", [row % 90 for row in rows])
    assert artifacts.read_thumbnails(many, "more", rows) == wanted
    whole = [path for path in (many / "more" / "thumbnails").iterdir() if path.stat().st_nlink > 1]
    assert len(whole) == 2  # two whole copies take no room; the third is cut short and has a file of its own


def test_the_folder_is_whole_but_for_the_ids_of_linked_thumbnails(many):
    assert artifacts.verify(many, "fewer") == []
    (problem,) = artifacts.verify(many, "more")
    assert "thumbnails" in problem and "in their order" in problem


def test_a_sample_has_neighbours_within_it(many):
    index, _ = artifacts.read_neighbors(many, "fewer", "toy")
    _, vectors = artifacts.read_embedding(many, "fewer", "toy")
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    assert (index[:, 0] == cosines.argmax(axis=1)).all()


def test_ids_stay_different_whatever_they_are():
    chosen = resample(["a", "a~1", "a~~1", "星"], 11)
    ids = chosen.ids(pa.array(["a", "a~1", "a~~1", "星"]), slice(0, 11)).to_pylist()
    assert len(set(ids)) == 11 and ids[:4] == ["a", "a~1", "a~~1", "星"]
    with pytest.raises(ArtifactError):
        resample([], 3)


def test_copies_have_no_ids_of_the_owners(tmp_path):
    table, said = pa.table({"galaxy_id": ["7"], "radius": [1.0]}), {"radius": {UNIT: "arcsec"}}
    source = noted(table, said | {"galaxy_id": {OWN_NAME: "objid", OWN_TYPE: "int64"}})
    chosen, ids = resample(["7"], 2), pa.array(["7"])
    many_galaxies._stream(tmp_path / "many.parquet", source, ids, chosen, lambda chunk, here: chunk)
    made = pq.read_table(tmp_path / "many.parquet")
    assert notes_in(made.schema) == said and made["galaxy_id"].to_pylist() == ["7", "7~1"]


def test_one_galaxy_many_times_and_without_embedding(tmp_path):
    make_catalog(tmp_path, "one", 1)
    write_many(tmp_path, "one", tmp_path, "five", 5, embedding=False)
    assert artifacts.list_embeddings(tmp_path, "five") == [] and len(artifacts.read_thumbnails(tmp_path, "five", [4]))
    assert artifacts.read_neighbors(tmp_path, "five", "toy")[0].shape == (5, 0)
    with pytest.raises(ArtifactError, match="exists"):
        write_many(tmp_path, "one", tmp_path, "five", 5)


def test_the_lasso_holds_the_share_it_should():
    places = np.random.default_rng(0).normal(size=(2, 4000))
    places[0, 7] = np.nan
    outline = bench.circle_around(places, 0.05)
    middle = np.nanmedian(places[:, np.isfinite(places[0])], axis=1)
    radius = np.hypot(*(outline[0] - middle))
    share = (np.hypot(*(places - middle[:, None])) <= radius).sum() / 3999
    assert abs(share - 0.05) < 0.002 and np.allclose(np.hypot(*(outline - middle).T), radius)


def test_lonely_galaxies_are_those_with_the_fewest_around():
    places = np.random.default_rng(1).normal(size=(2, 500))
    found = map_browser.lonely_rows(places, 5)
    distances = np.linalg.norm(places[:, :, None] - places[:, None], axis=0)
    nearest = np.sort(distances, axis=1)[:, 1]
    assert (nearest[found] > np.median(nearest)).all()


def test_limits_are_judged_by_what_was_measured():
    def size(rows: int, seconds: float, ratio: float) -> dict:
        atlas = {"interactive_s": seconds, "first_interactive_s": 2 * seconds, "payload_mb": 1.5}
        return {"rows": rows, "atlas": atlas | {"server_mib": {"peak": 4000.0}}, "click_ratio": ratio}

    found = {line["what"]: line["holds"] for line in bench.judge([size(100_000, 2.0, 1.4), size(10**6, 2.4, 1.6)])}
    assert found == {
        "time to interactive, 1,000,000 over 100,000 galaxies": True,
        "time to interactive, first open, 1,000,000 over 100,000 galaxies": True,
        "click to card over bare rerun, 100,000 galaxies": True,
        "click to card over bare rerun, 1,000,000 galaxies": False,
        "first payload [MB], 1,000,000 galaxies": True,
        "server memory at its highest [MiB], 1,000,000 galaxies": False,
    }


def options_of(*words: str, root: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    return argparse.Namespace(**vars(parser.parse_args(words)), artifacts=root)


def test_without_a_browser_one_sentence(monkeypatch, capsys, tiny_root):
    monkeypatch.setenv("GALAXY_ATLAS_CHROMIUM", "/nowhere/chromium")
    found = bench.measure(options_of("--source", "tiny", root=tiny_root))
    assert found["skipped"].startswith("There is no Chromium at") and "sizes" not in found
    assert capsys.readouterr().out.strip().count("\n") == 0


def test_every_browser_that_the_suite_is_content_with_is_found(monkeypatch, tmp_path):
    """Otherwise the suite begins where there is only Chrome, and its browser tests fail."""
    monkeypatch.syspath_prepend(stopwatch.PROJECT / "scripts")
    names = runpy.run_path(str(stopwatch.PROJECT / "scripts" / "test.py"), run_name="script")["BROWSERS"]
    monkeypatch.delenv("GALAXY_ATLAS_CHROMIUM", raising=False)
    for name in names:
        program = tmp_path / name / name
        program.parent.mkdir()
        program.touch(mode=0o755)
        monkeypatch.setenv("PATH", str(program.parent))
        assert stopwatch.find_chromium() == str(program)


def test_without_the_source_one_sentence(tmp_path):
    with pytest.raises(ArtifactError, match=r"manifest\.json is missing"):
        bench.measure(options_of(root=tmp_path))


@pytest.mark.browser
def test_the_stopwatch_measures_the_map(chromium, tiny_root, tmp_path):
    ids = artifacts.read_table(tiny_root, "tiny", "catalog")["galaxy_id"].to_numpy(dtype=object)
    table = artifacts.read_table(tiny_root, "tiny", "projections")
    outline = bench.circle_around(np.stack([table["umap_x"], table["umap_y"]]), 0.2)
    app = stopwatch.PROJECT / "app.py"
    with stopwatch.Server(app, tmp_path, "--artifacts", str(tiny_root)) as server:
        with stopwatch.Visit(chromium) as visit:
            page = map_browser.AtlasMap(visit, server, "tiny", ids)
            opened = page.open()
            assert 0.1 < opened["interactive_s"] <= opened["picture_s"] and 0.01 < opened["payload_mb"] < 2
            assert page.click(page.rows(1)[0]) > 5 and page.lasso(outline) > 0.01
        assert 50 < server.memory_mib()["now"] <= server.memory_mib()["peak"]


@pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")
def test_memory_and_processor_are_those_of_all_processes(tmp_path):
    work = "import sys, time; blob = bytearray(200 * 2**20); end = time.process_time() + 0.3\n"
    work += "while time.process_time() < end: pass\nprint(flush=True)\n"
    script = tmp_path / "parent.py"
    script.write_text(
        f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {work + 'sys.stdin.read()'!r}])\n"
    )
    server = object.__new__(stopwatch.Server)
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        server.process = process
        process.stdout.readline()
        assert server.memory_mib()["now"] > 200 and server.processor_s() >= 0.3
        process.stdin.close()


def test_a_server_that_does_not_start_says_why(tmp_path):
    with pytest.raises(GalaxyError, match="did not start"), stopwatch.Server(tmp_path / "no.py", tmp_path):
        pass
