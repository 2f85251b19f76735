"""A checkpoint and a catalog in; vectors and thumbnails out, in one pass over the images, shard by shard.

Images are decoded on threads ahead of the network, so that it never waits for a file. Shards and batches are cut by the
row numbers of the catalog alone: a run that was killed and resumed feeds the network the very same batches.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from galaxy_core.artifacts import DEFAULT_MODEL, check_name, fetch_models, sha256_of_file
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.display import load_display
from galaxy_core.errors import GalaxyError, ModelError, StorageError
from galaxy_core.images import as_counts, resize_square

_REPOSITORY_MODELS = Path(__file__).resolve().parents[1] / "artifacts" / "models"


@dataclass(frozen=True)
class Embedder:
    """A network ready to embed.

    Attributes
    ----------
    name : str
    fingerprint : str
        Changes with the weights, their config, the kind of device and the precision: whatever may change a vector.
    input_px, size : int
        Side of the images ``embed`` takes, length of the vectors it gives.
    embed : callable
        float32 (n, 3, input_px, input_px) in [0, 1] to float32 (n, size) of unit length.
    """

    name: str
    fingerprint: str
    input_px: int
    size: int
    embed: Callable[[np.ndarray], np.ndarray]
    device: str = "cpu"
    precision: str = "float32"


@dataclass(frozen=True)
class ImageSettings:
    """How images are cut into shards and batches, and what thumbnails look like."""

    shard_size: int = 2048
    batch_size: int = 256
    thumbnail_px: int = 128
    thumbnail_quality: int = 85


@dataclass(frozen=True)
class Batch:
    """Images of consecutive rows; those that could not be decoded are missing."""

    rows: np.ndarray  # int64 (n,)
    images: np.ndarray  # float32 (n, 3, input_px, input_px)
    thumbnails: list[bytes]  # n, or none
    n_tried: int


@dataclass(frozen=True)
class Shard:
    """What is known of the rows of one shard that could be decoded."""

    number: int
    rows: np.ndarray  # int64 (n,)
    vectors: np.ndarray  # float32 (n, d)
    thumbnails: list[bytes]  # n, or none


def find_model(model: str | Path, root: str | Path) -> Path:
    """Folder of a model: a path to one, or a name under ``<root>/models`` or among the models that are shipped."""
    fetch_models(root, str(model))
    candidates = [Path(root) / "models" / model, _REPOSITORY_MODELS / model, Path(model)]
    for folder in candidates:
        if (folder / "weights.safetensors").is_file():
            return folder
    raise ModelError(
        f"There is no model {str(model)!r} under {Path(root) / 'models'}; train one with"
        f" `python scripts/train.py {DEFAULT_MODEL} LAYOUT:SOURCE`, or name one with --model."
    )


def load_embedder(folder: str | Path, device: str = "auto") -> Embedder:
    """Load a checkpoint for embedding: bf16 where the hardware multiplies it natively, float32 elsewhere."""
    import torch

    from galaxy_core.models import load_model, resolve_device

    folder, device = Path(folder), resolve_device(device)
    model = load_model(folder).to(device).eval().to(memory_format=torch.channels_last)
    if not hasattr(model, "embed"):
        raise ModelError(f"{folder} holds a {model.name}, which does not embed; name another model with --model.")
    kind = device.split(":")[0]
    # native bf16 is two to three times faster; emulated bf16 is slower than float32
    native = torch.cuda.is_bf16_supported() if kind == "cuda" else kind == "cpu" and _cpu_multiplies_bf16()
    precision = "bfloat16" if native else "float32"

    def embed(images: np.ndarray) -> np.ndarray:
        tensor = torch.from_numpy(images).to(device).contiguous(memory_format=torch.channels_last)
        deterministic = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
        with torch.inference_mode(), deterministic, torch.autocast(kind, torch.bfloat16, enabled=native):
            vectors = model.embed(tensor)
        vectors = torch.nn.functional.normalize(vectors.float(), dim=1)
        return vectors.cpu().numpy()

    digest = hashlib.sha256(f"{kind} {precision}".encode())
    for file in ("weights.safetensors", "config.json"):
        digest.update(sha256_of_file(folder / file).encode())
    name = check_name(folder.resolve().name, "model")
    return Embedder(
        name, digest.hexdigest(), model.config.embedding_input_px, model.config.embedding_size, embed, device, precision
    )


def _cpu_multiplies_bf16() -> bool:
    import torch

    test = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # not public, so it may go
    return bool(test and test())


def n_shards(n_galaxies: int, settings: ImageSettings) -> int:
    """Number of shards of a catalog."""
    return -(-n_galaxies // settings.shard_size)


def embed_catalog(
    catalog: Catalog,
    embedder: Embedder,
    settings: ImageSettings,
    shards: list[int],
    thumbnails: bool = True,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Shard]:
    """Embed the shards asked for, one after the other.

    Parameters
    ----------
    shards : list of int
        Numbers of the shards to make; shard s holds the rows from ``s * shard_size``.
    thumbnails : bool
        Whether to make thumbnails in the same pass.
    progress : callable, optional
        Called with the number of galaxies tried since the last call.

    Yields
    ------
    Shard
    """
    waiting: dict[int, list[tuple[Batch, np.ndarray]]] = {}
    for shard, last, batch in stream_batches(catalog, embedder.input_px, settings, shards, thumbnails):
        vectors = embedder.embed(batch.images) if len(batch.rows) else np.empty((0, embedder.size), np.float32)
        if not np.isfinite(vectors).all():
            raise ModelError(f"The model {embedder.name} gives values that are not numbers; train it again.")
        waiting.setdefault(shard, []).append((batch, vectors))
        if progress:
            progress(batch.n_tried)
        if last:
            yield _assemble(shard, waiting.pop(shard))


def _assemble(number: int, made: list[tuple[Batch, np.ndarray]]) -> Shard:
    return Shard(
        number,
        np.concatenate([batch.rows for batch, _ in made]),
        np.concatenate([vectors for _, vectors in made]),
        [thumbnail for batch, _ in made for thumbnail in batch.thumbnails],
    )


def stream_batches(
    catalog: Catalog, input_px: int, settings: ImageSettings, shards: list[int], thumbnails: bool = True
) -> Iterator[tuple[int, bool, Batch]]:
    """Decoded batches in order, each with its shard's number and whether it is the last of it; decoded ahead."""
    threads = max(1, min(16, (os.cpu_count() or 2) - 1))
    jobs = iter(_batch_rows(len(catalog), settings, shards))
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        ahead: deque = deque()
        try:
            while True:
                while len(ahead) < threads + 2 and (job := next(jobs, None)) is not None:
                    shard, last, rows = job
                    ahead.append(
                        (shard, last, pool.submit(decode_batch, catalog, rows, input_px, settings, thumbnails))
                    )
                if not ahead:
                    return
                shard, last, future = ahead.popleft()
                yield shard, last, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _batch_rows(n_galaxies: int, settings: ImageSettings, shards: list[int]) -> Iterator[tuple[int, bool, range]]:
    for shard in shards:
        start = shard * settings.shard_size
        stop = min(start + settings.shard_size, n_galaxies)
        for first in range(start, stop, settings.batch_size):
            beyond = min(first + settings.batch_size, stop)
            yield shard, beyond == stop, range(first, beyond)


def decode_batch(catalog: Catalog, rows: range, input_px: int, settings: ImageSettings, thumbnails: bool) -> Batch:
    """Decode the images of ``rows``; one that cannot be decoded is left out."""
    images = np.empty((len(rows), 3, input_px, input_px), np.float32)
    kept: list[int] = []
    encoded: list[bytes] = []
    for row in rows:
        try:
            display = load_display(catalog, row)
            images[len(kept)] = resize_square(display, input_px)
            if thumbnails:
                side = min(settings.thumbnail_px, *display.shape[1:])
                encoded.append(encode_thumbnail(resize_square(display, side), settings.thumbnail_quality))
        except StorageError:
            raise  # the image may be sound, and its store away
        except (GalaxyError, OSError, ValueError):
            continue
        kept.append(row)
    return Batch(np.array(kept, np.int64), images[: len(kept)], encoded, len(rows))


def encode_thumbnail(image: np.ndarray, quality: int) -> bytes:
    """WebP of a display image (3, h, w) in [0, 1] by the encoder's fast method: a third of the time, 3 % more bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.moveaxis(as_counts(image), 0, -1))).save(
        buffer, format="WEBP", quality=quality, method=1
    )
    return buffer.getvalue()
