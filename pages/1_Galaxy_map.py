"""The map of all galaxies: click one to see it, outline some to compare them with the rest."""

import numpy as np
import streamlit as st

from pages.views import card, figures, frame, readers, region, selection, words
from pages.views.colouring import colour_by, colour_choices
from pages.views.gallery import gallery

FRAGMENTS = ["card", "map"]


def show_galaxy(galaxies, row):
    """Open a galaxy: only the card and the ring on the map are drawn again."""
    selection.open_galaxy(galaxies, row)
    st.rerun(FRAGMENTS)


def on_map_event(galaxies, projection, key):
    """A click opens a galaxy; an outline selects all galaxies inside."""
    event = st.session_state[key]
    row = selection.clicked_row(event)
    if row is not None:
        show_galaxy(galaxies, row)
    rows = selection.outlined_rows(event, *galaxies.coordinates(projection))
    if rows is not None:
        selection.select_rows(galaxies, rows)
        st.rerun(["map", "region"])


@st.fragment(key="map")
def draw_map(galaxies):
    """The map and what it shows."""
    if not galaxies.projection_names:
        st.info("There is no map of this catalog.", icon=":material/map:")
        return
    choices = colour_choices(galaxies)
    left, right = st.columns(2)
    projection = left.selectbox(
        "Map",
        galaxies.projection_names,
        format_func=words.name_of,
        key="map",
        bind="query-params",
        help="How the embedding, a long list of numbers for each picture, is laid out on a plane.",
    )
    colour = right.selectbox(
        "Colour",
        list(choices),
        format_func=choices.get,
        key="colour",
        bind="query-params",
        help="What the colours show: the catalog's class, clusters found without it, or any number of the catalog.",
    )
    colouring = colour_by(galaxies, colour)
    x, y = galaxies.coordinates(projection)
    n_shown = int((np.isfinite(x) & np.isfinite(y)).sum())
    key = f"chart-{galaxies.name}-{projection}-{st.session_state.get('n_cleared', 0)}"
    figure = figures.map_figure(
        x,
        y,
        colouring,
        frame.is_dark(),
        title=f"{words.name_of(projection)} of {words.count(n_shown)}, by {colouring.title}",
        axis_name="" if projection in words.ARBITRARY_AXES else words.name_of(projection),
        ids=galaxies.ids,
        open_row=selection.open_row(galaxies),
        selected=selection.selected_rows(galaxies),
        revision=key,
    )
    with st.container(key="map-box", height=640, border=False):  # style.css makes it less high on a phone
        st.plotly_chart(
            figure,
            height="stretch",
            key=key,
            on_select=lambda: on_map_event(galaxies, projection, key),
            selection_mode=("points", "box", "lasso"),
            config=figures.chart_config(f"{galaxies.name}-{projection}"),
            alt=f"Map of {words.count(n_shown)}, coloured by {colouring.title}",
        )
    missing = len(galaxies) - n_shown
    st.caption(words.MAP_HELP.get(projection, "") + (f" {words.count(missing)} not on this map." if missing else ""))


@st.fragment(key="card")
def draw_card(galaxies):
    """The open galaxy and its neighbours, and the search for another."""
    text = st.text_input("Find a galaxy", placeholder="id, or a part of it", key="find", icon=":material/search:")
    found = selection.find_galaxies(galaxies.ids, text) if text else []
    if text and not found:
        st.caption(f"No id of this catalog contains “{text}”.")
    if found:
        gallery(galaxies, [galaxies.row_of[i] for i in found[:8]], "found", [i[-12:] for i in found[:8]], show_galaxy)
    row = selection.open_row(galaxies)
    if row is None:
        asked = selection.lost_galaxy(galaxies)
        if asked:
            st.warning(f"There is no galaxy “{asked}” in this catalog.", icon=":material/link_off:")
        st.markdown("**Click any point of the map** to see the galaxy, or begin with one of these:")
        starters = np.random.default_rng(0).choice(len(galaxies), min(9, len(galaxies)), replace=False)
        with frame.panel():
            gallery(galaxies, starters.tolist(), "starters", on_open=show_galaxy)
        return
    card.draw_card(galaxies, row)
    card.draw_neighbors(galaxies, row, show_galaxy)
    card.draw_details(galaxies, row)


@st.fragment(key="region")
def draw_region(galaxies):
    """What lies inside the outline."""
    region.draw_region(galaxies, show_galaxy)


artifacts_root = frame.open_page("Galaxy map")
catalog_name = frame.choose_catalog(artifacts_root)
with frame.panel():
    loaded = readers.open_catalog(artifacts_root, catalog_name)
    frame.show_problems(loaded.problems)
    map_column, card_column = st.columns([2, 1], gap="medium")
    with map_column, frame.panel():
        draw_map(loaded)
    with card_column:
        draw_card(loaded)
    draw_region(loaded)
