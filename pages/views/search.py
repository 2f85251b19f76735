"""Search by id, by a part of an id, by a place on the sky, or by a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from galaxy_core.embedding import find_model
from galaxy_core.errors import ModelError, PositionError
from galaxy_core.sky import RADIUS_FORMS, SkyQuery, cone_search, parse_position, sexagesimal
from pages.views import frame, selection, words
from pages.views.readers import Galaxies
from pages.views.selection_gallery import pictures

N_SHOWN = 24
FILE_TYPES = ["png", "jpg", "jpeg", "tif", "tiff", "webp", "fits", "fit", "fts", "gz", "fz"]
BY_PICTURE = """The galaxies that look most like your own image: the model that embedded this catalog embeds it too. The
image is worked on here and kept nowhere. On the Denoise page noise can be taken out first, which finds more. FITS is
stretched by its own noise, and among pictures that a survey stretched otherwise it may not find even its own galaxy:
take the survey's picture there."""
ID_TAIL = 12
HOW = """A galaxy's **id**, or any part of it; or a **place on the sky**, ICRS, right ascension first:

- `150.119 2.2058` in degrees
- `10:00:28.6 +02:12:21` or `10h00m28.6s +02d12m21s`

A radius may follow, always with its unit: `30"`, `0.5'` or `0.02 deg`; without one it is 10 arcseconds."""


@dataclass(frozen=True)
class Found:
    """What a search has found.

    Attributes
    ----------
    rows : int array, shape (n_found,)
        The best first.
    sentence : str
        How many there are and of what, or why there are none.
    captions : tuple of str
        For the first `N_SHOWN`.
    """

    rows: np.ndarray
    sentence: str
    captions: tuple[str, ...] = ()


def draw_search(galaxies: Galaxies, on_open: Callable[[Galaxies, int], None]) -> None:
    """A box to type in, and pictures of what it finds; clicking one opens it.

    Parameters
    ----------
    on_open : callable
        Called with ``galaxies`` and the row of a picture that was clicked.
    """
    text = st.text_input(
        "Find galaxies",
        placeholder="id, part of it, or RA Dec radius",
        key="find",
        icon=":material/search:",
        help=HOW,
    ).strip()
    if not text:
        draw_picture_search(galaxies, on_open)
        return
    try:
        found = search(galaxies, text)
    except PositionError as error:
        st.warning(frame.plain(str(error)), icon=":material/explore:")
        return
    draw_found(galaxies, found, f"search “{text}”", on_open)


def draw_found(galaxies: Galaxies, found: Found, how: str, on_open: Callable[[Galaxies, int], None]) -> None:
    """What was found in a sentence and pictures, and a button that selects it, calling the selection ``how``."""
    st.caption(frame.plain(found.sentence))
    if len(found.rows):
        with frame.panel():
            pictures(galaxies, found.rows[:N_SHOWN].tolist(), found.captions, "found", on_open)
        st.button(
            f"Select all {len(found.rows):,} on the map" if len(found.rows) > 1 else "Select it on the map",
            key="select-found",
            icon=":material/select_all:",
            on_click=select_found,
            args=(galaxies, found.rows, how),
        )


def draw_picture_search(galaxies: Galaxies, on_open: Callable[[Galaxies, int], None]) -> None:
    """A place to drop an image, and the galaxies that look most like it; nothing where the model is not here."""
    try:
        find_model(galaxies.manifest.model, galaxies.root)
    except ModelError:
        return
    # not a popover, which would lie over what it finds
    with st.expander("Search by picture", icon=":material/image_search:", key="find-by-picture"):
        file = st.file_uploader(
            "An image of a galaxy", FILE_TYPES, key=f"find-picture-{galaxies.name}", help=BY_PICTURE
        )
        found = None
        if file is not None:
            with frame.panel():
                found = search_picture(galaxies, file.getvalue(), file.name)
    if found is not None:
        draw_found(galaxies, found, f"most like the picture “{file.name[:60]}”", on_open)


def search_picture(galaxies: Galaxies, data: bytes, name: str) -> Found:
    """The galaxies most like an image, after the choice of the part to compare and its view as the model saw it.

    Raises
    ------
    ImageError, ModelError, VectorError
        It is no image, or not one to compare; or the model does not fit the catalog.
    """
    # these bring PyTorch's neighbours along, which a search by text never needs
    from galaxy_core.images import encode_png
    from galaxy_core.upload_search import unusual_sentence
    from pages.views import upload_choice, upload_search
    from pages.views.model_view import figure_html

    image = upload_search.decoded(data, name)
    base = upload_search.search_base(galaxies)
    crop, fraction = upload_choice.choose_part(image, image, base, galaxies.manifest.layout, "find")
    match = upload_search.find_match(galaxies, base, image, crop, fraction)
    seen = figure_html("your picture", encode_png(match.seen), f"as the model saw it, {match.seen.shape[-1]} px")
    st.html(f'<div class="model-view">{seen}</div>')
    sentence = f"The {len(match.rows)} most like {image.name}, with their similarity. "
    captions = tuple(upload_search.similarity_captions(match))
    return Found(match.rows, sentence + unusual_sentence(match, len(galaxies)), captions)


