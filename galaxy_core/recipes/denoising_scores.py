"""How denoising is judged: galaxies restored, uncertainty, and frames as an astronomer uses them.

Galaxies are those of the test split, which nothing was trained on. Everything goes through `galaxy_core.denoising`, the
code users run. Frames, blank sky and injected sources are in `frame_scores` and `injection_scores`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.display import load_display
from galaxy_core.classical import METHODS
from galaxy_core.denoising import denoise_image
from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.evaluation import measure_denoising, noisy_colour, noisy_luminance
from galaxy_core.images import AstroImage, resize_square
from galaxy_core.masks import foreground
from galaxy_core.models import load_model
from galaxy_core.noise import PUBLISHED_SIGMA
from galaxy_core.recipes import Report
from galaxy_core.recipes.frame_scores import find_frames, score_blank_sky, score_frames
from galaxy_core.recipes.injection_scores import score_injection
from galaxy_core.splits import TEST, split_mask

STAMP_PX = 128
NOISE_LEVELS = (0.5, 1.0, 2.0)
INTERVALS = {"68": 1.0, "95": 1.96}  # nominal share, and its half-width in standard deviations

DEFINITIONS = {
    "galaxies": "test split of the catalog: sha1(galaxy_id) mod 10 = 0; 128 px",
    "noise": "8-bit counts c -> uint8(clip(c + level * (Poisson(c + 150) - 150 - c + N(0, 10)), 0, 255))",
    "grey, colour": "noise added to the luminance, or to each band; colour scores are means over the three bands",
    "strict_ssim": "SSIM (11-pixel Gaussian window of 1.5 px) mean over each galaxy's foreground, then over galaxies",
    "psnr_db": "10 log10(1 / mean squared error), mean over galaxies; foreground_psnr_db over foreground pixels",
    "flux_bias": "foreground flux of the output over that of the clean image, minus one, mean over galaxies",
    "told": "the method is given the noise level; 'model' estimates it from the image; classical methods are told",
    "coverage": "share of pixels whose clean value lies within 1 (68 %) and 1.96 (95 %) predicted standard deviations",
    "frames": "sources above 5 sigma (5 pixels) of the input; apertures of 2 half-light radii, 3 to 12 px; bias: median"
    " of output over input flux minus one; scatter: of their difference over the input's own, seen in empty apertures",
    "blank_sky": "noise without a source; sep, 5 connected pixels above threshold x the INPUT's noise",
    "injection": "signal to noise: flux / (sigma x root of the profile's noise-equivalent area), sigma as a filter"
    " matched to point sources sees it; false: found on the frame with its source-free sky replaced by noise of the"
    " same scatter and power spectrum, so no real source counts as one. The frame as it came is searched at the lowest"
    " threshold that lets 20 false a megapixel through, every method at the lowest that does so, too",
    "same_purity": "every search at the lowest threshold at which true / (true + false) of what it finds is at least"
    " what it is in the frame as it came at 20 false a megapixel; true: injected sources within 3 px of a detection."
    " Thresholds are set on one half of the replaced sky, purity is reported from the other; gain: over the input so",
    "same_threshold": "every search at the threshold of the frame as it came, in units of the INPUT's noise",
    "trade_off": "share of all injected sources found, and purity, by the rate of false detections thresholds allow",
}


def evaluate(
    folder: str | Path,
    catalog: Catalog,
    frames: list[str | Path] | None = None,
    seed: int = 0,
    device: str = "cpu",
    n_galaxies: int = 300,
    report: Report | None = None,
) -> dict:
    """Every number about denoising; nothing is trained.

    Parameters
    ----------
    folder : path
        A model's folder.
    catalog : Catalog
        Clean galaxies; only those of the test split are looked at.
    frames : list of path, optional
        FITS files, or folders of them. Absent, what needs real frames says that there were none.
    n_galaxies : int
        At most so many test galaxies, the first of the catalog.
    report : callable, optional
        Called with what is being done, how much of it is done, and how much there is.

    Returns
    -------
    dict
        ``definitions``, ``restoration``, ``uncertainty``, ``blank_sky``, ``frames``, ``injection``.
    """
    rows = np.flatnonzero(split_mask(catalog.split_keys, TEST))
    if len(rows) == 0:
        raise CatalogError(f"None of the {len(catalog):,} galaxies is of the test split; evaluate on a larger catalog.")
    report = report or (lambda label, done, total: None)
    model = load_model(folder, device)
    images = read_galaxies(catalog, rows[:n_galaxies])
    scores = {"definitions": DEFINITIONS, "n_galaxies": len(catalog), "n_test": len(rows), "n_measured": len(images)}
    scores["seed"] = seed
    scores["restoration"] = score_restoration(model, images, seed, report)
    scores["uncertainty"] = score_uncertainty(model, images, seed, report)
    denoisers = frame_denoisers(model)
    scores["blank_sky"] = score_blank_sky(denoisers, seed, report)
    if not frames:
        absent = {"note": "no frames were given, so nothing was measured on real frames; name some with --frames"}
        return scores | {"frames": absent, "injection": absent}
    found = find_frames(frames)
    scores["frames"] = score_frames(found, denoisers, report)
    scores["injection"] = score_injection(found, denoisers, seed, report)
    return scores


def read_galaxies(catalog: Catalog, rows: np.ndarray) -> list[np.ndarray]:
    """Clean stamps, float32 (3, 128, 128), of the rows whose image can be read."""
    images = []
    for row in rows:
        try:
            images.append(resize_square(load_display(catalog, int(row)), STAMP_PX))
        except ImageError:
            continue
    return images


def frame_denoisers(model) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Functions from a linear band (height, width) to a denoised one: the model, and what classical methods there are.

    All of them estimate sky and noise themselves, as for a user who drops in a frame.
    """

    def classical(method: Callable) -> Callable[[np.ndarray], np.ndarray]:
        def denoise(band: np.ndarray) -> np.ndarray:
            from galaxy_core.linear_denoising import linear_noise_sigma

            return method(band[None], linear_noise_sigma(band))[0]

        return denoise

    def by_model(band: np.ndarray) -> np.ndarray:
        return denoise_image(AstroImage(band[None], True, None, "FITS", "frame"), model).denoised[0]

    return {"model": by_model} | {name: classical(method) for name, method in METHODS.items()}


