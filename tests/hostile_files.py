"""Hostile image files, the same from run to run: every kind of file with every kind of damage, and bombs of each kind.

``python tests/hostile_files.py`` decodes them all under limits of memory and time, and prints what became of each as
JSON, a line a file; the test runs it as a process of its own, so that a decoder that crashes does not take it along.
"""

from __future__ import annotations

import gzip
import io
import json
import resource
import signal
import sys
import time
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np
import tifffile
from astropy.config import ConfigItem
from astropy.io import fits
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hostile_fits import hostile_fits
from hostile_pictures import hostile_pictures

MEMORY_BYTES = 3 * 2**29  # 1.5 GiB, of pixels and everything else
ADDRESSES_BYTES = 5 * 2**29  # libraries reserve far more addresses than they use
NAMES = (
    "galaxy.png",
    "M 31.fits",
    "../../../etc/passwd.fits",
    "C:\\sky\\ngc.tif",
    "two\nlines\r.png",
    "ναυτίλος-галактика-銀河.jpg",
    "a" * 300 + ".fits",
    "<script>alert(1)</script>.png",
    "\u202egnp.exe\u200b.png",
    "**bold** ![x](http://x) $x$ :red[x].png",
    "nul\0\x07.tiff",
    "",
)


def base_files() -> dict[str, bytes]:
    """Small good files of every kind, by name."""
    rng = np.random.default_rng(5)
    grey = rng.integers(0, 256, (40, 50), dtype=np.uint8)
    colour = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    deep = rng.integers(0, 65536, (40, 50, 3), dtype=np.uint16)
    flux = rng.normal(5, 100, (40, 50)).astype(np.float32)
    alpha = Image.fromarray(np.dstack([colour, grey]))
    picture, frames = Image.fromarray(colour), [Image.fromarray(255 - colour)]
    counts = np.rint(flux).astype(np.int32)
    files = {
        "grey.png": _saved(Image.fromarray(grey), "PNG"),
        "colour.png": _saved(picture, "PNG"),
        "alpha.png": _saved(alpha, "PNG"),
        "palette.png": _saved(picture.quantize(64), "PNG"),
        "deep.png": _saved(Image.fromarray(deep[..., 0]), "PNG"),
        "moving.png": _saved(picture, "PNG", save_all=True, append_images=frames),
        "colour.jpg": _saved(picture, "JPEG"),
        "progressive.jpg": _saved(picture, "JPEG", progressive=True),
        "cmyk.jpg": _saved(picture.convert("CMYK"), "JPEG"),
        "colour.webp": _saved(picture, "WEBP"),
        "lossless.webp": _saved(alpha, "WEBP", lossless=True),
        "moving.webp": _saved(picture, "WEBP", save_all=True, append_images=frames),
        "colour.tif": _saved(picture, "TIFF"),
        "lzw.tif": _saved(picture, "TIFF", compression="tiff_lzw"),
        "jpeg.tif": _saved(picture, "TIFF", compression="jpeg"),
        "flux.tif": _saved_tiff(flux),
        "deep-zip.tif": _saved_tiff(deep, compression="zlib", photometric="rgb"),
        "big-endian.tif": _saved_tiff(deep[..., 0].astype(">u2"), byteorder=">", tile=(16, 16), bigtiff=True),
        "flux.fits": _saved_fits(fits.PrimaryHDU(flux)),
        "unsigned.fits": _saved_fits(fits.PrimaryHDU(deep[..., 0])),
        "cube.fits": _saved_fits(fits.PrimaryHDU(np.stack([flux] * 3).astype(">f8"))),
        "extensions.fits": _saved_fits(fits.PrimaryHDU(), _table(), fits.ImageHDU(flux), fits.ImageHDU(counts)),
        "packed.fits.gz": gzip.compress(_saved_fits(fits.PrimaryHDU(flux)), mtime=0),
    }
    for kind in ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1"):
        tiles = fits.CompImageHDU(counts, compression_type=kind, tile_shape=(10, 50))
        files[f"{kind.lower()}.fits"] = _saved_fits(fits.PrimaryHDU(), tiles)
    files["quantised.fits"] = _saved_fits(fits.PrimaryHDU(), fits.CompImageHDU(flux, dither_seed=7))
    return files


