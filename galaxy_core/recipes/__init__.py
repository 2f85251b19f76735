"""What can be trained, and how each is judged: one file a system.

A recipe is a module with a frozen dataclass ``Config``, ``train(catalogs, folder, config, ...)`` and
``evaluate(folder, catalog, ...)``. Modules are imported on first use, since each brings torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from galaxy_core.errors import ModelError


@dataclass(frozen=True)
class Recipe:
    """Record of one recipe: what it is for, in a sentence, and the module that holds it."""

    name: str
    summary: str
    module_name: str

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
    "segmenter": Recipe(
        "segmenter",
        "Learn, without pixel labels, to find and outline the objects of a frame.",
        "galaxy_core.recipes.segmenter",
    ),
}


def find_recipe(name: str) -> Recipe:
    """The recipe called ``name``; raises `ModelError` with the names there are."""
    if name not in RECIPES:
        raise ModelError(f"There is no recipe '{name}'; choose one of {', '.join(RECIPES)}.")
    return RECIPES[name]
