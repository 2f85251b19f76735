"""Two clusterings side by side: on the map, in numbers, galaxy by galaxy, and in plain sentences."""

import streamlit as st

from pages.views import comparison_panels as panels
from pages.views import frame, readers, scores, selection, words

FRAGMENTS = ["open", "left", "right"]


def show_galaxy(galaxies, row):
    """Open a galaxy: the strip at the top and the rings on both maps are drawn again."""
    selection.open_galaxy(galaxies, row)
    st.rerun(FRAGMENTS)


@st.fragment(key="open")
def draw_open(galaxies):
    """The open galaxy, in a strip that keeps its height."""
    panels.draw_open_galaxy(galaxies)


@st.fragment(key="left")
def draw_left(galaxies, projection, clustering):
    """The first clustering on the map."""
    panels.draw_map(galaxies, projection, clustering, "left", show_galaxy)


@st.fragment(key="right")
def draw_right(galaxies, projection, clustering):
    """The second clustering on the map."""
    panels.draw_map(galaxies, projection, clustering, "right", show_galaxy)


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
    columns = dict(zip(pair, st.columns(2, gap="medium"), strict=True))
    for side, draw in (("left", draw_left), ("right", draw_right)):
        with columns[side], frame.panel():
            draw(galaxies, projection, pair[side])
            panels.draw_scores(galaxies, pair[side])
            panels.draw_silhouettes(galaxies, pair[side], side)
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
