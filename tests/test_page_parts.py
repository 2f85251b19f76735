"""The pure functions behind the pages: figures, verdicts and sentences, against a second derivation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from galaxy_core import artifacts
from galaxy_core.percent import percent
from pages.views import card, demo, figures, overview, readers, score_table, scores, verdict


@pytest.mark.parametrize(("null", "said"), [(0.1, ["0.35", "0.10", "yes"]), (0.6, ["0.35", "0.60", "no"])])
def test_overview_says_whether_groups_are_clearer_than_those_of_data_without_any(tiny, monkeypatch, null, said):
    recorded = scores.recorded_scores(tiny, "hdbscan") | {"null": {"strict": null}}
    monkeypatch.setattr(scores, "recorded_scores", lambda *_: recorded)
    assert list(overview.group_row(tiny, "hdbscan").values())[3:] == said


def test_log_of_a_bar_that_redraws_itself(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"a\nb:  10%|#  |\rb:  90%|## |\r\n")
    assert demo.tail(log) == ["a", "b:  90%|## |"]


def test_silhouettes_are_drawn_sorted_within_their_cluster():
    silhouettes, labels = np.array([0.1, 0.9, -0.2, 0.4, 0.0]), np.array([0, 0, 0, 1, -1])
    figure = figures.silhouette_figure(silhouettes, labels, {0: "red", 1: "blue"}, "t", True)
    first = figure.data[0]
    assert np.allclose(first.x, [0.9, 0.1, -0.2]) and (np.diff(first.y) > 0).all()
    assert figure.data[1].y.min() > first.y.max()
    assert any("mean of all 0.240" in annotation.text for annotation in figure.layout.annotations)


def test_composition_compares_with_all():
    codes = np.array([0, 0, 0, 1, -1])
    names = ("2004", "ring <i>" + "x" * 40)
    figure = figures.composition_figure(codes, names, np.array([0, 3]), "t")
    everyone, chosen = figure.data
    assert np.allclose(everyone.x, [60, 20]) and np.allclose(chosen.x, [50, 50])
    assert everyone.y.tolist() == list(figure.layout.yaxis.tickvals) == [0, 1], (
        "years beside each other, not along a scale"
    )
    assert -figure.layout.legend.y * 128 >= 60, "the legend stays below the axis' title, of two groups, too"
    year, long = figure.layout.yaxis.ticktext
    assert (
        year == "2004" and long == "ring &lt;i&gt;" + "x" * 27 + "…" and everyone.customdata[1].startswith("ring &lt;")
    )


def test_agreement_against_scikit_learn():
    rng = np.random.default_rng(0)
    first, second = rng.integers(-1, 5, 500), rng.integers(-1, 3, 500)
    second[:200] = first[:200]
    both = (first >= 0) & (second >= 0)
    assert np.isclose(scores.agreement(first, second), adjusted_rand_score(first[both], second[both]))
    assert np.isnan(scores.agreement(np.array([-1, 0]), np.array([0, -1])))


def test_strict_counts_the_unclustered_as_zero(tiny):
    labels, silhouettes = tiny.labels("hdbscan"), scores.silhouettes_of(tiny, "hdbscan")
    n_clustered = (labels >= 0).sum()
    flattering = scores.flattering_mean(tiny, "hdbscan")
    assert np.isclose(scores.strict_mean(tiny, "hdbscan"), silhouettes[labels >= 0].sum() / 90)
    assert np.isclose(scores.strict_mean(tiny, "hdbscan"), flattering * n_clustered / 90) and n_clustered < 90
    recorded = tiny.manifest.clusterings["hdbscan"]["scores"]["fitted_space"]
    assert np.isclose(scores.strict_mean(tiny, "hdbscan"), recorded["strict"])


def test_meaning_follows_the_numbers(tiny):
    said = " ".join(scores.meaning(tiny, "hdbscan"))
    n_none = int((tiny.labels("hdbscan") < 0).sum())
    assert f"{100 * n_none / 90:.3g} %" in said and f"{scores.strict_mean(tiny, 'hdbscan'):.3f}" in said


@pytest.mark.parametrize("strict", [-0.2, 0.2, 0.4, 0.502, 0.9])
def test_a_silhouette_alone_is_no_verdict(tiny, monkeypatch, strict):
    """By it clusters may be called reasonable that the verdict, which knows refits and the null, calls a continuum."""
    monkeypatch.setattr(scores, "strict_mean", lambda *_: strict)
    facts = replace(verdict.facts_of(tiny, "hdbscan"), null=(0.95, 0.95))
    assert verdict.judge(facts) == verdict.CONTINUUM
    said = scores.meaning(tiny, "hdbscan")[1]
    assert not any(word in said for word in ("real", "groups", "apart", "continuum"))
    assert f"{strict:.3f}, is " in said and "know this number alone" in said


def test_not_all_is_never_said_to_be_all(tiny, monkeypatch):
    labels = np.zeros(2000, dtype=int)
    labels[7] = -1
    monkeypatch.setattr(type(tiny), "labels", lambda *_: labels)
    monkeypatch.setattr(scores, "strict_mean", lambda *_: 0.5)
    monkeypatch.setattr(scores, "flattering_mean", lambda *_: 0.5)
    assert scores.score_row(tiny, "hdbscan")["coverage"] == "over 99.9 %"
    labels[7] = 0
    assert scores.score_row(tiny, "hdbscan")["coverage"] == "100 %"
    null = {"strict": 0.1, "n_clusters": 1, "coverage": 1999 / 2000}
    assert score_table.null_text(null) == "0.100 (1 draw; 1 cluster, over 99.9 % covered)"
    for part in range(2001):
        assert (percent(part, 2000) == "100 %") == (part == 2000) and (percent(part, 2000) == "0 %") == (part == 0)


def test_card_escapes_what_a_catalog_says(tiny):
    assert "<script>" not in card.facts_html({"<script>": "<script>"})


def test_catalog_is_read_again_when_its_files_change(broken_root):
    first = readers.open_catalog(broken_root, "tiny")
    assert readers.open_catalog(broken_root, "tiny") is first
    table = artifacts.read_table(broken_root, "tiny", "clusters")
    table["hdbscan_label"] = 0
    artifacts.write_table(broken_root, "tiny", "clusters", table)
    artifacts.write_manifest(broken_root, "tiny", first.manifest)
    assert set(readers.open_catalog(broken_root, "tiny").labels("hdbscan")) == {0}
