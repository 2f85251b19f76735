"""Parts of the recipe `star_galaxy_vae`: point-source fits of many stamps, made once and kept in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from galaxy_core.models.point_fit import PointFit, fit_points
from galaxy_core.models.star_galaxy import Evidence, StarGalaxyNet
from galaxy_core.star_galaxy_stamps import ObjectStamps

BATCH = 256


@dataclass(frozen=True)
class FitTable:
    """Fits of n stamps (planes as float16), and what is known of them; without a zero point ``noise_sigma`` is None."""

    fits: PointFit
    noise_sigma: Tensor | None
    truth: np.ndarray

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, rows: np.ndarray, device: str = "cpu") -> PointFit:
        """Fits of some rows, float32."""
        rows = torch.from_numpy(np.asarray(rows))
        return PointFit(**{name: value[rows].float().to(device) for name, value in vars(self.fits).items()})

    def planes(self, rows: np.ndarray, device: str = "cpu") -> Tensor:
        """`PointFit.planes` of some rows, float32."""
        return self.fits.planes[torch.from_numpy(np.asarray(rows))].float().to(device)

    def noise(self, rows: np.ndarray, device: str = "cpu") -> Tensor | None:
        """Noise of some rows, float32 (n, bands), or None."""
        return None if self.noise_sigma is None else self.noise_sigma[torch.from_numpy(np.asarray(rows))].to(device)


@torch.inference_mode(False)
@torch.no_grad()
def fit_table(stamps: ObjectStamps, rows: np.ndarray) -> FitTable:
    """Point-source fits of rows of stamps, in that order."""
    parts = []
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        pixels = torch.from_numpy(np.ascontiguousarray(stamps.pixels[some]).astype(np.float32))
        parts.append(fit_points(pixels, torch.from_numpy(stamps.psf_fwhm_px[some])))
    joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])}
    joined["planes"] = joined["planes"].half()
    noise = torch.from_numpy(stamps.noise_sigma[rows]) if stamps.calibrated else None
    return FitTable(PointFit(**joined), noise, stamps.truth[rows].astype(np.int64))


@torch.no_grad()
def set_photometry(model: StarGalaxyNet, table: FitTable, n_train: int) -> None:
    """Set the softening of magnitudes, the noise of a point source, then the mean and scatter of magnitudes."""
    fits = table.take(np.arange(n_train))
    if fits.snr.shape[1] != len(model.config.bands):
        return
    noise = table.noise_sigma[:n_train]
    error = (fits.amplitudes / fits.snr).abs() * noise
    model.softening.copy_(error.nanmedian(dim=0).values)
    magnitudes = model.magnitudes(fits, noise)
    model.photometry_centre.copy_(magnitudes.mean(dim=0))
    model.photometry_scale.copy_(magnitudes.std(dim=0).clamp(min=1e-3))


@torch.no_grad()
def set_share(model: StarGalaxyNet, table: FitTable, rows: np.ndarray, share: float, device: str) -> None:
    """Move the prior odds of all objects alike, so that galaxies are this share of some rows, by bisection.

    The bound learns how the share varies with brightness and colour, and its level with a bias: a star's evidence is
    exact and a galaxy's a mean over draws, whose logarithm is too low. A proportion from number counts sets the level.
    """
    model.share_shift.zero_()
    if not share:
        return
    logits = [evidence.logit for _, _, evidence in _judged(model, table, rows, device)]
    logit, low, high = torch.cat(logits), -8.0, 8.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if float(torch.sigmoid(logit + middle).mean()) < share else (low, middle)
    model.share_shift.fill_((low + high) / 2)


@torch.no_grad()
def shapes_said(
    model: StarGalaxyNet, table: FitTable, device: str = "cpu", blind: bool = False
) -> tuple[Tensor, Tensor]:
    """`StarGalaxyNet.light` of every row (n, n_bands + 2), and ln p(x | galaxy) - ln p(x | star) of its shape (n,).

    Float32, on the CPU; ``blind`` hides brightness and colours.
    """
    light, gains = [], []
    for fits, photometry, evidence in _judged(model, table, np.arange(len(table)), device, blind):
        light.append(model.light(fits, photometry).cpu())
        gains.append((evidence.galaxy - evidence.star).cpu())
    return torch.cat(light), torch.cat(gains)


@torch.no_grad()
def summaries(model: StarGalaxyNet, table: FitTable, device: str = "cpu", blind: bool = False) -> Tensor:
    """`StarGalaxyNet.summary` of every row, float32 (n, n_told), on the CPU; ``blind`` hides brightness and colours."""
    rows = np.arange(len(table))
    return torch.cat([model.summary(*judged).cpu() for judged in _judged(model, table, rows, device, blind)])


def _judged(
    model: StarGalaxyNet, table: FitTable, rows: np.ndarray, device: str, blind: bool = False
) -> Iterator[tuple[PointFit, Tensor, Evidence]]:
    """Fits, photometry and evidence of some rows, a batch at a time."""
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        fits = table.take(some, device)
        photometry = model.photometry(fits, None if blind else table.noise(some, device))
        yield fits, photometry, model.evidence(fits, photometry)
