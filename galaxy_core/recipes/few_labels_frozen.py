"""A small classifier on features that stay as they are: logistic regression, its penalty chosen on the labels given.

All training images, labelled or not, set the scale of the features: they are turned to their principal axes, each
divided by its scatter plus a share of the largest, as `GalaxyEncoder.spread` does. So a penalty weighs on what hardly
varies. The strength of the penalty is the one with the best likelihood of labels held out in turn, among those that
were drawn alone: neither validation nor test galaxies have a say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.models.dihedral import view_features
from galaxy_core.recipes.stamp_views import shrink
from galaxy_core.stamps import Stamps

BATCH = 256


@dataclass(frozen=True)
class FrozenConfig:
    """How the classifier on frozen features is fitted.

    Attributes
    ----------
    softness : float
        Share of the largest scatter that is added to that of each axis before it is divided by it.
    strengths : tuple of float
        Inverse strengths of the penalty to choose from, scikit-learn's ``C``.
    n_folds : int
        Parts of the drawn labels, each held out once.
    n_choosing_max : int
        At most so many of the drawn labels choose the strength; all are fitted on.
    """

    softness: float = 0.5
    strengths: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
    n_folds: int = 5
    n_choosing_max: int = 4096


@dataclass(frozen=True)
class LinearHead:
    """Features to logits: ``features @ weight.T + bias``; float64 (n_classes, n_features) and (n_classes,)."""

    weight: np.ndarray
    bias: np.ndarray
    strength: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """Logits, float64 (n, n_classes)."""
        return features.astype(np.float64) @ self.weight.T + self.bias


def cached_features(
    model: nn.Module,
    stamps: Stamps,
    path: Path,
    device: str = "cpu",
    report: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Features, float32 (n, n_features), of all stamps: the mean over the eight views; kept in ``path``.

    What cannot be read is zero.
    """
    if path.exists():
        return np.load(path)
    rows = np.flatnonzero(stamps.readable)
    made = np.zeros((len(stamps.readable), model.encoder.n_features), np.float32)
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        images = shrink(stamps.batch(batch)[0].to(device), model.config.embedding_input_px)
        with torch.inference_mode(), torch.autocast(device.split(":")[0], dtype=torch.bfloat16):
            features = view_features(model.encoder, images).float().mean(dim=0)
        made[batch] = features.cpu().numpy()
        if report:
            report(start + len(batch), len(rows))
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.save(file, made)
    return made


def soft_whitening(features: np.ndarray, softness: float) -> tuple[np.ndarray, np.ndarray]:
    """Centre, float64 (d,), and axes (k, d): ``(features - centre) @ axes.T`` is softly whitened.

    Features are standardised; principal axes of scatter s are scaled by ``(1 + softness) / (s + softness * s_max)``.
    """
    values = features.astype(np.float64)
    centre, scatter = values.mean(axis=0), values.std(axis=0)
    scale = np.maximum(scatter, max(1e-3 * float(scatter.max()), 1e-12))
    standard = (values - centre) / scale
    # of the covariance, which is small where galaxies are many
    squares, vectors = np.linalg.eigh(standard.T @ standard / len(values))
    spread, axes = np.sqrt(np.maximum(squares[::-1], 0)), vectors[:, ::-1].T
    gains = (1 + softness) / np.maximum(spread + softness * spread[0], 1e-12)
    return centre, axes * gains[:, None] / scale


def fit_head(
    features: np.ndarray,
    classes: np.ndarray,
    n_classes: int,
    whitening: tuple[np.ndarray, np.ndarray],
    config: FrozenConfig,
    seed: int,
) -> LinearHead:
    """Logistic regression on softly whitened features, as a map of the features themselves.

    Parameters
    ----------
    features : float array, shape (n, n_features)
        Of the galaxies whose labels were drawn.
    classes : int array, shape (n,)
        Below ``n_classes``; a class without a label is never told.
    """
    centre, axes = whitening
    values = (features.astype(np.float64) - centre) @ axes.T
    strength = choose_strength(values, classes, config, seed)
    found, weight, bias = fit_logistic(values, classes, strength)
    whole, offset = np.zeros((n_classes, len(axes))), np.full(n_classes, -1e3)
    whole[found], offset[found] = weight, bias
    weight = whole @ axes
    return LinearHead(weight, offset - weight @ centre, strength)


def fit_logistic(values: np.ndarray, classes: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes that occur, weights (n_found, d) and biases of a softmax regression with an L2 penalty."""
    from sklearn.linear_model import LogisticRegression

    found = np.unique(classes)
    if len(found) == 1:
        return found, np.zeros((1, values.shape[1])), np.zeros(1)
    fitted = LogisticRegression(C=strength, max_iter=500).fit(values, classes)
    weight, bias = fitted.coef_, fitted.intercept_
    if len(found) == 2:  # of two classes scikit-learn tells the logit of the second alone
        weight, bias = np.vstack([np.zeros_like(weight), weight]), np.concatenate([[0.0], bias])
    return found, weight, bias


def choose_strength(values: np.ndarray, classes: np.ndarray, config: FrozenConfig, seed: int) -> float:
    """The inverse strength with the best likelihood of labels held out in turn; the strongest penalty among equals."""
    rng = np.random.default_rng([seed, 11])
    kept = np.sort(rng.permutation(len(classes))[: config.n_choosing_max])
    values, classes = values[kept], classes[kept]
    folds = stratified_folds(classes, config.n_folds, rng)
    losses = []
    for strength in config.strengths:
        loss = 0.0
        for fold in np.unique(folds).tolist():
            held = folds == fold
            if held.all():
                continue
            found, weight, bias = fit_logistic(values[~held], classes[~held], strength)
            loss -= np.log(truth_shares(values[held] @ weight.T + bias, found, classes[held])).sum()
        losses.append(loss)
    return config.strengths[int(np.argmin(losses))]


def truth_shares(logits: np.ndarray, found: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Probability given to each true class, at least 1e-6, float64 (n,); of a class that was not found it is that."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    places = np.searchsorted(found, classes)
    known = np.isin(classes, found)
    told = shares[np.arange(len(classes)), np.where(known, places, 0)]
    return np.maximum(np.where(known, told, 0.0), 1e-6)


def stratified_folds(classes: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Number of the fold of each galaxy, int64 (n,): every class is spread over the folds as evenly as can be."""
    folds = np.zeros(len(classes), np.int64)
    for code in np.unique(classes):
        members = rng.permutation(np.flatnonzero(classes == code))
        folds[members] = (np.arange(len(members)) + rng.integers(n_folds)) % n_folds
    return folds
