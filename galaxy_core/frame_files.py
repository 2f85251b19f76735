"""Frames too large for memory: FITS read in strips of rows, denoised, and written in strips.

The steps are those of `galaxy_core.denoising.denoise_image`, on the same tiles in the same order, so the file that
comes out is the same to the last bit wherever both are possible.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.denoiser_calls import says_how_sure, weights_sha256
from galaxy_core.denoising import band_names, denoise_band, part_of
from galaxy_core.errors import ImageError
from galaxy_core.fits_images import encode_header, find_extension, header_of, list_images, which_image
from galaxy_core.fits_layout import BLOCK, Extension
from galaxy_core.fits_tiles import tile_strips
from galaxy_core.fits_units import stored_type, units_of
from galaxy_core.frame_survey import Rows, survey_frame
from galaxy_core.image_limits import reason
from galaxy_core.noise import check_noise, mean_noise, told_noise
from galaxy_core.saved_images import history
from galaxy_core.tiles import Progress

if TYPE_CHECKING:
    from astropy.io import fits
    from torch import nn

IN_MEMORY_PX = 2**24  # bands x height x width up to which a frame is simply read


@dataclass(frozen=True)
class FrameFile:
    """An uncompressed image of a FITS file on disk.

    Attributes
    ----------
    path : Path
    extension : galaxy_core.fits_layout.Extension
    header : astropy.io.fits.Header
    shape : tuple of int
        Bands, height and width.
    notes : tuple of str
    """

    path: Path
    extension: Extension = field(repr=False)
    header: fits.Header = field(repr=False)
    shape: tuple[int, int, int]
    notes: tuple[str, ...] = ()

    def rows(self, file: BinaryIO, band: int, dtype: type = np.float32) -> Rows:
        """Rows of one band, from and up to, (rows, width) in the file's units, read when they are asked for."""
        kind, to_units = stored_type(self.extension), units_of(self.extension, self.path.name)
        _, height, width = self.shape

        def read(top: int, bottom: int) -> np.ndarray:
            file.seek(self.extension.data_start + (band * height + top) * width * kind.itemsize)
            raw = np.fromfile(file, kind, (bottom - top) * width)
            if raw.size < (bottom - top) * width:
                raise ImageError(f"{self.path.name} became shorter while it was read; copy it again.")
            values = np.empty((bottom - top, width), dtype=dtype)
            with np.errstate(all="ignore"):
                to_units(raw.reshape(values.shape), values)
            return values

        return read


@dataclass(frozen=True)
class FrameReport:
    """How a frame was denoised; as in `galaxy_core.denoising.DenoiseResult`."""

    shape: tuple[int, int, int]
    header: fits.Header = field(repr=False)
    noise_sigma: float
    noise_given: bool
    model_name: str
    seconds: float
    linear: bool = True


class _OnDisk:
    """A file that is read where it is looked at, for code that slices bytes."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size = file, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> bytes:
        start, stop, _ = part.indices(self.size)
        self.file.seek(start)
        return self.file.read(max(stop - start, 0))

    def startswith(self, prefix: bytes, start: int = 0) -> bool:
        return self[start : start + len(prefix)] == prefix


def open_frame(path: str | Path, hdu: int | str | None = None) -> FrameFile | None:
    """The image of a FITS file that can be read in strips, or None: not FITS, gzipped, or tile-compressed.

    Raises
    ------
    ImageError
        A damaged file, or no such image; see `galaxy_core.fits_images.find_extension`.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = _OnDisk(file, path.stat().st_size)
            if not data.startswith(b"SIMPLE  ="):
                return None
            extension = find_extension(data, path.name, hdu)
            if extension.is_compressed:
                return None
            if extension.data_end > len(data):
                raise ImageError(
                    f"{path.name} is a damaged FITS file (its data are cut short); fetch or save it again."
                )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of cards that break a rule and are kept
                header, _ = header_of(data, extension)
            notes = which_image(data, path.name, extension) if hdu is None else ()
            return FrameFile(path, extension, header, extension.image_shape, tuple(notes))
    except ImageError:
        raise
    except OSError as error:
        raise ImageError(f"Cannot read {path}: {error.strerror}; check the path and its permissions.") from None
    except Exception as error:  # astropy raises nearly anything on a damaged header
        raise ImageError(f"{path.name} is a damaged FITS file ({reason(error)}); fetch or save it again.") from None


