"""The load benchmark: marks that survive, numbers of all visitors together, and a watch that sees what is foreign."""

from __future__ import annotations

import io
import json
import subprocess
import time
import urllib.request

import numpy as np
import pytest
from PIL import Image

from galaxy_core.work_tasks import Standing
from pages.views.denoise_files import place_text
from scripts.benchmarks import load, load_marks
from scripts.benchmarks.load_relay import Answer
from scripts.benchmarks.load_visitor import PLACE, Seen, Visitor
from tests.event_loops import run_apart
from tests.file_server import serving


def test_marks_are_read_from_pictures_and_from_smoothed_ones():
    from scipy.ndimage import gaussian_filter

    seen = set()
    for visitor, turn in ((0, 0), (1, 2), (2, 1), (20, 7), (255, 255)):
        data = load_marks.picture(visitor, turn)
        assert data == load_marks.picture(visitor, turn) and load_marks.read_mark(data) == (visitor, turn)
        smooth = gaussian_filter(np.asarray(Image.open(io.BytesIO(data)), dtype=float), (0.7, 0.7, 0))
        buffer = io.BytesIO()
        Image.fromarray(smooth.astype(np.uint8)).save(buffer, "PNG")
        assert load_marks.read_mark(buffer.getvalue()) == (visitor, turn)
        seen.add(data)
    assert len(seen) == 5


def test_a_server_of_this_machine_is_asked_through_no_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # that of urlopen, made before
    with serving() as server:
        server.files["/health"] = json.dumps({"queue": {"waiting": 3, "visitors": 1}}).encode()
        assert load._health(server)["waiting"] == 3


def test_times_of_all_visitors_are_taken_together():
    seen = [Seen(clicks=[1.0, 2.0], places=[4]), Seen(clicks=[3.0], errors=["e"], foreign=["f"])]
    found = load.summary(seen, [])
    assert found["clicks"] == {"n": 3, "median_s": 2.0, "p95_s": 2.9} and found["denoised"] == {"n": 0}
    assert found["last_place"] == 4 and (found["errors"], found["foreign"]) == (["e"], ["f"])


def served(seconds: float) -> dict:
    """What is found of a visitor whose browser took 2 s over a click, of which the server took so long."""
    return load.summary([Seen(7, clicks=[2.0], spans=[(10.0, 12.0)])], [Answer(7, 10.5, 10.5 + seconds)])


def found_of(**changes) -> dict:
    alone = load.summary([Seen(clicks=[1.0])], [])
    crowd = load.summary([Seen(clicks=[2.0], lassos=[1.0])], [])
    witness = load.summary([Seen(clicks=[3.0])], [])
    found = {"alone": alone, "witness": witness, "crowd": crowd, "users": 1, "log_errors": 0, "exit_code": 0}
    return found | {"memory_start_mib": 100.0, "memory_end_mib": 109.0} | changes


@pytest.mark.parametrize(
    ("changes", "beyond"),
    [
        ({}, None),
        ({"crowd": load.summary([Seen(clicks=[9.0])], [])}, None),
        ({"witness": load.summary([Seen(clicks=[3.1])], [])}, "click to card"),
        ({"witness": load.summary([Seen()], [])}, "visitors without a click"),
        ({"crowd": load.summary([Seen(clicks=[1.0], errors=["x"])], [])}, "errors"),
        ({"crowd": load.summary([Seen(clicks=[1.0], foreign=["x"])], [])}, "things of other visitors"),
        ({"crowd": load.summary([Seen()], [])}, "visitors without a click"),
        ({"alone": served(0.1), "crowd": served(0.2)}, None),
        ({"alone": served(0.1), "crowd": served(0.4)}, "server's part"),
        ({"memory_end_mib": 111.0}, "memory"),
        ({"log_errors": 1}, "errors"),
        ({"exit_code": -9}, "errors"),
    ],
)
def test_each_limit_is_judged(changes, beyond):
    broken = [limit["what"] for limit in load.judge(found_of(**changes)) if not limit["holds"]]
    assert len(broken) == (beyond is not None) and all(what.startswith(beyond) for what in broken)


class FakePage:
    """A page that says something, with galaxies marked on its map."""

    def __init__(self, text: str, rows: list[int]):
        self.text, self.rows = text, rows

    async def inner_text(self, selector: str) -> str:
        return self.text

    async def evaluate(self, script: str) -> list[int]:
        return self.rows

    def locator(self, selector: str) -> FakePage:
        return self

    async def all(self) -> list:
        return []


@pytest.mark.parametrize(
    ("text", "rows", "said"),
    [
        ("visitor-3-1.png done", [1, 2], None),
        ("", [], None),
        ("visitor-3-1.png visitor-13-1.png", [1, 2], "uploads of ['13']"),
        ("visitor-3-1.png", [1, 3], "another selection"),
    ],
)
def test_what_is_foreign_is_seen(text, rows, said):
    visitor = Visitor(3, None, "", np.zeros((2, 5)), np.arange(5), 1.0, 1.0)
    visitor.page, visitor.chosen = FakePage(text, rows), frozenset({1, 2})
    run_apart(visitor.check("now"))
    assert len(visitor.seen.foreign) == (said is not None) and all(said in one for one in visitor.seen.foreign)


def test_the_words_of_the_page_are_understood():
    told = [PLACE.search(place_text(Standing("waiting", place=place)))[1] for place in (1, 2, 13, 21)]
    assert told == ["next", "2", "13", "21"]


def test_browsers_of_the_crowd_stand_back_in_and_among_sessions(tmp_path):
    """The program that the script runs here tells its priorities, where a browser would be."""

    def told(command) -> str:
        return subprocess.run(command, capture_output=True, text=True, start_new_session=True).stdout

    own = "cat /proc/self/autogroup"
    if not told(["sh", "-c", f"echo 19 > /proc/self/autogroup; {own}"]).endswith("nice 19\n"):
        pytest.skip("sessions have no priority of their own on this system")
    script, inner = tmp_path / "crowd", tmp_path / "browser"
    inner.write_text(f"#!/bin/sh\n{own}\n")
    script.write_text(load.STAND_BACK.format(path=inner))
    for file in (script, inner):
        file.chmod(0o700)
    time.sleep(0.2)  # the system takes one change of these in a tenth of a second
    assert told([script]).endswith("nice 19\n")
