"""How sure the denoiser is: the standard deviation of each denoised pixel, by a small network of its own.

It looks at the noisy and the denoised image and the noise level and gives the scale of the error of each pixel and band
(Nix & Weigend 1994; Kendall & Gal 2017, eq. 5), trained with the denoiser frozen, so the images do not change. Its
scale is then set on galaxies that neither network learned from, by quantiles of error over scale as in split conformal
prediction (Angelopoulos et al. 2022, section 2.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from galaxy_core.errors import ModelError
from galaxy_core.models.denoising_unet import ResidualConv, UpConv, blocks_of, pixels_of
from galaxy_core.noise import PUBLISHED_SIGMA

TYPICAL_ERROR = 0.2  # of a denoised pixel, in units of the noise
LOG_RANGE = 5.0  # an error is at most so many e-folds from the typical one
RESIDUAL_RANGE = 6.0  # sigma; beyond that a residual says no more
CALIBRATED_LEVELS = (0.5, 1.0, 2.0)  # multiples of the published noise the scale is set at
COVERAGES = (0.68, 0.95)  # of the intervals,
N_SIGMAS = (1.0, 1.96)  # and their half widths in standard deviations, as a Gaussian has them
LEAST_ERROR = 1e-4  # smaller errors count as this in training


class UncertaintyNet(nn.Module):
    """Noisy image, denoised image and noise level to one standard deviation per pixel and band.

    Attributes
    ----------
    calibration : Tensor, float32 (len(CALIBRATED_LEVELS),)
        What the network's scale is multiplied by at those levels, linear in the logarithm of the noise in between.
    interval_factors : Tensor, float32 (2,)
        Half widths of the 68 % and 95 % intervals in standard deviations, measured.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        if len(widths) != 2:
            raise ModelError(
                f"The uncertainty network has two widths; set model.uncertainty_widths to two, not {widths}."
            )
        narrow, wide = widths
        self.stem = nn.Conv2d(25, narrow, 3, padding=1)
        self.first = ResidualConv(narrow)
        self.down = nn.Conv2d(narrow, wide, 2, stride=2)
        self.middle = ResidualConv(wide)
        self.up = UpConv(wide, narrow)
        self.last = ResidualConv(narrow)
        self.out = nn.Conv2d(narrow, 12, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("calibration", torch.ones(len(CALIBRATED_LEVELS)))
        self.register_buffer("interval_factors", torch.tensor(N_SIGMAS))

    def log_scale(self, images: Tensor, denoised: Tensor, noise_sigma: Tensor) -> Tensor:
        """Logarithm of the error's scale before calibration, in units of the image, float32 (n, 3, h, w)."""
        height, width = images.shape[-2:]
        sigma = noise_sigma.view(-1, 1, 1, 1).to(images.dtype)
        residual = ((images - denoised) / sigma).clamp(-RESIDUAL_RANGE, RESIDUAL_RANGE)
        planes = F.pad(torch.cat([residual, denoised], dim=1), (0, -width % 4, 0, -height % 4), mode="replicate")
        noise_map = (16 * sigma).expand(-1, 1, planes.shape[-2] // 2, planes.shape[-1] // 2)
        skip = self.first(self.stem(torch.cat([blocks_of(planes), noise_map], dim=1)))
        x = self.middle(self.down(F.relu(skip)))
        x = self.last(self.up(F.relu(x, inplace=True)) + skip)
        log_ratio = pixels_of(self.out(F.relu(x, inplace=True)).float())[..., :height, :width]
        return LOG_RANGE * torch.tanh(log_ratio / LOG_RANGE) + torch.log(TYPICAL_ERROR * sigma.float())

    def forward(self, images: Tensor, denoised: Tensor, noise_sigma: Tensor) -> Tensor:
        """One standard deviation of each denoised pixel, in units of the image, float32 (n, 3, h, w)."""
        scale = self.calibration_at(noise_sigma.float()).view(-1, 1, 1, 1)
        return scale * self.log_scale(images, denoised, noise_sigma).exp()

    def calibration_at(self, noise_sigma: Tensor) -> Tensor:
        """Factors, float32 (n,), for noise sigmas (n,); constant outside the calibrated levels."""
        position = torch.log2(noise_sigma / PUBLISHED_SIGMA) - math.log2(CALIBRATED_LEVELS[0])
        position = position.clamp(0, len(CALIBRATED_LEVELS) - 1)
        low = position.floor().clamp(max=len(CALIBRATED_LEVELS) - 2).long()
        return torch.lerp(self.calibration[low], self.calibration[low + 1], position - low)


def interval_loss(error: Tensor, log_scale: Tensor) -> Tensor:
    """How far intervals of 1 and 1.96 standard deviations are from holding 68 % and 95 % of the errors, per pixel.

    The pinball loss of those quantiles (Koenker & Bassett 1978, eq. 3.1), on logarithms, so that it is the same in any
    unit and a few huge errors, which rule a Gaussian likelihood, count no more than others.

    Parameters
    ----------
    error, log_scale : Tensor, same shape
        Denoised minus clean, and the logarithm of its standard deviation.

    Returns
    -------
    Tensor, same shape
    """
    log_error = error.abs().clamp(min=LEAST_ERROR).log()
    loss = torch.zeros_like(log_error)
    for n_sigma, coverage in zip(N_SIGMAS, COVERAGES, strict=True):
        beyond = log_error - log_scale - math.log(n_sigma)
        # the larger of coverage * beyond and (coverage - 1) * beyond, whose gradient takes four times as long
        loss = loss + coverage * beyond + F.relu(-beyond)
    return loss
