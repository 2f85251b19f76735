"""Stamps for telling stars from galaxies: in units of the noise, with the seeing beside them, whatever they came as.

PSF-aware normalisation: the sky is taken off, each band is divided by the noise of a pixel, and the seeing goes along
as a number a band; the network divides the flux out (`galaxy_core.models.point_fit`). Where a catalog says neither
noise nor seeing they are measured: noise on the rim of each stamp, and seeing on all stamps of a frame, among whose
narrow objects the stars lie together. No label is looked at for that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.stats import sigma_clipped_stats
from scipy.fft import irfft2, rfft2

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.parts import states_of
from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.splits import split_of
from galaxy_core.stamps import decode_once
from galaxy_core.star_galaxy_seeing import seeing_of_frames, steadied_seeing

SIZE_PX = 32
LABELS = {"star": 0, "galaxy": 1}
MAX_BANDS = 5
WIDTHS_PX = np.geomspace(1.4, 14.0, 28)
LEAST_SNR = 8.0  # of an object whose width is measured


@dataclass(frozen=True)
class ObjectStamps:
    """Stamps of n objects.

    Attributes
    ----------
    pixels : ndarray or memmap of float16, shape (n, bands, 32, 32)
        Sky-subtracted, in units of the noise of a pixel.
    noise_sigma : ndarray of float32, shape (n, bands)
        That noise, in the image's units.
    psf_fwhm_px : ndarray of float32, shape (n, bands)
    galaxy_ids, splits : ndarray of str, shape (n,)
    truth : ndarray of int8, shape (n,)
        1 for a galaxy, 0 for a star, -1 where it is not known.
    calibrated : bool
        Whether noise, and so flux, is in nanomaggies.
    """

    pixels: np.ndarray
    noise_sigma: np.ndarray
    psf_fwhm_px: np.ndarray
    galaxy_ids: np.ndarray
    splits: np.ndarray
    truth: np.ndarray
    calibrated: bool

    def __len__(self) -> int:
        return len(self.pixels)

    def image(self, row: int) -> np.ndarray:
        """One stamp in the image's units, float32 (bands, 32, 32)."""
        return self.pixels[row].astype(np.float32) * self.noise_sigma[row][:, None, None]


def make_object_stamps(
    catalog: Catalog, folder: Path, report: Callable[[int, int], None] | None = None
) -> ObjectStamps:
    """Stamps of a catalog, decoded once into ``folder``, or what an earlier call left there.

    Raises
    ------
    CatalogError
        No image can be read, the images differ in their number of bands, or ``folder`` is the state of a training that
        has learned from other pixels.
    """
    ids = catalog.galaxy_ids
    noise_given = [name for name in catalog.table if name.startswith("noise_sigma_")]
    given = catalog.table[noise_given].to_csv(index=False) if noise_given else ""
    # an image file that was replaced since is decoded again
    files = "|".join(states_of(catalog.load_image, np.arange(len(ids))) or ())
    read_from = f"{catalog.layout}:{catalog.source}:{SIZE_PX}|{'|'.join(map(str, ids))}{files}{given}"
    key = hashlib.sha1(read_from.encode()).hexdigest()
    path, widths_path = folder / f"objects-{key[:16]}.npy", folder / f"seeing-{key[:16]}.npz"
    if not (path.exists() and widths_path.exists()):
        noise, widths = decode_once(path, lambda temporary: _decode_all(catalog, temporary, report))
        with atomic_path(widths_path) as temporary, open(temporary, "wb") as file:
            np.savez(file, noise=noise, widths=widths)
    pixels, known = np.load(path, mmap_mode="r"), np.load(widths_path)
    noise, widths = known["noise"], known["widths"]
    classes = catalog.table["class"].map(LABELS) if "class" in catalog.table else None
    truth = np.full(len(ids), -1, np.int8) if classes is None else classes.fillna(-1).to_numpy(np.int8)
    splits = np.array([split_of(str(key)) for key in catalog.split_keys])
    seeing = _known_seeing(catalog, pixels.shape[1])
    if seeing is None:
        seeing = seeing_of_frames(widths, catalog.split_keys)
    return ObjectStamps(pixels, noise, seeing, ids, splits, truth, "noise_sigma_r" in catalog.table)


