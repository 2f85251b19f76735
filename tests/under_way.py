"""Pages with work under way, as tests wait for them."""

from __future__ import annotations

import time

PATIENCE_S = 120


def finished(app):
    """The page once nothing is under way."""
    until = time.monotonic() + PATIENCE_S
    while is_under_way(app) and time.monotonic() < until:
        time.sleep(0.05)
        app.run()
    assert not app.exception and not is_under_way(app)
    return app


def is_under_way(app) -> bool:
    """Whether there is something to cancel."""
    return any((button.key or "").endswith("-cancel") for button in app.button)
