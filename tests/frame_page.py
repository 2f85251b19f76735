"""What tests do with the page of frames: give it files, wait, and read what it says."""

from __future__ import annotations

import time

PAGE = "pages/6_Frame.py"
PATIENCE_S = 120


def finished(app):
    """The page once nothing is under way."""
    until = time.monotonic() + PATIENCE_S
    while any((one.key or "").endswith("-cancel") for one in app.button) and time.monotonic() < until:
        time.sleep(0.05)
        app.run()
    assert not app.exception
    return app


def upload(app, *files):
    app.get("file_uploader")[0].set_value([(name, data, "application/octet-stream") for name, data in files]).run()
    return finished(app)


def metrics(app) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def said(app) -> str:
    return " ".join(one.value for kind in (app.caption, app.markdown, app.error, app.info) for one in kind)


def texts(app) -> str:
    return " ".join(block.proto.body for block in app.get("html"))


def open_at(app, x: float, y: float):
    """Open the object at a place, as a click on it does."""
    app.session_state["sky-opened"] = ("a search", 0, x, y)
    return finished(app.run())
