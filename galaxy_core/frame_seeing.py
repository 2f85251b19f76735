"""The seeing of a frame from the frame itself: where its point sources lie together in size against signal.

Sizes are those of the likeliest round Moffats. Stars have all the same, galaxies any larger one: the seeing is the
narrowest size at which sizes crowd, and may change over the frame, as optics leave it. Then the stars there, put upon
each other, say how far the wings reach and which way the seeing is drawn out. Where stars are the larger the brighter
they are, as on photographic plates, light is not linear and there is no one seeing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galaxy_core.counting import count
from galaxy_core.errors import ImageError
from galaxy_core.frame_cutouts import Cutouts
from galaxy_core.noise import MAD_TO_SIGMA
from galaxy_core.star_galaxy_stamps import SIZE_PX, WIDTHS_PX, object_widths

WINDOW = 0.08  # of the logarithm of the size: stars of a frame differ less
CROWD = 0.35  # of the densest crowd of sizes: a narrower crowd of at least this share is the stars'
CONTRAST = 1.5  # of a crowd over what lies directly above it
LOWEST = 0.35  # of all sizes, from the narrowest: above it no crowd is the stars'
LEAST_STARS = 5  # four galaxies of one size happen in a frame of a cluster without stars
STARS_FOR_TERMS = {0: 0, 2: 20, 5: 50}  # least stars for a seeing that changes evenly, and with a curve
SLOPES = np.linspace(0.1, 0.8, 29)  # of ln size with ln S/N
CROWD_GAIN, LEAST_TO_GROW = 1.5, 40  # of the crowd that such a slope makes, over that without, and at least
BETA_RANGE = (1.6, 8.0)
SEEING_SNR = 15.0  # of objects that the seeing is measured on
NO_OBJECTS = (
    f"No object with a signal to noise above {SEEING_SNR:g} stands alone; give the seeing (Seeing, or --psf-fwhm)."
)
NOT_LINEAR = "Its stars are the larger the brighter they are, as on a photographic plate, so it has no one seeing."


@dataclass(frozen=True)
class BandSeeing:
    """Seeing of one band, in pixels of its stamps.

    Attributes
    ----------
    fwhm_px : float
        In the middle of the frame.
    field : tuple of float
        Coefficients of ln FWHM over that in the middle, of `field_terms`.
    beta : float
        Of the Moffat: how far its wings reach.
    shear_x, shear_d : float
        How it is drawn out along x, and along the diagonal (`galaxy_core.models.point_fit.psf_spectrum`).
    scatter : float
        Of ln FWHM among the stars it was measured on.
    n_stars : int
        0 where it was given.
    """

    fwhm_px: float
    field: tuple[float, ...] = (0.0,) * 5
    beta: float = 3.0
    shear_x: float = 0.0
    shear_d: float = 0.0
    scatter: float = 0.0
    n_stars: int = 0

    def at(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """FWHM of point sources, float64 (n,), at places as `field_terms` takes them."""
        return self.fwhm_px * np.exp(field_terms(x, y) @ np.array(self.field))


def field_terms(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x, y, x^2, x y, y^2 of places from the middle of the frame in halves of its longer side, float64 (n, 5)."""
    return np.column_stack([x, y, x * x, x * y, y * y])


def measure_seeing(stamps: Cutouts, band: int, x: np.ndarray, y: np.ndarray, snr: np.ndarray) -> BandSeeing:
    """Seeing in one band of clean, well-lit objects.

    Parameters
    ----------
    stamps : Cutouts
    x, y : ndarray, shape (n,)
        From the middle of the frame, in halves of its longer side.
    snr : ndarray, shape (n,)
        Signal to noise ratio in the band.

    Raises
    ------
    ImageError
        No five of them are of one size, or stars grow with their brightness.
    """
    size = np.log(object_widths(stamps.pixels[:, band]))
    known = np.isfinite(size) & np.isfinite(snr) & (snr > 0)
    rows = np.flatnonzero(known)
    rows = rows[without_cosmic_rays(size[rows])]
    size, x, y = size[rows], x[rows], y[rows]
    centre = narrowest_crowd(size)
    if centre is None:
        raise ImageError(no_stars(size))
    if grows_with_brightness(size, snr[rows]):
        raise ImageError(NOT_LINEAR)
    level, field, stars = _over_the_field(size, field_terms(x, y), centre)
    residual = (size - level - field_terms(x, y) @ field)[stars]
    fwhm = np.exp(size[stars] - residual)
    beta, shear, ratio = stacked_shape(stamps.pixels[rows[stars], band], fwhm)
    scatter = MAD_TO_SIGMA * float(np.median(np.abs(residual)))
    return BandSeeing(float(np.exp(level)) * ratio, tuple(field.tolist()), beta, *shear, scatter, int(stars.sum()))


def no_stars(size: np.ndarray) -> str:
    """Why sizes (natural logarithms of FWHM in pixels) tell no seeing, and what to give.

    Examples
    --------
    >>> print(no_stars(np.log([2.0, 3.0]))[:64])
    Only 2 objects with a signal to noise above 15 stand alone; if t
    """
    if not len(size):
        return NO_OBJECTS
    narrow = float(np.exp(np.median(np.sort(size)[:LEAST_STARS])))
    there = f"{count(len(size), 'object', 'objects')} with a signal to noise above {SEEING_SNR:g}"
    found = f"Only {there} {'stands' if len(size) == 1 else 'stand'} alone"
    if len(size) >= LEAST_STARS:
        found = f"Of {there} that stand alone no {LEAST_STARS} are of one size, as stars are"
    return f"{found}; if the narrowest are stars, give a seeing of {narrow:.1f} px (Seeing, or --psf-fwhm)."


