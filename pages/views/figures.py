"""Plotly figures of the pages: the map, silhouettes, compositions. Functions of arrays; nothing of streamlit.

Traces get numpy arrays, so that the browser receives them as typed arrays, and each point its row as ``customdata``.
"""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from pages.views import words
from pages.views.colouring import Colouring, category_colours, grey

MAX_POINTS_PER_TRACE = 90_000  # Scattergl freezes on hover from 100,000 points in one trace (plotly.js 8036)
MAX_HOVER_IDS = 30_000  # ids under the mouse up to so many galaxies; beyond they would double what is sent
MAX_STEPS = 200  # a cluster's sorted silhouettes are drawn as so many quantiles at most
FAINT = 0.1


def chart_config(file_name: str) -> dict:
    """Settings of every chart: downloads as PNG under its own name, twice the screen's resolution; wheel zooms."""
    return {
        "displaylogo": False,
        "scrollZoom": True,
        "toImageButtonOptions": {"format": "png", "filename": file_name, "scale": 2},
        "modeBarButtonsToRemove": ["autoScale2d"],
    }


def map_figure(
    x: np.ndarray,
    y: np.ndarray,
    colouring: Colouring,
    dark: bool,
    *,
    title: str,
    axis_name: str = "",
    ids: np.ndarray | None = None,
    open_row: int | None = None,
    selected: np.ndarray | None = None,
    height: int = 640,
    revision: str = "",
) -> go.Figure:
    """The map of a catalog.

    Parameters
    ----------
    x, y : float32 array, shape (n,)
        Galaxies whose position is not a number are left out.
    colouring : Colouring
    dark : bool
    title, axis_name : str
        ``axis_name`` is empty where the axes mean nothing.
    ids : array of str, shape (n,), optional
        Shown under the mouse.
    open_row : int or None
        The galaxy with a ring around it.
    selected : int array or None
        Rows that stay bright while the others are faint.
    revision : str
        Zoom and pan are kept as long as this does not change.
    """
    figure = go.Figure()
    shown = np.isfinite(x) & np.isfinite(y)
    is_selected = None
    if selected is not None:
        is_selected = np.zeros(len(x), dtype=bool)
        is_selected[selected] = True
    size = marker_size(int(shown.sum()))
    for name, rows, colour in traces_of(colouring, shown, dark):
        marker = {"size": size, "opacity": 0.85, **colour}
        for start in range(0, len(rows), MAX_POINTS_PER_TRACE):
            part = rows[start : start + MAX_POINTS_PER_TRACE]
            figure.add_trace(
                go.Scattergl(
                    x=x[part],
                    y=y[part],
                    customdata=part,
                    mode="markers",
                    name=name,
                    legendgroup=name,
                    showlegend=start == 0 and colouring.values is None,
                    marker=marker,
                    selectedpoints=None if is_selected is None else np.flatnonzero(is_selected[part]).tolist(),
                    selected={"marker": {"opacity": 0.95}},
                    unselected={"marker": {"opacity": 0.85 if is_selected is None else FAINT}},
                    **hover_of(name, colouring, part, ids),
                )
            )
    if open_row is not None and shown[open_row]:
        add_ring(figure, x[open_row], y[open_row], dark)
    style_map(figure, title, axis_name, height, revision)
    return figure


def traces_of(colouring: Colouring, shown: np.ndarray, dark: bool) -> list[tuple[str, np.ndarray, dict]]:
    """Name, rows (int32) and marker colour of each group of points, what has no group first, at the bottom."""
    if colouring.values is None:
        colours = category_colours(len(colouring.names), dark)
        groups = [(colouring.nothing, -1, grey(dark)), *zip(colouring.names, range(len(colours)), colours, strict=True)]
        traces = [(n, np.flatnonzero(shown & (colouring.codes == c)), {"color": colour}) for n, c, colour in groups]
    else:
        known = np.isfinite(colouring.values)
        rows = np.flatnonzero(shown & known)
        traces = [(colouring.nothing, np.flatnonzero(shown & ~known), {"color": grey(dark)})]
        traces.append((colouring.title, rows, {**colour_scale(colouring, rows)}))
    return [(name, rows.astype(np.int32), colour) for name, rows, colour in traces if len(rows)]


def colour_scale(colouring: Colouring, rows: np.ndarray) -> dict:
    """Viridis between robust limits, with a colour bar; values beyond them take the end colours."""
    values = np.asarray(colouring.values[rows], dtype=np.float32)
    low, high = np.percentile(values, [1, 99]) if len(values) else (0, 1)
    if low == high:
        low, high = float(low) - 0.5, float(high) + 0.5
    bar = {"title": {"text": colouring.title, "side": "right"}, "thickness": 12, "outlinewidth": 0, "len": 0.8}
    return {"color": values, "colorscale": "Viridis", "cmin": float(low), "cmax": float(high), "colorbar": bar}


def marker_size(n: int) -> float:
    """Diameter of a point in pixels: fewer galaxies, larger points.

    Examples
    --------
    >>> marker_size(100), marker_size(2000), marker_size(26_000), marker_size(1_000_000)
    (8.9, 6.7, 3.5, 2.0)
    """
    return float(np.clip(round(45 / max(n, 1) ** 0.25, 1) if n > 2000 else round(9 - 2.3 * n / 2000, 1), 2.0, 9.0))


