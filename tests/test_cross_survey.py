"""Answers of other surveys: their words on the tree, accuracy by hand, and what stands apart is flagged."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from galaxy_core.answer_words import find_answer, find_question
from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.answers import read_answers
from galaxy_core.errors import CatalogError
from galaxy_core.models import save_model
from galaxy_core.morphology import classify_items, join_morphologies
from galaxy_core.morphology_items import catalog_items
from galaxy_core.recipes import cross_survey_scores
from galaxy_core.recipes.cross_survey_scores import auc_of, by_question, evaluate, judge, match_answers
from galaxy_core.recipes.cross_survey_table import table_lines
from galaxy_core.splits import split_mask
from galaxy_core.trees import GZ2
from galaxy_core.vote_tree import COLUMN_OF
from tests.classify_runs import gauged_net, save_picture, small_net

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT.parent / "shared" / "data" / "gz_examples"
SHAPE = "Is the galaxy simply smooth and rounded, with no sign of a disk?"
BAR = "Is there any sign of a bar feature through the centre of the galaxy?"
ODD = "Do you see any of these odd features in the image?"
ROWS = (  # image, survey, question_text, answer
    ("a", "sloan", SHAPE, "Smooth"),
    ("a", "sloan", SHAPE, "Smooth"),  # said twice
    ("b", "hst", SHAPE, "Features or disk"),
    ("b", "hst", BAR, "No bar"),
    ("c", "hst", SHAPE, "Smooth"),
    ("c", "hst", "How many clumps are there?", "3"),
    ("c", "hst", ODD, "None"),
    ("d", "hst", SHAPE, "Smooth"),
    ("d", "hst", ODD, "Ring"),
    ("d", "hst", ODD, "Dust lane"),
    ("gone", "hst", SHAPE, "Smooth"),
)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Images of two surveys, those of "hst" busy with noise, and the answers they stand for."""
    for name in "abcd":
        if name == "a":
            save_picture(tmp_path / "in" / "images" / "a.png")
        else:
            noise = np.random.default_rng(ord(name)).integers(0, 255, (32, 32, 3)).astype(np.uint8)
            Image.fromarray(noise).save(tmp_path / "in" / "images" / f"{name}.png")
    table = pd.DataFrame(ROWS, columns=["image", "survey", "question_text", "answer"]).assign(question="x")
    table.to_csv(tmp_path / "in" / "labels.csv", index=False)
    return tmp_path / "in"


def test_every_answer_of_the_tree_is_found_by_its_own_words():
    for question in GZ2.questions:
        assert find_question(question.text) == question.key
        for answer in question.answers:
            assert find_answer(question.key, answer.text) == answer.key


@pytest.mark.parametrize(
    ("question", "answer", "key", "choice"),
    [
        (SHAPE, "Star or artifact", "smooth-or-featured", "artifact"),
        ("Is the galaxy in the centre simply smooth and rounded, or does it have features?", "Features",
         "smooth-or-featured", "featured-or-disk"),
        ("How rounded is it?", "Cigar shaped", "how-rounded", "cigar"),
        ("Could this be a disk viewed edge-on?", "No", "disk-edge-on", "no"),
        ("How prominent is the central bulge, compared with the rest of the galaxy?", "No bulge", "bulge-size", "no"),
        ("Does the galaxy have a bulge at its center? If so, what shape?", "No bulge", "bulge-shape", "no-bulge"),
        ("Does the galaxy have a bulge at its centre?", "Yes", "bulge-shape", None),
        ("Is there any sign of a spiral arm pattern?", "No spiral", "has-spiral-arms", "no"),
        ("How tightly wound do the spiral arms appear?", "Medium", "spiral-winding", "medium"),
        ("How many spiral arms are there?", "4", "spiral-arm-count", "4"),
        ("How many spiral arms are there?", "Can’t tell", "spiral-arm-count", "cant-tell"),
        ("Is there anything odd?", "Yes", "something-odd", "yes"),
        ("What are the odd features?", "Disturbed", "odd-feature", "disturbed"),
        (ODD, "Overlapping", "odd-feature", None),
        ("Is the galaxy currently merging or is there any sign of tidal debris?", "Merging", None, None),
        ("Does the galaxy have a mostly clumpy appearance?", "Yes", None, None),
        ("Do the clumps appear to be embedded within a larger object?", "No", None, None),
        ("", "", None, None),
    ],
)  # fmt: skip
def test_words_of_the_surveys(question, answer, key, choice):
    assert find_question(question) == key
    assert key is None or find_answer(key, answer) == choice


