"""What the laboratory computes, in a process of its own: a clustering with its scores, its null, a sweep, one to keep.

The process gets its task as one line of JSON on its standard input and answers with lines of JSON on its standard
output. It ends when its input is closed, so that nothing goes on computing for an app that is gone.

Everything is chosen to take at most ten seconds on two cores at 26,000 galaxies of 192 features: what is slower works
on a random sample, which its result names. `galaxy_core.laboratory` starts these processes.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from galaxy_core import artifacts, clustering, laboratory_limits, spaces
from galaxy_core.artifacts.staging import fingerprint_of
from galaxy_core.cluster_steps import check_settings, classes_and_mask, sampled_of, scored_classes, space_fingerprint
from galaxy_core.comparison import measure_clustering, score_silhouettes
from galaxy_core.errors import ArtifactError, GalaxyError
from galaxy_core.silhouette import measure_silhouettes
from galaxy_core.spaces import EMBEDDING
from galaxy_core.stability import draw_once, draws_of
from galaxy_core.steps import plain
from galaxy_core.sweeps import N_REFERENCE, sweep
from galaxy_core.vectors import VectorError

Report = Callable[[dict], None]

LIVE_DRAWS = 3
"""Draws of each kind of null for a live result; what was made of them is shown where somebody stops before."""

MOST_CLUSTERS = 60
"""More clusters are not scored: silhouettes take a sum of distances for each galaxy and cluster."""


def checksum_of(manifest: artifacts.Manifest) -> str:
    """Changes when the embedding, the catalog's table or the model does: what a live result is made of."""
    made_of = {path: entry["sha256"] for path, entry in manifest.files.items() if path.startswith("embedding/")}
    catalog = manifest.files.get(artifacts.table_file("catalog"), {}).get("sha256")
    return fingerprint_of(manifest.model, manifest.seed, catalog, made_of)


def stored_spaces(manifest: artifacts.Manifest) -> tuple[str, ...]:
    """Spaces of this embedding that need not be made: those of its clusterings, and t-SNE where it is a map as well."""
    steps = manifest.config.get("steps", {})
    made_of = (steps.get("images", {}).get("fingerprint"), manifest.seed)
    found = [
        step.removeprefix("space_")
        for step, record in steps.items()
        if step.startswith("space_")
        and artifacts.space_file(step.removeprefix("space_")) in manifest.files
        and record.get("fingerprint") == space_fingerprint(*made_of, step.removeprefix("space_"), sampled_of(manifest))
    ]
    map_of = manifest.projections.get("tsne", {})
    same = manifest.config.get("projections", {}).get("tsne") == {"method": "tsne"} and "kept" not in map_of
    if same and (map_of.get("space"), map_of.get("model")) == (EMBEDDING, manifest.model):
        found.append("tsne_2")
    return tuple(dict.fromkeys(found))


def run_task(task: dict, report: Report, folder: Path) -> None:
    """Do one task; see `galaxy_core.laboratory.Task`.

    Parameters
    ----------
    task : dict
    report : callable
        Gets dictionaries: ``{"stage", "fraction"}``, ``{"row"}`` of a sweep or a null, and last ``{"result"}`` with the
        file of a clustering or None.
    folder : pathlib.Path
        Where the result goes, and where spaces are kept that were made.

    Raises
    ------
    GalaxyError
        It cannot be done.
    """
    if task["kind"] in ("save", "remove"):
        _change_artifacts(task, report)
        report({"result": None})
        return
    report({"stage": "Reading the catalog", "fraction": 0.05})
    root, name, settings = Path(task["root"]), task["catalog"], task["settings"]
    manifest, table = artifacts.read_manifest(root, name), artifacts.read_table(root, name, "catalog")
    params = settings["params"] | ({task["parameter"]: 1} if task["kind"] == "sweep" else {})
    check_settings({**settings, "params": params}, classes_and_mask(table)[0] is not None)
    space, seed = settings["space"], manifest.seed
    rows, vectors, embedding = _space(manifest, table, settings, root, folder, report)
    classes, share = scored_classes(table, space), len(rows) / len(table)
    classes = None if classes is None else classes[rows]
    if task["kind"] == "sweep":
        _sweep(task, vectors, classes, seed, share, report)
        report({"result": None})
        return
    if task["kind"] == "null":
        _measure_null(settings, vectors, embedding, table.iloc[rows], seed, share, report)
        report({"result": None})
        return
    report({"stage": "Clustering", "fraction": 0.4})
    started = time.perf_counter()
    brought = at_share(settings["method"], settings["params"], share, vectors.shape[1])
    fitted = _fit({**settings, "params": brought}, vectors, seed)
    seconds = time.perf_counter() - started
    report({"stage": "Measuring silhouettes and scores", "fraction": 0.6})
    silhouettes = measure_silhouettes(vectors, fitted.labels, seed, N_REFERENCE)
    method = settings["method"]
    scores = measure_clustering(vectors, vectors, fitted.labels, seed, classes, silhouettes, method).as_dict()
    if space != EMBEDDING:
        report({"stage": "Measuring the silhouette in the embedding", "fraction": 0.8})
        inside = measure_silhouettes(embedding, fitted.labels, seed, N_REFERENCE)
        scores["embedding"] = asdict(score_silhouettes(inside, fitted.labels, seed))
    said = {"method": method, "space": space, "seed": seed, "n_galaxies": len(table)}
    said |= {"params": fitted.params, "scores": scores, "measures": fitted.measures}
    said["notes"] = [*_share_notes(settings["params"], brought), *fitted.notes]
    arrays = {"labels": fitted.labels, "membership": fitted.membership, "silhouettes": silhouettes.values}
    path = folder / f"{task['key']}.npz"
    with artifacts.atomic_path(path) as temporary, open(temporary, "wb") as handle:
        np.savez(handle, rows=rows, about=json.dumps(plain(said | {"fit_seconds": seconds})), **arrays)
    report({"result": path.name})


