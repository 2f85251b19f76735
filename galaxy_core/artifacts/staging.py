"""Making a catalog's folder beside the one being read, and putting it in place in one step.

A run works in ``<root>/.staging/<name>``. Each of its steps keeps a record there: a fingerprint of everything that
goes into the step, and what came out. A run that was killed finds the files whose fingerprint still holds and makes the
rest; what an earlier run published under the same fingerprint is linked, not made again. Readers see the old folder
until the new one is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from galaxy_core.artifacts import remote, schemas, sending
from galaxy_core.artifacts.files import sha256_of_file, sync_folder, write_json
from galaxy_core.artifacts.locks import hold_lock
from galaxy_core.artifacts.reading import read_manifest
from galaxy_core.artifacts.roots import address_of, shown
from galaxy_core.errors import ArtifactError

WORK = ".work"  # records and parts of steps, inside the staging folder; gone when it is published


@dataclass(frozen=True)
class Staging:
    """A folder in the making. ``root`` and ``name`` go to the readers and writers of this package."""

    root: Path  # <artifacts>/.staging
    name: str
    published: Path  # <artifacts>/<name>
    manifest: schemas.Manifest | None  # of what is published, where it can be read

    @property
    def folder(self) -> Path:
        """Where the new files are."""
        return self.root / self.name

    @property
    def work(self) -> Path:
        """Where records and parts of steps are."""
        return self.folder / WORK


@dataclass
class Step:
    """One step's record. ``done`` with ``result`` once its files are whole; ``seconds`` adds up over resumed runs."""

    name: str
    fingerprint: str
    files: tuple[str, ...] = ()
    result: dict | None = None
    seconds: float = 0.0
    reused: bool = False  # nothing of it was done in this run

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.result is not None


def fingerprint_of(*parts: object) -> str:
    """sha256 of values that JSON can hold, dictionaries in any order.

    Examples
    --------
    >>> fingerprint_of({"a": 1, "b": 2}) == fingerprint_of({"b": 2, "a": 1})
    True
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@contextmanager
def open_staging(root: str | Path, name: str) -> Iterator[Staging]:
    """The staging folder of a catalog, for one process at a time; what a killed run left is tidied first."""
    root, staging_root = Path(root), Path(root) / schemas.STAGING
    schemas.check_name(name)
    sending.check_writable(root)
    try:
        staging_root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactError(
            f"Cannot make the folder {staging_root} ({error.strerror}); choose another with --artifacts."
        ) from error
    with _alone(root, name):
        _recover(root, name)
        _refuse_stranger(root, name)
        for temporary in (staging_root / name).rglob("*.tmp"):
            temporary.unlink(missing_ok=True)
        manifest = None
        remote.forget()
        with suppress(ArtifactError):
            manifest = read_manifest(root, name)
        yield Staging(staging_root, name, root / name, manifest)
    with suppress(OSError):
        staging_root.rmdir()


def check_free(root: str | Path, name: str) -> None:
    """Raise `ArtifactError` where another process is making the catalog: before the work, not in the midst of it."""
    if _lock_file(Path(root), name).exists():
        with _alone(Path(root), name):
            pass


def _alone(root: Path, name: str) -> AbstractContextManager[None]:
    return hold_lock(_lock_file(root, name), f"making the catalog {name}")


def _lock_file(root: Path, name: str) -> Path:
    return root / schemas.STAGING / f"{schemas.check_name(name)}.lock"


def begin_step(staging: Staging, name: str, fingerprint: str, patterns: tuple[str, ...]) -> Step:
    """The record of a step: done, half done, or new.

    Files and parts that an earlier run made of other inputs are deleted first.

    Parameters
    ----------
    patterns : tuple of str
        Globs, relative to the folder, of the files this step makes.
    """
    record = staging.work / f"{name}.json"
    values: dict = {}
    with suppress(OSError, ValueError):
        values = json.loads(record.read_text(encoding="utf-8"))
    if values.get("fingerprint") != fingerprint:
        values = {}
        for pattern in (*patterns, f"{WORK}/{name}/*"):
            for path in staging.folder.glob(pattern):
                path.unlink(missing_ok=True)
    step = Step(name, fingerprint, tuple(values.get("files", ())), values.get("result"), values.get("seconds", 0.0))
    if step.done and all((staging.folder / path).is_file() for path in step.files):
        step.reused = True
        return step
    step.result = None
    if not _adopt(staging, step, patterns):
        save_step(staging, step)
    return step


def save_step(staging: Staging, step: Step) -> None:
    """Write a step's record, after its files."""
    values = {"fingerprint": step.fingerprint, "files": step.files, "result": step.result, "seconds": step.seconds}
    write_json(staging.work / f"{step.name}.json", values)


