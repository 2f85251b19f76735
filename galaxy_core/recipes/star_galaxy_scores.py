"""How the recipe `star_galaxy_vae` is judged: on objects of the test split, beside what a catalogue alone reaches."""

from __future__ import annotations

import hashlib
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.special import expit
from scipy.stats import rankdata

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import CatalogError
from galaxy_core.models import load_model
from galaxy_core.models.star_galaxy import StarGalaxyNet
from galaxy_core.probes import wilson_interval
from galaxy_core.recipes import Report
from galaxy_core.splits import TEST
from galaxy_core.star_galaxy import galaxy_log_odds
from galaxy_core.star_galaxy_baselines import baseline_scores
from galaxy_core.star_galaxy_features import measure_features
from galaxy_core.star_galaxy_stamps import ObjectStamps, make_object_stamps
from galaxy_core.vote_intervals import measure_reliability

N_RESAMPLES = 500
MAGNITUDE_EDGES = (17.0, 19.0, 20.0, 20.5, 21.0, 21.5, 22.0)
SNR_EDGES = (-np.inf, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, np.inf)
HIGH_SNR = 20.0

DEFINITIONS = {
    "split": "sha1(galaxy_id) mod 10: 0 test, 1 validation, 2-9 training; stamps of one frame go by its name together",
    "accuracy": "share told rightly at a probability of 0.5; 95 % interval of Wilson 1927",
    "auc": "area under the ROC curve; 95 % interval of bootstrap resamples",
    "snr": "signal to noise ratio of the best point source in the middle band, r of ugriz",
    "calibration": "share of galaxies in ten equal bins of the probability; the error is the mean absolute gap",
    "baselines": "gradient-boosted trees that were shown the labels of all other splits, on the columns named",
}


def evaluate(
    folder: str | Path,
    catalog: Catalog,
    seed: int = 0,
    device: str = "cpu",
    report: Report | None = None,
    scratch: str | Path | None = None,
) -> dict:
    """Metrics of a trained model on the test split of a catalog with labels, with baselines; no network is trained.

    Parameters
    ----------
    scratch : path, optional
        Where stamps and catalogue features stay, for a second model on the same catalog; else they are thrown away.
    """
    model = load_model(folder, device)

    def decoded(done: int, total: int) -> None:
        if report:
            report("decode", done, total)

    with tempfile.TemporaryDirectory() as thrown_away:
        folder = Path(scratch or thrown_away)
        stamps = make_object_stamps(catalog, folder, decoded)
        labelled = (stamps.truth >= 0) & np.isfinite(stamps.noise_sigma).all(axis=1)
        told = np.flatnonzero((stamps.splits == TEST) & labelled)
        if not len(told) or len(set(stamps.truth[told])) < 2:
            raise CatalogError("The test split holds no star or no galaxy; evaluate on a larger catalog with classes.")
        scores = {"definitions": DEFINITIONS, "n_galaxies": len(catalog), "n_test": len(told)}
        made, snr = network_scores(model, stamps, told)
        learn = np.flatnonzero((stamps.splits != TEST) & labelled)
        features = catalogue_features(stamps, np.concatenate([learn, told]), folder, report)
        places = np.arange(len(learn)), len(learn) + np.arange(len(told))
        truth = np.concatenate([stamps.truth[learn], stamps.truth[told]])
        made |= baseline_scores(features, truth, *places, seed)
    magnitude = catalog.table["r_mag"].to_numpy()[told] if "r_mag" in catalog.table else None
    scores["methods"] = {
        name: score_probabilities(p, stamps.truth[told], snr, magnitude, seed) for name, p in made.items()
    }
    scores["galaxy_share"] = float(stamps.truth[told].mean())
    from galaxy_core.recipes.star_galaxy_clipped_scores import score_clipped

    clipped = score_clipped(catalog, seed, report)
    if clipped is not None:
        scores["clipped"] = clipped
    return scores


