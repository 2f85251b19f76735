"""The classify command: a row an image, bad files named, the table whole or not there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from PIL import Image

from galaxy_core.errors import ExportError
from galaxy_core.models import save_model
from galaxy_core.vote_classes import EIGHT_CLASSES
from galaxy_core.vote_tree import CONDITIONAL_COLUMNS, CUMULATIVE_COLUMNS, asked_share, question_sums
from tests.classify_runs import NAMES, command_in, gauged_net, read, save_picture, small_net, write_models


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    return write_models(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture
def command(tmp_path, artifacts, monkeypatch):
    return command_in(tmp_path, artifacts, monkeypatch)


def test_a_row_an_image_with_everything_in_it(command, tmp_path):
    for seed in range(3):
        save_picture(tmp_path / "in" / f"{seed}.png", seed)
    linear = np.random.default_rng(0).normal(5, 1, (40, 40)).astype(np.float32)
    linear[15:25, 15:25] += 80
    (tmp_path / "in" / "deep").mkdir()
    fits.writeto(tmp_path / "in" / "deep" / "frame.fits", linear)
    assert command("in") == 0
    table = read("out.csv")
    assert sorted(table.index) == ["0", "1", "2", "frame"]
    probabilities = table[[f"probability_{name}" for name in NAMES]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (table["class"] == [NAMES[i] for i in probabilities.argmax(axis=1)]).all()
    cumulative = table[list(CUMULATIVE_COLUMNS)].to_numpy()
    np.testing.assert_allclose(question_sums(cumulative), asked_share(cumulative), atol=1e-5)
    np.testing.assert_allclose(question_sums(table[list(CONDITIONAL_COLUMNS)].to_numpy()), 1, atol=1e-5)
    for name in (*CUMULATIVE_COLUMNS, *CONDITIONAL_COLUMNS):
        assert (table[f"{name}_low"] <= table[f"{name}_high"]).all()
        assert table[[f"{name}_low", f"{name}_high"]].min(axis=None) >= 0
    eight = table[[f"probability_of_8_{name}" for name in EIGHT_CLASSES]]
    np.testing.assert_allclose(eight.sum(axis=1), 1 - table["Class1.3"], atol=1e-5)  # the rest: stars and artifacts
    np.testing.assert_allclose(eight["probability_of_8_cigar_smooth"], table["Class7.3"], atol=1e-5)
    np.testing.assert_allclose(eight["probability_of_8_spiral"], table["Class4.1"], atol=1e-5)
    np.testing.assert_allclose(eight["probability_of_8_edge_on_boxy_bulge"], table["Class9.2"], atol=1e-5)
    assert len(table.columns) == 1 + 5 + 8 + 3 * 74 + 1 and not table.isna().any(axis=None)


def test_csv_and_parquet_files_and_catalog_say_the_same(command, tmp_path):
    paths = [save_picture(tmp_path / "in" / f"{seed}.png", seed) for seed in range(3)]
    assert command(*paths, out="a.csv") == 0
    (tmp_path / "link.png").symlink_to(paths[0])
    assert command("in/*.png", "in", "link.png", out="b.parquet") == 0  # each once, however often and by whatever name
    assert command("folder:in", out="c.parquet") == 0
    first, second, third = (read(name).sort_index() for name in ("a.csv", "b.parquet", "c.parquet"))
    pd.testing.assert_frame_equal(first, second, check_dtype=False, rtol=1e-4, atol=1e-5)
    pd.testing.assert_frame_equal(second, third)


def test_bad_files_are_named_and_stop_nobody(command, tmp_path, capsys):
    save_picture(tmp_path / "good.png")
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8 not a picture")
    (tmp_path / "empty.png").touch()
    fits.writeto(tmp_path / "nan.fits", np.full((20, 20), np.nan, np.float32))
    assert command("bad.jpg", "good.png", "empty.png", "nan.fits", "gone.png", "*.tif") == 1
    said = [line for line in capsys.readouterr().err.splitlines() if line.strip() and "image/s" not in line]
    assert len(said) == 5
    assert all(any(name in line for line in said) for name in ("bad", "empty", "nan", "gone", "*.tif"))
    assert list(read("out.csv").index) == ["good"]


def test_nothing_readable_writes_nothing_and_keeps_what_was_there(command, tmp_path, capsys):
    (tmp_path / "bad.jpg").write_bytes(b"no")
    (tmp_path / "out.csv").write_text("before")
    assert command("bad.jpg") == 1
    assert "None of the images could be read" in capsys.readouterr().err
    assert (tmp_path / "out.csv").read_text() == "before" and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "out", "sentence"),
    [
        (["a.png"], "out.txt", "ends in neither .csv nor .parquet"),
        (["nowhere:x.png"], "out.csv", "nowhere:x.png"),
        (["gz2:nowhere"], "out.csv", "does not exist"),
        (["a.png", "--model", "denoiser"], "out.csv", "does not tell morphology"),
        (["a.png", "--model", "vote_regressor", "votes_alone"], "out.csv", "same classes"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(command, tmp_path, capsys, arguments, out, sentence):
    save_picture(tmp_path / "a.png")
    assert command(*arguments, out=out) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert any(sentence in line for line in said) and "Traceback" not in "".join(said)
    assert not (tmp_path / out).exists()


def test_without_a_model_the_command_that_trains_one_is_told(command, tmp_path, capsys, monkeypatch):
    save_picture(tmp_path / "a.png")
    assert command("a.png", "--model", "not_trained_yet", root=tmp_path / "none") == 1
    said = capsys.readouterr().err.strip()
    assert "\n" not in said and "python scripts/train.py vote_regressor" in said


def test_an_ensemble_and_a_net_of_votes_alone(command, tmp_path):
    save_picture(tmp_path / "a.png")
    for number, models in enumerate((["vote_regressor"], ["second"], ["vote_regressor", "second"])):
        assert command("a.png", "--model", *models, out=f"{number}.csv") == 0
    one, two, both = (read(f"{number}.csv")[list(CONDITIONAL_COLUMNS)] for number in range(3))
    np.testing.assert_allclose((one + two) / 2, both, atol=1e-4)
    assert command("a.png", "--model", "votes_alone", out="votes.csv") == 0
    names = read("votes.csv").columns
    assert not [name for name in names if name.startswith(("probability", "class")) and "_of_8_" not in name]
    assert sum("_of_8_" in name for name in names) == 8


def test_what_is_new_to_the_model_is_flagged(command, tmp_path):
    for name, contrast in (("grey", 0.0), ("busy", 120.0)):
        noise = np.random.default_rng(0).uniform(-1, 1, (32, 32, 3))
        Image.fromarray((127.5 + contrast * noise).clip(0, 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
    assert command("grey.png", "busy.png", "--model", "gauged", out="a.csv") == 0
    first = read("a.csv")
    assert first["out_of_distribution"].dtype == bool
    assert first.loc["grey", "novelty"] < 0.1 * first.loc["busy", "novelty"]
    model = gauged_net(threshold=4.0 * float(first["novelty"].mean()))  # between the two
    save_model(tmp_path / "model", model)
    assert command("grey.png", "busy.png", "--model", "model", out="b.csv") == 0
    told = read("b.csv")
    assert told["out_of_distribution"].to_dict() == {"grey": False, "busy": True}
    np.testing.assert_allclose(told["novelty"], first["novelty"] / first["novelty"].mean(), rtol=1e-3)
    assert command("grey.png", "--model", "vote_regressor", out="c.csv") == 0  # a checkpoint of before gauges
    assert not {"novelty", "out_of_distribution"} & set(read("c.csv").columns)
    assert command("busy.png", "--model", "model", "model", out="d.csv") == 0
    assert read("d.csv").loc["busy", "novelty"] == pytest.approx(told.loc["busy", "novelty"], rel=1e-4)
    assert command("busy.png", "--model", "model", "second", out="e.csv") == 0
    assert "novelty" not in read("e.csv").columns  # one of the two cannot tell


def test_the_table_says_which_votes_it_tells(command, tmp_path):
    save_picture(tmp_path / "a.png")
    save_model(tmp_path / "both", small_net(debiased=True))
    for votes in ("cast", "debiased", "challenge"):
        assert command("a.png", "--model", "both", "--votes", votes, out=f"{votes}.csv") == 0
        assert read(f"{votes}.csv")["votes"].tolist() == [votes]
    assert command("a.png", "--model", "both", out="usual.csv") == 0 and read("usual.csv")["votes"].tolist() == [
        "challenge"
    ]
    assert command("a.png", out="single.csv") == 0 and read("single.csv")["votes"].tolist() == ["cast"]


def test_what_a_catalog_leaves_out_and_what_comes_twice_is_told(command, tmp_path, capsys):
    for seed in range(3):
        save_picture(tmp_path / "in" / f"{seed}.png", seed)
    (tmp_path / "in" / "labels.csv").write_text("file,class\n0.png,spiral\n1.png,spiral\n1.png,edge_on\n7.png,x\n")
    assert command("folder:in", f"folder:{tmp_path / 'in'}", "in/0.png") == 0
    said = capsys.readouterr()
    assert said.err.count("no image and") == 1, "a catalog that is named twice is read once"
    assert "1 row repeats a galaxy_id" in said.err and "1 image has no row" in said.err
    assert "1 galaxy_id come from more than one input" in said.err and "(0)" in said.err
    assert sorted(read("out.csv").index) == ["0", "0", "1"] and "3 of 3 images" in said.out


def test_further_images_of_a_file_are_told_of_once_and_read_if_asked(command, tmp_path, capsys):
    flux = np.random.default_rng(0).normal(5, 1, (2, 40, 40)).astype(np.float32)
    for name in ("a.fits", "b.fits"):
        fits.HDUList([fits.PrimaryHDU(flux[0]), fits.ImageHDU(flux[1], name="R")]).writeto(tmp_path / name)
    fits.writeto(tmp_path / "r.fits", flux[1])
    assert command("a.fits", "b.fits", "r.fits", out="first.csv") == 0
    said = "a.fits and 1 more: Extension 0 is shown, the first that holds an image; 1 more is left out"
    told = capsys.readouterr().err
    assert told.count("Extension") == 1 and said in told
    assert command("folder:.", "--hdu", "R") == 2 and "--hdu is for files" in capsys.readouterr().err
    assert command("a.fits", "--hdu", "R") == 0 and not capsys.readouterr().err
    first, asked = read("first.csv"), read("out.csv")
    assert first.loc["a", "Class1.1"] != asked.loc["a", "Class1.1"] == first.loc["r", "Class1.1"]


def test_a_table_that_cannot_be_written_loses_nothing(command, tmp_path, capsys, monkeypatch):
    """The next run goes on from what was classified, after a full disk and after Ctrl-C alike."""
    save_picture(tmp_path / "a.png")
    for problem in (ExportError("Cannot write out.csv: no space left."), KeyboardInterrupt()):

        def fail(*_, problem=problem):
            raise problem

        with monkeypatch.context() as patch:
            patch.setattr("galaxy_core.morphology_batch.write_tables", fail)
            assert command("a.png") in (1, 130)
        assert list((tmp_path / ".out.csv.parts").glob("part-*.parquet"))
    monkeypatch.setattr("galaxy_core.morphology_batch.map_shards", lambda *_: iter(()))
    assert command("a.png") == 0 and list(read("out.csv").index) == ["a"]
    assert not (tmp_path / ".out.csv.parts").exists()


@pytest.mark.parametrize("what", ["a" * 300, "folder:" + "a" * 300, "loop.png"])
def test_odd_paths_are_one_sentence_and_stop_nobody(command, tmp_path, capsys, what):
    save_picture(tmp_path / "good.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    code = command("good.png", what)
    said = capsys.readouterr().err
    assert code == 1 and "Traceback" not in said and what[-5:] in said
    assert what.startswith("folder:") or list(read("out.csv").index) == ["good"]


@pytest.mark.parametrize(("out", "sentence"), [("a" * 260 + ".csv", "too long a name"), ("caf\udce9.csv", "no UTF-8")])
def test_a_name_no_table_can_have_is_said_before_any_work(command, tmp_path, capsys, out, sentence):
    save_picture(tmp_path / "a.png")
    assert command("a.png", out=out) == 1
    assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
