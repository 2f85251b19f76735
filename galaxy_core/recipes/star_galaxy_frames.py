"""How well stars are told from galaxies on whole frames: simulated ones, a real one made worse, and others for sanity.

The real frame is its own judge: brighter than where the stars' locus in size parts from the galaxies', an object's size
says what it is. Then the frame is blurred and noise is added, until sizes alone no longer say so, and the objects are
told again on what is left, by the same code as on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from scipy import ndimage
from scipy.spatial import cKDTree

from galaxy_core.embedding import find_model
from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.frame_bands import Band, SkyFrame, open_sky_frame
from galaxy_core.frame_catalog import FrameCatalog, FrameConfig, catalogue_frame
from galaxy_core.frame_measures import EDGE, GAPS, SATURATED
from galaxy_core.frame_seeing import narrowest_crowd
from galaxy_core.images import AstroImage
from galaxy_core.models import load_model
from galaxy_core.recipes import Report
from galaxy_core.recipes.star_galaxy_scores import area_under_curve, score_probabilities
from galaxy_core.simulator.star_galaxy import ZERO_POINT_MAG
from galaxy_core.simulator.star_galaxy_frame import simulate_frame
from galaxy_core.simulator.star_galaxy_population import BANDS

MATCH_PX = 1.5
FIELD = ("g.fits", "r.fits", "i.fits")
SIMULATED = {"n_objects": 900, "side_px": 1500, "seed": 77}  # of a seed that nothing was trained or decided on
TRUTH_SNR = 100.0  # in the sharp frame: above it stars and galaxies part in size
STAR_BELOW, GALAXY_ABOVE = 0.12, 0.20  # mean of ln half-light radius over that of the stars, in the sharp frame
FAINT_SNR = (5.0, 40.0)  # of the objects that are scored, in the degraded frame
# Blur (FWHM added, in units of that of the sharp frame) and noise (in units of that of the blurred frame).
DEGRADATIONS = ((1.0, 4.0), (1.0, 10.0), (1.0, 20.0))


@dataclass(frozen=True)
class Judges:
    """What frames are searched with, and what tells stars from galaxies on them."""

    segmenter: object
    separator: object

    def catalogue(self, frame: SkyFrame, config: FrameConfig | None = None) -> FrameCatalog:
        """The catalogue of a frame, as the page and the command make it."""
        return catalogue_frame(frame, config or FrameConfig(), self.segmenter, separator=self.separator)


def score_frames(model, frames: Sequence[str | Path], seed: int, device: str, report: Report | None = None) -> dict:
    """Everything about whole frames: simulated ones, one of several bands made worse, and what is told on the others.

    Parameters
    ----------
    frames : sequence of path
        Files and folders. A folder with g.fits, r.fits and i.fits is a field of three bands, the judge of itself; the
        other files are only counted.
    """
    segmenter = load_model(find_model("segmenter", "."), device)
    judges, files = Judges(segmenter, model), fits_files(frames)
    scores = {"simulated": score_simulated(judges, seed, report)}
    fields = {path.parent for path in files if {f.name for f in path.parent.iterdir()} >= set(FIELD)}
    for folder in sorted(fields)[:1]:
        scores["degraded"] = score_degraded(judges, [folder / name for name in FIELD], seed, report)
    alone = [path for path in files if path.parent not in fields]
    scores["counts"] = []
    for done, path in enumerate(alone):
        try:
            scores["counts"].append(count_kinds(judges, path))
        except ImageError as error:
            scores["counts"].append({"frame": path.name, "notes": [str(error)], "n_told": 0})
        if report:
            report("other frames", done + 1, len(alone))
    return scores


def fits_files(paths: Sequence[str | Path]) -> list[Path]:
    """FITS files among files and in folders, in order, but for maps of noise and background."""
    found = []
    for path in map(Path, paths):
        found += sorted(path.rglob("*.fits*")) if path.is_dir() else [path]
    return [path for path in found if not any(word in path.name for word in ("rms", "back"))]


def image_of(band: np.ndarray, name: str, zero_point: float | None = None) -> AstroImage:
    """A band as a FITS image in memory."""
    header = fits.Header()
    header["FILTER"] = name
    if zero_point is not None:
        header["MAGZERO"] = zero_point
    return AstroImage(band[None].astype(np.float32), True, header, "FITS", f"{name}.fits", 32)


def score_simulated(judges: Judges, seed: int, report: Report | None = None) -> dict:
    """Simulated frames with known truth, told in five bands and in r alone, beside sizes."""
    simulated = simulate_frame(**SIMULATED)
    scores = {}
    for done, (name, chosen) in enumerate((("ugriz", range(5)), ("r", (2,)))):
        images = [image_of(simulated.bands[band], BANDS[band], ZERO_POINT_MAG) for band in chosen]
        with open_sky_frame(images, name=f"simulated_{name}") as frame:
            catalog = judges.catalogue(frame)
        rows, truth_rows = matched(catalog.objects, simulated.truth)
        truth = simulated.truth["is_galaxy"].to_numpy().astype(int)[truth_rows]
        scores[name] = {"n_simulated": len(simulated.truth), **score_told(catalog, rows, truth, seed)}
        scores[name]["seeing"] = seeing_of(catalog)
        if report:
            report("simulated frames", done + 1, 2)
    return scores | SIMULATED


def matched(objects: pd.DataFrame, truth: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Rows of objects and of the truth that are each other's nearest, within 1.5 pixels."""
    one, two = objects[["x", "y"]].to_numpy(), truth[["x", "y"]].to_numpy()
    distance, nearest = cKDTree(two).query(one)
    back = cKDTree(one).query(two)[1]
    rows = np.flatnonzero((distance <= MATCH_PX) & (back[nearest] == np.arange(len(one))))
    return rows, nearest[rows]


