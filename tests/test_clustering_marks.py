"""Links and filters that call clusters by number: they tell where a clustering was made again in between."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core import artifacts
from pages.views import clustering_marks, outlines, readers

MAP = "pages/1_Galaxy_map.py"
KEY = "hdbscan_label"


def cluster_again(root, clustering="hdbscan") -> None:
    """Number the clusters of a clustering the other way round."""
    manifest = artifacts.read_manifest(root, "tiny")
    clusters = artifacts.read_table(root, "tiny", "clusters")
    labels = clusters[f"{clustering}_label"].to_numpy()
    clusters[f"{clustering}_label"] = np.where(labels < 0, -1, labels.max() - labels).astype(labels.dtype)
    artifacts.write_table(root, "tiny", "clusters", clusters)
    artifacts.write_manifest(root, "tiny", manifest)


def said(app) -> str:
    assert not app.exception and not app.error
    return "\n".join(str(warning.value) for warning in app.warning).replace("\\", "")


def test_a_mark_is_of_the_result(broken_root):
    before = readers.open_catalog(broken_root, "tiny")
    marks = clustering_marks.marks_of(before, {KEY: ["cluster 0"], "kmeans_8_label": [], "class": ["spiral"]})
    assert set(marks) == {KEY, "kmeans_8_label"} and all(len(mark) == 8 for mark in marks.values())
    cluster_again(broken_root)
    after = clustering_marks.marks_of(readers.open_catalog(broken_root, "tiny"), {key: [] for key in marks})
    assert after[KEY] != marks[KEY] and after["kmeans_8_label"] == marks["kmeans_8_label"]


@pytest.mark.parametrize("kind", ["filters", "selected"])
def test_a_link_made_before_tells(open_app, broken_root, kind):
    app = open_app(broken_root, MAP, catalog="tiny", filters=outlines.to_link({KEY: ["cluster 0"]}))
    assert not said(app), "a link without marks, as older ones are"
    if kind == "selected":
        app.button(key="filter-select-tiny").click().run()
    link = {kind: app.query_params[kind]}
    assert not said(open_app(broken_root, MAP, catalog="tiny", **link))
    cluster_again(broken_root, "kmeans_8")
    assert not said(open_app(broken_root, MAP, catalog="tiny", **link)), "another clustering"
    cluster_again(broken_root)
    app = open_app(broken_root, MAP, catalog="tiny", **link)
    assert "HDBSCAN was made again since “cluster 0” was chosen: other galaxies may be in it now" in said(app)
    assert app.session_state["kept" if kind == "filters" else "selections"]["tiny"] is not None, "and still shows them"


def test_a_filter_that_is_open_meanwhile_tells(open_app, broken_root):
    app = open_app(broken_root, MAP, catalog="tiny")
    app.selectbox(key="filter-new-tiny-0").set_value(KEY).run()
    app.multiselect(key=f"filter-tiny-{KEY}").set_value(["cluster 0", "cluster 1"]).run()
    cluster_again(broken_root)
    app.run()
    assert "HDBSCAN was made again since 2 of its groups were chosen" in said(app)


@pytest.mark.parametrize("marks", [7, [], {KEY: 3}, None])
def test_marks_that_make_no_sense_are_no_error(open_app, broken_root, marks):
    app = open_app(broken_root, MAP, catalog="tiny", filters=outlines.to_link([{KEY: ["cluster 0"]}, marks]))
    said(app)
    assert app.session_state["filters"]["tiny"] == {KEY: ["cluster 0"]}
    selected = outlines.to_link([["n", "", {KEY: ["cluster 0"]}, marks]])
    assert open_app(broken_root, MAP, catalog="tiny", selected=selected).session_state["selections"]["tiny"] is not None
