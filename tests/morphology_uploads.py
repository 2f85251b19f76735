"""What tests do on the Morphology page: a small network, files to upload, and what the page says of them."""

from __future__ import annotations

import io
import time

import numpy as np
import torch
from astropy.io import fits
from conftest import blob
from PIL import Image

from galaxy_core.images import resize_square
from galaxy_core.models.morphology import MorphologyConfig, MorphologyNet
from galaxy_core.morphology import classify_images, load_classifier
from pages.views import morphology_words
from pages.views.question_tree import percent

PAGE = "pages/3_Morphology.py"
NAMES = ("round_smooth", "in_between_smooth", "cigar_smooth", "edge_on", "spiral")
PATIENCE_S = 120


def small_net(seed: int = 0, **changes) -> MorphologyNet:
    """Untrained, with weights large enough for images to make a difference."""
    torch.manual_seed(seed)
    options = {"input_px": 32, "hidden_size": 16, "class_names": NAMES} | changes
    net = MorphologyNet(MorphologyConfig((8, 8), (1, 1), 8, 8, **options)).eval()
    with torch.no_grad():
        for parameter in net.heads.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return net


def png_bytes(seed: int = 1, size: tuple[int, int] = (50, 60)) -> bytes:
    picture = np.zeros((*size, 3), np.uint8)
    light = np.moveaxis(blob(seed, min(size)), 0, -1)
    picture[: light.shape[0], : light.shape[1]] = (255 * light).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def fits_bytes(*sides: int) -> bytes:
    frames = [np.random.default_rng(0).normal(9, 1, (side, side)).astype(np.float32) for side in sides]
    for frame in frames:
        middle = slice(len(frame) // 2 - 3, len(frame) // 2 + 3)
        frame[middle, middle] += 80
    buffer = io.BytesIO()
    hdus = [fits.PrimaryHDU(frames[0]), *(fits.ImageHDU(frame, name="MORE") for frame in frames[1:])]
    fits.HDUList(hdus).writeto(buffer)
    return buffer.getvalue()


def html_of(app) -> str:
    return "".join(block.proto.body for block in app.get("html") if "<style>" not in block.proto.body)


def text_of(app) -> str:
    kinds = (app.markdown, app.caption, app.info, app.error, app.subheader, app.warning)
    return " ".join(str(element.value).replace("\\", "").replace("\u00a0", " ") for kind in kinds for element in kind)


def finished(app):
    """The page once nothing is under way, neither classes nor pixels."""
    until = time.monotonic() + PATIENCE_S

    def under_way() -> bool:
        pending = any(button.key == "morphology-cancel" for button in app.button)
        return pending or ("morphology-top" in html_of(app) and "pixel-maps" not in html_of(app) and not app.error)

    while under_way() and time.monotonic() < until:
        time.sleep(0.05)
        app.run()
    assert not app.exception and not under_way()
    return app


def upload(app, *files):
    app.get("file_uploader")[0].set_value([(name, data, "application/octet-stream") for name, data in files]).run()
    return finished(app)


def choose(app, source):
    return finished(app.button_group(key="morphology-source").set_value(source).run())


def expected(root, pixels):
    model = load_classifier(["vote_regressor"], root, "cpu")
    return classify_images(resize_square(pixels, 32)[None], model, ["x"])


def heading_of(told) -> str:
    best = int(told.class_probabilities[0].argmax())
    return f"{morphology_words.class_words(NAMES[best])} · {percent(float(told.class_probabilities[0, best]))}"
