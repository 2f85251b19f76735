"""The pipeline killed at any moment: the same files in the end, nothing stale, nothing half."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from galaxy_core import artifacts
from galaxy_core.catalogs import read_catalog
from galaxy_core.embedding import Embedder
from galaxy_core.pipeline import run_pipeline
from tests.pipeline_child import CONFIG, means, run
from tests.pipeline_runs import BROKEN, N, hashes

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def nursery():
    """A process that has imported everything and forks a run when asked."""
    command = [sys.executable, str(PROJECT / "tests" / "pipeline_child.py")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.communicate()


def run_apart(
    nursery, galaxy_folder: Path, root: Path, kill_after_s: float = 60, seed: int = 0, kill_at_rename: int = 0
) -> int:
    """Run the pipeline in a process of its own, which is killed after a while; how it ended."""
    nursery.stdin.write(f"{galaxy_folder}\t{root}\t{seed}\t{kill_at_rename}\n")
    nursery.stdin.flush()
    killer = threading.Timer(kill_after_s, os.kill, (int(nursery.stdout.readline()), signal.SIGKILL))
    killer.start()
    code = int(nursery.stdout.readline())
    killer.cancel()
    return code


@pytest.fixture(scope="module")
def length_s(nursery, galaxy_folder, tmp_path_factory) -> float:
    """Seconds that a run takes that nothing disturbs."""
    lengths = []
    for _ in range(2):
        started = time.perf_counter()
        assert run_apart(nursery, galaxy_folder, tmp_path_factory.mktemp("timed")) == 0
        lengths.append(time.perf_counter() - started)
    return min(lengths)


def test_killed_at_ten_random_moments_it_ends_with_the_same_files(
    nursery, galaxy_folder, pipeline_root, tmp_path, length_s
):
    """Ten runs, killed at moments spread over the length of one, each then run to its end."""
    rng, wanted, n_cut_short = np.random.default_rng(), hashes(pipeline_root), 0
    for number in range(10):
        root, started = tmp_path / str(number), time.perf_counter()
        code = run_apart(nursery, galaxy_folder, root, length_s * (number + rng.random()) / 10)
        n_cut_short += code == -signal.SIGKILL
        if code == 0:  # the machine is less busy than it was
            length_s = time.perf_counter() - started
        run(galaxy_folder, root)
        assert hashes(root) == wanted, f"killed in the {number + 1}th tenth"
    assert n_cut_short >= 5  # otherwise nothing was tested


def test_killed_again_and_again_it_still_gets_there(nursery, galaxy_folder, pipeline_root, tmp_path, length_s):
    """What is finished is not done again, so runs that are each killed at a third of the way come to an end."""
    codes = []
    while 0 not in codes and len(codes) < 30:
        share = min(1 / 3 + len(codes) / 60, 2 / 3)  # a busy machine needs longer, and still never the whole
        codes.append(run_apart(nursery, galaxy_folder, tmp_path, length_s * share))
    assert codes[0] == -signal.SIGKILL and codes[-1] == 0
    assert hashes(tmp_path) == hashes(pipeline_root)


@pytest.mark.parametrize("rename", [1, 2])
def test_killed_while_one_state_replaces_another(nursery, galaxy_folder, pipeline_root, tmp_path, rename):
    """Right after either rename there is one whole state to read, and the next run ends as it should."""
    root = tmp_path / "root"
    shutil.copytree(pipeline_root, root)
    assert run_apart(nursery, galaxy_folder, root, seed=1, kill_at_rename=rename) == -signal.SIGKILL
    assert artifacts.list_catalogs(root) == ["sample"]
    assert artifacts.verify(root, "sample") == []
    assert artifacts.read_manifest(root, "sample").seed == rename - 1
    assert len(artifacts.read_thumbnails(root, "sample", range(N - len(BROKEN)))) == N - len(BROKEN)
    run(galaxy_folder, root, seed=1)
    run(galaxy_folder, tmp_path / "other", seed=1)
    assert hashes(root) == hashes(tmp_path / "other")


def test_a_changed_model_redoes_everything(nursery, galaxy_folder, pipeline_root, tmp_path, length_s):
    """Also where the old model's shards are half there: they are never mixed."""
    run_apart(nursery, galaxy_folder, tmp_path, length_s / 3)
    other = Embedder("means", "version 2", 16, 12, lambda images: means(1 - images))
    run_pipeline(read_catalog(f"folder:{galaxy_folder}"), other, tmp_path, "sample", CONFIG)
    run_pipeline(read_catalog(f"folder:{galaxy_folder}"), other, tmp_path / "fresh", "sample", CONFIG)
    assert hashes(tmp_path / "sample") == hashes(tmp_path / "fresh/sample")
    assert hashes(tmp_path / "sample") != hashes(pipeline_root / "sample")
