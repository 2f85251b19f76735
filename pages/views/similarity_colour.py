"""A colour of the map that follows the open galaxy: how similar every other one is to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st

from galaxy_core.similarity import similarities_to
from pages.views import frame, most_like, readers, selection
from pages.views.colours import Colouring
from pages.views.readers import Galaxies

KEY, NAME = "like:open", "Similarity to the open galaxy"  # no column is called so, as one may be "similarity"


def choice_of(galaxies: Galaxies) -> dict[str, str]:
    """Its key and name among what a map can be coloured by; none where there is no embedding to compare in."""
    return {KEY: NAME} if most_like.has_embedding(galaxies) else {}


def is_shown() -> bool:
    """Whether the visitor's maps have this colour, so that another open galaxy changes them."""
    return st.session_state.get("colour") == KEY


def colouring_of(galaxies: Galaxies) -> Colouring:
    """Every galaxy by its similarity to the open one, the same number that ``more like this`` orders by."""
    row = selection.open_row(galaxies)
    if row is None:
        nothing = np.full(len(galaxies), np.nan, dtype=np.float32)
        return Colouring("similarity to the open galaxy", values=nothing, nothing="no galaxy is open")
    title = f"cosine similarity to {galaxies.ids[row]}"
    values = _similarities(galaxies.root, galaxies.name, galaxies.stamp, row, galaxies)
    return Colouring(title, values=values, nothing="no direction in the embedding", whole_range=True)


@st.cache_resource(max_entries=4, show_spinner="Comparing all galaxies …")
def _similarities(root: Path, name: str, stamp: tuple, row: int, _galaxies: Galaxies) -> np.ndarray:
    vectors = readers.vectors(_galaxies)
    return similarities_to(vectors, np.asarray(vectors[np.array([row])])[0]).astype(np.float32)


def draw_switch() -> None:
    """On the card of the open galaxy: a button that gives the maps this colour, where they have another."""
    if not is_shown():
        st.button(
            "Colour the map by similarity to it",
            icon=":material/palette:",
            key="colour-by-similarity",
            type="tertiary",
            on_click=_show,
        )


def _show() -> None:
    st.session_state["colour_asked"] = True
    st.rerun(["map", "card"])


def take_switch() -> None:
    """Before the choice of a colour is drawn: what the button asked for, which the browser learns in this run only."""
    if st.session_state.pop("colour_asked", False):
        st.session_state["colour"] = KEY


def sentence(galaxies: Galaxies) -> str:
    """What the colours are, in Markdown."""
    row = selection.open_row(galaxies)
    if row is None:
        return "Open a galaxy, by a click or by search: colours then show how similar each of the others is to it."
    return (
        f"Colours: cosine similarity to **{frame.plain(str(galaxies.ids[row]))}** in the embedding, what the model has"
        " learned to see in each picture: 1 for the same description, 0 for nothing in common. Places on the map play"
        " no part. Open another galaxy, and the colours follow."
    )
