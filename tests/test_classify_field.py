"""What part of an image the classify command looks at: the field, its centre, the object there, or nothing."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from PIL import Image

from galaxy_core.central_object import central_window
from galaxy_core.images import as_counts, read_image
from galaxy_core.vote_tree import CUMULATIVE_COLUMNS
from tests.classify_runs import command_in, read, save_picture, write_models


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture
def command(tmp_path, artifacts, monkeypatch):
    return command_in(tmp_path, artifacts, monkeypatch)


def test_the_field_is_cut_as_asked(command, tmp_path):
    path = save_picture(tmp_path / "a.png", side=80)
    Image.open(path).crop((16, 16, 64, 64)).save(tmp_path / "b.png")
    assert command("a.png", "--field-fraction", "0.6", out="a.csv") == 0 and command("b.png", out="b.csv") == 0
    np.testing.assert_allclose(
        read("a.csv").loc["a", CUMULATIVE_COLUMNS[0]], read("b.csv").loc["b", CUMULATIVE_COLUMNS[0]]
    )
    assert command("a.png", "--field-fraction", "1.5") == 2


def test_of_galaxy_zoos_own_images_the_centre_is_looked_at_unless_told(command, tmp_path):
    save_picture(tmp_path / "in" / "a.png", side=424)
    Image.open(tmp_path / "in" / "a.png").crop((84, 84, 340, 340)).save(tmp_path / "b.png")
    answers = {}
    for name, given in {
        "file": ["in"],
        "catalog": ["folder:in"],
        "cut": ["b.png"],
        "all": ["in", "--field-fraction", "1"],
    }.items():
        assert command(*given, out=f"{name}.csv") == 0
        answers[name] = float(read(f"{name}.csv")[CUMULATIVE_COLUMNS[0]].iloc[0])
    assert answers["file"] == answers["catalog"] == pytest.approx(answers["cut"], rel=1e-5)
    assert answers["all"] != pytest.approx(answers["cut"], rel=1e-5)


def test_a_catalog_that_does_not_know_its_field_is_cut_as_files_are(command, tmp_path):
    save_picture(tmp_path / "in" / "a.png", side=80)
    assert command("in", "--field-fraction", "0.6", out="a.csv") == 0
    assert command("folder:in", "--field-fraction", "0.6", out="b.csv") == 0
    assert command("folder:in", out="c.csv") == 0
    told = [read(f"{name}.csv").loc["a", CUMULATIVE_COLUMNS[0]] for name in "abc"]
    assert told[0] == pytest.approx(told[1], rel=1e-5) and told[0] != pytest.approx(told[2], rel=1e-5)


@pytest.mark.parametrize("as_catalog", [False, True])
def test_a_galaxy_that_is_masked_is_not_told(command, tmp_path, capsys, as_catalog):
    masked = np.full((40, 40), np.nan, np.float32)
    masked[:3] = np.random.default_rng(0).normal(5, 1, (3, 40))
    (tmp_path / "in").mkdir()
    fits.writeto(tmp_path / "in" / "masked.fits", masked)
    masked[10:30, 10:30] = np.random.default_rng(0).normal(5, 1, (20, 20))
    fits.writeto(tmp_path / "in" / "seen.fits", masked)
    assert command("folder:in" if as_catalog else "in") == 1
    assert "masked has no finite pixels in its central part" in capsys.readouterr().err.replace(".fits", "")
    assert list(read("out.csv").index) == ["seen"]


def test_the_central_object_is_cut_out_if_asked(command, tmp_path):
    path = save_picture(tmp_path / "in" / "a.png", side=128)
    window = central_window(read_image(path).pixels)
    assert window.shape[1] < 128
    Image.fromarray(as_counts(window).transpose(1, 2, 0)).save(tmp_path / "window.png")
    assert command("in/a.png", "--crop", "central-object") == 0
    asked = read("out.csv")
    assert command("window.png", "in/a.png", out="plain.csv") == 0
    plain = read("plain.csv")
    np.testing.assert_allclose(asked.loc["a", "Class1.1"], plain.loc["window", "Class1.1"], rtol=1e-5)
    assert abs(asked.loc["a", "Class1.1"] / plain.loc["a", "Class1.1"] - 1) > 1e-4
