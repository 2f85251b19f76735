"""Maps of weights, errors, variances or bits beside a frame: which pixels were measured, and how the noise changes.

As with SExtractor's WEIGHT_TYPE a map is of weights (inverse variances), of rms or of variances, of the sky's noise
without that of sources, and pixels without a weight are none. The map says how the noise changes from pixel to pixel;
its level is measured on the frame, of all three kinds, as weights are known but for a factor (https://astromatic.github
.io/sextractor/Weighting.html), and errors of resampled frames are often those from before pixels shared their noise.
A bit mask says nothing of the noise: pixels with any of its bits, or of those that are named, are left out. Surveys
often have both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from galaxy_core.errors import ImageError
from galaxy_core.frame_choices import MASK, MOST_BITS, WEIGHT_KINDS
from galaxy_core.frame_survey import FrameSurvey, Rows, noise_level
from galaxy_core.saved_images import stem_of

# Words of the names of files and extensions; all others are of weights.
WEIGHT = re.compile(r"weights?|wht|wgt|wt|ivar|invvar", re.IGNORECASE)
IMAGE = re.compile(r"sci|science|image|img|data", re.IGNORECASE)  # what a frame says where its map says one of these
RMS = re.compile(r"rms|err|errors?|sigma|std|stddev|unc|uncert|uncertainty", re.IGNORECASE)
VARIANCE = re.compile(r"var|variance|stat", re.IGNORECASE)
BITS = re.compile(r"mask|msk|dq|dqmask|flags?|bpm|badpix|quality", re.IGNORECASE)
KINDS = {"rms": RMS, "variance": VARIANCE, MASK: BITS}
INFINITE_VARIANCE = 1e30  # from here on SExtractor takes a pixel for none

WeightMap = tuple[Path, str | None]  # a file and its extension; None: the first with an image


def kind_of(name: str) -> str:
    """What a map holds, by the last word of its name that says so.

    Examples
    --------
    >>> kind_of("a.weight.fits"), kind_of("xdf_f160w_rms.fits"), kind_of("VARIANCE"), kind_of("IVAR"), kind_of("DQ")
    ('weight', 'rms', 'variance', 'weight', 'mask')
    """
    said = (kind for word in reversed(re.split(r"[^A-Za-z]+", name)) for kind in KINDS if KINDS[kind].fullmatch(word))
    return next(said, "weight")


def pair_maps(frames: Sequence[str], maps: Sequence[str]) -> list[int | None]:
    """Place of each frame's map among the maps, by names that differ in what they hold; in their order where none does.

    Examples
    --------
    >>> pair_maps(["g.fits", "r.fits"], ["r.weight.fits", "g_rms.fits"]), pair_maps(["a_sci.fits", "b.fits"], ["a_wht"])
    ([1, 0], [0, None])

    Raises
    ------
    ImageError
        It is not clear which map is whose.
    """
    fields, of_maps = [_field_of(name) for name in frames], [_field_of(name) for name in maps]
    if not set(of_maps).intersection(fields) and len(maps) == len(frames):
        return list(range(len(frames)))
    for name, field in zip(maps, of_maps, strict=True):
        if of_maps.count(field) > 1 or fields.count(field) != 1:
            raise ImageError(
                f"Which frame {name} belongs to is not clear; keep one weight map for each frame, named as its frame"
                " is: r.weight.fits of r.fits."
            )
    return [of_maps.index(field) if field in of_maps else None for field in fields]


def is_map_of(name: str, frames: Sequence[str]) -> bool:
    """Whether a file is by its name a map of one of the others.

    Examples
    --------
    >>> is_map_of("a.weight.fits", ["a.fits"]), is_map_of("b.fits", ["a.fits"]), is_map_of("a_err.fits", ["b.fits"])
    (True, False, False)
    """
    return any(_says_map(word) for word in _words(name)) and _field_of(name) in map(_field_of, frames)


def _words(name: str) -> list[str]:
    return re.split(r"[^A-Za-z0-9]+", stem_of(name).casefold())


def _says_map(word: str) -> bool:
    return any(known.fullmatch(word) for known in (WEIGHT, *KINDS.values()))


def _field_of(name: str) -> tuple[str, ...]:
    """The words of a name that a frame and its map share."""
    return tuple(word for word in _words(name) if not (_says_map(word) or IMAGE.fullmatch(word)))


def match_weights(named: Sequence[str], sources: Sequence[Path]) -> dict[Path, tuple[WeightMap, ...]]:
    """Frames that are no maps themselves, each with its map, or with none.

    Parameters
    ----------
    named : sequence of str
        A file for each frame in its order; or one name for all: the ending of files beside them (``.weight.fits``), or
        an extension of their own files (``WHT``, ``2``). Frames that end so are themselves maps, and have none.

    Raises
    ------
    ImageError
        Files of another number than the frames.
    """
    if not named:
        return dict.fromkeys(sources, ())
    if len(named) == 1 and named[0].startswith((".", "_")) and Path(named[0]).name == named[0]:
        ending = named[0]
        frames = [path for path in sources if not path.name.endswith(ending)]
        return {path: ((path.with_name(stem_of(path.name) + ending), None),) for path in frames}
    if len(named) == 1 and not Path(named[0]).exists() and "." not in named[0]:
        return {path: ((path, named[0]),) for path in sources}
    if len(named) != len(sources):
        raise ImageError(
            f"{len(named)} maps are given for {len(sources)} frames; give one for each, an extension of all"
            " (WHT) or the ending of files beside them (.weight.fits)."
        )
    return {path: ((Path(name), None),) for path, name in zip(sources, named, strict=True)}


def noise_of(rows: Rows, kind: str, mask_bits: int | None = None) -> Rows:
    """Noise of pixels up to a factor, from the rows of a map: float32, NaN where nothing was measured; 0 by a mask.

    Parameters
    ----------
    mask_bits : int, optional
        Sum of the bits of a mask that leave a pixel out; absent, all.
    """
    if kind not in WEIGHT_KINDS:
        raise ImageError(f"A weight map holds {', '.join(WEIGHT_KINDS)}, not {kind}; choose one of these.")

    def read(top: int, bottom: int) -> np.ndarray:
        said = rows(top, bottom)
        if kind == MASK:
            return np.where(_masked(said, mask_bits), np.float32(np.nan), np.float32(0))
        said = np.asarray(said, dtype=np.float64)
        with np.errstate(all="ignore"):
            variance = 1 / said if kind == "weight" else said if kind == "variance" else said * np.abs(said)
            measured = (said > 0) & (variance < INFINITE_VARIANCE)
            return np.where(measured, np.sqrt(variance), np.nan).astype(np.float32)

    return read


def _masked(said: np.ndarray, bits: int | None) -> np.ndarray:
    """Where pixels of a mask have one of the bits, bool; NaN has all."""
    if bits is None:
        return said != 0
    known, most = np.isfinite(said), np.finfo(said.dtype).nmant + 1
    if (np.abs(said[known]) >= 2.0**most).any():
        raise ImageError(
            f"The mask has more than {most} bits, which cannot be told apart here; leave out the bits, or give a mask"
            f" of those that count{'' if most == MOST_BITS else ', or one that is not gzipped'}."
        )
    return ~known | (np.where(known, said, 0).astype(np.int64) & bits != 0)


def measured_only(rows: Rows, noise: Rows) -> Rows:
    """Rows of a frame with NaN where its noise is."""
    return lambda top, bottom: np.where(np.isnan(noise(top, bottom)), np.float32(np.nan), rows(top, bottom))


def at_level(noise: Rows, rows: Rows, survey: FrameSurvey) -> Rows:
    """Noise by a map, times the factor that makes it the noise that the frame has."""

    def in_noise(top: int, bottom: int) -> np.ndarray:
        return (rows(top, bottom) - survey.sky(top, bottom)) / noise(top, bottom)

    factor = np.float32(noise_level(in_noise, survey.shape))
    return lambda top, bottom: factor * noise(top, bottom)
