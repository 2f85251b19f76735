"""The verdict on two clusterings follows from their numbers, and calls a continuum a continuum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from galaxy_core import cluster_agreement
from pages.views import agreement_panels, readers, score_table, scores, verdict, words
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
        ({"null": None}, verdict.UNTESTED),
        ({"jaccard": {}, "dissolved": {}, "n_refits": 0}, verdict.UNTESTED),
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


# ---------------------------------------------------------------- agreement


@pytest.fixture
def pair():
    rng = np.random.default_rng(2)
    first = rng.integers(-1, 4, 400)
    second = np.where(rng.random(400) < 0.7, (first + 2) % 4, rng.integers(-1, 6, 400))
    return first, np.where((first < 0) & (rng.random(400) < 0.5), -1, second)


def test_contingency_counts_every_pair(pair):
    table = cluster_agreement.contingency(*pair)
    for i, row in enumerate(table.rows):
        for j, column in enumerate(table.columns):
            assert table.counts[i, j] == ((pair[0] == row) & (pair[1] == column)).sum()
    assert table.rows == (0, 1, 2, 3, -1) and table.columns[-1] == -1 and table.counts.sum() == 400
    assert cluster_agreement.contingency(np.zeros(0, int), np.zeros(0, int)).counts.shape == (0, 0)


def test_the_match_is_the_best_of_all_permutations(pair):
    from itertools import permutations

    first, second = pair
    best = max(
        sum(((first == k) & (second == column)).sum() for k, column in enumerate(columns))
        for columns in permutations(range(6), 4)
    )
    both_none = ((first < 0) & (second < 0)).sum()
    assert cluster_agreement.agreeing_share(first, second) == pytest.approx((best + both_none) / 400)
    assert cluster_agreement.agreeing_share(first, np.where(first < 0, -1, 9 - first)) == 1
    assert cluster_agreement.agreeing_share(np.zeros(4, int), np.full(4, -1)) == 0
    assert np.isnan(cluster_agreement.agreeing_share(np.zeros(0, int), np.zeros(0, int)))


def test_agreement_by_chance_is_that_of_shuffled_labels(tiny_root):
    rng = np.random.default_rng(3)
    first, second = rng.choice([-1, 0, 1], 9_000, p=[0.1, 0.85, 0.05]), rng.choice([-1, 0, 1], 9_000, p=[0.2, 0.7, 0.1])
    shuffled = np.mean([cluster_agreement.agreeing_share(first, rng.permutation(second)) for _ in range(10)])
    assert cluster_agreement.chance_share(first, second) == pytest.approx(shuffled, abs=0.005)
    assert 0.6 < shuffled < cluster_agreement.agreeing_share(first, first) == 1
    assert np.isnan(cluster_agreement.chance_share(np.zeros(0, int), np.zeros(0, int)))
    for n, k in (
        (60, 8),
        (2_000, 40),
    ):  # matched groups are those that chance made alike, the more so the more there are
        first, second = rng.integers(0, k, (2, n))
        found = [cluster_agreement.agreeing_share(first, rng.permutation(second)) for _ in range(50)]
        assert cluster_agreement.chance_share(first, second) == pytest.approx(np.mean(found), rel=0.05)
        assert np.mean(found) > 2 / k
    galaxies = readers.open_catalog(tiny_root, "tiny")
    labels = [galaxies.labels(name) for name in ("hdbscan", "kmeans_8")]
    by_chance = f"(about {words.share(cluster_agreement.chance_share(*labels), 1)} by chance)"
    assert by_chance in verdict.sentence_of_pair(galaxies, "hdbscan", "kmeans_8")


def test_the_diagonal_holds_the_matched_clusters_the_largest_first(pair):
    before, table = (
        cluster_agreement.contingency(*pair),
        cluster_agreement.on_diagonal(cluster_agreement.contingency(*pair)),
    )
    diagonal = [table.counts[k, k] for k in range(4)]
    assert diagonal == sorted(diagonal, reverse=True) and sum(diagonal) > 0.5 * table.counts.sum()
    assert table.rows[-1] == table.columns[-1] == -1 and sorted(table.rows) == sorted(before.rows)
    row, column = before.rows.index(table.rows[1]), before.columns.index(table.columns[2])
    assert table.counts[1, 2] == before.counts[row, column]


@pytest.mark.parametrize(("measure", "expected"), [("ari", adjusted_rand_score), ("ami", adjusted_mutual_info_score)])
def test_matrices_against_scikit_learn(pair, measure, expected):
    first, second = pair
    groupings = {"a": first, "b": second}
    values, n = cluster_agreement.agreement_matrix(groupings, measure, {"a": True, "b": True})
    assert values[0, 1] == values[1, 0] == pytest.approx(expected(first, second)) and (n == 400).all()
    assert values[0, 0] == pytest.approx(1)
    values, n = cluster_agreement.agreement_matrix(groupings, measure, {"a": False, "b": False})
    both = (first >= 0) & (second >= 0)
    assert n[0, 1] == both.sum() and values[0, 1] == pytest.approx(expected(first[both], second[both]))
    nothing, n = cluster_agreement.agreement_matrix({"a": first, "b": np.full(400, -1)}, measure, {"a": 1, "b": 0})
    assert np.isnan(nothing[0, 1]) and n[0, 1] == 0


def test_groups_beyond_those_that_can_be_read_are_counted(tiny_root):
    galaxies = readers.open_catalog(tiny_root, "tiny")
    table, left_out = agreement_panels.table_of(galaxies, "hdbscan", "class")
    assert table.counts.sum() + left_out == 90 and set(table.rows) == {0, 1, 2, -1}
    counts = np.arange(1, 101)[:, None]
    kept = agreement_panels.largest(counts, (*range(99), -1), 1)
    assert len(kept) == agreement_panels.MAX_SHOWN and kept[-1] == 99 and min(kept) == 76


def test_classes_that_a_space_learned_count_for_nothing_in_the_matrices(broken_root):
    from galaxy_core import artifacts

    manifest = artifacts.read_manifest(broken_root, "tiny")
    manifest.clusterings["hdbscan"]["space"] = "umap_2_of_lda_4"
    manifest.clusterings["kmeans_8"]["space"] = "of another version"
    artifacts.write_manifest(broken_root, "tiny", manifest)
    galaxies = readers.open_catalog(broken_root, "tiny")
    split, codes = galaxies.catalog["split"].to_numpy(), agreement_panels.codes_of(galaxies, "class")
    names, matrices = agreement_panels.matrices_of(galaxies, True)
    for name, galaxies_left in (("hdbscan", split != "train"), ("kmeans_8", np.ones(90, bool))):
        kept = galaxies_left & (codes >= 0)
        place = galaxies.clustering_names.index(name), len(names) - 1
        assert kept.any() and (matrices["ami"][1][place], matrices["ami"][1][place[::-1]]) == (kept.sum(),) * 2
        expected = adjusted_mutual_info_score(galaxies.labels(name)[kept], codes[kept])
        assert matrices["ami"][0][place] == matrices["ami"][0][place[::-1]] == pytest.approx(expected)
    assert agreement_panels.learned_among(galaxies) == ["hdbscan"]
