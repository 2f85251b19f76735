"""How the recipe `moco` is judged: what can be read off its frozen embedding, on galaxies of the test split alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import CatalogError
from galaxy_core.percent import percent
from galaxy_core.recipes import Report
from galaxy_core.recipes.contrastive_denoiser_scores import DEFINITIONS as OF_EMBEDDINGS
from galaxy_core.recipes.contrastive_denoiser_scores import embed_all, score_clusterings, score_embedding
from galaxy_core.splits import TEST, split_of

DEFINITIONS = {name: OF_EMBEDDINGS[name] for name in ("split", "linear_probe", "knn_probe", "clusterings")}


def evaluate(
    folder: str | Path,
    catalog: Catalog,
    seed: int = 0,
    device: str = "cpu",
    clusters: bool = True,
    report: Report | None = None,
) -> dict:
    """Metrics of a trained model on a catalog; nothing is trained but the probes.

    Parameters
    ----------
    folder : path
        A model's folder; of any recipe whose model embeds.
    clusters : bool
        Whether to fit the published clusterings too (a minute or two at 26,000 galaxies).

    Returns
    -------
    dict
        ``definitions``, ``n_galaxies``, ``n_test``, ``n_unreadable``; ``embedding`` with the two probes on the test
        split and on the held-out fifth, where the catalog has classes; ``clusterings``.
    """
    splits = np.array([split_of(str(key)) for key in catalog.split_keys])
    if not (splits == TEST).any():
        raise CatalogError(
            f"None of the {len(catalog):,} galaxies falls into the test split; evaluate on a larger catalog."
        )
    vectors, rows = embed_all(folder, catalog, device, report)
    if not (splits[rows] == TEST).any():
        n_test = (splits == TEST).sum()
        raise CatalogError(f"No image of the {n_test:,} test galaxies could be read; check the image files.")
    classes = catalog.table["class"].to_numpy(dtype=object)[rows] if "class" in catalog.table else None
    scores = {
        "definitions": DEFINITIONS,
        "n_galaxies": len(catalog),
        "n_test": int((splits[rows] == TEST).sum()),
        "n_unreadable": len(catalog) - len(rows),
        "embedding": score_embedding(vectors, classes, splits[rows], seed),
    }
    if clusters:
        scores["clusterings"] = score_clusterings(vectors, classes, seed)
    return scores


def table_lines(scores: dict) -> list[str]:
    """What evaluate.py prints."""
    lines = [f"Measured on the {scores['n_test']:,} test galaxies of {scores['n_galaxies']:,}: {scores['catalog']}"]
    for split, probes in scores["embedding"].items():
        if not isinstance(probes, dict):
            lines.append(str(probes))
            continue
        for name, probe in probes.items():
            low, high = probe["interval"]
            recall = ", ".join(f"{kind} {share:.3f}" for kind, share in probe["recall"].items())
            what = f"{split}, {name}".replace("_", " ")
            lines.append(
                f"{what}: {probe['accuracy']:.4f} ({low:.4f} to {high:.4f}), n = {probe['n_test']:,}; found of each"
                f" class: {recall}"
            )
    for name, row in scores.get("clusterings", {}).items():
        lines.append(
            f"{name}: {row['n_clusters']} clusters, coverage {percent(row['coverage'])}; strict silhouette in"
            f" {row['space']} {row['fitted_space']['strict']:.3f}, in the embedding {row['embedding']['strict']:.3f}"
        )
    return lines
