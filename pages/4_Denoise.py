"""Denoise an uploaded image, a galaxy of the catalog made noisy, or an example, and show what was taken away."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import streamlit as st

from galaxy_core import artifacts, stretch
from galaxy_core.denoising import DenoiseResult, denoise_image, encode_result
from galaxy_core.embedding import find_model
from galaxy_core.images import AstroImage, as_counts, decode_image, encode_png, fit_screen
from galaxy_core.noise import add_published_noise
from pages.views import frame, readers, selection
from pages.views.words import number

MODEL = "contrastive_denoiser"
UPLOAD, CATALOG, EXAMPLE = "Your image", "A galaxy of the catalog", "Example"
FILE_TYPES = ["png", "jpg", "jpeg", "tif", "tiff", "webp", "fits", "fit", "fts", "gz", "fz"]
LINEAR_NOTE = """Linear frames keep their units, header and sky. Pixels more than 30 times above the noise are left
as they are, so bright cores and saturated stars do not change; below that, check the residual before measuring. On real
frames the model was not trained on, the flux of sources above 5 sigma in 5-pixel apertures changed by a median of
+0.5 % (ESO EMMI R, 25 sources), +0.3 % (KiDS r, 43), 0.0 % (HST XDF F160W, 16) and, in the inner half of 60 HST COSMOS
stamps, by -0.1 %; in the crowded star field of M67 by +1.2 % (177 stars). The scale on which flux is kept was chosen on
the first four of these, so other frames may fare worse."""


def upload() -> tuple[AstroImage, None] | None:
    file = st.file_uploader("PNG, JPEG, TIFF, WebP or FITS", FILE_TYPES, help="Up to 200 MB and 64 megapixels.")
    return None if file is None else (decode_image(file.getvalue(), file.name), None)


def catalog_galaxy(root: Path) -> tuple[AstroImage, np.ndarray]:
    galaxies = readers.open_catalog(root, frame.choose_catalog(root))
    chosen = st.columns(2)[0].selectbox("Galaxy", galaxies.ids, index=selection.open_row(galaxies) or 0)
    picture = readers.thumbnails(galaxies, [galaxies.row_of[chosen]])[0]
    return with_noise(decode_image(picture, chosen).pixels, chosen)


@st.cache_data(max_entries=8, show_spinner=False)
def example_galaxy(index: int) -> np.ndarray:
    from galaxy_core.catalogs import read_catalog

    return read_catalog("synthetic:40").load_image(index)


def example() -> tuple[AstroImage, np.ndarray]:
    return with_noise(example_galaxy(st.columns(2)[0].slider("Simulated galaxy", 1, 40, 8) - 1), "example")


def image_unit(image: AstroImage) -> str:
    return str((image.header or {}).get("BUNIT", "")).strip() or "image units"


def with_noise(clean: np.ndarray, name: str) -> tuple[AstroImage, np.ndarray]:
    """A clean image made noisy, and the clean one to compare with."""
    text = "Shot noise of the galaxy and a sky of 150 counts, and Gaussian noise of 10, on 8-bit counts, times this."
    level = st.columns(2)[0].slider("Noise added", 0.25, 2.0, 1.0, 0.25, format="%.2f x", help=text)
    counts = add_published_noise(as_counts(clean), np.random.default_rng(0), level)
    return AstroImage(np.float32(counts) / 255, False, None, "PNG", f"{name}.png"), clean


@st.cache_resource(max_entries=2, show_spinner="Loading the denoiser …")
def load(folder: Path, changed: int):
    from galaxy_core.models import load_model, resolve_device

    return load_model(folder, resolve_device("auto"))


def denoise(image: AstroImage, noise: float | None, root: Path) -> DenoiseResult:
    """The result, computed once while image, noise and model stay the same."""
    weights = find_model(MODEL, root) / "weights.safetensors"
    changed = weights.stat().st_mtime_ns
    key = (hashlib.sha1(image.pixels.tobytes()).hexdigest(), image.name, noise, changed)
    if st.session_state.get("denoised", (None,))[0] != key:
        bar = st.progress(0.0, "Denoising …")
        try:
            model = load(weights.parent, changed)
            result = denoise_image(image, model, noise, lambda done: bar.progress(done, "Denoising …"))
        finally:
            bar.empty()
        st.session_state["denoised"] = (key, result)
    return st.session_state["denoised"][1]


def draw_images(result: DenoiseResult, unit: str, scale: float) -> None:
    method, contrast = "linear", 1.0
    if result.linear:
        left, right = st.columns(2)
        method = left.selectbox("Stretch", stretch.METHODS, help="How brightness is shown; the same in both images.")
        contrast = right.slider("Contrast", 0.25, 8.0, 1.0, 0.25)
    limit = 4 * result.noise_sigma or 1.0
    colours = f"blue below, orange above zero; full colour at {number(limit * scale)} {unit}"
    captions = {"Input": "as it came", "Denoised": "same stretch", "Residual": f"input - denoised: {colours}"}
    images = (result.image, result.denoised, result.residual)
    for column, (title, caption), pixels in zip(st.columns(3), captions.items(), images, strict=True):
        if title == "Residual":
            picture = stretch.residual_to_display(pixels, limit)
        elif result.linear:
            picture = stretch.stretch_image(pixels, method, contrast, reference=result.image)
        else:
            picture = stretch.to_display(pixels, False)
        column.subheader(title)
        column.image(encode_png(fit_screen(picture)), caption, width="stretch", alt=f"{title}, {result.name}")


def draw_facts(result: DenoiseResult, clean: np.ndarray | None, unit: str, scale: float) -> None:
    facts = st.columns(4)
    how = "given" if result.noise_given else "estimated"
    facts[0].metric(f"Sky noise, {how}", f"{number(result.noise_sigma * scale)} {unit}", help="Standard deviation.")
    facts[1].metric("Size", " x ".join(str(side) for side in result.image.shape[:0:-1]) + " px")
    facts[2].metric("Time", f"{result.seconds:.2g} s")
    if clean is not None:
        before, after = (np.sqrt(np.mean((image - clean) ** 2)) * scale for image in (result.image, result.denoised))
        facts[3].metric("Error", f"{number(after)} {unit}", help=f"Root mean square; {number(before)} before.")
    as_fits = result.linear or st.toggle("Download as FITS", help="Floats without rounding, in place of 8-bit PNG.")
    for column, (name, data) in zip(st.columns(2), encode_result(result, as_fits).items(), strict=True):
        column.download_button(f"Download {name}", data, name, icon=":material/download:", width="stretch")


root = frame.open_page("Denoise")
st.caption("Take the noise out of an image, and look at what was taken out: a good residual shows noise and no galaxy.")
sources = [UPLOAD, CATALOG, EXAMPLE] if artifacts.list_catalogs(root) else [UPLOAD, EXAMPLE]
source = st.segmented_control("Image", sources, default=sources[0], required=True, label_visibility="collapsed")
with frame.panel():
    chosen = {UPLOAD: upload, CATALOG: lambda: catalog_galaxy(root), EXAMPLE: example}[source]()
    if chosen is not None:
        image, clean = chosen
        unit, scale = ("counts", 2.0**image.bits - 1) if not image.linear else (image_unit(image), 1.0)
        asked = st.columns(2)[0].number_input(
            f"Sky noise in {unit}, if you know it", 0.0, None, None, placeholder="estimated"
        )
        result = denoise(image, asked / scale if asked else None, root)
        draw_images(result, unit, scale)
        draw_facts(result, clean, unit, scale)
        if image.linear:
            st.info(LINEAR_NOTE, icon=":material/straighten:")
