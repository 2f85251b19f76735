"""The separate command: a row a stamp, bad files named, the table whole or not there; and the service behind it."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from astropy.io import fits
from PIL import Image

from galaxy_core import star_galaxy, star_galaxy_files
from galaxy_core.errors import ExportError, ModelError
from galaxy_core.models import save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig
from galaxy_core.models.star_galaxy import StarGalaxyConfig, StarGalaxyNet
from galaxy_core.recipes.star_galaxy_scores import area_under_curve
from galaxy_core.simulator.light import make_frame, moffat
from galaxy_core.star_galaxy import Separation, load_separator, separate
from galaxy_core.star_galaxy_files import FileStamps, read_stamps, write_separation

ROOT = Path(__file__).resolve().parents[1]


def light(fwhm: float, seed: int = 0, bands: int = 1, size: int = 40, flux: float = 1500.0) -> np.ndarray:
    """A source of this width in noise, float32 (bands, size, size)."""
    noise = np.random.default_rng(seed).normal(50, 1, (bands, size, size))
    return (noise + flux * moffat(make_frame(size, 1.0), fwhm, 3.0, 0.5, 0.5)).astype(np.float32)


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(image.squeeze()).writeto(path)
    return path


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """Artifacts with a small untrained star-galaxy net, and a denoiser."""
    root = tmp_path_factory.mktemp("artifacts")
    torch.manual_seed(0)
    net = StarGalaxyNet(StarGalaxyConfig(widths=(4, 8, 8), hidden_size=8, n_gaussians=3, n_samples=8))
    save_model(root / "models" / "star_galaxy", net)
    config = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))
    save_model(root / "models" / "denoiser", ContrastiveDenoiser(config))
    return root


@pytest.fixture
def command(tmp_path, artifacts, monkeypatch):
    """Exit code of ``scripts/separate.py``, run in this process and in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, out="out.csv"):
        line = ["separate.py", *map(str, arguments), "--out", str(out), "--artifacts", str(artifacts)]
        monkeypatch.setattr(sys, "argv", [*line, "--device", "cpu"])
        try:
            return runpy.run_path(str(ROOT / "scripts" / "separate.py"), run_name="script")["main"]()
        except SystemExit as stop:
            return stop.code

    return run


@pytest.fixture
def night(tmp_path) -> Path:
    """A folder of twelve stars, one wide object, one star in three bands and a grey picture."""
    for i in range(12):
        write(tmp_path / "night" / f"star{i:02d}.fits", light(3.3, i))
    write(tmp_path / "night" / "wide.fits", light(6.5, 20))
    write(tmp_path / "night" / "sub" / "colour.fits", light(3.3, 21, bands=3))
    Image.fromarray(light(3.3, 22)[0].clip(0, 255).astype(np.uint8)).save(tmp_path / "night" / "ünïcode.png")
    return tmp_path / "night"


def test_a_row_a_stamp_from_folders_patterns_and_pictures(command, night, capsys):
    Path("link.fits").symlink_to(night / "wide.fits")
    assert command("night", "night/star0*.fits", "link.fits") == 0  # each once, by the name that came first
    table = pd.read_csv("out.csv")
    assert list(table.columns) == ["file", "p_galaxy"] and len(table) == 15
    assert table["p_galaxy"].between(0, 1).all() and table["file"].is_unique
    of = {Path(name).name: p for name, p in zip(table["file"], table["p_galaxy"], strict=True)}
    assert of["wide.fits"] > 0.99 and max(of[f"star{i:02d}.fits"] for i in range(12)) < 0.5
    assert "ünïcode.png" in of
    assert capsys.readouterr().out.startswith("out.csv  ")


def test_bad_files_are_named_and_the_others_go_on(command, night, capsys):
    (night / "broken.fits").write_bytes(b"SIMPLE  =                    T" + b" " * 50)
    write(night / "empty.fits", np.zeros((40, 40), np.float32))
    write(night / "six.fits", np.ones((6, 40, 40), np.float32))
    assert command("night", "nowhere") == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 6 and said[-1].startswith("The seeing of 1 of the stamps was taken for 3.3 pixels")
    assert re.match(r"Seeing measured on the narrower stamps, as on stars: 3\.\d\d px \(FWHM\)", said[-2])
    for name in ("broken.fits", "empty.fits", "six.fits", "nowhere"):
        assert any(name in line for line in said)
    assert len(pd.read_csv("out.csv")) == 15


