"""Maps that stay as they are while a catalog grows: who was there keeps the place, who is new is placed among them.

What places the new galaxies is found from what is published alone: the embedding, the coordinates and who was fitted,
a column ``<map>_placed`` of the maps' table that only kept maps have. So a map that grows twice is, both times, that of
the galaxies it was fitted on at first. On a UMAP and a t-SNE the new go where galaxies beyond the fit limit go
(`galaxy_core.placing`); PCA and LDA are linear, and their axes follow from vectors and coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_core import artifacts, projection
from galaxy_core.artifacts import remote, sha256_of_file
from galaxy_core.artifacts.staging import Staging, fingerprint_of
from galaxy_core.errors import ArtifactError
from galaxy_core.map_layers import extent_of
from galaxy_core.map_placement import LinearMap, apply_linear_map, fit_linear_map
from galaxy_core.placer import Fitted, PlaceOthers, Placer, fill_in, openers_of
from galaxy_core.placing import grow_trees, open_beside, open_tsne
from galaxy_core.principal import Transform
from galaxy_core.sampling import draw_sample

TOLERANCE = 0.05
"""Of a vector's length: more than another machine changes for the same image, and less than any other image does.

By the model that is shipped, bfloat16 lies 0.010 from float32 in the median and 0.014 at most, and the two galaxies of
2,000 that are most alike 0.19 from one another.
"""

LINEAR = ("pca", "lda")
"""Maps whose axes follow from vectors and coordinates."""

N_FOR_TREES = 1_000
"""From so many galaxies openTSNE looks for neighbours by trees, and so does placing."""

WITHOUT = "run scripts/run_pipeline.py without --keep-maps to have maps made anew"


def published_maps(manifest: artifacts.Manifest | None) -> dict:
    """The record of the step that made the published maps; empty where there is none."""
    return manifest.config.get("steps", {}).get("projections", {}) if manifest else {}


def kept_from(manifest: artifacts.Manifest | None) -> str:
    """Fingerprint of the maps that the published ones were kept from; empty where all were made together."""
    return (published_maps(manifest).get("result") or {}).get("kept", "")


def inputs_keeping(manifest: artifacts.Manifest, *made_of: object) -> tuple[str, str]:
    """Fingerprint of maps made of this that keep the published ones, and that of the maps they are kept from.

    Where that makes what is published, nothing is new, and it stays as it is: kept, or not.
    """
    published, before = published_maps(manifest)["fingerprint"], kept_from(manifest)
    if fingerprint_of(*made_of, *filter(None, [before])) == published:
        return published, before
    return fingerprint_of(*made_of, published), published


def has_maps(manifest: artifacts.Manifest | None) -> bool:
    """Whether maps are published."""
    return bool((published_maps(manifest).get("result") or {}).get("projections"))


def is_embedded_by(manifest: artifacts.Manifest, model: str, fingerprint: str) -> bool:
    """Whether what is published was embedded by these weights."""
    known = manifest.config.get("models", {}).get(manifest.model, {}).get("fingerprint", "")
    return (manifest.model, known) == (model, fingerprint)


def check_keepable(staging: Staging, model: str, fingerprint: str) -> None:
    """Raise `ArtifactError` unless maps are published, made of an embedding by the same weights."""
    manifest, shown = staging.manifest, artifacts.shown(staging.published.parent, staging.name)
    if not has_maps(manifest):
        raise ArtifactError(f"{shown} has no maps that could be kept; run the command without --keep-maps.")
    if not is_embedded_by(manifest, model, fingerprint):
        raise ArtifactError(
            f"The maps of {shown} cannot be kept, as their galaxies were embedded by another model than this {model}"
            f" ({manifest.model}, or other weights, or on another kind of device); give that one, or {WITHOUT}."
        )


def n_moving(root: str | Path, name: str, ids: pd.Series, model: str, fingerprint: str) -> int:
    """How many galaxies move because maps are made anew that could be kept; 0 where maps come out as they are.

    Parameters
    ----------
    ids : pandas.Series of str
        Of the catalog as it is now.
    model, fingerprint : str
        What it is embedded by.
    """
    try:
        manifest = artifacts.read_manifest(root, name)
        if not has_maps(manifest) or not is_embedded_by(manifest, model, fingerprint):
            return 0
        before = artifacts.open_columns(root, manifest, "catalog")["galaxy_id"].to_numpy(dtype=object)
    except ArtifactError:  # there is none, or none that can be read
        return 0
    now = ids.astype(object)  # as text of Arrow, a million take minutes
    now = now[~now.isin(manifest.config["steps"]["images"]["result"]["ids_left_out"])]
    same = len(now) == len(before) and bool((now.to_numpy() == before).all())
    return 0 if same and not kept_from(manifest) else int(now.isin(before).sum())


@dataclass(frozen=True)
class KeptMaps:
    """Published maps, and the galaxies of a grown catalog that are on them.

    Attributes
    ----------
    staging : Staging
    model : str
    ids : pandas.Series of str, shape (n_galaxies,)
        Of the grown catalog.
    vectors : float32 array, shape (n_galaxies, n_features)
        Theirs.
    settings : dict
        The maps that are wanted, ``{name: {"method": ..., parameters...}}``.
    """

    staging: Staging
    model: str
    ids: pd.Series
    vectors: np.ndarray
    settings: dict

    @cached_property
    def made(self) -> dict:
        """What the manifest says of each published map that is wanted as it is."""
        manifest = self.staging.manifest
        made, before = published_maps(manifest)["result"]["projections"], manifest.config["projections"]
        return {name: about for name, about in made.items() if before.get(name) == self.settings.get(name)}

    def are_made_of(self, *made_of: object) -> bool:
        """Whether the published maps are of just this, and can be read."""
        with suppress(ArtifactError):
            published = published_maps(self.staging.manifest).get("fingerprint")
            return published == fingerprint_of(*made_of) and len(self.table) == len(self.ids)
        return False

    def as_it_is(self, name: str) -> tuple[dict, dict]:
        """Coordinates on a published map of the same galaxies; what the manifest says of it."""
        return {"coordinates": self._coordinates(name)}, self.made[name]

    @cached_property
    def table(self) -> pd.DataFrame:
        """The published maps."""
        return self._read(artifacts.table_file("projections")).to_pandas()

    @cached_property
    def rows(self) -> np.ndarray:
        """Row in the grown catalog of each published galaxy; -1 where it is gone."""
        return pd.Index(self.ids).get_indexer(self.table["galaxy_id"])

    def check(self) -> None:
        """Raise `ArtifactError` where galaxies that are still there have other vectors."""
        others: list[str] = []
        for start, old in self._parts():
            rows = self.rows[start : start + len(old)]
            before, rows = old[rows >= 0], rows[rows >= 0]
            apart = np.linalg.norm(self.vectors[rows] - before, axis=1)
            others += self.ids.iloc[rows[apart > TOLERANCE * np.linalg.norm(before, axis=1)]].tolist()
        if others:
            named = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
            raise ArtifactError(
                f"Images have changed since the maps of {self.staging.name} were made ({len(others):,}, of {named}), so"
                f" the maps cannot be kept; {WITHOUT}."
            )

    def place(self, name: str, place: PlaceOthers) -> tuple[dict, dict]:
        """Coordinates of all galaxies on a kept map and who was placed; what the manifest says of it.

        Parameters
        ----------
        name : str
        place : callable
            See `galaxy_core.place_steps.placing`.

        Raises
        ------
        ArtifactError
            Files are damaged, or hardly a galaxy is left that the map was fitted on.
        """
        there = self.rows >= 0
        fitted = self._fitted(name) & there
        n_fitted = int(fitted.sum())
        if n_fitted < projection.FEWEST_FOR_NEIGHBORHOODS:
            raise ArtifactError(
                f"The map {name} of {self.staging.name} cannot be kept: the catalog holds {n_fitted} of the galaxies it"
                f" was fitted on, too few to place others by; {WITHOUT}."
            )
        own = self._coordinates(name)
        rows = self.rows[there]

        def fit() -> Fitted:
            return Fitted(self._placer(name, fitted), {"coordinates": own[there]}, {})

        found, placed = place(fit, self.vectors, rows, OPENERS)
        coordinates = fill_in(len(self.ids), rows, found.arrays["coordinates"], [part for (part,) in placed])
        was_placed = np.ones(len(self.ids), dtype=bool)
        was_placed[self.rows[fitted]] = False
        kept = {"n_fitted": n_fitted, "n_placed": len(self.ids) - n_fitted}
        home = self.made[name].get("home") or [*vars(extent_of(*own.T)).values()]  # places in links hold, too
        return {"coordinates": coordinates, "placed": was_placed}, {**self.made[name], "kept": kept, "home": home}

    def _drawn_by(self, name: str) -> str:
        return self.made[name]["params"].get("drawn_by", self.made[name]["method"])

    def _coordinates(self, name: str) -> np.ndarray:
        return self.table[[f"{name}_x", f"{name}_y"]].to_numpy(np.float32)

    def _fitted(self, name: str) -> np.ndarray:
        """Which published galaxies a map was fitted on: by its column, or else, as it never grew, all or a sample."""
        if f"{name}_placed" in self.table:
            return ~self.table[f"{name}_placed"].to_numpy()
        return self._sample if "n_fitted" in self.made[name]["params"] else np.ones(len(self.table), dtype=bool)

    @cached_property
    def _sample(self) -> np.ndarray:
        """Which published galaxies are in the sample that maps were fitted on: drawn as it was then."""
        config, path = self.staging.manifest.config, self.staging.work / "kept_vectors.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = np.lib.format.open_memmap(path, "w+", np.float32, (len(self.table), self.vectors.shape[1]))
        for start, old in self._parts():
            whole[start : start + len(old)] = old
        sample = np.zeros(len(self.table), dtype=bool)
        sample[draw_sample(whole, config["fit_limit"], config["seed"])] = True
        path.unlink()
        return sample

    def _placer(self, name: str, fitted: np.ndarray) -> Placer:
        """What puts galaxies on a map, as it does beyond the fit limit."""
        method, about, own = self._drawn_by(name), self.made[name], self._coordinates(name)
        if method in LINEAR:
            whole = np.full((len(self.ids), 2), np.nan, np.float32)
            whole[self.rows[self.rows >= 0]] = own[self.rows >= 0]
            if linear := fit_linear_map(self.vectors, whole):
                return Placer(open_linear, lambda: {"weights": linear.weights, "offset": linear.offset})
        rows, own = self.rows[fitted], own[fitted]
        order = np.argsort(rows)  # as when the map was fitted: in the order of the catalog
        arrays = {"vectors": np.asarray(self.vectors[rows[order]]), "coordinates": own[order]}
        if method != "tsne":
            return Placer(open_beside, lambda: arrays)
        arrays["coordinates"] = arrays["coordinates"].astype(np.float64)
        arrays["perplexity"] = min(5.0, about["params"]["perplexity"], (len(rows) - 1) / 3)
        if len(rows) >= N_FOR_TREES:
            arrays["trees"] = grow_trees(arrays["vectors"], about["seed"])
        return Placer(open_tsne, lambda: arrays)

    def _parts(self) -> Iterator[tuple[int, np.ndarray]]:
        """First row and vectors of each shard of the published embedding."""
        start, begin = 0, f"embedding/{self.model}/"
        for relative in sorted(file for file in self.staging.manifest.files if file.startswith(begin)):
            piece = artifacts.matrix_of(self._read(relative)["embedding"])
            yield start, piece
            start += len(piece)

    def _read(self, relative: str) -> pa.Table:
        """A published table, its checksum compared."""
        entry = self.staging.manifest.files.get(relative)
        try:
            path = entry and remote.local_file(self.staging.published.parent, self.staging.name, relative, entry)
            if path and sha256_of_file(path) == entry["sha256"]:
                return pq.read_table(Path(path))
        except (OSError, pa.ArrowException, ArtifactError):
            pass
        raise ArtifactError(
            f"{artifacts.shown(self.staging.published.parent, self.staging.name, relative)} is missing or corrupt, so"
            f" the maps cannot be kept; {WITHOUT}."
        )


def keep_settings(config, manifest: artifacts.Manifest):
    """The config with the published maps as they were asked for."""
    return replace(config, projections={**config.projections, **manifest.config.get("projections", {})})


def open_linear(weights: np.ndarray, offset: np.ndarray) -> Transform:
    """Places by a linear map."""
    return partial(apply_linear_map, LinearMap(weights, offset))


OPENERS = projection.OPENERS | openers_of(open_linear)
"""What places galaxies on a map that is kept."""
