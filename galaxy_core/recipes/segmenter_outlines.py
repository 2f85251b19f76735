"""Outlines and positions of real objects against what others made of the same frames: vetted maps, and SExtractor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from galaxy_core.errors import ImageError
from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_catalog import FrameConfig, catalogue_frame
from galaxy_core.images import read_image

CATALOG_SNR = 5.0
FOUND_PX = 1.0


def score_outlines(folders: Sequence[str | Path], config: FrameConfig, model=None) -> dict:
    """Overlap of the central object with that of vetted segmentation maps (``*segim.fits`` beside ``*fitim.fits``).

    Returns
    -------
    dict
        ``median_iou``, by survey too (the folder the files lie in), and the overlap of each: shared pixels over those
        of either map.
    """
    rows = []
    for folder in map(Path, folders):
        for image in sorted(folder.rglob("*fitim.fits")):
            truth = image.with_name(image.name.replace("fitim", "segim"))
            if truth.exists():
                rows.append(
                    {
                        "survey": image.parent.name,
                        "name": image.name,
                        "iou": _central_overlap(image, truth, config, model),
                    }
                )
    if not rows:
        raise ImageError(f"No *fitim.fits with its *segim.fits in {', '.join(map(str, folders))}; name another folder.")
    surveys = sorted({row["survey"] for row in rows})
    by_survey = {name: float(np.median([row["iou"] for row in rows if row["survey"] == name])) for name in surveys}
    return {"median_iou": float(np.median([row["iou"] for row in rows])), "by_survey": by_survey, "maps": rows}


def _central_overlap(image: Path, truth: Path, config: FrameConfig, model) -> float:
    with open_sky_frame([image]) as frame:
        found = catalogue_frame(frame, config, model).segmentation
    vetted = np.rint(read_image(truth).pixels[0]).astype(int)
    return overlap(central(found), central(vetted))


def central(segmentation: np.ndarray) -> np.ndarray:
    """Pixels of the object whose pixels come nearest to the middle; none in an empty map."""
    rows, columns = np.nonzero(segmentation)
    if len(rows) == 0:
        return np.zeros(segmentation.shape, dtype=bool)
    middle = [(side - 1) / 2 for side in segmentation.shape]
    nearest = np.argmin((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2)
    return segmentation == segmentation[rows[nearest], columns[nearest]]


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Pixels two masks share over those of either; 0 where both are empty."""
    either = int((one | other).sum())
    return float((one & other).sum() / either) if either else 0.0


def score_against_sextractor(image: str | Path, table: str | Path, config: FrameConfig, model=None) -> dict:
    """How many objects of a SExtractor catalogue above 5 sigma are found within a pixel.

    Of its barycentre, and of either that or its windowed position where the catalogue has one: for objects at an edge
    or in a blend SExtractor's own two positions are a pixel apart. What SExtractor did not part is here a blend of
    several objects, so its barycentre is looked for among those of blends, too.

    Parameters
    ----------
    table : path
        As SExtractor writes it (ASCII_HEAD), with X_IMAGE, Y_IMAGE, FLUX_AUTO and FLUXERR_AUTO.
    """
    with open_sky_frame([image]) as frame:
        catalog = catalogue_frame(frame, config, model)
    columns = read_sextractor(table)
    bright = columns["FLUX_AUTO"] > CATALOG_SNR * columns["FLUXERR_AUTO"]
    places = np.column_stack([columns["X_IMAGE"], columns["Y_IMAGE"]])[bright] - 1
    positions = catalog.objects[["x", "y"]].to_numpy()
    distance = nearest_px(positions, places)
    either = distance
    if "XWIN_IMAGE" in columns:
        windowed = np.column_stack([columns["XWIN_IMAGE"], columns["YWIN_IMAGE"]])[bright] - 1
        either = np.minimum(distance, nearest_px(positions, windowed))
    blends = catalog.objects[["blend_x", "blend_y"]].dropna().to_numpy()
    parted = np.minimum(distance, nearest_px(blends, places))
    missed = [[float(x), float(y), float(d)] for (x, y), d in zip(places, distance, strict=True) if d > FOUND_PX]
    return {
        "n_catalog": len(bright),
        "n_above_5_sigma": int(bright.sum()),
        "n_found_within_1_px": int((distance <= FOUND_PX).sum()),
        "n_found_within_1_px_of_either": int((either <= FOUND_PX).sum()),
        "n_found_within_1_px_as_object_or_blend": int((parted <= FOUND_PX).sum()),
        "median_distance_px": float(np.median(distance)) if len(distance) else None,
        "missed": missed,
        "n_objects": len(catalog.objects),
    }


def nearest_px(positions: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Pixels from each place (n, 2) to the nearest of some positions (m, 2), float64 (n,); 1e9 where there is none."""
    if len(positions) == 0 or len(places) == 0:
        return np.full(len(places), 1e9)
    return cKDTree(positions).query(places)[0]


def read_sextractor(path: str | Path) -> dict[str, np.ndarray]:
    """Columns of a catalogue in SExtractor's ASCII_HEAD format by their names; the first element of vectors.

    Raises
    ------
    ImageError
        It cannot be read, or has no such header.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
        places = {line.split()[2]: int(line.split()[1]) - 1 for line in lines if line.startswith("#")}
        rows = np.array([[float(value) for value in line.split()] for line in lines if line and line[0] != "#"])
        return {name: rows[:, place] for name, place in places.items()}
    except (OSError, ValueError, IndexError):
        raise ImageError(f"{path} is not a catalogue as SExtractor writes it with ASCII_HEAD; name another.") from None
