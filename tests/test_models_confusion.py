"""What the Models page says of classes that are taken for one another: the matrix, and the galaxies behind a cell."""

from __future__ import annotations

import numpy as np
import pytest
from models_stand_ins import CONFUSION, NAMES, PAGE, section, text_of, vote_metrics, write_model

from galaxy_core import embedding
from pages.views import models_confusion, models_figures, models_numbers


@pytest.fixture(autouse=True)
def no_shipped_model(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(embedding, "_REPOSITORY_MODELS", tmp_path_factory.mktemp("none"))


def test_a_cell_opens_its_galaxies(open_app, broken_root):
    write_model(broken_root)
    app = section(open_app(broken_root, PAGE), "fails")
    cell = app.selectbox(key="models-cell-vote_regressor")
    assert cell.options == ["round, smooth taken for spiral: 2", "spiral taken for round, smooth: 1"]
    cell.set_value((0, 2)).run()
    assert "2 galaxies of tiny, the surest mistake first" in text_of(app)
    shown = [button for button in app.button if (button.key or "").startswith("models-confused-0-2-")]
    assert [button.help.replace("\\", "") for button in shown] == ["tiny-00004", "tiny-00007"]
    app.selectbox(key="models-cell-vote_regressor").set_value((2, 0)).run()
    assert "elsewhere-1" in [code.value for code in app.code], "not in a catalog: to copy"
    app.selectbox(key="models-cell-vote_regressor").set_value((0, 2)).run()
    button = next(b for b in app.button if (b.help or "").replace("\\", "") == "tiny-00007")
    button.click().run()
    assert not app.exception and app.title[0].value == "Galaxy map" and app.query_params["galaxy"] == "tiny-00007"


def test_galaxies_of_older_metrics_are_asked_for(open_app, broken_root):
    classes = {key: value for key, value in vote_metrics()["classes"].items() if key != "confused"}
    write_model(broken_root, classes=classes)
    app = section(open_app(broken_root, PAGE), "fails")
    app.selectbox(key="models-cell-vote_regressor").set_value((0, 2)).run()
    assert not app.exception and "measure the model again to see them" in text_of(app)


def test_ids_alone_where_no_catalog_is_here(open_app, tmp_path):
    write_model(tmp_path)
    app = section(open_app(tmp_path, PAGE), "fails")
    app.selectbox(key="models-cell-vote_regressor").set_value((0, 2)).run()
    assert not app.exception and "tiny-00004\ntiny-00007" in [code.value for code in app.code]


def test_every_cell_of_the_matrix_can_be_clicked():
    figure = models_figures.confusion_figure(np.array(CONFUSION), ["a", "b", "c<b>"], "t", dark=True)
    heat, cells = figure.data
    assert heat.text[0][2] == "2" and heat.text[0][1] == "" and heat.z[0][2] == pytest.approx(100 * 2 / 22)
    for x, y, data in zip(cells.x, cells.y, cells.customdata.tolist(), strict=True):
        assert (y, x) == tuple(data) == models_confusion.clicked_cell({"selection": {"points": [{"customdata": data}]}})
    assert "&lt;b" in figure.layout.xaxis.ticktext[2] and models_confusion.clicked_cell(None) is None


@pytest.mark.parametrize(
    "change",
    [
        {"class_names": NAMES[:2]},
        {"confusion": [[1, 2], [3]]},
        *({"confusion": [[odd, 1, 1]] * 3} for odd in (None, -1, 2.0**60, 10**400, float("inf"))),
    ],
)
def test_a_matrix_that_is_not_whole_is_none(change):
    assert len(models_numbers.confusion_of(vote_metrics()["classes"] | change)[1]) == 0


def test_a_class_of_no_galaxy_has_no_recall_and_one_never_said_no_precision():
    classes = vote_metrics()["classes"] | {"confusion": [[20, 0, 2], [0, 0, 0], [1, 0, 30]]}
    classes |= {"recall": dict(zip(NAMES, (0.909, 0.0, 0.968), strict=True))}
    classes |= {"precision": dict(zip(NAMES, (0.952, 0.0, 0.938), strict=True))}
    classes |= {"n_by_class": dict(zip(NAMES, (22, 0, 31), strict=True))}
    table = models_numbers.class_table(classes).set_index("class")
    assert table.loc["cigar-shaped, smooth", ["recall", "95 %", "precision"]].tolist() == ["–", "", "–"]
    assert table.loc["spiral", ["recall", "precision"]].tolist() == ["96.8 %", "93.8 %"]
