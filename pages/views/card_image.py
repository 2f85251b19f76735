"""The picture on the detail card: how it is stretched, and its scale.

A click shows the stored thumbnail. The galaxy's own image is read only for a stretch or for the model's view: the
catalog is then opened once for all visitors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from galaxy_core.errors import GalaxyError, ImageError
from galaxy_core.images import decode_image, encode_png, resize_square
from galaxy_core.originals import Original, Originals, find_original, open_originals, thumbnail_scale
from galaxy_core.stretch import brighten, stretch_display, stretch_image
from pages.views.gallery import CARD_PX, image_html
from pages.views.readers import Galaxies

STORED = "stored"
STRETCHES = {STORED: "as stored", "linear": "linear", "asinh": "asinh", "zscale": "ZScale", "lupton": "Lupton"}
CONTRASTS = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
LARGEST_PX = 300  # of the picture on the screen
STRETCH_HELP = """As stored: the thumbnail. The others are drawn from the galaxy's own image. Linear: sky to the 99.8th
percentile. asinh: linear near the sky, logarithmic above. ZScale: IRAF's limits. Lupton: asinh of the mean of three
bands, so that colours survive. A survey's 8-bit picture is stretched once more from the values it shows."""
MODEL_HELP = """The very pixels the embedding is made of, the same without the noise the model finds in them, and the
difference. It stays open from galaxy to galaxy."""


@dataclass(frozen=True)
class Stretch:
    """How the picture is shown: a key of `STRETCHES`, and the contrast, above 1 brighter."""

    method: str = STORED
    contrast: float = 1.0


@dataclass(frozen=True)
class Picture:
    """A picture to show: its file, its side in its own pixels, the catalog's pixels in each of them, and a remark."""

    data: bytes
    side_px: int
    pixels_each: float | None
    note: str = ""


def draw_controls() -> tuple[Stretch, bool]:
    """Choice of the stretch, and whether the model's view is wanted; both stay from galaxy to galaxy."""
    with st.container(horizontal=True, vertical_alignment="center", key="card-controls"):
        chosen = Stretch(st.session_state.get("card-stretch", STORED), st.session_state.get("card-contrast", 1.0))
        label = STRETCHES.get(chosen.method, "") + ("" if chosen.contrast == 1 else f", {chosen.contrast:g} x")
        with st.popover(f"Display: {label}", icon=":material/tune:", key="card-display"):
            method = st.radio(
                "Stretch",
                list(STRETCHES),
                format_func=STRETCHES.get,
                key="card-stretch",
                persist_state="session",
                horizontal=True,
                help=STRETCH_HELP,
            )
            contrast = st.select_slider(
                "Contrast",
                CONTRASTS,
                1.0,
                format_func=lambda value: f"{value:g} x",
                key="card-contrast",
                persist_state="session",
                help="What the value shown white is divided by: more is brighter.",
            )
        model = st.toggle("What the model saw", key="card-model", persist_state="session", help=MODEL_HELP)
    return Stretch(method, contrast), model


def original_of(galaxies: Galaxies, row: int, thumbnail: bytes) -> tuple[Original | None, str]:
    """The galaxy's own image, or one sentence on why there is none."""
    try:
        originals = _originals(galaxies.root, galaxies.name, galaxies.stamp, galaxies.manifest)
    except GalaxyError as error:
        return None, str(error)
    return find_original(originals, str(galaxies.ids[row]), thumbnail)


@st.cache_resource(max_entries=4, show_spinner="Opening the images …")
def _originals(root: Path, name: str, stamp: tuple, _manifest) -> Originals:
    return open_originals(_manifest)  # an error is not kept, so a source that is back is found


