"""What is done in the background on the Denoise page: decode, denoise, measure.

It is done in processes of its own, which read this module: Streamlit is not needed here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from uuid import uuid4

import numpy as np

from galaxy_core import fits_images
from galaxy_core.added_noise import add_noise
from galaxy_core.before_after import Measured, Reference, make_reference, measure_version, share_within
from galaxy_core.denoising import DenoiseResult, denoise_image
from galaxy_core.embedding import find_model
from galaxy_core.images import AstroImage, decode_image
from galaxy_core.picture_layout import PNG_START
from galaxy_core.tiff_layout import TIFF_STARTS
from galaxy_core.tiles import blend_tiles
from galaxy_core.work_tasks import Report, Task

MODEL, ADAPTED = "contrastive_denoiser", "adapted"
SEED = 0
WHOLE_PX = 2**21  # a classical method works on images up to this many pixels at once, on larger ones in tiles
DENOISED = 0.9  # of the work, when measuring begins
ADAPTING = 0.8  # of the work, when denoising with an adapted model begins
STARTS = (b"SIMPLE  =", b"\x1f\x8b", PNG_START, b"\xff\xd8\xff", b"RIFF", *TIFF_STARTS)  # of files that may be images


@dataclass(frozen=True)
class Item:
    """One image to denoise; ``digest`` says which, and stays the same as long as its pixels do.

    ``is_image`` is False for a file that surely is none.
    """

    digest: str
    name: str
    read: Callable[[int | None], AstroImage] = field(repr=False)
    data: bytes = field(default=b"", repr=False)
    is_image: bool = True


@dataclass(frozen=True)
class Options:
    """How an image is taken.

    Attributes
    ----------
    hdu : int or None
        FITS extension; the first image where absent.
    noise : float or None
        Sky noise in the unit that is shown; estimated where absent.
    added : tuple of str and float, or None
        Kind and level of noise that is added first.
    """

    hdu: int | None = None
    noise: float | None = None
    added: tuple[str, float] | None = None


@dataclass(frozen=True)
class Work:
    """A denoised image and what was measured on it."""

    result: DenoiseResult
    clean: np.ndarray | None = field(repr=False)
    reference: Reference = field(repr=False)
    before: Measured = field(repr=False)
    after: Measured = field(repr=False)
    extensions: tuple = ()
    model_file: Path = Path()
    notes: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """Of the numbers shown."""
        if not self.result.linear:
            return "counts" if self.result.bits == 8 else f"counts of {self.scale:.0f}"
        return str((self.result.header or {}).get("BUNIT", "")).strip() or "image units"

    @property
    def scale(self) -> float:
        """Pixel values times this are in that unit."""
        return 1.0 if self.result.linear else 2.0**self.result.bits - 1

    @property
    def image(self) -> AstroImage:
        """What was denoised."""
        result = self.result
        return AstroImage(result.image, result.linear, result.header, result.file_format, result.name, result.bits)

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        arrays = (self.result.image, self.result.denoised, self.result.image, self.result.uncertainty)
        maps = (self.clean, self.reference.light, self.reference.sky, self.reference.sky_pixels)
        return sum(array.nbytes for array in (*arrays, *maps) if isinstance(array, np.ndarray))


@dataclass(frozen=True)
class Version:
    """The same image denoised by a classical method, or by the model adapted to it."""

    method: str
    pixels: np.ndarray = field(repr=False)
    measured: Measured = field(repr=False)
    improved: bool = True  # whether it is to be looked at

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.pixels.nbytes

    @property
    def stamp(self) -> str:
        """What tells it from every other version of the same image."""
        return self.method


@dataclass(frozen=True)
class Adapted(Version):
    """The image denoised by the adapted model, and how that was judged."""

    improved: bool = False
    sentence: str = ""
    warning: str = ""
    model_name: str = ""
    made: str = field(default_factory=lambda: uuid4().hex)

    @property
    def stamp(self) -> str:
        """Of this run: adapting for longer, or once more, ends with other weights."""
        return self.made


def denoise_task(item: Item, options: Options, root: Path) -> Task:
    """The task of denoising an image; raises `ModelError` where there is no model."""
    weights = find_model(MODEL, root) / "weights.safetensors"
    stamp = weights.stat().st_mtime_ns
    key = _key(item.digest, item.name, [options.hdu, options.noise, options.added], str(weights), stamp)
    # what is no image is told at once: a process takes seconds to start, and more to have the model
    return Task(key, item.name, partial(_denoise, item, options, weights, stamp), apart=item.is_image)


def first_job(root: Path) -> Callable[[Report], None]:
    """What a process does before the first image comes: have the model at hand."""
    weights = find_model(MODEL, root) / "weights.safetensors"
    return partial(_get_ready, weights.parent, weights.stat().st_mtime_ns)


def classical_task(work_key: str, work: Work, method: str) -> Task:
    """The task of denoising the same image with a classical method."""
    return Task(_key(work_key, method), work.result.name, partial(_classical, work, method), apart=True)


def adapt_task(work_key: str, work: Work, seconds: int) -> Task:
    """Adapt the model for so long, denoise with the result and measure it."""
    return Task(adapt_key(work_key, seconds), work.result.name, partial(_adapt, work, seconds), apart=True)


def adapt_key(work_key: str, seconds: int) -> str:
    """The key of that task."""
    return _key(work_key, ADAPTED, seconds)


def _key(*parts: object) -> str:
    return hashlib.sha1(json.dumps(parts, default=str).encode()).hexdigest()


@lru_cache(maxsize=2)
def _load(folder: Path, stamp: int):
    """The model, kept by the process that works with it."""
    from galaxy_core.models import load_model, resolve_device

    return load_model(folder, resolve_device("auto"))


def _get_ready(folder: Path, stamp: int, report: Report) -> None:
    _load(folder, stamp)


def _denoise(item: Item, options: Options, weights: Path, stamp: int, report: Report) -> Work:
    image, clean = item.read(options.hdu), None
    extensions = extensions_of(item)
    report(0.02)
    if options.added:
        noisy = add_noise(image, *options.added, SEED)
        image, clean = noisy, image.pixels
    scale = 1.0 if image.linear else 2.0**image.bits - 1
    sigma = options.noise / scale if options.noise else None
    model = _load(weights.parent, stamp)
    result = denoise_image(image, model, sigma, lambda done: report(0.02 + (DENOISED - 0.02) * done), uncertainty=True)
    reference = make_reference(result.image, result.denoised, result.noise_sigma, image.linear, clean)
    report(0.95)
    before, after = (measure_version(reference, pixels) for pixels in (result.image, result.denoised))
    if clean is not None and result.uncertainty is not None:
        after = replace(after, within=share_within(clean, result.denoised, result.uncertainty))
    return Work(result, clean, reference, before, after, extensions, weights, image.notes)


def extensions_of(item: Item) -> tuple:
    """Images of a FITS file: index, name and shape of each."""
    is_fits = item.data.startswith((b"SIMPLE  =", b"\x1f\x8b"))
    return tuple(fits_images.list_images(item.data, item.name)) if is_fits else ()


def _classical(work: Work, method: str, report: Report) -> Version:
    from galaxy_core.classical import METHODS

    image, sigmas = work.result.image, work.result.noise_sigmas  # one for colour, one a band for all else
    if not any(sigmas):
        pixels = image  # nothing to remove
    elif image[0].size <= WHOLE_PX:
        pixels = METHODS[method](image, sigmas).astype(np.float32, copy=False)
    else:
        pixels = _in_tiles(image, lambda tile: METHODS[method](tile, sigmas), report)
    report(DENOISED)
    return Version(method, pixels, measure_version(work.reference, pixels))


def _adapt(work: Work, seconds: int, report: Report) -> Adapted:
    from galaxy_core.adaptation import adapt

    model = _load(work.model_file.parent, work.model_file.stat().st_mtime_ns)
    told = work.result.noise_sigma if work.result.noise_given else None
    adapted = adapt(work.image, model, seconds, lambda done: report(ADAPTING * done), noise_sigma=told)
    pixels, measured = work.result.denoised, work.after
    if adapted.improved:
        pixels = denoise_image(work.image, adapted, told, lambda d: report(ADAPTING + (0.95 - ADAPTING) * d)).denoised
        measured = measure_version(work.reference, pixels)
    numbers = f"{adapted.error_before:.4g} before, {adapted.error_after:.4g} after, in units of the noise it is told"
    judged = f"error on pixels set aside, their own noise included: {numbers}; {adapted.n_steps} steps"
    if adapted.improved:
        sentence = f"The adapted model is better on this image ({judged})."
    else:
        sentence = f"The shipped model is kept: adapting did not make it better beyond chance ({judged})."
    return Adapted(ADAPTED, pixels, measured, adapted.improved, sentence, adapted.warning, adapted.name)


def _in_tiles(image: np.ndarray, denoise: Callable[[np.ndarray], np.ndarray], report: Report) -> np.ndarray:
    """A large image denoised tile by tile, as the model's is; float32 of the same shape."""
    pixels = np.empty_like(image)

    def write(top: int, bottom: int, original: np.ndarray, blended: np.ndarray) -> None:
        pixels[:, top:bottom] = original + blended

    def correct(tiles: list[np.ndarray]) -> list[np.ndarray]:
        with np.errstate(invalid="ignore"):  # infinity minus itself
            return [np.nan_to_num(denoise(tile) - tile, nan=0.0, posinf=0.0, neginf=0.0) for tile in tiles]

    blend_tiles(
        lambda top, bottom: image[:, top:bottom],
        image.shape[1:],
        correct,
        write,
        lambda done: report(DENOISED * done),
    )
    return pixels


def as_result(work: Work, version: Version, title: str) -> DenoiseResult:
    """What another method made, to save like any other; only the model keeps the light of linear frames."""
    made = replace(work.result, denoised=version.pixels, model_name=title, uncertainty=None, weights_sha256="")
    if not isinstance(version, Adapted):
        return replace(made, keeps_light=False)
    weights = "" if version.improved else work.result.weights_sha256
    return replace(made, model_name=version.model_name, weights_sha256=weights)


def upload_item(digest: str, name: str, data: bytes) -> Item:
    """An uploaded file."""
    return Item(digest, name, partial(_read_upload, data, name), data, data.startswith(STARTS))


def _read_upload(data: bytes, name: str, hdu: int | None) -> AstroImage:
    return decode_image(data, name, *([] if hdu is None else [hdu]))


def pixels_item(pixels: np.ndarray, name: str) -> Item:
    """A display image in memory."""
    digest = hashlib.sha1(pixels.tobytes()).hexdigest()
    return Item(digest, name, partial(_give_pixels, pixels, name))


def _give_pixels(pixels: np.ndarray, name: str, hdu: int | None) -> AstroImage:
    return AstroImage(pixels, False, None, "PNG", name)
