"""The numbers of a model as tables and sentences: pure functions of its files; what has another form is left out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from galaxy_core.model_files import section
from galaxy_core.probes import wilson_interval
from galaxy_core.published_lookups import MOST, is_number
from pages.views import words
from pages.views.models_figures import Curve
from pages.views.morphology_words import class_words

NOT_CURVES = ("phase", "epoch", "validation", "learning_rate", "seconds", "galaxies_per_second", "score")
SPEED = {"learning_rate": "learning rate", "galaxies_per_second": "images per second"}
METHODS = {
    "noisy_input": "noisy input",
    "total_variation": "total variation",
    "model": "this model, noise estimated",
    "model_told": "this model, noise given",
}
PROBES = {"linear_probe": "linear probe", "knn_probe": "15 nearest neighbours"}
HELD_OUT = {"test": "test", "held_out_fifth": "test and validation"}


def value_of(record: object, key: str) -> float:
    """A number of a record; NaN where there is none."""
    value = record.get(key) if isinstance(record, Mapping) else None
    return float(value) if is_number(value) else np.nan


def percent(value: float) -> str:
    """A share in percent, one decimal.

    Examples
    --------
    >>> percent(0.9559), percent(float("nan"))
    ('95.6 %', '–')
    """
    return f"{100 * value:.1f} %" if np.isfinite(value) else "–"


def decimals(value: float) -> str:
    """A number with three decimals, or a dash."""
    return f"{value:.3f}" if np.isfinite(value) else "–"


def interval(record: Mapping, key: str, show=percent) -> str:
    """An interval of a record in words; empty where there is none."""
    bounds = record.get(key)
    if not isinstance(bounds, list) or len(bounds) != 2 or not all(map(is_number, bounds)):
        return ""
    return f"{show(bounds[0]).removesuffix(' %')} to {show(bounds[1]).removesuffix(' %')}"


def phases_of(history: tuple[dict, ...]) -> dict[str, list[dict]]:
    """The passes of each phase, in the order they were trained; of a phase trained anew, the last run."""
    phases: dict[str, list[dict]] = {}
    for row in history:
        if not np.isfinite(epoch := value_of(row, "epoch")):
            continue
        passes = phases.setdefault(str(row.get("phase", "training")), [])
        if passes and epoch <= value_of(passes[-1], "epoch"):
            passes.clear()
        passes.append(row)
    return phases


def best_pass(passes: list[dict]) -> int | None:
    """Number, from 1, of the pass with the lowest validation score, by which the weights were chosen."""
    scores = np.array([value_of(row.get("validation"), "score") for row in passes])
    if not np.isfinite(scores).any():
        return None
    return int(value_of(passes[int(np.nanargmin(scores))], "epoch")) + 1


def curves_of(passes: list[dict]) -> tuple[dict[str, list[Curve]], dict[str, list[Curve]]]:
    """Panels of what was learned (loss, its parts, other measures), and of how (learning rate, speed)."""
    epochs = np.array([value_of(row, "epoch") for row in passes]) + 1
    table = {
        True: {key: np.array([value_of(row, key) for row in passes]) for key in _keys(passes)},
        False: {
            key: np.array([value_of(row.get("validation"), key) for row in passes])
            for key in _keys([section(row, "validation") for row in passes])
        },
    }
    parts = [key for key in dict.fromkeys([*table[True], *table[False]]) if key != "loss"]
    shared = [key for key in parts if key in table[True]]
    panels = {"loss": ["loss"], "parts of the loss": shared, "measures": [key for key in parts if key not in shared]}
    learned: dict[str, list[Curve]] = {}
    for panel, keys in panels.items():
        for key in keys:
            for training in (False, True):
                values = table[training].get(key)
                if values is None or not np.isfinite(values).any() or not np.nanmax(np.abs(values)):
                    continue  # what has no weight in this phase is 0 all along
                known = np.isfinite(values)
                curve = Curve(key.replace("_", " "), epochs[known], values[known], training)
                learned.setdefault(panel, []).append(curve)
    how = {}
    for key, unit in SPEED.items():
        values = np.array([value_of(row, key) for row in passes])
        if np.isfinite(values).any():
            known = np.isfinite(values)
            how[unit] = [Curve(unit, epochs[known], values[known])]
    return learned, how


def _keys(rows: list[dict]) -> list[str]:
    return list(dict.fromkeys(k for row in rows for k in row if k not in NOT_CURVES and np.isfinite(value_of(row, k))))


def denoising_table(metrics: dict) -> pd.DataFrame:
    """One row a method and noise level: strict numbers first, those as published last."""
    rows = []
    levels = section(metrics, "denoising")
    for level in sorted(levels, key=lambda name: (name != "noise_x1", name)):
        for key, name in METHODS.items():
            if scores := section(levels, level, key):
                bias = value_of(scores, "flux_bias")
                rows.append(
                    {
                        "noise": "as published"
                        if level == "noise_x1"
                        else level.removeprefix("noise_x") + " times that",
                        "method": name,
                        "strict SSIM": value_of(scores, "strict_ssim"),
                        "PSNR [dB]": value_of(scores, "psnr_db"),
                        "foreground PSNR [dB]": value_of(scores, "foreground_psnr_db"),
                        "flux bias": words.minus(f"{100 * bias:+.2f} %") if np.isfinite(bias) else "–",
                        "SSIM as published": value_of(scores, "published_ssim"),
                        "galaxies": value_of(scores, "n_galaxies"),
                    }
                )
    return pd.DataFrame(rows)


def redrawn_table(metrics: dict) -> pd.DataFrame:
    """How well an autoencoder redraws galaxies, beside principal components and the mean image."""
    scores = section(metrics, "reconstruction")
    size, components = value_of(scores, "code_size"), value_of(scores, "n_components")
    names = {
        "model": f"code of {size:.0f} numbers" if np.isfinite(size) else "its code",
        "pca": f"{components:.0f} principal components" if np.isfinite(components) else "principal components",
        "mean_image": "nothing: the mean image",
    }
    return pd.DataFrame(
        {
            "redrawn from": name,
            "error": value_of(section(scores, key), "rmse"),
            "error on the galaxy": value_of(section(scores, key), "foreground_rmse"),
            "explained": percent(value_of(section(scores, key), "explained")),
            "galaxies": value_of(scores, "n_galaxies"),
        }
        for key, name in names.items()
        if section(scores, key)
    )


def probe_table(metrics: dict) -> pd.DataFrame:
    """What classes can be read off the frozen embedding: one column a probe, so that all of it fits a page."""
    columns: dict[str, dict[str, str]] = {}
    for split, where in HELD_OUT.items():
        for key, name in PROBES.items():
            if scores := section(metrics, "embedding", split, key):
                n, recall = value_of(scores, "n_test"), section(scores, "recall")
                column = {"accuracy": percent(value_of(scores, "accuracy")), "95 %": interval(scores, "interval")}
                column |= {f"found: {class_words(kind)}": percent(value_of(recall, kind)) for kind in recall}
                columns[f"{name}, {where}"] = column | {"galaxies": f"{n:,.0f}" if np.isfinite(n) else "–"}
    rows = list(dict.fromkeys(row for column in columns.values() for row in column))
    filled = {name: [column.get(row, "–") for row in rows] for name, column in columns.items()}
    return pd.DataFrame({"held-out galaxies": rows} | filled) if rows else pd.DataFrame()


def least_found(metrics: dict) -> str:
    """The class that is found least often where classes are read off the embedding; empty where that was not measured.

    Examples
    --------
    >>> probe = {"n_test": 50, "recall": {"spiral": 0.9, "cigar_smooth": 0.48}}
    >>> least_found({"embedding": {"test": {"linear_probe": probe}}, "catalog": "folder:a"})
    'Of classes read off the embedding, “cigar-shaped, smooth” is found least often: 48.0 % of its galaxies among 50 test galaxies of folder:a.'
    """  # noqa: E501
    probe = section(metrics, "embedding", "test", "linear_probe")
    recall = {kind: share for kind in section(probe, "recall") if np.isfinite(share := value_of(probe["recall"], kind))}
    if not recall:
        return ""
    worst, on = min(recall, key=recall.get), measured_on(metrics, value_of(probe, "n_test"))
    said = f"“{class_words(worst)}” is found least often: {percent(recall[worst])} of its galaxies among {on}"
    return f"Of classes read off the embedding, {said}."


def class_table(classes: dict) -> pd.DataFrame:
    """Recall of each class with its interval, and precision; dashes where no galaxy is of it, or is said to be."""
    recall, precision, n = (section(classes, key) for key in ("recall", "precision", "n_by_class"))
    names, counts = confusion_of(classes)
    said = dict(zip(names, counts.sum(axis=0).tolist(), strict=True))
    return pd.DataFrame(
        {
            "class": class_words(name),
            "recall": percent(value_of(recall, name) if value_of(n, name) != 0 else np.nan),
            "95 %": wilson_text(value_of(recall, name), value_of(n, name)),
            "precision": percent(value_of(precision, name) if said.get(name) != 0 else np.nan),
            "test galaxies": value_of(n, name),
        }
        for name in (classes.get("class_names") if isinstance(classes.get("class_names"), list) else recall)
        if isinstance(name, str)
    )


def confusion_of(classes: dict) -> tuple[list[str], np.ndarray]:
    """Names of the classes and the matrix, int (n, n); no classes where the record is not whole."""
    names, nothing = classes.get("class_names"), ([], np.zeros((0, 0), np.int64))
    try:
        counts = np.array(classes["confusion"], dtype=np.float64)
    except (KeyError, TypeError, ValueError, OverflowError):
        return nothing
    whole = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not whole or counts.shape != (len(names), len(names)) or not counts.sum():
        return nothing
    if not ((counts >= 0) & (counts <= MOST)).all():
        return nothing
    return names, counts.astype(np.int64)


def wilson_text(share: float, n: float) -> str:
    """The 95 % interval of a share of so many galaxies (Wilson 1927); empty where either is not known.

    Examples
    --------
    >>> wilson_text(30 / 44, 44), wilson_text(0.5, float("nan"))
    ('53.4 to 80.0', '')
    """
    if not (0 <= share <= 1 and 1 <= n <= MOST):
        return ""
    low, high = wilson_interval(round(share * n), int(n))
    return f"{100 * low:.1f} to {100 * high:.1f}"


def measured_on(metrics: dict, n: float | None, what: str = "test galaxies", part: str = "") -> str:
    """The catalog that numbers, or those of a part of the metrics, were measured on, with how many galaxies of it.

    Examples
    --------
    >>> measured_on({"catalog": "gz2:gz2"}, 2000), measured_on({}, None)
    ('2,000 test galaxies of gz2:gz2', 'test galaxies of an unnamed catalog')
    """
    catalog = section(metrics, part).get("catalog") or metrics.get("catalog") if part else metrics.get("catalog")
    counted = f"{int(n):,} {what}" if n is not None and np.isfinite(n) else what
    return f"{counted} of {catalog}" if isinstance(catalog, str) and catalog else f"{counted} of an unnamed catalog"
