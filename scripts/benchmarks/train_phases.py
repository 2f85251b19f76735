"""The phases of a recipe as they are before the first step, for a benchmark to train."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch


def trained_phases(module, config) -> list[str]:
    """Names of the phases of a recipe that are trained with `galaxy_core.training.fit`."""
    from galaxy_core.training import FitConfig

    return [name for name in module.PHASES if isinstance(getattr(config, name, None), FitConfig)]


class _EnoughError(Exception):
    """Ends a recipe's training once all of its phases are known."""


@contextmanager
def naive_ways() -> Iterator[None]:
    """Recipes and networks that say bf16 and channels_last get float32 and the usual order of memory."""
    import torch

    autocast = torch.autocast

    def never(kind: str, *_, **__):
        return autocast(kind.split(":")[0], enabled=False)

    with patch.object(torch, "autocast", never), patch.object(torch, "channels_last", torch.contiguous_format):
        yield


def find_phases(recipe: str, catalogs: list, folder: Path, options: argparse.Namespace, device: str) -> dict:
    """By name of its phases, the one a recipe trains and the same of a naive network.

    Any recipe will do that trains with `fit`: its own `train` runs up to that, and what it would have trained is kept.
    """
    from galaxy_core import training
    from galaxy_core.recipes import find_recipe
    from galaxy_core.recipes.options import with_options

    module = find_recipe(recipe).module()
    known = [item.split("=")[0].split(".")[0] for item in options.set]
    own = [item for item, name in zip(options.set, known, strict=True) if hasattr(module.Config(), name)]
    config = with_options(module.Config(), own)
    names = trained_phases(module, config)

    def collect() -> dict:
        found: dict[str, training.Phase] = {}

        def note(phase: training.Phase, *_, **__) -> None:
            size = options.batch_size or phase.config.batch_size
            found[phase.name] = replace(phase, config=replace(phase.config, batch_size=size))
            if phase.name == names[-1]:
                raise _EnoughError

        users = [m for m in list(sys.modules.values()) if getattr(m, "fit", None) is training.fit and m is not training]
        try:
            for user in users:
                user.fit = note
            module.train(catalogs, folder, config, device)
        except _EnoughError:
            pass
        finally:
            for user in users:
                user.fit = training.fit
        return found

    fast = collect()
    with naive_ways():
        slow = collect()
    return {name: (phase, slow[name]) for name, phase in fast.items()}
