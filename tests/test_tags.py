"""Tags: what holds after any run of actions, whose they are, and names that cannot be tags."""

from __future__ import annotations

import sqlite3
import time

import numpy as np
import pytest

from galaxy_core import tags
from galaxy_core.errors import TagError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tiny.tags.sqlite"


def held(path, tag) -> set[str]:
    return set(tags.galaxies_with(path, tag))


# ---------------------------------------------------------------- one person


def test_nothing_is_tagged_and_no_file_is_made_by_looking(path):
    assert tags.count_tags(path) == {} and tags.tag_versions(path) == {} and tags.last_action(path) == (0, "")
    assert tags.galaxies_with(path, "ring").shape == (0,)
    assert list(tags.all_tags(path).columns) == tags.FRAME_COLUMNS and tags.history(path).empty
    assert tags.undo(path, "ann") is None and tags.redo(path, "ann") is None
    assert tags.untag_galaxies(path, "ring", ["a"], "ann") is None
    assert tags.tag_galaxies(path, "ring", [], "ann") is None and not path.exists()


def test_tag_and_untag_with_who_when_and_model(path):
    step = tags.tag_galaxies(path, " Ring ", ["a", "b", "b", "银河-1"], "ann", "sha-1")
    assert (step.kind, step.tag, step.n_galaxies, step.n_changed) == ("tag", "Ring", 3, 3)
    assert tags.tag_galaxies(path, "rINg", ["b", "c"], "bob", "sha-2").n_changed == 1
    assert tags.count_tags(path) == {"Ring": 4} and held(path, "RING") == {"a", "b", "c", "银河-1"}
    line = tags.tags_of_galaxy(path, "银河-1").iloc[0]
    assert (line["tag"], line["who"], line["model_hash"]) == ("Ring", "ann", "sha-1")
    assert line["made_utc"].endswith("+00:00") and np.datetime64(line["made_utc"][:23]) > np.datetime64("2020-01-01")
    assert tags.untag_galaxies(path, "ring", ["a", "zzz"], "ann").n_changed == 1
    assert held(path, "ring") == {"b", "c", "银河-1"} and len(tags.all_tags(path)) == 3
    assert list(tags.history(path)["kind"]) == ["untag", "tag", "tag"]
    assert tags.untag_galaxies(path, "never set", ["a"], "ann") is None


def test_undo_goes_back_step_by_step_and_redo_forward_until_something_new(path):
    tags.tag_galaxies(path, "ring", ["a", "b"], "ann")
    tags.tag_galaxies(path, "bar", ["a"], "ann")
    tags.untag_galaxies(path, "ring", ["b"], "ann")
    assert tags.undo(path, "ann").n_changed == 1 and held(path, "ring") == {"a", "b"}
    assert tags.undo(path, "ann").tag == "bar" and held(path, "bar") == set()
    assert tags.undo(path, "ann").n_galaxies == 2 and held(path, "ring") == set()
    assert tags.undo(path, "ann") is None
    assert tags.redo(path, "ann").tag == "ring" and held(path, "ring") == {"a", "b"}
    assert tags.redo(path, "ann").tag == "bar" and held(path, "bar") == {"a"}
    tags.tag_galaxies(path, "bar", ["c"], "ann")
    assert tags.redo(path, "ann") is None
    assert len(tags.history(path)) == 9  # nothing was ever deleted
    assert tags.undo(path, "nobody") is None
    assert tags.undo(path, "ann", ["ring"]).tag == "ring" and held(path, "bar") == {"a", "c"}


def test_steps_are_undone_and_redone_whatever_the_same_person_did_elsewhere(path):
    here = [tags.tag_galaxies(path, "ring", [galaxy], "ann").step for galaxy in "ab"]
    tags.tag_galaxies(path, "bar", ["c"], "ann")  # in another tab of the browser
    assert tags.undo(path, "ann", steps=here).n_galaxies == 1 and held(path, "ring") == {"a"}
    tags.tag_galaxies(path, "bar", ["d"], "ann")
    assert tags.redo(path, "ann", steps=here).tag == "ring" and held(path, "ring") == {"a", "b"}
    assert tags.undo(path, "ann", steps=[]) is None and held(path, "bar") == {"c", "d"}


def test_undoing_ones_own_step_keeps_what_others_said(path):
    tags.tag_galaxies(path, "ring", ["a", "b"], "ann")
    tags.tag_galaxies(path, "ring", ["b", "c"], "bob")
    tags.undo(path, "bob")
    assert held(path, "ring") == {"a", "b"}
    tags.redo(path, "bob")
    tags.undo(path, "ann")
    assert held(path, "ring") == {"b", "c"}
    tags.redo(path, "ann")
    tags.untag_galaxies(path, "ring", ["b"], "bob")
    tags.undo(path, "ann"), tags.redo(path, "ann")
    assert held(path, "ring") == {"a", "c"}  # what bob took away later stays away


