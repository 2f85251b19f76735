"""A map drawn from its layers is the map drawn from all columns, and little is read for it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from galaxy_core import artifacts, map_layers, tags
from galaxy_core.artifacts import columns, layers
from galaxy_core.layer_steps import write_layers
from pages.views import outlines, readers, selection_steps
from pages.views.colouring import colour_by, colour_choices
from pages.views.colours import with_scale
from pages.views.galaxy_map import component, payload
from tests.conftest import make_catalog

N = 600
LOOK = payload.MapLook("map-0", "tiny", "umap", "UMAP", "", "tiny", "tiny-umap", True)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Limits at which 600 galaxies are very many."""
    monkeypatch.setattr(map_layers, "MAX_POINTS", 200)
    monkeypatch.setattr(map_layers, "SAMPLE_SIZE", 150)
    monkeypatch.setattr(readers, "MANY", 200)
    monkeypatch.setattr(payload, "MAX_DETAIL", 100)
    monkeypatch.setattr(layers, "ROW_GROUPS", {"points": 16, "density": 40, "sample": 1000})
    yield
    readers._open_catalog.clear()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A catalog without layers; one galaxy is in a class of its own, some have none, one is not on the t-SNE."""
    root = tmp_path_factory.mktemp("source")
    manifest = make_catalog(root, n=N)
    catalog = artifacts.read_table(root, "tiny", "catalog")
    catalog["class"] = [None if i % 50 == 7 else ("edge_on", "spiral", "merger")[i % 3] for i in range(N)]
    catalog.loc[333, "class"] = "ring"
    catalog["survey"] = [("deep", "wide")[i % 5 == 0] for i in range(N)]
    artifacts.write_table(root, "tiny", "catalog", catalog)
    projections = artifacts.read_table(root, "tiny", "projections")
    projections["tsne_x"], projections["tsne_y"] = (
        projections["umap_x"],
        projections["umap_y"].where(projections.index != 9),
    )
    artifacts.write_table(root, "tiny", "projections", projections)
    artifacts.write_manifest(root, "tiny", manifest)
    return root


@pytest.fixture
def both(source, tmp_path) -> tuple[readers.Galaxies, readers.Galaxies]:
    """The same catalog without layers and with them."""
    root = tmp_path / "with"
    shutil.copytree(source, root)
    write_layers(root, "tiny")
    artifacts.write_manifest(root, "tiny", artifacts.read_manifest(source, "tiny"))
    plain, layered = readers.open_catalog(source, "tiny"), readers.open_catalog(root, "tiny")
    assert plain.layers("umap") is None and layered.layers("umap") is not None and layered.are_many
    return plain, layered


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Names of the columns that are read from now on, one for each reading."""
    names, whole = [], columns.ColumnTable.read

    def noted(table, groups, wanted):
        names.extend(wanted)
        return whole(table, groups, wanted)

    monkeypatch.setattr(columns.ColumnTable, "read", noted)
    return names


def unpacked(message: bytes) -> dict:
    return payload.unpack(message)


def test_groups_are_called_the_same_and_their_columns_are_read_late(both, read):
    plain, layered = both
    assert list(colour_choices(plain)) == list(colour_choices(layered))
    read.clear()
    for key in ("class", "split", "hdbscan_label", "kmeans_8_label"):
        one, other = colour_by(plain, key), colour_by(layered, key)
        read.clear()
        assert (one.title, one.names, one.keys, one.nothing) == (other.title, other.names, other.keys, other.nothing)
        assert other.values is None and other.layer == key and one.layer == "" and read == []
        assert np.array_equal(one.codes, other.codes) and read == [key]
        assert colour_by(layered, key).codes is other.codes


def test_the_first_message_reads_no_column_and_tells_the_same(both, read):
    plain, layered = both
    for projection, key in (("umap", "class"), ("umap", "hdbscan_label"), ("tsne", "class")):
        look = payload.MapLook(**(vars(LOOK) | {"projection": projection}))
        before = unpacked(component._message(plain, look, colour_by(plain, key), None, f"a{projection}{key}"))
        layered.layers(projection)
        read.clear()
        after = unpacked(component._message(layered, look, colour_by(layered, key), None, f"b{projection}{key}"))
        assert set(read) <= {"bins", "line", "column", "count"}
        for name in set(before) - {"stamp", "x", "y", "row", "code"}:
            assert np.array_equal(before[name], after[name]), name
        assert len(after["row"]) == len(set(after["row"])) == 150 and after["sampled"]
        assert np.array_equal(after["code"], payload.paint_codes(colour_by(plain, key))[after["row"]])
        x0, x1, *_ = after["extent"]
        assert np.allclose(
            x0 + after["x"] * ((x1 - x0) / 65_535), plain.coordinates("umap")[0][after["row"]], atol=1e-3
        )
    assert 333 in after["row"]  # alone in its class