def score_told(catalog: FrameCatalog, rows: np.ndarray, truth: np.ndarray, seed: int) -> dict:
    """Scores of the objects of some rows that were told, beside those of their sizes.

    Size and magnitude: ln half-light radius over that of the frame's stars (`narrowest_crowd` of those above a signal
    to noise ratio of 30), as it is and in units of its error, which is 0.02 and one over the signal to noise ratio, in
    quadrature; the better of the two counts.
    """
    objects = catalog.objects.iloc[rows]
    p, sizes = objects["p_galaxy"].to_numpy(), [one[rows] for one in size_excess(catalog.objects)]
    told = np.isfinite(p)
    scores = {"n_matched": len(rows), "n_told": int(told.sum()), "galaxy_share": float(truth[told].mean())}
    snr = total_snr(objects)
    scores["model"] = score_probabilities(p[told], truth[told], snr[told], seed=seed)
    measured = told & np.isfinite(sizes[0])
    areas = [area_under_curve(size[measured], truth[measured]) for size in sizes]
    scores["size_and_magnitude"] = {
        "auc": max((area for area in areas if area is not None), default=None),
        "auc_of_the_model_on_the_same": area_under_curve(p[measured], truth[measured]),
        "n": int(measured.sum()),
    }
    return scores


def total_snr(objects: pd.DataFrame) -> np.ndarray:
    """Signal to noise ratio of all bands together, float64 (n,)."""
    names = [name for name in objects if name.startswith("snr_")] or ["snr"]
    return np.sqrt(np.sum(np.square(np.nan_to_num(objects[names].to_numpy()).clip(min=0)), axis=1))


