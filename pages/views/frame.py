"""What every page shares: title, theme details, navigation, the choice of a catalog, and errors as one sentence."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitAPIException

from galaxy_core import artifacts
from galaxy_core.errors import GalaxyError
from pages.views import background, demo, links, page_address

PROJECT = Path(__file__).resolve().parents[2]
STYLE = Path(__file__).with_name("style.css")
ICONS = {
    "Overview": ":material/planet:",
    "Galaxy map": ":material/scatter_plot:",
    "Clusters": ":material/bubble_chart:",
    "Morphology": ":material/category:",
    "Denoise": ":material/blur_off:",
    "Models": ":material/model_training:",
    "Frame": ":material/crop_free:",
}
ICON = ":material/chevron_right:"  # of a page that is not listed above
ABOUT = """**Galaxy Atlas** shows the galaxies of a survey as a map on which alike galaxies lie close together. Click
one to see it, its neighbours and the clusters it belongs to."""


def open_page(title: str) -> Path:
    """Set up a page and draw its sidebar; every page calls this first.

    Returns
    -------
    pathlib.Path
        The artifacts folder: ``--artifacts`` of the command line, else ``artifacts`` beside ``app.py``. Of an address
        it is the local folder that stands for it.
    """
    st.set_page_config(
        page_title=title if title == "Galaxy Atlas" else f"{title} · Galaxy Atlas",
        page_icon=str(Path(__file__).with_name("favicon.png")),
        layout="wide",
        menu_items={"about": ABOUT},
    )
    accent, on_accent = ("#f2b04a", "#0b0e17") if is_dark() else ("#a4580a", "#ffffff")
    put_style("page", STYLE, f":root {{ --atlas-accent: {accent}; --atlas-on-accent: {on_accent}; }}")
    st.logo(str(Path(__file__).with_name("favicon.png")), size="large")
    with st.sidebar:
        draw_navigation()
    st.title(title)
    if st.session_state.get("page") != title:  # then the address is that of a link, not one to go back to
        st.session_state["page"] = title
        st.session_state.pop("address_of", None)
    background.tidy_later()
    root = artifacts_root(sys.argv[1:])
    if artifacts.address_of(root) is not None:
        with panel():
            artifacts.list_catalogs(root)
            return root
        st.stop()  # the store does not answer, and every part of the page would say so
    return root


def put_style(name: str, path: Path, more: str) -> None:
    """Style the page by a file and a few more rules; ``name`` tells several styles of a page apart.

    Streamlit would put a lone style where the notes of `st.toast` go, and the next note would take its place. With
    something to show beside it, it stays in a container of its own, which style.css takes out of the page.
    """
    with st.container(key=f"style-{name}"):
        st.html(f"<style>{path.read_text(encoding='utf-8')}\n{more}</style><i></i>")


def artifacts_root(arguments: list[str]) -> Path:
    """The artifacts folder named by the command line.

    Examples
    --------
    >>> artifacts_root(["--artifacts", "/data/atlas"]).as_posix()
    '/data/atlas'
    >>> artifacts_root(["--else"]) == PROJECT / "artifacts"
    True
    """
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--artifacts", default=str(PROJECT / "artifacts"))
    try:
        return artifacts.root_of(parser.parse_known_args(arguments)[0].artifacts)
    except GalaxyError as error:
        show_problem(str(error))
        st.stop()
    except argparse.ArgumentError:
        st.error("`--artifacts` needs a folder: start with `streamlit run app.py -- --artifacts DIR`.")
        st.stop()


def draw_navigation() -> None:
    """Links to the overview and to every file of ``pages/``, in the order of their numbers."""
    files = sorted((PROJECT / "pages").glob("[0-9]*_*.py"), key=lambda path: int(path.name.split("_")[0]))
    carried = page_address.carried()
    with suppress(StreamlitAPIException):  # a page run by itself, as tests do, has no siblings to link to
        st.page_link("app.py", label="Overview", icon=ICONS["Overview"], query_params=carried)
        for file in files:
            label = page_label(file.name)
            st.page_link(f"pages/{file.name}", label=label, icon=ICONS.get(label, ICON), query_params=carried)


def page_label(file_name: str) -> str:
    """Name of a page in the sidebar.

    Examples
    --------
    >>> page_label("1_Galaxy_map.py")
    'Galaxy map'
    """
    return re.sub(r"^\d+_", "", file_name.removesuffix(".py")).replace("_", " ")


def choose_catalog(root: Path) -> str:
    """The catalog chosen in the sidebar; it stays across pages and is part of the address.

    With no catalog at all the page offers to make the demo, and stops there.
    """
    names = artifacts.list_catalogs(root)
    if not names:
        demo.offer(root)
        st.stop()
    names.sort(key=lambda name: name == "demo")  # real galaxies before the simulated ones
    asked = st.query_params.get("catalog")
    asked = links.key_of(asked, {name: name for name in names}, asked)
    if asked and asked not in names:
        st.warning(plain(f"There is no catalog “{asked}” here; this is “{names[0]}”."), icon=":material/link_off:")
    picked = st.session_state.get("catalog")
    known = [picked, asked, st.session_state.get("catalog_before"), names[0]]
    if page_address.went_to_catalog(picked):
        known.insert(0, asked)
    # a keyed widget forgets its value on another page unless it is set again
    st.session_state["catalog"] = next(name for name in known if name in names)
    with st.sidebar:
        name = st.selectbox(
            "Catalog",
            names,
            key="catalog",
            on_change=page_address.forget_link,
            help="Which set of galaxies every page shows; the overview tells how to add your own.",
        )
    st.session_state["catalog_before"] = name
    page_address.put_into_address("catalog", name)
    return name


@contextmanager
def panel() -> Iterator[None]:
    """A part of a page that may fail by itself: what went wrong is one sentence in its place, the rest goes on."""
    try:
        yield
    except GalaxyError as error:
        show_problem(str(error))


def show_problems(problems: tuple[str, ...]) -> None:
    """Say what could not be read, above the rest of the page, which goes on without it."""
    for problem in problems:
        show_problem(problem)


def show_problem(problem: str) -> None:
    """Say what went wrong: names of files as they are, and what stands in backticks, such as a command, as code."""
    parts = re.split("(`[^`]+`)", problem)
    said = "".join(part if place % 2 else plain(part) for place, part in enumerate(parts))
    st.error(said, icon=":material/build:")


def plain(text: str) -> str:
    r"""Text that Markdown shows as it is.

    Examples
    --------
    >>> print(plain("gz_clean5 &amp; more"))
    gz\_clean5 \&amp; more
    """
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>$:~&])", r"\\\1", text)


def is_dark() -> bool:
    """Whether the visitor sees the dark theme; dark where the browser has not said yet."""
    return st.context.theme.type != "light"
