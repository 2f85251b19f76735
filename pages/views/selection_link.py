"""A selection as letters of an address, and back: its steps, never more galaxies than an address can hold."""

from __future__ import annotations

import zlib

import numpy as np

from galaxy_core.errors import GalaxyError
from galaxy_core.map_layers import Extent
from pages.views import clustering_marks, outlines, page_address, words
from pages.views.colouring import colour_by, colour_choices
from pages.views.readers import Galaxies, rows_of
from pages.views.selection_steps import (
    INVERT,
    Selection,
    Step,
    after,
    found_step,
    hidden_groups,
    invert_step,
    leave_out,
    like_step,
    outline_step,
)

LETTERS = {"new": "n", "add": "a", "subtract": "s", "intersect": "i", INVERT: "v"}
MOST_LETTERS = 32_000  # to an address of 128 kB the app answers with an error, and servers before it may at less
CUT_SHORT = "The selection of this link cannot be read; it was probably cut short when it was copied."


def letters_of(galaxies: Galaxies, steps: tuple[Step, ...]) -> str | None:
    """The steps for a link; None where there are none, or they are too long for an address."""
    parts = [_part_of(galaxies, step) for step in steps]
    letters = outlines.to_link(parts) if parts and None not in parts else ""
    return letters if 0 < len(letters) <= MOST_LETTERS else None


def _part_of(galaxies: Galaxies, step: Step) -> list | None:
    letter = LETTERS[step.mode]
    if step.corners:
        extent = galaxies.extent(step.projection)
        ends = [float(f"{end:.7g}") for end in vars(extent).values()]
        outline = [letter, step.projection, list(step.corners), outlines.mark_of(extent), ends]
        return outline + ([step.hidden, clustering_marks.marks_of(galaxies, step.hidden)] if step.hidden else [])
    if step.filters:
        marks = clustering_marks.marks_of(galaxies, step.filters)
        return [letter, "", step.filters, *([marks] if marks else [])]
    if step.like:
        return [letter, *step.like, embedding_mark(galaxies)]
    if step.mode == INVERT:
        return [letter, "", []]
    return None if step.ids is None else [letter, step.how, list(step.ids)]


def embedding_mark(galaxies: Galaxies) -> str:
    """A few letters that change when the embedding is made again."""
    files = galaxies.manifest.files
    sums = [str(files[path].get("sha256")) for path in sorted(files) if path.startswith("embedding/")]
    return f"{zlib.crc32(' '.join([galaxies.manifest.model, *sums]).encode()):08x}"


def read(galaxies: Galaxies, letters: str) -> Selection | None:
    """The selection a link holds; None, with a sentence in `link_problems`, where it makes no sense here."""
    found, lost = None, 0
    try:
        for letter, name, values, *mark in outlines.from_link(letters):
            mode = next(mode for mode in LETTERS if LETTERS[mode] == letter)
            if mode == INVERT:
                made = invert_step()
            elif isinstance(values, dict):
                made = _read_filters(galaxies, values, mark, mode)
            elif isinstance(values, int):
                made = _read_like(galaxies, str(name), values, mark, mode)
            elif all(isinstance(value, str) for value in values):
                known = rows_of(galaxies, values)
                rows = np.array([known[value] for value in values if value in known], dtype=np.int32)
                lost += len(values) - len(rows)
                made = found_step(galaxies, rows, mode, str(name)[:200])
            else:
                made = _read_outline(galaxies, name, values, mark, mode)
            if made is not None:
                found = after(found, *made, len(galaxies))
    except (ValueError, TypeError, LookupError, StopIteration):
        page_address.note(CUT_SHORT)
        return None
    if lost:
        page_address.note(f"{words.count(lost)} of the link's selection are not in this catalog.")
    return found


def _read_filters(galaxies: Galaxies, values: dict, mark: list, mode: str) -> tuple[Step, np.ndarray] | None:
    from pages.views import filters  # which needs this module

    fitting = filters.fitting(galaxies, {key: list(limits) for key, limits in values.items()})
    if len(fitting) < len(values):
        return None  # which has been told; fewer filters would select more
    if mark:
        clustering_marks.note_changes(galaxies, fitting, mark[0])
    return filters.step_of(galaxies, fitting, mode)


def _read_like(galaxies: Galaxies, galaxy_id: str, n: int, mark: list, mode: str) -> tuple[Step, np.ndarray] | None:
    if galaxy_id not in galaxies.row_of:
        page_address.note(f"The link selects galaxies most like “{galaxy_id}”, which this catalog does not have.")
        return None
    if mark and mark[0] != embedding_mark(galaxies):
        page_address.note(
            f"The embedding was made again since this link was made: other galaxies may be most like “{galaxy_id}” now."
        )
    try:
        return like_step(galaxies, galaxy_id, n, mode)
    except GalaxyError as error:
        page_address.note(f"The galaxies most like “{galaxy_id}” cannot be told: {error}")
        return None


def _read_outline(galaxies: Galaxies, name: str, values: list, mark: list, mode: str) -> tuple[Step, np.ndarray] | None:
    if name not in galaxies.projection_names:
        page_address.note(f"The link selects galaxies on a map “{name}” that this catalog does not have.")
        return None
    extent, corners = galaxies.extent(name), [int(np.clip(value, 0, 65535)) for value in values]
    corners = corners[: len(corners) // 2 * 2]
    same, before = not mark or mark[0] == outlines.mark_of(extent), _before(mark)  # older links have no mark, or less
    if not same and before and galaxies.manifest.projections.get(name, {}).get("kept") and _holds(extent, before):
        corners = outlines.on_grown(corners, before, extent)
        page_address.note(
            f"Galaxies were added to the map {words.name_of(name)} since this outline was drawn on it: some of them may"
            " lie inside now."
        )
    elif not same:
        page_address.note(
            f"The map {words.name_of(name)} was made again since this outline was drawn on it: other galaxies may lie"
            " inside now."
        )
    step, rows = outline_step(galaxies, name, corners, mode)
    for key, groups in (dict(mark[2]) if len(mark) > 2 else {}).items():
        if key not in colour_choices(galaxies):
            page_address.note(f"The link's outline leaves out groups of “{key}”, which this catalog does not have.")
            return None  # without them it would select more
        clustering_marks.note_changes(galaxies, {key: list(groups)}, mark[3])
        step, rows = leave_out(galaxies, step, rows, hidden_groups(colour_by(galaxies, key), list(groups)))
    return step, rows


def _before(mark: list) -> Extent | None:
    """The rectangle of the map when an outline was drawn on it."""
    return Extent(*map(float, mark[1])) if len(mark) > 1 else None


def _holds(extent: Extent, before: Extent) -> bool:
    """Whether a rectangle lies inside another one, but for the digits that a link leaves out."""
    slack = 1e-5 * max(extent.x1 - extent.x0, extent.y1 - extent.y0)
    low = before.x0 >= extent.x0 - slack and before.y0 >= extent.y0 - slack
    return low and before.x1 <= extent.x1 + slack and before.y1 <= extent.y1 + slack
