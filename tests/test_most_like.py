"""More like this: from a galaxy's card to the selection of the galaxies most like it, its order and its export."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from galaxy_core import similarity
from pages.views import most_like, readers, region, selection, selection_gallery

ROW = 4


def page(root):
    """The control of a card, and the selection below, in fragments named as on the map's page."""
    from pathlib import Path

    import streamlit as st

    from pages.views import most_like, readers, region

    galaxies = readers.open_catalog(Path(root), "tiny")

    @st.fragment(key="card")
    def card():
        most_like.draw_more(galaxies, 4)

    @st.fragment(key="below")
    def below():
        region.draw_region(galaxies, lambda galaxies, row: None)

    card()
    below()


@pytest.fixture
def tiny(tiny_root):
    return readers.open_catalog(tiny_root, "tiny")


def open_page(root) -> AppTest:
    return AppTest.from_function(page, kwargs={"root": str(root)}, default_timeout=30).run()


def text(app) -> str:
    assert not app.exception
    return "\n".join(e.value for kind in (app.markdown, app.caption, app.error) for e in kind).replace("\\", "")


def by_definition(tiny, n: int) -> list[int]:
    vectors = readers.embedding(tiny).astype(np.float64)
    cosines = vectors @ vectors[ROW] / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[ROW])
    cosines[ROW] = -2
    return np.argsort(-cosines, kind="stable")[:n].tolist()


def test_the_most_like_become_the_selection_and_are_shown_in_order(tiny_root, tiny, drawn):
    app = open_page(tiny_root)
    app.session_state["pictures-order"] = "radius_arcsec"
    app.number_input(key="most-like-n").set_value(20).run()
    app.button(key="select-most-like").click().run()
    app.run()
    assert "the 20 most like tiny-00004" in text(app) and "**20 galaxies**" in text(app)
    assert [item["row"] for item in drawn["data"]["items"]] == by_definition(tiny, 20)
    assert app.selectbox(key="pictures-order").value == f"{most_like.LIKE}{ROW}"
    assert ROW not in by_definition(tiny, 20)
    nearest = readers.neighbors_of(tiny, ROW)
    assert by_definition(tiny, 12) == nearest[0].tolist()  # the pictures on the card are the first of them
    assert drawn["data"]["items"][0]["caption"] == f"{nearest[1][0]:.3f}"


def test_another_selection_is_no_longer_in_that_order(tiny_root, drawn):
    app = open_page(tiny_root)
    app.button(key="select-most-like").click().run()
    app.run()
    rows = np.arange(5, dtype=np.int32)
    app.session_state["selections"] = {
        "tiny": selection.Selection((selection.Step("new", "a box on UMAP", rows),), rows)
    }
    app.run()
    assert "a box on UMAP" in text(app) and app.selectbox(key="pictures-order").value == selection_gallery.TYPICAL


def test_a_description_names_one_galaxy_or_none(tiny, monkeypatch):
    for described, row in (
        ("the 50 most like tiny-00007", 7),
        ("a box on UMAP; and only the 1,000 most like tiny-00007; filtered by Class: spiral", 7),
        ("the 50 most like tiny-00007; and the 50 most like tiny-00008", None),
        ("without the 50 most like tiny-00007", None),
        ("the 50 most like nothing here", None),
        ("most like the picture “a.png”", None),
    ):
        monkeypatch.setattr(selection, "describe", lambda galaxies, described=described: described)
        assert most_like.reference_of(tiny) == row, described


def test_an_export_has_the_similarity_and_its_order(tiny):
    rows = np.sort(by_definition(tiny, 15)).astype(np.int32)
    how = "the 15 most like tiny-00004"
    table = pd.read_csv(io.BytesIO(region.export_of(tiny, rows, how, "csv", ROW)), comment="#")
    assert table["galaxy_id"].tolist() == [tiny.ids[row] for row in by_definition(tiny, 15)]
    assert (np.diff(table["similarity"]) <= 0).all() and table["similarity"].between(-1, 1).all()
    assert "similarity" not in pd.read_csv(io.BytesIO(region.export_of(tiny, rows, "a box", "csv")), comment="#")


def test_without_an_embedding_a_sentence_stands_there(broken_root):
    for part in (broken_root / "tiny" / "embedding" / "toy").glob("*.parquet"):
        part.unlink()
    app = open_page(broken_root)
    assert most_like.NO_EMBEDDING in text(app) and not app.button


def test_vectors_read_in_blocks_give_the_same(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    vectors[7], vectors[9] = vectors[3], np.nan
    index, cosines = similarity.most_similar(vectors, 3, 1000)
    assert len(index) == 298 and index[0] == 7 and not {3, 9} & set(index.tolist())

    class Stored:
        """Rows by number only, as of an embedding too large to be kept."""

        def __len__(self) -> int:
            return len(vectors)

        def __getitem__(self, rows: np.ndarray) -> np.ndarray:
            assert rows.dtype.kind == "i" and len(rows) <= 100
            return vectors[rows]

    monkeypatch.setattr(similarity, "READ_ROWS", 100)
    again = similarity.most_similar(Stored(), 3, 1000)
    assert np.array_equal(again[0], index) and np.array_equal(again[1], cosines)
