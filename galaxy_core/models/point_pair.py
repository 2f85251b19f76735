"""Two point sources fitted to stamps: what an object is where two stars lie too close to be found as two.

As in `galaxy_core.models.point_fit`, all of a stamp that matters is its matched filter M and the autocorrelation A of
the seeing. With the best amplitudes in a band, sources at x and y have

    ln L - ln L(no source) = (M(x)^2 + M(y)^2 - 2 r M(x) M(y)) / (2 A(0) (1 - r^2)),   r = A(x - y) / A(0),

and where one amplitude would be negative, what the other has alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from galaxy_core.models.point_fit import low_waves, wave_numbers

REACH_PX, APART_PX = 4, 8  # of either source from the middle of the stamp, and of one from the other
MOST_ALIKE = 0.995  # r above that is one source
STEPS, LONGEST_STEP_PX = 15, 0.3


@dataclass(frozen=True)
class PairFit:
    """The best two point sources in each of n stamps.

    Attributes
    ----------
    gain : Tensor, float32 (n,)
        ln L over no source.
    weaker_snr : Tensor, float32 (n,)
        Signal to noise ratio of the weaker source in all bands, as if it stood alone.
    """

    gain: Tensor
    weaker_snr: Tensor


@torch.no_grad()
def fit_pairs(stamps: Tensor, psf: Tensor) -> PairFit:
    """Fit two point sources to stamps, float32 (n, bands, size, size) in units of the noise.

    ``psf``, float32 (n, bands, n_waves), are spectra of the seeing (`galaxy_core.models.point_fit.psf_spectrum`). The
    best two pixels are looked for, and the top is climbed from there.
    """
    n, n_bands, size, _ = stamps.shape
    counts = wave_numbers(size)[2]
    low, ky, kx = low_waves(size)
    power = psf.square() * counts
    matched = torch.fft.rfft2(stamps).reshape(n, n_bands, -1) * psf * counts
    matched, power = matched[..., low], power[..., low]
    total = power.sum(-1)
    waves = torch.stack([ky, kx])
    bend = torch.einsum("nbk,ik->nbi", power, waves.square())
    places = _best_pixels(matched / counts[low], power / counts[low], low, size)
    best, weaker = total.new_full((n,), -1.0), total.new_zeros(n)
    for _ in range(STEPS + 1):
        phase = torch.einsum("nsi,ik->nsk", places, waves)
        turned = matched[:, :, None] * torch.polar(torch.ones_like(phase), phase)[:, None]
        apart = phase[:, 0] - phase[:, 1]
        likeness = (power * apart.cos()[:, None]).sum(-1) / total
        signal, amplitudes = _both(*turned.real.sum(-1).unbind(2), total, likeness)
        gain = 0.5 * signal.sum(1)
        better = gain > best
        best = torch.where(better, gain, best)
        weaker = torch.where(better, (amplitudes.square() * total[..., None]).sum(1).min(1).values.sqrt(), weaker)
        # each climbs on what the other leaves
        others = torch.einsum("nbk,nk,ik->nbi", power, apart.sin(), waves)
        slopes = -torch.einsum("nbsk,ik->nbsi", turned.imag, waves)
        slopes = slopes + amplitudes.flip(2)[..., None] * torch.stack([others, -others], 2)
        climb = (amplitudes[..., None] * slopes).sum(1)
        curved = (amplitudes.square()[..., None] * bend[:, :, None]).sum(1)
        places = places + (climb / curved.clamp(min=1e-6)).clamp(-LONGEST_STEP_PX, LONGEST_STEP_PX)
    return PairFit(best, weaker)


def _best_pixels(matched: Tensor, power: Tensor, low: Tensor, size: int) -> Tensor:
    """y and x of the two pixels near the middle of each stamp with the most signal, float32 (n, 2, 2)."""
    n, n_bands, _ = matched.shape
    spectra = matched.new_zeros(2, n, n_bands, size * (size // 2 + 1))
    spectra[0][..., low], spectra[1][..., low] = matched, power.to(matched.dtype)
    maps, alike = torch.fft.irfft2(spectra.reshape(2, n, n_bands, size, -1), (size, size))
    first, side = size // 2 - REACH_PX, 2 * REACH_PX + 1
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    y, x = y.flatten(), x.flatten()
    one, two = torch.triu_indices(len(y), len(y), 1)
    near = torch.hypot((y[one] - y[two]).float(), (x[one] - x[two]).float()) <= APART_PX
    one, two = one[near], two[near]
    signal = maps.new_zeros(n, len(one))
    for band in range(n_bands):
        light = maps[:, band, first : first + side, first : first + side].reshape(n, -1)
        total = alike[:, band, 0, 0, None]
        light = light / total.sqrt()
        likeness = (alike[:, band, (y[one] - y[two]) % size, (x[one] - x[two]) % size] / total).clamp_(max=MOST_ALIKE)
        # `_both` without amplitudes: what the brighter has alone, and what the other adds to it
        light_one, light_two = light[:, one], light[:, two]
        high, lower = torch.maximum(light_one, light_two).clamp_(min=0), torch.minimum(light_one, light_two)
        added = lower.sub_(likeness * high).clamp_(min=0).square_().div_(1 - likeness.square_())
        signal += high.square_().add_(added)
    best = signal.argmax(1)
    pixels = [torch.stack([y[which[best]], x[which[best]]], 1) for which in (one, two)]
    return (torch.stack(pixels, 1) + first).to(maps.dtype)


def _both(one: Tensor, two: Tensor, total: Tensor, likeness: Tensor) -> tuple[Tensor, Tensor]:
    """Twice the gain in ln L of two sources with these matched filters, and their amplitudes, in the last axis."""
    likeness = likeness.clamp(max=MOST_ALIKE)
    rest = 1 - likeness.square()
    first, second = (one - likeness * two) / (rest * total), (two - likeness * one) / (rest * total)
    alone = torch.stack([one.clamp(min=0) * (one >= two), two.clamp(min=0) * (two > one)], -1) / total[..., None]
    both = torch.stack([first, second], -1)
    amplitudes = torch.where((both > 0).all(-1, keepdim=True), both, alone)
    return (amplitudes * torch.stack([one, two], -1)).sum(-1), amplitudes
