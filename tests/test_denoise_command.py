"""The denoising command: same name, format, depth and size; it resumes, and a bad file stops nobody."""

from __future__ import annotations

import errno
import json
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from astropy.io import fits
from denoiser_stand_ins import counts, frame
from PIL import Image

from galaxy_core import denoise_run
from galaxy_core.denoise_jobs import Job, claim
from galaxy_core.denoising import denoise_image
from galaxy_core.errors import ImageError
from galaxy_core.images import read_image
from galaxy_core.models import load_model, save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.saved_images import encode_part

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """Artifacts with a small untrained model that changes its images a little."""
    import torch

    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("artifacts")
    config = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))
    model = ContrastiveDenoiser(config)
    torch.nn.init.normal_(model.denoiser.out.weight, std=0.01)
    save_model(root / "models" / "contrastive_denoiser", model)
    return root


@pytest.fixture
def command(tmp_path, artifacts, monkeypatch):
    """Exit code of ``scripts/denoise.py``, run in this process and in a folder of its own: torch is slow to start."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, out="out"):
        line = ["denoise.py", *map(str, arguments), "--out", str(out), "--artifacts", str(artifacts)]
        monkeypatch.setattr(sys, "argv", line)
        try:
            return runpy.run_path(str(ROOT / "scripts" / "denoise.py"), run_name="script")["main"]()
        except SystemExit as stop:
            return stop.code

    return run


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


WRITERS = {
    "a.png": lambda p: Image.fromarray(counts()).save(p),
    "b.png": lambda p: Image.fromarray(counts((40, 50, 3))).save(p),
    "deep.png": lambda p: Image.fromarray(counts(dtype=np.uint16)).save(p),
    "c.jpg": lambda p: Image.fromarray(counts((40, 50, 3))).save(p),
    "d.JPEG": lambda p: Image.fromarray(counts()).save(p),
    "e.webp": lambda p: Image.fromarray(counts((40, 50, 3))).save(p),
    "f.tif": lambda p: tifffile.imwrite(p, counts((40, 50, 3))),
    "g.tiff": lambda p: tifffile.imwrite(p, counts(dtype=np.uint16)),
    "h.tiff": lambda p: tifffile.imwrite(p, counts((40, 50, 3), np.uint16), photometric="rgb"),
    "i.tif": lambda p: tifffile.imwrite(p, counts().astype(np.float32)),
    "j.tif": lambda p: tifffile.imwrite(p, counts().astype(np.int32)),
    "k.fits": lambda p: fits.writeto(p, counts().astype(np.int16)),
    "l.fits.gz": lambda p: fits.writeto(p, counts().astype(np.float32)),
    "m.fits.fz": lambda p: fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(counts().astype(np.float32))]).writeto(p),
}


def test_every_format_keeps_name_kind_depth_and_size(tmp_path, command):
    (tmp_path / "in").mkdir()
    for name, write in WRITERS.items():
        write(tmp_path / "in" / name)
    assert command("in") == 0
    assert files_below("out") == [".denoise.jsonl", *sorted(WRITERS)]
    for name in WRITERS:
        before, after = read_image(tmp_path / "in" / name), read_image(tmp_path / "out" / name)
        assert (after.file_format, after.linear, after.pixels.shape) == (
            before.file_format,
            before.linear,
            before.pixels.shape,
        ), name
        assert after.bits == (32 if before.file_format == "FITS" else before.bits), name
        assert not np.array_equal(before.pixels, after.pixels), name
        assert np.abs(before.pixels - after.pixels).mean() < 0.1 * np.abs(before.pixels).mean(), name
    assert (tmp_path / "out" / "l.fits.gz").read_bytes()[:2] == b"\x1f\x8b"
    with tifffile.TiffFile(tmp_path / "out" / "j.tif") as file:
        assert file.pages[0].dtype == np.int32


def test_command_and_service_give_the_same_bits(tmp_path, command, artifacts):
    """Through memory and through strips; a picture's values are those of the service, rounded once."""
    _, noisy = frame(shape=(300, 280))
    fits.writeto("a.fits", noisy.astype(np.float32), fits.Header({"CRVAL1": 1.5, "BUNIT": "ADU"}))
    WRITERS["deep.png"]("b.png")
    model = load_model(artifacts / "models" / "contrastive_denoiser")
    assert command("a.fits", "b.png", "--residual") == 0
    result = denoise_image(read_image("a.fits"), model)
    assert Path("out/a.fits").read_bytes() == encode_part(result, "denoised")
    assert Path("out/a_residual.fits").read_bytes() == encode_part(result, "residual")
    shown = denoise_image(read_image("b.png"), model).denoised
    np.testing.assert_array_equal(np.rint(shown * 65535), np.rint(read_image("out/b.png").pixels * 65535))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(denoise_run, "IN_MEMORY_PX", 0)
        assert command("a.fits", "--residual", out="strips") == 0
    for name in ("a.fits", "a_residual.fits"):
        assert Path("strips", name).read_bytes() == Path("out", name).read_bytes()


