"""Many images classified by an engine, some thousand a shard, into one table in the order of the images.

Each shard's rows lie in a hidden folder beside the table until all are there, so a run that was killed goes on.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from galaxy_core.artifacts.files import sha256_of_file, write_json
from galaxy_core.artifacts.staging import fingerprint_of, hold_lock
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.image_files import image_ids
from galaxy_core.catalogs.parts import CatalogPart
from galaxy_core.embedding import find_model
from galaxy_core.engine import HERE, Engine, Loaded, Shard, Tell, each, map_shards
from galaxy_core.image_steps import catalog_fingerprint
from galaxy_core.morphology import BATCH, classify_items, load_classifier
from galaxy_core.morphology_items import Item, Notes, catalog_items, file_items
from galaxy_core.morphology_table import check_table_path, write_morphologies, write_tables

SHARD = 32 * BATCH
_RULES = 3  # raised when the same images, model and options are to give another table
_MADE_OF = "made_of.json"
_MOST_NOTES = 5


@dataclass(frozen=True)
class Wanted:
    """What is to be classified, and how: the options of the command."""

    models: tuple[str, ...]
    root: Path
    device: str = "auto"
    votes: str | None = None
    field_fraction: float | None = None
    crop: str = "centre"
    hdu: str | None = None


@dataclass(frozen=True)
class Piece:
    """Images of one shard: files with the names of their galaxies, or rows of a catalog; and where its rows go."""

    target: Path
    wanted: Wanted
    paths: tuple[Path, ...] = ()
    names: tuple[str, ...] = ()
    part: CatalogPart | None = None

    def items(self, notes: Notes) -> Iterator[Item]:
        """What `classify_items` takes; ``notes`` gets what is to be told of files."""
        if self.part is None:
            wanted = self.wanted
            return file_items(self.paths, wanted.field_fraction, wanted.crop, self.names, wanted.hdu, notes)
        rows, as_files = range(self.part.start, self.part.stop), self.wanted.field_fraction is None
        return catalog_items(self.part.catalog, rows, self.wanted.crop, as_files)

    def __len__(self) -> int:
        return len(self.paths) if self.part is None else len(self.part)


def classify_all(
    out: Path,
    paths: Sequence[Path],
    catalogs: Sequence[Catalog],
    wanted: Wanted,
    engine: Engine = HERE,
    progress: Callable[[float], None] | None = None,
    report: Callable[[str], None] = lambda said: None,
    note: Callable[[str], None] = lambda said: None,
) -> int:
    """Classify files and catalogs, write the table ``out`` and return its number of rows.

    Parameters
    ----------
    progress : callable, optional
        Called with the number of images that are done.
    report : callable
        Called with a sentence for each image that cannot be read, and for each shard that was given up: then the table
        lacks these galaxies, and the next run tries them again.
    note : callable
        Called at the end with a sentence for each way in which files were read that is to be told, as that further
        images of theirs are left out.
    """
    check_table_path(out)
    # of two runs the second would overwrite the whole table with what the first, when it ended, has left it
    with hold_lock(out.parent / f".{out.name}.lock", f"writing {out}", "--out"):
        return _classify(out, paths, catalogs, wanted, engine, progress, report, note)


def _classify(
    out: Path,
    paths: Sequence[Path],
    catalogs: Sequence[Catalog],
    wanted: Wanted,
    engine: Engine,
    progress: Callable[[float], None] | None,
    report: Callable[[str], None],
    note: Callable[[str], None],
) -> int:
    load = partial(load_classifier, wanted.models, engine.path(wanted.root), wanted.device, wanted.votes)
    model = Loaded(load(), load)
    folder = engine.path(out.parent / f".{out.name}.parts")
    _begin(folder, _fingerprint(paths, catalogs, wanted))
    pieces = list(_pieces(folder, paths, catalogs, wanted, engine))
    missing = [number for number, piece in enumerate(pieces) if not _done_file(piece).is_file()]
    done = sum(map(len, pieces)) - sum(len(pieces[number]) for number in missing)
    for number in sorted(set(range(len(pieces))) - set(missing)):
        _tell_problems(pieces[number], report)
    shards = (Shard(f"classify shard {number}", pieces[number], len(pieces[number])) for number in missing)
    given_up = False
    tell = (lambda n: progress(done + n)) if progress else None
    for outcome in map_shards(partial(each, classify_piece), shards, model, engine, tell):
        if outcome.problem:
            given_up = True
            report(outcome.problem)
        else:
            _tell_problems(outcome.shard.data, report)
    for said in _counted(found for piece in pieces for found in _told(piece).get("notes", ())):
        note(said)
    if not given_up and not any(piece.target.is_file() for piece in pieces):
        shutil.rmtree(folder, ignore_errors=True)  # nothing was made that another run could go on from
    n_rows = write_tables(out, _tables(pieces))
    if not given_up:
        shutil.rmtree(folder, ignore_errors=True)
    return n_rows


def classify_piece(model, piece: Piece, tell: Tell) -> None:
    """The engine's work: classify a shard and write its rows, and then what could not be read."""
    problems: list[str] = []
    notes: Notes = []

    def good() -> Iterator:
        for made, bad in classify_items(piece.items(notes), model, tell):
            problems.extend(bad)
            if made is not None:
                yield made

    made = good()
    first = next(made, None)
    if first is not None:
        write_morphologies(piece.target, itertools.chain([first], made))
    write_json(_done_file(piece), {"problems": problems, "notes": sorted(notes)})


