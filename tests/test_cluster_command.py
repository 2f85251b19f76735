"""`scripts/cluster.py`: any method in any space, several seeds, sweeps; one sentence where it cannot be done."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from galaxy_core import agreement, artifacts
from scripts import cluster
from scripts.reporting import print_headlines
from tests.pipeline_child import run
from tests.pipeline_runs import hashes, write_images

N = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Artifacts of a small catalog in three classes."""
    root = tmp_path_factory.mktemp("made")
    run(write_images(tmp_path_factory.mktemp("catalog"), N, broken=()), root)
    return root


@pytest.fixture
def root(made, tmp_path) -> Path:
    """A copy of it to work on."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def call(monkeypatch, capsys):
    """Function ``call(root, *words)``: exit code, standard output and error of the command."""

    def command(root: Path, *words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cluster.py", "sample", *words, "--artifacts", str(root)])
        try:
            code = cluster.main()
        except SystemExit as stopped:
            code = stopped.code
        said = capsys.readouterr()
        return code, said.out, "".join(line for line in said.err.splitlines(True) if "it/s" not in line)

    return command


def sentence(error: str) -> str:
    """The last line of what a command wrote to its standard error: progress bars come before."""
    return error.strip().splitlines()[-1].split("\r")[-1]


@pytest.mark.parametrize(
    ("words", "name", "space"),
    [
        (["--method", "kmeans", "--param", "n_clusters=4"], "kmeans_4", "embedding"),
        (["--method", "gmm", "--param", "n_clusters=3", "--space", "pca_3"], "gmm_3_pca_3", "pca_3"),
        (
            ["--method", "agglomerative", "--param", "n_clusters=3", "--space", "lda_2"],
            "agglomerative_3_lda_2",
            "lda_2",
        ),
        (["--method", "hdbscan", "--param", "min_cluster_size=8", "--name", "crowds"], "crowds", "embedding"),
        (["--name", "dbscan_p", "--param", "min_samples=4", "--space", "pca_2_of_pca_5"], "dbscan_p", "pca_2_of_pca_5"),
    ],
)
def test_any_method_in_any_space_is_stored_and_told(root, call, words, name, space):
    code, out, error = call(root, *words)
    assert code == 0, error
    manifest = artifacts.read_manifest(root, "sample")
    stored = manifest.clusterings[name]
    method = words[1].removesuffix("_p")
    assert (stored["method"], stored["space"], stored["seed"]) == (method, space, 0)
    assert stored["scores"]["n_clusters"] >= 2 and f"{name}: " in out
    assert stored["space_params"].get("method") == (None if space == "embedding" else space.split("_")[0])
    assert artifacts.read_table(root, "sample", "clusters")[f"{name}_label"].max() >= 1
    assert {"kmeans_3", "kmeans_2"} <= set(manifest.clusterings) and artifacts.verify(root, "sample") == []
    if method == "dbscan":
        assert stored["measures"]["k_distance"]["elbow"] == pytest.approx(stored["params"]["eps"])


def test_what_was_there_is_taken_over_not_made_again(root, call, monkeypatch):
    before = artifacts.read_table(root, "sample", "clusters")
    from galaxy_core import clustering

    fitted = []
    fit = clustering.fit_clustering
    monkeypatch.setattr(clustering, "fit_clustering", lambda m, *a, **k: fitted.append(m) or fit(m, *a, **k))
    assert call(root, "--method", "gmm", "--param", "n_clusters=2")[0] == 0
    assert fitted == ["gmm"]
    after = artifacts.read_table(root, "sample", "clusters")
    for column in before:
        np.testing.assert_array_equal(before[column], after[column])


def test_where_nothing_is_told_apart_no_silhouette_is_printed(root, call, capsys):
    code, out, error = call(root, "--method", "kmeans", "--param", "n_clusters=1")
    assert code == 0, error
    assert "kmeans_1: a single cluster of 100 % of all galaxies, so nothing to tell apart, in embedding" in out
    code, out, error = call(root, "--method", "hdbscan", "--sweep", "min_cluster_size=31..32")
    assert code == 0, error
    assert "No value of min_cluster_size gives two clusters or more, so there is no silhouette." in out
    assert "0.000" not in out
    none = {"scores": {"n_clusters": 0, "coverage": 0.0}, "space": "pca_2"}
    manifest = SimpleNamespace(name="n", n_galaxies=9, model="m", clusterings={"h": none}, projections={}, report=[])
    manifest.config = {"steps": {"neighbors": {"result": {"class_agreement": None}}}}
    print_headlines(manifest)
    assert "h: no cluster found in pca_2\n" in capsys.readouterr().out


def test_several_seeds_are_several_clusterings(root, call):
    assert call(root, "--method", "kmeans", "--name", "km", "--param", "n_init=1", "--seed", "3", "4", "5")[0] == 0
    stored = artifacts.read_manifest(root, "sample").clusterings
    assert {name: stored[name]["seed"] for name in stored if name.startswith("km_") or name == "km"} == {
        "km": 3,
        "km_seed_4": 4,
        "km_seed_5": 5,
    }


def test_a_clustering_that_is_there_is_not_lost_to_one_without_a_name(root, call):
    words = ("--method", "kmeans", "--param", "n_clusters=3")
    assert call(root, *words, "--stability", "2")[0] == 0  # other starts than those of the pipeline's kmeans_3
    assert call(root, *words, "--null")[0] == 0  # the same again, put to one test more
    stored = artifacts.read_manifest(root, "sample").clusterings
    starts = {name: stored[name]["params"]["n_init"] for name in stored}
    assert starts == {"kmeans_3": 2, "kmeans_2": 2, "kmeans_3_v2": 10}
    assert stored["kmeans_3_v2"]["scores"].keys() >= {"stability", "null"}
    assert call(root, *words, "--name", "kmeans_3")[0] == 0  # said to be replaced
    assert artifacts.read_manifest(root, "sample").clusterings["kmeans_3"]["params"]["n_init"] == 10


def test_stability_and_the_null_are_measured_where_asked_and_told(root, call):
    words = ("--method", "kmeans", "--space", "pca_3", "--param", "n_clusters=3", "--stability", "4", "--null")
    code, out, error = call(root, *words)
    assert code == 0, error
    scores = artifacts.read_manifest(root, "sample").clusterings["kmeans_3_pca_3"]["scores"]
    assert scores["stability"]["n_refits"] == len(scores["stability"]["ari_each"]) == 4
    assert scores["stability"]["ari"] > 0.9  # three classes of different colours
    assert scores["null"]["n_clusters"] == 3 and scores["null"]["strict"] < scores["fitted_space"]["strict"] / 2
    assert "4 refits on bootstrap samples agree with it by an ARI of" in out
    assert "on data without groups it finds 3 clusters" in out and "the highest of 4 draws" in out
    assert len(scores["null"]["each"]) == 4
    assert call(root, "--name", "kmeans_3_pca_3", "--null", "5")[0] == 0  # more often
    assert len(artifacts.read_manifest(root, "sample").clusterings["kmeans_3_pca_3"]["scores"]["null"]["each"]) == 10
    assert "stability" not in artifacts.read_manifest(root, "sample").clusterings["kmeans_3"]["scores"]


def test_redraws_make_the_space_anew_and_are_stored_like_stability(root, call, monkeypatch):
    from galaxy_core import spaces

    made, fit_space = [], spaces.fit_space
    monkeypatch.setattr(spaces, "fit_space", lambda n, v, *a: made.append((n, len(v))) or fit_space(n, v, *a))
    words = ("--method", "kmeans", "--space", "pca_3", "--param", "n_clusters=3", "--name", "three")
    assert call(root, *words)[0] == 0
    made.clear()
    code, out, error = call(root, "--name", "three", "--redraws", "3")  # the same clustering, tested harder
    assert code == 0, error
    stored = artifacts.read_manifest(root, "sample").clusterings["three"]
    redrawn = stored["scores"]["stability_redrawn"]
    assert (stored["method"], stored["space"], stored["params"]["n_clusters"]) == ("kmeans", "pca_3", 3)
    assert redrawn["n_refits"] == len(redrawn["ari_each"]) == 3 and set(redrawn["jaccard"]) == {"0", "1", "2"}
    assert redrawn["ari"] > 0.9 and "stability" not in stored["scores"] and redrawn["space"] == "pca_3"
    assert len(made) == 3 and all(name == "pca_3" and n < N for name, n in made)  # each galaxy drawn counts once
    assert "3 refits with the space made anew agree by an ARI of" in out


def test_redraws_of_a_space_that_knows_the_classes(root, call):
    assert call(root, "--method", "kmeans", "--space", "lda_2", "--param", "n_clusters=3", "--redraws", "2")[0] == 0
    redrawn = artifacts.read_manifest(root, "sample").clusterings["kmeans_3_lda_2"]["scores"]["stability_redrawn"]
    assert redrawn["ari"] > 0.5


def test_redraws_of_the_embedding_or_of_nothing_are_refused_in_a_sentence(root, call):
    code, _, error = call(root, "--name", "kmeans_3", "--redraws", "2")
    assert code == 1 and "The embedding itself is not made anew" in sentence(error)
    code, _, error = call(root, "--name", "nobody", "--redraws", "2")
    assert code == 1 and "sample has no clustering 'nobody'; say how to make it" in sentence(error)
    code, _, error = call(root, "--name", "kmeans_12")  # not eight clusters under this name
    assert code == 1 and "sample has no clustering 'kmeans_12'; say how to make it" in sentence(error)


def test_a_space_that_knows_the_classes_is_judged_on_galaxies_it_did_not_learn_from(root, call):
    from galaxy_core.comparison import measure_agreement

    assert call(root, "--method", "kmeans", "--space", "lda_2", "--param", "n_clusters=3")[0] == 0
    stored = artifacts.read_manifest(root, "sample").clusterings["kmeans_3_lda_2"]
    table = artifacts.read_table(root, "sample", "catalog")
    labels = artifacts.read_table(root, "sample", "clusters")["kmeans_3_lda_2_label"].to_numpy()
    held_out = (table["split"] != "train").to_numpy()
    wanted = measure_agreement(labels[held_out], table["class"].to_numpy(dtype=object)[held_out])
    assert stored["scores"]["ami"] == pytest.approx(wanted.ami) and "did not learn from" in stored["notes"][0]


def test_agreement_with_votes_is_stored_where_there_are_votes(root, call):
    name, manifest = "smooth-or-featured", artifacts.read_manifest(root, "sample")
    table = artifacts.read_table(root, "sample", "catalog")
    table[f"{name}_smooth"] = (table["class"] == "a").to_numpy(dtype=np.float32)
    table[f"{name}_featured"] = 1 - table[f"{name}_smooth"]
    artifacts.write_table(root, "sample", "catalog", table)
    columns = (f"{name}_smooth", f"{name}_featured")
    artifacts.write_manifest(root, "sample", replace(manifest, answer_columns=columns, answer_kind="fraction"))
    for least in (100, 10):  # fewer answers say nothing
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(agreement.agreement_with_votes, "__defaults__", (least,))
            words = ("--method", "kmeans", "--param", "n_clusters=3", "--name", "kmeans_3", "--seed", str(least))
            assert call(root, *words)[0] == 0
        found = artifacts.read_manifest(root, "sample").clusterings["kmeans_3"]["scores"]["votes"]
        assert set(found) == ({name} if least < N else set())
    about = found[name]
    assert (about["n_galaxies"], about["n_classes"]) == (N, 2) and about["text"]
    assert about["homogeneity"] == pytest.approx(1) and 0.5 < about["ami"] < 0.9  # three clusters of two answers
    assert call(root, "--method", "kmeans", "--space", "lda_2", "--param", "n_clusters=3")[0] == 0
    found = artifacts.read_manifest(root, "sample").clusterings["kmeans_3_lda_2"]["scores"]["votes"]
    assert found == {}  # LDA has learned from most of these galaxies; the others are fewer than 100


def test_remove_drops_one_and_only_that(root, call):
    assert call(root, "--name", "kmeans_2", "--remove")[0] == 0
    assert set(artifacts.read_manifest(root, "sample").clusterings) == {"kmeans_3"}
    code, _, error = call(root, "--name", "kmeans_2", "--remove")
    assert code == 1 and "sample has no clustering 'kmeans_2'; it has kmeans_3." in error


WRONG = {
    "k larger than n": (["--method", "kmeans", "--param", "n_clusters=61"], "needs 61 different vectors"),
    "size larger than n": (["--method", "hdbscan", "--param", "min_cluster_size=61"], "among 60; ask for a smaller"),
    "no cluster": (["--method", "hdbscan", "--param", "min_cluster_size=31"], "hdbscan found no cluster among the 60"),
    "no such space": (["--method", "kmeans", "--space", "atlas"], "choose embedding, pca_20"),
    "no such dimension": (["--method", "kmeans", "--space", "tsne_3"], "tsne gives 1 or 2 dimensions"),
    "no such parameter": (["--method", "kmeans", "--param", "k=3"], "kmeans has no parameter 'k'"),
    "no number": (["--method", "dbscan", "--param", "eps=abc"], "eps must be a number, not 'abc'"),
    "no such space can be": (["--method", "kmeans", "--space", "umap_3,min_dist=5"], "min_dist must be a number"),
    "no seed of a space": (["--method", "kmeans", "--space", "pca_3,seed=-1"], "A seed must be a number from 0"),
    "no such name": (["--method", "kmeans", "--name", "a/b"], "cannot name a clustering"),
    "swept too far": (["--method", "kmeans", "--sweep", "n_clusters=70..80"], "No value of n_clusters gives"),
    "swept nowhere": (["--method", "kmeans", "--sweep", "n_clusters=few"], "is no list of values"),
    "swept sideways": (["--method", "kmeans", "--sweep", "size=2..4"], "kmeans has no parameter 'size'"),
}


@pytest.mark.parametrize("case", list(WRONG))
def test_what_cannot_be_done_is_one_sentence_and_changes_nothing(root, call, case):
    words, expected = WRONG[case]
    before = hashes(root / "sample")
    code, _, error = call(root, *words)
    assert code == 1 and expected in sentence(error) and "Traceback" not in error
    assert hashes(root / "sample") == before


@pytest.mark.parametrize("spoiled", ["nan", "identical"])
def test_an_embedding_that_cannot_be_clustered_is_one_sentence(root, call, spoiled, monkeypatch):
    from galaxy_core import steps

    vectors = np.full((N, 12), np.nan if spoiled == "nan" else 0.25, np.float32)
    monkeypatch.setattr(steps, "read_staged_embedding", lambda *_: vectors)
    before = hashes(root / "sample")
    code, _, error = call(root, "--method", "kmeans", "--param", "n_clusters=5")
    expected = "60 of 60 galaxies have NaN" if spoiled == "nan" else "the 60 galaxies have 1; ask for fewer"
    assert code == 1 and expected in sentence(error)
    assert hashes(root / "sample") == before


def test_one_galaxy(tmp_path, call):
    run(write_images(tmp_path / "images", 1, broken=()), tmp_path / "root")
    before = hashes(tmp_path / "root/sample")
    for words in (
        ["--method", "kmeans"],
        ["--method", "hdbscan"],
        ["--method", "kmeans", "--sweep", "n_clusters=2..4"],
    ):
        code, _, error = call(tmp_path / "root", *words)
        assert code == 1 and "Traceback" not in error
        assert "galax" in sentence(error) and sentence(error).endswith(".")
    assert hashes(tmp_path / "root/sample") == before


def test_the_benchmark_compares_like_with_like(made, capsys):
    from argparse import Namespace

    from scripts.benchmarks.cluster import make_galaxies, measure

    options = Namespace(artifacts=made, catalog="sample", dense_space="pca_3", rows=[300, 600], repeats=1)
    numbers = measure(options)
    assert set(numbers["rows"]) == {"300", "600"} and numbers["peak_memory_gib"] > 0
    for case in numbers["rows"]["600"].values():
        assert case["ratio"] > 0 and len(case["seconds_of_each_turn"]["bare"]) == 3  # short calls: three turns for one
    assert numbers["rows"]["600"]["kmeans"]["n_clusters"] == 8
    assert "from 300 to 600 galaxies" in capsys.readouterr().out
    vectors, dense = make_galaxies(made, "sample", "pca_3", 500)
    assert vectors.shape == (500, 64) and dense.shape == (500, 3)
    assert len(np.unique(dense, axis=0)) == 500  # copies are no twins
