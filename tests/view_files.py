"""Views of a small catalog to make files of, and what such a file holds."""

from __future__ import annotations

import base64
import json
import re

import numpy as np

from pages.views import words
from pages.views.colouring import colour_by
from pages.views.galaxy_map import payload
from pages.views.galaxy_map.payload import MapLook
from pages.views.view_file import View

MAP = "window.galaxyAtlas.maps.get('map-0')"
SELECTED = np.arange(0, 90, 3, dtype=np.int32)


def view_on(galaxies, colour="class", maps=("umap",), dark=True, **changes) -> View:
    colouring = changes.pop("colouring", None) or colour_by(galaxies, colour)
    looks = tuple(
        MapLook(f"map-{k}", galaxies.name, name, f"{words.name_of(name)}, by {colouring.title}", "", "", "", dark)
        for k, name in enumerate(maps)
    )
    return View(looks=looks, colouring=colouring, dark=dark, **({"how": "an outline on UMAP"} | changes))


def block(made: bytes, name: str) -> dict:
    """A packed message of the file."""
    found = re.search(rf'<script type="text/plain" id="{name}">([^<]*)</script>', made.decode("utf-8"))
    return payload.unpack(base64.b64decode(found[1]))


def held(made: bytes) -> dict:
    """What the file's own script knows."""
    found = re.search(r'<script type="application/json" id="atlas-view">(.*?)</script>', made.decode("utf-8"))
    return json.loads(found[1])
