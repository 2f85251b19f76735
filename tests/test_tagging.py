"""The tag panels: what a click, a key and a name do, in one browser and in two on the same folder."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from conftest import PROJECT
from streamlit.testing.v1 import AppTest

from galaxy_core import artifacts, tags
from pages.views import readers, tagged, tagging


def panels(root: str) -> None:
    """A page with both panels: the card of galaxy 4, a selection of rows 0, 1, 2, and a key that was pressed."""
    from pathlib import Path

    import numpy as np
    import streamlit as st

    from pages.views import readers, tagging

    galaxies = readers.open_catalog(Path(root), "tiny")
    st.session_state.setdefault("galaxy", "tiny-00004")
    if pressed := st.session_state.pop("pressed", None):
        st.markdown(f"key: {tagging.handle_key(galaxies, pressed)}")
    tagging.draw_galaxy_tags(galaxies, 4, lambda _: st.session_state.update(n=st.session_state.get("n", 0) + 1))
    tagging.draw_selection_tags(galaxies, np.array([0, 1, 2], np.int32))


@pytest.fixture
def open_panels(broken_root):
    def run() -> AppTest:
        return AppTest.from_function(panels, default_timeout=120, args=(str(broken_root),)).run()

    return run


@pytest.fixture
def path(broken_root):
    return artifacts.tags_path(broken_root, "tiny")


@pytest.fixture
def tiny(broken_root):
    return readers.open_catalog(broken_root, "tiny")


def pill_names(app: AppTest) -> list[str]:
    return list(app.button_group[0].options) if app.button_group else []


def said(app: AppTest) -> str:
    assert not app.exception
    return "\n".join(str(e.value) for kind in (app.caption, app.error, app.markdown) for e in kind)


def press(app: AppTest, key: str) -> str:
    app.session_state["pressed"] = key
    return said(app.run())


def click(app: AppTest, key: str) -> AppTest:
    return app.button(key=key).click().run()


def type_tag(app: AppTest, key: str, tag: str) -> str:
    box = app.selectbox(key=key)
    box.options.append(tag)  # AppTest knows no new options
    return said(box.set_value(tag).run())


# ---------------------------------------------------------------- one visitor


def test_looking_makes_no_file(open_panels, path):
    app = open_panels()
    assert not app.exception and not path.exists()
    assert app.button(key="tag-selection").disabled and "untag-selection" not in {b.key for b in app.button}


def test_a_selection_is_tagged_untagged_and_undone(open_panels, path, tiny):
    app = open_panels()
    type_tag(app, "selection-tag", "New: *tag*")
    click(app, "tag-selection")
    assert "is now on 3 galaxies" in said(app)
    assert set(tags.galaxies_with(path, "new: *tag*")) == {"tiny-00000", "tiny-00001", "tiny-00002"}
    assert "Tags of these 3 galaxies: New: \\*tag\\* (3)" in said(app).replace("\\:", ":")
    assert app.button(key="tag-selection").disabled
    assert app.button(key="untag-selection").label == "Take it from 3 galaxies"
    click(app, "untag-selection")
    assert "is taken from 3 galaxies" in said(app) and tags.count_tags(path) == {}
    click(app, "undo-tags-selection")
    assert "is undone for 3 galaxies" in said(app) and tags.count_tags(path) == {"New: *tag*": 3}
    click(app, "undo-tags-selection")
    click(app, "undo-tags-selection")
    assert "Nothing to undo" in said(app) and tags.count_tags(path) == {}
    click(app, "redo-tags-selection")
    assert tags.count_tags(path) == {"New: *tag*": 3}
    assert tags.all_tags(path)["model_hash"].unique().tolist() == [tagged.model_hash(tiny)]


def test_a_tag_of_the_open_galaxy_is_set_and_taken_by_its_button(open_panels, path):
    tags.tag_galaxies(path, "ring", ["tiny-00001", "tiny-00002"], "ann")
    tags.tag_galaxies(path, "bar", ["tiny-00004"], "bob")
    app = open_panels()
    assert pill_names(app) == ["1 · ring", "2 · bar"] and app.button_group[0].value == ["bar"]
    assert "bar: bob, 20" in app.button_group[0].help
    app.button_group[0].set_value(["bar", "ring"]).run()
    assert "“ring” is now on 1 galaxy" in said(app) and app.session_state["n"] == 1
    assert set(tags.tags_of_galaxy(path, "tiny-00004")["tag"]) == {"ring", "bar"}
    app.button_group[0].set_value(["ring"]).run()
    assert list(tags.tags_of_galaxy(path, "tiny-00004")["tag"]) == ["ring"]
    assert pill_names(app) == ["1 · ring", "2 · bar"]  # a tag that has lost its last galaxy keeps its key


def test_a_new_tag_is_typed_into_the_card(open_panels, path):
    app = open_panels()
    assert "“faint ring” is now on 1 galaxy" in type_tag(app, "add-tag", " faint ring ")
    assert app.selectbox(key="add-tag-1").value is None and app.button_group[0].value == ["faint ring"]
    assert "cannot be a tag" in type_tag(app, "add-tag-1", "x" * 61)
    assert "“faint ring” is undone" in said(click(app, "undo-tags-card"))
    assert tags.count_tags(path) == {}


def test_keys_toggle_the_tags_with_their_number_and_undo(open_panels, path):
    tags.tag_galaxies(path, "ring", ["tiny-00001", "tiny-00002"], "ann")
    tags.tag_galaxies(path, "interesting", ["tiny-00001", "tiny-00002", "tiny-00003"], "ann")
    app = open_panels()
    assert "key: “ring” is now on tiny\\-00004." in press(app, "1")
    assert "key: “ring” is taken from tiny\\-00004." in press(app, "1")
    assert "key: “ring” is undone for 1 galaxy." in press(app, "u")
    assert list(tags.tags_of_galaxy(path, "tiny-00004")["tag"]) == ["ring"]
    assert "no tag with the number 2" in press(app, "2")
    assert "nothing of yours to undo" in press(app, "u") + press(app, "U")
    for key in ("x", "0", "12", "²", ""):
        assert "key: None" in press(app, key) or not key
    app.session_state["galaxy"] = "gone"
    assert "Open a galaxy first" in press(app, "1")


def test_a_key_never_takes_a_tag_that_somebody_else_gave_meanwhile(open_panels, path, tiny):
    tags.tag_galaxies(path, "ring", ["tiny-00001"], "ann")
    app = open_panels()
    tags.tag_galaxies(path, "ring", ["tiny-00004"], "bob")  # after Ann's card was drawn, without it
    assert "“ring” is now on tiny\\-00004." in press(app, "1")
    assert set(tags.galaxies_with(path, "ring")) == {"tiny-00001", "tiny-00004"}
    assert "is taken from" in press(app, "1"), "it was seen by then"
    tags.tag_galaxies(path, "ring", ["tiny-00005"], "bob")
    app.session_state["galaxy"] = "tiny-00005"  # by the arrow key, so fast that no card of it was drawn
    assert "is now on tiny\\-00005." in press(app, "1")


def test_a_browser_that_has_not_heard_of_a_key_yet_takes_no_tag(open_panels, path):
    tags.tag_galaxies(path, "ring", ["tiny-00001"], "ann")
    app = open_panels()
    before = app._tree.get_widget_states()
    press(app, "1")
    app._run(before)  # the next event, sent with what the buttons showed before
    assert not app.exception and set(tags.galaxies_with(path, "ring")) == {"tiny-00001", "tiny-00004"}
    before = app._tree.get_widget_states()
    click(app, "undo-tags-card")
    app._run(before)
    assert set(tags.galaxies_with(path, "ring")) == {"tiny-00001"}


def test_a_tag_from_the_box_is_given_once(open_panels, path):
    app = open_panels()
    before = app._tree.get_widget_states()
    box = next(widget for widget in before.widgets if widget.id.endswith("-add-tag"))
    type_tag(app, "add-tag", "ring")
    box.string_value = "ring"  # what the browser still holds, and sends with the next event
    tags.untag_galaxies(path, "ring", ["tiny-00004"], "bob")
    app._run(before)
    assert tags.count_tags(path) == {}


def test_a_browser_that_has_not_heard_of_a_name_yet_keeps_it(open_panels, path):
    app = open_panels()
    before = app._tree.get_widget_states()
    app.text_input(key="tagger-card").set_value("Åsa").run()
    next(widget for widget in before.widgets if widget.id.endswith("-tagger-card")).string_value = "Åsa"
    app._run(before)  # the other box has no name yet
    type_tag(app, "selection-tag", "ring")
    click(app, "tag-selection")
    assert set(tags.all_tags(path)["who"]) == {"Åsa"}


def test_numbers_stay_when_another_tag_is_used_more(open_panels, path):
    tags.tag_galaxies(path, "ring", ["tiny-00001"], "ann")
    app = open_panels()
    tags.tag_galaxies(path, "bar", [f"tiny-{i:05d}" for i in range(50)], "bob")
    tags.undo(path, "ann")
    assert pill_names(app.run())[:2] == ["1 · ring", "2 · bar"]
    assert pill_names(open_panels()) == ["1 · bar"]


def test_a_name_is_asked_once_and_kept_with_the_tag(open_panels, path):
    app = open_panels()
    press(app, "u")
    app.text_input(key="tagger-card").set_value("  Åsa ").run()
    assert {box.value for box in app.text_input} == {"Åsa"}
    type_tag(app, "selection-tag", "ring")
    click(app, "tag-selection")
    assert set(tags.all_tags(path)["who"]) == {"Åsa"}


def test_a_bad_name_and_a_corrupt_file_are_sentences(open_panels, path):
    app = open_panels()
    type_tag(app, "selection-tag", "a, b")
    click(app, "tag-selection")
    assert "cannot be a tag" in app.error[0].value and not app.exception
    path.write_bytes(b"nonsense" * 100)
    app.session_state["pressed"] = "u"
    assert not app.run().exception and len(app.error) == 2
    assert "is corrupt" in app.error[0].value and "is corrupt" in said(app)
    assert path.read_bytes() == b"nonsense" * 100


def test_arrays_over_the_rows(tiny, path):
    assert tagged.tags_by_row(tiny).tolist() == [""] * 90 and not tagged.tag_codes(tiny, "ring").any()
    tags.tag_galaxies(path, "Ring", ["tiny-00004", "tiny-00001", "of another catalog"], "ann")
    tags.tag_galaxies(path, "bar", ["tiny-00004"], "ann")
    assert tagged.tag_counts(tiny) == {"Ring": 2, "bar": 1} and tagged.tag_names(tiny) == ["Ring", "bar"]
    assert np.flatnonzero(tagged.tag_codes(tiny, "RING")).tolist() == [1, 4] == tagged.tag_rows(tiny, "ring").tolist()
    column = tagging.tags_of_export(tiny)
    assert column.name == "tags" and column[[0, 1, 4]].tolist() == ["", "Ring", "bar; Ring"] and len(column) == 90
    assert tagged.lost_sentence(tiny) == "1 tagged galaxy is not in this catalog; its tags are kept."
    tags.untag_galaxies(path, "ring", ["tiny-00004"], "bob")
    assert tagging.tags_by_row(tiny)[[1, 4]].tolist() == ["Ring", "bar"]


def test_a_database_in_the_place_of_another_is_read_anew(tiny, path):
    tags.tag_galaxies(path, "ring", ["tiny-00004"], "ann")
    assert tagged.tag_rows(tiny, "ring").tolist() == [4]
    for file in path.parent.glob("tiny.tags.sqlite*"):
        file.unlink()
    tags.tag_galaxies(path, "ring", ["tiny-00005"], "ann")
    assert tagged.tag_rows(tiny, "ring").tolist() == [5] and tagged.tags_by_row(tiny)[4] == ""


# ---------------------------------------------------------------- two visitors


def test_two_browsers_see_each_other_and_undo_their_own(open_panels, path):
    ann, bob = open_panels(), open_panels()
    type_tag(ann, "selection-tag", "ring")
    click(ann, "tag-selection")
    assert "ring (3)" in said(bob.run()) and pill_names(bob) == ["1 · ring"]
    assert "is now on tiny" in press(bob, "1")
    assert ann.run().button_group[0].value == ["ring"]
    assert "nothing of yours" in press(open_panels(), "u")  # two visitors without a name are two
    press(ann, "u")
    assert set(tags.galaxies_with(path, "ring")) == {"tiny-00004"}


def test_two_tabs_under_one_name_undo_what_was_done_in_them(open_panels, path):
    one, other, new = tabs = [open_panels() for _ in range(3)]
    for tab in tabs:
        tab.session_state["tagger_name"] = "ann"
    for tab, tag in ((one, "ring"), (other, "bar")):
        type_tag(tab, "selection-tag", tag)
        click(tab, "tag-selection")
    assert "“ring” is undone" in press(one, "u") and list(tags.count_tags(path)) == ["bar"]
    assert "“bar” is undone" in press(new, "u"), "a tab that did nothing undoes what its person did"


def work(root: str) -> None:
    app = AppTest.from_function(panels, default_timeout=120, args=(root,)).run()
    for _ in range(15):
        press(app, "1")


def test_browsers_tagging_at_the_same_time_lose_nothing(broken_root, path):
    tags.tag_galaxies(path, "ring", ["tiny-00009"], "ann")
    code = "import sys; sys.path.insert(0, 'tests'); from test_tagging import work; work(sys.argv[1])"
    browsers = [subprocess.Popen([sys.executable, "-c", code, str(broken_root)], cwd=PROJECT) for _ in range(2)]
    assert [browser.wait(300) for browser in browsers] == [0, 0]
    history = tags.history(path)
    assert len(history) == 31 and sorted(history.groupby("who").size()) == [1, 15, 15]
