"""One frame from files to files, as `scripts/detect.py` does it, and what is kept to go on where a run stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from galaxy_core.artifacts.files import is_full, sha256_of_file, write_json
from galaxy_core.denoise_jobs import find_jobs
from galaxy_core.denoiser_calls import weights_sha256
from galaxy_core.embedding import find_model
from galaxy_core.engine import HERE, Engine, Loaded, Shard, Tell, each, map_shards, tell_of_share
from galaxy_core.errors import ArtifactError, GalaxyError, ImageError
from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_catalog import FrameConfig, catalogue_frame
from galaxy_core.frame_choices import DEFAULT_SEPARATOR, SUFFIXES
from galaxy_core.frame_exports import report_of, write_catalog, write_segmentation
from galaxy_core.frame_weights import WeightMap, match_weights
from galaxy_core.saved_images import stem_of
from galaxy_core.star_galaxy import has_model, load_separator
from galaxy_core.tiles import Progress

if TYPE_CHECKING:
    from torch import nn

RULES = 13  # raised when the same frames, model and options are to give another result
IN_MEMORY_PX = 2**26  # a larger segmentation map lies on disk while it is made


@dataclass(frozen=True)
class FrameJob:
    """Files whose planes are the bands of one field, where its results go, and a map of noise and a mask of each."""

    sources: tuple[Path, ...]
    out: Path
    weights: tuple[WeightMap, ...] = ()
    masks: tuple[WeightMap, ...] = ()

    @property
    def stem(self) -> str:
        """Of the first file, which names the results."""
        return stem_of(self.sources[0].name)

    @property
    def ledger(self) -> Path:
        """Where it is kept what the results were made from."""
        return self.out / f".{self.stem}.detect.json"

    def target(self, what: str) -> Path:
        """Where the ``"segmentation"`` goes, or the catalogue in a form of `galaxy_core.frame_exports.WRITERS`."""
        if what == "segmentation":
            return self.out / f"{self.stem}_segmentation.fits"
        return self.out / f"{self.stem}_catalog{SUFFIXES[what]}"

    def targets(self, forms: Sequence[str]) -> list[Path]:
        """Where all results go, the catalogue's forms first."""
        return [self.target(what) for what in (*forms, "segmentation")]

    def at(self, path_of: Callable[[Path], Path]) -> FrameJob:
        """The same where another machine has it."""
        maps = (tuple((path_of(path), hdu) for path, hdu in of_kind) for of_kind in (self.weights, self.masks))
        return FrameJob(tuple(map(path_of, self.sources)), path_of(self.out), *maps)

    def made(self) -> list[str]:
        """Names in ``out`` that the ledger has as results, of the last run or of earlier ones."""
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            record = json.loads(self.ledger.read_text(encoding="utf-8"))
            return list(record.get("made", record["files"]))
        return []


@dataclass(frozen=True)
class Networks:
    """What looks for objects, and what tells stars from galaxies; None where it is not wanted."""

    segmenter: nn.Module | None
    separator: nn.Module | None

    def made_with(self) -> dict:
        """The weights, as it is kept what results were made with."""
        return {
            "weights_sha256": weights_sha256(self.segmenter) if self.segmenter is not None else "",
            "separator_sha256": weights_sha256(self.separator) if self.separator is not None else "",
        }


def find_frames(
    inputs: Sequence[str],
    out: Path,
    together: bool = False,
    weights: Sequence[str] = (),
    masks: Sequence[str] = (),
) -> tuple[list[FrameJob], dict[str, str]]:
    """Frames named, matched or contained by ``inputs``, and a sentence for each input that gives none.

    Results keep their place within a folder; see `galaxy_core.denoise_jobs.find_jobs`. What an earlier run wrote among
    its frames is searched only if it is named itself. ``together``: all are bands of one frame, in the order given,
    those of a folder or pattern by name. ``weights``, ``masks``: see `galaxy_core.frame_weights.match_weights`.

    Raises
    ------
    ImageError
        An input that gives none of the bands of one frame; maps of another number.
    """
    found, problems = find_jobs(list(inputs), out)
    if together and problems:
        raise ImageError(next(iter(problems.values())))
    jobs: dict[str, FrameJob] = {}
    for one in found:
        jobs.setdefault(os.path.realpath(one.source), FrameJob((one.source,), one.target.parent))
    made = {os.path.realpath(job.out / name) for job in jobs.values() for name in job.made()}
    made -= set(map(os.path.realpath, inputs))
    kept = [job for source, job in jobs.items() if source not in made]
    for what, named in {"weights": weights, "masks": masks}.items():
        maps = match_weights(named, [job.sources[0] for job in kept])
        kept = [replace(job, **{what: maps[job.sources[0]]}) for job in kept if job.sources[0] in maps]
    if together and kept:
        of_all = zip(*((job.sources, job.weights, job.masks) for job in kept), strict=True)
        sources, *maps = (tuple(chain.from_iterable(of_each)) for of_each in of_all)
        kept = [FrameJob(sources, out, *maps)]
    return kept, problems


def check_targets(jobs: Sequence[FrameJob], forms: Sequence[str]) -> None:
    """Look before any work at what it would replace.

    Raises
    ------
    ImageError
        The results of two frames would have the same names.
    ArtifactError
        A result would replace a frame that is to be searched, or a file that is no earlier result.
    """
    seen: dict[str, FrameJob] = {}
    sources = {os.path.realpath(source) for job in jobs for source in job.sources}
    for job in jobs:
        other = seen.setdefault(str(job.ledger).casefold(), job)
        if other is not job:
            raise ImageError(
                f"{job.sources[0]} and {other.sources[0]} would both be written as {job.stem}; rename one of the two."
            )
        made = job.made()
        for target in job.targets(forms):
            if os.path.realpath(target) in sources:
                what = "a frame to be searched"
            elif os.path.lexists(target) and target.name not in made:
                what = "which is no result of this command"
            else:
                continue
            raise ArtifactError(
                f"A result of {job.sources[0]} would replace {target}, {what}; choose another folder for the results."
            )


