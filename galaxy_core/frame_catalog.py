"""From a frame of the sky to a catalogue and a segmentation map: what the page and the command both call.

A frame is worked on in tiles with wide overlaps, and an object belongs to the tile whose core its centre lies in, so
memory does not grow with the frame but for the segmentation map, which may lie on disk. Frames of up to 3072 pixels a
side are one tile.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from galaxy_core.artifacts.files import is_full
from galaxy_core.correlated_noise import noise_correlation
from galaxy_core.denoiser_calls import weights_sha256
from galaxy_core.errors import ArtifactError
from galaxy_core.frame_bands import SkyFrame
from galaxy_core.frame_blends import find_blends
from galaxy_core.frame_choices import FrameConfig
from galaxy_core.frame_detectors import SKY_PX, Detector, growth_of_frame, make_detector, noise_of_frame
from galaxy_core.frame_kinds import tell_kinds
from galaxy_core.frame_light import Window, read_light, sum_of_bands
from galaxy_core.frame_measures import flags_of, kron_scale, measure_band
from galaxy_core.frame_seeing import BandSeeing
from galaxy_core.frame_segments import Found, take
from galaxy_core.frame_table import blends_on_sky, place_on_sky, table_of
from galaxy_core.tiles import Progress

if TYPE_CHECKING:
    from astropy.io import fits
    from torch import nn

TILE_PX, MARGIN_PX = 3072, 256
SEARCHED = 0.7  # of the work, where stars are told from galaxies, too
TAKEN = 0.5  # of an object's pixels in others already painted: it is the same object, seen from the next tile


@dataclass(frozen=True)
class FrameCatalog:
    """What is in a frame.

    Attributes
    ----------
    name : str
    objects : pandas.DataFrame
        One row an object; `galaxy_core.frame_table.COLUMNS` says what the columns are, and in which units.
    segmentation : ndarray of int32, shape (height, width)
        0 is sky, elsewhere the column ``number`` of the object. On disk where that was asked for.
    shape : tuple of int
    header : astropy.io.fits.Header or None
        Of the frame.
    band_names : tuple of str
        The first is the one that columns without a band's name are of.
    calibrated : bool
        False for pictures.
    config : FrameConfig
    threshold : float
        Of the method's detection map, at which noise gives the false detections accepted.
    weights_sha256 : str
        Of the segmenter; empty for sep.
    seconds : dict of str to float
        What finding, measuring and telling stars from galaxies took.
    notes : tuple of str
    seeing : dict of str to galaxy_core.frame_seeing.BandSeeing
        By band, where it was measured to tell stars from galaxies.
    separator_sha256 : str
        Of the model that did so; empty where none was asked.
    units : dict of str to str
        Of the light, by band, as headers say it; empty where they do not.
    zero_points : dict of str to float
        Magnitude of a flux of one, by band, as given or as headers say; NaN where neither does.
    """

    name: str
    objects: pd.DataFrame = field(repr=False)
    segmentation: np.ndarray = field(repr=False)
    shape: tuple[int, int]
    header: fits.Header | None = field(repr=False)
    band_names: tuple[str, ...]
    calibrated: bool
    config: FrameConfig
    threshold: float
    weights_sha256: str
    seconds: dict[str, float]
    notes: tuple[str, ...] = ()
    seeing: dict[str, BandSeeing] = field(default_factory=dict)
    separator_sha256: str = ""
    units: dict[str, str] = field(default_factory=dict)
    zero_points: dict[str, float] = field(default_factory=dict)


def catalogue_frame(
    frame: SkyFrame,
    config: FrameConfig | None = None,
    model: nn.Module | None = None,
    progress: Progress | None = None,
    separator: nn.Module | None = None,
    scratch: Path | None = None,
) -> FrameCatalog:
    """Find, separate and measure the objects of a frame.

    Parameters
    ----------
    frame : galaxy_core.frame_bands.SkyFrame
    config : FrameConfig, optional
    model : nn.Module, optional
        A segmenter, for the method of that name.
    progress : callable, optional
        Called with the fraction done; what it raises stops the work.
    separator : nn.Module, optional
        What tells stars from galaxies; without it ``p_galaxy`` is NaN.
    scratch : path, optional
        File to keep the segmentation map in while it is made and used, for frames larger than memory.

    Raises
    ------
    ModelError
        No such method, or no model for it.
    ArtifactError
        No room for ``scratch``.
    """
    config = config or FrameConfig()
    started = time.perf_counter()
    growth, in_apertures, detector = _prepare(frame, config, model)
    seconds = {"threshold": time.perf_counter() - started, "find": 0.0, "measure": 0.0}
    segmentation = _empty_map(frame.shape, scratch)
    cores, parts, n_objects = list(_cores(frame.shape)), [], 0
    searching = SEARCHED if separator is not None else 1.0
    for done, core in enumerate(cores):

        def report(share: float, done: int = done) -> None:
            if progress:
                progress(searching * (done + share) / len(cores))

        part = _search_tile(frame, core, detector, in_apertures, segmentation, n_objects, report, seconds)
        parts.append(part)
        n_objects += len(part)
        report(1.0)
    objects = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    names = tuple(band.name for band in frame.bands)
    shared = (names, frame.calibrated, config, detector.threshold, weights_sha256(model) if model is not None else "")
    notes = frame.notes if n_objects else (*frame.notes, "No object passes the threshold.")
    of_bands = {"units": {band.name: band.unit for band in frame.bands}}
    of_bands["zero_points"] = {band.name: band.zero_point_mag for band in frame.bands}
    of_frame = (frame.name, objects, segmentation, frame.shape, frame.header)
    catalog = FrameCatalog(*of_frame, *shared, seconds, notes, **of_bands)
    if separator is None:
        return catalog
    return _with_kinds(catalog, frame, cores, growth, separator, progress)


def _with_kinds(catalog: FrameCatalog, frame: SkyFrame, cores, growth, separator, progress) -> FrameCatalog:
    """The catalogue with ``p_galaxy``, the flags of objects that were not told, and the seeing."""
    started = time.perf_counter()
    report = None if progress is None else lambda share: progress(SEARCHED + (1 - SEARCHED) * share)
    objects, given = catalog.objects, (catalog.config.psf_fwhm_px, catalog.config.galaxy_share)
    kinds = tell_kinds(frame, objects, catalog.segmentation, cores, growth, separator, *given, report)
    objects["p_galaxy"] = kinds.p_galaxy
    objects["flags"] = (objects["flags"].to_numpy() | kinds.flags).astype(np.int16)
    return replace(
        catalog,
        seconds=catalog.seconds | {"tell": time.perf_counter() - started},
        notes=(*catalog.notes, *kinds.notes),
        seeing=kinds.seeing,
        separator_sha256=weights_sha256(separator),
    )


def _prepare(frame: SkyFrame, config: FrameConfig, model) -> tuple[list[float], list[np.ndarray], Detector]:
    """How noise grows over a few pixels and in apertures in each band, and the detector: all of the frame's middle."""
    height, width = frame.shape
    top, left = max(height - SKY_PX, 0) // 2, max(width - SKY_PX, 0) // 2
    window = Window(top, min(top + SKY_PX, height), left, min(left + SKY_PX, width))
    lights = [read_light(band, window) for band in frame.bands]
    growth = [noise_correlation(light.light / light.noise) for light in lights]
    in_apertures = [
        growth_of_frame(light.light / light.noise, light.unusable, more)
        for light, more in zip(lights, growth, strict=True)
    ]
    noise = noise_of_frame(*sum_of_bands(lights), config.seed)
    detector = make_detector(config.method, noise, config.false_per_megapixel, model, config.deblend_contrast)
    return growth, in_apertures, detector


