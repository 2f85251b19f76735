"""What is done in the background on the Frame page: open a frame, search it, make the picture that is shown."""

from __future__ import annotations

import hashlib
import json
import threading
import weakref
from collections import OrderedDict
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from galaxy_core.embedding import find_model
from galaxy_core.errors import ModelError
from galaxy_core.frame_bands import Band, SkyFrame, open_sky_frame
from galaxy_core.frame_catalog import FrameCatalog, FrameConfig, catalogue_frame
from galaxy_core.frame_choices import DEFAULT_SEPARATOR
from galaxy_core.frame_filters import by_wavelength
from galaxy_core.frame_jobs import IN_MEMORY_PX
from galaxy_core.frame_survey import Rows
from galaxy_core.star_galaxy import has_model
from galaxy_core.work_tasks import Report, Task
from pages.views import sky_sources
from pages.views.image_viewer.payload import reduce_mean
from pages.views.sky_sources import SkyItem

MODEL = "segmenter"
MAX_VALUES = 1_500_000  # of the picture of the whole frame: height x width x bands
OPENED, SEARCHED = 0.1, 0.95  # of the work
KEPT_OPEN = 2
STRIP_PX = 512


@dataclass(frozen=True)
class Picture:
    """A frame as it is shown first.

    Attributes
    ----------
    bands : tuple of int
        Which bands of the frame are shown: one, or three of them, red first.
    factor : int
        Pixels of the frame along a side of one pixel of the picture.
    pixels : ndarray of float32, shape (len(bands), height, width)
    """

    bands: tuple[int, ...]
    factor: int
    pixels: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class SkyWork:
    """A frame that was searched. It stays open, so that parts of it can be looked at; ``key`` is its task's."""

    key: str
    frame: SkyFrame = field(repr=False)
    catalog: FrameCatalog = field(repr=False)
    picture: Picture = field(repr=False)
    in_memory: int = 0

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        table = int(self.catalog.objects.memory_usage().sum())
        labels = 0 if isinstance(self.catalog.segmentation, np.memmap) else self.catalog.segmentation.nbytes
        return self.in_memory + labels + table + self.picture.pixels.nbytes

    @property
    def unit(self) -> str:
        """Of the frame's light."""
        if not self.catalog.calibrated:
            return "of white"
        return str((self.frame.header or {}).get("BUNIT", "")).strip() or "frame units"

    @property
    def in_band(self) -> str:
        """Which band measures are of that name none: the first; nothing where there is no other."""
        names = self.catalog.band_names
        return f" in {names[0]}" if len(names) > 1 else ""


_OPEN: OrderedDict[tuple, SkyFrame] = OrderedDict()
_OPEN_LOCK = threading.Lock()


def method_of(root: Path) -> str:
    """The way to look for objects: by the trained segmenter where there is one."""
    try:
        find_model(MODEL, root)
    except ModelError:
        return "sep"
    return MODEL


def search_task(item: SkyItem, config: FrameConfig, root: Path) -> Task:
    """The task of searching a frame."""
    segmenter = _weights_of(MODEL, root) if config.method == MODEL else None
    separator = _weights_of(DEFAULT_SEPARATOR, root) if separator_is_there(root) else None
    parts = [item.stamp, item.name, vars(config), segmenter, separator]
    key = hashlib.sha1(json.dumps(parts, default=str).encode()).hexdigest()
    return Task(key, item.name, lambda report: _search(key, item, config, segmenter, separator, report))


def separator_is_there(root: Path) -> bool:
    """Whether stars can be told from galaxies: there is a model, and what runs it."""
    return has_model(DEFAULT_SEPARATOR, root) and find_spec("torch") is not None


def _weights_of(model: str, root: Path) -> tuple[Path, int]:
    """Folder of a model, and when its weights were written."""
    folder = find_model(model, root)
    return folder, (folder / "weights.safetensors").stat().st_mtime_ns


