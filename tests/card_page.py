"""A page with nothing but the detail card, and what tests read off it."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
from streamlit.testing.v1 import AppTest

from galaxy_core import artifacts
from galaxy_core.images import as_counts, decode_image


def script() -> None:
    """The page, as Streamlit runs it; nothing outside of this function is known to it."""
    from pathlib import Path

    import streamlit as st

    from pages.views import card, readers

    galaxies = readers.open_catalog(Path(st.session_state["root"]), st.session_state["name"])
    row = st.session_state["row"]
    card.draw_card(galaxies, row)
    card.draw_neighbors(galaxies, row, lambda galaxies, row: None)
    card.draw_details(galaxies, row)


def open_card(root: Path, name: str = "tiny", row: int = 0) -> AppTest:
    """The card of a galaxy that has been drawn without an exception."""
    app = AppTest.from_function(script, default_timeout=120)
    for key, value in {"root": str(root), "name": name}.items():
        app.session_state[key] = value
    return go_to(app, row)


def go_to(app: AppTest, row: int) -> AppTest:
    """The same visitor, at another galaxy."""
    app.session_state["row"] = row
    app.run()
    assert not app.exception, app.exception[0].value
    return app


def page_html(app: AppTest) -> str:
    """All that the card wrote as HTML."""
    return "\n".join(element.proto.body for element in app.get("html"))


def words_of(app: AppTest) -> str:
    """All the words of the card, without pictures, as they are read."""
    shown = [str(element.value) for kind in (app.markdown, app.caption, app.error) for element in kind]
    text = re.sub(r'data:image[^"]*', "", page_html(app) + "\n" + "\n".join(shown))
    return re.sub(r"\\([^\w\s])", r"\1", text)


def pictures(app: AppTest) -> list[np.ndarray]:
    """Pixels of the pictures in HTML as counts, the large one first."""
    found = re.findall(r'src="data:image/\w+;base64,([^"]+)"', page_html(app))
    return [as_counts(decode_image(base64.b64decode(data), "shown").pixels).astype(int) for data in found]


def stored(root: Path, row: int, name: str = "tiny") -> np.ndarray:
    """Pixels of a stored thumbnail, in [0, 1]."""
    return decode_image(artifacts.read_thumbnails(root, name, [row])[0], "stored").pixels


def write_back(root: Path, name: str, **columns) -> None:
    """Put columns into a catalog; None takes one out."""
    table, manifest = artifacts.read_table(root, name, "catalog"), artifacts.read_manifest(root, name)
    for column, value in columns.items():
        table = table.drop(columns=column) if value is None else table.assign(**{column: value})
    artifacts.write_table(root, name, "catalog", table)
    artifacts.write_manifest(root, name, manifest)
