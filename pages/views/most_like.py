"""More like this: the galaxies most like one of a catalog as a selection, in order of their similarity to it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from galaxy_core import artifacts
from galaxy_core.errors import GalaxyError
from galaxy_core.similarity import similarities_to
from pages.views import frame, readers, selection, words
from pages.views.readers import Galaxies
from pages.views.selection_steps import like_step

LIKE = "like:"  # begins the order of a gallery by similarity to a galaxy, before its row
LEAST, USUAL, MOST = 12, 50, 5_000
NO_EMBEDDING = "More than these cannot be told: the files of this catalog's embedding are not here; embed it again."


def draw_more(galaxies: Galaxies, row: int) -> None:
    """How many of the most similar galaxies to select, and the button that does; a sentence where it cannot be."""
    if len(galaxies) < 2:
        return
    if not has_embedding(galaxies):
        st.caption(NO_EMBEDDING)
        return
    others = len(galaxies) - 1
    with st.container(horizontal=True, vertical_alignment="bottom", key="most-like"):
        n = st.number_input(
            "How many", min(LEAST, others), min(MOST, others), min(USUAL, others), key="most-like-n", width=140
        )
        st.button(
            f"Select the {n:,} most like it",
            key="select-most-like",
            icon=":material/select_all:",
            help="By the cosine similarity of the embeddings, all galaxies compared; the galaxy itself is not among"
            " them. Their pictures, differences and exports are then below the map.",
            on_click=lambda: select(galaxies, row, st.session_state["most-like-n"]),  # typed just now, maybe
        )
    kind, text = st.session_state.pop("most_like_said", ("", ""))
    if kind:
        (frame.show_problem if kind == "error" else st.caption)(text)


def select(galaxies: Galaxies, row: int, n: int) -> None:
    """Make the ``n`` galaxies most like one the selection, and show it in this order."""
    try:
        step, found = like_step(galaxies, str(galaxies.ids[row]), n, "new")
    except GalaxyError as error:  # a callback has no place to show it
        st.session_state["most_like_said"] = ("error", str(error))
        return
    selection.add_step(galaxies, step, found)
    passing = len(selection.selected_rows(galaxies))
    among = "" if passing == len(found) else f", of which {passing:,} pass the filters"
    text = f"{words.count(len(found))} selected{among}; their pictures and exports are below the map."
    st.session_state["most_like_said"] = ("done", text)
    for key, value in (
        ("panel", "selection"),
        ("selection-section", "Pictures"),
        ("pictures-order", f"{LIKE}{row}"),
        ("pictures-direction", "Highest first"),
    ):
        st.session_state[key] = value
    st.rerun(["card", "below"])


def reference_of(galaxies: Galaxies) -> int | None:
    """Row of the galaxy that the selection was made to be like; None where there is none, or more than one."""
    found = selection.selected(galaxies)
    return galaxies.row_of.get(found.like) if found and found.like is not None else None


def similarities_of(galaxies: Galaxies, reference: int, rows: np.ndarray) -> np.ndarray:
    """Cosine similarity of some galaxies to one, in the embedding; float64, shape (n_rows,)."""
    vectors = readers.vectors(galaxies)
    return similarities_to(vectors, vectors[np.array([reference])][0], rows)


def has_embedding(galaxies: Galaxies) -> bool:
    """Whether the files of the embedding are there; nothing is read, which takes seconds for a million galaxies."""
    prefix = f"embedding/{galaxies.manifest.model}/"
    if artifacts.address_of(galaxies.root) is not None:
        return any(path.startswith(prefix) for path in galaxies.manifest.files)
    folder = artifacts.catalog_folder(galaxies.root, galaxies.name)
    sizes = {
        folder / path: entry["bytes"] for path, entry in galaxies.manifest.files.items() if path.startswith(prefix)
    }
    return bool(sizes) and all(path.is_file() and path.stat().st_size == size for path, size in sizes.items())
