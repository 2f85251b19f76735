"""The morphology net: what volunteers would say of a galaxy, and of which class it is.

The encoder is that of the contrastive denoiser, so it may begin with what was learned there without a label. Heads
read its features. The votes are one Dirichlet distribution a question (Walmsley et al. 2022, MNRAS 509, 3966): a
softmax gives the expected shares, so that answers add up to 1 and, multiplied down the tree, to the answer that leads
to them, whatever the weights are; a strength says how sure they are. The classes are a softmax over names that the
configuration keeps.

Releases state votes as they were cast, or corrected for what distance hides ("debiased": Willett et al. 2013, MNRAS
435, 2835; Hart et al. 2016, MNRAS 461, 3663), which differ a lot. Each form has its own head; `reading`: which is told.

A galaxy has no up and no handedness that matters here: predictions are the mean over its eight turned and mirrored
views, and over an ensemble's members. A gauge, set after the training, says how unlike all training galaxies one is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace

import torch
from torch import Tensor, nn

from galaxy_core.errors import ModelError
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiserConfig, GalaxyEncoder, check_input_px
from galaxy_core.models.dihedral import view_features
from galaxy_core.models.novelty import NoveltyGauge
from galaxy_core.models.vote_outputs import combine_concentrations, concentrations_of
from galaxy_core.vote_tree import N_ANSWERS, N_QUESTIONS, QUESTION_OF

FORMS = (("cast", "votes"), ("debiased", "debiased"))  # forms of votes, and the head that tells each
# which votes are told: an even mixture of both is nearest to the table of the Kaggle challenge, which lies between
READINGS = ("challenge", "cast", "debiased")


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
    debiased: bool = False  # whether debiased votes were learned beside those as cast

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


class MorphologyTeller(nn.Module):
    """What a net and an ensemble tell, in their ``reading``, from what they say in every form (``tell_forms``)."""

    def tell(self, images: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """What `predict` says, and how new the images are, float32 (n,): above 1 they are flagged."""
        votes, probabilities, novelty = self.tell_forms(images)
        return read_votes(votes, self.reading), probabilities, novelty

    def predict(self, images: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Calibrated concentrations in the net's reading, float32 (n, 37), and class probabilities (n, n_classes).

        None where not learned.

        The mean over the dihedral group, so turning an image by 90 degrees or mirroring it changes nothing but
        rounding.
        """
        return self.tell(images)[:2]


class MorphologyNet(MorphologyTeller):
    """Galaxy stamps (n, 3, P, P) to Dirichlet concentrations of 37 answers and logits of classes.

    Attributes
    ----------
    strength_factors, debiased_factors : Tensor, float32 (11,)
        What `predict` multiplies the strength of each question by, set on held-out galaxies after the training.
    reading : str
        One of `READINGS`: which votes are told. Without a debiased head there is only "cast".
    gauge : NoveltyGauge or None
        See `add_gauge`.
    """

    name = "morphology_net"

    def __init__(self, config: MorphologyConfig) -> None:
        super().__init__()
        check_input_px(config.input_px, "input_px")
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
        if config.votes and config.debiased:
            heads["debiased"] = _head(n_features, hidden, N_ANSWERS + N_QUESTIONS, config.dropout)
        if config.class_names:
            heads["classes"] = _head(n_features, hidden, len(config.class_names), config.dropout)
        if not heads:
            raise ModelError("A morphology net predicts votes, classes or both; this configuration names neither.")
        self.heads = nn.ModuleDict(heads)
        self.reading = READINGS[0] if "debiased" in heads else "cast"
        self.register_buffer("strength_factors", torch.ones(N_QUESTIONS))
        if "debiased" in heads:
            self.register_buffer("debiased_factors", torch.ones(N_QUESTIONS))
        self.gauge = NoveltyGauge(n_features) if config.novelty else None

    def add_gauge(self) -> NoveltyGauge:
        """A new gauge, which knows nothing yet, in place of any there is."""
        self.config = replace(self.config, novelty=True)
        self.gauge = NoveltyGauge(self.config.n_features).to(self.strength_factors.device)
        return self.gauge

    def from_features(self, features: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
        """Concentrations, float32 (n, 37), of each form of votes; logits of classes, (n, n_classes), None if unlearned.

        Concentrations are not calibrated.
        """
        features = features.float()
        votes = {form: concentrations_of(self.heads[head](features)) for form, head in FORMS if head in self.heads}
        return votes, self.heads["classes"](features) if "classes" in self.heads else None

    def forward(self, images: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Concentrations in the net's reading, and logits, of one view of each galaxy; neither is calibrated."""
        votes, logits = self.from_features(self.encoder.features(images))
        return read_votes(votes, self.reading), logits

    def factors(self) -> dict[str, Tensor]:
        """What the strengths of each form are multiplied by."""
        known = {"cast": self.strength_factors, "debiased": getattr(self, "debiased_factors", None)}
        return {form: value for form, value in known.items() if value is not None}

    def view_features(self, images: Tensor) -> Tensor:
        """Features of the eight views, float32 (8, n, n_features)."""
        return view_features(self.encoder, images)

    def views(self, features: Tensor) -> tuple[list[dict[str, Tensor]], list[Tensor]]:
        """Concentrations by form, and class probabilities, of `view_features`, a view each; no probabilities if
        unlearned.
        """
        made = [self.from_features(view) for view in features]
        return [votes for votes, _ in made], [logits.softmax(dim=1) for _, logits in made if logits is not None]

    def novelty(self, features: Tensor) -> Tensor | None:
        """How new the mean of `view_features` is, float32 (n,), 1 at the threshold; None without a gauge."""
        return None if self.gauge is None else self.gauge(features.mean(dim=0))

    def tell_forms(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor | None, Tensor | None]:
        """As `tell`, with the calibrated concentrations of every form of votes instead of those of a reading."""
        features = self.view_features(images)
        return *_mean_of(*self.views(features), self.factors()), self.novelty(features)

    def embed(self, images: Tensor) -> Tensor:
        """Unit vectors, float32 (n, embedding_size), of what the heads read: the mean over the dihedral group."""
        return self.encoder.embedding(self.view_features(images).mean(dim=0))


@dataclass(frozen=True)
class EnsembleConfig:
    """The configuration of every member, as a dict."""

    members: tuple[dict, ...] = ()

    @property
    def embedding_size(self) -> int:
        """Length of the members' embeddings together."""
        return sum(config.embedding_size for config in self.configs())

    @property
    def embedding_input_px(self) -> int:
        """As of a member."""
        return self.configs()[0].input_px

    def configs(self) -> list[MorphologyConfig]:
        """The members' configurations; what a later version added is left out."""
        known = {item.name for item in fields(MorphologyConfig)}
        return [
            MorphologyConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in member.items() if k in known})
            for member in self.members
        ]