def hover_of(name: str, colouring: Colouring, rows: np.ndarray, ids: np.ndarray | None) -> dict:
    """What the mouse shows: the id where there are not too many, and the group or the value."""
    what = name if colouring.values is None else f"{name}: %{{marker.color:.3g}}"
    if ids is None or len(ids) > MAX_HOVER_IDS:
        return {"hovertemplate": f"{what}<extra></extra>"}
    return {"text": ids[rows], "hovertemplate": f"<b>%{{text}}</b><br>{what}<extra></extra>"}


def add_ring(figure: go.Figure, x: float, y: float, dark: bool) -> None:
    """A ring around the open galaxy, on top of everything and out of the mouse's way."""
    for size, width, colour in ((20, 5, "#0b0e17" if dark else "#ffffff"), (20, 2.5, "#ffffff" if dark else "#111111")):
        figure.add_trace(
            go.Scattergl(
                x=np.array([x]),
                y=np.array([y]),
                mode="markers",
                marker={"symbol": "circle-open", "size": size, "line": {"width": width}, "color": colour},
                hoverinfo="skip",
                showlegend=False,
                name="open galaxy",
            )
        )


def style_map(figure: go.Figure, title: str, axis_name: str, height: int, revision: str) -> None:
    """Equal scale on both axes, no ticks, legend below, and no more hit testing than needed."""
    axis = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": ""}
    figure.update_xaxes(title={"text": f"{axis_name} 1" if axis_name else "", "standoff": 4}, **axis)
    figure.update_yaxes(
        title={"text": f"{axis_name} 2" if axis_name else "", "standoff": 4}, scaleanchor="x", scaleratio=1, **axis
    )
    figure.update_layout(
        title={"text": title},
        height=height,
        margin={"l": 24, "r": 8, "t": 48, "b": 8},
        dragmode="pan",
        hovermode="closest",
        spikedistance=0,
        hoverdistance=12,
        uirevision=revision,
        legend={"orientation": "h", "yanchor": "top", "y": -0.04, "x": 0, "itemsizing": "constant"},
    )


def silhouette_figure(
    silhouettes: np.ndarray, labels: np.ndarray, colours: dict[int, str], title: str, dark: bool
) -> go.Figure:
    """Every galaxy's silhouette, sorted within its cluster, the largest cluster on top, and the strict mean.

    Parameters
    ----------
    silhouettes : float array, shape (n,)
    labels : int array, shape (n,)
    colours : dict
        Colour of each cluster label.
    """
    figure, top = go.Figure(), 0.0
    gap, ink = max(1, len(labels) // 80), "#e4e7ee" if dark else "#20242e"
    for label, colour in colours.items():
        values = np.sort(silhouettes[labels == label])[::-1]
        share = np.linspace(0, 1, min(max(len(values), 2), MAX_STEPS))
        figure.add_trace(
            go.Scatter(
                x=np.quantile(values, 1 - share).astype(np.float32),
                y=(top + share * len(values)).astype(np.float32),
                mode="lines",
                fill="tozerox",
                fillcolor=colour,
                line={"color": colour, "width": 1},
                name=words.cluster_name(label),
                hovertemplate=f"{words.cluster_name(label)}<br>silhouette %{{x:.2f}}<extra></extra>",
            )
        )
        figure.add_annotation(
            x=-1, y=top + len(values) / 2, text=words.cluster_name(label), showarrow=False, xanchor="left"
        )
        top += len(values) + gap
    mean = float(np.mean(silhouettes)) if len(silhouettes) else 0.0
    for x, line in ((0.0, {"width": 1, "color": ink}), (mean, {"width": 1.5, "dash": "dash", "color": ink})):
        figure.add_shape(type="line", x0=x, x1=x, y0=-gap / 2, y1=top, line=line)
    figure.add_annotation(x=mean, y=-gap / 2, yanchor="bottom", text=f"mean of all {mean:.3f}", showarrow=False)
    figure.update_xaxes(title="silhouette (−1 wrong cluster, 0 at the border, 1 deep inside)", range=[-1.02, 1.02])
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_yaxes(title="galaxies, sorted within each cluster", showticklabels=False, showgrid=False)
    figure.update_yaxes(zeroline=False, range=[top, -0.07 * top])
    figure.update_layout(
        title={"text": title},
        height=400,
        showlegend=False,
        hovermode="closest",
        dragmode=False,
        margin={"l": 24, "r": 8, "t": 48, "b": 8},
    )
    return figure


def composition_figure(codes: np.ndarray, names: tuple[str, ...], rows: np.ndarray, title: str) -> go.Figure:
    """Shares of each group among the selected galaxies, beside those among all."""
    everyone = np.bincount(codes[codes >= 0], minlength=len(names)) / max(len(codes), 1)
    chosen = np.bincount(codes[rows][codes[rows] >= 0], minlength=len(names)) / max(len(rows), 1)
    figure = go.Figure()
    for values, name, colour in ((everyone, "all galaxies", "#8b93a5"), (chosen, "selected", "#56B4E9")):
        figure.add_trace(
            go.Bar(
                x=(100 * values).astype(np.float32),
                y=list(names),
                orientation="h",
                name=name,
                marker={"color": colour},
                hovertemplate=f"%{{y}}<br>%{{x:.3g}} % of {name}<extra></extra>",
            )
        )
    figure.update_xaxes(title="share of the galaxies [%]", rangemode="tozero")
    figure.update_yaxes(autorange="reversed", ticksuffix=" ")
    figure.update_layout(
        title={"text": title},
        height=180 + 44 * len(names),
        barmode="group",
        margin={"l": 8, "r": 8, "t": 48, "b": 8},
        legend={"orientation": "h", "yanchor": "top", "y": -0.35, "x": 0, "traceorder": "reversed"},
    )
    return figure
