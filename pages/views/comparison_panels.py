"""Panels of the page that sets two clusterings side by side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from pages.views import (
    card,
    cluster_labels,
    figures,
    frame,
    map_choices,
    page_address,
    presenting,
    readers,
    scores,
    selection,
    words,
)
from pages.views.cluster_labels import cluster_text
from pages.views.colouring import by_cluster
from pages.views.colours import category_colours
from pages.views.galaxy_map import component
from pages.views.gallery import small_picture
from pages.views.readers import Galaxies
from pages.views.selection_gallery import pictures

MAP_HEIGHT = 400
N_BELOW = 60  # pictures of galaxies below zero
ALL = "all"
OnOpen = Callable[[Galaxies, int], None]


def draw_open_galaxy(galaxies: Galaxies) -> None:
    """The open galaxy in one strip, or how to open one, at the same height; and the selection in one line."""
    row, rows = selection.open_row(galaxies), selection.selected_rows(galaxies)
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="open-strip"):
        if row is None:
            if asked := selection.lost_galaxy(galaxies):
                st.caption(frame.plain(f"There is no galaxy “{asked}” in this catalog."))
            st.caption("Click a point of either map, or any picture below, to see the galaxy here and on both maps.")
        else:
            with frame.panel():
                st.html(small_picture(str(galaxies.ids[row]), readers.thumbnails(galaxies, [row])[0]), width="content")
            st.markdown(
                f"**{frame.plain(str(galaxies.ids[row]))}**  \n{frame.plain(' · '.join(facts_of(galaxies, row)))}"
            )
        if rows is not None:
            st.caption(f"{words.count(len(rows))} selected: {frame.plain(selection.describe(galaxies))}")
        something = row is not None or rows is not None
        if something and st.button("Open on the galaxy map", icon=":material/scatter_plot:"):
            st.switch_page("pages/1_Galaxy_map.py", query_params=page_address.open_address())


def facts_of(galaxies: Galaxies, row: int) -> list[str]:
    """Class and clusters of a galaxy."""
    facts = [value for name, value in card.main_facts(galaxies, row).items() if name == "Class"]
    for name in galaxies.clustering_names:
        names = cluster_labels.names_of(galaxies, name)
        facts.append(f"{words.name_of(name)}: {cluster_text(int(galaxies.labels(name)[row]), names)}")
    return facts


def draw_map(galaxies: Galaxies, projection: str | None, clustering: str, side: str) -> None:
    """A clustering on the map, its clusters called by their names."""
    if projection is None:
        st.info("There is no map of this catalog.", icon=":material/map:")
        return
    look = map_choices.look_of(galaxies, projection, words.name_of(clustering), None, side)
    colouring = by_cluster(galaxies, clustering)
    recipe = ("clustering", clustering, colouring.names)
    component.draw_map(galaxies, look, colouring, None, recipe, presenting.height(MAP_HEIGHT))


def draw_scores(galaxies: Galaxies, clustering: str, side: str) -> None:
    """Clusters, coverage and the silhouette, strict first and flattering beside it."""
    row = scores.score_row(galaxies, clustering)
    with st.container(horizontal=True, key=f"scores-{side}"):
        st.metric("Clusters", row["clusters"], help="Groups the method found, or was asked for.")
        st.metric("Coverage", row["coverage"], help="Share of the galaxies that have a cluster at all.")
        strict, _, null = row["silhouette, strict"].partition(" (")
        null = null.split(";")[0].rstrip(")")
        st.metric("Silhouette, strict", strict, null, delta_color="off", delta_arrow="off", help=scores.STRICT_HELP)
        st.metric(
            "flattering",
            row["silhouette, flattering"],
            help="Over clustered galaxies only: it rises when difficult galaxies are left out. For comparison.",
        )
    recorded = scores.recorded_scores(galaxies, clustering)
    text = f"Measured on {words.count(len(galaxies))} in {row['fitted in']}"
    if len(scores.sizes_of(galaxies.labels(clustering))) < 2:
        st.caption(f"{text}. A silhouette compares clusters, and there are fewer than two.")
        return
    interval = (recorded.get("fitted_space") or {}).get("strict_interval")
    if interval:
        text += f", strict {scores.score_text(interval[0])} to {scores.score_text(interval[1])}"
    inside = (recorded.get("embedding") or {}).get("strict")
    null = scores.null_range(recorded.get("null") or {}, "strict_embedding")
    text += "." if inside is None else f"; strict in the embedding {scores.beside_null(inside, null)}."
    if recorded.get("ami") is not None:
        text += f" Classes: AMI {scores.score_text(recorded['ami'])}."
    if not recorded:
        text += " The manifest records no scores of it."
    st.caption(text)


def draw_silhouettes(galaxies: Galaxies, clustering: str, side: str, on_select: Callable[[], None]) -> None:
    """Every galaxy's silhouette, cluster by cluster; a click or a button shows those below zero.

    ``on_select`` is called in the callback after these were selected.
    """
    labels = galaxies.labels(clustering)
    sizes = scores.sizes_of(labels)
    if len(sizes) < 2:
        st.info("A silhouette compares clusters, and there are fewer than two.", icon=":material/info:")
        return
    names = cluster_labels.names_of(galaxies, clustering)
    texts = {label: cluster_text(label, names) for label in sizes}
    colours = dict(zip(sizes, category_colours(len(sizes), frame.is_dark()), strict=True))
    title = f"Silhouette of every galaxy, {words.name_of(clustering)}"
    silhouettes = scores.silhouettes_of(galaxies, clustering)
    figure = figures.silhouette_figure(silhouettes, labels, colours, title, frame.is_dark(), texts)
    config = figures.chart_config(f"{galaxies.name}-{clustering}-silhouettes") | {"scrollZoom": False}
    chart, choice = f"silhouette-{side}-{clustering}", f"below-{side}-{clustering}"

    def chosen() -> None:
        select_below(galaxies, clustering, st.session_state.get(choice))
        on_select()

    def clicked() -> None:
        label = label_of_click(st.session_state.get(chart))
        if label in below_of(silhouettes, labels):
            st.session_state[choice] = label
            chosen()

    figure = presenting.for_the_room(figure)
    st.plotly_chart(figure, key=chart, config=config, on_select=clicked, selection_mode="points")
    below = below_of(silhouettes, labels)
    if below:
        st.segmented_control(
            "Galaxies below zero, in",
            list(below),
            format_func=lambda key: below_text(key, len(below[key])),
            key=choice,
            on_change=chosen,
            wrap=True,
            help="Closer to another cluster than to their own, on average. A click on a cluster above does the same.",
        )
    st.caption(frame.plain(" ".join(scores.meaning(galaxies, clustering)[1:])))


def below_of(silhouettes: np.ndarray, labels: np.ndarray) -> dict[int | str, np.ndarray]:
    """Rows with a silhouette below zero: of all clusters, then of each that has any, the lowest first.

    Examples
    --------
    >>> found = below_of(np.array([0.5, -0.1, -0.4, 0.2]), np.array([0, 0, 0, 1]))
    >>> {key: rows.tolist() for key, rows in found.items()}
    {'all': [2, 1], 0: [2, 1]}
    """
    rows = np.flatnonzero((silhouettes < 0) & (labels >= 0))
    rows = rows[np.argsort(silhouettes[rows], kind="stable")]
    found: dict[int | str, np.ndarray] = {ALL: rows} if len(rows) else {}
    return found | {int(label): rows[labels[rows] == label] for label in np.unique(labels[rows])}


def below_text(key: int | str, n: int) -> str:
    """One choice of galaxies below zero.

    Examples
    --------
    >>> below_text("all", 1234), below_text(3, 5)
    ('all clusters (1,234)', '3 (5)')
    """
    return f"{'all clusters' if key == ALL else key} ({n:,})"


def label_of_click(state: dict | None) -> int | None:
    """The cluster whose bar was clicked; None where the click was elsewhere."""
    points = ((state or {}).get("selection") or {}).get("points") or []
    label = points[0].get("customdata") if points else None
    label = label[0] if isinstance(label, list | tuple) and label else label
    return int(label) if isinstance(label, int | float | np.number) and not isinstance(label, bool) else None


def select_below(galaxies: Galaxies, clustering: str, key: int | str | None) -> None:
    """Select the galaxies below zero of a cluster, or of all, on every map; None forgets which they were."""
    st.session_state["below-zero"] = None
    below = below_of(scores.silhouettes_of(galaxies, clustering), galaxies.labels(clustering))
    if key in below:
        names = cluster_labels.names_of(galaxies, clustering)
        where = "any cluster" if key == ALL else cluster_text(int(key), names)
        selection.select_rows(galaxies, below[key], how=f"below zero in {where} of {words.name_of(clustering)}")
        st.session_state["below-zero"] = (galaxies.name, clustering, key)


def draw_below(galaxies: Galaxies, on_open: OnOpen) -> None:
    """Pictures of the galaxies below zero that were chosen last, the lowest silhouette first."""
    name, clustering, key = st.session_state.get("below-zero") or (None, None, None)
    if name != galaxies.name or clustering not in galaxies.clustering_names:
        return
    silhouettes = scores.silhouettes_of(galaxies, clustering)
    rows = below_of(silhouettes, galaxies.labels(clustering)).get(key)
    if rows is None:
        return
    names = cluster_labels.names_of(galaxies, clustering)
    where = "all clusters" if key == ALL else frame.plain(cluster_text(int(key), names))
    first = f", the {N_BELOW} lowest" if len(rows) > N_BELOW else ", the lowest first"
    st.markdown(f"**Below zero in {where} of {words.name_of(clustering)}**: {words.count(len(rows))}{first}")
    st.caption("They are selected on both maps; the galaxy map shows all of them. The number is the silhouette.")
    shown = rows[:N_BELOW]
    with frame.panel():
        pictures(galaxies, shown.tolist(), [f"{silhouettes[row]:.2f}" for row in shown], "below-zero", on_open)
