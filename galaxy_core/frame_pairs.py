"""Objects of a frame that are two stars at least as likely as one galaxy.

Two stars closer than about 1.3 times the seeing are found as one object, which is wider than the seeing, as a galaxy
is. How likely that is hangs on how crowded the frame is there: a star has a companion by chance as often as there are
objects as bright in so small an area. So two point sources are fitted (`galaxy_core.models.point_pair`), and their
likelihood counts with that chance (Laplace's approximation of their evidence: MacKay 2003, Information Theory,
Inference, and Learning Algorithms, chapter 28).
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from galaxy_core.star_galaxy import BATCH

NEAREST = 10  # objects around one whose distance says how crowded it is there
FWHM_OVER_SIGMA = 2.3548
LEAST_SNR = 3.0  # of the weaker of two, for the approximation


class PairTest:
    """What two stars in place of one object are worth, anywhere in a frame.

    Parameters
    ----------
    x, y : ndarray of float64, shape (n,)
        Of all objects of the frame, in pixels of the stamps.
    snr : ndarray of float64, shape (n,)
        Their signal to noise ratios, of all bands together.
    area_px : float
        Of the frame, in pixels of the stamps.
    seeing_error : float
        Relative error of the width of the seeing: above its inverse in signal to noise, likelihoods are held at what
        they are there, as by `galaxy_core.models.star_galaxy.StarGalaxyNet.likelihood`.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, snr: np.ndarray, area_px: float, seeing_error: float) -> None:
        self.per_px = np.full(len(x), len(x) / area_px)
        if len(x) > NEAREST:
            places = np.column_stack([x, y])
            reach = cKDTree(places).query(places, [NEAREST + 1])[0][:, 0]
            self.per_px = np.maximum(self.per_px, NEAREST / (np.pi * np.maximum(reach, 1.0) ** 2))
        self.snr, self.seeing_error = np.sort(np.nan_to_num(snr)), seeing_error

    def log_odds(
        self, rows: np.ndarray, pixels: np.ndarray, spectra: np.ndarray, fwhm_px: np.ndarray, total_snr: np.ndarray
    ) -> np.ndarray:
        """Log odds of two point sources over one, float64 (m,).

        Parameters
        ----------
        rows : ndarray of int, shape (m,)
            Of the objects.
        pixels : ndarray of float32, shape (m, bands, 32, 32)
            In units of the noise.
        spectra : ndarray of float32, shape (m, bands, n_waves)
            Of the seeing.
        fwhm_px : ndarray of float64, shape (m,)
        total_snr : ndarray of float64, shape (m,)
            Of the best single point source.
        """
        gain, weaker = _fitted(pixels, spectra)
        held = 1 + (self.seeing_error * total_snr) ** 2
        brighter = np.maximum(len(self.snr) - np.searchsorted(self.snr, weaker), 1) / len(self.snr)
        # the second source may lie in so many pixels and over so much of ln flux; the place of a point source is known
        # to the root of two times the dispersion of the seeing over its signal to noise ratio
        snr = np.maximum(weaker / np.sqrt(held), LEAST_SNR)
        place = 4 * np.pi * (fwhm_px / FWHM_OVER_SIGMA / snr) ** 2
        flux = np.sqrt(2 * np.pi) / snr
        return (gain - 0.5 * total_snr**2) / held + np.log(self.per_px[rows] * brighter * place * flux)


def _fitted(pixels: np.ndarray, spectra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gain in ln L of two point sources, and the weaker's signal to noise ratio, float64 (m,) each."""
    import torch

    from galaxy_core.models.point_pair import fit_pairs

    gain, weaker = np.zeros(len(pixels)), np.zeros(len(pixels))
    for start in range(0, len(pixels), BATCH):
        some = slice(start, start + BATCH)
        fit = fit_pairs(torch.from_numpy(pixels[some]), torch.from_numpy(spectra[some]))
        gain[some], weaker[some] = fit.gain.numpy(), fit.weaker_snr.numpy()
    return gain, weaker
