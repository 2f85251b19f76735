"""A searched frame on the page: how sensitive the search is, counts, diagrams of its objects, and downloads."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from galaxy_core import exports
from galaxy_core.errors import ImageError
from galaxy_core.frame_catalog import FrameCatalog, FrameConfig
from galaxy_core.frame_choices import DEFAULT_FALSE_PER_MEGAPIXEL, METHODS, MOST_MAG, SUFFIXES
from galaxy_core.frame_exports import WRITERS, seeing_words, write_segmentation
from galaxy_core.frame_filters import by_wavelength
from galaxy_core.frame_stamps import pixel_scale_of
from galaxy_core.saved_images import stem_of
from pages.views import figures, frame, sky_figures, sky_selection, sky_sensitivity, sky_work, words
from pages.views.downloads import download_button
from pages.views.sky_work import SkyWork

RATES = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]
RATE_HELP = """The sensitivity: how many detections of noise alone are accepted in a million pixels. More finds fainter
objects, and more that are none. The threshold is set on noise made from this frame's own sky, correlations included."""
METHOD_TITLES = {"segmenter": "Segmenter", "sep": "SExtractor's way"}
METHOD_HELP = """The segmenter is a network trained on simulated sky; the other is the search of SExtractor, by the
package sep, with its default filter. Both get the threshold at which noise gives the number of false detections chosen
here."""
NO_SEGMENTER = """No trained segmenter is here, so objects are looked for in SExtractor's way (package `sep`)."""
SEEING_HELP = """Width of a point source at half its height. Left empty it is measured on the frame's own stars, in each
band. Stars are told from galaxies with it, so give it where the frame has too few of them. It is of the frames in hand,
and not of what is dropped next."""
SHARE_HELP = """Proportion of galaxies among the objects, such as 0.05 in a star cluster. Left empty it is that of high
galactic latitudes, by brightness and colours, or the frame's own where its brighter objects show far fewer."""
ZERO_POINTS_HELP = """Magnitude of a flux of one, for frames whose header does not say: one number for all bands, or one
for each in the order of the files, apart by spaces. With them objects have magnitudes, and colours on the map."""
SATURATED_HELP = """Value from which pixels are saturated, in the frame's units, of all bands. Left empty it is taken
from the header, or else from the pixels."""
KINDS_HELP = """By a probability of a galaxy below and above 0.5, from the model `star_galaxy`, which saw no labels.
Objects that are saturated, cut by the edge, hidden by neighbours, too faint, or as likely two stars as one galaxy are
not told."""
NO_SEPARATOR = "No model that tells stars from galaxies is here, or PyTorch is not installed."
SIZES, COLOURS = "sizes", "colours"
FORM_NAMES = {
    "fits": "FITS table",
    "votable": "VOTable",
    "csv": "CSV",
    "parquet": "Parquet",
    "regions": "DS9 regions",
}
MEDIA_TYPES = {form: media for form, (_, _, media) in exports.FORMATS.items()} | {"regions": "text/plain"}


def choose_config(root: Path, choices: DeltaGenerator, digest: str) -> FrameConfig:
    """How the frame is searched, asked for in ``choices``: the way, where there is a choice, and the sensitivity.

    Seeing, share, zero points and saturation stay with the frame, which ``digest`` names: they are wrong for another.
    """
    best = sky_work.method_of(root)
    with choices:
        rate = st.select_slider(
            "False detections per megapixel",
            RATES,
            DEFAULT_FALSE_PER_MEGAPIXEL,
            format_func=lambda value: f"{value:g}",
            key="sky-rate",
            persist_state="session",
            help=RATE_HELP,
            width=215,
        )
        method = best
        if best != "sep":
            method = st.segmented_control(
                "Look for objects with",
                METHODS,
                default=best,
                format_func=METHOD_TITLES.get,
                required=True,
                key="sky-method",
                persist_state="session",
                help=METHOD_HELP,
            )
        seeing = st.number_input(
            "Seeing, FWHM [px]",
            1.0,
            30.0,
            None,
            0.1,
            placeholder="measured",
            key=f"sky-seeing-{digest}",
            persist_state="session",
            help=SEEING_HELP,
            width=146,
        )
        share = st.number_input(
            "Share of galaxies",
            0.01,
            0.99,
            None,
            0.05,
            placeholder="expected",
            key=f"sky-galaxy-share-{digest}",
            persist_state="session",
            help=SHARE_HELP,
            width=146,
        )
        said = st.text_input(
            "Zero points [mag]",
            placeholder="from the header",
            key=f"sky-zero-points-{digest}",
            persist_state="session",
            help=ZERO_POINTS_HELP,
            max_chars=200,
            width=140,
        )
        saturated = st.number_input(
            "Saturated from",
            value=None,
            placeholder="the header",
            format="%g",
            key=f"sky-saturated-{digest}",
            persist_state="session",
            help=SATURATED_HELP,
            width=150,
        )
        of_frame = {"zero_points": zero_points_in(said), "saturated_from": saturated}
        config = FrameConfig(method, rate, psf_fwhm_px=seeing, galaxy_share=share, **of_frame)
        sky_sensitivity.draw_curve(root, config)
    return config


