"""What the recipe `vote_regressor` begins with: the labels of its catalogs, and a net with outputs for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import ModelError
from galaxy_core.models import load_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser
from galaxy_core.models.morphology import MorphologyEnsemble, MorphologyNet
from galaxy_core.vote_labels import Labels, has_both_forms, join_labels, read_labels

if TYPE_CHECKING:
    from galaxy_core.recipes.vote_regressor import Config


def labels_by_form(catalogs: Sequence[Catalog], config: Config) -> tuple[dict[str, Labels], list[str]]:
    """Labels of all galaxies, catalog after catalog, by form of votes, and what could not be used.

    The form "debiased" is there where a catalog has it; an error where nothing at all is known.
    """
    made = [read_labels(catalog, config.model.class_names, config.classes_beside_votes, "cast") for catalog in catalogs]
    labels = join_labels([part for part, _ in made])
    notes = [
        f"{catalog.layout}:{Path(catalog.source).name}: {note}"
        for catalog, (_, told) in zip(catalogs, made, strict=True)
        for note in told
    ]
    if not (labels.has_votes | (labels.classes >= 0)).any():
        raise ModelError(
            f"No galaxy of these catalogs has votes or one of the classes {', '.join(config.model.class_names)};"
            " give a catalog with either, or name its classes in the configuration (model.class_names)."
        )
    seen = set(labels.classes.tolist()) - {-1}
    if unseen := [name for number, name in enumerate(config.model.class_names) if seen and number not in seen]:
        notes.append(f"No galaxy of these catalogs is of class {', '.join(unseen)}; the model will hardly tell it.")
    forms = {"cast": labels}
    if any(map(has_both_forms, catalogs)):
        forms["debiased"] = join_labels([read_labels(catalog, form="debiased")[0] for catalog in catalogs])
    return forms, notes


def starting_model(config: Config, labels: dict[str, Labels], start_from: str | Path | None) -> MorphologyNet:
    """A net with the outputs that can be learned from ``labels``; what fits of ``start_from`` is taken over."""
    names = config.model.class_names if (labels["cast"].classes >= 0).any() else ()
    votes = bool(labels["cast"].has_votes.any())
    wanted = replace(config.model, class_names=names, votes=votes, debiased=votes and "debiased" in labels)
    if start_from is None:
        return MorphologyNet(wanted)
    old = load_model(start_from)
    old = old.members[0] if isinstance(old, MorphologyEnsemble) else old
    if not isinstance(old, (ContrastiveDenoiser, MorphologyNet)):
        raise ModelError(f"{start_from} holds a {old.name}; start from a contrastive denoiser or a morphology net.")
    sizes = ("encoder_widths", "encoder_blocks", "projection_size", "embedding_size")
    wanted = replace(wanted, **{name: getattr(old.config, name) for name in sizes})
    model = MorphologyNet(wanted)
    model.encoder.load_state_dict(old.encoder.state_dict())
    for name, head in old.heads.items() if isinstance(old, MorphologyNet) else ():
        same = name in model.heads and (name != "classes" or old.config.class_names == names)
        if same and old.config.hidden_size == wanted.hidden_size:
            model.heads[name].load_state_dict(head.state_dict())
    return model
