"""Everything that decides what the pipeline makes, and what it makes unless told."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass, field, replace

from galaxy_core.anomaly import N_TREES
from galaxy_core.artifacts import DEFAULT_FIT_LIMIT, Manifest
from galaxy_core.clustering.centres import check_seed
from galaxy_core.embedding import ImageSettings
from galaxy_core.stability import N_DRAWS, N_REFITS

FLAT = "umap_2_of_pca_16"
"""Two dimensions to cluster in: galaxies packed as tightly as UMAP can, which a map for the eye does not do."""


_PACKAGES = ("numpy", "pandas", "pyarrow", "torch", "scikit-learn", "umap-learn", "openTSNE", "hdbscan", "pillow")


def _default_projections() -> dict:
    return {name: {"method": name} for name in ("umap", "tsne", "pca", "lda")}


def _default_clusterings() -> dict:
    """HDBSCAN and k-means, each where it is at home and, to be compared with one another, in one flat space.

    Each is tried on data without groups, too. Spaces are not redrawn by default: that makes each of them ten times
    more.
    """
    leaf = {"min_cluster_share": 0.02, "min_samples": 50, "cluster_selection_method": "leaf"}
    tried = {"stability": N_REFITS, "null": N_DRAWS}
    return {
        "hdbscan": {"method": "hdbscan", "space": "umap_10", "params": {}, **tried},
        "kmeans_8": {"method": "kmeans", "space": "embedding", "params": {"n_clusters": 8}, **tried},
        "hdbscan_leaf": {"method": "hdbscan", "space": FLAT, "params": leaf, **tried},
        "kmeans_8_umap": {"method": "kmeans", "space": FLAT, "params": {"n_clusters": 8}, **tried},
    }


@dataclass(frozen=True)
class PipelineConfig:
    """Everything that decides what the pipeline makes, besides the catalog and the model.

    Attributes
    ----------
    seed : int
        Of every step that draws random numbers.
    limit : int
        Use so many galaxies, drawn at random with ``seed``; 0 for all.
    images : ImageSettings
    projections : dict
        ``{name: {"method": ..., parameters...}}``; "lda" is made only where there are classes.
    clusterings : dict
        ``{name: settings}``; see `galaxy_core.cluster_steps` for the settings and `galaxy_core.spaces` for the spaces.
    fit_limit : int
        Above so many galaxies maps and clusterings are fitted on a stratified sample of that many, and all others are
        placed (`galaxy_core.sampling`); 0 for never.
    n_trees : int
        Of the isolation forest that looks for unusual galaxies.
    added : tuple of str
        Names of the clusterings that people made, or made otherwise: a rerun of the pipeline keeps these as they are.
    """

    seed: int = 0
    limit: int = 0
    images: ImageSettings = field(default_factory=ImageSettings)
    projections: dict = field(default_factory=_default_projections)
    clusterings: dict = field(default_factory=_default_clusterings)
    fit_limit: int = DEFAULT_FIT_LIMIT
    n_trees: int = N_TREES
    added: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_seed(self.seed)  # at once: a map or clustering that cannot be made would be a note

    @classmethod
    def from_manifest(cls, config: dict) -> PipelineConfig:
        """The config a manifest was made with."""
        names = ("seed", "limit", "projections", "clusterings", "fit_limit", "n_trees")
        values = {name: config[name] for name in names if name in config}
        added = tuple(config.get("added", ()))
        return cls(images=ImageSettings(**config.get("images", {})), added=added, **values)

    def with_clusterings(self, clusterings: dict) -> PipelineConfig:
        """The same with more clusterings, or some of them made otherwise."""
        added = {name for name in clusterings if not made_alike(clusterings[name], self.clusterings.get(name, {}))}
        added = tuple(sorted(added.union(self.added)))
        return replace(self, clusterings={**self.clusterings, **clusterings}, added=added)

    def without_clustering(self, name: str) -> PipelineConfig:
        """The same without a clustering."""
        left = {other: settings for other, settings in self.clusterings.items() if other != name}
        return replace(self, clusterings=left, added=tuple(other for other in self.added if other != name))


def made_alike(settings: dict, others: dict) -> bool:
    """Whether two clusterings are made in the same way, whatever they are put to and whichever their seeds."""
    return all(settings.get(key) == others.get(key) for key in ("method", "space", "params"))


def keep_added(config: PipelineConfig, published: Manifest | None) -> PipelineConfig:
    """The config with what people added to what is published: a rerun must not lose it.

    That is whole clusterings, also under a name that the config has, and, where one of the config is made as it was,
    what it was put to and its own seed.
    """
    if published is None:
        return config
    added, clusterings = tuple(published.config.get("added", ())), dict(config.clusterings)
    for name, settings in published.config.get("clusterings", {}).items():
        wanted = clusterings.get(name, settings)
        if made_alike(settings, wanted):
            clusterings[name] = {**wanted, **settings}
        elif name in added:
            clusterings[name] = settings
    return replace(config, clusterings=clusterings, added=added)


def package_versions() -> dict:
    """Of Python and of every package that may change a number: what the manifest records."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
