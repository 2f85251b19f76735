"""What `scripts/evaluate.py clustering` measures, chooses and prints."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from galaxy_core import stability
from galaxy_core.clustering import fit_clustering
from galaxy_core.errors import CatalogError
from galaxy_core.recipes import clustering_scores
from galaxy_core.recipes.clustering_scores import Candidate, choose, is_eligible, redrawing, score_clusterings, targets
from galaxy_core.recipes.clustering_table import aligned, table_lines

ROOT = Path(__file__).parents[1]
FEW = {
    "hdbscan_crowds": Candidate("hdbscan", "pca_2_of_smoothed_4", {"min_cluster_share": 0.1, "min_samples": 5}),
    "kmeans_8": Candidate("kmeans", "pca_2", {"n_clusters": 8, "n_init": 1}),
    "published_kmeans": Candidate("kmeans", "embedding", {"n_clusters": 3, "n_init": 1}, published=True),
}


def islands(n: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Three islands whose place shows in six features at once."""
    place = np.arange(n) % 3
    vectors = 30 * np.repeat(np.eye(3)[place], 2, axis=1) + np.random.default_rng(0).normal(size=(n, 6))
    return vectors.astype(np.float32), np.array(["spiral", "edge_on", "round"], dtype=object)[place]


@pytest.fixture(scope="module")
def scores() -> dict:
    vectors, classes = islands()
    return score_clusterings(vectors, classes, seed=0, n_refits=3, n_redraws=2, candidates=FEW)


def row(strict=0.4, coverage=0.9, sizes=(50, 30, 10), jaccard=(0.9, 0.8, 0.76), redrawn=0.5, method="hdbscan") -> dict:
    scores = {
        "n_clusters": len(sizes),
        "sizes": sizes,
        "n_galaxies": 100,
        "coverage": coverage,
        "fitted_space": {"strict": strict},
        "stability": {"jaccard": {str(i): value for i, value in enumerate(jaccard)}},
    }
    again = {"redrawn": {"ari": redrawn}} if redrawn else {}
    return {"scores": scores, "method": method, "published": False, "eligible": is_eligible(scores), **again}


def test_what_may_be_chosen():
    assert row()["eligible"]
    for worse in (
        {"sizes": (50, 40), "jaccard": (0.9, 0.9)},
        {"sizes": (80, 9, 0.5)},
        {"coverage": 0.79},
        {"jaccard": (0.9, 0.9, 0.74)},
        {"jaccard": (0.9, 0.9, None)},
    ):
        assert not row(**worse)["eligible"], worse


def test_the_choice_goes_by_silhouette_and_stability_and_sees_no_classes():
    made = {  # the rows have no agreement with classes at all
        "low": row(0.3, redrawn=0.8),
        "high": row(0.4, redrawn=0.7),
        "unstable": row(0.9, sizes=(50, 40), jaccard=(0.9, 0.9), redrawn=0.99),
        "changes": row(0.5, method="kmeans", redrawn=0.4),
    }
    assert choose(made) == {"hdbscan": "high", "best": "low"}
    made["of_others"] = row(0.6, redrawn=0.9) | {"published": True}
    assert choose(made) == {"hdbscan": "high", "best": "low"}
    for one in made.values():
        one["eligible"] = False
    assert choose(made) == {"hdbscan": "unstable"}
    assert choose({"a": row(redrawn=None)}) == {"hdbscan": "a"}
    assert choose({}) == {}


def test_islands_reach_every_number_and_the_classes_are_found(scores):
    assert scores["chosen"] == {"hdbscan": "hdbscan_crowds", "best": "hdbscan_crowds"}
    crowds = scores["clusterings"]["hdbscan_crowds"]
    assert crowds["scores"]["n_clusters"] == 3 and crowds["scores"]["ami"] == pytest.approx(1)
    assert crowds["redrawn"]["n_refits"] == 2 and min(crowds["redrawn"]["jaccard"].values()) > 0.95
    assert "redrawn" not in scores["clusterings"]["published_kmeans"]
    assert crowds["scores"]["null"]["strict"] < 0.6 < crowds["scores"]["fitted_space"]["strict"]
    reached = {target["what"]: target["reached"] for target in scores["targets"]}
    assert len(reached) == 8 and all(reached.values())
    json.dumps(scores, allow_nan=False)