def damaged(name: str, data: bytes, seed: int) -> Iterator[tuple[str, bytes]]:
    """One good file, cut, flipped, overwritten, lengthened and swapped, each a little differently."""
    rng = np.random.default_rng(seed)
    for place in (3, 12, 40, len(data) // 3, 2 * len(data) // 3, len(data) - 5):
        yield f"{name} cut at {place}", data[:place]
    for where, first, last in (("header", 0, min(300, len(data))), ("body", min(300, len(data) // 2), len(data))):
        for n_bits in (1, 4, 40):
            flipped = bytearray(data)
            for place in rng.integers(first, last, n_bits):
                flipped[place] ^= 1 << int(rng.integers(8))
            yield f"{name} {n_bits} bits of {where} flipped", bytes(flipped)
    start, size = int(rng.integers(20, len(data) // 2)), int(rng.integers(20, len(data) // 4))
    yield f"{name} zeros inside", data[:start] + bytes(size) + data[start + size :]
    yield f"{name} piece missing", data[:start] + data[start + size :]
    yield f"{name} piece twice", data[: start + size] + data[start:]
    yield f"{name} bytes in pairs swapped", np.frombuffer(data[: len(data) // 2 * 2], "<u2").byteswap().tobytes()
    yield f"{name} rubbish behind", data + rng.bytes(5000)


def hostile_files() -> Iterator[tuple[str, str, bytes]]:
    """What each file is, the name it is uploaded under, and its bytes."""
    warnings.simplefilter("ignore")
    number = 0
    for seed, (name, data) in enumerate(base_files().items()):
        for what, broken in damaged(name, data, seed):
            yield what, NAMES[number % len(NAMES)], broken
            number += 1
    for what, data in chain(_other_kinds(), hostile_pictures(), hostile_fits()):
        yield what, NAMES[number % len(NAMES)], data
        number += 1


def _other_kinds() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(3)
    yield "empty", b""
    yield from ((f"one byte {byte:#x}", bytes([byte])) for byte in (0, 0x1F, 0x49, 0x53, 0x89, 0xFF))
    yield "text", b"Dear astronomer,\nthis is no image.\n"
    yield "text of 16 bits", "Dear astronomer".encode("utf-16")
    yield "web page", b"<!DOCTYPE html><html><body>404 not found</body></html>"
    yield "drawing", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'
    yield "pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("image.fits", bytes(10**6))
    yield "zip", archive.getvalue()
    yield "zip in gzip", gzip.compress(archive.getvalue(), mtime=0)
    frames = [Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8)) for _ in range(3)]
    yield "gif", _saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    yield "bmp", _saved(frames[0], "BMP")
    yield "zeros", bytes(10**6)
    yield "noise", rng.bytes(10**6)
    yield "program", b"\x7fELF" + rng.bytes(5000)
    yield "python object", b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x08builtins"
    yield "array of numpy", b"\x93NUMPY\x01\0v\0{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"


def _table() -> fits.BinTableHDU:
    return fits.BinTableHDU.from_columns([fits.Column("flux", "E", array=[1.0, 2.0])])


def _saved(picture: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=file_format, **options)
    return buffer.getvalue()


def _saved_tiff(values: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, datetime=None, software=None, **options)
    return buffer.getvalue()


def _saved_fits(*hdus: object) -> bytes:
    buffer = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(buffer)
    return buffer.getvalue()


def verdict(name: str, data: bytes) -> dict[str, object]:
    """What decoding makes of one file: its shape or its sentence, CPU seconds, and MiB of memory at its peak so far."""
    from galaxy_core.errors import ImageError
    from galaxy_core.fits_images import encode_fits, list_images
    from galaxy_core.images import decode_image

    started, found = time.process_time(), {}
    try:
        image = decode_image(data, name)
        found = {"shape": image.pixels.shape, "type": str(image.pixels.dtype), "name": image.name, "notes": image.notes}
        found["seconds"] = time.process_time() - started
        if image.header is not None and image.pixels.size < 10**6:
            again = decode_image(encode_fits(image.pixels, image.header, ["seen"]), "again")
            found["kept"] = bool(np.array_equal(again.pixels, image.pixels, equal_nan=True))
            found["listed"] = len(list_images(data, name)) > 0
            str(image.header.get("BUNIT", ""))
    except ImageError as error:
        found |= {"sentence": str(error)}
    except BaseException as error:
        found |= {"raised": f"{type(error).__name__}: {error}"}
    found.setdefault("seconds", time.process_time() - started)
    return found | {"peak_mib": peak_mib()}


def peak_mib() -> float:
    """Most memory this process has held since `forget_peak`, or since its start where the system cannot forget."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def look_up_settings_once() -> None:
    """Keep each setting of astropy until one is changed: it reads and checks several anew for each line of a header."""
    ask, change = cache(ConfigItem.__call__), ConfigItem.set

    def set_anew(item: ConfigItem, value: object) -> None:
        ask.cache_clear()
        change(item, value)

    ConfigItem.__call__, ConfigItem.set = ask, set_anew


def main() -> None:
    look_up_settings_once()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES_BYTES, ADDRESSES_BYTES))
    for what, name, data in hostile_files():
        forget_peak()
        signal.alarm(120)
        print(json.dumps({"what": what, "begun": True}), flush=True)
        print(json.dumps({"what": what, "asked": name, "bytes": len(data)} | verdict(name, data)), flush=True)


if __name__ == "__main__":
    main()
