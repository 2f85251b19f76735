"""Panels in links: by key, and by the name that older links hold; what is no panel opens the first one."""

from __future__ import annotations

import pytest

MAP = "pages/1_Galaxy_map.py"


@pytest.mark.parametrize(
    ("asked", "opened", "kept"),
    [
        ("unusual", "unusual", "unusual"),
        ("The unusual", "unusual", "unusual"),
        ("Can I trust this map?", "about", "about"),
        ("about", "about", "about"),
        ("selection", "selection", None),
        ("галактика <b>", "selection", None),
    ],
)
def test_a_link_opens_a_panel_and_keeps_its_key(open_app, tiny_root, asked, opened, kept):
    app = open_app(tiny_root, MAP, catalog="tiny", panel=asked)
    assert not app.exception and app.button_group(key="panel").value == opened
    assert app.query_params.get("panel") == kept


def test_the_address_follows_the_choice(open_app, tiny_root):
    app = open_app(tiny_root, MAP, catalog="tiny", galaxy="tiny-00003")
    assert "panel" not in app.query_params
    app.button_group(key="panel").set_value("about").run()
    assert app.query_params["panel"] == "about" and app.query_params["galaxy"] == "tiny-00003"
    app.button_group(key="panel").set_value("selection").run()
    assert not app.exception and "panel" not in app.query_params


def test_an_address_typed_in_other_capitals_shows_what_is_meant(open_app, tiny_root):
    link = {"catalog": "TINY", "galaxy": "TINY-00003", "map": "pca", "second": "Umap", "colour": "ANOMALY"}
    app = open_app(tiny_root, MAP, **link, palette="inferno", panel="Unusual")
    assert not app.exception and not app.warning
    assert [app.selectbox(key=key).value for key in ("map", "second", "colour", "palette")] == [
        "pca", "umap", "anomaly", "Inferno"
    ]  # fmt: skip
    shown = [app.query_params[key] for key in ("catalog", "galaxy", "map", "second", "palette", "panel")]
    assert shown == ["tiny", "tiny-00003", "PCA", "UMAP", "Inferno", "unusual"]


def test_clusterings_typed_by_their_keys_are_compared(open_app, tiny_root):
    app = open_app(tiny_root, "pages/2_Clusters.py", catalog="tiny", left="KMEANS_8", right="hdbscan", map="pca")
    assert not app.exception
    assert [app.selectbox(key=key).value for key in ("left", "right", "map")] == ["kmeans_8", "hdbscan", "pca"]
    assert not app.warning
    link = {"catalog": "tiny", "left": "gone", "map": "tsne", "galaxy": "lost-1"}
    app = open_app(tiny_root, "pages/2_Clusters.py", **link)  # a link from before they were removed
    assert not app.exception and [warning.value.replace("\\", "") for warning in app.warning] == [
        "There is no clustering “gone” in this catalog.", "There is no map “tsne” in this catalog."
    ]  # fmt: skip
    assert "There is no galaxy “lost-1” in this catalog." in [said.value.replace("\\", "") for said in app.caption]
