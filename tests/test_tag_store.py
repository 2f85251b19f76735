"""The database of tags: who may write at once, and what a crash, a damaged file or a read-only folder leaves."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Thread

import pytest
from conftest import PROJECT

from galaxy_core import tag_store, tags
from galaxy_core.errors import TagError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tiny.tags.sqlite"


# ---------------------------------------------------------------- many at once, and a crash


def tag_stream(path: str, who: str, n: int) -> None:
    for i in range(n):
        tags.tag_galaxies(Path(path), f"tag {i % 7}", [f"{who}-{i}", f"shared-{i}"], who)


def test_two_processes_tagging_at_once_lose_nothing(path):
    code = (
        "import sys; sys.path.insert(0, 'tests'); from test_tag_store import tag_stream; tag_stream(*sys.argv[1:], 200)"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code, str(path), who], cwd=PROJECT) for who in ("ann", "bob")]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    frame, log = tags.all_tags(path), tags.history(path)
    wanted = {f"{who}-{i}" for who in ("ann", "bob", "shared") for i in range(200)}
    assert set(frame["galaxy_id"]) == wanted and len(frame) == 600 and len(log) == 400
    assert set(log["n_galaxies"]) == {2} and (log.groupby("who").size() == 200).all()


def test_many_threads_tagging_at_once_lose_nothing(path):
    threads = [Thread(target=tag_stream, args=(str(path), f"t{i}", 25)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tags.history(path)) == 200 and len(tags.all_tags(path)) == 8 * 25 + 25


@pytest.mark.parametrize("n", [1, 10, 60])
def test_kill_9_leaves_every_acknowledged_action(path, n):
    code = """
import sys; from pathlib import Path; from galaxy_core import tags
for i in range(100_000):
    tags.tag_galaxies(Path(sys.argv[1]), "ring", [f"g{i}", *(f"more-{i}-{j}" for j in range(20))], "ann")
    print(i, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    acknowledged = [int(child.stdout.readline()) for _ in range(n)]
    os.kill(child.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in child.stdout.read().split("\n")[:-1]]
    child.wait()
    found = set(tags.galaxies_with(path, "ring"))
    assert acknowledged[:n] == list(range(n)) and {f"g{i}" for i in acknowledged} <= found
    assert len(found) % 21 == 0  # an action is there with all its galaxies or not at all
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    tags.tag_galaxies(path, "ring", ["after"], "bob")
    assert tags.count_tags(path)["ring"] == len(found) + 1


# ---------------------------------------------------------------- files that cannot be used


@pytest.mark.parametrize("damage", [b"", b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_corrupt_file_is_named_and_left_alone(path, damage):
    path.write_bytes(damage)
    for call in (tags.count_tags, lambda p: tags.tag_galaxies(p, "ring", ["a"], "ann"), lambda p: tags.undo(p, "ann")):
        with pytest.raises(TagError, match=r"is corrupt .* was left as it is; put a backup in its place"):
            call(path)
    assert path.read_bytes() == damage


def test_damage_inside_is_found_before_anything_is_added(path):
    tags.tag_galaxies(path, "ring", [f"galaxy-{i}" for i in range(3000)], "ann")
    content = bytearray(path.read_bytes())
    content[5 * 4096 : 12 * 4096] = b"\x5a" * (7 * 4096)
    path.unlink()
    damaged = path.with_name("copy.tags.sqlite")
    damaged.write_bytes(content)
    with pytest.raises(TagError, match="is corrupt"):
        tags.tag_galaxies(damaged, "bar", ["new"], "ann")
    assert damaged.read_bytes() == bytes(content)


def test_another_programs_database_is_left_alone(path):
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE tags (mine TEXT)")
    with pytest.raises(TagError, match="it is no database of tags"):
        tags.tag_galaxies(path, "ring", ["a"], "ann")


def test_a_newer_schema_is_refused(path):
    tags.tag_galaxies(path, "ring", ["a"], "ann")
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    for call in (tags.count_tags, lambda p: tags.tag_galaxies(p, "ring", ["b"], "ann")):
        with pytest.raises(TagError, match=r"newer version of Galaxy Atlas .schema 99.*update Galaxy Atlas"):
            call(path)


def test_a_locked_database_is_a_sentence_and_readers_go_on(path, monkeypatch):
    monkeypatch.setattr(tag_store, "BUSY_SECONDS", 0.1)
    tags.tag_galaxies(path, "ring", ["a"], "ann")
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TagError, match=r"Another program has held .* or try again"):
            tags.tag_galaxies(path, "ring", ["b"], "ann")
        assert tags.count_tags(path) == {"ring": 1}
        other.execute("ROLLBACK")
    other.close()
    assert tags.tag_galaxies(path, "ring", ["b"], "ann").n_changed == 1


def in_read_only_folder(folder: str, queue) -> None:
    if os.geteuid() == 0:
        os.setuid(65534)
    path, said = Path(folder) / "tiny.tags.sqlite", []
    said.append(tags.count_tags(path))
    for target in (path, Path(folder) / "new.tags.sqlite"):
        try:
            said.append(tags.tag_galaxies(target, "ring", ["b"], "ann"))
        except TagError as error:
            said.append(str(error))
    queue.put(said)


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="permissions of this kind are POSIX")
def test_a_read_only_folder_can_be_read(path):
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        tags.tag_galaxies(Path(folder) / "tiny.tags.sqlite", "ring", ["a"], "ann")
        os.chmod(folder, 0o555)
        queue = context.Queue()
        child = context.Process(target=in_read_only_folder, args=(folder, queue))
        child.start()
        counts, known, new = queue.get(timeout=120)
        child.join()
        os.chmod(folder, 0o755)
        assert counts == {"ring": 1}
        assert "writable" in known and "writable" in new
        assert sorted(os.listdir(folder)) == ["tiny.tags.sqlite"]
