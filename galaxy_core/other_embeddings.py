"""Embeddings that were added to a catalog by further models, and what becomes of them when it is made again.

Where the galaxies are the same they are taken over. Where not, they are made of the galaxies there are now, as the
catalog's own is: what is still the same is not embedded again.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from galaxy_core.artifacts import Manifest
from galaxy_core.artifacts.staging import Staging, Step, adopt_step
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.embedding import Embedder, ImageSettings
from galaxy_core.engine import Engine
from galaxy_core.errors import ArtifactError, GalaxyError
from galaxy_core.image_steps import Progress, describe_embedder, ids_in_parts, make_images

PREFIX = "embedding_"
"""Of the names of their steps; the name of a model follows."""

FindEmbedder = Callable[[str], Embedder]
"""The embedder of a model by name; a `GalaxyError` where there is none."""


def other_steps(manifest: Manifest | None) -> list[str]:
    """Names of the steps that embedded by further models."""
    return sorted(step for step in (manifest.config.get("steps", {}) if manifest else {}) if step.startswith(PREFIX))


def embed_more(
    staging: Staging,
    catalog: Catalog,
    images: Step,
    embedder: Embedder,
    settings: ImageSettings,
    progress: Progress,
    engine: Engine | None = None,
) -> Step:
    """Embed the catalog of the step ``images`` by one more model."""
    fingerprint, left_out = images.result["catalog"], set(images.result["ids_left_out"])
    name = PREFIX + embedder.name
    step = make_images(staging, catalog, fingerprint, embedder, settings, progress, name, engine)
    if ids_in_parts(staging, embedder.name) != [i for i in catalog.galaxy_ids.tolist() if i not in left_out]:
        raise ArtifactError(f"Images of {staging.name} changed on disk while they were embedded; run it again.")
    return step


def keep_others(
    staging: Staging,
    catalog: Catalog,
    images: Step,
    model: str,
    settings: ImageSettings,
    progress: Progress,
    engine: Engine | None = None,
    find: FindEmbedder | None = None,
) -> tuple[list[Step], dict[str, dict], list[str]]:
    """Embeddings by other models than ``model`` that are published, for the galaxies there are now.

    Parameters
    ----------
    images : Step
        That of the catalog's own model.
    find : callable, optional
        Without it those of other galaxies cannot be made again.

    Returns
    -------
    steps : list of Step
    models : dict
        What the manifest says of each model.
    notes : list of str
        A sentence for each that is lost.
    """
    steps, models, notes = [], {}, []
    for name in other_steps(staging.manifest):
        other, before = name.removeprefix(PREFIX), staging.manifest.config["steps"][name].get("result") or {}
        if other == model:
            continue
        if all(before.get(key) == images.result[key] for key in ("catalog", "ids_left_out")):
            with suppress(ArtifactError):  # what is damaged is made again
                steps.append(adopt_step(staging, name))
                models[other] = staging.manifest.config["models"][other]
                continue
        try:
            if find is None:
                raise ArtifactError("no way to find it was given")
            embedder = find(other)
        except GalaxyError as error:
            notes.append(
                f"the embedding by {other} was of other galaxies or images and is gone, since its model cannot be"
                f" loaded; make it again with scripts/embed.py ({error})"
            )
            continue
        steps.append(embed_more(staging, catalog, images, embedder, settings, progress, engine))
        models[other] = describe_embedder(embedder)
    return steps, models, notes
