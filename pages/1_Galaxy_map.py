"""The map of all galaxies: click one to see it, outline some to work with them, find the unusual, share the view."""

import streamlit as st

from pages.views import (
    about_map,
    card,
    filters,
    frame,
    links,
    map_choices,
    map_events,
    page_address,
    presenting,
    readers,
    region,
    search,
    selection,
    selection_history,
    similarity_colour,
    unusual,
    view_file,
)
from pages.views.galaxy_map import component

MAPS, CARD, BELOW = "map", "card", "below"
PANELS = {"selection": "Selection", "unusual": "The unusual", "about": "Can I trust this map?"}


def show_galaxy(galaxies, row):
    """Open a galaxy: the card and the ring on the maps are drawn again, and maps whose colours follow it."""
    selection.open_galaxy(galaxies, row)
    st.rerun([*coloured_by_galaxy(), CARD])


def coloured_by_galaxy():
    """The maps, where another open galaxy changes their colours."""
    return [MAPS] if similarity_colour.is_shown() else []


def on_events(galaxies, events):
    """After something was done on a map, what shows it; an opened galaxy needs no more than the card, drawn anyway."""
    changed = map_events.handle(galaxies, events)
    shown = {"galaxy": coloured_by_galaxy(), "selection": [BELOW], "filters": [MAPS, BELOW], "tags": [MAPS, BELOW]}
    if others := {name for what in changed for name in shown[what]}:
        st.rerun(sorted({CARD, *others}, reverse=True))  # maps before their marks


def redraw():
    """After another filter, the maps and everything that counts galaxies."""
    st.rerun([MAPS, CARD, BELOW])


def recolour():
    """After another way to colour the maps, they and what they are saved as."""
    st.rerun([MAPS, CARD])


def on_tag(galaxies):
    """After a galaxy or a selection was tagged, everything that shows tags or can be coloured by them."""
    st.rerun([MAPS, CARD, BELOW])


@st.fragment(key=MAPS)
def draw_maps(galaxies):
    """The choices above the map, and one map or two."""
    if not galaxies.projection_names:
        st.info("There is no map of this catalog.", icon=":material/map:")
        return
    map_choices.draw_maps(galaxies, redraw, recolour)


@st.fragment(key="hover")
def draw_hover(galaxies):
    """The picture under the mouse."""
    component.draw_hover(galaxies, galaxies.name, lambda row: card.lines_under_mouse(galaxies, row))


@st.fragment(key="view")
def draw_view(galaxies):
    """Points and pictures of the part on the screen."""
    component.draw_view(galaxies, galaxies.name, map_events.keep_in_address)


@st.fragment(key=CARD)
def draw_card(galaxies):
    """The open galaxy and its neighbours, the search for another, and the marks of both on the maps.

    The marks are here, and not in a fragment of their own, so that a click on a map draws the card at once.
    """
    row, rows = selection.open_row(galaxies), selection.selected_rows(galaxies)
    drawn = selection.outlines_drawn(galaxies)
    search.draw_search(galaxies, show_galaxy)
    if row is None:
        card.draw_invitation(galaxies, show_galaxy)
    else:
        card.draw_card(galaxies, row, on_tag)
        card.draw_neighbors(galaxies, row, show_galaxy)
        card.draw_details(galaxies, row)
    with st.container(key="map-marks"):
        history = selection_history.is_possible(galaxies)
        component.draw_marks(
            galaxies, galaxies.name, row, rows, drawn, lambda events: on_events(galaxies, events), history
        )
    if galaxies.projection_names:
        view_file.draw_download(galaxies)


@st.fragment(key=BELOW)
def draw_below(galaxies):
    """What is one step away: the selection, the unusual, how far to trust the map."""
    panel = links.choose_panel(PANELS, "panel")
    with frame.panel():
        if panel == "selection":
            region.draw_region(galaxies, show_galaxy, on_tag, redraw)
        elif panel == "unusual":
            unusual.draw_unusual(galaxies, show_galaxy)
        else:
            about_map.draw_about(galaxies)


artifacts_root = frame.open_page("Galaxy map")
catalog_name = frame.choose_catalog(artifacts_root)
presenting.draw_switch()
with frame.panel():
    loaded = readers.open_catalog(artifacts_root, catalog_name)
    frame.show_problems(loaded.problems)
    about_link = st.container()
    selection.follow_address(loaded)
    filters.write_link(loaded)
    selection.write_link(loaded)
    component.forget_maps()
    with st.container(key="map-page"):  # style.css: the map, the card beside it, the rest below the map
        with st.container(key="map-area"), frame.panel():
            draw_maps(loaded)
        with st.container(key="card-area"):
            draw_card(loaded)
        with st.container(key="below-area"):
            draw_below(loaded)
    with st.container(key="map-channels"):
        draw_hover(loaded)
        draw_view(loaded)
    for problem in page_address.link_problems():
        about_link.warning(frame.plain(problem), icon=":material/link_off:")