def _search_tile(frame, core: Window, detector, growth, segmentation, n_before: int, report, seconds) -> pd.DataFrame:
    """Objects whose centre lies in a tile's core, painted into the map and measured."""
    height, width = frame.shape
    window = Window(
        max(core.top - MARGIN_PX, 0),
        min(core.bottom + MARGIN_PX, height),
        max(core.left - MARGIN_PX, 0),
        min(core.right + MARGIN_PX, width),
    )
    started = time.perf_counter()
    lights = [read_light(band, window) for band in frame.bands]
    signal, unusable = sum_of_bands(lights)
    found = detector.find(signal, unusable, report)
    numbers, n_pixels = _paint(found, core, window, segmentation, n_before)
    middle = time.perf_counter()
    blends = find_blends(signal, found.x, found.y).take(numbers - 1)  # among those of neighbouring tiles, too
    found = take(found, numbers - 1)
    at_edge = (window.top == 0, window.bottom == height, window.left == 0, window.right == width)
    scale = kron_scale(signal, found, numbers, unusable)
    measures = [
        measure_band(light, band, found, numbers, scale, more)
        for light, band, more in zip(lights, frame.bands, growth, strict=True)
    ]
    flags = flags_of(found, numbers, scale, lights, at_edge)
    axes = found.major, found.minor, found.theta
    place = place_on_sky(frame.wcs, found.x + window.left, found.y + window.top, *axes)
    shared = blends_on_sky(frame.wcs, blends, window.left, window.top)
    names = [band.name for band in frame.bands]
    table = table_of(found, place, shared, dict(zip(names, measures, strict=True)), flags, n_pixels, n_before)
    seconds["find"] += middle - started
    seconds["measure"] += time.perf_counter() - middle
    return table


def _paint(found: Found, core: Window, window: Window, segmentation, n_before: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers in ``found`` of the objects that are the core's, and how many pixels each gets; adds them to the map."""
    place = segmentation[window.top : window.bottom, window.left : window.right]
    n = len(found)
    mine = np.zeros(n + 1, dtype=bool)
    column, row = np.rint(found.x) + window.left, np.rint(found.y) + window.top
    mine[1:] = (column >= core.left) & (column < core.right) & (row >= core.top) & (row < core.bottom)
    rows, columns = np.nonzero(found.segmentation)
    labels = found.segmentation[rows, columns]
    taken = place[rows, columns] > 0
    mine &= np.bincount(labels, taken, minlength=n + 1) <= TAKEN * np.bincount(labels, minlength=n + 1)
    mine[0] = False
    number = np.zeros(n + 1, dtype=np.int32)
    number[mine] = np.arange(1, int(mine.sum()) + 1) + n_before
    new = mine[labels] & ~taken
    place[rows[new], columns[new]] = number[labels[new]]
    return np.flatnonzero(mine), np.bincount(labels[new], minlength=n + 1)[mine]


def _cores(shape: tuple[int, int]) -> Iterator[Window]:
    height, width = shape
    for top in range(0, height, TILE_PX):
        for left in range(0, width, TILE_PX):
            yield Window(top, min(top + TILE_PX, height), left, min(left + TILE_PX, width))


def _empty_map(shape: tuple[int, int], scratch: Path | None) -> np.ndarray:
    if scratch is None:
        return np.zeros(shape, dtype=np.int32)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    empty = np.lib.format.open_memmap(scratch, mode="w+", dtype=np.int32, shape=shape)
    try:
        with scratch.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, scratch.stat().st_size)
    except AttributeError:  # not on this system
        pass
    except OSError as error:
        if is_full(error):  # met while the map is filled, that would end the process without a word
            raise ArtifactError(
                f"Cannot write {scratch}: {error.strerror}; free some space or choose another folder."
            ) from error
    return empty
