"""The command detect: files with the names promised, resumed and whole; a bad frame is named and stops nobody."""

from __future__ import annotations

import errno
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.table import Table
from sky_scenes import header, scene, write

from galaxy_core import frame_jobs
from galaxy_core.artifacts.files import atomic_path
from galaxy_core.errors import ArtifactError
from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_catalog import FrameConfig, catalogue_frame
from galaxy_core.models import load_model, save_model
from galaxy_core.models.segmenter import Segmenter, SegmenterConfig

ROOT = Path(__file__).resolve().parents[1]
PROMISED = {
    "x",
    "y",
    "ra_deg",
    "dec_deg",
    "flux",
    "flux_err",
    "half_light_radius",
    "ellipticity",
    "snr",
    "p_galaxy",
    "flags",
}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """Artifacts with a segmenter whose light is its input."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("artifacts")
    save_model(root / "models" / "segmenter", Segmenter(SegmenterConfig((4, 6), "none", 2)))
    return root


@pytest.fixture
def command(tmp_path, artifacts, monkeypatch):
    """Exit code and report of ``scripts/detect.py``, run in this process."""

    def run(*arguments):
        line = ["detect.py", "--out", str(tmp_path / "out"), *map(str, arguments), "--artifacts", str(artifacts)]
        monkeypatch.setattr(sys, "argv", [*line, "--json", str(tmp_path / "report.json")])
        try:
            code = runpy.run_path(str(ROOT / "scripts" / "detect.py"), run_name="script")["main"]()
        except SystemExit as stop:
            return stop.code, []
        report = tmp_path / "report.json"
        return code, json.loads(report.read_text())["frames"] if report.exists() else []

    return run


def test_a_frame_becomes_a_catalogue_and_a_map_as_the_service_makes_them(command, tmp_path, artifacts):
    path = write(tmp_path / "field.fits", scene(), header())
    code, (report,) = command(path, "--sensitivity", 2, "--formats", "csv", "regions")
    assert code == 0 and report["n_objects"] >= 4 and not report["up_to_date"]
    out = tmp_path / "out"
    table = Table.read(out / "field_catalog.fits")
    assert set(table.colnames) >= PROMISED and len(table) == report["n_objects"]
    assert (out / "field_catalog.csv").exists() and (out / "field_catalog.reg").exists()
    with open_sky_frame([path]) as frame:
        same = catalogue_frame(frame, FrameConfig("segmenter", 2.0), load_model(artifacts / "models" / "segmenter"))
    np.testing.assert_array_equal(table["flux"], same.objects["flux"])
    np.testing.assert_array_equal(fits.getdata(out / "field_segmentation.fits"), same.segmentation)
    assert not [left for left in out.iterdir() if left.name.endswith((".tmp", ".npy"))]


@pytest.mark.parametrize("script", ["detect", "separate", "denoise"])
def test_help_does_not_wait_for_what_does_the_work(script):
    """Nor does an argument that is wrong."""
    code = f"""import runpy, sys
sys.argv = ["{script}.py", "x.fits"]
try:
    runpy.run_path("scripts/{script}.py", run_name="__main__")
finally:
    print(sorted({{"torch", "scipy", "pandas", "astropy", "PIL"}} & set(sys.modules)))"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "[]\n") and "--out" in ended.stderr


def test_one_object_is_one_object(tmp_path, capsys):
    script = runpy.run_path(str(ROOT / "scripts" / "detect.py"), run_name="script")
    job = frame_jobs.FrameJob((tmp_path / "a.fits",), tmp_path)
    for n, words in ((1, "1 object, 1 of 1 told is a galaxy, up"), (2, "2 objects, 2 of 2 told are galaxies, up")):
        script["print_report"](job, {"n_objects": n, "n_told": n, "n_galaxies": n, "up_to_date": True})
        assert words in capsys.readouterr().out


def test_what_is_done_is_not_done_again_until_something_changes(command, tmp_path):
    path = write(tmp_path / "field.fits", scene())
    command(path, "--method", "sep")
    target = tmp_path / "out" / "field_catalog.fits"
    before = target.stat().st_mtime_ns
    _, (report,) = command(path, "--method", "sep")
    assert report["up_to_date"] and target.stat().st_mtime_ns == before
    _, (report,) = command(path, "--method", "sep", "--sensitivity", 50)
    assert not report["up_to_date"]
    write(path, scene(seed=9))
    _, (report,) = command(path, "--method", "sep", "--sensitivity", 50)
    assert not report["up_to_date"]
    target.unlink()
    _, (report,) = command(path, "--method", "sep", "--sensitivity", 50)
    assert not report["up_to_date"] and target.exists()


