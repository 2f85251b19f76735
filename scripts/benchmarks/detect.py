"""A frame made into a catalogue, as the command does it, against sep's background, extraction and photometry.

sep is called as its documentation does: background, extraction at 1.5 sigma with a segmentation map, Kron fluxes and
half-light radii of all it finds. The segmenter's network is timed apart, and its share held against the bare network on
the same tiles. All are measured in turns, and the fastest of each counts; on a machine that is busy, the processor time
of each is the better measure.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from scripts.reporting import peak_memory_gib


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--side", type=int, default=2600, help="height and width of the frame in pixels (%(default)s)")
    parser.add_argument("--sources", type=int, default=4000, help="objects in it (%(default)s)")
    parser.add_argument("--model", default="segmenter", help="trained segmenter, by name or folder (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="turns (%(default)s)")


def measure(options: argparse.Namespace) -> dict:
    """Seconds of the whole, of the network in it and alone, and of sep; their ratios."""
    import torch

    from galaxy_core.embedding import find_model
    from galaxy_core.frame_bands import open_sky_frame
    from galaxy_core.frame_catalog import FrameConfig, catalogue_frame
    from galaxy_core.images import AstroImage
    from galaxy_core.models import load_model, resolve_device
    from galaxy_core.models.segmenter import tiles_of

    device = resolve_device(options.device)
    model = load_model(find_model(options.model, options.artifacts), device)
    band = make_field(options.side, options.sources)
    image = AstroImage(band[None], True, None, "FITS", "frame.fits", 32)
    spent = {"network": [0.0, 0.0]}
    maps = model.detection_maps

    def timed(*arguments, **named):
        started, cpu_started = time.perf_counter(), time.process_time()
        found = maps(*arguments, **named)
        spent["network"][0] += time.perf_counter() - started
        spent["network"][1] += time.process_time() - cpu_started
        asked.append(arguments[0])
        return found

    def whole() -> int:
        asked.clear()
        spent["network"] = [0.0, 0.0]
        with open_sky_frame([image]) as frame:
            return len(catalogue_frame(frame, FrameConfig("segmenter"), model).objects)

    def bare() -> None:
        with torch.inference_mode():
            for tile in tiles:
                model.look(tile)

    asked: list[np.ndarray] = []
    model.detection_maps = timed
    n_objects = whole()
    tiles = [torch.from_numpy(a[seen].copy())[None, None] for a in asked for seen, _, _ in tiles_of(a.shape)]
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ("whole", "network", "bare", "sep")}
    for _ in range(options.repeats):
        for name, run in (("whole", whole), ("bare", bare), ("sep", lambda: sep_alone(band))):
            started, cpu_started = time.perf_counter(), time.process_time()
            run()
            seconds[name].append((time.perf_counter() - started, time.process_time() - cpu_started))
            if name == "whole":
                seconds["network"].append(tuple(spent["network"]))
    best = [{name: min(turn[kind] for turn in turns) for name, turns in seconds.items()} for kind in (0, 1)]
    ratios = [
        {
            "rest_over_sep": (times["whole"] - times["network"]) / times["sep"],
            "network_over_bare": times["network"] / times["bare"],
        }
        for times in best
    ]
    peak_mb = peak_memory_gib() * 2**30 / 1e6
    print(f"{options.side} x {options.side} pixels, {n_objects:,} objects found, {model.name} on {device}")
    for name, label in (("whole", "whole"), ("network", "network in it"), ("bare", "bare network"), ("sep", "sep")):
        print(f"{label:16} {best[0][name]:8.2f} s, {best[1][name]:8.2f} s of processor time")
    for clock, ratio in zip(("time", "processor time"), ratios, strict=True):
        rest, network = ratio["rest_over_sep"], ratio["network_over_bare"]
        print(f"by {clock}: whole without its network / sep {rest:.2f}, network / bare network {network:.2f}")
    print(f"at most {peak_mb:,.0f} MB in memory")
    return {
        "benchmark": "detect",
        "side_px": options.side,
        "n_sources": options.sources,
        "n_objects": n_objects,
        "device": device,
        "threads": torch.get_num_threads(),
        "seconds": {name: round(value, 3) for name, value in best[0].items()},
        "processor_seconds": {name: round(value, 3) for name, value in best[1].items()},
        "ratios": {name: round(value, 4) for name, value in ratios[0].items()},
        "processor_ratios": {name: round(value, 4) for name, value in ratios[1].items()},
        "peak_memory_mb": round(peak_mb, 1),
    }


def sep_alone(band: np.ndarray) -> int:
    """Background, extraction and photometry of a frame, as sep's documentation has them; number of objects."""
    import sep

    sep.set_extract_pixstack(max(sep.get_extract_pixstack(), min(band.size, 10_000_000)))
    sep.set_sub_object_limit(max(sep.get_sub_object_limit(), 16_384))
    background = sep.Background(band)
    light = band - background.back()
    found, segmentation = sep.extract(light, 1.5, err=background.globalrms, segmentation_map=True)
    ellipse = [found[name] for name in ("x", "y", "a", "b")] + [np.clip(found["theta"], -np.pi / 2, np.pi / 2)]
    numbers = {"segmap": segmentation, "seg_id": np.arange(1, len(found) + 1)}
    kron, _ = sep.kron_radius(light, *ellipse, 6.0, **numbers)
    kron = np.where(np.isfinite(kron) & (kron > 0), kron, 1.0)
    flux, _, _ = sep.sum_ellipse(light, *ellipse, 2.5 * kron, err=background.globalrms, subpix=5, **numbers)
    sep.flux_radius(light, found["x"], found["y"], 6.0 * found["a"], 0.5, normflux=flux, subpix=5, **numbers)
    return len(found)


def make_field(side: int, n_sources: int) -> np.ndarray:
    """Sky of 1000 with noise of 20, and round objects of many sizes whose fluxes follow a power law."""
    rng = np.random.default_rng(0)
    band = rng.normal(1000, 20, (side, side)).astype(np.float32)
    rows, columns = np.indices((41, 41)) - 20
    for row, column in rng.integers(0, max(side - 41, 1), (n_sources, 2)):
        width = rng.uniform(1.3, 4.0)
        patch = band[row : row + 41, column : column + 41]
        shape = np.exp(-(rows**2 + columns**2) / (2 * width**2)).astype(np.float32)
        # from 4 sigma on by the best filter
        flux = 4 * 20 * np.sqrt(4 * np.pi) * width * (rng.pareto(1.0) + 1)
        patch += np.float32(flux / (2 * np.pi * width**2)) * shape[: patch.shape[0], : patch.shape[1]]
    return band
