"""Diagrams of a frame's objects: size against magnitude, colours, and the profile of one. Nothing of streamlit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from galaxy_core.frame_stamps import Profile
from pages.views import sky_colours

MAX_POINTS = 50_000  # of a diagram, the brightest: more than twice that freeze a browser
HEIGHT_PX = 400
ROUND = [digit * 10.0**power for power in range(-3, 4) for digit in (1, 2, 5)]  # on logarithmic axes
CHOSEN, OPENED = "#ffd166", "#f2b04a"


@dataclass(frozen=True)
class Axis:
    """Values of all objects along an axis, and what it is called; ``downwards`` where less is to the right or above."""

    values: np.ndarray
    title: str
    downwards: bool = False


def magnitude_axis(objects: pd.DataFrame, band: str | None = None) -> Axis:
    """Magnitudes of a band, or of the first; instrumental ones where there is no zero point."""
    suffix = f"_{band}" if band else ""
    magnitude = objects[f"magnitude{suffix}"].to_numpy()
    if np.isfinite(magnitude).any():
        return Axis(magnitude, f"{band} [mag]" if band else "magnitude [mag]", True)
    flux = objects[f"flux{suffix}"].to_numpy()
    lit = flux > 0
    values = np.where(lit, -2.5 * np.log10(np.where(lit, flux, 1.0)), np.nan)
    return Axis(values, f"{band}, instrumental [mag]" if band else "instrumental magnitude [mag]", True)


def size_axis(objects: pd.DataFrame, pixel_scale_arcsec: float | None, band: str | None = None) -> Axis:
    """Half-light radii in a band, or in the first; in arcseconds where the frame's scale is known."""
    radius = objects[f"half_light_radius_{band}" if band else "half_light_radius"].to_numpy()
    title = f"half-light radius in {band}" if band else "half-light radius"
    if pixel_scale_arcsec:
        return Axis(radius * pixel_scale_arcsec, f"{title} [arcsec]")
    return Axis(radius, f"{title} [px]")


def colour_axis(objects: pd.DataFrame, blue: str, red: str) -> Axis:
    """Difference of the magnitudes of two bands."""
    first, second = magnitude_axis(objects, blue), magnitude_axis(objects, red)
    unit = ", instrumental [mag]" if "instrumental" in first.title + second.title else " [mag]"
    return Axis(first.values - second.values, f"{blue} − {red}{unit}")


def diagram(
    objects: pd.DataFrame, x: Axis, y: Axis, title: str, selected: np.ndarray, opened: int | None, log_y: bool = False
) -> go.Figure:
    """Objects as points, those selected and the open one above them; each carries its row as ``customdata``."""
    good = np.isfinite(x.values) & np.isfinite(y.values)
    if log_y:
        good &= y.values > 0
    rows = np.flatnonzero(good)
    if len(rows) > MAX_POINTS:
        brightest = np.argsort(-objects["flux"].to_numpy()[rows], kind="stable")[:MAX_POINTS]
        rows = np.sort(rows[brightest])
    known = np.isfinite(objects["p_galaxy"].to_numpy())
    figure, size = go.Figure(), 5 if len(rows) < 3000 else 3
    faint = 0.25 if len(selected) else 0.8
    for part, colouring in ((rows[~known[rows]], None), (rows[known[rows]], "p_galaxy")):
        if len(part):
            marker = {"size": size, "opacity": faint} | _colours(objects, part, colouring)
            name = "kind not known" if colouring is None else "by the probability of a galaxy"
            figure.add_trace(_points(objects, x, y, part, marker, name))
    chosen = selected[good[selected]]
    if len(chosen):
        marker = {"size": size + 2, "color": CHOSEN, "line": {"width": 0.5, "color": "#0b0e17"}}
        figure.add_trace(_points(objects, x, y, chosen, marker, "selected"))
    if opened is not None and good[opened]:
        marker = {"size": 16, "color": OPENED, "symbol": "circle-open", "line": {"width": 3, "color": OPENED}}
        figure.add_trace(_points(objects, x, y, np.array([opened]), marker, "open"))
    low, high = _reach(x.values[rows])
    figure.update_xaxes(title=x.title, range=[high, low] if x.downwards else [low, high], zeroline=False)
    ends = _reach(np.log10(y.values[rows]) if log_y else y.values[rows])
    figure.update_yaxes(
        title=y.title,
        type="log" if log_y else "linear",
        range=ends[::-1] if y.downwards else ends,
        zeroline=False,
        **({"tickvals": ROUND, "ticktext": [f"{value:g}" for value in ROUND]} if log_y else {}),
    )
    figure.update_layout(
        title={"text": title},
        height=HEIGHT_PX,
        showlegend=False,
        hovermode="closest",
        dragmode="lasso",
        modebar={"orientation": "v"},  # beside the title it would cover it on a narrow diagram
        spikedistance=0,
        margin={"l": 8, "r": 40, "t": 48, "b": 8},
    )
    return figure


