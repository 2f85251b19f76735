"""Plotly figures of the pages: silhouettes and compositions. Functions of arrays; nothing of streamlit.

Traces get numpy arrays, so that the browser receives them as typed arrays.
"""

from __future__ import annotations

import html

import numpy as np
import plotly.graph_objects as go

from pages.views import words

MAX_STEPS = 200  # bars of a cluster at most
NAME_PX, AROUND_PX = 18, 110  # height of a name beside its bars; of title and axis around these


def chart_config(file_name: str) -> dict:
    """Settings of every chart: downloads as PNG under its own name, twice the screen's resolution; wheel zooms."""
    return {
        "displaylogo": False,
        "scrollZoom": True,
        "toImageButtonOptions": {"format": "png", "filename": file_name, "scale": 2},
        "modeBarButtonsToRemove": ["autoScale2d"],
    }


def silhouette_figure(
    silhouettes: np.ndarray,
    labels: np.ndarray,
    colours: dict[int, str],
    title: str,
    dark: bool,
    names: dict[int, str] | None = None,
) -> go.Figure:
    """Every galaxy's silhouette as a bar, sorted within its cluster, the largest cluster on top, and the strict mean.

    Of more than `MAX_STEPS` galaxies of a cluster a bar is the mean of neighbouring ones. Each bar carries its
    cluster's label as ``customdata``, so that a click tells which cluster it was.

    Parameters
    ----------
    silhouettes : float array, shape (n,)
    labels : int array, shape (n,)
    colours : dict
        Colour of each cluster label.
    names : dict, optional
        Name of each cluster label; `words.cluster_name` where it has none.
    """
    figure, top, middles, texts = go.Figure(), 0.0, [], []
    gap, ink = max(1, len(labels) // 80), "#e4e7ee" if dark else "#20242e"
    for label, colour in colours.items():
        values = np.sort(silhouettes[labels == label])[::-1]
        name = (names or {}).get(label, words.cluster_name(label))
        figure.add_trace(_silhouette_bars(values, top, label, name, colour))
        middles.append(top + len(values) / 2)
        texts.append(shorten(name))
        top += len(values) + gap
    height = max(400, AROUND_PX + NAME_PX * len(middles))
    row = 1.07 * top * NAME_PX / (height - AROUND_PX)
    for text, y in zip(texts, apart(np.array(middles), row, top), strict=True):
        figure.add_annotation(x=-1, y=y, text=text, showarrow=False, xanchor="left")
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
        height=height,
        showlegend=False,
        hovermode="closest",
        dragmode=False,
        barmode="overlay",
        bargap=0,
        margin={"l": 24, "r": 8, "t": 48, "b": 8},
    )
    return figure


def apart(places: np.ndarray, least: float, end: float) -> np.ndarray:
    """Sorted places, moved as far as it takes for each to be ``least`` from the next and none beyond ``end``.

    Examples
    --------
    >>> apart(np.array([10.0, 50, 51, 52]), 5, 55).tolist()
    [10.0, 45.0, 50.0, 55.0]
    """
    steps = least * np.arange(len(places))
    moved = np.maximum.accumulate(places - steps) + steps
    return np.minimum(moved, end - steps[::-1])


def _silhouette_bars(values: np.ndarray, top: float, label: int, name: str, colour: str) -> go.Bar:
    """Sorted silhouettes of one cluster as horizontal bars from ``top`` down, one for each of up to `MAX_STEPS`."""
    edges = np.linspace(0, len(values), min(len(values), MAX_STEPS) + 1).astype(int)
    sizes, below = np.diff(edges), int((values < 0).sum())
    return go.Bar(
        x=(np.add.reduceat(values.astype(np.float64), edges[:-1]) / sizes).astype(np.float32),
        y=(top + (edges[:-1] + edges[1:]) / 2).astype(np.float32),
        width=sizes.astype(np.float32) * 1.02,
        orientation="h",
        marker={"color": colour, "line": {"width": 0}},
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        customdata=np.full(len(sizes), label, dtype=np.int32),
        name=name,
        hovertemplate=f"{html.escape(name)}<br>silhouette %{{x:.2f}}<br>{below:,} below zero<extra></extra>",
    )


def shorten(text: str, letters: int = 28) -> str:
    """Text for a narrow place of a figure, where markup of Plotly does nothing.

    Examples
    --------
    >>> shorten("cluster 3: a very long name of a cluster"), shorten("a<b")
    ('cluster 3: a very long name…', 'a&lt;b')
    """
    return html.escape(text if len(text) <= letters else f"{text[: letters - 1].rstrip()}…", quote=False)


def composition_figure(codes: np.ndarray, names: tuple[str, ...], rows: np.ndarray, title: str) -> go.Figure:
    """Shares of each group among the selected galaxies, beside those among all."""
    everyone = np.bincount(codes[codes >= 0], minlength=len(names)) / max(len(codes), 1)
    chosen = np.bincount(codes[rows][codes[rows] >= 0], minlength=len(names)) / max(len(rows), 1)
    figure, places = go.Figure(), np.arange(len(names))
    for values, name, colour in ((everyone, "all galaxies", "#8b93a5"), (chosen, "selected", "#56B4E9")):
        figure.add_trace(
            go.Bar(
                x=(100 * values).astype(np.float32),
                y=places,
                orientation="h",
                name=name,
                marker={"color": colour},
                customdata=[html.escape(group) for group in names],
                hovertemplate=f"%{{customdata}}<br>%{{x:.3g}} % of {name}<extra></extra>",
            )
        )
    figure.update_xaxes(title="share of the galaxies [%]", rangemode="tozero")
    # at places of their own: of years and dates plotly would make a scale, of long names no room for the bars
    figure.update_yaxes(autorange="reversed", ticksuffix=" ", tickvals=places, ticktext=[shorten(n, 36) for n in names])
    bars = 40 + 44 * len(names)  # height of the part with bars, in pixels
    figure.update_layout(
        title={"text": title},
        height=140 + bars,
        barmode="group",
        margin={"l": 8, "r": 8, "t": 48, "b": 8},
        # 64 pixels below the bars, however many there are: nearer it would cover the axis' title
        legend={"orientation": "h", "yanchor": "top", "y": -64 / bars, "x": 0, "traceorder": "reversed"},
    )
    return figure
