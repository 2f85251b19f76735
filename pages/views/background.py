"""What all visitors share in the background: the one queue of work, and the tidying of memory."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import threading
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from galaxy_core.errors import GalaxyError
from galaxy_core.work_priority import let_others_run

if TYPE_CHECKING:
    from galaxy_core.work_queue import WorkQueue
    from galaxy_core.work_tasks import Limits

JOBS = "GALAXY_ATLAS_JOBS"
END_S = 10.0  # at the end of the program, for running jobs to finish their tile or file
FIRST_TIDY_S, LOOK_S, TIDY_S = 5.0, 60.0, 300.0
let_others_run(os.environ)  # before anything loads PyTorch
_MAKING, _untidy, _seen = threading.Lock(), threading.Event(), set()


def queue() -> WorkQueue:
    """The queue; what runs when the program ends is stopped in order."""
    with _MAKING:  # two visitors may be the first
        return _queue()


@cache
def _queue() -> WorkQueue:
    from galaxy_core.work_queue import WorkQueue  # pages that start no work do without

    made = WorkQueue(limits(os.environ), is_here=_is_here)
    atexit.register(made.close, END_S)
    return made


def limits(environ) -> Limits:
    """Jobs at the same time as the environment variable ``GALAXY_ATLAS_JOBS`` says; the usual number without it.

    Examples
    --------
    >>> limits({"GALAXY_ATLAS_JOBS": "3"}).running
    3
    """
    from galaxy_core.work_tasks import Limits

    text = environ.get(JOBS)
    if text is None:
        return Limits()
    if not text.isdecimal() or int(text) < 1:
        raise GalaxyError(f"{JOBS} is {text!r}; set it to the number of background jobs at the same time, such as 2.")
    return Limits(running=int(text))


def tidy_later() -> None:
    """Have memory tidied soon after this run of a page, which every page says when it begins.

    After each run Streamlit looks through all objects for garbage, and serves nobody else meanwhile: for 0.05 s with
    twenty visitors, 0.3 s with PyTorch. What has outlived the last run it need not look at again: that is set aside.
    """
    gc.freeze()
    with _MAKING:
        _seen.add(visitor())
    _untidy.set()
    if Runtime.exists():
        with _MAKING:
            _start_tidying()


@cache
def _start_tidying() -> None:
    threading.Thread(target=_tidy_on, name="tidy", daemon=True).start()


def _tidy_on() -> None:
    pause, last = FIRST_TIDY_S, -TIDY_S
    while True:
        _untidy.wait()
        time.sleep(pause)
        _untidy.clear()
        if somebody_left() or time.monotonic() - last > TIDY_S:
            tidy()
            last = time.monotonic()
        pause = LOOK_S


def somebody_left() -> bool:
    """Whether anyone who looked at a page has gone since the last time this was asked."""
    with _MAKING:
        gone = {one for one in _seen if not _is_here(one)}
        _seen.difference_update(gone)
    return bool(gone)


def tidy() -> None:
    """Collect the garbage in what was set aside, most of which visitors who left have left behind."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    with suppress(OSError, AttributeError):  # only glibc keeps freed memory, and can be asked for it
        ctypes.CDLL(None).malloc_trim(0)


def visitor() -> str:
    """Who is looking."""
    context = get_script_run_ctx()
    return context.session_id if context else "nobody"


def _is_here(session: str) -> bool:
    return not Runtime.exists() or Runtime.instance().is_active_session(session)
