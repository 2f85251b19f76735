"""One file denoised into others: pictures and small frames in memory, large frames in strips."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.denoise_jobs import Job
from galaxy_core.denoising import DenoiseResult, denoise_image
from galaxy_core.frame_files import IN_MEMORY_PX, FrameReport, denoise_frame, open_frame
from galaxy_core.images import read_image
from galaxy_core.saved_images import encode_like, encode_part
from galaxy_core.tiles import Progress

if TYPE_CHECKING:
    from torch import nn


def denoise_job(
    job: Job,
    model: nn.Module,
    noise: float | None = None,
    hdu: int | str | None = None,
    as_fits: bool = False,
    extras: list[str] | None = None,
    progress: Progress | None = None,
) -> tuple[dict, list[Path]]:
    """Denoise one file and write what comes out, each file whole or not at all.

    Parameters
    ----------
    job : Job
    model : see `galaxy_core.denoising.denoise_image`
    noise : float, optional
        Standard deviation of the sky noise: in the unit of a FITS file, in counts of a picture.
    hdu : int or str, optional
        Extension of a FITS file; pictures have none.
    as_fits : bool
        Whether a picture becomes FITS: floats in [0, 1].
    extras : list of str, optional
        ``"residual"`` and ``"uncertainty"``, to be written too, as FITS.
    progress : callable, optional

    Returns
    -------
    report : dict
        Noise, its unit, shape, seconds, ...: what JSON can hold.
    written : list of Path
    """
    outputs = {"denoised": job.target, **{what: job.extra(what) for what in extras or []}}
    with job.source.open("rb") as file:
        is_fits = file.read(9).startswith((b"SIMPLE  =", b"\x1f\x8b"))
    hdu = hdu if is_fits else None
    frame = open_frame(job.source, hdu) if is_fits else None
    if frame and math.prod(frame.shape) > IN_MEMORY_PX:
        result = denoise_frame(frame, outputs, model, noise, progress)
        return _report(job, result, result.shape, outputs, 1.0, 0), list(outputs.values())
    image = read_image(job.source, hdu)
    scale = 1.0 if image.linear else float(2**image.bits - 1)  # counts of full scale
    result = denoise_image(image, model, noise and noise / scale, progress, "uncertainty" in outputs)
    for what, path in outputs.items():
        same = what == "denoised" and (result.file_format == "FITS" or not as_fits)
        data = encode_like(result, job.source.read_bytes()) if same else encode_part(result, what)
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
    report = _report(job, result, result.image.shape, outputs, scale, image.bits)
    return report | ({"notes": list(image.notes)} if image.notes else {}), list(outputs.values())


def _report(
    job: Job, result: DenoiseResult | FrameReport, shape: tuple, outputs: dict[str, Path], scale: float, bits: int
) -> dict:
    unit = str((result.header or {}).get("BUNIT", "")).strip() or "image units"
    return {
        "input": str(job.source),
        "outputs": [str(path) for path in outputs.values()],
        "noise_sigma": result.noise_sigma * scale,
        "noise_unit": unit if result.linear else f"counts of {2**bits - 1}",
        "noise_estimated": not result.noise_given,
        "shape": list(shape),
        "linear": result.linear,
        "model": result.model_name,
        "seconds": round(result.seconds, 3),
    }
