"""The embedding step (read, decode, forward, write) against the forward pass of the same batches held in memory.

The two are measured in turns, several times, and the fastest of each counts: what else runs on the machine slows both.
Synthetic galaxies are drawn beforehand and stored as PNG files, since drawing them is not what is measured.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from galaxy_core.artifacts import DEFAULT_MODEL


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        "catalog", metavar="CATALOG", nargs="?", default="synthetic:2000", help="LAYOUT:SOURCE (%(default)s)"
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="trained model, by name or folder (%(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    parser.add_argument("--limit", type=int, default=2048, help="galaxies to embed, at most (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="turns (%(default)s)")


def measure(options: argparse.Namespace) -> dict:
    """Rates in galaxies a second, and their ratios to the bare forward pass."""
    from galaxy_core.catalogs import read_catalog
    from galaxy_core.embedding import ImageSettings, find_model, load_embedder, shards_of, stream_batches
    from galaxy_core.image_steps import limit_catalog

    embedder = load_embedder(find_model(options.model, options.artifacts), options.device)
    settings = ImageSettings()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        catalog = read_catalog(options.catalog)
        if options.catalog.startswith("synthetic:"):
            catalog = store(limit_catalog(catalog, options.limit, 0), Path(folder) / "images")
        catalog = limit_catalog(catalog, options.limit, 0)
        decoded = stream_batches(shards_of(catalog, settings), embedder.input_px, settings, thumbnails=False)
        batches = [batch.images for _, _, batch in decoded]
        n = sum(len(batch) for batch in batches)
        embedder.embed(batches[0])  # the first call compiles kernels
        ways = {
            "forward pass alone": lambda _: [embedder.embed(batch) for batch in batches],
            "embedding step": lambda out: _step(catalog, embedder, settings, out, False),
            "embedding step with thumbnails": lambda out: _step(catalog, embedder, settings, out, True),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        cpu_seconds: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(options.repeats):
            for name, run in ways.items():
                out = Path(folder) / f"{turn} {name}"
                started, cpu_started = time.perf_counter(), time.process_time()
                run(out)
                seconds[name].append(time.perf_counter() - started)
                cpu_seconds[name].append(time.process_time() - cpu_started)
    rates = {name: n / min(times) for name, times in seconds.items()}
    bare = rates["forward pass alone"]
    print(f"{n:,} galaxies of {options.catalog}, {embedder.name} on {embedder.device} in {embedder.precision}")
    for name, rate in rates.items():
        cost = f"{1e3 * min(cpu_seconds[name]) / n:.2f} ms of processor time each"
        print(f"{name:32} {rate:>10,.1f} galaxies/s {rate / bare:>8.1%} of the forward pass alone; {cost}")
    return {
        "benchmark": "embed",
        "catalog": options.catalog,
        "n_galaxies": n,
        "model": embedder.name,
        "device": embedder.device,
        "precision": embedder.precision,
        "galaxies_per_second": {name: round(rate, 2) for name, rate in rates.items()},
        "ratio_to_forward_pass": {name: round(rate / bare, 4) for name, rate in rates.items()},
        "cpu_ms_per_galaxy": {name: round(1e3 * min(times) / n, 4) for name, times in cpu_seconds.items()},
        "seconds_of_each_turn": {name: [round(s, 3) for s in times] for name, times in seconds.items()},
    }


def store(catalog, folder: Path):
    """Draw a catalog once into a folder of PNG files, and read that."""
    from galaxy_core.catalogs import read_catalog
    from galaxy_core.catalogs.display import load_display
    from galaxy_core.images import encode_png

    folder.mkdir(parents=True)
    for row in range(len(catalog)):
        image = load_display(catalog, row)
        (folder / f"{row:06d}.png").write_bytes(encode_png(image))
    return read_catalog(f"folder:{folder}")


def _step(catalog, embedder, settings, out: Path, thumbnails: bool) -> None:
    """The pipeline's own step, files and all."""
    from galaxy_core.artifacts.staging import open_staging
    from galaxy_core.image_steps import make_images

    with open_staging(out, "bench") as staging:
        name = "images" if thumbnails else "embedding"
        make_images(staging, catalog, "bench", embedder, settings, lambda *_: None, name)
