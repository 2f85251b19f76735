"""Frames on the Frame page: files that are dropped in or lie in the artifacts folder, each one field or a band; or an
example."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from galaxy_core.errors import ImageError
from galaxy_core.frame_weights import WeightMap
from galaxy_core.image_limits import safe_name
from galaxy_core.saved_images import stem_of
from pages.views import denoise_files, denoise_sources, sky_weights
from pages.views.denoise_sources import EXAMPLE, FILE_TYPES

PAGE = "sky"
UPLOAD, FOLDER = "Your frames", "Frames in the artifacts folder"
MAX_UPLOAD_MB = 500  # 10,000 x 10,000 pixels of 32 bits are 400 MB
MAX_KEPT_BYTES = 4 * 2**30  # of uploads on disk; the oldest go first
COPY_BYTES = 2**22
BANDS_HELP = """Aligned bands of one field, on the same pixels: they are searched together, and objects have colours.
Otherwise each file is a frame of its own."""
EXAMPLE_WORDS = """A simulated field, as the SDSS would see it in g, r and i: 380 stars and galaxies of magnitude 18 to
22 in r, and 14 galaxies large enough to show their shape."""
HDU_HELP = "Number or EXTNAME of the extension to read. Left empty: the first image of the sky."


@dataclass(frozen=True)
class SkyItem:
    """One frame: the files its bands are in, and a weight map and a mask of each of them, or none.

    ``digest`` stays the same as long as the content of the frame does.
    """

    digest: str
    name: str
    paths: tuple[Path, ...] = field(repr=False)
    hdu: int | str | None = None
    weights: tuple[WeightMap, ...] = field(default=(), repr=False)
    masks: tuple[WeightMap, ...] = field(default=(), repr=False)
    weight_kind: str | None = None
    mask_bits: int | None = None

    @property
    def stamp(self) -> str:
        """Stays the same as long as what is to be searched does."""
        maps = [[(_stamp_of(path), hdu) for path, hdu in of_kind] for of_kind in (self.weights, self.masks)]
        return hashlib.sha1(repr((self.digest, self.hdu, maps, self.weight_kind, self.mask_bits)).encode()).hexdigest()


def choose_items(root: Path, choices: DeltaGenerator) -> list[SkyItem]:
    """The frames to search, as many as were chosen; how they are read is asked for in ``choices``."""
    there = frames_in(root)
    sources = [UPLOAD, *([FOLDER] if there else []), EXAMPLE]
    source = denoise_sources.choose_source(sources, UPLOAD, "sky-source", persist_state="session")
    if source == EXAMPLE:
        st.caption(EXAMPLE_WORDS)
        return items_of(_example()[1], together=True)
    files = _from_folder(there) if source == FOLDER else _uploads()
    if not files and source == UPLOAD:
        denoise_sources.offer_example("sky-source")
    if not files:
        return []
    with choices:
        hdu = st.text_input(
            "FITS extension",
            placeholder="the first image",
            key="sky-hdu",
            persist_state="session",
            help=HDU_HELP,
            max_chars=60,
            width=124,
        )
        frames, *maps = sky_weights.choose_maps(files, _extension(hdu))
        held = sky_weights.choose_kind(*maps)
        together = len(frames) > 1 and st.toggle(
            "These files are bands of one field", True, key="sky-together", persist_state="session", help=BANDS_HELP
        )
    return items_of(frames, together, hdu, maps, *held)


def items_of(
    files: list[tuple[str, Path]],
    together: bool,
    hdu: str = "",
    maps: Sequence[sky_weights.Maps] = (),
    weight_kind: str | None = None,
    mask_bits: int | None = None,
) -> list[SkyItem]:
    """Frames of files, given by digest and path: one of all of them, or one of each.

    ``maps`` are their weight maps, and their masks.
    """
    extension, maps, held = _extension(hdu), maps or [[()] * len(files)] * 2, (weight_kind, mask_bits)
    if together:
        digest = hashlib.sha1(" ".join(digest for digest, _ in files).encode()).hexdigest()
        name = f"{stem_of(files[0][1].name)} and {len(files) - 1} more bands" if len(files) > 1 else files[0][1].name
        of_all = (tuple(chain.from_iterable(of_kind)) for of_kind in maps)
        return [SkyItem(digest, name, tuple(path for _, path in files), extension, *of_all, *held)]
    return [
        SkyItem(digest, path.name, (path,), extension, *of_each, *held)
        for (digest, path), *of_each in zip(files, *maps, strict=True)
    ]


def _extension(said: str) -> int | str | None:
    """Which extension was typed."""
    said = said.strip()
    return int(said) if said.isdecimal() else said or None


def frames_in(root: Path) -> list[Path]:
    """Files of ``<root>/frames`` that may be frames, by name."""
    folder = root / "frames"
    try:
        return sorted(path for path in folder.iterdir() if path.suffix.lower().lstrip(".") in FILE_TYPES)
    except OSError:
        return []


@st.cache_resource(show_spinner="Simulating a field of the sky")
def _example() -> tuple[tempfile.TemporaryDirectory, list[tuple[str, Path]]]:
    """The example's folder, which is gone when the app ends, and digest and place of its files; the same for all."""
    from galaxy_core.simulator.example_frame import write_example_frame

    folder = tempfile.TemporaryDirectory(prefix="galaxy-atlas-example-", ignore_cleanup_errors=True)
    return folder, [(hashlib.sha1(path.read_bytes()).hexdigest(), path) for path in write_example_frame(folder.name)]