def without_cosmic_rays(size: np.ndarray) -> np.ndarray:
    """Places of sizes (natural logarithms) among which the narrowest crowd is the stars', int64.

    Cosmic rays and hot pixels crowd, too, at the narrowest size that is looked for. They are left out where a wider
    crowd holds more, which galaxies alone do not make; seeing as narrow as that has none.
    """
    narrowest = size <= np.log(WIDTHS_PX[0]) + 1e-6
    centre = narrowest_crowd(size[~narrowest]) if narrowest.any() else None
    if centre is None or (np.abs(size[~narrowest] - centre) < WINDOW).sum() <= narrowest.sum():
        return np.arange(len(size))
    return np.flatnonzero(~narrowest)


def _over_the_field(size: np.ndarray, terms: np.ndarray, centre: float) -> tuple[float, np.ndarray, np.ndarray]:
    """ln size of the stars in the middle, coefficients of its change over the field, and which objects are stars."""
    level, field, stars = centre, np.zeros(terms.shape[1]), np.abs(size - centre) < WINDOW
    for _ in range(4):
        n_terms = max(n for n, least in STARS_FOR_TERMS.items() if stars.sum() >= least)
        design = np.column_stack([np.ones(len(size)), terms[:, :n_terms]])
        fitted = np.linalg.lstsq(design[stars], size[stars], rcond=None)[0] if n_terms else [np.median(size[stars])]
        level, field = float(fitted[0]), np.zeros(terms.shape[1])
        field[:n_terms] = fitted[1:]
        again = np.abs(size - level - terms @ field) < WINDOW
        stars = again if again.sum() >= LEAST_STARS else stars
    return level, field, stars


def grows_with_brightness(size: np.ndarray, snr: np.ndarray) -> bool:
    """Whether some slope of ln size with ln S/N makes far more objects crowd together than none does."""
    bright = np.log(snr)
    crowds = [crowd_sizes(np.sort(size - slope * bright)).max(initial=0) for slope in SLOPES]
    flat = crowd_sizes(np.sort(size)).max(initial=0)
    return max(crowds) >= max(CROWD_GAIN * flat, LEAST_TO_GROW)


def crowd_sizes(values: np.ndarray) -> np.ndarray:
    """How many of sorted values lie from each one up to `WINDOW` above it."""
    return np.searchsorted(values, values + WINDOW, side="right") - np.arange(len(values))


def narrowest_crowd(values: np.ndarray) -> float | None:
    """Median of the lowest crowd of values that is not much thinner than the densest; None where there is none.

    A crowd has five or more, and stands out from what lies directly above it: sizes of galaxies alone do not.
    """
    values = np.sort(values)
    crowds = crowd_sizes(values)
    above = np.searchsorted(values, values + 2 * WINDOW, side="right") - np.arange(len(values)) - crowds
    good = (crowds >= max(LEAST_STARS, CROWD * crowds.max(initial=0))) & (crowds >= CONTRAST * above)
    good[int(LOWEST * len(values)) + 1 :] = False  # above the largest sizes there is nothing, too
    if not good.any():
        return None
    first = int(np.flatnonzero(good)[0])
    # from where it begins, the densest place within reach
    reach = int(np.searchsorted(values, values[first] + WINDOW, side="right"))
    first += int(crowds[first:reach].argmax())
    return float(np.median(values[first : first + crowds[first]]))


def stacked_shape(stamps: np.ndarray, fwhm_px: np.ndarray) -> tuple[float, tuple[float, float], float]:
    """Beta and shear of the Moffat of stars put upon each other, and its FWHM over that of the round ones given.

    Each star is centred and its flux divided out (`galaxy_core.models.point_fit.fit_points`); the mean spectrum is that
    of the seeing, made symmetric, and a Moffat is fitted to it by least squares.
    """
    import torch
    from scipy.optimize import least_squares

    from galaxy_core.models.point_fit import fit_points, low_waves, psf_spectrum

    typical = float(np.median(fwhm_px))
    with torch.inference_mode():
        widths = torch.from_numpy(fwhm_px.astype(np.float32))[:, None]
        fit = fit_points(torch.from_numpy(np.ascontiguousarray(stamps))[:, None], widths)
        low = low_waves(SIZE_PX)[0]
        # cross is weighted by the round Moffat it was matched with, and so is power
        spectra = fit.cross[:, 0] / fit.power[:, 0] / fit.amplitudes
        weights = fit.power[:, 0].mean(0).sqrt().numpy()
        moffat = psf_spectrum(widths[:, 0], SIZE_PX)[:, low]
        stack = (spectra * moffat).median(0).values.numpy()

        def misfit(given: np.ndarray) -> np.ndarray:
            # about 1 each, so that steps of the derivative are of one size: float32 has none of 1e-8
            ratio, beta, shear_x, shear_d, flux = given * (1, 3, 1, 1, 1) - (0, 0, 1, 1, 0)
            width = torch.tensor([typical * ratio], dtype=torch.float32)
            model = psf_spectrum(width, SIZE_PX, beta, (shear_x, shear_d))[0, low].numpy()
            return weights * (model * flux - stack)

        bounds = ([0.75, BETA_RANGE[0] / 3, 0.5, 0.5, 0.7], [1.3, BETA_RANGE[1] / 3, 1.5, 1.5, 1.4])
        ratio, beta, shear_x, shear_d, _ = least_squares(misfit, np.ones(5), bounds=bounds, diff_step=1e-3).x
    return float(3 * beta), (float(shear_x - 1), float(shear_d - 1)), float(ratio)
