"""The command that fetches a release, against a server that looks like Hugging Face and Zenodo."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galaxy_core.catalogs import releases
from galaxy_core.errors import GalaxyError
from galaxy_core.fetching import RemoteFile
from galaxy_core.images import encode_png
from tests.file_server import serving, zip_of

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def server():
    with serving() as server:
        yield server


def parquet_bytes(n: int) -> bytes:
    rng = np.random.default_rng(n)
    images = [{"bytes": encode_png(rng.random((3, 8, 8))), "path": f"{k}.png"} for k in range(n)]
    table = pa.table(
        {"image": images, "id_str": [f"{n}{k:03d}" for k in range(n)], "smooth-or-featured-hubble_smooth": range(n)}
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def serve_hugging_face(server, monkeypatch) -> None:
    shards = {
        "tiny/train-00000-of-00001.parquet": parquet_bytes(5),
        "tiny/test-00000-of-00001.parquet": parquet_bytes(3),
    }
    siblings = [{"rfilename": "README.md", "size": 3}]
    for name, data in shards.items():
        server.files[f"/datasets/mwalmsley/gz_hubble/resolve/abc/{name}"] = data
        lfs = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 100}
        siblings.append({"rfilename": name, "size": len(data), "blobId": "0", "lfs": lfs})
    answer = {"id": "mwalmsley/gz_hubble", "sha": "abc", "tags": [], "siblings": siblings}
    server.files["/api/datasets/mwalmsley/gz_hubble"] = json.dumps(answer).encode()
    monkeypatch.setenv("HF_ENDPOINT", server.url)


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("fetch_catalog", ROOT / "scripts/fetch_catalog.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_script_fetches_tiny_hugging_face_set(server, tmp_path, monkeypatch, script, capsys):
    serve_hugging_face(server, monkeypatch)
    server.cuts = [10**9, 700]  # the list, then the first shard half way
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert script.main(["gz_hubble", "--size", "tiny", "--root", str(tmp_path / "my hubble")]) == 0
    out = capsys.readouterr().out
    assert "CC BY-NC-SA 4.0" in out
    assert "8 galaxies from 8 rows" in out
    assert out.endswith(f"Next: python scripts/run_pipeline.py 'galaxy-zoo:{tmp_path}/my hubble' --name gz_hubble\n")
    assert any(seen and seen.startswith("bytes=700-") for seen in server.seen)
    n_requests = len(server.seen)
    assert script.main(["gz_hubble", "--size", "tiny", "--root", str(tmp_path / "my hubble")]) == 0
    assert len(server.seen) == n_requests + 1  # the list again, no file again


def test_script_fetches_gz2_from_zenodo(server, tmp_path, monkeypatch, script, capsys):
    mapping = b"objid,sample,asset_id\n587722981741363294,original,16\n"
    votes = b"dr7objid,gz2_class,t01_smooth_or_features_a01_smooth_debiased\n587722981741363294,Er,0.9\n"
    images = zip_of({"images/16.png": encode_png(np.zeros((3, 4, 4)))})
    listed = []
    for name, data in {"gz2_filename_mapping.csv": mapping, "images_gz2.zip": images}.items():
        server.files[f"/records/3565489/files/{name}"] = data
        listed.append({"key": name, "size": len(data), "checksum": "md5:" + hashlib.md5(data).hexdigest()})
    server.files["/api/records/3565489"] = json.dumps({"files": [*listed, {"key": "README.txt"}]}).encode()
    server.files["/gz2_hart16.csv"] = votes
    monkeypatch.setenv("ZENODO_ENDPOINT", server.url)
    monkeypatch.setitem(
        releases.RELEASES,
        "gz2_original",
        releases.Release(
            "GZ2",
            "gz2",
            "CC BY 4.0",
            "papers",
            zenodo="3565489",
            extra=(RemoteFile(f"{server.url}/gz2_hart16.csv", "gz2_hart16.csv"),),
        ),
    )
    assert script.main(["gz2_original", "--root", str(tmp_path)]) == 0
    assert "1 galaxy from 1 row" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["gz_candels", "--size", "tiny"], "no dataset"), (["gz2_original", "--size", "tiny"], "only in full")],
)
def test_script_says_what_is_wrong_in_one_line(server, tmp_path, monkeypatch, script, capsys, arguments, words):
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    server.statuses = [401]
    assert script.main([*arguments, "--root", str(tmp_path / "new")]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["gz_hubble", "gz2_original"])
def test_no_network_for_the_list_is_one_sentence(monkeypatch, name):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("ZENODO_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(GalaxyError, match="check the network") as caught:
        releases.list_files(name, "full")
    assert "\n" not in str(caught.value)


def test_usage_error_exits_2(script, capsys):
    with pytest.raises(SystemExit) as caught:
        script.main(["no_such_release", "--root", "x"])
    assert caught.value.code == 2