def exactly(pixels: np.ndarray, path: str | Path, hdu: int | str | None = None) -> np.ndarray:
    """What `galaxy_core.images.read_image` made of whole numbers, as float64 where float32 has not all of their digits.

    Of tile-compressed FITS files; pixels of others stay as they are.
    """
    data = Path(path).read_bytes()
    if not (data.startswith(b"SIMPLE  =") and np.nanmax(np.abs(pixels)) >= 2**24):
        return pixels
    extension = find_extension(data, Path(path).name, hdu)
    exact, to_units = np.empty(extension.shape), units_of(extension, Path(path).name)
    for where, raw in tile_strips(data, extension, Path(path).name):
        to_units(raw, exact[where])
    return exact.reshape(pixels.shape)


def list_beside(path: str | Path, hdu: int | str | None = None) -> list[str]:
    """What the further images of a FITS file are asked for by that are as large as its frame: EXTNAME, else number.

    Empty for other files, and for those that cannot be read: what opens the frame says why.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = _OnDisk(file, path.stat().st_size)
            gzipped = data.startswith(b"\x1f\x8b")
            if not (gzipped or data.startswith(b"SIMPLE  =")):
                return []
            images = list_images(data[:] if gzipped else data, path.name)
    except (ImageError, OSError):
        return []
    asked = str(hdu).upper()
    frame = next((one for one in images if hdu is None or asked in (str(one[0]), one[1].upper())), None)
    names = [name for _, name, _ in images]
    alike = [one for one in images if frame and one is not frame and one[2] == frame[2]]
    return [name if name and names.count(name) == 1 else str(index) for index, name, _ in alike]


def denoise_frame(
    frame: FrameFile,
    outputs: dict[str, Path],
    model: nn.Module,
    noise_sigma: float | None = None,
    progress: Progress | None = None,
) -> FrameReport:
    """Denoise a frame on disk into FITS files, in little memory: some tens of rows of tiles.

    Parameters
    ----------
    frame : FrameFile
    outputs : dict of str to path
        ``"denoised"``, ``"residual"`` and ``"uncertainty"``: what to write, and where. Each file appears when it is
        whole; what `progress` raises leaves none.
    model, noise_sigma, progress : see `galaxy_core.denoising.denoise_image`

    Raises
    ------
    ImageError
        No finite pixel, or a noise that is not positive.
    """
    started = time.perf_counter()
    check_noise(noise_sigma, frame.path.name)
    bands = range(frame.shape[0])
    given = noise_sigma is not None
    sure = "uncertainty" in outputs and says_how_sure(model)
    with ExitStack() as stack:
        file = stack.enter_context(frame.path.open("rb"))
        sources = [frame.rows(file, band) for band in bands]
        surveys = [survey_frame(rows, frame.shape[1:], frame.header) for rows in sources]
        if not any(survey.any_finite for survey in surveys):
            raise ImageError(f"{frame.path.name} has no finite pixel; nothing can be made of it.")
        sigmas = [told_noise(survey, noise_sigma) for survey in surveys]
        names = band_names(frame.header, len(bands))
        writers = {}
        for what, path in outputs.items():
            if what == "uncertainty" and not sure:
                continue
            said = history(what, str(model.name), weights_sha256(model), tuple(sigmas), given, names)
            writers[what] = stack.enter_context(_fits_writer(path, frame, said))
        for band in bands:

            def write(top: int, bottom: int, denoised: np.ndarray, std: np.ndarray | None, band: int = band) -> None:
                writers["denoised"](band, top, denoised)
                if "residual" in writers:
                    with np.errstate(invalid="ignore"):  # infinity minus itself
                        writers["residual"](band, top, sources[band](top, bottom) - denoised)
                if std is not None:
                    writers["uncertainty"](band, top, std)

            report = part_of(progress, band, len(bands))
            denoise_band(sources[band], surveys[band], model, noise_sigma, write, report, sure)
    sigma = float(noise_sigma) if given else mean_noise(sigmas)
    return FrameReport(frame.shape, frame.header, sigma, given, str(model.name), time.perf_counter() - started)


@contextmanager
def _fits_writer(path: Path, frame: FrameFile, said: list[str]) -> Iterator:
    """A function of band, first row and rows that writes them where they belong in a new FITS file."""
    n_bands, height, width = frame.shape
    head = encode_header(frame.shape, frame.header, said)
    n_bytes = 4 * n_bands * height * width
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + -(-n_bytes // BLOCK) * BLOCK)

        def write(band: int, top: int, values: np.ndarray) -> None:
            file.seek(len(head) + 4 * (band * height + top) * width)
            file.write(values.astype(">f4").tobytes())

        yield write
