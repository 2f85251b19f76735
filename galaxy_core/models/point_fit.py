"""A point source fitted to stamps, band by band, in Fourier space: what is left of an object once its seeing is known.

Stamps are in units of the noise of a pixel, which is taken to be white. Then the likelihood of a model that is the
seeing P times an intrinsic profile G (real in Fourier space, as G is symmetric) needs two real spectra of an object,
whatever its position, and with the best amplitude in each band it is

    ln L(G) - ln L(no source) = 1/2 sum_b (sum_k C_b G)_+^2 / sum_k D_b G^2,   C_b = Re(X_b* P_b), D_b = P_b^2.

This is the matched filter, and G = 1 is a star. References: Zackay & Ofek 2017, ApJ 836, 187, equation 12; the
Fourier transform of the Moffat function is x^(beta-1) K_(beta-1)(x), e.g. Trujillo et al. 2001, MNRAS 328, 977.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.special import gamma, kv
from torch import Tensor

MOFFAT_BETA = 3.0
WAVE_MAX = 2.0  # radians per pixel; beyond it a seeing of two pixels or more has next to no power
SEARCH_PX = 4  # the object lies at most so far from the middle of its stamp
TABLE_END, TABLE_STEP = 40.0, 0.01
FWHM_OVER_SIGMA = 2.3548


@dataclass(frozen=True)
class PointFit:
    """Stamps (n, bands, size, size), each with its best point source.

    Attributes
    ----------
    cross, power : Tensor, float32 (n, bands, n_waves)
        C and D of the module's formula at the waves of `low_waves`; sums over waves are sums over pixels.
    amplitudes : Tensor, float32 (n, bands)
        Flux of the best point source in units of the noise of a pixel.
    snr : Tensor, float32 (n, bands)
        Its signal to noise ratio; negative where there is less light than sky.
    planes : Tensor, float32 (n, 2, size, size)
        The object and its point source, centred on pixel size // 2, as the sum of bands weighted by their amplitudes,
        in units of the sum's noise.
    psf_sigma_px : Tensor, float32 (n,)
        FWHM / 2.355 of the seeing, the mean of the bands weighted by their light.
    """

    cross: Tensor
    power: Tensor
    amplitudes: Tensor
    snr: Tensor
    planes: Tensor
    psf_sigma_px: Tensor

    @property
    def total_snr(self) -> Tensor:
        """Signal to noise ratio of all bands together, float32 (n,)."""
        return self.snr.clamp(min=0).square().sum(1).sqrt()


@lru_cache(maxsize=64)
def _moffat_table(beta: float) -> Tensor:
    x = np.arange(0, TABLE_END, TABLE_STEP)
    with np.errstate(invalid="ignore"):
        values = 2 * (x / 2) ** (beta - 1) * kv(beta - 1, x) / gamma(beta - 1)
    values[0] = 1.0
    return torch.from_numpy(values.astype(np.float32))


@lru_cache(maxsize=8)
def wave_numbers(size_px: int) -> tuple[Tensor, Tensor, Tensor]:
    """ky, kx in radians per pixel, and how often each wave of a real transform counts; float32 (n_waves,).

    The last is divided by the number of pixels, so that weighted sums over waves are sums over pixels (Parseval).
    """
    ky = 2 * math.pi * torch.fft.fftfreq(size_px)
    kx = 2 * math.pi * torch.fft.rfftfreq(size_px)
    counts = torch.full((size_px, len(kx)), 2.0 / size_px**2)
    counts[:, 0] /= 2
    if size_px % 2 == 0:
        counts[:, -1] /= 2
    shape = counts.shape
    return ky[:, None].expand(shape).flatten(), kx[None, :].expand(shape).flatten(), counts.flatten()


@lru_cache(maxsize=8)
def low_waves(size_px: int) -> tuple[Tensor, Tensor, Tensor]:
    """Which waves are shorter than `WAVE_MAX`, int64 (n_waves,), and their ky and kx."""
    ky, kx, _ = wave_numbers(size_px)
    index = torch.nonzero(torch.hypot(ky, kx) < WAVE_MAX).flatten()
    return index, ky[index], kx[index]


def psf_spectrum(
    fwhm_px: Tensor, size_px: int, beta: float = MOFFAT_BETA, shear: tuple[float, float] = (0.0, 0.0)
) -> Tensor:
    """Fourier transform (..., n_waves) of a Moffat of unit flux in the middle of a pixel, integrated over pixels.

    ``shear`` stretches it along x, and along the diagonal, by its exponential, and keeps its area.
    """
    ky, kx, _ = (wave.to(fwhm_px.device) for wave in wave_numbers(size_px))
    core = fwhm_px[..., None] / (2 * math.sqrt(2 ** (1 / beta) - 1))
    table = _moffat_table(round(beta, 3)).to(fwhm_px.device)
    size = math.hypot(*shear)
    along, across = math.cosh(size), math.sinh(size) / size if size else 1.0
    stretched = torch.hypot(
        (along + shear[0] * across) * kx + shear[1] * across * ky,
        (along - shear[0] * across) * ky + shear[1] * across * kx,
    )
    place = (stretched * core / TABLE_STEP).clamp(max=len(table) - 2 + 0.999)
    low = place.long()
    values = torch.lerp(table[low], table[low + 1], place - low)
    return values * torch.sinc(ky / (2 * math.pi)) * torch.sinc(kx / (2 * math.pi))


def fit_points(stamps: Tensor, psf_fwhm_px: Tensor, psf: Tensor | None = None) -> PointFit:
    """Fit a point source to stamps, float32 (n, bands, size, size) in units of the noise; ``psf_fwhm_px`` (n, bands).

    One position serves all bands of an object; the amplitude of each band is its own. The size is even. ``psf``, the
    spectra (n, bands, n_waves) of the seeing, replaces round Moffats of that width.
    """
    n, n_bands, size, _ = stamps.shape
    ky, kx, counts = (wave.to(stamps.device) for wave in wave_numbers(size))
    waves = torch.fft.rfft2(stamps).reshape(n, n_bands, -1)
    psf = psf_spectrum(psf_fwhm_px, size) if psf is None else psf
    power = psf.square() * counts
    total = power.sum(-1)
    y, x = _brightest(waves * psf, total, size)
    low, low_y, low_x = (part.to(stamps.device) for part in low_waves(size))
    power, matched = power[..., low], (waves * (psf * counts))[..., low]
    total = power.sum(-1)
    for _ in range(3):
        y, x = _newton_step(matched, total, low_y, low_x, y, x)
    phase = torch.polar(torch.ones_like(ky), ky * y[:, None] + kx * x[:, None])[:, None]
    cross = (matched * phase[..., low]).real
    amplitudes = cross.sum(-1) / total
    weights = amplitudes.clamp(min=0)
    weights = weights / weights.square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)
    parts = torch.stack([waves * phase, (amplitudes[..., None] * psf).to(waves.dtype)], 1)
    summed = (parts * weights[:, None, :, None]).sum(2).reshape(n, 2, size, -1)
    planes = torch.roll(torch.fft.irfft2(summed, (size, size)), (size // 2, size // 2), (-2, -1))
    light = weights.square()
    width = (psf_fwhm_px * light).sum(1) / light.sum(1).clamp(min=1e-6)
    width = torch.where(light.sum(1) > 0, width, psf_fwhm_px.mean(1)) / FWHM_OVER_SIGMA
    return PointFit(cross, power, amplitudes, amplitudes * total.sqrt(), planes, width)


def _brightest(filtered: Tensor, total: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Pixel with the most signal within `SEARCH_PX` of the middle: its y and x, float32 (n,)."""
    n, n_bands = total.shape
    maps = torch.fft.irfft2(filtered.reshape(n, n_bands, size, -1), (size, size)).clamp(min=0)
    signal = (maps.square() / total[..., None, None]).sum(1)
    low = size // 2 - SEARCH_PX - 1
    side = 2 * SEARCH_PX + 2
    best = signal[:, low : low + side, low : low + side].reshape(n, -1).argmax(1)
    return (low + best // side).to(total.dtype), (low + best % side).to(total.dtype)


def _newton_step(matched, total, ky, kx, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """A step, of half a pixel at most, towards the highest signal for the amplitudes of where it begins."""
    turned = matched * torch.polar(torch.ones_like(ky), ky * y[:, None] + kx * x[:, None])[:, None]
    amplitudes = (turned.real.sum(-1) / total).clamp(min=0)
    sums = (turned * amplitudes[..., None]).sum(1)
    gradient = torch.stack([-(sums.imag * ky).sum(-1), -(sums.imag * kx).sum(-1)], -1)
    yy, xx, xy = (-(sums.real * wave).sum(-1) for wave in (ky * ky, kx * kx, ky * kx))
    determinant = yy * xx - xy * xy
    peaked = (determinant > 1e-9) & (yy < 0)
    step_y = -(xx * gradient[:, 0] - xy * gradient[:, 1]) / determinant
    step_x = -(yy * gradient[:, 1] - xy * gradient[:, 0]) / determinant
    step = torch.where(peaked[:, None], torch.stack([step_y, step_x], -1), torch.zeros_like(gradient))
    step = step.clamp(-0.5, 0.5)
    return y + step[:, 0], x + step[:, 1]


def log_likelihood(fit: PointFit, profiles: Tensor) -> Tensor:
    """Gain in ln L over no source, float32 (n, m), of m profiles for each object: ``profiles`` (n, m, n_waves)."""
    signal = torch.einsum("nbk,nmk->nmb", fit.cross, profiles).clamp(min=0)
    scale = torch.einsum("nbk,nmk->nmb", fit.power, profiles.square())
    return 0.5 * (signal.square() / scale.clamp(min=1e-12)).sum(-1)
