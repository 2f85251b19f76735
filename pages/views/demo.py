"""Making the demo from the app: the pipeline as a process of its own, its progress shown, and a way to stop it."""

from __future__ import annotations

import atexit
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from galaxy_core import artifacts
from pages.views import commands

PROJECT = Path(__file__).resolve().parents[2]
N_GALAXIES = 2000
LAST_LINES = 8


@dataclass(frozen=True)
class DemoRun:
    """The running pipeline and the file its output goes to."""

    process: subprocess.Popen
    log: Path


@st.cache_resource
def _runs() -> dict[str, DemoRun]:
    """The run of each artifacts folder, shared by all visitors, so that two of them do not start it twice.

    They end with the program: what is made goes on from there when it is started again.
    """
    runs: dict[str, DemoRun] = {}
    atexit.register(_end_all, runs)
    return runs


def _end_all(runs: dict[str, DemoRun]) -> None:
    for run in runs.values():
        _end(run)
        run.log.unlink(missing_ok=True)


def command(root: Path) -> list[str]:
    """What makes the demo, with the Python that runs the app."""
    words = [sys.executable, "scripts/run_pipeline.py", f"synthetic:{N_GALAXIES}", "--name", "demo"]
    return words if root == PROJECT / "artifacts" else [*words, "--artifacts", str(artifacts.shown(root.resolve()))]


def offer(root: Path) -> None:
    """Say that there is nothing to show yet, and offer to make the demo."""
    st.info(f"No galaxies here yet: `{artifacts.shown(root)}` holds no catalog.", icon=":material/travel_explore:")
    with st.container(border=True):
        st.subheader("Make the demo")
        st.write(
            f"{N_GALAXIES:,} simulated galaxies of known shape are drawn, embedded, mapped and clustered on this"
            " computer. It takes a few minutes, and you can stop it at any time; nothing half made is left behind."
        )
        follow(str(root))
    st.caption(f"Or do it in a terminal, or with your own galaxies, and reload this page. {commands.TERMINAL}")
    st.code(shlex.join(["python", *command(root)[1:]]), language="bash")


@st.fragment(run_every=1.0)
def follow(root: str, words: tuple[str, ...] = (), label: str = "Make the demo") -> None:
    """The button, or the progress of the run it started, refreshed every second.

    ``words`` is the command, by default what makes the demo in the artifacts folder ``root``; with one, ``root`` may
    be anything that tells this run from others.
    """
    run = _runs().get(root)
    if run is None:
        st.button(label, type="primary", icon=":material/auto_awesome:", on_click=start, args=(root, words))
        return
    lines = tail(run.log)
    code = run.process.poll()
    if code is None:
        fraction, text = progress_of(lines)
        st.progress(fraction, text=text or "Starting …")
        st.button("Cancel", icon=":material/close:", on_click=cancel, args=(root,))
    elif code == 0:
        _runs().pop(root)
        run.log.unlink(missing_ok=True)
        st.rerun(scope="app")
    else:
        stopped = code == -signal.SIGTERM
        st.error(
            "Stopped; start again to go on from there." if stopped else (lines or ["It failed without a word."])[-1]
        )
        st.button("Try again", type="primary", icon=":material/refresh:", on_click=start, args=(root, words))
    if lines:
        st.code("\n".join(lines[-LAST_LINES:]), language=None)


def start(root: str, words: tuple[str, ...] = ()) -> None:
    """Start the pipeline, unless it runs already; see `follow`."""
    run = _runs().get(root)
    if run is not None:
        if run.process.poll() is None:
            return
        run.log.unlink(missing_ok=True)
    handle, log = tempfile.mkstemp(prefix="galaxy-atlas-demo-", suffix=".log")
    with os.fdopen(handle, "wb") as out:
        process = subprocess.Popen(
            words or command(Path(root)), cwd=PROJECT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    _runs()[root] = DemoRun(process, Path(log))


def cancel(root: str) -> None:
    """Stop the pipeline and everything it started."""
    run = _runs().get(root)
    if run is not None:
        _end(run)


def _end(run: DemoRun) -> None:
    if run.process.poll() is None:
        os.killpg(run.process.pid, signal.SIGTERM)
        run.process.wait(timeout=20)


def tail(log: Path, n_bytes: int = 8000) -> list[str]:
    """The last lines of a log; a progress bar that redraws itself counts once, as it stands now."""
    try:
        with log.open("rb") as handle:
            handle.seek(max(0, log.stat().st_size - n_bytes))
            text = handle.read().decode("utf-8", "replace")
    except FileNotFoundError:  # of a run that ended while another visitor looked on
        return []
    lines = (line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in text.split("\n"))
    return [re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line) for line in lines if line.strip()]


def progress_of(lines: list[str]) -> tuple[float, str]:
    """Fraction done of the current step, and its name, from the last progress bar.

    Examples
    --------
    >>> progress_of(["reading", "embedding:  42%|####      | 840/2000 [00:10<00:14]"])
    (0.42, 'embedding')
    >>> progress_of(["drawing galaxies"])
    (0.0, 'drawing galaxies')
    """
    if not lines:
        return 0.0, ""
    bar = re.search(r"^(.*?):?\s*(\d{1,3})%\|", lines[-1])
    if bar is None:
        return 0.0, lines[-1][:120]
    return min(int(bar.group(2)), 100) / 100, bar.group(1).strip() or "working"
