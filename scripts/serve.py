"""Serve the app to several people: as `streamlit run app.py`, with `/health`, and ended in order by SIGTERM.

Example: python scripts/serve.py --address 0.0.0.0 --port 8501 --artifacts /data/artifacts
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.addresses import is_address
from galaxy_core.artifacts import root_of
from galaxy_core.errors import GalaxyError
from pages.views import background, health

PROJECT = Path(__file__).resolve().parents[1]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1", help="of this machine's network; there are no passwords")
    parser.add_argument("--port", type=int, default=8501, help="where the app answers (%(default)s)")
    parser.add_argument("--artifacts", default=str(PROJECT / "artifacts"), help="catalogs and models (beside app.py)")
    options = parser.parse_args()
    if not 1 <= options.port <= 65535:
        parser.error(f"a port is a number from 1 to 65535, not {options.port}")
    try:
        background.limits(os.environ)
    except GalaxyError as error:
        parser.error(str(error))
    return options


def check_place(address: str, port: int) -> None:
    """Raise `GalaxyError` where nothing can listen; Streamlit would end with a traceback."""
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as listener:
            if os.name == "posix":  # lets a port that was left a moment ago be used again
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
    except OSError as error:
        raise GalaxyError(
            f"The app cannot answer at {address}, port {port} ({error.strerror}); choose another --address or --port."
        ) from error


def place_of(address: str, port: int) -> str:
    """Where others open the app; of all addresses of this machine, the one in its network."""
    from streamlit.net_util import get_internal_ip

    if address in ("0.0.0.0", "::"):
        address = get_internal_ip() or "localhost"
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def share_heaps() -> None:
    """Let all threads share two heaps, so that what visitors who left had is given back.

    Of its own accord glibc makes up to eight for each processor, and each keeps what its fullest moment needed.
    """
    arena_max = -8  # M_ARENA_MAX of malloc.h
    with suppress(OSError, AttributeError):  # elsewhere than on glibc
        ctypes.CDLL(None).mallopt(arena_max, 2)


def main() -> int:
    import streamlit as st
    from starlette.routing import Route

    options = parse_arguments()
    try:
        check_place(options.address, options.port)
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    share_heaps()
    if not is_address(options.artifacts):
        options.artifacts = str(root_of(options.artifacts).absolute())
    sys.argv[1:] = ["--artifacts", options.artifacts]  # which the pages read
    os.chdir(PROJECT)  # where Streamlit looks for .streamlit/config.toml: limits, menu and colours
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # raised again once the server has ended in order
    config = {
        "server.address": options.address,
        "server.port": options.port,
        "server.headless": True,
        "browser.gatherUsageStats": False,
        "logger.hideWelcomeMessage": True,  # for which Streamlit asks a server of others for this machine's address
    }
    print(f"Galaxy Atlas is at {place_of(options.address, options.port)} (Ctrl-C stops it)", flush=True)
    app = st.App(PROJECT / "app.py", routes=[Route("/health", health.answer)], lifespan=health.lifespan)
    with suppress(KeyboardInterrupt):
        app.run(config=config)
    return 0


if __name__ == "__main__":
    sys.exit(main())