@pytest.mark.parametrize("name", ["stamps.fits", "stamps.fits.gz"])
def test_every_extension_with_an_image_is_a_stamp(tmp_path, name):
    """But for weights, errors and flags; one that is damaged is named, and the others are read."""
    hdus = fits.HDUList([fits.PrimaryHDU()])
    hdus += [fits.ImageHDU(light(3.3, i)[0], name=kind) for i, kind in enumerate(("A", "B", "ERR"))]
    hdus += [fits.CompImageHDU(light(6.5, 3)[0], name="C"), fits.ImageHDU(np.full((40, 40), np.nan, np.float32))]
    hdus.writeto(tmp_path / name)
    stamps, problems = read_stamps([tmp_path / name])
    assert [path.name for path in stamps.paths] == [f"{name}[1]", f"{name}[2]", f"{name}[4]"]
    assert len(problems) == 1 and f"{name}[5] has no finite pixel" in problems[0]
    assert stamps.widths[2] > 1.5 * stamps.widths[0]
    if not name.endswith(".gz"):
        with (tmp_path / name).open("ab") as file:
            file.write(b"XTENSION= 'IMAGE   '".ljust(80) + b"BITPIX  =                    7".ljust(2800))
        stamps, problems = read_stamps([tmp_path / name])
        assert len(stamps) == 3 and len(problems) == 2 and "damaged FITS file" in problems[1]


def test_what_is_asked_wrongly_is_one_sentence_and_no_file(command, night, monkeypatch, capsys):
    assert command("nowhere") == 1
    assert "None of the stamps" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(star_galaxy_files, "read_image", None)  # the name is looked at before any stamp
        assert command("night", out="table.txt") == 1
    assert command("night", "--model", "denoiser") == 1
    assert command("night", "--supervised") == 1
    assert "learned from no labels" in capsys.readouterr().err
    assert command("night", "--galaxy-share", "1.5") == 2 and "between 0 and 1" in capsys.readouterr().err
    assert command("night", "--psf-fwhm", "0") == 2 and "between 1 and 16" in capsys.readouterr().err
    assert not Path("out.csv").exists()


def test_the_share_expected_moves_the_probability(command, night):
    write(night / "faint.fits", light(3.4, 30, flux=60.0))
    made = []
    for share in (0.05, 0.5, 0.95):
        assert command("night/faint.fits", "--psf-fwhm", "3.3", "--galaxy-share", share) == 0
        made.append(pd.read_csv("out.csv")["p_galaxy"][0])
    assert made[0] < made[1] < made[2]
    odds = [p / (1 - p) for p in made]
    assert odds[2] / odds[1] == pytest.approx(19, rel=0.01)


def test_a_seeing_that_is_given_is_used(command, night):
    assert command("night/star01.fits", "--psf-fwhm", "3.3") == 0
    star = pd.read_csv("out.csv")["p_galaxy"][0]
    assert command("night/star01.fits", "--psf-fwhm", "2.2") == 0
    assert pd.read_csv("out.csv")["p_galaxy"][0] > max(star, 0.9)  # wider than such a seeing


def test_a_seeing_that_was_not_measured_is_said(command, tmp_path, capsys):
    for number in range(3):
        write(tmp_path / "few" / f"{number}.fits", light(5.0, number))
    said = "The seeing of 3 of the stamps was taken for 3.3 pixels"
    assert command("few") == 0 and said in capsys.readouterr().err
    assert command("few", "--psf-fwhm", "5") == 0 and "The seeing" not in capsys.readouterr().err
    for number in range(6):
        write(tmp_path / "many" / f"{number}.fits", light(5.0, 10 + number))
    assert command("few", "many") == 0
    assert "The seeing of 3 of the stamps was taken from other folders" in capsys.readouterr().err
    assert command("many") == 0 and "The seeing" not in capsys.readouterr().err