def _from_folder(there: list[Path]) -> list[tuple[str, Path]]:
    chosen = st.multiselect(
        "Frames",
        there,
        format_func=lambda path: path.name,
        key="sky-files",
        placeholder="Choose one, or the bands of one field",
        help="What lies in the folder `frames` of the artifacts, of any size; uncompressed FITS is read in strips.",
    )
    return [(_stamp_of(path), path) for path in chosen]


def _stamp_of(path: Path) -> str:
    """Which content a file on disk has, without reading all of it."""
    try:
        status = path.stat()
    except OSError:
        return f"{path} is gone"
    return hashlib.sha1(f"{path} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()


def _uploads() -> list[tuple[str, Path]]:
    """Digest and place on disk of what was dropped in; it stays while other pages are visited."""
    fresh = "sky-upload" not in st.session_state  # this page was just opened: the widget has forgotten its files
    files = st.file_uploader(
        "FITS frame of any kind, several aligned bands, or a colour picture",
        FILE_TYPES,
        accept_multiple_files=True,
        key="sky-upload",
        on_change=denoise_files.choose,
        args=(0, PAGE),
        max_upload_size=MAX_UPLOAD_MB,
        help=f"Each up to {MAX_UPLOAD_MB} MB. Frames beyond 64 megapixels need to be FITS without compression. Maps of"
        " weights, errors or variances may be dropped along with their frames.",
    )
    if files or not (fresh or st.session_state.get("sky-kept-shown")):
        st.session_state["sky-kept"] = [_kept(file) for file in files]
        st.session_state["sky-kept-shown"] = False
    elif st.session_state.get("sky-kept"):
        st.session_state["sky-kept-shown"] = True
        st.button("Put these files away", icon=":material/close:", on_click=_forget, type="tertiary")
    return [(digest, path) for digest, path in st.session_state.get("sky-kept", []) if path.exists()]


def _forget() -> None:
    st.session_state["sky-kept"] = []


def _kept(file) -> tuple[str, Path]:
    """An upload on disk, where a frame is read in strips; written once."""
    known = st.session_state.setdefault("sky-digests", {})
    if file.file_id not in known or not known[file.file_id][1].exists():
        view = file.getbuffer()
        digest = hashlib.sha1(view).hexdigest()
        path = spool() / digest / safe_name(file.name)
        if not path.exists():
            try:
                _write(path, view)
            except OSError as error:
                raise ImageError(
                    f"{file.name} cannot be written to {path.parent.parent} ({error.strerror}); free some space there, "
                    "or put the frame into the folder `frames` of the artifacts."
                ) from None
            drop_oldest(spool(), path.parent)
        known[file.file_id] = (digest, path)
    return known[file.file_id]


def _write(path: Path, view: memoryview) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{id(view)}.part"
    try:
        with partial.open("wb") as out:
            for start in range(0, len(view), COPY_BYTES):
                out.write(view[start : start + COPY_BYTES])
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def spool() -> Path:
    """Folder of the uploads of all visitors; gone when the app ends."""
    return Path(_spool().name)


@st.cache_resource(show_spinner=False)
def _spool() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="galaxy-atlas-frames-", ignore_cleanup_errors=True)


def drop_oldest(folder: Path, newest: Path, most_bytes: int = MAX_KEPT_BYTES) -> None:
    """Delete the oldest uploads until the rest is small enough; never ``newest``.

    What is being read goes on: its file is open.
    """
    sizes = {one: sum(file.stat().st_size for file in one.iterdir()) for one in folder.iterdir() if one.is_dir()}
    for one in sorted(sizes, key=lambda one: one.stat().st_mtime):
        if sum(sizes.values()) <= most_bytes:
            return
        if one != newest:
            shutil.rmtree(one, ignore_errors=True)
            del sizes[one]
