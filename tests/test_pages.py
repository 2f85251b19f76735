"""Every page with artifacts present, absent, corrupt and from the future."""

from __future__ import annotations

import json
import sys
from shlex import quote

import pytest

from pages.views import card, demo, frame, readers, scores

MAP, CLUSTERS = "pages/1_Galaxy_map.py", "pages/2_Clusters.py"
ALL_PAGES = [None, MAP, CLUSTERS]


def text_of(app) -> str:
    """All the words a page shows."""
    kinds = (app.markdown, app.caption, app.info, app.warning, app.error, app.title, app.subheader, app.code)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


@pytest.mark.parametrize("page", ALL_PAGES)
def test_page_opens(open_app, tiny_root, page):
    app = open_app(tiny_root, page)
    assert not app.exception and not app.error
    assert app.sidebar.selectbox(key="catalog").value == "tiny"


def test_a_picture_of_the_overview_opens_on_the_map(open_app, tiny_root):
    app = open_app(tiny_root)
    button = next(b for b in app.button if b.key and b.key.startswith("samples-"))
    button.click().run()
    assert not app.exception and app.title[0].value == "Galaxy map"
    assert f"### tiny\\-{int(button.key.split('-')[1]):05d}" in text_of(app)


def test_overview_says_what_is_loaded_and_how_to_bring_more(open_app, tiny_root):
    app = open_app(tiny_root)
    text = text_of(app)
    may = "Measured on all 90 galaxies of this catalog, 73 of which models may learn from."
    for words in ("90 simulated galaxies", "toy", "2 rows have no image", "synthetic:90", "2026-01-01", "MNRAS", may):
        assert words in text, words
    assert "scripts/fetch_catalog.py gz_hubble --size tiny --root data/gz_hubble" in text
    assert f"--artifacts {quote(str(tiny_root))}" in text
    assert {metric.label: metric.value for metric in app.metric}["Galaxies"] == "90"
    shown = {link.proto.label.strip("*") for link in app.main.get("page_link")}
    assert shown == {label for label in frame.ICONS if label not in ("Overview", "Galaxy map")}  # with a button for it
    table = app.table[0].value.map(lambda text: text.replace("\\", "")).set_index("method")
    assert table.loc["HDBSCAN", "groups"] == "3" and table.loc["k-means (8)", "galaxies in a group"] == "100 %"
    assert set(table["clearer than those?"]) == {"not compared"}


@pytest.mark.parametrize("page", ALL_PAGES)
def test_no_artifacts_offers_the_demo(open_app, tmp_path, page):
    app = open_app(tmp_path, page)
    assert not app.exception and not app.error
    assert [button.label for button in app.button] == ["Make the demo"]
    assert "scripts/run_pipeline.py synthetic:2000 --name demo" in text_of(app)


@pytest.mark.parametrize("page", ALL_PAGES)
@pytest.mark.parametrize("damage", ["corrupt", "future", "missing table"])
def test_broken_artifacts_are_one_sentence_with_the_command(open_app, broken_root, page, damage):
    manifest = broken_root / "tiny" / "manifest.json"
    if damage == "corrupt":
        manifest.write_text(manifest.read_text()[:200])
    elif damage == "future":
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema_version": 99}))
    else:
        (broken_root / "tiny" / "catalog.parquet").unlink()
    app = open_app(broken_root, page)
    assert not app.exception
    (error,) = app.error
    assert "tiny" in error.value and "python scripts/run_pipeline.py" in error.value and "\n" not in error.value
    assert app.sidebar.selectbox(key="catalog").value == "tiny"  # another catalog can still be chosen


@pytest.mark.parametrize(
    ("page", "lost"), [(MAP, "clusters"), (MAP, "neighbors"), (MAP, "thumbnails"), (CLUSTERS, "projections")]
)
def test_one_broken_file_leaves_the_other_panels(open_app, broken_root, page, lost):
    path = {"neighbors": "neighbors/toy.parquet", "thumbnails": "thumbnails/part-00000.parquet"}.get(
        lost, f"{lost}.parquet"
    )
    file = broken_root / "tiny" / path
    file.write_bytes(file.read_bytes()[:100])
    app = open_app(broken_root, page, galaxy="tiny-00005")
    assert not app.exception
    assert app.error and all(path.split("/")[0].removesuffix(".parquet") in error.value for error in app.error)
    kept = "Class" if page == MAP else "What it means"
    assert kept in text_of(app) + " ".join(str(box.options) for box in app.selectbox)


def test_broken_catalog_leaves_the_others(open_app, broken_root):
    from conftest import make_catalog

    make_catalog(broken_root, "whole", 30)
    (broken_root / "tiny" / "manifest.json").write_text("{")
    app = open_app(broken_root, MAP, catalog="whole")
    assert not app.exception and not app.error
    app.sidebar.selectbox(key="catalog").set_value("tiny").run()
    assert len(app.error) == 1
    app.sidebar.selectbox(key="catalog").set_value("whole").run()
    assert not app.error


