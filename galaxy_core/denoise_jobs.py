"""Which files the denoising command reads and writes, and which of them were made before.

A result carries the name of its input. What was made, from what and how, is kept in ``.denoise.jsonl`` in the folder of
results, a line a file; it is added only once the result is whole, so a run that was killed goes on where it was. Then a
residual or an uncertainty that belonged to an earlier result, and is not asked for now, is removed.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from galaxy_core.artifacts.files import sha256_of_file
from galaxy_core.errors import ArtifactError, ImageError
from galaxy_core.saved_images import stem_of

LEDGER = ".denoise.jsonl"
EXTRAS = ("residual", "uncertainty")
FITS_SUFFIXES = (".fits", ".fit", ".fts", ".fz")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", *FITS_SUFFIXES)
RULES = 10  # raised when the same input, model and options are to give another result


@dataclass(frozen=True)
class Job:
    """One file to denoise.

    Attributes
    ----------
    source : Path
    folder : Path
        What its place below the folder of results is measured from.
    target : Path
        The denoised image.
    """

    source: Path
    folder: Path
    target: Path

    def extra(self, what: str) -> Path:
        """Where the ``"residual"`` or the ``"uncertainty"`` goes."""
        return self.target.with_name(f"{stem_of(self.target.name)}_{what}.fits")


def find_jobs(inputs: list[str], out: Path, as_fits: bool = False) -> tuple[list[Job], dict[str, str]]:
    """Files named, matched or contained by ``inputs``, and a sentence for each input that gives none.

    A folder is searched with its subfolders for images by their extension; hidden files, and ``out`` itself, are left
    out. Below ``out`` files keep their place within the folder, or within the part of a pattern without wildcards.
    """
    jobs: dict[tuple[str, str], Job] = {}
    problems = {}
    for text in inputs:
        pairs = _sources(text, out) if text else []
        if not pairs:
            problems[text] = f"{text or 'An empty name'} holds no image; give files, folders or patterns of images."
        for source, folder in pairs:
            target = out / source.relative_to(folder)
            if as_fits and not target.name.lower().removesuffix(".gz").endswith(FITS_SUFFIXES):
                target = target.with_name(f"{stem_of(target.name)}.fits")
            jobs.setdefault((os.path.realpath(source), str(target)), Job(source, folder, target))
    return list(jobs.values()), problems


def sources_of(jobs: Iterable[Job]) -> list[Path]:
    """Their files, each once, by the name that came first: a link to a file that is there does not take its place."""
    found: dict[str, Path] = {}
    for job in jobs:
        found.setdefault(os.path.realpath(job.source), job.source)
    return list(found.values())


def check_folders(jobs: list[Job], out: Path) -> None:
    """Raise `ArtifactError` if results would lie among their inputs, whose names they carry."""
    sources, results = {os.path.realpath(job.source) for job in jobs}, os.path.realpath(out)
    for job in jobs:
        if os.path.realpath(job.folder) == results or os.path.realpath(job.target) in sources:
            raise ArtifactError(
                f"--out {out} is where {job.source.name} lies, and results carry the names of their inputs;"
                " choose another folder."
            )


def claim(job: Job, extras: list[str], claimed: dict[str, Path]) -> None:
    """Note what a job will write, or raise `ImageError` naming the input that writes one of these files already."""
    paths = [job.target, *(job.extra(what) for what in extras)]
    for path in paths:
        other = claimed.get(str(path).casefold())
        if other is not None:
            raise ImageError(f"{job.source} and {other} would both be written to {path}; rename one of the two.")
    claimed.update({str(path).casefold(): job.source for path in paths})


def remove_leftovers(path: Path) -> None:
    """Remove what runs that were killed left of ``path``: temporary files of processes that are no more."""
    for left in path.parent.glob(f".{glob.escape(path.name[:100])}.*.tmp"):
        process = left.name.split(".")[-2]
        if process.isdigit() and int(process) != os.getpid() and not _runs(int(process)):
            with suppress(OSError):
                left.unlink()


class Ledger:
    """What lies in a folder of results, and what it was made from."""

    def __init__(self, out: Path, made_with: dict) -> None:
        self.path, self.made_with = out / LEDGER, {"rules": RULES, **made_with}
        self.records: dict[str, dict] = {}
        with suppress(OSError):
            for line in self.path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError, TypeError, KeyError):  # the last line of a run that was killed
                    record = json.loads(line)
                    self.records[record["target"]] = record

    def find(self, job: Job) -> dict | None:
        """The report of a result that is still what a new run would make; None if it has to be made."""
        record = self.records.get(self._name(job.target))
        try:
            if record is None or record["made_with"] != self.made_with:
                return None
            if any(_stamp(job.target.parent / name) != stamp for name, stamp in record["files"].items()):
                return None
            source = record["source"]
            if [os.path.realpath(job.source), *_stamp(job.source)] != source["stamp"] and (
                job.source.stat().st_size != source["stamp"][1] or sha256_of_file(job.source) != source["sha256"]
            ):
                return None
            return record["report"]
        except (OSError, KeyError, TypeError, IndexError, AttributeError):
            return None

    def add(self, job: Job, source: dict, written: list[Path], report: dict) -> None:
        """Note a result that is whole; ``source`` is what `describe` said before it was read."""
        record = {
            "target": self._name(job.target),
            "made_with": self.made_with,
            "source": source,
            "files": {path.name: _stamp(path) for path in written},
            "beside": self._still_right(job, source, written),
            "report": report,
        }
        self.records[record["target"]] = record
        try:
            with self.path.open("ab") as file:
                file.write(b"\n" + json.dumps(record).encode())  # a line cut short by a kill spoils only itself
        except OSError as error:
            raise ArtifactError(
                f"Cannot write {self.path}: {error.strerror}; free some space or choose another folder."
            ) from None

    def _still_right(self, job: Job, source: dict, written: list[Path]) -> dict[str, list[int]]:
        """Residual and uncertainty of earlier runs that are not written now and belong to the result all the same.

        Those of a result that is another now are removed; what somebody has changed since stays.
        """
        with suppress(OSError, KeyError, TypeError, AttributeError):
            before = self.records[self._name(job.target)]
            known = before.get("beside", {}) | before["files"]
            paths = [path for path in map(job.extra, EXTRAS) if path not in written and path.exists()]
            paths = [path for path in paths if _stamp(path) == known.get(path.name)]
            same = self._deciding(before["made_with"]) == self._deciding(self.made_with)
            if same and before["source"]["sha256"] == source["sha256"]:
                return {path.name: _stamp(path) for path in paths}
            for path in paths:
                path.unlink()
        return {}

    @staticmethod
    def _deciding(made_with: dict) -> dict:
        """What decides the pixels, not which of their files are written."""
        return {name: value for name, value in made_with.items() if name not in (*EXTRAS, "format")}

    def _name(self, target: Path) -> str:
        return target.relative_to(self.path.parent).as_posix()


def describe(source: Path) -> dict:
    """What tells one state of an input file from another."""
    try:
        if source.exists() and not source.is_file():
            raise ImageError(f"Cannot read {source}: it is no ordinary file; choose an image.")
        stamp = _stamp(source)
        return {"stamp": [os.path.realpath(source), *stamp], "sha256": sha256_of_file(source)}
    except OSError as error:
        raise ImageError(f"Cannot read {source}: {error.strerror}; check the path and its permissions.") from None


def _sources(text: str, out: Path) -> list[tuple[Path, Path]]:
    """Files of one input, each with the folder its place is measured from.

    What cannot be one, such as a link in a circle or a name that is too long, is left to whoever reads it: ``os.path``
    answers where ``Path`` would raise.
    """
    path = Path(text)
    if os.path.isdir(path):
        return [(found, path) for found in _images_below(path, out)]
    if os.path.lexists(path) or not glob.has_magic(text):
        return [(path, path.parent)]
    parts = path.parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    folder = Path(*parts[:fixed]) if fixed else Path()
    results = os.path.realpath(out)
    among = os.path.realpath(folder) == results  # refused later, by name
    found = []
    for match in sorted(map(Path, glob.glob(text, recursive=True))):
        if os.path.isdir(match):
            found += [] if "**" in parts else _images_below(match, out)
        elif among or not Path(os.path.realpath(match)).is_relative_to(results):
            found.append(match)
    return [(match, folder) for match in found]


def _images_below(folder: Path, out: Path) -> list[Path]:
    found, results = [], os.path.realpath(out)
    for parent, folders, names in os.walk(folder):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(parent, name)) != results
        ]
        for name in names:
            if not name.startswith(".") and name.lower().removesuffix(".gz").endswith(SUFFIXES):
                found.append(Path(parent) / name)
    return sorted(found)


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
