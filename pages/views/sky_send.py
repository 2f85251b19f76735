"""Send galaxies to the map: the objects of a frame as a catalog of its own, and the pipeline that makes a map of it."""

from __future__ import annotations

import re
import shlex
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import streamlit as st

from galaxy_core import artifacts
from galaxy_core.errors import GalaxyError
from galaxy_core.frame_stamp_catalog import STAMPS, galaxy_rows, write_stamp_catalog
from galaxy_core.work_tasks import FAILED, Report, Task
from pages.views import background, demo, denoise_files, frame, page_address, words
from pages.views.frame import PROJECT
from pages.views.sky_work import SkyWork

TOPIC = "sky-send"
MAP_PAGE = "pages/1_Galaxy_map.py"
ALL, SELECTED = "All galaxies", "Selected ones"
FEWEST = 5  # of which the pipeline makes a map
HELP = """A stamp is cut around each object, eight half-light radii wide, in the frame's bands and units. The stamps and
their table are a folder in the layout `fits-stamps`, which the pipeline reads: it embeds them, makes maps, clusters and
neighbours, and the frame is then a catalog like any other on every page."""


@dataclass(frozen=True)
class Sent:
    """A catalog of stamps that was written."""

    folder: Path
    n_galaxies: int
    nbytes: int = 0


def draw_send(work: SkyWork, selected: np.ndarray, root: Path) -> None:
    """Which objects go, what the catalog is called and where its stamps lie; then the pipeline."""
    st.subheader("Send galaxies to the map", anchor=False, help=HELP)
    objects = work.catalog.objects
    with st.container(key="sky-send"):
        first, second, third, fourth = st.columns([2, 2, 2, 3], vertical_alignment="bottom")
        choices = [ALL, SELECTED] if len(selected) else [ALL]
        which = first.selectbox("Objects", choices, key="sky-send-which")
        least_label = f"Signal to noise{frame.plain(work.in_band)} of at least"
        least = second.number_input(least_label, 0.0, None, 10.0, 5.0, key="sky-send-snr")
        name = third.text_input("Name of the catalog", default_name(work.frame.name), key="sky-send-name", max_chars=60)
        folder = fourth.text_input("Folder for its stamps", str(root / "frames_on_the_map" / name), max_chars=400)
    rows = galaxy_rows(objects, least)
    if which == SELECTED:
        rows = np.intersect1d(rows, selected)
    with frame.panel():
        artifacts.check_name(name)
        _draw_steps(work, rows, name, Path(folder).expanduser(), root)


def _draw_steps(work: SkyWork, rows: np.ndarray, name: str, folder: Path, root: Path) -> None:
    unknown = not np.isfinite(work.catalog.objects["p_galaxy"]).any()
    said = f"{words.count(len(rows), 'object', 'objects')}, neither saturated nor cut by the edge"
    said += "; stars are among them, since nothing tells them apart here." if unknown else "."
    st.caption(said)
    if len(rows) < FEWEST:
        st.caption(f"A map needs at least {FEWEST} galaxies; lower the signal to noise, or select more.")
        return
    what = f"{work.key}/{folder}/{hash(rows.tobytes())}"
    wanted, pressed = st.session_state.get("sky-send-wanted", ("", 0))
    if wanted != what:
        st.button(
            "Write the stamps",
            type="primary",
            icon=":material/send:",
            on_click=_want,
            args=(what,),
            key="sky-send-go",
        )
        return
    task = send_task(work, rows, folder, f"{what}/{pressed}")
    denoise_files.work_on([task], [task], TOPIC)
    denoise_files.follow([task], [task], 0, TOPIC)
    if background.queue().standing(task.key).state == FAILED:
        denoise_files.draw_errors(task, {}, TOPIC)
    sent = background.queue().result(task.key)
    if sent is not None:
        _draw_pipeline(sent, name, root)


def _want(what: str) -> None:
    # another selection may have been written into the folder since: each press is work of its own
    st.session_state["sky-send-wanted"] = (what, time.time_ns())
    denoise_files.go_on(TOPIC)


def send_task(work: SkyWork, rows: np.ndarray, folder: Path, key: str) -> Task:
    """The task of writing stamps of some rows into a folder."""

    def run(report: Report) -> Sent:
        write_stamp_catalog(work.frame, work.catalog.objects, rows, folder, report)
        return Sent(folder, len(rows))

    return Task(key, f"Stamps of {work.frame.name}", run)


def _draw_pipeline(sent: Sent, name: str, root: Path) -> None:
    """The command that makes the map, a button that runs it, and the way there once it is made."""
    line = command(sent.folder, name, root)
    st.success(f"{words.count(sent.n_galaxies, 'stamp is', 'stamps are')} in `{sent.folder}`.", icon=":material/check:")
    st.code(shlex.join(["python", *line[1:]]), language="bash")
    if made_of(root, name, sent.folder):
        if st.button(f"Open {name} on the galaxy map", type="primary", icon=":material/scatter_plot:", key="sky-open"):
            st.session_state["catalog_before"] = name
            st.session_state.pop("catalog", None)
            page_address.forget_link()
            st.switch_page(MAP_PAGE, query_params={"catalog": name})
        return
    demo.follow(f"{root}/{name}", tuple(line), "Make the map")


def command(folder: Path, name: str, root: Path) -> list[str]:
    """What makes a catalog of the stamps, with the Python that runs the app."""
    line = [sys.executable, "scripts/run_pipeline.py", f"fits-stamps:{folder.resolve()}", "--name", name]
    return line if root == PROJECT / "artifacts" else [*line, "--artifacts", str(artifacts.shown(root.resolve()))]


def made_of(root: Path, name: str, folder: Path) -> bool:
    """Whether there is a catalog of that name, of these stamps: made since they were written."""
    if name not in artifacts.list_catalogs(root):
        return False
    try:
        manifest = artifacts.read_manifest(root, name)
        written = datetime.fromtimestamp((folder / STAMPS).stat().st_mtime, UTC).replace(microsecond=0)
        return manifest.source == str(folder.resolve()) and datetime.fromisoformat(manifest.created) >= written
    except (GalaxyError, OSError, ValueError, TypeError):
        return False


def default_name(stem: str) -> str:
    """A name for the catalog of a frame that may be a folder's.

    Examples
    --------
    >>> default_name("M67 07 (HH)"), default_name("…")
    ('m67_07_hh', 'frame')
    """
    return re.sub(r"[^0-9a-z]+", "_", stem.lower()).strip("_")[:40] or "frame"
