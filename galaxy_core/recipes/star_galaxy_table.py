"""The scores of the recipe `star_galaxy_vae` as lines of Markdown."""

from __future__ import annotations


def table_lines(scores: dict) -> list[str]:
    """One line a method, then AUC by magnitude or signal to noise."""
    methods = scores["methods"]
    lines = [
        f"Measured on the {scores['n_test']:,} test objects of {scores['n_galaxies']:,}: {scores['catalog']};"
        f" {100 * scores['galaxy_share']:.0f} % are galaxies",
        "",
        "| method | accuracy | AUC (95 %) | accuracy, S/N > 20 | calibration error |",
        "|---|---|---|---|---|",
    ]
    for name, s in methods.items():
        at_high = "-" if s["accuracy_at_high_snr"] is None else f"{100 * s['accuracy_at_high_snr']:.1f} %"
        lines.append(
            f"| {name} | {100 * s['accuracy']:.1f} % | {_area(s)} | {at_high} | {s['expected_calibration_error']:.3f} |"
        )
    for key, what in (("by_magnitude", "r magnitude"), ("by_snr", "S/N")):
        bins = [s[key] for s in methods.values() if key in s]
        if bins:
            lines += ["", *_bin_lines(what, list(methods), bins)]
    return lines + (clipped_lines(scores["clipped"]) if "clipped" in scores else [])


def clipped_lines(clipped: dict) -> list[str]:
    """What was measured on clipped pictures, all stamps, with intervals over frames."""
    lines = [
        "",
        f"{clipped['n']:,} clipped pictures of {clipped['n_frames']} frames,"
        f" {100 * clipped['galaxy_share']:.0f} % galaxies",
        "",
        "| method | accuracy | AUC (95 % over frames) | calibration error |",
        "|---|---|---|---|",
    ]
    for name, s in clipped["methods"].items():
        low, high = s["auc_interval_over_frames"]
        error = s["expected_calibration_error"]
        lines.append(f"| {name} | {100 * s['accuracy']:.1f} % | {s['auc']:.3f} ({low:.3f}-{high:.3f}) | {error:.3f} |")
    return lines


def frame_lines(frames: dict) -> list[str]:
    """What was measured on whole frames: simulated and degraded ones, then counts on those without a truth."""
    rows = [(f"simulated, {name}", frames["simulated"][name]) for name in ("ugriz", "r")]
    if "degraded" in frames:
        field = frames["degraded"]
        rows.append((f"{', '.join(field['bands'])} as they are", field["sharp"]))
        for step in field["degraded"]:
            rows.append((f"blurred by {step['blur_fwhm_px']:.1f} px, noise x {step['noise']:g}", step))
    lines = [
        "",
        "| frame | told of found | galaxies | accuracy | AUC (95 %) | AUC of size and magnitude | calibration error |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, s in rows:
        if "model" not in s:
            lines.append(f"| {name} | {s['n_told']:,} of {s['n_matched']:,} | - | - | - | - | - |")
            continue
        m, sizes = s["model"], s["size_and_magnitude"]["auc"]
        lines.append(
            f"| {name} | {s['n_told']:,} of {s['n_matched']:,} | {100 * s['galaxy_share']:.0f} % |"
            f" {100 * m['accuracy']:.1f} % | {_area(m)} |"
            f" {'-' if sizes is None else format(sizes, '.3f')} | {m['expected_calibration_error']:.3f} |"
        )
    lines += [
        "",
        "| frame without a truth | objects | told | galaxies | seeing, px (stars) | |",
        "|---|---|---|---|---|---|",
    ]
    for row in frames["counts"]:
        seeing = ", ".join(f"{b['fwhm_px']:.2f} ({b['n_stars']})" for b in row.get("seeing", {}).values()) or "-"
        lines.append(
            f"| {row['frame']} | {row.get('n_objects', 0):,} | {row['n_told']:,} | {row.get('n_galaxies', 0):,} |"
            f" {seeing} | {' '.join(row['notes'])} |"
        )
    return lines


def _area(scores: dict) -> str:
    """Area under the curve with its interval; nothing where there were not both kinds."""
    if scores["auc"] is None:
        return "-"
    low, high = scores["auc_interval"]
    return f"{scores['auc']:.3f} ({low:.3f}-{high:.3f})"


def _bin_lines(what: str, names: list[str], bins: list[list[dict]]) -> list[str]:
    head = f"| AUC / accuracy by {what} | n | " + " | ".join(names) + " |"
    lines = [head, "|---" * (len(names) + 2) + "|"]
    for row in zip(*bins, strict=True):
        low, high = row[0]["low"], row[0]["high"]
        inside = f"above {low:g}" if high is None else f"below {high:g}" if low is None else f"{low:g} to {high:g}"
        cells = (f"{'-' if b['auc'] is None else format(b['auc'], '.3f')} / {100 * b['accuracy']:.1f} %" for b in row)
        lines.append(f"| {inside} | {row[0]['n']:,} | " + " | ".join(cells) + " |")
    return lines