def test_numbers_read_their_column_and_no_places(both, read):
    plain, layered = both
    for log in (False, True):
        by = [with_scale(colour_by(g, "radius_arcsec"), log, False, "Viridis") for g in both]
        before = unpacked(component._message(plain, LOOK, by[0], None, f"c{log}"))
        read.clear()
        after = unpacked(component._message(layered, LOOK, by[1], None, f"d{log}"))
        assert not {"umap_x", "umap_y", "x", "y"} & set(read)
        for name in ("total", "scale", "colours", "legend", "n_nothing", "extent", "density"):
            assert np.array_equal(before[name], after[name]), name
        assert np.array_equal(after["code"], payload.paint_codes(by[0])[after["row"]])


def test_a_map_with_few_of_very_many_galaxies_draws_each(both, monkeypatch):
    _, layered = both
    monkeypatch.setattr(map_layers, "MAX_POINTS", N - 1)
    look = payload.MapLook(**(vars(LOOK) | {"projection": "tsne"}))
    message = unpacked(component._message(layered, look, colour_by(layered, "class"), None, "all but one"))
    assert len(message["row"]) == N - 1 and not message["sampled"]


def test_a_filtered_part_holds_those_that_pass(both):
    keep = np.arange(N) % 3 == 0
    for part in ([-1.0, 1.0, 4.0, 5.0], [-90.0, 90.0, -90.0, 90.0]):
        views = [component.part_of(g, "umap", map_layers.Extent(*part), keep) for g in both]
        found = [dict(zip(rows.tolist(), zip(x, y, strict=True), strict=True)) for rows, x, y, _ in views]
        assert found[0] == found[1] and len(found[0]) > 5 and all(row % 3 == 0 for row in found[1])
        assert views[0][3] == views[1][3] == (len(found[0]) <= payload.MAX_DETAIL)


def test_what_layers_do_not_tell_is_drawn_from_the_columns(both):
    _plain, layered = both
    tags.tag_galaxies(artifacts.tags_path(layered.root, "tiny"), "odd", [str(layered.ids[77])], "me")
    for key in ("survey", "tags"):
        message = unpacked(component._message(layered, LOOK, colour_by(layered, key), None, f"e{key}"))
        assert message["total"] == N and message["sampled"]
    assert 77 in message["row"]
    off = payload.MapLook(**(vars(LOOK) | {"projection": "tsne"}))  # where one galaxy is not, nor its number counts
    assert payload.layers_message(off, layered.layers("tsne"), colour_by(layered, "radius_arcsec"), "s") is None
    keep = np.arange(N) % 2 == 0
    messages = [component._message(g, LOOK, colour_by(g, "class"), keep, f"f{g.root}") for g in both]
    assert unpacked(messages[0])["row"].tolist() == unpacked(messages[1])["row"].tolist()


def ask(part: list[float], **changes) -> dict:
    return {"map": "map-0", "extent": part, "covers": part, "spacing": 0.5, "pictures": False, "stamp": "s"} | changes


def test_a_part_has_all_its_points_from_the_groups_it_touches(both, read):
    _plain, layered = both
    part = [-1.0, 1.0, 4.0, 5.0]
    views = []
    for galaxies in both:
        by = colour_by(galaxies, "class")
        views.append(unpacked(component.view_message(galaxies, "tiny", ask(part), "umap", by, None, "s")))
    before, after = ({k: dict(zip(m["row"], m[k], strict=True)) for k in ("x", "y", "code")} for m in views)
    assert before == after and len(after["x"]) > 20 and views[0]["note"] == views[1]["note"]
    assert not {"umap_x", "umap_y"} & set(read[read.index("row") :])
    empty = unpacked(component.view_message(layered, "tiny", ask([50, 60, 50, 60]), "umap", by, None, "s"))
    assert len(empty["x"]) == 0 and "all 0 galaxies" in empty["note"]