class MorphologyEnsemble(MorphologyTeller):
    """Several morphology nets that speak as one: `predict` is the mean over their views."""

    name = "morphology_ensemble"

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__()
        configs = config.configs()
        if len({(c.class_names, c.votes, c.debiased, c.input_px) for c in configs}) != 1:
            raise ModelError("The models of an ensemble must have the same classes, outputs and input size.")
        self.config, self.members = config, nn.ModuleList(MorphologyNet(member) for member in configs)
        self.reading = self.members[0].reading

    def tell_forms(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor | None, Tensor | None]:
        """As `MorphologyNet.tell_forms`; novelty is the mean of the members', None if one of them has no gauge."""
        features = [member.view_features(images) for member in self.members]
        made = [member.views(part) for member, part in zip(self.members, features, strict=True)]
        each = [member.factors() for member in self.members]
        factors = {form: torch.stack([one[form] for one in each]).log().mean(dim=0).exp() for form in each[0]}
        votes, probabilities = _mean_of(
            [view for views, _ in made for view in views],
            [p for _, parts in made for p in parts],
            factors,
        )
        novelty = [member.novelty(part) for member, part in zip(self.members, features, strict=True)]
        known = all(part is not None for part in novelty)
        return votes, probabilities, torch.stack(novelty).mean(dim=0) if known else None

    def embed(self, images: Tensor) -> Tensor:
        """Unit vectors, float32 (n, embedding_size): the members' side by side, so that cosines are means."""
        return torch.cat([member.embed(images) for member in self.members], dim=1) / len(self.members) ** 0.5


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


def set_reading(model: MorphologyNet | MorphologyEnsemble, reading: str) -> None:
    """Choose which votes a model tells.

    Parameters
    ----------
    reading : str
        One of `READINGS`.

    Raises
    ------
    ModelError
        If there is no such reading, or the model learned votes of one form only and is asked for another.
    """
    if reading not in READINGS:
        raise ModelError(f"There is no reading {reading!r} of votes; choose among {', '.join(READINGS)}.")
    if reading != "cast" and not net_config(model).debiased:
        raise ModelError("This model learned votes of one form only; it has no other reading than 'cast'.")
    for net in (model, *getattr(model, "members", ())):
        net.reading = reading


def read_votes(forms: dict[str, Tensor], reading: str) -> Tensor | None:
    """Concentrations, float32 (n, 37), of the votes that a reading tells; None where no votes were learned."""
    if not forms:
        return None
    return combine_concentrations(list(forms.values())) if reading == "challenge" else forms[reading]


def _mean_of(
    views: list[dict[str, Tensor]], probabilities: list[Tensor], factors: dict[str, Tensor]
) -> tuple[dict[str, Tensor], Tensor | None]:
    votes = {
        form: combine_concentrations([view[form] for view in views]) * factors[form][QUESTION_OF] for form in views[0]
    }
    return votes, torch.stack(probabilities).mean(dim=0) if probabilities else None
