"""The parts of a frozen encoder's measurement: whitening, the head on top, its strength, its folds."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.recipes.few_labels_frozen import (
    FrozenConfig,
    choose_strength,
    fit_head,
    fit_logistic,
    soft_whitening,
    stratified_folds,
    truth_shares,
)


def test_soft_whitening_evens_out_large_axes_and_spares_small_ones():
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    features = rng.normal(size=(5000, 4)) @ np.diag([1, 1, 1, 1]) + 3 * rng.normal(size=(5000, 1))
    centre, axes = soft_whitening(features @ turn, 0.5)
    made = (features @ turn - centre) @ axes.T
    spread = made.std(axis=0)
    assert spread[0] == pytest.approx(1, rel=1e-3) and (np.diff(spread) <= 1e-9).all() and spread[-1] < 1
    np.testing.assert_allclose(np.corrcoef(made.T), np.eye(4), atol=1e-6)
    centre, axes = soft_whitening(np.ones((3, 2)), 0.5)
    assert np.isfinite(axes).all() and not ((np.ones((3, 2)) - centre) @ axes.T).any()


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_the_head_says_what_the_classifier_says(n_classes):
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    classes = np.arange(60) % n_classes
    features = rng.normal(size=(60, 3)) + 2 * np.eye(3)[classes]
    config = FrozenConfig(strengths=(0.7,))
    whitening = soft_whitening(features, 0.5)
    head = fit_head(features, classes, 4, whitening, config, seed=0)
    logits = head.logits(features)
    assert logits.shape == (60, 4) and head.strength == 0.7
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    assert shares[:, n_classes:].max() < 1e-6, "a class without a label is never told"
    if n_classes > 1:
        values = (features - whitening[0]) @ whitening[1].T
        naive = LogisticRegression(C=0.7, max_iter=500).fit(values, classes).predict_proba(values)
        np.testing.assert_allclose(shares[:, :n_classes], naive, atol=1e-5)


def test_the_strength_is_the_one_that_tells_held_out_labels_best():
    rng = np.random.default_rng(2)
    noise, config = rng.normal(size=(40, 30)), FrozenConfig(strengths=(1e-4, 100.0), n_folds=4)
    classes = np.arange(40) % 2
    assert choose_strength(noise, classes, config, seed=0) == 1e-4, "nothing to learn: the strongest penalty"
    clear = np.hstack([noise[:, :1] * 0.01, 10.0 * (classes[:, None] - 0.5)])
    assert choose_strength(clear, classes, config, seed=0) == 100.0
    assert choose_strength(clear[:1], classes[:1], config, seed=0) == 1e-4, "one galaxy chooses nothing"


def test_folds_spread_every_class():
    classes = np.repeat([0, 1, 2], [50, 7, 1])
    folds = stratified_folds(classes, 5, np.random.default_rng(0))
    assert np.bincount(folds[classes == 0]).tolist() == [10] * 5
    assert set(np.bincount(folds[classes == 1], minlength=5)) == {1, 2} and (folds < 5).all()


def test_shares_of_the_truth():
    logits = np.log(np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 1e-12]]))
    np.testing.assert_allclose(truth_shares(logits, np.array([1, 4]), np.array([4, 2, 4])), [0.8, 1e-6, 1e-6])
    found, weight, bias = fit_logistic(np.zeros((3, 2)), np.array([5, 5, 5]), 1.0)
    assert found.tolist() == [5] and weight.shape == (1, 2) and bias.tolist() == [0.0]