def test_all_rows_of_an_image_are_read_and_what_has_no_counterpart_is_named(folder):
    answers = read_answers(read_catalog(f"folder:{folder}"))
    assert len(answers) == 9 and (answers["row"] == 3).sum() == 3  # without the repeated one, and the one of no image
    matched, unmatched = match_answers(answers)
    assert unmatched["questions"] == {"How many clumps are there?": 1}
    assert unmatched["answers"] == {f"{ODD} – None": 1}
    assert unmatched["several_answers"] == 2 and unmatched["n_rows"] == 9 and unmatched["n_matched"] == 5
    assert matched["choice"].notna().sum() == 5


def test_accuracy_majority_and_intervals_by_hand(folder):
    catalog, model = read_catalog(f"folder:{folder}"), small_net()
    answers, _ = match_answers(read_answers(catalog))
    told = join_morphologies([made for made, _ in classify_items(catalog_items(catalog), model)])
    # what the volunteers are expected to say is set by hand: everything is smooth, and has no bar
    told.conditional.expected[:] = 0.01
    for way in (("smooth-or-featured", "smooth"), ("bar", "no")):
        told.conditional.expected[:, COLUMN_OF[way]] = 0.9
    judged = judge(answers, told, np.arange(4))
    scores = by_question(judged[judged["survey"] == "hst"])
    shape = scores["smooth-or-featured"]
    assert shape["n"] == 3 and shape["accuracy"] == shape["majority"] == pytest.approx(2 / 3)
    low, high = shape["accuracy_interval"]
    assert (low, high) == pytest.approx((0.2077, 0.9385), abs=1e-3)  # Wilson, 2 of 3
    assert scores["bar"]["accuracy"] == 1 and scores["all"]["n"] == 4
    assert scores["all"]["accuracy"] == scores["all"]["majority"] == 0.75
    told.conditional.expected[:, COLUMN_OF["bar", "yes"]] = 0.95
    assert by_question(judge(answers, told, np.arange(4)))["bar"]["accuracy"] == 0


def test_area_under_the_curve_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    base, values = rng.normal(size=200).round(1), rng.normal(1, 1, 60).round(1)  # with ties
    told = auc_of(base, values, 0)
    truth = roc_auc_score(np.r_[np.zeros(200), np.ones(60)], np.r_[base, values])
    assert told["auc"] == pytest.approx(truth)
    low, high = told["auc_interval"]
    assert low < truth < high and high - low < 0.2
    assert auc_of(None, values, 0) is None


def test_a_survey_that_is_new_stands_apart(folder, tmp_path, monkeypatch):
    model = gauged_net()
    catalog, against = read_catalog(f"folder:{folder}"), read_catalog("synthetic:60@5")
    monkeypatch.setattr(cross_survey_scores, "N_AGAINST", 5)
    with torch.inference_mode():  # from where galaxies of the other catalog lie, and half way to the noise
        stamps = torch.from_numpy(np.stack([against.load_image(row)[:, ::2, ::2] for row in range(8)]))
        model.gauge.centre.copy_(model.encoder.features(stamps).mean(dim=0))
    told = join_morphologies([made for made, _ in classify_items(catalog_items(catalog), model)])
    model.gauge.threshold.fill_(0.5 * float(np.median(told.novelty[1:])))
    save_model(tmp_path / "m", model)
    scores = evaluate(tmp_path / "m", catalog, against)
    hst, sloan = scores["surveys"]["hst"], scores["surveys"]["sloan"]
    assert hst["flagged"] == 1.0 and hst["auc"]["auc"] == 1.0 and not hst["is_sdss"]
    assert sloan["auc_here"]["auc"] == 0.5 and hst["auc_here"]["auc"] == scores["others"]["auc_here"]["auc"] == 1.0
    assert sloan["is_sdss"] and sloan["auc"]["auc"] <= 1 and scores["others"]["n_images"] == 3
    assert scores["against"]["n"] == min(5, split_mask(against.galaxy_ids, "test").sum())
    json.dumps(scores, allow_nan=False)
    text = "\n".join(table_lines(scores | {"catalog": "folder:in", "model": "m"} | {
        "against": scores["against"] | {"catalog": "synthetic:60@5"}}))  # fmt: skip
    for said in (
        "folder:in",
        "synthetic:60@5",
        "How many clumps",
        "sloan (SDSS)",
        "all but SDSS",
        "AUC here",
        "smooth-or-featured",
    ):
        assert said in text