def _decode_all(catalog: Catalog, path: Path, report) -> tuple[np.ndarray, np.ndarray]:
    """Write the pixels to ``path``; noise (n, bands) and widths of objects (n, bands), NaN where unreadable."""
    bands = [name.removeprefix("noise_sigma_") for name in catalog.table if name.startswith("noise_sigma_")]
    known = catalog.table[[f"noise_sigma_{band}" for band in bands]].to_numpy(np.float32) if bands else None
    n_bands = _number_of_bands(catalog)
    noise = np.full((len(catalog), n_bands), np.nan, np.float32)
    widths = np.full((len(catalog), n_bands), np.nan, np.float32)
    with open(path, "wb") as file:
        header = {"descr": "<f2", "fortran_order": False, "shape": (len(catalog), n_bands, SIZE_PX, SIZE_PX)}
        np.lib.format.write_array_header_2_0(file, header)
        for row in range(len(catalog)):
            stamp = np.zeros((n_bands, SIZE_PX, SIZE_PX), np.float16)
            try:
                stamp, noise[row] = normalise(catalog.load_image(row), None if known is None else known[row])
                widths[row] = [object_width(plane) for plane in stamp] if known is None else np.nan
            except ImageError:
                pass
            file.write(stamp.astype(np.float16).tobytes())
            if report:
                report(row + 1, len(catalog))
    if not np.isfinite(noise).any():
        raise CatalogError(f"None of the images of {catalog.layout}:{catalog.source} could be read; check the files.")
    return noise, widths


def _number_of_bands(catalog: Catalog) -> int:
    for row in range(len(catalog)):
        try:
            return len(as_bands(catalog.load_image(row)))
        except ImageError:
            continue
    raise CatalogError(f"None of the images of {catalog.layout}:{catalog.source} could be read; check the files.")


def as_bands(image: np.ndarray) -> np.ndarray:
    """The image with one band where three say the same, as a grey picture's do."""
    if len(image) == 3 and np.array_equal(image[0], image[1]) and np.array_equal(image[0], image[2]):
        return image[:1]
    return image


