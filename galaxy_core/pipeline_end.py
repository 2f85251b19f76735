"""The end of a run: what follows the images, and the folder put in place."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from galaxy_core import artifacts
from galaxy_core.artifacts import Manifest
from galaxy_core.artifacts.staging import Staging, Step, discard, drop_strangers, publish
from galaxy_core.cluster_steps import make_clusters
from galaxy_core.engine import Engine
from galaxy_core.image_steps import Progress
from galaxy_core.layer_steps import make_layers
from galaxy_core.measure_steps import make_anomalies, make_trust
from galaxy_core.neighbor_steps import make_all_neighbors
from galaxy_core.pipeline_config import PipelineConfig, package_versions
from galaxy_core.steps import make_projections, plain, read_embedded


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
    notes : tuple of str
        Sentences on what was published and is no more.
    """

    manifest: Manifest
    folder: Path | str
    steps: tuple[Step, ...]
    unchanged: bool
    notes: tuple[str, ...] = ()


def finish(
    staging: Staging,
    manifest: Manifest,
    table: pd.DataFrame,
    config: PipelineConfig,
    steps: list[Step],
    progress: Progress,
    asked: Collection[str] = (),
    engine: Engine | None = None,
    keep_maps: bool = False,
    notes: Collection[str] = (),
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
    manifest = artifacts.read_manifest(root, name)
    return PipelineResult(manifest, artifacts.shown(root, name), tuple(steps), unchanged, tuple(notes))


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