def select_found(galaxies: Galaxies, rows: np.ndarray, how: str) -> None:
    """Make what was found the selection."""
    selection.select_rows(galaxies, np.sort(rows).astype(np.int32), how=how)
    st.rerun(["card", "below"])


def search(galaxies: Galaxies, text: str) -> Found:
    """Galaxies whose id contains the text; where there is none and it is a position, those near it.

    Raises
    ------
    PositionError
        It is written like a position, but no such place exists.
    """
    text = text.strip()
    rows = find_ids(galaxies, text)
    if len(rows):
        captions = tuple(tail_of(str(galaxies.ids[row])) for row in rows[:N_SHOWN])
        those = "id contains" if len(rows) == 1 else "ids contain"
        return Found(rows, f"{len(rows):,} {those} “{text}”{first_of(len(rows))}.", captions)
    query = parse_position(text)
    if query is None:
        return Found(
            rows,
            f"No id of this catalog contains “{text}”; nor is it a position, such as 150.119 2.2058, after which a"
            f" radius may follow as {RADIUS_FORMS}.",
        )
    return search_position(galaxies, query)


def search_position(galaxies: Galaxies, query: SkyQuery) -> Found:
    """Galaxies in a circle on the sky, the nearest first."""
    catalog, nothing = galaxies.catalog, np.zeros(0, dtype=np.int64)
    if "ra_deg" not in catalog or "dec_deg" not in catalog or not catalog["ra_deg"].notna().any():
        return Found(nothing, "This catalog has no coordinates, so it can be searched by id only.")
    ra, dec = (catalog[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in ("ra_deg", "dec_deg"))
    rows, separation = cone_search(ra, dec, query)
    where = f"within {words.number(query.radius_arcsec)}″ of {' '.join(sexagesimal(query.ra_deg, query.dec_deg))}"
    if len(rows) == 0:
        return Found(nothing, f"There is no galaxy {where}; a larger radius may follow the position: {RADIUS_FORMS}.")
    captions = tuple(f"{value:.2f}″" if value < 100 else f"{words.number(value)}″" for value in separation[:N_SHOWN])
    return Found(rows, f"{words.count(len(rows))} {where}, the nearest first{first_of(len(rows))}.", captions)


def find_ids(galaxies: Galaxies, text: str) -> np.ndarray:
    """Rows whose id contains the text, capitals or not: the exact one, then those that begin with it, then the others.

    Returns
    -------
    int64 array, shape (n_found,)
    """
    if not text:
        return np.zeros(0, dtype=np.int64)
    text = pc.utf8_lower(pa.scalar(text)).as_py()
    if galaxies.are_many:
        rows, matches = _search_file(galaxies, text)
    else:
        lowered = _lowered_ids(galaxies.root, galaxies.name, galaxies.stamp, galaxies)
        rows = np.flatnonzero(pc.match_substring(lowered, text).to_numpy(zero_copy_only=False))
        matches = lowered.take(pa.array(rows))
    begins = np.asarray(pc.starts_with(matches, text))
    exact = np.asarray(pc.equal(matches, text))
    return rows[np.argsort(-(begins.astype(np.int8) + exact), kind="stable")]


def _search_file(galaxies: Galaxies, text: str) -> tuple[np.ndarray, pa.ChunkedArray]:
    """Rows whose id contains the text, and these ids in small letters; the ids go by, they are not kept."""
    rows, matches = [], [pa.array([], pa.string())]
    for start, names in galaxies.catalog.stream("galaxy_id"):
        lowered = pc.utf8_lower(names)
        found = np.flatnonzero(pc.match_substring(lowered, text).to_numpy())
        if len(found):
            rows.append(start + found)
            matches += lowered.take(pa.array(found)).chunks
    return np.concatenate(rows) if rows else np.zeros(0, np.int64), pa.chunked_array(matches, pa.string())


@st.cache_resource(max_entries=4, show_spinner=False)
def _lowered_ids(root, name, stamp, _galaxies: Galaxies) -> pa.Array:
    return pc.utf8_lower(pa.array(_galaxies.ids, type=pa.large_string()))


def tail_of(galaxy_id: str) -> str:
    """The end of an id, where ids of one survey differ.

    Examples
    --------
    >>> tail_of("587722984435351614"), tail_of("gz-7")
    ('…984435351614', 'gz-7')
    """
    return galaxy_id if len(galaxy_id) <= ID_TAIL + 1 else f"…{galaxy_id[-ID_TAIL:]}"


def first_of(n: int) -> str:
    """Says so where not everything is shown."""
    return f"; the first {N_SHOWN} are shown" if n > N_SHOWN else ""
