"""Which HEALPix pixel each galaxy of a HATS catalog goes to, and which lie so near a border that two need them.

HATS (Hierarchical Adaptive Tiling Scheme, IVOA note; hats.readthedocs.io) cuts the sky into pixels of such orders that
each holds at most so many rows. Everything here is done on positions alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

INDEX_ORDER = 29  # of the column `_healpix_29`, by which rows are sorted
FINEST_ORDER = 11  # pixels of two arcminutes


@dataclass(frozen=True)
class Partition:
    """Where n galaxies go.

    Attributes
    ----------
    index : ndarray of int64, shape (n,)
        HEALPix pixel of order 29, nested, of each galaxy.
    pixels : list of hats.pixel_math.HealpixPixel
        Of the partitions, in the order of the sky's nested numbering.
    place : ndarray of int64, shape (n,)
        Number in ``pixels`` of each galaxy's.
    """

    index: np.ndarray
    pixels: list
    place: np.ndarray


def make_partition(ra_deg: np.ndarray, dec_deg: np.ndarray, partition_rows: int) -> Partition:
    """Cut the sky so that no pixel holds more than ``partition_rows`` galaxies, unless they lie within 2 arcminutes.

    A pixel that holds more is cut in four, as the HATS note has it; what holds none is no partition.
    """
    from hats.pixel_math import HealpixPixel, compute_spatial_index

    index = np.asarray(compute_spatial_index(ra_deg, dec_deg), dtype=np.int64)
    place, left, pixels = np.zeros(len(index), dtype=np.int64), np.arange(len(index)), []
    for order in range(FINEST_ORDER + 1):
        found, which, counts = np.unique(index[left] >> _bits(order), return_inverse=True, return_counts=True)
        whole = (counts <= partition_rows) | (order == FINEST_ORDER)
        place[left] = len(pixels) + np.cumsum(whole)[which] - 1
        pixels += [HealpixPixel(order, int(pixel)) for pixel in found[whole]]
        left = left[~whole[which]]
    along_the_sky = np.argsort([pixel.pixel << _bits(pixel.order) for pixel in pixels])
    number = np.empty(len(pixels), dtype=np.int64)
    number[along_the_sky] = np.arange(len(pixels))
    return Partition(index, [pixels[k] for k in along_the_sky], number[place])


def _bits(order: int) -> int:
    """By how many bits a pixel of the index's order is longer than one of this order."""
    return 2 * (INDEX_ORDER - order)


def margin_rows(partition: Partition, pixels: list, margin_arcsec: float) -> tuple[np.ndarray, np.ndarray]:
    """Galaxies that lie outside a pixel and less than a margin from it.

    Parameters
    ----------
    pixels : list of hats.pixel_math.HealpixPixel
        Partitions, and pixels without galaxies, which another catalog may have galaxies in.

    Returns
    -------
    rows, places : ndarray of int64, shape (m,)
        Rows of the catalog, and numbers in ``pixels``; a galaxy in a corner is there more than once.
    """
    import hats.pixel_math.healpix_shim as healpix
    from hats.pixel_math import get_margin

    order = int(healpix.margin2order(margin_arcsec / 60))
    fine = partition.index >> _bits(order)
    by_pixel = np.argsort(fine, kind="stable")
    ordered = fine[by_pixel]
    rows, places = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for place, pixel in enumerate(pixels):
        around = np.unique(get_margin(pixel.order, pixel.pixel, order - pixel.order))
        starts, stops = np.searchsorted(ordered, around, "left"), np.searchsorted(ordered, around, "right")
        inside = [by_pixel[a:b] for a, b in zip(starts, stops, strict=True) if b > a]
        found = np.concatenate(inside) if inside else np.empty(0, np.int64)
        rows.append(found)
        places.append(np.full(len(found), place))
    return np.concatenate(rows), np.concatenate(places)
