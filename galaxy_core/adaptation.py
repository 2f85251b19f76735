"""Adapt a denoiser to one noisy image, without a clean one, and keep what it learned only if it helps.

The shipped weights are the start. Random pixels are hidden and predicted from the rest (Noise2Self, Batson & Royer
2019; Noise2Void, Krull et al. 2019), and what comes out where nothing is hidden, which is what is used, is kept near
that prediction. One pixel in sixteen is never learned from: it decides which weights are kept.

Guessing hidden pixels is not what a denoiser is used for, and one can get better at it alone. So before adapted weights
are used they must be better at pixels that are seen, too: with noise z of the image's own strength, what is made of
``y + z / 2`` is compared with ``y - 2 z``, whose noise is uncorrelated with that of the first (Pang et al. 2021, CVPR,
"Recorrupted-to-Recorrupted", eq. 5, D = 1/2). Squared differences then differ between denoisers as squared errors do.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Generator, Tensor, nn

from galaxy_core.blind_spots import (
    Errors,
    Plane,
    broken_assumption,
    held_out,
    hide,
    measure_errors,
    plane_noise,
    planes_of,
    random_spots,
    squared_differences,
)
from galaxy_core.denoiser_calls import run_model
from galaxy_core.errors import ModelError
from galaxy_core.images import AstroImage

CROP_PX = 64
BATCH = 8
LEARNING_RATE = 1e-4
AVERAGE_DECAY = 0.97
STEPS_BETWEEN_LOOKS = 20  # at the pixels held out
CROPS_LOOKED_AT = 32
STANDARD_ERRORS = 2.0  # by so many the held-out mean square must fall, and by this share,
LEAST_GAIN = 0.02  # since what looking at a pixel gains is known to one or two per cent of it
RECORRUPTION = 0.5  # noise added, in units of the image's own
Progress = Callable[[float], None]


@dataclass(frozen=True)
class AdaptedModel:
    """A denoiser adapted to one image, or the shipped one where that is no worse; used as any model is.

    Attributes
    ----------
    improved : bool
        Whether the adapted weights are clearly better on the pixels held out (see `LEAST_GAIN`), hidden and seen, no
        worse on those of blank sky, and the noise is neither correlated nor cut off; if not, the shipped ones are used.
    error_before, error_after : float
        Of shipped and adapted weights on the pixels held out, in units of the noise told: the root mean square error
        with the noise of the pixels themselves, about 1, added in quadrature (`galaxy_core.blind_spots.Errors`).
    n_steps : int
        Steps taken, none where there is a warning; adapted weights are those of the best look at the pixels held out.
    seconds : float
    warning : str
        A sentence where the noise breaks what the method assumes; else empty.
    """

    name: str
    improved: bool
    error_before: float
    error_after: float
    n_steps: int
    seconds: float
    warning: str
    shipped: nn.Module = field(repr=False)
    denoiser: nn.Module = field(repr=False)

    def denoise(self, images: Tensor, noise_sigma: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Denoised images and the noise level used, as `ContrastiveDenoiser.denoise`."""
        sigma = self.shipped.noise_estimator(images) if noise_sigma is None else noise_sigma
        return self.denoiser(images, sigma).float(), sigma

    @property
    def uncertainty(self) -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
        """That of the shipped model; None once adapted, since it was not measured on these weights."""
        return None if self.improved else getattr(self.shipped, "uncertainty", None)

    @property
    def weights_sha256(self) -> str:
        """Of the shipped model's file."""
        return str(getattr(self.shipped, "weights_sha256", ""))

    def parameters(self) -> Iterator[nn.Parameter]:
        """Weights of the denoiser in use."""
        return self.denoiser.parameters()


