"""The detail card of any catalog: facts, links and votes where they are known, and nothing broken elsewhere."""

from __future__ import annotations

import re

import numpy as np
import pytest
from card_page import open_card, pictures, stored, words_of, write_back
from conftest import make_catalog

from galaxy_core import artifacts, clustering
from galaxy_core.images import as_counts
from pages.views import card, readers, votes, words

# ---------------------------------------------------------------- facts


def test_card_of_an_ordinary_galaxy(tiny_root):
    app = open_card(tiny_root, row=4)
    galaxies = readers.open_catalog(tiny_root, "tiny")
    text = words_of(app)
    ra, dec = galaxies.catalog.loc[4, ["ra_deg", "dec_deg"]]
    assert app.markdown[0].value == "### tiny\\-00004" and "round smooth" in text
    for name in (
        "HDBSCAN",
        "k-means (8)",
        "membership",
        f"{ra:.5f}°",
        f"{dec:+.5f}°",
        "Most similar",
        "radius [arcsec]",
    ):
        assert name in text, name
    hours, degrees = card.sexagesimal(ra, dec)
    assert f"{hours}, {degrees}" in text
    for name in ("Legacy Survey", "SIMBAD", "ESASky", "Aladin"):
        assert re.search(rf"\[{name}[^\]]*\]\(https://[^)\s]+\)", text), name
    (shown,) = pictures(app)
    np.testing.assert_array_equal(shown, as_counts(stored(tiny_root, 4)))


@pytest.mark.parametrize("lost", ["columns", "values", "one"])
def test_without_coordinates_there_are_no_links(broken_root, lost):
    if lost == "columns":
        write_back(broken_root, "tiny", ra_deg=None, dec_deg=None)
    else:
        write_back(broken_root, "tiny", ra_deg=np.nan, **({} if lost == "one" else {"dec_deg": np.nan}))
    text = words_of(open_card(broken_root))
    assert "RA, Dec" not in text and "SIMBAD" not in text and "nan" not in text.lower() and "spiral" in text


def test_catalog_of_three_columns_and_no_clusters(broken_root):
    table = artifacts.read_table(broken_root, "tiny", "catalog")[["galaxy_id", "split", "class"]]
    artifacts.write_table(broken_root, "tiny", "catalog", table)
    manifest = artifacts.read_manifest(broken_root, "tiny")
    artifacts.write_table(broken_root, "tiny", "clusters", table[["galaxy_id"]])
    artifacts.write_manifest(broken_root, "tiny", manifest)
    app = open_card(broken_root, row=2)
    assert (
        "edge on" in words_of(app)
        and [e.label for e in app.expander] == ["Catalog: 1 more value"]
        and len(pictures(app)) == 1
    )
    write_back(broken_root, "tiny", **{"class": None})
    assert "Class" not in words_of(open_card(broken_root, row=2))


@pytest.mark.parametrize("n", [1, 2])
def test_one_galaxy_and_two(tmp_path, n):
    make_catalog(tmp_path, "few", n)
    app = open_card(tmp_path, "few", n - 1)
    assert ("no other galaxy" in words_of(app)) == (n == 1)


def test_missing_thumbnail_and_unreadable_thumbnails(tmp_path):
    broken = make_catalog(tmp_path, "tiny", 6)
    images = artifacts.read_thumbnails(tmp_path, "tiny", list(range(6)))
    ids = artifacts.read_table(tmp_path, "tiny", "catalog")["galaxy_id"].to_numpy()
    artifacts.write_thumbnails(tmp_path, "tiny", ids, [b"", b"no picture", *images[2:]])
    artifacts.write_manifest(tmp_path, "tiny", broken)
    for row in (0, 1):
        app = open_card(tmp_path, row=row)
        assert "There is no picture of this galaxy." in words_of(app) and "HDBSCAN" in words_of(app)
        app.radio(key="card-stretch").set_value("asinh").run()
        app.select_slider(key="card-contrast").set_value(2.0).run()
        assert not app.exception
    next((tmp_path / "tiny" / "thumbnails").glob("*.parquet")).write_bytes(b"damaged")
    app = open_card(tmp_path, row=3)
    assert app.error and "HDBSCAN" in words_of(app) and "Traceback" not in words_of(app)