def _space(manifest, table, settings: dict, root: Path, folder: Path, report: Report) -> tuple[np.ndarray, ...]:
    """Rows that are clustered, their vectors in the space, and those in the embedding."""
    space, seed, name = settings["space"], manifest.seed, manifest.name
    _, embedding = artifacts.read_embedding(root, name, manifest.model)
    n, is_stored = len(embedding), space in stored_spaces(manifest)
    limit = laboratory_limits.largest_sample(
        settings["method"], space, laboratory_limits.n_features_of(space, embedding.shape[1]), is_stored
    )
    rows = np.arange(n)
    if n > limit:
        rows = np.sort(np.random.default_rng(seed).choice(n, limit, replace=False))
        embedding = embedding[rows]
    if space == EMBEDDING:
        return rows, embedding, embedding
    if is_stored:
        return rows, _stored(root, manifest, space)[rows], embedding
    kept = folder / f"space-{fingerprint_of(checksum_of(manifest), str(root), name, space, len(rows))}.npy"
    if kept.is_file():
        return rows, np.load(kept), embedding
    report({"stage": "Laying out the space", "fraction": 0.1})
    classes, train_mask = classes_and_mask(table)
    classes = None if classes is None else classes[rows]
    made = spaces.fit_space(space, embedding, seed, classes, train_mask[rows]).vectors
    with artifacts.atomic_path(kept) as temporary, open(temporary, "wb") as handle:
        np.save(handle, made)
    return rows, made, embedding


def _stored(root: Path, manifest: artifacts.Manifest, space: str) -> np.ndarray:
    if artifacts.space_file(space) in manifest.files:
        return artifacts.read_space(root, manifest.name, space)
    return artifacts.read_table(root, manifest.name, "projections")[["tsne_x", "tsne_y"]].to_numpy(dtype=np.float32)


def at_share(method: str, params: dict, share: float, n_features: int) -> dict:
    """Parameters of a catalog's clustering, for a sample that is a share of it: what counts galaxies is brought to it.

    Without that the same settings would ask for other clusters: 261 of 26,093 galaxies are one in a hundred, and of a
    sample of 5,000 one in twenty.
    """
    return params if share == 1 else clustering.scaled_params(method, params, share, n_features)


def _share_notes(asked: dict, brought: dict) -> list[str]:
    changed = [
        f"{name.replace('_', ' ')} from {asked[name]:,} to {brought[name]:,}"
        for name in brought
        if asked.get(name) not in (None, brought[name])
    ]
    return [f"to suit the sample, what counts galaxies was brought down: {', '.join(changed)}"] if changed else []


def _fit(settings: dict, vectors: np.ndarray, seed: int) -> clustering.Clustering:
    """The clustering, unless it has more clusters than can be scored while someone waits."""
    method, params = settings["method"], settings["params"]
    wanted = params.get("n_clusters") or 0
    if MOST_CLUSTERS < wanted <= len(vectors):
        raise VectorError(f"The laboratory makes up to {MOST_CLUSTERS} clusters, not {wanted:,}; ask for fewer.")
    fitted = clustering.fit_clustering(method, vectors, seed, **params)
    if fitted.n_clusters > MOST_CLUSTERS:
        raise VectorError(
            f"There are {fitted.n_clusters:,} clusters at this setting, more than the {MOST_CLUSTERS} that the "
            "laboratory scores; ask for larger clusters."
        )
    return fitted


