"""Frames on disk: the same bytes as in memory, in little memory, and whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from denoiser_stand_ins import Smooth, Sure, frame

from galaxy_core import frame_survey
from galaxy_core.denoising import denoise_image
from galaxy_core.errors import ImageError
from galaxy_core.frame_files import denoise_frame, open_frame
from galaxy_core.images import read_image
from galaxy_core.saved_images import encode_part

PARTS = ("denoised", "residual", "uncertainty")
MEMORY_CHILD = """
import resource, sys
import numpy as np
sys.path.insert(0, sys.argv[3])
from denoiser_stand_ins import Sure
from galaxy_core.frame_files import denoise_frame, open_frame
class Nothing(Sure):
    def denoise(self, images, noise_sigma=None):
        return images - noise_sigma.view(-1, 1, 1, 1) * 0.1, noise_sigma
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
small = denoise_frame(open_frame(sys.argv[1]), {"denoised": sys.argv[1] + ".out"}, Nothing())
before = used()
denoise_frame(open_frame(sys.argv[2]), {"denoised": sys.argv[2] + ".out", "residual": sys.argv[2] + ".rest"}, Nothing())
print(used() - before)
"""


def written(tmp_path, source, model, hdu=None, noise=None):
    outputs = {what: tmp_path / f"{what}.fits" for what in PARTS}
    report = denoise_frame(open_frame(source, hdu), outputs, model, noise)
    return report, {what: path.read_bytes() for what, path in outputs.items()}


@pytest.mark.parametrize("kind", ["float32", "float64", "int16", "uint16", "scaled", "cube", "extension", "small"])
def test_a_frame_in_strips_is_the_frame_in_memory_byte_for_byte(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(frame_survey, "WHOLE_PX", 2**17)  # so that noise is measured in windows
    shape = (60, 50) if kind == "small" else (500, 330)
    _, noisy = frame(shape=shape, stars=((150, 140, 300.0), (300, 200, 4e4)))
    header = fits.Header({"CRVAL1": 150.1, "CTYPE1": "RA---TAN", "BUNIT": "ADU", "SATURATE": 30000.0})
    hdus = [fits.PrimaryHDU(noisy.astype(np.float32), header=header)]
    if kind in ("int16", "uint16", "float64"):
        hdus = [fits.PrimaryHDU(noisy.astype(kind), header=header)]
    elif kind == "scaled":
        hdus = [fits.PrimaryHDU(noisy.astype(np.int32), header=header)]
        hdus[0].header["BSCALE"], hdus[0].header["BZERO"], hdus[0].header["BLANK"] = 0.25, 7.0, 1000
    elif kind == "cube":
        cube = np.stack([noisy, 3 * noisy, np.full_like(noisy, np.nan)])
        cube[0, 300:340, 200:260] = np.nan
        cube[1, 300:, 100:] = 0
        hdus = [fits.PrimaryHDU(cube.astype(np.float32), header=header)]
    elif kind == "extension":
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(noisy.astype(np.float32), header=header, name="SCI")]
    source = tmp_path / "frame.fits"
    fits.HDUList(hdus).writeto(source, output_verify="ignore")
    hdu = "sci" if kind == "extension" else None
    report, files = written(tmp_path, source, Sure(), hdu)
    result = denoise_image(read_image(source, hdu), Sure(), uncertainty=True)
    assert report.noise_sigma == result.noise_sigma and report.shape == result.image.shape
    for what, data in files.items():
        assert data == encode_part(result, what), what
    assert files["denoised"] != files["residual"] and len(files["denoised"]) % 2880 == 0


def test_given_noise_and_a_blank_frame(tmp_path):
    source = tmp_path / "frame.fits"
    fits.writeto(source, np.full((300, 300), 7, np.int16))
    report, files = written(tmp_path, source, Sure(), noise=3.0)
    result = denoise_image(read_image(source), Sure(), 3.0, uncertainty=True)
    assert report.noise_sigma == 3 and all(data == encode_part(result, what) for what, data in files.items())


def test_what_cannot_be_read_in_strips_is_left_to_the_readers(tmp_path):
    _, noisy = frame(shape=(64, 64))
    fits.writeto(tmp_path / "a.fits.gz", noisy)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(noisy.astype(np.float32))]).writeto(tmp_path / "b.fits")
    (tmp_path / "c.png").write_bytes(b"\x89PNG")
    assert [open_frame(tmp_path / name) for name in ("a.fits.gz", "b.fits", "c.png")] == [None] * 3


def test_images_that_are_left_out_of_a_mosaic_are_told(tmp_path):
    mosaic = [fits.ImageHDU(np.zeros((9, 9)), name=f"CCD{number}") for number in (1, 2, 3)]
    path = tmp_path / "a.fits"
    fits.HDUList([fits.PrimaryHDU(), *mosaic, fits.ImageHDU(np.zeros((9, 9)), name="WHT")]).writeto(path)
    assert "; 2 more are left out" in open_frame(path).notes[0] and open_frame(path, 2).notes == ()
    fits.writeto(tmp_path / "b.fits", np.zeros((9, 9)))
    assert open_frame(tmp_path / "b.fits").notes == ()


def test_bad_frames_are_one_sentence_and_leave_nothing(tmp_path):
    _, noisy = frame(shape=(300, 300))
    fits.writeto(tmp_path / "cut.fits", noisy)
    (tmp_path / "cut.fits").write_bytes((tmp_path / "cut.fits").read_bytes()[:90_000])
    fits.writeto(tmp_path / "nan.fits", np.full((300, 300), np.nan))
    out = tmp_path / "out"
    with pytest.raises(ImageError, match="cut short"):
        open_frame(tmp_path / "cut.fits")
    with pytest.raises(ImageError, match="Cannot read"):
        open_frame(tmp_path / "missing.fits")
    with pytest.raises(ImageError, match="no finite pixel"):
        denoise_frame(open_frame(tmp_path / "nan.fits"), {"denoised": out / "a.fits"}, Smooth())
    with pytest.raises(ImageError, match="no extension"):
        open_frame(tmp_path / "nan.fits", "SCI")
    assert not out.exists()


def test_a_stopped_frame_leaves_no_file(tmp_path):
    _, noisy = frame(shape=(600, 600))
    fits.writeto(tmp_path / "frame.fits", noisy)

    def progress(fraction):
        if fraction > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        denoise_frame(
            open_frame(tmp_path / "frame.fits"), {"denoised": tmp_path / "out" / "a.fits"}, Smooth(), progress=progress
        )
    assert list((tmp_path / "out").iterdir()) == []


def test_memory_does_not_grow_with_the_frame(tmp_path):
    """Ten times the height of a frame, 16 MB of pixels more, takes less than a third of that in memory."""
    rng = np.random.default_rng(0)
    for name, height in (("small", 600), ("large", 6000)):
        values = rng.normal(100, 3, (height, 720)).astype(">f4")
        fits.writeto(tmp_path / f"{name}.fits", values)
    command = [sys.executable, "-c", MEMORY_CHILD, tmp_path / "small.fits", tmp_path / "large.fits"]
    done = subprocess.run(
        [*map(str, command), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 5, f"{done.stdout} MiB more"
    assert (tmp_path / "large.fits.out").stat().st_size >= 4 * 6000 * 720
