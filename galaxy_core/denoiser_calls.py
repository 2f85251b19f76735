"""A trained denoiser, called on one tile in NumPy, and how many tiles are worked on at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

MAX_WORKERS = 4  # tiles under way at once; each takes about 200 MB with the model shipped


def run_model(
    model: nn.Module, tile: np.ndarray, sigma: float | None, uncertainty: bool = False, turned: bool = False
) -> tuple[np.ndarray, float, np.ndarray | None]:
    """Correction of one tile, the noise sigma the model used, and the standard deviation of each denoised pixel.

    A grey tile is shown as three equal bands, and what comes out is averaged over them.

    Parameters
    ----------
    tile : ndarray of float32, shape (1 or 3, height, width)
        In the model's range.
    turned : bool
        Whether to average over the tile's eight turned and mirrored positions, where ``sigma`` is given: a little
        better, and a tile that is turned gives the same, turned ("self-ensemble", Lim et al. 2017, CVPR Workshops).
    """
    import torch

    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    colour = np.broadcast_to(tile, (3, *tile.shape[1:])).astype(np.float32)
    told = None if sigma is None else torch.tensor([sigma], dtype=torch.float32, device=device)
    with torch.inference_mode():
        images = torch.from_numpy(colour)[None].to(device)
        if turned and told is not None:
            denoised, used = _mean_of_positions(model, images, told), told
        else:
            denoised, used = model.denoise(images, told)
        std = model.uncertainty(images, denoised, used)[0].float().cpu().numpy() if uncertainty else None
    outputs = [denoised[0].float().cpu().numpy() - colour, std]
    if len(tile) == 1:
        outputs = [output if output is None else output.mean(axis=0, keepdims=True) for output in outputs]
    return outputs[0], float(used[0]), outputs[1]


def run_grey(
    model: nn.Module, tiles: np.ndarray, sigma: float, uncertainty: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Corrections of grey tiles of one size in one call, and the standard deviation of each denoised pixel or None.

    As `run_model` does it for each: a tile is shown as three equal bands, and what comes out is averaged over them.

    Parameters
    ----------
    tiles : ndarray of float32, shape (n, height, width)
        In the model's range.
    """
    import torch

    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    told = torch.full((len(tiles),), sigma, dtype=torch.float32, device=device)
    with torch.inference_mode():
        images = torch.from_numpy(tiles).to(device)[:, None].expand(-1, 3, -1, -1).contiguous()
        denoised, used = model.denoise(images, told)
        std = model.uncertainty(images, denoised, used).float().mean(dim=1).cpu().numpy() if uncertainty else None
        return (denoised.float() - images).mean(dim=1).cpu().numpy(), std


def _mean_of_positions(model: nn.Module, images: Tensor, sigma: Tensor) -> Tensor:
    """Mean of what a model makes of images, (1, 3, height, width), in eight positions, each turned back."""
    import torch

    total = torch.zeros_like(images)
    for lying in (False, True):
        shown = images.mT if lying else images
        four = torch.cat([shown.flip(axes) for axes in ((), (2,), (3,), (2, 3))])
        out = model.denoise(four.contiguous(), sigma.expand(4))[0].float()
        for one, axes in zip(out.split(1), ((), (2,), (3,), (2, 3)), strict=True):
            back = one.flip(axes)
            total += (back.mT if lying else back) - images  # corrections: a model that changes nothing stays exact
    return images + total / 8


def says_how_sure(model: nn.Module) -> bool:
    """Whether a model gives the standard deviation of what it denoised."""
    return callable(getattr(model, "uncertainty", None))


def weights_sha256(model: nn.Module) -> str:
    """Hexadecimal sha256 of the file a model's weights came from; empty where it is not known."""
    return str(getattr(model, "weights_sha256", ""))


def tile_workers() -> tuple[int, Callable[[], None]]:
    """How many tiles to work on at once, and what a worker's thread does first.

    Several tiles at once, each on its share of the processor's cores, are faster than one tile on all of them: what is
    done outside the network would leave cores idle. What comes out is the same to the last bit.
    """
    import torch

    from galaxy_core.ranks import processors

    threads = torch.get_num_threads()
    workers = min(processors(), MAX_WORKERS)
    return workers, thread_starter(max(threads // workers, 1))


def thread_starter(n_threads: int) -> Callable[[], None]:
    """What a worker's thread does first, so that torch works in it with so many threads and elsewhere as before."""
    import torch

    threads = torch.get_num_threads()

    def start() -> None:
        torch.get_num_threads()  # the first question sets this thread's own number, so it must come before
        torch.set_num_threads(n_threads)
        # which is also taken for the number of threads that begin later; setting it from another mends that
        other = threading.Thread(target=torch.set_num_threads, args=(threads,))
        other.start()
        other.join()

    return start