def test_one_bad_file_does_not_stop_the_others(tmp_path, command, capsys):
    _, noisy = frame(shape=(60, 60), stars=((30, 30, 300.0),))
    fits.writeto("a.fits", noisy.astype(np.float32))
    Path("b.png").write_text("no image at all")
    WRITERS["c.jpg"]("c.jpg")
    assert command("a.fits", "b.png", "missing.png", "none*.fits", "c.jpg", "--json", "r.json") == 1
    said = capsys.readouterr().err
    assert all(name in said for name in ("b.png", "missing.png", "none*.fits")) and len(said.splitlines()) == 3
    assert files_below("out") == [".denoise.jsonl", "a.fits", "c.jpg"]
    entries = {entry["input"]: entry for entry in json.loads(Path("r.json").read_text())["files"]}
    assert entries["a.fits"]["noise_sigma"] == pytest.approx(20, rel=0.15)
    assert {name for name, entry in entries.items() if "error" in entry} == {"b.png", "missing.png", "none*.fits"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_full_disk_ends_the_run_in_one_sentence_and_what_was_made_stays(
    number, tmp_path, command, monkeypatch, capsys
):
    paths = [tmp_path / f"{index}.png" for index in range(4)]
    for path in paths:
        WRITERS["a.png"](path)
    write = Path.write_bytes

    def full(path, data):
        if path.name.startswith(".1.png"):
            raise OSError(number, os.strerror(number))
        write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert command(*paths) == 1
    assert sorted(path.name for path in Path("out").glob("*.png")) == ["0.png"]
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "1.png" in said[0] and os.strerror(number) in said[0]


def test_no_work_is_done_for_a_folder_that_cannot_be(tmp_path, command, capsys):
    WRITERS["a.png"]("a.png")
    (tmp_path / "file").write_text("")
    assert command("a.png", out="file/out") == 1
    assert "choose a folder" in capsys.readouterr().err


def test_links_in_a_circle_and_endless_names_are_told_while_the_others_go_on(tmp_path, command, capsys):
    Path("in").mkdir()
    WRITERS["c.jpg"]("in/c.jpg")
    Path("in/l.jpg").symlink_to("l.jpg")
    Path("in/gone.jpg").symlink_to("nowhere.jpg")
    Path("m[1].jpg").symlink_to("m[1].jpg")
    endless = "n" * 300
    assert command("in", "in/*.jpg", "m[1].jpg", endless, f"{endless}*", "m[1].jpg/*.png", "") == 1
    said = capsys.readouterr().err.splitlines()
    told = ("in/l.jpg: Too many", "in/gone.jpg: No such", "m[1].jpg: Too many", f"{endless}: File name too long")
    problems = (f"{endless}* holds no image", "m[1].jpg/*.png holds no image", "An empty name holds no image")
    assert len(said) == 7 and all(any(words in line for line in said) for words in told + problems)
    assert files_below("out") == [".denoise.jsonl", "c.jpg"]
    Path("in/c.jpg").unlink()
    Path("in/c.jpg").symlink_to("c.jpg")
    assert command("in/c.jpg") == 1 and "in/c.jpg: Too many" in capsys.readouterr().err


def test_folders_and_patterns_keep_their_structure(tmp_path, command):
    for name in ("in/x.png", "in/deep/y.png", "in/deep/z.tif", "in/.hidden.png", "in/notes.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(counts()).save(name) if not name.endswith("txt") else Path(name).write_text("no")
    assert command("in") == 0 and command("in/**/y*", out="two") == 0 and command("in/deep/*.tif", out="three") == 0
    assert files_below("out")[1:] == ["deep/y.png", "deep/z.tif", "x.png"]
    assert files_below("two")[1:] == ["deep/y.png"] and files_below("three")[1:] == ["z.tif"]
    assert command("in", out="in/results") == 0 and command("in", out="in/results") == 0
    assert files_below("in/results")[1:] == ["deep/y.png", "deep/z.tif", "x.png"], "results are no inputs"


def test_names_that_differ_by_case_alone_are_one_where_a_disk_knows_none():
    claimed: dict[str, Path] = {}
    claim(Job(Path("a/M31.png"), Path("a"), Path("out/M31.png")), [], claimed)
    with pytest.raises(ImageError, match="rename one"):
        claim(Job(Path("b/m31.PNG"), Path("b"), Path("out/m31.PNG")), [], claimed)


def test_results_never_replace_inputs_or_one_another(tmp_path, command, capsys):
    for name in ("in/x.png", "other/x.png", "in/x.fits"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(counts()).save("in/x.png")
    Image.fromarray(counts(seed=1)).save("other/x.png")
    before = Path("in/x.png").read_bytes()
    assert command("in", out="in") == 2 and command("in/x.png", out="in") == 2 and command("in/*.png", out="in") == 2
    assert "choose another folder" in capsys.readouterr().err and Path("in/x.png").read_bytes() == before
    assert command("in/x.png", "other/x.png", "in/x.png") == 1
    said = capsys.readouterr().err.strip()
    assert "in/x.png" in said and "other/x.png" in said and len(said.splitlines()) == 1
    fits.writeto("in/x.fits", counts().astype(np.float32))
    assert command("in", "--residual", out="both") == 1
    assert "x_residual.fits" in capsys.readouterr().err


def test_a_second_run_makes_only_what_is_missing_or_changed(tmp_path, command, capsys):
    Path("in").mkdir()
    for name in "abcd":
        Image.fromarray(counts()).save(f"in/{name}.png")
    assert command("in", "--json", "r.json") == 0
    stamps = {name: Path("out", name).stat().st_mtime_ns for name in ("a.png", "b.png", "c.png", "d.png")}
    Path("out/a.png").unlink()
    Path("out/b.png").write_bytes(b"half")
    Image.fromarray(counts(seed=1)).save("in/c.png")
    os.utime("in/d.png")  # touched, not changed
    with open("out/.denoise.jsonl", "a") as file:
        file.write('\n{"target": "d.p')  # killed while it wrote
    capsys.readouterr()
    assert command("in", "--json", "r2.json") == 0
    assert capsys.readouterr().out.count("up to date") == 1
    assert Path("out/d.png").stat().st_mtime_ns == stamps["d.png"]
    entries = json.loads(Path("r2.json").read_text())["files"]
    assert [entry["up_to_date"] for entry in entries] == [False, False, False, True]
    assert entries[3]["noise_sigma"] == json.loads(Path("r.json").read_text())["files"][3]["noise_sigma"]
    assert command("in", "--noise", 9) == 0 and "up to date" not in capsys.readouterr().out


def test_no_residual_of_other_settings_stays_beside_a_result(tmp_path, command):
    """The residual is input - denoised, or it is not there; what is still right, or was changed by others, stays."""
    fits.writeto("a.fits", frame((60, 60), stars=())[1].astype(np.float32))
    residual = Path("out/a_residual.fits")
    assert command("a.fits", "--residual") == 0 == command("a.fits") and residual.exists()
    assert command("a.fits", "--noise", 60) == 0 and not residual.exists()
    assert command("a.fits", "--residual") == 0
    residual.write_bytes(b"notes of my own")
    assert command("a.fits", "--noise", 60) == 0 and residual.read_bytes() == b"notes of my own"


def test_killed_at_any_moment_it_leaves_whole_files_and_goes_on(tmp_path, command, artifacts):
    Path("in").mkdir()
    for index in range(12):
        fits.writeto(f"in/{index:02}.fits", frame(shape=(300, 300), seed=index)[1].astype(np.float32))
    line = [sys.executable, ROOT / "scripts" / "denoise.py", "in", "--out", "out", "--artifacts", artifacts]
    child = subprocess.Popen([*map(str, line)], stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    left = Path(f"out/.05.fits.{child.pid}.tmp")
    left.write_bytes(b"half a file")
    made = sorted(Path("out").glob("*.fits"))
    assert 3 <= len(made) < 12 and all(read_image(path).pixels.shape == (1, 300, 300) for path in made)
    stamps = [path.stat().st_mtime_ns for path in made[:3]]
    assert command("in") == 0 and not left.exists()
    assert [path.stat().st_mtime_ns for path in made[:3]] == stamps
    assert len(list(Path("out").glob("*.fits"))) == 12


def test_noise_extension_and_floats(tmp_path, command, capsys):
    Image.new("L", (9, 9), 7).save("c.png")
    assert command("c.png", "--noise", 12.5, "--format", "fits", "--json", "r.json") == 0
    entry = json.loads(Path("r.json").read_text())["files"][0]
    assert entry["noise_sigma"] == pytest.approx(12.5) and not entry["noise_estimated"]
    assert files_below("out")[1:] == ["c.fits"] and fits.getdata("out/c.fits")[0, 0] == np.float32(7 / 255)
    wide, deep = (frame(shape=(40, width))[1].astype(np.float32) for width in (50, 60))
    fits.HDUList([fits.PrimaryHDU(wide), fits.ImageHDU(deep, name="ERR")]).writeto("m.fits")
    assert command("m.fits", "c.png", "--hdu", "ERR", out="err") == 0
    assert fits.getdata("err/m.fits").shape == (40, 60)
    assert command("m.fits", "--hdu", 7, out="seven") == 1 and "7" in capsys.readouterr().err


def test_usage_and_models_that_cannot_do_it(tmp_path, command, monkeypatch, capsys):
    assert command("x.png", "--noise", "-3") == 2 and command() == 2
    Image.new("L", (9, 9), 7).save("c.png")
    capsys.readouterr()
    assert command("c.png", "--uncertainty") == 1
    assert command("c.png", "--model", "none") == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 2 and not Path("out").exists()
