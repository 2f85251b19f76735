"""The page of clusters: every panel, with artifacts whole, small, odd and broken; and the names of clusters."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from clusters_page import PAGE, relabel, text_of
from conftest import make_catalog

from galaxy_core import artifacts, cluster_names
from pages.views import cluster_card_data, cluster_labels, colouring, comparison_panels, readers, scores

PANELS = ["Cluster by cluster", "Silhouettes", "Agreement", "All scores", "How many clusters?"]


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_opens(open_app, tiny_root, panel):
    app = open_app(tiny_root, PAGE, **{"clusters-panel": panel})
    assert not app.exception and not app.error
    text = text_of(app)
    assert "HDBSCAN finds 3 clusters" in text and "agree on" in text  # the verdict is there whatever is below it
    said = {
        "Cluster by cluster": "corrected by Holm",
        "Silhouettes": "counting 0",
        "Agreement": "on the diagonal",
        "All scores": "Measured on all 90 galaxies",
        "How many clusters?": "scripts/cluster.py",
    }
    assert said[panel] in text


def test_the_browsers_button_for_back_brings_the_panel_and_the_galaxy_back(open_app, tiny_root):
    app = open_app(tiny_root, PAGE, **{"clusters-panel": "silhouettes", "galaxy": "tiny-00003"})
    app.button_group(key="clusters-panel").set_value("scores").run()
    assert app.query_params["clusters-panel"] == "scores" and app.table
    app.query_params["clusters-panel"], app.query_params["galaxy"] = "agreement", "tiny-00005"  # as the browser does
    app.run()
    assert not app.exception and app.button_group(key="clusters-panel").value == "agreement"
    assert app.query_params["clusters-panel"] == "agreement" and 'alt="galaxy tiny-00005"' in text_of(app)


def test_two_clusterings_can_be_presented(open_app, tiny_root, monkeypatch):
    drawn, draw = [], comparison_panels.component.draw_map
    monkeypatch.setattr(comparison_panels.component, "draw_map", lambda *args: (drawn.append(args), draw(*args)))
    app = open_app(tiny_root, PAGE, present="true", **{"clusters-panel": "Silhouettes"})
    sizes = [json.loads(chart.proto.spec)["layout"]["xaxis"]["tickfont"]["size"] for chart in app.get("plotly_chart")]
    assert sizes == [15, 15], "Plotly's own letters would stay small"
    assert not app.exception and [(args[1].strong, args[-1]) for args in drawn] == [(True, 460)] * 2
    drawn.clear()
    app.button(key="leave-presentation").click().run()
    assert not app.exception and [(args[1].strong, args[-1]) for args in drawn] == [(False, 400)] * 2


def draw_every_panel(app) -> str:
    """Open one panel after the other; what the page says with the last."""
    for panel in ("silhouettes", "agreement", "scores", "number", "cards"):
        app.button_group(key="clusters-panel").set_value(panel).run()
        assert not app.exception and not app.error, panel
    return text_of(app)


ODD = {"one": np.zeros(90), "none": np.full(90, -1), "most": np.r_[np.zeros(89), -1], "all": np.arange(90)}


@pytest.mark.parametrize("labels", list(ODD.values()), ids=list(ODD))
def test_odd_clusterings(open_app, broken_root, labels):
    relabel(broken_root, {"hdbscan": labels})
    app = open_app(broken_root, PAGE)
    assert not app.exception and not app.error
    said = {0: "one continuum", 1: "a single cluster", 90: "finds 90 clusters"}
    n_clusters = len(set(labels.tolist()) - {-1})
    assert said[n_clusters] in text_of(app)
    assert ("fewer than two." in text_of(app)) == (n_clusters < 2), "where there is no silhouette, none is shown"
    assert (scores.score_row(readers.open_catalog(broken_root, "tiny"), "hdbscan")["silhouette, strict"] == "–") == (
        n_clusters < 2
    )
    draw_every_panel(app)


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_galaxies(open_app, tmp_path, n):
    make_catalog(tmp_path, "few", n)
    app = open_app(tmp_path, PAGE)
    assert not app.exception and not app.error
    draw_every_panel(app)


@pytest.mark.parametrize("lost", ["embedding/toy/part-00000", "neighbors/toy", "thumbnails/part-00000", "clusters"])
def test_a_broken_file_leaves_the_rest(open_app, broken_root, lost):
    file = broken_root / "tiny" / f"{lost}.parquet"
    file.write_bytes(file.read_bytes()[:50])
    app = open_app(broken_root, PAGE)
    assert not app.exception and all("\n" not in error.value for error in app.error)
    expected = "no clustering" if lost == "clusters" else "corrected by Holm"
    assert expected in text_of(app)


def test_broken_names_are_said_and_clusters_keep_their_numbers(open_app, broken_root):
    cluster_names.names_path(broken_root, "tiny").write_text("{")
    app = open_app(broken_root, PAGE)
    assert not app.exception and "tiny.clusters.json" in app.error[0].value.replace("\\", "")
    assert "#### Cluster 0" in text_of(app)


def test_a_name_is_given_kept_and_taken_away(open_app, broken_root):
    app = open_app(broken_root, PAGE)
    app.text_input(key="name-hdbscan-0").set_value("Disks *or* <b>").run()
    assert not app.exception and "#### Cluster 0\\: Disks \\*or\\* \\<b\\>" in text_of(app)
    galaxies = readers.open_catalog(broken_root, "tiny")
    assert cluster_labels.names_of(galaxies, "hdbscan") == {0: "Disks *or* <b>"}
    assert colouring.colour_by(galaxies, "hdbscan_label").names[0] == "cluster 0: Disks *or* <b>"
    assert app.button_group(key="cluster-hdbscan").value == 0  # renaming keeps the choice
    again = open_app(broken_root, PAGE)
    next(box for box in again.text_input if box.label == "Name").set_value("").run()
    assert cluster_labels.names_of(galaxies, "hdbscan") == {}


def test_a_browser_that_has_not_heard_of_a_colleagues_name_yet_keeps_it(open_app, broken_root):
    app, galaxies = open_app(broken_root, PAGE), readers.open_catalog(broken_root, "tiny")
    before = app._tree.get_widget_states()
    cluster_labels.rename(galaxies, "hdbscan", 0, "Rings")
    app.run()
    app._run(before)  # the next event, sent with the empty box of before
    assert not app.exception and cluster_labels.names_of(galaxies, "hdbscan") == {0: "Rings"}


def test_the_suggestion_becomes_the_name(open_app, broken_root):
    app = open_app(broken_root, PAGE)
    galaxies = readers.open_catalog(broken_root, "tiny")
    found = cluster_card_data.card_of(galaxies, "hdbscan", 0)
    codes = galaxies.catalog["class"].to_numpy()[galaxies.labels("hdbscan") == 0]
    assert found.suggestion.split(",")[0] == pd.Series(codes).mode()[0].replace("_", " ")
    app.button(key="use-name-hdbscan-0").click().run()
    assert not app.exception and cluster_labels.names_of(galaxies, "hdbscan") == {0: found.suggestion}


def test_no_clustering_and_no_map(open_app, broken_root):
    manifest = json.loads((broken_root / "tiny" / "manifest.json").read_text())
    table = artifacts.read_table(broken_root, "tiny", "clusters")[["galaxy_id"]]
    artifacts.write_table(broken_root, "tiny", "clusters", table)
    artifacts.write_manifest(broken_root, "tiny", artifacts.Manifest.from_dict(manifest | {"clusterings": {}}))
    app = open_app(broken_root, PAGE)
    assert not app.exception and "no clustering" in app.info[0].value
    assert scores.sizes_of(np.array([-1])) == {}
