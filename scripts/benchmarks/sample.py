"""Maps and clusterings fitted on a stratified sample against those fitted on all galaxies.

The galaxies are those of ``bench.py cluster``: a catalog drawn again and again with a little jitter, in its first 64
principal components, and in its stored UMAP, where HDBSCAN works. The sample is a fixed share of them: by default what
the pipeline's limit of 100,000 is of 240,000 galaxies. Trustworthiness is that of the map of all galaxies, placed ones
included; labels are compared over all galaxies by the adjusted mutual information, unclustered ones as a group. Two
full fits with different seeds agree no better than ``seed_ami``.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from scripts.benchmarks.cluster import make_galaxies
from scripts.reporting import peak_memory_gib

SHARE = 100_000 / 240_000
LIMITS = {"trust_lost": 0.01, "ami": 0.9}
K = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("catalog", metavar="CATALOG", nargs="?", default="gz_clean5", help="by name (%(default)s)")
    parser.add_argument("--rows", type=int, nargs="+", default=[60_000, 240_000], help="galaxies (%(default)s)")
    parser.add_argument("--share", type=float, default=SHARE, help="of them in the sample (%(default).3f)")
    parser.add_argument("--dense-space", default="umap_10", help="stored space for HDBSCAN (%(default)s)")
    parser.add_argument("--queries", type=int, default=2_000, help="galaxies trust is averaged over (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything (%(default)s)")
    parser.add_argument(
        "--spaces",
        action="store_true",
        help="fit HDBSCAN's space on the sample, too: three more UMAPs of 10 dimensions",
    )


def measure(options: argparse.Namespace) -> dict:
    """Trustworthiness, agreement and seconds for every number of galaxies."""
    found: dict = {"benchmark": "sample", "catalog": options.catalog, "share": round(options.share, 4), "rows": {}}
    for n_galaxies in sorted(options.rows):
        vectors, dense = make_galaxies(options.artifacts, options.catalog, options.dense_space, n_galaxies)
        case = _measure_map(vectors, options)
        case |= {"hdbscan": _measure_labels("hdbscan", dense, {"min_cluster_size": n_galaxies // 100}, options)}
        case |= {"kmeans": _measure_labels("kmeans", vectors, {"n_clusters": 8}, options)}
        if options.spaces:
            case |= {"hdbscan_own_space": _measure_spaces(vectors, {"min_cluster_size": n_galaxies // 100}, options)}
        found["rows"][str(n_galaxies)] = case
        _tell(n_galaxies, case)
    found["peak_memory_gib"] = round(peak_memory_gib(), 3)
    print(f"Peak memory of the whole run: {found['peak_memory_gib']:.2f} GiB")
    return found


def _measure_map(vectors: np.ndarray, options: argparse.Namespace) -> dict:
    """Both maps' trustworthiness over the same galaxies, and seconds."""
    from galaxy_core.map_trust import trust_of_queries
    from galaxy_core.projection import fit_projection
    from galaxy_core.sampling import draw_sample

    rng = np.random.default_rng(options.seed)
    queries = np.sort(rng.choice(len(vectors), min(options.queries, len(vectors)), replace=False))
    sample = draw_sample(vectors, round(options.share * len(vectors)), options.seed)
    fit_projection("umap", vectors[:500], options.seed)  # compiled before the clock runs
    case: dict = {"n_fitted": len(sample)}
    for name, rows in (("full", None), ("sampled", sample)):
        started = time.perf_counter()
        made = fit_projection("umap", vectors, options.seed, sample=rows)
        case[f"{name}_s"] = round(time.perf_counter() - started, 1)
        trust = trust_of_queries(vectors, made.coordinates.astype(np.float64), queries, K)[0]
        case[f"{name}_trust"] = round(float(trust.mean()), 4)
        print(
            f"{len(vectors):>9,} UMAP {name}: trustworthiness {trust.mean():.4f}, {case[f'{name}_s']:.0f} s", flush=True
        )
    return case


def _measure_labels(method: str, space: np.ndarray, params: dict, options: argparse.Namespace) -> dict:
    """Agreement of the labels found in one space, and of two full fits with different seeds."""
    from sklearn.metrics import adjusted_mutual_info_score

    from galaxy_core.clustering import fit_clustering
    from galaxy_core.sampling import draw_sample

    sample = draw_sample(space, round(options.share * len(space)), options.seed)
    started = time.perf_counter()
    full = fit_clustering(method, space, options.seed, **params)
    between = time.perf_counter()
    sampled = fit_clustering(method, space, options.seed, sample=sample, **params)
    case = {"full_s": round(between - started, 1), "sampled_s": round(time.perf_counter() - between, 1)}
    case |= {"full_clusters": full.n_clusters, "sampled_clusters": sampled.n_clusters}
    case["ami"] = round(float(adjusted_mutual_info_score(full.labels, sampled.labels)), 4)
    if method != "hdbscan":  # which draws no random numbers
        again = fit_clustering(method, space, options.seed + 1, **params)
        case["seed_ami"] = round(float(adjusted_mutual_info_score(full.labels, again.labels)), 4)
    return case


def _measure_spaces(vectors: np.ndarray, params: dict, options: argparse.Namespace) -> dict:
    """The same where the space is made anew each time: on all galaxies, on the sample, and with another seed."""
    from sklearn.metrics import adjusted_mutual_info_score

    from galaxy_core.clustering import fit_clustering
    from galaxy_core.sampling import draw_sample
    from galaxy_core.spaces import fit_space

    sample = draw_sample(vectors, round(options.share * len(vectors)), options.seed)
    labels = []
    for seed, rows in ((options.seed, None), (options.seed, sample), (options.seed + 1, None)):
        space = fit_space("umap_10", vectors, seed, sample=rows).vectors
        labels.append(fit_clustering("hdbscan", space, seed, sample=rows, **params).labels)
    full, sampled, again = labels
    return {
        "full_clusters": int(full.max()) + 1,
        "sampled_clusters": int(sampled.max()) + 1,
        "ami": round(float(adjusted_mutual_info_score(full, sampled)), 4),
        "seed_ami": round(float(adjusted_mutual_info_score(full, again)), 4),
    }


def _tell(n_galaxies: int, case: dict) -> None:
    lost = case["full_trust"] - case["sampled_trust"]
    word = "within" if lost <= LIMITS["trust_lost"] else "BEYOND"
    print(
        f"{n_galaxies:>9,} UMAP fitted on {case['n_fitted']:,}: trustworthiness {case['sampled_trust']:.4f}, of the"
        f" full fit {case['full_trust']:.4f}: {lost:+.4f} lost, {word} the limit of {LIMITS['trust_lost']:g};"
        f" {case['sampled_s']:.0f} s instead of {case['full_s']:.0f} s"
    )
    for name in ("hdbscan", "kmeans", "hdbscan_own_space"):
        if name in case:
            one = case[name]
            word = "within" if one["ami"] >= LIMITS["ami"] else "BEYOND"
            seeds = f"; two full fits by seed {one['seed_ami']:.3f}" if "seed_ami" in one else ""
            print(
                f"{n_galaxies:>9,} {name}: AMI with the full fit {one['ami']:.3f}, {word} the limit of"
                f" {LIMITS['ami']:g}; {one['sampled_clusters']} clusters, in full {one['full_clusters']}{seeds}",
                flush=True,
            )