def test_a_bad_frame_is_named_and_the_others_go_on(command, tmp_path, capsys):
    good = write(tmp_path / "good.fits", scene())
    bad = tmp_path / "bad.fits"
    bad.write_bytes(good.read_bytes()[:9000])
    code, reports = command(bad, tmp_path / "absent.fits", good, "--method", "sep")
    assert code == 1 and [("error" in report) for report in reports] == [True, True, False]
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 2 and "bad.fits" in said[0] and "absent.fits" in said[1]
    assert (tmp_path / "out" / "good_catalog.fits").exists() and not list((tmp_path / "out").glob("bad_*"))


def test_folders_and_patterns_are_searched_for_frames(command, tmp_path, capsys):
    """Frames of one name keep their folders apart, and results that lie among frames are none."""
    nights = [tmp_path / "nights" / night for night in ("one", "two")]
    for seed, night in enumerate(nights):
        night.mkdir(parents=True)
        write(night / "field.fits", scene(seed=seed))
    code, reports = command(tmp_path / "nights", tmp_path / "nothing*.fits", "--method", "sep")
    assert code == 1 and "nothing*.fits holds no image" in reports[0]["error"] and len(reports) == 3
    assert {path.parent.name for path in (tmp_path / "out").rglob("*_catalog.fits")} == {"one", "two"}
    code, reports = command(tmp_path / "nights" / "**" / "*.fits", "--method", "sep")
    assert code == 0 and [report["up_to_date"] for report in reports] == [True, True]
    for up_to_date in (False, True):
        code, (report,) = command(nights[0], "--method", "sep", "--out", nights[0])
        assert code == 0 and report["up_to_date"] == up_to_date
    capsys.readouterr()
    assert command(nights[0] / "field.fits", tmp_path / "g*.fits", "--bands", "--method", "sep")[0] == 1
    assert "g*.fits holds no image" in capsys.readouterr().err


