"""Simulated sky with exact truth: the light of galaxies and stars without noise, and the noise that is put on it.

Light is in units of the noise of a pixel of sky. Scenes are made once; noise, gain and what spoils real frames (hits of
cosmic rays, a sky that is not flat, parts that were never observed) are drawn afresh each time one is shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import Generator, Tensor
from torch.nn import functional as F

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.injection import noise_area_px
from galaxy_core.simulator.galaxy import render_galaxy
from galaxy_core.simulator.light import make_frame, moffat
from galaxy_core.simulator.observe import MOFFAT_BETA, convolve
from galaxy_core.simulator.parameters import FIELD_STREAM, draw_parameters, stream

KERNEL_PX = 19
BROAD_POWER = (0.02, 0.6)  # share of the noise's variance that is broad, evenly in the logarithm
SOURCE_SIGMA_PX = 2.0  # dispersion of a typical source, for which noise is told
DEEPEST_END = 0.45  # of a shown part's side, that may lie beyond the end of a frame


@dataclass(frozen=True)
class SceneConfig:
    """What simulated skies are like; numbers of a pair are the ends of a range.

    Attributes
    ----------
    side_px, crop_px : int
        Of a scene, and of the part of it that is shown.
    n_seeings, galaxies_per_seeing : int
        Point-spread functions, and galaxies rendered for each.
    fwhm_px : tuple of float
        Widths of point sources, evenly in their logarithm.
    snr : tuple of float
        Best signal to noise a source can have; numbers above a flux F fall as ``F ** -slope``.
    sources_per_megapixel : tuple of float
        Evenly in the logarithm.
    star_share, large_share : float
        Sources that are stars, and galaxies much larger than a star.
    correlated_share, hits_share : float
        Scenes whose noise is correlated between pixels, and scenes with hits of single pixels.
    correlated_width_px : tuple of float
        Of the Gaussians that correlate it.
    broad_share : float
        Scenes in which some of the noise is correlated over wide Gaussians: light too faint to be seen as sources.
    broad_width_px : tuple of float
        Of those.
    ends_share : float
        Scenes that a frame's end, upright or slanted, cuts.
    """

    side_px: int = 192
    crop_px: int = 128
    n_seeings: int = 28
    galaxies_per_seeing: int = 90
    fwhm_px: tuple[float, float] = (1.6, 7.0)
    snr: tuple[float, float] = (1.2, 4000.0)
    slope: float = 0.9
    sources_per_megapixel: tuple[float, float] = (300.0, 9000.0)
    star_share: float = 0.35
    large_share: float = 0.25
    correlated_share: float = 0.5
    correlated_width_px: tuple[float, float] = (0.35, 1.1)
    broad_share: float = 0.2
    broad_width_px: tuple[float, float] = (1.5, 4.0)
    hits_share: float = 0.3
    ends_share: float = 0.25


def make_scenes(
    n_scenes: int, seed: int, folder: Path, config: SceneConfig, report: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """Noiseless light of scenes, memory-mapped float16 (n_scenes, side, side), made once and kept in ``folder``.

    Scene ``i`` of a seed is always the same.
    """
    shown_alone = dict.fromkeys(("crop_px", "correlated_share", "broad_share", "hits_share", "ends_share"), 0)
    shown_alone |= dict.fromkeys(("correlated_width_px", "broad_width_px"), (0.0, 0.0))
    said = json.dumps([seed, n_scenes, asdict(replace(config, **shown_alone))])
    path = folder / f"scenes_{hashlib.sha256(said.encode()).hexdigest()[:16]}.npy"
    if not path.exists():
        library = [_profiles(index, seed, config) for index in range(config.n_seeings)]
        with atomic_path(path) as temporary:
            shape = (n_scenes, config.side_px, config.side_px)
            kept = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
            for index in range(n_scenes):
                kept[index] = np.minimum(_scene(library, index, seed, config), 6e4)  # the range of float16
                if report:
                    report(index + 1, n_scenes)
            kept.flush()
    return np.load(path, mmap_mode="r")


def _profiles(index: int, seed: int, config: SceneConfig) -> tuple[np.ndarray, list[np.ndarray]]:
    """A point source, and galaxies, all of unit flux, seen through one point-spread function."""
    rng = np.random.default_rng([seed, 31, index])
    low, high = np.log(config.fwhm_px)
    fwhm = float(np.exp(low + (high - low) * (index + rng.random()) / config.n_seeings))
    side = 2 * int(np.clip(6 * fwhm, 12, 30)) + 1
    point = moffat(make_frame(side, 1.0), fwhm, MOFFAT_BETA)
    galaxies = []
    for number in range(config.galaxies_per_seeing):
        # most as small as faint galaxies are, some that fill a good part of the scene
        small = rng.random() >= config.large_share
        r90 = fwhm * rng.uniform(0.6, 2.0) if small else min(fwhm * np.exp(rng.uniform(0.7, 2.3)), 28.0)
        side = 2 * int(np.clip(2.2 * r90 + 4 * fwhm, 12, 70)) + 1
        galaxies.append(_galaxy(seed, index * config.galaxies_per_seeing + number, r90, fwhm, side))
    return (point / point.sum()).astype(np.float32), galaxies


def _galaxy(seed: int, index: int, r90_px: float, fwhm_px: float, side: int) -> np.ndarray:
    parameters = draw_parameters(seed, index)
    frame = make_frame(side, parameters.r90_arcsec / r90_px)
    light = render_galaxy(parameters, frame, stream(seed, index, FIELD_STREAM))
    light = np.maximum(convolve(light, frame, fwhm_px * frame.pixel_scale_arcsec)[1], 0)
    edge = max(light[0].max(), light[-1].max(), light[:, 0].max(), light[:, -1].max())
    light = np.maximum(light - edge, 0)  # ends where its frame does, without a step
    return (light / light.sum()).astype(np.float32)


def _scene(library: list, index: int, seed: int, config: SceneConfig) -> np.ndarray:
    rng = np.random.default_rng([seed, 32, index])
    point, galaxies = library[int(rng.integers(len(library)))]
    side, area = config.side_px, config.side_px**2 / 1e6
    n = rng.poisson(area * np.exp(rng.uniform(*np.log(config.sources_per_megapixel))))
    light = np.zeros((side, side), dtype=np.float32)
    low, high = (value**-config.slope for value in config.snr)
    snr = (low - rng.random(n) * (low - high)) ** (-1 / config.slope)
    for strength in snr:
        profile = point if rng.random() < config.star_share else galaxies[int(rng.integers(len(galaxies)))]
        x, y = rng.uniform(-4, side + 3, 2)
        moved = ndimage.shift(profile, (y - round(y), x - round(x)), order=1)
        moved = np.rot90(moved, int(rng.integers(4)))
        _add(light, np.float32(strength * np.sqrt(noise_area_px(profile))) * moved, round(x), round(y))
    return light


def _add(light: np.ndarray, stamp: np.ndarray, x: int, y: int) -> None:
    half, side = stamp.shape[0] // 2, light.shape[0]
    top, left, bottom, right = max(y - half, 0), max(x - half, 0), min(y + half + 1, side), min(x + half + 1, side)
    if top < bottom and left < right:
        light[top:bottom, left:right] += stamp[top - y + half : bottom - y + half, left - x + half : right - x + half]


@dataclass(frozen=True)
class Shown:
    """A batch: light without noise, and with it; float32 (n, 1, crop, crop). How much more noise there is under a
    source than in white noise, float32 (n, 1, 1, 1). What was observed, 1 or 0, float32 (n, 1, crop, crop); elsewhere
    the noisy light is 0. A second draw of the noise, 0 there too, where it was asked for."""

    light: Tensor
    noisy: Tensor
    growth: Tensor
    observed: Tensor
    noise: Tensor | None = None

    def to(self, device: str) -> Shown:
        """The batch on a device."""
        parts = {part.name: getattr(self, part.name) for part in fields(self)}
        return Shown(**{name: None if part is None else part.to(device) for name, part in parts.items()})


def show(
    scenes: np.ndarray, indices: np.ndarray, config: SceneConfig, generator: Generator, again: bool = False
) -> Shown:
    """Parts of scenes, turned, mirrored, dimmed or brightened, with noise, drawn ``again`` if that is asked."""
    n, crop = len(indices), config.crop_px
    light = torch.stack([_cut(scenes[index], crop, generator) for index in indices])[:, None]
    curves = [_curves(n, config, generator), _broad_curves(n, config, generator)]
    power = _power(n, config, generator)
    growth = sum(share * _growth(curve) for share, curve in zip(power, curves, strict=True)).sqrt()
    light = light * growth * torch.exp(_uniform(generator, (n, 1, 1, 1), -0.4, 0.4))

    def correlated() -> Tensor:
        total = torch.zeros(n, 1, crop, crop)
        for share, curve in zip(power, curves, strict=True):
            has = torch.flatten(torch.nonzero(share.flatten()))  # broad noise is in a few scenes only
            if len(has):
                total.index_add_(0, has, share[has].sqrt() * _correlate(curve[has], crop, generator))
        return total

    shot = torch.exp(_uniform(generator, (n, 1, 1, 1), np.log(5.0), np.log(300.0)))
    strength = torch.sqrt(1 + light / shot)
    noisy = light + strength * correlated() + _uneven_sky(n, crop, generator) + _hits(n, crop, config, generator)
    observed = _observed(n, crop, config, generator)
    noise = observed * strength * correlated() if again else None
    return Shown(light, observed * noisy, growth, observed, noise)


def _cut(scene: np.ndarray, crop: int, generator: Generator) -> Tensor:
    room = scene.shape[0] - crop + 1
    top, left, turns, mirrored = (int(torch.randint(high, (1,), generator=generator)) for high in (room, room, 4, 2))
    part = np.rot90(scene[top : top + crop, left : left + crop], turns)
    part = part[:, ::-1] if mirrored else part
    return torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32))


def _curves(n: int, config: SceneConfig, generator: Generator) -> Tensor:
    """What correlates white noise along rows and columns and leaves its variance, float32 (n, 2, KERNEL_PX).

    Gaussians, or the weights of a resampled pixel, or nothing.
    """
    axis = torch.arange(KERNEL_PX) - KERNEL_PX // 2
    width = _uniform(generator, (n, 2, 1), *config.correlated_width_px)
    curves = torch.exp(-0.5 * (axis / width) ** 2)
    shift = _uniform(generator, (n, 2, 1), 0.0, 1.0)
    linear = torch.clamp(1 - (axis - shift).abs(), min=0)
    curves = torch.where(torch.rand(n, 1, 1, generator=generator) < 0.6, curves, linear)
    white = (axis == 0).float().expand(n, 2, -1)
    curves = torch.where(torch.rand(n, 1, 1, generator=generator) < config.correlated_share, curves, white)
    return curves / curves.square().sum(dim=2, keepdim=True).sqrt()


def _broad_curves(n: int, config: SceneConfig, generator: Generator) -> Tensor:
    """The same of what is correlated broadly: round Gaussians."""
    axis = torch.arange(KERNEL_PX) - KERNEL_PX // 2
    width = torch.exp(_uniform(generator, (n, 1, 1), *np.log(config.broad_width_px)))
    curves = torch.exp(-0.5 * (axis / width) ** 2).expand(n, 2, -1)
    return curves / curves.square().sum(dim=2, keepdim=True).sqrt()


def _power(n: int, config: SceneConfig, generator: Generator) -> tuple[Tensor, Tensor]:
    """Shares of the noise's variance that are correlated over few pixels and broadly, float32 (n, 1, 1, 1) each."""
    broad = torch.exp(_uniform(generator, (n, 1, 1, 1), *np.log(BROAD_POWER)))
    broad = broad * (torch.rand(n, 1, 1, 1, generator=generator) < config.broad_share)
    return 1 - broad, broad


