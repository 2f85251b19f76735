"""What one machine does, what two workers make of it, and what a survey will cost: the embedding step by the engine.

Four things are measured. The cost of a shard in its parts (read, decode, forward, write). The step in this process
against the bare loop over shards without an engine, in turns. Strong scaling (as many galaxies on one worker and on
two) and weak scaling (as many for each worker); a worker has one processor core to itself. The memory of the driver
while it hands out ever more galaxies, whose images and network cost next to nothing. From these follows the table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from galaxy_core import artifacts
from galaxy_core.artifacts.staging import open_staging
from galaxy_core.catalogs import Catalog, ReadReport, read_catalog
from galaxy_core.embedding import (
    Embedder,
    ImageSettings,
    decode_batch,
    embed_shards,
    find_model,
    load_embedder,
    shards_of,
)
from galaxy_core.engine import open_engine
from galaxy_core.errors import GalaxyError
from galaxy_core.image_steps import limit_catalog, make_images
from scripts.benchmarks.embed import store

PROJECT = Path(__file__).resolve().parents[2]
SURVEYS = (1_000_000, 10_000_000, 40_000_000)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        "catalog", metavar="CATALOG", nargs="?", default="synthetic:3072", help="LAYOUT:SOURCE (%(default)s)"
    )
    parser.add_argument(
        "--model", default=artifacts.DEFAULT_MODEL, help="trained model, by name or folder (%(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    parser.add_argument("--limit", type=int, default=4096, help="galaxies to embed, at most (%(default)s)")
    parser.add_argument("--shard", type=int, default=256, help="galaxies a shard (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="turns (%(default)s)")
    rows_help = "galaxies that the driver hands out when its memory is measured (%(default)s)"
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help=rows_help)


def measure(options: argparse.Namespace) -> dict:
    """Everything above, printed and returned."""
    embedder = load_embedder(find_model(options.model, options.artifacts), options.device)
    settings = ImageSettings(shard_size=options.shard, batch_size=min(options.shard, 256))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        catalog, source = limit_catalog(read_catalog(options.catalog), options.limit, 0), options.catalog
        if catalog.layout == "synthetic":
            catalog, source = store(catalog, Path(folder) / "images"), f"folder:{folder}/images"
        step = partial(_step, catalog, embedder, settings, Path(folder))
        parts = _parts(catalog, embedder, settings, Path(folder))
        ways = {"bare loop": partial(_bare, catalog, embedder, settings, Path(folder)), "engine": step}
        step()  # the first call compiles kernels
        here = _in_turns(ways, options.repeats)
        scaling = _scaling(source, len(catalog), settings, options)
    model = str(find_model(options.model, options.artifacts).resolve())
    memory = {rows: _child("driver_memory", {"rows": rows, "model": model}) for rows in options.rows}
    numbers = {
        "benchmark": "scale",
        "catalog": options.catalog,
        "n_galaxies": len(catalog),
        "model": embedder.name,
        "device": embedder.device,
        "precision": embedder.precision,
        "shard_size": settings.shard_size,
        **parts,
        "galaxies_per_second": {name: round(len(catalog) / seconds, 2) for name, seconds in here.items()},
        "engine_to_bare_loop": round(here["bare loop"] / here["engine"], 4),
        **scaling,
        "driver_peak_mb": memory,
        "driver_growth": round(memory[options.rows[-1]] / memory[options.rows[0]], 4),
    }
    _print(numbers)
    return numbers


def _parts(catalog, embedder, settings, folder: Path) -> dict:
    """Milliseconds a galaxy of each part of a shard's work, one after the other on one thread, and bytes written."""
    n = min(len(catalog), settings.shard_size)
    rows, seconds = range(n), {}
    started = time.perf_counter()
    for row in rows:
        images = catalog.load_image
        if hasattr(images, "folder"):
            (images.folder / images.names[row]).read_bytes()
    seconds["read"] = time.perf_counter() - started
    started = time.perf_counter()
    batches = [
        decode_batch(catalog, rows[first : first + settings.batch_size], embedder.input_px, settings, True)
        for first in range(0, n, settings.batch_size)
    ]
    seconds["decode"] = time.perf_counter() - started - seconds["read"]
    embedder.embed(batches[0].images)
    started = time.perf_counter()
    vectors = np.concatenate([embedder.embed(batch.images) for batch in batches])
    seconds["forward"] = time.perf_counter() - started
    ids = catalog.galaxy_ids[np.concatenate([batch.rows for batch in batches])]
    started = time.perf_counter()
    thumbnails = [thumbnail for batch in batches for thumbnail in batch.thumbnails]
    written = [
        artifacts.write_thumbnails(folder / "parts", "bench", ids, thumbnails),
        artifacts.write_embedding(folder / "parts", "bench", embedder.name, ids, vectors),
    ]
    seconds["write"] = time.perf_counter() - started
    return {
        "ms_per_galaxy": {name: round(1e3 * value / n, 4) for name, value in seconds.items()},
        "bytes_per_galaxy": round(sum(path.stat().st_size for path in written) / n, 1),
    }


