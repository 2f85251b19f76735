"""HATS out: what LSDB opens and cross-matches, borders and margins, streams, and the command that exports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import make_catalog
from hats_fields import field, stream_of

from galaxy_core import artifacts, catalog_export
from galaxy_core.artifacts.streaming import stream_columns
from galaxy_core.catalog_export import export_hats
from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import ArtifactError, CatalogError, ExportError
from galaxy_core.hats_export import MISSING, write_hats
from scripts import export

PROJECT = Path(__file__).resolve().parents[1]
lsdb = pytest.importorskip("lsdb", reason=MISSING)
PARTS = ("projections", "clusters", "anomalies", "embedding", "images")


def separation_arcsec(one: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Great-circle distances (n, m) by the haversine formula."""
    ra1, dec1, ra2, dec2 = (
        np.radians(frame[name].to_numpy()) for frame in (one, other) for name in ("ra_deg", "dec_deg")
    )
    half = np.sin((dec1[:, None] - dec2) / 2) ** 2
    half = half + np.cos(dec1[:, None]) * np.cos(dec2) * np.sin((ra1[:, None] - ra2) / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(half))) * 3600


def pixel_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("dataset/Norder=*/Dir=*/Npix=*.parquet"))


@pytest.fixture(scope="module")
def exported(tiny_root, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("hats") / "tiny"
    made = export_hats(tiny_root, "tiny", out, PARTS, partition_rows=20)
    assert made.n_rows == 90 and made.n_without_position == 0 and made.n_partitions > 4
    return out


# ---------------------------------------------------------------- out


def test_lsdb_opens_everything_that_was_stored(tiny_root, exported):
    catalog = lsdb.open_catalog(exported, columns="all")
    found = catalog.compute().set_index("galaxy_id")
    wanted = artifacts.read_table(tiny_root, "tiny", "catalog").set_index("galaxy_id")
    assert len(found) == len(catalog) == 90 and set(found.index) == set(wanted.index)
    found = found.loc[wanted.index]
    for column in ("ra_deg", "dec_deg", "class", "radius_arcsec"):
        assert found[column].tolist() == wanted[column].tolist()
    clusters = artifacts.read_table(tiny_root, "tiny", "clusters").set_index("galaxy_id")
    assert found["hdbscan_label"].tolist() == clusters["hdbscan_label"].loc[found.index].tolist()
    ids, vectors = artifacts.read_embedding(tiny_root, "tiny", "toy")
    assert np.array_equal(np.stack([np.asarray(v, np.float32) for v in found["embedding"].loc[ids]]), vectors)
    assert bytes(found["image"].loc[ids[7]]) == artifacts.read_thumbnails(tiny_root, "tiny", [7])[0]
    assert {"umap_x", "anomaly", "kmeans_8_membership"} <= set(found.columns)


def test_a_partition_holds_its_pixel_sorted_and_no_more_rows_than_asked(tmp_path):
    from hats.pixel_math.healpix_shim import radec2pix

    frame = field()
    made = write_hats(stream_of(frame), tmp_path / "f", "f", partition_rows=30)
    seen = []
    for path in pixel_files(tmp_path / "f" / "f"):
        table = pd.read_parquet(path, partitioning=None)
        order, pixel = int(path.parts[-3].split("=")[1]), int(path.stem.split("=")[1])
        assert (radec2pix(order, table["ra_deg"], table["dec_deg"]) == pixel).all() and len(table) <= 30
        assert table["_healpix_29"].is_monotonic_increasing
        assert table["_healpix_29"].tolist() == radec2pix(29, table["ra_deg"], table["dec_deg"]).tolist()
        seen += table["galaxy_id"].tolist()
    assert sorted(seen) == sorted(frame["galaxy_id"]) and made.n_partitions == len(pixel_files(tmp_path / "f" / "f"))
    assert not list(tmp_path.glob(".*")) and not (tmp_path / "f" / ".spool").exists()


@pytest.mark.parametrize("left", ["ours", "other"])
def test_lsdb_crossmatches_as_pair_by_pair_does(tmp_path, left):
    """Half of the other catalog are our galaxies a little moved, in part across borders; the rest are elsewhere."""
    ours, rng = field(), np.random.default_rng(1)
    other = pd.concat([ours.sample(200, random_state=2), field(200, seed=3)], ignore_index=True)
    turn = rng.uniform(0, 2 * np.pi, len(other))
    other["dec_deg"] += 3 * np.sin(turn) / 3600
    other["ra_deg"] += 3 * np.cos(turn) / 3600
    other["galaxy_id"] = [f"o{k}" for k in range(len(other))]
    made = write_hats(stream_of(ours), tmp_path / "ours", "ours", partition_rows=20)
    assert made.n_margin_rows > 0
    mine = lsdb.open_catalog(tmp_path / "ours")
    theirs = lsdb.from_dataframe(other, ra_column="ra_deg", dec_column="dec_deg", partition_rows=60)
    pair = (mine, theirs) if left == "ours" else (theirs, mine)
    options = {"radius_arcsec": 4, "n_neighbors": 1, "suffixes": ("_1", "_2"), "suffix_method": "all_columns"}
    found = pair[0].crossmatch(pair[1], **options).compute()
    frames = (ours, other) if left == "ours" else (other, ours)
    apart = separation_arcsec(*frames)
    near = apart.argmin(axis=1)
    wanted = {
        (frames[0]["galaxy_id"][k], frames[1]["galaxy_id"][near[k]]) for k in range(len(near)) if apart[k, near[k]] <= 4
    }
    assert set(zip(found["galaxy_id_1"], found["galaxy_id_2"], strict=True)) == wanted and len(wanted) > 190


def test_without_the_margin_pairs_across_borders_would_be_lost(tmp_path):
    from hats.pixel_math.healpix_shim import radec2pix

    frame = field(1500)
    write_hats(stream_of(frame), tmp_path / "f", "f", partition_rows=50)
    in_margin = pd.concat([pd.read_parquet(p, partitioning=None) for p in pixel_files(tmp_path / "f" / "f_10arcs")])
    # a galaxy is in the margin if a step of 10 arcseconds along a meridian or parallel leads out of its partition
    homes = {}
    for path in pixel_files(tmp_path / "f" / "f"):
        order, pixel = int(path.parts[-3].split("=")[1]), int(path.stem.split("=")[1])
        homes |= dict.fromkeys(pd.read_parquet(path, partitioning=None)["galaxy_id"], (order, pixel))
    orders, pixels = np.array([homes[galaxy_id] for galaxy_id in frame["galaxy_id"]]).T
    leaves = np.zeros(len(frame), bool)
    for order in np.unique(orders):
        there = orders == order
        ra, dec = (frame[name][there].to_numpy() for name in ("ra_deg", "dec_deg"))
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            leaves[there] |= radec2pix(int(order), ra + dx * 10 / 3600, dec + dy * 10 / 3600) != pixels[there]
    near_border = set(frame["galaxy_id"][leaves])
    assert near_border and near_border <= set(in_margin["galaxy_id"])
    assert len(set(in_margin["galaxy_id"])) < 0.5 * len(frame)


def test_edges_of_the_sky_one_galaxy_and_two_in_one_place(tmp_path):
    places = [(0.0, 90.0), (360.0, 0.0), (0.0, 0.0), (123.0, -90.0), (10.0, 10.0), (10.0, 10.0)]
    frame = pd.DataFrame(places, columns=["ra_deg", "dec_deg"])
    frame.insert(0, "galaxy_id", [f"g{k}" for k in range(6)])
    write_hats(stream_of(frame), tmp_path / "sky", "sky", partition_rows=1)
    assert sorted(lsdb.open_catalog(tmp_path / "sky").compute()["galaxy_id"]) == frame["galaxy_id"].tolist()
    made = write_hats(stream_of(frame[:1]), tmp_path / "one", "one")
    assert made.n_partitions == 1 and len(lsdb.open_catalog(tmp_path / "one").compute()) == 1


def test_galaxies_without_a_position_are_left_out_and_counted(tmp_path):
    frame = field(50)
    frame.loc[3:6, "dec_deg"] = np.nan
    made = write_hats(stream_of(frame, 7), tmp_path / "f", "f", partition_rows=10)
    assert (made.n_rows, made.n_without_position) == (46, 4)
    found = lsdb.open_catalog(tmp_path / "f").compute().set_index("galaxy_id")
    assert set(found.index) == set(frame["galaxy_id"].drop(range(3, 7)))
    assert found["ra_deg"].to_dict() == frame.set_index("galaxy_id")["ra_deg"].drop(frame["galaxy_id"][3:7]).to_dict()


def test_what_cannot_be_written_is_one_sentence(tiny_root, tmp_path, monkeypatch):
    frame = field(5)
    for bad in (frame.drop(columns="ra_deg"), frame.assign(ra_deg=np.nan)):
        with pytest.raises(ExportError, match="no positions"):
            write_hats(stream_of(bad), tmp_path / "no", "no")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(ExportError, match="holds something"):
        write_hats(stream_of(frame), tmp_path / "full", "full")
    with pytest.raises(ExportError, match="no embedding by nobody"):
        export_hats(tiny_root, "tiny", tmp_path / "e", ("embedding",), "nobody")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    monkeypatch.setitem(sys.modules, "hats", None)
    with pytest.raises(ExportError, match="requirements-cluster"):
        export_hats(tiny_root, "tiny", tmp_path / "e")
    with pytest.raises(CatalogError, match="requirements-cluster"):
        read_catalog("hats:anywhere")


def test_an_export_that_fails_leaves_nothing(tmp_path):
    calls = []

    def stream():
        calls.append(1)
        yield from list(stream_of(field(50), 10)())[: 3 if len(calls) > 1 else None]
        if len(calls) > 1:
            raise OSError("the disk is gone")

    with pytest.raises(ExportError, match=r"Cannot write .*/f: the disk is gone; free some space"):
        write_hats(stream, tmp_path / "f", "f", partition_rows=10)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_and_partitions_of_no_row_are_one_sentence(tmp_path):
    (tmp_path / "file").write_text("keep")
    for folder, reason in (("file/f", "Not a directory"), ("f" * 300, "File name too long")):
        with pytest.raises(ExportError, match=f"Cannot write .*/{folder}: {reason}"):
            write_hats(stream_of(field(5)), tmp_path / folder, "f")
    for rows in (0, -1):
        with pytest.raises(ExportError, match=f"at least 1 row, not {rows}"):
            write_hats(stream_of(field(5)), tmp_path / "f", "f", partition_rows=rows)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_folder_one_is_in_can_be_written_where_it_is_empty(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert write_hats(stream_of(field(5)), ".", "f").folder == tmp_path / "here"
    assert (tmp_path / "here" / "collection.properties").is_file()


# ---------------------------------------------------------------- streams


@pytest.mark.parametrize("batch", [1, 7, 90, 1000])
def test_a_stream_has_every_row_once_whatever_its_batches(tiny_root, batch):
    tables = list(stream_columns(tiny_root, "tiny", ["clusters", "embedding/toy"], batch))
    assert all(len(table) == batch for table in tables[:-1]) and sum(map(len, tables)) == 90
    whole = pa.concat_tables(tables)
    assert whole["galaxy_id"].to_pylist() == [f"tiny-{k:05d}" for k in range(90)]
    assert np.array_equal(
        artifacts.matrix_of(whole["embedding"]), artifacts.read_embedding(tiny_root, "tiny", "toy")[1]
    )


def test_a_column_that_the_catalog_has_keeps_its_name_there(tmp_path):
    make_catalog(tmp_path, n=10)
    frame = artifacts.read_table(tmp_path, "tiny", "catalog").assign(hdbscan_label=7)
    artifacts.write_table(tmp_path, "tiny", "catalog", frame)
    manifest = artifacts.read_manifest(tmp_path, "tiny")
    artifacts.write_manifest(tmp_path, "tiny", manifest)
    table = next(iter(stream_columns(tmp_path, "tiny", ["clusters"])))
    assert set(table["hdbscan_label"].to_pylist()) == {7} and "atlas_hdbscan_label" in table.column_names


def test_tables_of_other_galaxies_are_found_out(tmp_path):
    make_catalog(tmp_path, n=10)
    clusters = artifacts.read_table(tmp_path, "tiny", "clusters")
    artifacts.write_table(tmp_path, "tiny", "clusters", clusters[::-1])
    artifacts.write_manifest(tmp_path, "tiny", artifacts.read_manifest(tmp_path, "tiny"))
    with pytest.raises(ArtifactError, match="in their order"):
        list(stream_columns(tmp_path, "tiny", ["clusters"]))


# ---------------------------------------------------------------- the command


def run(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "scripts/export.py", *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300)


def test_the_command_writes_hats_and_votable_with_ucds(tiny_root, tmp_path, monkeypatch, capsys):
    done = run("tiny", "--artifacts", tiny_root, "--format", "hats", "--out", tmp_path / "h", "--with", "clusters")
    assert done.returncode == 0 and "90 galaxies in 12 partitions" in done.stdout, done.stderr
    words = ["export.py", "tiny", "--artifacts", str(tiny_root)]  # from here on in this process
    monkeypatch.setattr(sys, "argv", [*words, "--format", "votable", "--out", str(tmp_path / "t.vot")])
    assert export.main() == 0 and capsys.readouterr().out.startswith("90 galaxies")
    from astropy.io.votable import parse
    from astropy.io.votable.ucd import check_ucd

    fields = {field.name: field for field in parse(tmp_path / "t.vot").get_first_table().fields}
    assert fields["galaxy_id"].ucd == "meta.id;meta.main" and str(fields["ra_deg"].unit) == "deg"
    assert (fields["ra_deg"].ucd, fields["dec_deg"].ucd) == ("pos.eq.ra;meta.main", "pos.eq.dec;meta.main")
    assert fields["class"].ucd == "src.class" and fields["hdbscan_label"].ucd == "meta.code.member"
    assert fields["kmeans_8_membership"].ucd == "stat.value"  # a margin of two distances is no likelihood
    assert all(check_ucd(field.ucd, check_controlled_vocabulary=True) for field in fields.values() if field.ucd)
    monkeypatch.setattr(sys, "argv", [*words, "--format", "csv", "--out", str(tmp_path / "t.csv"), "--with", "images"])
    assert export.main() == 1 and "hats alone" in capsys.readouterr().err


def test_a_folder_to_write_a_table_to_is_one_sentence(tiny_root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for out in (".", "", tmp_path):
        with pytest.raises(ExportError, match=r"is a folder; name the file to write, as in .*tiny\.csv"):
            catalog_export.export_table(tiny_root, "tiny", out, "csv")
    assert not list(tmp_path.iterdir())


def test_the_command_takes_addresses_as_the_others_do(tiny_root, tmp_path, monkeypatch, capsys):
    words = ["export.py", "tiny", "--format", "csv", "--out", str(tmp_path / "t.csv"), "--artifacts"]
    monkeypatch.setattr(sys, "argv", [*words, tiny_root.as_uri()])
    assert export.main() == 0 and capsys.readouterr().out.startswith("90 galaxies")
    monkeypatch.setattr(sys, "argv", [*words, "s3://sky/atlas"])
    assert export.parse().artifacts == artifacts.root_of("s3://sky/atlas")


def test_the_command_that_is_stopped_says_so(tiny_root, tmp_path, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(catalog_export, "export_table", stop)
    words = ["tiny", "--format", "csv", "--out", str(tmp_path / "t.csv"), "--artifacts", str(tiny_root)]
    monkeypatch.setattr(sys, "argv", ["export.py", *words])
    assert export.main() == 130 and capsys.readouterr().err.startswith("Stopped; nothing was written")


def test_nothing_of_hats_is_loaded_before_it_is_asked_for():
    code = "import sys, galaxy_core.catalogs, galaxy_core.catalog_export, galaxy_core.catalogs.hats_catalog; "
    code += "print(sorted({'hats', 'lsdb', 'dask'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr
