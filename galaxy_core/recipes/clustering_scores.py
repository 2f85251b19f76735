"""How an embedding is judged by its clusters: strict numbers, flattering ones beside them, stability and the null.

A fixed list of clusterings is made. Which of them stand for the embedding is chosen by silhouette, coverage, stability
and the null; classes are compared with afterwards and never take part in the choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from galaxy_core import artifacts
from galaxy_core.clustering import fit_clustering
from galaxy_core.comparison import measure_clustering
from galaxy_core.errors import CatalogError
from galaxy_core.recipes import Report
from galaxy_core.silhouette import measure_silhouettes
from galaxy_core.spaces import fit_space
from galaxy_core.stability import N_DRAWS, N_REFITS, Fit, measure_null, measure_stability, refit_of
from galaxy_core.steps import classes_of

CROWDS = "umap_2_of_smoothed_32"
FLAT = "umap_2_of_pca_16"
GENTLE = "umap_5_of_smoothed_32,n_neighbors=30,n_steps=1"
LEAST_COVERAGE, LEAST_SHARE, LEAST_CLUSTERS, LEAST_STABILITY = 0.80, 0.01, 3, 0.75
STRICT_WANTED, KMEANS_WANTED, AMI_WANTED = 0.40, 0.38, 0.48
PUBLISHED_HDBSCAN, PUBLISHED_KMEANS = 0.48, 0.23

DEFINITIONS = {
    "strict": "mean silhouette over all galaxies, unclustered ones counting 0; with its 95 % interval (bootstrap)",
    "flattering": "mean silhouette over clustered galaxies only, as published",
    "stability": "mean Jaccard coefficient of a cluster with its best match in 10 refits on bootstrap samples, each "
    "galaxy drawn counted once (Hennig 2007), the space staying as it is; the least of all clusters is shown",
    "redrawn": "the same with the space made anew from each bootstrap sample, which is harder",
    "null": "the same space and method where there are no groups: on the embedding with every feature shuffled on its "
    "own, and on one even cloud of its mean and covariance (Tibshirani, Walther & Hastie 2001), both on its sphere; of "
    f"{N_DRAWS} draws of each the one that reached the highest strict silhouette, and each of them",
    "eligible": f"at least {LEAST_CLUSTERS} clusters, none under {LEAST_SHARE:.0%} of the galaxies, coverage of at "
    f"least {LEAST_COVERAGE:.0%}, every cluster's stability at least {LEAST_STABILITY}",
    "chosen hdbscan": "the eligible HDBSCAN clustering of the highest strict silhouette; of all, if none is eligible",
    "chosen best": "the eligible clustering that changes least when its space is made anew (mean adjusted Rand index "
    "of those refits): a silhouette would favour spaces that draw clumps of anything",
}


@dataclass(frozen=True)
class Candidate:
    """A clustering to make: its method, space and parameters, and whether it may be chosen."""

    method: str
    space: str
    params: dict = field(default_factory=dict)
    published: bool = False


def _hdbscan(share: float, min_samples: int, selection: str, space: str = CROWDS) -> Candidate:
    params = {"min_cluster_share": share, "min_samples": min_samples, "cluster_selection_method": selection}
    return Candidate("hdbscan", space, params)


CANDIDATES: dict[str, Candidate] = {
    "hdbscan_200": _hdbscan(0.1, 200, "eom"),
    "hdbscan_100": _hdbscan(0.1, 100, "eom"),
    "hdbscan_leaf": _hdbscan(0.04, 50, "leaf"),
    "hdbscan_flat": _hdbscan(0.02, 50, "leaf", FLAT),
    **{f"kmeans_{k}": Candidate("kmeans", CROWDS, {"n_clusters": k}) for k in (3, 4, 5, 8)},
    **{f"kmeans_{k}_gentle": Candidate("kmeans", GENTLE, {"n_clusters": k}) for k in (3, 4, 8)},
    "published_hdbscan": Candidate("hdbscan", "umap_10", published=True),
    "published_kmeans_8": Candidate("kmeans", "embedding", {"n_clusters": 8}, published=True),
}


def from_artifacts(root: str | Path, name: str, model: str | None = None) -> tuple[np.ndarray, np.ndarray | None, dict]:
    """Embedding, classes and where they are from, of a catalog that is in the artifacts already."""
    manifest = artifacts.read_manifest(root, name)
    model = model or manifest.model
    _, vectors = artifacts.read_embedding(root, name, model)
    table = artifacts.read_table(root, name, "catalog")
    return vectors, classes_of(table), {"catalog": f"{manifest.layout}:{Path(manifest.source).name}", "model": model}


def from_catalog(
    spec: str, root: str | Path, model: str | None, device: str = "auto", report: Report | None = None
) -> tuple[np.ndarray, np.ndarray | None, dict]:
    """The same, of a catalog whose images are embedded now."""
    from galaxy_core.catalogs import read_catalog
    from galaxy_core.embedding import find_model
    from galaxy_core.models import read_model_config, resolve_device
    from galaxy_core.recipes.contrastive_denoiser_scores import embed_all

    folder = find_model(model or artifacts.DEFAULT_MODEL, root)
    catalog = read_catalog(spec)
    vectors, rows = embed_all(folder, catalog, resolve_device(device), report)
    source = {"catalog": f"{catalog.layout}:{Path(catalog.source).name}", "model": model or artifacts.DEFAULT_MODEL}
    source["weights_sha256"] = read_model_config(folder)["weights_sha256"]
    return vectors, classes_of(catalog.table.iloc[rows]), source


def score_clusterings(
    embedding: np.ndarray,
    classes: np.ndarray | None,
    seed: int = 0,
    n_refits: int = N_REFITS,
    n_redraws: int = N_REFITS,
    candidates: dict[str, Candidate] = CANDIDATES,
    report: Report | None = None,
) -> dict:
    """Make and measure every candidate, choose without classes, and compare with the numbers to beat.

    Parameters
    ----------
    embedding : array, shape (n_galaxies, n_features)
    classes : array of str or None, shape (n_galaxies,)
    seed : int
        Of spaces, methods, samples and nulls.
    n_refits : int
        Bootstrap refits of every candidate, in its space.
    n_redraws : int
        Bootstrap refits of the eligible, with the space made anew; 0 leaves them out, and the choice of the best.

    Returns
    -------
    dict
        ``definitions``, ``n_galaxies``, ``seed``, ``clusterings`` (name -> method, space, params, scores as in a
        manifest, eligible, redrawn), ``chosen`` and ``targets``.
    """
    n_most = max(candidate.params.get("n_clusters", 1) for candidate in candidates.values())
    if len(embedding) < n_most:  # not after all the others were made
        raise CatalogError(f"{len(embedding)} galaxies are too few for {n_most} clusters; name a larger catalog.")
    spaces: dict[str, np.ndarray] = {}
    nulls: dict[tuple[str, int], np.ndarray] = {}
    made: dict[str, dict] = {}
    report = report or (lambda *_: None)
    for done, (name, candidate) in enumerate(candidates.items()):
        report("clusterings", done, len(candidates))
        if candidate.space not in spaces:
            spaces[candidate.space] = fit_space(candidate.space, embedding, seed).vectors
        made[name] = measure_candidate(candidate, embedding, spaces[candidate.space], nulls, classes, seed, n_refits)
    report("clusterings", len(candidates), len(candidates))
    drawn: dict[tuple[str, int], np.ndarray] = {}
    eligible = [name for name in made if made[name]["eligible"]] if n_redraws else []
    for done, name in enumerate(eligible):
        report("refits with a new space", done, len(eligible))
        fit = redrawing(candidates[name], len(embedding), drawn)
        made[name]["redrawn"] = measure_stability(fit, embedding, made[name]["labels"], seed, n_redraws)
    report("refits with a new space", len(eligible), len(eligible))
    for scores in made.values():
        scores.pop("labels")
    chosen = choose(made)
    return {
        "definitions": DEFINITIONS,
        "n_galaxies": len(embedding),
        "seed": seed,
        "clusterings": made,
        "chosen": chosen,
        "targets": targets(made, chosen),
    }


def measure_candidate(
    candidate: Candidate,
    embedding: np.ndarray,
    vectors: np.ndarray,
    nulls: dict[tuple[str, int], np.ndarray],
    classes: np.ndarray | None,
    seed: int,
    n_refits: int,
) -> dict:
    """One clustering with all its scores; ``nulls`` keeps the null's spaces for the next."""
    fitted = fit_clustering(candidate.method, vectors, seed, **candidate.params)
    silhouettes = measure_silhouettes(vectors, fitted.labels, seed)
    measured = measure_clustering(vectors, embedding, fitted.labels, seed, classes, silhouettes, candidate.method)

    cluster = refit_of(candidate.method, candidate.params, len(vectors))

    def cluster_nothing(nothing: np.ndarray, null_seed: int) -> tuple[np.ndarray, np.ndarray]:
        key = candidate.space, null_seed
        if key not in nulls:
            nulls[key] = fit_space(candidate.space, nothing, null_seed).vectors
        return nulls[key], cluster(nulls[key], null_seed)

    scores = measured.as_dict()
    scores["stability"] = measure_stability(cluster, vectors, fitted.labels, seed, n_refits)
    scores["null"] = measure_null(cluster_nothing, embedding, seed)
    return {
        "method": candidate.method,
        "space": candidate.space,
        "params": fitted.params,
        "published": candidate.published,
        "scores": scores,
        "eligible": not candidate.published and is_eligible(scores),
        "labels": fitted.labels,
    }


