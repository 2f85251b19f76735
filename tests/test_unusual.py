"""The panel of unusual galaxies: what an answer does to the batch, the list and the database; and the benchmark."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from conftest import PROJECT, make_catalog
from streamlit.testing.v1 import AppTest

from galaxy_core import active, artifacts, tags
from galaxy_core.errors import ArtifactError
from galaxy_core.tags import INTERESTING, NOT_INTERESTING
from pages.views import readers, unusual_answers, unusual_list
from scripts.benchmarks import unusual as benchmark

N = 300


def panel(root: str) -> None:
    """A page with the panel, in fragments named as on the map's page."""
    from pathlib import Path

    import streamlit as st

    from pages.views import readers, selection, unusual

    galaxies = readers.open_catalog(Path(root), "tiny")

    @st.fragment(key="card")
    def marks():
        rows = selection.selected_rows(galaxies)
        st.markdown(f"selected {None if rows is None else len(rows)}: {selection.describe(galaxies)}")

    @st.fragment(key="below")
    def below():
        unusual.draw_unusual(galaxies, lambda galaxies, row: st.session_state.update(opened=row))

    marks()
    below()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("artifacts")
    make_catalog(root, n=N)
    return root


@pytest.fixture
def path(folder):
    path = artifacts.tags_path(folder, "tiny")
    yield path
    for file in folder.glob("tiny.tags.sqlite*"):
        file.unlink()


@pytest.fixture
def tiny(folder):
    return readers.open_catalog(folder, "tiny")


@pytest.fixture
def open_panel(folder, path):
    return lambda: AppTest.from_function(panel, default_timeout=120, args=(str(folder),)).run()


def shown(app: AppTest) -> list[int]:
    assert not app.exception
    prefix = "unusual-open-"
    return [int(button.key.removeprefix(prefix)) for button in app.button if (button.key or "").startswith(prefix)]


def text(app: AppTest) -> str:
    assert not app.exception
    return "\n".join(str(e.value) for kind in (app.markdown, app.caption, app.error, app.info) for e in kind)


def press(app: AppTest, key: str) -> AppTest:
    return app.button(key=f"unusual-{key}").click().run()


# ---------------------------------------------------------------- answers


def test_it_begins_with_the_most_unusual_and_opens_one(open_panel, tiny, path):
    app = open_panel()
    assert shown(app) == np.argsort(-tiny.anomaly, kind="stable")[:12].tolist()
    assert "Which of these are interesting?" in text(app) and not path.exists()
    row = shown(app)[3]
    press(app, f"open-{row}")
    assert app.session_state["opened"] == row


def test_an_answer_is_kept_and_marked_and_the_batch_stays(open_panel, path, tiny):
    app = open_panel()
    batch = shown(app)
    press(app, f"no-{batch[0]}")
    assert shown(app) == batch and "1 not interesting, none interesting yet" in text(app)
    assert tags.galaxies_with(path, NOT_INTERESTING).tolist() == [tiny.ids[batch[0]]]
    assert app.button(key="unusual-none").label == "None of the other 11 is interesting"
    assert (
        "None of the 12" in open_panel().button(key="unusual-none").label
    )  # another visitor begins a batch of their own
    press(app, "none")
    assert not set(shown(app)) & set(batch) and len(tags.galaxies_with(path, NOT_INTERESTING)) == 12


def test_the_first_interesting_ones_bring_what_is_like_them(open_panel, path, tiny):
    app, kinds = open_panel(), np.arange(N) % 3
    for _ in range(6):
        batch = shown(app)
        wanted = [row for row in batch if kinds[row] == 2]
        press(app, f"yes-{wanted[0]}" if wanted else "none")
    assert "interesting" in text(app)
    assert len(tags.galaxies_with(path, INTERESTING)) >= 4
    assert np.mean(kinds[shown(app)] == 2) > 0.7  # a third by chance


def test_the_list_learns_however_the_tag_was_first_written(open_panel, path, tiny):
    tags.tag_galaxies(path, "Interesting", [tiny.ids[7]], "ann")
    app = open_panel()
    before = text(app)
    press(app, f"yes-{shown(app)[0]}")
    scores = active.rank_galaxies(
        active.make_space(readers.embedding(tiny)), tiny.anomaly, *unusual_answers.answers(tiny)
    )
    assert "2 interesting" in text(app) and text(app) != before
    assert shown(app)[0] == max(set(range(N)) - set(unusual_answers.answers(tiny)[0]), key=lambda row: scores[row])


