"""The messages a map is drawn from: functions of arrays to bytes, nothing of streamlit."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from galaxy_core import map_layers
from galaxy_core.artifacts import Layers
from galaxy_core.map_layers import Extent
from pages.views import words
from pages.views.colours import Colouring, grey
from pages.views.outlines import mark_of

# by theme: dark or not, and whether contrast counts more than comfort
BACKGROUNDS = {(True, False): "#0b0e17", (False, False): "#ffffff", (True, True): "#000000", (False, True): "#ffffff"}
INKS = {(True, False): "#e4e7ee", (False, False): "#20242e", (True, True): "#ffffff", (False, True): "#000000"}
ACCENTS = {True: "#f2b04a", False: "#a4580a"}
MAX_DETAIL = 150_000  # points sent for a part of the map that is zoomed into


@dataclass(frozen=True)
class MapLook:
    """What a map is called and looks like.

    Attributes
    ----------
    map_id, group : str
        Name of this map, and of the maps that share marks and events with it.
    projection, title, axis, source, file : str
        ``axis`` is empty where axes mean nothing; ``source`` and ``file`` go into the picture that is saved.
    dark, strong : bool
        ``strong`` for black on white or white on black, seen from the back of a room.
    home : tuple of float
        The ends of the map when it was made, by which links tell places on it; empty where it has not grown since.
    """

    map_id: str
    group: str
    projection: str
    title: str
    axis: str
    source: str
    file: str
    dark: bool
    strong: bool = False
    home: tuple[float, ...] = ()


def pack(header: dict, **arrays: np.ndarray) -> bytes:
    """One block of bytes: length of the header (uint32), the header as JSON, and the arrays it lists, 4-byte aligned.

    Examples
    --------
    >>> blob = pack({"role": "marks"}, row=np.array([7], dtype=np.uint32))
    >>> header = unpack(blob)
    >>> header["role"], header["row"].tolist()
    ('marks', [7])
    """
    places, length = {}, 0
    for name, array in arrays.items():
        places[name] = [f"{array.dtype.kind}{array.dtype.itemsize}", length, array.size]
        length += -(-array.nbytes // 4) * 4

    def head(start: int) -> bytes:
        shifted = {name: [kind, start + place, size] for name, (kind, place, size) in places.items()}
        return json.dumps({**header, "arrays": shifted}, ensure_ascii=False, separators=(",", ":")).encode("utf-8")

    start = -(-(len(head(10**9)) + 4) // 4) * 4  # as if the numbers were long: room enough for the real ones
    text = head(start).ljust(start - 4)
    parts = [np.uint32(len(text)).tobytes(), text]
    for array in arrays.values():
        raw = np.ascontiguousarray(array).tobytes()
        parts += [raw, bytes(-len(raw) % 4)]
    return b"".join(parts)


def unpack(blob: bytes) -> dict:
    """The header of a packed message with its arrays in place; the inverse of `pack`."""
    size = int(np.frombuffer(blob, np.uint32, 1)[0])
    header = json.loads(blob[4 : 4 + size])
    for name, (kind, start, length) in header.pop("arrays").items():
        header[name] = np.frombuffer(blob, np.dtype(kind), length, start)
    return header


@dataclass(frozen=True)
class Drawn:
    """Galaxies that are points on a map, and what is told of all that are on it.

    Attributes
    ----------
    x, y : float32 array, shape (m,)
    rows, codes : int32 array, shape (m,)
        Their rows, and the numbers of their colours.
    counts : int array, shape (n_groups + 1,)
        Galaxies of each group on the map, drawn or not, or of each colour; last those without group or value.
    extent : Extent
        Of all galaxies, so that the map stays where it is under any filter.
    density : uint8 array, shape (n_lines, n_columns), or None
        Of all galaxies; None where each is a point.
    """

    x: np.ndarray
    y: np.ndarray
    rows: np.ndarray
    codes: np.ndarray
    counts: np.ndarray
    extent: Extent
    density: np.ndarray | None = None


def map_message(
    look: MapLook,
    x: np.ndarray,
    y: np.ndarray,
    colouring: Colouring,
    keep: np.ndarray | None,
    stamp: str,
    seed: int = 0,
) -> bytes:
    """Everything a map is first drawn from.

    Parameters
    ----------
    x, y : float32 array, shape (n,)
        Galaxies whose position is not a number are not on the map.
    colouring : Colouring
    keep : bool array, shape (n,), or None
        Galaxies that pass the filters; None for all.
    stamp : str
        Changes when anything of this message does.
    """
    extent = map_layers.extent_of(x, y)
    shown = np.isfinite(x) & np.isfinite(y) & (True if keep is None else keep)
    rows = np.flatnonzero(shown).astype(np.int32)
    codes, palette = paint_codes(colouring), palette_of(colouring, look.dark)
    sampled = len(rows) > map_layers.MAX_POINTS
    size = map_layers.SAMPLE_SIZE if sampled else len(rows)
    sample = map_layers.fair_sample(rows, codes[rows], size, seed)
    counts = np.bincount(codes[rows], minlength=len(palette))
    density = map_layers.density(x[rows], y[rows], extent) if sampled else None
    return _pack_map(
        look, Drawn(x[sample], y[sample], sample, codes[sample], counts, extent, density), colouring, stamp
    )


def layers_message(look: MapLook, layers: Layers, colouring: Colouring, stamp: str) -> bytes | None:
    """`map_message` of all galaxies from the layers of the map; None where these do not tell it all, or all are drawn.

    Groups must be among those the sample is fair to. Of numbers the whole column is read, and no coordinates; galaxies
    that are not on the map must be none then.
    """
    if layers.n_on_map <= map_layers.MAX_POINTS:
        return None
    palette = palette_of(colouring, look.dark)
    x, y, rows = (layers.sample[name] for name in ("x", "y", "row"))
    if colouring.layer in layers.groups:
        known, codes = layers.groups[colouring.layer], layers.sample[colouring.layer]
        codes = np.where(codes < 0, len(palette) - 1, codes).astype(np.int32)
        counts = np.array([*known["on_map"], known["without"]])
    elif colouring.values is not None and layers.n_on_map == len(colouring.values):
        codes, n_known = paint_codes(colouring, rows), np.count_nonzero(np.isfinite(colouring.values))
        counts = np.array([n_known, len(colouring.values) - n_known])
    else:
        return None
    density = map_layers.brightness_of(layers.counts(layers.extent, min(layers.grids))[0])
    return _pack_map(look, Drawn(x, y, rows, codes, counts, layers.extent, density), colouring, stamp)


def _pack_map(look: MapLook, drawn: Drawn, colouring: Colouring, stamp: str) -> bytes:
    n_drawn, palette = len(drawn.rows), palette_of(colouring, look.dark)
    home = Extent(*look.home) if look.home else drawn.extent
    header = {
        "role": "map",
        "id": look.map_id,
        "group": look.group,
        **{name: getattr(look, name) for name in ("projection", "title", "axis", "source", "file")},
        "place": f"{look.group}/{look.projection}",
        "grouping": colouring.title,
        "stamp": stamp,
        "total": int(drawn.counts.sum()),
        "sampled": drawn.density is not None,
        "size": marker_size(n_drawn) * (1.4 if look.strong else 1.0),
        "detail_size": 3.0,
        # of a point alone among crowds: a colour that stands for a number must be read, and a projector shows little
        "opacity": 0.75 if colouring.values is not None else 0.6 if look.strong else 0.4,
        "background": BACKGROUNDS[look.dark, look.strong],
        "ink": INKS[look.dark, look.strong],
        "accent": ACCENTS[look.dark],
        "colours": palette,
        "legend": legend_of(colouring, drawn.counts),
        "scale": scale_of(colouring),
        "nothing": colouring.nothing,
        "n_nothing": int(drawn.counts[-1]),
        "extent": list(vars(drawn.extent).values()),
        "home": list(vars(home).values()),
        "mark": mark_of(home),
        "groups": colouring.mark,
        "marks": colouring.marks,
    }
    points = point_arrays(drawn.x, drawn.y, drawn.rows, drawn.codes, len(palette) - 1, drawn.extent)
    if drawn.density is not None:
        header["bins"], points["density"] = list(drawn.density.shape), drawn.density.ravel()
    return pack(header, **points)


def point_arrays(
    x: np.ndarray, y: np.ndarray, rows: np.ndarray, codes: np.ndarray, nothing: int, extent: Extent
) -> dict[str, np.ndarray]:
    """Positions, rows and colours of some galaxies, those without a group (code ``nothing``) first, at the bottom."""
    order = np.argsort(codes != nothing, kind="stable")
    return {
        "x": map_layers.quantise(x[order], extent.x0, extent.x1),
        "y": map_layers.quantise(y[order], extent.y0, extent.y1),
        "row": rows[order].astype(np.uint32),
        "code": codes[order].astype(np.uint16),
    }


def palette_of(colouring: Colouring, dark: bool) -> list[str]:
    """Its colours; the last is for galaxies without group or value."""
    return [*(colouring.colours(dark) if colouring.values is None else colouring.ramp), grey(dark)]


def paint_codes(colouring: Colouring, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Number of the colour of each galaxy, or of some, in `palette_of`; int32, shape (n,)."""
    if colouring.values is None:
        codes = colouring.codes[rows]
        return np.where(codes < 0, len(colouring.names), codes).astype(np.int32)
    share, known = colouring.share_of_scale(rows), np.isfinite(colouring.values[rows])
    codes = np.full(len(share), len(colouring.ramp), dtype=np.int32)
    codes[known] = np.rint(share[known] * (len(colouring.ramp) - 1)).astype(np.int32)
    return codes