def test_unusual_is_a_share_of_the_catalog_and_trust_one_number_a_map(tiny_root, monkeypatch):
    galaxies = readers.open_catalog(tiny_root, "tiny")
    scores = np.linspace(0, 1, 90, dtype=np.float32)[::-1].copy()
    scores[50] = np.nan
    monkeypatch.setattr(readers.Galaxies, "anomaly", property(lambda self: scores))
    kept = {"umap": np.full(90, 0.472, np.float32), "pca": np.full(90, np.nan, np.float32)}
    monkeypatch.setattr(readers.Galaxies, "trust", lambda self, name: kept.get(name))
    facts = card.main_facts(galaxies, 8)
    assert facts["Unusual"] == f"more than {int(100 * 80 / 89)}\u00a0% of this catalog"
    assert facts["Map trust"] == "UMAP\u00a047\u00a0%"
    assert card.main_facts(galaxies, 0)["Unusual"].startswith("more than 98\u00a0%"), (
        "the most unusual, but not more than itself"
    )
    assert "Unusual" not in card.main_facts(galaxies, 50)
    monkeypatch.setattr(readers.Galaxies, "anomaly", None)
    monkeypatch.setattr(readers.Galaxies, "trust", lambda self, name: None)
    assert not {"Unusual", "Map trust"} & set(card.main_facts(galaxies, 8))


def test_under_the_mouse_every_clustering_is_named_and_the_card_says_what_membership_is(tiny_root):
    galaxies = readers.open_catalog(tiny_root, "tiny")
    row = int(np.flatnonzero(galaxies.labels("hdbscan") >= 0)[0])
    kind, *lines = card.lines_under_mouse(galaxies, row)
    assert kind == card.main_facts(galaxies, row)["Class"]
    names = [words.name_of(name) for name in galaxies.clustering_names]
    found = [re.fullmatch(r"(.+): cluster \d+, membership \d\.\d\d", line)[1] for line in lines[: len(names)]]
    assert found == names and len(set(names)) > 1
    titles = dict(re.findall(r'<dt title="([^"]*)">([^<]*)</dt>', card.main_html(galaxies, row)))
    helps = {name: text for text, name in titles.items()}
    assert "density at which" in helps["HDBSCAN"] and "centre" in helps["k-means (8)"]
    assert set(clustering.MEMBERSHIP) == set(clustering.METHODS)


def test_what_a_catalog_says_is_escaped():
    assert "<script>" not in card.facts_html({"<script>": "<script>"})
    said = votes.read_votes({"<b>_<script>": 1.0}, ["<b>_<script>"], "fraction")
    assert said.path and "<script>" not in votes.votes_html(said.path) and "<b>" not in votes.votes_html(said.path)


# ---------------------------------------------------------------- votes


RELEASES = {
    "kaggle": ("fraction", {"Class1.1": 0.2, "Class1.2": 0.8, "Class2.1": 0.6, "Class2.2": 0.2}, "80 % asked"),
    "hart": ("fraction", {"t01_x_a02_features_debiased": 0.8, "t02_edgeon_a04_yes_debiased": 0.75}, "80 % asked"),
    "release": (
        "fraction",
        {"smooth-or-featured_features_fraction": 0.8, "disk-edge-on_yes_fraction": 0.75},
        "80 % asked",
    ),
    "numbers": (
        "count",
        {"smooth-or-featured-gz2_smooth": 8, "smooth-or-featured-gz2_features": 32}
        | {"disk-edge-on-gz2_yes": 24, "disk-edge-on-gz2_no": 8},
        "32 asked, 80 %",
    ),
}


@pytest.mark.parametrize("form", RELEASES)
def test_votes_of_each_release_on_the_card(broken_root, form):
    kind, columns, asked = RELEASES[form]
    make_catalog(broken_root, form, 3, answer_columns=tuple(columns), answer_kind=kind)
    write_back(broken_root, form, **columns)
    app = open_card(broken_root, form)
    text = words_of(app)
    assert "A disk viewed edge-on?" in text and asked in text
    assert '<div class="answer leading">edge on</div><div class="bar"><span style="width:75.0%">' in text
    help_text = "".join(element.proto.help for element in app.markdown)
    assert ("debiased" in help_text) == (form == "hart") and ("40 volunteers" in help_text) == (form == "numbers")
    write_back(broken_root, form, **{"class": None})
    assert card.main_facts(readers.open_catalog(broken_root, form), 0)["Votes"] == "features or disk, edge on"


def test_questions_off_the_path_are_in_an_expander(broken_root):
    columns = {
        "smooth-or-featured_smooth": 0.9,
        "smooth-or-featured_artifact": 0.0,
        "bar_yes": 0.5,
        "how-rounded_round": 1,
    }
    make_catalog(broken_root, "voted", 3, answer_columns=tuple(columns), answer_kind="fraction")
    write_back(broken_root, "voted", **columns)
    app = open_card(broken_root, "voted", 0)
    (rest,) = [e for e in app.expander if "off that path" in e.label]
    assert rest.label == "1 question off that path"
    assert "A bar through the centre?" in rest.get("html")[0].proto.body and "nobody: star or artifact" in words_of(app)
    write_back(broken_root, "voted", **dict.fromkeys(columns, np.nan))
    assert "Votes" not in words_of(open_card(broken_root, "voted", 0))