def adapt(
    image: AstroImage,
    model: nn.Module,
    seconds: float = 60.0,
    progress: Progress | None = None,
    seed: int = 0,
    max_steps: int | None = None,
    noise_sigma: float | None = None,
) -> AdaptedModel:
    """Adapt a model to the noise and the look of one image; the model itself stays as it is.

    Parameters
    ----------
    image : AstroImage
        NaN, infinite, saturated and never observed pixels are neither learned from nor judged by.
    model : nn.Module
        With ``denoiser`` and ``noise_estimator``, as `ContrastiveDenoiser`.
    seconds : float
        Wall time after which it ends with the best weights so far.
    progress : callable, optional
        Called in this thread with the fraction done, in [0, 1]. What it raises ends the work and is passed on.
    seed : int
        With ``max_steps`` reached first, the same seed gives the same weights on the same computer.
    max_steps : int, optional
    noise_sigma : float, optional
        What the adapted model is to be told, in units of the image; measured where absent.

    Raises
    ------
    ImageError
        If the image is too small or has no noise.
    ModelError
        If the model has no denoiser to adapt.
    """
    if not (hasattr(model, "denoiser") and hasattr(model, "noise_estimator")):
        raise ModelError("This model cannot be adapted; use the one that is shipped.")
    started = time.perf_counter()
    planes = planes_of(image, noise_sigma or (0.0 if image.linear else display_noise(image, model)))
    work = _Frame(planes, next(model.denoiser.parameters()).device, seed)
    denoiser = copy.deepcopy(model.denoiser)
    before = after = work.look(denoiser)
    best, n_steps = None, 0

    def fraction() -> float:
        by_steps = n_steps / max_steps if max_steps else 0.0
        return min(max((time.perf_counter() - started) / max(seconds, 1e-9), by_steps), 1.0)

    warning = broken_assumption(planes, image.linear)
    for average in work.learn(denoiser) if not warning else ():
        n_steps += 1
        if n_steps % STEPS_BETWEEN_LOOKS == 0 or n_steps == max_steps:
            errors = work.look(average)
            if errors.mean < after.mean and not work.sky_is_worse(before, errors):
                best, after = copy.deepcopy(average.state_dict()), errors
        if progress:
            progress(fraction())
        if fraction() >= 1:
            break
    chance = (before.squares - after.squares).std() / np.sqrt(before.squares.size)
    least = max(STANDARD_ERRORS * chance, LEAST_GAIN * before.mean)
    improved = bool(best) and bool(before.mean - after.mean > least) and not warning
    if improved:
        denoiser.load_state_dict(best)
        improved = work.sees_better(model.denoiser, denoiser)
    denoiser.load_state_dict(best if improved else model.denoiser.state_dict())
    return AdaptedModel(
        name=f"{model.name}, adapted to this image ({n_steps} steps, seed {seed})" if improved else str(model.name),
        improved=improved,
        error_before=float(np.sqrt(before.mean)),
        error_after=float(np.sqrt(after.mean)),
        n_steps=n_steps,
        seconds=time.perf_counter() - started,
        warning=warning,
        shipped=model,
        denoiser=denoiser.eval(),
    )


def display_noise(image: AstroImage, model: nn.Module) -> float:
    """Noise the model sees in a display image: the median over nine windows and bands, in [0, 1]."""
    height, width = image.pixels.shape[1:]
    size = 2 * CROP_PX
    parts = [image.pixels] if len(image.pixels) == 3 else [band[None] for band in image.pixels]
    corners = [
        (int(f * max(height - size, 0)), int(g * max(width - size, 0))) for f in (0, 0.5, 1) for g in (0, 0.5, 1)
    ]
    windows = {
        corner: [part[:, corner[0] :][:, :size, corner[1] :][..., :size] for part in parts] for corner in corners
    }
    return float(np.median([run_model(model, window, None)[1] for found in windows.values() for window in found]))


