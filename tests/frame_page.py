"""What tests do with the page of frames: give it files, wait, and read what it says."""

from __future__ import annotations

from under_way import finished

from pages.views import background

PAGE = "pages/6_Frame.py"


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


def last_work():
    """The result that was made, or looked at, last."""
    return list(background.queue()._results._kept.values())[-1][0]
