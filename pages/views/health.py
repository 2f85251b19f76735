"""The answer of ``/health`` for whoever watches the server, and the end of the server in order."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from galaxy_core.health import DOWN, check
from pages.views import background


async def answer(request: Request) -> JSONResponse:
    """What `galaxy_core.health.check` finds, with status 503 where the app is down."""
    found = await run_in_threadpool(_check)
    return JSONResponse(found, 503 if found["status"] == DOWN else 200, {"Cache-Control": "no-store"})


def _check() -> dict:
    from pages.views import frame  # its caches want a server that runs

    return check(frame.artifacts_root(sys.argv[1:]), background.queue())


@asynccontextmanager
async def lifespan(app: object) -> AsyncIterator[None]:
    """When the server ends, so does the work in the background: each job after the tile or the file it is at."""
    yield
    await run_in_threadpool(background.queue().close, background.END_S)
