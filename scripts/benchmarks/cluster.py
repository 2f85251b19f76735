"""Clustering and scoring of many galaxies against the bare library calls that do the same work, in one run.

The galaxies are those of a catalog, drawn again and again with a little jitter until there are enough: in the first 64
principal components of its embedding, where k-means works, and in its stored UMAP, where HDBSCAN does. The product's
call and the library's take turns, and the fastest of each counts. The library's silhouette needs every pair, so that
the two are compared on 20,000 galaxies; all are scored by the product alone.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from scripts.reporting import peak_memory_gib

N_FEATURES = 64
JITTER, DENSE_JITTER = 0.1, 0.02
"""Of the width of each axis, in the components and in the space: copies of a galaxy are neighbours, not twins."""

N_SCORED_EXACTLY = 20_000
N_NEW = 10_000
SHORT_S = 5.0
MEMORY_LIMIT_GIB = 6.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("catalog", metavar="CATALOG", nargs="?", default="gz_clean5", help="by name (%(default)s)")
    parser.add_argument("--rows", type=int, nargs="+", default=[60_000, 240_000], help="galaxies (%(default)s)")
    parser.add_argument("--dense-space", default="umap_10", help="stored space for HDBSCAN (%(default)s)")
    parser.add_argument("--repeats", type=int, default=2, help="turns (%(default)s)")


def measure(options: argparse.Namespace) -> dict:
    """Seconds, ratios to the bare calls, growth with the number of galaxies, and peak memory."""
    measured = {}
    for n_galaxies in sorted(options.rows):
        vectors, dense = make_galaxies(options.artifacts, options.catalog, options.dense_space, n_galaxies)
        measured[n_galaxies] = _measure(vectors, dense, options.repeats)
        _tell(n_galaxies, measured[n_galaxies])
    few, many = min(measured), max(measured)
    growth = {}
    for name, case in measured[many].items():
        growth[name] = {
            key: round(case[key] / measured[few][name][key], 3)
            for key in ("fit_s", "score_s")
            if measured[few][name].get(key) and case.get(key)
        }
        told = ", ".join(f"{key.removesuffix('_s')} {factor:.2f} times" for key, factor in growth[name].items())
        if many > few and told:
            print(f"{name}: from {few:,} to {many:,} galaxies ({many / few:.1f} times as many): {told} as long")
    peak = peak_memory_gib()
    print(f"Peak memory of the whole run: {peak:.2f} GiB (limit {MEMORY_LIMIT_GIB:g})")
    return {
        "benchmark": "cluster",
        "catalog": options.catalog,
        "n_features": N_FEATURES,
        "repeats": options.repeats,
        "rows": {str(n): cases for n, cases in measured.items()},
        "growth": growth,
        "peak_memory_gib": round(peak, 3),
    }


def make_galaxies(root, catalog: str, space: str, n_galaxies: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Galaxies of a catalog drawn with replacement, with jitter: (n_galaxies, 64), and the same ones in a space."""
    from galaxy_core import artifacts
    from galaxy_core.projection import fit_projection

    _, embedding = artifacts.read_embedding(root, catalog, artifacts.read_manifest(root, catalog).model)
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(embedding), n_galaxies)

    def draw(vectors: np.ndarray, jitter: float) -> np.ndarray:
        noise = rng.standard_normal((n_galaxies, vectors.shape[1]), dtype=np.float32)
        return vectors[rows] + noise * (jitter * vectors.std(axis=0))

    components = fit_projection("pca", embedding, seed, n_components=N_FEATURES).coordinates
    return draw(components, JITTER), draw(artifacts.read_space(root, catalog, space), DENSE_JITTER)