def _done_file(piece: Piece) -> Path:
    """Written last: sentences on the images of a shard that could not be read, and on how others were."""
    return piece.target.with_suffix(".json")


def _tell_problems(piece: Piece, report: Callable[[str], None]) -> None:
    for said in _told(piece).get("problems", ()):
        report(said)


def _told(piece: Piece) -> dict[str, list]:
    with suppress(OSError, ValueError):
        return json.loads(_done_file(piece).read_text(encoding="utf-8"))
    return {}


def _counted(notes: Iterable[tuple[str, str]]) -> list[str]:
    """A sentence for each of the commonest notes, with the first file it is on and how many more there are.

    Examples
    --------
    >>> _counted([("a.fits", "Extension 1 is shown."), ("b.fits", "Extension 1 is shown.")])
    ['a.fits and 1 more: Extension 1 is shown.']
    """
    files: dict[str, list[str]] = {}
    for file, said in notes:
        files.setdefault(said, []).append(file)
    commonest = sorted(files.items(), key=lambda item: -len(item[1]))[:_MOST_NOTES]
    return [f"{names[0]}{f' and {len(names) - 1:,} more' * (len(names) > 1)}: {said}" for said, names in commonest]


def _pieces(
    folder: Path, paths: Sequence[Path], catalogs: Sequence[Catalog], wanted: Wanted, engine: Engine
) -> Iterator[Piece]:
    names, number = image_ids([path.as_posix() for path in paths]), 0
    for start in range(0, len(paths), SHARD):
        few = slice(start, start + SHARD)
        there = tuple(engine.path(path) for path in paths[few])
        yield Piece(folder / f"part-{number:05d}.parquet", wanted, there, tuple(names[few]))
        number += 1
    for catalog in catalogs:
        for start in range(0, len(catalog), SHARD):
            part = CatalogPart(number, catalog, start, min(start + SHARD, len(catalog)))
            yield Piece(folder / f"part-{number:05d}.parquet", wanted, part=part)
            number += 1


def _tables(pieces: Sequence[Piece]) -> Iterator[pa.Table]:
    """Batch after batch, as they were written."""
    for piece in pieces:
        if piece.target.is_file():
            with pq.ParquetFile(piece.target) as file:
                for group in range(file.num_row_groups):
                    yield file.read_row_group(group)


def _fingerprint(paths: Sequence[Path], catalogs: Sequence[Catalog], wanted: Wanted) -> str:
    """Changes with everything that a shard's rows are made of."""
    weights = [sha256_of_file(find_model(name, wanted.root) / "weights.safetensors") for name in wanted.models]
    files = []
    for path in paths:
        with suppress(OSError):  # one that is gone will be told by whoever reads it
            files.append((str(path.absolute()), path.stat().st_size, path.stat().st_mtime_ns))
    return fingerprint_of(_RULES, weights, str(wanted), files, [catalog_fingerprint(catalog) for catalog in catalogs])


def _begin(folder: Path, fingerprint: str) -> None:
    """Keep what an earlier run made of the same things, and nothing else."""
    made_of = folder / _MADE_OF
    with suppress(OSError, ValueError):
        if json.loads(made_of.read_text(encoding="utf-8")) == fingerprint:
            return
    shutil.rmtree(folder, ignore_errors=True)
    write_json(made_of, fingerprint)
