"""What can be denoised: files that are dropped in, a galaxy of the catalog, an example; and noise put on it first."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from galaxy_core.added_noise import KINDS
from galaxy_core.errors import ImageError
from galaxy_core.images import decode_image
from pages.views import frame, readers, selection
from pages.views.denoise_work import Item, pixels_item, upload_item

UPLOAD, CATALOG, EXAMPLE = "Your images", "A galaxy of the catalog", "Example"
FILE_TYPES = ["png", "jpg", "jpeg", "tif", "tiff", "webp", "fits", "fit", "fts", "gz", "fz"]
LEVELS = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0]
NOISE_HELP = """To see how the denoiser copes: the image as it came is then the truth all is measured against.
Published: shot noise of the galaxy and of a sky of 150 counts, and Gaussian noise of 10, on 8-bit counts. Gaussian
only: as strong as that in blank sky, 15.8 counts. Correlated: the same, smoothed over neighbours as in a drizzled or
resampled frame: the denoiser leaves more of that, and its uncertainty is the wider. On a linear frame the noise is
Gaussian, in multiples of its own sky noise."""


def choose_source(sources: list[str], first: str, key: str, **options) -> str:
    """Where images come from, ``first`` where nothing else was chosen."""
    if st.session_state.get(key) not in sources:
        st.session_state[key] = first
    return st.segmented_control("Image", sources, required=True, key=key, label_visibility="collapsed", **options)


def offer_example(key: str) -> None:
    """Below an upload box that holds nothing: a button that leads to the example."""
    st.button(
        "None at hand? See an example",
        icon=":material/lightbulb:",
        on_click=st.session_state.update,
        args=({key: EXAMPLE},),
        type="tertiary",
    )


def uploads(page: str = "denoise") -> list[Item]:
    """Files that were dropped in on a page; they stay while other pages are visited."""
    upload, kept, shown = f"{page}-upload", f"{page}-kept", f"{page}-kept-shown"
    fresh = upload not in st.session_state  # this page was just opened: the widget has forgotten its files
    files = st.file_uploader(
        "PNG, JPEG, TIFF, WebP or FITS, one or many",
        FILE_TYPES,
        accept_multiple_files=True,
        key=upload,
        help="Each up to 200 MB and 64 megapixels. Files are worked on here and kept nowhere.",
    )
    if files or not (fresh or st.session_state.get(shown)):
        st.session_state[kept] = [_item(file) for file in files]
        st.session_state[shown] = False
    elif st.session_state.get(kept):
        st.session_state[shown] = True
        st.button("Put these files away", icon=":material/close:", on_click=_forget, args=(kept,), type="tertiary")
    if not st.session_state.get(kept):
        offer_example(f"{page}-source")
    return st.session_state.get(kept, [])


def _forget(kept: str) -> None:
    st.session_state[kept] = []


def _item(file) -> Item:
    """The item of an uploaded file; its bytes are hashed once."""
    digests = st.session_state.setdefault("denoise-digests", {})
    if file.file_id not in digests:
        digests[file.file_id] = hashlib.sha1(file.getbuffer()).hexdigest()
    return upload_item(digests[file.file_id], file.name, file.getvalue())


def catalog_galaxy(root: Path, place: DeltaGenerator) -> list[Item]:
    """The galaxy that is chosen, its stored picture; the choice is drawn at ``place``."""
    galaxies = readers.open_catalog(root, frame.choose_catalog(root))
    chosen = place.selectbox("Galaxy", galaxies.ids, index=selection.open_row(galaxies) or 0)
    picture = readers.thumbnails(galaxies, [galaxies.row_of[chosen]])[0]
    if not picture:
        raise ImageError(f"There is no picture of {chosen}; choose another galaxy.")
    return [pixels_item(decode_image(picture, chosen).pixels, f"{chosen}.png")]


@st.cache_data(max_entries=8, show_spinner=False)
def example_galaxy(index: int) -> np.ndarray:
    from galaxy_core.catalogs import read_catalog

    return read_catalog("synthetic:40").load_image(index)


def example(place: DeltaGenerator) -> list[Item]:
    """A simulated galaxy; the choice is drawn at ``place``."""
    index = place.slider("Simulated galaxy", 1, 40, 8) - 1
    return [pixels_item(example_galaxy(index), "example.png")]


def added_noise(source: str, place: DeltaGenerator, level_place: DeltaGenerator) -> tuple[str, float] | None:
    """Kind and level of the noise to add, None for none; clean images start with some."""
    kinds = {"": "None", **KINDS}
    kind = place.selectbox(
        "Noise added first",
        list(kinds),
        index=0 if source == UPLOAD else 1,
        format_func=kinds.get,
        key=f"denoise-add-{source}",
        persist_state="session",
        help=NOISE_HELP,
    )
    if not kind:
        return None
    level = level_place.select_slider(
        "Strength of that noise",
        LEVELS,
        1.0,
        format_func=lambda v: f"{v:g} x",
        key=f"denoise-level-{source}",
        persist_state="session",
    )
    return kind, level
