"""What the viewer is sent: pixels as 16-bit floats around the sky, as many as fit a screen. Nothing of streamlit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from galaxy_core.stretch import display_limits
from pages.views.galaxy_map.payload import pack

MAX_VALUES = 1_500_000  # of one panel: height x width x bands
MARGIN = 0.3  # of a region that is zoomed into, sent beyond what is seen
MAX_MARKS = 5_000
HALF_MAX = 60_000.0  # a little below the largest 16-bit float
RESIDUAL_SIGMAS = 4


@dataclass(frozen=True)
class Shown:
    """An image before and after, in its own units.

    Attributes
    ----------
    viewer_id, stamp, right : str
        Of the viewer on the page; of the image, whose view and stretch stay while it is the same; of what is compared.
    name, stem : str
        Of the file, with and without its ending.
    before, after : ndarray, shape (bands, height, width)
    uncertainty : ndarray, shape (bands, height, width), or None
    titles : dict
        Of ``before``, ``after``, ``residual``, ``uncertainty``.
    unit : str
    scale : float
        Pixel values times this are in ``unit``.
    sigma : float
        Noise of a band of ``before``, in its units.
    linear, fits : bool
    marks : dict of str to ndarray of float32, shape (m, 3)
        x, y and radius of the sources "kept", "gained" and "lost".
    """

    viewer_id: str
    stamp: str
    right: str
    name: str
    stem: str
    before: np.ndarray = field(repr=False)
    after: np.ndarray = field(repr=False)
    uncertainty: np.ndarray | None = field(repr=False)
    titles: dict[str, str]
    unit: str
    scale: float
    sigma: float
    linear: bool
    fits: bool
    marks: dict[str, np.ndarray] = field(repr=False)


def viewer_message(shown: Shown, limits: dict, words: dict) -> bytes:
    """The whole image, reduced by a whole factor where it is large.

    Parameters
    ----------
    limits : dict
        As `limits_of` gives them.
    words : dict
        More for the header: ``scales`` of residual and uncertainty, and ``mark_titles``.
    """
    height, width = shown.before.shape[1:]
    offsets, gain = coding(shown)
    header, arrays = _region(shown, 0, 0, width, height)
    marks = {name: places[:MAX_MARKS].ravel() for name, places in shown.marks.items()}
    return pack(
        {
            **header,
            "role": "viewer",
            "name": shown.name,
            "stem": shown.stem,
            "kind": "linear" if shown.linear else "display",
            "full_width": width,
            "full_height": height,
            "titles": shown.titles,
            "words": {"before": "input", "after": shown.titles["after"].lower(), "residual": "residual"}
            | {"uncertainty": "uncertainty ±"},
            "unit": shown.unit,
            "offsets": offsets.tolist(),
            "gain": gain,
            "limits": limits,
            "curve": "asinh" if shown.linear else "linear",
            "flip": shown.fits,
            "first_pixel": 1 if shown.fits else 0,
            "residual_limit": residual_limit(shown) * shown.scale / gain,
            "uncertainty_limit": uncertainty_limit(shown) * shown.scale / gain,
            **words,
        },
        **arrays,
        **marks,
    )


def detail_message(shown: Shown, seen: list[float]) -> bytes:
    """A part of the image, and some around it, with as many pixels as fit a screen.

    Parameters
    ----------
    seen : list of float
        x0, y0, x1, y1 in pixels of the whole image; anything that is no such place gives the whole.
    """
    height, width = shown.before.shape[1:]
    try:
        x0, y0, x1, y1 = (float(value) for value in seen)
    except (TypeError, ValueError):
        x0, y0, x1, y1 = 0, 0, width, height
    more_x, more_y = MARGIN * (x1 - x0), MARGIN * (y1 - y0)
    left, top = (int(np.clip(v, 0, side - 1)) for v, side in ((x0 - more_x, width), (y0 - more_y, height)))
    right, bottom = (
        int(np.clip(v, a + 1, side)) for v, a, side in ((x1 + more_x, left, width), (y1 + more_y, top, height))
    )
    header, arrays = _region(shown, left, top, right, bottom)
    return pack({**header, "role": "detail"}, **arrays)


def limits_of(before: np.ndarray, linear: bool, scale: float) -> dict[str, list[dict[str, float]]]:
    """Black, white and sigma of each band that is shown, by name of the limits, in shown units.

    Display images have their full range besides; linear ones start with the sky to the 99.8th percentile.
    """
    bands = shown_bands(before, linear)
    white = {"full": [{"black": 0.0, "white": scale, "sigma": scale / 255}] * len(bands)}
    limits = {} if linear else white
    for name, method in (("percentile", "asinh"), ("zscale", "zscale")):
        found = [display_limits(band, method) for band in bands]
        sky = [sigma or display_limits(band, "asinh")[1] for band, (_, sigma, _) in zip(bands, found, strict=True)]
        limits[name] = [
            {"black": level * scale, "white": top * scale, "sigma": sigma * scale}
            for (level, _, top), sigma in zip(found, sky, strict=True)
        ]
    finite = [band[np.isfinite(band)] for band in bands]
    limits["minmax"] = [
        {"black": float(values.min()) * scale, "white": float(values.max()) * scale, "sigma": sigma["sigma"]}
        if values.size
        else {"black": 0.0, "white": 1.0, "sigma": 0.0}
        for values, sigma in zip(finite, limits["percentile"], strict=True)
    ]
    return limits


def shift_limits(limits: dict, offsets: np.ndarray, gain: float) -> dict:
    """The same limits in the units that are sent."""
    return {
        name: [
            {
                "black": (band["black"] - offset) / gain,
                "white": (band["white"] - offset) / gain,
                "sigma": band["sigma"] / gain,
            }
            for band, offset in zip(bands, offsets, strict=True)
        ]
        for name, bands in limits.items()
    }


def shown_bands(pixels: np.ndarray, linear: bool) -> np.ndarray:
    """One band or three, red first: of more than three linear ones the middle three, of two a mean between."""
    if len(pixels) == 1:
        return pixels
    if len(pixels) == 2:
        return np.stack([pixels[1], pixels.mean(axis=0), pixels[0]])
    middle = len(pixels) // 2
    return pixels[[middle + 1, middle, middle - 1]] if linear else pixels[:3]


def coding(shown: Shown) -> tuple[np.ndarray, float]:
    """Offset of each band, and the one gain: value in shown units = offset + gain x the 16-bit float sent.

    Around the sky of a linear frame the steps are 1/2000 of what is above it, so the noise is sent as it is.
    """
    bands = shown_bands(shown.before, shown.linear)
    if not shown.linear:
        return np.zeros(len(bands)), max(1.0, shown.scale / HALF_MAX)
    thin = [band.ravel()[:: max(1, band.size // 2**18)] for band in bands]
    offsets = np.array([float(np.median(some[np.isfinite(some)])) if np.isfinite(some).any() else 0.0 for some in thin])
    largest = max((_largest(band - offset) for band, offset in zip(bands, offsets, strict=True)), default=1.0)
    gain = max(shown.sigma, largest / HALF_MAX) or 1.0
    return offsets * shown.scale, gain * shown.scale


def residual_limit(shown: Shown) -> float:
    """Residual shown in full colour, in the image's units."""
    return RESIDUAL_SIGMAS * shown.sigma or 1.0


