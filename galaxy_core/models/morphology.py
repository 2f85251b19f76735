"""The morphology net: what volunteers would say of a galaxy, and of which class it is.

The encoder is that of the contrastive denoiser, so it may begin with what was learned there without a label. Two heads
read its features. The votes are one Dirichlet distribution a question (Walmsley et al. 2022, MNRAS 509, 3966): a
softmax gives the expected shares, so that answers add up to 1 and, multiplied down the tree, to the answer that leads
to them, whatever the weights are; a strength says how sure they are. The classes are a softmax over names that the
configuration keeps.

A galaxy has no up and no handedness that matters here: predictions are the mean over its eight turned and mirrored
views, and over the members of an ensemble. A gauge, set after the training, says how unlike all training galaxies an
image is; nets of before have none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace

import torch
from torch import Tensor, nn

from galaxy_core.errors import ModelError
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiserConfig, GalaxyEncoder
from galaxy_core.models.novelty import NoveltyGauge
from galaxy_core.vote_tree import N_ANSWERS, N_QUESTIONS, ORDER, PARENT, QUESTION_OF, SLICES

TYPICAL_STRENGTH = 16.0  # votes that an average prediction is worth
LOG_STRENGTH_RANGE = 3.5  # a strength is at most so many e-folds from the typical one
LEAST_SHARE = 1e-3  # of a question, spread over its answers: no answer is ever impossible


@dataclass(frozen=True)
class MorphologyConfig:
    """Sizes of the network, and what its outputs are called."""

    encoder_widths: tuple[int, ...] = (32, 64, 128, 256)
    encoder_blocks: tuple[int, ...] = (1, 2, 2, 2)
    projection_size: int = 128
    embedding_size: int = 192
    input_px: int = 64
    hidden_size: int = 256
    dropout: float = 0.3
    votes: bool = True  # False: no votes were learned from
    class_names: tuple[str, ...] = ()
    novelty: bool = False  # whether a gauge was set

    @property
    def n_features(self) -> int:
        """How many features of the encoder the heads read."""
        return sum(self.encoder_widths[-2:])

    @property
    def embedding_input_px(self) -> int:
        """What `galaxy_core.embedding` asks every model for."""
        return self.input_px


def _head(n_in: int, hidden: int, n_out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm1d(n_in),
        nn.Dropout(dropout),
        nn.Linear(n_in, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, n_out),
    )


class MorphologyNet(nn.Module):
    """Galaxy stamps (n, 3, P, P) to Dirichlet concentrations of 37 answers and logits of classes.

    Attributes
    ----------
    strength_factors : Tensor, float32 (11,)
        What `predict` multiplies the strength of each question by, set on held-out galaxies after the training.
    gauge : NoveltyGauge or None
        See `add_gauge`.
    """

    name = "morphology_net"

    def __init__(self, config: MorphologyConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = GalaxyEncoder(
            ContrastiveDenoiserConfig(
                encoder_widths=config.encoder_widths,
                encoder_blocks=config.encoder_blocks,
                projection_size=config.projection_size,
                embedding_size=config.embedding_size,
            )
        )
        n_features, hidden = config.n_features, config.hidden_size
        heads = {}
        if config.votes:
            heads["votes"] = _head(n_features, hidden, N_ANSWERS + N_QUESTIONS, config.dropout)
        if config.class_names:
            heads["classes"] = _head(n_features, hidden, len(config.class_names), config.dropout)
        if not heads:
            raise ModelError("A morphology net predicts votes, classes or both; this configuration names neither.")
        self.heads = nn.ModuleDict(heads)
        self.register_buffer("strength_factors", torch.ones(N_QUESTIONS))
        self.gauge = NoveltyGauge(n_features) if config.novelty else None

    def add_gauge(self) -> NoveltyGauge:
        """A new gauge, which knows nothing yet, in place of any there is."""
        self.config = replace(self.config, novelty=True)
        self.gauge = NoveltyGauge(self.config.n_features).to(self.strength_factors.device)
        return self.gauge

    def from_features(self, features: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Concentrations, float32 (n, 37), and logits of classes, float32 (n, n_classes); None where not learned."""
        features = features.float()
        concentrations = concentrations_of(self.heads["votes"](features)) if "votes" in self.heads else None
        return concentrations, self.heads["classes"](features) if "classes" in self.heads else None

    def forward(self, images: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """`from_features` of one view of each galaxy; concentrations are not calibrated."""
        return self.from_features(self.encoder.features(images))

    def view_features(self, images: Tensor) -> Tensor:
        """Features of the eight views, float32 (8, n, n_features)."""
        views = dihedral_views(images)
        return torch.stack([self.encoder.features(v.contiguous(memory_format=torch.channels_last)) for v in views])

    def views(self, features: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Concentrations and class probabilities of `view_features`, a view each; empty lists where not learned."""
        made = [self.from_features(view) for view in features]
        return [c for c, _ in made if c is not None], [k.softmax(dim=1) for _, k in made if k is not None]

    def novelty(self, features: Tensor) -> Tensor | None:
        """How new the mean of `view_features` is, float32 (n,), 1 at the threshold; None without a gauge."""
        return None if self.gauge is None else self.gauge(features.mean(dim=0))

    def tell(self, images: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """What `predict` says, and how new the images are, float32 (n,): above 1 they are flagged."""
        features = self.view_features(images)
        return *_mean_of(*self.views(features), self.strength_factors), self.novelty(features)

    def predict(self, images: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Calibrated concentrations, float32 (n, 37), and class probabilities (n, n_classes); None where not learned.

        The mean over the dihedral group, so turning an image by 90 degrees or mirroring it changes nothing but
        rounding.
        """
        return self.tell(images)[:2]

    def embed(self, images: Tensor) -> Tensor:
        """Unit vectors, float32 (n, embedding_size), of what the heads read: the mean over the dihedral group."""
        return self.encoder.embedding(self.view_features(images).mean(dim=0))


@dataclass(frozen=True)
class EnsembleConfig:
    """The configuration of every member, as a dict."""

    members: tuple[dict, ...] = ()

    def configs(self) -> list[MorphologyConfig]:
        """The members' configurations; what a later version added is left out."""
        known = {item.name for item in fields(MorphologyConfig)}
        return [
            MorphologyConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in member.items() if k in known})
            for member in self.members
        ]