def redrawing(candidate: Candidate, n_galaxies: int, drawn: dict) -> Fit:
    """A fit that makes the space anew, from some of ``n_galaxies``.

    ``drawn`` keeps the spaces by name and seed: other clusterings are tested on the same samples.
    """
    refit = refit_of(candidate.method, candidate.params, n_galaxies)

    def fit(sample: np.ndarray, seed: int) -> np.ndarray:
        key = candidate.space, seed
        if key not in drawn:
            drawn[key] = fit_space(candidate.space, sample, seed).vectors
        return refit(drawn[key], seed)

    return fit


def least_stability(stability: dict) -> float:
    """The least Jaccard coefficient of all clusters; 0 where there is none."""
    return min((value or 0.0 for value in stability["jaccard"].values()), default=0.0)


def is_eligible(scores: dict) -> bool:
    """Whether a clustering may stand for the embedding; see `DEFINITIONS`. Classes are not looked at."""
    return (
        scores["n_clusters"] >= LEAST_CLUSTERS
        and min(scores["sizes"]) >= LEAST_SHARE * scores["n_galaxies"]
        and scores["coverage"] >= LEAST_COVERAGE
        and least_stability(scores["stability"]) >= LEAST_STABILITY
    )


def choose(made: dict[str, dict]) -> dict[str, str]:
    """The HDBSCAN clustering and the best one, as `DEFINITIONS` says, by numbers that know no classes."""
    own = {name: row for name, row in made.items() if not row["published"]}
    hdbscan = [name for name in own if own[name]["method"] == "hdbscan"]
    chosen = {}
    if hdbscan:
        names = [name for name in hdbscan if own[name]["eligible"]] or hdbscan
        chosen["hdbscan"] = max(names, key=lambda name: own[name]["scores"]["fitted_space"]["strict"])
    if redrawn := [name for name in own if own[name]["eligible"] and "redrawn" in own[name]]:
        chosen["best"] = max(redrawn, key=lambda name: own[name]["redrawn"]["ari"])
    return chosen