def test_catalog_and_galaxy_stay_from_page_to_page(open_app, broken_root):
    from conftest import make_catalog

    make_catalog(broken_root, "another", 30)
    app = open_app(broken_root, MAP, catalog="tiny", galaxy="tiny-00004")
    for page in (CLUSTERS, "app.py", CLUSTERS, MAP):
        app.switch_page(page).run()
        assert not app.exception and app.sidebar.selectbox(key="catalog").value == "tiny", page
        assert page == "app.py" or "tiny\\-00004" in text_of(app), page


def test_catalog_of_the_address_that_is_gone(open_app, tiny_root):
    app = open_app(tiny_root, MAP, catalog="gone")
    assert not app.exception and "gone" in app.warning[0].value
    app = open_app(tiny_root, MAP, galaxy="nobody")
    assert not app.exception and "nobody" in app.warning[0].value


def test_address_chooses_map_and_colour(open_app, tiny_root):
    app = open_app(tiny_root, MAP, map="PCA", colour="radius [arcsec]")
    assert (app.selectbox(key="map").value, app.selectbox(key="colour").value) == ("pca", "radius_arcsec")
    app = open_app(tiny_root, MAP, map="no such map", colour="no such column")
    assert not app.exception and (app.selectbox(key="map").value, app.selectbox(key="colour").value) == (
        "umap",
        "class",
    )


def test_address_opens_a_galaxy_with_its_neighbours(open_app, tiny_root, tiny, monkeypatch):
    drawn = []
    monkeypatch.setattr(card, "pictures", lambda galaxies, rows, captions, *_: drawn.append((rows, captions)))
    app = open_app(tiny_root, MAP, galaxy="tiny-00004")
    assert not app.exception and "### tiny\\-00004" in text_of(app)
    index, similarity = readers.neighbors(tiny)
    assert drawn == [(index[4].tolist(), [f"{value:.3f}" for value in similarity[4]])]


def test_clusters_page_says_what_the_numbers_mean(open_app, tiny_root, tiny):
    app = open_app(tiny_root, CLUSTERS)
    values = [metric.value for metric in app.metric]
    strict = scores.strict_mean(tiny, "hdbscan")
    assert values[:4] == ["3", scores.score_row(tiny, "hdbscan")["coverage"], f"{strict:.3f}", values[3]]
    text = text_of(app)
    assert "HDBSCAN finds 3 clusters" in text and "k-means (8) finds 6 clusters" in text and "adjusted Rand" in text
    assert {b.key.split("-")[0] for b in app.button if b.key} >= {"typical", "border"}


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("page", ALL_PAGES)
def test_a_catalog_of_one_or_two_galaxies(open_app, tmp_path, n, page):
    from conftest import make_catalog

    make_catalog(tmp_path, "few", n)
    app = open_app(tmp_path, page, galaxy="few-00000")
    assert not app.exception and not app.error


def test_pages_that_draw_stored_maps_do_not_import_torch_or_umap(tiny_root):
    import subprocess

    code = (
        "import sys; from streamlit.testing.v1 import AppTest\n"
        f"sys.argv = ['app.py', '--artifacts', {str(tiny_root)!r}]\n"
        f"for page in (None, {MAP!r}, {CLUSTERS!r}):\n"
        f"    app = AppTest.from_file({str(frame.PROJECT / 'app.py')!r}, default_timeout=120)\n"
        "    app = app.switch_page(page) if page else app\n"
        "    assert not app.run().exception\n"
        "print([name for name in ('torch', 'umap', 'hdbscan', 'openTSNE', 'numba') if name in sys.modules])\n"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=frame.PROJECT, capture_output=True, text=True, timeout=120)
    assert out.stdout.strip() == "[]", out.stdout + out.stderr[-2000:]


def test_demo_runs_shows_progress_and_is_cancelled(open_app, tmp_path, monkeypatch):
    script = "import time; print('drawing:  40%|####      | 4/10', flush=True); time.sleep(60)"
    monkeypatch.setattr(demo, "command", lambda root: [sys.executable, "-c", script])
    demo.start(str(tmp_path))
    process = demo._runs()[str(tmp_path)].process
    try:
        for _ in range(100):
            if demo.tail(demo._runs()[str(tmp_path)].log):
                break
            __import__("time").sleep(0.1)
        assert demo.progress_of(demo.tail(demo._runs()[str(tmp_path)].log)) == (0.4, "drawing")
        demo.start(str(tmp_path))  # a second visitor does not start another
        assert demo._runs()[str(tmp_path)].process is process
        assert process.poll() is None
    finally:
        demo.cancel(str(tmp_path))
    assert process.poll() is not None


def test_demo_that_fails_says_the_last_line(open_app, tmp_path, monkeypatch):
    monkeypatch.setattr(
        demo, "command", lambda root: [sys.executable, "-c", "print('No model here.'); raise SystemExit(1)"]
    )
    demo.start(str(tmp_path))
    demo._runs()[str(tmp_path)].process.wait(30)
    app = open_app(tmp_path)
    assert app.error[0].value == "No model here." and "Try again" in [button.label for button in app.button]
    log = demo._runs()[str(tmp_path)].log
    demo.start(str(tmp_path))
    assert not log.exists() and demo._runs()[str(tmp_path)].log.exists(), "the log of a run that is over is in the way"
    demo._end_all(demo._runs())
    assert not any(run.log.exists() for run in demo._runs().values())
