"""A frame of the sky as one to many aligned bands, read in rows, with what its header knows of place and brightness.

Bands are planes of one file, or files of the same size. FITS without compression is read where it lies on disk; other
files are read whole. A colour picture is accepted too: its bands are red, green and blue, its light is stretched, and
so it is marked as uncalibrated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from galaxy_core.errors import ImageError
from galaxy_core.frame_alignment import check_places, check_shapes
from galaxy_core.frame_choices import MASK, WEIGHT_KINDS
from galaxy_core.frame_files import exactly, open_frame
from galaxy_core.frame_filters import band_labels, distinct
from galaxy_core.frame_headers import celestial_of, gain_of, unit_of, zero_point_of
from galaxy_core.frame_survey import FrameSurvey, Rows, survey_frame
from galaxy_core.frame_weights import WeightMap, at_level, kind_of, measured_only, noise_of
from galaxy_core.images import AstroImage, read_image
from galaxy_core.saved_images import stem_of

if TYPE_CHECKING:
    from astropy.io import fits
    from astropy.wcs import WCS

ROUNDING_8_BIT = 1 / 255 / np.sqrt(12)  # noise of a picture whose sky is all black
NOISELESS = (
    "shows no noise, as a simulation without any, so flux errors and signal to noise mean nothing and the sensitivity"
    " does not hold; add the noise of an observation to its pixels."
)
LEAST_PX = 3  # a side, for noise to be measured


@dataclass(frozen=True)
class Band:
    """One band of a frame.

    Attributes
    ----------
    name : str
        Letters, digits and underscores, its own within the frame.
    rows : callable
        Rows from, and up to: float32 (rows, width) in the file's units.
    survey : galaxy_core.frame_survey.FrameSurvey
        Sky, noise and saturation.
    zero_point_mag : float
        Magnitude of a flux of one, as the header or the user says; NaN where neither does.
    gain_electrons : float
        Electrons of one unit of flux; 0 where the header does not say, and then errors hold no shot noise of sources.
    unit : str
        As the header says it; empty where it does not.
    noise : callable, optional
        Rows of the noise of its pixels by a map, as ``rows``, NaN where nothing was measured. Absent, it is measured.
    """

    name: str
    rows: Rows = field(repr=False)
    survey: FrameSurvey = field(repr=False)
    zero_point_mag: float = float("nan")
    gain_electrons: float = 0.0
    unit: str = ""
    noise: Rows | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SkyFrame:
    """Aligned bands of one place on the sky.

    Attributes
    ----------
    name : str
        Stem of the (first) file.
    shape : tuple of int
        Height and width.
    bands : tuple of Band
    header : astropy.io.fits.Header or None
        Of the first band.
    wcs : astropy.wcs.WCS or None
        Of the first band; None where its header holds no celestial coordinates.
    calibrated : bool
        False for pictures, whose light is stretched.
    notes : tuple of str
        What a user ought to know, one sentence each.
    """

    name: str
    shape: tuple[int, int]
    bands: tuple[Band, ...]
    header: fits.Header | None = field(repr=False)
    wcs: WCS | None = field(repr=False)
    calibrated: bool = True
    notes: tuple[str, ...] = ()


@contextmanager
def open_sky_frame(
    sources: Sequence[str | Path | AstroImage],
    hdu: int | str | None = None,
    name: str | None = None,
    zero_points: Sequence[float] | None = None,
    weights: Sequence[WeightMap] = (),
    weight_kind: str | None = None,
    saturated_from: float | None = None,
    mask_bits: int | None = None,
    masks: Sequence[WeightMap] = (),
) -> Iterator[SkyFrame]:
    """A frame whose bands are all the planes of ``sources``, open for reading while the context lasts.

    Parameters
    ----------
    sources : sequence of path or galaxy_core.images.AstroImage
        Files, or images decoded already (an upload), of one field on the same pixels.
    hdu : int or str, optional
        Extension of FITS files; absent, the first with an image.
    name : str, optional
        Absent, the stem of the first file.
    zero_points : sequence of float, optional
        Magnitude of a flux of one: of all bands, or of each in its order; in place of what headers say.
    weights : sequence of galaxy_core.frame_weights.WeightMap
        Of each source in its order, with as many planes.
    weight_kind : {"weight", "rms", "variance", "mask"}, optional
        What they hold; absent, what their names say.
    saturated_from : float, optional
        Value from which pixels of all bands are saturated; in place of what headers and pixels say.
    mask_bits : int, optional
        Sum of the bits of masks that leave a pixel out; absent, all.
    masks : sequence of galaxy_core.frame_weights.WeightMap
        Bit masks of each source in its order, besides ``weights``.

    Raises
    ------
    ImageError
        Unreadable, of unlike shapes, at other places on the sky, no band with noise, zero points of a picture or
        of another number of bands, or weights that are all 0.
    """
    with ExitStack() as stack:
        planes, labels, notes, linear = [], [], [], []
        headers: list[fits.Header | None] = []
        for source in sources:
            rows, shape, header, label, is_linear, said = _open(source, hdu, stack)
            planes += [(read, shape[1:], header, label, is_linear) for read in rows]
            labels += band_labels(header, label, len(rows), is_linear)
            headers.append(header)
            linear.append(is_linear)
            notes += said
        check_shapes(planes)
        wcs, not_usable = zip(*map(celestial_of, headers), strict=True)
        notes += chain.from_iterable(not_usable)
        check_places(wcs, planes[0][1], [plane[3] for plane in planes])
        names = distinct(labels)
        noise = [None] * len(planes)
        if masks:
            _noise_maps(masks, MASK, mask_bits, planes, stack, notes)
        if weights:
            noise = _noise_maps(weights, weight_kind, mask_bits, planes, stack, notes)
        bands = _make_bands(planes, names, noise, saturated_from, notes)
        if zero_points:
            pictures = [plane[3] for plane in planes if not plane[4]]
            bands = _with_zero_points(bands, zero_points, names, list(dict.fromkeys(pictures)))
        if not all(linear):
            notes.append("A picture has no linear light: positions and shapes hold, fluxes are not calibrated.")
        stem = stem_of(planes[0][3]) if name is None else name
        yield SkyFrame(stem, planes[0][1], bands, headers[0], wcs[0], all(linear), tuple(dict.fromkeys(notes)))


def _open(source, hdu, stack: ExitStack, kind: type = np.float32) -> tuple:
    """Rows of each plane, shape (bands, height, width), header, name, whether linear, and notes of one source."""
    frame = None if isinstance(source, AstroImage) else open_frame(source, hdu)
    if frame is not None:
        file = stack.enter_context(frame.path.open("rb"))
        rows = [frame.rows(file, band, kind) for band in range(frame.shape[0])]
        return rows, frame.shape, frame.header, frame.path.name, True, frame.notes
    image = source if isinstance(source, AstroImage) else read_image(source, hdu)
    pixels = image.pixels if kind is np.float32 else exactly(image.pixels, source, hdu)

    def part(band: int, top: int, bottom: int) -> np.ndarray:
        return pixels[band, top:bottom]

    rows = [partial(part, band) for band in range(len(pixels))]
    return rows, pixels.shape, image.header, image.name, image.linear, list(image.notes)


def _noise_maps(weights: Sequence[WeightMap], kind, mask_bits, planes: list, stack: ExitStack, notes: list) -> list:
    """Noise by a map up to a factor, of each plane; None by a mask, whose pixels are taken from the plane."""
    found = []
    for path, hdu in weights:
        holds = kind or kind_of(hdu or path.name)
        rows, shape, *_ = _open(path, hdu, stack, np.float64 if holds == MASK else np.float32)
        found += [(noise_of(read, holds, mask_bits), shape[1:], holds) for read in rows]
        told = f"extension {hdu} of {path.name}" if hdu else path.name
        if holds == MASK:
            bits = "any bit" if mask_bits is None else f"any of the bits {mask_bits}"
            notes.append(f"Pixels with {bits} in {told}, a bit mask, are left out.")
        else:
            taken = f"taken from {told}, which holds {WEIGHT_KINDS[holds]}"
            notes.append(f"How the noise changes over the frame is {taken}.")
    if [shape for _, shape, _ in found] != [plane[1] for plane in planes]:
        raise ImageError("Weight maps must be as many and as large as the bands of their frames; give one for each.")
    for place, (rows, _, holds) in enumerate(found):
        if holds == MASK:
            planes[place] = (measured_only(planes[place][0], rows), *planes[place][1:])
    return [None if holds == MASK else rows for rows, _, holds in found]


class _BlankBandError(ImageError):
    """A band in which nothing was measured."""


def _make_bands(planes: list, names: list[str], noise: list, saturated_from, notes: list) -> tuple[Band, ...]:
    """The bands, but for blank ones where there are others, as a cube has them that was not observed in all."""
    bands, blank = [], []
    for plane, name, by_map in zip(planes, names, noise, strict=True):
        try:
            bands.append(_make_band(*plane, name, by_map, saturated_from))
            if plane[4] and bands[-1].survey.noiseless:
                notes.append(f"The band {name} of {plane[3]} {NOISELESS}")
        except _BlankBandError as error:
            blank.append(error)
            said = "shows no noise of the sky (not observed, one value, or saturated all over) and is left out"
            notes.append(f"The band {name} of {plane[3]} {said}.")
    if not bands:
        raise blank[0]
    return tuple(bands)


def _make_band(
    rows: Rows, shape: tuple[int, int], header, label: str, linear: bool, name: str, noise: Rows | None, saturated_from
) -> Band:
    if min(shape) < LEAST_PX:
        raise ImageError(
            f"{label} is {shape[1]:,} x {shape[0]:,} pixels; a frame to be searched takes {LEAST_PX} rows and columns"
            " or more."
        )
    rows = rows if noise is None else measured_only(rows, noise)
    survey = survey_frame(rows, shape, header, saturated_from, sloping=linear)
    if not survey.any_finite:
        with_weight = "" if noise is None else " with a weight"
        raise _BlankBandError(
            f"{label} has no finite pixel{with_weight} in its band {name}; nothing can be found in it."
        )
    if survey.sigma <= 0:
        if linear:
            raise _BlankBandError(
                f"{label} has no noise in its band {name} (one value, hardly a photon in a pixel, or saturated all"
                " over), so nothing in it can be told from the sky; give a frame with some sky."
            )
        survey = FrameSurvey(**{**vars(survey), "sigma": ROUNDING_8_BIT})
    if noise is not None:
        noise = at_level(noise, rows, survey)
    if not linear:
        return Band(name, rows, survey, noise=noise)
    return Band(name, rows, survey, zero_point_of(header), gain_of(header), unit_of(header), noise)


def _with_zero_points(
    bands: tuple[Band, ...], zero_points: Sequence[float], names: list[str], pictures: list[str]
) -> tuple[Band, ...]:
    if pictures:
        raise ImageError(
            f"{', '.join(pictures)}: a picture has no linear light, so no zero point belongs to it; leave out one or"
            " the other."
        )
    if len(zero_points) not in (1, len(names)):
        raise ImageError(
            f"{len(zero_points)} zero points are given for {len(names)} bands ({', '.join(names)}); give one for all,"
            " or one each."
        )
    each = zero_points if len(zero_points) > 1 else [*zero_points] * len(names)
    by_name = dict(zip(names, each, strict=True))
    return tuple(replace(band, zero_point_mag=float(by_name[band.name])) for band in bands)
