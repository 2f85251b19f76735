"""Plotly figures of how a model learned and how right it is. Functions of arrays; nothing of streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.views import words
from pages.views.agreement_figures import INK_DARK, INK_LIGHT, MARGIN, SCALE_DARK, SCALE_LIGHT
from pages.views.colours import category_colours, grey
from pages.views.figures import shorten

ROW_PX = 190
FROM_ZERO = {"type": "linear", "rangemode": "tozero", "exponentformat": "e"}


@dataclass(frozen=True)
class Curve:
    """One line: what it is of, passes and values, and whether it is of galaxies that were learned from."""

    name: str
    epochs: np.ndarray
    values: np.ndarray
    training: bool = False


def curves_figure(
    panels: dict[str, Sequence[Curve]],
    best: int | None,
    title: str,
    dark: bool,
    n_rows: int | None = None,
    from_zero: bool = False,
) -> go.Figure:
    """Curves along the passes, one panel below the other; the best pass is a dotted line through all of them.

    Training is dashed, validation solid, so that neither needs its colour to be told apart; the legend says so. An axis
    is logarithmic where all its values are positive.

    Parameters
    ----------
    panels : dict of str to sequence of Curve
        What the vertical axis shows, and the curves on it.
    best : int or None
        Pass with the best validation.
    n_rows : int, optional
        As high as a figure of so many panels, to stand beside one.
    from_zero : bool
        Linear axes that begin at zero, for speeds and rates: a rate that falls to nothing has no place on another.
    """
    figure = make_subplots(rows=len(panels), cols=1, shared_xaxes=True, vertical_spacing=0.06)
    keys = list(dict.fromkeys(curve.name for curves in panels.values() for curve in curves))
    colours, shown = dict(zip(keys, category_colours(len(keys), dark), strict=True)), set()
    for row, (unit, curves) in enumerate(panels.items(), 1):
        for curve in curves:
            figure.add_trace(_line(curve, colours[curve.name], curve.name not in shown), row, 1)
            shown.add(curve.name)
        axis = FROM_ZERO if from_zero else axis_of(np.concatenate([curve.values for curve in curves]))
        figure.update_yaxes(title=unit, **axis, row=row, col=1)
        if best is not None:
            figure.add_vline(x=best, line={"dash": "dot", "width": 1.5, "color": grey(dark)}, row=row, col=1)
    if best is not None:
        figure.add_annotation(
            x=best, y=1, yref="paper", yanchor="bottom", text=f"best: {best}", showarrow=False, font={"size": 11}
        )
    both = {curve.training for curves in panels.values() for curve in curves} == {False, True}
    n_passes = max(len(np.unique(curve.epochs)) for curves in panels.values() for curve in curves)
    for training in (False, True) if both else ():
        name, passes = "training" if training else "validation", next(iter(panels.values()))[0].epochs
        key = _line(Curve(name, passes, np.full(len(passes), np.nan), training), grey(dark), True)
        figure.add_trace(key.update(hovertemplate=None, hoverinfo="skip"), 1, 1)
    figure.update_xaxes(tickformat="d", dtick=1 if n_passes <= 10 else None)  # there is no half of a pass
    figure.update_xaxes(title="passes over the training galaxies", row=len(panels), col=1)
    figure.update_layout(
        title={"text": title},
        height=150 + ROW_PX * (n_rows or len(panels)),
        margin=MARGIN | {"t": 64, "b": 72},
        dragmode=False,
        hovermode="x unified",
        showlegend=both or any(len({curve.name for curve in curves}) > 1 for curves in panels.values()),
        legend={"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0.01, "x": 0},
    )
    return figure


def axis_of(values: np.ndarray) -> dict:
    """Settings of an axis: logarithmic, with few round ticks, where all values are positive.

    Examples
    --------
    >>> axis_of(np.array([0.02, 1.5]))["ticktext"], axis_of(np.array([-1.0, 2.0]))
    (['0.03', '0.1', '0.3', '1'], {'type': 'linear'})
    """
    if not (values > 0).all():
        return {"type": "linear"}
    low, high = np.log10([values.min(), values.max()])
    if high - low < 0.7:  # Plotly's own ticks are even there
        return {"type": "log", "exponentformat": "none", "nticks": 6}
    step = max(1, round((high - low) / 4))
    decades = 10.0 ** np.arange(np.floor(low), np.ceil(high) + 1, step)
    digits = (1, 2, 5) if high - low < 1.5 else (1, 3) if high - low < 3 else (1,)
    ticks = np.outer(decades, digits).ravel()
    ticks = ticks[(ticks >= 0.99 * values.min()) & (ticks <= 1.01 * values.max())]
    return {"type": "log", "tickvals": ticks.tolist(), "ticktext": [f"{tick:g}" for tick in ticks]}


def _line(curve: Curve, colour: str, in_legend: bool) -> go.Scatter:
    return go.Scatter(
        x=curve.epochs.astype(np.int32),
        y=curve.values.astype(np.float64),
        mode="lines+markers" if len(curve.epochs) < 3 else "lines",
        marker={"symbol": "circle-open" if curve.training else "circle", "size": 8},  # one pass has no dashes to see
        name=curve.name,
        legendgroup=curve.name,
        showlegend=in_legend,
        line={"color": colour, "width": 2, "dash": "dash" if curve.training else "solid"},
        hovertemplate=f"{curve.name}{', training' if curve.training else ''} %{{y:.4g}}<extra></extra>",
    )


def reliability_figure(
    expected: np.ndarray,
    observed: np.ndarray,
    n: np.ndarray,
    title: str,
    dark: bool,
    of: str = "expected share of volunteers",
    counted: str = "fractions",
) -> go.Figure:
    """Observed against expected shares, bin by bin, with the diagonal of a model that is right; counts below.

    Parameters
    ----------
    expected, observed : float array, shape (n_bins,)
        Means of each bin; NaN where it is empty.
    n : int array, shape (n_bins,)
        Fractions, or whatever is ``counted``, in each bin.
    of : str
        What the horizontal axis shows.
    """
    colours, ink = category_colours(2, dark), grey(dark)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.06, row_heights=[0.75, 0.25])
    whole = np.array([0, 100], dtype=np.float32)
    line = {"color": ink, "width": 1.5, "dash": "dash"}
    figure.add_trace(go.Scatter(x=whole, y=whole, mode="lines", line=line, name="perfect", hoverinfo="skip"), 1, 1)
    known = (n > 0) & np.isfinite(expected) & np.isfinite(observed)
    figure.add_trace(
        go.Scatter(
            x=100 * expected[known],
            y=100 * observed[known],
            customdata=n[known],
            mode="lines+markers",
            name="measured",
            line={"color": colours[1], "width": 2},
            marker={"size": 8},
            hovertemplate=f"expected %{{x:.1f}} %<br>observed %{{y:.1f}} %<br>%{{customdata:,}} {counted}"
            "<extra></extra>",
        ),
        1,
        1,
    )
    edges = np.linspace(0, 100, len(n) + 1)
    figure.add_trace(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=n,
            width=np.diff(edges) * 0.92,
            marker={"color": colours[0], "line": {"width": 0}},
            text=[f"{k:,}" if k else "" for k in n.tolist()],
            textposition="outside",
            cliponaxis=False,
            name=f"{counted} in each bin",
            hovertemplate=f"%{{y:,}} {counted}<extra></extra>",
        ),
        2,
        1,
    )
    figure.update_xaxes(range=[0, 100])
    figure.update_xaxes(title=f"{of} [%]", row=2, col=1)
    figure.update_yaxes(title="observed share [%]", range=[0, 100], row=1, col=1)
    figure.update_yaxes(title="number", range=[0, 1.3 * max(1, int(n.max(initial=0)))], row=2, col=1)
    figure.update_layout(
        title={"text": title}, height=460, margin=MARGIN, dragmode=False, showlegend=False, hovermode="closest"
    )
    return figure


def confusion_figure(counts: np.ndarray, names: Sequence[str], title: str, dark: bool) -> go.Figure:
    """True classes as rows, what the model says as columns: shares of the row in colour, galaxies as text.

    A heatmap reports no click to Streamlit. Invisible points over its cells do; each carries its row and column.

    Parameters
    ----------
    counts : int array, shape (n_classes, n_classes)
    """
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ticks, places = [shorten(name, 20) for name in names], np.arange(len(names))
    figure = go.Figure(
        go.Heatmap(
            z=share.astype(np.float32),
            x=places,
            y=places,
            text=[[f"{k:,}" if k else "" for k in row] for row in counts.tolist()],
            texttemplate="%{text}",
            textfont={"color": INK_DARK if dark else INK_LIGHT},
            zmin=0,
            zmax=100,
            colorscale=SCALE_DARK if dark else SCALE_LIGHT,
            showscale=False,
            xgap=1,
            ygap=1,
            hoverinfo="skip",
        )
    )
    rows, columns = np.indices(counts.shape).reshape(2, -1)
    said = np.array([[shorten(names[i], 40), shorten(names[j], 40)] for i, j in zip(rows, columns, strict=True)])
    figure.add_trace(
        go.Scatter(
            x=columns,
            y=rows,
            mode="markers",
            marker={"symbol": "square", "size": 34, "color": "rgba(0,0,0,0)", "line": {"width": 0}},
            selected={"marker": {"opacity": 1}},
            unselected={"marker": {"opacity": 1}},
            customdata=np.column_stack([rows, columns]).astype(np.int32),
            text=[
                f"{true}<br>taken for {other}<br>{words.count(int(counts[i, j]))}, {share[i, j]:.3g} % of the row"
                for (true, other), i, j in zip(said.tolist(), rows, columns, strict=True)
            ],
            hovertemplate="%{text}<extra></extra>",
        )
    )
    span = [-0.5, len(names) - 0.5]
    axis = {"tickvals": places, "ticktext": ticks, "showgrid": False, "zeroline": False}
    figure.update_xaxes(title="what the model says", side="bottom", tickangle=-35, range=span, **axis)
    figure.update_yaxes(title="true class", range=span[::-1], **axis)
    figure.update_layout(
        title={"text": title},
        height=200 + 46 * max(4, len(names)),
        margin=MARGIN,
        dragmode=False,
        showlegend=False,
        hovermode="closest",
        hoverdistance=60,
        clickmode="event+select",
    )
    return figure
