"""Tags that people give to galaxies: who said what, when, of which model's map; never lost, and undone by adding.

Everybody sees the same tags. A *step* is what one person did at once: a tag for a galaxy or for a whole selection. A
galaxy has a tag when the last action on the two that was not undone gave it. So undoing one's own step never takes away
what somebody else has said of the same galaxies since, or said before.

Undo goes back through the person's own steps, the latest first; redo goes forward again, until the person does
something new. Galaxies are kept by ``galaxy_id``, so tags outlive every rerun of the pipeline and also the galaxies
that a rerun leaves out.

Every function takes the path of the database, `galaxy_core.artifacts.tags_path`; without one, nothing is tagged.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from galaxy_core.tag_names import INTERESTING, NOT_INTERESTING, check_tag, fold, opposite_of, wanted
from galaxy_core.tag_store import reading, writing

__all__ = [
    "INTERESTING",
    "NOT_INTERESTING",
    "Step",
    "all_tags",
    "check_tag",
    "count_tags",
    "fold",
    "galaxies_with",
    "history",
    "last_action",
    "opposite_of",
    "redo",
    "tag_galaxies",
    "tag_versions",
    "tags_of_galaxy",
    "undo",
    "untag_galaxies",
    "wanted",
]

ANYBODY = "anonymous"
NEW_STEP = "INSERT INTO actions (step, kind, tag_key, target, who, made_utc, model_hash) VALUES (?, ?, ?, ?, ?, ?, ?)"
Version = tuple[
    int, str
]  # number and time of an action: a database that was put in the place of another has other times
FRAME_COLUMNS = ["galaxy_id", "tag", "who", "made_utc", "model_hash"]


@dataclass(frozen=True)
class Step:
    """What was done at once.

    Attributes
    ----------
    step : int
        Number of the step, as in `history`.
    kind : str
        ``tag``, ``untag``, ``undo`` or ``redo``.
    tag : str
        The first tag it is about, written as it was first written.
    n_galaxies, n_changed : int
        Galaxies it is about, and those of them for which it changed what holds of that tag.
    """

    step: int
    kind: str
    tag: str
    n_galaxies: int
    n_changed: int


def tag_galaxies(path: Path, tag: str, galaxy_ids: Iterable[str], who: str, model_hash: str = "") -> Step | None:
    """Give a tag to galaxies; None where there are none. ``ring`` takes ``not ring`` away, and back.

    Raises
    ------
    TagError
        An impossible name, or the database cannot be written; nothing has changed then.
    """
    return _do(path, "tag", tag, galaxy_ids, who, model_hash)


def untag_galaxies(path: Path, tag: str, galaxy_ids: Iterable[str], who: str, model_hash: str = "") -> Step | None:
    """Take a tag from galaxies; None where no galaxy or no such tag is there. Raises as `tag_galaxies` does."""
    return _do(path, "untag", tag, galaxy_ids, who, model_hash)


def undo(path: Path, who: str, tags: Sequence[str] | None = None, steps: Sequence[int] | None = None) -> Step | None:
    """Undo the person's last step that still counts, of some tags or steps only if named; None where there is none."""
    return _turn(path, who, tags, steps, "undo")


def redo(path: Path, who: str, tags: Sequence[str] | None = None, steps: Sequence[int] | None = None) -> Step | None:
    """Redo what the person undid last; None where there is nothing, or something new has been done since."""
    return _turn(path, who, tags, steps, "redo")


def last_action(path: Path) -> Version:
    """The last action of anybody: whoever has read the tags when this was the last need not read them again."""
    query = "SELECT action_id, made_utc FROM actions ORDER BY action_id DESC LIMIT 1"
    with reading(path) as db:
        return (db and db.execute(query).fetchone()) or (0, "")


def tag_versions(path: Path) -> dict[str, Version]:
    """For each tag that was ever set, the last action on it; changes whenever the tag's galaxies may."""
    query = """SELECT name, action_id, made_utc FROM tags t JOIN actions
        ON action_id = (SELECT max(action_id) FROM actions a WHERE a.tag_key = t.tag_key) ORDER BY name"""
    with reading(path) as db:
        return {} if db is None else {name: (action, made) for name, action, made in db.execute(query)}


def count_tags(path: Path) -> dict[str, int]:
    """Number of galaxies of each tag that has any, the most used first; also galaxies that no catalog has any more."""
    query = "SELECT name, count(*) FROM current JOIN tags USING (tag_key) GROUP BY tag_key ORDER BY 2 DESC, 1"
    with reading(path) as db:
        return {} if db is None else dict(db.execute(query).fetchall())


