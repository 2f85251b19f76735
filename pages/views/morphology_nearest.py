"""The galaxies of a catalog that look most like an image and whose kind is known, by the search that pages share."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from galaxy_core import artifacts
from galaxy_core.errors import ModelError
from galaxy_core.images import AstroImage
from galaxy_core.upload_search import nearest_galaxies, unusual_sentence
from pages.views import denoise_on_map, frame, page_address, readers, selection, upload_search, votes, words
from pages.views.gallery import gallery
from pages.views.morphology_sources import CHOICE_PX
from pages.views.morphology_words import class_words
from pages.views.readers import Galaxies

N_SHOWN = 12
MAP_PAGE = "pages/1_Galaxy_map.py"


def draw_nearest(root: Path, square: np.ndarray, name: str, place: tuple[str, int] | None) -> None:
    """The nearest labelled galaxies with their classes; a click opens one on the map.

    Parameters
    ----------
    square : ndarray of float16 or float32, shape (3, side, side)
        What was classified.
    place : tuple of str and int, or None
        Catalog and row of the galaxy itself, which is then left out.
    """
    names = artifacts.list_catalogs(root)
    if not names:
        return
    st.subheader("Nearest labelled galaxies", anchor=False, help=denoise_on_map.similarity_help())
    with frame.panel():
        if place is None:
            galaxies = denoise_on_map.choose_catalog(root, names, st.container(width=CHOICE_PX), "morphology-among")
        else:
            galaxies = readers.open_catalog(root, place[0])
        if not is_labelled(galaxies).any():
            st.caption(f"No galaxy of {frame.plain(galaxies.name)} has a class or votes.")
            return
        try:
            base = upload_search.search_base(galaxies)
        except ModelError as error:  # the rest of the page does not need it
            st.info(str(error), icon=":material/info:")
            return
        image = AstroImage(square.astype(np.float32), False, None, "PNG", name)
        match = upload_search.find_match(galaxies, base, image, None, 1.0)
        itself = place[1] if place else None
        rows, similarities = labelled_neighbors(readers.embedding(galaxies), match.embedding, galaxies, itself)
        labels = [label_of(galaxies, row) for row in rows]
        st.markdown(frame.plain(nearest_sentence(labels, galaxies.name)))
        captions = [f"{frame.plain(label)} {value:.3f}" for label, value in zip(labels, similarities, strict=True)]
        clicked = gallery(galaxies, rows, "morphology-near", captions)
        if place is None:
            st.caption(frame.plain(unusual_sentence(match, len(galaxies))))
        if clicked is not None:
            selection.open_galaxy(galaxies, clicked)
            st.session_state["catalog_before"] = galaxies.name
            st.session_state.pop("catalog", None)
            st.switch_page(MAP_PAGE, query_params={"catalog": galaxies.name} | page_address.open_address())


def is_labelled(galaxies: Galaxies) -> np.ndarray:
    """Which galaxies have a class or a vote; bool, shape (n,)."""
    if "labelled" not in galaxies.memory:
        catalog, known = galaxies.catalog, np.zeros(len(galaxies), dtype=bool)
        if "class" in catalog:
            known |= catalog["class"].notna().to_numpy()
        for column in galaxies.manifest.answer_columns:
            if column in catalog:
                known |= catalog[column].gt(0).to_numpy(dtype=bool, na_value=False)
        galaxies.memory["labelled"] = known
    return galaxies.memory["labelled"]


def labelled_neighbors(
    vectors: np.ndarray, vector: np.ndarray, galaxies: Galaxies, itself: int | None = None, k: int = N_SHOWN
) -> tuple[list[int], list[float]]:
    """Rows and cosine similarities of the ``k`` labelled galaxies nearest to a vector; fewer where there are fewer."""
    wanted = is_labelled(galaxies).copy()
    if itself is not None:
        wanted[itself] = False
    k, looked_at = min(k, int(wanted.sum())), k + 1
    while True:
        rows, similarities = nearest_galaxies(vector, vectors, looked_at)
        keep = np.flatnonzero(wanted[rows])[:k]
        if len(keep) == k or looked_at >= len(vectors):
            return rows[keep].tolist(), similarities[keep].tolist()
        looked_at *= 8  # where few have a label


def label_of(galaxies: Galaxies, row: int) -> str:
    """The class of a galaxy in words, or what most volunteers answered."""
    if "class" in galaxies.catalog and not pd.isna(name := galaxies.catalog["class"].iloc[row]):
        return class_words(str(name))
    told = votes.votes_of(galaxies, row)
    return votes.summary(told) or told.path[0].leading.text


def nearest_sentence(labels: list[str], name: str) -> str:
    """How many of the nearest have which label.

    Examples
    --------
    >>> nearest_sentence(["spiral", "edge-on", "spiral"], "gz2")
    'Of the 3 nearest labelled galaxies of gz2, 2 are “spiral” and 1 is “edge-on”.'
    >>> nearest_sentence([], "gz2"), nearest_sentence(["spiral"] * 2, "gz2")
    ('gz2 has no other labelled galaxy.', 'All 2 nearest labelled galaxies of gz2 are “spiral”.')
    """
    if not labels:
        return f"{name} has no other labelled galaxy."
    if len(set(labels)) == 1 < len(labels):
        return f"All {len(labels)} nearest labelled galaxies of {name} are “{labels[0]}”."
    parts = [f"{n} {'is' if n == 1 else 'are'} “{label}”" for label, n in Counter(labels).most_common()]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    nearest = words.count(len(labels), "nearest labelled galaxy", "nearest labelled galaxies")
    return f"Of the {nearest} of {name}, {listed}."
