"""The map coloured by similarity to the open galaxy: the numbers, what they follow, and the link."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.similarity import most_similar
from pages.views import readers, similarity_colour
from pages.views.galaxy_map import payload

MAP = "pages/1_Galaxy_map.py"
ROW = 4


@pytest.fixture
def tiny(tiny_root):
    return readers.open_catalog(tiny_root, "tiny")


def shown(app):
    """The look and the colouring of the first map."""
    assert not app.exception and not app.error
    return app.session_state["maps_shown"]["map-0"][:2]


def captions(app) -> str:
    return "\n".join(str(caption.value) for caption in app.caption).replace("\\", "")


def test_a_link_colours_by_the_similarity_that_more_like_this_orders_by(open_app, tiny_root, tiny):
    app = open_app(tiny_root, MAP, catalog="tiny", galaxy="tiny-00004", colour=similarity_colour.NAME)
    look, colouring = shown(app)
    index, cosines = most_similar(readers.embedding(tiny), ROW, 89)
    assert np.allclose(colouring.values[index], cosines, atol=1e-6) and colouring.values[ROW] == 1
    assert colouring.limits == (cosines.min().astype(np.float32), 1.0), "the most similar can be told apart"
    assert "cosine similarity to tiny-00004" in look.title and "cosine similarity to **tiny-00004**" in captions(app)
    assert app.query_params["colour"] == similarity_colour.NAME and app.query_params["galaxy"] == "tiny-00004"
    numbers = payload.unpack(payload.map_message(look, *tiny.coordinates("umap"), colouring, None, "s"))
    assert numbers["scale"]["high"] == 1 and numbers["n_nothing"] == 0


def test_the_colours_follow_the_open_galaxy(open_app, tiny_root):
    app = open_app(tiny_root, MAP, catalog="tiny", colour=similarity_colour.NAME)
    _, colouring = shown(app)
    assert np.isnan(colouring.values).all() and colouring.nothing == "no galaxy is open"
    assert "Open a galaxy" in captions(app)
    stamps = set()
    for galaxy in ("tiny-00004", "tiny-00005"):
        app.query_params["galaxy"] = galaxy
        app.run()
        assert galaxy in shown(app)[1].title and shown(app)[1].values[int(galaxy[-5:])] == 1
        stamps.add(app.session_state["maps_shown"]["map-0"][3])
    assert len(stamps) == 2


def test_without_an_embedding_it_is_not_offered(open_app, broken_root):
    for part in (broken_root / "tiny" / "embedding" / "toy").glob("*.parquet"):
        part.unlink()
    app = open_app(broken_root, MAP, catalog="tiny")
    assert not app.exception and similarity_colour.NAME not in app.selectbox(key="colour").options


def test_a_button_on_the_card_gives_the_map_this_colour(open_app, tiny_root):
    app = open_app(tiny_root, MAP, catalog="tiny", galaxy="tiny-00004")
    assert "cosine" not in shown(app)[0].title
    app.button(key="colour-by-similarity").click().run()
    assert "cosine similarity to tiny-00004" in shown(app)[0].title
    app.run()
    assert app.selectbox(key="colour").value == similarity_colour.KEY, "and it stays"
    assert "colour-by-similarity" not in [button.key for button in app.button]
