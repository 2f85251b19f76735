"""How the recipe `contrastive_denoiser` is judged: restoration and embedding, on galaxies of the test split alone.

Everything goes through the code users run: `galaxy_core.denoising` for images, `galaxy_core.embedding` for vectors.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.display import load_display
from galaxy_core.clustering import fit_clustering
from galaxy_core.comparison import measure_clustering
from galaxy_core.denoising import denoise_image
from galaxy_core.embedding import ImageSettings, embed_shards, load_embedder, n_shards, shards_of
from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.evaluation import measure_denoising, total_variation
from galaxy_core.images import AstroImage, resize_square
from galaxy_core.models import load_model
from galaxy_core.noise import PUBLISHED_SIGMA
from galaxy_core.probes import knn_probe, linear_probe
from galaxy_core.projection import fit_projection
from galaxy_core.recipes import Report
from galaxy_core.splits import TEST, TRAIN, VALIDATION, split_of
from galaxy_core.vectors import has_class

STAMP_PX = 128
NOISE_LEVELS = (1.0, 0.5, 2.0)
N_NEIGHBORS = 15

DEFINITIONS = {
    "split": "sha1(galaxy_id) mod 10: 0 test, 1 validation, 2-9 training; only those were learned from",
    "noise": "8-bit luminance counts c -> uint8(clip(c + level * (Poisson(c + 150) - 150 - c + N(0, 10)), 0, 255))",
    "strict_ssim": "SSIM (11-pixel Gaussian window of 1.5 px) mean over each galaxy's foreground, then over galaxies",
    "published_ssim": "both images multiplied by the foreground, SSIM averaged over the whole frame, sky included",
    "psnr_db": "10 log10(1 / mean squared error), mean over galaxies; foreground_psnr_db over foreground pixels",
    "flux_bias": "foreground flux of the output over that of the clean image, minus one, mean over galaxies",
    "told": "the model is given the noise level; otherwise it estimates it from the image",
    "linear_probe": "logistic regression on standardised frozen embeddings, fitted on training galaxies",
    "knn_probe": f"vote of the {N_NEIGHBORS} nearest training galaxies by cosine similarity",
    "clusterings": "silhouettes over all galaxies; strict: unclustered ones count 0; clustered: dropped, as published",
}


def evaluate(
    folder: str | Path,
    catalog: Catalog,
    seed: int = 0,
    device: str = "cpu",
    n_denoise: int = 1000,
    clusters: bool = True,
    report: Report | None = None,
) -> dict:
    """Metrics of a trained model on a catalog; nothing is trained but the probes.

    Parameters
    ----------
    folder : path
        A model's folder.
    n_denoise : int
        At most so many test galaxies are denoised, the first of the catalog.
    clusters : bool
        Whether to fit the published clusterings too (a minute or two at 26,000 galaxies).

    Returns
    -------
    dict
        ``definitions``, ``denoising`` by noise level and method, ``embedding`` with the two probes on the test split
        and on the held-out fifth, ``clusterings``.
    """
    splits = np.array([split_of(str(key)) for key in catalog.split_keys])
    if not (splits == TEST).any():
        raise CatalogError(
            f"None of the {len(catalog):,} galaxies falls into the test split; evaluate on a larger catalog."
        )
    scores = {"definitions": DEFINITIONS, "n_galaxies": len(catalog), "n_test": int((splits == TEST).sum())}
    model = load_model(folder, device)
    scores["denoising"] = score_denoising(model, catalog, np.flatnonzero(splits == TEST)[:n_denoise], seed, report)
    vectors, rows = embed_all(folder, catalog, device, report)
    classes = catalog.table["class"].to_numpy(dtype=object)[rows] if "class" in catalog.table else None
    scores["embedding"] = score_embedding(vectors, classes, splits[rows], seed)
    if clusters:
        scores["clusterings"] = score_clusterings(vectors, classes, seed)
    return scores


def score_denoising(model, catalog: Catalog, rows: np.ndarray, seed: int, report: Report | None = None) -> dict:
    """Restoration of the model, told the noise and not, beside the noisy input and total variation, per noise level."""
    estimates: dict[float, list[float]] = {level: [] for level in NOISE_LEVELS}

    def images(label: str):
        for done, row in enumerate(rows):
            if report:
                report(label, done + 1, len(rows))
            try:
                yield resize_square(load_display(catalog, int(row)), STAMP_PX)
            except ImageError:
                continue

    def restore(noisy: np.ndarray, level: float, told: bool) -> np.ndarray:
        image = AstroImage(noisy[None].astype(np.float32), False, None, "PNG", "stamp")
        result = denoise_image(image, model, level * PUBLISHED_SIGMA if told else None)
        if not told:
            estimates[level].append(result.noise_sigma / (level * PUBLISHED_SIGMA))
        return result.denoised[0].astype(np.float64)

    scores = {}
    for level in NOISE_LEVELS:
        methods = {
            "model": lambda noisy, level=level: restore(noisy, level, told=False),
            "model_told": lambda noisy, level=level: restore(noisy, level, told=True),
            "noisy_input": lambda noisy: noisy,
        }
        if level == 1:
            methods["total_variation"] = total_variation
        label = f"denoise, noise x{level:g}"
        scores[f"noise_x{level:g}"] = measure_denoising(images(label), methods, level, seed)
        ratios = np.array(estimates[level])
        scores[f"noise_x{level:g}"]["estimated_over_true_noise"] = {
            "median": float(np.median(ratios)),
            "scatter": float(np.std(ratios)),
        }
    return scores


def embed_all(folder, catalog: Catalog, device: str, report: Report | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (n, d) of all galaxies whose image can be read, and their rows (n,)."""
    settings = ImageSettings()
    done = 0

    def progress(n: int) -> None:
        nonlocal done
        done += n
        if report:
            report("embed", done, len(catalog))

    shards = list(range(n_shards(len(catalog), settings)))
    made = list(
        embed_shards(shards_of(catalog, settings, shards), load_embedder(folder, device), settings, False, progress)
    )
    return np.concatenate([shard.vectors for shard in made]), np.concatenate([shard.rows for shard in made])


