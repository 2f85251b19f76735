"""What the page of clusters is made of: cards, bars, a table of trials; and what a click of a chart does."""

from __future__ import annotations

import shlex

import numpy as np
import pandas as pd
import pytest
from clusters_page import PAGE, text_of

from galaxy_core import artifacts, cluster_enrichment
from pages.views import (
    agreement_figures,
    cluster_card_data,
    cluster_cards,
    comparison_panels,
    figures,
    readers,
    sweep_panels,
)


def test_card_of_a_cluster(tiny_root):
    galaxies = readers.open_catalog(tiny_root, "tiny")
    members = np.flatnonzero(galaxies.labels("hdbscan") == 1)
    found = cluster_card_data.card_of(galaxies, "hdbscan", 1)
    shown = np.concatenate([found.medoids, found.random, found.border])
    assert set(shown) <= set(members) and len(set(shown)) == len(shown) and found.size == len(members)
    assert found.n_mean == len(members) and found.mean_image[:4] == b"\x89PNG"
    assert found.nearest[0] in (0, 2) and found.space == "the embedding"  # the fitted space is not stored
    assert sum(found.shares.values()) == pytest.approx(1)
    assert not {e.difference.column for e in found.enriched} & {"split", "anomaly", "hdbscan_label", "galaxy_id"}
    assert {e.difference.column for e in found.enriched} >= {"class", "radius_arcsec", "smooth-or-featured_smooth"}
    assert not next(e for e in found.enriched if e.difference.column == "radius_arcsec").is_enriched
    unclustered = cluster_card_data.card_of(galaxies, "hdbscan", -1)
    assert not len(unclustered.medoids) and len(unclustered.random) and unclustered.nearest is None
    facts = cluster_cards.facts_of(galaxies, "hdbscan", 1, found)
    assert facts["Stability"] == "not measured" and f"{len(members)} galaxies" in facts["Size"]


def test_a_card_says_how_many_were_compared_and_how_often():
    rng = np.random.default_rng(0)
    few, kinds = rng.normal(size=200), np.arange(200) % 2
    few[40:160] = np.nan
    members, numbers = np.arange(50), {"few": few, "all": rng.normal(size=200)}
    two, three = (kinds, ("a", "b")), (np.arange(200) % 3, ("x", "y", "z"))
    found = cluster_enrichment.enrichments(200, members, numbers, {"two": two, "three": three}, 2)
    assert len(found) == 7 and cluster_cards.n_tests(found) == 6  # "a" against "b" is one test
    said = cluster_cards.measured_on(found)
    assert said == "Measured on those that have a value: 40 to 50 galaxies of the cluster and 40 to 150 others"
    of_all = [item for item in found if item.difference.column != "few"]
    assert cluster_cards.measured_on(of_all) == "Measured on 50 galaxies of the cluster and 150 others"


def test_a_card_tells_of_classes_that_made_the_space(open_app, broken_root):
    assert "found without these columns" in text_of(open_app(broken_root, PAGE))
    manifest = artifacts.read_manifest(broken_root, "tiny")
    manifest.clusterings["hdbscan"]["space"] = "lda_2"
    artifacts.write_manifest(broken_root, "tiny", manifest)
    text = text_of(open_app(broken_root, PAGE))
    assert "made with the classes of the training galaxies" in text and "found without these" not in text


def test_below_zero_is_selected_and_shown(broken_root, open_app):
    galaxies = readers.open_catalog(broken_root, "tiny")
    table = artifacts.read_table(broken_root, "tiny", "clusters")
    values, labels = table["hdbscan_silhouette"].to_numpy().copy(), galaxies.labels("hdbscan")
    rows = np.flatnonzero(labels == 0)[:3]
    values[labels >= 0] = 0.5
    values[rows] = [-0.1, -0.3, -0.2]
    table["hdbscan_silhouette"] = values
    artifacts.write_table(broken_root, "tiny", "clusters", table)
    artifacts.write_manifest(broken_root, "tiny", galaxies.manifest)
    below = comparison_panels.below_of(values, labels)
    assert below[0].tolist() == [rows[1], rows[2], rows[0]] and below["all"].tolist() == below[0].tolist()
    app = open_app(broken_root, PAGE, **{"clusters-panel": "Silhouettes"})
    app.button_group(key="below-left-hdbscan").set_value(0).run()
    assert not app.exception and "3 galaxies selected" in text_of(app)
    assert "below zero in cluster 0 of HDBSCAN" in text_of(app)
    assert app.session_state["selections"]["tiny"].rows.tolist() == sorted(rows.tolist())