def zero_points_in(said: str) -> tuple[float, ...] | None:
    """Zero points that somebody typed; None where there are none.

    Examples
    --------
    >>> zero_points_in("25.1 26.4"), zero_points_in("0"), zero_points_in(" ")
    ((25.1, 26.4), (0.0,), None)
    """
    try:
        values = tuple(map(float, said.split()))
    except ValueError:
        values = (np.nan,)
    if not all(abs(value) < MOST_MAG for value in values):
        raise ImageError(f"“{said}” is no list of zero points; give magnitudes apart by spaces, such as 25.1 26.4.")
    return values or None


def draw_counts(work: SkyWork, root: Path) -> None:
    """Objects, stars and galaxies, false detections to expect, and what is to be known of the frame."""
    catalog, objects = work.catalog, work.catalog.objects
    probability, flags = objects["p_galaxy"].to_numpy(), objects["flags"].to_numpy()
    megapixels = catalog.shape[0] * catalog.shape[1] / 1e6
    false = catalog.config.false_per_megapixel * megapixels
    with st.container(key="sky-facts"):
        facts = st.columns(5)
    facts[0].metric("Objects", f"{len(objects):,}")
    known = np.isfinite(probability)
    kinds = f"{int((probability < 0.5).sum()):,} / {int((probability >= 0.5).sum()):,}" if known.any() else "not known"
    facts[1].metric("Stars / galaxies", kinds, help=KINDS_HELP)
    facts[2].metric("Flagged", f"{int((flags > 0).sum()):,}", help=flag_help(flags))
    help_text = f"{catalog.config.false_per_megapixel:g} in a million pixels, on {megapixels:.3g} million pixels."
    facts[3].metric("False, expected", f"{words.number(false, 2)}", help=help_text)
    seconds = sum(catalog.seconds.values())
    facts[4].metric("Time", f"{words.number(seconds, 2)} s", help=seconds_help(catalog))
    said = [frame.plain(note) for note in catalog.notes]
    said += [NO_SEGMENTER] if sky_work.method_of(root) == "sep" else []
    said += [seeing_sentence(catalog)] if catalog.seeing else []
    said += [NO_SEPARATOR] if len(objects) and not sky_work.separator_is_there(root) else []
    if said:
        st.caption(" ".join(said))


def seeing_sentence(catalog: FrameCatalog) -> str:
    """What stars and galaxies were told with, and of how many objects they could not be told."""
    seen = ", ".join(frame.plain(seeing_words(name, band)) for name, band in catalog.seeing.items())
    untold = int((~np.isfinite(catalog.objects["p_galaxy"].to_numpy())).sum())
    return f"Seeing (FWHM): {seen}. {words.count(untold, 'object is', 'objects are')} not told; the flags say why."


def flag_help(flags: np.ndarray) -> str:
    """How many objects have which flag."""
    from galaxy_core.frame_measures import FLAG_NAMES

    said = [f"{int(((flags & bit) > 0).sum()):,} {name}" for bit, name in FLAG_NAMES.items()]
    return "; ".join(said) + ". An object may have several."


def seconds_help(catalog: FrameCatalog) -> str:
    """What the time was spent on."""
    names = {"threshold": "setting the threshold", "find": "finding", "measure": "measuring", "tell": "telling kinds"}
    return ", ".join(f"{names.get(name, name)} {value:.2g} s" for name, value in catalog.seconds.items()) + "."