def galaxies_with(path: Path, tag: str) -> np.ndarray:
    """Ids of the galaxies that have a tag, an object array in the order in which they were first tagged."""
    query = """SELECT galaxy_id FROM current JOIN galaxies USING (galaxy_key)
        WHERE tag_key = (SELECT tag_key FROM tags WHERE folded = ?) ORDER BY galaxy_key"""
    with reading(path) as db:
        found = [] if db is None else [galaxy_id for (galaxy_id,) in db.execute(query, (fold(tag),))]
    return np.array(found, dtype=object)


def tags_of_galaxy(path: Path, galaxy_id: str) -> pd.DataFrame:
    """One galaxy's tags, oldest first: ``galaxy_id``, ``tag``, ``who``, ``made_utc`` (ISO 8601), ``model_hash``."""
    return _frame(path, "WHERE c.galaxy_key = (SELECT galaxy_key FROM galaxies WHERE galaxy_id = ?)", (galaxy_id,))


def all_tags(path: Path) -> pd.DataFrame:
    """Every tag of every galaxy: a line each, with the columns of `tags_of_galaxy`. For exports."""
    return _frame(path, "", ())


def history(path: Path, limit: int = -1) -> pd.DataFrame:
    """The log, the latest first: ``action_id``, ``step``, ``kind``, ``tag``, ``target``, ``who``, ``made_utc``,
    ``model_hash``, ``n_galaxies``; an undone action stays in it."""
    query = """SELECT action_id, step, kind, name AS tag, target, who, made_utc, model_hash,
        (SELECT count(*) FROM members m WHERE m.action_id = coalesce(a.target, a.action_id)) AS n_galaxies
        FROM actions a JOIN tags USING (tag_key) ORDER BY action_id DESC LIMIT ?"""
    columns = ["action_id", "step", "kind", "tag", "target", "who", "made_utc", "model_hash", "n_galaxies"]
    with reading(path) as db:
        lines = [] if db is None else db.execute(query, (limit,)).fetchall()
    return pd.DataFrame(lines, columns=columns)


def _frame(path: Path, where: str, values: tuple) -> pd.DataFrame:
    # CROSS JOIN keeps the order of the tables: one galaxy's tags are looked up tag by tag, not among all that is tagged
    query = f"""SELECT galaxy_id, name, who, made_utc, model_hash FROM tags t CROSS JOIN current c
        ON c.tag_key = t.tag_key JOIN galaxies USING (galaxy_key) JOIN actions USING (action_id)
        {where} ORDER BY galaxy_key, action_id"""
    with reading(path) as db:
        lines = [] if db is None else db.execute(query, values)
        return pd.DataFrame(list(lines), columns=FRAME_COLUMNS)


def _do(path: Path, kind: str, tag: str, galaxy_ids: Iterable[str], who: str, model_hash: str) -> Step | None:
    """One step of somebody: a line in the log for each tag it changes, its galaxies, and what holds from now on."""
    tag, ids = check_tag(tag), sorted({str(galaxy_id) for galaxy_id in galaxy_ids})
    if not ids or (kind == "untag" and not path.exists()):
        return None
    about = (_person(who), datetime.now(UTC).isoformat(timespec="milliseconds"), model_hash)
    with writing(path) as db:
        key = _tag_key(db, tag, make=kind == "tag")
        if key is None:
            return None
        db.executemany("INSERT INTO picked VALUES (?)", ((galaxy_id,) for galaxy_id in ids))
        db.execute("INSERT OR IGNORE INTO galaxies (galaxy_id) SELECT galaxy_id FROM picked")
        step = db.execute("SELECT coalesce(max(action_id), 0) + 1 FROM actions").fetchone()[0]
        n_changed = _log(db, step, kind, key, about)
        name = db.execute("SELECT name FROM tags WHERE tag_key = ?", (key,)).fetchone()[0]
        opposite = _tag_key(db, opposite_of(tag), make=False) if kind == "tag" else None
        if opposite is not None:
            query = """DELETE FROM picked WHERE galaxy_id NOT IN
                (SELECT galaxy_id FROM current JOIN galaxies USING (galaxy_key) WHERE tag_key = ?)"""
            db.execute(query, (opposite,))
            if db.execute("SELECT count(*) FROM picked").fetchone()[0]:
                _log(db, step, "untag", opposite, about)
    return Step(step, kind, name, len(ids), n_changed)


