"""Networks and trainings small enough for tests of few labels, and the galaxies they learn from."""

from __future__ import annotations

import dataclasses
import functools

import pytest

from galaxy_core.catalogs import Catalog, read_catalog
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiserConfig
from galaxy_core.recipes.few_labels import Config
from galaxy_core.recipes.few_labels_frozen import FrozenConfig
from galaxy_core.recipes.few_labels_training import TrainingConfig
from galaxy_core.training import FitConfig

BRIEF = FitConfig(2, 16, 1e-3)
QUICK = Config(
    FrozenConfig(strengths=(0.1, 1.0), n_folds=2),
    TrainingConfig(fine_tuned=BRIEF, unlabelled=BRIEF, scratch=BRIEF),
)
TINY = ContrastiveDenoiserConfig((8, 8), 1, (8, 8), (1, 1), 8, 8, 16)


def begin_small(patch: pytest.MonkeyPatch) -> None:
    """Let networks that are trained from scratch be tiny."""
    patch.setattr("galaxy_core.recipes.few_labels_training.ContrastiveDenoiserConfig", lambda: TINY)


def simulated_galaxies() -> Catalog:
    """A hundred galaxies, each rendered once."""
    made = read_catalog("synthetic:100@3")
    return dataclasses.replace(made, load_image=functools.cache(made.load_image))
