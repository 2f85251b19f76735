"""Two clusterings side by side: on the map, in numbers, galaxy by galaxy, and in plain sentences."""

import streamlit as st

from pages.views import card, frame, map_events, readers, scores, selection, words
from pages.views import comparison_panels as panels
from pages.views.galaxy_map import component

OPEN, MARKS = "open", "marks"


def show_galaxy(galaxies, row):
    """Open a galaxy: the strip at the top and the rings on both maps are drawn again."""
    selection.open_galaxy(galaxies, row)
    st.rerun([OPEN, MARKS])


def on_events(galaxies, events):
    """After something was done on a map, what shows it."""
    map_events.handle(galaxies, events)
    st.rerun([OPEN, MARKS])


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
    component.draw_hover(galaxies, galaxies.name, lambda row: list(card.main_facts(galaxies, row).values()))


@st.fragment(key="view")
def draw_view(galaxies):
    """Points and pictures of the part on the screen."""
    component.draw_view(galaxies, galaxies.name)


@st.fragment
def draw_examples(galaxies, clustering, side):
    """Pictures of one cluster after the other."""
    panels.draw_examples(galaxies, clustering, side, show_galaxy)


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


def draw_page(galaxies):
    """Everything below the title."""
    if not galaxies.clustering_names:
        st.info("There is no clustering of this catalog; `scripts/run_pipeline.py` makes two.", icon=":material/info:")
        return
    first, second, third = st.columns(3)
    pair = {"left": choose(galaxies, first, "left", "One clustering")}
    pair["right"] = choose(galaxies, second, "right", "and another")
    maps = galaxies.projection_names
    projection = None
    if maps:
        projection = third.selectbox("on the map", maps, format_func=words.name_of, key="map", bind="query-params")
    draw_open(galaxies)
    component.forget_maps()
    for side, column in zip(pair, st.columns(2, gap="medium"), strict=True):
        with column, frame.panel():
            panels.draw_map(galaxies, projection, pair[side], side)
            panels.draw_scores(galaxies, pair[side])
            panels.draw_silhouettes(galaxies, pair[side], side)
    with st.container(key="map-channels"):
        draw_marks(galaxies)
        draw_hover(galaxies)
        draw_view(galaxies)
    st.subheader("What it means")
    for sentence in scores.meaning_of_pair(galaxies, *pair.values()):
        st.markdown(f"- {sentence}")
    st.caption(scores.STRICT_HELP)
    st.subheader("Galaxies of each cluster")
    for side, column in zip(pair, st.columns(2, gap="medium"), strict=True):
        with column, frame.panel():
            draw_examples(galaxies, pair[side], side)


artifacts_root = frame.open_page("Clusters")
catalog_name = frame.choose_catalog(artifacts_root)
with frame.panel():
    loaded = readers.open_catalog(artifacts_root, catalog_name)
    frame.show_problems(loaded.problems)
    draw_page(loaded)
