"""The messages a map is drawn from: every galaxy once, in its colour, and what is marked on it."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace

import numpy as np
import pytest

from galaxy_core import map_layers
from pages.views import colouring, readers
from pages.views.colours import Colouring, grey
from pages.views.galaxy_map import component, payload

LOOK = payload.MapLook("map-0", "tiny", "umap", "UMAP", "", "tiny", "tiny-umap", True)


@pytest.fixture
def tiny(tiny_root):
    return readers.open_catalog(tiny_root, "tiny")


def drawn(x, y, colours, keep=None) -> dict:
    return payload.unpack(payload.map_message(LOOK, x, y, colours, keep, "s"))


def places(message: dict) -> np.ndarray:
    x0, x1, y0, y1 = message["extent"]
    return np.stack([x0 + message["x"] * ((x1 - x0) / 65_535), y0 + message["y"] * ((y1 - y0) / 65_535)], axis=1)


def test_what_is_packed_is_unpacked_and_aligned():
    arrays = {"a": np.arange(5, dtype=np.uint16), "b": np.array([], np.uint8), "c": np.array([2**32 - 1], np.uint32)}
    blob = payload.pack({"title": "é" * 7, "n": 1}, **arrays)
    back = payload.unpack(blob)
    assert back["title"] == "é" * 7 and all(np.array_equal(back[name], array) for name, array in arrays.items())
    header = json.loads(blob[4 : 4 + int.from_bytes(blob[:4], "little")])
    assert all(start % 4 == 0 for _, start, _ in header["arrays"].values())


def test_every_galaxy_is_drawn_once_where_it_belongs_in_its_colour(tiny):
    x, y = (values.copy() for values in tiny.coordinates("umap"))
    x[5] = np.nan
    for key in colouring.colour_choices(tiny):
        by = colouring.colour_by(tiny, key)
        message = drawn(x, y, by)
        rows = message["row"]
        assert sorted(rows) == [row for row in range(90) if row != 5], key
        assert np.abs(places(message) - np.stack([x[rows], y[rows]], axis=1)).max() < 2e-4
        codes, palette = payload.paint_codes(by), payload.palette_of(by, dark=True)
        assert np.array_equal(message["code"], codes[rows]) and message["colours"] == palette
        assert message["code"].max() < len(palette)


def test_unclustered_lie_at_the_bottom_in_grey_and_are_counted(tiny):
    labels = tiny.labels("hdbscan")
    by = colouring.colour_by(tiny, "hdbscan_label")
    assert by.names == ("cluster 0", "cluster 1", "cluster 2") and by.nothing == "unclustered"
    message = drawn(*tiny.coordinates("umap"), by)
    n_none = int((labels < 0).sum())
    assert message["n_nothing"] == n_none and message["colours"][-1] == grey(True)
    assert (labels[message["row"][:n_none]] < 0).all() and (labels[message["row"][n_none:]] >= 0).all()
    assert [entry["count"] for entry in message["legend"]] == np.bincount(labels[labels >= 0]).tolist()


def test_what_the_legend_hides_in_a_link_is_of_these_clusters_only(tiny):
    """Clusters that are made again have the same names, and a link's hidden ones would be others."""

    def mark(galaxies, key: str) -> str:
        return drawn(*tiny.coordinates("umap"), colouring.colour_by(galaxies, key))["groups"]

    about = tiny.manifest.clusterings
    again = about | {"hdbscan": about["hdbscan"] | {"scores": about["hdbscan"]["scores"] | {"silhouette": 0.123}}}
    other = replace(tiny, manifest=replace(tiny.manifest, clusterings=again))
    assert mark(other, "hdbscan_label") != mark(tiny, "hdbscan_label")
    assert mark(other, "kmeans_8_label") == mark(tiny, "kmeans_8_label")
    by_class = colouring.colour_by(tiny, "class")
    known = repr((by_class.title, by_class.keys)).encode()
    assert mark(tiny, "class") == f"{zlib.crc32(known):08x}", "links of classes stay what they were"
    tags = Colouring("tag", np.zeros(90, np.int32), ("star", "ring"), nothing="no tag")
    more = replace(tags, names=("ring", "bar", "star")).marks  # as they come when others are used more
    assert tags.marks == [more[2], more[0], more[3]] and len(set(more)) == 4


def test_groups_are_mixed_so_that_none_hides_another():
    n = 10_000
    codes = np.repeat([0, 1], n // 2).astype(np.int32)
    message = drawn(
        np.zeros(n, np.float32), np.zeros(n, np.float32), Colouring("class", grouped=codes, names=("a", "b"))
    )
    assert 0.45 < message["code"][: n // 2].mean() < 0.55


def test_filtered_galaxies_are_left_out_and_the_map_stays_where_it_is(tiny):
    x, y = tiny.coordinates("umap")
    keep = np.arange(90) % 3 == 0
    by = colouring.colour_by(tiny, "class")
    message = drawn(x, y, by, keep)
    assert sorted(message["row"]) == list(range(0, 90, 3)) and message["total"] == 30
    assert message["extent"] == drawn(x, y, by)["extent"]
    assert sorted(entry["count"] for entry in message["legend"]) == [0, 0, 30]


def test_all_are_drawn_up_to_the_limit_and_beyond_it_every_group_over_a_density(monkeypatch):
    monkeypatch.setattr(map_layers, "MAX_POINTS", 1000)
    monkeypatch.setattr(map_layers, "SAMPLE_SIZE", 200)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1001)).astype(np.float32)
    codes = np.zeros(1001, np.int32)
    codes[-1] = 1
    by = Colouring("cluster", grouped=codes, names=("a", "lonely"))
    assert len(drawn(x[:1000], y[:1000], Colouring("c", grouped=codes[:1000], names=("a",)))["x"]) == 1000
    message = drawn(x, y, by)
    assert message["sampled"] and len(message["x"]) == 200 and 1000 in message["row"]
    image = message["density"].reshape(message["bins"])
    assert np.array_equal(image, map_layers.density(x, y, map_layers.extent_of(x, y)))
    assert message["total"] == 1001 and [entry["count"] for entry in message["legend"]] == [1000, 1]


