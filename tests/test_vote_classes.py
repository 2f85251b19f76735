"""Classes from votes: by a walk along the leading answers, against the published classes, and at their ends."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tree_walks import count_walks

from galaxy_core.catalogs.gz2 import coarse_class
from galaxy_core.trees import GZ2
from galaxy_core.vote_classes import (
    EIGHT_CLASSES,
    SUPER_RARE,
    eight_class_shares,
    eight_classes,
    reduce_classes,
)
from galaxy_core.vote_forms import cumulative_from_conditional, fractions_from_counts, hart_columns
from galaxy_core.vote_tables import read_vote_table

HART = Path(__file__).resolve().parents[2] / "shared" / "data" / "gz2" / "gz2_hart16.csv"
needs_hart = pytest.mark.skipif(not HART.exists(), reason="needs the votes of Hart et al. at ../shared/data/gz2")


def galaxy(**answers: str) -> np.ndarray:
    """Shares of a galaxy of whom all gave these answers, the question with underscores for dashes."""
    shares = np.full((1, 37), np.nan)
    for question, answer in answers.items():
        part = GZ2.slices[question.replace("_", "-")]
        shares[0, part] = 0.0
        shares[0, GZ2.index[question.replace("_", "-"), answer]] = 1.0
    return shares


SMOOTH, DISK = {"smooth_or_featured": "smooth"}, {"smooth_or_featured": "featured-or-disk"}
FACE_ON = DISK | {"disk_edge_on": "no", "bar": "no"}
KINDS = {
    "round_smooth": SMOOTH | {"how_rounded": "round"},
    "in_between_smooth": SMOOTH | {"how_rounded": "in-between"},
    "cigar_smooth": SMOOTH | {"how_rounded": "cigar"},
    "edge_on_rounded_bulge": DISK | {"disk_edge_on": "yes", "bulge_shape": "round"},
    "edge_on_boxy_bulge": DISK | {"disk_edge_on": "yes", "bulge_shape": "boxy"},
    "edge_on_no_bulge": DISK | {"disk_edge_on": "yes", "bulge_shape": "no-bulge"},
    "spiral": FACE_ON | {"has_spiral_arms": "yes"},
    "disk_without_arms": FACE_ON | {"has_spiral_arms": "no"},
}


@pytest.mark.parametrize("name", KINDS)
def test_what_all_say_is_the_class(name):
    shares = galaxy(**KINDS[name])
    assert tuple(KINDS) == EIGHT_CLASSES and EIGHT_CLASSES[eight_classes(shares)[0]] == name
    found = eight_class_shares(shares)
    assert found.shape == (1, 8) and found[0].tolist() == [float(other == name) for other in KINDS]


def test_the_class_is_at_the_end_of_the_leading_answers():
    conditional, _ = fractions_from_counts(count_walks(n_galaxies=80, seed=9))
    for row, code in zip(conditional, eight_classes(conditional), strict=True):
        key, given = "smooth-or-featured", {}
        while key:
            answers = GZ2.by_key[key].answers
            best = max(answers, key=lambda answer: row[GZ2.index[key, answer.key]])
            given[key], key = best.key, best.leads_to
        expected = -1
        for place, ways in enumerate(KINDS.values()):
            ways = {question.replace("_", "-"): answer for question, answer in ways.items() if question != "bar"}
            if ways.items() <= given.items():
                expected = place
        assert code == expected
    assert len(set(eight_classes(conditional))) > 5, "or nothing was tested"


def test_shares_of_classes_and_artifacts_add_up_to_one():
    conditional, _ = fractions_from_counts(count_walks(seed=10))
    shares = eight_class_shares(conditional)
    np.testing.assert_allclose(shares.sum(axis=1) + conditional[:, 2], 1, atol=1e-12)
    cumulative = cumulative_from_conditional(conditional)
    np.testing.assert_allclose(shares[:, 6], cumulative[:, GZ2.index["has-spiral-arms", "yes"]], atol=1e-12)
    np.testing.assert_allclose(shares[:, 1], cumulative[:, GZ2.index["how-rounded", "in-between"]], atol=1e-12)


def test_stars_and_unanswered_questions_have_no_class():
    assert eight_classes(galaxy(smooth_or_featured="artifact")).tolist() == [-1]
    assert eight_classes(galaxy(smooth_or_featured="smooth")).tolist() == [-1]
    assert eight_classes(np.full((2, 37), np.nan)).tolist() == [-1, -1]
    assert eight_class_shares(galaxy(smooth_or_featured="artifact"))[0].tolist() == [0] * 8
    assert np.isnan(eight_class_shares(galaxy(smooth_or_featured="smooth"))[0, :3]).all()
    assert eight_class_shares(np.zeros((0, 37))).shape == (0, 8) and eight_classes(np.zeros((0, 37))).shape == (0,)


@needs_hart
def test_eight_classes_are_those_published():
    table = pd.read_csv(HART)
    codes = eight_classes(read_vote_table(table, hart_columns(), "fraction").conditional)
    coarse = coarse_class(table["gz2_class"]).to_numpy()
    eight = np.array([EIGHT_CLASSES[code] if code >= 0 else "artifact" for code in codes])
    eight = np.array(["edge_on" if name.startswith("edge_on") else name for name in eight])
    assert np.mean(eight == coarse) > 0.995


def test_rare_classes_lose_their_arms_and_the_rarest_their_name():
    names = ["SBc2m(r)"] * 11 + ["SBc3t(r)"] * 2 + ["Sc?t"] * 4 + ["Ei(o)"] * 2 + ["Er"] * 30 + ["Sb+l(m)"] * 12
    found = Counter(reduce_classes(names))
    assert found == {"SBc(r)": 13, "Sc?t": 4, SUPER_RARE: 2, "Er": 30, "Sb+l(m)": 12}
    assert Counter(reduce_classes(names, least=1, super_rare=0)) == Counter(names)
    assert reduce_classes([]) == [] and reduce_classes(["Sd1l(u)"] * 4) == ["Sd(u)"] * 4
    assert reduce_classes(["Er"] * 3 + ["Ec"] * 4) == [SUPER_RARE] * 3 + ["Ec"] * 4


@needs_hart
def test_reduced_classes_of_real_galaxies_are_enough_to_split():
    classes = pd.read_csv(HART)["gz2_class"].tolist()
    found = Counter(reduce_classes(classes))
    assert len(found) < len(set(classes)) / 2 and min(found.values()) > 3 and sum(found.values()) == len(classes)
