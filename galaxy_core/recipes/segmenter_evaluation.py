"""All that is measured of a segmenter, and the table of it: depth, purity, outlines, positions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from galaxy_core.frame_catalog import FrameConfig
from galaxy_core.models import load_model, read_model_config
from galaxy_core.recipes.frame_scores import Report, find_frames
from galaxy_core.recipes.segmenter_methods import methods_of
from galaxy_core.recipes.segmenter_outlines import score_against_sextractor, score_outlines
from galaxy_core.recipes.segmenter_scores import LIMIT_SNR, score_injections

WIDTHS = (12, 8, 8, 11, 11, 10, 18, 10, 12)  # of the columns of the table


def evaluate(
    folder: str | Path,
    frames: Sequence[str | Path],
    segmaps: Sequence[str | Path],
    seed: int,
    device: str,
    report: Report,
) -> dict:
    """Numbers of a segmenter beside sep and photutils, on frames none of which it was trained on.

    Parameters
    ----------
    frames : sequence of path
        FITS frames or folders of them, for sources put into them. Where a frame ``image.fits`` has SExtractor's
        ``image.cat`` beside it, positions are compared with it.
    segmaps : sequence of path
        Folders of images with vetted segmentation maps; may be empty.
    """
    model = load_model(folder, device)
    scores = {
        "model": Path(folder).name,
        "weights_sha256": read_model_config(folder)["weights_sha256"],
        "injection": score_injections(find_frames(frames), methods_of(model), seed, report),
    }
    ways = {"segmenter": (FrameConfig("segmenter", seed=seed), model), "sep": (FrameConfig("sep", seed=seed), None)}
    if segmaps:
        scores["outlines"] = {name: score_outlines(segmaps, *way) for name, way in ways.items()}
        report("outlines", 1, 1)
    for table in sorted(path for place in map(Path, frames) if place.is_dir() for path in place.rglob("*.cat")):
        image = table.with_suffix(".fits")
        if image.exists():
            scores["sextractor"] = {name: score_against_sextractor(image, table, *way) for name, way in ways.items()}
            report("sextractor", 1, 1)
    return scores


def table_lines(scores: dict) -> list[str]:
    """The headline numbers, with what they were measured on."""
    lines = _injection_lines(scores["injection"]) if "n_injected" in scores["injection"] else []
    for name, row in scores.get("outlines", {}).items():
        parts = ", ".join(f"{survey} {value:.3f}" for survey, value in row["by_survey"].items())
        maps = f"central object of {len(row['maps'])} vetted maps"
        lines.append(f"{maps}, {name}: median overlap {row['median_iou']:.3f} ({parts})")
    for name, row in scores.get("sextractor", {}).items():
        found = f"{row['n_found_within_1_px']} of {row['n_above_5_sigma']}"
        either, blends = (row[f"n_found_within_1_px_{how}"] for how in ("of_either", "as_object_or_blend"))
        lines.append(
            f"SExtractor's objects above 5 sigma, {name}: {found} within a pixel ({either} of either position, {blends}"
            " with blends)"
        )
    return lines


def _injection_lines(injection: dict) -> list[str]:
    heads = ("method", "rate", "purity", "depth S/N", "depth mag", "gain mag", "95 %", "S/N > 10", "pure there")
    lines = [
        f"{injection['n_injected']:,} sources put into {len(injection['frames'])} real frames; depth is the signal to",
        f"noise, and the magnitude below that of {LIMIT_SNR:g} sigma, at 50 % completeness",
        " " * 18 + "".join(f"{head:>{width}}" for head, width in zip(heads, WIDTHS, strict=True)),
    ]
    for label in ("purity_0.95", "purity_0.99"):
        lines += [_line(label.replace("_", " "), name, row) for name, row in injection[label].items()]
    default = next(row for row in injection["methods"]["sep"] if row["false_per_megapixel"] is None)
    lines.append(_line("1.5 sigma", "sep", default))
    gain = injection["gain_over_sep_default"]
    lines.append(
        f"over sep at its default 1.5 sigma (purity {gain['purity_of_sep']:.3f}), at purity {gain['purity']:.3f}:"
        f" {gain['gain_mag']:+.2f} mag ({gain['low']:+.2f} to {gain['high']:+.2f})"
    )
    return lines


def _line(label: str, name: str, row: dict) -> str:
    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    interval = f"{row['low']:+.2f} to {row['high']:+.2f}" if row.get("low") is not None else "-"
    cells = (
        name,
        number(row["false_per_megapixel"], "g"),
        f"{row['purity']:.3f}",
        number(row["depth_snr"], ".2f"),
        number(row["depth_mag"], "+.2f"),
        number(row.get("gain_mag"), "+.2f"),
        interval,
        number(row["high_snr_completeness"], ".4f"),
        f"{row['high_snr_purity']:.4f}",
    )
    return f"{label:18}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
