"""A checkpoint and a catalog in; vectors and thumbnails out, in one pass over the images, shard by shard.

Images are decoded on threads ahead of the network, so that it never waits for a file. Shards and batches are cut by the
row numbers of the catalog alone: a run that was killed and resumed feeds the network the very same batches.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from galaxy_core.artifacts import DEFAULT_MODEL, check_name, fetch_models, sha256_of_file
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.display import load_display
from galaxy_core.catalogs.parts import CatalogPart
from galaxy_core.errors import GalaxyError, ModelError, StorageError
from galaxy_core.images import as_counts, resize_square
from galaxy_core.recipes import RECIPES

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
    folder : Path, optional
        Where it was loaded from. An embedder that is pickled says no more than that: whoever unpickles it loads the
        network for itself, and a `ModelError` says so if that is another one.
    """

    name: str
    fingerprint: str
    input_px: int
    size: int
    embed: Callable[[np.ndarray], np.ndarray]
    device: str = "cpu"
    precision: str = "float32"
    folder: Path | None = None

    def __reduce__(self):
        if self.folder is None:
            return Embedder, tuple(getattr(self, item.name) for item in fields(self))
        return load_same_embedder, (self.folder, self.device, self.fingerprint)


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


def find_model(model: str | Path, root: str | Path, recipe: str | None = None) -> Path:
    """Folder of a model: a path to one, or a name under ``<root>/models`` or among the models that are shipped.

    ``recipe`` is the one that trains such models, where that is known.
    """
    fetch_models(root, str(model))
    parents = (Path(root) / "models", _REPOSITORY_MODELS)
    for folder in (*(parent / model for parent in parents), Path(model)):
        if (folder / "weights.safetensors").is_file():
            return folder
    there = sorted({path.parent.name for parent in parents for path in parent.glob("*/weights.safetensors")})
    recipe = recipe or (str(model) if str(model) in RECIPES else DEFAULT_MODEL)
    raise ModelError(
        f"There is no model {str(model)!r} under {parents[0]} (there are {', '.join(there) or 'none'}); name"
        f" another, or train one with `python scripts/train.py {recipe} LAYOUT:SOURCE`."
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
    sizes = model.config.embedding_input_px, model.config.embedding_size
    return Embedder(name, digest.hexdigest(), *sizes, embed, device, precision, folder.resolve())


def load_same_embedder(folder: Path, device: str, fingerprint: str) -> Embedder:
    """`load_embedder` in a worker, whose vectors must be those of all others."""
    embedder = load_embedder(folder, device)
    if embedder.fingerprint != fingerprint:
        raise ModelError(
            f"A worker has another model in {folder}, or computes in {embedder.precision} where this machine does not;"
            " give all the same files and the same kind of machine."
        )
    return embedder


def _cpu_multiplies_bf16() -> bool:
    import torch

    test = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # not public, so it may go
    return bool(test and test())


def n_shards(n_galaxies: int, settings: ImageSettings) -> int:
    """Number of shards of a catalog."""
    return -(-n_galaxies // settings.shard_size)


def shards_of(catalog: Catalog, settings: ImageSettings, numbers: Iterable[int] | None = None) -> Iterator[CatalogPart]:
    """The shards of a catalog, or those asked for; shard s holds the rows from ``s * shard_size``."""
    for number in range(n_shards(len(catalog), settings)) if numbers is None else numbers:
        start = number * settings.shard_size
        yield CatalogPart(number, catalog, start, min(start + settings.shard_size, len(catalog)))


def embed_shards(
    shards: Iterable[CatalogPart],
    embedder: Embedder,
    settings: ImageSettings,
    thumbnails: bool = True,
    progress: Callable[[int], None] | None = None,
    threads: int | None = None,
) -> Iterator[Shard]:
    """Embed shards, one after the other.

    Parameters
    ----------
    shards : iterable of CatalogPart
        See `shards_of`. Images of the next are decoded while the network has this one's.
    thumbnails : bool
        Whether to make thumbnails in the same pass.
    progress : callable, optional
        Called with the number of galaxies tried since the last call.
    threads : int, optional
        To decode on; unless given, as many as the machine has processors to spare.

    Yields
    ------
    Shard
    """
    made: list[tuple[Batch, np.ndarray]] = []
    for shard, last, batch in stream_batches(shards, embedder.input_px, settings, thumbnails, threads):
        vectors = embedder.embed(batch.images) if len(batch.rows) else np.empty((0, embedder.size), np.float32)
        if not np.isfinite(vectors).all():
            raise ModelError(f"The model {embedder.name} gives values that are not numbers; train it again.")
        made.append((batch, vectors))
        if progress:
            progress(batch.n_tried)
        if last:
            yield _assemble(shard.number, made)
            made = []


def _assemble(number: int, made: list[tuple[Batch, np.ndarray]]) -> Shard:
    return Shard(
        number,
        np.concatenate([batch.rows for batch, _ in made]),
        np.concatenate([vectors for _, vectors in made]),
        [thumbnail for batch, _ in made for thumbnail in batch.thumbnails],
    )


def stream_batches(
    shards: Iterable[CatalogPart],
    input_px: int,
    settings: ImageSettings,
    thumbnails: bool = True,
    threads: int | None = None,
) -> Iterator[tuple[CatalogPart, bool, Batch]]:
    """Decoded batches in order, each with its shard and whether it is the last of it; decoded ahead."""
    threads = max(1, min(16, (threads or os.cpu_count() or 2) - 1))
    jobs = ((shard, *batch) for shard in shards for batch in _batch_rows(shard, settings))
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        ahead: deque = deque()
        try:
            while True:
                while len(ahead) < threads + 2 and (job := next(jobs, None)) is not None:
                    shard, last, rows = job
                    future = pool.submit(decode_batch, shard.catalog, rows, input_px, settings, thumbnails)
                    ahead.append((shard, last, future))
                if not ahead:
                    return
                shard, last, future = ahead.popleft()
                yield shard, last, future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _batch_rows(shard: CatalogPart, settings: ImageSettings) -> Iterator[tuple[bool, range]]:
    for first in range(shard.start, shard.stop, settings.batch_size):
        beyond = min(first + settings.batch_size, shard.stop)
        yield beyond == shard.stop, range(first, beyond)


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
