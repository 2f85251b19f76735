"""Pictures of galaxies: a row of small ones to click, and one large, pixel for pixel."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Sequence

import streamlit as st

from pages.views import frame, readers
from pages.views.readers import Galaxies

CARD_PX = 256
SMALL_PX = 80


def gallery(
    galaxies: Galaxies,
    rows: Sequence[int],
    key: str,
    captions: Sequence[str] | None = None,
    on_open: Callable[[Galaxies, int], None] | None = None,
) -> int | None:
    """Small pictures in a row; each is a button.

    Parameters
    ----------
    rows : sequence of int
    key : str
        Unique on the page.
    captions : sequence of str, optional
        One under each picture.
    on_open : callable, optional
        Called with ``galaxies`` and the row that was clicked, before the page is drawn again.

    Returns
    -------
    int or None
        The row that was clicked just now.
    """
    clicked = None
    images = readers.thumbnails(galaxies, rows)
    with st.container(horizontal=True, key=f"gallery-{key}"):
        for place, (row, image) in enumerate(zip(rows, images, strict=True)):
            caption = captions[place] if captions else ""
            label = picture_label(str(galaxies.ids[row]), image, caption)
            pressed = st.button(
                label,
                key=f"{key}-{row}",
                help=frame.plain(str(galaxies.ids[row])),
                on_click=on_open,
                args=(galaxies, int(row)) if on_open else None,
            )
            clicked = int(row) if pressed else clicked
    return clicked


def picture_label(galaxy_id: str, image: bytes, caption: str = "") -> str:
    """Markdown of a button that shows a picture, its id for screen readers, and a caption."""
    name = re.sub(r"[\[\]()\\`*<>$:]", " ", galaxy_id)
    picture = f"![{name}]({data_address(image)})" if image else f"{name} (no picture)"
    return f"{picture} {caption}".strip()


def data_address(image: bytes) -> str:
    """The bytes of a picture as an address a browser shows without asking the server again."""
    kind = "jpeg" if image[:3] == b"\xff\xd8\xff" else "png" if image[:4] == b"\x89PNG" else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode('ascii')}"


def small_picture(galaxy_id: str, image: bytes) -> str:
    """HTML of one galaxy, as small as in a gallery."""
    return image_html(galaxy_id, image, SMALL_PX, SMALL_PX) if image else ""


def image_html(galaxy_id: str, image: bytes, width: int, height: int) -> str:
    """An image element of that size in pixels."""
    return (
        f'<img class="galaxy-image" src="{data_address(image)}" width="{width}" height="{height}"'
        f' alt="galaxy {html.escape(galaxy_id, quote=True)}">'
    )
