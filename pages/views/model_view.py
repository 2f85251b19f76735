"""What the model saw of a galaxy, what is left of it without noise, and the difference.

The model is loaded when a visitor first asks, once for all of them.
"""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np
import streamlit as st

from galaxy_core.errors import GalaxyError, ImageError
from galaxy_core.images import AstroImage, decode_image, encode_png, resize_square
from galaxy_core.stretch import residual_to_display
from pages.views import loaded_models, words
from pages.views.card_image import original_of
from pages.views.gallery import image_html
from pages.views.readers import Galaxies

VIEW_PX = 128  # of each picture on the screen
RESIDUAL_SIGMAS = 4


def draw_model_view(galaxies: Galaxies, row: int, thumbnail: bytes) -> None:
    """What the encoder is given, the model's reconstruction of it, and the residual; or why they cannot be shown."""
    try:
        folder, changed = loaded_models.model_files(galaxies.manifest.model, galaxies.root)
        with st.spinner("Loading the model …", show_time=False):
            side = loaded_models.load_denoiser(folder, changed).config.embedding_input_px
    except GalaxyError as error:
        st.caption(str(error))
        return
    except ImportError:
        st.caption("The model cannot run without PyTorch: `pip install -r requirements.txt` installs it.")
        return
    original, problem = original_of(galaxies, row, thumbnail)
    try:
        display = original.display if original else decode_image(thumbnail, "thumbnail").pixels
    except ImageError:
        st.caption(problem or "There is no picture of this galaxy.")
        return
    seen, denoised, residual, sigma = _model_view(folder, changed, resize_square(display, side))
    unit, scale = ("% of white", 100) if galaxies.manifest.linear else ("counts of 255", 255)
    limit, noise = words.number(RESIDUAL_SIGMAS * sigma * scale), words.number(sigma * scale)
    st.html(
        '<div class="model-view">'
        + figure_html("seen by the model", seen, f"{side} px")
        + figure_html("reconstruction", denoised, f"noise found: {noise} {unit}")
        + figure_html("residual", residual, f"blue −{limit}, orange +{limit}" if sigma else "none")
        + "</div>"
    )
    st.caption(
        f"Residual = input - reconstruction, in {unit}. Full colour: {RESIDUAL_SIGMAS} times the noise found."
        + (
            f" {problem} The input is made from the stored thumbnail, so it is near to what was seen."
            if problem
            else ""
        )
    )


def figure_html(title: str, data: bytes, caption: str) -> str:
    """A picture with its title and a caption below, for a ``div`` of class ``model-view``."""
    image = image_html(title, data, VIEW_PX, VIEW_PX)
    return f"<figure>{image}<figcaption><b>{html.escape(title)}</b><br>{html.escape(caption)}</figcaption></figure>"


@st.cache_data(max_entries=256, show_spinner=False)
def _model_view(folder: Path, changed: int, seen: np.ndarray) -> tuple[bytes, bytes, bytes, float]:
    """PNG of the input, its reconstruction and the residual, and the noise the model finds, in [0, 1]."""
    from galaxy_core.denoising import denoise_image

    result = denoise_image(AstroImage(seen, False, None, "PNG", "galaxy"), loaded_models.load_denoiser(folder, changed))
    residual = residual_to_display(result.residual, RESIDUAL_SIGMAS * result.noise_sigma or 1.0)
    return encode_png(seen), encode_png(result.denoised), encode_png(residual), result.noise_sigma