class MorphologyEnsemble(nn.Module):
    """Several morphology nets that speak as one: `predict` is the mean over their views."""

    name = "morphology_ensemble"

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__()
        configs = config.configs()
        if len({(c.class_names, c.votes, c.input_px) for c in configs}) != 1:
            raise ModelError("The models of an ensemble must have the same classes, outputs and input size.")
        self.config, self.members = config, nn.ModuleList(MorphologyNet(member) for member in configs)

    def tell(self, images: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """As `MorphologyNet.tell`; novelty is the mean of the members', and None if one of them has no gauge."""
        features = [member.view_features(images) for member in self.members]
        made = [member.views(part) for member, part in zip(self.members, features, strict=True)]
        factors = torch.stack([member.strength_factors for member in self.members]).log().mean(dim=0).exp()
        votes, probabilities = _mean_of(
            [c for concentrations, _ in made for c in concentrations], [p for _, parts in made for p in parts], factors
        )
        novelty = [member.novelty(part) for member, part in zip(self.members, features, strict=True)]
        known = all(part is not None for part in novelty)
        return votes, probabilities, torch.stack(novelty).mean(dim=0) if known else None

    def predict(self, images: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """As `MorphologyNet.predict`."""
        return self.tell(images)[:2]


def join_models(models: Sequence[MorphologyNet]) -> MorphologyEnsemble:
    """An ensemble of trained nets; save it with `save_model` and it is one model's folder."""
    ensemble = MorphologyEnsemble(EnsembleConfig(tuple(asdict(model.config) for model in models)))
    for member, model in zip(ensemble.members, models, strict=True):
        member.load_state_dict(model.state_dict())
    return ensemble.to(next(models[0].parameters()).device).eval()


def net_config(model: nn.Module) -> MorphologyConfig:
    """Configuration of a net, or the one an ensemble's members share."""
    if isinstance(model, MorphologyEnsemble):
        return model.members[0].config
    if isinstance(model, MorphologyNet):
        return model.config
    raise ModelError(
        f"This is a {getattr(model, 'name', 'model')}, which does not tell morphology; name one trained with"
        " `python scripts/train.py vote_regressor LAYOUT:PATH`."
    )


def dihedral_views(images: Tensor) -> list[Tensor]:
    """The eight turned and mirrored views of square images (n, 3, P, P)."""
    turned = [torch.rot90(images, turns, dims=(2, 3)) for turns in range(4)]
    return [*turned, *(view.flip(3) for view in turned)]


def concentrations_of(outputs: Tensor) -> Tensor:
    """Dirichlet concentrations, float32 (n, 37), of the votes head's outputs (n, 48): shares, then strengths."""
    logits, strengths = outputs.split([N_ANSWERS, N_QUESTIONS], dim=1)
    parts = []
    for part in SLICES:
        shares = logits[:, part].softmax(dim=1)
        parts.append((1 - LEAST_SHARE) * shares + LEAST_SHARE / shares.shape[1])
    log_strength = LOG_STRENGTH_RANGE * torch.tanh(strengths / LOG_STRENGTH_RANGE) + math.log(TYPICAL_STRENGTH)
    return torch.cat(parts, dim=1) * log_strength.exp()[:, QUESTION_OF]


def conditional_shares(concentrations: Tensor) -> Tensor:
    """Expected share of each answer among those asked, float32 (n, 37)."""
    return concentrations / _strengths(concentrations)[:, QUESTION_OF]


def cumulative_shares(conditional: Tensor) -> Tensor:
    """Shares multiplied down the tree, float32 (n, 37): of all volunteers."""
    parts: dict[int, Tensor] = {}
    for q in ORDER:
        part, column = conditional[:, SLICES[q]], int(PARENT[q])
        if column >= 0:
            above = int(QUESTION_OF[column])
            part = part * parts[above][:, column - SLICES[above].start, None]
        parts[q] = part
    return torch.cat([parts[q] for q in range(N_QUESTIONS)], dim=1)


def combine_concentrations(members: Sequence[Tensor]) -> Tensor:
    """The Dirichlet with the mean and the total variance of an even mixture of Dirichlets, question by question.

    What members disagree about widens it: the variance of a mixture is the mean of the variances plus the variance of
    the means, and summed over the answers of a Dirichlet of strength A and means m it is ``(1 - sum m^2) / (A + 1)``.

    Parameters
    ----------
    members : sequence of Tensor, float32 (n, 37)
    """
    shares = [conditional_shares(member) for member in members]
    mean = torch.stack(shares).mean(dim=0)
    second = torch.stack(
        [
            _question_sums(share * (1 + member)) / (_strengths(member) + 1)
            for share, member in zip(shares, members, strict=True)
        ]
    ).mean(dim=0)  # sum over answers of E[x^2]
    squares = _question_sums(mean.square())
    spread = (second - squares).clamp(min=1e-7)
    return mean * ((1 - squares) / spread - 1).clamp(min=1e-3)[:, QUESTION_OF]


def _question_sums(values: Tensor) -> Tensor:
    return torch.stack([values[:, part].sum(dim=1) for part in SLICES], dim=1)


_strengths = _question_sums


def _mean_of(
    concentrations: list[Tensor], probabilities: list[Tensor], factors: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    votes = combine_concentrations(concentrations) * factors[QUESTION_OF] if concentrations else None
    return votes, torch.stack(probabilities).mean(dim=0) if probabilities else None
