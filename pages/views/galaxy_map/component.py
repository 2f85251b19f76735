"""The map in a page: drawing it, its marks, and answering what the browser asks.

A map is drawn once for a projection, colouring and filter. What changes often goes through three channels beside it,
each in a fragment of its own: the marks (open galaxy, selection) with the events that must not get lost, the picture
under the mouse, and the points and pictures of the part that is zoomed into. See ``data.js``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import streamlit as st

from galaxy_core import map_layers
from galaxy_core.artifacts.staging import fingerprint_of
from galaxy_core.errors import ArtifactError
from galaxy_core.map_layers import Extent
from pages.views import readers, words
from pages.views.colours import Colouring
from pages.views.galaxy_map import payload
from pages.views.galaxy_map.payload import MapLook
from pages.views.gallery import data_address
from pages.views.readers import Galaxies

FOLDER = Path(__file__).parent
SCRIPTS = ("data.js", "address.js", "draw.js", "map.js", "detail.js", "gestures.js", "tools.js")
MAX_PICTURES = 60
LINES_UNDER_MOUSE = 3


@cache
def scripts() -> str:
    """The browser's part, but for what talks to Streamlit."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)


@cache
def style() -> str:
    """Its style sheet."""
    return (FOLDER / "map.css").read_text(encoding="utf-8")


@cache
def _mount():
    script = scripts() + (FOLDER / "component.js").read_text(encoding="utf-8")
    return st.components.v2.component("galaxy_atlas_map", css=style(), js=script, isolate_styles=False)


def draw_map(
    galaxies: Galaxies, look: MapLook, colouring: Colouring, keep: np.ndarray | None, recipe: tuple, height: int = 640
) -> None:
    """Draw a map.

    Parameters
    ----------
    look : MapLook
    colouring : Colouring
    keep : bool array or None
        Galaxies that pass the filters.
    recipe : tuple
        What the colouring and the filters were made from: a map of the same recipe is not made again.
    height : int
        In pixels; style.css makes it less on a phone.
    """
    stamp = fingerprint_of(str(galaxies.root), galaxies.stamp, vars(look), recipe)[:16]
    message = _message(galaxies, look, colouring, keep, stamp)
    maps_shown()[look.map_id] = (look, colouring, keep, stamp)
    with st.container(key=f"map-box-{look.map_id}", height=height, border=False):
        _mount()(key=f"map-{look.map_id}", data=message, height="stretch")


@st.cache_resource(max_entries=32, show_spinner=False)
def _message(_galaxies: Galaxies, look: MapLook, _colouring: Colouring, _keep, stamp: str) -> bytes:
    layers = _galaxies.layers(look.projection) if _keep is None else None
    message = payload.layers_message(look, layers, _colouring, stamp) if layers else None
    return message or payload.map_message(look, *_galaxies.coordinates(look.projection), _colouring, _keep, stamp)


def maps_shown() -> dict[str, tuple[MapLook, Colouring, np.ndarray | None, str]]:
    """What each map of this visitor shows now: its look, colouring, filter and stamp."""
    return st.session_state.setdefault("maps_shown", {})


def forget_maps() -> None:
    """At the start of a page: which maps it has is not known yet."""
    st.session_state["maps_shown"] = {}


def draw_marks(
    galaxies: Galaxies,
    group: str,
    open_row: int | None,
    selected: np.ndarray | None,
    outlines: list[dict],
    on_events: Callable[[list[dict]], None],
    history: tuple[bool, bool] | None = None,
) -> None:
    """The channel of the marks, for the maps of a group.

    ``on_events`` is a callback that gets what was done since the last time, in order: dictionaries of a ``kind``,
    "open" with ``row``, "outline" with ``projection, mode, x, y`` and what the legend hid, ``map, stamp, hidden``,
    "key" with ``key``, "clear", "undo" or "redo", where ``history`` says that there is something to.
    """
    key, seen = f"channel-{group}-marks", st.session_state.setdefault("events_seen", {})
    projections = dict.fromkeys(look.projection for look, *_ in maps_shown().values() if look.group == group)
    places, extents = places_of(galaxies, projections, open_row, selected)

    def changed() -> None:
        events = [event for event in st.session_state[key]["events"] or [] if event["number"] > seen.get(group, 0)]
        if events:
            seen[group] = events[-1]["number"]
            on_events(events)

    about = (group, len(galaxies), seen.get(group, 0), open_row, places, selected, extents, outlines, history)
    marks = payload.marks_message(*about, "" if open_row is None else str(galaxies.ids[open_row]))
    _mount()(key=key, data=marks, on_events_change=changed)


