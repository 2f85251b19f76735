"""The object at the centre of a stamp, cut out as large as it is: an alternative to the plain centre crop.

A plain crop shows every galaxy at one scale, cuts large ones off and leaves small ones few pixels. This one looks how
far the object at the centre reaches and takes the smallest of three centred windows that holds it. The steps and their
numbers are those of Aaronson, Schoenrock & Stone, who fed a network grey stamps of 106 pixels cut from the 424 of
Galaxy Zoo 2 (github.com/zachaa/Galaxy_Morphology_Classification):

1. read the image; 2. grey; 3. Gaussian blur of 5 x 5 pixels; 4. threshold at 30 of 255 counts; 5. dilate with a square
of 5 x 5; 6. of the outlines around at least 100 pixels, the one with its centre nearest to the image's; 7. its bounding
box; 8. whether the box lies in the central quarter of the side, or in the central half; 9. cut that out, or keep the
whole frame, and scale it; 10. hand it on.

Where this differs: colour is kept, and grey only serves to find the object; lengths scale with the side of the frame,
so that a stamp that was shrunk is cut alike; the area of an outline is that of the pixels in it, not of the polygon
through their centres; scaling averages over area where the original samples between four pixels, which is the same for
the half and aliased for the whole; and a stamp without an object keeps its frame where the original stops.

A galaxy fainter than the threshold is not seen: then the nearest object that is decides, as in the original, and as a
rule lies so far off that half of the frame, or all of it, is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from galaxy_core.errors import ImageError
from galaxy_core.images import resize_square
from galaxy_core.masks import LUMINANCE_WEIGHTS

BLUR = np.array([1, 4, 6, 4, 1], dtype=np.float32) / 16  # what OpenCV takes for 5 pixels where no width is given
_IN_ITS_IMAGE = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])  # pixels that touch, never two images


@dataclass(frozen=True)
class CentralObjectConfig:
    """How the object is found and cut out.

    Attributes
    ----------
    threshold : float
        Grey, in [0, 1], that the object is brighter than: 8-bit counts above 30.
    grow_px : float
        Half a side of the square the bright pixels are dilated with, less half a pixel.
    min_area_px : float
        An outline around less is no object.
    windows : tuple of float
        Sides of the centred windows, as shares of the frame's, smallest first; the frame itself comes after them.
    frame_px : int
        Side of the frame that lengths are given for.
    """

    threshold: float = 30.5 / 255
    grow_px: float = 2.0
    min_area_px: float = 100.0
    windows: tuple[float, ...] = (0.25, 0.5)
    frame_px: int = 424


DEFAULT = CentralObjectConfig()
CROPS = ("centre", "central-object")  # what `cropped` may be asked for


def cut_central_object(images: np.ndarray, size_px: int, config: CentralObjectConfig = DEFAULT) -> np.ndarray:
    """Cut the central object out of each stamp and bring it to one size.

    Parameters
    ----------
    images : ndarray of float32, shape (n, 3, side, side)
        In [0, 1]; NaN counts as black sky.
    size_px : int
        Side of the result.
    config : CentralObjectConfig

    Returns
    -------
    ndarray of float32, shape (n, 3, size_px, size_px)

    Raises
    ------
    ImageError
        The images are not square, have no pixel or no three bands, or ``size_px`` is below 1.
    """
    images = _checked(images)
    if size_px < 1:
        raise ImageError(f"An image of {size_px} pixels shows nothing; ask for a side of at least 1 pixel.")
    sides = window_sides(central_boxes(object_mask(images, config), config), images.shape[-1], config)
    cut = np.empty((len(images), 3, size_px, size_px), dtype=np.float32)
    for side in np.unique(sides):
        chosen = sides == side
        window = _central(images[chosen], side)
        cut[chosen] = resize_square(window.reshape(-1, side, side), size_px).reshape(-1, 3, size_px, size_px)
    return cut


def central_window(image: np.ndarray, config: CentralObjectConfig = DEFAULT) -> np.ndarray:
    """The window of one image that holds its central object, not scaled, float32 (3, side, side).

    Parameters
    ----------
    image : ndarray, shape (3, height, width)
        In [0, 1]; the central square of it is looked at.
    """
    height, width = image.shape[-2:]
    square = _central(image, min(height, width))[None]
    sides = window_sides(central_boxes(object_mask(square, config), config), square.shape[-1], config)
    return _central(square[0], int(sides[0])).astype(np.float32, copy=False)


def cropped(image: np.ndarray, crop: str) -> np.ndarray:
    """An image as it is, or the window of it that holds its central object, for one of `CROPS`."""
    return image if crop == CROPS[0] else central_window(image)


def object_mask(images: np.ndarray, config: CentralObjectConfig = DEFAULT) -> np.ndarray:
    """Steps 2 to 5: grey, blurred, above the threshold, dilated.

    Parameters
    ----------
    images : ndarray, shape (n, 3, side, side)

    Returns
    -------
    ndarray of bool, shape (n, side, side)
    """
    images = _checked(images)
    grey = np.einsum("nbyx,b->nyx", images, np.array(LUMINANCE_WEIGHTS, dtype=np.float32))
    for axis in (1, 2):
        grey = scipy.ndimage.correlate1d(grey, BLUR, axis=axis, mode="mirror")
    reach = 2 * round(config.grow_px * images.shape[-1] / config.frame_px) + 1
    return scipy.ndimage.maximum_filter(grey > config.threshold, size=(1, reach, reach), mode="constant", cval=False)


def central_boxes(mask: np.ndarray, config: CentralObjectConfig = DEFAULT) -> np.ndarray:
    """Steps 6 and 7: the box around the object nearest to the centre of each image.

    Objects are pixels that touch, corners included, with what they enclose. All images of a batch are labelled at once.

    Parameters
    ----------
    mask : ndarray of bool, shape (n, side, side)

    Returns
    -------
    ndarray of int, shape (n, 4)
        First row, first column, last row + 1, last column + 1; all -1 where no object is large enough.
    """
    n, height, width = mask.shape
    boxes = np.full((n, 4), -1)
    labels, n_found = scipy.ndimage.label(_filled(mask), structure=_IN_ITS_IMAGE)
    if not n_found:
        return boxes
    image, row, column = np.nonzero(labels)
    which = labels[image, row, column]
    area = np.bincount(which, minlength=n_found + 1)
    with np.errstate(invalid="ignore"):
        y, x = (np.bincount(which, weights=place, minlength=n_found + 1) / area for place in (row, column))
    distance = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    distance[area < config.min_area_px * (width / config.frame_px) ** 2] = np.inf
    owner = np.zeros(n_found + 1, dtype=int)
    owner[which] = image
    places = scipy.ndimage.find_objects(labels)
    order = np.argsort(distance[1:], kind="stable") + 1
    for label in order[np.isfinite(distance[order])][::-1]:  # the nearest comes last and stays
        _, rows, columns = places[label - 1]
        boxes[owner[label]] = rows.start, columns.start, rows.stop, columns.stop
    return boxes


def window_sides(boxes: np.ndarray, side_px: int, config: CentralObjectConfig = DEFAULT) -> np.ndarray:
    """Step 8: side of the smallest centred window that holds each box; the whole frame where there is no box.

    Parameters
    ----------
    boxes : ndarray of int, shape (n, 4)
        As `central_boxes` gives them.

    Returns
    -------
    ndarray of int, shape (n,)

    Examples
    --------
    >>> window_sides(np.array([[170, 160, 260, 260], [170, 150, 260, 260], [9, 9, 20, 20], [-1, -1, -1, -1]]), 424)
    array([106, 212, 424, 424])
    """
    sides = np.full(len(boxes), side_px)
    for share in sorted(config.windows, reverse=True):
        side = max(round(share * side_px), 1)
        start = (side_px - side) // 2
        inside = (boxes[:, :2] >= start).all(axis=1) & (boxes[:, 2:] <= start + side).all(axis=1)
        sides[inside & (boxes[:, 0] >= 0)] = side
    return sides


def _central(image: np.ndarray, side: int) -> np.ndarray:
    top, left = ((length - side) // 2 for length in image.shape[-2:])
    return image[..., top : top + side, left : left + side]


def _filled(mask: np.ndarray) -> np.ndarray:
    """Masks with their holes: sky from which no way leads to the edge of its image, corners not being a way."""
    cross = scipy.ndimage.generate_binary_structure(3, 1)
    cross[[0, 2]] = False
    sky, n_sky = scipy.ndimage.label(~mask, structure=cross)
    open_sky = np.zeros(n_sky + 1, dtype=bool)
    for edge in (sky[:, 0], sky[:, -1], sky[:, :, 0], sky[:, :, -1]):
        open_sky[edge] = True
    open_sky[0] = False
    return ~open_sky[sky]


def _checked(images: np.ndarray) -> np.ndarray:
    images = np.asarray(images, dtype=np.float32)
    if images.ndim != 4 or images.shape[1] != 3:
        raise ImageError(
            f"Stamps have the shape (n, 3, side, side), not {images.shape}; give colour images of one size."
        )
    height, width = images.shape[2:]
    if height != width or height == 0:
        raise ImageError(f"Stamps must be square and not {height} x {width} pixels; cut or pad them first.")
    return np.nan_to_num(images) if np.isnan(images).any() else images
