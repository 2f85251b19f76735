"""Tasks of the laboratory in processes of their own: shared, stopped, remembered, and in the queue of all work."""

from __future__ import annotations

import time
from dataclasses import replace

from galaxy_core import laboratory
from galaxy_core.laboratory import CANCELLED, DONE, FAILED, Task
from galaxy_core.work_queue import GONE_S, WorkQueue
from galaxy_core.work_tasks import Limits

KMEANS = {"method": "kmeans", "space": "embedding", "params": {"n_clusters": 3, "n_init": 2}}


def wait_for(condition, seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def ended(place: laboratory.Laboratory, job: laboratory.Job) -> None:
    wait_for(lambda: job.is_over)
    assert place.queue.wait(job.ticket, 60)


def test_tasks_are_shared_stopped_and_remembered(tiny_root):
    place = laboratory.open_laboratory(WorkQueue())
    task = Task("cluster", str(tiny_root), "tiny", settings=KMEANS)
    first = laboratory.submit(place, task, "anna")
    assert laboratory.submit(place, replace(task), "ben") is first  # the same is computed once
    laboratory.cancel(place, first, "anna")
    ended(place, first)
    assert first.state == DONE and len(first.trial.labels) == 90  # ben still waited for it
    assert laboratory.submit(place, task, "carl") is first
    long = replace(task, kind="sweep", parameter="n_clusters", values=tuple(range(2, 60)))
    other = laboratory.submit(place, replace(long, settings={**KMEANS, "params": {"n_init": 50}}), "anna")
    wait_for(lambda: other.rows)
    laboratory.cancel(place, other, "anna")
    ended(place, other)
    assert other.state == CANCELLED and other.process.poll() is not None and 0 < len(other.rows) < 58
    bad = replace(task, settings={**KMEANS, "params": {"n_clusters": 91}})
    failed = laboratory.submit(place, bad, "anna")
    ended(place, failed)
    assert failed.state == FAILED and "fewer clusters" in failed.error
    assert laboratory.submit(place, bad, "anna") is not failed


def test_a_process_that_dies_is_a_sentence(tiny_root, monkeypatch):
    monkeypatch.setattr(laboratory.sys, "executable", "/bin/false")
    place = laboratory.open_laboratory(WorkQueue())
    job = laboratory.submit(place, Task("cluster", str(tiny_root), "tiny", settings=KMEANS), "a")
    ended(place, job)
    assert job.state == FAILED and "without a result" in job.error


def test_computations_wait_in_the_queue_of_all_work_and_go_with_their_visitor(tiny_root):
    now, here = [0.0], {"anna": True, "ben": True}
    queue = WorkQueue(Limits(running=1), is_here=lambda visitor: here[visitor], clock=lambda: now[0])
    place = laboratory.open_laboratory(queue)
    sweep = {"parameter": "n_clusters", "values": tuple(range(2, 60))}
    settings = {**KMEANS, "params": {"n_init": 50}}
    long = laboratory.submit(place, Task("sweep", str(tiny_root), "tiny", settings=settings, **sweep), "anna")
    wait_for(lambda: long.state == laboratory.RUNNING)
    second = laboratory.submit(place, Task("cluster", str(tiny_root), "tiny", settings=KMEANS), "ben")
    dropped = laboratory.submit(place, Task("cluster", str(tiny_root), "tiny", settings=settings), "ben")
    assert [laboratory.place_of(place, job) for job in (long, second, dropped)] == [0, 1, 2]
    laboratory.cancel(place, dropped, "ben")
    assert dropped.state == CANCELLED and laboratory.place_of(place, dropped) == 0
    here["anna"], now[0] = False, GONE_S + 1
    queue.sweep()
    ended(place, second)
    assert second.state == DONE and long.state == CANCELLED and long.process.poll() is not None


def test_a_computation_that_is_refused_says_why(tiny_root):
    place = laboratory.open_laboratory(WorkQueue(Limits(waiting=0)))
    job = laboratory.submit(place, Task("cluster", str(tiny_root), "tiny", settings=KMEANS), "anna")
    assert job.state == FAILED and "queue is full" in job.error
