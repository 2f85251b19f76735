"""The choices above the map: which one, coloured by what, filtered how; and one map or two side by side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from galaxy_core import tags
from pages.views import filter_boxes, filters, frame, links, page_address, presenting, similarity_colour, tagged, words
from pages.views.colouring import TAGS, colour_by, colour_choices
from pages.views.colours import PALETTES, Colouring, with_scale
from pages.views.galaxy_map import component
from pages.views.galaxy_map.payload import MapLook
from pages.views.readers import Galaxies

HEIGHT = 640


def draw_maps(galaxies: Galaxies, on_change: Callable[[], None], on_look: Callable[[], None]) -> None:
    """One map or two that share colours, filters and selection.

    ``on_change`` is called in the callback of whatever changes which galaxies are shown or where, ``on_look`` in that
    of what changes their colours.
    """
    names, choices = galaxies.projection_names, colours_of(galaxies)
    _read_address(galaxies, choices)
    similarity_colour.take_switch()
    with st.container(key="map-choices"):
        first, colours, options, sieve = st.columns([3, 3.6, 2, 2.4], vertical_alignment="bottom")
    projection = first.selectbox(
        "Map",
        names,
        format_func=words.name_of,
        key="map",
        bind="query-params",
        on_change=on_change,
        help="How the embedding, a long list of numbers for each picture, is laid out on a plane.",
    )
    colour = colours.selectbox(
        "Colour",
        list(choices),
        format_func=choices.get,
        key="colour",
        bind="query-params",
        on_change=on_look,
        help="What the colours show: the catalog's class, clusters found without it, how similar each galaxy is to the"
        " open one, or any number of the catalog.",
    )
    by_similarity = colour == similarity_colour.KEY
    colouring = similarity_colour.colouring_of(galaxies) if by_similarity else colour_by(galaxies, colour)
    _note_hidden(galaxies, colouring)
    with options:
        scale, other = _draw_view_options(galaxies, colouring, projection, on_change, on_look)
    with sieve:
        filter_boxes.draw_filters(galaxies, on_change)
    colouring = with_scale(colouring, *scale)
    keep = filters.keep_of(galaxies)
    recipe = (colour, scale, colouring.names, filters.filters_of(galaxies), _tag_versions(galaxies, colour))
    shown = [projection, other] if other else [projection]
    height = presenting.height(HEIGHT if len(shown) == 1 else HEIGHT * 3 // 4)
    component.forget_maps()  # a second map that is gone would still be marked, and saved with the view
    for place, (name, column) in enumerate(zip(shown, st.columns(len(shown), gap="small"), strict=True)):
        with column:
            look = look_of(galaxies, name, colouring.title, keep, f"map-{place}")
            component.draw_map(galaxies, look, colouring, keep, recipe, height)
            missing = len(galaxies) - galaxies.n_on_map(name)
            st.caption(words.MAP_HELP.get(name, "") + (f" {words.count(missing)} not on this map." if missing else ""))
    if by_similarity:
        st.caption(similarity_colour.sentence(galaxies))


def colours_of(galaxies: Galaxies) -> dict[str, str]:
    """Keys and names of what the maps of this page can be coloured by: one of them follows the open galaxy."""
    choices = colour_choices(galaxies)
    first = [key for key in choices if key in ("class", "anomaly") or key.endswith("_label")]
    return {key: choices[key] for key in first} | similarity_colour.choice_of(galaxies) | choices


def look_of(galaxies: Galaxies, projection: str, colour: str, keep: np.ndarray | None, map_id: str) -> MapLook:
    """What a map is called, and what the picture of it says of where it comes from."""
    n_shown = galaxies.n_on_map(projection) if keep is None else int((galaxies.is_on_map(projection) & keep).sum())
    manifest = galaxies.manifest
    source = (
        f"{galaxies.name}, {words.count(len(galaxies))}; embedding {manifest.model}; made {manifest.created[:10]};"
        f" Galaxy Atlas"
    )
    return MapLook(
        map_id=map_id,
        group=galaxies.name,
        projection=projection,
        title=f"{words.name_of(projection)} by {colour}, {words.count(n_shown)}",  # what may be cut off comes last
        axis="" if projection in words.ARBITRARY_AXES else words.name_of(projection),
        source=source,
        file=f"{galaxies.name}-{projection}",
        dark=frame.is_dark(),
        strong=presenting.is_on(),
        home=tuple(manifest.projections.get(projection, {}).get("home", ())),
    )


def _draw_view_options(
    galaxies: Galaxies, colouring: Colouring, projection: str, on_change, on_look
) -> tuple[tuple, str | None]:
    """How numbers become colours, and whether there is a second map."""
    with st.popover("View", icon=":material/tune:", width="stretch"):
        names = [name for name in galaxies.projection_names if name != projection]
        other = st.selectbox(
            "Second map",
            names,
            index=None,
            format_func=words.name_of,
            key="second",
            bind="query-params",
            on_change=on_change,
            placeholder="none",
            help="Two projections side by side: the same colours, filters, selection and open galaxy on both.",
        )
        numbers = colouring.values is not None
        common = {"bind": "query-params", "disabled": not numbers, "on_change": on_look}
        log = st.toggle("Logarithmic colours", key="log", **common)
        whole = st.toggle(
            "Colours over the whole range",
            key="range",
            help="Off: the colours end at the 1st and 99th percentile, so that outliers do not flatten the rest.",
            **common,
        )
        palette = st.selectbox("Palette of numbers", PALETTES, key="palette", **common)
    return (log, whole, palette), other


def _tag_versions(galaxies: Galaxies, colour: str) -> dict[str, int]:
    """Changes whenever anyone tags, where the map shows tags."""
    uses_tags = colour == TAGS or TAGS in filters.filters_of(galaxies)
    return tags.tag_versions(tagged.path_of(galaxies)) if uses_tags else {}


def _read_address(galaxies: Galaxies, choices: dict[str, str]) -> None:
    """Say which map or column a link asks for that is not here; the rest is shown."""
    maps = {name: words.name_of(name) for name in galaxies.projection_names}
    known = {"map": maps, "second": maps, "colour": choices, "palette": dict(zip(PALETTES, PALETTES, strict=True))}
    for parameter in links.spell_address(known):
        what = {"colour": "column to colour by", "palette": "palette"}.get(parameter, "map")
        page_address.note(f"There is no {what} “{st.query_params[parameter]}” in this catalog.")


def _note_hidden(galaxies: Galaxies, colouring: Colouring) -> None:
    """When a map is first drawn, say where a link hides groups that are not here any more."""
    seen, asked = st.session_state.setdefault("hidden_seen", set()), st.query_params.get("hidden")
    is_known = asked and (asked.endswith(f"_{colouring.mark}") or set(asked.split("-")) <= {*colouring.marks})
    if asked and not is_known and galaxies.name not in seen:
        page_address.note(
            "Groups that this link hides are not here any more, or were made again: all of these are shown."
        )
    seen.add(galaxies.name)
