"""How a search is scored: purity, completeness and depth by hand, outlines, and SExtractor's catalogues."""

from __future__ import annotations

import numpy as np
import pytest
from sky_scenes import PLACES, WIDTH_PX, gaussian, scene, write

from galaxy_core.errors import ImageError
from galaxy_core.frame_catalog import FrameConfig
from galaxy_core.injection import inject
from galaxy_core.recipes.frame_scores import make_frame
from galaxy_core.recipes.segmenter_methods import Method, in_photutils, methods_of
from galaxy_core.recipes.segmenter_outlines import (
    central,
    overlap,
    read_sextractor,
    score_against_sextractor,
    score_outlines,
)
from galaxy_core.recipes.segmenter_scores import Trial, _inside, _point, matched_snr, rate_at_purity, score_injections

HEAD = "#   1 NUMBER  n\n#   2 X_IMAGE  x\n#   3 Y_IMAGE  y\n#   4 FLUX_AUTO  f\n#   5 FLUXERR_AUTO  e\n"


def test_purity_and_completeness_by_hand():
    snr = np.array([1.5, 1.5, 20.0, 30.0, 12.0, 50.0])
    found = np.array([False, True, True, True, False, True])
    point = _point(snr, Trial(found, np.arange(6) == 0, false=1.0, false_bright=0.25))
    assert point["by_chance"] == pytest.approx(1 / 6)
    assert point["purity"] == pytest.approx(4 / 5)
    assert point["high_snr_completeness"] == pytest.approx(3 / 4) and point["high_snr_n"] == 4
    assert point["high_snr_purity"] == pytest.approx(3 / 3.25)
    assert point["completeness"][0]["share"] == 0.5 and point["completeness"][0]["n"] == 2


def test_the_rate_at_a_purity_is_the_highest_that_is_pure_enough():
    curve = [{"false_per_megapixel": rate, "purity": 1 - rate / 1000} for rate in (1.0, 10.0, 50.0, 90.0)]
    curve.append({"false_per_megapixel": None, "purity": 1.0})
    assert rate_at_purity(curve, 0.95) == 50.0
    assert rate_at_purity(curve, 0.9999) == 1.0  # none is: the purest there is


def test_a_search_that_sees_all_is_complete_and_one_that_sees_nothing_is_not():
    """Sources are known by the frame they were put into: one method is told of them, the other is blind."""
    band = np.random.default_rng(0).normal(100, 2, (300, 300)).astype(np.float32)
    frame = make_frame("white", "noise", band)

    def bright(prepared, threshold):
        from galaxy_core.frame_segments import find_with_sep

        found = find_with_sep(prepared, np.zeros(prepared.shape, dtype=bool), threshold)
        return np.column_stack([found.x, found.y])

    methods = {
        "sep": Method(np.asarray, lambda noise, numbers: [1.0] * len(numbers), bright),
        "segmenter": Method(np.asarray, lambda noise, numbers: [0.0] * len(numbers), lambda *_: np.zeros((0, 2))),
    }
    scores = score_injections([frame], methods, 0, lambda *_: None)
    seen, blind = (scores["purity_0.95"][name] for name in ("sep", "segmenter"))
    assert seen["high_snr_completeness"] > 0.97 and blind["high_snr_completeness"] == 0
    assert scores["n_injected"] > 100 and seen["gain_mag"] == pytest.approx(0)


def test_signal_to_noise_of_what_is_found_is_that_of_a_matched_filter():
    band = np.random.default_rng(0).normal(100, 2, (200, 200)).astype(np.float32)
    frame = make_frame("white", "noise", band)
    stars = inject(band, frame.sigma, frame.fwhm_px, np.array([[100.0, 90.0]]), np.array([30.0]), np.array([True]), 0)[
        0
    ]
    seen = matched_snr(frame, stars, frame.sigma)
    assert seen[90, 100] == pytest.approx(30, abs=3) and seen[30:60, 30:60].max() < 6


def test_what_is_false_has_its_brightest_pixel_in_empty_sky():
    """A real object whose barycentre faint light draws into the sky is none, whatever the method."""
    signal = np.zeros((60, 60), dtype=np.float32)
    signal[20:40, 10:50], signal[29:32, 11:14] = 2.0, 8.0
    sky = np.ones(signal.shape, dtype=bool)
    sky[:, :20] = False
    for places in (in_photutils(signal, 1.0), methods_of(None)["sep"].find(signal, 1.0)):
        assert len(places) == 1 and places[0, 0] > 25 and abs(places[0, 2] - 12) <= 1
        assert _inside(places, sky) == 0 and _inside(places, ~sky) == 1
    assert in_photutils(signal, 99.0).shape == (0, 4) and _inside(np.zeros((0, 4)), sky) == 0


def test_central_objects_and_overlaps():
    map_ = np.zeros((9, 9), dtype=int)
    map_[3:6, 3:6], map_[0, 0] = 4, 9
    assert central(map_).sum() == 9 and not central(np.zeros((3, 3), dtype=int)).any()
    other = np.zeros((9, 9), dtype=bool)
    other[3:6, 4:7] = True
    assert overlap(central(map_), other) == pytest.approx(6 / 12)
    assert overlap(np.zeros((2, 2), dtype=bool), np.zeros((2, 2), dtype=bool)) == 0.0


def test_outlines_are_read_beside_their_images(tmp_path):
    (tmp_path / "survey").mkdir()
    write(tmp_path / "survey" / "Afitim.fits", scene())
    truth = np.zeros((160, 150), dtype=np.int32)
    rows, columns = np.indices(truth.shape)
    truth[np.hypot(rows - PLACES[1][1], columns - PLACES[1][0]) < 5] = 3
    write(tmp_path / "survey" / "Asegim.fits", truth)
    scores = score_outlines([tmp_path], FrameConfig("sep"))
    assert scores["maps"][0]["iou"] > 0.4 and list(scores["by_survey"]) == ["survey"]
    with pytest.raises(ImageError, match="name another folder"):
        score_outlines([tmp_path / "nothing"], FrameConfig("sep"))


def test_what_sextractor_did_not_part_is_found_as_a_blend(tmp_path):
    pixels = scene() + gaussian((160, 150), 47, 31, 20_000, WIDTH_PX).astype(np.float32)
    image, table = write(tmp_path / "a.fits", pixels), tmp_path / "a.cat"
    table.write_text(f"{HEAD}1 44.5 31.5 100 1\n2 41 31 100 1\n")  # one between both, and one of them; from 1
    scores = score_against_sextractor(image, table, FrameConfig("sep"))
    assert scores["n_found_within_1_px"] == 1 and scores["n_found_within_1_px_as_object_or_blend"] == 2


def test_sextractor_catalogues_count_from_one(tmp_path):
    image, table = write(tmp_path / "a.fits", scene()), tmp_path / "a.cat"
    rows = [f"{i} {x + 1} {y + 1} 100 1" for i, (x, y) in enumerate(PLACES)] + ["5 3 3 100 1", "6 9 9 2 1"]
    table.write_text(HEAD + "\n".join(rows) + "\n")
    assert read_sextractor(table)["X_IMAGE"][0] == PLACES[0][0] + 1
    scores = score_against_sextractor(image, table, FrameConfig("sep"))
    assert scores["n_above_5_sigma"] == 5 and scores["n_found_within_1_px"] == 4
    assert [round(value) for value in scores["missed"][0][:2]] == [2, 2]
    table.write_text("no table")
    with pytest.raises(ImageError, match="ASCII_HEAD"):
        read_sextractor(table)
