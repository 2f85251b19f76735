"""A view in one HTML file that needs no network: maps, the open galaxy, the selection, and where all of it comes from.

The maps are drawn by the same script as in the app. What the script asks the server for there, view_file.js answers
from what the file holds. The file's own policy forbids it to load anything and to run any script but this one, whatever
ids and names a catalog may hold.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import streamlit as st

from galaxy_core import exports, map_layers
from pages.views import cluster_labels, filters, frame, page_address, selection, words
from pages.views import view_file_parts as parts
from pages.views.colours import Colouring
from pages.views.downloads import download_button
from pages.views.galaxy_map import component, payload
from pages.views.galaxy_map.payload import MapLook
from pages.views.readers import Galaxies

FOLDER = Path(__file__).parent
ALL_PICTURES = 2_000  # a catalog of so many galaxies goes into the file with every picture, 5 MB
PEAKS = 60  # pictures for the densest places of a map
PEAKS_ACROSS = 14  # of them side by side


@dataclass(frozen=True)
class View:
    """What a visitor sees.

    Attributes
    ----------
    looks : tuple of MapLook
        The maps, none to two; all with the colouring, in the theme of the first.
    colouring : Colouring or None
    keep : bool array, shape (n,), or None
        Galaxies that pass the filters.
    selected : int32 array or None
    how, filters : str
        How the selection was made, and what the filters are, in words.
    outlines : list of dict
        Of the selection, as `selection.outlines_drawn` gives them.
    open_row : int or None
    link : dict of str to str
        The parameters of the address that shows the same in the app.
    dark : bool
    """

    looks: tuple[MapLook, ...] = ()
    colouring: Colouring | None = None
    keep: np.ndarray | None = None
    selected: np.ndarray | None = None
    how: str = ""
    filters: str = ""
    outlines: list[dict] = field(default_factory=list)
    open_row: int | None = None
    link: dict[str, str] = field(default_factory=dict)
    dark: bool = True


def view_of(galaxies: Galaxies) -> View:
    """What this visitor sees now on the page of the map."""
    maps = [shown for shown in component.maps_shown().values() if shown[0].group == galaxies.name]
    _, colouring, keep, _ = maps[0] if maps else (None, None, None, "")
    return View(
        looks=tuple(look for look, *_ in maps),
        colouring=colouring,
        keep=keep,
        selected=selection.selected_rows(galaxies),
        how=selection.describe(galaxies),
        filters=filters.describe(galaxies),
        outlines=selection.outlines_drawn(galaxies),
        open_row=selection.open_row(galaxies),
        link={"catalog": galaxies.name, **st.query_params.to_dict()},
        dark=frame.is_dark(),
    )


def draw_download(galaxies: Galaxies, label: str = "This view as one HTML file") -> None:
    """The button that saves the view; the file is made when somebody clicks.

    It saves what was seen when the button was drawn, so it belongs into a fragment that is drawn again after any change
    of the maps, the selection or the open galaxy; but the part of the maps on the screen is that of the click.
    """
    download_button(
        label,
        maker(galaxies, view_of(galaxies), page_address.left()),
        f"{galaxies.name}-view.html",
        "text/html",
        icon=":material/html:",
        key="export-view",
        width="stretch",
        help="Maps, open galaxy, selection with its pictures, and provenance; opens in any browser without a network.",
    )


def maker(galaxies: Galaxies, view: View, address: Mapping[str, str | None] | None = None) -> Callable[[], bytes]:
    """A function that makes the file, outside of any page.

    ``address`` is kept up to date: what is on the screen of a map, and hidden there, changes without a run of the page.
    """

    def make() -> bytes:
        now = {name: (address or view.link).get(name) for name in page_address.OF_VIEW}
        link = {name: value for name, value in (view.link | now).items() if value}
        return make_view_file(galaxies, replace(view, link=link))

    return make


def make_view_file(galaxies: Galaxies, view: View) -> bytes:
    """The file.

    Parameters
    ----------
    view : View
        See `view_of`.

    Returns
    -------
    bytes
        UTF-8. Up to `map_layers.MAX_POINTS` galaxies each is a point with its facts; of more, the density of all and
        a fair sample of points, which the file says.
    """
    messages = [
        payload.map_message(look, *galaxies.coordinates(look.projection), view.colouring, view.keep, f"file-{place}")
        for place, look in enumerate(view.looks)
    ]
    headers = [payload.unpack(message) for message in messages]
    shown = parts.gallery_rows(galaxies, view.selected)
    near = parts.neighbors_of(galaxies, view.open_row)
    opened = [] if view.open_row is None else [view.open_row]
    drawn = [np.asarray(header["row"], dtype=np.int64) for header in headers]
    peaks = _peaks(galaxies, view, drawn)
    everyone = range(len(galaxies)) if len(galaxies) <= ALL_PICTURES else ()
    pictures = parts.pictures_of(galaxies, [*shown[0].tolist(), *opened, *near, *peaks, *everyone])
    rows = np.unique(np.concatenate([*drawn, shown[0], opened, near, peaks]).astype(np.int64))
    facts, arrays = parts.facts_of(galaxies, rows, view.colouring)
    in_gallery = {*shown[0].tolist(), *near}
    holds = {
        "total": len(galaxies),
        "open": view.open_row,
        "address": urlencode(view.link),
        "file": f"{galaxies.name}-outlined.csv",
        "sampled": _sampled_sentence(headers),
        "pictures": {str(row): source for row, source in pictures.items() if row not in in_gallery},
        "more": parts.more_facts(galaxies, shown[0].tolist()),
    }
    blocks = {f"atlas-map-{place}": message for place, message in enumerate(messages)}
    blocks |= {"atlas-facts": payload.pack(facts, **arrays), "atlas-marks": _marks(galaxies, view)}
    sections = {
        "CARD": parts.card_html(galaxies, view.open_row, pictures),
        "SELECTION": parts.selection_html(galaxies, view.selected, view.how, shown, pictures),
        "PROVENANCE": provenance_html(galaxies, view),
        "NOTE": f'<p class="quiet">{html.escape(holds["sampled"])}</p>' if holds["sampled"] else "",
    }
    return _page(galaxies, view, sections, holds, blocks).encode("utf-8", "xmlcharrefreplace")


def _marks(galaxies: Galaxies, view: View) -> bytes:
    projections = dict.fromkeys(look.projection for look in view.looks)
    places, extents = component.places_of(galaxies, projections, view.open_row, view.selected)
    group = view.looks[0].group if view.looks else galaxies.name
    return payload.marks_message(group, len(galaxies), 0, view.open_row, places, view.selected, extents, view.outlines)


def _peaks(galaxies: Galaxies, view: View, drawn: list[np.ndarray]) -> list[int]:
    """Galaxies at the densest places of the maps, of those that are points on them, for the pictures in them."""
    found: list[int] = []
    for look, rows in zip(view.looks, drawn, strict=True):
        x, y = galaxies.coordinates(look.projection)
        extent = map_layers.extent_of(x, y)
        spacing = max(extent.x1 - extent.x0, extent.y1 - extent.y0) / PEAKS_ACROSS
        found += map_layers.pick_peaks(x, y, extent, spacing, PEAKS, rows).tolist()
    return found


def _sampled_sentence(headers: list[dict]) -> str:
    sampled = [header for header in headers if header["sampled"]]
    if not sampled:
        return ""
    n_points, total = len(sampled[0]["row"]), sampled[0]["total"]
    return (
        f"This file draws {words.count(total)} as density and {n_points:,} of them, of every group some, as points."
        " Selecting others than the saved ones needs the app."
    )


def provenance_html(galaxies: Galaxies, view: View) -> str:
    """Where the view comes from: catalog, model, checksum, how it was selected, filtered and drawn, and the link."""
    n_selected = 0 if view.selected is None else len(view.selected)
    names = cluster_labels.named_clusters(galaxies)
    known = exports.provenance(galaxies.root, galaxies.manifest, n_selected, view.how, cluster_names=names)
    known |= {
        "maps": ", ".join(words.name_of(look.projection) for look in view.looks),
        "colour": view.colouring.title if view.colouring else "",
        "filters": view.filters or "none",
        "catalog_made": galaxies.manifest.created,
        "link": f"Galaxy_map?{urlencode(view.link)}" if view.link else "",
    }
    facts = {key.replace("_", " "): str(value) for key, value in known.items() if value != ""}
    items = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd></div>" for name, text in facts.items()
    )
    return f'<dl class="facts">{items}</dl>'


@cache
def script() -> str:
    """The script of the file: that of the maps, and the answers to it."""
    own = (FOLDER / "view_file.js").read_text(encoding="utf-8")
    return f'(() => {{\n"use strict";\n{component.scripts()}\n{own}}})();'


@cache
def style() -> str:
    """The style sheets of the app's parts, of the maps, and of the page around them."""
    app = (FOLDER / "style.css").read_text(encoding="utf-8")
    return "\n".join([app, component.style(), (FOLDER / "view_file.css").read_text(encoding="utf-8")])


