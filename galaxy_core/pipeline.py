"""From a catalog of images to a folder the app can open, resumable at any moment; and one step of it again.

`run_pipeline` works in a staging folder (`galaxy_core.artifacts.staging`) and replaces what is published only when all
of it is made. Equal runs on one machine give equal files; in the manifest only ``created`` and ``timings`` differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from galaxy_core import artifacts
from galaxy_core.artifacts import Manifest
from galaxy_core.artifacts.staging import Staging, Step, adopt_step, discard, drop_strangers, open_staging, publish
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.cluster_steps import make_clusters
from galaxy_core.embedding import Embedder
from galaxy_core.engine import Engine
from galaxy_core.errors import ArtifactError
from galaxy_core.image_steps import (
    Progress,
    catalog_fingerprint,
    describe_embedder,
    ids_in_parts,
    limit_catalog,
    make_catalog_table,
    make_images,
    selection_notes,
    silent,
)
from galaxy_core.layer_steps import make_layers
from galaxy_core.map_keeping import check_keepable, keep_settings, kept_from
from galaxy_core.measure_steps import make_anomalies, make_trust
from galaxy_core.neighbor_steps import make_all_neighbors
from galaxy_core.pipeline_config import PipelineConfig, keep_added, package_versions
from galaxy_core.steps import make_projections, plain, read_embedded

__all__ = ["PipelineConfig", "PipelineResult", "add_clusterings", "add_embedding", "remove_clustering"]
__all__ += ["rerun_steps", "run_pipeline"]


@dataclass(frozen=True)
class PipelineResult:
    """What a run made.

    Attributes
    ----------
    manifest : Manifest
    folder : Path or str
        Or the address where it was sent.
    steps : tuple of Step
        With the seconds each took, over all runs it took, and whether it was reused from an earlier run.
    unchanged : bool
        True where everything was there already.
    """

    manifest: Manifest
    folder: Path | str
    steps: tuple[Step, ...]
    unchanged: bool


def run_pipeline(
    catalog: Catalog,
    embedder: Embedder,
    root: str | Path,
    name: str,
    config: PipelineConfig | None = None,
    progress: Progress | None = None,
    engine: Engine | None = None,
    keep_maps: bool = False,
) -> PipelineResult:
    """Make ``<root>/<name>``: thumbnails, embedding, neighbours, projections, clusters, anomalies, manifest last.

    Killed at any moment, the next call with the same arguments makes only what is missing and ends with the same files.
    What was published under ``name`` before stays readable until then; clusterings that were added to it are made of
    the new galaxies too. Images, neighbours and the places of galaxies that maps and clusterings are not fitted on are
    made by ``engine``, all else in this process; the files are the same whatever it is. With ``keep_maps`` galaxies
    stay where the published maps have them, and those that are new are placed among them
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
        steps = [images, *_adopt_other_embeddings(staging, manifest, fingerprint, images.result["ids_left_out"])]
        return _finish(staging, manifest, table, config, steps, progress, engine=engine, keep_maps=keep_maps)


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
        steps = [adopt_step(staging, step) for step in _embedding_steps(manifest)]
        table = artifacts.read_table(root, name, "catalog")
        artifacts.write_table(staging.root, name, "catalog", table)
        asked = set(asked) | {
            key
            for old, new in ((before.projections, config.projections), (before.clusterings, config.clusterings))
            for key in new
            if new[key] != old.get(key)
        }
        keep_maps = kept_from(manifest) and (config.seed, config.fit_limit) == (before.seed, before.fit_limit)
        return _finish(staging, manifest, table, config, steps, progress, asked, engine, bool(keep_maps))


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
        extra = f"embedding_{embedder.name}"
        steps = [adopt_step(staging, step) for step in _embedding_steps(manifest) if step != extra]
        table = artifacts.read_table(root, name, "catalog")
        artifacts.write_table(staging.root, name, "catalog", table)
        if embedder.name != manifest.model:
            steps.append(make_images(staging, catalog, fingerprint, embedder, config.images, progress, extra, engine))
            if ids_in_parts(staging, embedder.name) != table["galaxy_id"].tolist():
                raise ArtifactError(
                    f"Images of {name} changed on disk while they were embedded; run the command again."
                )
        models = {**manifest.config["models"], embedder.name: described}
        manifest = replace(manifest, config={**manifest.config, "models": models})
        keep_maps = bool(kept_from(staging.manifest))
        return _finish(staging, manifest, table, config, steps, progress, engine=engine, keep_maps=keep_maps)


