"""What can be trained, and how each is judged: one file a system.

A recipe is a module with a frozen dataclass ``Config``, ``train(catalogs, folder, config, ...)`` and
``evaluate(folder, catalog, ...)``. Modules are imported on first use, since each brings torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from galaxy_core.errors import ModelError

Report = Callable[[str, int, int], None]
"""Told, while a model is measured, what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class Recipe:
    """Record of one recipe: what it is for, in a sentence, the module that holds it, and whether its model embeds."""

    name: str
    summary: str
    module_name: str
    embeds: bool = True

    def module(self) -> ModuleType:
        """The module with ``Config``, ``train`` and ``evaluate``."""
        return import_module(self.module_name)


RECIPES: dict[str, Recipe] = {
    "contrastive_denoiser": Recipe(
        "contrastive_denoiser",
        "Learn, without labels, to denoise galaxy images and to place similar galaxies near each other.",
        "galaxy_core.recipes.contrastive_denoiser",
    ),
    "vote_regressor": Recipe(
        "vote_regressor",
        "Learn, from votes, classes or both, what volunteers would say of a galaxy and of which class it is.",
        "galaxy_core.recipes.vote_regressor",
    ),
    "feature_classifier": Recipe(
        "feature_classifier",
        "Learn classes, those that votes make or the catalog's own, with a ResNet34 whose 512 features can be mapped.",
        "galaxy_core.recipes.feature_classifier",
    ),
    "moco": Recipe(
        "moco",
        "Learn, without labels, to know a galaxy again among others, with a ResNet18 (MoCo v2).",
        "galaxy_core.recipes.moco",
    ),
    "cae": Recipe(
        "cae",
        "Learn, without labels, to redraw galaxies from a code of 128 numbers, which can be mapped and classified.",
        "galaxy_core.recipes.cae",
    ),
    "star_galaxy_vae": Recipe(
        "star_galaxy_vae",
        "Learn, without labels, to tell stars from galaxies in stamps of 1 to 5 bands; and with labels, to compare.",
        "galaxy_core.recipes.star_galaxy_vae",
        embeds=False,
    ),
    "segmenter": Recipe(
        "segmenter",
        "Learn, from simulated sky, to find and outline the objects of a frame.",
        "galaxy_core.recipes.segmenter",
        embeds=False,
    ),
}


def find_recipe(name: str) -> Recipe:
    """The recipe called ``name``; raises `ModelError` with the names there are."""
    if name not in RECIPES:
        raise ModelError(f"There is no recipe '{name}'; choose one of {', '.join(RECIPES)}.")
    return RECIPES[name]