def network_scores(
    model: StarGalaxyNet, stamps: ObjectStamps, rows: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Probabilities without labels and, where it was trained, of the supervised network; and the signal to noise."""
    noise = stamps.noise_sigma[rows] if stamps.calibrated else None
    odds = galaxy_log_odds(model, stamps.pixels[rows].astype(np.float32), stamps.psf_fwhm_px[rows], noise)
    made = {"without labels": expit(odds.unlabelled)}
    if model.config.supervised:
        made["supervised"] = expit(odds.supervised)
    return made, odds.snr


def catalogue_features(
    stamps: ObjectStamps, rows: np.ndarray, folder: Path, report: Report | None = None
) -> np.ndarray:
    """Catalogue features of rows, float32 (n, n_features), shapes in the middle band; kept in ``folder``."""
    key = hashlib.sha1("|".join(map(str, stamps.galaxy_ids[rows])).encode()).hexdigest()[:16]
    path = folder / f"features-{key}.npy"
    if not path.exists():
        band, made = stamps.pixels.shape[1] // 2, []
        for done, row in enumerate(rows):
            made.append(measure_features(stamps.image(row), stamps.noise_sigma[row], stamps.psf_fwhm_px[row], band))
            if report:
                report("measure", done + 1, len(rows))
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.save(file, np.stack(made))
    return np.load(path)


def score_probabilities(
    p: np.ndarray, truth: np.ndarray, snr: np.ndarray, magnitude: np.ndarray | None = None, seed: int = 0
) -> dict:
    """Accuracy, AUC and calibration of probabilities of being a galaxy, whole and in bins of S/N and magnitude."""
    right = (p > 0.5) == (truth == 1)
    curve = measure_reliability(p.astype(np.float64), truth.astype(np.float64))
    high = snr > HIGH_SNR
    scores = {
        "accuracy": float(right.mean()),
        "accuracy_interval": list(wilson_interval(int(right.sum()), len(right))),
        "auc": area_under_curve(p, truth),
        "auc_interval": auc_interval(p, truth, seed),
        "expected_calibration_error": curve.expected_calibration_error,
        "calibration": {
            "expected": [None if np.isnan(v) else v for v in curve.expected.tolist()],
            "observed": [None if np.isnan(v) else v for v in curve.observed.tolist()],
            "n": curve.n_values.tolist(),
        },
        "accuracy_at_high_snr": float(right[high].mean()) if high.any() else None,
        "n_at_high_snr": int(high.sum()),
        "by_snr": _in_bins(p, truth, right, snr, SNR_EDGES),
    }
    if magnitude is not None:
        scores["by_magnitude"] = _in_bins(p, truth, right, magnitude, MAGNITUDE_EDGES)
    return scores


def _in_bins(p, truth, right, values: np.ndarray, edges: tuple[float, ...]) -> list[dict]:
    bins = []
    for low, high in pairwise(edges):
        inside = (values >= low) & (values < high)
        if inside.any():
            bins.append(
                {
                    "low": None if np.isinf(low) else low,
                    "high": None if np.isinf(high) else high,
                    "n": int(inside.sum()),
                    "galaxy_share": float(truth[inside].mean()),
                    "accuracy": float(right[inside].mean()),
                    "auc": area_under_curve(p[inside], truth[inside]),
                }
            )
    return bins


def area_under_curve(scores: np.ndarray, truth: np.ndarray) -> float | None:
    """Chance that a galaxy scores above a star, ties one half (Mann & Whitney 1947); None without one of either."""
    n_galaxies = int((truth == 1).sum())
    n_stars = len(truth) - n_galaxies
    if not n_galaxies or not n_stars:
        return None
    ranks = rankdata(scores)[truth == 1].sum()
    return float((ranks - n_galaxies * (n_galaxies + 1) / 2) / (n_galaxies * n_stars))


def auc_interval(
    scores: np.ndarray, truth: np.ndarray, seed: int, frames: np.ndarray | None = None
) -> list[float] | None:
    """95 % interval of the area under the curve over bootstrap resamples of the objects; None without both kinds.

    Where ``frames`` (n,) says which frame each object is of, whole frames are drawn.
    """
    if area_under_curve(scores, truth) is None:
        return None
    rng = np.random.default_rng(seed)
    members = None if frames is None else [np.flatnonzero(frames == frame) for frame in np.unique(frames)]
    n = len(truth) if members is None else len(members)
    picks = (rng.integers(0, n, n) for _ in range(N_RESAMPLES))
    if members is not None:
        picks = (np.concatenate([members[place] for place in pick]) for pick in picks)
    areas = [area_under_curve(scores[pick], truth[pick]) for pick in picks]
    return np.percentile([area for area in areas if area is not None], (2.5, 97.5)).tolist()
