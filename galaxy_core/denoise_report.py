"""One page of HTML on one denoised image: pictures, table, settings, model and its checksum; needs no network."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import numpy as np

from galaxy_core import stretch
from galaxy_core.before_after import Measured
from galaxy_core.before_after_table import Line
from galaxy_core.denoising import DenoiseResult
from galaxy_core.images import encode_png, fit_screen
from galaxy_core.saved_images import HOW_SURE

PICTURE_PX = 512
RESIDUAL_SIGMAS = 4
MAX_MARKS = 2_000
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
COLOURS = {"gained": "#2ecc8f", "lost": "#ff7a45"}
STYLE = """
:root { color-scheme: light dark; --ink: #20242e; --paper: #fcfbf8; --quiet: #6a6f7b; --line: #d9d4c8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ee; --paper: #0b0e17; --quiet: #8b93a5; --line: #2a3144; } }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; font: 15px/1.45 sans-serif; color: var(--ink); }
body { background: var(--paper); }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 1.6rem 0 .5rem; }
p { margin: .3rem 0; } small, figcaption, .quiet { color: var(--quiet); }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem; margin-top: 1rem; }
figure { margin: 0; } figcaption { font-size: .85rem; } figcaption b { color: var(--ink); }
.picture { position: relative; }
img { display: block; width: 100%; image-rendering: pixelated; border-radius: .4rem; background: #000; }
svg { position: absolute; inset: 0; width: 100%; height: 100%; fill: none; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-top: 1px solid var(--line); vertical-align: top; }
td { white-space: nowrap; } th small { display: block; font-weight: 400; max-width: 32rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
@media print { body { padding: 0; } figure, tr { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Report:
    """What a report is made from.

    Attributes
    ----------
    result : DenoiseResult
    unit, scale
        Pixel values times ``scale`` are in ``unit``.
    model_title : str
        What the denoised image is called.
    measured : Measured
        Of the denoised image; its gained and lost sources are drawn.
    lines : sequence of Line
        The table, with ``titles`` over its columns.
    titles : sequence of str
    others : dict of str to ndarray, shape (bands, height, width)
        Further versions by title.
    settings : dict of str to str
        Whatever else was chosen, in words.
    """

    result: DenoiseResult = field(repr=False)
    unit: str
    scale: float
    model_title: str
    measured: Measured = field(repr=False)
    lines: Sequence[Line] = field(repr=False)
    titles: Sequence[str]
    others: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    settings: dict[str, str] = field(default_factory=dict)


def make_report(report: Report, made: datetime) -> bytes:
    """The page, UTF-8.

    Parameters
    ----------
    report : Report
    made : datetime
        The date it bears.
    """
    name = html.escape(report.result.name)
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{name} denoised · Galaxy Atlas</title><style>{STYLE}</style></head><body>
<h1>{name}, denoised</h1>
<p class="quiet">Galaxy Atlas, {made:%Y-%m-%d %H:%M} {html.escape(made.tzname() or "")}</p>
<div class="pictures">{"".join(_pictures(report))}</div>
<h2>Before and after</h2><div class="scroll">{table_html(report.lines, report.titles)}</div>
<h2>How it was made</h2><dl>{_settings(report)}</dl>
</body></html>"""
    return page.encode("utf-8")


def table_html(lines: Sequence[Line], titles: Sequence[str]) -> str:
    """The table of before and after as HTML; what each line was measured on stands under its name."""
    head = "".join(f'<th scope="col">{html.escape(title)}</th>' for title in titles)
    rows = "".join(
        f'<tr><th scope="row">{html.escape(line.quantity)}<small>{html.escape(line.measured_on)}</small></th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in line.cells)
        + "</tr>"
        for line in lines
    )
    return f'<table class="before-after"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>'


def display_of(pixels: np.ndarray, result: DenoiseResult) -> np.ndarray:
    """A version of the image as pictures show it: linear ones with the input's asinh stretch. float32 (3, h, w)."""
    if result.linear:
        return stretch.stretch_image(pixels, "asinh", reference=result.image)
    return stretch.to_display(pixels, False)


def _pictures(report: Report) -> list[str]:
    result, measured = report.result, report.measured
    how = "asinh stretch of the input" if result.linear else "as it is"
    limit = RESIDUAL_SIGMAS * result.noise_sigma or 1.0
    shown = f"{limit * report.scale:.3g} {report.unit}"
    marks = f"circles: {len(measured.gained)} sources gained (green), {len(measured.lost)} lost (orange, dashed)"
    residual = stretch.residual_to_display(result.residual, limit)
    figure = partial(_figure, turned=result.file_format == "FITS")
    pictures = [
        figure("Input", display_of(result.image, result), how),
        figure(report.model_title, display_of(result.denoised, result), f"the same; {marks}", measured=measured),
        figure("Residual", residual, f"input - denoised; blue −{shown}, orange +{shown}"),
    ]
    if result.uncertainty is not None and np.isfinite(result.uncertainty).any():
        pictures.append(figure("Uncertainty", *_uncertainty(report)))
    return pictures + [figure(title, display_of(pixels, result), how) for title, pixels in report.others.items()]


def _uncertainty(report: Report) -> tuple[np.ndarray, str]:
    values = np.nan_to_num(report.result.uncertainty.mean(axis=0, keepdims=True))
    white = float(np.percentile(values, 99.5)) or 1.0
    text = f"one standard deviation of each denoised pixel; white at {white * report.scale:.3g} {report.unit}. "
    text += HOW_SURE[report.result.keeps_light]
    return np.clip(values / white, 0, 1), text


def _figure(title: str, display: np.ndarray, caption: str, *, turned: bool, measured: Measured | None = None) -> str:
    """A picture with its caption and circles; ``turned`` has the first row at the bottom, as FITS is seen."""
    height, width = display.shape[1:]
    shown = fit_screen(display, PICTURE_PX)
    picture = base64.b64encode(encode_png(shown[:, ::-1] if turned else shown)).decode()
    circles = "" if measured is None else _circles(measured, width, height, turned)
    return (
        f'<figure><div class="picture"><img alt="{html.escape(title)}" src="data:image/png;base64,{picture}">{circles}'
        f"</div><figcaption><b>{html.escape(title)}</b><br>{html.escape(caption)}</figcaption></figure>"
    )


def _circles(measured: Measured, width: int, height: int, turned: bool) -> str:
    least, stroke = max(width, height) / 60, max(width, height) / 300
    parts = []
    for name, places in (("gained", measured.gained), ("lost", measured.lost)):
        dashes = f' stroke-dasharray="{3 * stroke:.2f}"' if name == "lost" else ""
        for x, row, radius in places[:MAX_MARKS]:
            y = height - 1 - row if turned else row
            reach = max(2.5 * radius, least) if np.isfinite(radius) else least
            parts.append(
                f'<circle cx="{x + 0.5:.2f}" cy="{y + 0.5:.2f}" r="{reach:.2f}" stroke="{COLOURS[name]}"'
                f' stroke-width="{stroke:.2f}"{dashes}/>'
            )
    return f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">{"".join(parts)}</svg>'


def _settings(report: Report) -> str:
    result = report.result
    bands, height, width = result.image.shape
    how = "given" if result.noise_given else "estimated from the pixels"
    rows = {
        "File": result.name,
        "Kind": f"{result.file_format}, {'linear' if result.linear else f'{result.bits} bits a value'}",
        "Size": f"{width} x {height} px, {bands} band{'s' if bands > 1 else ''}",
        "Sky noise": f"{result.noise_sigma * report.scale:.3g} {report.unit}, {how}",
        "Model": result.model_name,
        "Checksum of its weights": f"sha256 {result.weights_sha256}" if result.weights_sha256 else "not known",
        "Time": f"{result.seconds:.2g} s",
        **report.settings,
    }
    return "".join(f"<dt>{html.escape(key)}</dt><dd>{html.escape(value)}</dd>" for key, value in rows.items())
