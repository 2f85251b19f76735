"""Maps of weights, errors or variances beside frames: how the noise changes, and which pixels were never measured."""

from __future__ import annotations

import doctest
import gzip
import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from sky_scenes import gaussian
from test_frame_catalog import SEP

from galaxy_core import frame_choices, frame_weights
from galaxy_core.errors import ImageError
from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_catalog import catalogue_frame
from galaxy_core.frame_exports import provenance_of
from galaxy_core.frame_files import list_beside
from galaxy_core.frame_jobs import find_frames
from galaxy_core.frame_light import Window, read_light
from galaxy_core.frame_weights import pair_maps

SHAPE, FLUX = (300, 320), 300.0
SPACED = [(x, y) for x in range(25, 310, 40) for y in range(25, 290, 40)]


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    """A frame with a loud stripe, narrower than what is seen of it on the frame alone, and rows without a weight."""
    folder, rng = tmp_path_factory.mktemp("weights"), np.random.default_rng(1)
    noise = np.full(SHAPE, 2.0)
    noise[:, 150:175] = 10.0
    pixels = 500 + rng.normal(0, 1, SHAPE) * noise + sum(gaussian(SHAPE, x, y, FLUX, 1.8) for x, y in SPACED)
    noise[200:204] = np.nan
    pixels[200:204] = rng.normal(500, 300, (4, SHAPE[1]))
    weight, names = np.nan_to_num(1 / noise**2), ("a.fits", "a.weight.fits", "a_rms.fits", "a_var.fits")
    for name, plane in zip(names, (pixels, 77 * weight, noise, noise**2), strict=True):
        fits.writeto(folder / name, plane.astype(np.float32))
    both = [fits.PrimaryHDU(pixels.astype(np.float32)), fits.ImageHDU(weight.astype(np.float32), name="WHT")]
    fits.HDUList(both).writeto(folder / "both.fits")
    return folder / "a.fits"


def test_a_map_keeps_loud_pixels_from_flooding_and_gives_errors_their_size(frame):
    """Without it 157 of 213 objects are noise of the stripe and of the rows."""
    with open_sky_frame([frame], weights=[(frame.with_name("a.weight.fits"), None)]) as opened:
        catalog = catalogue_frame(opened, SEP)
    assert catalog.notes == ("How the noise changes over the frame is taken from a.weight.fits, which holds weights.",)
    assert provenance_of(catalog)["notes"] == catalog.notes[0]
    x, y = (catalog.objects[name].to_numpy() for name in "xy")
    apart = np.min([np.hypot(x - there[0], y - there[1]) for there in SPACED], axis=0)
    found = catalog.objects[(apart < 2) & (np.abs(x - 162) > 25)]
    assert (apart > 2).sum() <= 2 and len(found) == 42
    low, middle, high = np.percentile((found["flux"] - FLUX) / found["flux_err"], [16, 50, 84])
    assert 0.7 < (high - low) / 2 < 1.3 and abs(middle) < 0.4


def test_weights_variances_and_rms_are_one_noise(frame):
    """At the level that the frame has: that of weights is not known, and errors may be of before a resampling."""
    noise = []
    for name, hdu, kind in (
        ("a.weight", None, None),
        ("a_rms", None, None),
        ("a_var", None, "variance"),
        ("both", "WHT", None),
    ):
        with open_sky_frame([frame], weights=[(frame.with_name(f"{name}.fits"), hdu)], weight_kind=kind) as opened:
            light = read_light(opened.bands[0], Window(0, SHAPE[0], 0, SHAPE[1]))
        assert light.unusable[200:204].all() and light.unusable.sum() == 4 * SHAPE[1]
        noise.append(light.noise[~light.unusable])
    for other in noise:
        np.testing.assert_allclose(other, noise[0], rtol=1e-4)
    assert sorted({round(float(level), 1) for level in noise[0]}) == pytest.approx([2.0, 10.0], rel=0.05)


def test_maps_are_named_by_file_by_extension_or_by_ending(frame):
    folder, out = frame.parent, frame.parent / "out"
    one = [str(frame)]
    assert find_frames(one, out, weights=["WHT"])[0][0].weights == ((frame, "WHT"),)
    assert find_frames(one, out, weights=[str(folder / "a_rms.fits")])[0][0].weights == ((folder / "a_rms.fits", None),)
    beside = os.path.relpath(folder / "a_rms.fits")  # begins with a dot, too
    assert find_frames(one, out, weights=[beside])[0][0].weights == ((Path(beside), None),)
    jobs, _ = find_frames([str(folder)], out, weights=[".weight.fits"])
    assert [job.sources[0].name for job in jobs] == ["a.fits", "a_rms.fits", "a_var.fits", "both.fits"]
    assert jobs[0].weights == ((folder / "a.weight.fits", None),)
    bands, _ = find_frames([*one, str(folder / "both.fits")], out, together=True, weights=["2"], masks=["DQ"])
    assert bands[0].weights == ((frame, "2"), (folder / "both.fits", "2")) == bands[0].at(Path).weights
    assert bands[0].masks == ((frame, "DQ"), (folder / "both.fits", "DQ")) == bands[0].at(Path).masks
    with pytest.raises(ImageError, match="2 maps are given for 1 frames"):
        find_frames(one, out, weights=["a.fits", "b.fits"])


