"""A name that people give to a cluster is shown wherever the cluster is named, at once, and breaks nothing."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits, votable
from conftest import make_catalog

from galaxy_core import cluster_names
from galaxy_core.artifacts import catalog_folder, tags_path
from galaxy_core.errors import ArtifactError
from pages.views import (
    card,
    cluster_cards,
    cluster_labels,
    colouring,
    filters,
    readers,
    region,
    selection_differences,
    view_file,
    view_file_parts,
)

MAP = "pages/1_Galaxy_map.py"
NAME = "ребро ★ *edge* <b>"
CALLED = f"cluster 0: {NAME}"


@pytest.fixture
def named(tmp_path, tiny_root):
    """A copy of the small catalog in which cluster 0 of HDBSCAN has a name."""
    shutil.copytree(tiny_root, tmp_path, dirs_exist_ok=True)
    galaxies = readers.open_catalog(tmp_path, "tiny")
    galaxies.memory.clear()
    cluster_labels.rename(galaxies, "hdbscan", 0, NAME)
    return galaxies


def text_of(app) -> str:
    kinds = (app.markdown, app.caption, app.info, app.warning, app.error, app.subheader)
    html = [element.proto.body for element in app.get("html")]
    return "\n".join([*(str(element.value) for kind in kinds for element in kind), *html])


def test_legend_card_composition_differences_and_the_saved_view_call_it_by_its_name(named):
    row = int(np.flatnonzero(named.labels("hdbscan") == 0)[0])
    assert colouring.colour_by(named, "hdbscan_label").names == (CALLED, "cluster 1", "cluster 2")
    assert card.main_facts(named, row)["HDBSCAN"].startswith(f"{CALLED}, membership ")  # the hover shows these facts
    rows = np.flatnonzero(named.labels("hdbscan") == 0)
    groups = selection_differences.with_nothing(colouring.colour_by(named, "hdbscan_label"))
    assert selection_differences.largest_groups(*groups, rows)[1][0] == CALLED
    values = {item.value for item in selection_differences.differences(named, rows).items}
    assert CALLED in values and "cluster 0" in values  # that of k-means has no name
    header, _ = view_file_parts.facts_of(named, rows, None)
    assert CALLED in next(c["names"] for c in header["columns"] if c["name"] == "HDBSCAN")
    assert "ребро ★ *edge*" in view_file.provenance_html(named, view_file.View())


def test_another_name_is_shown_at_once_also_from_another_process(named):
    before = cluster_labels.edition(named)
    first = colouring.colour_by(named, "hdbscan_label")
    rows = np.flatnonzero(named.labels("hdbscan") == 0)
    selection_differences.differences(named, rows)
    ids = named.ids[rows]
    cluster_names.name_cluster(named.root, named.name, "hdbscan", 0, ids, "second")
    second = colouring.colour_by(named, "hdbscan_label")
    assert second.names[0] == "cluster 0: second" and second.codes is first.codes
    assert "cluster 0: second" in {item.value for item in selection_differences.differences(named, rows).items}
    assert cluster_labels.edition(named) != before
    cluster_names.names_path(named.root, named.name).unlink()
    assert colouring.colour_by(named, "hdbscan_label").names[0] == "cluster 0"
    assert cluster_labels.edition(named) == cluster_labels.NO_FILE


def test_filters_and_links_outlive_a_name(named, open_app):
    assert colouring.colour_by(named, "hdbscan_label").keys[0] == "cluster 0"
    inside = filters.passes(named, "hdbscan_label", ["cluster 0"])
    assert np.array_equal(inside, named.labels("hdbscan") == 0)
    assert filters.group_names(named, "hdbscan_label")["cluster 0"] == CALLED
    app = open_app(named.root, MAP)
    app.selectbox(key="filter-new-tiny-0").set_value("hdbscan_label").run()
    choice = app.multiselect(key="filter-tiny-hdbscan_label")
    assert choice.options[0] == CALLED and choice.value[0] == "cluster 0"
    choice.set_value(["cluster 0"]).run()
    assert not app.exception and f"{inside.sum()} of 90 galaxies pass" in text_of(app)
    assert app.session_state["filter_words"]["tiny"] == f"Cluster, HDBSCAN: {CALLED}"
    cluster_labels.rename(named, "hdbscan", 0, "round")
    app.run()
    assert not app.exception and app.multiselect(key="filter-tiny-hdbscan_label").options[0] == "cluster 0: round"
    assert app.session_state["filters"]["tiny"] == {"hdbscan_label": ["cluster 0"]}
    assert app.session_state["kept"]["tiny"].sum() == inside.sum()


def test_the_map_is_made_again_when_a_name_changes(named, open_app, monkeypatch):
    from pages.views.galaxy_map import component

    drawn = []
    draw = component.draw_map
    monkeypatch.setattr(component, "draw_map", lambda *a, **k: drawn.append(a) or draw(*a, **k))
    app = open_app(named.root, MAP, colour="Cluster, HDBSCAN")
    cluster_labels.rename(named, "hdbscan", 0, "other")
    app.run()
    assert not app.exception and [a[2].names[0] for a in drawn] == [CALLED, "cluster 0: other"]
    assert drawn[0][4] != drawn[1][4]  # the recipe, under which a drawn map is kept


def names_in(content: bytes, fmt: str) -> str | None:
    """The JSON text of the names in an export."""
    if fmt == "csv":
        lines = content.decode().splitlines()
        return next((line.partition(": ")[2] for line in lines if line.startswith("# cluster_names: ")), None)
    if fmt == "parquet":
        return (pq.read_schema(io.BytesIO(content)).metadata.get(b"cluster_names") or b"").decode() or None
    if fmt == "fits":
        return fits.open(io.BytesIO(content))[1].header.get("CLNAMES")
    params = votable.parse(io.BytesIO(content)).get_first_table().params
    return next((param.value for param in params if param.name == "cluster_names"), None)


@pytest.mark.parametrize("fmt", ["csv", "parquet", "votable", "fits"])
def test_exports_say_the_names(named, fmt):
    rows = np.array([5, 1], np.int32)
    found = names_in(region.export_of(named, rows, "a box", fmt), fmt)
    assert json.loads(found) == {"hdbscan": {"0": NAME}}
    cluster_labels.rename(named, "hdbscan", 0, "")
    assert names_in(region.export_of(named, rows, "a box", fmt), fmt) is None


def test_broken_names_leave_the_numbers_and_are_said(named, open_app):
    cluster_names.names_path(named.root, named.name).write_text("{")
    assert colouring.colour_by(named, "hdbscan_label").names[0] == "cluster 0"
    assert "tiny.clusters.json" in cluster_labels.problem(named) and cluster_labels.named_clusters(named) == {}
    app = open_app(named.root, MAP, colour="Cluster, HDBSCAN")
    assert not app.exception


def test_no_catalog_can_be_called_like_the_names_of_another():
    with pytest.raises(ArtifactError, match="cannot name a catalog"):
        catalog_folder("artifacts", "tiny.clusters.json")


def test_names_of_one_galaxy_and_of_a_clustering_without_clusters(tmp_path):
    make_catalog(tmp_path, "one", 1)
    galaxies = readers.open_catalog(tmp_path, "one")
    for name in galaxies.clustering_names:
        for label in np.unique(galaxies.labels(name)):
            if label >= 0:
                cluster_labels.rename(galaxies, name, int(label), "alone")
        assert set(cluster_labels.texts_of(galaxies, name, np.array([-1]))) == {"unclustered"}
    assert not tags_path(tmp_path, "one").exists()


def test_the_card_of_a_cluster_and_its_heading_use_the_name(named, open_app):
    app = open_app(named.root, "pages/2_Clusters.py")
    assert not app.exception and not app.error
    assert "What cluster 0\\: ребро ★ \\*edge\\* \\<b\\> is" in text_of(app)
    assert cluster_cards.figures_text(1, {}) == "1"
