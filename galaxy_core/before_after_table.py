"""The table under a denoised image: one line a quantity, one column a version, and on what each was measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from galaxy_core.before_after import APERTURE_RADII, THRESHOLD, Measured, Reference, flux_changes

NOTHING = "–"


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes
    ----------
    quantity, measured_on : str
    cells : tuple of str
        One a version, in their order.
    """

    quantity: str
    measured_on: str
    cells: tuple[str, ...]


def make_table(reference: Reference, versions: dict[str, Measured], unit: str, scale: float) -> list[Line]:
    """Lines of the table.

    Parameters
    ----------
    versions : dict
        Title to measurements; the first is the input, which the changes refer to.
    unit : str
        Of the numbers shown: pixel values times ``scale``.
    scale : float

    Returns
    -------
    list of Line
        Those that say something of this image.
    """
    before = next(iter(versions.values()))
    n_sky, n_sources = int(reference.sky_pixels.sum()), len(reference.sources.x)
    limit = f"above {THRESHOLD:g} sigma of the input's noise"

    def line(quantity: str, measured_on: str, cell: Callable[[Measured], str]) -> Line:
        return Line(quantity, measured_on, tuple(cell(measured).replace("-", "−") for measured in versions.values()))

    lines = [
        line(
            f"Sky noise [{unit}]",
            f"standard deviation of {n_sky:,} sky pixels of the grey image, sources left out",
            lambda m: _digits(m.sky_noise * scale),
        )
    ]
    if reference.galaxy is not None:
        lines.append(
            line(
                f"Flux of the foreground [{unit}]",
                f"sum over {int(reference.galaxy.sum()):,} pixels, the foreground of the {reference.galaxy_of},"
                " sky subtracted; change against the input",
                lambda m: _with_change(m.galaxy_flux * scale, before.galaxy_flux * scale, m is before),
            )
        )
    if n_sources:
        lines += _source_lines(line, before, n_sources, limit)
    lines.append(line("Detections", f"at least 5 connected pixels {limit}", lambda m: f"{m.n_detected:,}"))
    lines.append(
        line(
            "Gained, lost",
            "sources found only here, and only in the input; partners within 2 px",
            lambda m: NOTHING if m is before else f"+{len(m.gained):,}, −{len(m.lost):,}",
        )
    )
    return lines + (_truth_lines(line, reference, unit, scale) if reference.clean is not None else [])


def _source_lines(line: Callable, before: Measured, n_sources: int, limit: str) -> list[Line]:
    def flux(measured: Measured) -> str:
        changes = flux_changes(before, measured)
        if measured is before or changes.size == 0:
            return NOTHING
        low, high = np.percentile(changes, [16, 84])
        return f"{_percent(float(np.median(changes)))} ({_percent(float(low))} to {_percent(float(high))})"

    def shape(value: float, change: str, measured: Measured) -> str:
        if measured is before:
            return _digits(value)
        return f"{change} ({measured.n_pairs:,})" if measured.n_pairs else NOTHING

    sources = "source" if n_sources == 1 else "sources"
    return [
        line(
            "Flux of sources, change",
            f"median, and the middle 68 %, of the {n_sources:,} {sources} of the input {limit}, in apertures of"
            f" {APERTURE_RADII:g} half-light radii (3 px at least)",
            flux,
        ),
        line(
            "Half-light radius [px]",
            "median of the sources of the input; then the median change of those found in both, and their number",
            lambda m: shape(m.radius_px, _percent(m.radius_change), m),
        ),
        line(
            "Ellipticity",
            "1 - b/a, in the same way",
            lambda m: shape(m.ellipticity, f"{m.ellipticity_change:+.3f}", m),
        ),
    ]


def _truth_lines(line: Callable, reference: Reference, unit: str, scale: float) -> list[Line]:
    own = ", whose own noise counts as error" if reference.linear else ""
    lines = [
        line("Not in the clean image", "detections without a partner there", lambda m: _count(m.invented)),
        line(f"Error [{unit}]", f"root mean square against the clean image{own}", lambda m: _digits(m.error * scale)),
    ]
    if reference.linear or reference.galaxy is None:
        return lines
    n_galaxy = int(reference.galaxy.sum())
    lines += [
        line(
            "Strict SSIM",
            f"against the clean image, Gaussian window of 1.5 px, over its {n_galaxy:,} foreground pixels",
            lambda m: _fixed(m.strict_ssim, 3),
        ),
        line(
            "Within the uncertainty",
            "pixels whose clean value is within one, and 1.96, standard deviations: 68 % and 95 % if these are right",
            _within,
        ),
        line("PSNR [dB]", "over the whole image", lambda m: _fixed(m.psnr_db, 2)),
        line("PSNR of the foreground [dB]", f"over {n_galaxy:,} pixels", lambda m: _fixed(m.galaxy_psnr_db, 2)),
        line("Flux bias", "foreground sum against the clean image", lambda m: _percent(m.flux_bias)),
    ]
    return lines


def _digits(value: float) -> str:
    """Three significant digits."""
    if not math.isfinite(value):
        return NOTHING
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    places = 0 if not value else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{places}f}"


def _fixed(value: float, places: int) -> str:
    return f"{value:.{places}f}" if math.isfinite(value) else NOTHING


def _count(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def _within(measured: Measured) -> str:
    shares = measured.within
    return ", ".join(f"{100 * share:.0f} %" for share in shares) if math.isfinite(shares[0]) else NOTHING


def _percent(change: float) -> str:
    return f"{100 * change:+.1f} %" if math.isfinite(change) else NOTHING


def _with_change(value: float, before: float, is_before: bool) -> str:
    if is_before or not before or not math.isfinite(before):
        return _digits(value)
    return f"{_digits(value)} ({_percent(value / before - 1)})"