def restore(model, noisy: np.ndarray, sigma: float | None, **options):
    """`DenoiseResult` of a display image (height, width) or (3, height, width) in [0, 1]."""
    pixels = np.asarray(noisy[None] if noisy.ndim == 2 else noisy, dtype=np.float32)
    return denoise_image(AstroImage(pixels, False, None, "PNG", "stamp"), model, sigma, **options)


def score_restoration(model, images: list[np.ndarray], seed: int, report: Report) -> dict:
    """Quality by noise level and method, in grey and in colour; see `measure_denoising`."""
    scores: dict[str, dict] = {}
    for colour in (False, True):
        for level in NOISE_LEVELS:
            label = f"{'colour' if colour else 'grey'}, noise x{level:g}"
            methods = _restorers(model, level * PUBLISHED_SIGMA)
            scores[label] = measure_denoising(_counted(images, label, report), methods, level, seed, colour)
    return scores


def _restorers(model, sigma: float) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """What is compared on galaxies: functions of a noisy (height, width) or (3, height, width) image."""

    def by_model(told: bool) -> Callable[[np.ndarray], np.ndarray]:
        def denoise(noisy: np.ndarray) -> np.ndarray:
            return restore(model, noisy, sigma if told else None).denoised.reshape(noisy.shape).astype(np.float64)

        return denoise

    def classical(method: Callable) -> Callable[[np.ndarray], np.ndarray]:
        return lambda noisy: method(noisy.reshape(-1, *noisy.shape[-2:]), sigma).reshape(noisy.shape).astype(np.float64)

    return {
        "noisy_input": lambda noisy: noisy,
        **{name: classical(method) for name, method in METHODS.items()},
        "model_told": by_model(told=True),
        "model": by_model(told=False),
    }


def score_uncertainty(model, images: list[np.ndarray], seed: int, report: Report) -> dict:
    """Coverage of the model's intervals on galaxies with noise, by level, over galaxy pixels and over all of them."""
    if getattr(model, "uncertainty", None) is None:
        return {"note": "this model does not say how sure it is of a pixel"}
    scores = {}
    for colour in (False, True):
        for level in NOISE_LEVELS:
            label = f"{'colour' if colour else 'grey'}, noise x{level:g}"
            inside: dict[str, list[np.ndarray]] = {"galaxy": [], "all": []}
            for index, image in enumerate(_counted(images, f"uncertainty, {label}", report)):
                add_noise = noisy_colour if colour else noisy_luminance
                clean, noisy = add_noise(image, level, np.random.default_rng([seed, index]))
                result = restore(model, noisy, level * PUBLISHED_SIGMA, uncertainty=True)
                if result.uncertainty is None:
                    return {"note": "this model does not say how sure it is of a pixel"}
                off = np.abs(result.denoised - clean) / result.uncertainty
                inside["galaxy"].append(off[:, foreground(image)].ravel())
                inside["all"].append(off.ravel())
            scores[label] = {where: _coverage(np.concatenate(parts)) for where, parts in inside.items()}
    return scores


def _coverage(off: np.ndarray) -> dict[str, float]:
    """Share of errors, in units of their predicted standard deviation, within each interval; and how many there are."""
    shares = {name: float(np.mean(off <= half)) if off.size else None for name, half in INTERVALS.items()}
    return shares | {"n_pixels": int(off.size)}


def _counted(images: list[np.ndarray], label: str, report: Report):
    for done, image in enumerate(images, start=1):
        yield image
        report(label, done, len(images))