def picture_of(galaxies: Galaxies, row: int, thumbnail: bytes, stretch: Stretch) -> Picture | None:
    """The picture to show; None where there is none of any kind."""
    problem = ""
    if stretch.method != STORED:
        original, problem = original_of(galaxies, row, thumbnail)
        if original is not None:
            return _own_picture(original, stretch)
    try:
        stored = decode_image(thumbnail, "thumbnail").pixels
    except ImageError:
        return None
    side = stored.shape[1]
    each = thumbnail_scale(galaxies.manifest, side)
    if stretch == Stretch():
        return Picture(thumbnail, side, each)
    if stretch.method == STORED:
        return Picture(encode_png(brighten(stored, stretch.contrast)), side, each)
    note = f"{problem} Shown from the stored thumbnail of {side} px and 8 bits."
    return Picture(encode_png(stretch_display(stored, stretch.method, stretch.contrast)), side, each, note)


def _own_picture(original: Original, stretch: Stretch) -> Picture:
    """The galaxy's own image, the central square of it, stretched."""
    draw = stretch_image if original.linear else stretch_display
    shown = draw(original.pixels, stretch.method, stretch.contrast)
    side = min(shown.shape[1:])
    shown = resize_square(shown, min(side, CARD_PX))
    bands = len(original.pixels)
    note = f"Lupton needs three bands, this image has {bands}: shown as asinh."
    needed = stretch.method == "lupton" and bands < 3
    return Picture(encode_png(shown), shown.shape[1], side / shown.shape[1], note if needed else "")


def picture_html(galaxy_id: str, picture: Picture, arcsec_per_px: float | None) -> str:
    """The picture, every pixel a square of whole screen pixels, with a scale bar where the scale is known.

    Parameters
    ----------
    arcsec_per_px : float or None
        Scale of the catalog's own image.
    """
    width = picture.side_px * max(1, LARGEST_PX // picture.side_px)
    bar = ""
    if arcsec_per_px and picture.pixels_each:
        length, text = scale_bar(arcsec_per_px * picture.pixels_each * picture.side_px / width, width)
        share = 100 * length / width  # of the picture, which may be drawn smaller or larger than it is here
        bar = f'<div class="scale-bar" style="width:{share:.2f}%">{text}</div>'
    return f'<div class="card-picture">{image_html(galaxy_id, picture.data, width, width)}{bar}</div>'


def scale_bar(arcsec_per_px: float, width_px: float) -> tuple[float, str]:
    """Length in pixels and text of a bar of 1, 2 or 5 times a power of ten, between a sixth and two fifths of a width.

    Examples
    --------
    >>> scale_bar(0.1, 256), scale_bar(1.0, 300)
    ((100.0, '10″'), (120.0, '2′'))
    >>> scale_bar(3.0, 300)[1], scale_bar(0.0005, 256)[1]
    ('5′', '0.05″')
    """
    longest = 0.4 * arcsec_per_px * width_px
    unit, sign = (60.0, "′") if longest >= 120 else (1.0, "″")
    power = 10.0 ** math.floor(math.log10(longest / unit))
    length = max(step * power for step in (1, 2, 5) if step * power <= longest / unit * (1 + 1e-9))
    return length * unit / arcsec_per_px, f"{length:g}{sign}"


def scale_of(galaxies: Galaxies, row: int) -> float | None:
    """Arcseconds in a pixel of a galaxy's own image: its own if the catalog has one, else that of all of them."""
    if "pixel_scale_arcsec" in galaxies.catalog:
        own = pd.to_numeric(galaxies.catalog.iloc[row]["pixel_scale_arcsec"], errors="coerce")
        if np.isfinite(own) and own > 0:
            return float(own)
    scale = galaxies.manifest.pixel_scale_arcsec
    return scale if scale and scale > 0 else None


def width_arcsec(picture: Picture | None, arcsec_per_px: float | None) -> float | None:
    """Width of the sky a picture shows, None where its scale is not known."""
    if picture is None or not arcsec_per_px or not picture.pixels_each:
        return None
    return arcsec_per_px * picture.pixels_each * picture.side_px
