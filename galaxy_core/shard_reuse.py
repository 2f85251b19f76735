"""Shards of images that an earlier run embedded and that are still the same: taken over, not made again.

So a survey that grew, or whose table changed, costs what is new in it. A shard counts as the same where its galaxies,
the state of each of their images, the model and the settings are; its number may be another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from galaxy_core.artifacts import remote, sha256_of_file
from galaxy_core.artifacts.staging import Staging, fingerprint_of, link
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.parts import states_of
from galaxy_core.embedding import ImageSettings, shards_of
from galaxy_core.errors import GalaxyError

N_DIGITS = 32  # of a fingerprint: a manifest of 40 million galaxies holds 20,000 of them


def shard_prints(catalog: Catalog, settings: ImageSettings, *made_by: object) -> list[str]:
    """A fingerprint for each shard; none where the images cannot tell whether they have changed.

    Parameters
    ----------
    made_by
        What else decides what the files of a shard hold.
    """
    prints = []
    for part in shards_of(catalog, settings):
        rows = np.arange(part.start, part.stop)
        states = states_of(catalog.load_image, rows)
        if states is None:
            return []
        about = (*made_by, catalog.linear, catalog.field_fraction, part.ids(rows).tolist(), states)
        prints.append(fingerprint_of(*about)[:N_DIGITS])
    return prints


def take_over(staging: Staging, step: str, prints: Sequence[str], files_of: Callable[[int], list[str]]) -> None:
    """Link the files of published shards with the same fingerprints, every checksum compared.

    Parameters
    ----------
    step : str
        Its published record names the fingerprints.
    prints : sequence of str
        See `shard_prints`.
    files_of : callable
        ``files_of(number)`` names the files of a shard, relative to the folder of the catalog.
    """
    published = staging.manifest.config.get("steps", {}).get(step, {}) if staging.manifest else {}
    number_of = {known: number for number, known in enumerate((published.get("result") or {}).get("shards", ()))}
    for number, wanted in enumerate(prints):
        if wanted in number_of:
            for source, target in zip(files_of(number_of[wanted]), files_of(number), strict=True):
                _take_over(staging, source, target)


def _take_over(staging: Staging, source: str, target: str) -> None:
    entry = staging.manifest.files.get(source)
    if entry is None or (staging.folder / target).is_file():
        return
    with suppress(OSError, GalaxyError):  # what is damaged or out of reach is made again
        path = remote.local_file(staging.published.parent, staging.name, source, entry)
        if sha256_of_file(path) == entry["sha256"]:
            link(path, staging.folder / target)
