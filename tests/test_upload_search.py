"""Search by upload: a galaxy finds itself, is put near its own point, and what is no galaxy is said to be none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import PROJECT, blob

from galaxy_core import artifacts, upload_search
from galaxy_core.embedding import find_model, load_embedder
from galaxy_core.errors import ImageError, ModelError
from galaxy_core.images import AstroImage, decode_image, resize_square
from galaxy_core.map_placement import Placement, fit_linear_map, place_among, place_on_map, placement_sentence
from galaxy_core.projection import fit_projection
from galaxy_core.similarity import nearest_neighbors
from galaxy_core.upload_framing import Crop, as_seen
from galaxy_core.upload_search import (
    UploadMatch,
    check_model,
    nearest_galaxies,
    percentile_of,
    sample_similarities,
    search_upload,
    unusual_sentence,
)
from galaxy_core.vectors import VectorError

REAL = PROJECT / "artifacts" / "gz_clean5"


def picture(pixels, linear=False):
    return AstroImage(np.asarray(pixels, dtype=np.float32), linear, None, "PNG", "upload.png")


@pytest.fixture(scope="module")
def model():
    return load_embedder(find_model("contrastive_denoiser", PROJECT / "artifacts"), "cpu")


@pytest.fixture(scope="module")
def generated(model):
    """Pictures of 60 made-up galaxies, and their vectors as the pipeline makes them."""
    pictures = [blob(i, 128) for i in range(60)]
    return pictures, model.embed(np.stack([resize_square(image, model.input_px) for image in pictures]))


@pytest.fixture(scope="module")
def real():
    """Rows, pictures and vectors of some galaxies of a survey, with its maps."""
    if not REAL.is_dir():
        pytest.skip("the catalog gz_clean5 is not here")
    _, vectors = artifacts.read_embedding(REAL.parent, REAL.name, "contrastive_denoiser")
    rows = np.sort(np.random.default_rng(5).choice(len(vectors), 12, replace=False))
    pictures = [decode_image(p, "p").pixels for p in artifacts.read_thumbnails(REAL.parent, REAL.name, rows.tolist())]
    maps = artifacts.read_table(REAL.parent, REAL.name, "projections")
    usual = artifacts.read_neighbors(REAL.parent, REAL.name, "contrastive_denoiser")[1]
    return rows, pictures, vectors, maps, usual


def place_of(match: UploadMatch, coordinates: np.ndarray) -> Placement:
    return place_on_map(match.embedding, match.rows, match.similarities, coordinates)


@pytest.mark.parametrize("turns", [0, 1])
def test_a_generated_galaxy_finds_itself(model, generated, turns):
    pictures, vectors = generated
    flat = fit_projection("pca", vectors, 0).coordinates
    for row in (0, 17, 41):
        found = search_upload(picture(np.rot90(pictures[row], turns, (1, 2))), vectors, model)
        place = place_of(found, flat)
        assert found.rows[0] == row and found.similarities[0] > 0.98
        assert found.rows.shape == found.similarities.shape == (12,)
        assert (np.diff(found.similarities) <= 0).all()
        assert np.hypot(*(flat[row] - (place.x, place.y))) < 0.1 * np.ptp(flat)


@pytest.mark.parametrize("turns", [0, 1])
def test_a_galaxy_of_a_survey_finds_itself(model, real, turns):
    rows, pictures, vectors, maps, usual = real
    for row, pixels in zip(rows, pictures, strict=True):
        for name, near in (("tsne", 0.03), ("umap", 0.03)):
            flat = maps[[f"{name}_x", f"{name}_y"]].to_numpy()
            upload = picture(np.rot90(pixels, turns, (1, 2)))
            found = search_upload(upload, vectors, model, neighbor_similarities=usual)
            place = place_of(found, flat)
            away = np.hypot(place.x - flat[row, 0], place.y - flat[row, 1])
            assert found.rows[0] == row and found.similarities[0] > 0.98
            assert away < near * np.ptp(flat, axis=0).max()


def test_linear_maps_of_a_survey_are_found_again(real):
    rows, _, vectors, maps, _ = real
    for name, linear in (("pca", True), ("lda", True), ("umap", False)):
        flat = maps[[f"{name}_x", f"{name}_y"]].to_numpy()
        found = fit_linear_map(vectors, flat)
        assert (found is not None) == linear
        if linear:
            place = place_on_map(vectors[rows[0]], rows[:1], np.ones(1), flat, found)
            assert place.exact and np.allclose((place.x, place.y), flat[rows[0]], atol=1e-3)


def test_noise_of_half_the_published_strength_keeps_it_among_the_twenty_nearest(model, real):
    """Of 200 galaxies 89 % are; here most of twelve."""
    rows, pictures, vectors, _, usual = real
    rng, kept = np.random.default_rng(0), 0
    for row, pixels in zip(rows, pictures, strict=True):
        counts = pixels * 255
        noise = rng.poisson(counts + 150) - 150 - counts + rng.normal(0, 10, counts.shape)
        noisy = np.clip(np.rint(counts + 0.5 * noise), 0, 255) / 255
        kept += row in search_upload(picture(noisy), vectors, model, 20, neighbor_similarities=usual).rows
    assert kept > len(rows) / 2


def test_what_is_no_galaxy_is_said_to_be_unlike_anything(model, real):
    *_, vectors, _, usual = real
    y, x = np.mgrid[:64, :64] - 31.5
    star = np.exp(-(x**2 + y**2) / (2 * 1.5**2))[None].repeat(3, 0)
    sky = np.random.default_rng(0).normal(0.02, 0.015, (3, 64, 64)).clip(0, 1)
    for pixels in (star, sky):
        found = search_upload(picture(pixels), vectors, model, neighbor_similarities=usual)
        assert found.percentile < 1
        assert unusual_sentence(found, len(vectors)).startswith("Unlike anything here")
    with pytest.raises(ImageError, match="same brightness everywhere"):
        search_upload(picture(np.full((3, 40, 40), 0.4)), vectors, model, neighbor_similarities=usual)


def test_what_is_searched_for_is_the_upload_as_it_is_seen(model, generated):
    clean = 1000 * blob(3, 80)[:1]
    noisy = picture(clean + np.random.default_rng(0).normal(0, 60, clean.shape), True)
    for options in ({"field_fraction": 0.5}, {"crop": Crop(40, 40, 50)}, {"reference": noisy}):
        seen = as_seen(picture(clean, True), model.input_px, **options)[0]
        found = search_upload(picture(clean, True), generated[1], model, 3, **options)
        assert np.array_equal(found.seen, seen) and np.array_equal(found.embedding, model.embed(seen[None])[0])


def test_nearest_galaxies_by_a_naive_calculation():
    rng = np.random.default_rng(2)
    vectors, asked = rng.normal(size=(50, 7)).astype(np.float32), rng.normal(size=7).astype(np.float32)
    vectors[9], vectors[11] = 0, vectors[10]
    asked /= np.linalg.norm(asked)
    rows, similarity = nearest_galaxies(asked, vectors, 50)
    naive = [float(v @ asked / np.linalg.norm(v)) if v.any() else 0.0 for v in vectors]
    assert np.allclose(similarity, np.sort(naive)[::-1], atol=1e-5) and sorted(rows) == list(range(50))
    assert list(rows).index(11) == list(rows).index(10) + 1, "equal ones are in the order of the catalog"
    with pytest.raises(VectorError, match="no galaxy"):
        nearest_galaxies(asked, np.empty((0, 7)), 3)
    with pytest.raises(VectorError, match="not of one model"):
        nearest_galaxies(asked, np.ones((3, 5)), 3)


def test_percentile(monkeypatch):
    usual = np.array([[0.9, 0.7], [0.5, 0.3], [0.2, 0.0], [1.0, 1.0]])  # means 0.8, 0.4, 0.1, 1
    assert percentile_of(np.array([0.6, 0.4]), usual) == 50
    assert percentile_of(np.array([0.5, 0.3]), usual) == 50, "who is as near counts"
    assert percentile_of(np.array([0.1, -0.1]), usual) == 0
    assert percentile_of(np.array([1.0, 0.3, 0.1]), usual) == 25, "a galaxy of the catalog is not nearest to itself"
    assert percentile_of(np.array([1.0, 0.4]), usual) == 25, "by as many of theirs as are left of its own"
    assert np.isnan(percentile_of(np.array([0.6]), np.empty((1, 0))))
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    near = nearest_neighbors(vectors, 3)[1]
    assert np.array_equal(sample_similarities(vectors, 3), near)
    monkeypatch.setattr(upload_search, "N_SAMPLED", 16)  # of more galaxies a quarter of so many stand for all
    np.testing.assert_allclose(sample_similarities(vectors, 3), near[[0, 9, 19, 29]], atol=2e-6)


@pytest.mark.parametrize(
    ("percentile", "said"),
    [
        (0.05, "Unlike anything here: fewer than 0.1 %"),
        (0.99, "Unlike anything here: 0.99 %"),
        (1.0, "Unusual here: 1 %"),
        (4.9, "Unusual here: 4.9 %"),
        (5.0, "Like galaxies of this catalog: 5 %"),
    ],
)
def test_how_unusual_in_words(percentile, said):
    match = UploadMatch(np.zeros(2), np.arange(3), np.array([0.9, 0.8, 0.7]), percentile, np.zeros((3, 1, 1)))
    sentence = unusual_sentence(match, 4000)
    assert sentence.startswith(f"{said} of this catalog's 4,000 galaxies are no closer to their own 3 nearest")
    copy = unusual_sentence(replace(match, similarities=np.array([1, 0.8, 0.7])), 4000)
    assert "to their own 2 nearest (similarity to the nearest: 1.000, the same image, which does not count)" in copy


def test_one_galaxy_is_a_catalog_too(model, generated):
    pictures, vectors = generated
    found = search_upload(picture(pictures[0]), vectors[:1], model)
    place = place_of(found, np.array([[2.0, 3.0]]))
    assert found.rows.tolist() == [0] and np.isnan(found.percentile)
    assert (place.x, place.y) == (2, 3)
    assert "too small to say" in unusual_sentence(found, 1)
    assert "Only one" in placement_sentence(place, "UMAP")


def test_a_stray_neighbour_does_not_drag_the_place():
    group = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]], dtype=float)
    near, similarity = np.vstack([group, [[100, 100]]]), np.full(6, 0.9)
    place = place_among(near, similarity)
    assert np.allclose((place.x, place.y), 0.5) and place.n_agreeing == 5 and place.n_used == 6
    assert place.spread == pytest.approx(np.sqrt(0.5)) and place.n_held == 5
    assert "the other 1 lie elsewhere" in placement_sentence(place, "UMAP")
    halves = place_among(np.array([[0, 0]] * 3 + [[9, 9]] * 3, dtype=float), np.full(6, 0.9))
    assert (halves.x, halves.y) in ((0, 0), (9, 9)), "not in the empty space between"
    itself = place_among(near[::-1], np.array([1.0, *[0.8] * 5]))
    assert (itself.x, itself.y) == (100, 100), "its own point counts more than all its neighbours"
    unknown = np.full((6, 2), np.nan)
    assert place_on_map(np.ones(3), np.arange(6), similarity, unknown) is None


def test_a_model_that_changed_is_noticed(model, generated):
    pictures, vectors = generated
    assert check_model(model, pictures[:3], 3 * vectors[:3]) == pytest.approx(1, abs=0.01), "of whatever length"
    with pytest.raises(ModelError, match="has changed since"):
        check_model(model, pictures[:3], vectors[30:33] * np.float32([[1], [-1], [-1]]))
    with pytest.raises(ModelError, match="has changed since"):
        check_model(model, pictures[:3], vectors[:3, :8])
    broken = replace(model, embed=lambda images: np.full((1, model.size), np.nan))
    with pytest.raises(ModelError, match="not numbers"):
        check_model(broken, pictures[:1], vectors[:1])
