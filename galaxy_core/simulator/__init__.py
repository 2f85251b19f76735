"""Galaxies with exact truth: colour stamps made from physical parts, as the SDSS and Galaxy Zoo would have shown them.

`simulate` is the way in. Galaxy ``index`` of ``seed`` is always the same galaxy, whatever else is simulated.
"""

from __future__ import annotations

from colorsys import hsv_to_rgb
from dataclasses import dataclass

import numpy as np
from scipy.fft import next_fast_len

from galaxy_core.simulator.field import add_neighbours, add_stars
from galaxy_core.simulator.galaxy import render_galaxy
from galaxy_core.simulator.light import make_frame
from galaxy_core.simulator.observe import NATIVE_PIXEL_ARCSEC, convolve, develop
from galaxy_core.simulator.parameters import FIELD_STREAM, NOISE_STREAM, GalaxyParameters, draw_parameters, stream
from galaxy_core.simulator.votes import count_votes, vote_fractions

# Galaxy Zoo shows 424 pixels of 0.02 R90; the catalog keeps the central 256
FIELD_IN_R90 = 256 * 0.02


@dataclass(frozen=True)
class SimulatedGalaxy:
    """One simulated galaxy and the truth about it.

    Attributes
    ----------
    image, noiseless : numpy.ndarray
        float32 (3, size, size) in [0, 1], in 8-bit steps: what the survey shows, and the same without noise.
    linear : numpy.ndarray
        float32 (3, size, size), nanomaggies per pixel in i, r and g: the noiseless light after the seeing, without sky.
    parameters : GalaxyParameters
    galaxy_class : str
    votes : dict of str to float
        Vote fractions; NaN for a question nobody was asked.
    pixel_scale_arcsec : float
    """

    image: np.ndarray
    noiseless: np.ndarray
    linear: np.ndarray
    parameters: GalaxyParameters
    galaxy_class: str
    votes: dict[str, float]
    pixel_scale_arcsec: float


def simulate(index: int, seed: int = 0, size_px: int = 128) -> SimulatedGalaxy:
    """Galaxy ``index`` of catalog ``seed``, observed.

    Parameters
    ----------
    index, seed : int
        Not negative.
    size_px : int
        Side of the stamp; the field of view is the same at every size.
    """
    parameters = draw_parameters(seed, index)
    linear, pixel_scale = observe_light(parameters, seed, index, size_px)
    # surface brightness as the survey's own pixels count it, so that the stretch does not depend on the stamp's size
    native = linear * np.float32((NATIVE_PIXEL_ARCSEC / pixel_scale) ** 2)
    glow = tuple(parameters.glow_level * share for share in hsv_to_rgb(parameters.glow_hue, 0.75, 1.0))
    shown = (native, pixel_scale, parameters.sky_level, glow)
    return SimulatedGalaxy(
        image=develop(*shown, stream(seed, index, NOISE_STREAM), parameters.noise_factor),
        noiseless=develop(*shown, stream(seed, index, NOISE_STREAM), noise_factor=0.0),
        linear=linear,
        parameters=parameters,
        galaxy_class=parameters.galaxy_class,
        votes=vote_fractions(count_votes(parameters, seed, index)),
        pixel_scale_arcsec=pixel_scale,
    )


def observe_light(parameters: GalaxyParameters, seed: int, index: int, size_px: int) -> tuple[np.ndarray, float]:
    """Noiseless light of the stamp, nanomaggies per pixel (3, size, size), and its pixel scale in arcsec."""
    pixel_scale = FIELD_IN_R90 * parameters.r90_arcsec / size_px
    # light from just outside the stamp reaches into it, and the convolution wraps around: cut a margin off
    margin = int(np.ceil(2.0 * parameters.seeing_fwhm_arcsec / pixel_scale)) + 1
    n_px = next_fast_len(size_px + 2 * margin, real=True)
    while (n_px - size_px) % 2:  # an odd margin would shift the galaxy by half a pixel
        n_px = next_fast_len(n_px + 1, real=True)
    frame = make_frame(n_px, pixel_scale)
    rng = stream(seed, index, FIELD_STREAM)
    light = render_galaxy(parameters, frame, rng)
    fwhm, shifts = parameters.seeing_fwhm_arcsec, parameters.band_shifts_arcsec
    reach = FIELD_IN_R90 / 2 * parameters.r90_arcsec + 2 * fwhm
    add_neighbours(light, frame, parameters.n_neighbours, reach, rng)
    light = convolve(light, frame, fwhm, shifts)
    add_stars(light, frame, parameters.n_stars, reach, fwhm, rng, shifts)
    start = (frame.size_px - size_px) // 2
    return np.ascontiguousarray(light[:, start : start + size_px, start : start + size_px]), pixel_scale
