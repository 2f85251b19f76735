"""The curve of few labels on the Models page: with results, without, with broken ones, with several sets of classes."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from models_stand_ins import every_section, section, write_model
from sklearn.metrics import f1_score

from galaxy_core import embedding
from galaxy_core.label_efficiency import summarise
from pages.views import models_label_curve, models_label_figure

PAGE = "pages/5_Models.py"
FIVE = ["round_smooth", "in_between_smooth", "cigar_smooth", "edge_on", "spiral"]


@pytest.fixture(autouse=True)
def no_shipped_model(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(embedding, "_REPOSITORY_MODELS", tmp_path_factory.mktemp("none"))


def results() -> list[dict]:
    rows = []
    for model, way, base in (("cae", "frozen", 0.7), ("cae", "fine_tuned", 0.8), ("random weights", "scratch", 0.6)):
        for share, n_labels in ((0.01, 20), (0.1, 200), (1.0, 2000)):
            for seed in range(1 if way == "fine_tuned" else 3):
                accuracy = base + n_labels / 20_000 + seed / 100
                row = {"model": model, "way": way, "share": share, "seed": seed, "n_labels": n_labels, "n_test": 250}
                rows.append(row | {"accuracy": accuracy, "macro_f1": accuracy - 0.2})
    return rows


def write(root: Path, name: str = "few_labels.json", **changes) -> Path:
    record = {"schema": 1, "catalog": "synthetic:9000", "class_names": FIVE, "n_train": 2000, "n_test": 250}
    path = root / "models" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record | {"results": results()} | changes))
    return path


def said(app) -> str:
    return " ".join(str(element.value).replace("\\", "") for kind in (app.caption, app.error) for element in kind)


def curve(app) -> go.Figure | None:
    figures = [go.Figure(json.loads(element.proto.spec)) for element in app.get("plotly_chart")]
    return next((figure for figure in figures if "training labels" in str(figure.layout.xaxis.title.text)), None)


def test_the_curve(open_app, tmp_path):
    write_model(tmp_path)
    write(tmp_path, models={"cae": {"passes": 6}, "moco": {}}, config={"training": {"input_px": 96}})
    app = section(open_app(tmp_path, PAGE), "labels")
    assert not app.exception and not app.error
    assert "in which encoders learned: cae 6. Encoders that take any size are trained at 96 pixels." in said(app)
    figure = curve(app)
    assert (
        figure.layout.title.text == "Accuracy on 250 test galaxies of synthetic:9000"
        and figure.layout.xaxis.type == "log"
    )
    assert [trace.name for trace in figure.data] == ["cae, frozen", "cae, fine-tuned", "from scratch"]
    assert "250 test galaxies of synthetic:9000" in said(app) and "1 to 3 draws" in said(app)
    assert "75 to 80 %" in said(app) and "another task" in said(app)
    table = next(element.value for element in app.dataframe if "draws" in element.value)
    assert table["draws"].tolist() == [3, 3, 3, 1, 1, 1, 3, 3, 3] and table["accuracy"].iloc[0] == "71.1 %"
    chart = next(element for element in app.get("plotly_chart") if "training labels" in element.proto.spec)
    assert "few_labels-accuracy" in chart.proto.config
    assert "The largest class alone" not in said(app)  # where that is not recorded
    app.button_group(key="models-measure").set_value("macro_f1").run()
    assert not app.exception and curve(app).layout.title.text.startswith("Macro-F1 on")
    write(tmp_path, n_by_class=dict(zip(FIVE, (100, 50, 50, 25, 25), strict=True)))
    truth = np.repeat(range(5), (100, 50, 50, 25, 25))
    macro_f1 = f1_score(truth, np.zeros(250), average="macro", zero_division=0)
    words = f"The largest class alone, said of every galaxy: accuracy 40.0 %, macro-F1 {100 * macro_f1:.1f} %."
    assert words in said(app.run())
    encoded = curve(app).data[0].y  # as the browser gets it
    values = np.frombuffer(base64.b64decode(encoded["bdata"]), encoded["dtype"])
    assert values == pytest.approx([51.1, 52.0, 61.0])


def test_an_autoencoder_is_told_beside_principal_components(open_app, tmp_path):
    errors = {"rmse": 0.03, "foreground_rmse": 0.06, "explained": 0.9}
    redrawn = {"model": errors, "pca": errors | {"rmse": 0.04}, "mean_image": errors | {"explained": 0.0}}
    write_model(tmp_path, reconstruction=redrawn | {"n_galaxies": 250, "code_size": 128, "n_components": 90})
    app = section(open_app(tmp_path, PAGE), "numbers")
    table = next(element.value for element in app.dataframe if "redrawn from" in element.value)
    assert table["error"].tolist() == [0.03, 0.04, 0.03] and table["explained"].tolist()[::2] == ["90.0 %", "0.0 %"]
    assert table["redrawn from"].tolist()[1] == "90 principal components" and not app.exception
    write_model(tmp_path / "odd", reconstruction={"model": 3, "code_size": []})
    every_section(open_app(tmp_path / "odd", PAGE))


def test_without_results_one_sentence_with_the_command(open_app, tmp_path):
    write_model(tmp_path)
    app = section(open_app(tmp_path, PAGE), "labels")
    assert not app.exception and not app.error and curve(app) is None
    path = tmp_path / "models" / "few_labels.json"
    command = f"python scripts/evaluate.py few_labels LAYOUT:PATH --models contrastive_denoiser --json {path}"
    assert said(app).count(command) == 1


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe\x00", b'{"schema": 9}', b'{"schema": 1, "results": [{}]}'])
def test_broken_results_are_one_sentence_and_the_page_goes_on(open_app, tmp_path, content):
    write_model(tmp_path)
    write(tmp_path).write_bytes(content)
    app = section(open_app(tmp_path, PAGE), "labels")
    assert not app.exception and len(app.error) == 1 and "few_labels.json" in said(app)
    assert "\n" not in app.error[0].value and curve(app) is None
    every_section(app)


def test_two_sets_of_classes_and_one_that_is_broken(open_app, tmp_path):
    write_model(tmp_path)
    write(tmp_path)
    four = ["cigar_smooth+edge_on", *FIVE[:2], "spiral"]
    write(tmp_path, "few_labels_4_classes.json", class_names=four, n_test=240)
    write(tmp_path, "few_labels_x.json").write_text("{")
    app = section(open_app(tmp_path, PAGE), "labels")
    assert not app.exception and len(app.error) == 1 and "few_labels_x.json" in said(app)
    choice = app.selectbox(key="models-labels")
    assert choice.options[1].startswith("4 classes: cigar") and " or " in choice.options[1]
    write(tmp_path, "few_labels_96_px.json", config={"training": {"input_px": 96}})
    app = section(open_app(tmp_path, PAGE), "labels")
    choice = app.selectbox(key="models-labels")
    assert f"Trained at 96 pixels; {choice.options[0]}" in choice.options
    choice.set_value("few_labels_4_classes.json").run()
    assert "240 test galaxies" in curve(app).layout.title.text and "four classes, too" in said(app)


def test_published_numbers_have_ours_with_few_labels_beside_them(open_app, tmp_path):
    write_model(tmp_path)
    rows = [row | {"model": "contrastive_denoiser"} for row in results() if row["way"] == "frozen"]
    rows += [row | {"way": "fine_tuned"} for row in rows]
    write(tmp_path, "few_labels_96_px.json", results=rows)
    four = ["cigar_smooth+edge_on", *FIVE[:2], "spiral"]
    write(tmp_path, "few_labels_4_classes.json", class_names=four, n_test=240, results=rows)

    def ours() -> dict[str, tuple[str, str]]:
        app = section(open_app(tmp_path, PAGE), "published")
        table = next(element.value for element in app.table if "published" in element.value)
        assert not app.exception
        return {
            row["metric"]: (row["ours"], row["ours measured on"])
            for row in table.map(lambda text: text.replace("\\", "")).to_dict("records")
            if "labels" in row["metric"]
        }

    told = ours()
    assert told["accuracy, few labels"] == ("71.1 %", "240 test galaxies of synthetic:9000")
    assert told["accuracy, 10 % of the labels"] == ("0.72", "250 test galaxies of synthetic:9000")
    write(tmp_path, "few_labels_4_classes.json").write_text("{")
    assert ours()["accuracy, few labels"] == ("", "") and ours()["accuracy, 10 % of the labels"][0] == "0.72"


@pytest.mark.parametrize("dark", [True, False])
def test_one_seed_is_hollow_and_has_no_bar(dark):
    lines = models_label_curve.lines_of(tuple(summarise(results())))
    figure = models_label_figure.label_figure(lines, "accuracy", "t", dark)
    frozen, tuned, scratch = figure.data
    assert frozen.line.color == tuned.line.color != scratch.line.color
    assert len({trace.line.dash for trace in figure.data}) == 3, "a way is told without colour"
    assert set(tuned.marker.symbol) == {"square-open"} and set(frozen.marker.symbol) == {"circle"}
    assert np.isnan(tuned.error_y.array).all() and all(frozen.error_y.array > 0) and "no interval" in tuned.text[0]
    assert list(frozen.x) == [20, 200, 2000] and list(figure.layout.xaxis.ticktext) == ["20", "200", "2,000"]
    upper = frozen.y + frozen.error_y.array
    point = next(p for p in summarise(results()) if p.way == "frozen")
    assert upper[0] == pytest.approx(100 * point.accuracy_interval[1])


def test_a_single_point():
    points = tuple(summarise([results()[0] | {"model": "Γαλαξίας<b>"}]))
    figure = models_label_figure.label_figure(models_label_curve.lines_of(points), "macro_f1", "t", dark=True)
    assert "&lt;b&gt;" in figure.data[0].name and np.diff(figure.layout.xaxis.range) > 0