def _step(catalog, embedder, settings, folder: Path, engine=None) -> None:
    """The pipeline's own step, files and all."""
    with tempfile.TemporaryDirectory(dir=folder) as out, open_staging(out, "bench") as staging:
        make_images(staging, catalog, "bench", embedder, settings, lambda *_: None, engine=engine)


def _bare(catalog, embedder, settings, folder: Path) -> None:
    """The same files by a plain loop."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        for shard in embed_shards(shards_of(catalog, settings), embedder, settings):
            ids = catalog.table["galaxy_id"].iloc[shard.rows].to_numpy(dtype=object)
            artifacts.write_thumbnails(out, "bench", ids, shard.thumbnails, shard.number)
            artifacts.write_embedding(out, "bench", embedder.name, ids, shard.vectors, shard.number)


def _in_turns(ways: dict, repeats: int) -> dict[str, float]:
    """Seconds of the fastest of several turns."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return {name: min(times) for name, times in seconds.items()}


def _scaling(source: str, n: int, settings, options: argparse.Namespace) -> dict:
    """Seconds of the step on one worker and on two, each run a process of its own on as many processor cores."""
    model = str(find_model(options.model, options.artifacts).resolve())
    seconds = {}
    for key, workers, limit in (("one_all", 1, n), ("two_all", 2, n), ("one_half", 1, n // 2)):
        known = {"source": source, "limit": limit, "workers": workers, "model": model, "device": options.device}
        seconds[key] = _child("embed_on_workers", known | asdict(settings) | {"repeats": options.repeats}, workers)
    return {
        "seconds_on_workers": seconds,
        "strong_scaling": round(seconds["one_all"] / (2 * seconds["two_all"]), 4),
        "weak_scaling": round(seconds["one_half"] / seconds["two_all"], 4),
    }


def embed_on_workers(source: str, limit: int, workers: int, model: str, device: str, repeats: int, **settings) -> float:
    """Seconds of the step on worker processes that have loaded the model, the fastest of several turns."""
    settings = ImageSettings(**settings)
    catalog = limit_catalog(read_catalog(source), limit, 0)
    embedder = load_embedder(model, device)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, open_engine(workers=workers) as engine:
        run = partial(_step, catalog, embedder, settings, Path(folder), engine)
        run()  # models are loaded
        return _in_turns({"step": run}, repeats)["step"]


class Flat:
    """Images that cost nothing."""

    def __call__(self, i: int) -> np.ndarray:
        return np.full((3, 8, 8), i % 7 / 7, np.float32)

    def take(self, rows) -> Flat:
        """The same, wherever they are."""
        return self


def first_pixels(images: np.ndarray) -> np.ndarray:
    """A network that costs nothing."""
    return images.reshape(len(images), -1)[:, :64] + 1e-3


def driver_memory(rows: int, model: str) -> float:
    """Highest resident memory, in MB, of a driver that has ``rows`` galaxies embedded by a worker.

    The driver has loaded a model, as that of a command has. Memory is counted from when the catalog is there: reading
    one is not what is measured.
    """
    load_embedder(model, "cpu")
    names = pa.array(np.arange(rows)).cast(pa.large_string())
    table = pa.table({"galaxy_id": names}).to_pandas()
    catalog = Catalog(table, Flat(), "bench", "memory", ReadReport(rows, rows))
    pa.default_memory_pool().release_unused()
    embedder, highest = Embedder("flat", "1", 8, 64, first_pixels), [0.0]

    def progress(*_) -> None:
        highest[0] = max(highest[0], _resident_mb())

    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        open_engine(workers=1) as engine,
        open_staging(folder, "bench") as staging,
    ):
        make_images(staging, catalog, "bench", embedder, ImageSettings(), progress, "embedding", engine)
        progress()
    return round(highest[0], 1)


def _resident_mb() -> float:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1e3 * 1.024 for line in file if line.startswith("VmRSS"))


