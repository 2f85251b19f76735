"""The selection panel: its states, the gallery and its orders, differences, composition, and the exports it offers."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from conftest import make_catalog
from streamlit.testing.v1 import AppTest

from galaxy_core.differences import Difference, compare_selection
from pages.views import readers, region, selection_differences, selection_gallery
from pages.views.selection_gallery import AS_LISTED, PER_PAGE, TYPICAL, digest_of, ordered_rows, typicality, where_of


def page(root, name, rows, how="a box on UMAP"):
    """A page with nothing but the panel."""
    from pathlib import Path

    import numpy as np
    import streamlit as st

    from pages.views import readers, region, selection

    galaxies = readers.open_catalog(Path(root), name)
    if rows is not None and "begun" not in st.session_state:
        st.session_state["begun"] = True
        selection.select_rows(galaxies, np.array(rows, dtype=np.int32), how=how)

    @st.fragment(key="card")
    def draw_marks():
        chosen = selection.selected_rows(galaxies)
        st.text("no marks" if chosen is None else f"{len(chosen)} marks")

    @st.fragment(key="below")
    def draw_below():
        region.draw_region(galaxies, lambda galaxies, row: st.session_state.update(opened=row))

    draw_marks()
    draw_below()


@pytest.fixture
def show(drawn):
    """Function ``show(root, rows)``: the panel with these rows selected, as an AppTest that has run."""

    def run(root, rows, name="tiny"):
        app = AppTest.from_function(page, kwargs={"root": str(root), "name": name, "rows": rows}, default_timeout=120)
        return app.run()

    return run


@pytest.fixture
def tiny(tiny_root):
    return readers.open_catalog(tiny_root, "tiny")


def text_of(app) -> str:
    assert not app.exception, app.exception
    shown = [*app.markdown, *app.caption, *app.error, *app.warning, *app.get("html")]
    return "\n".join(str(getattr(element, "value", "") or element.proto.body) for element in shown)


def show_section(app, name: str):
    return app.segmented_control(key="selection-section").set_value(name).run()


def test_without_a_selection_it_says_how_to_make_one(show, tiny_root, drawn):
    app = show(tiny_root, None)
    assert "Draw a box or a lasso" in text_of(app) and not drawn and not app.button


def test_an_empty_selection(show, tiny_root, drawn):
    app = show(tiny_root, [])
    text = text_of(app)
    assert "0 galaxies" in text and "No galaxy is selected" in text and not drawn


def test_count_share_how_and_clear(show, tiny_root):
    app = show(tiny_root, list(range(30)))
    assert "**30 galaxies**, 33.3 % of the catalog" in text_of(app) and "a box on UMAP" in text_of(app)
    app.button(key="clear-selection").click().run()
    assert "Draw a box or a lasso" in text_of(app)


def test_the_gallery_shows_the_selection_and_opens_what_is_clicked(show, tiny_root, drawn, tiny):
    app = show(tiny_root, [3, 6, 9, 10])
    items = drawn["data"]["items"]
    assert {item["row"] for item in items} == {3, 6, 9, 10} and "All 4 galaxies." in text_of(app)
    assert all(item["id"] == tiny.ids[item["row"]] and item["src"].startswith("data:image/webp") for item in items)
    # Rows 3, 6 and 9 are of one class, 10 is of another: the least typical.
    assert items[-1]["row"] == 10 and float(items[0]["caption"]) > float(items[-1]["caption"])
    app.segmented_control(key="pictures-direction").set_value(selection_gallery.LEAST).run()
    assert drawn["data"]["items"][0]["row"] == 10
    app.selectbox(key="pictures-order").set_value("radius_arcsec").run()
    radii = tiny.catalog["radius_arcsec"].to_numpy()
    assert [i["row"] for i in drawn["data"]["items"]] == sorted([3, 6, 9, 10], key=lambda row: radii[row])
    assert drawn["key"] == "pictures-selection" and callable(drawn["on_open_change"])


def test_a_click_opens_the_galaxy(monkeypatch, tiny, drawn):
    opened = []
    monkeypatch.setattr(selection_gallery.st, "session_state", {"pictures-x": {"open": {"row": 5}}})
    selection_gallery.pictures(tiny, [5, 6], ["a", "b"], "x", lambda galaxies, row: opened.append((galaxies.name, row)))
    drawn["on_open_change"]()
    selection_gallery.st.session_state["pictures-x"]["open"] = {"row": 10**6}  # of a catalog that has shrunk
    drawn["on_open_change"]()
    assert opened == [("tiny", 5)]


def test_pages_of_pictures(show, tmp_path, drawn):
    make_catalog(tmp_path, n=PER_PAGE + 30)
    app = show(tmp_path, list(range(PER_PAGE + 20)))
    assert len(drawn["data"]["items"]) == PER_PAGE and f"Galaxies 1 to {PER_PAGE} of {PER_PAGE + 20}" in text_of(app)
    first = {item["row"] for item in drawn["data"]["items"]}
    assert first | set(ordered_rows_of(tmp_path, range(PER_PAGE + 20))[PER_PAGE:]) == set(range(PER_PAGE + 20))
    assert where_of(PER_PAGE, 20, PER_PAGE + 20) == "Galaxies 121 to 140 of 140."


def ordered_rows_of(root, rows):
    return ordered_rows(readers.open_catalog(root, "tiny"), np.array(rows), TYPICAL, True)[0]


def test_orders(tiny, tiny_root):
    rows = np.array([80, 3, 40])
    assert ordered_rows(tiny, rows, AS_LISTED, True)[0].tolist() == [80, 3, 40]
    up, values = ordered_rows(tiny, rows, "radius_arcsec", False)
    down, _ = ordered_rows(tiny, rows, "radius_arcsec", True)
    assert up.tolist() == down[::-1].tolist() and (np.diff(values) >= 0).all()
    missing = tiny.catalog.copy()
    missing.loc[3, "radius_arcsec"] = np.nan
    holed = replace(tiny, catalog=missing, stamp=("holed",))
    for descending in (True, False):
        assert ordered_rows(holed, rows, "radius_arcsec", descending)[0][-1] == 3
    assert digest_of(rows) == digest_of(rows.copy()) != digest_of(rows[::-1])


def test_typicality_is_the_cosine_to_the_mean_direction(monkeypatch):
    rng = np.random.default_rng(0)
    vectors, rows = rng.normal(1, 1, (80, 6)).astype(np.float32), np.arange(5, 55)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    mean = unit[rows].mean(axis=0)
    expected = unit[rows] @ (mean / np.linalg.norm(mean))
    np.testing.assert_allclose(typicality(vectors, rows), expected, atol=1e-5)
    np.testing.assert_allclose(typicality(vectors * rng.uniform(1, 9, (80, 1)), rows), expected, atol=1e-5)
    monkeypatch.setattr(selection_gallery, "BLOCK", 7)
    np.testing.assert_allclose(typicality(vectors, rows), expected, atol=1e-5)
    assert typicality(vectors, rows[:1])[0] == pytest.approx(1)
    assert np.isnan(typicality(np.array([[1.0, 0], [-1, 0]]), np.arange(2))).all()  # no mean direction
    values = typicality(np.array([[1.0, 0], [0, 0], [np.nan, 1]]), np.arange(3))
    assert values[0] == 1 and np.isnan(values[1:]).all()


def test_without_an_embedding_the_other_orders_remain(show, broken_root, drawn):
    for part in (broken_root / "tiny" / "embedding" / "toy").glob("*.parquet"):
        part.unlink()
    app = show(broken_root, [1, 2, 3])
    assert TYPICAL not in selection_gallery.order_choices(readers.open_catalog(broken_root, "tiny"))
    assert len(drawn["data"]["items"]) == 3 and not app.error


def test_differences_are_said_in_sentences(show, tiny_root):
    app = show_section(show(tiny_root, list(range(0, 90, 3))), region.DIFFERENT)  # one class
    text = text_of(app)
    assert "Class spiral:" in text and "more frequent, 100 %, of the rest 0" in text
    assert "Smooth, or with features or a disk? smooth:" in text
    assert "smaller, delta" in text and 'class="interval"' in text
    assert "Measured on 30 selected galaxies and 60 others" in text and "95 % bootstrap" in text
    assert "split" not in text.lower()


def test_everything_selected_has_no_rest(show, tiny_root):
    app = show_section(show(tiny_root, list(range(90))), region.DIFFERENT)
    assert "no rest to compare with" in text_of(app)


def test_names_from_a_catalog_are_shown_as_text():
    item = Difference("class", "<img onerror=x>", 0.5, 0.4, 0.6, 0.9, 0.4, 10, 10)
    assert "<img" not in selection_differences.table_html([item], {"class": "<b>"})


def test_samples_are_said():
    found = compare_selection(900, np.arange(300), {"x": np.arange(900.0)}, {}, max_each=100)
    assert "drawn at random from 300 and 600" in selection_differences.how_compared(found)


def test_composition_by_class_and_by_cluster(show, tiny_root):
    app = show_section(show(tiny_root, list(range(0, 90, 3))), region.COMPOSITION)
    choice = app.selectbox(key="composition-by")
    assert {"Class", "Cluster, HDBSCAN", "Cluster, k-means (8)"} <= set(choice.options)
    for key in ("class", "hdbscan_label", "kmeans_8_label"):
        app = app.selectbox(key="composition-by").set_value(key).run()
        assert not app.exception and len(app.get("plotly_chart")) == 1


def test_the_largest_groups_are_kept():
    codes = np.repeat(np.arange(30), 10)
    kept, names, left_out = selection_differences.largest_groups(codes, tuple(map(str, range(30))), np.arange(100, 300))
    assert names == tuple(str(k) for k in range(10, 30)) and left_out == 10
    assert (kept[:100] == -1).all() and (kept[100:] == codes[100:] - 10).all()


@pytest.mark.parametrize("fmt", ["csv", "parquet", "votable", "fits"])
def test_what_the_buttons_give(tiny, fmt):
    content = region.export_of(tiny, np.array([5, 1], np.int32), "a box on UMAP", fmt)
    options = {"format": "ascii.csv", "comment": "#"} if fmt == "csv" else {"format": fmt}
    table = Table.read(content.decode() if fmt == "csv" else io.BytesIO(content), **options)
    ids = [i.decode() if isinstance(i, bytes) else str(i) for i in table["galaxy_id"]]
    assert ids == ["tiny-00005", "tiny-00001"] and {"ra_deg", "class", "hdbscan_label", "kmeans_8_membership"} <= set(
        table.colnames
    )
    assert b"a box on UMAP" in content


def test_a_catalog_of_one_or_two_galaxies(show, tmp_path, drawn):
    for n in (1, 2):
        make_catalog(tmp_path, name=f"n{n}", n=n)
        app = show(tmp_path, [0], name=f"n{n}")
        assert len(drawn["data"]["items"]) == 1
        for section in (region.DIFFERENT, region.COMPOSITION, region.TAGS):
            assert text_of(show_section(app, section))