def _page(galaxies: Galaxies, view: View, sections: dict[str, str], holds: dict, blocks: dict[str, bytes]) -> str:
    title = view.looks[0].title if view.looks else words.count(len(galaxies))
    digest = base64.b64encode(hashlib.sha256(script().encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    maps = "".join(
        f'<div class="map-place" data-message="atlas-map-{place}"></div>' for place in range(len(view.looks))
    )
    # no text of the catalog can end a script element: base64 has no "<", and in JSON it is written as a number
    data = "".join(
        f'<script type="text/plain" id="{name}">{base64.b64encode(block).decode("ascii")}</script>\n'
        for name, block in blocks.items()
    )
    text = json.dumps(holds, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return f"""<!doctype html>
<html lang="en" data-theme="{"dark" if view.dark else "light"}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{html.escape(galaxies.name)}: {html.escape(title)} · Galaxy Atlas</title>
<style>{style()}</style>
</head>
<body>
<h1>{html.escape(galaxies.name)}</h1>
{sections["NOTE"]}
<main class="view"><div class="maps">{maps}</div><article id="card">{sections["CARD"]}</article></main>
<section id="selection">
<h2>Selection</h2>
<div id="selection-saved">{sections["SELECTION"]}</div>
<div id="selection-here" hidden>
<p><b id="chosen-count"></b></p><p class="quiet" id="chosen-note"></p>
<div class="actions"><button type="button" id="back-to-saved">Back to the saved selection</button>
<button type="button" id="save-ids">Ids as CSV</button></div>
<div class="picture-grid" id="chosen"></div>
</div>
</section>
<section id="provenance">
<h2>Where this comes from</h2>
{sections["PROVENANCE"]}
</section>
<script type="application/json" id="atlas-view">{text}</script>
{data}<script>{script()}</script>
</body>
</html>
"""
