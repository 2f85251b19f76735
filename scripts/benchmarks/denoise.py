"""Denoising a frame, as the page and the command do it, against the network alone on the tiles of that frame.

The network alone is called in two ways, with tiles in memory and as many threads as it likes: once for each tile of the
frame, and as the denoiser calls it, which looks again at windows around bright pixels. The first is what the whole is
held against. "Network" is the denoising network; with --uncertainty, the one that says how sure each pixel is runs in
all three. They are measured in turns. What else runs on the machine slows all: the ratio to believe there is that of
the medians of processor time, with OMP_NUM_THREADS=1.
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
    parser.add_argument("--frame", help="a FITS frame instead, its middle")
    parser.add_argument("--uncertainty", action="store_true", help="ask how sure each pixel is, too")
    parser.add_argument("--repeats", type=int, default=3, help="turns (%(default)s)")


def measure(options: argparse.Namespace) -> dict:
    """Seconds of the whole and of the network alone, their ratios, and the most memory held."""
    import torch

    from galaxy_core.denoising import denoise_image
    from galaxy_core.embedding import find_model
    from galaxy_core.images import AstroImage, read_image
    from galaxy_core.linear_denoising import linear_noise_sigma
    from galaxy_core.models import load_model, resolve_device
    from galaxy_core.noise import PUBLISHED_SIGMA
    from galaxy_core.tiles import spans

    device = resolve_device(options.device)
    model = load_model(find_model(options.model, options.artifacts), device)
    band = _middle(read_image(options.frame).pixels[0], options.side) if options.frame else None
    band = _frame(options.side, options.sources) if band is None else band
    image = AstroImage(band[None], True, None, "FITS", "frame.fits", 32)
    down, across = map(spans, band.shape)
    units = np.float32(PUBLISHED_SIGMA / linear_noise_sigma(band))
    scaled = torch.from_numpy(np.nan_to_num((band - np.nanmedian(band)) * units)).clamp(max=1)
    tiles = [scaled[a:b, c:d].expand(1, 3, -1, -1).contiguous().to(device) for a, b, _ in down for c, d, _ in across]
    told, asked = torch.tensor([PUBLISHED_SIGMA], device=device), []
    denoise = model.denoise

    def noted(images, sigma=None):
        asked.append(images)
        return denoise(images, sigma)

    def network(inputs: list) -> None:
        with torch.inference_mode():
            for images in inputs:
                denoised, used = denoise(images, told.expand(len(images)))
                denoised.cpu()
                if options.uncertainty:
                    model.uncertainty(images, denoised, used).cpu()

    model.denoise = noted  # compiles kernels too
    denoise_image(image, model, uncertainty=options.uncertainty)
    model.denoise = denoise
    ways = {
        "whole": lambda: denoise_image(image, model, uncertainty=options.uncertainty),
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
    best = {name: min(times) for name, times in seconds.items()}
    cpu = {name: float(np.median(times)) for name, times in processor.items()}
    peak_mb = peak_memory_gib() * 2**30 / 1e6
    content = options.frame or f"{options.sources} stars"
    print(f"{band.shape[0]} x {band.shape[1]} pixels, {content}, {model.name} on {device}")
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
        "frame": content,
        "uncertainty": options.uncertainty,
        "n_tiles": len(tiles),
        "network_calls": len(asked),
        "network_megapixels": round(sum(len(images) * images[0, 0].numel() for images in asked) / 1e6, 3),
        "model": model.name,
        "device": device,
        "threads": torch.get_num_threads(),
        "seconds": {name: round(value, 3) for name, value in best.items()},
        "processor_seconds": {name: round(value, 3) for name, value in cpu.items()},
        "ratio_of_whole": {name: round(best["whole"] / value, 4) for name, value in best.items()},
        "processor_ratio_of_whole": {name: round(cpu["whole"] / value, 4) for name, value in cpu.items()},
        "peak_memory_mb": round(peak_mb, 1),
        "seconds_of_each_turn": {name: [round(s, 3) for s in times] for name, times in seconds.items()},
        "processor_seconds_of_each_turn": {name: [round(s, 3) for s in times] for name, times in processor.items()},
    }


def _middle(band: np.ndarray, side: int) -> np.ndarray:
    top, left = (max(length - side, 0) // 2 for length in band.shape)
    return np.array(band[top : top + side, left : left + side], dtype=np.float32)


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
