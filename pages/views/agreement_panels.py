"""How clusterings agree: the table of two of them, where galaxies go from one to the other, and all of them at once."""

from __future__ import annotations

import numpy as np
import streamlit as st

from galaxy_core.cluster_agreement import Contingency, agreement_matrix, contingency, on_diagonal
from galaxy_core.splits import TRAIN
from pages.views import agreement_figures, cluster_labels, figures, frame, presenting, scores, words
from pages.views.colouring import colour_by, colour_choices
from pages.views.colours import category_colours, grey
from pages.views.readers import Galaxies

CLASSES = "class"
MAX_SHOWN = 24  # groups of one side that a table or a diagram shows; more cannot be read
MATRICES = {"ami": "Adjusted mutual information", "ari": "Adjusted Rand index"}
AS_GROUP, LEFT_OUT = "One more group", "Left out"


def draw_agreement(galaxies: Galaxies, left: str, right: str) -> None:
    """The contingency table and the flow of two clusterings, or of one and the classes; then all against all."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        second = right
        if CLASSES in colour_choices(galaxies):
            with_what = {right: words.name_of(right), CLASSES: "the classes"}
            second = st.segmented_control(
                f"{words.name_of(left)} against",
                list(with_what),
                default=right,
                required=True,
                format_func=with_what.get,
                key=f"against-{left}-{right}",
            )
        shares = st.toggle("Shares in place of counts", key="table-shares")
    if second == left:
        st.info("Both choices are the same clustering: choose another to compare it with.", icon=":material/info:")
    else:
        draw_pair(galaxies, left, second, shares)
    draw_matrices(galaxies)


def draw_pair(galaxies: Galaxies, left: str, second: str, shares: bool) -> None:
    """The table of two groupings, matched groups on the diagonal, and the same as a flow."""
    table, n_left_out = table_of(galaxies, left, second)
    if not table.counts.size:
        st.info("No galaxy is in both groupings.", icon=":material/info:")
        return
    rows, columns = group_names(galaxies, left, table.rows), group_names(galaxies, second, table.columns)
    ticks = short_names(galaxies, left, table.rows), short_names(galaxies, second, table.columns)
    titles = f"{title_of(left)} against {title_of(second)}", title_of(left), title_of(second)
    sides = st.columns(2, gap="medium")
    figure = agreement_figures.table_figure(table.counts, *ticks, titles, shares, frame.is_dark())
    config = figures.chart_config(f"{galaxies.name}-{left}-{second}") | {"scrollZoom": False}
    sides[0].plotly_chart(presenting.for_the_room(figure), key="contingency", config=config)
    colours = group_colours(galaxies, left, table.rows), group_colours(galaxies, second, table.columns)
    flow = agreement_figures.flow_figure(table.counts, rows, columns, colours, f"From {titles[1]} to {titles[2]}")
    sides[1].plotly_chart(presenting.for_the_room(flow), key="flow", config=config)
    shown = int(table.counts.sum())
    text = (
        f"Measured on {words.count(shown)}; the colour is the share of the row. Rows and columns are ordered so that"
        " clusters matched one to one (as many galaxies as possible, the largest pair first) lie on the diagonal;"
        " unclustered galaxies are a group of their own, last."
    )
    if n_left_out:
        text += f" {words.count(n_left_out)} without a class or in groups beyond the {MAX_SHOWN} largest are not shown."
    st.caption(text)


def table_of(galaxies: Galaxies, first: str, second: str) -> tuple[Contingency, int]:
    """The ordered contingency table of the largest groups, and how many galaxies are not in it."""
    key = ("contingency", first, second)
    if key not in galaxies.memory:
        table = contingency(codes_of(galaxies, first), codes_of(galaxies, second))
        rows, columns = largest(table.counts, table.rows, 1), largest(table.counts, table.columns, 0)
        columns = [k for k in columns if table.columns[k] >= 0 or second != CLASSES]
        counts = table.counts[np.ix_(rows, columns)] if rows and columns else np.zeros((0, 0), np.int64)
        kept = Contingency(counts, tuple(table.rows[k] for k in rows), tuple(table.columns[k] for k in columns))
        galaxies.memory[key] = on_diagonal(kept) if counts.size else kept, len(galaxies) - int(counts.sum())
    return galaxies.memory[key]


def largest(counts: np.ndarray, codes: tuple[int, ...], axis: int) -> list[int]:
    """Places of the `MAX_SHOWN` largest groups of a side, in the order of the table; -1 is always among them."""
    sizes = counts.sum(axis=axis)
    order = sorted(range(len(codes)), key=lambda k: (codes[k] >= 0, -sizes[k]))
    return sorted(order[:MAX_SHOWN])


def codes_of(galaxies: Galaxies, grouping: str) -> np.ndarray:
    """Label of each galaxy in a clustering, or the code of its class; -1 for none."""
    return colour_by(galaxies, CLASSES).codes if grouping == CLASSES else galaxies.labels(grouping)


def group_names(galaxies: Galaxies, grouping: str, codes: tuple[int, ...]) -> list[str]:
    """Names of some groups of a grouping."""
    if grouping == CLASSES:
        return [colour_by(galaxies, CLASSES).names[code] for code in codes]
    names = cluster_labels.names_of(galaxies, grouping)
    return [cluster_labels.cluster_text(code, names) for code in codes]


def short_names(galaxies: Galaxies, grouping: str, codes: tuple[int, ...]) -> list[str]:
    """The same where there is little room: of clusters the number, and the name they were given."""
    return [name.removeprefix("cluster ") for name in group_names(galaxies, grouping, codes)]


def group_colours(galaxies: Galaxies, grouping: str, codes: tuple[int, ...]) -> list[str]:
    """The colours these groups have on a map."""
    if grouping == CLASSES:
        colours = colour_by(galaxies, CLASSES).colours(frame.is_dark())
        present = np.arange(len(colours))
    else:
        present = np.unique(codes_of(galaxies, grouping))
        present = present[present >= 0]
        colours = category_colours(len(present), frame.is_dark())
    return [grey(frame.is_dark()) if code < 0 else colours[int(np.searchsorted(present, code))] for code in codes]


def title_of(grouping: str) -> str:
    """A grouping as people write it."""
    return "classes" if grouping == CLASSES else words.name_of(grouping)


def draw_matrices(galaxies: Galaxies) -> None:
    """AMI and ARI of every two clusterings and of each with the classes."""
    st.markdown("**Every clustering against every other**")
    how = st.segmented_control(
        "Unclustered galaxies count as", [AS_GROUP, LEFT_OUT], default=AS_GROUP, required=True, key="unclustered-as"
    )
    names, matrices = matrices_of(galaxies, how == AS_GROUP)
    for column, (measure, title) in zip(st.columns(2, gap="medium"), MATRICES.items(), strict=True):
        values, n = matrices[measure]
        figure = agreement_figures.matrix_figure(values, n, names, title, frame.is_dark())
        config = figures.chart_config(f"{galaxies.name}-{measure}") | {"scrollZoom": False}
        column.plotly_chart(figure, key=f"matrix-{measure}", config=config)
    n = matrices["ari"][1]
    measured = words.count(int(n.max())) if n.min() == n.max() else f"{n.min():,} to {words.count(int(n.max()))}"
    treated = "count as one more group" if how == AS_GROUP else "are left out of each pair, which flatters"
    learned = ", as are, where LDA made the space, the galaxies it learned from" if learned_among(galaxies) else ""
    st.caption(
        f"1 alike, 0 as by chance. Measured on {measured} (the number of each pair is under the mouse); unclustered"
        f" galaxies {treated}; galaxies without a class are left out of comparisons with the classes{learned}."
    )


def matrices_of(galaxies: Galaxies, as_group: bool) -> tuple[list[str], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Names of all groupings, and for each measure the matrix and the galaxies it was measured on; made once."""
    key = ("matrices", as_group)
    if key not in galaxies.memory:
        groupings = {name: galaxies.labels(name) for name in galaxies.clustering_names}
        if CLASSES in colour_choices(galaxies):
            groupings[CLASSES] = codes_of(galaxies, CLASSES)
        treated = {name: as_group and name != CLASSES for name in groupings}
        with st.spinner("Comparing every clustering with every other …"):
            matrices = {measure: agreement_matrix(groupings, measure, treated) for measure in MATRICES}
            keep_to_unlearned(galaxies, groupings, treated, matrices)
        galaxies.memory[key] = [title_of(name) for name in groupings], matrices
    return galaxies.memory[key]


def keep_to_unlearned(galaxies: Galaxies, groupings: dict, treated: dict, matrices: dict) -> None:
    """In the matrices, compare clusterings whose space learned the classes with these over the other galaxies alone."""
    learned = learned_among(galaxies) if CLASSES in groupings and "split" in galaxies.catalog else []
    if not learned:
        return
    rest, names = galaxies.catalog["split"].to_numpy() != TRAIN, list(groupings)
    for name in learned:
        pair = {name: groupings[name][rest], CLASSES: groupings[CLASSES][rest]}
        places = names.index(name), names.index(CLASSES)
        for measure, stored in matrices.items():
            for table, found in zip(stored, agreement_matrix(pair, measure, treated), strict=True):
                table[places] = table[places[::-1]] = found[0, 1]


def learned_among(galaxies: Galaxies) -> list[str]:
    """Clusterings whose space was made with the classes of the training galaxies."""
    return [name for name in galaxies.clustering_names if scores.learned_classes(galaxies, name)]