def _log(db: sqlite3.Connection, step: int, kind: str, key: int, about: tuple[str, str, str]) -> int:
    """Add an action on the picked galaxies; how many of them it changed."""
    action = db.execute(NEW_STEP, (step, kind, key, None, *about)).lastrowid
    query = "INSERT INTO members SELECT galaxy_key, ? FROM picked JOIN galaxies USING (galaxy_id)"
    db.execute(query, (action,))
    before = db.execute("SELECT count(*) FROM current WHERE tag_key = ?", (key,)).fetchone()[0]
    if kind == "tag":
        query = "INSERT OR REPLACE INTO current SELECT ?, galaxy_key, ? FROM members WHERE action_id = ?"
        db.execute(query, (key, action, action))
    else:
        members = "SELECT galaxy_key FROM members WHERE action_id = ?"
        db.execute(f"DELETE FROM current WHERE tag_key = ? AND galaxy_key IN ({members})", (key, action))
    return abs(db.execute("SELECT count(*) FROM current WHERE tag_key = ?", (key,)).fetchone()[0] - before)


def _turn(path: Path, who: str, tags: Sequence[str] | None, steps: Sequence[int] | None, kind: str) -> Step | None:
    """Undo or redo a step: a line in the log for each of its actions, and what holds is found again."""
    who, folded = _person(who), None if tags is None else {fold(tag) for tag in tags}
    if not path.exists():
        return None
    with writing(path) as db:
        keys = [key for key, name in db.execute("SELECT tag_key, folded FROM tags") if folded is None or name in folded]
        within = f"who = ? AND tag_key IN ({','.join(map(str, keys))})"
        within += "" if steps is None else f" AND step IN ({','.join(map(str, steps))})"
        query = _LAST_STEP[kind]
        step = db.execute(query.format(within=within), (who,) * query.count("{within}")).fetchone()
        if step is None or step[0] is None:
            return None
        query = """SELECT action_id, tag_key, model_hash, name FROM actions JOIN tags USING (tag_key)
            WHERE step = ? AND target IS NULL ORDER BY action_id"""
        actions = db.execute(query, step).fetchall()
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        number = db.execute("SELECT max(action_id) + 1 FROM actions").fetchone()[0]
        changed = []
        for action, key, model_hash, _ in actions:
            db.execute(NEW_STEP, (number, kind, key, action, who, now, model_hash))
            changed.append(_find_again(db, action, key))
        n = db.execute("SELECT count(*) FROM members WHERE action_id = ?", (actions[0][0],)).fetchone()[0]
    return Step(number, kind, actions[0][3], n, changed[0])


# The step to turn back is the last of the person that counts; the one to turn on is the last turned back, unless the
# person has done something new since.
_LAST_STEP = {
    "undo": "SELECT max(step) FROM effective WHERE {within}",
    "redo": """SELECT step FROM actions AS a WHERE {within} AND target IS NULL
        AND 'undo' IS (SELECT kind FROM actions b WHERE b.target = a.action_id ORDER BY b.action_id DESC LIMIT 1)
        AND (SELECT max(action_id) FROM actions b WHERE b.target = a.action_id)
            > (SELECT max(action_id) FROM actions WHERE {within} AND target IS NULL)
        ORDER BY (SELECT max(action_id) FROM actions b WHERE b.target = a.action_id) DESC LIMIT 1""",
}


def _find_again(db: sqlite3.Connection, action: int, key: int) -> int:
    """Find what holds of one tag for the galaxies of an action, from the log; for how many it changed."""
    members = "SELECT galaxy_key FROM members WHERE action_id = ?"
    count = f"SELECT count(*) FROM current WHERE tag_key = ? AND galaxy_key IN ({members})"
    before = db.execute(count, (key, action)).fetchone()[0]
    db.execute(f"DELETE FROM current WHERE tag_key = ? AND galaxy_key IN ({members})", (key, action))
    # beside max(), SQLite takes the other columns from the line that has the maximum
    query = f"""INSERT INTO current SELECT ?, galaxy_key, action_id FROM
        (SELECT m.galaxy_key, max(m.action_id) AS action_id, e.kind AS kind FROM members m JOIN effective e
         ON e.action_id = m.action_id WHERE e.tag_key = ? AND m.galaxy_key IN ({members}) GROUP BY m.galaxy_key)
        WHERE kind = 'tag'"""
    db.execute(query, (key, key, action))
    return abs(db.execute(count, (key, action)).fetchone()[0] - before)


def _tag_key(db: sqlite3.Connection, name: str, make: bool) -> int | None:
    """Number of a tag; its first spelling is the one that stays."""
    if make:
        db.execute("INSERT OR IGNORE INTO tags (name, folded) VALUES (?, ?)", (name, fold(name)))
    found = db.execute("SELECT tag_key FROM tags WHERE folded = ?", (fold(name),)).fetchone()
    return found[0] if found else None


def _person(who: str) -> str:
    """A person's name as it is kept: printable, at most 80 characters."""
    text = "".join(character for character in str(who) if character.isprintable()).strip()[:80].strip()
    return text or ANYBODY
