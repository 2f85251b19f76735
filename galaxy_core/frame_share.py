"""The share of galaxies of a frame, where it is far below what the model expects: a star cluster, or the Milky Way.

The model expects the galaxies of high galactic latitudes, which among the faintest are nearly all there is; elsewhere
it would call faint stars galaxies. Brighter objects are told by their shapes, so they show how many galaxies there are.
One number for the frame, added to the prior log odds of all its objects, is fitted to them by maximum likelihood, as
Saerens, Latinne & Decaestecker (2002, Neural Computation 14, 21) do, with an error. The likelihoods of shapes lean
towards stars, and the model's prior makes up for that, so the fit is not 0 on the fields that the model expects; it is
compared with what it is there. Wide seeing and crowds move it too, so only fields that differ by more than such frames
among themselves are told with a share of their own. More galaxies than expected cannot be told from too narrow a
seeing, and change nothing.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

BRIGHT_SNR = 20.0  # of the best point source, all bands together
LEAST_BRIGHT = 30
# mean and scatter of the fit with the shipped model on 18 simulated frames with 68 % of galaxies, as it expects: in r
# and in ugriz, 400 to 900 objects on 350 to 1500 pixels a side, with a seeing of 2 to 5 pixels
USUAL, USUAL_SCATTER = -1.6, 0.45
SHIFTS = np.arange(-10, 5, 0.1)
SHIFT_SCATTER = 2.0  # of fields from the usual one, in log odds, before looking
FEWER = (
    "Of {:,} objects with a signal to noise above {:.0f} about {:.0f} % are galaxies, where at high galactic latitudes"
    " {:.0f} % would be. "
)
OWN = FEWER + "Faint ones are told by that share; another can be given (Share of galaxies, or --galaxy-share)."
UNSURE = FEWER + (
    "Either the seeing given is too wide, or a share should be given for the faint ones (Share of galaxies, or"
    " --galaxy-share)."
)


def share_shift(
    logits: np.ndarray, prior: np.ndarray, total_snr: np.ndarray, measured: bool
) -> tuple[float, tuple[str, ...]]:
    """What to add to the log odds of all objects, 0 or less, and a note where the frame has far fewer galaxies.

    Parameters
    ----------
    logits, prior : ndarray of float64, shape (n,)
        Log odds of a galaxy with the model's prior, and that prior, of objects that can be told.
    total_snr : ndarray of float64, shape (n,)
    measured : bool
        Whether the seeing was measured on the frame's stars. One given by hand may be too wide, which makes galaxies
        stars as well, so then there is a note and no shift.
    """
    bright = total_snr > BRIGHT_SNR
    if bright.sum() < LEAST_BRIGHT:
        return 0.0, ()
    logits, prior = logits[bright], prior[bright]
    gain = np.array([np.sum(np.logaddexp(logits + one, 0) - np.logaddexp(prior + one, 0)) for one in SHIFTS])
    gain -= 0.5 * ((SHIFTS - USUAL) / SHIFT_SCATTER) ** 2
    weights = np.exp(gain - gain.max())
    fitted = np.average(SHIFTS, weights=weights)
    error = np.sqrt(np.average((SHIFTS - fitted) ** 2, weights=weights))
    if fitted - USUAL > -2 * np.hypot(error, USUAL_SCATTER):
        return 0.0, ()
    shown = len(prior), BRIGHT_SNR, *(100 * expit(prior + level).mean() for level in (fitted, USUAL))
    if not measured:
        return 0.0, (UNSURE.format(*shown),)
    return float(fitted - USUAL), (OWN.format(*shown),)
