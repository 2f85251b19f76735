"""What a linear frame needs so that a model of display images denoises it and its fluxes stay right.

The frame is scaled, never bent as by an asinh stretch, so that its noise has the strength the model was trained on and
its sky lies at a small pedestal. What is far above the noise then leaves the model's range: each tile is denoised with
white at 16 and again at 32 sigma of the noise, each pixel takes the deeper result its neighbourhood fits in, and pixels
brighter than that, where the noise is a few percent and saturation lurks, stay as they were.

A model trained on white noise takes the blobs of correlated noise (drizzled or resampled frames) for sources. So the
noise it is told is not that of a pixel but, times `noise_correlation`, what it amounts to over a few pixels.

A denoiser pulls faint things towards what it expects, and that shows in their summed flux. So the correction is kept
from changing light: on scales of tens of pixels everywhere, which returns next to no noise, and around sources on
scales from about two pixels, which returns half of the noise there and brings aperture fluxes back to the input's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from galaxy_core.box_filters import box_maximum
from galaxy_core.bright_windows import Passed, Run, boxes_around, grown, run_where
from galaxy_core.correlated_noise import (
    blank_sky,
    broad_mean,
    differences_noise,
    noise_correlation,
    sky_error,
    sky_scatter,
    smooth_step,
)
from galaxy_core.noise import PUBLISHED_SIGMA, STEP_VARIANCE, between_counts, estimate_sky

SKY_MESH_PX = 64
FEW_COUNTS = 20.0  # of noise in whole numbers, up to which it matters that medians fall on them
MIN_MESH_SIDE_PX = 256  # smaller frames have one sky level: a mesh would swallow the galaxy
PEDESTAL = 0.02  # where the sky of linear frames is put: the typical sky of the stamps trained on
# Brightness, in sigma of the noise, over which the deeper (white at 16) and the shallower (at 32) pass fade out,
FADE_DEEP, FADE_SHALLOW = (8.0, 14.0), (18.0, 28.0)
NEARLY_BRIGHT = 0.75  # of where the deeper pass begins to fade: around denoised pixels like that the shallower looks
# and over which a denoised pixel becomes a source whose flux is kept.
SOURCE_SIGMA = (0.5, 1.5)
SOURCE_WINDOW_PX = 9
SOURCE_EDGE_PX = 2.0  # over which it begins and ends
FLUX_SCALE_PX, FLUX_PASSES = (
    1.0,
    3,
)  # chosen with the two above on KiDS r and EMMI frames, for fluxes in apertures of 3 px and more
SKY_SCALE_PX = 17
FAR_BELOW = -12.0  # sigma: no noise, even where it is three times that of the frame
DEAD_STEP_PX, DEAD_REACH = 4, 9  # surroundings are the median of every fourth pixel, nine of them a side
GAP_SCALE_PX = 1.5
RETURNED_NOISE = 0.44  # share of white noise that comes back with the light: the norm of that smoothing
# The light given back takes the broad part of the model's error along. What is left of it was fitted on two simulated
# SDSS fields in white and correlated noise, by the share of pixels that lie within one and two standard deviations.
LEFT_OF_ERROR = 0.5
GAUSSIAN_REACH = 4  # widths after which a Gaussian ends


def linear_noise_sigma(band: np.ndarray) -> float:
    """Noise of a linear band in its units: differences of pixels a few apart, at most the sky's scatter.

    Of whole numbers most of which are one, as a sky of single photons, it is 0.
    """
    sigma = min(differences_noise(band), estimate_sky(band).sigma)
    if not 0 < sigma < FEW_COUNTS or (spread := between_counts(band)) is band:
        return sigma
    variance = min(differences_noise(spread), estimate_sky(spread).sigma) ** 2 - STEP_VARIANCE
    return float(np.sqrt(max(variance, sigma**2)))  # less, where many pixels are cut off at one value


def sky_map(band: np.ndarray) -> np.ndarray:
    """Sky level at every pixel, float32 of the shape of ``band``: smooth for frames, one number for stamps."""
    if min(band.shape) >= MIN_MESH_SIDE_PX:
        import sep

        unusable = ~np.isfinite(band)
        filled = np.ascontiguousarray(np.where(unusable, 0, band), dtype=np.float32)
        mesh = sep.Background(filled, mask=unusable, bw=SKY_MESH_PX, bh=SKY_MESH_PX, fw=3, fh=3)
        sky = mesh.back(dtype=np.float32)
        if np.isfinite(sky).all():
            return sky
    return np.full(band.shape, estimate_sky(band).level, dtype=np.float32)


def dead_pixels(band: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Pixels, columns and areas whose values are no light: far below sky and surroundings, or far below and one value.

    A network that sees them spreads their darkness over the pixels around. Real sky may lie low, too, where the level
    of the frame is that of a galaxy or the middle of a slope; but so do its surroundings, and it has noise.

    Parameters
    ----------
    band, signal : ndarray, shape (height, width)
        The same pixels as they are, and sky-subtracted in units of the noise.

    Returns
    -------
    ndarray of bool, same shape
    """
    low = signal < FAR_BELOW
    if not low.any():
        return low
    rows, columns = np.nonzero(low)
    thin = np.where(np.isfinite(signal), signal, 0)[::DEAD_STEP_PX, ::DEAD_STEP_PX]
    places, place_of = np.unique(rows // DEAD_STEP_PX * thin.shape[1] + columns // DEAD_STEP_PX, return_inverse=True)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(thin, DEAD_REACH // 2, mode="edge"), (DEAD_REACH,) * 2)
    medians = np.median(around[np.divmod(places, thin.shape[1])], axis=(1, 2))  # of those that are low: few
    flat = box_maximum(band, 3) == -box_maximum(-band, 3)
    dead = (signal[low] < medians[place_of] + FAR_BELOW) | box_maximum(flat, 3)[low]
    low[low] = dead
    return low


def correct_in_sigmas(signals: Sequence[np.ndarray], run: Run) -> list[Passed]:
    """What to add to sky-subtracted tiles (height, width), and how sure the result is, in units of their noise.

    Parameters
    ----------
    signals : sequence of ndarray of float32, shape (height, width)
        Tiles to work on together, which is faster: a call of the model then has more to do. NaN and infinities
        get no correction; the model is shown what surrounds them in their place.
    run : callable
        The model: see `galaxy_core.bright_windows.Run`. Tiles, corrections and errors are in its range.

    Returns
    -------
    list of (correction, std)
        correction : ndarray of float32, shape (height, width)
        std : ndarray of float32, shape (height, width), or None
            One standard deviation of the denoised pixel; 1, the noise itself, where the pixel is left as it was. Passes
            are blended as if their errors were the same. Blank sky scatters as
            `galaxy_core.correlated_noise.sky_error` finds it to; in sources, half of the model's error and the noise
            given back with their light add in quadrature. None if ``run`` gives none.
    """
    measured = [np.isfinite(signal) for signal in signals]
    known = [np.where(real, signal, 0).astype(np.float32) for signal, real in zip(signals, measured, strict=True)]
    skies = [blank_sky(signal) for signal in known]
    scales = [np.float32(noise_correlation(signal, sky)) for signal, sky in zip(known, skies, strict=True)]
    shown = [_filled(signal, real) for signal, real in zip(known, measured, strict=True)]
    scaled = [signal / scale for signal, scale in zip(shown, scales, strict=True)]
    passed = _two_passes(scaled, run, [1 / scale for scale in scales])
    made = []
    for index, (correction, std, share) in enumerate(passed):
        scale, real = scales[index], measured[index]
        correction, light, source = _keep_light(scaled[index], correction * real, share * real)
        kept = np.where(real, scale * (correction - light), 0)
        if std is not None:
            denoised = known[index] + kept, known[index] + scale * (correction - _flux_kept(correction))
            std = _error(denoised, scale * std, skies[index], share * real, source)
            std = np.where(real, std, 1).astype(np.float32)
        made.append((kept, std))
    return made


def _filled(signal: np.ndarray, real: np.ndarray) -> np.ndarray:
    """A tile whose gaps, which are 0, have the mean of what surrounds them; 0, the sky, deep within large ones."""
    if real.all():
        return signal
    weight, light = (
        ndimage.gaussian_filter(part, GAP_SCALE_PX, mode="nearest", truncate=GAUSSIAN_REACH)
        for part in (real.astype(np.float32), signal)
    )
    return np.where(real, signal, light / np.maximum(weight, 0.05))


def _keep_light(signal: np.ndarray, correction: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, ...]:
    """Correction of a tile that keeps the sky, the light of sources in it, and where these are, 0 to 1."""
    if not correction.any():
        return correction, np.zeros_like(correction), np.zeros_like(correction)
    correction = correction - share * _sky_shift(correction, share)
    return correction, *_light_left_out(signal, correction, share)


def _error(
    denoised: tuple[np.ndarray, np.ndarray], std: np.ndarray, sky: np.ndarray, share: np.ndarray, source: np.ndarray
) -> np.ndarray:
    """Standard deviation of a denoised tile, from what the model says of it and what its blank sky shows.

    The tile is given as it is and as if all of it were sources: the noise that comes back with their light shows in the
    sky of that.
    """
    said, left = sky_error(denoised[0], std, sky)
    back = sky_scatter(denoised[1], sky) or RETURNED_NOISE
    said, left = said + (LEFT_OF_ERROR - said) * source, left + (back - left) * source
    return np.hypot((1 - share * (1 - said)) * std, share * left)


def _sky_shift(correction: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Mean of the correction over tens of pixels: noise has none, so it would be a change of the sky."""
    if share.min() == 1:  # most tiles
        return broad_mean(correction, SKY_SCALE_PX)
    return broad_mean(correction * share, SKY_SCALE_PX) / np.maximum(broad_mean(share, SKY_SCALE_PX), 1e-3)


def _two_passes(
    signals: list[np.ndarray], run: Run, untouched: list[float]
) -> list[tuple[np.ndarray, np.ndarray | None, np.ndarray]]:
    """Correction and its error from the pass that suits each pixel; the share of it applied: 0 on the brightest.

    Signals, and a pixel's own noise ``untouched``, are in units of the noise over a few pixels.
    """
    deep = [_in_units(run(_scaled(signal, PUBLISHED_SIGMA)[None], PUBLISHED_SIGMA)) for signal in signals]
    deep = [(correction[0], None if std is None else std[0]) for correction, std in deep]
    made = [(correction, std, np.ones_like(correction)) for correction, std in deep]
    bright = [index for index, signal in enumerate(signals) if signal.max() >= FADE_DEEP[0]]
    needed = [
        (signals[index] > FADE_DEEP[0]) | (signals[index] + deep[index][0] > NEARLY_BRIGHT * FADE_DEEP[0])
        for index in bright
    ]
    half = PUBLISHED_SIGMA / 2
    looked = run_where(run, [_scaled(signals[index], half) for index in bright], needed, half)
    for index, passed in zip(bright, looked, strict=True):
        made[index] = _blended(signals[index], deep[index], _in_units(passed, half), untouched[index])
    return made


def _blended(
    signal: np.ndarray, deep: Passed, shallow: Passed, untouched: float
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """The two passes over one tile, each where it suits, and the share of both."""
    # brightness of the denoised neighbourhood: chosen by the noisy pixel itself, high and low noise would fare unlike
    smooth = np.where(signal < FADE_SHALLOW[1], signal + shallow[0], signal)
    brightness = box_maximum(smooth, 3)
    deep_share = 1 - smooth_step(brightness, *FADE_DEEP)
    shallow_share = (1 - deep_share) * (1 - smooth_step(brightness, *FADE_SHALLOW))
    share = deep_share + shallow_share
    correction = deep_share * deep[0] + shallow_share * shallow[0]
    if deep[1] is None or shallow[1] is None:
        return correction, None, share
    return correction, deep_share * deep[1] + shallow_share * shallow[1] + (1 - share) * untouched, share


def _scaled(signal: np.ndarray, sigma: float) -> np.ndarray:
    """A tile as the model is shown it: the noise is ``sigma`` of its range, the sky at the pedestal."""
    return np.minimum(signal * np.float32(sigma) + np.float32(PEDESTAL), 1)


def _in_units(passed: Passed, sigma: float = PUBLISHED_SIGMA) -> Passed:
    """What the model made, in units of the noise."""
    correction, std = passed
    return correction / np.float32(sigma), None if std is None else std / np.float32(sigma)


def _light_left_out(signal: np.ndarray, correction: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Part of the correction that changes the flux of sources, and how much of it counts here, 0 to 1.

    Worked out around sources alone, with so much room that it comes out as if it were done everywhere.
    """
    brightest = box_maximum(signal + correction, SOURCE_WINDOW_PX)
    edge_px, room_px = round(GAUSSIAN_REACH * SOURCE_EDGE_PX), round(GAUSSIAN_REACH * FLUX_SCALE_PX) * (FLUX_PASSES + 1)
    boxes = boxes_around(brightest > SOURCE_SIGMA[0], edge_px)
    if sum(signal[grown(box, room_px, signal.shape)].size for box in boxes) > signal.size:
        boxes = [(slice(0, signal.shape[0]), slice(0, signal.shape[1]))]
    light, source = np.zeros_like(correction), np.zeros_like(correction)
    for box in boxes:
        room = grown(box, room_px, signal.shape)
        inner = tuple(
            slice(part.start - whole.start, part.stop - whole.start) for part, whole in zip(box, room, strict=True)
        )
        step = smooth_step(brightest[room], *SOURCE_SIGMA)
        source[box] = ndimage.gaussian_filter(step, SOURCE_EDGE_PX, mode="nearest", truncate=GAUSSIAN_REACH)[inner]
        light[box] = source[box] * _flux_kept(correction[room], share[room])[inner]
    return light, source


def _flux_kept(correction: np.ndarray, share: np.ndarray | float = 1.0) -> np.ndarray:
    """The correction smoothed, three times to be nearer whole.

    Pixels left as they were can give nothing back, so smoothing is over the others alone: else the wings of bright
    stars would keep what is the cores'.
    """

    def smooth(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values, FLUX_SCALE_PX, mode="nearest", truncate=GAUSSIAN_REACH)

    part = share if np.min(share) == 1 else share / np.maximum(smooth(share), 0.05)
    left = correction
    for _ in range(FLUX_PASSES):
        left = left - part * smooth(left)
    return correction - left