def _growth(curves: Tensor) -> Tensor:
    """Variance of noise that is correlated so beside that of white noise, both smoothed as a source would be.

    Float32 (n, 1, 1, 1): the sum over lags of the noise's autocorrelation times that of a Gaussian of 2 pixels.
    """
    padded = F.pad(curves, (KERNEL_PX - 1, KERNEL_PX - 1)).reshape(1, -1, 3 * KERNEL_PX - 2)
    lagged = F.conv1d(padded, curves.reshape(-1, 1, KERNEL_PX), groups=padded.shape[1]).view(len(curves), 2, -1)
    lag = torch.arange(lagged.shape[2]) - KERNEL_PX + 1
    return (lagged * torch.exp(-0.25 * (lag / SOURCE_SIGMA_PX) ** 2)).sum(dim=2).prod(dim=1).view(-1, 1, 1, 1)


def _correlate(curves: Tensor, crop: int, generator: Generator) -> Tensor:
    n, side = len(curves), crop + KERNEL_PX - 1
    white = torch.randn(1, n, side, side, generator=generator)
    rows = F.conv2d(white, curves[:, :1, None, :], groups=n)
    return F.conv2d(rows, curves[:, 1:, :, None], groups=n).transpose(0, 1)


def _observed(n: int, crop: int, config: SceneConfig, generator: Generator) -> Tensor:
    """1 where a frame has light and 0 beyond its end, which is a straight line, upright or slanted, in some scenes."""
    quarter = torch.randint(4, (n, 1, 1, 1), generator=generator) * (np.pi / 2)
    slant = _uniform(generator, (n, 1, 1, 1), -0.7, 0.7) * (torch.rand(n, 1, 1, 1, generator=generator) < 0.3)
    axis = torch.linspace(-1, 1, crop)
    along = torch.cos(quarter + slant) * axis + torch.sin(quarter + slant) * axis[:, None]
    end = 1 - 2 * _uniform(generator, (n, 1, 1, 1), 0.0, DEEPEST_END)
    whole = torch.rand(n, 1, 1, 1, generator=generator) >= config.ends_share
    return (whole | (along < end)).float()


def _uneven_sky(n: int, crop: int, generator: Generator) -> Tensor:
    """What a sky estimate leaves: slow waves of about a tenth of the noise."""
    coarse = 0.1 * torch.randn(n, 1, 4, 4, generator=generator)
    return F.interpolate(coarse, size=(crop, crop), mode="bicubic", align_corners=True)


def _hits(n: int, crop: int, config: SceneConfig, generator: Generator) -> Tensor:
    """Single pixels far above their neighbours, in some scenes."""
    spoiled = torch.rand(n, 1, 1, 1, generator=generator) < config.hits_share
    hit = (torch.rand(n, 1, crop, crop, generator=generator) < 1e-4) & spoiled
    hits = torch.zeros(hit.shape)
    hits[hit] = torch.exp(_uniform(generator, (int(hit.sum()),), np.log(5.0), np.log(100.0)))
    return hits


def _uniform(generator: Generator, shape: tuple, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)
