"""The card of an object of a frame: its stamp, profile and measures; what models make of it is in `sky_models`."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from galaxy_core.frame_measures import CROWDED, EDGE, FAINT, FLAG_NAMES, PAIR, SATURATED
from galaxy_core.frame_stamps import cut_stamp, pixel_scale_of, radial_profile, stamp_side
from galaxy_core.images import encode_png
from galaxy_core.stretch import to_display
from pages.views import card, figures, frame, sky_figures, sky_models, sky_selection, words
from pages.views.gallery import image_html
from pages.views.sky_work import SkyWork

STAMP_PX = 200  # on the screen
INVITATION = "Click an object in the image, or a point of a diagram, to see its card here."


def draw_card(work: SkyWork, opened: int | None, root: Path) -> None:
    """Everything about the open object; where none is open, how to open one."""
    if opened is None:
        st.info(INVITATION, icon=":material/ads_click:")
        return
    row = work.catalog.objects.iloc[opened]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"Object {int(row['number'])}", anchor=False)
        st.button("Close", icon=":material/close:", on_click=sky_selection.close, type="tertiary", key="sky-close-card")
    side = stamp_side(row["half_light_radius"], row["semi_major"])
    stamp = shown_stamp(work, row, side)
    picture = image_html(f"object {int(row['number'])}", encode_png(stamp), STAMP_PX, STAMP_PX)
    caption = f"{side} x {side} px{arcsec_text(side, pixel_scale_of(work.frame))}, pixels as they are"
    top = f"<figure>{picture}<figcaption>{html.escape(caption)}</figcaption></figure>"
    st.html(f'<div class="card-top sky-card">{top}{card.facts_html(main_facts(work, row))}</div>')
    if len(work.catalog.band_names) > 1:
        st.html(band_table(work, row))
    _draw_profile(work, row)
    with frame.panel():
        sky_models.draw_models(work, row, root)


def shown_stamp(work: SkyWork, row: pd.Series, side: int) -> np.ndarray:
    """A display image of an object, float32 (3, side, side), turned as the viewer shows the frame: FITS from below."""
    bands = cut_stamp(work.frame, row["x"], row["y"], side)[list(work.picture.bands)]
    return sky_models.upright(work, to_display(sky_models.blue_first(work, bands), work.catalog.calibrated))


def main_facts(work: SkyWork, row: pd.Series) -> dict[str, str]:
    """Measures of an object in words, with units and errors; where there are several bands, those of the first."""
    first, scale = (1 if work.catalog.calibrated else 0), pixel_scale_of(work.frame)
    band = work.in_band
    facts = {f"x, y, first pixel {first}": f"{row['x'] + first:.2f}, {row['y'] + first:.2f} px"}
    if np.isfinite(row["ra_deg"]):
        facts["RA, Dec"] = f"{row['ra_deg']:.5f}°, {row['dec_deg']:+.5f}°"
    if np.isfinite(row["magnitude"]):
        facts[f"Magnitude{band}"] = f"{row['magnitude']:.2f} ± {words.number(row['magnitude_err'], 2)} mag"
    facts[f"Flux{band}"] = f"{words.number(row['flux'])} ± {words.number(row['flux_err'], 2)} {work.unit}"
    facts[f"Signal to noise{band}"] = words.number(row["snr"])
    radius = row["half_light_radius"]
    facts[f"Half-light radius{band}"] = f"{words.number(radius)} px{arcsec_text(radius, scale)}"
    facts["Ellipticity"] = f"{row['ellipticity']:.2f}"
    angle = row["position_angle_deg"]
    facts["Position angle"] = (
        f"{angle:.0f}° from north to east" if np.isfinite(angle) else f"{row['theta_deg']:.0f}° from the x axis"
    )
    facts["Detection"] = f"{row['detection']:.3g} (threshold {work.catalog.threshold:.3g})"
    facts["Pixels"] = f"{int(row['n_pixels']):,}"
    known = np.isfinite(row["p_galaxy"])
    facts["Probability of a galaxy"] = f"{row['p_galaxy']:.2f}" if known else untold_text(int(row["flags"]))
    facts["Flags"] = flag_text(int(row["flags"]))
    if row["blend_size"] > 1:
        middle = f"{row['blend_x'] + first:.2f}, {row['blend_y'] + first:.2f} px"
        facts["Blend"] = f"{int(row['blend_size'])} objects within one isophote of 1.5 sigma; barycentre {middle}"
    return facts


def untold_text(flags: int) -> str:
    """Why an object has no probability.

    Examples
    --------
    >>> untold_text(4), untold_text(0)
    ('not told: holds saturated pixels', 'not told on this frame')
    """
    why = flag_text(flags & (EDGE | SATURATED | FAINT | CROWDED | PAIR))
    return "not told on this frame" if why == "none" else f"not told: {why}"


def arcsec_text(pixels: float, scale: float | None) -> str:
    """A length in arcseconds, in brackets, where the scale is known.

    Examples
    --------
    >>> arcsec_text(10, 0.2), arcsec_text(10, None)
    (' (2″)', '')
    """
    return f" ({words.number(pixels * scale)}″)" if scale and np.isfinite(pixels) else ""


def flag_text(flags: int) -> str:
    """Flags in words.

    Examples
    --------
    >>> flag_text(0), flag_text(3)
    ('none', 'parted from a neighbour, cut by the edge of the frame')
    """
    return ", ".join(said for bit, said in FLAG_NAMES.items() if flags & bit) or "none"


def band_table(work: SkyWork, row: pd.Series) -> str:
    """Magnitude or flux, and signal to noise, of each band as a small table."""
    lines = []
    for name in work.catalog.band_names:
        magnitude = row[f"magnitude_{name}"]
        if np.isfinite(magnitude):
            value = f"{magnitude:.2f} ± {words.number(row[f'magnitude_err_{name}'], 2)} mag"
        else:
            value = f"{words.number(row[f'flux_{name}'])} ± {words.number(row[f'flux_err_{name}'], 2)}"
        cells = (name, value, words.number(row[f"snr_{name}"]), words.number(row[f"half_light_radius_{name}"]))
        lines.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "<tr><th>Band</th><th>Light</th><th>S/N</th><th>r₅₀ [px]</th></tr>"
    return f'<table class="sky-bands"><thead>{head}</thead><tbody>{"".join(lines)}</tbody></table>'


def _draw_profile(work: SkyWork, row: pd.Series) -> None:
    profile = radial_profile(work.frame, work.catalog.segmentation, row)
    band = work.frame.bands[0]
    figure = sky_figures.profile_figure(
        profile, row["half_light_radius"], band.zero_point_mag, pixel_scale_of(work.frame), work.unit
    )
    if figure is None:
        st.caption("Its light does not rise above the noise in two rings, so there is no profile to draw.")
        return
    if len(work.frame.bands) > 1:
        figure.update_layout(title={"text": f"Radial profile, {band.name}"})
    st.plotly_chart(figure, key="sky-profile", config=figures.chart_config(f"object_{int(row['number'])}_profile"))