def normalise(image: np.ndarray, noise_sigma: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Central 32 pixels in units of noise, float32 (bands, 32, 32), and the noise (bands,).

    Where the noise is not given, sky and noise are the clipped mean and scatter of the stamp outside its middle; sky is
    taken off only then, as a stamp with a known noise is calibrated. Pixels without a value become sky.

    Raises
    ------
    ImageError
        More than 5 bands, or nothing in the stamp but one value.
    """
    image = as_bands(np.asarray(image, np.float32))
    if image.ndim != 3 or not 1 <= len(image) <= MAX_BANDS:
        raise ImageError(
            f"Stars are told from galaxies in stamps of 1 to {MAX_BANDS} bands, not in shape {image.shape}."
        )
    stamp = np.stack([central_square(plane, SIZE_PX, fill=np.nan) for plane in image])
    if noise_sigma is None:
        found = [sky_and_noise(plane) for plane in image]
        stamp = stamp - np.array([sky for sky, _ in found], np.float32)[:, None, None]
        noise_sigma = np.array([noise for _, noise in found], np.float32)
    if not np.isfinite(noise_sigma).all() or not (noise_sigma > 0).all():
        raise ImageError("The stamp has no noise to measure light against: it is empty or of one value.")
    stamp = np.nan_to_num(stamp / noise_sigma[:, None, None], nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(stamp, -1e4, 3e4).astype(np.float32), np.asarray(noise_sigma, np.float32)


def normalise_seen(image: np.ndarray) -> np.ndarray:
    """The stamp of `normalise`, with 0 in bands that were not observed, where others were."""
    image = as_bands(np.asarray(image, np.float32))
    seen = [np.isfinite(sky_and_noise(plane)[1]) for plane in image] if image.ndim == 3 else []
    if not any(seen) or all(seen):
        return normalise(image)[0]
    stamp = np.zeros((len(image), SIZE_PX, SIZE_PX), np.float32)
    stamp[seen] = normalise(image[seen])[0]
    return stamp


def central_square(plane: np.ndarray, size: int, fill: float) -> np.ndarray:
    """The middle of a plane, ``size`` by ``size``; beyond its edge, ``fill``."""
    out = np.full((size, size), fill, np.float32)
    to, cut = [], []
    for length in plane.shape:
        start, n = (length - size) // 2, min(length, size)
        to.append(slice(max(-start, 0), max(-start, 0) + n))
        cut.append(slice(max(start, 0), max(start, 0) + n))
    out[tuple(to)] = plane[tuple(cut)]
    return out


def sky_and_noise(plane: np.ndarray) -> tuple[float, float]:
    """Clipped mean and scatter of a stamp outside the circle inscribed in its middle half; NaN where nothing varies."""
    height, width = plane.shape
    y, x = np.ogrid[:height, :width]
    outside = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2) > 0.35 * min(height, width)
    values = plane[outside & np.isfinite(plane)]
    if values.size < 8:
        return float("nan"), float("nan")
    _, sky, noise = sigma_clipped_stats(values, sigma=3.0, maxiters=5)
    # 8-bit stamps of a deep black sky have less scatter than a step
    step = np.diff(np.unique(values))
    least = float(step.min()) / 12**0.5 if step.size else 0.0
    return float(sky), max(float(noise), least) or float("nan")


def object_width(plane: np.ndarray) -> float:
    """`object_widths` of one stamp, float32 (32, 32)."""
    return float(object_widths(plane[None])[0])


def object_widths(planes: np.ndarray) -> np.ndarray:
    """FWHM in pixels of the likeliest Moffats in the middle of stamps in units of noise (n, 32, 32), float64 (n,).

    NaN where the signal to noise ratio is below `LEAST_SNR`, or a top is cut off: three pixels as bright.
    """
    return widths_and_snr(planes)[0]


def widths_and_snr(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`object_widths`, and the signal to noise ratio of these Moffats, float64 (n,) each."""
    spectra, scale = _width_ladder(planes.shape[-1])
    middle = slice(planes.shape[-1] // 2 - 4, planes.shape[-1] // 2 + 4)
    waves = rfft2(np.asarray(planes, np.float32))
    # a band of the ladder at a time, as maps of all would be large
    signal = [irfft2(waves * one, planes.shape[1:])[:, middle, middle].max((1, 2)) for one in spectra]
    snr = np.stack(signal, axis=1) / scale
    rows, best = np.arange(len(snr)), snr.argmax(1)
    inner = np.clip(best, 1, len(scale) - 2)
    # the top of a parabola through the signal of three neighbouring widths
    low, top, high = (snr[rows, inner + step] for step in (-1, 0, 1))
    step = np.where(best == inner, 0.5 * (low - high) / np.minimum(low - 2 * top + high, -1e-9), 0.0)
    widths = WIDTHS_PX[best] * (WIDTHS_PX[1] / WIDTHS_PX[0]) ** np.clip(step, -1, 1)
    core = planes[:, middle, middle]
    cut_off = (core == core.max((1, 2), keepdims=True)).sum((1, 2)) >= 3
    return np.where((snr[rows, best] < LEAST_SNR) | cut_off, np.nan, widths), snr[rows, best]


@lru_cache(maxsize=2)
def _width_ladder(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Transforms of Moffats of `WIDTHS_PX`, (n, size, size // 2 + 1), and the noise that passes each as a filter."""
    import torch

    from galaxy_core.models.point_fit import psf_spectrum, wave_numbers

    spectra = psf_spectrum(torch.from_numpy(WIDTHS_PX.astype(np.float32)), size)
    scale = (spectra.square() * wave_numbers(size)[2]).sum(1).sqrt()
    return spectra.numpy().reshape(len(WIDTHS_PX), size, -1), scale.numpy()


def _known_seeing(catalog: Catalog, n_bands: int) -> np.ndarray | None:
    names = [name for name in catalog.table if name.startswith("psf_fwhm_") and name.endswith("_arcsec")]
    if len(names) != n_bands or not catalog.pixel_scale_arcsec:
        return None
    widths = (catalog.table[names].to_numpy(np.float64) / catalog.pixel_scale_arcsec).astype(np.float32)
    if "psf_fwhm_error" not in catalog.table:
        return widths
    errors = pd.to_numeric(catalog.table["psf_fwhm_error"], errors="coerce").to_numpy(np.float64)
    return steadied_seeing(widths, float(np.sqrt(np.mean(errors**2)))) if np.isfinite(errors).all() else widths
