"""Star or galaxy: the service behind the separate command. Stamps in, the probability of being a galaxy out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from galaxy_core.embedding import find_model
from galaxy_core.errors import ModelError
from galaxy_core.star_galaxy_clipped import LEAST_STAMPS
from galaxy_core.star_galaxy_cut import tell_cut
from galaxy_core.star_galaxy_files import FileStamps
from galaxy_core.star_galaxy_names import frames_of, read_frames
from galaxy_core.star_galaxy_seeing import LEAST_OBJECTS, TYPICAL_FWHM_PX, seeing_is_own, seeing_of_frames

BATCH = 128
LEAST_SNR = 3.5  # of a point source in all bands, or of a wider one in any: noise alone has less in nine stamps of ten
NETWORK, PROFILE, UNTOLD = "network", "clipped profile", "not told"  # ways, as written


@dataclass(frozen=True)
class LogOdds:
    """Log odds of being a galaxy of n objects, float64 (n,).

    Attributes
    ----------
    unlabelled, supervised : ndarray
        Of the network that saw no label, its prior included, and of the one that did.
    prior : ndarray
        Of the share of galaxies at each object's brightness, before its shape is looked at.
    snr, total_snr : ndarray
        Signal to noise ratio of the best point source in the middle band, r of ugriz, and in all bands together.
    """

    unlabelled: np.ndarray
    supervised: np.ndarray
    prior: np.ndarray
    snr: np.ndarray
    total_snr: np.ndarray


@dataclass(frozen=True)
class Separation:
    """What was told of n stamps from files.

    Attributes
    ----------
    p_galaxy : ndarray of float64, shape (n,)
        NaN where it could not be told.
    ways : ndarray of str, shape (n,)
        `NETWORK`, `PROFILE` (fitted to what is not cut off) or `UNTOLD`.
    frames : ndarray of str, shape (n,)
        What stamps whose bright pixels are cut off were compared within.
    notes : tuple of str
        How those were told, and which were not.
    """

    p_galaxy: np.ndarray
    ways: np.ndarray
    frames: np.ndarray = field(repr=False)
    notes: tuple[str, ...] = ()


def has_model(name: str | Path, root: str | Path) -> bool:
    """Whether a model of that name is there."""
    try:
        find_model(name, root)
    except ModelError:
        return False
    return True


def load_separator(name: str | Path, root: str | Path, device: str = "auto", supervised: bool = False):
    """The model that tells stars from galaxies; `ModelError` says in one sentence what it lacks."""
    from galaxy_core.models import load_model, resolve_device
    from galaxy_core.models.star_galaxy import StarGalaxyNet

    model = load_model(find_model(name, root), resolve_device(device))
    if not isinstance(model, StarGalaxyNet):
        raise ModelError(f"The model {name} does not tell stars from galaxies; name a star-galaxy model with --model.")
    if supervised and not model.config.supervised:
        raise ModelError(f"The model {name} learned from no labels; leave out --supervised.")
    return model


def galaxy_log_odds(
    model,
    pixels: np.ndarray,
    psf_fwhm_px: np.ndarray,
    noise_sigma: np.ndarray | None = None,
    psf: np.ndarray | None = None,
    supervised: bool = True,
    seeing_error: float = 0.0,
) -> LogOdds:
    """What both networks make of stamps.

    Parameters
    ----------
    model : galaxy_core.models.star_galaxy.StarGalaxyNet
    pixels : ndarray of float32, shape (n, bands, 32, 32)
        In units of the noise.
    psf_fwhm_px : ndarray of float32, shape (n, bands)
    noise_sigma : ndarray of float32, shape (n, bands), optional
        Nanomaggies; only for the bands that the model learned.
    psf : ndarray of float32, shape (n, bands, n_waves), optional
        Spectra of the seeing, in place of round Moffats of that width.
    supervised : bool
        Whether to ask the network that was shown labels, which takes half of the time; NaN otherwise.
    seeing_error : float
        Relative error of the width of the seeing, where that is more than was learned.
    """
    import torch

    from galaxy_core.models.point_fit import fit_points

    device, parts = next(model.parameters()).device, []
    for start in range(0, len(pixels), BATCH):
        rows = slice(start, start + BATCH)
        with torch.inference_mode():
            given = [part[rows] for part in (pixels, psf_fwhm_px, psf) if part is not None]
            given = [torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32)) for part in given]
            fit = fit_points(*(part.to(device) for part in given))
            noise = None if noise_sigma is None else torch.from_numpy(noise_sigma[rows]).to(device)
            photometry = model.photometry(fit, noise)
            evidence = model.evidence(fit, photometry, seeing_error=seeing_error)
            labelled = model.supervised_logit(fit, photometry, evidence) if supervised else fit.total_snr * torch.nan
            middle = fit.snr[:, fit.snr.shape[1] // 2]
            made = (evidence.logit, labelled, evidence.log_odds, middle, fit.total_snr)
            parts.append([part.double().cpu().numpy() for part in made])
    return LogOdds(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def separate(
    model,
    stamps: FileStamps,
    psf_fwhm_px: float | None = None,
    galaxy_share: float | None = None,
    supervised: bool = False,
    frames: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Separation:
    """Tell stars from galaxies in stamps from files: by the network, or by a profile where bright pixels are cut off.

    Parameters
    ----------
    psf_fwhm_px, galaxy_share, supervised
        As of `network_probability`; the profile makes use of the share alone.
    frames : path, optional
        Table that says which file is of which frame (`read_frames`); told by names and folders where absent.
    """
    of = frames_of(stamps.paths, LEAST_STAMPS)[0] if frames is None else read_frames(frames, stamps.paths)
    by_profile = tell_cut(stamps.planes, of, galaxy_share, progress)
    made, ways = by_profile.p_galaxy, np.full(len(stamps), NETWORK, dtype=object)
    ways[by_profile.told_so] = np.where(np.isfinite(made[by_profile.told_so]), PROFILE, UNTOLD)
    rest = np.flatnonzero(~by_profile.told_so)
    made[rest] = network_probability(model, stamps, rest, psf_fwhm_px, galaxy_share, supervised)
    empty = rest[np.isnan(made[rest])]
    ways[empty] = UNTOLD
    notes = by_profile.notes if psf_fwhm_px else (*by_profile.notes, *_seeing_notes(stamps, rest))
    if len(empty):
        notes = (
            *notes,
            f"{len(empty):,} of the stamps show nothing in their middle above the noise, and are not told.",
        )
    return Separation(made, ways.astype(str), of, notes)


def network_probability(
    model,
    stamps: FileStamps,
    chosen: np.ndarray,
    psf_fwhm_px: float | None = None,
    galaxy_share: float | None = None,
    supervised: bool = False,
) -> np.ndarray:
    """Probability of being a galaxy, float64 (m,), of the rows ``chosen`` (m,) of stamps from files, by the network.

    NaN where there is nothing in the middle (`LEAST_SNR`): that would be the share of galaxies among the faintest.
    Stamps that lack bands are told by the others.

    Parameters
    ----------
    psf_fwhm_px : float, optional
        Seeing; measured where absent, on the stamps of each folder together (`seeing_of_frames`).
    galaxy_share : float, optional
        Proportion of galaxies to expect, in place of what was learned. The supervised network has none to replace: its
        odds are moved by as much as those of the other's prior would be.
    """
    made = np.full(len(stamps), np.nan)
    for rows, widths, folders in _by_bands(stamps, chosen):
        seeing = np.full(widths.shape, psf_fwhm_px or 0.0, np.float32)
        if psf_fwhm_px is None:
            seeing = seeing_of_frames(widths, folders)
        pixels = np.stack([stamps.pixels[row] for row in rows])
        seen = pixels.any(axis=(2, 3))
        for bands in np.unique(seen, axis=0):
            if not bands.any():  # the middle was not observed in any
                continue
            some = (seen == bands).all(axis=1)
            odds = galaxy_log_odds(model, pixels[some][:, bands], seeing[some][:, bands], supervised=supervised)
            logit = odds.supervised if supervised else odds.unlabelled
            if galaxy_share is not None:
                logit = logit - odds.prior + np.log(galaxy_share / (1 - galaxy_share))
            snr = np.maximum(odds.total_snr, np.array(stamps.snr)[rows[some]])
            told = 1 / (1 + np.exp(-np.clip(logit, -500, 500)))
            made[rows[some]] = np.where(snr < LEAST_SNR, np.nan, told)
    return made[chosen]


def _by_bands(stamps: FileStamps, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows of the stamps of one number of bands, widths of their objects (m, bands), and the folders they lie in."""
    n_bands = np.array([len(stamps.pixels[row]) for row in chosen])
    for number in np.unique(n_bands):
        rows = chosen[n_bands == number]
        folders = np.array([str(stamps.paths[row].parent) for row in rows])
        yield rows, np.stack([stamps.widths[row] for row in rows]), folders


