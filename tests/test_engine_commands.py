"""Denoising, detection and classification in two workers: the files of one process, byte for byte."""

from __future__ import annotations

import hashlib
import json
import runpy
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from denoiser_stand_ins import frame
from PIL import Image
from sky_scenes import scene, write

from galaxy_core.embedding import ImageSettings, embed_shards, load_embedder, shards_of
from galaxy_core.engine import Loaded, Shard, each, map_shards, open_engine
from galaxy_core.errors import ModelError
from galaxy_core.models import save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.models.segmenter import Segmenter, SegmenterConfig
from galaxy_core.morphology_batch import Wanted, classify_all
from tests.classify_runs import save_picture, small_net

pytest.importorskip("distributed", reason="Dask is not installed: pip install -r scripts/requirements-cluster.txt")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def two():
    """Two worker processes for all tests."""
    with open_engine(workers=2) as engine:
        yield engine


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """A small untrained model of each kind."""
    root = tmp_path_factory.mktemp("artifacts")
    torch.manual_seed(0)
    config = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))
    denoiser = ContrastiveDenoiser(config)
    torch.nn.init.normal_(denoiser.denoiser.out.weight, std=0.01)
    save_model(root / "models" / "contrastive_denoiser", denoiser)
    save_model(root / "models" / "segmenter", Segmenter(SegmenterConfig((4, 6), "none", 2)))
    save_model(root / "models" / "vote_regressor", small_net())
    return root


@pytest.fixture
def command(tmp_path, artifacts, monkeypatch, two):
    """Exit code of a script, in a folder of its own; with ``workers=True`` on the two workers."""
    monkeypatch.chdir(tmp_path)

    def run(script: str, *arguments, workers: bool = False) -> int:
        line = [script, *map(str, arguments), "--artifacts", str(artifacts), "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", [*line, *(["--workers", "2"] if workers else [])])
        if workers:
            monkeypatch.setattr(
                "scripts.engine_options.open_engine", lambda *_: nullcontext(two.__class__(two.run, elsewhere=True))
            )
        else:
            monkeypatch.setattr("scripts.engine_options.open_engine", open_engine)
        return runpy.run_path(str(ROOT / "scripts" / script), run_name="script")["main"]()

    return run


