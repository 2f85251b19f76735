"""What tests do with the page of denoising: give it files, wait, and read what it says."""

from __future__ import annotations

import io

import numpy as np
from astropy.io import fits
from PIL import Image
from under_way import finished

from galaxy_core.models import save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig

PAGE = "pages/4_Denoise.py"


def with_denoiser(root):
    """Artifacts with a small untrained model, which returns what it is given."""
    config = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))
    save_model(root / "models" / "contrastive_denoiser", ContrastiveDenoiser(config))
    return root


def fits_bytes(*more: np.ndarray, level: float = 100.0) -> bytes:
    noisy = np.random.default_rng(0).normal(level, 5, (70, 80)).astype(np.float32)
    primary = fits.PrimaryHDU(noisy)
    primary.header["BUNIT"] = "adu"
    buffer = io.BytesIO()
    fits.HDUList([primary, *(fits.ImageHDU(pixels, name=f"EXTRA{n}") for n, pixels in enumerate(more))]).writeto(buffer)
    return buffer.getvalue()


def png_bytes(seed: int = 1, size: tuple[int, int] = (40, 50)) -> bytes:
    counts = np.random.default_rng(seed).integers(0, 255, (*size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(counts).save(buffer, format="PNG")
    return buffer.getvalue()


def upload(app, *files):
    app.get("file_uploader")[0].set_value([(name, data, "application/octet-stream") for name, data in files]).run()
    return metrics(finished(app))


def metrics(app) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def choose(app, source):
    return finished(app.get("button_group")[0].set_value(source).run())


def downloads(app):
    labels = [button.label for button in app.get("download_button")]
    return [label.removeprefix("Download ") for label in labels if label.startswith("Download ")]


def states(app) -> list[str]:
    """What the list says of each file."""
    return [button.label for button in app.button if (button.key or "").startswith("denoise-file-")]


def problem(app) -> str:
    """What is wrong, as it is read."""
    return app.error[0].value.replace("\\", "")


def widget(app, kind, label):
    return next(one for one in app.get(kind) if one.label.startswith(label))
