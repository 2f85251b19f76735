"""What tests do with the map in a browser: find a galaxy, drag, read pictures and what is marked."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from galaxy_core import artifacts

MAP = "window.galaxyAtlas.maps.get('map-0')"


def places(root, name="tiny", projection="umap") -> np.ndarray:
    table = artifacts.read_table(root, name, "projections")
    return table[[f"{projection}_x", f"{projection}_y"]].to_numpy()


def lonely_row(root, name="tiny") -> int:
    """The galaxy furthest from its nearest neighbour on the map: no other can be hit in its place."""
    found = places(root, name)
    distances = np.linalg.norm(found[:, None] - found[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return int(distances.min(axis=1).argmax())


def pixels_of(page, selector: str) -> np.ndarray:
    """A picture as the browser decoded it."""
    page.wait_for_selector(selector)
    data = page.evaluate(
        """async (selector) => {
            const image = document.querySelector(selector);
            await image.decode();
            const canvas = document.createElement('canvas');
            canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
            canvas.getContext('2d').drawImage(image, 0, 0);
            return canvas.toDataURL('image/png').split(',')[1];
        }""",
        selector,
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), dtype=int)


def stored_picture(root, row: int, name="tiny") -> np.ndarray:
    (image,) = artifacts.read_thumbnails(root, name, [row])
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"), dtype=int)


def drag(page, points) -> None:
    page.mouse.move(*points[0])
    page.mouse.down()
    for x, y in points[1:]:
        page.mouse.move(x, y, steps=3)
    page.mouse.up()


def corners(page, left=0.01, top=0.01, right=0.99, bottom=0.99) -> list[tuple[float, float]]:
    """Opposite corners of a part of the map, in pixels of the page."""
    box = page.locator(".atlas-paper").first.bounding_box()
    x = [box["x"] + share * box["width"] for share in (left, right)]
    y = [box["y"] + share * box["height"] for share in (top, bottom)]
    return [(x[0], y[0]), (x[1], y[1])]


def n_marked(page) -> int:
    """How many galaxies are marked as selected, -1 where nothing is."""
    return page.evaluate(
        f"(() => {{ const bits = {MAP}.chosen; if (!bits) return -1; let n = 0;"
        " for (const byte of bits) for (let k = 0; k < 8; k++) n += (byte >> k) & 1; return n; })()"
    )


def wait_marked(page, n: int) -> None:
    page.wait_for_function(
        f"(n) => {{ const bits = {MAP}.chosen; if (!bits) return n < 0; let k = 0;"
        " for (const byte of bits) for (let b = 0; b < 8; b++) k += (byte >> b) & 1; return k === n; }",
        arg=n,
    )