def test_classes_change_nothing_but_the_agreement(scores):
    vectors, _ = islands()
    without = score_clusterings(vectors, None, seed=0, n_refits=3, n_redraws=0, candidates=FEW)
    assert without["chosen"] == {"hdbscan": "hdbscan_crowds"} and len(without["targets"]) == 6
    for name, found in without["clusterings"].items():
        same = scores["clusterings"][name]["scores"]
        assert found["scores"]["ami"] is None
        assert found["scores"]["fitted_space"] == same["fitted_space"] and found["scores"]["null"] == same["null"]
        assert found["scores"]["stability"] == same["stability"]
    assert not any("classes" in line and "AMI" in line for line in table_lines(without)[3:])


def test_the_table_labels_strict_and_flattering_and_says_what_was_not_reached(scores):
    text = "\n".join(table_lines(scores))
    for words in ("STRICT, fitted space", "flattering", "STRICT, embedding", "null: clusters", "never used to choose"):
        assert words in text, words
    assert " reached" in text and "NOT reached" not in text and "hdbscan_crowds*" in text and "kmeans_8*" not in text
    assert "every cluster came back in all 2 refits" in text and "no sign of populations" not in text
    crowds = scores["clusterings"]["hdbscan_crowds"]
    null = crowds["scores"] | {"null": crowds["scores"]["null"] | {"strict": 0.99}}
    gone = crowds["redrawn"] | {"dissolved": {"0": 0, "1": 2, "2": 1}}
    other = scores | {
        "clusterings": scores["clusterings"] | {"hdbscan_crowds": crowds | {"scores": null, "redrawn": gone}}
    }
    text = "\n".join(table_lines(other))
    assert "no sign of populations" in text and "cluster 1 in 2, cluster 2 in 1" in text
    assert len({len(line) for line in aligned([["a", "1"], ["bbb", "222"]])}) == 1


def test_a_redrawn_space_is_made_of_the_galaxies_drawn(monkeypatch):
    seen, asked = [], []

    class Space:
        def __init__(self, vectors):
            self.vectors = vectors

    def fit_space(name, vectors, seed):
        seen.append(len(vectors))
        return Space(vectors)

    monkeypatch.setattr(clustering_scores, "fit_space", fit_space)
    vectors, _ = islands(60)
    labels = redrawing(Candidate("kmeans", "umap_2", {"n_clusters": 3}), 100, drawn := {})(vectors, 0)
    assert [len(set(labels[place::3].tolist())) for place in range(3)] == [1, 1, 1]
    monkeypatch.setattr(stability, "fit_clustering", lambda *a, **k: asked.append(k) or fit_clustering(*a, **k))
    redrawing(Candidate("hdbscan", "umap_2", {"min_samples": 10}), 100, drawn)(vectors, 0)
    assert seen == [60]  # the space is there already
    assert asked == [{"min_samples": 6}]  # of 60 galaxies as 10 of a hundred


def test_fewer_galaxies_than_clusters_are_told_before_any_is_made():
    asked = []
    with pytest.raises(CatalogError, match="7 galaxies are too few for 8 clusters"):
        score_clusterings(np.eye(7, dtype=np.float32), None, report=lambda *step: asked.append(step))
    assert not asked


def test_no_cluster_at_all_is_reported_and_not_reached():
    vectors = np.ones((40, 4), np.float32)
    nothing = {"hdbscan": Candidate("hdbscan", "pca_2")}
    scores = score_clusterings(vectors, None, n_refits=2, n_redraws=1, candidates=nothing)
    assert scores["chosen"] == {"hdbscan": "hdbscan"}
    assert not any(target["reached"] for target in scores["targets"])
    text = "\n".join(table_lines(scores))
    assert "No clustering was eligible" in text and text.count("NOT reached") == len(scores["targets"]) == 5
    assert targets({}, {}) == []


def evaluate(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "scripts/evaluate.py", "clustering", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_the_script_refuses_what_it_cannot_do(tmp_path):
    done = evaluate("--from-artifacts", "nothing here", "--artifacts", str(tmp_path))
    assert done.returncode == 1 and "Traceback" not in done.stderr and "nothing here" in done.stderr
    assert evaluate().returncode == 2
    assert evaluate("synthetic:10", "--from-artifacts", "demo").returncode == 2
    refused, told = evaluate("synthetic:10", "--refits", "0"), " ".join(evaluate("--help").stdout.split())
    assert "--refits takes 1 or more" in refused.stderr and "bootstrap samples, 1 or more" in told