def load_networks(segmenter: str | None, separator: str | None, root: Path, device: str = "auto") -> Networks:
    """The networks named; None: not wanted. The standard separator is left out where it is not there."""
    from galaxy_core.models import load_model, resolve_device

    if separator == DEFAULT_SEPARATOR and not has_model(separator, root):
        separator = None
    return Networks(
        None if segmenter is None else load_model(find_model(segmenter, root), resolve_device(device)),
        None if separator is None else load_separator(separator, root, device),
    )


def detect_job(
    job: FrameJob,
    config: FrameConfig,
    networks: Networks,
    forms: Sequence[str],
    hdu: int | str | None = None,
    progress: Progress | None = None,
) -> dict:
    """Search one frame and write its catalogue and segmentation map; a frame that was searched before is left alone.

    Returns
    -------
    dict
        What the command's JSON says of the frame; ``"up_to_date"`` where nothing had to be made.
    """
    wanted = {"rules": RULES, "forms": sorted(forms), "hdu": hdu, "config": asdict(config)}
    wanted |= networks.made_with()
    wanted["sources"] = [[os.path.realpath(path), _sha256(path)] for path in job.sources]
    for what, maps in {"weights": job.weights, "masks": job.masks}.items():
        wanted[what] = [[os.path.realpath(path), hdu, _sha256(path)] for path, hdu in maps]
    kept = _finished(job, wanted)
    if kept is not None:
        return {**kept, "up_to_date": True}
    scratch = job.out / f".{job.stem}.detect.npy"
    given = config.zero_points, job.weights, config.weight_kind, config.saturated_from, config.mask_bits, job.masks
    try:
        with open_sky_frame(job.sources, hdu, job.stem, *given) as frame:
            large = frame.shape[0] * frame.shape[1] > IN_MEMORY_PX
            both = networks.segmenter, progress, networks.separator
            catalog = catalogue_frame(frame, config, *both, scratch if large else None)
        made = sorted({*job.made(), *(path.name for path in job.targets(forms))})
        write_json(job.ledger, {"made": made, "files": {}})  # a run that is stopped now can be repeated
        written = [write_catalog(catalog, job.target(form), form) for form in forms]
        written.append(write_segmentation(catalog, job.target("segmentation")))
    finally:
        scratch.unlink(missing_ok=True)
    report = report_of(catalog) | {
        "input": [str(path) for path in job.sources],
        "files": [str(path) for path in written],
    }
    files = {path.name: _stamp(path) for path in written}
    write_json(job.ledger, {"made_with": wanted, "made": made, "files": files, "report": report})
    return {**report, "up_to_date": False}


def detect_jobs(
    jobs: Sequence[FrameJob],
    config: FrameConfig,
    load: Callable[[], Networks],
    forms: Sequence[str],
    hdu: int | str | None = None,
    engine: Engine = HERE,
    progress: Callable[[float], None] | None = None,
) -> Iterator[tuple[int, dict]]:
    """`detect_job` for many frames, a frame a shard.

    Parameters
    ----------
    load : callable
        Loads the networks, once a process. Pickled.

    Yields
    ------
    int, dict
        Number of a job, once each, and its report, or ``input`` and an ``error`` that is a sentence.

    Raises
    ------
    ArtifactError
        Nothing more can be written: the disk is full or read-only. What was made stays.
    """
    networks = load()
    there = [job.at(engine.path) for job in jobs]
    shards = (
        Shard(f"{jobs[number].sources[0]}", (number, job, config, forms, hdu)) for number, job in enumerate(there)
    )
    for outcome in map_shards(partial(each, detect_one), shards, Loaded(networks, load), engine, progress):
        number = outcome.shard.data[0]
        job, report = jobs[number], outcome.value or {"error": outcome.problem}
        yield (
            number,
            report
            | {"input": [str(path) for path in job.sources]}
            | ({} if "error" in report else {"files": [str(job.out / Path(path).name) for path in report["files"]]}),
        )


def detect_one(networks: Networks, task: tuple, tell: Tell) -> dict:
    """The engine's work on one frame: its report, or ``error``, a sentence."""
    _, job, config, forms, hdu = task
    try:
        return detect_job(job, config, networks, forms, hdu, tell_of_share(tell))
    except (GalaxyError, OSError, MemoryError) as error:
        if is_full(error):  # so no other frame's results could be written
            raise
        return {"error": " ".join(str(error).split()) or f"{job.sources[0]} does not fit in memory."}


def _finished(job: FrameJob, wanted: dict) -> dict | None:
    """The report of results that are still what a new run would make."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        record = json.loads(job.ledger.read_text(encoding="utf-8"))
        same = record["made_with"] == json.loads(json.dumps(wanted))
        if same and all(_stamp(job.out / name) == stamp for name, stamp in record["files"].items()):
            return record["report"]
    return None


def _sha256(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise ImageError(f"Cannot read {path}: it is no ordinary file; choose a frame.")
        return sha256_of_file(path)
    except OSError as error:
        raise ImageError(f"Cannot read {path}: {error.strerror}; check the path and its permissions.") from None


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