class _Frame:
    """Planes to learn from, their pixels held out, and where everything random comes from."""

    def __init__(self, planes: list[Plane], device: torch.device, seed: int) -> None:
        self.device, self.seed = device, seed
        rng = np.random.default_rng(seed)
        shape = planes[0].usable.shape
        held = held_out(shape, rng)  # the same in all bands and at all scales: no band tells of another
        self.planes = planes
        self.judging = [plane.usable & held for plane in planes]
        self.learning = [plane.usable & ~held for plane in planes]
        self.side = tuple(min(CROP_PX, side) for side in shape)
        places = [(p, *self._corner(rng)) for p in np.arange(CROPS_LOOKED_AT) % len(planes)]
        squares = [(plane_noise(plane) / plane.sigma) ** 2 for plane in planes]
        self.noise_square = float(np.mean([squares[p] for p, *_ in places]))
        self.looked_at = self._crops(places, self.judging)
        self.sky = self._crops(places, [plane.sky for plane in planes])[1][self.looked_at[1]].cpu().numpy()
        self.rng = rng

    def _corner(self, rng: np.random.Generator) -> tuple[int, int]:
        shape = self.planes[0].usable.shape
        return tuple(int(rng.integers(full - side + 1)) for full, side in zip(shape, self.side, strict=True))

    def _crops(self, places: list, masks: list[np.ndarray]) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels (n, 3, side, side), where they count (n, 1, side, side), and the noise told (n,)."""
        images, counted = [], []
        for index, top, left in places:
            window = np.s_[..., top : top + self.side[0], left : left + self.side[1]]
            images.append(np.broadcast_to(self.planes[index].pixels[window], (3, *self.side)))
            counted.append(masks[index][window][None])
        sigma = torch.tensor([self.planes[index].sigma for index, *_ in places], dtype=torch.float32)
        parts = torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(counted)), sigma
        return tuple(part.to(self.device) for part in parts)

    def look(self, denoiser: nn.Module) -> Errors:
        """Errors of the pixels held out."""
        images, spots, sigma = self.looked_at
        hidden = hide(images, spots, None)
        batches = [slice(start, start + BATCH) for start in range(0, len(images), BATCH)]
        with torch.inference_mode():
            blind, seen = (
                torch.cat([denoiser(shown[part], sigma[part]) for part in batches]) for shown in (hidden, images)
            )
        return measure_errors(images, blind, seen, spots, sigma, self.noise_square)

    def sky_is_worse(self, before: Errors, after: Errors) -> bool:
        """Whether blank sky among the pixels held out came out worse than before, beyond chance."""
        worse = (after.squares - before.squares)[self.sky]
        return worse.size > 0 and bool(worse.mean() > worse.std() / np.sqrt(worse.size))

    def sees_better(self, shipped: nn.Module, adapted: nn.Module) -> bool:
        """Whether pixels held out that are seen come out clearly nearer the truth than from the shipped weights."""
        gain = self.recorrupted(shipped) - self.recorrupted(adapted)
        return gain.size > 1 and bool(gain.mean() > STANDARD_ERRORS * gain.std() / np.sqrt(gain.size))

    def recorrupted(self, denoiser: nn.Module) -> np.ndarray:
        """Squared differences at the pixels held out to a copy of the image with noise of its own, float64 (n,)."""
        images, spots, sigma = self.looked_at
        own = sigma * float(np.sqrt(self.noise_square))
        noise = torch.randn(images.shape, generator=Generator().manual_seed(self.seed + 2)).to(self.device)
        if all(len(plane.pixels) == 1 for plane in self.planes):
            noise = noise[:, :1].expand_as(images)  # a grey plane is shown as three equal bands
        noise = noise * own.view(-1, 1, 1, 1)
        told = torch.hypot(sigma, RECORRUPTION * own)
        batches = [slice(start, start + BATCH) for start in range(0, len(images), BATCH)]
        with torch.inference_mode():
            seen = torch.cat([denoiser(images[part] + RECORRUPTION * noise[part], told[part]) for part in batches])
        squares = squared_differences(seen, images - noise / RECORRUPTION, sigma)
        return squares[spots].cpu().numpy().astype(np.float64)

    def learn(self, denoiser: nn.Module) -> Iterator[nn.Module]:
        """Steps of learning, without end; each gives the running average of the weights."""
        average = copy.deepcopy(denoiser)
        optimizer = torch.optim.Adam(denoiser.parameters(), lr=LEARNING_RATE)
        generator = Generator().manual_seed(self.seed + 1)
        while True:
            chosen = self.rng.integers(len(self.planes), size=BATCH)
            images, usable, sigma = self._crops([(p, *self._corner(self.rng)) for p in chosen], self.learning)
            spots = random_spots(BATCH, *self.side, generator).to(self.device) & usable
            shown = torch.cat([hide(images, spots, generator), images])
            blind, seen = denoiser(shown, sigma.repeat(2)).chunk(2)
            squares = squared_differences(blind, images, sigma) + squared_differences(seen, blind, sigma)
            loss = (squares * spots).sum() / spots.sum().clamp(min=1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
            optimizer.step()
            with torch.no_grad():
                for kept, new in zip(average.parameters(), denoiser.parameters(), strict=True):
                    kept.lerp_(new, 1 - AVERAGE_DECAY)
            yield average
