"""Background work lets pages go first, with all threads it starts."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from galaxy_core.work_priority import NICE
from galaxy_core.work_queue import WorkQueue
from galaxy_core.work_tasks import Task

PATIENCE_S = 20


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority of their own")
def test_work_and_its_threads_stand_back_and_pages_do_not():
    found = []

    def look() -> None:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    def run(report):
        look()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    before, queue = os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), WorkQueue()
    queue.want("a", [Task("x", "x", run)])
    assert queue.wait("x", PATIENCE_S)
    look()
    assert found == [max(before, NICE), max(before, NICE), before]
