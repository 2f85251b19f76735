"""What is behind the Morphology page: nearest labelled galaxies, the table, volunteers, colours of pixels."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import numpy as np
import pyarrow.csv
import pytest
from conftest import make_catalog

from galaxy_core import artifacts
from galaxy_core.morphology import classify_images
from galaxy_core.morphology_table import encode_morphologies, write_morphologies
from galaxy_core.occlusion import Occlusion
from galaxy_core.trees import GZ2
from galaxy_core.turning import Turned
from galaxy_core.vote_forms import FROM_KAGGLE, TO_KAGGLE
from galaxy_core.vote_intervals import Shares
from pages.views import morphology_nearest, morphology_pixels, morphology_words, readers
from tests.morphology_uploads import small_net


def test_few_labelled_galaxies_are_looked_for_until_found(broken_root):
    manifest = artifacts.read_manifest(broken_root, "tiny")
    catalog = artifacts.read_table(broken_root, "tiny", "catalog")
    catalog["class"] = np.where(np.arange(90) % 30 == 7, "spiral", None)
    catalog[list(manifest.answer_columns)] = np.nan
    artifacts.write_table(broken_root, "tiny", "catalog", catalog)
    artifacts.write_manifest(broken_root, "tiny", manifest)
    galaxies = readers.open_catalog(broken_root, "tiny")
    vectors = readers.embedding(galaxies)
    rows, similarities = morphology_nearest.labelled_neighbors(vectors, vectors[7], galaxies)
    assert rows[0] == 7 and sorted(rows) == [7, 37, 67] and similarities == sorted(similarities, reverse=True)
    rows, _ = morphology_nearest.labelled_neighbors(vectors, vectors[7], galaxies, itself=7, k=1)
    assert len(rows) == 1 and rows[0] in (37, 67)


@pytest.mark.parametrize(
    "columns", [("smooth-or-featured_smooth", "smooth-or-featured_featured"), ("odd_yes", "odd_no")]
)
@pytest.mark.parametrize("many", [1, 1000])
def test_a_galaxy_is_labelled_by_a_vote_for_something(tmp_path, monkeypatch, columns, many):
    monkeypatch.setattr(readers, "MANY", many)  # above, columns are read one by one
    manifest = make_catalog(tmp_path, answer_columns=columns)
    catalog = artifacts.read_table(tmp_path, "tiny", "catalog").drop(columns="class")
    for column, share in zip(columns, (0.7, 0.3), strict=True):
        catalog[column] = np.where(np.arange(90) < 5, share, np.where(np.arange(90) < 50, 0.0, np.nan))
    artifacts.write_table(tmp_path, "tiny", "catalog", catalog)
    artifacts.write_manifest(tmp_path, "tiny", manifest)
    galaxies = readers.open_catalog(tmp_path, "tiny")
    assert np.flatnonzero(morphology_nearest.is_labelled(galaxies)).tolist() == [0, 1, 2, 3, 4]
    assert {morphology_nearest.label_of(galaxies, row) for row in range(5)} <= {"smooth", "yes"}


def test_the_table_is_that_of_the_command(tmp_path):
    told = classify_images(np.random.default_rng(0).random((2, 3, 32, 32)).astype("f4"), small_net(), ["a, b", "ж"])
    write_morphologies(tmp_path / "a.csv", [told])
    assert encode_morphologies(told) == (tmp_path / "a.csv").read_bytes()
    assert pyarrow.csv.read_csv(io.BytesIO(encode_morphologies(told)))["galaxy_id"].to_pylist() == ["a, b", "ж"]


@pytest.mark.parametrize("seed", range(6))
def test_volunteers_add_up(seed):
    told = classify_images(np.random.default_rng(1).random((1, 3, 32, 32)).astype("f4"), small_net(seed), ["a"])
    first, *later = morphology_words.volunteers_sentences(told)
    counts = [tuple(map(int, found)) for found in re.findall(r"(\d+) \((\d+) to (\d+)\)", first)]
    assert len(counts) == 3 and abs(sum(count for count, _, _ in counts) - 40) <= 1 and counts == sorted(counts)[::-1]
    assert all(low <= count <= high for count, low, high in counts)
    path = [GZ2.questions[0].key]
    for column in morphology_words.leading_path(told):
        question, answer = morphology_words.ANSWERS[TO_KAGGLE[column]]
        assert question.key == path[-1]
        path.append(answer.leads_to)
    pairs = [(int(n), int(of)) for n, of in re.findall(r"\((\d+) of (\d+) asked\)", " ".join(later))]
    assert path[-1] == "" and len(pairs) == len(path) - 2 and all(n <= of <= 40 for n, of in pairs)


@pytest.mark.parametrize(
    "name, smooth, disagree",
    [
        ("round_smooth", 0.2, True),
        ("round_smooth", 0.7, False),
        ("spiral", 0.7, True),
        ("edge_on", 0.2, False),
        ("a_kind_of_ones_own", 0.2, False),
    ],
)
def test_a_class_and_votes_that_disagree_are_told_so(name, smooth, disagree):
    told = classify_images(np.random.default_rng(1).random((1, 3, 32, 32)).astype("f4"), small_net(), ["a"])
    shares = np.full((1, 37), 0.1, np.float32)
    shares[0, FROM_KAGGLE[:3]] = smooth, 0.9 - smooth, 0.1
    told = replace(
        told,
        class_names=(name, "other"),
        class_probabilities=np.float32([[0.9, 0.1]]),
        conditional=Shares(shares, shares, shares),
    )
    assert ("disagree" in morphology_words.disagreement_sentence(told)) == disagree


@pytest.mark.parametrize(("low", "said"), [(0.947, "is 95 % in all 13"), (0.91, "runs from 91 % to 95 % over the 13")])
def test_a_range_has_two_ends_or_is_none(low, said):
    shares = np.linspace(low, 0.954, 13)[:, None]
    turned = Turned(("a view",) * 13, np.zeros((13, 3, 1, 1), "f4"), shares, np.repeat(shares, 37, axis=1))
    sentence = morphology_words.turning_sentence(turned, ("spiral",), 0)
    assert f"“spiral” {said} views" in sentence
    assert f"smooth”: {'95 %' if low > 0.94 else '91 % to 95 %'} of all volunteers, standard" in sentence
    made = Occlusion(np.array([0.946]), np.full((1, 1, 1), 0.9535), np.zeros(1, int), np.zeros(1, int), 8, (8, 8))
    assert morphology_pixels.sentence_of(made, 0, "spiral") == (
        "No patch of 8 x 8 px changes “spiral” by a percentage point."
    )


def test_colours_diverge_from_zero():
    mattered = np.array([[0.4, 0.0], [-0.2, -0.4]])
    for dark in (True, False):
        picture = morphology_pixels.coloured(mattered, 0.4, dark)
        zero = np.float32(morphology_pixels.ZERO["dark" if dark else "light"])
        np.testing.assert_allclose(picture[:, 0, 1], zero)
        np.testing.assert_allclose(picture[:, 0, 0], np.float32(morphology_pixels.FOR))
        np.testing.assert_allclose(picture[:, 1, 1], np.float32(morphology_pixels.AGAINST))
    stamp = np.full((3, 2, 2), 0.5, np.float32)
    over = morphology_pixels.overlay(stamp, mattered, 0.4)
    np.testing.assert_allclose(over[:, 0, 1], 0.5, atol=1e-6)
    assert over[0, 0, 0] > 0.8 > over[0, 1, 1] and "+40<" in morphology_pixels.scale_html(0.4, True)
