"""The drawn question tree: every question, every number, both themes, on a phone, and on the card of a galaxy."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from card_page import open_card, words_of, write_back
from conftest import make_catalog
from tree_walks import count_walks

from galaxy_core.tree_layout import lay_out_tree
from galaxy_core.trees import GZ2, TREES
from galaxy_core.vote_forms import KAGGLE_COLUMNS, fractions_from_counts, hart_columns, kaggle_from_conditional
from pages.views.question_tree import BAR, GROUND, INK, WIDEST, percent, question_tree_svg, question_tree_words

COUNTS = count_walks(GZ2, 3, 40, seed=3)
CONDITIONAL, N_ASKED = fractions_from_counts(COUNTS)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(layout, dark=True) -> ET.Element:
    return ET.fromstring(question_tree_svg(layout, "Votes on <g> & co", dark))


def texts(svg: ET.Element) -> list[str]:
    return [element.text or "" for element in svg.iter(f"{SVG}text")]


@pytest.mark.parametrize("dark", [True, False])
def test_a_saved_drawing_brings_the_ground_that_its_ink_needs(dark):
    saved = ET.fromstring(question_tree_svg(lay_out_tree(GZ2), "Votes", dark, ground=True))
    first, theme = saved.find(f"{SVG}rect"), "dark" if dark else "light"
    assert (first.get("width"), first.get("fill"), saved.get("fill")) == ("100%", GROUND[theme], INK[theme]["text"])


def of_class(svg: ET.Element, name: str) -> list[ET.Element]:
    return [element for element in svg.iter() if element.get("class") == name]


@pytest.mark.parametrize("key", TREES)
def test_an_empty_tree_has_every_question_and_answer_and_no_number(key):
    tree, svg = TREES[key], drawn(lay_out_tree(TREES[key]))
    words = [word for q in tree.questions for word in (q.text, *(a.text for a in q.answers))]
    assert sorted(text for text in texts(svg) if text) == sorted(words)
    assert len(of_class(svg, "branch")) == sum(bool(a.leads_to) for q in tree.questions for a in q.answers)
    assert not of_class(svg, "share") and "%" not in "".join(texts(svg))
    assert float(svg.get("width")) <= 435 and svg.find(f"{SVG}title").text == "Votes on <g> & co"


def test_votes_are_numbers_bars_and_widths():
    layout = lay_out_tree(GZ2, CONDITIONAL[1])
    svg, answers = drawn(layout), [answer for answer in layout.answers if answer.share is not None]
    bars = of_class(svg, "share")
    assert len(bars) == len(answers) > 20
    np.testing.assert_allclose([float(bar.get("width")) / BAR for bar in bars], [a.share for a in answers], atol=0.002)
    assert [text for text in texts(svg) if text.endswith(" %")] == [percent(answer.share) for answer in answers]
    widths = sorted(float(branch.get("stroke-width")) / WIDEST for branch in of_class(svg, "branch"))
    np.testing.assert_allclose(widths, sorted(max(b.share, 0.8 / WIDEST) for b in layout.branches), atol=0.001)
    dashed = [branch for branch in of_class(svg, "branch") if branch.get("stroke-dasharray")]
    assert len(dashed) == sum(branch.share == 0 for branch in layout.branches) > 0, "nobody took these"
    assert "all asked" in texts(svg) and any(text.endswith("% asked") for text in texts(svg))


def test_shares_below_one_percent_leave_the_drawing_whole():
    conditional = np.full(GZ2.n_answers, 0.003)
    conditional[:2] = 0.994, 0.003
    assert texts(drawn(lay_out_tree(GZ2, conditional))).count("< 1 %") > 5
    assert "< 1 % asked" in texts(drawn(lay_out_tree(GZ2, conditional)))


def test_what_nearly_all_say_is_not_said_of_all():
    conditional = np.full(GZ2.n_answers, np.nan)
    conditional[:3], conditional[GZ2.slices["disk-edge-on"]] = (0.001, 0.998, 0.001), (0, 1)
    said = texts(drawn(lay_out_tree(GZ2, conditional)))
    assert {"> 99 %", "> 99 % asked", "100 %", "all asked"} <= set(said)
    assert said.count("all asked") == 1, "the first question alone"


def test_the_leading_way_is_bold_as_well_as_coloured():
    layout = lay_out_tree(GZ2, CONDITIONAL[1])
    svg = drawn(layout)
    bold = {e.text for group in of_class(svg, "answer") for e in group.iter(f"{SVG}text") if e.get("font-weight")}
    leading = [answer for answer in layout.answers if answer.leading]
    assert len(leading) > 2 and bold == {a.text for a in leading} | {percent(a.share) for a in leading}
    accent = [line for line in of_class(svg, "branch") if line.get("stroke") == INK["dark"]["accent"]]
    assert len(accent) == sum(branch.leading for branch in layout.branches)
    order = [line.get("stroke") == INK["dark"]["accent"] for line in svg.iter(f"{SVG}path") if line.get("class")]
    assert order == sorted(order), "drawn last, so on top"


def test_a_star_fades_the_rest_and_says_nobody_was_asked():
    svg = drawn(lay_out_tree(GZ2, CONDITIONAL[0]))
    assert texts(svg).count("nobody") == len(GZ2.questions) - 1 and len(of_class(svg, "share")) == 3
    faded = [group for group in of_class(svg, "answer") if group.get("opacity")]
    assert len(faded) == 34 and "100 %" in texts(svg)


def test_intervals_stay_within_their_bar():
    low, high = CONDITIONAL[1] - 0.3, CONDITIONAL[1] + 0.3
    svg = drawn(lay_out_tree(GZ2, CONDITIONAL[1], interval=(low, high)))
    bars, whiskers = of_class(svg, "share"), of_class(svg, "interval")
    assert len(whiskers) == len(bars) > 0
    for bar, whisker in zip(bars, whiskers, strict=True):
        start, end = re.match(r"M([\d.]+) [\d.]+v6m0-3H([\d.]+)m0-3v6", whisker.get("d")).groups()
        assert float(bar.get("x")) - 0.1 <= float(start) < float(end) <= float(bar.get("x")) + BAR + 0.1


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize(("theme", "paper"), [("dark", "#0b0e17"), ("light", "#ffffff")])
def test_words_and_ways_can_be_told_from_the_ground_and_from_each_other(theme, paper):
    def contrast(a, b):
        low, high = sorted((luminance(a), luminance(b)))
        return (high + 0.05) / (low + 0.05)

    ink = INK[theme]
    assert contrast(ink["text"], paper) > 7 and contrast(ink["quiet"], paper) > 4.5
    assert contrast(ink["accent"], paper) > 4.5 and contrast(ink["branch"], paper) > 2.7
    assert contrast(ink["accent"], ink["branch"]) > 1.6, "by lightness, whatever the eye"
    assert ink["text"] in question_tree_svg(lay_out_tree(), "t", theme == "dark")
    assert ink["text"] not in question_tree_svg(lay_out_tree(), "t", theme != "dark")


def test_what_is_heard():
    words = question_tree_words(lay_out_tree(GZ2, CONDITIONAL[0]), "Votes")
    assert words == "Votes: 11 questions with 37 answers. Smooth, or with features or a disk? star or artifact, 100 %."
    assert question_tree_words(lay_out_tree(), "Empty") == "Empty: 11 questions with 37 answers."


def tree_on_card(app) -> ET.Element | None:
    (expander,) = [e for e in app.expander if "question tree" in e.label] or [None]
    if expander is None:
        return None
    body = expander.get("html")[0].proto.body
    assert 'alt="Votes on ' in body
    return ET.fromstring(base64.b64decode(re.search(r"base64,([^\"]+)", body)[1]))


RELEASES = {
    "kaggle": ("fraction", dict(zip(KAGGLE_COLUMNS, kaggle_from_conditional(CONDITIONAL[1:2])[0], strict=True))),
    "counts": ("count", dict(zip(GZ2.columns(), COUNTS[1].astype(int), strict=True))),
}


@pytest.mark.parametrize("form", RELEASES)
def test_the_tree_is_on_the_card(broken_root, form):
    kind, columns = RELEASES[form]
    make_catalog(broken_root, form, 3, answer_columns=tuple(columns), answer_kind=kind)
    write_back(broken_root, form, **columns)
    svg = tree_on_card(open_card(broken_root, form))
    assert svg.find(f"{SVG}title").text == f"Votes on {form}-00000, Galaxy Zoo 2"
    shown = [text for text in texts(svg) if text.endswith(" %")]
    assert shown == [percent(share) for share in CONDITIONAL[1] if np.isfinite(share)]


def test_debiased_votes_with_those_asked_from_the_votes_as_given(broken_root):
    debiased = dict.fromkeys(hart_columns(), 0.0)
    debiased |= {"t01_smooth_or_features_a01_smooth_debiased": 0.2}
    debiased |= {"t01_smooth_or_features_a02_features_or_disk_debiased": 0.8}
    given = dict.fromkeys(hart_columns("weighted_fraction"), 0.0)
    given |= {"t01_smooth_or_features_a01_smooth_weighted_fraction": 0.7}
    given |= {"t01_smooth_or_features_a02_features_or_disk_weighted_fraction": 0.3}
    make_catalog(broken_root, "hart", 3, answer_columns=tuple(debiased), answer_kind="fraction")
    write_back(broken_root, "hart", **debiased, **given)
    shown = texts(tree_on_card(open_card(broken_root, "hart")))
    assert {"20 %", "80 %", "70 % asked", "30 % asked"} <= set(shown)


def test_no_tree_without_votes_or_of_another_project(broken_root):
    columns = {"smooth-or-featured-dr5_smooth": 3, "bar-dr5_strong": 2}
    make_catalog(broken_root, "decals", 3, answer_columns=tuple(columns), answer_kind="count")
    write_back(broken_root, "decals", **columns)
    app = open_card(broken_root, "decals")
    assert "Votes of volunteers" in words_of(app) and tree_on_card(app) is None
