"""Formulas behind the cluster cards against naive re-derivations, and names that outlive a rerun."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy.stats import fisher_exact, mannwhitneyu

from galaxy_core import cluster_cards, cluster_enrichment, cluster_names
from galaxy_core.artifacts import write_json
from galaxy_core.errors import ArtifactError
from galaxy_core.images import encode_png


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def blobs(rng):
    """Three groups of 40, 30 and 20 galaxies in four dimensions, and ten in none."""
    labels = np.repeat([0, 1, 2, -1], [40, 30, 20, 10])
    centres = np.array([[0, 0, 0, 0], [10, 0, 0, 0], [0, 4, 0, 0], [5, 5, 5, 5]], dtype=np.float64)
    return (centres[labels] + rng.normal(0, 0.5, (100, 4))).astype(np.float32), labels


# ---------------------------------------------------------------- medoids, border, neighbours


def test_medoids_have_the_least_mean_distance(blobs):
    vectors, labels = blobs
    members = np.flatnonzero(labels == 1)
    means = [np.mean([np.linalg.norm(vectors[a] - vectors[b]) for b in members]) for a in members]
    expected = members[np.argsort(means)]
    assert cluster_cards.medoids(vectors, members, 5, 0).tolist() == expected[:5].tolist()
    assert sorted(cluster_cards.medoids(vectors, members, 99, 0)) == members.tolist()
    assert not len(cluster_cards.medoids(vectors, members[:0], 5, 0))
    assert cluster_cards.medoids(vectors, members[:1], 5, 0).tolist() == members[:1].tolist()


def test_medoids_of_a_large_cluster_lie_at_its_centre(rng):
    vectors = rng.normal(0, 1, (6000, 3)).astype(np.float32)
    vectors[77] = 0  # the mean of a round cloud
    found = cluster_cards.medoids(vectors, np.arange(6000), 20, 0)
    assert 77 in found and np.linalg.norm(vectors[found], axis=1).max() < 0.5


def test_border_is_where_the_silhouette_is_nearest_zero(rng):
    silhouettes, membership = rng.uniform(-1, 1, 50), rng.uniform(0, 1, 50)
    members = np.arange(0, 50, 2)
    found = cluster_cards.border_members(members, silhouettes, membership, 4)
    assert np.abs(silhouettes[found]).max() <= np.abs(silhouettes[np.setdiff1d(members, found)]).min()
    one = cluster_cards.border_members(members, np.zeros(50), membership, 4)
    assert membership[one].max() <= membership[np.setdiff1d(members, one)].min()


def test_nearest_cluster_by_the_distance_of_the_means(blobs):
    vectors, labels = blobs
    means = {k: vectors[labels == k].astype(float).mean(axis=0) for k in range(3)}
    label, distance = cluster_cards.nearest_cluster(vectors, labels, 0)
    assert label == 2 and distance == pytest.approx(np.linalg.norm(means[0] - means[2]))
    assert cluster_cards.nearest_cluster(vectors, np.zeros(100, int), 0) is None
    assert cluster_cards.nearest_cluster(vectors, np.full(100, -1), 0) is None
    assert cluster_cards.nearest_cluster(vectors, labels, 7) is None


def test_neighbour_distance_is_the_chord_of_unit_vectors(rng):
    unit = rng.normal(size=(30, 5))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosines = np.sort(unit @ unit.T, axis=1)[:, ::-1][:, 1:5]
    distances = np.sort(np.linalg.norm(unit[:, None] - unit[None], axis=2), axis=1)[:, 4]
    rows = np.array([0, 3, 9])
    assert cluster_cards.neighbour_distance(cosines, rows) == pytest.approx(distances[rows].mean())
    assert np.isnan(cluster_cards.neighbour_distance(np.zeros((2, 0)), np.array([0])))
    assert np.isnan(cluster_cards.neighbour_distance(cosines, rows[:0]))


def test_mean_picture_is_the_mean_of_the_pixels():
    low, high = np.full((3, 8, 8), 0.2, np.float32), np.full((3, 8, 8), 0.6, np.float32)
    other = np.ones((3, 4, 4), np.float32)
    mean, n = cluster_cards.mean_picture([encode_png(low), encode_png(high), b"", b"broken", encode_png(other)])
    assert n == 2 and np.allclose(mean, 0.4, atol=1 / 255)
    assert cluster_cards.mean_picture([b"", b"?"]) == (None, 0)


# ---------------------------------------------------------------- enrichment


@pytest.mark.parametrize("ties", [False, True])
def test_rank_sum_against_scipy(rng, ties):
    ours, theirs = rng.normal(0.3, 1, 80), rng.normal(0, 1, 300)
    if ties:
        ours, theirs = ours.round(), theirs.round()
    expected = mannwhitneyu(ours, theirs, method="asymptotic", use_continuity=False).pvalue
    found = cluster_enrichment.rank_sum_p(np.append(ours, np.nan), theirs)
    assert found == pytest.approx(expected, rel=1e-9)
    assert cluster_enrichment.rank_sum_p(np.ones(5), np.ones(9)) == 1
    few = mannwhitneyu(ours[:6], theirs[:90], method="asymptotic", use_continuity=False).pvalue
    if not ties:  # however few galaxies, where all values differ
        assert cluster_enrichment.rank_sum_p(ours[:6], theirs[:90]) == pytest.approx(few, rel=1e-9)
    assert np.isnan(cluster_enrichment.rank_sum_p(np.full(3, np.nan), theirs))


def test_few_galaxies_of_a_rare_kind_are_no_discovery(rng):
    """Of clusters drawn at random no more stand out than the p-values say; the normal limit found 375 times as many."""
    rare, votes = np.zeros(2_000), np.zeros(2_000)
    rare[:4] = 1
    votes[:8] = rng.random(8)
    for values, size in ((rare, 20), (votes, 20), (votes, 3)):
        found = []
        for _ in range(400):
            mixed = rng.permutation(values)
            found.append(cluster_enrichment.rank_sum_p(mixed[:size], mixed[size:]))
        assert np.mean(np.array(found) < 0.001) <= 0.01 and min(found) > 1e-7
    rare[4:100] = 2  # a twentieth of another value, and so one galaxy expected among twenty
    mixed = rng.permutation(rare)
    ours, theirs = int((mixed[:20] > 0).sum()), int((mixed[20:] > 0).sum())
    exact = fisher_exact([[ours, 20 - ours], [theirs, 1_980 - theirs]]).pvalue
    assert cluster_enrichment.rank_sum_p(mixed[:20], mixed[20:]) == pytest.approx(exact, rel=1e-9)
    votes[:30] = rng.random(30)
    mixed = rng.permutation(votes)  # a cluster of nearly all galaxies differs from the few others as they do from it
    few, others = mixed[:20], mixed[20:]
    assert cluster_enrichment.rank_sum_p(others, few) == pytest.approx(cluster_enrichment.rank_sum_p(few, others))
    one_of_two = np.zeros(2_000)
    one_of_two[[0, 500]] = 1
    by_chance = 1 - (1 - 15 / 2_000) ** 2  # that one of the two at least is among the fifteen
    assert cluster_enrichment.rank_sum_p(one_of_two[:15], one_of_two[15:]) == pytest.approx(by_chance, rel=0.01)
    many = np.repeat([1.0, 0.0], [300, 700]), np.repeat([1.0, 0.0], [360, 640])
    expected = mannwhitneyu(*many, method="asymptotic", use_continuity=True).pvalue
    assert cluster_enrichment.rank_sum_p(*many) == pytest.approx(expected, rel=0.2)  # the same where there are many


def test_holm_step_by_step(rng):
    p_values = rng.uniform(0, 0.2, 12)
    order, worst, expected = sorted(range(12), key=lambda k: p_values[k]), 0.0, {}
    for rank, k in enumerate(order):
        worst = max(worst, min(1.0, (12 - rank) * p_values[k]))
        expected[k] = worst
    assert np.allclose(cluster_enrichment.holm(p_values), [expected[k] for k in range(12)])
    with_nothing = cluster_enrichment.holm(np.array([0.01, np.nan]))
    assert with_nothing[0] == 0.01 and np.isnan(with_nothing[1])
    assert len(cluster_enrichment.holm(np.zeros(0))) == 0


def test_what_is_enriched_and_the_name_that_follows(rng):
    n, members = 600, np.arange(200)
    kinds = np.where(np.arange(n) < 180, 0, rng.integers(1, 3, n))
    radius, noise = rng.normal(0, 1, n), rng.normal(0, 1, n)
    radius[members] += 1.5
    spiral = np.where(np.arange(n) < 200, 0.9, 0.1) + rng.normal(0, 0.01, n)
    numbers = {"noise": noise, "radius_arcsec": radius, "disk_spiral-arms_fraction": spiral}
    categories = {"class": (kinds, ("edge_on", "smooth", "star"))}
    found = cluster_enrichment.enrichments(n, members, numbers, categories, n_clusters=3)
    by = {(e.difference.column, e.difference.value): e for e in found}
    assert by["class", "edge_on"].difference.effect == pytest.approx(0.9) and by["class", "edge_on"].is_enriched
    assert not by["noise", None].is_enriched and by["noise", None].p_adjusted >= by["noise", None].p_value
    p_values = np.array([e.p_value for e in found])
    assert np.allclose([e.p_adjusted for e in found], np.minimum(1, 3 * cluster_enrichment.holm(p_values)))
    assert cluster_enrichment.suggest_name(found, ("disk_spiral-arms_fraction",)) == "edge on, spiral arms"
    assert cluster_enrichment.suggest_name([e for e in found if e.difference.column == "radius_arcsec"]) == (
        "high radius arcsec"
    )
    assert cluster_enrichment.suggest_name([by["noise", None]]) == "" == cluster_enrichment.suggest_name(())


def test_votes_name_a_cluster_in_the_words_of_the_card():
    rng = np.random.default_rng(0)
    high = np.where(np.arange(200) < 50, 0.9, 0.1) + rng.normal(0, 0.01, 200)
    columns = {
        "t07_rounded_a18_cigar_shaped_weighted_fraction": high,
        "t07_rounded_a18_cigar_shaped_debiased": high,
        "Class11.2": high,
        "t03_bar_a06_bar_debiased": -high,
    }
    found = cluster_enrichment.enrichments(200, np.arange(50), columns, {}, 2)
    assert sorted(cluster_enrichment.suggest_name(found, list(columns)[1:]).split(", ")) == ["2 arms", "cigar shaped"]


def test_of_two_classes_either_can_name_a_cluster():
    codes = np.repeat([0, 1, 1], [50, 50, 100])
    found = cluster_enrichment.enrichments(200, np.arange(50), {}, {"class": (codes, ("few", "many"))}, 2)
    effects = {e.difference.value: e.difference.effect for e in found}
    assert effects == {"few": 1.0, "many": -1.0} and cluster_enrichment.suggest_name(found) == "few"
    codes = np.repeat([0, 1, 0, 1], [40, 10, 50, 100])
    found = cluster_enrichment.enrichments(200, np.arange(50), {}, {"class": (codes, ("few", "many"))}, 2)
    for one in (e.difference for e in found):
        shares = (0.8, 1 / 3) if one.value == "few" else (0.2, 2 / 3)
        assert (one.selected, one.rest) == pytest.approx(shares) and one.effect == pytest.approx(np.subtract(*shares))
        assert one.low < one.effect < one.high
    unknown = np.r_[codes, np.full(60, -1)]  # galaxies whose class nobody knows are none of another class
    again = cluster_enrichment.enrichments(260, np.arange(50), {}, {"class": (unknown, ("few", "many"))}, 2)
    assert [e.p_value for e in again] == pytest.approx([e.p_value for e in found], rel=1e-9)


def test_what_is_negligible_or_does_not_stand_names_no_cluster():
    def enrichment(effect: float, p_adjusted: float) -> cluster_enrichment.Enrichment:
        difference = cluster_enrichment.Difference("radius_arcsec", None, effect, effect, effect, 2.0, 1.0, 50, 50)
        return cluster_enrichment.Enrichment(difference, 0.01, p_adjusted)

    assert not enrichment(0.5, 0.06).is_enriched and enrichment(0.5, 0.04).is_enriched
    high = "high radius arcsec"
    for effect, p_adjusted, name in ((0.5, 0.04, high), (0.5, 0.06, ""), (0.15, 0.04, high), (0.14, 0.04, "")):
        assert cluster_enrichment.suggest_name([enrichment(effect, p_adjusted)]) == name
    assert cluster_enrichment.suggest_name([enrichment(-0.5, 0.04)]) == "low radius arcsec"


def test_a_cluster_is_named_by_what_it_lacks_or_by_two_classes():
    kinds = ("edge_on", "round", "spiral", "in_between")
    rest = np.repeat([0, 1, 2, 3], [160, 10, 20, 10])
    lacking = np.concatenate([np.repeat([1, 2, 3], [70, 60, 70]), rest])
    found = cluster_enrichment.enrichments(400, np.arange(200), {}, {"class": (lacking, kinds)}, 2)
    assert cluster_enrichment.suggest_name(found) == "not edge on"
    two = np.concatenate([np.repeat([0, 1, 2, 3], [10, 90, 80, 20]), np.repeat([0, 1, 2, 3], [85, 10, 10, 95])])
    found = cluster_enrichment.enrichments(400, np.arange(200), {}, {"class": (two, kinds)}, 2)
    assert cluster_enrichment.suggest_name(found) == "round or spiral"
    one = np.concatenate([np.repeat([1, 2], [150, 50]), np.repeat([0, 1, 2, 3], [90, 10, 10, 90])])
    found = cluster_enrichment.enrichments(400, np.arange(200), {}, {"class": (one, kinds)}, 2)
    assert cluster_enrichment.suggest_name(found) == "round", "one that is most of it names it alone"


def test_enrichment_with_nothing_to_compare():
    assert cluster_enrichment.enrichments(3, np.arange(3), {"a": np.arange(3.0)}, {}, 1) == ()
    assert cluster_enrichment.enrichments(3, np.arange(1), {}, {}, 1) == ()
    for values in (np.full(3, np.nan), np.array([np.nan, 1, 2]), np.array([1, np.nan, np.nan])):
        assert cluster_enrichment.enrichments(3, np.arange(1), {"a": values}, {}, 1) == ()


# ---------------------------------------------------------------- names


def test_a_name_belongs_to_the_galaxies_not_to_the_number(tmp_path):
    ids = np.array(["NGC 1", "Ñ-2", "星系 3", "4"], dtype=object)
    labels = np.array([0, 0, 1, -1])
    stored = cluster_names.name_cluster(tmp_path, "a", "hdbscan", 1, ids[labels == 1], "  edge\n on ★ ")
    assert stored == "edge on ★"
    digests = cluster_names.digests_of(ids, labels)
    assert cluster_names.names_of(cluster_names.read_names(tmp_path, "a"), "hdbscan", digests) == {1: "edge on ★"}
    renumbered = cluster_names.digests_of(ids, np.array([1, 1, 0, -1]))
    assert cluster_names.names_of(cluster_names.read_names(tmp_path, "a"), "hdbscan", renumbered) == {0: "edge on ★"}
    other = cluster_names.digests_of(ids, np.array([0, 0, 1, 1]))
    assert cluster_names.names_of(cluster_names.read_names(tmp_path, "a"), "hdbscan", other) == {}
    assert cluster_names.names_of(cluster_names.read_names(tmp_path, "a"), "kmeans", digests) == {}
    cluster_names.name_cluster(tmp_path, "a", "hdbscan", 1, ids[labels == 1], " ")
    assert cluster_names.read_names(tmp_path, "a") == {}


def test_a_name_stays_when_the_catalog_is_sorted_anew_and_that_of_an_earlier_version_is_known(tmp_path):
    ids, labels, order = np.array(["b", "a", "c"]), np.array([0, 0, 1]), np.array([2, 1, 0])
    cluster_names.name_cluster(tmp_path, "a", "k", 0, ids[labels == 0], "edge on")
    for digests in (cluster_names.digests_of(ids, labels), cluster_names.digests_of(ids[order], labels[order])):
        assert cluster_names.names_of(cluster_names.read_names(tmp_path, "a"), "k", digests) == {0: "edge on"}
    earlier = hashlib.blake2b(b"b\0a", digest_size=10).hexdigest()  # in the order of the catalog
    stored = {"k": {earlier: {"name": "disks", "label": 0, "size": 2}}}
    assert cluster_names.names_of(stored, "k", cluster_names.digests_of(ids, labels)) == {0: "disks"}
    write_json(cluster_names.names_path(tmp_path, "a"), {"version": 1, "names": stored})
    cluster_names.name_cluster(tmp_path, "a", "k", 0, ids[labels == 0], "edge on")
    assert earlier not in cluster_names.read_names(tmp_path, "a")["k"]


@pytest.mark.parametrize(
    "content", ["{", '{"version": 1}', '{"version": 9, "names": {}}', '{"version": 1, "names": 3}']
)
def test_a_broken_file_of_names_is_one_sentence(tmp_path, content):
    path = cluster_names.names_path(tmp_path, "a")
    path.write_text(content)
    with pytest.raises(ArtifactError, match=r"a\.clusters\.json"):
        cluster_names.read_names(tmp_path, "a")
    with pytest.raises(ArtifactError):  # and what is there is not overwritten
        cluster_names.name_cluster(tmp_path, "a", "k", 0, np.array(["x"]), "name")
    assert path.read_text() == content
