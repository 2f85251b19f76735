"""Published numbers: complete records, and our counterparts looked up in metrics, never written down."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from galaxy_core.label_efficiency import WAYS
from galaxy_core.published import PUBLISHED
from galaxy_core.published_lookups import at, four_class_accuracy, of_form, with_labels
from galaxy_core.recipes import RECIPES

NAMES = ["round_smooth", "in_between_smooth", "cigar_smooth", "edge_on", "spiral"]
SHIPPED = Path(__file__).parents[1] / "artifacts" / "models" / "contrastive_denoiser" / "metrics.json"


def test_every_number_says_who_what_and_on_what():
    assert len({(one.system, one.metric) for one in PUBLISHED}) == len(PUBLISHED)
    for one in PUBLISHED:
        assert one.system and one.task and one.data and one.metric
        assert one.recipe in ("", *RECIPES)
        assert (one.value is None) == (one.stated == "not stated")
    assert len({one.system for one in PUBLISHED if "students" in one.system}) >= 5


@pytest.mark.parametrize("metrics", [{}, {"votes": 3, "classes": [], "denoising": None, "clusterings": {"hdbscan": 1}}])
def test_nothing_is_ours_that_was_not_measured(metrics):
    assert [one.metric for one in PUBLISHED if one.ours(metrics) is not None or one.n_ours(metrics) is not None] == []


def test_ours_are_those_of_the_shipped_metrics():
    if not SHIPPED.exists():
        pytest.skip("the shipped model is not here")
    metrics = json.loads(SHIPPED.read_text())
    ours = {
        one.metric: (one.ours(metrics), one.n_ours(metrics)) for one in PUBLISHED if one.recipe == SHIPPED.parent.name
    }
    noise, clusterings = metrics["denoising"]["noise_x1"]["model"], metrics["clusterings"]
    assert list(ours.values()) == [
        (noise["published_ssim"], noise["n_galaxies"]),
        (clusterings["hdbscan"]["fitted_space"]["clustered"], 26093),
        (clusterings["kmeans_8"]["fitted_space"]["clustered"], 26093),
    ]


def test_votes_of_two_forms_are_never_compared():
    kaggle = {"votes": {"form": "cumulative", "model": {"rmse": 0.1, "r2": 0.8}, "training_mean": {"rmse": 0.2}}}
    found = {(one.system, one.metric): one.ours(kaggle) for one in PUBLISHED if one.task == "votes"}
    assert sorted(value for value in found.values() if value is not None) == [0.1, 0.1, 0.2]
    assert all(value is None for (system, _), value in found.items() if system.startswith("Laptop"))
    both = {"votes": {"form": "conditional", "model": {"r2": 0.7}}, "votes_elsewhere": kaggle["votes"]}
    assert of_form("conditional", "model", "r2")(both) == 0.7 and of_form("cumulative", "model", "r2")(both) == 0.8
    assert {one.part(both) for one in PUBLISHED if one.task == "votes"} == {"votes", "votes_elsewhere"}
    assert {one.part({}) for one in PUBLISHED} == {""}


def test_few_labels_are_those_of_the_same_model_way_and_share():
    point = {"model": "a", "way": "frozen", "share": 0.1, "accuracy": 0.9}
    others = [point | change for change in ({"model": "b"}, {"way": "scratch"}, {"share": 0.01})]
    found = [with_labels("a", "frozen", 0.1)({"points": points}) for points in (others, [*others, point], [])]
    assert found == [None, 0.9, None] and with_labels("a", "frozen", 0.1)({}) is None
    told = [one for one in PUBLISHED if one.results]
    assert len(told) == 2 and all(not one.recipe and one.remark for one in told)
    for one in told:
        every = [
            {"model": "contrastive_denoiser", "way": way, "share": share, "accuracy": share}
            for way in WAYS
            for share in (0.01, 0.1)
        ]
        record = {"points": every, "n_test": 2625}
        assert one.ours(record) in (0.01, 0.1) and one.n_ours(record) == 2625


@pytest.mark.parametrize("value", ["0.5", None, True, float("nan"), [0.5]])
def test_what_is_no_number_is_not_ours(value):
    assert at("a", "b")({"a": {"b": value}}) is None


def test_four_classes_from_five():
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 5, (2, 500))
    confusion = np.zeros((5, 5), int)
    np.add.at(confusion, (truth, said), 1)
    merged = np.array([0, 1, 2, 2, 3])
    expected = float((merged[truth] == merged[said]).mean())
    order = rng.permutation(5)  # the order of classes is that of the record
    record = {"class_names": [NAMES[k] for k in order], "confusion": confusion[np.ix_(order, order)].tolist()}
    assert four_class_accuracy({"classes": record}) == pytest.approx(expected)
    for broken in ({"class_names": NAMES[:4]}, {"confusion": [[1]]}, {"confusion": "x"}, {"class_names": None}):
        assert four_class_accuracy({"classes": record | broken}) is None