def test_whose_map_is_whose_is_never_guessed():
    bands = ["g.fits", "r.fits"]
    assert pair_maps(bands, ["noise 1.fits", "noise 2.fits"]) == [0, 1], "no name says, so the order does"
    for maps in (["g.weight.fits", "g_rms.fits"], ["g.weight.fits", "z.weight.fits"], ["noise.fits"]):
        with pytest.raises(ImageError, match="is not clear; keep one weight map for each frame"):
            pair_maps(bands, maps)


def test_what_lies_beside_a_frame_in_its_file_may_be_its_map(frame, tmp_path):
    both = frame.with_name("both.fits")
    assert list_beside(both) == ["WHT"] and list_beside(both, "wht") == ["0"] and list_beside(both, 7) == []
    zipped = tmp_path / "both.fits.gz"
    zipped.write_bytes(gzip.compress(both.read_bytes(), 1))
    (tmp_path / "a.csv").write_text("a,b")
    assert list_beside(zipped) == ["WHT"] and list_beside(tmp_path / "a.csv") == list_beside(tmp_path / "none") == []


def test_maps_of_another_size_or_without_a_weight_are_refused(frame, tmp_path):
    cases = ("small", np.ones((9, 9)), "as large as"), ("none", np.zeros(SHAPE), "no finite pixel with a weight")
    for name, plane, said in cases:
        fits.writeto(tmp_path / f"{name}.fits", plane.astype(np.float32))
        with ExitStack() as stack, pytest.raises(ImageError, match=said):
            stack.enter_context(open_sky_frame([frame], weights=[(tmp_path / f"{name}.fits", None)]))


def test_a_bit_mask_leaves_out_its_pixels_and_says_nothing_of_the_noise(frame, tmp_path):
    """Read as weights, 0 of all good pixels would leave out all but the bad ones."""
    bits = np.zeros(SHAPE, np.int32)
    bits[200:204] = 4096 + 1
    bits[:, 300:] |= 32  # of detected objects
    parts = [fits.PrimaryHDU(fits.getdata(frame)), fits.ImageHDU(bits, name="DQ")]
    fits.HDUList(parts).writeto(tmp_path / "a.fits")
    noise = read_map(frame, [])[1]
    for named, n_bad in ((None, 4 * SHAPE[1] + 296 * 20), (1, 4 * SHAPE[1]), (4096 + 2, 4 * SHAPE[1])):
        light, by_mask = read_map(tmp_path / "a.fits", [(tmp_path / "a.fits", "DQ")], mask_bits=named)
        assert light.unusable.sum() == n_bad and light.unusable[200:204].all()
        assert np.median(by_mask) == pytest.approx(np.median(noise), rel=0.05) and np.ptp(by_mask) > 0
    for said in ("3.5", "0", "x", "9" * 17):
        with pytest.raises(ValueError, match="is no bit of a mask"):
            frame_choices.bits_of(f"1 {said}")


@pytest.mark.parametrize("name", ["plain", "packed", "gzipped"])
def test_bits_beyond_those_of_float32_are_told_apart(frame, tmp_path, name):
    bits = np.zeros(SHAPE, np.int32 if name == "packed" else np.int64)
    bits[:8], bits[8] = 2**30 + 1, 2**30 + 2
    image = [fits.PrimaryHDU(), fits.CompImageHDU(bits)] if name == "packed" else [fits.PrimaryHDU(bits)]
    mask = tmp_path / ("a.mask.fits" + (".gz" if name == "gzipped" else ""))
    fits.HDUList(image).writeto(mask)
    if name == "gzipped":
        with pytest.raises(ImageError, match=r"more than 24 bits.* or one that is not gzipped"):
            read_map(frame, [(mask, None)], mask_bits=2)
        return
    for named, n_rows in ((2, 1), (1, 8), (2**30, 9)):
        assert read_map(frame, [(mask, None)], mask_bits=named)[0].unusable.sum() == n_rows * SHAPE[1]


def test_a_mask_and_a_weight_map_hold_together(frame, tmp_path):
    bits, weights = np.zeros(SHAPE, np.uint8), np.ones(SHAPE, np.float32)
    bits[:4], weights[:, ::2], weights[-2:] = 1, 0.25, 0
    fits.writeto(tmp_path / "a.mask.fits", bits)
    fits.writeto(tmp_path / "a.weight.fits", weights)
    light, noise = read_map(frame, [(tmp_path / "a.weight.fits", None)], masks=[(tmp_path / "a.mask.fits", None)])
    assert light.unusable.sum() == 6 * SHAPE[1]
    assert set(np.round(noise / noise.min(), 3)) == {1.0, 2.0}


def read_map(frame, weights, **options):
    """Light of a frame with a map, and its noise where it is usable."""
    with open_sky_frame([frame], weights=weights, **options) as opened:
        light = read_light(opened.bands[0], Window(0, SHAPE[0], 0, SHAPE[1]))
        by_mask = any("mask" in f"{path} {hdu}" or hdu == "DQ" for path, hdu in (*weights, *options.get("masks", ())))
        assert by_mask == ("a bit mask, are left out" in " ".join(opened.notes))
    return light, light.noise[~light.unusable]


def test_examples():
    assert doctest.testmod(frame_weights).failed == doctest.testmod(frame_choices).failed == 0
