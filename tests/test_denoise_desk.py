"""The desk: turns among visitors, stopping, what is kept, and mistakes that must not stop it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from galaxy_core.errors import ImageError
from pages.views.denoise_desk import DONE, FAILED, GONE_S, RUNNING, STOPPED, WAITING, Desk, Task

PATIENCE_S = 20


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
    desk, log = Desk(), []
    desk.want("a", [quick("x", log)])
    assert desk.wait("x", PATIENCE_S) and desk.result("x") == Result("x")
    desk.want("b", [quick("x", log)])
    desk.want("a", [quick("x", log)])
    assert log == ["x"] and desk.standing("x").state == DONE


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

    desk = Desk(workers=1)
    desk.want("a", [Task("x", "x.png", run), quick("y")])
    assert desk.wait("y", PATIENCE_S) and desk.result("y") == Result("y")
    assert desk.standing("x").state == FAILED and desk.standing("x").error == said and desk.result("x") is None


def test_a_result_without_a_size_is_a_mistake_that_is_told():
    desk = Desk()
    desk.want("a", [Task("x", "x", lambda report: object())])
    assert desk.wait("x", PATIENCE_S) and desk.standing("x").state == FAILED


def test_what_nobody_wants_any_more_stops():
    desk, go, started = Desk(workers=1), threading.Event(), threading.Event()
    desk.want("a", [held("x", go, started), quick("y")])
    assert started.wait(PATIENCE_S) and desk.standing("x").state == RUNNING and desk.standing("y").state == WAITING
    desk.want("a", [])
    assert desk.wait("x", PATIENCE_S) and desk.standing("x").state == STOPPED == desk.standing("y").state
    desk.want("a", [quick("x")])
    assert desk.wait("x", PATIENCE_S) and desk.result("x") == Result("x"), "it can be asked for again"


def test_one_visitor_giving_up_does_not_stop_another():
    desk, go, started, seen = Desk(workers=1), threading.Event(), threading.Event(), []
    for visitor in ("a", "b"):
        desk.want(visitor, [held("x", go, started, seen)])
    assert started.wait(PATIENCE_S)
    desk.want("a", [])
    go.set()
    assert desk.wait("x", PATIENCE_S) and seen == ["x"] and desk.result("x") == Result("x")


def test_visitors_take_turns():
    desk, go, started, log = Desk(workers=1), threading.Event(), threading.Event(), []
    desk.want("a", [held("first", go, started), *(quick(f"a{n}", log) for n in range(5))])
    assert started.wait(PATIENCE_S)
    desk.want("b", [quick("b0", log), quick("b1", log)])
    go.set()
    assert desk.wait("a4", PATIENCE_S) and desk.wait("b1", PATIENCE_S)
    assert log.index("b0") < 2 and log.index("b1") < 5, "who comes later does not wait for all of the first one's files"


def test_two_visitors_get_their_own_results():
    desk = Desk()
    desk.want("a", [quick("x")])
    desk.want("b", [quick("y")])
    assert desk.wait("x", PATIENCE_S) and desk.wait("y", PATIENCE_S)
    assert (desk.result("x"), desk.result("y")) == (Result("x"), Result("y"))


def test_memory_is_bounded_and_what_is_looked_at_is_made_again():
    desk = Desk(workers=1, max_bytes=25)
    tasks = [quick(key) for key in "xyz"]
    desk.want("a", tasks)
    assert desk.wait("z", PATIENCE_S)
    assert [desk.result(key) is not None for key in "xyz"] == [False, True, True]
    desk.want("a", tasks)
    assert desk.standing("x").state == DONE, "not made again for the sake of it"
    desk.want("a", tasks, shown={"x"})
    assert desk.wait("x", PATIENCE_S) and desk.result("x") == Result("x") and desk.result("y") is None


def test_a_result_larger_than_the_bound_is_kept_alone():
    desk = Desk(workers=1, max_bytes=5)
    desk.want("a", [quick("x")])
    assert desk.wait("x", PATIENCE_S) and desk.result("x") == Result("x")


def test_work_of_a_visitor_who_left_stops_after_a_while():
    now, here = [0.0], {"a": True}
    desk = Desk(workers=1, is_here=lambda visitor: here[visitor], clock=lambda: now[0])
    go, started = threading.Event(), threading.Event()
    desk.want("a", [held("x", go, started)])
    assert started.wait(PATIENCE_S)
    here["a"] = False
    assert not desk.wait("x", 0.1), "a moment without a connection costs nothing"
    now[0] = GONE_S + 1
    assert desk.wait("x", PATIENCE_S) and desk.standing("x").state == STOPPED
