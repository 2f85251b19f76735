"""Stars and galaxies of a frame told apart: the probability of being a galaxy of each object of its catalogue.

Stamps of the objects, without their neighbours, and the seeing of the frame at each (`galaxy_core.frame_seeing`) go to
the model that tells stars from galaxies without labels. Its prior share of galaxies is that of high galactic latitudes,
unless the frame shows that it has far fewer (`galaxy_core.frame_share`).
What cannot be told, as two stars found as one (`galaxy_core.frame_pairs`), has no probability, and its flags say why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from galaxy_core.denoiser_calls import thread_starter
from galaxy_core.errors import ImageError
from galaxy_core.frame_bands import SkyFrame
from galaxy_core.frame_cutouts import Cutouts, cut_objects
from galaxy_core.frame_light import BandLight, Window, read_light
from galaxy_core.frame_measures import CROWDED, EDGE, FAINT, GAPS, PAIR, SATURATED
from galaxy_core.frame_pairs import PairTest
from galaxy_core.frame_seeing import NO_OBJECTS, SEEING_SNR, BandSeeing, measure_seeing
from galaxy_core.frame_share import share_shift
from galaxy_core.star_galaxy import galaxy_log_odds
from galaxy_core.star_galaxy_seeing import TYPICAL_FWHM_PX
from galaxy_core.star_galaxy_stamps import MAX_BANDS, SIZE_PX
from galaxy_core.tiles import Progress

if TYPE_CHECKING:
    from galaxy_core.models.star_galaxy import StarGalaxyNet

BATCH = 512  # objects whose stamps are in memory at once
MARGIN_PX = 96  # around a part, for stamps of objects at its border
MOST_BINNING = 6
FWHM_OVER_SIGMA = 2.3548
LEAST_SNR = 5.0  # of the best point source, all bands together
MOST_HIDDEN = 0.25  # of the light of a point source
SEEING_OBJECTS, SEEING_HIDDEN = 800, 0.1
WIDEST_FWHM_PX = 5.0  # in stamps of the model; wider seeing is binned
NOT_TOLD = "Stars and galaxies are not told apart."
PICTURE = "The light of a picture is stretched, so stars and galaxies are not told apart."
MANY_BANDS = f"Stars are told from galaxies in at most {MAX_BANDS} bands."
LEFT_OUT = "Stars are told from galaxies without {}, whose seeing is not known."
UNDERSAMPLED = "The seeing is narrower than two pixels, so stars and galaxies are told with less certainty."


@dataclass(frozen=True)
class FrameKinds:
    """What was told of the objects of a frame.

    Attributes
    ----------
    p_galaxy : ndarray of float64, shape (n,)
        NaN where it cannot be told.
    flags : ndarray of int16, shape (n,)
        `FAINT`, `CROWDED` and `PAIR`, to be added to those of the catalogue.
    seeing : dict of str to BandSeeing
        By band, in pixels of the frame; empty where it is not known.
    notes : tuple of str
    """

    p_galaxy: np.ndarray = field(repr=False)
    flags: np.ndarray = field(repr=False)
    seeing: dict[str, BandSeeing]
    notes: tuple[str, ...] = ()


def tell_kinds(
    frame: SkyFrame,
    objects: pd.DataFrame,
    segmentation: np.ndarray,
    windows: Sequence[Window],
    growth: Sequence[float],
    model: StarGalaxyNet,
    psf_fwhm_px: float | None = None,
    galaxy_share: float | None = None,
    progress: Progress | None = None,
) -> FrameKinds:
    """Tell stars from galaxies among the objects of a frame.

    Parameters
    ----------
    objects : pandas.DataFrame
        The frame's catalogue.
    segmentation : ndarray of int32, shape (height, width)
    windows : sequence of Window
        Parts that tile the frame, worked on one after the other.
    growth : sequence of float
        How noise adds up over a few pixels in each band.
    psf_fwhm_px : float, optional
        Seeing in all bands; measured on the frame where absent.
    galaxy_share : float, optional
        Proportion of galaxies to expect, in place of what was learned, by brightness and colours, or the frame shows.
    """
    nothing = FrameKinds(np.full(len(objects), np.nan), np.zeros(len(objects), np.int16), {})
    if not frame.calibrated or len(frame.bands) > MAX_BANDS:
        return replace(nothing, notes=(PICTURE if not frame.calibrated else MANY_BANDS,))
    if len(objects) == 0:
        return nothing
    parts = _Parts(frame, objects, segmentation, windows, growth, _reader(frame)).of_bands(_order(frame, model))
    notes: tuple[str, ...] = ()
    if psf_fwhm_px:
        seeing = [BandSeeing(psf_fwhm_px)] * len(frame.bands)
    else:
        found = frame_seeing(parts)
        known = [place for place, band in enumerate(found) if isinstance(band, BandSeeing)]
        if not known:
            return replace(nothing, notes=(f"{NOT_TOLD} {found[0]}",))
        left_out = [band.name for band, one in zip(parts.frame.bands, found, strict=True) if isinstance(one, str)]
        notes = (LEFT_OUT.format(", ".join(left_out)),) if left_out else ()
        parts, seeing = parts.of_bands(known), [found[place] for place in known]
    widest = max(band.fwhm_px for band in seeing)
    binning = int(np.clip(np.ceil(widest / WIDEST_FWHM_PX), 1, MOST_BINNING))
    # what was measured on stamps at full resolution is of the stamps at that of the model
    binned = [replace(band, fwhm_px=band.fwhm_px / binning) for band in seeing]
    *made, of_share = _look(parts, binned, binning, model, galaxy_share, progress)
    notes += (*of_share, UNDERSAMPLED) if min(band.fwhm_px for band in seeing) < 2 else of_share
    return FrameKinds(*made, {band.name: one for band, one in zip(parts.frame.bands, seeing, strict=True)}, notes)


@dataclass(frozen=True)
class _Parts:
    """A frame in parts: the rows of the objects whose centre lies in each, with the light around."""

    frame: SkyFrame
    objects: pd.DataFrame
    segmentation: np.ndarray
    windows: Sequence[Window]
    growth: Sequence[float]
    read: Callable[[Window], list[BandLight]]

    def of_bands(self, places: Sequence[int]) -> _Parts:
        """The same in some of the bands, in this order."""
        if list(places) == list(range(len(self.frame.bands))):
            return self
        frame = replace(self.frame, bands=tuple(self.frame.bands[place] for place in places))
        return replace(self, frame=frame, growth=[self.growth[place] for place in places], read=_reader(frame))

    def cut(self, rows: np.ndarray, binning: int = 1) -> Iterator[tuple[np.ndarray, Cutouts]]:
        """Rows and stamps of the objects of ``rows``, part by part; parts without one are not read."""
        height, width = self.frame.shape
        x, y = (np.rint(self.objects[name].to_numpy()[rows]) for name in ("x", "y"))
        for core in self.windows:
            # the barycentre of an object may lie a little outside of the frame
            inside = (np.clip(x, 0, width - 1) >= core.left) & (np.clip(x, 0, width - 1) < core.right)
            inside &= (np.clip(y, 0, height - 1) >= core.top) & (np.clip(y, 0, height - 1) < core.bottom)
            if not inside.any():
                continue
            window = Window(
                max(core.top - MARGIN_PX, 0),
                min(core.bottom + MARGIN_PX, height),
                max(core.left - MARGIN_PX, 0),
                min(core.right + MARGIN_PX, width),
            )
            lights = self.read(window)
            labels = np.asarray(self.segmentation[window.top : window.bottom, window.left : window.right])
            here = rows[inside]
            for start in range(0, len(here), BATCH):
                some = here[start : start + BATCH]
                yield some, cut_objects(lights, labels, self.objects.iloc[some], window, self.growth, binning)

    def snr(self, band: int) -> np.ndarray:
        """Signal to noise ratios of all objects in a band."""
        name = f"snr_{self.frame.bands[band].name}"
        return self.objects[name if name in self.objects else "snr"].to_numpy()

    def pair_test(self, binning: int, seeing_error: float) -> PairTest:
        """What two stars in place of one object are worth, in stamps of this binning."""
        x, y = (self.objects[name].to_numpy() / binning for name in ("x", "y"))
        snr = np.sqrt(sum(np.nan_to_num(self.snr(band)) ** 2 for band in range(len(self.frame.bands))))
        return PairTest(x, y, snr, self.segmentation.size / binning**2, seeing_error)

    def from_middle(self) -> tuple[np.ndarray, np.ndarray]:
        """x and y of all objects from the middle of the frame, in halves of its longer side."""
        height, width = self.frame.shape
        half = max(height, width) / 2
        x, y = (self.objects[name].to_numpy() for name in ("x", "y"))
        return (x - (width - 1) / 2) / half, (y - (height - 1) / 2) / half


def _reader(frame: SkyFrame) -> Callable[[Window], list[BandLight]]:
    """Light of all bands in a window; that of the last one is kept."""

    @lru_cache(maxsize=1)
    def read(window: Window) -> list[BandLight]:
        return [read_light(band, window) for band in frame.bands]

    return read


def _order(frame: SkyFrame, model) -> list[int]:
    """Places of the bands in the order in which the model learned them; as they come where they are others."""
    names = _letters(frame)
    if sorted(names) != sorted(model.config.bands):
        return list(range(len(names)))
    return [names.index(letter) for letter in model.config.bands]


def _letters(frame: SkyFrame) -> list[str]:
    """Last words of the names of bands: of SDSS_r, r."""
    return [band.name.lower().rsplit("_", 1)[-1] for band in frame.bands]


def frame_seeing(parts: _Parts) -> list[BandSeeing | str]:
    """Seeing of every band from the frame's brighter, clean and isolated objects; a sentence for one that shows none.

    Objects are bright in whichever band they are brightest: the first may be one in which next to nothing is seen.
    """
    bands = range(len(parts.frame.bands))
    flags, snr = parts.objects["flags"].to_numpy(), np.nan_to_num([parts.snr(band) for band in bands]).max(axis=0)
    rows = np.flatnonzero(((flags & (EDGE | SATURATED | GAPS)) == 0) & (snr > SEEING_SNR))
    rows = rows[np.argsort(-snr[rows], kind="stable")]
    if len(rows) > SEEING_OBJECTS:  # of all brightnesses, as the seeing may depend on it
        rows = rows[np.linspace(0, len(rows) - 1, SEEING_OBJECTS).astype(int)]
    cut = list(parts.cut(rows))
    if not cut:
        return [NO_OBJECTS for _ in bands]
    order = np.concatenate([some for some, _ in cut])
    joined = [np.concatenate([getattr(one, name) for _, one in cut]) for name in ("pixels", "noise", "hidden")]
    alone = Cutouts(*joined).hidden_share(TYPICAL_FWHM_PX) < SEEING_HIDDEN
    stamps, order = Cutouts(*(part[alone] for part in joined)), order[alone]
    x, y = (values[order] for values in parts.from_middle())
    seeing: list[BandSeeing | str] = []
    for band in bands:
        try:
            seeing.append(measure_seeing(stamps, band, x, y, parts.snr(band)[order]))
        except ImageError as error:
            seeing.append(str(error))
    return seeing


def _look(
    parts: _Parts, seeing: list[BandSeeing], binning: int, model, galaxy_share: float | None, progress: Progress | None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Probability of a galaxy (NaN: not told), flags and notes, of all objects."""
    n, n_done = len(parts.objects), 0
    logits, prior, total_snr = np.full((3, n), np.nan)
    of_pair, crowded = np.full(n, -np.inf), np.zeros(n, bool)
    wanted = np.flatnonzero((parts.objects["flags"].to_numpy() & (EDGE | SATURATED)) == 0)
    x, y = parts.from_middle()
    seeing_error = float(np.median([band.scatter for band in seeing]))
    pairs = parts.pair_test(binning, max(model.config.model_error, seeing_error))

    def look_at(rows: np.ndarray, stamps: Cutouts, fwhm: np.ndarray) -> None:
        """What the model makes of stamps, and how likely two stars are where it makes a galaxy of them."""
        spectra, noise = spectra_of(seeing, fwhm), _noise(parts.frame, model, stamps)
        given = fwhm.astype(np.float32), noise, spectra
        odds = galaxy_log_odds(model, stamps.pixels, *given, supervised=False, seeing_error=seeing_error)
        made = odds.unlabelled if galaxy_share is None else odds.unlabelled - odds.prior + logit(galaxy_share)
        logits[rows], prior[rows], total_snr[rows] = made, odds.prior, odds.total_snr
        some = np.flatnonzero((made > 0) & (odds.total_snr >= LEAST_SNR))
        of_some = stamps.pixels[some], spectra[some], fwhm[some].mean(axis=1), odds.total_snr[some]
        of_pair[rows[some]] = pairs.log_odds(rows[some], *of_some)

    # one thread alone: sums of several depend on how many there are, and a catalogue must not
    with ThreadPoolExecutor(1, "kinds", thread_starter(1)) as pool:
        for rows, stamps in parts.cut(wanted, binning):
            fwhm = np.stack([band.at(x[rows], y[rows]) for band in seeing], axis=1)
            pool.submit(look_at, rows, stamps, fwhm).result()
            crowded[rows] = stamps.hidden_share(fwhm.mean(axis=1) / FWHM_OVER_SIGMA * 1.5) > MOST_HIDDEN
            n_done += len(rows)
            if progress:
                progress(n_done / len(wanted))
    faint = np.isin(np.arange(n), wanted) & ~(total_snr >= LEAST_SNR)
    clear = np.isfinite(logits) & ~(crowded | faint | (of_pair > logits))
    of_clear = logits[clear], prior[clear], total_snr[clear], all(band.n_stars for band in seeing)
    shift, notes = (0.0, ()) if galaxy_share else share_shift(*of_clear)
    logits += shift
    two = (logits > 0) & (of_pair > logits) & ~crowded
    flags = np.where(crowded, CROWDED, 0) | np.where(faint, FAINT, 0) | np.where(two, PAIR, 0)
    return np.where(crowded | faint | two, np.nan, expit(logits)), flags.astype(np.int16), notes


def spectra_of(seeing: Sequence[BandSeeing], fwhm_px: np.ndarray) -> np.ndarray:
    """Spectra of the seeing of n objects, float32 (n, bands, n_waves), of widths (n, bands) in pixels of the stamps."""
    import torch

    from galaxy_core.models.point_fit import psf_spectrum

    widths = torch.from_numpy(np.ascontiguousarray(fwhm_px, dtype=np.float32))
    parts = [
        psf_spectrum(widths[:, place], SIZE_PX, band.beta, (band.shear_x, band.shear_d))
        for place, band in enumerate(seeing)
    ]
    return torch.stack(parts, 1).numpy()


def _noise(frame: SkyFrame, model, stamps: Cutouts) -> np.ndarray | None:
    """Noise in nanomaggies, where the frame's bands are those that the model learned and have zero points."""
    zero_points = np.array([band.zero_point_mag for band in frame.bands])
    if _letters(frame) != list(model.config.bands) or not np.isfinite(zero_points).all():
        return None
    return (stamps.noise * 10 ** (0.4 * (22.5 - zero_points))).astype(np.float32)
