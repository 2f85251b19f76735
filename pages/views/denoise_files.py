"""The files in hand: how far each is, which is looked at, stopping and going on, and all results as one zip file."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress

import streamlit as st

from galaxy_core.errors import GalaxyError, ImageError
from galaxy_core.saved_images import encode_result
from galaxy_core.work_queue import WorkQueue
from galaxy_core.work_tasks import DONE, FAILED, RUNNING, STOPPED, WAITING, Standing, Task
from pages.views import background, denoise_work, frame
from pages.views.denoise_work import Item, Work
from pages.views.downloads import download_button
from pages.views.words import ordinal

POLL_S = 1.0
ZIP = "zip"  # what is wanted for a download
PATIENCE_S = 0.4  # a small image is waited for: it appears at once, without a flicker
LIST_HEIGHT_PX = 210
ICONS = {
    WAITING: ":material/hourglass_empty:",
    RUNNING: ":material/progress_activity:",
    DONE: ":material/check_circle:",
    FAILED: ":material/error:",
    STOPPED: ":material/block:",
}


def chosen_place(n_files: int, page: str = "denoise") -> int:
    """Which file is looked at."""
    return min(st.session_state.get(f"{page}-chosen", 0), n_files - 1)


def work_on(tasks: Sequence[Task], first: Sequence[Task], page: str = "denoise") -> None:
    """Ask for everything this visitor wants, ``first`` before the rest, but for what was stopped; wait a moment."""
    queue, stopped = background.queue(), st.session_state.setdefault(f"{page}-stopped", set())
    ordered = {task.key: task for task in (*first, *tasks) if task.key not in stopped}
    queue.want(background.visitor(), list(ordered.values()), {task.key for task in first}, topic=page)
    if first:
        queue.wait(first[0].key, PATIENCE_S)


def want_nothing(page: str = "denoise") -> None:
    """Give up what was wanted of files that were taken away."""
    if f"{page}-stopped" in st.session_state:  # who never wanted anything is no visitor of the queue
        background.queue().want(background.visitor(), [], topic=page)


def follow(
    tasks: Sequence[Task],
    first: Sequence[Task],
    place: int,
    page: str = "denoise",
    say: Callable[[str, Standing], str] | None = None,
) -> None:
    """Progress and the list of files, redrawn while something is under way.

    ``say`` gives the words for the state of a task by its key; those of `state_text` by default.
    """
    queue = background.queue()
    st.session_state.pop(f"{page}-anew", None)
    pending = tuple(task.key for task in (*first, *tasks) if _under_way(queue, task.key))
    draw = st.fragment(_draw_progress, run_every=POLL_S if pending else None)
    named = [[(task.key, task.name) for task in some] for some in (tasks, first)]
    draw(*named, place, pending, page, say or (lambda key, standing: state_text(standing)))


def _under_way(queue: WorkQueue, key: str) -> bool:
    return queue.standing(key).state in (WAITING, RUNNING)


def _draw_progress(
    files: list, first: list, place: int, pending: tuple[str, ...], page: str, say: Callable[[str, Standing], str]
) -> None:
    queue = background.queue()
    standings = {key: queue.standing(key) for key, _ in (*files, *first)}
    looked_at = {key for key, _ in first}
    ended = [key for key in pending if standings[key].state not in (WAITING, RUNNING)]
    anew = st.session_state.pop(f"{page}-anew", False)  # a click within a fragment draws that alone
    if anew or looked_at.intersection(ended) or (pending and len(ended) == len(pending)):
        st.rerun(scope="app")
    names = dict((*files, *first))
    if pending:
        _draw_bar(standings, names, first[0][0], files, page)
    elif any(standing.state == STOPPED for standing in standings.values()):
        left, right = st.columns([3, 1], vertical_alignment="center")
        left.info("Stopped; what was done by then is kept.", icon=":material/block:")
        right.button(
            "Go on", icon=":material/play_arrow:", on_click=go_on, args=(page,), width="stretch", key=f"{page}-go-on"
        )
    if len(files) > 1:
        _draw_list([(name, standings[key], say(key, standings[key])) for key, name in files], place, page)


def _draw_bar(standings: dict[str, Standing], names: dict[str, str], looked_at: str, files: list, page: str) -> None:
    running = [key for key, standing in standings.items() if standing.state == RUNNING]
    key = looked_at if standings[looked_at].state == RUNNING or not running else running[0]
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    name, stopping = frame.plain(names[key]), key in st.session_state.get(f"{page}-stopped", ())
    text = f"{name}: stopping …" if stopping else progress_text(name, standings[key])
    left.progress(min(standings[key].fraction, 1.0), text)
    unfinished = tuple(key for key, standing in standings.items() if standing.state in (WAITING, RUNNING))
    right.button(
        "Cancel",
        icon=":material/close:",
        on_click=stop,
        args=(unfinished, page),
        width="stretch",
        key=f"{page}-cancel",
        disabled=stopping,
    )
    if len(files) > 1:
        n_done = sum(standings[key].state == DONE for key, _ in files)
        st.caption(f"{n_done} of {len(files)} files done")


def progress_text(name: str, standing: Standing) -> str:
    """What the bar says: how much is done, and about how long it still takes.

    Examples
    --------
    >>> progress_text("m31.fits", Standing("running", 0.25, 10.0))
    'm31.fits: 25 %, about 30 s left'
    >>> progress_text("m31.fits", Standing("waiting", place=3))
    'm31.fits: waiting, 3rd in the queue'
    >>> progress_text("m31.fits", Standing("running"))
    'm31.fits: getting ready, which takes longest the first time'
    """
    if standing.state == WAITING:
        return f"{name}: {place_text(standing)}"
    if standing.fraction == 0:  # the file is read and the model loaded, with PyTorch itself on a cold start
        return f"{name}: getting ready, which takes longest the first time"
    if standing.fraction < 0.03 or standing.seconds < 1:
        return f"{name}: {100 * standing.fraction:.0f} %"
    left = standing.seconds * (1 - standing.fraction) / standing.fraction
    text = f"{left:.0f} s" if left < 90 else f"{left / 60:.0f} minutes"
    return f"{name}: {100 * standing.fraction:.0f} %, about {text} left"


def place_text(standing: Standing) -> str:
    """Where in the queue something waits.

    Examples
    --------
    >>> place_text(Standing("waiting", place=1)), place_text(Standing("waiting", place=22))
    ('waiting, next in the queue', 'waiting, 22nd in the queue')
    """
    return f"waiting, {'next' if standing.place < 2 else ordinal(standing.place)} in the queue"


def _draw_list(files: list[tuple[str, Standing, str]], place: int, page: str) -> None:
    with st.container(height=LIST_HEIGHT_PX if len(files) > 5 else "content", border=True, key=f"{page}-list"):
        for number, (name, standing, said) in enumerate(files):
            st.button(
                f"**{frame.plain(name)}** · {frame.plain(said)}",
                icon=ICONS[standing.state],
                type="secondary" if number == place else "tertiary",
                on_click=choose,
                args=(number, page),
                key=f"{page}-file-{number}",
                width="stretch",
            )


def state_text(standing: Standing) -> str:
    """State of a file in words.

    Examples
    --------
    >>> state_text(Standing("running", 0.5)), state_text(Standing("done", 1.0, 2.345))
    ('50 %', 'done in 2.3 s')
    """
    if standing.state == WAITING:
        return place_text(standing)
    if standing.state == RUNNING:
        return f"{100 * standing.fraction:.0f} %"
    return f"done in {standing.seconds:.2g} s" if standing.state == DONE else standing.error or standing.state


def draw_errors(task: Task, others: dict[str, Task], page: str = "denoise") -> None:
    """What went wrong with the image that is looked at, or with other work on it: a sentence each."""
    queue = background.queue()
    for one in (task, *others.values()):
        standing = queue.standing(one.key)
        if standing.state == FAILED:
            frame.show_problem(standing.error)


def images_in(item: Item) -> tuple:
    """Images of a FITS file by its headers alone: another one may be readable where the first is not."""
    known = st.session_state.setdefault("images-in", {})
    if item.digest not in known:  # a zipped file is unpacked for this
        known[item.digest] = ()
        with suppress(GalaxyError):
            known[item.digest] = denoise_work.extensions_of(item)
    return known[item.digest]


def choose(number: int, page: str = "denoise") -> None:
    """Look at another file."""
    st.session_state.update({f"{page}-chosen": number, f"{page}-anew": True})


def stop(keys: tuple[str, ...], page: str = "denoise") -> None:
    """Give up what is not finished."""
    st.session_state.setdefault(f"{page}-stopped", set()).update(keys)
    background.queue().want(background.visitor(), [], topic=page)


def go_on(page: str = "denoise") -> None:
    """Take up what was stopped."""
    st.session_state.update({f"{page}-stopped": set(), f"{page}-anew": True})


def draw_download_all(tasks: Sequence[Task]) -> None:
    """All results as one zip file, made when somebody clicks."""
    queue = background.queue()
    done = [task for task in tasks if queue.standing(task.key).state == DONE]
    if len(tasks) < 2 or not done:
        return
    rest = "" if len(done) == len(tasks) else f" of {len(tasks)} files"
    download_button(
        f"Download all ({len(done)}{rest})",
        zip_maker(done, background.visitor()),
        "denoised.zip",
        "application/zip",
        icon=":material/folder_zip:",
        help="The denoised image, the residual and the uncertainty of every file that is done.",
    )


def zip_maker(tasks: Sequence[Task], visitor: str) -> Callable[[], bytes]:
    """A function that makes the zip file, outside of any page; a result that is no longer kept is made again."""
    queue = background.queue()

    def make() -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            taken: set[str] = set()
            for task in tasks:
                work = queue.result(task.key) or _made_again(task, visitor)
                for name, data in encode_result(work.result).items():
                    stem, dot, ending = name.rpartition(".")
                    archive.writestr(unused_name(stem, taken, dot + ending), data)
        return buffer.getvalue()

    return make


def _made_again(task: Task, visitor: str) -> Work:
    """A result that is no longer kept, made in the visitor's turn."""
    queue = background.queue()
    queue.want(visitor, [task], {task.key}, ZIP)
    while not queue.wait(task.key, POLL_S):
        pass
    work, standing = queue.result(task.key), queue.standing(task.key)
    queue.want(visitor, [], topic=ZIP)
    if work is None:
        raise ImageError(standing.error or f"{task.name} was stopped; click again.")
    return work


def unused_name(stem: str, taken: set[str], ending: str = "") -> str:
    """A name that no other has, numbered where it must be; it is taken from then on.

    Examples
    --------
    >>> taken = set()
    >>> [unused_name(stem, taken, ".fits") for stem in ("a", "a", "a (2)", "b")]
    ['a.fits', 'a (2).fits', 'a (2) (2).fits', 'b.fits']
    """
    number, free = 2, stem + ending
    while free in taken:
        free, number = f"{stem} ({number}){ending}", number + 1
    taken.add(free)
    return free
