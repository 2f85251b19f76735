"""Ranks forked from a process that imports everything once, for tests of many ranks: ``python tests/ranks_forked.py``.

For each line ``count<TAB>program<TAB>arguments`` on its standard input, tabs between the arguments too, it starts that
many ranks of `ranks_child` or `ranks_checks` with the environment that `torchrun` gives, and prints how each ended. As
with `torchrun` the others are killed when one fails.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch._dynamo  # noqa: F401 - which the first optimizer of a process imports, for two seconds
from torch.distributed import TCPStore

from galaxy_core.recipes import RECIPES, find_recipe
from tests import ranks_checks, ranks_child

PROGRAMS = {"train": ranks_child.main, "check": ranks_checks.main}
LONGEST_S = 300


def fork_rank(rank: int, count: int, port: int, program: Callable[[list[str]], None], arguments: list[str]) -> int:
    """Start one rank; the number of its process."""
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(LONGEST_S)
    os.dup2(2, 1)  # the standard output is for how ranks ended
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in places.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", TORCHELASTIC_USE_AGENT_STORE="True")
    try:
        program(arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def run_ranks(count: int, program: Callable[[list[str]], None], arguments: list[str]) -> list[int]:
    """Exit codes of all ranks, in the order in which they ended."""
    # here, as in `torchrun`: in the first rank it would end with it, before the others have left
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    running = {fork_rank(rank, count, store.port, program, arguments) for rank in range(count)}
    codes = []
    while running:
        pid, status = os.wait()
        running.remove(pid)
        codes.append(os.waitstatus_to_exitcode(status))
        if codes[-1]:
            for other in running:
                os.kill(other, signal.SIGKILL)
    return codes


if __name__ == "__main__":
    for recipe in RECIPES:
        find_recipe(recipe).module()
    for line in sys.stdin:
        count, program, *arguments = line.rstrip("\n").split("\t")
        print(*run_ranks(int(count), PROGRAMS[program], arguments), flush=True)