def _colours(objects: pd.DataFrame, rows: np.ndarray, column: str | None) -> dict:
    if column is None:
        return {"color": sky_colours.UNKNOWN}
    steps = np.linspace(0, 1, sky_colours.STEPS)
    scale = [[float(step), colour] for step, colour in zip(steps, sky_colours.PALETTE, strict=False)]
    # above the bar plotly's buttons would cover it
    bar = {"title": {"text": "p(galaxy)", "side": "bottom"}, "thickness": 10, "len": 0.8}
    values = objects[column].to_numpy()[rows].astype(np.float32)
    return {"color": values, "colorscale": scale, "cmin": 0, "cmax": 1, "colorbar": bar}


def _points(objects: pd.DataFrame, x: Axis, y: Axis, rows: np.ndarray, marker: dict, name: str) -> go.Scattergl:
    whole = {"marker": {"opacity": marker.get("opacity", 1)}}
    return go.Scattergl(
        x=x.values[rows].astype(np.float32),
        y=y.values[rows].astype(np.float32),
        mode="markers",
        marker=marker,
        name=name,
        customdata=rows.astype(np.int32),
        text=objects["number"].to_numpy()[rows],
        selected=whole,
        unselected=whole,
        hovertemplate="object %{text}<br>%{x:.2f}, %{y:.3g}<extra></extra>",
    )


def _reach(values: np.ndarray) -> list[float]:
    """Range of an axis: all but the farthest half percent at each end, and some room."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return [0.0, 1.0]
    low, high = np.percentile(values, [0.5, 99.5]) if len(values) > 200 else (values.min(), values.max())
    room = 0.06 * (high - low) or 0.5
    return [float(low - room), float(high + room)]


def profile_figure(
    profile: Profile, half_light_radius: float, zero_point: float, pixel_scale: float | None, unit: str
) -> go.Figure | None:
    """Surface brightness from the centre outwards with one-sigma errors; None where nothing is above the noise.

    In magnitudes a square arcsecond where zero point and pixel scale are known, else in units of the frame a pixel.
    """
    lit = (profile.brightness > 0) & (profile.brightness > profile.error)
    if lit.sum() < 2:
        return None
    x, y, error = profile.radius_px[lit], profile.brightness[lit], profile.error[lit]
    in_magnitudes = bool(pixel_scale) and np.isfinite(zero_point)
    if in_magnitudes:
        error = 2.5 / np.log(10) * error / y
        y = zero_point - 2.5 * np.log10(y / pixel_scale**2)
    scale = pixel_scale or 1.0
    figure = go.Figure(
        go.Scatter(
            x=(x * scale).astype(np.float32),
            y=y.astype(np.float32),
            error_y={"array": error.astype(np.float32), "width": 0, "thickness": 1},
            mode="lines+markers",
            marker={"size": 5},
            line={"color": sky_colours.STAR, "width": 1.5},
            hovertemplate="%{x:.2f}, %{y:.3g}<extra></extra>",
        )
    )
    if np.isfinite(half_light_radius):
        figure.add_vline(
            x=half_light_radius * scale, line={"dash": "dot", "width": 1, "color": "#8b93a5"}, annotation_text="r₅₀"
        )
    figure.update_xaxes(title=f"semi-major axis [{'arcsec' if pixel_scale else 'px'}]", rangemode="tozero")
    if in_magnitudes:
        figure.update_yaxes(title="mag arcsec⁻²", autorange="reversed")
    else:
        figure.update_yaxes(title=f"{unit} a pixel", type="log", exponentformat="power", dtick=1)
    figure.update_layout(
        title={"text": "Radial profile"}, height=240, margin={"l": 8, "r": 8, "t": 40, "b": 8}, showlegend=False
    )
    return figure
