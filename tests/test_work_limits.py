"""How many jobs run at once and how many may wait: no more, no fewer, and who must be alone is."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from test_work_queue import PATIENCE_S, Result, held, quick

from galaxy_core.work_queue import WorkQueue
from galaxy_core.work_tasks import FAILED, WAITING, Limits


def running_at_once(queue: WorkQueue, n: int, wishes: dict[str, int]) -> dict[str, int]:
    """How many jobs of each visitor run at the same time, when each wishes for some that are held; ``n`` should."""
    go, started = threading.Event(), {visitor: [threading.Event() for _ in range(n)] for visitor, n in wishes.items()}
    for visitor in started:
        queue.want(visitor, [])  # who comes when all places are taken waits until a job has ended
    for visitor, events in started.items():
        queue.want(visitor, [held(f"{visitor}{n}", go, event) for n, event in enumerate(events)])
    for visitor, events in started.items():
        assert events[0].wait(PATIENCE_S), f"{visitor} got no place"
    end = time.monotonic() + PATIENCE_S
    while sum(event.is_set() for events in started.values() for event in events) < n and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)  # for one too many
    counts = {visitor: sum(event.is_set() for event in events) for visitor, events in started.items()}
    go.set()
    assert all(queue.wait(f"{visitor}{n - 1}", PATIENCE_S) for visitor, n in wishes.items())
    return counts


def test_so_many_jobs_run_at_once_and_no_more():
    assert running_at_once(WorkQueue(Limits(running=3)), 3, {"alone": 6}) == {"alone": 3}
    queue = WorkQueue(Limits(running=3))
    queue.want("looks", [])
    assert running_at_once(queue, 2, {"busy": 6}) == {"busy": 2}, "a place is left for who only looks so far"
    assert running_at_once(WorkQueue(Limits(running=3)), 3, {"busy": 6, "other": 6})["other"] >= 1


@pytest.mark.parametrize("n", [1, 2])
def test_one_place_is_never_left_empty_for_others(n):
    assert Limits(running=1).running_each(n) == 1 and Limits().running >= 2
    queue = WorkQueue(Limits(running=1))
    queue.want("looks", [])
    assert running_at_once(queue, 1, {"busy": n}) == {"busy": 1}


def test_beyond_what_may_wait_jobs_are_refused_and_let_in_later():
    queue, go, started = WorkQueue(Limits(running=1, waiting_each=2, waiting=3)), threading.Event(), threading.Event()
    queue.want("a", [held("a", go, started)])
    assert started.wait(PATIENCE_S)
    mine = [held("a", go), *(quick(f"a{n}") for n in range(3))]
    queue.want("a", mine)
    assert [queue.standing(f"a{n}").state for n in range(3)] == [WAITING, WAITING, FAILED]
    assert "2 of your files wait" in queue.standing("a2").error
    queue.want("b", [quick("b0"), quick("b1")])
    assert queue.standing("b0").state == WAITING and "The queue is full: 3 jobs" in queue.standing("b1").error
    go.set()
    assert queue.wait("b0", PATIENCE_S) and queue.wait("a1", PATIENCE_S)
    queue.want("a", mine)
    assert queue.wait("a2", PATIENCE_S) and queue.result("a2") == Result("a2")


def test_what_must_be_alone_waits_for_its_like_and_lets_others_pass():
    queue, go, started, log = WorkQueue(Limits(running=2)), threading.Event(), threading.Event(), []
    first, second = held("w1", go, started), quick("w2", log)
    queue.want("a", [replace(first, alone="write")])
    assert started.wait(PATIENCE_S)
    queue.want("b", [replace(second, alone="write"), quick("r", log)])
    assert queue.wait("r", PATIENCE_S) and log == ["r"] and queue.standing("w2").state == WAITING
    go.set()
    assert queue.wait("w2", PATIENCE_S) and log == ["r", "w2"]