def legend_of(colouring: Colouring, counts: np.ndarray) -> list[dict]:
    """Name and number of galaxies of each group; empty for numbers."""
    if colouring.values is not None:
        return []
    return [{"name": name, "count": int(n)} for name, n in zip(colouring.names, counts, strict=False)]


def scale_of(colouring: Colouring) -> dict | None:
    """Limits of the colour bar, None for groups."""
    if colouring.values is None:
        return None
    low, high = colouring.limits
    values = np.asarray(colouring.values)
    beyond = (bool(np.nanmin(values) < low), bool(np.nanmax(values) > high)) if np.isfinite(values).any() else (0, 0)
    texts = words.ends(low, high)
    return {
        "label": colouring.title,
        "low": low,
        "high": high,
        "log": colouring.log,
        "low_text": ("≤ " if beyond[0] else "") + texts[0],
        "high_text": ("≥ " if beyond[1] else "") + texts[1],
    }


def marker_size(n: int) -> float:
    """Diameter of a point in pixels: fewer galaxies, larger points.

    Examples
    --------
    >>> marker_size(100), marker_size(2000), marker_size(26_000), marker_size(1_000_000)
    (8.9, 6.7, 3.5, 2.0)
    """
    return float(np.clip(round(45 / max(n, 1) ** 0.25, 1) if n > 2000 else round(9 - 2.3 * n / 2000, 1), 2.0, 9.0))


def marks_message(
    group: str,
    n_galaxies: int,
    seen: int,
    open_row: int | None,
    places: dict[str, list[float]],
    selected: np.ndarray | None,
    extents: dict[str, list[float]],
    outlines: list[dict],
    history: tuple[bool, bool] | None = None,
    open_id: str = "",
) -> bytes:
    """What is marked on the maps: the open galaxy and the selection, a bit for each galaxy.

    ``history`` says whether there is something to undo and to redo; None where that is not offered at all. By
    ``open_id`` screen readers call the open galaxy.
    """
    bits = np.empty(0, dtype=np.uint8)
    if selected is not None:
        chosen = np.zeros(n_galaxies, dtype=bool)
        chosen[selected] = True
        bits = np.packbits(chosen, bitorder="little")
    opened = None if open_row is None else {"row": int(open_row), "id": open_id, "places": places}
    header = {"role": "marks", "group": group, "seen": seen, "open": opened, "extents": extents, "outlines": outlines}
    return pack(header | {"history": history}, bits=bits)