def _search(key: str, item: SkyItem, config: FrameConfig, segmenter, separator, report: Report) -> SkyWork:
    model, separator = (_load(*weights) if weights else None for weights in (segmenter, separator))
    report(0.02)
    frame = _opened(item, config)
    report(OPENED)
    scratch = None
    if frame.shape[0] * frame.shape[1] > IN_MEMORY_PX:
        scratch = sky_sources.spool() / f"{key}-{threading.get_ident()}.npy"
    share = SEARCHED - OPENED
    catalog = catalogue_frame(frame, config, model, lambda done: report(OPENED + share * done), separator, scratch)
    if scratch is not None:
        with suppress(OSError):  # where an open file cannot be deleted, it goes with the folder
            scratch.unlink()
    picture = make_picture(frame, lambda done: report(SEARCHED + (1 - SEARCHED) * done))
    in_memory = sum(path.stat().st_size for path in item.paths) * 4 if _is_packed(item) else 0
    return SkyWork(key, frame, catalog, picture, in_memory)


def _is_packed(item: SkyItem) -> bool:
    """Whether a frame had to be read whole: its pixels are in memory."""
    from galaxy_core.frame_files import open_frame

    files = [*((path, item.hdu) for path in item.paths), *item.weights, *item.masks]
    return any(open_frame(path, hdu) is None for path, hdu in files)


@lru_cache(maxsize=2)
def _load(folder: Path, stamp: int):
    from galaxy_core.models import load_model, resolve_device

    return load_model(folder, resolve_device("auto"))


def _opened(item: SkyItem, config: FrameConfig) -> SkyFrame:
    """A frame that stays open as long as anything shows it; the last ones are kept for another search."""
    given = config.zero_points, item.weights, item.weight_kind, config.saturated_from, item.mask_bits, item.masks
    key = (item.stamp, item.paths, given)
    with _OPEN_LOCK:
        if key in _OPEN:
            _OPEN.move_to_end(key)
            return _OPEN[key]
    stack, lock = ExitStack(), threading.Lock()
    try:
        frame = stack.enter_context(open_sky_frame(item.paths, item.hdu, None, *given))
    except BaseException:
        stack.close()
        raise
    frame = replace(frame, bands=tuple(_shared(band, lock) for band in frame.bands))
    weakref.finalize(frame, stack.close)
    with _OPEN_LOCK:
        _OPEN[key] = frame
        while len(_OPEN) > KEPT_OPEN:
            _OPEN.popitem(last=False)
    return frame


def _shared(band: Band, lock: threading.Lock) -> Band:
    """A band whose files several threads may read."""
    noise = None if band.noise is None else partial(_one_at_a_time, lock, band.noise)
    return replace(band, rows=partial(_one_at_a_time, lock, band.rows), noise=noise)


def _one_at_a_time(lock: threading.Lock, rows: Rows, top: int, bottom: int) -> np.ndarray:
    """Rows of a file that several threads read."""
    with lock:
        return rows(top, bottom)


def shown_bands(bands: tuple[Band, ...], calibrated: bool = True) -> tuple[int, ...]:
    """Which bands make the picture: one, or the reddest as red, the middle one as green and the bluest as blue."""
    if len(bands) == 1:
        return (0,)
    if not calibrated:
        return (0, 1, 2) if len(bands) > 2 else (0,)
    names = [band.name for band in bands]
    order = [names.index(name) for name in by_wavelength(names)]
    return order[-1], order[len(order) // 2], order[0]


def make_picture(frame: SkyFrame, report: Report = lambda done: None) -> Picture:
    """The whole frame, reduced by a whole factor where it is large, read in strips."""
    height, width = frame.shape
    bands = shown_bands(frame.bands, frame.calibrated)
    factor = max(1, int(np.ceil(np.sqrt(height * width * len(bands) / MAX_VALUES))))
    pixels = read_region(frame, bands, (0, 0, width, height), factor, report)
    return Picture(bands, factor, pixels)


def read_region(
    frame: SkyFrame,
    bands: tuple[int, ...],
    region: tuple[int, int, int, int],
    factor: int,
    report: Report = lambda done: None,
) -> np.ndarray:
    """Means of squares of ``factor`` pixels of a region (left, top, right, bottom), float32 (bands, height, width)."""
    left, top, right, bottom = region
    step = max(STRIP_PX // factor, 1) * factor
    planes = []
    for done, band in enumerate(bands):
        strips = []
        for first in range(top, bottom, step):
            rows = frame.bands[band].rows(first, min(first + step, bottom))[:, left:right]
            strips.append(reduce_mean(rows, factor))
            report((done + (first - top) / max(bottom - top, 1)) / len(bands))
        planes.append(np.concatenate(strips))
    return np.stack(planes)
