"""Whether the app can do its work: artifacts and models readable, room in the queue. Nothing of the network here."""

from __future__ import annotations

from pathlib import Path

from galaxy_core import artifacts
from galaxy_core.errors import GalaxyError
from galaxy_core.model_files import model_folders, read_model_files
from galaxy_core.work_queue import WorkQueue
from galaxy_core.work_tasks import WAITING

OK, DEGRADED, DOWN = "ok", "degraded", "down"


def check(root: Path, queue: WorkQueue) -> dict:
    """The state of the app as plain values, for JSON.

    Models are not loaded: their weights are compared with their checksum, once for each time they are written. Of
    catalogs in a folder, the manifest is read, and files that it names are there and as long as it says; what they
    hold is checked by whoever reads them.

    Parameters
    ----------
    root : pathlib.Path
        The artifacts folder.
    queue : WorkQueue

    Returns
    -------
    dict
        ``status``: "ok"; "degraded" where something is wrong but the rest can be used; "down" where there are catalogs
        and none can be read, or the app is stopping. ``problems``, a sentence each. ``catalogs`` and ``models``, names
        of those that can be read. ``queue``: ``running``, ``waiting``, ``visitors``, ``result_bytes`` and the limits
        of the first two. That there is no catalog yet is no problem.
    """
    catalogs, problems = _readable_catalogs(root)
    is_down = queue.is_closing() or (bool(problems) and not catalogs)
    models = []
    for name, folder in model_folders(root).items():
        files = read_model_files(folder)
        problems += files.problems
        if files.weights_bytes is not None and not files.problems:
            models.append(name)
    counts, limits = queue.counts(), queue.limits
    if counts[WAITING] >= limits.waiting:
        problems.append(f"The queue is full: {counts[WAITING]:,} jobs wait.")
    if queue.is_closing():
        problems.append("The app is stopping.")
    return {
        "status": DOWN if is_down else DEGRADED if problems else OK,
        "problems": problems,
        "catalogs": catalogs,
        "models": models,
        "queue": counts | {"running_limit": limits.running, "waiting_limit": limits.waiting},
    }


def _readable_catalogs(root: Path) -> tuple[list[str], list[str]]:
    """Names of the catalogs that can be read, and a sentence for each that cannot."""
    names, problems = [], []
    try:
        found = artifacts.list_catalogs(root)
    except OSError as error:
        return [], [f"The artifacts folder {root} cannot be read: {error.strerror}."]
    for name in found:
        try:
            manifest = artifacts.read_manifest(root, name)
            damaged = _damaged_files(root, manifest)
        except (GalaxyError, OSError) as error:
            problems.append(str(error))
            continue
        if damaged:
            more = f" (1 of {len(damaged):,} such files)" if len(damaged) > 1 else ""
            mend = artifacts.mend_command(root, name, manifest)
            place = artifacts.shown(root, name, damaged[0])
            problems.append(f"{place} is missing or damaged{more}; make it again with `{mend}`.")
        if artifacts.table_file("catalog") not in damaged:
            names.append(name)
    return names, problems


def _damaged_files(root: Path, manifest: artifacts.Manifest) -> list[str]:
    """Files of a catalog in a folder that are not there, or not as long as its manifest says."""
    if artifacts.address_of(root) is not None:
        return []
    folder = artifacts.catalog_folder(root, manifest.name)
    sizes = {path: (folder / path).stat().st_size if (folder / path).is_file() else None for path in manifest.files}
    return sorted(path for path, size in sizes.items() if size != manifest.files[path]["bytes"])
