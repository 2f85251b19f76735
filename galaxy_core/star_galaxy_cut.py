"""Stamps from files whose bright pixels are cut off: found, and told by what is left of them.

A stamp is cut where several pixels of its middle share the highest value there is in its frame (or in all the pictures
beside it). To the network such a star looks extended; `galaxy_core.star_galaxy_clipped` fits what was not cut, and
compares with the other stamps, so it needs a dozen of them. Where most stamps are cut, all are told so, as
probabilities of two kinds are not to be mixed; where few are, those alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from galaxy_core.counting import count
from galaxy_core.images import AstroImage
from galaxy_core.star_galaxy_clipped import LEAST_STAMPS, MOST_TERMS, fit_clipped, frame_excess, unlabelled_probability
from galaxy_core.star_galaxy_stamps import as_bands

CUT_PIXELS = 5  # at the ceiling, in the middle of a stamp that is cut
CUT_SHARE = 0.5  # of stamps that are cut: from there on all are told by the fit
MIDDLE_PX = 8  # half of the side of the middle
LEAST_PX, KEPT_PX = 48, 64  # sides of stamps: that can be fitted, and that is fitted of larger ones
FLOOR_SHARE = 0.01  # of pixels at the lowest value, which then is where they were cut
LOSSY = ("JPEG", "WEBP")
LOSSY_COUNTS = (5.0, 4.0)  # of 255, below the ceiling and above the floor: what compression blurs


@dataclass(frozen=True)
class Plane:
    """What a fit needs of one stamp: its values, float32 or uint8 (side, side), and what kind of image they are of."""

    values: np.ndarray = field(repr=False)
    lossy: bool
    linear: bool

    @property
    def kind(self) -> tuple:
        """Stamps of one kind are compared with each other."""
        return self.values.shape, self.lossy, self.linear


def plane_of(image: AstroImage) -> Plane | None:
    """The middle of a stamp of one band, 64 pixels or less, pictures in counts of 0 to 255; None for other stamps."""
    bands = as_bands(image.pixels)
    if len(bands) != 1:
        return None
    values = bands[0]
    side = min(*values.shape, KEPT_PX)
    top, left = ((length - side) // 2 for length in values.shape)
    values = values[top : top + side, left : left + side]
    values = np.where(np.isfinite(values), values, np.nanmedian(values) if np.isfinite(values).any() else 0.0)
    if not image.linear:
        values = np.round(255 * values).astype(np.uint8) if image.bits == 8 else 255 * values
    return Plane(np.ascontiguousarray(values), image.file_format in LOSSY, image.linear)


@dataclass(frozen=True)
class CutKinds:
    """What was made of stamps that are cut.

    Attributes
    ----------
    cut : ndarray of bool, shape (n,)
    told_so : ndarray of bool, shape (n,)
        Which are to be told by the fit and not by the network, whether or not it could be.
    p_galaxy : ndarray of float64, shape (n,)
        NaN where they are not, or could not be.
    notes : tuple of str
    """

    cut: np.ndarray
    told_so: np.ndarray
    p_galaxy: np.ndarray
    notes: tuple[str, ...] = ()


def tell_cut(
    planes: list[Plane | None],
    frames: np.ndarray,
    galaxy_share: float | None = None,
    report: Callable[[int, int], None] | None = None,
) -> CutKinds:
    """Find stamps that are cut, and tell stars from galaxies among them.

    Parameters
    ----------
    planes : list of Plane or None
        None is told by the network.
    frames : ndarray of str, shape (n,)
    galaxy_share : float, optional
        Proportion of galaxies to expect, in place of one that is fitted.
    """
    n = len(planes)
    cut, told_so, p, notes = np.zeros(n, bool), np.zeros(n, bool), np.full(n, np.nan), []
    kinds = [None if plane is None else plane.kind for plane in planes]
    for kind in dict.fromkeys(kind for kind in kinds if kind is not None):
        rows = np.array([row for row in range(n) if kinds[row] == kind])
        same = [planes[row] for row in rows]
        ceiling, floor = _limits(same, frames[rows])
        cut[rows] = _n_at_ceiling(same, ceiling) >= CUT_PIXELS
        if not cut[rows].any():
            continue
        here = cut[rows] | (cut[rows].mean() >= CUT_SHARE)
        told_so[rows[here]] = True
        beside = np.isin(frames[rows], np.unique(frames[rows[here]]))
        why = _cannot(kind[0][0], int(beside.sum()), int(here.sum()))
        if why:
            notes.append(why)
            continue
        values = np.stack([planes[row].values for row in rows[beside]]).astype(np.float32)
        unit = _unit(values) if same[0].linear else 1.0
        fit = fit_clipped(values / unit, report, ceiling[beside] / unit, floor[beside] / unit)
        # few that are cut are the brightest as well, where a curve would bend to them
        most_terms = MOST_TERMS if here.all() else 1
        excess = frame_excess(fit.log_width, fit.log_flux, frames[rows[beside]], most_terms)
        made = unlabelled_probability(excess, galaxy_share)
        p[rows[here]] = made[here[beside]]
        notes += _said(frames[rows[beside]], int(here.sum()), int(cut[rows].sum()))
    return CutKinds(cut, told_so, p, tuple(notes))


def _limits(planes: list[Plane], frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (n,) from which up, and from which down, a pixel of each stamp counts as cut off."""
    ceiling, floor = np.empty(len(planes), np.float32), np.full(len(planes), -np.inf, np.float32)
    highest, lowest = (np.array([f(plane.values) for plane in planes], np.float32) for f in (np.max, np.min))
    together = frames if planes[0].linear else np.zeros(len(planes))  # pictures were all cut at one value
    for frame in np.unique(together):
        inside = np.flatnonzero(together == frame)
        top, bottom = highest[inside].max(), lowest[inside].min()
        if planes[0].lossy:
            ceiling[inside], floor[inside] = top - LOSSY_COUNTS[0], bottom + LOSSY_COUNTS[1]
            continue
        ceiling[inside] = top
        if np.mean([np.mean(planes[row].values == bottom) for row in inside]) >= FLOOR_SHARE:
            floor[inside] = bottom
    return ceiling, floor


