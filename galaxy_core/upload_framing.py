"""Bring an uploaded image to the frame of a catalog's stamps: which source, how much sky, how it is stretched.

A model compares galaxies as they lie on their stamps. So an upload is cut such that its galaxy fills as much of the
picture as galaxies of the catalog do, measured in the same way on both: half-light radii of the displayed light.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from galaxy_core.catalogs.display import central_part
from galaxy_core.catalogs.image_files import GALAXY_ZOO_FIELD, GALAXY_ZOO_PX
from galaxy_core.detection import Sources, detect
from galaxy_core.errors import ImageError
from galaxy_core.images import AstroImage, resize_square
from galaxy_core.linear_denoising import linear_noise_sigma, sky_map
from galaxy_core.masks import luminance
from galaxy_core.noise import estimate_sky
from galaxy_core.stretch import stretch_image, to_display

MAX_SOURCES = 40  # offered of one frame, the brightest
DETECTION_PX = 2**22  # larger frames are binned before sources are looked for
FRAME_PX = 512  # from this side on the sky is a mesh; on a stamp a mesh would swallow the galaxy
STEP = 1 / 255  # of display images
MIN_AREA_PX = 9
NEIGHBORHOOD_RADII = 12.0  # side of the part on which a source is stretched and measured
MIN_SIDE_PX = 8
CENTRED = 0.1  # of the side: how far from the middle the galaxy of a stamp may lie
SLACK = 1.3  # a stamp may show this much more or less sky than the catalog's do
# Layouts whose images show more than the stamps: side of the images as published, and the central share that is used.
SURVEY_FRAMES = dict.fromkeys(("gz2", "kaggle"), (GALAXY_ZOO_PX, GALAXY_ZOO_FIELD))


@dataclass(frozen=True)
class Crop:
    """A square of a frame: its centre in pixels (the first pixel's is at 0) and its side."""

    x: float
    y: float
    side_px: int


@dataclass(frozen=True)
class Framing:
    """How much sky a catalog's stamps show: side over half-light radius of the central source, of ``n`` stamps.

    ``low`` and ``high`` enclose 95 % of them.
    """

    typical: float
    low: float
    high: float
    n: int


def as_seen(
    image: AstroImage,
    input_px: int,
    crop: Crop | None = None,
    field_fraction: float = 1.0,
    reference: AstroImage | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """An image as a model is given it, by the steps of the pipeline: cut, stretch where linear, three bands, resize.

    Parameters
    ----------
    image : AstroImage
    input_px : int
    crop : Crop, optional
        Absent: the whole image, whose central square is taken.
    field_fraction : float
        Of a whole image: the central share of each side that the catalog uses.
    reference : AstroImage, optional
        Whose sky and noise set the stretch of a linear image: for a denoised one the image it was made of, since the
        stretch follows the noise, and a catalog's stamps have theirs.

    Returns
    -------
    seen : ndarray of float32, shape (3, input_px, input_px)
    shown : ndarray of float32, shape (3, side, side)
        The same before it was resized.

    Raises
    ------
    ImageError
        What is left has the same brightness everywhere.
    """
    if crop is None:
        shown = central_part(_displayed(image.pixels, image, reference and reference.pixels), field_fraction)
        side = min(shown.shape[1:])
        top, left = (shown.shape[1] - side) // 2, (shown.shape[2] - side) // 2
        shown = shown[:, top : top + side, left : left + side]
    else:
        shown = _displayed(cut(image.pixels, crop), image, reference and cut(reference.pixels, crop))
    seen = resize_square(shown, input_px)
    if float(np.ptp(seen, axis=(1, 2)).max()) < STEP:
        what = "This part of the picture" if crop else "The picture"
        raise ImageError(
            f"{what} has the same brightness everywhere, so there is no galaxy to look for; choose another."
        )
    return seen, shown


def _displayed(pixels: np.ndarray, image: AstroImage, reference: np.ndarray | None) -> np.ndarray:
    if reference is None or not image.linear:
        return to_display(pixels, image.linear)
    return stretch_image(pixels, "lupton" if len(pixels) >= 3 else "asinh", reference=reference)


def cut(pixels: np.ndarray, crop: Crop) -> np.ndarray:
    """The square of a crop, moved into the frame where it would leave it and made smaller where it does not fit."""
    height, width = pixels.shape[1:]
    side = max(1, min(crop.side_px, height, width))
    top = int(np.clip(round(crop.y - (side - 1) / 2), 0, height - side))
    left = int(np.clip(round(crop.x - (side - 1) / 2), 0, width - side))
    return pixels[:, top : top + side, left : left + side]


def find_sources(image: AstroImage) -> Sources:
    """The brightest sources of an image above 5 sigma of its noise, at most `MAX_SOURCES`; the central one first.

    The others follow by their distance from the centre. A frame of one value, or all noise, has none.
    """
    pixels = image.pixels
    factor = max(1, int(np.ceil(np.sqrt(pixels[0].size / DETECTION_PX))))
    found = _sources_of(_binned(luminance(pixels), factor), image.linear)
    found = found.take(np.argsort(-found.flux, kind="stable")[:MAX_SOURCES])
    if factor > 1:
        middle = (factor - 1) / 2
        x, y, area = found.x * factor + middle, found.y * factor + middle, factor**2
        found = Sources(x, y, found.flux * area, found.radius_px * factor, found.ellipticity, found.peak)
    central = central_source(found, pixels.shape[1:])
    if central is None:
        return found
    away = np.hypot(*_from_middle(found, pixels.shape[1:]))
    away[central] = -1
    return found.take(np.argsort(away, kind="stable"))


def _binned(light: np.ndarray, factor: int) -> np.ndarray:
    """Means over squares of ``factor`` pixels; what does not fill one at the far edges is left out."""
    if factor == 1:
        return light
    height, width = (side // factor for side in light.shape)
    blocks = light[: height * factor, : width * factor].reshape(height, factor, width, factor)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def _sources_of(light: np.ndarray, linear: bool) -> Sources:
    finite = light[np.isfinite(light)]
    nothing = Sources(*np.zeros((6, 0)))
    if finite.size == 0 or finite.min() == finite.max():
        return nothing
    sky = sky_map(light) if min(light.shape) >= FRAME_PX else estimate_sky(light).level
    noise = max(linear_noise_sigma(light), 1e-6 * float(np.ptp(finite)) if linear else STEP)
    found = detect(light, noise, min_area_px=MIN_AREA_PX, sky=sky)
    return found.take(np.isfinite(found.radius_px) & (found.radius_px > 0) & (found.flux > 0))


def _from_middle(sources: Sources, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    return sources.x - (shape[1] - 1) / 2, sources.y - (shape[0] - 1) / 2


def central_source(sources: Sources, shape: tuple[int, int]) -> int | None:
    """The source nearest the middle of a frame; of several that cover it, the one of most flux."""
    if len(sources) == 0:
        return None
    away = np.hypot(*_from_middle(sources, shape))
    covering = np.flatnonzero(away <= 2 * sources.radius_px)
    return int(covering[np.argmax(sources.flux[covering])] if len(covering) else np.argmin(away))


def displayed_radius(display: np.ndarray) -> float | None:
    """Half-light radius, in pixels, of the central source of a display image (3, h, w); None where there is none."""
    sources = _sources_of(luminance(display), linear=False)
    central = central_source(sources, display.shape[1:])
    return None if central is None else float(sources.radius_px[central])


def measure_framing(stamps: Iterable[np.ndarray]) -> Framing | None:
    """Framing of a catalog from some of its stamps, display images (3, h, w); None where they show no source."""
    pairs = [(min(stamp.shape[1:]), displayed_radius(stamp)) for stamp in stamps]
    ratios = [side / radius for side, radius in pairs if radius]
    if not ratios:
        return None
    low, typical, high = np.percentile(ratios, [2.5, 50, 97.5])
    return Framing(float(typical), float(low), float(high), len(ratios))


def crop_around(image: AstroImage, sources: Sources, place: int, side_in_radii: float) -> Crop:
    """The cutout of one source, its side a multiple of the half-light radius of the light that is displayed.

    Light that is stretched reaches further out than light that is counted; so a source is measured again on its own
    surroundings, stretched as they would be for the model. ``image`` may be the denoised version of the one that the
    sources were found on.
    """
    x, y, radius = (float(getattr(sources, name)[place]) for name in ("x", "y", "radius_px"))
    around = cut(image.pixels, Crop(x, y, max(32, round(NEIGHBORHOOD_RADII * radius))))
    radius = displayed_radius(to_display(around, image.linear)) or radius
    return Crop(x, y, max(MIN_SIDE_PX, round(side_in_radii * radius)))


def default_crop(
    image: AstroImage, sources: Sources, framing: Framing | None, layout: str = ""
) -> tuple[Crop | None, float]:
    """How to cut an image when nobody says: ``(crop, field_fraction)`` of `as_seen`.

    An image of the size that the catalog's survey publishes is cut as the catalog's are; a stamp whose galaxy lies in
    the middle and fills it as those of the catalog do is taken whole; from any other frame the central source is cut.
    """
    height, width = image.pixels.shape[1:]
    side, fraction = SURVEY_FRAMES.get(layout, (0, 1.0))
    if height == width == side and not image.linear:
        return None, fraction
    if len(sources) == 0 or framing is None:
        return None, 1.0
    x, y = (float(values[0]) for values in _from_middle(sources, (height, width)))
    crop = crop_around(image, sources, 0, framing.typical)
    ratio = framing.typical * min(height, width) / crop.side_px
    is_stamp = max(height, width) <= 1.25 * min(height, width) and np.hypot(x, y) <= CENTRED * min(height, width)
    return (None if is_stamp and framing.low / SLACK <= ratio <= framing.high * SLACK else crop), 1.0
