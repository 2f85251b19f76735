"""The morphology net: the tree holds whatever the weights are, orientation says nothing, a folder rebuilds it."""

import dataclasses

import numpy as np
import pytest
import torch

from galaxy_core.embedding import load_embedder
from galaxy_core.errors import ModelError
from galaxy_core.models import load_model, save_model
from galaxy_core.models.dihedral import dihedral_views
from galaxy_core.models.morphology import (
    READINGS,
    MorphologyConfig,
    MorphologyEnsemble,
    MorphologyNet,
    join_models,
    net_config,
    set_reading,
)
from galaxy_core.models.vote_outputs import (
    LEAST_SHARE,
    combine_concentrations,
    concentrations_of,
    conditional_shares,
    cumulative_shares,
)
from galaxy_core.vote_intervals import cumulative_moments
from galaxy_core.vote_tree import N_ANSWERS, SLICES, asked_share, question_sums, to_cumulative

SMALL = MorphologyConfig((8, 8, 8), (1, 1, 1), 8, 8, 32, 16, 0.3, True, ("spiral", "edge_on", "round_smooth"))
BOTH = dataclasses.replace(SMALL, debiased=True)


def net(seed: int = 0, config: MorphologyConfig = SMALL) -> MorphologyNet:
    """A net of random weights and statistics, so that nothing is zero by chance."""
    torch.manual_seed(seed)
    model = MorphologyNet(config)
    with torch.no_grad():
        for parameter in model.heads.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model.eval()


def images(n: int = 5, px: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, px, px, generator=torch.Generator().manual_seed(seed))


def test_outputs_obey_the_tree_by_construction():
    outputs = 30 * torch.randn(200, 48, generator=torch.Generator().manual_seed(0))  # wild ones too
    alpha = concentrations_of(outputs)
    assert (alpha > 0).all() and alpha.isfinite().all()
    shares = conditional_shares(alpha)
    np.testing.assert_allclose(question_sums(shares.numpy()), 1, atol=1e-5)
    assert shares.min() >= 0.99 * LEAST_SHARE / 7
    cumulative = cumulative_shares(shares).numpy()
    np.testing.assert_allclose(question_sums(cumulative), asked_share(cumulative), atol=1e-6)
    np.testing.assert_allclose(cumulative, to_cumulative(shares.numpy()), atol=1e-6)
    np.testing.assert_allclose(cumulative, cumulative_moments(alpha.numpy())[0], atol=1e-6)


