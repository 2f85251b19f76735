"""From a catalog of images to a folder the app can open, resumable at any moment; and one step of it again.

`run_pipeline` works in a staging folder (`galaxy_core.artifacts.staging`) and replaces what is published only when all
of it is made. Equal runs on one machine give equal files; in the manifest only ``created`` and ``timings`` differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from galaxy_core import artifacts
from galaxy_core.artifacts import Manifest
from galaxy_core.artifacts.staging import adopt_step, open_staging
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.embedding import Embedder
from galaxy_core.engine import Engine
from galaxy_core.errors import ArtifactError
from galaxy_core.image_steps import (
    Progress,
    catalog_fingerprint,
    describe_embedder,
    limit_catalog,
    make_catalog_table,
    make_images,
    selection_notes,
    silent,
)
from galaxy_core.map_keeping import check_keepable, keep_settings, kept_from
from galaxy_core.other_embeddings import PREFIX, FindEmbedder, embed_more, keep_others, other_steps
from galaxy_core.pipeline_config import PipelineConfig, keep_added
from galaxy_core.pipeline_end import PipelineResult, finish

__all__ = ["PipelineConfig", "PipelineResult", "add_clusterings", "add_embedding", "remove_clustering"]
__all__ += ["rerun_steps", "run_pipeline"]


def run_pipeline(
    catalog: Catalog,
    embedder: Embedder,
    root: str | Path,
    name: str,
    config: PipelineConfig | None = None,
    progress: Progress | None = None,
    engine: Engine | None = None,
    keep_maps: bool = False,
    find_embedder: FindEmbedder | None = None,
) -> PipelineResult:
    """Make ``<root>/<name>``: thumbnails, embedding, neighbours, projections, clusters, anomalies, manifest last.

    Killed at any moment, the next call with the same arguments makes only what is missing and ends with the same files.
    What was published under ``name`` before stays readable until then; clusterings that were added to it are made of
    the new galaxies too, and so are embeddings by further models, which ``find_embedder`` gives by name
    (`galaxy_core.other_embeddings`). Images, neighbours and the places of galaxies that maps and clusterings are not
    fitted on are made by ``engine``, all else in this process; the files are the same whatever it is. With
    ``keep_maps`` galaxies stay where the published maps have them, and those that are new are placed among them
    (`galaxy_core.map_keeping`); clusterings are made anew.

    Raises
    ------
    GalaxyError
        No image can be decoded, the model or a parameter does not fit, the folder cannot be written, another process
        is making the same catalog, or there are no maps to keep, or none that fit what their galaxies look like now.
    """
    config, progress = config or PipelineConfig(), progress or silent
    catalog = limit_catalog(catalog, config.limit, config.seed)
    drawn = {"limit_seed": config.seed} if config.limit else {}  # which maps drawn again with another do not change
    with open_staging(root, name) as staging:
        config = keep_added(config, staging.manifest)
        if keep_maps:
            check_keepable(staging, embedder.name, embedder.fingerprint)
            config = keep_settings(config, staging.manifest)
        fingerprint = catalog_fingerprint(catalog)
        images = make_images(staging, catalog, fingerprint, embedder, config.images, progress, engine=engine)
        table = make_catalog_table(staging, catalog, images.result["ids_left_out"])
        manifest = Manifest(
            name=name,
            source=str(catalog.source),
            layout=catalog.layout,
            model=embedder.name,
            answer_columns=tuple(catalog.answer_columns),
            answer_kind=catalog.answer_kind,
            linear=catalog.linear,
            pixel_scale_arcsec=catalog.pixel_scale_arcsec,
            report=(*catalog.report.sentences(), *selection_notes(catalog, config.limit, images.result)),
            config={"models": {embedder.name: describe_embedder(embedder)}} | drawn,
        )
        more = (embedder.name, config.images, progress, engine, find_embedder)
        others, models, notes = keep_others(staging, catalog, images, *more)
        manifest.config["models"].update(models)
        steps = [images, *others]
        return finish(staging, manifest, table, config, steps, progress, (), engine, keep_maps, notes)


def rerun_steps(
    root: str | Path,
    name: str,
    change: Callable[[PipelineConfig], PipelineConfig],
    progress: Progress | None = None,
    asked: Collection[str] = (),
    engine: Engine | None = None,
) -> PipelineResult:
    """Make the maps and clusters of a published catalog again under a changed config; images are not read.

    Only steps that the change affects are done, and maps that were kept while the catalog grew are unless all are made
    otherwise. A map or clustering that was changed, or is in ``asked``, and cannot
    be made is an error, while the pipeline notes those of its defaults that a small catalog cannot have.
    """
    progress = progress or silent
    with open_staging(root, name) as staging:
        manifest = artifacts.read_manifest(root, name)
        before = PipelineConfig.from_manifest(manifest.config)
        config = change(before)
        steps = [adopt_step(staging, step) for step in ("images", *other_steps(manifest))]
        table = artifacts.read_table(root, name, "catalog")
        artifacts.write_table(staging.root, name, "catalog", table)
        asked = set(asked) | {
            key
            for old, new in ((before.projections, config.projections), (before.clusterings, config.clusterings))
            for key in new
            if new[key] != old.get(key)
        }
        keep_maps = kept_from(manifest) and (config.seed, config.fit_limit) == (before.seed, before.fit_limit)
        return finish(staging, manifest, table, config, steps, progress, asked, engine, bool(keep_maps))


def add_clusterings(
    root: str | Path,
    name: str,
    clusterings: dict[str, dict],
    progress: Progress | None = None,
    fit_limit: int | None = None,
    engine: Engine | None = None,
) -> PipelineResult:
    """Cluster a published catalog in more ways, or again: ``{name: settings}`` as in `galaxy_core.cluster_steps`.

    The other clusterings stay as they are, and nothing is changed where one cannot be made or finds no cluster. Another
    ``fit_limit`` than the catalog's makes its maps and clusterings again.
    """
    for clustering in clusterings:
        artifacts.check_name(clustering, "clustering")

    def change(config: PipelineConfig) -> PipelineConfig:
        limit = config.fit_limit if fit_limit is None else fit_limit
        return replace(config.with_clusterings(clusterings), fit_limit=limit)

    return rerun_steps(root, name, change, progress, clusterings, engine)


def remove_clustering(
    root: str | Path, name: str, clustering: str, progress: Progress | None = None, engine: Engine | None = None
) -> PipelineResult:
    """Drop a clustering of a published catalog; the others stay as they are."""

    def change(config: PipelineConfig) -> PipelineConfig:
        if clustering not in config.clusterings:
            known = ", ".join(config.clusterings) or "none"
            raise ArtifactError(f"{name} has no clustering {clustering!r}; it has {known}.")
        return config.without_clustering(clustering)

    return rerun_steps(root, name, change, progress, engine=engine)


def add_embedding(
    catalog: Catalog,
    embedder: Embedder,
    root: str | Path,
    name: str,
    progress: Progress | None = None,
    engine: Engine | None = None,
) -> PipelineResult:
    """Embed a published catalog with one more model, and find its neighbours; maps and clusters stay as they are."""
    progress = progress or silent
    with open_staging(root, name) as staging:
        manifest = artifacts.read_manifest(root, name)
        config = PipelineConfig.from_manifest(manifest.config)
        catalog = limit_catalog(catalog, config.limit, manifest.config.get("limit_seed", config.seed))
        fingerprint = catalog_fingerprint(catalog)
        known = manifest.config["steps"]["images"]["result"]
        if known["catalog"] != fingerprint:
            raise ArtifactError(
                f"{catalog.layout}:{catalog.source} is not, or no longer, what {artifacts.shown(root, name)} was made"
                f" from; make it again with `{artifacts.mend_command(root, name, manifest)}`."
            )
        described = describe_embedder(embedder)
        stored = manifest.config["models"].get(manifest.model, {})
        if embedder.name == manifest.model and stored.get("fingerprint", "") != described["fingerprint"]:
            raise ArtifactError(
                f"{artifacts.shown(root, name)} was embedded by other weights called {embedder.name}, or on another"
                " kind of device; give the folder of these a name of its own, or make the catalog again with"
                f" `{artifacts.mend_command(root, name, manifest)}`."
            )
        others = [step for step in other_steps(manifest) if step != PREFIX + embedder.name]
        steps = [adopt_step(staging, step) for step in ("images", *others)]
        table = artifacts.read_table(root, name, "catalog")
        artifacts.write_table(staging.root, name, "catalog", table)
        if embedder.name != manifest.model:
            steps.append(embed_more(staging, catalog, steps[0], embedder, config.images, progress, engine))
        models = {**manifest.config["models"], embedder.name: described}
        manifest = replace(manifest, config={**manifest.config, "models": models})
        keep_maps = bool(kept_from(staging.manifest))
        return finish(staging, manifest, table, config, steps, progress, engine=engine, keep_maps=keep_maps)