def test_a_model_without_gauge_gives_answers_alone(folder, tmp_path):
    save_model(tmp_path / "m", small_net())
    scores = evaluate(tmp_path / "m", read_catalog(f"folder:{folder}"))
    assert scores["surveys"]["hst"]["flagged"] is None and scores["others"]["auc"] is None
    assert scores["surveys"]["hst"]["questions"]["all"]["n"] == 4
    text = "\n".join(table_lines(scores | {"catalog": "folder:in", "model": "m"}))
    assert "--phases novelty" in text


def test_images_that_cannot_be_read_are_not_counted(folder, tmp_path):
    save_model(tmp_path / "m", small_net())
    (folder / "images" / "d.png").write_bytes(b"cut off")
    scores = evaluate(tmp_path / "m", read_catalog(f"folder:{folder}"))
    assert (scores["n_images"], scores["n_unreadable"]) == (3, 1)
    assert scores["surveys"]["hst"]["n_images"] == scores["others"]["n_images"] == 2


def test_the_command_prints_and_writes(folder, tmp_path, monkeypatch, capsys):
    save_model(tmp_path / "models" / "vote_regressor", gauged_net())
    line = ["evaluate.py", "cross_survey", f"folder:{folder}", "--against", "synthetic:40", "--artifacts", tmp_path]
    monkeypatch.setattr(sys, "argv", [*map(str, line), "--json", str(tmp_path / "x.json"), "--device", "cpu"])
    script = runpy.run_path(str(ROOT / "scripts" / "evaluate.py"), run_name="script")
    script["run"](script["parse_arguments"]())
    assert "Measured on 4 images of folder:in" in capsys.readouterr().out
    written = json.loads((tmp_path / "x.json").read_text())
    assert written["against"]["catalog"] == "synthetic:40" and set(written["surveys"]) == {"hst", "sloan"}
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "vote_regressor", "synthetic:40", "--against", "synthetic:40"])
    with pytest.raises(SystemExit):
        script["parse_arguments"]()


def test_a_folder_without_such_answers_is_one_sentence(folder, tmp_path):
    table = pd.read_csv(folder / "labels.csv").drop(columns=["survey", "answer"])
    table.to_csv(folder / "labels.csv", index=False)
    with pytest.raises(CatalogError, match="no column survey and no answer"):
        read_answers(read_catalog(f"folder:{folder}"))
    with pytest.raises(CatalogError, match=r"no labels\.csv"):
        read_answers(read_catalog("synthetic:3"))


@pytest.mark.skipif(not EXAMPLES.exists(), reason="needs the example images at ../shared/data/gz_examples")
def test_the_examples_of_galaxy_zoo_are_on_the_tree():
    answers, unmatched = match_answers(read_answers(read_catalog(f"folder:{EXAMPLES}")))
    assert answers["row"].nunique() == 658 and answers["survey"].nunique() == 8
    assert unmatched["n_matched"] > 600 and set(answers["key"].dropna()) == set(GZ2.by_key)
    without = " ".join(unmatched["questions"])
    assert "clump" in without and "merging" in without and "symmetrical" in without
    assert sum(unmatched["answers"].values()) < 30
    assert all(
        (key, choice) in COLUMN_OF
        for key, choice in answers.loc[answers["choice"].notna(), ["key", "choice"]].to_numpy()
    )
