"""The numbers about denoising as lines of text, each table saying what it was measured on."""

from __future__ import annotations

from statistics import median

from galaxy_core.classical import TITLES

NAMES = {
    "noisy_input": "noisy input",
    "input": "input",
    "input_matched_filter": "input, matched filter",
    "model": "model",
    "model_told": "model, told the noise",
} | TITLES


def table_lines(scores: dict) -> list[str]:
    """Everything `denoising_scores.evaluate` measured, as lines."""
    lines = [
        f"Measured on {scores['n_measured']:,} test galaxies of {scores['n_galaxies']:,}: {scores.get('catalog', '')}",
        *restoration_lines(scores["restoration"]),
        *uncertainty_lines(scores["uncertainty"]),
        *blank_lines(scores["blank_sky"]),
        *frame_lines(scores["frames"]),
        *injection_lines(scores["injection"]),
    ]
    return lines


def restoration_lines(restoration: dict) -> list[str]:
    """One line a method and noise level."""
    lines = []
    for label, methods in restoration.items():
        lines += [
            "",
            f"{label:<28}{'strict SSIM':>16}{'PSNR dB':>10}{'galaxy dB':>11}{'flux bias':>11}{'galaxies':>10}",
        ]
        for name, row in methods.items():
            ssim = f"{row['strict_ssim']:.3f} ± {row['strict_ssim_error']:.3f}"
            decibel = f"{row['psnr_db']:>10.2f}{row['foreground_psnr_db']:>11.2f}"
            lines.append(
                f"{NAMES.get(name, name):<28}{ssim:>16}{decibel}{row['flux_bias']:>+11.2%}{row['n_galaxies']:>10}"
            )
    return lines


def uncertainty_lines(uncertainty: dict) -> list[str]:
    """Coverage of intervals by noise level."""
    if "note" in uncertainty:
        return ["", f"uncertainty: {uncertainty['note']}"]
    lines = ["", f"{'coverage of intervals':<28}{'68 % galaxy':>12}{'95 % galaxy':>12}{'68 % all':>12}{'95 % all':>12}"]
    for label, row in uncertainty.items():
        shares = "".join(f"{row[where][share]:>12.1%}" for where in ("galaxy", "all") for share in ("68", "95"))
        lines.append(f"{label:<28}{shares}   ({row['galaxy']['n_pixels']:,} pixels of galaxies)")
    return lines


def blank_lines(blank: dict) -> list[str]:
    """Detections on pure noise: upright + inverted, by threshold."""
    lines = []
    for kind, methods in blank.items():
        thresholds = list(methods["input"])
        title = f"blank sky, {kind}"
        lines += ["", f"{title:<48}" + "".join(f"{f'> {threshold} sigma':>16}" for threshold in thresholds)]
        for name, row in methods.items():
            if name != "n_pixels":
                counts = (f"{row[key]['positive']} + {row[key]['negative']}" for key in thresholds)
                lines.append(f"{NAMES.get(name, name):<48}" + "".join(f"{count:>16}" for count in counts))
        lines.append(f"detections upright + inverted, on {methods['n_pixels']:,} pixels; sigma is the input's")
    return lines


def frame_lines(frames: dict) -> list[str]:
    """Change of flux, size and shape of the sources of each family of frames."""
    if "note" in frames:
        return ["", f"frames: {frames['note']}"]
    columns = f"{'sources':>9}{'flux bias':>11}{'95 % interval':>20}{'scatter':>9}{'radius':>9}{'ellipt.':>9}"
    lines = ["", f"{'sources above 5 sigma':<50}{columns}{'lost':>6}{'gained':>8}"]
    for family, methods in frames.items():
        for name, row in methods.items():
            low_high = row["flux_bias_interval"]
            interval = f"{low_high[0]:+.2%} to {low_high[1]:+.2%}" if low_high else "-"
            changes = (_cell(row[key], form) for key, form in _FRAME_CELLS)
            bias, scatter, radius, ellipticity = changes
            numbers = f"{row['n_sources']:>9}{bias:>11}{interval:>20}{scatter:>9}{radius:>9}{ellipticity:>9}"
            label = f"{family} ({row['n_frames']}), {NAMES.get(name, name)}"
            lines.append(f"{label:<50}{numbers}{row['n_lost']:>6}{row['n_gained']:>8}")
    return [*lines, "scatter: of the change of flux, over the input's own noise in the aperture"]


