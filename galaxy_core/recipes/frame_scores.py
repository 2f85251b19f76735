"""What denoising does to frames: the flux, size and shape of their sources, and to sky without any.

Frames are worked on as they come, in their own units; large ones in a window of their middle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from galaxy_core.detection import Sources, aperture_flux, detect, match
from galaxy_core.errors import ImageError
from galaxy_core.fits_images import list_images
from galaxy_core.images import decode_image
from galaxy_core.injection import choose_places, point_width_px, source_free
from galaxy_core.linear_denoising import linear_noise_sigma, sky_map
from galaxy_core.recipes import Report

WINDOW_PX = 512
MIN_SIDE_PX = 20
NO_SCIENCE = ("rms", "back", "segim", "mskim", "psfim", "weight", "mask")  # ends of names of files that hold no light
APERTURE_PX = (3.0, 12.0)
BLANK_PX, N_BLANK = 256, 8
BLANK_THRESHOLDS = (1.0, 1.5, 2.0, 3.0)
N_EMPTY_APERTURES = 400
Denoisers = dict[str, Callable[[np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class Frame:
    """One band of a file: light (height, width), noise sigma and sky in the file's units, width of a point source."""

    family: str
    name: str
    band: np.ndarray = field(repr=False)
    sigma: float
    sky: np.ndarray = field(repr=False)
    fwhm_px: float
    free: np.ndarray = field(repr=False)


def find_frames(paths: Sequence[str | Path]) -> list[Frame]:
    """Bands of the FITS files among ``paths``, which may be folders; a file's family is the folder it lies in.

    Every band of every image extension is a frame. Files whose name says that they hold noise, masks or point spread
    functions, and bands without noise, are passed over.

    Raises
    ------
    ImageError
        If there is no frame.
    """
    found: list[Frame] = []
    for path in map(Path, paths):
        files = sorted(item for item in path.rglob("*") if item.is_file()) if path.is_dir() else [path]
        for file in files:
            stem = file.name.lower().removesuffix(".gz").removesuffix(".fz")
            if stem.endswith((".fits", ".fit")) and not stem.rsplit(".", 1)[0].endswith(NO_SCIENCE):
                found += [frame for frame in _frames_of(file) if frame is not None]
    if not found:
        raise ImageError(f"No FITS frame with stars or galaxies in {', '.join(map(str, paths))}; name another folder.")
    return found


def _frames_of(file: Path) -> list[Frame | None]:
    """Every band of every image of a file; an unreadable file or extension has none."""
    found = []
    try:
        data = file.read_bytes()
        images = list_images(data, file.name)
    except (OSError, ImageError):
        return []
    for number, _, _ in images:
        try:
            pixels = decode_image(data, file.name, number).pixels
        except ImageError:
            continue
        name = f"{file.name}[{number}]" if len(images) > 1 else file.name
        for band in range(len(pixels)):
            label = f"{name} band {band + 1}" if len(pixels) > 1 else name
            found.append(make_frame(file.parent.name, label, pixels[band]))
    return found