def test_a_band_that_is_missing_is_left_out(command, tmp_path, artifacts):
    """The others judge, with the seeing that their folder has."""
    for number in range(8):
        write(tmp_path / "many" / f"{number}.fits", light(5.0, number, bands=3))
    whole = light(5.0, 9, bands=3)
    for gap, value in (("nan", np.nan), ("zero", 0.0)):
        write(tmp_path / "many" / f"{gap}.fits", np.stack([whole[0], np.full_like(whole[1], value), whole[2]]))
    assert command("many") == 0
    told = pd.read_csv("out.csv", index_col="file")["p_galaxy"]
    write(tmp_path / "two.fits", whole[[0, 2]])
    stamps, _ = read_stamps([tmp_path / "many" / "nan.fits"])
    seeing = star_galaxy.seeing_of_frames(
        np.array(read_stamps(sorted((tmp_path / "many").glob("*.fits")))[0].widths), np.zeros(10)
    )
    odds = star_galaxy.galaxy_log_odds(
        load_separator("star_galaxy", artifacts, "cpu"), stamps.pixels[0][None, [0, 2]], seeing[:1, [0, 2]]
    )
    expected = 1 / (1 + np.exp(-odds.unlabelled[0]))
    assert told["many/nan.fits"] == pytest.approx(expected, abs=1e-4) == told["many/zero.fits"]


def test_a_stamp_of_nothing_but_sky_is_not_told(command, tmp_path, capsys):
    """Its probability would be the share of galaxies among the faintest, whatever it shows."""
    write(tmp_path / "some" / "sky.fits", light(3.3, 1, flux=0.0))
    write(tmp_path / "some" / "star.fits", light(3.3, 2))
    assert command("some", "--psf-fwhm", "3.3", "--json", "said.json") == 1
    assert "1 of the stamps show nothing in their middle" in capsys.readouterr().err
    told = pd.read_csv("out.csv", index_col="file")["p_galaxy"]
    assert np.isnan(told["some/sky.fits"]) and np.isfinite(told["some/star.fits"])
    assert json.loads((tmp_path / "said.json").read_text())["n_by_way"] == {"network": 1, "not told": 1}


def test_a_stamp_whose_middle_was_not_observed_is_not_told_and_spoils_no_other(command, tmp_path, capsys):
    """As at the edge of a survey: there is light, but not where the object should be."""
    edge = light(3.3, 1, size=100)
    edge[:, 30:70, 30:70] = np.nan
    write(tmp_path / "some" / "edge.fits", edge)
    write(tmp_path / "some" / "star.fits", light(3.3, 2))
    assert command("some", "--psf-fwhm", "3.3") == 1
    assert "1 of the stamps show nothing in their middle" in capsys.readouterr().err
    told = pd.read_csv("out.csv", index_col="file")["p_galaxy"]
    assert np.isnan(told["some/edge.fits"]) and np.isfinite(told["some/star.fits"])


def test_order_and_company_do_not_matter(artifacts, night):
    model = load_separator("star_galaxy", artifacts, "cpu")
    paths = sorted(night.glob("star*.fits"))
    stamps, problems = read_stamps(paths)
    assert not problems
    whole = separate(model, stamps, 3.3).p_galaxy
    back, _ = read_stamps(paths[::-1])
    np.testing.assert_allclose(separate(model, back, 3.3).p_galaxy[::-1], whole, atol=1e-5)
    one, _ = read_stamps(paths[:1])
    np.testing.assert_allclose(separate(model, one, 3.3).p_galaxy, whole[:1], atol=1e-5)