def targets(made: dict[str, dict], chosen: dict[str, str]) -> list[dict]:
    """The numbers to beat: each with the clustering it is of, its value and whether it was reached."""
    found = []

    def add(what: str, name: str, value: float | None, at_least: float, beside: str = "") -> None:
        reached = value is not None and value >= at_least
        found.append(
            {"what": what, "of": name, "value": value, "at_least": at_least, "reached": reached, "beside": beside}
        )

    if name := chosen.get("hdbscan"):
        scores, published = made[name]["scores"], f"published, flattering: {PUBLISHED_HDBSCAN}"
        least = min(scores["sizes"], default=0) / scores["n_galaxies"]
        add(
            "HDBSCAN: strict silhouette, fitted space", name, scores["fitted_space"]["strict"], STRICT_WANTED, published
        )
        add("HDBSCAN: coverage", name, scores["coverage"], LEAST_COVERAGE)
        add("HDBSCAN: clusters", name, scores["n_clusters"], LEAST_CLUSTERS)
        add("HDBSCAN: share of the smallest cluster", name, least, LEAST_SHARE)
        add("HDBSCAN: stability of the least stable", name, least_stability(scores["stability"]), LEAST_STABILITY)
    if "kmeans_8" in made:
        strict = made["kmeans_8"]["scores"]["fitted_space"]["strict"]
        beside = f"published: {PUBLISHED_KMEANS}"
        add("k-means, 8 clusters: silhouette, fitted space", "kmeans_8", strict, KMEANS_WANTED, beside)
    for role, who in (("hdbscan", "HDBSCAN as chosen"), ("best", "the best of all, as chosen")):
        name = chosen.get(role)
        if name and made[name]["scores"]["ami"] is not None:
            add(f"AMI with the classes: {who}", name, made[name]["scores"]["ami"], AMI_WANTED)
    return found