def test_a_full_disk_ends_the_run_in_one_sentence_and_what_was_made_stays(command, tmp_path, monkeypatch, capsys):
    frames = [write(tmp_path / f"{name}.fits", scene()) for name in "abc"]
    written = frame_jobs.write_segmentation

    def full(catalog, path):
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"half")
            if path.name.startswith("b_"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written(catalog, path)

    monkeypatch.setattr(frame_jobs, "write_segmentation", full)
    assert command(*frames, "--method", "sep")[0] == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "b_segmentation.fits: No space left on device" in said[0]
    out = tmp_path / "out"
    assert (out / "a_catalog.fits").exists() and not list(out.glob("c_*")) and not list(out.glob(".b_*"))


def test_a_map_too_large_for_the_disk_is_told_before_it_is_filled(tmp_path, monkeypatch):
    """Written to a file that has no room, it would end the process by a signal."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    path = write(tmp_path / "a.fits", scene())
    with open_sky_frame([path]) as frame, pytest.raises(ArtifactError, match="No space left on device"):
        catalogue_frame(frame, FrameConfig("sep"), scratch=tmp_path / "map.npy")


def test_no_search_begins_for_results_that_cannot_be_written(command, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert command(write(tmp_path / "a.fits", scene()), "--method", "sep")[0] == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "choose a folder" in said[0]


def test_bands_of_one_field_make_one_catalogue(command, tmp_path):
    one, two = write(tmp_path / "r.fits", scene()), write(tmp_path / "g.fits", scene(seed=1))
    code, (report,) = command(one, two, "--bands", "--method", "sep")
    assert code == 0 and report["bands"] == ["r", "g"]
    assert {"flux_r", "flux_g"} <= set(Table.read(tmp_path / "out" / "r_catalog.fits").colnames)
    plain = Table.read(tmp_path / "out" / "r_catalog.fits")
    code, (report,) = command(one, two, "--bands", "--method", "sep", "--zero-point", "0", "25.5")
    assert code == 0 and not report["up_to_date"]
    told = Table.read(tmp_path / "out" / "r_catalog.fits")
    np.testing.assert_allclose(told["magnitude_r"], -2.5 * np.log10(plain["flux_r"]), atol=1e-4)
    np.testing.assert_allclose(told["magnitude_g"], 25.5 - 2.5 * np.log10(plain["flux_g"]), atol=1e-4)
    assert "zero_points: r 0 mag given, g 25.5 mag given" in told.meta["HISTORY"]
    assert report["zero_points"] == {"r": 0, "g": 25.5}
    code, (report,) = command(one, two, "--bands", "--method", "sep", "--zero-point", "25", "26", "27")
    assert code == 1 and "3 zero points are given for 2 bands (r, g)" in report["error"]
    short = write(tmp_path / "short.fits", scene()[:50])
    code, (report,) = command(one, short, "--bands", "--method", "sep")
    assert code == 1 and "resample one of them first" in report["error"]


def test_names_that_would_collide_and_models_that_are_not_there_are_refused(command, tmp_path, capsys):
    (tmp_path / "b").mkdir()
    one, two = write(tmp_path / "a.fits", scene()), write(tmp_path / "b" / "a.fits", scene())
    assert command(one, two, "--method", "sep")[0] == 1
    assert "rename one of the two" in capsys.readouterr().err
    assert command(one, "--model", "nothing")[0] == 1
    assert command(one, "--sensitivity", -1)[0] == 2


def test_stars_are_told_from_galaxies_as_on_the_page_and_only_if_wanted(command, tmp_path, artifacts):
    from test_frame_kinds import STARS, field

    path = write(tmp_path / "field.fits", field())
    code, (report,) = command(path, "--method", "sep")
    assert code == 0 and report["n_told"] > 15 and report["n_stars"] >= 9 and report["seeing"]["field"]["n_stars"] >= 6
    table = Table.read(tmp_path / "out" / "field_catalog.fits")
    star = np.argmin(np.hypot(table["x"] - STARS[0][0], table["y"] - STARS[0][1]))
    assert table["p_galaxy"][star] < 0.5
    with fits.open(tmp_path / "out" / "field_catalog.fits") as hdus:
        place = hdus[1].columns.names.index("p_galaxy") + 1
        assert hdus[1].header[f"TUCD{place}"] == "stat.probability;src.class.starGalaxy"
        assert any("seeing: field" in line for line in hdus[1].header["HISTORY"])
    code, (report,) = command(path, "--method", "sep", "--separator", "none")
    assert code == 0 and not report["up_to_date"] and report["n_told"] == 0 and report["seeing"] == {}
    code, (report,) = command(path, "--method", "sep", "--psf-fwhm", "3.2", "--galaxy-share", "0.01")
    assert report["seeing"]["field"]["n_stars"] == 0 and report["n_told"] > 15
    assert command(path, "--psf-fwhm", "0")[0] == 2 and command(path, "--galaxy-share", "1.5")[0] == 2


def test_results_replace_no_frame_and_no_file_of_others(command, tmp_path, capsys):
    """Whatever would be lost is named before a frame is searched."""
    out = tmp_path / "out"
    out.mkdir()
    frame = write(out / "field.fits", scene())
    second = write(out / "field_segmentation.fits", scene(seed=1))
    before = second.read_bytes()
    assert command(frame, second, "--method", "sep")[0] == 1
    assert "field_segmentation.fits, a frame to be searched; choose another folder" in capsys.readouterr().err
    (tmp_path / "link.fits").symlink_to(second)
    assert command(frame, tmp_path / "link.fits", "--method", "sep")[0] == 1
    assert "a frame to be searched" in capsys.readouterr().err
    assert command(frame, "--method", "sep")[0] == 1
    assert "field_segmentation.fits, which is no result of this command; choose another" in capsys.readouterr().err
    assert second.read_bytes() == before and sorted(path.name for path in out.iterdir()) == [frame.name, second.name]


def test_results_of_earlier_and_of_stopped_runs_are_replaced(command, tmp_path, monkeypatch):
    from galaxy_core import frame_jobs

    path, map_of = write(tmp_path / "field.fits", scene()), frame_jobs.write_segmentation

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(frame_jobs, "write_segmentation", stop)
    assert command(path, "--method", "sep", "--formats", "csv")[0] == 130
    assert (tmp_path / "out" / "field_catalog.csv").exists()
    monkeypatch.setattr(frame_jobs, "write_segmentation", map_of)
    for forms in ((), ("--formats", "csv")):
        code, (report,) = command(path, "--method", "sep", *forms)
        assert code == 0 and not report["up_to_date"]
    assert command(path, "--method", "sep", "--formats", "csv")[1][0]["up_to_date"]