def _seeing_notes(stamps: FileStamps, chosen: np.ndarray) -> list[str]:
    """The seeing that was measured; of how many stamps not in their own folder, and what it was taken from."""
    few = f"fewer than {LEAST_OBJECTS} well-lit stamps of as many bands; give --psf-fwhm."
    others = f"from other folders, as their own have {few}"
    typical = f"for {TYPICAL_FWHM_PX:g} pixels, as there are {few}"
    counts, seeing = {others: 0, typical: 0}, []
    for _, widths, folders in _by_bands(stamps, chosen):
        measured = (np.isfinite(widths).sum(axis=0) >= LEAST_OBJECTS).all()
        own = seeing_is_own(widths, folders)
        counts[others if measured else typical] += int((~own).sum())
        seeing += seeing_of_frames(widths, folders)[own].ravel().tolist()
    notes = [f"The seeing of {n:,} of the stamps was taken {how}" for how, n in counts.items() if n]
    if seeing:  # of galaxies alone it is far too wide, and then the narrower ones count as stars
        said = " to ".join(dict.fromkeys(f"{value:.2f}" for value in (min(seeing), max(seeing))))
        notes.insert(
            0, f"Seeing measured on the narrower stamps, as on stars: {said} px (FWHM); give --psf-fwhm if known."
        )
    return notes