def finish_step(staging: Staging, step: Step, patterns: tuple[str, ...], result: dict, seconds: float) -> Step:
    """Mark a step as done: its files are those that match ``patterns`` now."""
    step.files = tuple(
        sorted({p.relative_to(staging.folder).as_posix() for g in patterns for p in staging.folder.glob(g)})
    )
    step.result, step.seconds = result, round(step.seconds + seconds, 2)
    save_step(staging, step)
    return step


def _adopt(staging: Staging, step: Step, patterns: tuple[str, ...]) -> bool:
    """Link what is published under the same fingerprint, every checksum compared; False where that is not possible.

    A step without patterns has no files of its own, and its record is all there is to take over.
    """
    manifest = staging.manifest
    known = manifest.config.get("steps", {}).get(step.name) if manifest else None
    if not known or known.get("fingerprint") != step.fingerprint:
        return False
    files = [path for path in manifest.files if any(Path(path).match(pattern) for pattern in patterns)]
    if patterns and not files:
        return False
    made = {}
    for path in files:
        try:
            made[path] = remote.local_file(staging.published.parent, staging.name, path, manifest.files[path])
            if sha256_of_file(made[path]) != manifest.files[path]["sha256"]:
                return False
        except (OSError, ArtifactError):
            return False
    for path in files:
        link(made[path], staging.folder / path)
    step.files, step.result, step.reused = tuple(sorted(files)), known.get("result", {}), True
    step.seconds = manifest.timings.get(step.name, 0.0)
    save_step(staging, step)
    return True


def adopt_step(staging: Staging, name: str) -> Step:
    """The published files of a step, as they are, for a run that changes other steps.

    Raises
    ------
    ArtifactError
        A file is missing or corrupt, so the step must be made again.
    """
    manifest = staging.manifest
    known = manifest.config["steps"][name]
    model = manifest.model if name == "images" else name.removeprefix("embedding_")
    patterns = schemas.image_patterns(model, name == "images")
    step = begin_step(staging, name, known["fingerprint"], patterns)
    if not step.done:
        raise ArtifactError(
            f"Files of {shown(staging.published.parent, staging.name)} are missing or corrupt; make it again with"
            f" `{schemas.mend_command(staging.published.parent, staging.name, manifest)}`."
        )
    return step


def link(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the file system has no links; files are never changed in place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def drop_strangers(staging: Staging, files: Iterable[str]) -> None:
    """Delete tables that belong to no step of this run: a killed run may have had another model or other spaces."""
    keep = {staging.folder / file for file in files}
    for path in staging.folder.rglob("*.parquet"):
        if path not in keep:
            path.unlink()


def publish(staging: Staging, progress: sending.Progress | None = None) -> None:
    """Put the finished folder, whose manifest is written, in the place of the published one; or send it to a store."""
    if address_of(staging.published.parent) is not None:
        sending.send(staging.published.parent, staging.name, staging.folder, staging.manifest, progress)
        discard(staging)
        return
    published, aside = staging.published, staging.published.parent / schemas.PREVIOUS / staging.name
    _refuse_stranger(published.parent, staging.name)
    for file in schemas.CARRIED_FILES:
        if (published / file).is_file():
            link(published / file, staging.folder / file)
    try:
        if published.exists():
            aside.parent.mkdir(exist_ok=True)
            os.rename(published, aside)  # readers look aside until the next line is done
        os.rename(staging.folder, published)
    except OSError as error:
        raise ArtifactError(f"Cannot put {published} in place ({error.strerror}); check its permissions.") from error
    sync_folder(published.parent)
    _recover(published.parent, staging.name)


def _refuse_stranger(root: Path, name: str) -> None:
    """Raise `ArtifactError` where a catalog would take the place of something else, which would then be deleted."""
    published = root / name
    if not published.is_dir():
        stranger = os.path.lexists(published)
    else:
        ours = (schemas.MANIFEST_FILE, schemas.table_file("catalog"))
        stranger = not any((published / file).exists() for file in ours) and any(published.iterdir())
    if stranger:
        raise ArtifactError(f"{published} holds something that is no catalog; choose another --name or --artifacts.")


def discard(staging: Staging) -> None:
    """Drop the staging folder."""
    shutil.rmtree(staging.folder, ignore_errors=True)


def _recover(root: Path, name: str) -> None:
    """Finish or undo a replacement that was cut short, and tidy up after it."""
    aside, published = root / schemas.PREVIOUS / name, root / name
    if aside.exists() and not published.exists():
        os.rename(aside, published)
    shutil.rmtree(published / WORK, ignore_errors=True)
    if aside.exists():
        (aside / schemas.MANIFEST_FILE).unlink(missing_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
    with suppress(OSError):
        (root / schemas.PREVIOUS).rmdir()
