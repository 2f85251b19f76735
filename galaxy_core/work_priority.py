"""Which threads go first where a processor cannot do all at once."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import MutableMapping

WAIT = "OMP_WAIT_POLICY"
NICE = 10  # of background work: a tenth of a processor's time where a page wants it, all where none does


def stand_back() -> None:
    """Let other threads of this process go first from now on: whoever clicks does not wait for another's image.

    Threads that this one starts, such as PyTorch's, do the same. Only Linux knows it of single threads.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(NICE, os.getpriority(os.PRIO_PROCESS, thread)))


def let_others_run(environment: MutableMapping[str, str]) -> None:
    """Have threads of OpenMP, which PyTorch works with, sleep while they wait for each other, unless it says otherwise.

    Of their own accord they turn in circles, which makes two jobs at the same time on two processors five times as slow
    as one after the other. It is read once, when PyTorch is loaded.
    """
    environment.setdefault(WAIT, "PASSIVE")
