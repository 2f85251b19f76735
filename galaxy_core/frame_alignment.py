"""Whether bands lie on the same pixels, by their sizes and by their coordinates on the sky."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from galaxy_core.errors import ImageError

if TYPE_CHECKING:
    from astropy.wcs import WCS

MAX_OFFSET_PX = 0.5  # between bands that say where they lie
PLACES = 5  # along each side, at which that is looked at


def check_shapes(planes: list) -> None:
    """`ImageError` unless there are planes, all of one size."""
    if not planes:
        raise ImageError("There is no frame to look at; name at least one.")
    (height, width), first = planes[0][1], planes[0][3]
    for _, shape, _, label, _ in planes[1:]:
        if shape != (height, width):
            raise ImageError(
                f"{label} is {shape[1]} x {shape[0]} pixels and {first} {width} x {height}; bands of one field must lie"
                " on the same pixels, so resample one of them first."
            )


def check_places(wcs: Sequence[WCS | None], shape: tuple[int, int], labels: list[str]) -> None:
    """`ImageError` if two bands that say where they lie do not lie at the same place."""
    known = [(index, one) for index, one in enumerate(wcs) if one is not None]
    if len(known) < 2:
        return
    from astropy.wcs.utils import pixel_to_skycoord, skycoord_to_pixel

    # from corner to corner, and between, as the corners of a map of all the sky are none of it
    across, down = np.meshgrid(*(np.linspace(0, side - 1, PLACES) for side in shape[::-1]))
    places = np.column_stack([across.ravel(), down.ravel()])
    first, reference = known[0]
    for index, other in known[1:]:
        world = pixel_to_skycoord(*places.T, other, mode="wcs").icrs
        on_sky = np.isfinite(world.ra.deg) & np.isfinite(world.dec.deg)
        back = np.column_stack(skycoord_to_pixel(world[on_sky], reference, mode="wcs"))
        offset = np.nan_to_num(np.abs(back - places[on_sky]), nan=np.inf).max(initial=0)
        if not offset <= MAX_OFFSET_PX:
            apart = f"up to {offset:.1f} pixels" if np.isfinite(offset) else "far"
            raise ImageError(
                f"{labels[index]} lies {apart} from {labels[first]} by their coordinates; align the bands first."
            )
