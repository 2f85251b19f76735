"""Files that are made when somebody clicks, and stay until the browser has fetched them.

Streamlit tells the browser the address of a file it has made and forgets the file once any two runs of pages have
ended, of any visitor: on a server with many of them, before the browser comes for it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable

import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from galaxy_core.errors import GalaxyError
from pages.views import frame

KEPT_S = 60.0


def download_button(label: str, make: Callable[[], bytes | str], file_name: str, mime: str, **options) -> None:
    """A button whose file is made by ``make``, outside of any page, when it is clicked.

    The page is run again only where the file cannot be made, to say why below the button.
    """
    failed, name = st.session_state.setdefault("downloads_failed", {}), options.get("key", label)
    context = get_script_run_ctx()

    def tried() -> bytes | str:
        try:
            return make()
        except Exception as error:
            known = isinstance(error, GalaxyError)
            failed[name] = str(error) if known else "This file could not be made; the log of the server says why."
            session = context and Runtime.exists() and Runtime.instance().get_app_session(context.session_id)
            if session:
                session.request_rerun(session._client_state)  # of the page that is open, as the watcher of files does
            raise

    st.download_button(label, kept(tried, file_name, mime), file_name, mime, on_click="ignore", **options)
    if name in failed:
        frame.show_problem(failed.pop(name))


def kept(make: Callable[[], bytes | str], file_name: str, mime: str, seconds: float = KEPT_S) -> Callable[[], bytes]:
    """``make`` whose result is kept for some seconds by the server that runs; see `keep`."""

    def made() -> bytes:
        made_now = make()
        data = made_now.encode("utf-8") if isinstance(made_now, str) else made_now
        if Runtime.exists():
            keep(Runtime.instance().media_file_mgr, data, file_name, mime, seconds)
        return data

    return made


def keep(manager: MediaFileManager, data: bytes, file_name: str, mime: str, seconds: float) -> None:
    """Have a file shown at a place of no page for some seconds, for what is shown is not forgotten.

    The same bytes under the same name are one file to Streamlit, so it is the one that the browser is told of.
    """
    place = f"download-{uuid.uuid4().hex}"
    manager.add(data, mime, place, file_name, is_for_static_download=True)
    end = threading.Timer(seconds, manager.add, (b"", "text/plain", place))  # nothing takes the place of the file
    end.daemon = True
    end.start()