def test_writing_refuses_what_is_no_table(tmp_path):
    stamps = FileStamps([Path("a.fits"), Path("b.fits")], [light(3.0)] * 2, [np.ones(1)] * 2, [None] * 2, [9.0] * 2)
    told = Separation(np.array([0.25, np.nan]), np.array(["network", "not told"]), np.array(["f", "f"]))
    for path in (tmp_path / "a.txt", tmp_path):
        with pytest.raises(ExportError):
            write_separation(path, stamps, told)
    nothing = Separation(np.zeros(0), np.zeros(0, str), np.zeros(0, str))
    with pytest.raises(ExportError, match="None of the stamps"):
        write_separation(tmp_path / "a.csv", FileStamps([], [], [], [], []), nothing)
    write_separation(tmp_path / "a.csv", stamps, told)
    assert (tmp_path / "a.csv").read_text() == "file,p_galaxy\na.fits,0.250000\nb.fits,\n"


def clipped(folder: Path, frames=("IC1-H01", "sn2_03"), each: int = 18) -> pd.DataFrame:
    """JPEG stamps in folders of their class, cut at 255, a third of them wide; names tell the frame. Returns truth."""
    rng, rows = np.random.default_rng(1), []
    for number, frame in enumerate(frames):
        for i in range(each):
            galaxy, seeing = i % 3 == 0, 4.0 + 0.8 * number
            source = moffat(make_frame(64, 1.0), seeing * (1.8 if galaxy else 1.0), 3.0, 0.3, -0.4)
            counts = 88 + 28 * rng.uniform(500, 2000) * source + rng.normal(0, 28, (64, 64))
            path = folder / ("galaxy" if galaxy else "star") / f"{frame}_{i * 7}_{i * 3}_3.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(np.rint(counts), 0, 255).astype(np.uint8)).save(path, quality=95)
            rows.append((path.name, frame, galaxy))
    return pd.DataFrame(rows, columns=["file", "source_frame", "galaxy"])


def test_stamps_with_cut_tops_go_another_way_and_say_so(command, tmp_path, night, capsys):
    truth = clipped(tmp_path / "aries")
    assert command("aries", "night", "--json", "report.json") == 0
    said = capsys.readouterr().err
    assert "The bright pixels of 3" in said and "compared with the 36 stamps of 2 frames" in said
    table = pd.read_csv("out.csv").assign(file=lambda t: t["file"].map(lambda name: Path(name).name))
    both = table.merge(truth, on="file")
    assert area_under_curve(both["p_galaxy"].to_numpy(), both["galaxy"].to_numpy()) > 0.95
    assert ((both["p_galaxy"] > 0.5) == both["galaxy"]).mean() > 0.85
    report = json.loads(Path("report.json").read_text())
    assert report["n_by_way"] == {"clipped profile": 36, "network": 15} and len(report["stamps"]) == 51
    assert {row["frame"] for row in report["stamps"] if row["way"] == "clipped profile"} == {"IC1-H01", "sn2_03"}
    truth.drop(columns="galaxy").to_csv("aries/frames.csv", index=False)
    assert command("aries", "--frames", "aries/frames.csv", "--galaxy-share", "0.02") == 0
    assert pd.read_csv("out.csv")["p_galaxy"].mean() < both["p_galaxy"].mean()
    pd.DataFrame({"file": ["a.jpg"], "source_frame": ["f"]}).to_csv("lacks.csv", index=False)
    capsys.readouterr()
    assert command("aries", "--frames", "lacks.csv", out="other.csv") == 1
    assert "has no row for" in capsys.readouterr().err and not Path("other.csv").exists()


def test_too_few_cut_stamps_are_not_told_and_that_is_said(command, tmp_path, capsys):
    clipped(tmp_path / "few", frames=("IC1-H01",), each=5)
    assert command("few", "--json", "report.json") == 1
    said = capsys.readouterr()
    assert "5 are too few to know how wide stars are there; give 12 stamps or more" in said.err
    assert "0 galaxies in 0 of 5 stamps" in said.out
    table = pd.read_csv("out.csv")
    assert table["p_galaxy"].isna().all()
    report = json.loads(Path("report.json").read_text())
    assert report["n_by_way"] == {"not told": 5} and report["stamps"][0]["p_galaxy"] is None


def test_a_model_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ModelError):
        load_separator("nothing", tmp_path, "cpu")