def _child(function: str, arguments: dict, n_cores: int | None = None) -> float:
    """The value of a function of this module in a fresh process, on some of the processor cores."""
    code = f"import sys, json; from scripts.benchmarks import scale; print(scale.{function}(**json.loads(sys.argv[1])))"
    cores = sorted(os.sched_getaffinity(0))[:n_cores] if n_cores else os.sched_getaffinity(0)
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    if done.returncode:
        raise GalaxyError(f"The benchmark {function} failed: {(done.stderr.strip().splitlines() or ['no reason'])[-1]}")
    return float(done.stdout.strip().splitlines()[-1])


def survey_table(numbers: dict) -> str:
    """Hours, bytes and memory of whole surveys, as Markdown: here, on one GPU and on ten.

    Where no GPU was measured, its hours are those of one processor core that reads, decodes and writes, which is what
    each worker with a GPU has to do besides; the network is taken for done meanwhile.
    """
    rate = numbers["galaxies_per_second"]["engine"]
    efficiency = min(1.0, numbers["strong_scaling"])
    measured = numbers["device"].startswith("cuda")
    ms = numbers["ms_per_galaxy"]
    gpu = rate if measured else 1e3 / (ms["read"] + ms["decode"] + ms["write"])
    peaks = sorted((int(rows), mb) for rows, mb in numbers["driver_peak_mb"].items())
    (few, low), (many, high) = peaks[0], peaks[-1]
    slope = max(0.0, (high - low) / (many - few)) if many > few else 0.0
    note = "" if measured else " (not measured)"
    lines = [
        f"| galaxies | hours here ({numbers['device']}) | on one GPU{note} | on ten{note}"
        " | embedding and thumbnails | memory of the driver |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for n in SURVEYS:
        here, one = n / rate / 3600, n / gpu / 3600
        size = n * numbers["bytes_per_galaxy"] / 1e9
        memory = (low + slope * (n - few)) / 1e3
        hours = f"{here:,.1f} | {one:,.1f} | {one / 10 / efficiency:,.2f}"
        lines.append(f"| {n:,} | {hours} | {size:,.0f} GB | {memory:.2f} GB |")
    return "\n".join(lines)


def _print(numbers: dict) -> None:
    print(f"{numbers['n_galaxies']:,} galaxies of {numbers['catalog']}, {numbers['model']} on {numbers['device']}")
    parts = ", ".join(f"{name} {value:.3f}" for name, value in numbers["ms_per_galaxy"].items())
    print(f"a galaxy in ms, part after part: {parts}; {numbers['bytes_per_galaxy']:,.0f} bytes written")
    rates = ", ".join(f"{name} {rate:,.1f}" for name, rate in numbers["galaxies_per_second"].items())
    print(f"galaxies/s in this process: {rates}; engine / bare loop {numbers['engine_to_bare_loop']:.3f}")
    print(f"two workers against one: strong {numbers['strong_scaling']:.3f}, weak {numbers['weak_scaling']:.3f}")
    memory = ", ".join(f"{mb:,.0f} MB at {rows:,}" for rows, mb in numbers["driver_peak_mb"].items())
    print(f"driver: {memory}; growth {numbers['driver_growth']:.3f}\n\n{survey_table(numbers)}")
