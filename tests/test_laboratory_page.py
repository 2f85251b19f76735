"""The laboratory on its page: choices, results, sweeps, saving and deleting, and sentences for what cannot be done."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import make_catalog

from galaxy_core import artifacts, laboratory, laboratory_work
from galaxy_core.errors import GalaxyError
from galaxy_core.laboratory import DONE
from pages.views import background, laboratory_choices, laboratory_result, readers
from tests.test_laboratory import PAGE, made  # noqa: F401 - a fixture


@pytest.fixture
def at_once(monkeypatch):
    """Tasks of the page are done in this process, where importing the libraries takes no time."""

    def run_here(place, job) -> None:
        job.state = laboratory.RUNNING
        task = vars(job.task) | {"key": job.task.key}
        try:
            laboratory_work.run_task(task, lambda m: laboratory._take(place, job, m), Path(place.folder.name))
            job.state = DONE
        except GalaxyError as error:
            laboratory._take(place, job, {"error": str(error)})

    monkeypatch.setattr(laboratory, "_follow", run_here)


def text_of(app) -> str:
    kinds = (app.markdown, app.caption, app.info, app.error)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


@pytest.mark.parametrize("method", list(laboratory_choices.METHODS))
def test_the_page_clusters_with_every_method(open_app, tiny_root, at_once, method):
    app = open_app(tiny_root, PAGE, **{"clusters-panel": "Laboratory"})
    app.selectbox(key="lab-method").set_value(method).run()
    app.button(key="lab-start-cluster").click().run()
    assert not app.exception
    (memory,) = app.session_state["laboratory"].values()
    job = memory.get("cluster-running") or memory["cluster-shown"]
    assert background.queue().wait(job.ticket, 180)
    app.run()
    assert not app.exception and not app.error, text_of(app)
    assert "Beside the stored clusterings" in text_of(app) and "Measured on all 90 galaxies" in text_of(app)
    table = app.dataframe[0].value
    assert table["clustering"].tolist() == ["this result", "HDBSCAN", "k-means (8)"]
    job = memory["cluster-shown"]
    galaxies = readers.open_catalog(tiny_root, "tiny")
    ari = laboratory_result.agreement_with(galaxies, job, "hdbscan")[0]
    assert table["ARI with this"][1] == f"{ari:.3f}"


def test_dimensions_are_those_chosen_for_an_embedding_of_that_many(open_app, broken_root):
    make_catalog(broken_root, "other", n=30)
    ids = artifacts.read_table(broken_root, "other", "catalog")["galaxy_id"].to_numpy()
    shutil.rmtree(broken_root / "other/embedding")
    artifacts.write_embedding(broken_root, "other", "toy", ids, np.random.default_rng(0).random((30, 5), np.float32))
    artifacts.write_manifest(broken_root, "other", artifacts.read_manifest(broken_root, "other"))
    app = open_app(broken_root, PAGE, **{"catalog": "tiny", "clusters-panel": "laboratory"})
    app.selectbox(key="lab-space").set_value("pca").run()
    app.number_input(key="lab-dimensions-pca-8").set_value(7).run()
    app.selectbox(key="catalog").set_value("other").run()
    assert not app.exception and app.number_input(key="lab-dimensions-pca-5").value == 5
    app.selectbox(key="catalog").set_value("tiny").run()
    assert app.number_input(key="lab-dimensions-pca-8").value == 7


def test_a_sentence_on_the_page_for_impossible_values(open_app, tiny_root, at_once):
    app = open_app(tiny_root, PAGE, **{"clusters-panel": "Laboratory"})
    app.selectbox(key="lab-method").set_value("kmeans").run()
    app.number_input(key="lab-k").set_value(95).run()
    app.button(key="lab-start-cluster").click().run()
    (memory,) = app.session_state["laboratory"].values()
    job = memory.get("cluster-running") or memory["cluster-shown"]
    assert background.queue().wait(job.ticket, 180)
    app.run()
    assert not app.exception and "ask for fewer clusters" in app.error[0].value
    app.button_group(key="lab-mode").set_value("A sweep").run()
    app.text_input(key="lab-values-tiny-n_clusters").set_value("two").run()
    app.button(key="lab-start-sweep").click().run()
    assert not app.exception and "is no list of values" in app.error[0].value


def finish(app):
    """Wait for what runs, and draw the page again."""
    (memory,) = app.session_state["laboratory"].values()
    for key in ("cluster", "null", "sweep", "keep"):
        if job := memory.get(f"{key}-running"):
            background.queue().wait(job.ticket, 180)
    app.run()
    assert not app.exception
    return app


def test_a_sweep_is_drawn_and_what_failed_is_said(open_app, tiny_root, at_once):
    app = open_app(tiny_root, PAGE, **{"clusters-panel": "Laboratory"})
    app.button_group(key="lab-mode").set_value("A sweep").run()
    app.selectbox(key="lab-method").set_value("kmeans").run()
    app.text_input(key="lab-values-tiny-n_clusters").set_value("2..4,95").run()
    app.button(key="lab-start-sweep").click().run()
    finish(app)
    text = text_of(app)
    assert "4 of 4 fits of k-means" in text and "strict silhouette is highest" in text
    assert "k = 95 was left out" in text and len(app.get("plotly_chart")) >= 2


def test_a_result_is_compared_with_data_without_groups(open_app, tiny_root, at_once):
    app = open_app(tiny_root, PAGE, **{"clusters-panel": "Laboratory"})
    app.selectbox(key="lab-method").set_value("kmeans").run()
    app.button(key="lab-start-cluster").click().run()
    finish(app)
    assert "In data without groups" not in text_of(app)
    app.button(key="lab-start-null").click().run()
    finish(app)
    said = next(line for line in text_of(app).splitlines() if "In data without groups" in line)
    (memory,) = app.session_state["laboratory"].values()
    reached = [row["strict"] for row in memory["null-shown"].rows]
    assert f"{min(reached):.3f} to {max(reached):.3f} (6 draws; 8 clusters)" in said
    app.number_input(key="lab-k").set_value(4).run()  # another result, of which nothing is known
    app.button(key="lab-start-cluster").click().run()
    finish(app)
    assert "In data without groups" not in text_of(app) and app.button(key="lab-start-null")


def test_saved_and_deleted_on_the_page(open_app, made, tmp_path, at_once):  # noqa: F811
    root = shutil.copytree(made, tmp_path / "root")
    app = open_app(root, PAGE, **{"clusters-panel": "Laboratory"})
    app.selectbox(key="lab-method").set_value("kmeans").run()
    app.button(key="lab-start-cluster").click().run()
    finish(app)
    (name,) = [field for field in app.text_input if field.key.startswith("lab-name")]
    assert name.value == "kmeans_8"
    name.set_value("kmeans_3").run()
    assert app.button(key="lab-save").disabled and "already" in text_of(app)
    (name,) = [field for field in app.text_input if field.key.startswith("lab-name")]
    name.set_value("my groups").run()
    app.button(key="lab-save").click().run()
    finish(app)
    assert "my groups is saved" in "".join(element.value for element in app.success)
    assert "my groups" in app.selectbox(key="left").options and "my groups" in app.selectbox(key="right").options
    app.selectbox(key="lab-delete-name").set_value("my groups").run()
    assert app.button(key="lab-delete").disabled
    app.checkbox(key="lab-delete-sure-my groups").check().run()
    app.button(key="lab-delete").click().run()
    finish(app)
    assert "my groups" not in artifacts.read_manifest(root, "sample").clusterings
    assert "my groups" not in app.selectbox(key="left").options