def test_a_click_of_the_chart_tells_the_cluster():
    figure = figures.silhouette_figure(np.array([0.2, -0.1]), np.array([3, 3]), {3: "#fff"}, "t", True, {3: "a<b"})
    assert figure.data[0].customdata.tolist() == [3, 3] and "a&lt;b" in figure.data[0].hovertemplate
    click = {"selection": {"points": [{"curve_number": 0, "customdata": 3}]}}
    assert comparison_panels.label_of_click(click) == 3
    assert comparison_panels.label_of_click({"selection": {"points": [{"customdata": [2]}]}}) == 2
    for nothing in (None, {}, {"selection": {"points": []}}, {"selection": {"points": [{}]}}):
        assert comparison_panels.label_of_click(nothing) is None


def test_many_galaxies_are_few_bars_that_keep_the_mean():
    rng = np.random.default_rng(0)
    values = rng.uniform(-1, 1, 5003)
    bars = figures.silhouette_figure(values, np.zeros(5003, int), {0: "#fff"}, "t", True).data[0]
    assert len(bars.x) == figures.MAX_STEPS
    assert np.average(bars.x, weights=bars.width) == pytest.approx(values.mean(), abs=1e-4)


@pytest.mark.parametrize("sizes", [[600, 20, 9, 4, 3, 2, 1, 1], [3] * 40])
def test_names_of_small_clusters_do_not_lie_over_one_another(sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    colours = dict.fromkeys(range(len(sizes)), "#fff")
    figure = figures.silhouette_figure(np.zeros(len(labels)), labels, colours, "t", True)
    names = [item for item in figure.layout.annotations if item.x == -1]
    px = (figure.layout.height - 110) / np.ptp(figure.layout.yaxis.range)
    assert len(names) == len(sizes) and np.diff([item.y for item in names]).min() * px > 17
    assert max(item.y for item in names) <= max(figure.layout.yaxis.range)


def sweep_rows() -> pd.DataFrame:
    rows = [
        {"space": "embedding", "method": "kmeans", "parameter": "n_clusters", "value": k, "seed": seed}
        | {"n_clusters": k, "coverage": 1.0, "strict": 0.5 - abs(k - 4) / 10, "clustered": 0.5, "inertia": 9 / k}
        for k in range(2, 8)
        for seed in range(2)
    ]
    return pd.DataFrame(rows).assign(dbcv=np.nan, ami=0.3, ari=0.2)


def test_cells_round_nothing_to_none_and_none_to_less():
    counts = np.array([[2_000, 1], [0, 3]])
    table = agreement_figures.table_figure(counts, "ab", "cd", ("t", "r", "c"), True, True)
    assert table.data[0].text.tolist() == [["> 99 %", "< 1 %"], ["", "100 %"]]
    values = np.array([[1.0, -0.003], [-0.003, np.nan]])
    long = ["Gaussian mixture (PCA 20)", "Gaussian mixture (PCA 20 seed 1)"]
    matrix = agreement_figures.matrix_figure(values, np.full((2, 2), 9), long, "t", True).data[0]
    assert [list(row) for row in matrix.text] == [["1.00", "0.00"], ["0.00", ""]]
    assert matrix.hovertext[0][1] == "<br>".join(long), "of two names that are cut alike, which is which"


def test_a_stored_sweep_is_drawn(open_app, tiny_root, monkeypatch):
    monkeypatch.setattr(artifacts, "read_sweeps", lambda root, name: sweep_rows())
    app = open_app(tiny_root, PAGE, **{"clusters-panel": "How many clusters?"})
    assert not app.exception
    text = text_of(app)
    assert "12 fits in the embedding, with 2 seeds" in text and "highest, 0.500, at number of clusters k = 4." in text
    (points,) = sweep_panels.groups_of(sweep_rows()).values()
    titles = [title for title, _ in sweep_panels.charts_of(points, "n_clusters")]
    assert titles == [
        "Silhouette",
        "Elbow: squared distance to the centres",
        "Agreement with the classes, not for choosing",
    ]
    figure = agreement_figures.curve_figure(points, "k", {"strict": "strict"}, "t", ["#fff"], False)
    assert [len(trace.x) for trace in figure.data] == [12, 6]  # every fit, and the mean of each k
    assert "end of the sweep" in sweep_panels.best_sentence(points[points["value"] <= 4], "n_clusters")
    nothing = sweep_panels.best_sentence(points.assign(n_clusters=1, strict=0.0), "eps")
    assert nothing == "No value of eps gives two clusters or more, so there is no silhouette."


def test_the_commands_that_make_a_sweep_are_those_of_the_script(tiny_root):
    from galaxy_core.sweeps import parse_values

    for command in sweep_panels.commands(readers.open_catalog(tiny_root, "tiny")):
        words = shlex.split(command)
        assert words[:3] == ["python", "scripts/cluster.py", "tiny"] and words[-2:] == ["--artifacts", str(tiny_root)]
        parameter, _, values = words[words.index("--sweep") + 1].partition("=")
        assert parameter in ("n_clusters", "min_cluster_size") and len(parse_values(values)) >= 1