def test_what_holds_is_what_a_naive_replay_of_the_log_gives(path):
    rng = np.random.default_rng(3)
    for _ in range(150):
        who, tag = rng.choice(["ann", "bob"]), rng.choice(["ring", "bar", "interesting", "not interesting"])
        ids = [f"g{i}" for i in rng.integers(0, 6, rng.integers(1, 5))]
        kind = rng.choice(["tag", "untag", "undo", "redo"], p=[0.4, 0.2, 0.25, 0.15])
        if kind in ("tag", "untag"):
            getattr(tags, f"{kind}_galaxies")(path, tag, ids, who)
        else:
            getattr(tags, kind)(path, who)
    log = tags.history(path).iloc[::-1]
    with sqlite3.connect(path) as db:
        members = db.execute("SELECT action_id, galaxy_id FROM members JOIN galaxies USING (galaxy_key)").fetchall()
    counts = {int(row.action_id): row.kind in ("tag", "untag") for row in log.itertuples()}
    for row in log.itertuples():
        if row.kind in ("undo", "redo"):
            counts[int(row.target)] = row.kind == "redo"
    naive: dict[tuple, bool] = {}
    for row in log.itertuples():
        if row.kind in ("tag", "untag") and counts[row.action_id]:
            naive |= {(row.tag, galaxy): row.kind == "tag" for action, galaxy in members if action == row.action_id}
    frame = tags.all_tags(path)
    assert {pair for pair, holds in naive.items() if holds} == set(zip(frame["tag"], frame["galaxy_id"], strict=True))
    assert len(frame) > 3


def test_a_galaxy_is_interesting_or_not_but_never_both(path):
    tags.tag_galaxies(path, tags.INTERESTING, ["a", "b"], "ann")
    tags.tag_galaxies(path, tags.NOT_INTERESTING, ["b", "c"], "ann")
    assert held(path, tags.INTERESTING) == {"a"} and held(path, tags.NOT_INTERESTING) == {"b", "c"}
    tags.undo(path, "ann")
    assert held(path, tags.INTERESTING) == {"a", "b"} and held(path, tags.NOT_INTERESTING) == set()


def test_no_galaxy_has_a_tag_and_its_refusal(path):
    tags.tag_galaxies(path, "Ring", ["a", "b"], "ann")
    tags.tag_galaxies(path, "not ring", ["b", "c"], "ann")
    assert held(path, "ring") == {"a"} and held(path, "not ring") == {"b", "c"}
    tags.tag_galaxies(path, "RING", ["c"], "bob")
    assert held(path, "ring") == {"a", "c"} and held(path, "not ring") == {"b"}
    tags.undo(path, "ann")
    assert held(path, "ring") == {"a", "b", "c"} and held(path, "not ring") == set()


@pytest.mark.parametrize(
    "name", ["", "   ", "x" * 61, "a,b", "a;b", "a\nb", "a\x00b", "\u200b", "\ud800", "\u0301", None, 3]
)
def test_impossible_names_are_refused_in_a_sentence(path, name):
    with pytest.raises(TagError, match="cannot be a tag: use 1 to 60 characters"):
        tags.tag_galaxies(path, name, ["a"], "ann")
    assert not path.exists()


@pytest.mark.parametrize("name", ["x" * 60, "слияние", "渦巻銀河", "👩‍🚀 found", "a' OR 1=1 --", "<b>", "50 %"])
def test_names_in_any_language(path, name):
    tags.tag_galaxies(path, name, ["a"], "Åsa")
    assert tags.count_tags(path) == {name: 1} and tags.all_tags(path)["who"][0] == "Åsa"


def test_who_is_kept_printable_and_never_empty(path):
    tags.tag_galaxies(path, "ring", ["a"], " \n\x00 ")
    tags.tag_galaxies(path, "ring", ["b"], "x" * 500)
    assert list(tags.all_tags(path)["who"]) == ["anonymous", "x" * 80]


def test_the_log_refuses_to_be_changed(path):
    tags.tag_galaxies(path, "ring", ["a"], "ann")
    with sqlite3.connect(path) as db:
        for table in ("actions", "members"):
            for query in (f"DELETE FROM {table}", f"UPDATE {table} SET action_id = 9"):
                with pytest.raises(sqlite3.IntegrityError, match="append only"):
                    db.execute(query)


def test_versions_change_with_their_own_tag_only(path):
    tags.tag_galaxies(path, "ring", ["a"], "ann")
    tags.tag_galaxies(path, "bar", ["a"], "ann")
    before = tags.tag_versions(path)
    tags.undo(path, "ann")
    after = tags.tag_versions(path)
    assert after["ring"] == before["ring"] and after["bar"] > before["bar"] and tags.last_action(path) == after["bar"]


def test_a_hundred_thousand_galaxies_in_one_action(path):
    ids = [f"galaxy-{i * 7919 % 1000003:08d}" for i in range(100_000)]
    seconds = []
    for tag in ("one", "two", "three"):
        started = time.thread_time()
        assert tags.tag_galaxies(path, tag, ids, "ann").n_changed == 100_000
        seconds.append(time.thread_time() - started)
    assert min(seconds) < 1
    assert tags.undo(path, "ann").n_changed == 100_000 and tags.count_tags(path) == {"one": 100_000, "two": 100_000}
