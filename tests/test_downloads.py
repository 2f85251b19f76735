"""Files made on a click: they outlive the runs of other visitors until they are fetched, and not for ever."""

from __future__ import annotations

import time
from unittest.mock import Mock

import pytest
import streamlit as st
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from galaxy_core.errors import GalaxyError
from pages.views import downloads

VISITOR = Mock()
NAME, MIME = "ngc 1365 é.fits", "application/fits"
PATIENCE_S = 60


@pytest.fixture
def server(monkeypatch):
    """The files of a server that runs, and their manager."""
    storage = MemoryMediaFileStorage("/media")
    manager = MediaFileManager(storage)
    runtime = type("Server", (), {"media_file_mgr": manager, "get_app_session": lambda session: VISITOR})
    monkeypatch.setattr(
        downloads, "Runtime", type("Runtime", (), {"exists": lambda: True, "instance": lambda: runtime})
    )
    return storage, manager


def click(manager: MediaFileManager, make) -> str:
    """What Streamlit does when a button is clicked: the name of the file that the browser is told to fetch."""
    place = manager.add_deferred(make, MIME, "button", NAME)
    return manager.execute_deferred(place).rpartition("/")[2]


def others_run(manager: MediaFileManager, times: int = 5) -> None:
    for _ in range(times):
        manager.remove_orphaned_files()


def test_a_file_is_there_after_runs_of_others(server):
    storage, manager = server
    name = click(manager, downloads.kept(lambda: b"pixels", NAME, MIME))
    others_run(manager)
    assert storage.get_file(name).content == b"pixels"


def test_streamlit_alone_forgets_it(server):
    storage, manager = server
    name = click(manager, lambda: b"pixels")
    others_run(manager)
    with pytest.raises(MediaFileStorageError):
        storage.get_file(name)  # where this no longer raises, `downloads` is needed no more


def test_a_file_is_forgotten_in_the_end(server):
    storage, manager = server
    name = click(manager, downloads.kept(lambda: b"pixels", NAME, MIME, seconds=0.05))
    end = time.monotonic() + PATIENCE_S
    with pytest.raises(MediaFileStorageError):
        while time.monotonic() < end:
            others_run(manager)
            storage.get_file(name)
            time.sleep(0.01)


def test_text_and_nothing_are_files_too(server):
    storage, manager = server
    for made, data in (("id,p\né,1\n", "id,p\né,1\n".encode()), (b"", b"")):
        name = click(manager, downloads.kept(lambda made=made: made, NAME, MIME))
        others_run(manager)
        assert storage.get_file(name).content == data


def test_an_error_of_the_maker_keeps_nothing(server):
    _, manager = server

    def fail() -> bytes:
        raise ValueError("no such result")

    with pytest.raises(MediaFileStorageError, match="no such result"):
        click(manager, downloads.kept(fail, NAME, MIME))
    assert not manager._file_metadata


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(GalaxyError("The catalog is gone; make it again."), "The catalog is gone; make it again."), (OSError(28), "log")],
)
def test_why_a_file_cannot_be_made_is_said_once_below_its_button(server, monkeypatch, error, sentence):
    _, manager = server
    button, said, VISITOR.request_rerun = Mock(), [], Mock()
    monkeypatch.setattr(st, "session_state", {})
    monkeypatch.setattr(st, "download_button", button)
    monkeypatch.setattr(downloads, "get_script_run_ctx", lambda: Mock(session_id="of a visitor"))
    monkeypatch.setattr(downloads.frame, "show_problem", said.append)
    for times in (1, 2, 3):
        downloads.download_button("CSV", Mock(side_effect=error), NAME, MIME)
        if times == 1:
            with pytest.raises(MediaFileStorageError):
                click(manager, button.call_args.args[1])
            VISITOR.request_rerun.assert_called_once_with(VISITOR._client_state)  # None would open the first page
    assert len(said) == 1 and sentence in said[0]


def test_without_a_server_the_bytes_are_the_makers():
    assert downloads.kept(lambda: "é", NAME, MIME)() == "é".encode()