def _n_at_ceiling(planes: list[Plane], ceiling: np.ndarray) -> np.ndarray:
    """Pixels at the ceiling in the middle of each stamp, int (n,)."""
    side = planes[0].values.shape[0]
    middle = slice(max(side // 2 - MIDDLE_PX, 0), side // 2 + MIDDLE_PX)
    return np.array([(p.values[middle, middle] >= top).sum() for p, top in zip(planes, ceiling, strict=True)])


def _unit(values: np.ndarray) -> np.float32:
    """Scatter of values of any unit around their median; 1 where there is none."""
    return np.float32(1.4826 * np.median(np.abs(values - np.median(values))) or 1.0)


def _cannot(side: int, n_beside: int, n_cut: int) -> str | None:
    """Why stamps of this side, so many of these frames, cannot be fitted; None if they can."""
    stamps = count(n_cut, "stamp", "stamps")
    if side < LEAST_PX:
        return (
            f"The bright pixels of {stamps} of {side} pixels are cut off, and such are told from stamps of"
            f" {LEAST_PX} pixels or more; cut larger ones, or give linear FITS with whole tops."
        )
    if n_beside < LEAST_STAMPS:
        return (
            f"The bright pixels of {stamps} are cut off, and {count(n_beside, 'is', 'are')} too few to know how wide"
            f" stars are there; give {LEAST_STAMPS} stamps or more of their frames, or linear FITS with whole tops."
        )
    return None


def _said(frames: np.ndarray, n_told: int, n_cut: int) -> list[str]:
    """How stamps of these frames were told, and which frames have too few to be compared with themselves."""
    names, sizes = np.unique(frames, return_counts=True)
    stamps, of_frames = count(n_cut, "stamp", "stamps"), count(len(names), "frame", "frames")
    said = [
        f"The bright pixels of {stamps} are cut off: {n_told:,} were told by a profile fitted to what is left,"
        f" compared with the {len(frames):,} stamps of {of_frames}."
    ]
    few = sizes < LEAST_STAMPS
    if few.any():
        listed = ", ".join(names[few][:5]) + (", ..." if few.sum() > 5 else "")
        said.append(
            f"{int(few.sum()):,} of these frames have fewer than {LEAST_STAMPS} stamps, {int(sizes[few].sum()):,}"
            f" together ({listed}): these were compared with all frames together, as if the seeing were the same."
        )
    return said