def size_excess(objects: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """How much larger objects are than the frame's stars, in ln and in standard errors, mean over bands, float64 (n,).

    NaN where no size was measured.
    """
    names = [name for name in objects if name.startswith("half_light_radius_")] or ["half_light_radius"]
    sizes = np.log(objects[names].where(objects[names] > 0).to_numpy())
    snr = np.nan_to_num(objects[[name.replace("half_light_radius", "snr") for name in names]].to_numpy()).clip(min=1.0)
    stars = [
        narrowest_crowd(size[(strong > 30) & np.isfinite(size)]) for size, strong in zip(sizes.T, snr.T, strict=True)
    ]
    excess = sizes - np.array([np.nan if one is None else one for one in stars])
    return _mean_of_known(excess), _mean_of_known(excess / np.hypot(0.02, 1 / snr))


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    total, count = np.where(known, values, 0).sum(axis=1), known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def seeing_of(catalog: FrameCatalog) -> dict:
    """FWHM in pixels, stars and scatter of each band."""
    kept = ("fwhm_px", "beta", "scatter", "n_stars")
    return {name: {key: getattr(band, key) for key in kept} for name, band in catalog.seeing.items()}


def score_degraded(judges: Judges, paths: Sequence[Path], seed: int, report: Report | None = None) -> dict:
    """A real frame of several bands, judged by its own sharp sizes after blur and noise."""
    scores = {"bands": [path.name for path in paths], "degraded": []}
    with open_sky_frame(paths) as frame:
        sharp = judges.catalogue(frame)
        kinds = kinds_by_size(sharp.objects)
        width = max(band.fwhm_px for band in sharp.seeing.values())
        # bright objects made faint are no sample of faint ones: their proportion is one number, and is given
        share = float(np.mean(kinds[(kinds == 0) | (kinds == 1)]))
        scores |= {
            "galaxy_share_given": share,
            "n_stars": int((kinds == 0).sum()),
            "n_galaxies": int((kinds == 1).sum()),
            "n_between": int((kinds == 2).sum()),
            "sharp": _score_matched(sharp, sharp.objects, kinds, seed, (0.0, np.inf)),
            "seeing": seeing_of(sharp),
        }
        for done, (blur, noise) in enumerate(DEGRADATIONS):
            rng = np.random.default_rng([seed, done])
            images = [
                image_of(degrade(band, frame.shape[0], blur * width, noise, rng), band.name) for band in frame.bands
            ]
            with open_sky_frame(images, name="degraded") as opened:
                worse = judges.catalogue(opened, FrameConfig(galaxy_share=share))
            row = {"blur_fwhm_px": blur * width, "noise": noise, "seeing": seeing_of(worse), "notes": list(worse.notes)}
            scores["degraded"].append(row | _score_matched(worse, sharp.objects, kinds, seed, FAINT_SNR))
            if report:
                report("degraded frames", done + 1, len(DEGRADATIONS))
    return scores


def kinds_by_size(objects: pd.DataFrame) -> np.ndarray:
    """0 for stars, 1 for galaxies and 2 for what lies between by the size in the sharp frame; -1 for all others.

    Of clean objects, parted from no neighbour, above a signal to noise ratio of 100 in all bands together.
    """
    names = [name for name in objects if name.startswith("half_light_radius_")] or ["half_light_radius"]
    sizes = np.log(objects[names].where(objects[names] > 0).to_numpy())
    good = (objects["flags"] == 0).to_numpy() & (total_snr(objects) > TRUTH_SNR) & np.isfinite(sizes).all(axis=1)
    stars = [narrowest_crowd(size[good]) for size in sizes.T]
    if None in stars:
        raise CatalogError("The frame shows no locus of stars in size, so it cannot judge; give another.")
    excess = (sizes - np.array(stars)).T
    mean = np.mean(excess, axis=0)
    kinds = np.where(mean < STAR_BELOW, 0, np.where(mean > GALAXY_ABOVE, 1, 2))
    return np.where(good, kinds, -1)


def degrade(band: Band, height: int, blur_fwhm_px: float, noise: float, rng: np.random.Generator) -> np.ndarray:
    """A band without its sky, blurred by a Gaussian, and white noise of so many times its own, float32."""
    light = band.rows(0, height) - band.survey.sky(0, height)
    if blur_fwhm_px:
        light = ndimage.gaussian_filter(light, blur_fwhm_px / 2.3548, mode="nearest")
    return (light + rng.normal(0, noise * band.survey.sigma, light.shape)).astype(np.float32)


def _score_matched(catalog: FrameCatalog, sharp: pd.DataFrame, kinds: np.ndarray, seed: int, snr_range) -> dict:
    known = np.flatnonzero((kinds == 0) | (kinds == 1))
    rows, places = matched(catalog.objects, sharp.iloc[known])
    snr = total_snr(catalog.objects)[rows]
    kept = (snr >= snr_range[0]) & (snr < snr_range[1])
    rows, truth = rows[kept], kinds[known][places][kept]
    told = np.isfinite(catalog.objects["p_galaxy"].to_numpy()[rows])
    if len(set(truth[told])) < 2:
        return {"n_matched": len(rows), "n_told": int(told.sum())}
    return score_told(catalog, rows, truth, seed)


def count_kinds(judges: Judges, path: Path) -> dict:
    """What is told on a frame without a truth: how many stars and galaxies, by signal to noise."""
    with open_sky_frame([path]) as frame:
        catalog = judges.catalogue(frame)
    p, snr = catalog.objects["p_galaxy"].to_numpy(), total_snr(catalog.objects)
    flags, told = catalog.objects["flags"].to_numpy(), np.isfinite(p)
    return {
        "frame": path.name,
        "n_objects": len(p),
        "n_whole": int(((flags & (EDGE | SATURATED | GAPS)) == 0).sum()),
        "n_told": int(told.sum()),
        "n_galaxies": int((p[told] >= 0.5).sum()),
        "n_told_above_snr_10": int((told & (snr > 10)).sum()),
        "n_galaxies_above_snr_10": int((told & (snr > 10) & (p >= 0.5)).sum()),
        "seeing": seeing_of(catalog),
        "notes": list(catalog.notes),
    }
