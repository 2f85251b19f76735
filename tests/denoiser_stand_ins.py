"""Cheap models that stand in for the denoiser, and images to give them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from galaxy_core.images import AstroImage


class Identity(nn.Module):
    """Changes nothing; remembers the noise it was told and the sizes it saw."""

    name = "identity"

    def __init__(self):
        super().__init__()
        self.told, self.sizes = [], []

    def denoise(self, images, noise_sigma=None):
        self.told.append(None if noise_sigma is None else float(noise_sigma[0]))
        self.sizes.append(tuple(images.shape))
        return images.clone(), torch.full((len(images),), 0.05) if noise_sigma is None else noise_sigma


class Smooth(Identity):
    """Gaussian smoothing with a kernel of 9 pixels: keeps flux, and a seam would show."""

    name = "smooth"

    def denoise(self, images, noise_sigma=None):
        _, sigma = super().denoise(images, noise_sigma)
        kernel = torch.exp(-0.5 * (torch.arange(-4, 5) / 1.5) ** 2)
        kernel = (kernel / kernel.sum()).repeat(3, 1)
        padded = F.pad(images, (4, 4, 4, 4), mode="replicate")
        rows = F.conv2d(padded, kernel.view(3, 1, 9, 1), groups=3)
        return F.conv2d(rows, kernel.view(3, 1, 1, 9), groups=3), sigma


def display(pixels, **kwargs):
    return AstroImage(np.asarray(pixels, np.float32), False, None, "PNG", "galaxy.png", **kwargs)


def linear(pixels, header=None):
    return AstroImage(np.asarray(pixels, np.float32), True, header, "FITS", "frame.fits.gz", 32)


def frame(shape=(300, 280), sky=1000.0, sigma=20.0, seed=0, stars=((150, 140, 300.0),), width=2.5):
    """Sky, white noise, and Gaussian sources (row, column, peak) of ``width`` pixels sigma."""
    rows, columns = np.indices(shape)
    clean = np.full(shape, sky)
    for row, column, peak in stars:
        clean += peak * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2))
    return clean, clean + np.random.default_rng(seed).normal(0, sigma, shape)


class Sure(Smooth):
    """Says that half of the noise it was told remains."""

    name, weights_sha256 = "sure", "0123456789abcdef" * 4

    def uncertainty(self, images, denoised, noise_sigma):
        return torch.full_like(images, 0.5) * noise_sigma.view(-1, 1, 1, 1)


def counts(shape=(40, 50), dtype=np.uint8, seed=0):
    top = 255 if dtype == np.uint8 else 65535
    return (np.random.default_rng(seed).random(shape) * 0.4 * top + 0.2 * top).astype(dtype)