def test_a_batch_stays_once_enough_is_known(open_panel, path, tiny):
    tags.tag_galaxies(path, INTERESTING, tiny.ids[: active.N_EAGER], "ann")
    app = open_panel()
    batch = shown(app)
    assert not set(batch) & set(range(active.N_EAGER))
    press(app, f"yes-{batch[1]}")
    assert shown(app) == batch


def test_a_changed_mind_undo_and_starting_over(open_panel, path, tiny):
    app = open_panel()
    row = shown(app)[0]
    press(app, f"no-{row}")
    press(app, f"yes-{row}")
    assert tags.count_tags(path) == {INTERESTING: 1}
    press(app, "undo")
    assert tags.count_tags(path) == {NOT_INTERESTING: 1} and shown(app)[0] == row
    press(app, "undo")
    press(app, "undo")
    assert "There is nothing to undo" in text(app) and tags.count_tags(path) == {}
    tags.tag_galaxies(path, "ring", tiny.ids[:2], "ann")
    press(app, f"no-{row}")
    press(app, "restart")
    assert tags.count_tags(path) == {"ring": 2} and "Which of these are interesting?" in text(app)
    press(app, "undo")
    assert tags.count_tags(path) == {"ring": 2, NOT_INTERESTING: 1}


def test_everything_answered(open_panel, path, tiny):
    tags.tag_galaxies(path, NOT_INTERESTING, tiny.ids, "ann")
    app = open_panel()
    assert "Every galaxy has an answer" in text(app) and app.button(key="unusual-none").disabled


# ---------------------------------------------------------------- any tag


def learn(app: AppTest, tag: str) -> AppTest:
    return app.selectbox(key="unusual-learn-tiny").set_value(tag).run()


def test_any_tag_can_be_learned(open_panel, path, tiny):
    kinds = np.arange(N) % 3
    tags.tag_galaxies(path, "ring", tiny.ids[np.flatnonzero(kinds == 2)[:12]], "ann")
    app = learn(open_panel(), "ring")
    assert "12 tagged “ring”, 0 refused" in text(app).replace("\\", "")
    assert "Judged on 12 tagged galaxies and" in text(app) and "of such pairs are in the right order" in text(app)
    batch = shown(app)
    assert np.mean(kinds[batch] == 2) > 0.7 and not set(batch) & set(np.flatnonzero(kinds == 2)[:12].tolist())
    press(app, f"no-{batch[0]}")
    press(app, f"yes-{batch[1]}")
    assert tags.count_tags(path) == {"ring": 13, "not ring": 1}
    app.number_input(key="unusual-top").set_value(30)  # and clicked before the button says so
    press(app, "select-top")
    assert "selected 30: most likely “ring”, top 30 by what 13 that are and 1 that are not taught" in text(app.run())


def test_interesting_and_a_tag_are_learned_apart(open_panel, path, tiny):
    tags.tag_galaxies(path, "ring", tiny.ids[:3], "ann")
    app = open_panel()
    first = shown(app)
    press(app, f"no-{first[0]}")
    app = learn(app, "ring")
    assert app.button(key="unusual-none").label.startswith("None of the 12 is “ring”")
    press(app, "none")
    assert tags.count_tags(path) == {NOT_INTERESTING: 1, "ring": 3, "not ring": 12}
    press(app, "restart")
    assert tags.count_tags(path) == {NOT_INTERESTING: 1, "ring": 3}  # a tag is never taken by starting over
    press(app, "undo")
    assert tags.count_tags(path)["not ring"] == 12
    learn(app, INTERESTING)
    assert shown(app) == first and "1 not interesting" in text(app)


def test_refusals_are_no_tags_to_choose(open_panel, path, tiny):
    for tag in ("ring", "not ring", "not sure", INTERESTING):
        tags.tag_galaxies(path, tag, tiny.ids[:2] if tag == "ring" else tiny.ids[4:6], "ann")
    offered = open_panel().selectbox(key="unusual-learn-tiny").options
    assert offered == ["interesting or not", "the tag “not sure”", "the tag “ring”"]


