"""Hundreds of pictures at once: the selected galaxies, ordered by what one wants to see first, a page at a time.

One component draws a whole page of pictures; a button of Streamlit for each would take seconds to appear.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from galaxy_core import artifacts
from galaxy_core.map_layers import MAX_POINTS
from pages.views import frame, most_like, readers, words
from pages.views.colouring import colour_by, colour_choices, shows_numbers
from pages.views.gallery import data_address
from pages.views.most_like import LIKE, has_embedding
from pages.views.readers import Galaxies

PER_PAGE = 120
BLOCK = 16_384  # galaxies whose vectors are looked at together
TYPICAL, AS_LISTED = "typical", "listed"
MOST, LEAST = "Highest first", "Lowest first"
OnOpen = Callable[[Galaxies, int], None]

_pictures = st.components.v2.component(
    "galaxy_pictures",
    js=Path(__file__).with_name("selection_gallery.js").read_text(encoding="utf-8"),
    isolate_styles=False,
)


def draw_gallery(galaxies: Galaxies, rows: np.ndarray, on_open: OnOpen) -> None:
    """Pictures of the selected galaxies with the choice of their order; clicking one opens it.

    Parameters
    ----------
    rows : int array, shape (n_selected,)
        At least one.
    on_open : callable
        Called with ``galaxies`` and the row that was clicked, before the page is drawn again.
    """
    choices = order_choices(galaxies)
    if st.session_state.get("pictures-order") not in choices:  # of another selection
        st.session_state.pop("pictures-order", None)
    digest = digest_of(rows)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.selectbox("Order", list(choices), format_func=choices.get, key="pictures-order", width=280)
        direction = st.segmented_control(
            "Direction",
            [MOST, LEAST],
            default=MOST,
            required=True,
            key="pictures-direction",
            label_visibility="collapsed",
            disabled=order == AS_LISTED,
        )
        ordered, values = ordered_rows(galaxies, rows, order, direction == MOST)
        n_pages = -(-len(ordered) // PER_PAGE)
        page = 1
        if n_pages > 1:
            page = st.pagination(n_pages, key=f"pictures-page-{digest}-{order}-{direction}")
    shown = slice((page - 1) * PER_PAGE, page * PER_PAGE)
    captions = captions_of(values, order, shown)
    where = where_of(shown.start, len(ordered[shown]), len(ordered))
    st.caption(f"{frame.plain(order_help(galaxies, order, choices))} {where}")
    pictures(galaxies, ordered[shown], captions, "selection", on_open)


def pictures(
    galaxies: Galaxies,
    rows: Sequence[int],
    captions: Sequence[str],
    key: str,
    on_open: OnOpen,
) -> None:
    """A grid of pictures, one for each row, each with a caption; clicking one, or Enter on it, opens the galaxy."""
    rows = [int(row) for row in rows]
    images = readers.thumbnails(galaxies, rows)
    items = [
        {"row": row, "id": str(galaxies.ids[row]), "caption": caption, "src": data_address(image) if image else ""}
        for row, image, caption in zip(rows, images, captions, strict=True)
    ]
    key = f"pictures-{key}"

    def opened() -> None:
        event = st.session_state[key].get("open")
        if event and 0 <= int(event["row"]) < len(galaxies):
            on_open(galaxies, int(event["row"]))

    _pictures(key=key, data={"items": items}, on_open_change=opened)


def order_choices(galaxies: Galaxies) -> dict[str, str]:
    """Keys and names of everything a gallery can be ordered by, the telling ones first."""
    choices = {TYPICAL: "Typical of the selection"} if has_embedding(galaxies) else {}
    if choices and (like := most_like.reference_of(galaxies)) is not None:
        choices = {f"{LIKE}{like}": f"Similar to {galaxies.ids[like]}"} | choices
    numbers = {key: name for key, name in colour_choices(galaxies).items() if shows_numbers(galaxies, key)}
    if "anomaly" in numbers:
        odd = {"anomaly": "Odd: the anomaly score"}
        # what is typical needs the whole embedding: not the first thing to wait for in a very large catalog
        choices = choices | odd if len(galaxies) <= MAX_POINTS else odd | choices
    return (
        choices | {key: name for key, name in numbers.items() if key not in choices} | {AS_LISTED: "As in the catalog"}
    )


def ordered_rows(galaxies: Galaxies, rows: np.ndarray, order: str, descending: bool) -> tuple[np.ndarray, np.ndarray]:
    """The rows in an order, and the value of each; galaxies without one come last.

    Returns
    -------
    rows : int array, shape (n_selected,)
    values : float64 array, shape (n_selected,)
    """
    return _ordered_rows(
        galaxies.root, galaxies.name, galaxies.stamp, digest_of(rows), order, descending, galaxies, rows
    )


@st.cache_resource(max_entries=16, show_spinner=False)
def _ordered_rows(root, name, stamp, digest, order, descending, _galaxies, _rows) -> tuple[np.ndarray, np.ndarray]:
    values = values_of(_galaxies, _rows, order)
    place = np.argsort(-values if descending else values, kind="stable")  # what is not a number stays at the end
    return _rows[place], values[place]


def values_of(galaxies: Galaxies, rows: np.ndarray, order: str) -> np.ndarray:
    """What each of the rows is ordered by; float64, shape (n_selected,)."""
    if order == AS_LISTED:
        return np.full(len(rows), np.nan)
    if order.startswith(LIKE):
        return most_like.similarities_of(galaxies, int(order.removeprefix(LIKE)), rows)
    if order == TYPICAL:
        return typicality(readers.vectors(galaxies), rows)
    return np.asarray(colour_by(galaxies, order).values[rows], dtype=np.float64)


def typicality(embedding: np.ndarray | artifacts.StoredVectors, rows: np.ndarray) -> np.ndarray:
    """Cosine similarity of each of some galaxies to the mean direction of them all.

    Parameters
    ----------
    embedding : float32 array, shape (n, d), or what answers like one
    rows : int array, shape (n_selected,)

    Returns
    -------
    float64 array, shape (n_selected,)
        In [-1, 1]; NaN where a galaxy has no direction, and for all where the mean has none.

    Examples
    --------
    >>> typicality(np.array([[1.0, 0], [9, 9], [1, 1], [0, 2]]), np.array([0, 2, 3])).round(3).tolist()
    [0.707, 1.0, 0.707]
    """
    # In blocks: the vectors of a large selection are never copied as a whole.
    blocks = [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
    mean = sum(np.nansum(directions(embedding[block]), axis=0, dtype=np.float64) for block in blocks)
    length = np.linalg.norm(mean)
    if not length > 1e-9 * len(rows):
        return np.full(len(rows), np.nan)
    return np.concatenate([directions(embedding[block]) @ (mean / length) for block in blocks])


def directions(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length one, (n, d); NaN for those without a direction."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def digest_of(rows: np.ndarray) -> str:
    """A short name of a set of rows, by which what is derived from them is kept."""
    return hashlib.blake2b(np.ascontiguousarray(rows).tobytes(), digest_size=8).hexdigest()


def captions_of(values: np.ndarray, order: str, shown: slice) -> list[str]:
    """What is written below the pictures shown, with as many digits as tell the values of the selection apart.

    Examples
    --------
    >>> captions_of(np.array([59000.517, 59001.2, np.nan]), "mjd", slice(0, 2))
    ['59,000.52', '59,001.20']
    """
    if order == AS_LISTED:
        return [""] * len(values[shown])
    if order == TYPICAL or order.startswith(LIKE):
        return [f"{value:.3f}" if np.isfinite(value) else words.number(value) for value in values[shown]]
    known = values[np.isfinite(values)]
    digits = words.digits_between(known.min(), known.max()) if len(known) else 3
    return [words.number(value, digits) for value in values[shown]]


def order_help(galaxies: Galaxies, order: str, choices: dict[str, str]) -> str:
    """What the numbers below the pictures are."""
    if order == AS_LISTED:
        return "In the order of the catalog."
    if order == TYPICAL:
        return "The number is the cosine similarity to the mean of the selection, in the embedding."
    if order.startswith(LIKE):
        return (
            f"The number is the cosine similarity to {galaxies.ids[int(order.removeprefix(LIKE))]}, in the embedding."
        )
    return f"The number is {colour_by(galaxies, order).title}."


def where_of(start: int, n: int, total: int) -> str:
    """Which part of the selection a page shows.

    Examples
    --------
    >>> where_of(120, 120, 1000), where_of(0, 7, 7)
    ('Galaxies 121 to 240 of 1,000.', 'All 7 galaxies.')
    """
    return f"Galaxies {start + 1:,} to {start + n:,} of {total:,}." if n < total else f"All {words.count(total)}."
