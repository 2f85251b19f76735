"""Losses of votes and classes against scipy and loops."""

import numpy as np
import pytest
import torch
from scipy.stats import dirichlet_multinomial

from galaxy_core.vote_losses import class_loss, dirichlet_multinomial_loss, fraction_loss
from galaxy_core.vote_tree import N_ANSWERS, N_QUESTIONS, SLICES


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_votes_have_the_probability_that_scipy_gives_them(rng):
    counts = rng.integers(0, 15, (20, N_ANSWERS))
    alpha = rng.gamma(1.5, 4, (20, N_ANSWERS)) + 0.05
    counts[3, SLICES[4]] = 0
    loss = dirichlet_multinomial_loss(torch.tensor(counts).double(), torch.tensor(alpha)).numpy()
    for row in range(20):
        for question, part in enumerate(SLICES):
            n = counts[row, part].sum()
            expected = -dirichlet_multinomial.logpmf(counts[row, part], alpha[row, part], n) if n else 0.0
            assert loss[row, question] == pytest.approx(expected, abs=1e-9)


def test_a_question_without_votes_costs_and_teaches_nothing():
    alpha = torch.full((1, N_ANSWERS), 2.0, requires_grad=True)
    counts = torch.zeros(1, N_ANSWERS)
    counts[0, :3] = torch.tensor([5.0, 3.0, 1.0])
    loss = dirichlet_multinomial_loss(counts, alpha)
    assert loss.shape == (1, N_QUESTIONS) and (loss[0, 1:].abs() < 1e-5).all() and loss[0, 0] > 0
    loss.sum().backward()
    assert (alpha.grad[0, 3:].abs() < 1e-6).all() and (alpha.grad[0, :3].abs() > 1e-4).any()


def test_certain_concentrations_approach_the_multinomial():
    counts = torch.zeros(1, N_ANSWERS, dtype=torch.float64)
    counts[0, :3] = torch.tensor([6.0, 3.0, 1.0])
    alpha = torch.ones(1, N_ANSWERS, dtype=torch.float64)
    alpha[0, :3] = torch.tensor([0.6, 0.3, 0.1]) * 1e7
    multinomial = 840 * 0.6**6 * 0.3**3 * 0.1
    assert float(dirichlet_multinomial_loss(counts, alpha)[0, 0]) == pytest.approx(-np.log(multinomial), abs=1e-4)


def test_the_likelihood_is_best_at_the_truth(rng):
    shares = rng.dirichlet((6.0, 3.0, 1.0), 4000)
    counts = np.zeros((4000, N_ANSWERS))
    counts[:, :3] = [rng.multinomial(40, share) for share in shares]

    def mean_loss(scale, mix):
        alpha = np.ones((1, N_ANSWERS))
        alpha[0, :3] = np.array(mix) * scale
        wide = torch.tensor(alpha).expand(4000, -1)
        return float(dirichlet_multinomial_loss(torch.tensor(counts), wide)[:, 0].mean())

    best = mean_loss(10, (0.6, 0.3, 0.1))
    for scale, mix in ((3, (0.6, 0.3, 0.1)), (40, (0.6, 0.3, 0.1)), (10, (0.3, 0.6, 0.1))):
        assert mean_loss(scale, mix) > best


def test_fractions_that_are_not_known_do_not_count(rng):
    predicted = torch.tensor(rng.random((6, N_ANSWERS)), requires_grad=True)
    fractions = rng.random((6, N_ANSWERS))
    fractions[0, 5:20], fractions[1] = np.nan, np.nan
    loss = fraction_loss(predicted, torch.tensor(fractions))
    naive = np.nansum((predicted.detach().numpy() - fractions) ** 2, axis=1)
    np.testing.assert_allclose(loss.detach().numpy(), naive)
    loss.sum().backward()
    assert predicted.grad.isfinite().all() and not predicted.grad[1].any()


def test_class_loss_is_weighted_cross_entropy(rng):
    logits, weights = rng.normal(size=(7, 4)), np.array([1.0, 2.0, 0.5, 3.0])
    classes = np.array([0, 1, 2, 3, 3, -1, 0])
    loss = class_loss(torch.tensor(logits), torch.tensor(classes), torch.tensor(weights)).numpy()
    for row, number in enumerate(classes):
        log_p = logits[row] - np.log(np.exp(logits[row]).sum())
        assert loss[row] == pytest.approx(-weights[number] * log_p[number] if number >= 0 else 0.0)


def test_smoothing_spreads_the_truth(rng):
    logits = rng.normal(size=(3, 4))
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss = class_loss(torch.tensor(logits), torch.tensor([1, 1, 1]), smoothing=0.2).numpy()
    np.testing.assert_allclose(loss, -(0.8 * log_p[:, 1] + 0.2 * log_p.mean(axis=1)))
    told = np.array([[0.1, 0.2, 0.3, 0.4], [np.nan] * 4, [0, 0, 0, 1.0]])  # by another model; the second was not asked
    loss = class_loss(torch.tensor(logits), torch.tensor([1, 1, 1]), told=torch.tensor(told), told_share=0.3).numpy()
    truth = np.array([0, 1, 0, 0])
    wanted = [0.7 * truth + 0.3 * told[0], truth, 0.7 * truth + 0.3 * told[2]]
    np.testing.assert_allclose(loss, -(wanted * log_p).sum(axis=1))
