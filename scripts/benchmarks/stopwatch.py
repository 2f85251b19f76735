"""A server, a browser and a stopwatch: what benchmarks of the pages drive the app with."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from galaxy_core.errors import GalaxyError

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE_MS = 120_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")  # as in scripts/test.py
VIEWPORT = {"width": 1440, "height": 900}
FLAGS = (
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
)
STOPWATCH = """([selector, text]) => {
    const watch = (window.stopwatch = { begun: null, ended: null });
    addEventListener("pointerdown", () => { watch.begun = performance.now(); }, { capture: true, once: true });
    new MutationObserver((_, observer) => {
        const found = [...document.querySelectorAll(selector)].some((element) => element.textContent.trim() === text);
        if (watch.begun === null || !found) return;
        watch.ended = performance.now();
        observer.disconnect();
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
}"""
ask = urllib.request.build_opener(urllib.request.ProxyHandler({})).open  # a server of this machine: through no proxy
IDLE = "() => !document.querySelector('[data-testid=stStatusWidget]') && !document.querySelector('[data-stale=true]')"


class NoBrowserError(GalaxyError):
    """There is nothing to drive."""


def find_chromium() -> str:
    """Path of Chromium, or of Chrome where there is only that; it may be given in GALAXY_ATLAS_CHROMIUM.

    Raises
    ------
    NoBrowserError
        It, or Playwright, is not installed.
    """
    installed = filter(None, map(shutil.which, BROWSERS))
    path = os.environ.get("GALAXY_ATLAS_CHROMIUM") or next(installed, "/usr/bin/chromium")
    if find_spec("playwright") is None:
        raise NoBrowserError("Playwright is not installed; install it with `pip install playwright`.")
    if not Path(path).exists():
        raise NoBrowserError(f"There is no Chromium at {path}; install it with `apt-get install chromium`.")
    return path


@contextmanager
def chromium() -> Iterator[object]:
    """A running Chromium; raises `NoBrowserError` where there is none."""
    path = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS), timeout=PATIENCE_MS)
        yield browser
        browser.close()


def free_port() -> int:
    """A port nobody listens at, below those that systems give to connections that go out meanwhile."""
    while True:
        with suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", random.SystemRandom().randrange(20_000, 30_000)))
            return free.getsockname()[1]


class Server:
    """A Streamlit server of its own, stopped on leaving; ``runs_itself``: the script is a program, as serve.py is."""

    def __init__(self, script: str | Path, folder: Path, *arguments: str, runs_itself: bool = False):
        port = free_port()
        self.url, self.log = f"http://127.0.0.1:{port}", folder / "streamlit.log"
        command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless", "true"]
        command += ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.fileWatcherType", "none"]
        command += ["--browser.gatherUsageStats", "false", "--", *arguments]
        if runs_itself:
            command = [sys.executable, str(script), "--port", str(port), *arguments]
        cwd = PROJECT if Path(script).parent == PROJECT else folder
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(command, cwd=cwd, stdout=out, stderr=out, start_new_session=True)

    def __enter__(self) -> Server:
        for _ in range(1200):
            if self.process.poll() is not None:
                break
            with suppress(OSError), ask(f"{self.url}/_stcore/health", timeout=2):
                return self
            time.sleep(0.05)
        self.__exit__()
        raise GalaxyError(f"The server did not start: {self.log.read_text(errors='replace')[-1000:]}")

    def __exit__(self, *_) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)

    def memory_mib(self) -> dict[str, float]:
        """Resident memory now and at its highest, in MiB, with all its processes; empty on a system without /proc."""
        now = peak = 0.0
        for process in self._processes():
            with suppress(OSError, KeyError):  # it may have ended just now
                lines = Path(f"/proc/{process}/status").read_text().splitlines()
                values = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Vm")}
                now, peak = now + values["VmRSS"], peak + values["VmHWM"]
        return {"now": round(now, 1), "peak": round(peak, 1)} if now else {}

    def processor_s(self) -> float:
        """Seconds of a processor the server and its processes have used; NaN on a system without /proc."""
        ticks = 0
        for process in self._processes():
            with suppress(OSError):
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))  # its own, and of those that have ended
        return ticks / os.sysconf("SC_CLK_TCK") if ticks else float("nan")

    def _processes(self) -> list[int]:
        """The server and what it has started."""
        found = [self.process.pid]
        for process in found:
            for threads in Path(f"/proc/{process}/task").glob("*/children"):
                with suppress(OSError):
                    found += map(int, threads.read_text().split())
        return found


class Visit:
    """A visitor with an empty browser cache: a page, the bytes its websocket received, and a stopwatch."""

    def __init__(self, browser):
        self.context = browser.new_context(viewport=VIEWPORT)
        self.context.set_default_timeout(PATIENCE_MS)
        self.page, self.received = self.context.new_page(), 0
        self.page.on("websocket", lambda socket: socket.on("framereceived", self._count))

    def _count(self, frame) -> None:
        self.received += len(frame)

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, kind, error, _) -> None:
        try:
            if kind is not None and kind.__name__ == "TimeoutError":
                says = " ".join(self.page.inner_text("body").split())[:600]
                awaited = str(error).splitlines()[-1].strip(" -")
                raise GalaxyError(f"The page did not answer ({awaited}); it says: {says}") from error
        finally:
            self.context.close()

    def hover(self, pixel_of, shown: str) -> None:
        """Move the mouse over a place, again and again while the page still settles, until something shows."""
        from playwright.sync_api import TimeoutError as NotYet

        for attempt in range(PATIENCE_MS // 100):
            x, y = pixel_of()
            self.page.mouse.move(x + attempt % 2, y)
            with suppress(NotYet):
                self.page.wait_for_selector(shown, timeout=100)
                return
        raise GalaxyError(f"Nothing showed under the mouse in {PATIENCE_MS / 1000:.0f} seconds.")

    def time_click(self, place: tuple[float, float], selector: str, text: str) -> float:
        """Milliseconds from pressing the mouse until an element says a text, measured in the page itself.

        From outside, how long it takes to look for the element would count too, and longer on the larger page.
        """
        self.page.evaluate(STOPWATCH, [selector, text])
        self.page.mouse.click(*place)
        self.page.wait_for_function("() => window.stopwatch.ended !== null")
        return self.page.evaluate("window.stopwatch.ended - window.stopwatch.begun")

    def rest(self) -> None:
        """Until nothing runs any more."""
        self.page.wait_for_function(IDLE)
        self.page.wait_for_timeout(400)
