"""The work behind the page of denoising: a process that gets ready, a place in the queue, work that is cancelled."""

from __future__ import annotations

import threading
import time

import pytest
from denoise_page import (
    PAGE,
    finished,
    metrics,
    png_bytes,
    upload,
    with_denoiser,
)


@pytest.fixture
def model_root(broken_root):
    return with_denoiser(broken_root)


def test_a_process_gets_ready_while_a_file_is_chosen(open_app, model_root, monkeypatch):
    """The model is loaded before there is an image, in the process that then works on it."""
    from pages.views import background

    queue = background.queue()
    queue._processes.end_waiting()
    app = open_app(model_root, PAGE)
    (pid,) = queue._processes.pids()
    assert not app.exception and not app.error
    upload(app, ("photo.png", png_bytes(55)))
    assert pid in queue._processes.pids()


def test_a_model_that_is_taken_away_meanwhile_is_missed_once_there_is_an_image(open_app, model_root, monkeypatch):
    from pages.views import denoise_work

    def gone(root):
        raise FileNotFoundError(root)

    monkeypatch.setattr(denoise_work, "first_job", gone)
    app = open_app(model_root, PAGE)
    assert not app.exception and not app.error


def test_cancelled_work_can_be_taken_up_again(open_app, model_root, monkeypatch):
    from galaxy_core.work_tasks import Task
    from pages.views import denoise_work

    real, hold = denoise_work.denoise_image, {"yes": True}

    def slow(image, model, sigma, progress, **more):
        while hold["yes"]:
            time.sleep(0.01)
            progress(0.1)
        return real(image, model, sigma, progress, **more)

    monkeypatch.setattr(denoise_work, "denoise_image", slow)
    here = lambda *parts, **more: Task(*parts, **more | {"apart": False})  # noqa: E731  another process has the real one
    monkeypatch.setattr(denoise_work, "Task", here)
    app = open_app(model_root, PAGE)
    app.get("file_uploader")[0].set_value([("slow.png", png_bytes(77), "image/png")]).run()
    assert not app.exception and metrics(app) == {}
    app.button(key="denoise-cancel").click().run()
    app.run()
    assert not app.exception and any("Stopped" in info.value for info in app.info)
    hold["yes"] = False
    finished(app.button(key="denoise-go-on").click().run())
    assert metrics(app)["Size"] == "50 x 40 px"


def test_the_place_in_the_queue_is_told_and_then_the_progress(open_app, model_root):
    from galaxy_core.work_tasks import Task
    from pages.views import background

    go = threading.Event()

    def hold(report):
        while not go.wait(0.01):
            report(0.5)

    queue = background.queue()
    others = [f"visitor-{n}" for n in range(queue.limits.running)]
    for other in others:  # one place each: how many one visitor may have depends on who was here before
        queue.want(other, [Task(f"held-by-{other}", "held", hold)])
    try:
        app = open_app(model_root, PAGE)
        app.get("file_uploader")[0].set_value([("photo.png", png_bytes(91), "image/png")]).run()
        assert not app.exception and metrics(app) == {}
        text = next(block.proto.text for block in app.get("progress"))
        assert text == r"photo\.png: waiting, next in the queue", "before the second job of who has some under way"
    finally:
        go.set()
    finished(app)
    assert metrics(app)["Size"] == "50 x 40 px"
    for other in others:
        queue.want(other, [])