def make_frame(family: str, name: str, band: np.ndarray) -> Frame | None:
    """A frame of the middle of a band, with its sky and noise; None where there is neither sky nor noise."""
    top, left = (max(side - WINDOW_PX, 0) // 2 for side in band.shape)
    band = np.ascontiguousarray(band[top : top + WINDOW_PX, left : left + WINDOW_PX], dtype=np.float32)
    if min(band.shape) < MIN_SIDE_PX or not np.isfinite(band).any():
        return None
    sigma = linear_noise_sigma(band)
    if not sigma > 0:
        return None
    sky = sky_map(band)
    fwhm = point_width_px(band, sigma)
    return Frame(family, name, band, sigma, sky, fwhm, source_free(band - sky, fwhm))


def score_frames(frames: Sequence[Frame], denoisers: Denoisers, report: Report) -> dict:
    """What each method does to the sources of each family of frames: see `measure_sources`, pooled over frames."""
    rows: dict[str, dict[str, list[dict]]] = {}
    for done, frame in enumerate(frames, start=1):
        found = sources_of(frame)
        for name, denoise in denoisers.items():
            rows.setdefault(frame.family, {}).setdefault(name, []).append(
                measure_sources(frame, found, denoise(frame.band))
            )
        report("frames", done, len(frames))
    return {family: {name: _pooled(parts) for name, parts in methods.items()} for family, methods in rows.items()}


def sources_of(frame: Frame) -> Sources:
    """Sources above 5 sigma whose aperture lies inside the frame and holds no gap."""
    found = detect(frame.band, frame.sigma, 5.0, 5, sky=frame.sky)
    radius, (height, width) = aperture_radius(found), frame.band.shape
    inside = (found.x >= radius) & (found.x < width - radius) & (found.y >= radius) & (found.y < height - radius)
    gaps = (~np.isfinite(frame.band)).astype(np.float32)
    return found.take(inside & (aperture_flux(gaps, found.x, found.y, radius) == 0))


def aperture_radius(sources: Sources) -> np.ndarray:
    """Twice the half-light radius, at least 3 and at most 12 pixels."""
    return np.clip(2 * np.nan_to_num(sources.radius_px, nan=APERTURE_PX[0]), *APERTURE_PX)


def measure_sources(frame: Frame, found: Sources, denoised: np.ndarray) -> dict[str, np.ndarray]:
    """Per source: relative and noise-normalised change of flux; per re-detected source: of size and ellipticity."""
    radius = aperture_radius(found)
    before = aperture_flux(frame.band - frame.sky, found.x, found.y, radius)
    after = aperture_flux(denoised - frame.sky, found.x, found.y, radius)
    lit = before > 0
    again = detect(denoised, frame.sigma, 5.0, 5, sky=frame.sky)
    one, two = match(found, again)
    return {
        "bias": after[lit] / before[lit] - 1,
        "in_noise": (after[lit] - before[lit]) / aperture_noise(frame, radius[lit]),
        "radius": again.radius_px[two] / found.radius_px[one] - 1,
        "ellipticity": again.ellipticity[two] - found.ellipticity[one],
        "n_lost": np.array([len(found) - len(one)]),
        "n_gained": np.array([len(again) - len(two)]),
    }


def aperture_noise(frame: Frame, radius_px: np.ndarray) -> np.ndarray:
    """The input's own scatter of the light in circles on empty sky, float64 of the shape of ``radius_px``.

    Measured at four radii and interpolated; for white noise where a frame is too full to place 30 circles.
    """
    places = choose_places(frame.free, N_EMPTY_APERTURES, 2.0, np.random.default_rng(0))
    radii = np.linspace(*APERTURE_PX, 4)
    if len(places) < 30:
        return frame.sigma * np.sqrt(np.pi) * radius_px
    light = frame.band - frame.sky
    fluxes = [aperture_flux(light, places[:, 0], places[:, 1], radius) for radius in radii]
    return np.interp(radius_px, radii, [1.4826 * np.median(np.abs(values - np.median(values))) for values in fluxes])


def _pooled(parts: list[dict[str, np.ndarray]]) -> dict[str, float | int | list[float] | None]:
    every = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    bias, in_noise = every["bias"], every["in_noise"]

    def median(values: np.ndarray) -> float | None:
        values = values[np.isfinite(values)]
        return float(np.median(values)) if values.size else None

    return {
        "n_frames": len(parts),
        "n_sources": int(bias.size),
        "flux_bias": median(bias),
        "flux_bias_interval": median_interval(bias),
        "scatter_over_input_noise": float(1.4826 * np.median(np.abs(in_noise - np.median(in_noise))))
        if bias.size
        else None,
        "bias_over_input_noise": median(in_noise),
        "half_light_radius_bias": median(every["radius"]),
        "ellipticity_bias": median(every["ellipticity"]),
        "n_detected_again": int(every["radius"].size),
        "n_lost": int(every["n_lost"].sum()),
        "n_gained": int(every["n_gained"].sum()),
    }


def median_interval(values: np.ndarray) -> list[float] | None:
    """95 % interval of a median over 400 resamples of the values; None of fewer than three."""
    if len(values) < 3:
        return None
    rows = np.random.default_rng(0).integers(0, len(values), (400, len(values)))
    return [float(edge) for edge in np.percentile(np.median(values[rows], axis=1), [2.5, 97.5])]


def score_blank_sky(denoisers: Denoisers, seed: int, report: Report) -> dict:
    """Detections on pure noise before and after, upright and inverted, at the same thresholds of the input's noise."""
    scores = {}
    for kind, width in (("white noise", 0.0), ("noise correlated over neighbours", 0.7)):
        rng = np.random.default_rng([seed, 11])
        before = []
        for _ in range(N_BLANK):
            noise = rng.standard_normal((BLANK_PX, BLANK_PX))
            noise = ndimage.gaussian_filter(noise, width, mode="wrap") if width else noise
            before.append((1000 + 20 * noise / noise.std()).astype(np.float32))
        scores[kind] = {"n_pixels": N_BLANK * BLANK_PX**2, "input": _count_blank(before)}
        for done, (name, denoise) in enumerate(denoisers.items(), start=1):
            scores[kind][name] = _count_blank([denoise(band) for band in before])
            report(f"blank sky, {kind}", done, len(denoisers))
    return scores


def _count_blank(bands: list[np.ndarray]) -> dict[str, dict[str, int]]:
    """Sources found upright and inverted by threshold, on sky of 1000 with an input noise of 20."""
    counts = {}
    for threshold in BLANK_THRESHOLDS:
        upright, inverted = (
            sum(len(detect(sign * (band - 1000), 20.0, threshold, 5, sky=0.0, photometry=False)) for band in bands)
            for sign in (1, -1)
        )
        counts[f"{threshold:g}"] = {"positive": upright, "negative": inverted}
    return counts