def test_turning_and_mirroring_change_nothing():
    model, stamps = net(), images()
    with torch.inference_mode():
        alpha, probabilities = model.predict(stamps)
        for view in dihedral_views(stamps):
            other_alpha, other = model.predict(view)
            torch.testing.assert_close(other_alpha, alpha, rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(other, probabilities, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(model.embed(view), model.embed(stamps), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(5))


def test_the_eight_views_are_all_different():
    views = dihedral_views(torch.arange(9.0).view(1, 1, 3, 3).repeat(1, 3, 1, 1))
    assert len({tuple(view[0, 0].flatten().tolist()) for view in views}) == 8


def test_a_mixture_keeps_mean_and_total_variance():
    rng = np.random.default_rng(0)
    members = [torch.tensor(rng.gamma(2, 3, (4, N_ANSWERS)) + 0.1, dtype=torch.float64) for _ in range(3)]
    joined = combine_concentrations(members).numpy()
    for row in range(4):
        for part in SLICES:
            draws = np.concatenate([rng.dirichlet(m[row, part].numpy(), 10_000) for m in members])
            alpha = joined[row, part]
            mean = alpha / alpha.sum()
            np.testing.assert_allclose(mean, draws.mean(axis=0), atol=1.2e-2)
            variance = (mean * (1 - mean) / (alpha.sum() + 1)).sum()
            assert variance == pytest.approx(draws.var(axis=0).sum(), rel=0.06)


def test_agreeing_members_change_nothing_and_quarrelling_ones_widen():
    alpha = torch.rand(3, N_ANSWERS, generator=torch.Generator().manual_seed(1)) * 9 + 0.5
    torch.testing.assert_close(combine_concentrations([alpha, alpha]), alpha, rtol=1e-3, atol=1e-3)
    other = alpha.flip(1)
    mixed = combine_concentrations([alpha, other])
    strength = torch.tensor(question_sums(mixed.numpy()))
    largest = torch.maximum(torch.tensor(question_sums(alpha.numpy())), torch.tensor(question_sums(other.numpy())))
    assert (strength <= largest + 1e-3).all()


@pytest.mark.parametrize("px", [32, 64, 65])
def test_any_size_goes_through(px):
    if px % 2:
        with pytest.raises(RuntimeError):
            net().predict(images(px=px))
    else:
        assert net().predict(images(px=px))[0].shape == (5, N_ANSWERS)


def test_what_was_not_learned_is_not_told():
    votes_alone = net(config=MorphologyConfig((8, 8), (1, 1), 8, 8, 32, 8))
    classes_alone = net(config=MorphologyConfig((8, 8), (1, 1), 8, 8, 32, 8, votes=False, class_names=("a", "b")))
    assert votes_alone.predict(images())[1] is None
    assert classes_alone.predict(images())[0] is None
    with pytest.raises(ModelError, match="neither"):
        MorphologyNet(MorphologyConfig(votes=False))


def test_a_folder_rebuilds_net_and_ensemble(tmp_path):
    members = [net(seed) for seed in range(2)]
    members[1].strength_factors.fill_(4.0)
    for model in (members[0], join_models(members)):
        save_model(tmp_path / model.name, model)
        loaded = load_model(tmp_path / model.name)
        assert net_config(loaded) == SMALL
        with torch.inference_mode():
            for old, new in zip(model.predict(images()), loaded.predict(images()), strict=True):
                torch.testing.assert_close(new, old, rtol=2e-2, atol=1e-2)  # weights are stored in 16 bits


def test_an_ensemble_is_the_mean_of_its_members():
    members = [net(seed) for seed in range(3)]
    for member, factor in zip(members, (1.0, 2.0, 4.0), strict=True):
        member.strength_factors.fill_(factor)
    with torch.inference_mode():
        alone = [member.predict(images()) for member in members]
        alpha, probabilities = join_models(members).predict(images())
    torch.testing.assert_close(probabilities, torch.stack([p for _, p in alone]).mean(dim=0))
    torch.testing.assert_close(
        conditional_shares(alpha), torch.stack([conditional_shares(a) for a, _ in alone]).mean(dim=0)
    )
    with torch.inference_mode():
        one = join_models(members[:1]).predict(images())[0]
    torch.testing.assert_close(one, alone[0][0])


def test_each_reading_tells_its_own_votes(tmp_path):
    model = net(config=BOTH)
    model.debiased_factors.fill_(3.0)
    assert model.reading == "challenge", "where both forms were learned, the mixture is the usual reading"
    told = {}
    with torch.inference_mode():
        for reading in READINGS:
            set_reading(model, reading)
            told[reading] = model.predict(images())[0]
        cast, debiased = told["cast"], told["debiased"]
        assert not torch.allclose(conditional_shares(cast), conditional_shares(debiased), atol=0.02)
        torch.testing.assert_close(told["challenge"], combine_concentrations([cast, debiased]))
        mean = (conditional_shares(cast) + conditional_shares(debiased)) / 2
        torch.testing.assert_close(conditional_shares(told["challenge"]), mean)
        cumulative = cumulative_shares(conditional_shares(told["challenge"])).numpy()
        np.testing.assert_allclose(question_sums(cumulative), asked_share(cumulative), atol=1e-6)
        save_model(tmp_path / "m", model)
        assert load_model(tmp_path / "m").reading == "challenge", "a reading is chosen anew each time"
        ensemble = join_models([model, net(1, BOTH)])
        set_reading(ensemble, "debiased")
        one = join_models([model])
        set_reading(one, "debiased")
        torch.testing.assert_close(one.predict(images())[0], debiased)
        torch.testing.assert_close(
            ensemble.members[0](images())[0], model.from_features(model.encoder.features(images()))[0]["debiased"]
        )
    with pytest.raises(ModelError, match="choose among challenge, cast, debiased"):
        set_reading(model, "weighted")
    with pytest.raises(ModelError, match="one form only"):
        set_reading(net(), "debiased")
    with pytest.raises(ModelError, match="same classes, outputs"):
        join_models([net(), net(config=BOTH)])


def test_models_that_do_not_fit_are_no_ensemble():
    other = net(config=MorphologyConfig((8, 8), (1, 1), 8, 8, 32, 8, class_names=("a", "b")))
    with pytest.raises(ModelError, match="same classes"):
        join_models([net(), other])


def test_it_embeds_like_every_model_and_cosines_of_an_ensemble_are_the_mean(tmp_path):
    save_model(tmp_path / "one", net())
    embedder = load_embedder(tmp_path / "one", "cpu")
    vectors = embedder.embed(images().numpy())
    assert vectors.shape == (5, 8) and embedder.input_px == 32
    save_model(tmp_path / "two", join_models([net(), net(1)]))
    assert isinstance(load_model(tmp_path / "two"), MorphologyEnsemble)
    both = load_embedder(tmp_path / "two", "cpu")
    together = both.embed(images().numpy())
    assert together.shape == (5, 16) and both.input_px == 32
    save_model(tmp_path / "other", net(1))
    other = load_embedder(tmp_path / "other", "cpu").embed(images().numpy())
    np.testing.assert_allclose(together @ together.T, (vectors @ vectors.T + other @ other.T) / 2, atol=3e-4)
