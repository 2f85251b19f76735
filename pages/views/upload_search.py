"""Search by picture on the pages: what of a catalog is needed for it, read once, and results kept by content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import streamlit as st

from galaxy_core import map_placement, upload_search
from galaxy_core.detection import Sources
from galaxy_core.embedding import Embedder
from galaxy_core.errors import ArtifactError, ImageError, ModelError
from galaxy_core.images import AstroImage, decode_image, encode_png, fit_screen
from galaxy_core.map_placement import LINEAR_METHODS, Placement
from galaxy_core.stretch import to_display
from galaxy_core.upload_framing import Crop, Framing, as_seen, crop_around, default_crop, find_sources, measure_framing
from galaxy_core.upload_search import UploadMatch
from pages.views import loaded_models, readers, words
from pages.views.readers import Galaxies

N_FRAMED = 100  # stamps of the catalog whose framing is measured
N_CHECKED = 8  # of them are embedded again, to see that the model is still the one of the catalog
OVERVIEW_PX = 512
NO_PYTORCH = "The model cannot run without PyTorch: `pip install -r requirements.txt` installs it."
NO_SOURCE = "No source stands out of the noise in this picture, so the whole of it is compared."


@dataclass(frozen=True)
class SearchBase:
    """What a catalog is searched with: the model that embedded it, and how its stamps are framed."""

    model: Embedder = field(repr=False)
    framing: Framing | None


def search_base(galaxies: Galaxies) -> SearchBase:
    """What it takes to search a catalog by picture; raises `ModelError` where it cannot be."""
    folder, changed = loaded_models.model_files(galaxies.manifest.model, galaxies.root)
    try:
        return _search_base(galaxies.root, galaxies.name, galaxies.stamp, folder, changed, galaxies)
    except ImportError:
        raise ModelError(NO_PYTORCH) from None


@st.cache_resource(max_entries=4, show_spinner="Looking at how this catalog cuts its galaxies …")
def _search_base(root, name, stamp, folder: Path, changed: int, _galaxies: Galaxies) -> SearchBase:
    model = loaded_models.load_encoder(folder, changed)
    rows = np.unique(np.linspace(0, len(_galaxies) - 1, N_FRAMED).astype(int))
    stamps: dict[int, np.ndarray] = {}
    for row, picture in zip(rows.tolist(), readers.thumbnails(_galaxies, rows), strict=True):
        try:
            stamps[row] = decode_image(picture, "thumbnail").pixels
        except ImageError:
            continue
    checked = list(stamps)[:: max(1, len(stamps) // N_CHECKED)]
    upload_search.check_model(model, [stamps[row] for row in checked], readers.vectors(_galaxies)[checked])
    return SearchBase(model, measure_framing(stamps.values()))


def digest_of(image: AstroImage) -> str:
    """Name of an image by its content; hashed once for each array a visitor has, an upload and what was made of it."""
    known = st.session_state.get("upload-digests", [])
    for pixels, digest in known:
        if pixels is image.pixels:
            return digest
    digest = hashlib.blake2b(np.ascontiguousarray(image.pixels).tobytes(), digest_size=16).hexdigest()
    digest += "-linear" if image.linear else ""
    st.session_state["upload-digests"] = [(image.pixels, digest), *known[:1]]
    return digest


def decoded(data: bytes, name: str) -> AstroImage:
    """An uploaded file as an image; the same bytes are decoded once."""
    return _decoded(hashlib.blake2b(data, digest_size=16).hexdigest(), name, data)


@st.cache_resource(max_entries=4, show_spinner="Reading the image …")
def _decoded(digest: str, name: str, _data: bytes) -> AstroImage:
    return decode_image(_data, name)


@st.cache_resource(max_entries=16, show_spinner="Looking for sources …")
def sources_of(digest: str, _image: AstroImage) -> Sources:
    """Sources of an image of that digest, the central one first."""
    return find_sources(_image)


@st.cache_data(max_entries=16, show_spinner=False)
def overview_of(digest: str, _image: AstroImage) -> bytes:
    """PNG of the whole image, small, for choosing a source."""
    return encode_png(to_display(fit_screen(_image.pixels, OVERVIEW_PX), _image.linear))


@st.cache_resource(max_entries=32, show_spinner=False)
def default_cut(digest: str, framing: Framing | None, layout: str, _image: AstroImage, _sources: Sources):
    """See `galaxy_core.upload_framing.default_crop`; the digest is of the image and of where its sources were found."""
    return default_crop(_image, _sources, framing, layout)


@st.cache_resource(max_entries=64, show_spinner=False)
def cut_around(digest: str, place: int, side_in_radii: float, _image: AstroImage, _sources: Sources) -> Crop:
    """See `galaxy_core.upload_framing.crop_around`; the digest as of `default_cut`."""
    return crop_around(_image, _sources, place, side_in_radii)


def find_match(
    galaxies: Galaxies,
    base: SearchBase,
    image: AstroImage,
    crop: Crop | None,
    fraction: float,
    reference: AstroImage | None = None,
) -> UploadMatch:
    """The galaxies most like an image; the same pixels, seen alike, are embedded once.

    ``reference`` sets the stretch, see `galaxy_core.upload_framing.as_seen`.
    """
    seen, _ = as_seen(image, base.model.input_px, crop, fraction, reference)
    digest = hashlib.blake2b(seen.tobytes(), digest_size=16).hexdigest()
    where = (galaxies.root, galaxies.name, galaxies.stamp, base.model.fingerprint)
    return _match(*where, digest, crop, fraction, galaxies, base, image, reference)


@st.cache_resource(max_entries=128, show_spinner="Comparing with every galaxy …")
def _match(root, name, stamp, fingerprint, digest, crop, fraction, _galaxies, _base, _image, _reference) -> UploadMatch:
    try:
        usual = readers.neighbors(_galaxies)[1]
    except ArtifactError:
        usual = None  # then those of a sample are computed
    return upload_search.search_upload(
        _image,
        readers.embedding(_galaxies),
        _base.model,
        crop=crop,
        field_fraction=fraction,
        reference=_reference,
        neighbor_similarities=usual,
    )


def place_of(galaxies: Galaxies, projection: str, match: UploadMatch) -> Placement | None:
    """Where an upload lies on a map."""
    coordinates = np.stack(galaxies.coordinates(projection), axis=1)
    recorded = galaxies.manifest.projections.get(projection) or {}
    linear = None
    if recorded.get("method", projection.split("_")[0]) in LINEAR_METHODS:
        linear = _linear_map(galaxies.root, galaxies.name, galaxies.stamp, projection, galaxies, coordinates)
    return map_placement.place_on_map(match.embedding, match.rows, match.similarities, coordinates, linear)


@st.cache_resource(max_entries=8, show_spinner="Working out the map's formula …")
def _linear_map(root, name, stamp, projection: str, _galaxies: Galaxies, _coordinates: np.ndarray):
    return map_placement.fit_linear_map(readers.embedding(_galaxies), _coordinates)


def similarity_captions(match: UploadMatch) -> list[str]:
    """What is written below each of the nearest galaxies."""
    return [f"{value:.3f}" for value in match.similarities]


def framing_sentence(framing: Framing | None) -> str:
    """How the catalog's stamps are cut, and on what that was measured."""
    if framing is None:
        return "No source was found on this catalog's stamps, so how they are cut is not known."
    low, typical, high = (words.number(v, 2) for v in (framing.low, framing.typical, framing.high))
    return (
        f"This catalog's stamps are {typical} half-light radii wide (95 % of them {low} to {high}; measured on "
        f"{words.count(framing.n, 'stamp', 'stamps')})."
    )
