"""Run the whole test suite with Python 3.11 or newer: environment, packages and demo first, then pytest.

Whatever follows is passed on to pytest, and then one process runs it; the whole suite is shared among a few.
Example: python3 scripts/test.py tests/test_images.py -x
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

MOST_WORKERS = 4  # each keeps models in memory, and a browser
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def check_browser():
    """Stop where the browser tests must run and cannot; elsewhere they are skipped and say so."""
    if os.environ.get("CI", "").lower() in ("1", "true") and not any(shutil.which(name) for name in BROWSERS):
        raise SetupError(
            "CI is set but there is no Chromium for the browser tests; install it, for example with: apt-get install "
            "chromium"
        )


def whole_suite(n_cores):
    """What pytest is told when nobody says what to run: files go to whichever worker is free, in their order.

    By themselves those of few tests would come last, which are browsers' and long; so the short doctests do.
    """
    return ["--numprocesses", str(min(n_cores, MOST_WORKERS)), "--dist", "loadfile", "--no-loadscope-reorder"]


def main():
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    check_python()
    check_browser()
    python = prepare(lists=(REQUIREMENTS, CLUSTER_REQUIREMENTS))
    arguments, n_cores = sys.argv[1:], os.cpu_count() or 1
    if not arguments:
        arguments = whole_suite(n_cores)
        # workers whose libraries take all cores each would wait for one another
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, n_cores // MOST_WORKERS)))
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the tests' many processes would each compile all modules anew
    return subprocess.call([str(python), "-m", "pytest", *arguments], cwd=str(PROJECT))


if __name__ == "__main__":
    run_or_explain(main)
