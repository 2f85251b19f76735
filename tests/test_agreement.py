"""Agreement with classes and votes: against the definitions, and at the extremes."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from galaxy_core.agreement import agreement_with_votes, leading_answers, measure_agreement
from galaxy_core.vectors import VectorError


def entropy(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def homogeneity_by_definition(labels: np.ndarray, classes: np.ndarray) -> float:
    """1 - H(class | cluster) / H(class), Rosenberg & Hirschberg 2007, equation 1."""
    names, code = np.unique(classes, return_inverse=True)
    conditional = sum(
        (labels == label).mean() * entropy(np.bincount(code[labels == label], minlength=len(names)))
        for label in np.unique(labels)
    )
    return 1 - conditional / entropy(np.bincount(code))


def random_groups(n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 4, n)
    labels = np.where(rng.random(n) < 0.6, classes, rng.integers(-1, 6, n))
    return labels, np.array(["spiral", "edge_on", "round", "cigar"], dtype=object)[classes]


def test_homogeneity_and_completeness_agree_with_their_definition():
    labels, classes = random_groups()
    found = measure_agreement(labels, classes)
    assert found.homogeneity == pytest.approx(homogeneity_by_definition(labels, classes))
    assert found.completeness == pytest.approx(homogeneity_by_definition(classes, labels))
    together = [np.equal.outer(group, group)[np.triu_indices(500, 1)] for group in (labels, classes)]
    both, each = (together[0] & together[1]).sum(), [pairs.sum() for pairs in together]
    by_chance = each[0] * each[1] / (500 * 499 / 2)
    assert found.ari == pytest.approx((both - by_chance) / (sum(each) / 2 - by_chance))  # Hubert & Arabie 1985, eq. 5
    assert 0.1 < found.ami < 0.9 and 0.1 < found.ari < 0.9
    assert found.n_classes == 4 and found.n_galaxies == 500


def test_a_finer_grouping_is_homogeneous_and_a_coarser_one_complete():
    _, classes = random_groups()
    code = np.unique(classes, return_inverse=True)[1]
    finer = measure_agreement(code * 2 + np.arange(500) % 2, classes)
    assert finer.homogeneity == pytest.approx(1) and finer.completeness < 1 and finer.ami < 1
    coarser = measure_agreement(code // 2, classes)
    assert coarser.completeness == pytest.approx(1) and coarser.homogeneity < 1
    same = measure_agreement(code, classes)
    assert [same.ami, same.ari, same.homogeneity, same.completeness] == pytest.approx([1, 1, 1, 1])
    one_each = measure_agreement(np.arange(500), classes)  # perfectly homogeneous, and worth nothing
    assert one_each.homogeneity == pytest.approx(1) and abs(one_each.ami) < 1e-6


def test_the_unclustered_are_one_more_group_and_the_unclassed_are_left_out():
    labels, classes = random_groups()
    known = measure_agreement(labels, classes)
    more = np.concatenate([classes, np.array([None, float("nan"), ""], dtype=object)])
    assert asdict(measure_agreement(np.append(labels, [0, 1, 2]), more)) == pytest.approx(asdict(known))
    assert asdict(measure_agreement(np.where(labels == -1, 99, labels), classes)) == pytest.approx(asdict(known))


@pytest.mark.parametrize(
    ("labels", "classes", "n_classes"),
    [([0], ["a"], 1), ([], [], 0), ([0, 1], None, 0), ([0, 1], [None, None], 0), ([0, 1], ["ç", "ç"], 1)],
)
def test_fewer_than_two_classes_have_no_agreement(labels, classes, n_classes):
    classes = None if classes is None else np.array(classes, dtype=object)
    found = measure_agreement(np.array(labels, dtype=int), classes)
    assert found.ami is found.ari is found.homogeneity is found.completeness is None
    assert found.n_classes == n_classes


def test_bad_input_is_one_sentence():
    with pytest.raises(VectorError, match="one entry a galaxy"):
        measure_agreement(np.zeros(3), np.array(["a", "b"], dtype=object))


def test_leading_answers_of_ties_and_of_the_unasked():
    shares = np.array([[0.1, 0.7, 0.2], [0.4, 0.4, 0.2], [0, 0, 0], [np.nan, 0.2, np.nan], [np.nan] * 3])
    assert leading_answers(shares).tolist() == [1, -1, -1, 1, -1]
    assert leading_answers(np.empty((0, 2))).tolist() == []


def test_votes_are_compared_question_by_question():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    bar = rng.random(400)
    votes = pd.DataFrame(
        {
            "smooth-or-featured_smooth": np.where(labels == 0, 0.9, 0.2),
            "smooth-or-featured_featured-or-disk": np.where(labels == 0, 0.1, 0.8),
            "bar_yes": bar,
            "bar_no": 1 - bar,
            "how-rounded_round": np.r_[[1.0] * 20, [np.nan] * 380],  # few were asked
            "how-rounded_in-between": np.r_[[0.0] * 10, [2.0] * 10, [np.nan] * 380],
        }
    )
    found = agreement_with_votes(labels, votes, list(votes))
    assert list(found) == ["smooth-or-featured", "bar"]  # the highest first
    assert found["smooth-or-featured"]["ami"] == pytest.approx(1) and abs(found["bar"]["ami"]) < 0.05
    assert found["bar"]["n_galaxies"] == 400 and "bar" in found["bar"]["text"].lower()
    assert "how-rounded" in agreement_with_votes(labels, votes, list(votes), least=20)
    assert agreement_with_votes(labels, votes, []) == {}
    json.dumps(found, allow_nan=False)
