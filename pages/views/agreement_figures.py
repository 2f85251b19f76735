"""Plotly figures of how clusterings agree and of what a sweep found. Functions of arrays; nothing of streamlit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.views.figures import shorten

# From the page to a blue on which the same ink can still be read.
SCALE_DARK, INK_DARK = [[0, "#141a2a"], [1, "#2a74a6"]], "#f2f4f8"
SCALE_LIGHT, INK_LIGHT = [[0, "#fbfaf6"], [1, "#8fbedd"]], "#16202e"
MARGIN = {"l": 8, "r": 8, "t": 48, "b": 8}


def table_figure(
    counts: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    titles: tuple[str, str, str],
    shares: bool,
    dark: bool,
) -> go.Figure:
    """A contingency table as a heatmap: shares of each row in colour, counts or shares as text.

    Parameters
    ----------
    counts : int array, shape (n_rows, n_columns)
    rows, columns : sequence of str
    titles : tuple of str
        Of the figure, of the rows, of the columns.
    shares : bool
        Write shares of the row in percent, else the number of galaxies.
    """
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    written = np.where(counts > 0, np.vectorize(_in_a_cell)(share) if counts.size else "", "")
    if not shares:
        written = np.where(counts > 0, np.vectorize(lambda n: f"{n:,}")(counts) if counts.size else "", "")
    figure = go.Figure(
        go.Heatmap(
            z=share.astype(np.float32),
            x=_unique(columns),
            y=_unique(rows),
            text=written if max(counts.shape, default=0) <= 16 else None,
            texttemplate="%{text}",
            textfont={"color": INK_DARK if dark else INK_LIGHT},
            customdata=counts,
            zmin=0,
            zmax=100,
            colorscale=SCALE_DARK if dark else SCALE_LIGHT,
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="%{y}<br>%{x}<br>%{customdata:,} galaxies, %{z:.3g} % of the row<extra></extra>",
        )
    )
    figure.update_xaxes(title=titles[2], type="category", side="bottom", showgrid=False, tickangle=-35)
    figure.update_yaxes(title=titles[1], type="category", autorange="reversed", showgrid=False)
    figure.update_layout(title={"text": titles[0]}, height=200 + 34 * max(4, len(rows)), margin=MARGIN, dragmode=False)
    return figure


def _unique(names: Sequence[str]) -> list[str]:
    """Short names, each once: equal ticks of a heatmap would be one row."""
    seen: dict[str, int] = {}
    found = []
    for name in (shorten(name, 18) for name in names):
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def flow_figure(
    counts: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    colours: tuple[Sequence[str], Sequence[str]],
    title: str,
) -> go.Figure:
    """A Sankey diagram: where the galaxies of each group on the left go on the right."""
    source, target = np.nonzero(counts)
    links = [_translucent(colours[0][k]) for k in source]
    figure = go.Figure(
        go.Sankey(
            arrangement="snap",
            node={
                "label": [shorten(name) for name in (*rows, *columns)],
                "color": [*colours[0], *colours[1]],
                "pad": 14,
                "thickness": 14,
                "line": {"width": 0},
                "hovertemplate": "%{label}<br>%{value:,} galaxies<extra></extra>",
            },
            link={
                "source": source,
                "target": target + len(rows),
                "value": counts[source, target],
                "color": links,
                "hovertemplate": "%{source.label} → %{target.label}<br>%{value:,} galaxies<extra></extra>",
            },
        )
    )
    figure.update_layout(title={"text": title}, height=120 + 34 * max(6, len(rows), len(columns)), margin=MARGIN)
    return figure


def _translucent(colour: str) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.35)"


def _in_a_cell(percent: float) -> str:
    """A share in whole percent; what is not nothing or all is not rounded to it."""
    return "< 1 %" if percent < 0.5 else "> 99 %" if 99.5 <= percent < 100 else f"{percent:.0f} %"


def matrix_figure(values: np.ndarray, n: np.ndarray, names: Sequence[str], title: str, dark: bool) -> go.Figure:
    """The agreement of every two groupings, with what it was measured on under the mouse."""
    labels, whole = _unique(names), [shorten(name, 60) for name in names]
    written = [["" if np.isnan(v) else f"{round(v, 2) + 0.0:.2f}" for v in row] for row in values]  # no "-0.00"
    figure = go.Figure(
        go.Heatmap(
            z=values.astype(np.float32),
            x=labels,
            y=labels,
            text=written if len(labels) <= 14 else None,
            texttemplate="%{text}",
            textfont={"color": INK_DARK if dark else INK_LIGHT},
            customdata=n,
            hovertext=[[f"{first}<br>{second}" for second in whole] for first in whole],
            zmin=0,
            zmax=1,
            colorscale=SCALE_DARK if dark else SCALE_LIGHT,
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="%{hovertext}<br>%{z:.3f}, on %{customdata:,} galaxies<extra></extra>",
        )
    )
    figure.update_xaxes(showgrid=False, tickangle=-35)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(title={"text": title}, height=180 + 34 * max(3, len(labels)), margin=MARGIN, dragmode=False)
    return figure


def curve_figure(
    points: pd.DataFrame, parameter: str, columns: dict[str, str], title: str, colours: Sequence[str], log: bool
) -> go.Figure:
    """Scores of a sweep along its parameter: the mean over seeds as a line, every fit as a point.

    Parameters
    ----------
    points : pandas.DataFrame
        Columns ``value`` and those of ``columns``; one row a fit.
    columns : dict
        Column to its name in the legend.
    """
    figure = go.Figure()
    for (column, name), colour in zip(columns.items(), colours, strict=False):
        known = points[["value", column]].dropna()
        mean = known.groupby("value")[column].mean()
        common = {
            "legendgroup": column,
            "name": name,
            "hovertemplate": f"{name} %{{y:.4g}}<br>{parameter} %{{x}}<extra></extra>",
        }
        if len(known) > len(mean):
            marker = {"color": colour, "size": 5, "opacity": 0.5}
            x, y = known["value"].to_numpy(), known[column].to_numpy()
            figure.add_trace(go.Scatter(x=x, y=y, mode="markers", marker=marker, showlegend=False, **common))
        line = {"color": colour, "width": 2}
        x, y = mean.index.to_numpy(dtype=np.float64), mean.to_numpy(dtype=np.float64)
        figure.add_trace(go.Scatter(x=x, y=y, mode="lines+markers", line=line, marker={"size": 6}, **common))
    figure.update_xaxes(title=parameter, type="log" if log else "linear")
    figure.update_layout(
        title={"text": title},
        height=320,
        margin=MARGIN,
        dragmode=False,
        showlegend=len(columns) > 1,
        legend={"orientation": "h", "yanchor": "top", "y": -0.28, "x": 0},
    )
    return figure
