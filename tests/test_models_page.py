"""The Models page: the shipped model, none, files that are broken, cut, missing, or of other weights."""

from __future__ import annotations

import json
from shlex import quote

import numpy as np
import plotly.graph_objects as go
import pytest
from conftest import PROJECT
from models_stand_ins import CONFUSION, NAMES, history_lines, vote_metrics, write_model

from galaxy_core import embedding
from galaxy_core.model_files import model_folders, read_model_files
from pages.views import models_about, models_confusion, models_figures, models_numbers, models_panels, readers

PAGE = "pages/5_Models.py"
SHIPPED = PROJECT / "artifacts" / "models" / "contrastive_denoiser"
HEADINGS = (
    "How right it is",
    "What it takes for what",
    "Reliability",
    "All its numbers",
    "Published numbers beside ours",
    "How it learned",
    "Model card",
)


@pytest.fixture(autouse=True)
def no_shipped_model(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(embedding, "_REPOSITORY_MODELS", tmp_path_factory.mktemp("none"))


def text_of(app) -> str:
    kinds = (app.markdown, app.caption, app.info, app.error, app.subheader, app.warning, app.code)
    return " ".join(str(element.value).replace("\\", "") for kind in kinds for element in kind)


def headings(app) -> list[str]:
    return [element.value for element in app.subheader]


def table(app, column: str):
    values = [element.value for element in app.dataframe]
    values += [element.value.map(lambda text: text.replace("\\", "")) for element in app.table]
    return next(value for value in values if column in value)


def charts(app) -> list[go.Figure]:
    return [go.Figure(json.loads(element.proto.spec)) for element in app.get("plotly_chart")]


def test_the_shipped_model(open_app, tmp_path, monkeypatch):
    if not SHIPPED.exists():
        pytest.skip("the shipped model is not here")
    monkeypatch.setattr(embedding, "_REPOSITORY_MODELS", SHIPPED.parent)
    app = open_app(tmp_path, PAGE)
    assert not app.exception and not app.error and not app.warning
    assert app.selectbox(key="models-model").options == sorted(model_folders(tmp_path))
    app.selectbox(key="models-model").set_value("contrastive_denoiser").run()
    metrics = json.loads((SHIPPED / "metrics.json").read_text())
    denoising = table(app, "strict SSIM")
    assert list(denoising.columns).index("strict SSIM") < list(denoising.columns).index("SSIM as published")
    row = denoising[(denoising["noise"] == "as published") & (denoising["method"] == "this model, noise estimated")]
    assert row["strict SSIM"].item() == metrics["denoising"]["noise_x1"]["model"]["strict_ssim"]
    assert f"{metrics['n_test']:,} test galaxies" in text_of(app) and "folder:gz_clean5" in text_of(app)
    published = table(app, "theirs measured on")
    ours = published.set_index("metric").loc["silhouette, HDBSCAN with 3 clusters", "ours"]
    assert ours == f"{metrics['clusterings']['hdbscan']['fitted_space']['clustered']:.3g}"
    megabytes = (SHIPPED / "weights.safetensors").stat().st_size / 1e6
    assert f"{megabytes:.2f} MB" in text_of(app) and metrics["weights_sha256"] in text_of(app)
    assert [button.label for button in app.get("download_button")] == ["Download the card", "Download the metrics"]
    assert "What it takes for what" not in headings(app) and "Reliability" not in headings(app)
    phase = app.button_group(key="models-phase-contrastive_denoiser")
    assert phase.value == "denoise", "the one that took longest"
    phase.set_value("uncertainty").run()
    assert not app.exception and "uncertainty" in charts(app)[0].layout.title.text


def test_without_a_model_one_sentence_with_the_command(open_app, tmp_path):
    app = open_app(tmp_path, PAGE)
    assert not app.exception and len(app.error) == 1
    command = f"python scripts/train.py contrastive_denoiser LAYOUT:PATH --artifacts {quote(str(tmp_path))}"
    assert command in app.error[0].value


def test_votes_and_classes(open_app, broken_root):
    write_model(broken_root)
    app = open_app(broken_root, PAGE)
    assert not app.exception and not app.error and not app.warning
    assert [heading for heading in HEADINGS if heading not in headings(app)] == []
    assert {m.label: m.value for m in app.metric}["Accuracy"] == "95.2 %"
    assert table(app, "recall")["recall"].tolist() == ["90.9 %", "100.0 %", "96.8 %"]
    assert table(app, "recall")["95 %"].tolist() == ["72.2 to 97.5", "70.1 to 100.0", "83.8 to 99.4"], "of so few"
    votes = table(app, "R2")
    assert votes["RMSE"].tolist() == [0.2, 0.3, 0.149, 0.2, 0.2]
    assert votes["prediction"][2] == "noise floor" and "the votes alone show 1.11 times its variance" in text_of(app)
    chance = table(app, "by chance, up to").set_index("question")["by chance, up to"]
    assert table(app, "by chance, up to").set_index("question")["fractions"]["Anything odd?"] == "50"
    assert chance["Anything odd?"] == "0.034" and "no sign that fractions are off" in text_of(app)
    questions = app.selectbox(key="models-question")
    assert questions.options == ["Smooth, or with features or a disk?", "Anything odd?"], "in the order they are asked"
    questions.set_value("something-odd").run()
    assert "50 fractions of those who were asked, on 60 test galaxies of synthetic:90." in text_of(app)
    assert "error 0.0110" in text_of(app) or "error 0.011" in text_of(app)
    published = table(app, "theirs measured on").set_index(["system", "metric"])
    row = published.loc[("Laptop CNN (students)", "R2 over all 37 debiased columns together")]
    assert (row["published"], row["ours"]) == ("0.6049", "0.7") and row["ours measured on"].startswith("60 test")
    assert "python scripts/train.py vote_regressor synthetic:90 --seed 7" in text_of(app)
    for chart in app.get("plotly_chart"):
        assert "toImageButtonOptions" in chart.proto.config


def test_a_cell_opens_its_galaxies(open_app, broken_root):
    write_model(broken_root)
    app = open_app(broken_root, PAGE)
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
    app = open_app(broken_root, PAGE)
    app.selectbox(key="models-cell-vote_regressor").set_value((0, 2)).run()
    assert not app.exception and "measure the model again to see them" in text_of(app)


def test_ids_alone_where_no_catalog_is_here(open_app, tmp_path):
    write_model(tmp_path)
    app = open_app(tmp_path, PAGE)
    app.selectbox(key="models-cell-vote_regressor").set_value((0, 2)).run()
    assert not app.exception and "tiny-00004\ntiny-00007" in [code.value for code in app.code]


@pytest.mark.parametrize("file", ["config.json", "metrics.json"])
@pytest.mark.parametrize("content", ["{", "[]", '"text"', "\ufeff", "[" * 5000, b"\xff\xfe\x00"])
def test_a_corrupt_file_is_named_and_the_rest_is_shown(open_app, tmp_path, file, content):
    folder = write_model(tmp_path)
    (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    app = open_app(tmp_path, PAGE)
    assert not app.exception and len(app.error) == 1
    assert file in text_of(app) and "\n" not in app.error[0].value
    assert "How it learned" in headings(app) and "Model card" in headings(app)
    assert ("All its numbers" in headings(app)) == (file != "metrics.json")


def test_weights_that_are_damaged_or_gone(open_app, tmp_path):
    folder = write_model(tmp_path)
    (folder / "weights.safetensors").write_bytes(b"other")
    app = open_app(tmp_path, PAGE)
    assert len(app.error) == 1 and "weights.safetensors is damaged" in text_of(app)
    for file in ("weights.safetensors", "card.md", "history.jsonl", "metrics.json"):
        (folder / file).unlink()
        app.run()
        assert not app.exception and not app.error and file in text_of(app)
    assert "scripts/evaluate.py vote_regressor" in app.info[0].value
    (folder / "config.json").unlink()
    app.run()
    assert not app.exception and len(app.error) == 1, "then there is no model"


def test_a_history_cut_in_the_middle_of_a_line(open_app, tmp_path):
    folder = write_model(tmp_path)
    lines = history_lines()
    (folder / "history.jsonl").write_text("\n".join(lines)[:-40])
    app = open_app(tmp_path, PAGE)
    assert len(app.error) == 1 and "history.jsonl ends in the middle of line 12" in text_of(app)
    app.button_group(key="models-phase-vote_regressor").set_value("whole").run()
    assert "5 passes in 12.5 seconds" in text_of(app)
    (folder / "history.jsonl").write_text("\n".join([lines[0], "{", "3", *lines[1:]]) + "\n")
    app.run()
    assert len(app.error) == 1 and "2 lines, the first is line 2" in app.error[0].value and len(charts(app)) >= 2


def test_metrics_of_other_weights_are_flagged_and_not_ours(open_app, tmp_path):
    folder = write_model(tmp_path, weights_sha256="0" * 64)
    app = open_app(tmp_path, PAGE)
    numbers, card = app.warning
    assert (
        "measured on other weights" in numbers.value.replace("\\", "")
        and "This card was written of other weights" in card.value
    )
    assert readers.model_card(tmp_path, "vote_regressor") == ""
    assert set(table(app, "theirs measured on")["ours"]) == {""}
    metrics = vote_metrics()
    (folder / "metrics.json").write_text(json.dumps(metrics))
    app.run()
    assert len(app.warning) == 1 and "does not say on which weights" in app.warning[0].value.replace("\\", "")
    assert readers.model_card(tmp_path, "vote_regressor") == (folder / "card.md").read_text() != ""


def test_a_name_in_any_script(open_app, tmp_path):
    write_model(tmp_path, "Галактика *δ* `x`")
    write_model(tmp_path, "a_first")
    app = open_app(tmp_path, PAGE, model="Галактика *δ* `x`")
    assert not app.exception and not app.error and app.selectbox(key="models-model").value == "Галактика *δ* `x`"
    assert app.query_params["model"] in ("Галактика *δ* `x`", ["Галактика *δ* `x`"])
    app = open_app(tmp_path, PAGE, model="gone")
    assert not app.exception and "gone" in app.warning[0].value


@pytest.mark.parametrize("odd", [3, [], "x", None, {"a": [1]}, {"form": 3, "model": [], "reliability": {"bar": 3}}])
def test_metrics_of_another_form_leave_panels_out(open_app, tmp_path, odd):
    write_model(
        tmp_path, classes=odd, votes=odd, denoising=odd, embedding=odd, definitions=odd, n_test="many", catalog=7
    )
    app = open_app(tmp_path, PAGE)
    assert not app.exception and not app.error and "Reliability" not in headings(app)
    assert set(table(app, "theirs measured on")["ours"]) == {""}


def test_an_odd_configuration(open_app, tmp_path):
    folder = write_model(tmp_path)
    for odd in ({"about": {"catalogs": 3, "then": 4, "recipe": [], "training": "x"}, "model": None}, {"about": []}):
        (folder / "config.json").write_text(json.dumps(odd))
        app = open_app(tmp_path, PAGE)
        assert not app.exception and not app.error


def test_what_it_does_and_how_right_it_is_come_first(open_app, broken_root):
    cast = vote_metrics()["votes"] | {"reading": "cast", "n_test": 59, "model": {"rmse": 0.17}}
    write_model(broken_root, votes_as_cast=cast)
    app = open_app(broken_root, PAGE)
    assert [heading for heading in headings(app) if heading in HEADINGS] == list(HEADINGS), "in this order"
    assert "what volunteers of Galaxy Zoo would answer" in app.markdown[0].value
    facts = {metric.label: metric.value for metric in app.metric}
    assert facts["Accuracy"] == "95.2 %" and facts["Error of a vote fraction"] == "0.170", (
        "votes as cast, which page 3 shows"
    )
    assert facts["In the 90 % intervals"] == "90.0 %"
    assert "95 %: 86.0 to 98.0; largest class alone 50.0 %" in text_of(app)
    assert "mean training galaxy 0.300; noise floor 0.149" in text_of(app)
    assert "Votes as cast on 59 test galaxies of synthetic:90. The network learned from none of them." in text_of(app)
    assert app.button_group(key="models-votes").value == "votes_as_cast"


def test_shipped_models_of_frames_have_their_numbers(open_app, tmp_path, monkeypatch):
    if not SHIPPED.exists():
        pytest.skip("the shipped models are not here")
    monkeypatch.setattr(embedding, "_REPOSITORY_MODELS", SHIPPED.parent)
    found = json.loads((SHIPPED.parent / "segmenter" / "metrics.json").read_text())["injection"]
    app = open_app(tmp_path, PAGE, model="segmenter")
    assert not app.exception and not app.error
    facts = {metric.label: metric.value for metric in app.metric}
    assert facts["Fainter found"] == f"{found['purity_0.95']['segmenter']['gain_mag']:+.2f} mag"
    searched = table(app, "gain").set_index(["purity asked", "search"])
    of_sep = found["purity_0.99"]["sep"]["high_snr_completeness"]
    assert searched.loc[("99.0 %", "SExtractor's search (sep)"), "found above S/N 10"] == f"{100 * of_sep:.1f} %"
    assert f"{found['n_injected']:,} simulated sources put into {len(found['frames'])} real frames" in text_of(app)
    assert "unnamed catalog" not in text_of(app), "no catalog of galaxies was measured"
    assert table(app, "theirs measured on")["task"][0] == "segmentation", "its own first, if without a counterpart"
    stars = json.loads((SHIPPED.parent / "star_galaxy" / "metrics.json").read_text())
    published = table(app, "theirs measured on").set_index(["task", "metric"])
    fresh = stars["fresh"]
    ours = fresh["methods"]["without labels"]["accuracy"]
    row = published.loc["stars or galaxies", "accuracy, without labels"]
    assert row["ours"] == f"{ours:.3g}", "of a model of another name"
    assert row["ours measured on"].startswith(f"{fresh['n_test']:,} simulated test objects"), "not those in view"
    app = open_app(tmp_path, PAGE, model="star_galaxy")
    assert {metric.label: metric.value for metric in app.metric}["Accuracy"] == f"{100 * ours:.1f} %"
    assert f"measured on {fresh['n_test']:,} test objects" in text_of(app).lower()
    assert "and nothing was decided on them" in text_of(app)
    told = table(app, "AUC")
    assert told["method"][0] == "this model, without labels" and told["objects"][0] == fresh["n_test"]
    views = told.loc[told["objects"] == stars["n_test"], "measured on"].unique().tolist()
    assert views == ["test objects, in view when some settings were decided"]
    trees = fresh["methods"]["trees on the whole catalogue"]["accuracy"]
    assert f"trees on all columns {100 * trees:.1f} %" in text_of(app)
    assert table(app, "theirs measured on")["task"].tolist()[:3] == ["stars or galaxies"] * 3, "its own first"
    assert "A loss below zero is that of a probability density" in text_of(app)


def test_back_shows_the_model_before(open_app, tmp_path):
    for name in ("a_first", "b_second", "c_third"):
        write_model(tmp_path, name)
    app = open_app(tmp_path, PAGE)
    for name in ("b_second", "c_third"):
        app.selectbox(key="models-model").set_value(name).run()
    app.query_params["model"] = "b_second"  # as the browser's button does
    app.run()
    assert app.selectbox(key="models-model").value == "b_second"
    del app.query_params["model"]
    app.run()
    assert app.selectbox(key="models-model").value == "a_first" and "model" not in app.query_params
    app.selectbox(key="models-model").set_value("c_third").run()
    assert app.query_params["model"] in ("c_third", ["c_third"])


# ---------------------------------------------------------------- pure functions


def test_phases_best_pass_and_curves():
    phases = models_numbers.phases_of(tuple(json.loads(line) for line in history_lines()))
    assert list(phases) == ["heads", "whole"] and models_numbers.best_pass(phases["heads"]) == 4
    learned, how = models_numbers.curves_of(phases["heads"])
    assert {unit: [(c.name, c.training) for c in curves] for unit, curves in learned.items()} == {
        "loss": [("loss", False), ("loss", True)],
        "parts of the loss": [("class", False), ("class", True)],  # what is 0 all along is no curve
        "measures": [("accuracy", False)],
    }
    assert list(how) == ["learning rate", "galaxies per second"]
    figure = models_figures.curves_figure(learned, 4, "t", dark=True, n_rows=5)
    assert [trace.line.dash for trace in figure.data[:5]] == ["solid", "dash", "solid", "dash", "solid"]
    legend = {trace.name: trace.line.dash for trace in figure.data[5:]}
    assert legend == {"validation": "solid", "training": "dash"} and figure.layout.showlegend
    assert figure.layout.xaxis.dtick == 1 and figure.layout.height == 150 + 5 * models_figures.ROW_PX
    pace = models_figures.curves_figure(how, 4, "t", dark=True, from_zero=True)
    assert {pace.layout.yaxis.type, pace.layout.yaxis2.type} == {"linear"}, "a rate that falls to 1e-8 is nothing"
    assert pace.layout.yaxis.rangemode == "tozero" and not pace.layout.showlegend and len(pace.data) == 2
    assert figure.layout.yaxis.type == "log" and {shape.x0 for shape in figure.layout.shapes} == {4}
    again = [*phases["heads"], *phases["heads"][:2]]
    assert len(models_numbers.phases_of(tuple(again))["heads"]) == 2, "of a phase trained anew, the last run"
    assert models_numbers.phases_of(({"phase": "a"}, {"epoch": "x"})) == {}
    assert models_numbers.best_pass([{"epoch": 0}]) is None


def test_an_axis_is_linear_where_a_value_is_not_positive():
    curves = [models_figures.Curve("loss", np.arange(3), np.array([1.0, -1.0, 0.5]))]
    assert models_figures.curves_figure({"loss": curves}, None, "t", dark=False).layout.yaxis.type == "linear"


def test_reliability_has_counts_and_the_diagonal():
    curves = models_panels.reliability_curves(vote_metrics()["votes"])
    expected, observed, n, error = curves["something-odd"]
    figure = models_figures.reliability_figure(expected, observed, n, "t", dark=True)
    diagonal, measured, bars = figure.data
    assert list(diagonal.x) == list(diagonal.y) == [0, 100] and error == 0.011
    assert list(measured.x) == [5.0, 90.0] and list(measured.y) == [4.0, 95.0] and list(bars.y) == [40, 0, 10]


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


def test_commands_name_every_run():
    about = {
        "recipe": "r",
        "catalogs": ["folder:my galaxies"],
        "then": [{"recipe": "r", "catalogs": [], "phases": ["b"]}],
    }
    first, second = models_about.commands_of(about)
    assert first == "python scripts/train.py r 'folder:my galaxies'"
    assert second == "python scripts/train.py r --phases b --start-from MODEL"
    begun = {"recipe": "r", "catalogs": [], "started_from": {"model": "resnet", "folder": "moco"}}
    assert models_about.commands_of(begun) == ["python scripts/train.py r --start-from artifacts/models/moco"]
    del begun["started_from"]["folder"]  # a network's name is no folder
    assert models_about.commands_of(begun) == ["python scripts/train.py r --start-from MODEL"]


def test_why_losses_of_votes_lie_apart_is_said_where_they_do():
    about = {"n_train": 100, "n_train_with_votes": 5, "training": {"vote_repeats": 6, "taught_by": ""}}
    assert "in training these come 6 times as often" in models_about.apart_sentence(about)
    taught = about | {"training": {"vote_repeats": 6, "taught_by": "vote_regressor"}}
    assert "in training another model tells the votes of all others, too" in models_about.apart_sentence(taught)
    for alike in ({"training": {"vote_repeats": 1}}, {"n_train_with_votes": 100}, {"n_train": None}, {"training": 3}):
        assert models_about.apart_sentence(about | alike) == ""


def test_models_here_come_before_those_shipped(tmp_path, monkeypatch):
    write_model(tmp_path / "shipped", "same")
    write_model(tmp_path / "shipped", "other")
    write_model(tmp_path / "here", "same")
    (tmp_path / "here" / "models" / ".hidden").mkdir()
    (tmp_path / "here" / "models" / "empty").mkdir()
    monkeypatch.setattr(embedding, "_REPOSITORY_MODELS", tmp_path / "shipped" / "models")
    folders = model_folders(tmp_path / "here")
    assert list(folders) == ["other", "same"] and folders["same"].parent.parent.name == "here"
    files = read_model_files(folders["same"])
    assert files.kind == "vote_regressor" and files.measured == "these" and not files.problems and not files.missing