def _finish(
    staging: Staging,
    manifest: Manifest,
    table: pd.DataFrame,
    config: PipelineConfig,
    steps: list[Step],
    progress: Progress,
    asked: Collection[str] = (),
    engine: Engine | None = None,
    keep_maps: bool = False,
) -> PipelineResult:
    """What follows the images, and the folder put in place; ``steps`` embedded, for the manifest's model first."""
    galaxies = read_embedded(staging, manifest, table, config, steps[0].fingerprint)
    neighbors = make_all_neighbors(staging, galaxies, steps, progress, engine)
    projections = make_projections(staging, galaxies, config, progress, asked, engine, keep_maps)
    trust = make_trust(staging, galaxies, projections, neighbors[0], config.seed, progress)
    clusters = make_clusters(staging, galaxies, config, progress, asked, engine)
    anomalies = make_anomalies(staging, galaxies, neighbors[0], config, progress)
    layers = make_layers(staging, len(table), progress)
    steps = [*steps, *neighbors, projections, trust, *clusters, anomalies, *layers]
    drop_strangers(staging, ("catalog.parquet", *(file for step in steps for file in step.files)))
    manifest = _complete(manifest, len(table), config, steps)
    artifacts.write_manifest(staging.root, staging.name, manifest)
    unchanged = _same(staging)
    if unchanged:
        discard(staging)
    else:
        publish(staging, progress)
    root, name = staging.published.parent, staging.name
    return PipelineResult(artifacts.read_manifest(root, name), artifacts.shown(root, name), tuple(steps), unchanged)


def _complete(manifest: Manifest, n_galaxies: int, config: PipelineConfig, steps: list[Step]) -> Manifest:
    """The manifest with what the steps made; notes of an earlier run on maps and clusters are replaced."""
    made = {step.name: step.result for step in steps}
    projections, clusters = made["projections"], made["clusters"]
    of_steps = ("The projection ", "The clustering ")
    report = [sentence for sentence in manifest.report if not sentence.startswith(of_steps)]
    timings = {step.name: step.seconds for step in steps}
    records = {step.name: {"fingerprint": step.fingerprint, "result": step.result} for step in steps}
    return replace(
        manifest,
        seed=config.seed,
        config={**manifest.config, **plain(asdict(config)), "steps": records},
        versions=package_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        n_galaxies=n_galaxies,
        report=(*report, *projections["notes"], *clusters["notes"]),
        projections={name: {**info, "trust": made["trust"][name]} for name, info in projections["projections"].items()},
        clusterings=clusters["clusterings"],
        timings={**timings, "total": round(sum(timings.values()), 2)},
    )


def _same(staging: Staging) -> bool:
    """Whether what is published is what was just made, sound in every byte."""
    if staging.manifest is None:
        return False
    published = replace(artifacts.read_manifest(staging.root, staging.name), created="", timings={})
    same = replace(staging.manifest, created="", timings={}) == published
    return same and not artifacts.verify(staging.published.parent, staging.name)


def _embedding_steps(manifest: Manifest) -> list[str]:
    """Names of the steps that embedded, that of the manifest's own model first."""
    return ["images", *sorted(step for step in manifest.config["steps"] if step.startswith("embedding_"))]


def _adopt_other_embeddings(
    staging: Staging, manifest: Manifest, fingerprint: str, ids_left_out: list[str]
) -> list[Step]:
    """Embeddings by other models that were added to what is published, where the galaxies are still the same."""
    previous = staging.manifest
    steps = previous.config.get("steps", {}) if previous else {}
    adopted = []
    for name, record in steps.items():
        model, result = name.removeprefix("embedding_"), record.get("result") or {}
        same = result.get("catalog") == fingerprint and result.get("ids_left_out") == ids_left_out
        if name.startswith("embedding_") and model != manifest.model and same:
            adopted.append(adopt_step(staging, name))
            manifest.config["models"][model] = previous.config["models"][model]
    return adopted
