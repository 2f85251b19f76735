"""The file that holds a catalog's tags: one SQLite database, an append-only log and what follows from it.

The log is three tables: ``actions`` (a tag given to galaxies or taken from them by someone at a time, or the undoing or
redoing of an earlier action), ``members`` (the galaxies of an action) and the names both refer to. Triggers refuse to
change or delete a line of it. ``current`` says what holds now and is kept in the same transaction as the log.

Write-ahead log, ``synchronous=FULL`` and one connection for each call: when a call has returned, its action survives a
crash and a power cut, and any number of threads and processes may read and write at once.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from galaxy_core.errors import TagError

SCHEMA = 1  # kept in the database as user_version
APPLICATION = 0x47415447  # "GATG", kept as application_id: what tells this file from any other SQLite database
BUSY_SECONDS = 10.0  # how long a call waits for another writer
TABLES = """
CREATE TABLE tags (tag_key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, folded TEXT NOT NULL UNIQUE);
CREATE TABLE galaxies (galaxy_key INTEGER PRIMARY KEY, galaxy_id TEXT NOT NULL UNIQUE);
CREATE TABLE actions (
    action_id INTEGER PRIMARY KEY AUTOINCREMENT,
    step INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('tag', 'untag', 'undo', 'redo')),
    tag_key INTEGER NOT NULL REFERENCES tags,
    target INTEGER REFERENCES actions,
    who TEXT NOT NULL,
    made_utc TEXT NOT NULL,
    model_hash TEXT NOT NULL,
    CHECK ((target IS NULL) = (kind IN ('tag', 'untag')))
);
CREATE INDEX actions_of_tag ON actions (tag_key, action_id);
CREATE INDEX actions_of_person ON actions (who, action_id);
CREATE INDEX actions_on_action ON actions (target, action_id) WHERE target IS NOT NULL;
CREATE TABLE members (
    galaxy_key INTEGER NOT NULL REFERENCES galaxies,
    action_id INTEGER NOT NULL REFERENCES actions,
    PRIMARY KEY (galaxy_key, action_id)
) WITHOUT ROWID;
CREATE INDEX members_of_action ON members (action_id);
CREATE TABLE current (
    tag_key INTEGER NOT NULL REFERENCES tags,
    galaxy_key INTEGER NOT NULL REFERENCES galaxies,
    action_id INTEGER NOT NULL REFERENCES actions,
    PRIMARY KEY (tag_key, galaxy_key)
) WITHOUT ROWID;
CREATE VIEW effective AS
    SELECT * FROM actions AS a WHERE kind IN ('tag', 'untag') AND 'undo' IS NOT
    (SELECT kind FROM actions AS b WHERE b.target = a.action_id ORDER BY b.action_id DESC LIMIT 1);
"""
APPEND_ONLY = "".join(
    f"CREATE TRIGGER no_{verb}_{table} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, 'append only'); END;\n"
    for table in ("actions", "members")
    for verb in ("update", "delete")
)


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection that sees one state of the database throughout; None where there is no database yet.

    Raises
    ------
    TagError
        The file is corrupt, is something else, was written by a newer version, is locked, or may not be read.
    """
    if not path.exists():
        yield None
        return
    with _told(path, "read"), closing(_connect(path)) as connection:
        connection.execute("BEGIN")
        yield connection
        connection.execute("COMMIT")


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection for one transaction, which is on the disk when the block is left and undone where it fails.

    Raises
    ------
    TagError
        As for `reading`, or the folder may not be written. Nothing has been changed then.
    """
    with _told(path, "written"):
        if not path.exists():
            _create(path)
        with closing(_connect(path)) as connection:
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("CREATE TEMP TABLE picked (galaxy_id TEXT PRIMARY KEY) WITHOUT ROWID")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.execute("COMMIT")


def _connect(path: Path) -> sqlite3.Connection:
    """Open a database that is there, and check that it is one of ours."""
    state = path.stat()
    connection = _open(path)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        ours = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION
        if not ours or state.st_size == 0:
            raise sqlite3.DatabaseError("it is no database of tags")
        if version > SCHEMA:
            raise TagError(
                f"{path} was written by a newer version of Galaxy Atlas (schema {version}, this one reads {SCHEMA});"
                " update Galaxy Atlas to see and to set tags."
            )
        connection.execute("PRAGMA synchronous = FULL")
        _check_pages(path, state.st_ino)
    except BaseException:
        connection.close()
        raise
    return connection


def _open(path: Path) -> sqlite3.Connection:
    """Connect; where the folder may not be written, as to a file that nobody changes."""
    try:
        return _try(path, "mode=rw")
    except sqlite3.OperationalError:
        if os.access(path.parent, os.W_OK) or path.with_name(f"{path.name}-wal").exists():
            raise
        return _try(path, "mode=ro&immutable=1")


def _try(path: Path, mode: str) -> sqlite3.Connection:
    address = f"file:{quote(str(path.absolute()))}?{mode}"
    connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@lru_cache(maxsize=64)
def _check_pages(path: Path, inode: int) -> None:
    """Look through the whole file, once for each file in each process: damage is found before anything is added."""
    with closing(_open(path)) as connection:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(" ".join(found.split())[:80])


def _create(path: Path) -> None:
    """Make an empty database under another name and give it this one, unless somebody was faster.

    So a file of this name is always a whole database, and one that is not has been damaged and is left alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.executescript(f"BEGIN;{TABLES}{APPEND_ONLY}COMMIT;")
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
            connection.execute("PRAGMA journal_mode = WAL")
        try:
            os.link(new, path)
        except FileExistsError:
            return
        except OSError:  # a file system without hard links
            if not path.exists():
                os.rename(new, path)
        if hasattr(os, "O_DIRECTORY"):
            folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(folder)
            os.close(folder)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def _told(path: Path, done: str) -> Iterator[None]:
    """Turn what SQLite and the file system say into one sentence that says what to do."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise TagError(_sentence(path, done, error)) from error


def _sentence(path: Path, done: str, error: Exception) -> str:
    text = str(getattr(error, "strerror", None) or error)
    if "locked" in text or "busy" in text:
        return (
            f"Another program has held {path} for {BUSY_SECONDS:.0f} seconds, so tags cannot be {done};"
            " close that program, or try again."
        )
    if "full" in text or "No space" in text:
        return f"Tags cannot be {done}: the disk of {path.parent} is full; make room there and try again."
    if isinstance(error, OSError | sqlite3.OperationalError) and "malformed" not in text:
        return f"Tags cannot be {done} in {path} ({text}); make the file and its folder writable for this program."
    return (
        f"{path} is corrupt ({text}) and was left as it is; put a backup in its place, or move it away to begin"
        " without tags."
    )
