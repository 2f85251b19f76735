"""Run the whole test suite on any machine with Python 3.11: environment, packages and demo first, then pytest.

The whole suite runs in one process a processor, four at most. Whatever follows is passed on to pytest instead, in one
process. Example: python3 scripts/test.py tests/test_images.py -x
"""

import os
import shutil
import subprocess
import sys

from environment import (
    CLUSTER_REQUIREMENTS,
    PROJECT,
    REQUIREMENTS,
    SetupError,
    check_python,
    prepare,
    run_or_explain,
)

MOST_WORKERS = 4  # each grows to 2 GB
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def check_browser():
    """Stop where the browser tests must run and cannot; elsewhere they are skipped and say so."""
    if os.environ.get("CI", "").lower() in ("1", "true") and not any(shutil.which(name) for name in BROWSERS):
        raise SetupError(
            "CI is set but there is no Chromium for the browser tests; install it, for example with: apt-get install "
            "chromium"
        )


def in_parallel(environ):
    """Options and environment of pytest for the whole suite: files of tests go to several processes."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(processors, MOST_WORKERS)
    if workers < 2:
        return [], environ
    # each would start a thread for every processor, and they would wait for one another
    threads = {"OMP_NUM_THREADS": str(processors // workers)}
    # the files with most tests are not those that take longest: as they come, slow ones are spread over the whole run
    options = ["--numprocesses", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"]
    return options, dict(threads, **environ)


def main():
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    check_python()
    check_browser()
    python = prepare(lists=(REQUIREMENTS, CLUSTER_REQUIREMENTS))
    options, environ = (sys.argv[1:], os.environ) if sys.argv[1:] else in_parallel(os.environ)
    return subprocess.call([str(python), "-m", "pytest", *options], cwd=str(PROJECT), env=dict(environ))


if __name__ == "__main__":
    run_or_explain(main)
