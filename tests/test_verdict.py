"""The verdict on two clusterings follows from their numbers, and calls a continuum a continuum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pages.views import readers, score_table, scores, verdict
from pages.views.verdict import Facts

STABLE = Facts(
    name="HDBSCAN",
    space="a UMAP of 10 dimensions",
    n_galaxies=1000,
    n_clustered=900,
    n_clusters=5,
    strict=0.6,
    strict_low=0.58,
    null=(0.08, 0.1),
    n_draws=3,
    n_refits=10,
    jaccard=dict.fromkeys(range(5), 0.9),
    dissolved=dict.fromkeys(range(5), 0),
    gaps=dict.fromkeys(range(5), 0.9),
)


def test_one_cluster_that_dissolves():
    facts = replace(STABLE, strict=0.4, jaccard=STABLE.jaccard | {3: 0.4}, dissolved=STABLE.dissolved | {3: 7})
    said = verdict.sentence_of(facts)
    assert "finds 5 clusters holding 90 % of the galaxies" in said
    assert "4 of 5 are stable and cluster 3 dissolves in 7 of 10 refits" in said
    assert "is 0.400 (null 0.080 to 0.100 in 3 draws):" in said and "some of these groups" in said


@pytest.mark.parametrize(
    ("changes", "judged"),
    [
        ({}, verdict.REAL),
        ({"strict": 0.4, "strict_low": 0.39}, verdict.WEAK),
        ({"jaccard": dict.fromkeys(range(5), 0.8) | {4: 0.5}}, verdict.WEAK),
        ({"null": (0.2, 0.59)}, verdict.CONTINUUM),  # one of the draws does as well, within the interval
        ({"null": (0.2, 0.57)}, verdict.REAL),
        ({"jaccard": dict.fromkeys(range(5), 0.6)}, verdict.CONTINUUM),
        ({"strict": 0.2, "strict_low": 0.19}, verdict.CONTINUUM),
        ({"strict": float("nan"), "strict_low": float("nan")}, verdict.CONTINUUM),
        ({"gaps": dict.fromkeys(range(5), 0.9) | {3: 0.6}}, verdict.WEAK),
        ({"gaps": {0: 0.3, 1: 0.3, 2: 0.1, 3: 0.1, 4: 0.1}}, verdict.WEAK),  # groups that bend around one another
        ({"gaps": {}}, verdict.UNTESTED),  # too many galaxies, or no embedding
        ({"null": None}, verdict.UNTESTED),
        ({"jaccard": {}, "dissolved": {}, "n_refits": 0}, verdict.UNTESTED),
        # on either side of the thresholds of Hennig (2007), of Kaufman & Rousseeuw (1990) and of the wide gap
        ({"jaccard": dict.fromkeys(range(5), 0.75)}, verdict.REAL),
        ({"jaccard": dict.fromkeys(range(5), 0.74)}, verdict.CONTINUUM),
        ({"n_clusters": 4, "jaccard": {0: 0.9, 1: 0.9, 2: 0.5, 3: 0.5}}, verdict.WEAK),  # half of them come back
        ({"strict": 0.25, "strict_low": 0.24}, verdict.CONTINUUM),
        ({"strict": 0.26, "strict_low": 0.24}, verdict.WEAK),
        ({"strict": 0.5, "strict_low": 0.49}, verdict.WEAK),
        ({"strict": 0.51, "strict_low": 0.49}, verdict.REAL),
        ({"gaps": dict.fromkeys(range(5), 0.7)}, verdict.REAL),
        ({"gaps": dict.fromkeys(range(5), 0.69)}, verdict.WEAK),
        ({"n_clusters": 1}, verdict.NOTHING),
        ({"n_clusters": 0, "n_clustered": 0}, verdict.NOTHING),
    ],
)
def test_judgement(changes, judged):
    facts = replace(STABLE, **changes)
    assert verdict.judge(facts) == judged
    said = verdict.sentence_of(facts)
    assert said.endswith(".") and said.count(". ") == 0
    assert ("continuum" in said) == (judged == verdict.CONTINUUM or facts.n_clusters == 0)
    assert ("not measured" in said) == (facts.n_clusters > 1 and (judged == verdict.UNTESTED))


def test_a_space_that_pulls_groups_apart_is_not_trusted_alone():
    said = verdict.sentence_of(replace(STABLE, strict_embedding=0.05, jaccard={}, dissolved={}, n_refits=0))
    assert "is 0.600 (null 0.080 to 0.100 in 3 draws), in the embedding itself 0.050: " in said
    assert "stand apart there; whether they would come" in said
    said = verdict.sentence_of(replace(STABLE, strict_embedding=0.05, null_embedding=(0.01, 0.02)))
    assert "in the embedding itself 0.050 (null 0.010 to 0.020): these are" in said


def test_clusters_without_a_gap_are_not_separate_however_high_the_silhouette():
    cut = replace(STABLE, gaps={0: 0.3, 1: 0.3, 2: 0.1, 3: 0.1, 4: 0.1})
    said = verdict.sentence_of(cut)
    assert said.endswith("but run into one another; in the embedding no gap parts most of them.")
    said = verdict.sentence_of(replace(cut, n_clusters=2, gaps={0: 0.1, 1: 0.1}))
    assert said.endswith("no gap parts the two.")
    assert "no gap" not in verdict.sentence_of(STABLE)
    assert replace(STABLE, gaps=dict.fromkeys(range(5), 0.49)).is_cut
    assert not replace(STABLE, gaps=dict.fromkeys(range(5), 0.5)).is_cut
    assert not replace(STABLE, gaps={0: 0.1, 1: 0.1, 2: 0.9, 3: 0.9}).is_cut, "half of them are not most"
    assert "no gap" not in verdict.sentence_of(replace(cut, null=(0.7, 0.7)))  # that data without groups do as well


def test_a_silhouette_no_better_than_its_null_cannot_be_missed():
    as_null = replace(STABLE, strict=0.41, strict_low=0.4, null=(0.64, 0.64), n_draws=1)
    said = verdict.sentence_of(as_null)
    assert "is 0.410 (null 0.640 in 1 draw): the same method finds as much structure in data without groups" in said
    assert "continuum" in said
    assert "without groups" not in verdict.sentence_of(STABLE)
    assert scores.beside_null(0.41, (0.64, 0.64), [0.4, 0.42]) == "0.410 (null 0.640; 0.400 to 0.420)"


REDRAWN = {"n_redraws": 5, "dissolved_redrawn": dict.fromkeys(range(5), 0)}


@pytest.mark.parametrize(
    ("jaccard", "judged", "text"),
    [
        ([0.9] * 5, verdict.REAL, "all of them are stable, and with the space made anew for each refit 5 of 5 are"),
        (
            [0.9] * 3 + [0.5] * 2,
            verdict.WEAK,
            "all of them are stable, but with the space made anew for each refit 3 of 5 are",
        ),
        ([0.9] + [0.5] * 4, verdict.CONTINUUM, ", but with the space made anew for each refit 1 of 5 is stable"),
    ],
)
def test_a_cluster_that_hangs_on_one_drawing_of_its_space_is_none(jaccard, judged, text):
    facts = replace(STABLE, jaccard_redrawn=dict(enumerate(jaccard)), **REDRAWN)
    assert verdict.judge(facts) == judged and text in verdict.sentence_of(facts)
    alone = replace(facts, jaccard={}, dissolved={}, n_refits=0)
    assert verdict.judge(alone) == judged and "not measured" not in verdict.sentence_of(alone)
    mixed = replace(facts, jaccard=STABLE.jaccard | {0: 0.2}, jaccard_redrawn=dict.fromkeys(range(5), 0.9) | {1: 0.2})
    assert mixed.n_stable == mixed.n_stable_redrawn == 4 and mixed.n_lasting == 3
    dissolving = replace(facts, dissolved=STABLE.dissolved | {3: 7}, names={3: "edge on"})
    assert "cluster 3: edge on dissolves in 7 of 10 refits" in verdict.sentence_of(dissolving)


def test_facts_are_those_of_the_manifest(broken_root):
    from galaxy_core import artifacts

    manifest = artifacts.read_manifest(broken_root, "tiny")
    recorded = manifest.clusterings["hdbscan"]["scores"]
    recorded["stability"] = {"n_refits": 10, "ari": 0.9, "jaccard": {"0": 0.9, "1": None}, "dissolved": {"0": 2}}
    recorded["stability_redrawn"] = {"n_refits": 4, "ari": 0.3, "jaccard": {"0": 0.8, "1": 0.2}, "dissolved": {"1": 4}}
    recorded["null"] = {"n_clusters": 1, "coverage": 0.1, "strict": 0.01, "strict_embedding": -0.02}
    asked = {"smooth-or-featured": {"text": "Is it smooth?", "ami": 0.25, "n_galaxies": 80}}
    asked |= {f"q{k} (hubble)": {"text": f"q{k}", "ami": k / 10, "n_galaxies": 30 + k} for k in range(4)}
    recorded["votes"] = asked
    artifacts.write_manifest(broken_root, "tiny", manifest)
    galaxies = readers.open_catalog(broken_root, "tiny")
    facts = verdict.facts_of(galaxies, "hdbscan")
    assert (facts.jaccard, facts.dissolved, facts.n_refits, facts.null) == ({0: 0.9}, {0: 2}, 10, (0.01, 0.01))
    assert facts.strict_low == recorded["fitted_space"]["strict_interval"][0]
    table = score_table.score_table(galaxies).set_index(["score", "kind"])["HDBSCAN"]
    assert (facts.n_redraws, facts.jaccard_redrawn, facts.null_embedding) == (4, {0: 0.8, 1: 0.2}, (-0.02, -0.02))
    assert table["stability, space as it is", ""] == "0.900 (1 of 3 stable)"
    assert table["stability, space made anew", ""] == "0.300 (1 of 3 stable)"
    assert table["null: on data without groups", "strict"] == "0.010 (1 draw; 1 cluster, 10 % covered)"
    assert "(null 0.010; " in table["silhouette, fitted space", "strict"]
    assert table["AMI with votes: Is it smooth?", "strict"] == "0.250 (of 80)"
    assert table["AMI with votes: q3 (hubble)", "strict"] == "0.300 (of 33)"
    assert sum(score.startswith("AMI with votes") for score, _ in table.index) == score_table.N_QUESTIONS
    votes = score_table.votes_table(galaxies)
    assert (
        len(votes) == 5
        and votes["HDBSCAN"].iloc[-1] == "0.000 (of 30)"
        and set(votes["k-means (8)"]) == {"not measured"}
    )
    assert "Space made anew: 4 refits. Null: 1 draw." in score_table.measured_on(galaxies)
    assert score_table.cluster_table(galaxies)["mean Jaccard, space made anew"].tolist()[:2] == ["0.800", "0.200"]
    assert table["silhouette, fitted space", "strict"] != table["silhouette, fitted space", "flattering"]
    of_kmeans = score_table.score_table(galaxies).set_index(["score", "kind"])["k-means (8)"]
    for row in (("stability, space as it is", ""), ("null: on data without groups", "strict")):
        assert of_kmeans[row] == "not measured"
    assert "(null not measured; " in of_kmeans["silhouette, fitted space", "strict"]
    assert of_kmeans["stability, space made anew", ""] == "not made anew: the embedding itself"
    assert score_table.as_null_sentence(galaxies) == ""
    assert "fitted on" not in score_table.measured_on(galaxies)
    manifest.clusterings["hdbscan"]["measures"] = {"n_fitted": 60}
    artifacts.write_manifest(broken_root, "tiny", manifest)
    said = score_table.measured_on(readers.open_catalog(broken_root, "tiny"))
    assert said.endswith(" Stability and null are of the 60 galaxies that the clusters were fitted on.")
    recorded["null"]["each"] = [{"strict": 0.3, "n_clusters": 1, "coverage": 0.1}, {"strict": 1.0, "n_clusters": 3}]
    artifacts.write_manifest(broken_root, "tiny", manifest)
    sentence = score_table.as_null_sentence(readers.open_catalog(broken_root, "tiny"))
    assert "as much structure in data without groups:** HDBSCAN " in sentence and "(null 0.300 to 1.000)" in sentence
    assert score_table.null_text(recorded["null"]) == "0.300 to 1.000 (2 draws; 1 to 3 clusters, 10 % covered)"


def test_a_catalog_in_which_there_can_be_no_cluster_is_not_called_a_continuum(broken_root):
    from galaxy_core import artifacts

    manifest = artifacts.read_manifest(broken_root, "tiny")
    table = artifacts.read_table(broken_root, "tiny", "clusters")
    manifest.clusterings["hdbscan"]["notes"] = ["all galaxies are unclustered, because there are two; add galaxies."]
    table["hdbscan_label"] = np.full(90, -1, np.int32)
    artifacts.write_table(broken_root, "tiny", "clusters", table)
    artifacts.write_manifest(broken_root, "tiny", manifest)
    galaxies = readers.open_catalog(broken_root, "tiny")
    said = "HDBSCAN found no cluster: there are two; add galaxies."
    assert verdict.sentence_of(verdict.facts_of(galaxies, "hdbscan")) == said == scores.meaning(galaxies, "hdbscan")[0]


def test_the_head_counts_a_clustering_that_is_chosen_twice_once(monkeypatch):
    known = {"real": STABLE, "also real": STABLE, "smooth": replace(STABLE, strict=0.2, strict_low=0.19)}
    monkeypatch.setattr(verdict, "facts_of", lambda galaxies, name: known[name])
    assert verdict.overall(None, "real", "also real") == "Both clusterings find groups that stand apart."
    assert verdict.overall(None, "real", "real") == "This clustering finds groups that stand apart."
    alone = verdict.overall(None, "smooth", "smooth")
    assert alone == "A continuum: this clustering finds no groups that stand apart."
    assert verdict.overall(None, "real", "smooth") == ""
