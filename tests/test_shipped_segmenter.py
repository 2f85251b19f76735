"""The segmenter in the repository: its numbers are of its weights and on its card, and it finds what is there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from sky_scenes import FLUXES, PLACES, scene, write

from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_catalog import FrameConfig, catalogue_frame
from galaxy_core.models import load_model
from galaxy_core.recipes.segmenter_outlines import score_against_sextractor

FOLDER = Path(__file__).resolve().parents[1] / "artifacts" / "models" / "segmenter"
EMMI = Path(__file__).resolve().parents[2] / "shared" / "data" / "frames" / "sep_emmi"


def test_the_metrics_are_of_these_weights_and_on_the_card():
    metrics, weights = json.loads((FOLDER / "metrics.json").read_text()), FOLDER / "weights.safetensors"
    assert metrics["weights_sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert weights.stat().st_size <= 1_000_000
    card = (FOLDER / "card.md").read_text()
    row = metrics["injection"]["purity_0.95"]["segmenter"]
    for number in (
        f"{row['purity']:.3f}",
        f"{row['gain_mag']:+.2f}",
        f"{metrics['outlines']['segmenter']['median_iou']:.3f}",
    ):
        assert number in card
    curve = metrics["injection"]["methods"]["segmenter"]
    assert len(curve) >= 5 and all({"false_per_megapixel", "purity", "depth_snr"} <= set(point) for point in curve)


def test_it_finds_and_measures_known_objects(tmp_path):
    path = write(tmp_path / "a.fits", scene())
    with open_sky_frame([path]) as frame:
        catalog = catalogue_frame(frame, FrameConfig("segmenter", 5.0), load_model(FOLDER))
    assert len(catalog.objects) == 4
    for (x, y), flux in zip(PLACES, FLUXES, strict=True):
        distance = np.hypot(catalog.objects["x"] - x, catalog.objects["y"] - y)
        row = catalog.objects.loc[distance.idxmin()]
        assert distance.min() < 0.5
        assert row["flux"] == pytest.approx(flux, abs=4 * row["flux_err"] + 0.06 * flux)


def test_noise_alone_gives_no_more_than_was_accepted(tmp_path):
    noise = np.random.default_rng(3).normal(0, 1, (700, 700)).astype(np.float32)
    with open_sky_frame([write(tmp_path / "a.fits", noise)]) as frame:
        catalog = catalogue_frame(frame, FrameConfig("segmenter", 40.0), load_model(FOLDER))
    assert 3 < len(catalog.objects) < 45  # 20 are expected


@pytest.mark.skipif(not EMMI.exists(), reason="needs the real frames at ../shared/data")
def test_it_finds_what_sextractor_found_in_a_real_frame():
    found = score_against_sextractor(EMMI / "image.fits", EMMI / "image.cat", FrameConfig(), load_model(FOLDER))
    assert found["n_found_within_1_px_of_either"] >= 59
    assert found["n_found_within_1_px_as_object_or_blend"] == found["n_above_5_sigma"] == 61
    assert not [place for place in found["missed"] if np.hypot(place[0] - 0.45, place[1] - 9.07) < 1]  # in column 0