_FRAME_CELLS = (
    ("flux_bias", "+.2%"),
    ("scatter_over_input_noise", ".2f"),
    ("half_light_radius_bias", "+.1%"),
    ("ellipticity_bias", "+.3f"),
)


def injection_lines(injection: dict) -> list[str]:
    """Depth and purity of each search, by family, then completeness over all frames as a curve."""
    if "note" in injection:
        return ["", f"injection: {injection['note']}"]
    columns = f"{'depth':>7}{'stars':>7}{'galaxies':>9}{'purity':>8}{'gain, mag':>24}{'over matched filter':>24}"
    lines = ["", f"{'injected sources':<50}{columns}"]
    for family, row in injection.items():
        for name, part in row.items():
            if not isinstance(part, dict):
                continue
            depths = "".join(
                f"{_cell(part['depth_snr'][kind], '.2f'):>{width}}"
                for kind, width in (("all", 7), ("point_sources", 7), ("galaxies", 9))
            )
            gains = "".join(f"{_gain(part[key]):>24}" for key in ("gain_mag", "gain_over_matched_filter_mag"))
            label = f"{family} ({row['n_injected']}), {NAMES.get(name, name)}"
            lines.append(f"{label:<50}{depths}{part['purity']:>8.1%}{gains}")
    lines.append(
        "depth: signal to noise at which half are found, at equal rates of false detections; gain over the input"
    )
    return [*lines, *_working_points(injection), *_trade_off(injection["all"]), *_curves(injection["all"])]


def _working_points(injection: dict) -> list[str]:
    """Depth gained over the input at the same purity and at the same threshold, with both thresholds and purities."""
    columns = f"{'sigma':>14}{'purity before':>24}{'purity after':>24}{'gain, mag':>24}"
    lines = []
    for key, title in (("same_purity", "at the same purity"), ("same_threshold", "at the input's threshold")):
        lines += ["", f"{title:<50}{columns}"]
        for family, row in injection.items():
            parts = {name: part[key] for name, part in row.items() if isinstance(part, dict) and part[key]}
            first = parts.pop("input")
            for name, part in parts.items():
                label = f"{family}, {NAMES.get(name, name)}"
                sigmas = " -> ".join(f"{median(which['threshold']):.2g}" for which in (first, part))
                shares = f"{_interval(first):>24}{_interval(part):>24}"
                lines.append(f"{label:<50}{sigmas:>14}{shares}{_gain(part['gain_mag']):>24}")
    lines.append(
        "sigma: thresholds, median over frames, in units of the input's noise; far above 3 it is faint light or"
    )
    return [*lines, "crowding that limits the search. Purity: counted on other noise than thresholds are set on"]


def _interval(part: dict) -> str:
    low, high = part["purity_interval"]
    return f"{part['purity']:.1%} [{low:.1%}, {high:.1%}]"


def _trade_off(row: dict) -> list[str]:
    """Completeness and purity over all frames as thresholds fall, by the false detections a megapixel they allow."""
    rates = [point["false_per_megapixel_allowed"] for point in row["input"]["trade_off"]]
    lines = ["", f"{'found / purity, false per Mpx <=':<38}" + "".join(f"{rate:>16g}" for rate in rates)]
    for name, part in row.items():
        if isinstance(part, dict):
            points = (f"{point['share_found']:.1%} / {point['purity']:.1%}" for point in part["trade_off"])
            lines.append(f"{NAMES.get(name, name):<38}" + "".join(f"{point:>16}" for point in points))
    return lines


def _curves(row: dict) -> list[str]:
    """Completeness and purity over all frames by signal to noise, with binomial intervals."""
    lines = []
    for key, title in (("completeness", "completeness, injected S/N"), ("purity_curve", "purity, measured S/N")):
        bins = row["input"][key]
        lines += ["", f"{title:<28}" + "".join(f"{part['snr_low']}-{part['snr_high']}".rjust(18) for part in bins)]
        for name, part in row.items():
            if isinstance(part, dict):
                lines.append(f"{NAMES.get(name, name):<28}" + "".join(f"{_share(point):>18}" for point in part[key]))
    return lines


def _share(point: dict) -> str:
    if point["share"] is None:
        return "-"
    return f"{point['share']:.0%} [{point['low']:.0%}, {point['high']:.0%}]"


def _gain(part: dict) -> str:
    if part["gain"] is None:
        return "-"
    if part["low"] is None:
        return f"{part['gain']:+.2f}"
    return f"{part['gain']:+.2f} [{part['low']:+.2f}, {part['high']:+.2f}]"


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