def draw_diagrams(work: SkyWork, selected: np.ndarray, opened: int | None) -> None:
    """Size against magnitude, and colours where there are bands for them; a lasso or box selects on the image, too."""
    objects, names = work.catalog.objects, work.catalog.band_names
    scale = pixel_scale_of(work.frame)
    left, right = st.columns(2, gap="medium") if len(names) > 1 else (st.container(), st.container())
    with left:
        band = names[0] if len(names) > 1 else None
        magnitude, size = sky_figures.magnitude_axis(objects, band), sky_figures.size_axis(objects, scale, band)
        figure = sky_figures.diagram(objects, magnitude, size, "Size and magnitude", selected, opened, log_y=True)
        _draw_chart(work, SIZES, figure)
    with right:
        if len(names) == 1:
            st.caption("Colours need two bands or more; drop aligned frames of several bands together.")
            return
        axes = _colour_axes(work)
        title = "Two colours" if len(names) > 2 else "Colour and magnitude"
        figure = sky_figures.diagram(objects, *axes, title, selected, opened)
        _draw_chart(work, COLOURS, figure)


def _colour_axes(work: SkyWork) -> tuple[sky_figures.Axis, sky_figures.Axis]:
    """Axes of the second diagram: two colours of three neighbouring bands, or magnitude and colour of two."""
    objects, names = work.catalog.objects, by_wavelength(work.catalog.band_names)
    if len(names) == 2:
        return sky_figures.magnitude_axis(objects, names[1]), sky_figures.colour_axis(objects, *names)
    triples = list(zip(names, names[1:], names[2:], strict=False))
    first = triples[0]
    if len(triples) > 1:
        first = st.selectbox(
            "Bands", triples, key="sky-triple", format_func=" ".join, label_visibility="collapsed", width=180
        )
    blue, middle, red = first
    return sky_figures.colour_axis(objects, blue, middle), sky_figures.colour_axis(objects, middle, red)


def _draw_chart(work: SkyWork, place: str, figure) -> None:
    key = f"sky-chart-{place}"
    figure.update_layout(selections=[], selectionrevision=sky_selection.outline_number(place))

    def chosen() -> None:
        objects = work.catalog.objects
        rows = sky_selection.rows_of_points(st.session_state.get(key), len(objects))
        if len(rows) == 1:
            sky_selection.open_object(work.key, objects, rows[0])
            st.session_state["sky-centre"] = True
        else:
            sky_selection.select_in_diagram(work.key, rows, place)

    config = figures.chart_config(f"{stem_of(work.frame.name)}_{place}")
    st.plotly_chart(figure, key=key, config=config, on_select=chosen, selection_mode=("points", "box", "lasso"))


def draw_downloads(work: SkyWork) -> None:
    """The catalogue in each form, the segmentation map and the regions; made when clicked."""
    catalog = work.catalog
    stem = stem_of(catalog.name)
    st.subheader("Take it away", anchor=False)
    with st.container(horizontal=True, key="sky-downloads"):
        for form, title in FORM_NAMES.items():
            name = f"{stem}_catalog{SUFFIXES[form]}"
            make = partial(WRITERS[form], catalog)
            icon = ":material/download:"
            download_button(title, make, name, MEDIA_TYPES[form], icon=icon, key=f"sky-get-{form}")
        download_button(
            "Segmentation map",
            lambda: segmentation_bytes(catalog),
            f"{stem}_segmentation.fits",
            "application/fits",
            icon=":material/download:",
            key="sky-get-segmentation",
            help="FITS of 32-bit integers with the frame's coordinates: 0 is sky, else the object's number.",
        )
    origin = " Their x and y begin at 0, those of this page and of DS9 at 1." if catalog.calibrated else ""
    st.caption(
        "Units, UCDs and what each column means are in the tables, and which zero points were used."
        f"{origin} `scripts/detect.py` writes the same in batches."
    )


def segmentation_bytes(catalog: FrameCatalog) -> bytes:
    """The segmentation map as a FITS file."""
    with tempfile.TemporaryDirectory() as folder:
        return write_segmentation(catalog, Path(folder) / "segmentation.fits").read_bytes()
