"""Plotly figure of accuracy against number of labels. A function of points; nothing of streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from galaxy_core.label_efficiency import Point
from pages.views.agreement_figures import MARGIN
from pages.views.colours import category_colours
from pages.views.figures import shorten

# A way is told by its dash and its symbol, a model by its colour: neither needs the other.
STYLES = {
    "frozen": ("dot", "circle"),
    "fine_tuned": ("solid", "square"),
    "fine_tuned_unlabelled": ("dashdot", "diamond"),
    "scratch": ("dash", "triangle-up"),
}


@dataclass(frozen=True)
class Line:
    """One model used in one way, at several numbers of labels."""

    name: str
    model: str
    way: str
    points: tuple[Point, ...]


def label_figure(lines: Sequence[Line], measure: str, title: str, dark: bool) -> go.Figure:
    """Lines against the number of labels on a logarithmic axis, with intervals as bars; one seed is a hollow point.

    Parameters
    ----------
    measure : str
        "accuracy" or "macro_f1".
    """
    models = list(dict.fromkeys(line.model for line in lines))
    colours = dict(zip(models, category_colours(len(models), dark), strict=True))
    figure = go.Figure([_trace(line, measure, colours[line.model]) for line in lines])
    labels = sorted({point.n_labels for line in lines for point in line.points})
    figure.update_xaxes(title="training labels", type="log", tickvals=labels, ticktext=[f"{n:,}" for n in labels])
    if len(labels) == 1:
        figure.update_xaxes(range=np.log10([labels[0] / 2, labels[0] * 2]).tolist())
    figure.update_yaxes(title=f"{'accuracy' if measure == 'accuracy' else 'macro-F1'} [%]")
    rows = -(-len(lines) // 2)
    figure.update_layout(
        title={"text": title},
        height=420 + 20 * rows,
        margin=MARGIN | {"b": 76 + 20 * rows},
        dragmode=False,
        hovermode="closest",
        showlegend=True,
        legend={"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0.01, "x": 0},
    )
    return figure


def _trace(line: Line, measure: str, colour: str) -> go.Scatter:
    dash, symbol = STYLES.get(line.way, ("solid", "circle"))
    values = np.array([getattr(point, measure) for point in line.points])
    bounds = [getattr(point, f"{measure}_interval") or 2 * (getattr(point, measure),) for point in line.points]
    low, high = np.array(bounds).T
    known = np.array([point.n_seeds > 1 for point in line.points])
    name = shorten(line.name, 48)
    said = [
        f"{words}<br>{point.n_seeds} {'draws' if point.n_seeds > 1 else 'draw, so no interval'}"
        for point, words in zip(line.points, _ranges(low, high), strict=True)
    ]
    return go.Scatter(
        x=np.array([point.n_labels for point in line.points], dtype=np.float64),
        y=100 * values,
        error_y={
            "type": "data",
            "symmetric": False,
            "array": np.where(known, 100 * (high - values), np.nan),
            "arrayminus": np.where(known, 100 * (values - low), np.nan),
            "thickness": 1.5,
            "width": 4,
        },
        mode="lines+markers",
        name=name,
        line={"color": colour, "width": 2, "dash": dash},
        marker={
            "size": 9,
            "color": colour,
            "symbol": [f"{symbol}{'' if point.n_seeds > 1 else '-open'}" for point in line.points],
        },
        text=said,
        hovertemplate=f"{name}<br>%{{x:,}} labels: %{{y:.1f}} %%{{text}}<extra></extra>",
    )


def _ranges(low: np.ndarray, high: np.ndarray) -> list[str]:
    return [f" ({100 * a:.1f} to {100 * b:.1f})" if b > a else "" for a, b in zip(low, high, strict=True)]
