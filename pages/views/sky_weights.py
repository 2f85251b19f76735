"""Weight maps and masks on the Frame page: which of the files or extensions they are, and what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from galaxy_core.errors import ImageError
from galaxy_core.frame_choices import MASK, WEIGHT_KINDS, bits_of
from galaxy_core.frame_files import list_beside
from galaxy_core.frame_weights import WeightMap, is_map_of, kind_of, pair_maps

Files = list[tuple[str, Path]]  # digest and place
Maps = list[tuple[WeightMap, ...]]  # of each frame
MAPS_HELP = """Weights, errors or variances of a frame's pixels, as SExtractor takes them: a file for each frame, or an
extension of the frames' own files. They say how the noise changes over the frame, and pixels without a weight are left
out; how large the noise is gets measured on the frame. Files named as their frame is, such as `r.weight.fits` or
`r_rms.fits` of `r.fits`, are taken for its maps until you say otherwise. A bit mask (`r.mask.fits`, `DQ`) leaves out
its pixels and says nothing of the noise; a frame may have one beside a map of its noise."""
KIND_HELP = """Weights are inverse variances. They, standard deviations and variances are of the noise of the sky,
without that of the objects themselves. Bit masks are 0 where pixels are good."""
BITS_HELP = """Bits that leave a pixel out, as numbers: `1 4 4096`. Left empty: all. Name them where some bits are no
defects, as those of the pixels of detected objects."""


def choose_maps(files: Files, hdu: int | str | None) -> tuple[Files, Maps, Maps]:
    """The files that are frames, the map of each, and its mask where it has both; asked for where there may be one.

    ``hdu`` is the extension that frames are read from.
    """
    names = [path.name for _, path in files]
    named = [one for one in files if is_map_of(one[1].name, [name for name in names if name != one[1].name])]
    first = next((one for one in files if one not in named), files[0])
    beside = _beside(first[0], first[1], hdu)
    options = [*(files if len(files) > 1 else []), *beside]
    if not options:
        return files, [() for _ in files], [() for _ in files]
    chosen = st.multiselect(
        "Weight maps and masks",
        options,
        named,
        format_func=lambda one: f"extension {one}" if isinstance(one, str) else one[1].name,
        key=f"sky-maps-{'-'.join(digest[:8] for digest, _ in files)}-{hdu}",
        persist_state="session",
        placeholder="none",
        help=MAPS_HELP,
        width=280,
    )
    frames = [one for one in files if one not in chosen]
    if not frames:
        raise ImageError("All files are chosen as weight maps; leave out the frame that they belong to.")
    masks = [one for one in chosen if kind_of(one if isinstance(one, str) else one[1].name) == MASK]
    pairs = zip(_of_each(frames, [one for one in chosen if one not in masks]), _of_each(frames, masks), strict=True)
    # the mask of a frame without another map is its map, so that bands may have maps of either kind
    maps = [(of_noise, mask) if of_noise else (mask, ()) for of_noise, mask in pairs]
    return frames, [of_noise for of_noise, _ in maps], [mask for _, mask in maps]


def _of_each(frames: Files, chosen: Sequence[str | tuple[str, Path]]) -> Maps:
    """Of each frame the chosen map, which is an extension of its own file or another file."""
    inside, maps = ([one for one in chosen if isinstance(one, str) == wanted] for wanted in (True, False))
    if len(inside) + bool(maps) > 1:
        raise ImageError("More than one weight map or mask is chosen; choose one extension, or a file for each frame.")
    if inside:
        return [((path, inside[0]),) for _, path in frames]
    places = pair_maps([path.name for _, path in frames], [path.name for _, path in maps]) if maps else []
    return [() if place is None else ((maps[place][1], None),) for place in places or [None] * len(frames)]


@st.cache_data(max_entries=64, show_spinner=False)
def _beside(digest: str, _path: Path, hdu: int | str | None) -> list[str]:
    return list_beside(_path, hdu)


def choose_kind(weights: Maps, masks: Maps) -> tuple[str | None, int | None]:
    """What the maps hold, as their names say until somebody says otherwise, and the bits of masks that count."""
    weights, masks = ([one for maps in of_kind for one in maps] for of_kind in (weights, masks))
    if not weights:
        return None, None
    said = {kind_of(hdu or path.name) for path, hdu in weights}
    kinds = [*([None] if len(said) > 1 else []), *WEIGHT_KINDS]
    kind = st.selectbox(
        "They hold",
        kinds,
        0 if len(said) > 1 else kinds.index(*said),
        format_func=lambda kind: WEIGHT_KINDS.get(kind, "as their names say"),
        key=f"sky-maps-hold-{_place(weights)}",
        persist_state="session",
        help=KIND_HELP,
        width=190,
    )
    if kind != MASK and not (kind is None and MASK in said) and not masks:
        return kind, None
    bits = st.text_input(
        "Bad bits",
        placeholder="all",
        key=f"sky-mask-bits-{_place(masks or weights)}",
        persist_state="session",
        help=BITS_HELP,
        max_chars=60,
        width=124,
    )
    try:
        return kind, bits_of(bits)
    except ValueError as error:
        raise ImageError(str(error)) from None


def _place(maps: Sequence[WeightMap]) -> str:
    return "-".join(f"{path.parent.name[:8]}{path.name}{hdu}" for path, hdu in maps)
