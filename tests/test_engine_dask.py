"""The engine on four local workers: whatever dies, nothing is lost or done twice, and the files are the same."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from argparse import Namespace
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from galaxy_core import artifacts
from galaxy_core.engine import EngineError, ShardError, check_whole, each, map_shards, open_engine
from galaxy_core.errors import ArtifactError
from galaxy_core.pipeline import run_pipeline
from scripts.engine_options import engine_of
from tests.engine_shards import expected, load, outputs, running, shards, starts, write
from tests.pipeline_child import CONFIG, CRASHING, run
from tests.pipeline_runs import hashes, write_images

pytest.importorskip("distributed", reason="Dask is not installed: pip install -r scripts/requirements-cluster.txt")
pytestmark = pytest.mark.flaky(reruns=1)  # processes that are killed and begun anew: once more before it counts
PROJECT = Path(__file__).resolve().parents[1]
N = 12


@pytest.fixture(scope="module")
def four():
    """Four worker processes, started anew by Dask when they die."""
    with open_engine(workers=4) as engine:
        yield engine


def begin(folder: Path, engine, todo):
    return map_shards(partial(each, write), todo, partial(load, folder), engine)


def missing(folder: Path, **changes) -> list:
    """What a command that is run again would ask for."""
    done = outputs(folder) if (folder / "out").exists() else {}
    return [shard for shard in shards(folder, N, **changes) if f"{shard.data.number}.txt" not in done]


def names(outcomes) -> list[str]:
    return sorted(outcome.shard.name for outcome in outcomes)


def test_every_shard_is_done_once_and_what_setup_makes_is_made_once_a_worker(tmp_path, four):
    seen = []
    outcomes = list(map_shards(partial(each, write), shards(tmp_path, N), partial(load, tmp_path), four, seen.append))
    assert {o.shard.name: o.value for o in outcomes} == {f"shard {k}": k**2 for k in range(N)} and len(outcomes) == N
    assert outputs(tmp_path) == expected(N) and seen == list(range(1, N + 1))
    loads = (tmp_path / "loads").read_text().split()
    assert len(loads) == len(set(loads)) <= 4 and str(os.getpid()) not in loads


def test_no_more_shards_are_taken_than_there_are_workers(tmp_path, four):
    taken = []

    def lazily():
        for shard in shards(tmp_path, N):
            taken.append(shard.name)
            yield shard

    for done, _ in enumerate(begin(tmp_path, four, lazily())):
        assert len(taken) <= done + 4 + 4  # those being done, and those that are done and not told yet
    assert len(taken) == N


def test_functions_within_functions_are_sent_too(tmp_path, four):
    factor = 3

    def triple(made, feed, tell):
        yield from (factor * shard.data.number for shard in feed)

    assert sorted(o.value for o in map_shards(triple, shards(tmp_path, 4), engine=four)) == [0, 3, 6, 9]


def test_a_worker_that_is_killed_costs_nothing(tmp_path, four):
    outcomes, killed = [], None
    for outcome in begin(tmp_path, four, shards(tmp_path, N, seconds=0.4)):
        outcomes.append(outcome)
        if killed is None:
            killed, pid = running(tmp_path)
            os.kill(pid, signal.SIGKILL)
    assert names(outcomes) == names_of(N) and not any(o.problem for o in outcomes)
    assert outputs(tmp_path) == expected(N)
    assert len(starts(tmp_path)[killed]) == 2


def test_a_shard_that_kills_its_worker_every_time_is_named_and_the_rest_is_done(tmp_path, four):
    outcomes = list(begin(tmp_path, four, shards(tmp_path, N, {3: "exit"})))
    assert names(outcomes) == names_of(N) and outputs(tmp_path) == expected(N, without=(3,))
    assert [o.shard.name for o in outcomes if o.problem] == ["shard 3"]
    assert 2 <= len(starts(tmp_path)[3]) <= 3  # a try may end before it begins, at a worker that has just died
    with pytest.raises(
        ShardError, match=f"shard 3 was given up after 3 tries: its worker died.* {N - 1} of {N} shards"
    ):
        check_whole(outcomes, N)


def test_an_exception_is_tried_again_elsewhere(tmp_path, four):
    outcomes = list(begin(tmp_path, four, shards(tmp_path, 5, {0: "value"}, n_faults=2)))
    assert sorted(o.value for o in outcomes) == [0, 1, 4, 9, 16] and len(starts(tmp_path)[0]) == 3


def test_a_full_disk_stops_with_its_sentence_and_the_next_run_goes_on(tmp_path, four):
    with pytest.raises(ArtifactError, match="No space left on device; free some space"):
        list(begin(tmp_path, four, shards(tmp_path, N, {5: "full"})))
    whole = outputs(tmp_path)
    assert whole.items() <= expected(N).items() and "5.txt" not in whole
    time.sleep(0.3)  # what was running when all was stopped
    todo = missing(tmp_path)
    outcomes = list(begin(tmp_path, four, todo))
    assert names(outcomes) == sorted(shard.name for shard in todo) and outputs(tmp_path) == expected(N)
    assert list((tmp_path / "out").glob(".5.*")) == []


def stop_a_worker(folder: Path, known: set[int]) -> tuple[int, int] | None:
    """Stop one in the midst of a shard, all others of which are known; its shard and itself, None where none is."""
    number, pid = running(folder)
    os.kill(pid, signal.SIGSTOP)
    begun = {other for other, pids in starts(folder).items() if pid in pids}
    if begun - known == {number} and not (folder / "out" / f"{number}.txt").exists():
        return number, pid
    os.kill(pid, signal.SIGCONT)
    return None


def test_a_slow_worker_holds_up_its_own_shard_alone(tmp_path, four):
    known, stopped, awake, last = set(), None, None, None
    for outcome in begin(tmp_path, four, shards(tmp_path, N, seconds=0.2)):
        known.add(last := int(outcome.shard.name.split()[1]))
        if stopped is None and (stopped := stop_a_worker(tmp_path, known)):
            awake = threading.Timer(60, os.kill, (stopped[1], signal.SIGCONT))  # whatever else goes wrong
            awake.start()
        if stopped and len(known) == N - 1:
            os.kill(stopped[1], signal.SIGCONT)
            awake.cancel()
    assert known == set(range(N)) and stopped[0] == last
    assert outputs(tmp_path) == expected(N) and all(len(pids) == 1 for pids in starts(tmp_path).values())


def test_a_worker_that_does_not_tell_what_it_found_is_asked_again(tmp_path, four, monkeypatch):
    from distributed import Future

    asked, result = [], Future.result

    def slowly(future, timeout=None):
        asked.append(future.key)
        if asked.count(future.key) == 1 and len(set(asked)) == 2:
            raise TimeoutError
        return result(future, timeout)

    monkeypatch.setattr(Future, "result", slowly)
    assert names(begin(tmp_path, four, shards(tmp_path, N))) == names_of(N) and len(asked) == N + 1


def test_the_scheduler_is_killed_and_the_command_run_again(tmp_path, four, monkeypatch):
    monkeypatch.setattr("galaxy_core.engine_dask.PATIENCE_S", 300)  # four processes start slowly on a busy machine
    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": PROJECT, "start_new_session": True}
    where = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = subprocess.Popen([*dask, "scheduler", "--port", "0", "--host", "127.0.0.1", *where], **quiet)
    worker = [*dask, "worker", "--nthreads", "1", "--nworkers", "4", *where]
    workers = subprocess.Popen(worker, **quiet)
    try:
        while not file.exists():
            assert scheduler.poll() is None
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        with (
            pytest.raises(EngineError, match=f"{address} was lost; what is done stays"),
            open_engine(scheduler=address) as engine,
        ):
            for number, _ in enumerate(begin(tmp_path, engine, shards(tmp_path, N, seconds=0.2))):
                if number == 2:
                    scheduler.kill()
    finally:
        for process in (scheduler, workers):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
    before = outputs(tmp_path)
    assert 3 <= len(before) < N and before.items() <= expected(N).items()
    list(begin(tmp_path, four, missing(tmp_path)))
    assert outputs(tmp_path) == expected(N)
    assert all(len(starts(tmp_path)[int(name.split(".")[0])]) == 1 for name in before)


def test_a_scheduler_that_is_not_there_is_one_sentence_and_what_is_waited_for_is_said(monkeypatch, capsys):
    monkeypatch.setattr("galaxy_core.engine_dask.PATIENCE_S", 0.5)
    engine = engine_of(Namespace(workers=0, scheduler="tcp://127.0.0.1:9"))
    assert "Waiting for the Dask scheduler tcp://127.0.0.1:9 and its workers, for 0.5 s" in capsys.readouterr().err
    with pytest.raises(EngineError, match=r"No Dask scheduler answers at tcp://127.0.0.1:9"):
        engine.__enter__()


def test_the_files_of_a_catalog_are_the_same_wherever_it_was_made(tmp_path, four):
    images = write_images(tmp_path / "images", 41, broken=(5, 16, 40))
    run(images, tmp_path / "here")
    result = run(images, tmp_path / "there", engine=four)
    assert result.manifest.n_galaxies == 38
    assert hashes(tmp_path / "there") == hashes(tmp_path / "here")
    assert run(images, tmp_path / "there", engine=four).unchanged


def test_an_image_that_kills_its_worker_is_named_with_exit_code_1(tmp_path, four, monkeypatch, capsys):
    from contextlib import nullcontext

    import galaxy_core.embedding
    import galaxy_core.pipeline

    images = write_images(tmp_path / "images", 41, broken=())
    Image.new("RGB", (20, 24)).save(images / "images" / "117.png")
    monkeypatch.setattr(galaxy_core.embedding, "find_model", lambda *_: None)
    monkeypatch.setattr(galaxy_core.embedding, "load_embedder", lambda *_: CRASHING)
    monkeypatch.setattr(galaxy_core.pipeline, "PipelineConfig", lambda **_: CONFIG)
    line = ["run_pipeline.py", f"folder:{images}", "--name", "dark", "--artifacts", str(tmp_path / "root")]
    monkeypatch.setattr(sys, "argv", [*line, "--workers", "4"])
    monkeypatch.setattr("scripts.engine_options.open_engine", lambda *_: nullcontext(four))
    assert runpy.run_path(str(PROJECT / "scripts" / "run_pipeline.py"), run_name="script")["main"]() == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "images shard 2 was given up after 3 tries" in said and "5 of 6 shards are done and stay" in said
    staged = tmp_path / "root" / ".staging" / "dark"
    assert len(list(staged.glob("embedding/crashing/part-*.parquet"))) == 5
    Image.new("RGB", (20, 24), (9, 9, 9)).save(images / "images" / "117.png")
    from galaxy_core.catalogs import read_catalog

    run_pipeline(read_catalog(f"folder:{images}"), CRASHING, tmp_path / "root", "dark", CONFIG, engine=four)
    assert artifacts.verify(tmp_path / "root", "dark") == [] and not list((tmp_path / "root").rglob("*.tmp"))


STOPPED = """
import sys
from functools import partial
from pathlib import Path
from galaxy_core.engine import each, map_shards, open_engine
from tests.engine_shards import load, shards, write
folder = Path(sys.argv[1])
try:
    with open_engine(workers=2) as engine:
        for outcome in map_shards(partial(each, write), shards(folder, 50, seconds=0.3), partial(load, folder), engine):
            print(outcome.shard.name, flush=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_ctrl_c_ends_it_with_all_its_workers(tmp_path):
    command = [sys.executable, "-c", STOPPED, str(tmp_path)]
    process = subprocess.Popen(
        command,
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    for _ in range(2):
        assert process.stdout.readline().startswith("shard ")
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to every process of the group
    assert process.wait(60) == 130
    done = outputs(tmp_path)
    assert 2 <= len(done) < 50 and done.items() <= expected(50).items()
    for pid in {pid for pids in starts(tmp_path).values() for pid in pids}:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def names_of(n: int) -> list[str]:
    return sorted(f"shard {k}" for k in range(n))