def _measure(vectors: np.ndarray, dense: np.ndarray, repeats: int) -> dict:
    """Every case for one number of galaxies."""
    from galaxy_core.clustering import fit_clustering, predict
    from galaxy_core.comparison import measure_clustering
    from galaxy_core.silhouette import measure_silhouettes

    least = len(vectors) // 100
    cases = {
        "kmeans": (vectors, {"n_clusters": 8, "n_init": 3}, _bare_kmeans),
        "hdbscan": (dense, {"min_cluster_size": least, "min_samples": 10}, _bare_hdbscan),
    }
    measured: dict = {}
    for method, (space, params, bare) in cases.items():
        fit = _turns(
            repeats,
            ours=lambda m=method, s=space, p=params: fit_clustering(m, s, 0, **p),
            bare=lambda s=space, p=params, b=bare: b(s, p),
        )
        clustering = fit.pop("result")
        started = time.perf_counter()
        scores = measure_clustering(
            space, vectors if method == "hdbscan" else space, clustering.labels, 0, None, None, method
        )
        scored = time.perf_counter()
        labels, _ = predict(clustering, space[:N_NEW])
        low, high = scores.fitted_space.strict_interval
        measured[method] = fit | {
            "n_clusters": scores.n_clusters,
            "coverage": round(scores.coverage, 4),
            "strict": round(scores.fitted_space.strict, 4),
            "strict_interval": [round(low, 4), round(high, 4)],
            "score_s": round(scored - started, 2),
            "predict_s": round(time.perf_counter() - scored, 2),
            "n_predicted": len(labels),
        }
        if method == "kmeans":
            some, own = space[:N_SCORED_EXACTLY], clustering.labels[:N_SCORED_EXACTLY]
            exact = _turns(
                repeats,
                ours=lambda s=some, o=own: measure_silhouettes(s, o, 0),
                bare=lambda s=some, o=own: _bare_silhouettes(s, o),
            )
            exact.pop("result")
            measured["silhouette"] = exact
    return measured


def _bare_kmeans(vectors: np.ndarray, params: dict):
    from sklearn.cluster import KMeans

    return KMeans(**params, random_state=0).fit(vectors)


def _bare_hdbscan(vectors: np.ndarray, params: dict):
    import hdbscan

    return hdbscan.HDBSCAN(**params).fit(vectors)


def _bare_silhouettes(vectors: np.ndarray, labels: np.ndarray):
    from sklearn.metrics import silhouette_samples

    return silhouette_samples(vectors, labels)


def _turns(repeats: int, ours, bare) -> dict:
    """The fastest of each, their ratio, and the product's result; short calls take turns three times as often."""
    seconds: dict[str, list[float]] = {"ours": [], "bare": []}
    cpu_seconds: dict[str, list[float]] = {"ours": [], "bare": []}
    results = {}
    while len(seconds["ours"]) < repeats * (1 if min(seconds["ours"], default=0) > SHORT_S else 3):
        for name, run in (("bare", bare), ("ours", ours)):
            started, cpu_started = time.perf_counter(), time.process_time()
            results[name] = run()
            seconds[name].append(time.perf_counter() - started)
            cpu_seconds[name].append(time.process_time() - cpu_started)
    return {
        "result": results["ours"],
        "fit_s": round(min(seconds["ours"]), 2),
        "bare_s": round(min(seconds["bare"]), 2),
        "ratio": round(min(seconds["ours"]) / min(seconds["bare"]), 3),
        "cpu_ratio": round(min(cpu_seconds["ours"]) / max(min(cpu_seconds["bare"]), 1e-3), 3),
        "seconds_of_each_turn": {name: [round(s, 2) for s in times] for name, times in seconds.items()},
    }


def _tell(n_galaxies: int, cases: dict) -> None:
    for name, case in cases.items():
        line = f"{n_galaxies:>9,} {name:11} {case['fit_s']:>8.1f} s, {case['ratio']:.2f} of the bare call"
        if "score_s" in case:
            low, high = case["strict_interval"]
            line += f"; {case['n_clusters']} clusters, coverage {case['coverage']:.1%}, strict silhouette"
            line += f" {case['strict']:.3f} [{low:.3f}, {high:.3f}]; scored in {case['score_s']:.1f} s"
            line += f"; {case['n_predicted']:,} more placed in {case['predict_s']:.1f} s"
        else:
            line += f" on {N_SCORED_EXACTLY:,} galaxies"
        print(line, flush=True)
