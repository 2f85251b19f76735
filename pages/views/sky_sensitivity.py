"""The curve behind the sensitivity of the search: what more false detections buy, as it was measured with the model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from galaxy_core.embedding import find_model
from galaxy_core.errors import ModelError
from galaxy_core.frame_catalog import FrameConfig
from pages.views import figures, sky_work

FAINT_SNR = (3.0, 10.0)  # of the sources whose completeness is drawn: brighter ones are found anyway
LINES = (
    ("completeness", f"found of S/N {FAINT_SNR[0]:g} to {FAINT_SNR[1]:g}", "#e69f00"),
    ("purity", "purity", "#4aa8e0"),
)
CHOSEN = "#b4b0aa"
ABOUT = """Measured with this model on {n:,} simulated galaxies and stars put into source-free places of {frames} real
frames; false detections were counted on noise like theirs. Half of the sources of a signal to noise ratio of {snr:.1f}
are found at the sensitivity of {rate:g} in a million pixels."""


def draw_curve(root: Path, config: FrameConfig) -> None:
    """A button that opens the curve, where the metrics of the model hold one of this way to search."""
    measured = measured_curve(root, config.method)
    if measured is None:
        return
    points, injection = measured
    with st.popover("What it buys", icon=":material/show_chart:", help="Completeness and purity by sensitivity"):
        figure = curve_figure(points, config.false_per_megapixel)
        st.plotly_chart(figure, key="sky-curve", config=figures.chart_config("sensitivity"))
        nearest = min(points, key=lambda point: abs(np.log(point["rate"] / config.false_per_megapixel)))
        about = {"n": injection["n_injected"], "frames": len(injection["frames"])}
        st.caption(ABOUT.format(**about, snr=nearest["depth_snr"], rate=nearest["rate"]))


def measured_curve(root: Path, method: str) -> tuple[list[dict], dict] | None:
    """Points of `points_of` and what they were measured on; None where there is nothing of the kind."""
    try:
        path = find_model(sky_work.MODEL, root) / "metrics.json"
        injection = json.loads(path.read_text(encoding="utf-8"))["injection"]
        points = points_of(injection["methods"][method])
        return (points, injection) if len(points) > 1 and injection["frames"] and injection["n_injected"] else None
    except (ModelError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def points_of(curve: list[dict]) -> list[dict]:
    """Rate, purity, completeness of faint sources and S/N at which half is found, by rate.

    Examples
    --------
    >>> bins = [{"snr": [3, 4], "n": 10, "share": 0.2}, {"snr": [4, 5], "n": 30, "share": 0.6}]
    >>> bins.append({"snr": [2, 3], "n": 9, "share": 0.0})
    >>> points_of([{"false_per_megapixel": 3.0, "purity": 0.9, "depth_snr": 4.5, "completeness": bins}])
    [{'rate': 3.0, 'purity': 0.9, 'completeness': 0.5, 'depth_snr': 4.5}]
    """
    points = []
    for point in curve:
        faint = [b for b in point["completeness"] if b["snr"][0] >= FAINT_SNR[0] and b["snr"][1] <= FAINT_SNR[1]]
        n = sum(b["n"] for b in faint)
        if point.get("false_per_megapixel") and n:
            found = sum(b["n"] * b["share"] for b in faint) / n
            kept = {"rate": point["false_per_megapixel"], "purity": point["purity"], "completeness": found}
            points.append(kept | {"depth_snr": point["depth_snr"]})
    return sorted(points, key=lambda point: point["rate"])


def curve_figure(points: list[dict], chosen: float) -> go.Figure:
    """Purity, and completeness of faint sources, against the false detections accepted; a line at those chosen."""
    rates, figure = np.array([point["rate"] for point in points]), go.Figure()
    for key, name, colour in LINES:
        values = np.array([100 * point[key] for point in points])
        figure.add_trace(
            go.Scatter(
                x=rates,
                y=values,
                name=name,
                mode="lines+markers",
                line={"color": colour},
                marker={"size": 5},
                hovertemplate="%{x:g} a million pixels: %{y:.1f} %<extra>" + name + "</extra>",
            )
        )
    figure.add_vline(x=chosen, line={"dash": "dot", "width": 1.5, "color": CHOSEN}, annotation_text="chosen")
    figure.update_xaxes(title="false detections in a million pixels", type="log")
    figure.update_yaxes(title="per cent", range=[0, 102])
    layout = {"orientation": "h", "y": -0.3}
    figure.update_layout(title={"text": "What the sensitivity buys"}, height=320, width=460, legend=layout)
    return figure
