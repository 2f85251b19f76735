"""Which part of an uploaded image is compared with a catalog: all of it, or one source with some sky around it."""

from __future__ import annotations

import base64

import numpy as np
import streamlit as st

from galaxy_core.detection import Sources
from galaxy_core.images import AstroImage
from galaxy_core.upload_framing import Crop, Framing
from pages.views import frame, upload_search, words
from pages.views.upload_search import SearchBase

WHOLE, SOURCE = "Whole picture", "One source"
SIDES = (3.0, 40.0)  # half-light radii
CUT_HELP = """The model compares galaxies as they lie on their stamps, so a source is cut with as much sky around it as
this catalog's galaxies have. A whole picture is right where it shows one galaxy framed like them."""


def choose_part(
    image: AstroImage, measured: AstroImage, base: SearchBase, layout: str, key: str
) -> tuple[Crop | None, float]:
    """Controls for the part to compare; the result goes to `galaxy_core.upload_framing.as_seen`.

    Parameters
    ----------
    image : AstroImage
        Its sources are offered.
    measured : AstroImage
        The same without its noise, where that is known: on it their size is measured.
    layout : str
        Of the catalog.
    key : str
        Unique on the page.
    """
    digest = upload_search.digest_of(image)
    sources = upload_search.sources_of(digest, image)
    both = digest if measured is image else f"{digest} {upload_search.digest_of(measured)}"
    crop, fraction = upload_search.default_cut(both, base.framing, layout, measured, sources)
    if len(sources) == 0:
        st.caption(upload_search.NO_SOURCE)
        return None, fraction
    key = f"{key}-{digest[:12]}"
    part = st.segmented_control(
        "Compare",
        [WHOLE, SOURCE],
        default=WHOLE if crop is None else SOURCE,
        required=True,
        key=f"{key}-part",
        help=CUT_HELP,
    )
    if part == WHOLE:
        if fraction < 1:
            st.caption(f"Its central {100 * fraction:.0f} %, as this catalog's own images are cut.")
        return None, fraction
    place = _choose_source(image, digest, sources, key)
    side = _choose_side(base.framing, key)
    return upload_search.cut_around(both, place, side, measured, sources), 1.0


def _choose_source(image: AstroImage, digest: str, sources: Sources, key: str) -> int:
    """A source, by its number or by a click on the picture."""
    if len(sources) == 1:
        return 0
    choice, chart = f"{key}-source", f"{key}-overview"

    def clicked() -> None:
        place = place_of_click(st.session_state.get(chart), len(sources))
        if place is not None:
            st.session_state[choice] = place

    place = st.selectbox(
        "Source",
        range(len(sources)),
        format_func=lambda k: source_text(sources, k),
        key=choice,
        help="Found above 5 sigma of the noise, by distance from the centre; at most the 40 brightest.",
    )
    figure = overview_figure(
        upload_search.overview_of(digest, image), image.pixels.shape[1:], sources, place, frame.is_dark()
    )
    config = {"displayModeBar": False, "scrollZoom": False}
    st.plotly_chart(figure, key=chart, config=config, on_select=clicked, selection_mode="points")
    return place


def _choose_side(framing: Framing | None, key: str) -> float:
    typical = round(min(max(framing.typical if framing else 8.0, SIDES[0]), SIDES[1]), 1)
    return st.slider(
        "Width of the cutout, in half-light radii",
        *SIDES,
        typical,
        step=0.1,
        format="%.1f",
        key=f"{key}-side",
        help=upload_search.framing_sentence(framing),
    )


def source_text(sources: Sources, place: int) -> str:
    """One source of the choice.

    Examples
    --------
    >>> source_text(Sources(*np.array([[10.4], [20.0], [5], [3.21], [0.1], [1]])), 0)
    '1: at (10, 20), half-light radius 3.21 px, the central one'
    """
    x, y, radius = (float(getattr(sources, name)[place]) for name in ("x", "y", "radius_px"))
    central = ", the central one" if place == 0 else ""
    return f"{place + 1}: at ({x:.0f}, {y:.0f}), half-light radius {words.number(radius)} px{central}"


def place_of_click(state: dict | None, n_sources: int) -> int | None:
    """The source whose circle was clicked; None where there was none."""
    points = ((state or {}).get("selection") or {}).get("points") or []
    place = points[0].get("point_index") if points else None
    return int(place) if isinstance(place, int) and 0 <= place < n_sources else None


def overview_figure(png: bytes, shape: tuple[int, int], sources: Sources, chosen: int, dark: bool):
    """The image with a circle around every source, that of the chosen one thicker; rows grow downwards."""
    import plotly.graph_objects as go

    height, width = shape
    accent = "#f2b04a" if dark else "#ffb000"  # on the image, which is dark in either theme
    colours = np.where(np.arange(len(sources)) == chosen, accent, "#9fc8ff")
    marker = {
        "symbol": "circle-open",
        "size": np.clip(500 * 4 * sources.radius_px / max(shape), 14, 60),
        "color": colours,
        "line": {"width": np.where(np.arange(len(sources)) == chosen, 3.5, 1.5)},
    }
    figure = go.Figure(
        go.Scatter(
            x=sources.x,
            y=sources.y,
            mode="markers",
            marker=marker,
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            hovertext=[source_text(sources, k) for k in range(len(sources))],
            hoverinfo="text",
        )
    )
    figure.add_layout_image(
        source=f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}",
        xref="x",
        yref="y",
        x=-0.5,
        y=-0.5,
        sizex=width,
        sizey=height,
        sizing="stretch",
        layer="below",
    )
    hidden = {"visible": False, "fixedrange": True}
    figure.update_layout(
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        height=int(min(420, max(160, 380 * height / width))),
        xaxis={"range": [-0.5, width - 0.5], **hidden},
        yaxis={"range": [height - 0.5, -0.5], "scaleanchor": "x", **hidden},
        showlegend=False,
        dragmode=False,
        plot_bgcolor="rgba(0,0,0,0)",
        paper_bgcolor="rgba(0,0,0,0)",
    )
    return figure