# ---------------------------------------------------------------- selection and honest states


def test_every_listed_galaxy_is_on_a_page(open_panel, path, monkeypatch):
    drawn = []
    monkeypatch.setattr(unusual_list, "pictures", lambda galaxies, rows, *_: drawn.append(list(rows)))
    app = open_panel()
    assert len(drawn[-1]) == unusual_list.PER_PAGE and "Galaxies 1 to 48 of 100." in text(app)
    app.number_input(key="unusual-top").set_value(20).run()
    assert len(drawn[-1]) == 20 and "All 20 galaxies." in text(app)


def test_the_top_of_the_list_becomes_the_selection(open_panel, path, tiny):
    app = open_panel()
    app.number_input(key="unusual-top").set_value(25)  # and clicked before the button says so
    press(app, "select-top")
    assert "selected 25: most unusual, top 25 the most unusual galaxies" in text(app.run())
    row = shown(app)[0]
    press(app, f"no-{row}")
    press(app, "select-top")
    app.run()
    assert "top 25 ranked by 1 answer" in text(app)


def test_ranking_leaves_out_what_is_not_interesting():
    scores = np.array([0.2, 0.9, 0.9, 0.5])
    assert unusual_list.ranking(scores, np.array([2])).tolist() == [1, 3, 0]
    assert unusual_list.ranking(scores, np.array([], int)).tolist() == [1, 2, 3, 0]


def test_a_catalog_without_scores_says_what_to_run(tmp_path):
    make_catalog(tmp_path)
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    manifest["files"].pop("anomalies.parquet")
    (tmp_path / "tiny" / "manifest.json").write_text(json.dumps(manifest))
    app = AppTest.from_function(panel, default_timeout=120, args=(str(tmp_path),)).run()
    assert "has not been measured yet" in text(app) and not app.error
    assert app.code[0].value.startswith("python scripts/run_pipeline.py synthetic:90 --name tiny")


def test_a_corrupt_database_is_a_sentence(open_panel, path):
    app = open_panel()
    path.write_bytes(b"nonsense" * 100)
    press(app, "none")
    assert "is corrupt" in text(app) and path.read_bytes() == b"nonsense" * 100


# ---------------------------------------------------------------- benchmark


def test_the_benchmark_compares_four_ways(folder, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(PROJECT))
    monkeypatch.setattr(sys, "argv", ["bench.py", "unusual", "tiny", "--artifacts", str(folder), "--seeds", "1"])
    from scripts import bench

    options = bench.parse()
    options.target, options.answers = ["edge_on"], 60
    numbers = benchmark.measure(options)
    table = numbers["targets"]["edge_on"]["recall_percent"]
    assert list(table) == [10, 20, 30, 40, 50, 60] and set(table[60]) == {*benchmark.WAYS, "chance"}
    assert table[60]["chance"]["whole"] == pytest.approx(20) and table[60]["active learning"]["whole"] > 40
    assert "60" in capsys.readouterr().out
    options.target = ["no such class"]
    with pytest.raises(ArtifactError, match="No galaxy is 'no such class'"):
        benchmark.measure(options)


def test_a_benchmark_of_fewer_galaxies_than_answers_ends_with_the_smallest_draw():
    curves = {way: [np.linspace(0, 1, n) for n in (30, 24)] for way in (*benchmark.WAYS, "chance")}  # 24 of 30 drawn
    table = benchmark._report(curves, [1.0, 1.0], [0.1], None)["recall_percent"]
    assert list(table) == [10, 20]


def test_every_way_shows_each_galaxy_once():
    rng = np.random.default_rng(0)
    vectors, anomaly, target = rng.normal(0, 1, (60, 5)).astype(np.float32), rng.random(60), rng.random(60) < 0.2
    space = active.make_space(vectors)
    for choose in (benchmark.learn, benchmark.by_score, benchmark.astronomaly_chooser(vectors, rng)):
        rows = benchmark.answer(space, anomaly, target, choose, 1000, 12)
        assert sorted(rows) == list(range(60))