def test_a_part_with_too_many_gets_a_finer_density_and_pictures_of_the_sample(both):
    plain, layered = both
    by, e, sample = colour_by(layered, "class"), layered.extent("umap"), layered.layers("umap").sample
    whole = ask([e.x0, e.x1, e.y0, e.y1], pictures=True)
    message = unpacked(component.view_message(layered, "tiny", whole, "umap", by, None, "s"))
    assert not {"x", "density", "bins"} & set(message) and "zoom in" in message["note"]  # the map has this density
    assert {p["row"] for p in message["pictures"]} <= set(sample["row"]) and message["pictures"]
    assert all(p["src"].startswith("data:image/") for p in message["pictures"])
    width, height = e.x1 - e.x0, e.y1 - e.y0
    part = [e.x0 + 0.1 * width, e.x0 + 0.7 * width, e.y0 + 0.3 * height, e.y1 + height]
    message = unpacked(component.view_message(layered, "tiny", ask(part), "umap", by, None, "s"))
    drawn, (n_lines, n_columns) = map_layers.Extent(*message["drawn"]), message["bins"]
    assert drawn.x0 <= part[0] and drawn.x1 >= part[1] and drawn.y0 <= part[2] and drawn.y1 == pytest.approx(e.y1)
    assert (drawn.x1 - drawn.x0) / n_columns == pytest.approx(width / 1024) and n_columns in (615, 616)
    assert (drawn.y1 - drawn.y0) / n_lines == pytest.approx(height / 1024) and "x" not in message
    x, y = plain.coordinates("umap")
    cells = map_layers.count_in_bins(x, y, e, 1024)[1024 - n_lines :]
    start = round((drawn.x0 - e.x0) / width * 1024)
    expected = map_layers.brightness_of(cells[:, start : start + n_columns])
    assert np.array_equal(message["density"].reshape(n_lines, n_columns), expected) and expected.max() == 255


def test_a_lasso_selects_the_same_from_a_few_groups(both, read):
    plain, layered = both
    rng = np.random.default_rng(1)
    for _ in range(20):
        middle, angle = rng.uniform(-5, 5, 2), np.sort(rng.uniform(0, 2 * np.pi, 7))
        x, y = (middle[:, None] + rng.uniform(0.5, 3, 7) * [np.cos(angle), np.sin(angle)]).tolist()
        kept = outlines.keep_corners(x, y, plain.extent("umap"))
        one, other = (selection_steps.outline_step(galaxies, "umap", kept, "new") for galaxies in both)
        assert one[1].dtype == other[1].dtype == np.int32 and np.array_equal(one[1], other[1])
        assert one[0] == other[0]
    for few in ([], [1, 2], [1, 2, 3, 4]):
        assert len(selection_steps.outline_step(layered, "umap", few, "new")[1]) == 0


def test_marks_are_where_they_were(both):
    plain, layered = both
    rows = np.array([3, 40, 599])
    for projection in ("umap", "tsne"):
        for row in (9, 40, None):
            for some in (rows, None, np.array([9])):
                found = [component.places_of(galaxies, [projection], row, some) for galaxies in both]
                assert found[0] == found[1]
    assert layered.n_on_map("tsne") == plain.n_on_map("tsne") == N - 1
    assert layered.extent("tsne") == plain.extent("tsne")


def test_the_page_says_the_same_with_layers_without_and_with_broken_ones(open_app, both):
    plain, layered = both
    galaxy, shown = str(plain.ids[41]), []
    path = layered.root / "tiny" / layers.layer_file("umap", "points")
    for root, broken in ((plain.root, False), (layered.root, False), (layered.root, True)):
        if broken:
            path.write_bytes(path.read_bytes()[:-9])
        readers._open_catalog.clear()
        app = open_app(root, "pages/1_Galaxy_map.py", galaxy=galaxy)
        assert not app.exception and not app.error
        assert (readers.open_catalog(root, "tiny").layers("umap") is None) == (broken or root == plain.root)
        shown.append([str(e.value) for kind in (app.markdown, app.caption, app.metric) for e in kind])
    assert shown[0] == shown[1] == shown[2]
