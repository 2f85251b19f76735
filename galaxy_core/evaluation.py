"""How well a denoiser restores galaxies it never saw, by definitions that cannot flatter.

Strict numbers first: structural similarity averaged over the galaxy's own pixels. The published numbers (both images
multiplied by the foreground, the whole frame averaged, black background included) stand beside them for comparison, and
so do the noisy input and total variation, the baselines any model has to beat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

import numpy as np
from skimage.metrics import structural_similarity
from skimage.restoration import denoise_tv_chambolle

from galaxy_core.errors import CatalogError
from galaxy_core.masks import foreground, luminance
from galaxy_core.noise import add_published_noise

FULL_SCALE = 255.0


@dataclass(frozen=True)
class Restoration:
    """How close a restored image is to the clean one; see `measure_restoration`."""

    strict_ssim: float
    published_ssim: float
    psnr_db: float
    foreground_psnr_db: float
    flux_error: float


def ssim_pixels(clean: np.ndarray, restored: np.ndarray) -> np.ndarray:
    """SSIM at every pixel, float64 (height, width): Gaussian window of 1.5 px, population covariances, data range 1."""
    return structural_similarity(
        clean, restored, full=True, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )[1]


def peak_snr_db(clean: np.ndarray, restored: np.ndarray) -> float:
    """Peak signal-to-noise ratio, ``-10 log10(mean squared error)``, in dB for images in [0, 1]."""
    return float(-10 * np.log10(max(np.mean((clean - restored) ** 2), 1e-12)))


def measure_restoration(clean: np.ndarray, restored: np.ndarray, galaxy: np.ndarray) -> Restoration:
    """Compare one restored luminance image with the clean one.

    Parameters
    ----------
    clean, restored : ndarray, float64 (height, width)
        In [0, 1].
    galaxy : ndarray of bool, (height, width)
        Foreground of the clean image.

    Returns
    -------
    Restoration
        ``strict_ssim``: mean SSIM over ``galaxy``. ``published_ssim``: mean over the whole frame after both images were
        multiplied by ``galaxy``. ``psnr_db`` over the frame, ``foreground_psnr_db`` over ``galaxy``. ``flux_error``:
        restored over clean foreground flux, minus one.
    """
    return Restoration(
        strict_ssim=float(ssim_pixels(clean, restored)[galaxy].mean()),
        published_ssim=float(ssim_pixels(clean * galaxy, restored * galaxy).mean()),
        psnr_db=peak_snr_db(clean, restored),
        foreground_psnr_db=peak_snr_db(clean[galaxy], restored[galaxy]),
        flux_error=float(restored[galaxy].sum() / clean[galaxy].sum() - 1),
    )


def noisy_luminance(image: np.ndarray, level: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Clean and noisy luminance, float64 (height, width) in [0, 1], of a clean image (3, height, width)."""
    clean = luminance(image).astype(np.float64)
    return clean, add_published_noise(clean * FULL_SCALE, rng, level).astype(np.float64) / FULL_SCALE


def noisy_colour(image: np.ndarray, level: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Clean and noisy image, float64 (3, height, width) in [0, 1]: the published noise, its own in each band."""
    clean = np.asarray(image, dtype=np.float64)
    return clean, add_published_noise(clean * FULL_SCALE, rng, level).astype(np.float64) / FULL_SCALE


def measure_colour(clean: np.ndarray, restored: np.ndarray, galaxy: np.ndarray) -> Restoration:
    """`measure_restoration` of each band of (3, height, width), averaged, but for bands that are black there."""
    rows = [
        measure_restoration(one, other, galaxy) for one, other in zip(clean, restored, strict=True) if one[galaxy].any()
    ]
    return Restoration(
        **{item.name: float(np.mean([getattr(row, item.name) for row in rows])) for item in fields(Restoration)}
    )


def total_variation(noisy: np.ndarray) -> np.ndarray:
    """The classical baseline: Chambolle's total variation at the weight that suits the published noise best."""
    return denoise_tv_chambolle(noisy, weight=0.1)


def measure_denoising(
    images: Iterable[np.ndarray],
    denoisers: dict[str, Callable[[np.ndarray], np.ndarray]],
    level: float,
    seed: int,
    colour: bool = False,
) -> dict[str, dict[str, float]]:
    """Mean quality of several denoisers on the same noisy galaxies.

    Parameters
    ----------
    images : iterable of ndarray, float32 (3, height, width)
        Clean images in [0, 1]; those without a foreground are passed over.
    denoisers : dict
        Name to function from a noisy (height, width) to a restored (height, width); (3, height, width) in colour.
    level : float
        Multiple of the published noise.
    seed : int
        The noise of image ``i`` is drawn from ``(seed, i)``.
    colour : bool
        Whether to add noise to, and judge, the three bands rather than the luminance.

    Returns
    -------
    dict
        For each denoiser the means of `Restoration` over galaxies (``flux_bias`` for the mean flux error), the
        standard error of ``strict_ssim``, and ``n_galaxies``.

    Raises
    ------
    CatalogError
        There is no image, or a foreground in none.
    """
    measured: dict[str, list[Restoration]] = {name: [] for name in denoisers}
    for index, image in enumerate(images):
        galaxy = foreground(image)
        if not galaxy.any():
            continue
        add_noise, measure = (noisy_colour, measure_colour) if colour else (noisy_luminance, measure_restoration)
        clean, noisy = add_noise(image, level, np.random.default_rng([seed, index]))
        for name, denoise in denoisers.items():
            measured[name].append(measure(clean, np.clip(denoise(noisy), 0, 1), galaxy))
    if not any(measured.values()):
        raise CatalogError("None of the test images can be read and shows a galaxy; check the image files.")
    return {name: _means(rows) for name, rows in measured.items()}


def _means(rows: list[Restoration]) -> dict[str, float]:
    def mean(field: str) -> float:
        return float(np.mean([getattr(row, field) for row in rows]))

    strict = [row.strict_ssim for row in rows]
    return {
        "strict_ssim": mean("strict_ssim"),
        "strict_ssim_error": float(np.std(strict) / np.sqrt(len(strict))),
        "psnr_db": mean("psnr_db"),
        "foreground_psnr_db": mean("foreground_psnr_db"),
        "flux_bias": mean("flux_error"),
        "published_ssim": mean("published_ssim"),
        "n_galaxies": len(rows),
    }
