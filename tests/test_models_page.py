"""The Models page as a whole: the shipped models, what comes first, names in any script, going back."""

from __future__ import annotations

import json

import pytest
from conftest import PROJECT
from models_stand_ins import PAGE, SECTIONS, charts, headings, section, table, text_of, vote_metrics, write_model

from galaxy_core import embedding
from galaxy_core.model_files import model_folders, read_model_files
from pages.views import page_address

SHIPPED = PROJECT / "artifacts" / "models" / "contrastive_denoiser"


@pytest.fixture(autouse=True)
def no_shipped_model(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(embedding, "_REPOSITORY_MODELS", tmp_path_factory.mktemp("none"))


def test_the_shipped_model(open_app, tmp_path, monkeypatch):
    if not SHIPPED.exists():
        pytest.skip("the shipped model is not here")
    monkeypatch.setattr(embedding, "_REPOSITORY_MODELS", SHIPPED.parent)
    app = open_app(tmp_path, PAGE)
    assert not app.exception and not app.error and not app.warning
    assert app.selectbox(key="models-model").options == sorted(model_folders(tmp_path))
    app.selectbox(key="models-model").set_value("contrastive_denoiser").run()
    metrics = json.loads((SHIPPED / "metrics.json").read_text())
    assert "Reliability" not in headings(app)
    section(app, "fails")
    assert headings(app) == ["Limits, from its card"] and "are often taken for edge-on" in text_of(app)
    recall = metrics["embedding"]["test"]["linear_probe"]["recall"]["cigar_smooth"]
    assert f"“cigar-shaped, smooth” is found least often: {100 * recall:.1f} % of its galaxies" in text_of(app)
    section(app, "numbers")
    assert [button.label for button in app.get("download_button")] == ["Download the metrics"]
    denoising = table(app, "strict SSIM")
    assert list(denoising.columns).index("strict SSIM") < list(denoising.columns).index("SSIM as published")
    row = denoising[(denoising["noise"] == "as published") & (denoising["method"] == "this model, noise estimated")]
    assert row["strict SSIM"].item() == metrics["denoising"]["noise_x1"]["model"]["strict_ssim"]
    assert f"{metrics['n_test']:,} test galaxies" in text_of(app) and "folder:gz_clean5" in text_of(app)
    section(app, "published")
    published = table(app, "theirs measured on")
    ours = published.set_index("metric").loc["silhouette, HDBSCAN with 3 clusters", "ours"]
    assert ours == f"{metrics['clusterings']['hdbscan']['fitted_space']['clustered']:.3g}"
    section(app, "learned")
    megabytes = (SHIPPED / "weights.safetensors").stat().st_size / 1e6
    assert f"{megabytes:.2f} MB" in text_of(app) and metrics["weights_sha256"] in text_of(app)
    phase = app.button_group(key="models-phase-contrastive_denoiser")
    assert phase.value == "denoise", "the one that took longest"
    phase.set_value("uncertainty").run()
    assert not app.exception and "uncertainty" in charts(app)[0].layout.title.text
    section(app, "card")
    assert [button.label for button in app.get("download_button")] == ["Download the card"]


def test_votes_and_classes(open_app, broken_root):
    wide = {"interval_width": {"conditional": 0.438, "cumulative": 0.133}, "coverage_90_asked_enough": 0.93}
    write_model(broken_root, votes=vote_metrics()["votes"] | wide)
    app = open_app(broken_root, PAGE)
    assert not app.exception and not app.error and not app.warning
    assert {m.label: m.value for m in app.metric}["Accuracy"] == "95.2 %"
    questions = app.selectbox(key="models-question")
    assert questions.options == ["Smooth, or with features or a disk?", "Anything odd?"], "in the order they are asked"
    questions.set_value("something-odd").run()
    assert "50 fractions of those who were asked, on 60 test galaxies of synthetic:90." in text_of(app)
    assert "error 0.0110" in text_of(app) or "error 0.011" in text_of(app)
    assert "right would be 90 %; they are 0.44 wide on average" in text_of(app)
    section(app, "numbers")
    assert "The intervals are 0.44 wide on average for those asked, 0.13 for all volunteers." in text_of(app)
    assert table(app, "recall")["recall"].tolist() == ["90.9 %", "100.0 %", "96.8 %"]
    assert table(app, "recall")["95 %"].tolist() == ["72.2 to 97.5", "70.1 to 100.0", "83.8 to 99.4"], "of so few"
    votes = table(app, "R2")
    assert votes["RMSE"].tolist() == [0.2, 0.3, 0.149, 0.2, 0.2]
    assert votes["prediction"][2] == "noise floor" and "the votes alone show 1.11 times its variance" in text_of(app)
    chance = table(app, "by chance, up to").set_index("question")["by chance, up to"]
    assert table(app, "by chance, up to").set_index("question")["fractions"]["Anything odd?"] == "50"
    assert chance["Anything odd?"] == "0.034" and "no sign that fractions are off" in text_of(app)
    section(app, "published")
    published = table(app, "theirs measured on").set_index(["system", "metric"])
    row = published.loc[("Laptop CNN (students)", "R2 over all 37 debiased columns together")]
    assert (row["published"], row["ours"]) == ("0.6049", "0.7") and row["ours measured on"].startswith("60 test")
    section(app, "learned")
    assert "python scripts/train.py vote_regressor synthetic:90 --seed 7" in text_of(app)
    for chart in app.get("plotly_chart"):
        assert "toImageButtonOptions" in chart.proto.config


def test_a_name_in_any_script(open_app, tmp_path):
    write_model(tmp_path, "Галактика *δ* `x`")
    write_model(tmp_path, "a_first")
    app = open_app(tmp_path, PAGE, model="Галактика *δ* `x`")
    assert not app.exception and not app.error and app.selectbox(key="models-model").value == "Галактика *δ* `x`"
    assert app.query_params["model"] in ("Галактика *δ* `x`", ["Галактика *δ* `x`"])
    app = open_app(tmp_path, PAGE, model="gone")
    assert not app.exception and "gone" in app.warning[0].value


def test_what_it_does_and_how_right_it_is_come_first(open_app, broken_root):
    cast = vote_metrics()["votes"] | {"reading": "cast", "n_test": 59, "model": {"rmse": 0.17}}
    write_model(broken_root, votes_as_cast=cast)
    app = open_app(broken_root, PAGE)
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
    assert f"{found['n_injected']:,} simulated sources put into {len(found['frames'])} real frames" in text_of(app)
    assert facts["Fainter found"] == "+0.08 mag", "the strictest first"
    assert "in windows nothing was chosen on; +0.63 mag in the frames that the sensitivity" in text_of(app)
    section(app, "fails")
    faint = table(app, "signal to noise").set_index("signal to noise")
    bins = found["purity_0.95"]["segmenter"]["completeness"]
    assert faint.loc["3 to 4", "this model"] == f"{100 * bins[2]['share']:.1f} %" and faint["objects"].sum() == 2181
    assert "at the sensitivity that is 95 % pure on these" in text_of(app)
    section(app, "numbers")
    searched = table(app, "gain")
    unseen = json.loads((SHIPPED.parent / "segmenter" / "metrics.json").read_text())["other_windows"]["purity_0.95"]
    assert searched["gain"][0] == f"{unseen['segmenter']['gain_mag']:+.2f} mag", "the strictest first"
    searched = searched[searched["measured in"].str.startswith("frames")].set_index(["purity asked", "search"])
    of_sep = found["purity_0.99"]["sep"]["high_snr_completeness"]
    assert searched.loc[("99.0 %", "SExtractor's search (sep)"), "found above S/N 10"] == f"{100 * of_sep:.1f} %"
    section(app, "learned")
    assert "3,808 training and 192 validation scenes of synthetic:4000." in text_of(app)
    assert "- **Scenes**: 3,808 training, 192 validation" in text_of(app)
    assert "unnamed catalog" not in text_of(app), "no catalog of galaxies was measured"
    section(app, "published")
    assert table(app, "theirs measured on")["task"][0] == "segmentation", "its own first, if without a counterpart"
    stars = json.loads((SHIPPED.parent / "star_galaxy" / "metrics.json").read_text())
    published = table(app, "theirs measured on").set_index(["task", "metric"])
    fresh = stars["fresh"]
    ours = fresh["methods"]["without labels"]["accuracy"]
    row = published.loc["stars or galaxies", "accuracy, without labels"]
    assert row["published"] == "88.9 %" and row["ours"] == f"{100 * ours:.3g} %", "of a model of another name"
    assert row["ours measured on"] == f"{fresh['n_test']:,} simulated test objects of {fresh['catalog']}", (
        "none in view"
    )
    app = open_app(tmp_path, PAGE, model="star_galaxy")
    assert {metric.label: metric.value for metric in app.metric}["Accuracy"] == f"{100 * ours:.1f} %"
    assert f"measured on {fresh['n_test']:,} test objects" in text_of(app).lower()
    assert "and nothing was decided on them" in text_of(app) and "Reliability" in headings(app)
    assert f"on {fresh['n_test']:,} test objects of {fresh['catalog']}" in text_of(app)
    trees = fresh["methods"]["trees on the whole catalogue"]["accuracy"]
    assert f"trees on all columns {100 * trees:.1f} %" in text_of(app)
    section(app, "fails")
    faint = table(app, "signal to noise").set_index("signal to noise")
    assert faint["objects"].sum() == fresh["n_test"] and faint.index[0].startswith("below")
    section(app, "numbers")
    told = table(app, "AUC")
    assert told["method"][0] == "this model, without labels" and told["objects"][0] == fresh["n_test"]
    views = told.loc[told["objects"] == stars["n_test"], "measured on"].unique().tolist()
    assert views == ["test objects, in view when some settings were decided"]
    section(app, "published")
    assert table(app, "theirs measured on")["task"].tolist()[:3] == ["stars or galaxies"] * 3, "its own first"
    section(app, "learned")
    assert "validation objects of star-galaxy:20000." in text_of(app)
    assert "A loss below zero is that of a probability density" in text_of(app)


@pytest.fixture
def sent(monkeypatch):
    """How often the browser was sent its address again, which a late answer may have overwritten."""
    again = []
    monkeypatch.setattr(page_address, "send_again", lambda: again.append(1))
    return again


def test_back_shows_the_model_before(open_app, tmp_path, sent):
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
    assert len(sent) == 2
    app.selectbox(key="models-model").set_value("c_third").run()
    assert app.query_params["model"] in ("c_third", ["c_third"])


def test_a_link_opens_a_section_and_back_the_one_before(open_app, tmp_path, sent):
    write_model(tmp_path)
    app = open_app(tmp_path, PAGE, **{"models-section": "card"})
    assert "What volunteers would say." in text_of(app) and not charts(app), "nothing else is drawn"
    section(app, "learned")
    assert app.query_params["models-section"] in ("learned", ["learned"]) and "How it learned" in headings(app)
    app.query_params["models-section"] = "card"  # as the browser's button does
    app.run()
    assert app.button_group(key="models-section").value == "card"
    del app.query_params["models-section"]
    app.run()
    assert app.button_group(key="models-section").value == SECTIONS[0] and app.metric and len(sent) == 2
    app = open_app(tmp_path, PAGE, **{"models-section": "gone"})
    assert not app.exception and app.button_group(key="models-section").value == SECTIONS[0]


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
