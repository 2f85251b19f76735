"""The engine in one process: every shard once, faults borne three times and named, and no Dask anywhere."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from galaxy_core.engine import (
    TRIES,
    EngineError,
    Shard,
    ShardError,
    Suspects,
    check_whole,
    each,
    map_shards,
    open_engine,
)
from galaxy_core.errors import ArtifactError, ImageError
from tests.engine_shards import expected, load, outputs, shards, starts, write

PROJECT = Path(__file__).resolve().parents[1]


def run(folder: Path, todo: list[Shard], **options) -> list:
    return list(map_shards(partial(each, write), todo, partial(load, folder), **options))


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_every_shard_is_done_once_and_in_order(tmp_path, n):
    outcomes = run(tmp_path, shards(tmp_path, n))
    assert [(o.shard.name, o.value, o.problem) for o in outcomes] == [(f"shard {k}", k**2, "") for k in range(n)]
    assert outputs(tmp_path) == expected(n)
    assert len((tmp_path / "loads").read_text().split()) == 1


def test_progress_counts_the_sizes_and_what_work_tells(tmp_path):
    seen = []
    run(tmp_path, [Shard(s.name, s.data, 10) for s in shards(tmp_path, 3)], progress=seen.append)
    assert seen == [0.5, 10, 10.5, 20, 20.5, 30]


def test_shards_are_taken_as_they_are_needed(tmp_path):
    taken = []

    def endless():
        for shard in shards(tmp_path, 1000):
            taken.append(shard.name)
            yield shard

    for outcome in map_shards(partial(each, write), endless(), partial(load, tmp_path)):
        if outcome.value == 4:
            break
    assert taken == ["shard 0", "shard 1", "shard 2"] and outputs(tmp_path) == expected(3)


@pytest.mark.parametrize("n_faults", [1, 2])
def test_a_shard_that_fails_is_tried_again(tmp_path, n_faults):
    outcomes = run(tmp_path, shards(tmp_path, 4, {1: "value", 3: "value"}, n_faults=n_faults))
    assert sorted(o.value for o in outcomes) == [0, 1, 4, 9] and not any(o.problem for o in outcomes)
    assert outputs(tmp_path) == expected(4)
    assert {k: len(pids) for k, pids in starts(tmp_path).items()} == {0: 1, 1: n_faults + 1, 2: 1, 3: n_faults + 1}


def test_a_shard_that_always_fails_is_named_and_all_others_are_done(tmp_path):
    outcomes = run(tmp_path, shards(tmp_path, 5, {2: "value"}))
    assert len(starts(tmp_path)[2]) == TRIES == 3
    assert outputs(tmp_path) == expected(5, without=(2,))
    assert [o.shard.name for o in outcomes if o.problem] == ["shard 2"]
    with pytest.raises(
        ShardError, match=r"shard 2 was given up after 3 tries: ValueError: number 2 is unlucky. 4 of 5 "
    ):
        check_whole(outcomes, 5)


def test_work_that_reads_ahead_gets_every_shard_again_that_it_did_not_finish(tmp_path):
    """As decoding does: the next shards are taken before this one is done."""
    calls = []

    def greedy(made, feed, tell):
        taken = list(feed)
        calls.append([shard.name for shard in taken])
        for shard in taken:
            yield write(made, shard.data, tell)

    todo = shards(tmp_path, 4, {1: "value"}, n_faults=1)
    outcomes = list(map_shards(greedy, todo, partial(load, tmp_path)))
    assert sorted(o.shard.name for o in outcomes) == [s.name for s in todo] and outputs(tmp_path) == expected(4)
    assert calls[1] == ["shard 2", "shard 3"] and calls[2] == ["shard 1"]


def test_what_a_user_has_to_mend_stops_all_at_once(tmp_path):
    with pytest.raises(ArtifactError, match="No space left"):
        run(tmp_path, shards(tmp_path, 4, {2: "full"}))
    assert outputs(tmp_path) == expected(2) and set(starts(tmp_path)) == {0, 1, 2}
    assert list((tmp_path / "out").glob(".*")) == []


def test_an_error_of_the_list_of_shards_is_no_shards_fault():
    def broken():
        yield from ()
        raise ImageError("the list is broken")

    def bug():
        yield from ()
        raise ZeroDivisionError

    with pytest.raises(ImageError):
        list(map_shards(partial(each, write), broken()))
    with pytest.raises(ZeroDivisionError):
        list(map_shards(partial(each, write), bug()))


def test_the_last_try_waits_until_all_others_are_done():
    suspects, shard = Suspects(), Shard("s", None)
    assert suspects.note(shard, "x") is None and list(suspects.again) == [shard] and not suspects.last
    suspects.again.clear()
    assert suspects.note(shard, "x") is None and list(suspects.last) == [shard] and not suspects.again
    assert "after 3 tries: x" in suspects.note(shard, "x").problem


def test_many_problems_are_counted():
    outcomes = [Suspects(failures={f"s{k}": 2}).note(Shard(f"s{k}", 0), "why") for k in range(12)]
    with pytest.raises(ShardError, match=r"And 2 more. 8 of 20 shards are done") as raised:
        check_whole(outcomes, 20)
    assert "s9 " in str(raised.value) and "s10 " not in str(raised.value)
    check_whole([], 0)


def test_without_options_no_dask_is_imported():
    code = """
import sys, glob, importlib
import galaxy_core.pipeline, galaxy_core.engine, scripts.engine_options
for name in ("run_pipeline", "embed", "denoise", "detect", "classify"):
    importlib.import_module("scripts." + name)
from galaxy_core.engine import map_shards, each, Shard, open_engine
with open_engine() as engine:
    assert [o.value for o in map_shards(lambda m, s, t: (x.data for x in s), [Shard("a", 3)], engine=engine)] == [3]
print(sorted({"dask", "distributed", "s3fs", "lsdb"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stderr[-2000:]


def test_a_missing_dask_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    said = r"pip install -r scripts/requirements-cluster\.txt"
    for options in ({"workers": 2}, {"scheduler": "tcp://127.0.0.1:1"}):
        with pytest.raises(EngineError, match=said), open_engine(**options):
            pass


def test_a_script_without_dask_says_what_to_install():
    code = "import sys, runpy; sys.modules['dask'] = sys.modules['distributed'] = None\n"
    code += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, "scripts/run_pipeline.py", "synthetic:4", "--name", "x", "--workers", "2"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "pip install -r scripts/requirements-cluster.txt" in done.stderr


@pytest.mark.parametrize("options", [["--workers", "0"], ["--workers", "x"], ["--scheduler", "here"]])
def test_wrong_options_are_usage_errors(options, capsys):
    import argparse

    from scripts.engine_options import add_engine_options

    parser = argparse.ArgumentParser()
    add_engine_options(parser)
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(options)
    assert stopped.value.code == 2 and f"{options[0]}: give " in capsys.readouterr().err
