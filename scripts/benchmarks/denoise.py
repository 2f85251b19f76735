"""Denoising a frame, as the page and the command do it, against the network alone on the tiles of that frame.

The network alone is called in two ways, with tiles in memory and as many threads as it likes: once for each tile of the
frame, and as often as the denoiser calls it, which looks twice at what surrounds bright pixels. They are measured in
turns, and the fastest of each counts: what else runs on the machine slows all. On a machine that is busy, the processor
time of each is the better measure.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from galaxy_core.artifacts import DEFAULT_MODEL
from scripts.reporting import peak_memory_gib


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--side", type=int, default=2048, help="height and width of the frame in pixels (%(default)s)")
    parser.add_argument("--sources", type=int, default=200, help="stars in it, from 3 sigma a pixel on (%(default)s)")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="trained model, by name or folder (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="turns (%(default)s)")


def measure(options: argparse.Namespace) -> dict:
    """Seconds of the whole and of the network alone, their ratios, and the most memory held."""
    import torch

    from galaxy_core.denoising import denoise_image
    from galaxy_core.embedding import find_model
    from galaxy_core.images import AstroImage
    from galaxy_core.models import load_model, resolve_device
    from galaxy_core.noise import PUBLISHED_SIGMA
    from galaxy_core.tiles import spans

    device = resolve_device(options.device)
    model = load_model(find_model(options.model, options.artifacts), device)
    band = _frame(options.side, options.sources)
    image = AstroImage(band[None], True, None, "FITS", "frame.fits", 32)
    steps = spans(options.side)
    scaled = torch.from_numpy((band - np.float32(1000)) / np.float32(20) * np.float32(PUBLISHED_SIGMA))
    tiles = [scaled[a:b, c:d].expand(1, 3, -1, -1).contiguous().to(device) for a, b, _ in steps for c, d, _ in steps]
    told, asked = torch.tensor([PUBLISHED_SIGMA], device=device), []
    denoise = model.denoise

    def noted(images, sigma=None):
        asked.append(images)
        return denoise(images, sigma)

    def network(inputs: list) -> None:
        with torch.inference_mode():
            for tile in inputs:
                denoise(tile, told)[0].cpu()

    model.denoise = noted  # compiles kernels too
    denoise_image(image, model)
    model.denoise = denoise
    ways = {
        "whole": lambda: denoise_image(image, model),
        "network": lambda: network(tiles),
        "network_as_asked": lambda: network(asked),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    processor: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.repeats):
        for name, run in ways.items():
            started, cpu_started = time.perf_counter(), time.process_time()
            run()
            seconds[name].append(time.perf_counter() - started)
            processor[name].append(time.process_time() - cpu_started)
    best, cpu = ({name: min(times) for name, times in kept.items()} for kept in (seconds, processor))
    peak_mb = peak_memory_gib() * 2**30 / 1e6
    print(f"{options.side} x {options.side} pixels, {options.sources} stars, {model.name} on {device}")
    labels = {"whole": "whole", "network": f"network, {len(tiles)} tiles", "network_as_asked": f"{len(asked)} calls"}
    for name, label in labels.items():
        print(
            f"{label:24} {best[name]:8.2f} s, {cpu[name]:8.2f} s of processor time;"
            f" whole / this {best['whole'] / best[name]:.2f} and {cpu['whole'] / cpu[name]:.2f}"
        )
    print(f"at most {peak_mb:,.0f} MB in memory")
    return {
        "benchmark": "denoise",
        "side_px": options.side,
        "n_sources": options.sources,
        "n_tiles": len(tiles),
        "network_calls": len(asked),
        "model": model.name,
        "device": device,
        "threads": torch.get_num_threads(),
        "seconds": {name: round(value, 3) for name, value in best.items()},
        "processor_seconds": {name: round(value, 3) for name, value in cpu.items()},
        "ratio_of_whole": {name: round(best["whole"] / value, 4) for name, value in best.items()},
        "processor_ratio_of_whole": {name: round(cpu["whole"] / value, 4) for name, value in cpu.items()},
        "peak_memory_mb": round(peak_mb, 1),
        "seconds_of_each_turn": {name: [round(s, 3) for s in times] for name, times in seconds.items()},
    }


def _frame(side: int, n_sources: int) -> np.ndarray:
    """Sky of 1000 with noise of 20, and stars of 5 pixels across whose peaks follow a power law."""
    rng = np.random.default_rng(0)
    band = rng.normal(1000, 20, (side, side)).astype(np.float32)
    rows, columns = np.indices((31, 31)) - 15
    shape = np.exp(-(rows**2 + columns**2) / 8)
    for row, column in rng.integers(0, max(side - 31, 1), (n_sources, 2)):
        patch = band[row : row + 31, column : column + 31]
        patch += (rng.pareto(1.0) + 1) * 60 * shape[: patch.shape[0], : patch.shape[1]]
    return band
