"""Boxes and lassos drawn on a map: what lies inside, and a form short enough for a link. Pure functions of arrays.

Corners are kept as 16-bit whole numbers within the map and its surroundings, and of a lasso only the corners that
matter to it, before anything is looked up inside: a selection and the link to it are exactly the same.
"""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np

from galaxy_core.map_layers import STEPS, Extent

SURROUNDINGS = 0.5  # corners may lie outside the map by this share of it
MAX_CORNERS = 80
MAX_LINK_BYTES = 200_000  # a longer one, unpacked, is nobody's selection


def frame_of(extent: Extent) -> Extent:
    """The map with its surroundings, in which corners are kept."""
    dx, dy = SURROUNDINGS * (extent.x1 - extent.x0), SURROUNDINGS * (extent.y1 - extent.y0)
    return Extent(extent.x0 - dx, extent.x1 + dx, extent.y0 - dy, extent.y1 + dy)


def keep_corners(x: np.ndarray, y: np.ndarray, extent: Extent) -> list[int]:
    """The corners of an outline as whole numbers ``x0, y0, x1, y1, ...``, at most `MAX_CORNERS` of them.

    Parameters
    ----------
    x, y : array, shape (m,)
        In the units of the map.
    extent : Extent
        Of the map.
    """
    frame = frame_of(extent)
    sides = (frame.x0, frame.x1, x), (frame.y0, frame.y1, y)
    corners = np.stack([(np.asarray(v, float) - low) * (STEPS / (high - low)) for low, high, v in sides], axis=1)
    if len(corners) > 4:
        corners = _fewer(corners)
    return np.clip(np.rint(corners), 0, STEPS).astype(int).ravel().tolist()


def _fewer(corners: np.ndarray) -> np.ndarray:
    """The corners that matter (Ramer 1972; Douglas & Peucker 1973), the more coarsely the more there are."""
    tolerance = 0.001 * float(np.ptp(corners, axis=0).max())
    while True:
        keep = np.zeros(len(corners), dtype=bool)
        keep[[0, -1]] = True
        spans = [(0, len(corners) - 1)]
        while spans:
            first, last = spans.pop()
            if last - first < 2:
                continue
            (x, y), (dx, dy) = corners[first], corners[last] - corners[first]
            between = corners[first + 1 : last] - (x, y)
            length = np.hypot(dx, dy)
            off = np.abs(between @ (dy, -dx)) / length if length else np.hypot(*between.T)
            if off.max() > tolerance:
                middle = first + 1 + int(off.argmax())
                keep[middle] = True
                spans += [(first, middle), (middle, last)]
        if keep.sum() <= MAX_CORNERS:
            return corners[keep] if keep.sum() > 2 else corners[[0, len(corners) // 3, 2 * len(corners) // 3]]
        tolerance *= 1.4


def corners_of(kept: list[int], extent: Extent) -> tuple[np.ndarray, np.ndarray]:
    """Corners in the units of the map; the inverse of `keep_corners` to a 65,535th of the map."""
    frame, pairs = frame_of(extent), np.asarray(kept, dtype=float).reshape(-1, 2) / STEPS
    return frame.x0 + pairs[:, 0] * (frame.x1 - frame.x0), frame.y0 + pairs[:, 1] * (frame.y1 - frame.y0)


def on_grown(kept: list[int], before: Extent, now: Extent) -> list[int]:
    """Corners on a map that reaches farther than when they were kept, at the same places of it.

    Examples
    --------
    >>> on_grown([49151, 49151], Extent(0.0, 1.0, 0.0, 1.0), Extent(0.0, 2.0, 0.0, 1.0))
    [32767, 49151]
    """
    frame = frame_of(now)
    sides = zip(corners_of(kept, before), ((frame.x0, frame.x1), (frame.y0, frame.y1)), strict=True)
    corners = np.stack([(values - low) * (STEPS / (high - low)) for values, (low, high) in sides], axis=1)
    return np.clip(np.rint(corners), 0, STEPS).astype(int).ravel().tolist()


def mark_of(extent: Extent) -> str:
    """A few letters that change when a map is made again: its galaxies then reach to other places.

    Examples
    --------
    >>> mark_of(Extent(0.0, 1.0, 0.0, 1.0)) == mark_of(Extent(0.0, 1.0, 0.0, 1.001))
    False
    """
    return f"{zlib.crc32(np.array([*vars(extent).values()], np.float32).tobytes()):08x}"


def box_of(px: np.ndarray, py: np.ndarray) -> Extent:
    """The rectangle around an outline; nothing is inside that of no corners."""
    sides = [float(end) for side in (px, py) for end in (side.min(initial=np.inf), side.max(initial=-np.inf))]
    return Extent(*sides)


def inside_polygon(x: np.ndarray, y: np.ndarray, px: np.ndarray, py: np.ndarray) -> np.ndarray:
    """Which points lie inside a closed polygon, by the even-odd rule.

    Parameters
    ----------
    x, y : array, shape (n,)
    px, py : array, shape (m,)
        Corners in order; the last is joined to the first.

    Returns
    -------
    bool array, shape (n,)
        False where a coordinate is not a number.
    """
    inside = np.zeros(len(x), dtype=bool)
    if len(px) < 3:
        return inside
    near = np.flatnonzero((x >= px.min()) & (x <= px.max()) & (y >= py.min()) & (y <= py.max()))
    xn, yn = np.asarray(x, float)[near], np.asarray(y, float)[near]
    crossings = np.zeros(len(near), dtype=bool)
    for x0, y0, x1, y1 in zip(px, py, np.roll(px, -1), np.roll(py, -1), strict=True):
        if y0 == y1:
            continue
        straddles = (y0 > yn) != (y1 > yn)
        crossings ^= straddles & (xn < x0 + (yn - y0) * (x1 - x0) / (y1 - y0))
    inside[near] = crossings
    return inside


def combine(before: np.ndarray | None, rows: np.ndarray, mode: str) -> np.ndarray:
    """A selection after one more step: "new", "add", "subtract" or "intersect".

    Examples
    --------
    >>> old, now = np.array([1, 2, 3]), np.array([3, 4])
    >>> [combine(old, now, mode).tolist() for mode in ("new", "add", "subtract", "intersect")]
    [[3, 4], [1, 2, 3, 4], [1, 2], [3]]
    """
    rows = np.asarray(rows, dtype=np.int32)
    if len(rows) > 1 and not (rows[1:] > rows[:-1]).all():  # those of an outline are in order: half a million of them
        rows = np.unique(rows)
    if mode == "new" or (before is None and mode == "add"):
        return rows
    before = np.empty(0, dtype=np.int32) if before is None else before
    how = {"add": np.union1d, "subtract": np.setdiff1d, "intersect": np.intersect1d}[mode]
    return how(before, rows).astype(np.int32)


def to_link(value: object) -> str:
    """Lists, numbers and texts as letters that an address can hold.

    Examples
    --------
    >>> from_link(to_link([["n", "umap", [1, 2]], "ä"]))
    [['n', 'umap', [1, 2]], 'ä']
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return base64.urlsafe_b64encode(zlib.compress(text, 9)).decode("ascii").rstrip("=")


def from_link(letters: str) -> object:
    """The inverse of `to_link`; raises ValueError for anything else."""
    try:
        packed = base64.b64decode(letters + "=" * (-len(letters) % 4), altchars=b"-_", validate=True)
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(packed, MAX_LINK_BYTES)
        if not unpacker.eof:
            raise ValueError("too long or cut short")
        return json.loads(text)
    except (zlib.error, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
