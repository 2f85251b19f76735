"""What can be classified: files that are dropped in, a galaxy of the catalog, an example; and by which model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from galaxy_core import artifacts
from galaxy_core.errors import ImageError
from galaxy_core.image_limits import safe_name
from galaxy_core.images import decode_image
from galaxy_core.saved_images import stem_of
from pages.views import (
    card_image,
    denoise_files,
    denoise_sources,
    denoise_work,
    frame,
    morphology_work,
    page_address,
    readers,
    selection,
)
from pages.views.denoise_sources import CATALOG, EXAMPLE, UPLOAD
from pages.views.denoise_work import Item
from pages.views.morphology_work import PAGE, Model
from pages.views.readers import Galaxies

CHOICE_PX = 340
READINGS = {"cast": "As volunteers cast them", "debiased": "Debiased for distance", "challenge": "As in the challenge"}
READINGS_HELP = """Distance hides features: faint arms and bars look smooth. Galaxy Zoo 2 states votes as they were cast
and debiased, as if all galaxies were near. The table of the Kaggle challenge lies between: the mean of both."""
PARTS = {0.0: "Automatic", 1.0: "All of it", **{share / 100: f"Central {share} %" for share in range(80, 10, -10)}}
PART_HELP = """The model knows galaxies that fill a good part of their picture: where yours is small in the middle of a
wide one, take a smaller part. Automatic: all of it; of the 424 px images of Galaxy Zoo the central 256 px."""


@dataclass(frozen=True)
class Source:
    """One image to classify.

    Attributes
    ----------
    item : Item
    galaxy_id : str
        Of its row in the table.
    note : str
        Where the image is from, if that is to be known.
    place : tuple of str and int, or None
        Name of the catalog it is from, and its row there.
    """

    item: Item
    galaxy_id: str
    note: str = ""
    place: tuple[str, int] | None = None


def choose_model(root: Path) -> Model:
    """The model; a choice only where there are several. Raises `ModelError` where there is none."""
    names = morphology_work.model_names(root)
    name = names[0]
    if len(names) > 1:
        with st.sidebar:
            name = st.selectbox("Model", names, key="morphology-model", help="What tells the kind of a galaxy.")
    model = morphology_work.open_model(name, root)
    if not morphology_work.tells_both_forms(model):
        return model
    with st.sidebar:
        reading = st.selectbox(
            "Votes",
            list(READINGS),
            format_func=READINGS.get,
            key="morphology-votes",
            persist_state="session",
            help=READINGS_HELP,
        )
    return replace(model, reading=reading)


def choose_sources(root: Path) -> tuple[list[Source], float | None]:
    """What to classify, and which central part of it is looked at (None: as is usual)."""
    sources = [UPLOAD, CATALOG, EXAMPLE] if artifacts.list_catalogs(root) else [UPLOAD, EXAMPLE]
    follows = CATALOG in sources and page_address.open_address()  # an open galaxy goes along from page to page
    source = denoise_sources.choose_source(sources, CATALOG if follows else UPLOAD, "morphology-source")
    if source == UPLOAD:
        items = denoise_sources.uploads(PAGE)
        return _named(items), _choose_part() if items else None
    place = st.container(width=CHOICE_PX)
    return [catalog_galaxy(root, place) if source == CATALOG else example(place)], 1.0


def _choose_part() -> float | None:
    part = st.selectbox(
        "Part of the image that is looked at",
        list(PARTS),
        format_func=PARTS.get,
        key="morphology-part",
        persist_state="session",
        help=PART_HELP,
        width=CHOICE_PX,
    )
    return part or None


def _named(items: list[Item]) -> list[Source]:
    """Uploaded files; ids are the names of the files, numbered where two are alike."""
    taken: set[str] = set()
    stems = [stem_of(safe_name(item.name)) or "image" for item in items]
    return [Source(item, denoise_files.unused_name(stem, taken)) for item, stem in zip(items, stems, strict=True)]


def chosen_extension(source: Source) -> int | None:
    """The FITS extension that was chosen for a file; None for the first image."""
    known = _extensions().get(source.item.digest, ())
    hdu = st.session_state.get(f"morphology-hdu-{source.item.digest}")
    return None if not known or hdu == known[0][0] else hdu


def choose_extension(source: Source) -> None:
    """The choice of an extension, where the file that is looked at has several images."""
    known = _extensions().get(source.item.digest, ())
    if len(known) > 1:
        names = {index: f"{index} {name} · {' x '.join(map(str, shape[::-1]))}" for index, name, shape in known}
        st.selectbox(
            "FITS extension",
            list(names),
            format_func=names.get,
            key=f"morphology-hdu-{source.item.digest}",
            persist_state="session",
            width=CHOICE_PX,
        )


def remember_extensions(source: Source, extensions: tuple) -> None:
    """Keep what the choices above the image need to know of it; draw them again where that is news."""
    known, _extensions()[source.item.digest] = _extensions().get(source.item.digest, ()), extensions
    if known != extensions:
        st.rerun()


def _extensions() -> dict[str, tuple]:
    return st.session_state.setdefault("morphology-extensions", {})


def catalog_galaxy(root: Path, place: DeltaGenerator) -> Source:
    """The open galaxy of a catalog, or another one, which is then the open one; chosen at ``place``."""
    galaxies = readers.open_catalog(root, frame.choose_catalog(root))
    selection.follow_address(galaxies)
    key = f"morphology-galaxy-{galaxies.name}"
    row = selection.open_row(galaxies) or 0
    st.session_state[key] = galaxies.ids[row]
    if asked := selection.lost_galaxy(galaxies):
        st.warning(frame.plain(f"There is no galaxy “{asked}” in this catalog."), icon=":material/link_off:")
    place.selectbox("Galaxy", galaxies.ids, key=key, on_change=_open, args=(galaxies, key))
    pixels, note = galaxy_pixels(galaxies, row)
    item = denoise_work.pixels_item(pixels, str(galaxies.ids[row]))
    return Source(item, str(galaxies.ids[row]), note, (galaxies.name, row))


def _open(galaxies: Galaxies, key: str) -> None:
    selection.open_galaxy(galaxies, galaxies.row_of[st.session_state[key]])


def galaxy_pixels(galaxies: Galaxies, row: int) -> tuple[np.ndarray, str]:
    """The galaxy's own image as models see it, or its stored thumbnail with a sentence that says so."""
    return _galaxy_pixels(galaxies.root, galaxies.name, galaxies.stamp, row, galaxies)


@st.cache_resource(max_entries=32, show_spinner="Reading the image …")
def _galaxy_pixels(root: Path, name: str, stamp: tuple, row: int, _galaxies: Galaxies) -> tuple[np.ndarray, str]:
    thumbnail = readers.thumbnails(_galaxies, [row])[0]
    original, problem = card_image.original_of(_galaxies, row, thumbnail)
    if original is not None:
        return original.display, ""
    if not thumbnail:
        raise ImageError(f"There is no picture of {_galaxies.ids[row]}; choose another galaxy. {problem}".strip())
    pixels = decode_image(thumbnail, str(_galaxies.ids[row])).pixels
    return pixels, f"{problem} Its stored thumbnail of {pixels.shape[1]} px is looked at instead."


def example(place: DeltaGenerator) -> Source:
    """A simulated galaxy; the choice is drawn at ``place``."""
    index = place.slider("Simulated galaxy", 1, 40, 8) - 1
    name = f"simulated-{index + 1}"
    return Source(denoise_work.pixels_item(denoise_sources.example_galaxy(index), name), name)