def score_embedding(vectors: np.ndarray, classes: np.ndarray | None, splits: np.ndarray, seed: int) -> dict:
    """Linear and nearest-neighbour probes on the test split, and on test and validation galaxies together."""
    if classes is None:
        return {"note": "no classes in this catalog, so no probe"}
    train, known = splits == TRAIN, has_class(classes)
    if len(set(classes[known & train])) < 2 or not (known & (splits == TEST)).any():
        return {"note": "not two classes among its training galaxies, or no test galaxy with a class, so no probe"}
    scores = {}
    for name, held_out in (("test", splits == TEST), ("held_out_fifth", (splits == TEST) | (splits == VALIDATION))):
        parts = (vectors[train], classes[train], vectors[held_out], classes[held_out])
        scores[name] = {
            "linear_probe": asdict(linear_probe(*parts, seed=seed)),
            "knn_probe": asdict(knn_probe(*parts, k=N_NEIGHBORS)),
        }
    return scores


def score_clusterings(vectors: np.ndarray, classes: np.ndarray | None, seed: int) -> dict:
    """The published clusterings of the embedding: HDBSCAN on a 10-d UMAP, k-means with 8 clusters on the vectors."""
    umap = fit_projection("umap", vectors, seed, n_components=10).coordinates
    scores = {}
    for name, method, space, fitted_on, params in (
        ("hdbscan", "hdbscan", "umap_10", umap, {}),
        ("kmeans_8", "kmeans", "embedding", vectors, {"n_clusters": 8}),
    ):
        labels = fit_clustering(method, fitted_on, seed, **params).labels
        measured = measure_clustering(fitted_on, vectors, labels, seed, classes=classes).as_dict()
        scores[name] = {"space": space, **measured}
    return scores
