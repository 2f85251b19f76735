"""More like this: from a galaxy's card to the selection of the galaxies most like it, its order and its export."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from galaxy_core import artifacts, similarity
from pages.views import most_like, outlines, readers, region, selection_gallery, selection_link, selection_steps

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
    return AppTest.from_function(page, kwargs={"root": str(root)}, default_timeout=120).run()


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
    app.number_input(key="most-like-n").set_value(20)  # and clicked before the button says so
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
        "tiny": selection_steps.Selection((selection_steps.Step("new", "a box on UMAP"),), rows)
    }
    app.run()
    assert "a box on UMAP" in text(app) and app.selectbox(key="pictures-order").value == selection_gallery.TYPICAL


def like(galaxy_id: str, mode: str = "new", how: str = "the 50 most like it") -> selection_steps.Step:
    return selection_steps.Step(mode, how, like=(galaxy_id, 50))


def test_a_selection_is_like_one_galaxy_or_none(tiny, monkeypatch):
    rows, box = np.arange(50, dtype=np.int32), selection_steps.Step("new", "a box; the 50 most like tiny-00003")
    inverted = selection_steps.invert_step()[0]
    for steps, row in (
        ((like("tiny-00007"),), 7),
        ((box, like("tiny-00007", "intersect")), 7),
        ((like("tiny-00007"), like("tiny-00008", "add")), None),
        ((like("tiny-00007"), like("tiny-00008", "subtract")), 7),
        ((box, like("tiny-00007", "subtract")), None),
        ((like("tiny-00007"), inverted), None),
        ((like("tiny-00007"), inverted, like("tiny-00008", "intersect")), 8),
        ((like("nothing here"),), None),
        ((box,), None),
    ):
        found = selection_steps.Selection(steps, rows)
        monkeypatch.setattr(most_like.selection, "selected", lambda galaxies, found=found: found)
        assert most_like.reference_of(tiny) == row, steps


def test_a_name_with_a_semicolon_keeps_its_order(broken_root, monkeypatch):
    """Ids are free text: what a sentence about the selection says cannot be taken apart again."""
    odd = "a; b most like c"
    catalog = artifacts.read_table(broken_root, "tiny", "catalog")
    catalog.loc[ROW, "galaxy_id"] = odd
    galaxies = replace(readers.open_catalog(broken_root, "tiny"), catalog=catalog, stamp=("odd",))
    step, rows = selection_steps.like_step(galaxies, odd, 20, "new")
    found = selection_steps.Selection((step,), rows)
    monkeypatch.setattr(most_like.selection, "selected", lambda galaxies: found)
    assert most_like.reference_of(galaxies) == ROW and step.how == f"the 20 most like {odd}"


@pytest.mark.parametrize("n", [20, 80])
def test_a_link_holds_the_galaxy_and_how_many_not_the_ids(open_app, tiny_root, tiny, n):
    app = open_app(tiny_root, "pages/1_Galaxy_map.py", catalog="tiny", galaxy=str(tiny.ids[ROW]))
    app.number_input(key="most-like-n").set_value(n).run()
    app.button(key="select-most-like").click().run()
    letters = app.query_params["selected"]
    assert outlines.from_link(letters) == [["n", "tiny-00004", n, selection_link.embedding_mark(tiny)]]
    again = open_app(tiny_root, "pages/1_Galaxy_map.py", catalog="tiny", selected=letters)
    assert again.session_state["selections"]["tiny"].rows.tolist() == sorted(by_definition(tiny, n))
    assert again.selectbox(key="pictures-order").value == f"{most_like.LIKE}{ROW}" and not again.warning
    assert again.query_params["selected"] == letters


def test_a_link_of_ids_as_it_was_made_before_still_opens(open_app, tiny_root):
    ids = ["tiny-00003", "tiny-00005"]
    old = outlines.to_link([["n", "the 2 most like tiny-00004", ids]])
    app = open_app(tiny_root, "pages/1_Galaxy_map.py", catalog="tiny", selected=old)
    assert app.session_state["selections"]["tiny"].rows.tolist() == [3, 5] and not app.warning


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (("n", "gone", 50), "most like “gone”, which this catalog does not have"),
        (("n", "tiny-00004", 50, "00000000"), "The embedding was made again"),
        (("n", "tiny-00004", 50), "most like “tiny-00004” cannot be told"),
    ],
)
def test_a_link_to_what_is_like_nothing_here_says_so(open_app, broken_root, step, sentence):
    if "cannot" in sentence:
        for part in (broken_root / "tiny" / "embedding" / "toy").glob("*.parquet"):
            part.unlink()
    app = open_app(broken_root, "pages/1_Galaxy_map.py", catalog="tiny", selected=outlines.to_link([step]))
    assert not app.exception and not app.error
    assert sentence in "".join(str(warning.value) for warning in app.warning).replace("\\", "")


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