def _sweep(task: dict, vectors: np.ndarray, classes, seed: int, share: float, report: Report) -> None:
    """Fit and score one value after the other; what cannot be made is a row with the reason.

    Values are those of the whole catalog; in a sample they are brought to its ``share``.
    """
    settings, parameter, values = task["settings"], task["parameter"], task["values"]
    for done, value in enumerate(values):
        report({"stage": f"Clustering {done + 1} of {len(values)}", "fraction": done / len(values)})
        if parameter == "n_clusters" and value > MOST_CLUSTERS:
            reason = f"the laboratory makes up to {MOST_CLUSTERS} clusters."
            report({"row": {"value": value, "n_galaxies": len(vectors), "failed": reason}})
            continue
        said = {"value": float(value), "n_galaxies": len(vectors), "space": settings["space"]}
        try:
            params = at_share(settings["method"], settings["params"] | {parameter: value}, share, vectors.shape[1])
        except VectorError as error:
            report({"row": said | {"failed": str(error)}})
            continue
        others = {name: known for name, known in params.items() if name != parameter}
        for row in sweep(vectors, settings["method"], parameter, [params[parameter]], [seed], others, classes):
            report({"row": plain(row | said)})


def _measure_null(settings: dict, vectors, embedding: np.ndarray, table, seed: int, share: float, report: Report):
    """Cluster one draw of the null after the other, each in a space of its own; a row for each. Kinds take turns."""
    method, space = settings["method"], settings["space"]
    params = at_share(method, settings["params"], share, vectors.shape[1])

    def fit(drawn: np.ndarray, draw_seed: int) -> tuple[np.ndarray, np.ndarray]:
        made = drawn
        if space != EMBEDDING:
            made = spaces.fit_space(space, drawn, seed, *classes_and_mask(table)).vectors
        return made, clustering.fit_clustering(method, made, draw_seed, **params).labels

    draws = draws_of(seed, LIVE_DRAWS)
    draws = [draw for k in range(LIVE_DRAWS) for draw in draws[k::LIVE_DRAWS]]
    for k, draw in enumerate(draws):
        report({"stage": f"Clustering data without groups, {k + 1} of {len(draws)}", "fraction": k / len(draws)})
        report({"row": plain(draw_once(fit, embedding, *draw))})


def _change_artifacts(task: dict, report: Report) -> None:
    """Keep a clustering among the artifacts, or drop one."""
    from galaxy_core.pipeline import remove_clustering, rerun_steps

    root, name, chosen = Path(task["root"]), task["catalog"], task["name"]
    if "images" not in artifacts.read_manifest(root, name).config.get("steps", {}):
        raise ArtifactError(
            f"The manifest of {name} does not say how its embedding was made, so no clustering can be added to it; "
            "make the catalog again with scripts/run_pipeline.py."
        )

    def progress(step: str, done: int, total: int) -> None:
        report({"stage": f"Checking and writing: {step.replace('_', ' ')}", "fraction": done / max(1, total)})

    if task["kind"] == "remove":
        remove_clustering(root, name, chosen, progress)
        return

    def add(config):  # called while nobody else may change the catalog: another app may have saved this name meanwhile
        check_new_name(artifacts.read_manifest(root, name), chosen)
        return config.with_clusterings({chosen: task["settings"]})

    rerun_steps(root, name, add, progress, {chosen})


def check_new_name(manifest: artifacts.Manifest, name: str) -> str:
    """``name`` if a new clustering of the catalog can be called that; raises `ArtifactError`."""
    artifacts.check_name(name, "clustering")
    if name.casefold() in (known.casefold() for known in manifest.clusterings):
        raise ArtifactError(f"There is a clustering {name!r} already; choose another name, or delete that one first.")
    return name


def main() -> None:
    """The process: a task from the standard input, reports to the standard output."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer

    def report(message: dict) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with, args=(sys.stdin,), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(2)  # the pages come first
    try:
        run_task(task, report, Path(task["folder"]))
    except GalaxyError as error:
        report({"error": str(error)})
    except MemoryError:
        report({"error": "There is not enough memory for this; ask for fewer clusters or another method."})


def _end_with(stream) -> None:
    """End the process when nobody holds the other end of its input any more."""
    stream.read()
    os._exit(1)


if __name__ == "__main__":
    main()
