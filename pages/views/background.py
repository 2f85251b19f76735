"""The one queue of background work that all visitors and pages share, and who is asking."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import threading
from contextlib import suppress
from functools import cache

from streamlit.runtime import Runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from galaxy_core.errors import GalaxyError
from galaxy_core.work_queue import WorkQueue
from galaxy_core.work_tasks import Limits

JOBS = "GALAXY_ATLAS_JOBS"
END_S = 10.0  # at the end of the program, for running jobs to finish their tile or file


_MAKING = threading.Lock()


def queue() -> WorkQueue:
    """The queue; what runs when the program ends is stopped in order."""
    with _MAKING:  # two visitors may be the first
        return _queue()


@cache
def _queue() -> WorkQueue:
    made = WorkQueue(limits(os.environ), is_here=_is_here, when_left=tidy)
    atexit.register(made.close, END_S)
    return made


def limits(environ) -> Limits:
    """Jobs at the same time as the environment variable ``GALAXY_ATLAS_JOBS`` says; the usual number without it.

    Examples
    --------
    >>> limits({"GALAXY_ATLAS_JOBS": "3"}).running
    3
    """
    text = environ.get(JOBS)
    if text is None:
        return Limits()
    if not text.isdecimal() or int(text) < 1:
        raise GalaxyError(f"{JOBS} is {text!r}; set it to the number of background jobs at the same time, such as 2.")
    return Limits(running=int(text))


def tidy() -> None:
    """Give back the memory of visitors who left: what was set aside while they were here may be theirs."""
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
