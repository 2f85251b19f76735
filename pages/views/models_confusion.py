"""Which classes a model takes for one another, and the galaxies behind each such mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st

from galaxy_core import artifacts
from galaxy_core.errors import ArtifactError
from galaxy_core.model_files import ModelFiles, section
from pages.views import figures, frame, models_figures, models_numbers, page_address, readers, selection, words
from pages.views.gallery import gallery
from pages.views.morphology_words import class_words
from pages.views.readers import Galaxies

MAP_PAGE = "pages/1_Galaxy_map.py"
CONFUSION_HELP = (
    "A row is what a galaxy is, a column what the model says. Click a cell off the diagonal to see its galaxies."
)
Cell = tuple[int, int]


def has_confusion(model: ModelFiles) -> bool:
    """Whether classes were measured."""
    return len(models_numbers.confusion_of(section(model.metrics, "classes"))[1]) > 0


def draw_confusion(model: ModelFiles, root: Path) -> None:
    """The confusion matrix, and the galaxies of the cell that was clicked."""
    names, counts = models_numbers.confusion_of(section(model.metrics, "classes"))
    st.subheader("What it takes for what", anchor=False, help=CONFUSION_HELP)
    said = [class_words(name) for name in names]
    chart, choice = f"models-confusion-{model.name}", f"models-cell-{model.name}"
    cells = [(int(i), int(j)) for i, j in np.argwhere(counts > 0) if i != j]
    cells.sort(key=lambda cell: -counts[cell])
    if st.session_state.get(choice) not in cells:
        st.session_state[choice] = None

    def clicked() -> None:
        cell = clicked_cell(st.session_state.get(chart))
        if cell in cells:
            st.session_state[choice] = cell

    matrix, behind = st.columns([3, 2], gap="medium")
    figure = models_figures.confusion_figure(counts, said, "True classes against the model's", frame.is_dark())
    config = figures.chart_config(f"{model.name}-confusion") | {"scrollZoom": False}
    with matrix.container(key="models-confusion-box"):
        st.plotly_chart(figure, key=chart, config=config, on_select=clicked, selection_mode="points")
    of = models_numbers.measured_on(model.metrics, int(counts.sum()))
    matrix.caption(frame.plain(f"Measured on {of}. The colour is the share of the row, the number that of galaxies."))
    with behind, frame.panel():
        if not cells:
            st.caption("No test galaxy was taken for one of another class.")
            return
        cell = st.selectbox(
            "Galaxies of one cell",
            cells,
            format_func=lambda cell: f"{said[cell[0]]} taken for {said[cell[1]]}: {counts[cell]:,}",
            key=choice,
            placeholder="Click a cell, or choose one",
        )
        if cell is not None:
            ids = confused_ids(section(model.metrics, "classes"), names[cell[0]], names[cell[1]])
            draw_galaxies(model, root, ids, int(counts[cell]), cell)


def clicked_cell(state: object) -> Cell | None:
    """Row and column of the cell that was clicked.

    Examples
    --------
    >>> clicked_cell({"selection": {"points": [{"customdata": [2, 3]}]}}), clicked_cell({"selection": {"points": []}})
    ((2, 3), None)
    """
    points = ((state or {}).get("selection") or {}).get("points") or []
    data = points[-1].get("customdata") if points else None
    values = list(data.values()) if isinstance(data, dict) else data  # as Plotly's typed arrays come back
    return (int(values[0]), int(values[1])) if values else None


def confused_ids(classes: dict, truth: str, predicted: str) -> list[str]:
    """The galaxies that are of one class and were taken for another; empty where the metrics do not name them."""
    cells = classes.get("confused")
    for cell in cells if isinstance(cells, list) else ():
        if isinstance(cell, dict) and (cell.get("truth"), cell.get("predicted")) == (truth, predicted):
            ids = cell.get("galaxy_ids")
            return [str(galaxy_id) for galaxy_id in ids] if isinstance(ids, list) else []
    return []


def draw_galaxies(model: ModelFiles, root: Path, ids: list[str], n: int, cell: Cell) -> None:
    """Pictures of galaxies, where a catalog has them, and the ids of the others to copy; a click opens the map."""
    if not ids:
        st.caption("The metrics do not name these galaxies: measure the model again to see them.")
        return
    measured = model.metrics.get("catalog")
    galaxies, rows = find_galaxies(root, ids, measured)
    of = measured if isinstance(measured, str) else "an unnamed catalog"
    if len(ids) < n:
        st.caption(f"The {len(ids)} surest mistakes of {n:,}.")
    if rows:
        source = source_of(galaxies.manifest)
        alike = "" if source == measured else f" ({source}; the ids were measured on {of})"
        st.caption(
            frame.plain(
                f"{words.count(len(rows))} of {galaxies.name}{alike}, the surest mistake first. Click one to open it on"
                " the map."
            )
        )
        clicked = gallery(galaxies, rows, f"models-confused-{cell[0]}-{cell[1]}")
        if clicked is not None:
            selection.open_galaxy(galaxies, clicked)
            st.session_state["catalog_before"] = galaxies.name
            st.session_state.pop("catalog", None)
            st.switch_page(MAP_PAGE, query_params={"catalog": galaxies.name} | page_address.open_address())
    known = {str(galaxies.ids[row]) for row in rows} if rows else set()
    others = [galaxy_id for galaxy_id in ids if galaxy_id not in known]
    if others:
        st.caption(frame.plain(f"Not in a catalog on show here; measured on {of}. Their ids:"))
        st.code("\n".join(others), language=None, height=min(240, 60 + 22 * len(others)))


def find_galaxies(root: Path, ids: list[str], measured: object) -> tuple[Galaxies | None, list[int]]:
    """Rows of these galaxies in the catalog on show, else in one read from the same source as was measured.

    Other catalogs are not looked through: ids of two surveys may be alike, and pictures of other galaxies would lie.
    """
    names = artifacts.list_catalogs(root)
    shown = st.session_state.get("catalog")
    for name in sorted(names, key=lambda name: (name != shown, name)):
        try:
            if name != shown and source_of(artifacts.read_manifest(root, name)) != measured:
                continue
            galaxies = readers.open_catalog(root, name)
        except ArtifactError as error:
            if name == shown:
                frame.show_problem(str(error))
            continue
        rows = [galaxies.row_of[galaxy_id] for galaxy_id in ids if galaxy_id in galaxies.row_of]
        if rows:
            return galaxies, rows
    return None, []


def source_of(manifest: artifacts.Manifest) -> str:
    """What a catalog was read from, as metrics name it."""
    return f"{manifest.layout}:{Path(manifest.source).name}"
