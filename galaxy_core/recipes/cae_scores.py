"""How the recipe `cae` is judged: how well it redraws test galaxies, and what its embedding knows of their classes.

An error of pixels says little alone. Beside it stand what costs nothing (the mean training galaxy for all) and what is
best among linear codes of the same length: principal components, fitted on training galaxies, which minimise the very
error the autoencoder is trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.display import load_display
from galaxy_core.errors import CatalogError, ImageError, ModelError
from galaxy_core.images import resize_square
from galaxy_core.masks import foreground
from galaxy_core.models import load_model
from galaxy_core.models.autoencoder import GalaxyAutoencoder
from galaxy_core.recipes import Report
from galaxy_core.recipes.contrastive_denoiser_scores import embed_all, score_embedding
from galaxy_core.splits import TEST, TRAIN, split_of

N_FITTED = 4096
"""Training galaxies that the mean image and the principal components are fitted on, at most."""
BATCH = 256

DEFINITIONS = {
    "split": "sha1(galaxy_id) mod 10: 0 test, 1 validation, 2-9 training; only those were learned from",
    "rmse": "root of the mean squared error over pixels, bands and galaxies, of images in [0, 1] at the model's size",
    "foreground_rmse": "the same over the pixels of the galaxies alone",
    "explained": "1 - squared error / squared error of the mean image: share of what tells galaxies apart",
    "mean_image": f"the mean of up to {N_FITTED:,} training galaxies for every galaxy",
    "pca": "as many principal components of the same training galaxies as the code has numbers, or as there can be",
    "linear_probe": "logistic regression on standardised frozen embeddings, fitted on training galaxies",
    "knn_probe": "vote of the 15 nearest training galaxies by cosine similarity",
}


def evaluate(
    folder: str | Path, catalog: Catalog, seed: int = 0, device: str = "cpu", report: Report | None = None
) -> dict:
    """Errors on the test galaxies of a catalog, and probes of the embedding where it has classes.

    Returns
    -------
    dict
        ``definitions``, ``n_galaxies``, ``n_test``, ``reconstruction`` by method, ``embedding``.
    """
    model = load_model(folder, device)
    if not isinstance(model, GalaxyAutoencoder):
        raise ModelError(f"{folder} holds a {model.name}, which redraws nothing; name an autoencoder with --model.")
    splits = np.array([split_of(str(key)) for key in catalog.split_keys])
    test, train = np.flatnonzero(splits == TEST), np.flatnonzero(splits == TRAIN)
    if not len(test) or len(train) < 2:
        raise CatalogError(
            f"Of the {len(catalog):,} galaxies {len(train)} are training and {len(test)} test galaxies; evaluate on a"
            " larger catalog."
        )
    scores: dict = {"definitions": DEFINITIONS, "n_galaxies": len(catalog), "n_test": len(test)}
    scores["reconstruction"] = score_reconstruction(model, catalog, train, test, seed, device, report)
    vectors, rows = embed_all(folder, catalog, device, report)
    classes = catalog.table["class"].to_numpy(dtype=object)[rows] if "class" in catalog.table else None
    scores["embedding"] = score_embedding(vectors, classes, splits[rows], seed)
    return scores


def score_reconstruction(
    model: GalaxyAutoencoder,
    catalog: Catalog,
    train: np.ndarray,
    test: np.ndarray,
    seed: int,
    device: str = "cpu",
    report: Report | None = None,
) -> dict:
    """Errors of the model, of principal components and of the mean image, on the same test galaxies."""
    size, code_size = model.config.input_px, model.config.code_size
    fitted_on = np.sort(np.random.default_rng(seed).permutation(train)[:N_FITTED])
    known = [images for images, _ in image_batches(catalog, fitted_on, size, "fit", report)]
    if not known or sum(map(len, known)) < 2:
        raise CatalogError("Fewer than two training images could be read; check the image files.")
    mean, axes = principal_components(np.concatenate(known).reshape(-1, 3 * size * size), code_size, seed)

    methods = redraw_methods(model, mean, axes, device)
    sums = {name: np.zeros(2) for name in methods}
    n_images = n_foreground = 0
    for images, masks in image_batches(catalog, test, size, "redraw", report):
        n_images, n_foreground = n_images + len(images), n_foreground + 3 * int(masks.sum())
        for name, method in methods.items():
            squared = (np.asarray(method(images), dtype=np.float64) - images) ** 2
            sums[name] += squared.sum(), (squared * masks).sum()
    if not n_images:
        raise CatalogError(f"No image of the {len(test):,} test galaxies could be read; check the image files.")
    worst = max(float(sums["mean_image"][0]), 1e-12)
    made = {
        name: {
            "rmse": float(np.sqrt(whole / (n_images * 3 * size * size))),
            "foreground_rmse": float(np.sqrt(inside / max(n_foreground, 1))),
            "explained": float(1 - whole / worst),
        }
        for name, (whole, inside) in sums.items()
    }
    counts = {"n_galaxies": n_images, "n_fitted": sum(map(len, known)), "n_components": len(axes), "size_px": size}
    return {**made, **counts, "code_size": code_size}


def redraw_methods(
    model: GalaxyAutoencoder, mean: np.ndarray, axes: np.ndarray, device: str
) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Functions of images (n, 3, size, size) to redrawn ones, by name; the mean image serves for any number."""
    size = model.config.input_px

    def redraw(images: np.ndarray) -> np.ndarray:
        tensor = torch.from_numpy(images).to(device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            return model(tensor).cpu().numpy()

    def project(images: np.ndarray) -> np.ndarray:
        departures = images.reshape(len(images), -1) - mean
        return (mean + (departures @ axes.T) @ axes).reshape(images.shape)

    return {"model": redraw, "pca": project, "mean_image": lambda images: mean.reshape(1, 3, size, size)}


def image_batches(
    catalog: Catalog, rows: np.ndarray, size_px: int, label: str, report: Report | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images, float32 (n, 3, size, size), and foregrounds, bool (n, 1, size, size), of the rows that can be read."""
    for start in range(0, len(rows), BATCH):
        images, masks = [], []
        for row in rows[start : start + BATCH].tolist():
            try:
                image = resize_square(load_display(catalog, row), size_px)
            except ImageError:
                continue
            images.append(image.astype(np.float32))
            masks.append(foreground(image)[None])
        if report:
            report(label, min(start + BATCH, len(rows)), len(rows))
        if images:
            yield np.stack(images), np.stack(masks)


def principal_components(images: np.ndarray, n_components: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean, float32 (d,), and principal axes, float32 (k, d), of flat images (n, d); k is at most n - 1."""
    from sklearn.decomposition import PCA

    k = min(n_components, len(images) - 1, images.shape[1])
    pca = PCA(k, svd_solver="randomized" if k < 0.8 * min(images.shape) else "full", random_state=seed).fit(images)
    return pca.mean_.astype(np.float32), pca.components_.astype(np.float32)


def table_lines(scores: dict) -> list[str]:
    """What evaluate.py prints of the scores."""
    redrawn = scores["reconstruction"]
    lines = [
        f"Measured on {redrawn['n_galaxies']:,} test galaxies of {scores['catalog']}, at {redrawn['size_px']} px, in"
        " colour; none of them was learned from",
        "",
        f"{'redrawn from':<34}{'rmse':>12}{'foreground':>12}{'explained':>12}",
    ]
    names = {"model": f"the code of {redrawn['code_size']} numbers"}
    names |= {"pca": f"{redrawn['n_components']} principal components", "mean_image": "nothing: the mean image"}
    for key, name in names.items():
        row = redrawn[key]
        lines.append(f"{name:<34}{row['rmse']:>12.4f}{row['foreground_rmse']:>12.4f}{row['explained']:>12.1%}")
    lines += ["", f"{'embedding':<28}{'linear probe':>14}{'15 neighbours':>15}{'galaxies':>10}"]
    for name, probes in scores["embedding"].items():
        if not isinstance(probes, dict):
            return [*lines[:-1], f"{name}: {probes}"]
        linear, knn = probes["linear_probe"], probes["knn_probe"]
        lines.append(f"{name:<28}{linear['accuracy']:>14.4f}{knn['accuracy']:>15.4f}{linear['n_test']:>10,}")
    return lines
