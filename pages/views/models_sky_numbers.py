"""The numbers of models that look at frames: what a search finds, and stars told from galaxies. Pure functions."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from galaxy_core.model_files import section
from galaxy_core.published_lookups import is_number
from pages.views import words
from pages.views.models_numbers import decimals, interval, percent, value_of

SEARCHES = {"segmenter": "this model", "sep": "SExtractor's search (sep)", "photutils": "photutils"}
PURE = ("purity_0.95", "purity_0.99")
WINDOWS = {"other_windows": "windows nothing was chosen on", "injection": "frames the sensitivity was chosen on"}
OURS = "without labels"  # the network that the app asks
BESIDE = {
    "size and magnitude": "half-light radius and magnitude",
    "trees on all columns": "trees on the whole catalogue",
}
DEPTH_HELP = """How much fainter sources are of which half is found, in magnitudes, than with SExtractor's search at a
threshold that is as pure."""
OVERLAP_HELP = "The area that both outlines share over that of either, median over the maps; 1 is the same outline."
SEPARATED = {
    "fresh": "objects that nothing was decided on",
    "methods": "test objects",
    "clipped": "8-bit stamps, their light cut off, in view when the fit to them was decided",
}


def signed(value: float) -> str:
    """Magnitudes gained.

    Examples
    --------
    >>> signed(0.6265), signed(float("nan"))
    ('+0.63 mag', '–')
    """
    return words.minus(f"{value:+.2f} mag") if np.isfinite(value) else "–"


def _detection(metrics: dict) -> tuple[list[tuple], str]:
    injection, outlines = section(metrics, "injection"), section(metrics, "outlines")
    ours, sep = (section(injection, PURE[0], key) for key in ("segmenter", "sep"))
    facts = []
    if np.isfinite(gain := value_of(ours, "gain_mag")):
        strict = section(metrics, "other_windows", PURE[0], "segmenter")
        known = np.isfinite(value_of(strict, "gain_mag"))
        told = strict if known else ours
        low, high = value_of(told, "low"), value_of(told, "high")
        within = words.minus(f"95 %: {low:+.2f} to {high:+.2f}; ") if np.isfinite(low + high) else ""
        where = ", in windows nothing was chosen on" if known else ""
        beside = f"; {signed(gain)} in the frames that the sensitivity was chosen on" if known else ""
        value, about = signed(value_of(told, "gain_mag")), f"{within}than by {SEARCHES['sep']}{where}{beside}"
        facts.append(("Fainter found", value, about, DEPTH_HELP))
    for label, key in (("Found above S/N 10", "high_snr_completeness"), ("Purity", "purity")):
        if np.isfinite(value := value_of(ours, key)):
            facts.append((label, percent(value), f"{SEARCHES['sep']} {percent(value_of(sep, key))}"))
    overlap, of_sep = (value_of(section(outlines, key), "median_iou") for key in ("segmenter", "sep"))
    if np.isfinite(overlap):
        beside = f"{SEARCHES['sep']} {decimals(of_sep)}"
        facts.append(("Overlap of outlines", decimals(overlap), beside, OVERLAP_HELP))
    return facts, detection_measured_on(metrics)


def detection_measured_on(metrics: dict) -> str:
    """On what a search was measured, without a full stop."""
    injection, maps = section(metrics, "injection"), section(metrics, "outlines", "segmenter").get("maps")
    n, frames = value_of(injection, "n_injected"), injection.get("frames")
    said = ["the search is measured on simulated sources put into real frames"]
    if np.isfinite(n) and isinstance(frames, list):
        counted = words.count(len(frames), "real frame", "real frames")
        said = [f"the search is measured on {n:,.0f} simulated sources put into {counted}, at the sensitivity that is"]
        said[0] += " 95 % pure on these"
    if isinstance(maps, list):
        said.append(f"outlines on {words.count(len(maps), 'vetted map', 'vetted maps')} of real galaxies")
    return "; ".join(said)


def _separation(metrics: dict) -> tuple[list[tuple], str]:
    fresh = section(metrics, "fresh")  # in its absence settings may have been decided with the test objects in view
    scored = fresh or metrics
    methods = section(scored, "methods")
    ours, facts = section(methods, OURS), []
    shown = (
        ("Accuracy", "accuracy", percent),
        ("Accuracy above S/N 20", "accuracy_at_high_snr", percent),
        ("Area under the ROC curve", "auc", decimals),
        ("Calibration error", "expected_calibration_error", decimals),
    )
    for label, key, show in shown:
        if np.isfinite(value := value_of(ours, key)):
            others = ((name, value_of(section(methods, method), key)) for name, method in BESIDE.items())
            beside = "; ".join(f"{name} {show(other)}" for name, other in others if np.isfinite(other))
            facts.append((label, show(value), beside))
    n, share = value_of(scored, "n_test"), value_of(scored, "galaxy_share")
    catalog = scored.get("catalog")
    of = f" of {catalog}" if isinstance(catalog, str) else ""
    mixed = f", of which {percent(share)} are galaxies" if np.isfinite(share) else ""
    counted = f"{n:,.0f} test objects" if np.isfinite(n) else "test objects"
    decided = ", and nothing was decided on them" if fresh else ""
    return facts, f"measured on {counted}{of}{mixed}{decided}; trees were shown the labels of the others"


HEADLINES = (_detection, _separation)


def calibration(metrics: dict) -> tuple[dict, dict]:
    """The scores on objects that nothing was decided on, else on test objects; their curve of calibration."""
    scored = section(metrics, "fresh") or metrics
    return scored, section(scored, "methods", OURS, "calibration")


def faint_table(metrics: dict) -> tuple[pd.DataFrame, str]:
    """How much is found, or told rightly, at each signal to noise ratio, and on what that was measured.

    Returns
    -------
    pandas.DataFrame, str
        A row a bin; no rows where neither was measured.
    """
    found = section(metrics, "injection", PURE[0])
    if len(
        table := _binned({name: section(found, key).get("completeness") for key, name in SEARCHES.items()}, "share")
    ):
        return table, f"Found of the sources in each bin: {detection_measured_on(metrics).partition(';')[0]}."
    scored = section(metrics, "fresh") or metrics
    methods = {f"this model, {OURS}": OURS} | {name: name for name in BESIDE.values()}
    table = _binned({name: section(scored, "methods", key).get("by_snr") for name, key in methods.items()}, "accuracy")
    return table, f"Told rightly of the objects in each bin, at a probability of 0.5: {_separation(metrics)[1]}."


def _binned(methods: dict[str, object], key: str) -> pd.DataFrame:
    """One row a bin, one column a method, and the number of objects; bins that are not whole are left out."""
    rows: dict[str, dict] = {}
    for name, bins in methods.items():
        for one in bins if isinstance(bins, list) else ():
            low, high = one.get("snr") or (one.get("low"), one.get("high")) if isinstance(one, dict) else (None, None)
            value = value_of(one, key)
            if np.isfinite(value):
                row = rows.setdefault(_range_text(low, high), {"objects": value_of(one, "n")})
                row[name] = percent(value)
    names = [name for name in methods if any(name in row for row in rows.values())]
    return pd.DataFrame(
        {"signal to noise": snr} | {name: row.get(name, "–") for name in names} | {"objects": row["objects"]}
        for snr, row in rows.items()
    )


def _range_text(low: object, high: object) -> str:
    """A range of signal to noise; open where an end is not a number.

    Examples
    --------
    >>> _range_text(3, 4.0), _range_text(None, 5.0), _range_text(50, None)
    ('3 to 4', 'below 5', 'above 50')
    """
    low, high = (f"{end:g}" if is_number(end) else "" for end in (low, high))
    return f"{low} to {high}" if low and high else f"below {high}" if high else f"above {low}"


def detection_table(metrics: dict) -> pd.DataFrame:
    """One row a method at each purity that was asked for; gains are over SExtractor's search at the same purity."""
    rows = []
    for pure, (part, where) in product(PURE, WINDOWS.items()):
        for key, name in SEARCHES.items():
            if found := section(metrics, part, pure, key):
                low, high = value_of(found, "low"), value_of(found, "high")
                gain = signed(value_of(found, "gain_mag")) if key != "sep" else "–"
                row = {"purity asked": percent(float(pure.removeprefix("purity_"))), "measured in": where}
                row |= {"search": name, "gain": gain}
                within = words.minus(f"{low:+.2f} to {high:+.2f}")
                row["95 %"] = within if np.isfinite(low + high) and key != "sep" else ""
                row["S/N of which half is found"] = value_of(found, "depth_snr")
                row |= {"found above S/N 10": percent(value_of(found, "high_snr_completeness"))}
                row |= {"purity": percent(value_of(found, "purity"))}
                rows.append(row | {"false per million px": words.number(value_of(found, "false_per_megapixel"))})
    return pd.DataFrame(rows)


def separation_table(metrics: dict) -> pd.DataFrame:
    """One row a method of telling stars from galaxies, on each set of objects that was measured."""
    rows = []
    seen = {"methods": "test objects, in view when some settings were decided"} if section(metrics, "fresh") else {}
    for part, where in (SEPARATED | seen).items():
        scored, n = metrics if part == "methods" else section(metrics, part), "n" if part == "clipped" else "n_test"
        for method, scores in sorted(section(scored, "methods").items(), key=lambda item: item[0] != OURS):
            if isinstance(scores, dict):
                row = {"measured on": where, "method": f"this model, {method}" if method == OURS else method}
                row |= {"accuracy": percent(value_of(scores, "accuracy"))}
                row |= {"95 %": interval(scores, "accuracy_interval")}
                row |= {"above S/N 20": percent(value_of(scores, "accuracy_at_high_snr"))}
                row |= {"AUC": value_of(scores, "auc")}
                row |= {"calibration error": value_of(scores, "expected_calibration_error")}
                rows.append(row | {"objects": value_of(scored, n)})
    return pd.DataFrame(rows)