def places_of(
    galaxies: Galaxies, projections: Iterable[str], open_row: int | None, selected: np.ndarray | None
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """For each map, where the open galaxy is, and the rectangle around the selection; neither where there is none."""
    places, extents = {}, {}
    for projection in projections:
        if projection not in galaxies.projection_names:
            continue
        if open_row is not None and np.isfinite(place := galaxies.place(projection, open_row)).all():
            places[projection] = list(place)
        if selected is None:
            continue
        x, y = galaxies.coordinates(projection)
        if np.isfinite(x[selected]).any():
            extents[projection] = list(vars(map_layers.extent_of(x[selected], y[selected])).values())
    return places, extents


def draw_hover(galaxies: Galaxies, group: str, facts_of: Callable[[int], list[str]]) -> None:
    """The channel that answers which galaxy is under the mouse, with its picture and up to three lines of facts."""
    key = f"channel-{group}-hover"
    header: dict = {"role": "hover", "group": group}
    asked = (st.session_state.get(key) or {}).get("events")
    row = int(asked[-1]["row"]) if asked else -1
    if 0 <= row < len(galaxies):
        header |= {"row": row, "id": str(galaxies.ids[row]), "lines": facts_of(row)[:LINES_UNDER_MOUSE]}
        header["src"] = _picture(galaxies, [row])[0]
    _mount()(key=key, data=payload.pack(header), on_events_change=lambda: None)


def draw_view(galaxies: Galaxies, group: str, on_address: Callable[[dict], None] = lambda parts: None) -> None:
    """The channel that answers what is in the part on the screen of each map: its points, and pictures at its peaks.

    ``on_address`` is called with what the browser put into the address: names to texts, empty for what it took out.
    """
    key = f"channel-{group}-view"
    views = {}
    for asked in (st.session_state.get(key) or {}).get("events") or ():
        look, *shown = maps_shown().get(asked.get("map"), (None, None))
        if look and shown[-1] == asked.get("stamp"):
            view = view_message(galaxies, group, asked, look.projection, *shown)
            views[f"view_{len(views)}"] = np.frombuffer(view, dtype=np.uint8)

    def changed() -> None:
        for asked in st.session_state[key]["events"] or ():
            if isinstance(parts := asked.get("address"), dict):
                on_address(parts)

    _mount()(key=key, data=payload.pack({"role": "view", "group": group}, **views), on_events_change=changed)


def view_message(
    galaxies: Galaxies, group: str, asked: dict, projection: str, colouring: Colouring, keep, stamp: str
) -> bytes:
    """Points and pictures of a part of a map."""
    shown, covers = Extent(*map(float, asked["extent"])), Extent(*map(float, asked["covers"]))
    header: dict = {"role": "view", "group": group, "id": asked["map"], "stamp": stamp, "pictures": [], "note": ""}
    header["covers"] = header["extent"] = list(vars(covers).values())
    header["number"] = asked.get("number")
    n_all = galaxies.n_on_map(projection) if keep is None else int((galaxies.is_on_map(projection) & keep).sum())
    rows, x, y, whole = part_of(galaxies, projection, covers, keep)
    points = {}
    if n_all > map_layers.MAX_POINTS and whole:
        order = map_layers.fair_sample(np.arange(len(rows)), None, len(rows), 0)
        codes, nothing = payload.paint_codes(colouring, rows[order]), len(payload.palette_of(colouring, True)) - 1
        points = payload.point_arrays(x[order], y[order], rows[order], codes, nothing, covers)
        header["note"] = f"all {words.count(int(shown.contains(x, y).sum()))} of this part are drawn"
    elif n_all > map_layers.MAX_POINTS:
        header["note"] = f"{words.count(n_all)} as density, a fair sample as points; zoom in to see every one"
        layers = galaxies.layers(projection) if keep is None else None
        if layers and (bins := layers.grid_of(covers)) > min(layers.grids):
            counts, drawn = layers.counts(covers, bins)
            header |= {"bins": list(counts.shape), "drawn": list(vars(drawn).values())}
            points = {"density": map_layers.brightness_of(counts).ravel()}
    if asked.get("pictures"):
        peaks = map_layers.pick_peaks(x, y, shown, float(asked["spacing"]), MAX_PICTURES)
        sources = _picture(galaxies, rows[peaks].tolist())
        header["pictures"] = [
            {"row": int(rows[k]), "id": str(galaxies.ids[rows[k]]), "x": float(x[k]), "y": float(y[k]), "src": source}
            for k, source in zip(peaks, sources, strict=True)
        ]
    return payload.pack(header, **points)


def part_of(
    galaxies: Galaxies, projection: str, part: Extent, keep: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Row, x and y of the galaxies in a part of a map; and whether they are few enough to draw, and all of them.

    Of too many those of the layers' sample are given, where there is one: pictures are chosen from these.
    """
    layers = galaxies.layers(projection)
    many = layers is not None and layers.least_within(part) > payload.MAX_DETAIL
    if many and keep is None:
        rows, x, y = (layers.sample[name] for name in ("row", "x", "y"))
    elif many:
        rows, (x, y) = np.arange(len(galaxies), dtype=np.int32), galaxies.coordinates(projection)
    else:
        rows, x, y = galaxies.around(projection, part)
    inside = np.flatnonzero(part.contains(x, y) & (True if keep is None else keep[rows]))
    whole = len(inside) <= payload.MAX_DETAIL and not (many and keep is None)
    return rows[inside], x[inside], y[inside], whole


def _picture(galaxies: Galaxies, rows: list[int]) -> list[str]:
    """Addresses of thumbnails; empty where there is none or it cannot be read, which the card says."""
    try:
        return [data_address(image) if image else "" for image in readers.thumbnails(galaxies, rows)]
    except ArtifactError:
        return [""] * len(rows)
