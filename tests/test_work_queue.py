"""The queue: turns among visitors, places, stopping, what is kept, and mistakes that must not stop it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import pytest

from galaxy_core.errors import ImageError
from galaxy_core.work_queue import AWAY_S, GONE_S, WorkQueue
from galaxy_core.work_tasks import DONE, FAILED, RUNNING, STOPPED, WAITING, Limits, Task

PATIENCE_S = 120


@dataclass(frozen=True)
class Result:
    """Of a size."""

    name: str
    nbytes: int = 10


def quick(key: str, log: list | None = None) -> Task:
    def run(report):
        if log is not None:
            log.append(key)
        return Result(key)

    return Task(key, f"{key}.png", run)


def held(key: str, go: threading.Event, started: threading.Event | None = None, seen: list | None = None) -> Task:
    """Work that reports again and again until it may end."""

    def run(report):
        if started:
            started.set()
        while not go.wait(0.005):
            report(0.5)
        if seen is not None:
            seen.append(key)
        return Result(key)

    return Task(key, key, run)


def test_work_is_done_once_and_its_result_kept():
    queue, log = WorkQueue(), []
    queue.want("a", [quick("x", log)])
    assert queue.wait("x", PATIENCE_S) and queue.result("x") == Result("x")
    queue.want("b", [quick("x", log)])
    queue.want("a", [quick("x", log)])
    assert log == ["x"] and queue.standing("x").state == DONE


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (ImageError("x.png is no image."), "x.png is no image."),
        (MemoryError(), "x.png does not fit into this computer's memory; cut out a smaller region first."),
        (ZeroDivisionError("secret"), "x.png could not be worked on (ZeroDivisionError); the log says more."),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_the_next_goes_on(problem, said):
    def run(report):
        raise problem

    queue = WorkQueue(Limits(running=1))
    queue.want("a", [Task("x", "x.png", run), quick("y")])
    assert queue.wait("y", PATIENCE_S) and queue.result("y") == Result("y")
    assert queue.standing("x").state == FAILED and queue.standing("x").error == said and queue.result("x") is None


def test_what_went_wrong_is_tried_again_by_who_comes_anew_and_by_nobody_else():
    """Too little memory may pass; the page, loaded again, is another visitor, and the one before stays for a while."""
    queue, log = WorkQueue(), []

    def run(report):
        log.append("x")
        if len(log) == 1:
            raise MemoryError
        return Result("x")

    task = Task("x", "x.png", run)
    for _ in range(3):  # reruns of the page
        queue.want("a", [task])
        assert queue.wait("x", PATIENCE_S) and queue.standing("x").state == FAILED
    queue.want("b", [task])
    assert queue.wait("x", PATIENCE_S) and queue.result("x") == Result("x") and log == ["x", "x"]
    queue.want("a", [task])
    assert queue.standing("x").state == DONE and log == ["x", "x"]


def test_a_result_without_a_size_is_a_mistake_that_is_told():
    queue = WorkQueue()
    queue.want("a", [Task("x", "x", lambda report: object())])
    assert queue.wait("x", PATIENCE_S) and queue.standing("x").state == FAILED


def test_what_nobody_wants_any_more_stops():
    queue, go, started = WorkQueue(Limits(running=1)), threading.Event(), threading.Event()
    queue.want("a", [held("x", go, started), quick("y")])
    assert started.wait(PATIENCE_S) and queue.standing("x").state == RUNNING and queue.standing("y").state == WAITING
    queue.want("a", [])
    assert queue.wait("x", PATIENCE_S) and queue.standing("x").state == STOPPED == queue.standing("y").state
    queue.want("a", [quick("x")])
    assert queue.wait("x", PATIENCE_S) and queue.result("x") == Result("x"), "it can be asked for again"


def test_one_visitor_giving_up_does_not_stop_another():
    queue, go, started, seen = WorkQueue(Limits(running=1)), threading.Event(), threading.Event(), []
    for visitor in ("a", "b"):
        queue.want(visitor, [held("x", go, started, seen)])
    assert started.wait(PATIENCE_S)
    queue.want("a", [])
    go.set()
    assert queue.wait("x", PATIENCE_S) and seen == ["x"] and queue.result("x") == Result("x")


def test_visitors_take_turns():
    queue, go, started, log = WorkQueue(Limits(running=1)), threading.Event(), threading.Event(), []
    queue.want("a", [held("first", go, started), *(quick(f"a{n}", log) for n in range(5))])
    assert started.wait(PATIENCE_S)
    queue.want("b", [quick("b0", log), quick("b1", log)])
    go.set()
    assert queue.wait("a4", PATIENCE_S) and queue.wait("b1", PATIENCE_S)
    assert log.index("b0") < 2 and log.index("b1") < 5, "who comes later does not wait for all of the first one's files"


def test_two_visitors_get_their_own_results():
    queue = WorkQueue()
    queue.want("a", [quick("x")])
    queue.want("b", [quick("y")])
    assert queue.wait("x", PATIENCE_S) and queue.wait("y", PATIENCE_S)
    assert (queue.result("x"), queue.result("y")) == (Result("x"), Result("y"))


def test_memory_is_bounded_and_what_is_looked_at_is_made_again():
    queue = WorkQueue(Limits(running=1, max_bytes=25))
    tasks = [quick(key) for key in "xyz"]
    queue.want("a", tasks)
    assert queue.wait("z", PATIENCE_S)
    assert [queue.result(key) is not None for key in "xyz"] == [False, True, True]
    queue.want("a", tasks)
    assert queue.standing("x").state == DONE, "not made again for the sake of it"
    queue.want("a", tasks, shown={"x"})
    assert queue.wait("x", PATIENCE_S) and queue.result("x") == Result("x") and queue.result("y") is None


def test_a_result_larger_than_the_bound_is_kept_alone():
    queue = WorkQueue(Limits(running=1, max_bytes=5))
    queue.want("a", [quick("x")])
    assert queue.wait("x", PATIENCE_S) and queue.result("x") == Result("x")


def test_work_of_a_visitor_who_left_stops_after_a_while():
    now, here = [0.0], {"a": True}
    queue = WorkQueue(Limits(running=1), is_here=lambda visitor: here[visitor], clock=lambda: now[0])
    go, started = threading.Event(), threading.Event()
    queue.want("a", [held("x", go, started)])
    assert started.wait(PATIENCE_S)
    here["a"] = False
    assert not queue.wait("x", 0.1), "a moment without a connection costs nothing"
    now[0] = GONE_S + 1
    assert queue.wait("x", PATIENCE_S) and queue.standing("x").state == STOPPED


def test_who_left_for_a_moment_makes_room_for_those_who_wait():
    """As whoever loads a page anew, and is another visitor then."""
    now, here = [0.0], {"a": True, "b": True}
    queue = WorkQueue(Limits(running=1), is_here=lambda visitor: here[visitor], clock=lambda: now[0])
    go, started = threading.Event(), threading.Event()
    queue.want("a", [held("x", go, started)])
    assert started.wait(PATIENCE_S)
    queue.want("b", [quick("y")])
    here["a"], now[0] = False, AWAY_S - 1
    assert not queue.wait("y", 0.1) and queue.standing("x").state == RUNNING
    here["b"], now[0] = False, AWAY_S + 1
    assert not queue.wait("y", 0.1), "nobody is here who waits"
    here["b"] = True
    assert queue.wait("y", PATIENCE_S) and queue.standing("x").state == STOPPED


# ---------------------------------------------------------------- places and turns


def test_the_place_in_the_queue_is_told_and_moves_up():
    queue, go, started = WorkQueue(Limits(running=1)), threading.Event(), threading.Event()
    queue.want("a", [held("a0", go, started), quick("a1"), quick("a2")])
    assert started.wait(PATIENCE_S)
    assert [queue.standing(key).place for key in ("a0", "a1", "a2")] == [0, 1, 2]
    queue.want("b", [quick("b0"), quick("b1")])
    assert [queue.standing(key).place for key in ("b0", "b1", "a1", "a2")] == [1, 3, 2, 4]
    queue.want("b", [quick("b1")])
    assert [queue.standing(key).place for key in ("b1", "a1", "a2")] == [1, 2, 3], "who cancels leaves the queue"
    assert queue.standing("b0").state == STOPPED
    go.set()
    assert queue.wait("a2", PATIENCE_S) and queue.standing("a2").place == 0


def test_pages_have_wishes_of_their_own_and_places_in_one_queue():
    queue, go, started = WorkQueue(Limits(running=1)), threading.Event(), threading.Event()
    queue.want("a", [held("x", go, started)], topic="denoise")
    assert started.wait(PATIENCE_S)
    queue.want("a", [quick("y")], topic="frame")
    assert queue.standing("x").state == RUNNING and queue.standing("y").place == 1
    queue.want("a", [], topic="frame")
    assert queue.standing("x").state == RUNNING and queue.standing("y").state == STOPPED
    go.set()
    assert queue.wait("x", PATIENCE_S) and queue.result("x") == Result("x")


# ---------------------------------------------------------------- limits


# ---------------------------------------------------------------- visitors who leave, and the end


def test_a_visitor_who_left_is_dropped_with_all_that_was_kept():
    now, here = [0.0], {"a": True, "b": True}
    queue = WorkQueue(Limits(running=1), is_here=lambda visitor: here[visitor], clock=lambda: now[0])
    go, started = threading.Event(), threading.Event()
    queue.want("a", [quick("a"), quick("both"), held("x", go, started), quick("a2")])
    queue.want("b", [quick("both")])
    assert started.wait(PATIENCE_S) and queue.counts()["visitors"] == 2
    here["a"], now[0] = False, GONE_S + 1
    queue.sweep()
    assert queue.wait("x", PATIENCE_S) and queue.standing("a2").state == STOPPED
    queue.sweep()
    assert queue.result("a") is None and queue.result("both") == Result("both")
    assert queue.counts() == {RUNNING: 0, WAITING: 0, "visitors": 1, "result_bytes": 10}


def test_work_that_cannot_report_is_told_to_stop_and_what_stays_is_finished():
    now, here, told = [0.0], {"a": True}, threading.Event()
    queue = WorkQueue(Limits(running=2), is_here=lambda visitor: here[visitor], clock=lambda: now[0])
    go, started, begun = threading.Event(), threading.Event(), threading.Event()

    def work(report):
        begun.set()
        told.wait(PATIENCE_S)

    silent = Task("silent", "silent", work, stop=told.set)
    queue.want("a", [silent, replace(held("save", go, started), stays=True)])
    assert started.wait(PATIENCE_S) and begun.wait(PATIENCE_S)
    here["a"], now[0] = False, GONE_S + 1
    queue.sweep()
    assert told.is_set() and queue.wait("silent", PATIENCE_S)
    assert queue.standing("save").state == RUNNING
    go.set()
    assert queue.wait("save", PATIENCE_S) and queue.standing("save").state in (DONE, STOPPED)


def test_closing_stops_at_the_next_report_and_starts_nothing_more():
    queue, go, started, log = WorkQueue(Limits(running=1)), threading.Event(), threading.Event(), []
    queue.want("a", [held("x", go, started, log), quick("y", log)])
    assert started.wait(PATIENCE_S)
    assert queue.close(PATIENCE_S) and log == []
    assert queue.counts() | {"visitors": 0} == {RUNNING: 0, WAITING: 0, "visitors": 0, "result_bytes": 0}
    queue.want("a", [quick("z", log)])
    assert queue.close(PATIENCE_S) and log == []


def test_closing_waits_no_longer_than_it_may():
    queue, go, started = WorkQueue(Limits(running=1)), threading.Event(), threading.Event()

    def deaf(report):
        started.set()
        go.wait(PATIENCE_S)

    queue.want("a", [Task("x", "x", deaf)])
    assert started.wait(PATIENCE_S)
    assert not queue.close(0.05)
    go.set()
    assert queue.close(PATIENCE_S)
