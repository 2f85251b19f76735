"""What the models make of one object of a frame: without its noise, which kind of galaxy, and galaxies like it.

What there is no model or catalog for is said in one sentence; a model is loaded when an object is first opened.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from galaxy_core import artifacts
from galaxy_core.detection import Sources
from galaxy_core.errors import GalaxyError
from galaxy_core.frame_stamps import cut_stamp, stamp_side
from galaxy_core.images import AstroImage, encode_png
from galaxy_core.stretch import residual_to_display, stretch_image, to_display
from galaxy_core.upload_framing import crop_around
from galaxy_core.upload_search import unusual_sentence
from pages.views import (
    denoise_on_map,
    denoise_work,
    frame,
    loaded_models,
    morphology_panels,
    morphology_words,
    morphology_work,
    upload_search,
    words,
)
from pages.views.gallery import gallery
from pages.views.model_view import RESIDUAL_SIGMAS, figure_html
from pages.views.sky_work import SkyWork

AROUND_PX = 192  # at least so much of the frame is denoised with an object, so that its sky is seen
N_NEAR = 6
NO_PYTORCH = upload_search.NO_PYTORCH


def draw_models(work: SkyWork, row: pd.Series, root: Path) -> None:
    """The denoised stamp, the morphology, and the nearest galaxies of a catalog, each where there is what it takes."""
    _part(lambda: _draw_denoised(work, row, root))
    _part(lambda: _draw_morphology(work, row, root))
    _part(lambda: _draw_nearest(work, row, root))


def _part(draw: Callable[[], None]) -> None:
    """One part of the card; what it lacks is said in one sentence, and the others go on."""
    try:
        draw()
    except GalaxyError as error:
        st.caption(frame.plain(str(error)))
    except ImportError:
        st.caption(NO_PYTORCH)


def blue_first(work: SkyWork, bands: np.ndarray) -> np.ndarray:
    """Shown bands, red first, in the order in which they are stretched: linear ones as surveys store them."""
    return bands[::-1] if work.catalog.calibrated else bands


def upright(work: SkyWork, display: np.ndarray) -> np.ndarray:
    """A display image turned as the viewer shows it: rows of FITS count from below."""
    return display[:, ::-1] if work.catalog.calibrated else display


def image_around(work: SkyWork, row: pd.Series, side: int) -> AstroImage:
    """A square of the frame around an object as an image of its own, in the bands that are shown, bluest first."""
    pixels = cut_stamp(work.frame, row["x"], row["y"], side)[list(work.picture.bands)]
    linear = work.catalog.calibrated
    if not linear:
        pixels = np.nan_to_num(pixels)
    name = f"{work.frame.name}_{int(row['number'])}"
    return AstroImage(blue_first(work, pixels), linear, None, "FITS" if linear else "PNG", name)


def _draw_denoised(work: SkyWork, row: pd.Series, root: Path) -> None:
    folder, changed = loaded_models.model_files(denoise_work.MODEL, root)
    with st.spinner("Denoising …", show_time=False):
        pictures, limit = _denoised(work.key, int(row["number"]), folder, changed, work, row)
    said = (f"noise {words.number(limit / RESIDUAL_SIGMAS)} {work.unit}", "by the model of the Denoise page", "")
    said = (*said[:2], f"blue −, orange + {words.number(limit)} {work.unit}")
    titles = ("as observed", "denoised", "residual")
    shown = "".join(figure_html(*one) for one in zip(titles, pictures, said, strict=True))
    st.html(f'<div class="model-view">{shown}</div>')


@st.cache_data(max_entries=128, show_spinner=False)
def _denoised(key: str, number: int, folder: Path, changed: int, _work: SkyWork, _row: pd.Series):
    """PNG of the stamp, the denoised stamp and the residual, and the residual in full colour."""
    from galaxy_core.denoising import denoise_image

    side = stamp_side(_row["half_light_radius"], _row["semi_major"])
    image = image_around(_work, _row, max(side, AROUND_PX))
    result = denoise_image(image, loaded_models.load_denoiser(folder, changed))
    edge = (image.pixels.shape[1] - side) // 2
    part = np.s_[:, edge : edge + side, edge : edge + side]
    before, after, residual = (pixels[part] for pixels in (result.image, result.denoised, result.residual))
    limit = RESIDUAL_SIGMAS * result.noise_sigma or 1.0
    if image.linear:
        method = "lupton" if len(before) >= 3 else "asinh"
        shown = [stretch_image(pixels, method, reference=before) for pixels in (before, after)]
    else:
        shown = [to_display(pixels, False) for pixels in (before, after)]
    shown.append(residual_to_display(residual, limit))
    return [encode_png(upright(_work, display)) for display in shown], limit


def _draw_morphology(work: SkyWork, row: pd.Series, root: Path) -> None:
    if row["p_galaxy"] < 0.5:
        st.caption("More likely a star than a galaxy, so no kind of galaxy is told.")
        return
    model = morphology_work.open_model(morphology_work.model_names(root)[0], root)
    with st.spinner("Looking at its kind …", show_time=False):
        told = _told(work.key, int(row["number"]), str(model.folder), model.changed, model, work, row)
    st.markdown("**What kind of galaxy it would be**", help="By the model of the Morphology page, on this stamp.")
    st.html(morphology_panels.class_html(told))
    if told.out_of_distribution is not None and bool(told.out_of_distribution[0]):
        about, _ = morphology_work.records_of(model)
        st.caption(frame.plain(morphology_words.unlike_sentence(about)))


@st.cache_resource(max_entries=128, show_spinner=False)
def _told(key: str, number: int, folder: str, changed: int, _model, _work: SkyWork, _row: pd.Series):
    from galaxy_core.errors import ImageError
    from galaxy_core.models.morphology import net_config
    from galaxy_core.morphology import classify_images
    from galaxy_core.morphology_items import read_stamp

    net = morphology_work.net_of(_model)
    image = image_around(_work, _row, stamp_side(_row["half_light_radius"], _row["semi_major"]))
    name, stamp, problem = read_stamp(
        (image.name, lambda: to_display(image.pixels, image.linear)), net_config(net).input_px
    )
    if problem:
        raise ImageError(problem)
    return classify_images(stamp[None], net, [name])


def _draw_nearest(work: SkyWork, row: pd.Series, root: Path) -> None:
    names = artifacts.list_catalogs(root)
    if not names:
        st.caption("No catalog is here yet, so there are no galaxies to compare it with.")
        return
    if not st.toggle("Nearest galaxies of a catalog", key="sky-nearest", help=denoise_on_map.HELP):
        return
    galaxies = denoise_on_map.choose_catalog(root, names, st.container(), "sky-among")
    base = upload_search.search_base(galaxies)
    side = max(stamp_side(row["half_light_radius"], row["semi_major"]) * 2, AROUND_PX)
    image = image_around(work, row, side)
    middle, radius = (side - 1) / 2, max(float(np.nan_to_num(row["half_light_radius"], nan=3.0)), 1.0)
    here = Sources(*(np.array([value]) for value in (middle, middle, row["flux"], radius, row["ellipticity"], 1.0)))
    crop = crop_around(image, here, 0, base.framing.typical if base.framing else 8.0)
    match = upload_search.find_match(galaxies, base, image, crop, 1.0)
    shown = list(range(min(N_NEAR, len(match.rows))))
    captions = [f"{match.similarities[place]:.3f}" for place in shown]
    clicked = gallery(galaxies, [int(match.rows[place]) for place in shown], "sky-near", captions)
    st.caption(frame.plain(unusual_sentence(match, len(galaxies))))
    go = st.button("Open them on the galaxy map", icon=":material/scatter_plot:", key="sky-go")
    if go or clicked is not None:
        denoise_on_map.go_to_map(galaxies, match, clicked, image.name)
