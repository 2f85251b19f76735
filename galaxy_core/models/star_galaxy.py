"""A variational autoencoder that tells stars from galaxies without labels: of two latent peaks one is the seeing.

The decoder is optics: a symmetric intrinsic profile, made from four latent numbers, times the seeing that the stamp was
taken with, scaled to its flux in every band. The first latent number is the intrinsic extent, and its prior has two
peaks: a narrow one at no extent, which is the star by construction and not by a label, and a log-normal one, as the
sizes of galaxies are distributed. How wide the peaks are, where that of the galaxies lies at a given brightness, and
how the share of galaxies depends on brightness and colour is learned; `galaxy_core.recipes.star_galaxy_vae` says how.
Of 1 to 5 bands any will do. A second, supervised network reads the same, for comparison and for those who have labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from galaxy_core.models.point_fit import PointFit, fit_points, log_likelihood, low_waves
from galaxy_core.models.star_galaxy_trunk import Trunk

N_LATENT = 4  # extent, two of the shear, concentration
LADDER = (-0.1, 0.05, 0.2, 0.6, 1.8, 5.0)  # extents of round profiles whose likelihoods the networks are told


@dataclass(frozen=True)
class StarGalaxyConfig:
    """Sizes of the network, and what it was trained on.

    Attributes
    ----------
    bands : str
        A letter a band, whose brightness and colours it learned; other stamps are told by their shape alone.
    model_error : float
        The seeing is known to about this share of its peak, so likelihoods of objects above a signal to noise ratio of
        1 / ``model_error`` are held at what they are there.
    supervised : bool
        Whether the supervised network was trained.
    """

    bands: str = "ugriz"
    stamp_px: int = 32
    seen_px: int = 24
    widths: tuple[int, ...] = (16, 32, 64)
    hidden_size: int = 64
    share_size: int = 128
    n_gaussians: int = 6
    n_samples: int = 16  # draws an object when the model is used
    model_error: float = 0.015
    supervised: bool = False


@dataclass(frozen=True)
class Evidence:
    """What the two peaks make of n objects: logarithms of likelihood and of prior share, float32 (n,)."""

    star: Tensor
    galaxy: Tensor
    log_odds: Tensor  # of the share of galaxies, before the shape is looked at

    @property
    def logit(self) -> Tensor:
        """Log odds of being a galaxy."""
        return self.galaxy - self.star + self.log_odds


class StarGalaxyNet(nn.Module):
    """Stamps in units of noise to the probability of being a galaxy; see the module."""

    name = "star_galaxy"

    def __init__(self, config: StarGalaxyConfig | None = None) -> None:
        super().__init__()
        self.config = config or StarGalaxyConfig()
        c = self.config
        n_told = 2 + len(LADDER)
        self.encoder = Trunk(c, n_told, 2 * N_LATENT)
        self.profile = nn.Sequential(nn.Linear(1, 16), nn.SiLU(), nn.Linear(16, c.n_gaussians))
        self.log_scales = nn.Parameter(torch.linspace(math.log(0.05), math.log(8.0), c.n_gaussians))
        # photometry (zeros where it is not known), the signal, and whether photometry is known
        self.gate = nn.Sequential(
            nn.Linear(len(c.bands) + 2, c.hidden_size), nn.SiLU(), nn.Linear(c.hidden_size, c.hidden_size), nn.SiLU(),
            nn.Linear(c.hidden_size, 2),
        )  # fmt: skip
        self.share = nn.Sequential(
            nn.Linear(len(c.bands) + 2, c.share_size), nn.SiLU(), nn.Linear(c.share_size, c.share_size), nn.SiLU(),
            nn.Linear(c.share_size, c.share_size), nn.SiLU(), nn.Linear(c.share_size, 1),
        )  # fmt: skip
        self.log_star_width = nn.Parameter(torch.tensor(math.log(0.04)))
        self.log_shear_width = nn.Parameter(torch.tensor(math.log(0.5)))
        self.supervised = Trunk(c, n_told + len(c.bands) + 7, 1)
        self.register_buffer("photometry_centre", torch.zeros(len(c.bands)))
        self.register_buffer("photometry_scale", torch.ones(len(c.bands)))
        self.register_buffer("share_shift", torch.zeros(1))
        self.register_buffer("softening", torch.ones(len(c.bands)))
        nodes, weights = np.polynomial.hermite_e.hermegauss(7)
        self.register_buffer("nodes", torch.tensor(nodes, dtype=torch.float32), persistent=False)
        log_weights = torch.tensor(np.log(weights / weights.sum()), dtype=torch.float32)
        self.register_buffer("log_weights", log_weights, persistent=False)
        draws = torch.quasirandom.SobolEngine(N_LATENT, scramble=True, seed=0).draw(256).clamp(1e-4, 1 - 1e-4)
        self.register_buffer("draws", math.sqrt(2) * torch.erfinv(2 * draws - 1), persistent=False)

    # --- the decoder

    def galaxy_profiles(self, latents: Tensor, psf_sigma_px: Tensor) -> Tensor:
        """`profiles` of latent numbers (n, m, 4), the first the logarithm of the extent."""
        return self.profiles(torch.exp(latents[..., 0].clamp(-7, 5)), latents[..., 1:], psf_sigma_px)

    def profiles(self, extent: Tensor, latents: Tensor, psf_sigma_px: Tensor) -> Tensor:
        """Fourier transforms (n, m, n_waves) of intrinsic profiles of unit flux.

        Parameters
        ----------
        extent : Tensor, float32 (n, m)
            Variance along either axis over that of the seeing; below 0, a seeing sharper than it is thought to be.
        latents : Tensor, float32 (n, m, 3)
            Shear along x and along the diagonal, and what decides the concentration.
        psf_sigma_px : Tensor, float32 (n,)
        """
        _, ky, kx = (wave.to(latents.device) for wave in low_waves(self.config.stamp_px))
        extent = extent * psf_sigma_px[:, None].square()
        a, b = latents[..., 0], latents[..., 1]
        shear = torch.sqrt(a * a + b * b + 1e-8).clamp(max=2.0)
        along, across = torch.cosh(shear), torch.sinh(shear) / shear
        form = (
            (along + a * across)[..., None] * (kx * kx)
            + (along - a * across)[..., None] * (ky * ky)
            + (2 * b * across)[..., None] * (kx * ky)
        )
        weights = torch.softmax(self.profile(latents[..., 2:]), -1)
        scales = torch.exp(self.log_scales)
        mean = (weights * scales).sum(-1, keepdim=True)
        exponent = -0.5 * extent[..., None] * form
        profile = 0.0
        for m in range(weights.shape[-1]):
            ratio = scales[m] / mean
            profile = profile + weights[..., m : m + 1] * torch.exp((exponent * ratio).clamp(-30, 2))
        return profile

    def likelihood(self, fit: PointFit, profiles: Tensor, error: float | None = None) -> Tensor:
        """Gain in ln L over the point source (n, m) of profiles (n, m, n_waves), held where the seeing is unsure.

        ``error`` takes the place of the configuration's ``model_error``.
        """
        error = self.config.model_error if error is None else error
        gain = log_likelihood(fit, profiles)
        point = 0.5 * fit.snr.clamp(min=0).square().sum(1, keepdim=True)
        return (gain - point) / (1 + (error * fit.total_snr[:, None]).square())

    # --- what the networks are told

    def ladder(self, fit: PointFit) -> Tensor:
        """Likelihoods of round profiles of fixed extents, compressed, with signal and seeing; float32 (n, n_told)."""
        with torch.no_grad():
            gains = torch.asinh(self.likelihood(fit, self.round_profiles(fit, fit.snr.new_tensor(LADDER))))
        return torch.cat([gains, torch.log1p(fit.total_snr)[:, None], torch.log(fit.psf_sigma_px)[:, None]], 1)

    def round_profiles(self, fit: PointFit, extents: Tensor) -> Tensor:
        """`profiles` without shear of the same extents (m,) for every object."""
        n = len(fit.snr)
        return self.profiles(extents.expand(n, -1), extents.new_zeros(n, len(extents), 3), fit.psf_sigma_px)

    def photometry(self, fit: PointFit, noise_sigma: Tensor | None) -> Tensor:
        """Brightness and colours, standardised, and whether they are known: float32 (n, n_bands + 1).

        ``noise_sigma`` (n, bands) is in nanomaggies, or None where fluxes have no zero point or bands are others.
        """
        n_bands = len(self.config.bands)
        if noise_sigma is None or fit.snr.shape[1] != n_bands:
            return fit.snr.new_zeros(len(fit.snr), n_bands + 1)
        values = (self.magnitudes(fit, noise_sigma) - self.photometry_centre) / self.photometry_scale
        return torch.cat([values.clamp(-5, 5), values.new_ones(len(values), 1)], 1)

    def magnitudes(self, fit: PointFit, noise_sigma: Tensor) -> Tensor:
        """The middle band's asinh magnitude and differences of neighbouring ones, float32 (n, n_bands)."""
        fluxes = fit.amplitudes * noise_sigma
        magnitudes = -1.0857 * (torch.asinh(fluxes / (2 * self.softening)) + torch.log(self.softening))
        middle = len(self.config.bands) // 2
        return torch.cat([magnitudes[:, middle : middle + 1], magnitudes[:, :-1] - magnitudes[:, 1:]], 1)

    # --- the two peaks

    def evidence(
        self, fit: PointFit, photometry: Tensor, draws: Tensor | None = None, seeing_error: float = 0.0
    ) -> Evidence:
        """Evidence for a star and for a galaxy; ``draws`` (n, K, 4) are normal numbers, fixed ones by default.

        ``seeing_error`` is the relative error of the width of the seeing, where that is more than was learned: the
        star's peak is as wide, twice that in extent, and likelihoods are held from a lower signal on.
        """
        error = max(self.config.model_error, seeing_error)
        told = self.ladder(fit)
        log_odds, centre, log_width = self.gated(fit, photometry)
        points = self.round_profiles(fit, self.log_star_width.exp().clamp(min=2 * seeing_error) * self.nodes)
        star = torch.logsumexp(self.likelihood(fit, points, error) + self.log_weights, 1)
        mean, log_sigma = self.posterior(fit, told)
        if draws is None:
            draws = self.draws[: self.config.n_samples].expand(len(told), -1, -1)
        latents, log_q = self.proposed(mean, log_sigma, centre, log_width, draws)
        prior = self.galaxy_prior(latents, centre, log_width)
        gains = self.likelihood(fit, self.galaxy_profiles(latents, fit.psf_sigma_px), error)
        galaxy = torch.logsumexp(gains + prior - log_q, 1) - math.log(draws.shape[1])
        return Evidence(star, galaxy, log_odds)

    def proposed(self, mean, log_sigma, centre, log_width, draws: Tensor) -> tuple[Tensor, Tensor]:
        """Latent numbers (n, K, 4) and the logarithm of the density that they are drawn from (n, K).

        A quarter comes from the prior and the rest from the encoder, and each counts as drawn from the mixture of the
        two (Hesterberg 1995, Technometrics 37, 185): where the encoder errs, evidence is noisy and not lost.
        """
        n_prior = draws.shape[1] // 4
        widths = torch.stack([log_width, *[self.log_shear_width.expand(len(mean))] * 2, torch.zeros_like(log_width)], 1)
        middle = torch.cat([centre[:, None], torch.zeros_like(mean[:, 1:])], 1)
        from_prior = middle[:, None] + widths.exp()[:, None] * draws[:, :n_prior]
        latents = torch.cat([from_prior, mean[:, None] + log_sigma.exp()[:, None] * draws[:, n_prior:]], 1)
        share = n_prior / draws.shape[1]
        log_q = normal(latents, mean[:, None], log_sigma[:, None]) + math.log(1 - share)
        if not n_prior:
            return latents, log_q
        return latents, torch.logaddexp(log_q, self.galaxy_prior(latents, centre, log_width) + math.log(share))

    def posterior(self, fit: PointFit, told: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the standard deviation of the latent numbers of a galaxy, float32 (n, 4)."""
        mean, log_sigma = self.encoder(fit.planes, told).chunk(2, 1)
        return mean, 4 * torch.tanh(log_sigma / 4) - 0.5

    def gated(self, fit: PointFit, photometry: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log odds of a galaxy, and centre and log width of the galaxies' extents, at this brightness: (n,)."""
        light = self.light(fit, photometry)
        centre, log_width = self.gate(light).unbind(1)
        return self.share(light).squeeze(1) + self.share_shift, centre - 0.5, 4 * torch.tanh(log_width / 4)

    def light(self, fit: PointFit, photometry: Tensor) -> Tensor:
        """What the two peaks' shares and extents depend on: photometry and the signal, float32 (n, n_bands + 2)."""
        return torch.cat([photometry, torch.log1p(fit.total_snr)[:, None] - 3.5], 1)

    def galaxy_prior(self, latents: Tensor, centre: Tensor, log_width: Tensor) -> Tensor:
        """ln p(z | galaxy), float32 (n, K)."""
        shear_width = self.log_shear_width
        return (
            normal(latents[..., :1], centre[:, None, None], log_width[:, None, None])
            + normal(latents[..., 1:3], 0.0, shear_width)
            + normal(latents[..., 3:], 0.0, shear_width.new_zeros(1))
        )

    # --- what comes out

    def supervised_logit(self, fit: PointFit, photometry: Tensor, evidence: Evidence) -> Tensor:
        """Log odds of being a galaxy of the network that was shown labels, float32 (n,)."""
        return self.supervised(fit.planes, self.summary(fit, photometry, evidence)).squeeze(1)

    @torch.no_grad()
    def summary(self, fit: PointFit, photometry: Tensor, evidence: Evidence) -> Tensor:
        """What the supervised network is told beside the planes, float32 (n, n_told); turning them changes nothing."""
        told = self.ladder(fit)
        mean, log_sigma = self.posterior(fit, told)
        shear = mean[:, 1:3].norm(dim=1)
        gain = torch.asinh(evidence.galaxy - evidence.star)
        numbers = [gain, evidence.log_odds, mean[:, 0], log_sigma[:, 0], shear, mean[:, 3]]
        return torch.cat([told, photometry, torch.stack(numbers, 1)], 1)

    @torch.no_grad()
    def forward(self, stamps: Tensor, psf_fwhm_px: Tensor, noise_sigma: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Log odds of being a galaxy (n,), without labels and of the supervised network, from stamps in units of noise.

        Parameters
        ----------
        stamps : Tensor, float32 (n, bands, stamp_px, stamp_px)
        psf_fwhm_px : Tensor, float32 (n, bands)
        noise_sigma : Tensor, float32 (n, bands), optional
            Nanomaggies, where the bands are those of the configuration.
        """
        fit = fit_points(stamps, psf_fwhm_px)
        photometry = self.photometry(fit, noise_sigma)
        evidence = self.evidence(fit, photometry)
        return evidence.logit, self.supervised_logit(fit, photometry, evidence)


def normal(values: Tensor, centre: Tensor | float, log_width: Tensor) -> Tensor:
    """Logarithm of the density of independent normal numbers, summed over the last axis; what is given broadcasts."""
    standard = (values - centre) * torch.exp(-log_width)
    return (-0.5 * standard.square() - log_width - 0.5 * math.log(2 * math.pi)).sum(-1)