def test_the_first_message_of_a_million_is_small():
    n = 1_000_000
    x, y = np.random.default_rng(0).normal(size=(2, n)).astype(np.float32)
    by = Colouring("class", grouped=(np.arange(n) % 7).astype(np.int32), names=tuple("abcdefg"))
    assert len(payload.map_message(LOOK, x, y, by, None, "s")) < 2e6


def test_nothing_to_draw_is_no_error():
    for n in (0, 1, 2):
        nowhere = np.full(n, np.nan, np.float32)
        by = Colouring("class", grouped=np.full(n, -1, np.int32), names=())
        assert len(drawn(nowhere, nowhere, by)["x"]) == 0
        assert len(drawn(np.zeros(n, np.float32), np.zeros(n, np.float32), by)["x"]) == n
        numbers = Colouring("mass", values=np.full(n, np.nan, np.float32))
        assert drawn(np.zeros(n, np.float32), np.zeros(n, np.float32), numbers)["n_nothing"] == n


def test_marks_hold_a_bit_for_each_selected_galaxy():
    rows = np.array([0, 7, 8, 41])
    marks = payload.unpack(payload.marks_message("g", 42, 3, 7, {"umap": [1.0, 2.0]}, rows, {}, [], open_id="é 7"))
    bits = np.unpackbits(marks["bits"], bitorder="little")[:42]
    assert np.flatnonzero(bits).tolist() == rows.tolist() and marks["open"] == {
        "row": 7,
        "id": "é 7",
        "places": {"umap": [1, 2]},
    }
    assert len(payload.unpack(payload.marks_message("g", 42, 0, None, {}, None, {}, []))["bits"]) == 0


def ask(**changes) -> dict:
    wide = [-100, 100, -100, 100]
    return {"map": "map-0", "extent": wide, "covers": wide, "spacing": 0.5, "pictures": True, "stamp": "s"} | changes


def test_a_part_of_a_sampled_map_has_all_its_points_and_pictures(tiny, monkeypatch):
    monkeypatch.setattr(map_layers, "MAX_POINTS", 50)
    by, x = colouring.colour_by(tiny, "class"), tiny.coordinates("umap")[0]
    part = [0.0, 10.0, -10.0, 10.0]
    keep = np.arange(90) != 3
    asked = ask(extent=part, covers=part)
    message = payload.unpack(component.view_message(tiny, "tiny", asked, "umap", by, keep, "s"))
    inside = np.flatnonzero((x >= 0) & (x <= 10) & keep)
    assert sorted(message["row"]) == inside.tolist() and len(inside) > 10
    assert np.abs(places(message)[:, 0] - x[message["row"]]).max() < 1e-3
    assert message["pictures"] and all(p["src"].startswith("data:image/") for p in message["pictures"])
    assert {p["row"] for p in message["pictures"]} <= set(inside.tolist())
    assert f"all {len(inside)} galaxies" in message["note"]


def test_the_channel_answers_every_map_that_asks(tiny, monkeypatch):
    by, drawn, written = colouring.colour_by(tiny, "class"), {}, []
    looks = {name: (replace(LOOK, map_id=name), by, None, stamp) for name, stamp in (("map-0", "s"), ("map-1", "t"))}
    events = [ask(address={"view": "a"}, number=4), ask(map="map-1", stamp="t", address={"view2": "b"}, number=5)]
    events += [ask(map="gone"), ask(stamp="of other colours")]
    state = {"maps_shown": looks, "channel-tiny-view": {"events": events}}
    monkeypatch.setattr(component.st, "session_state", state)
    monkeypatch.setattr(component, "_mount", lambda: lambda **told: drawn.update(told))
    component.draw_view(tiny, "tiny", written.append)
    drawn["on_events_change"]()
    answer = payload.unpack(drawn["data"])
    views = [payload.unpack(answer[name].tobytes()) for name in sorted(answer) if name.startswith("view_")]
    assert [(view["id"], view["stamp"], view["number"]) for view in views] == [("map-0", "s", 4), ("map-1", "t", 5)]
    assert {"view": "a"} in written and {"view2": "b"} in written


def test_a_part_with_too_many_points_says_to_zoom_in(tiny, monkeypatch):
    monkeypatch.setattr(map_layers, "MAX_POINTS", 50)
    monkeypatch.setattr(payload, "MAX_DETAIL", 10)
    by = colouring.colour_by(tiny, "class")
    message = payload.unpack(component.view_message(tiny, "tiny", ask(pictures=False), "umap", by, None, "s"))
    assert "x" not in message and "zoom in" in message["note"] and message["pictures"] == []


def test_a_small_map_needs_no_more_points(tiny):
    by = colouring.colour_by(tiny, "class")
    message = payload.unpack(component.view_message(tiny, "tiny", ask(pictures=False), "umap", by, None, "s"))
    assert "x" not in message and message["note"] == ""
