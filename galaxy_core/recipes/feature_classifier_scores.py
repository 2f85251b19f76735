"""How the recipe `feature_classifier` is judged: the classes it tells, on galaxies of the test split alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.embedding import ImageSettings, decode_batch
from galaxy_core.errors import CatalogError, ModelError
from galaxy_core.models import load_model
from galaxy_core.models.resnet import GalaxyResNet
from galaxy_core.recipes import Report
from galaxy_core.recipes.feature_classifier_labels import labels_of
from galaxy_core.recipes.vote_regressor_scores import DEFINITIONS as OF_CLASSES
from galaxy_core.recipes.vote_regressor_scores import confused_galaxies, score_classes
from galaxy_core.recipes.vote_regressor_table import class_lines
from galaxy_core.splits import TEST, split_of
from galaxy_core.vote_classes import EIGHT_CLASSES

BATCH = 64

DEFINITIONS = {name: OF_CLASSES[name] for name in ("split", "accuracy_interval", "confused", "macro_f1")} | {
    "prediction": "mean of the class probabilities over the eight turned and mirrored views",
    "eight_classes": "where the model tells these: the class at the end of the answers most volunteers gave",
}


def evaluate(
    folder: str | Path, catalog: Catalog, seed: int = 0, device: str = "cpu", report: Report | None = None
) -> dict:
    """Metrics of a trained model on the test split of a catalog; nothing is trained.

    Returns
    -------
    dict
        ``definitions``, ``n_galaxies``, ``n_test``, ``n_unreadable``, and ``classes`` as
        `galaxy_core.recipes.vote_regressor_scores.score_classes` makes them, with the ``confused`` galaxies.

    Raises
    ------
    CatalogError
        No test galaxy is of a class that the model tells.
    """
    model = load_model(folder, device)
    if not isinstance(model, GalaxyResNet) or not model.config.class_names:
        raise ModelError(
            f"{folder} holds a {model.name} that tells no classes; name one trained as feature_classifier."
        )
    names = model.config.class_names
    labels = labels_of(catalog, names)
    splits = np.array([split_of(str(key)) for key in catalog.split_keys])
    rows = np.flatnonzero((splits == TEST) & (labels >= 0))
    if not len(rows):
        what = "votes" if names == EIGHT_CLASSES else "classes"
        raise CatalogError(
            f"None of the {len(catalog):,} galaxies is in the test split and of a class this model tells; evaluate on a"
            f" larger catalog, or one with the {what} it learned from."
        )
    probabilities, kept = predict_rows(model, catalog, rows, device, report)
    truth, ids = labels[kept], np.asarray(catalog.galaxy_ids)[kept]
    classes = score_classes(probabilities, truth, names, seed)
    return {
        "definitions": DEFINITIONS,
        "n_galaxies": len(catalog),
        "n_test": len(kept),
        "n_unreadable": len(rows) - len(kept),
        "classes": classes | {"confused": confused_galaxies(probabilities, truth, names, ids)},
    }


def predict_rows(
    model: GalaxyResNet, catalog: Catalog, rows: np.ndarray, device: str = "cpu", report: Report | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Class probabilities, float32 (n, n_classes), of the rows whose image can be read, and these rows, int64 (n,)."""
    made, kept = [], []
    for start in range(0, len(rows), BATCH):
        batch = decode_batch(catalog, rows[start : start + BATCH], model.config.input_px, ImageSettings(), False)
        if len(batch.rows):
            with torch.inference_mode():
                made.append(model.predict(torch.from_numpy(batch.images).to(device)).cpu().numpy())
            kept.append(batch.rows)
        if report:
            report("classify", min(start + BATCH, len(rows)), len(rows))
    if not made:
        raise CatalogError(f"No image of the {len(rows):,} test galaxies could be read; check the image files.")
    return np.concatenate(made), np.concatenate(kept)


def table_lines(scores: dict) -> list[str]:
    """What evaluate.py prints."""
    on = f"Measured on the {scores['n_test']:,} test galaxies with a class, of {scores['n_galaxies']:,}"
    return [f"{on}: {scores['catalog']}", "", *class_lines(scores["classes"])]
