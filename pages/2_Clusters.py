"""Two clusterings side by side on the map, the verdict on them, and one step away all numbers and every cluster."""

import streamlit as st

from pages.views import (
    agreement_panels,
    card,
    cluster_cards,
    frame,
    laboratory,
    links,
    map_events,
    page_address,
    presenting,
    readers,
    score_table,
    scores,
    selection,
    sweep_panels,
    verdict,
    words,
)
from pages.views import comparison_panels as panels
from pages.views.galaxy_map import component

MAPS, OPEN, MARKS, BELOW = "maps", "open", "marks", "below"
PANELS = {
    "cards": "Cluster by cluster",
    "silhouettes": "Silhouettes",
    "agreement": "Agreement",
    "scores": "All scores",
    "number": "How many clusters?",
    "laboratory": "Laboratory",
}


def show_galaxy(galaxies, row):
    """Open a galaxy: the strip and the rings on both maps are drawn again."""
    selection.open_galaxy(galaxies, row)
    st.rerun([OPEN, MARKS])


def on_events(galaxies, events):
    """After something was done on a map, what shows it."""
    map_events.handle(galaxies, events)
    st.rerun([OPEN, MARKS])


def on_select():
    """After galaxies were selected below the maps."""
    st.rerun([OPEN, MARKS, BELOW])


def on_change():
    """After something was begun or stopped below the maps."""
    st.rerun([BELOW])


def on_name():
    """After a cluster got another name, everything that calls it by it."""
    st.rerun([MAPS, OPEN, BELOW])


@st.fragment(key=MAPS)
def draw_maps(galaxies, projection, left, right):
    """A map of each clustering, with its main scores."""
    for side, clustering, column in zip(("left", "right"), (left, right), st.columns(2, gap="medium"), strict=True):
        with column, frame.panel():
            panels.draw_map(galaxies, projection, clustering, side)
            panels.draw_scores(galaxies, clustering, side)


@st.fragment(key=OPEN)
def draw_open(galaxies):
    """The open galaxy, in a strip that keeps its height."""
    panels.draw_open_galaxy(galaxies)


@st.fragment(key=MARKS)
def draw_marks(galaxies):
    """The open galaxy and the selection on both maps."""
    row, rows = selection.open_row(galaxies), selection.selected_rows(galaxies)
    drawn = selection.outlines_drawn(galaxies)
    component.draw_marks(galaxies, galaxies.name, row, rows, drawn, lambda events: on_events(galaxies, events))


@st.fragment(key="hover")
def draw_hover(galaxies):
    """The picture under the mouse."""
    component.draw_hover(galaxies, galaxies.name, lambda row: card.lines_under_mouse(galaxies, row))


@st.fragment(key="view")
def draw_view(galaxies):
    """Points and pictures of the part on the screen."""
    component.draw_view(galaxies, galaxies.name)


def draw_verdict(galaxies, left, right):
    """Three sentences on what the two clusterings are worth."""
    st.subheader("What it means", help=verdict.HELP)
    if head := verdict.overall(galaxies, left, right):
        st.markdown(f"**{head}**")
    for sentence in verdict.sentences(galaxies, left, right):
        st.markdown(f"- {sentence}")


@st.fragment(key=BELOW)
def draw_below(galaxies, left, right, projection):
    """What is one step away: the clusters, their silhouettes, agreement, every score, clustering anew."""
    panel = links.choose_panel(PANELS, "clusters-panel")
    with frame.panel():
        if panel == "cards":
            cluster_cards.draw_cards(galaxies, left, show_galaxy, on_name)
        elif panel == "silhouettes":
            for side, clustering, column in zip(("left", "right"), (left, right), st.columns(2), strict=True):
                with column:
                    panels.draw_silhouettes(galaxies, clustering, side, on_select)
            panels.draw_below(galaxies, show_galaxy)
            st.caption(scores.STRICT_HELP)
        elif panel == "agreement":
            agreement_panels.draw_agreement(galaxies, left, right)
        elif panel == "scores":
            score_table.draw_table(galaxies)
        elif panel == "number":
            sweep_panels.draw_sweeps(galaxies)
        else:
            laboratory.draw_laboratory(galaxies, projection, on_change, on_select)


@st.fragment(key=BELOW)
def draw_laboratory(galaxies, projection):
    """The laboratory alone, where there is no clustering yet."""
    with frame.panel():
        laboratory.draw_laboratory(galaxies, projection, on_change, on_select)


def choose(galaxies, place, side, label):
    """A choice among the clusterings; the second choice begins with the second of them."""
    names = galaxies.clustering_names
    return place.selectbox(
        label,
        names,
        index=min(1, len(names) - 1) if side == "right" else 0,
        format_func=words.name_of,
        key=side,
        bind="query-params",
        help="A clustering groups galaxies whose embedding is alike, without looking at any class.",
    )


def draw_channels(galaxies):
    """What the maps talk to the server through."""
    with st.container(key="map-channels"):
        draw_marks(galaxies)
        draw_hover(galaxies)
        draw_view(galaxies)


def draw_page(galaxies):
    """Everything below the title."""
    maps = galaxies.projection_names
    component.forget_maps()
    if not galaxies.clustering_names:
        st.info("There is no clustering of this catalog yet: make one here and save it.", icon=":material/info:")
        draw_laboratory(galaxies, maps[0] if maps else None)
        draw_channels(galaxies)
        draw_open(galaxies)
        return
    clusterings, known = ({name: words.name_of(name) for name in names} for names in (galaxies.clustering_names, maps))
    for parameter in links.spell_address({"left": clusterings, "right": clusterings, "map": known}):
        what = "map" if parameter == "map" else "clustering"
        page_address.note(f"There is no {what} “{st.query_params[parameter]}” in this catalog.")
    with st.container(key="map-choices"):
        first, second, third = st.columns(3)
    left, right = choose(galaxies, first, "left", "One clustering"), choose(galaxies, second, "right", "and another")
    projection = None
    if maps:
        projection = third.selectbox("on the map", maps, format_func=words.name_of, key="map", bind="query-params")
    draw_maps(galaxies, projection, left, right)
    draw_channels(galaxies)
    meaning, strip = st.columns([3, 2], gap="medium")
    with meaning:
        draw_verdict(galaxies, left, right)
    with strip:
        draw_open(galaxies)
    draw_below(galaxies, left, right, projection)


artifacts_root = frame.open_page("Clusters")
catalog_name = frame.choose_catalog(artifacts_root)
presenting.draw_switch()
with frame.panel():
    loaded = readers.open_catalog(artifacts_root, catalog_name)
    frame.show_problems(loaded.problems)
    about_link = st.container()
    selection.follow_address(loaded)
    draw_page(loaded)
    for problem in page_address.link_problems():
        about_link.warning(frame.plain(problem), icon=":material/link_off:")