def uncertainty_limit(shown: Shown) -> float:
    """Uncertainty shown in full colour: its 99.5th percentile, in the image's units."""
    if shown.uncertainty is None:
        return 1.0
    thin = shown.uncertainty.ravel()[:: max(1, shown.uncertainty.size // 2**20)]
    finite = thin[np.isfinite(thin)]
    return float(np.percentile(finite, 99.5)) or 1.0 if finite.size else 1.0


def _largest(values: np.ndarray) -> float:
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 1.0


def _region(shown: Shown, left: int, top: int, right: int, bottom: int) -> tuple[dict, dict[str, np.ndarray]]:
    """Header and arrays of a region: a whole factor smaller where it has more than `MAX_VALUES`."""
    part = np.s_[:, top:bottom, left:right]
    before, after = (shown_bands(pixels[part], shown.linear) for pixels in (shown.before, shown.after))
    factor = int(np.ceil(np.sqrt(before.size / MAX_VALUES)))
    offsets, gain = coding(shown)
    with np.errstate(invalid="ignore"):  # infinity minus itself
        residual = (shown.before[part] - shown.after[part]).mean(axis=0, keepdims=True)
    planes = {"before": (before, offsets), "after": (after, offsets), "residual": (residual, [0.0])}
    if shown.uncertainty is not None:
        planes["uncertainty"] = (shown.uncertainty[part].mean(axis=0, keepdims=True), [0.0])
    arrays = {}
    for name, (bands, zero) in planes.items():
        small = np.stack([reduce_mean(band, factor) for band in bands])
        coded = (small * np.float32(shown.scale) - np.float32(zero)[:, None, None]) / np.float32(gain)
        with np.errstate(over="ignore"):
            arrays[name] = np.clip(coded, -65504, 65504).astype(np.float16).view(np.uint16).ravel()
    height, width = small.shape[1:]
    header = {"id": shown.viewer_id, "stamp": shown.stamp, "right": shown.right}
    header |= {"x0": left, "y0": top, "width": width, "height": height, "factor": factor}
    return header, arrays


def reduce_mean(band: np.ndarray, factor: int) -> np.ndarray:
    """Means of squares of ``factor`` pixels; those at the far edges are of what is left there. float32 (h, w)."""
    if factor <= 1:
        return np.asarray(band, dtype=np.float32)
    height, width = band.shape
    rows = np.add.reduceat(np.asarray(band, dtype=np.float32), np.arange(0, height, factor), axis=0)
    sums = np.add.reduceat(rows, np.arange(0, width, factor), axis=1)
    n_rows = np.diff(np.append(np.arange(0, height, factor), height))[:, None]
    n_columns = np.diff(np.append(np.arange(0, width, factor), width))
    return sums / np.float32(n_rows * n_columns)