def hashes(folder: str) -> dict[str, str]:
    """sha256 of every file that a user sees."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_denoising(command, capsys):
    Path("in").mkdir()
    for k in range(4):
        fits.writeto(f"in/{k}.fits", frame(shape=(90, 80), seed=k)[1].astype(np.float32))
    Image.fromarray(np.random.default_rng(0).integers(0, 90, (40, 50, 3), np.uint8)).save("in/p.png")
    Path("in/bad.png").write_text("no image")
    assert command("denoise.py", "in", "--out", "one", "--residual", "--json", "one.json") == 1
    assert command("denoise.py", "in", "--out", "two", "--residual", "--json", "two.json", workers=True) == 1
    assert hashes("one") == hashes("two") and len(hashes("two")) == 10
    one, two = (json.loads(Path(f"{name}.json").read_text())["files"] for name in ("one", "two"))
    assert [e["input"] for e in two] == [e["input"] for e in one] and "bad.png" in two[4]["error"]
    assert two[0]["outputs"] == ["two/0.fits", "two/0_residual.fits"] and two[0]["noise_sigma"] == one[0]["noise_sigma"]
    capsys.readouterr()
    Path("two/2.fits").unlink()
    assert command("denoise.py", "in", "--out", "two", "--residual", "--json", "two.json") == 1
    assert capsys.readouterr().out.count("up to date") == 4
    made = [e["input"] for e in json.loads(Path("two.json").read_text())["files"] if e.get("up_to_date") is False]
    assert made == ["in/2.fits"] and hashes("one") == hashes("two")


def test_detection(command):
    paths = [write(Path(f"{name}.fits"), scene(seed=seed)) for seed, name in enumerate("abc")]
    assert command("detect.py", *paths, "absent.fits", "--out", "one", "--json", "one.json") == 1
    assert command("detect.py", *paths, "absent.fits", "--out", "two", "--json", "two.json", workers=True) == 1
    assert hashes("one") == hashes("two") and len(hashes("two")) == 6
    one, two = (json.loads(Path(f"{name}.json").read_text())["frames"] for name in ("one", "two"))
    assert (
        [e["input"] for e in two] == [e["input"] for e in one] == [["a.fits"], ["b.fits"], ["c.fits"], ["absent.fits"]]
    )
    assert [e["n_objects"] for e in two[:3]] == [e["n_objects"] for e in one[:3]] and "absent.fits" in two[3]["error"]
    assert command("detect.py", *paths, "--out", "two", "--json", "two.json") == 0
    assert all(e["up_to_date"] for e in json.loads(Path("two.json").read_text())["frames"])


def test_classification(command, monkeypatch, capsys):
    for seed in range(7):
        save_picture(Path(f"in/{seed}.png"), seed)
    Path("in/3.png").write_bytes(b"no")
    monkeypatch.setattr("galaxy_core.morphology_batch.SHARD", 2)
    for name, workers in (("one", False), ("two", True)):
        for suffix in ("csv", "parquet"):
            assert command("classify.py", "in", "synthetic:5", "--out", f"{name}/t.{suffix}", workers=workers) == 1
    assert hashes("one") == hashes("two") and len(hashes("two")) == 2
    assert sum("3" in line for line in capsys.readouterr().err.splitlines() if "image/s" not in line) == 4
    assert not [path for path in Path("two").iterdir() if path.name.startswith(".")]


def test_classification_goes_on_where_it_was_stopped(tmp_path, artifacts, monkeypatch):
    paths = [save_picture(tmp_path / "in" / f"{seed}.png", seed) for seed in range(6)]
    monkeypatch.setattr("galaxy_core.morphology_batch.SHARD", 2)
    wanted = Wanted(("vote_regressor",), artifacts, "cpu")
    classify_all(tmp_path / "whole.csv", paths, [], wanted)

    def stop(done: float) -> None:
        if done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classify_all(tmp_path / "t.csv", paths, [], wanted, progress=stop)
    parts = tmp_path / ".t.csv.parts"
    made = {path.name: path.stat().st_mtime_ns for path in parts.glob("*.json")}
    assert not (tmp_path / "t.csv").exists() and len(made) == 3
    seen = []
    assert classify_all(tmp_path / "t.csv", paths, [], wanted, progress=seen.append) == 6
    assert min(seen) > 4 and not parts.exists()
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def embed(embedder, part, tell):
    (shard,) = embed_shards([part], embedder, ImageSettings(batch_size=2), thumbnails=False)
    return shard.vectors


def test_a_network_is_loaded_where_it_is_needed_and_gives_the_same_vectors(artifacts, two):
    from functools import partial

    from galaxy_core.catalogs import read_catalog

    folder = artifacts / "models" / "contrastive_denoiser"
    embedder, catalog = load_embedder(folder, "cpu"), read_catalog("synthetic:6")
    parts = list(shards_of(catalog, ImageSettings(shard_size=2)))
    todo = [Shard(str(part.number), part, 2) for part in parts]
    made = [
        {o.shard.name: o.value.tobytes() for o in map_shards(partial(each, embed), todo, setup, engine)}
        for setup, engine in (
            (Loaded(embedder, None), None),
            (Loaded(None, partial(load_embedder, folder, "cpu")), two),
        )
    ]
    assert made[0] == made[1] and len(made[0]) == 3


def test_another_network_in_the_same_place_is_refused(tmp_path):
    import pickle

    for seed in range(2):
        torch.manual_seed(seed)
        config = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))
        save_model(tmp_path / "model", ContrastiveDenoiser(config))
        if seed == 0:
            sent = pickle.dumps(load_embedder(tmp_path / "model", "cpu"))
            assert len(sent) < 1000
            assert pickle.loads(sent).name == "model"
    with pytest.raises(ModelError, match="A worker has another model"):
        pickle.loads(sent)
