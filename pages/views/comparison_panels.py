"""Panels of the page that sets two clusterings side by side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import streamlit as st

from pages.views import card, figures, frame, map_choices, readers, scores, selection, words
from pages.views.colouring import by_cluster, category_colours
from pages.views.galaxy_map import component
from pages.views.gallery import gallery, small_picture
from pages.views.readers import Galaxies

N_EXAMPLES = 10
OnOpen = Callable[[Galaxies, int], None]


def draw_open_galaxy(galaxies: Galaxies) -> None:
    """The open galaxy in one strip, or how to open one, at the same height."""
    row = selection.open_row(galaxies)
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="open-strip"):
        if row is None:
            st.caption("Click a point of either map, or any picture below, to see the galaxy here and on both maps.")
            return
        with frame.panel():
            st.html(small_picture(str(galaxies.ids[row]), readers.thumbnails(galaxies, [row])[0]), width="content")
        facts = [value for name, value in card.main_facts(galaxies, row).items() if name == "Class"]
        facts += [
            f"{words.name_of(name)}: {words.cluster_name(int(galaxies.labels(name)[row]))}"
            for name in galaxies.clustering_names
        ]
        st.markdown(f"**{frame.plain(str(galaxies.ids[row]))}**  \n{frame.plain(' · '.join(facts))}")
        if st.button("Open on the galaxy map", icon=":material/scatter_plot:"):
            st.switch_page("pages/1_Galaxy_map.py", query_params=selection.open_address())


def draw_map(galaxies: Galaxies, projection: str | None, clustering: str, side: str) -> None:
    """A clustering on the map."""
    if projection is None:
        st.info("There is no map of this catalog.", icon=":material/map:")
        return
    look = map_choices.look_of(galaxies, projection, words.name_of(clustering), None, side)
    component.draw_map(galaxies, look, by_cluster(galaxies, clustering), None, ("clustering", clustering), 480)


def draw_scores(galaxies: Galaxies, clustering: str) -> None:
    """Clusters, coverage and the silhouette, strict first and flattering beside it."""
    row, about = scores.score_row(galaxies, clustering), galaxies.manifest.clusterings.get(clustering, {})
    with st.container(horizontal=True):
        st.metric("Clusters", row["clusters"], help="Groups the method found, or was asked for.")
        st.metric("Coverage", row["coverage"], help="Share of the galaxies that have a cluster at all.")
        st.metric("Silhouette, strict", row["silhouette, strict"].split(" (")[0], help=scores.STRICT_HELP)
        st.metric(
            "flattering",
            row["silhouette, flattering"],
            help="Over clustered galaxies only: it rises when difficult galaxies are left out. For comparison.",
        )
    numbers = {name: value for name, value in about.get("params", {}).items() if isinstance(value, int | float)}
    params = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in numbers.items())
    st.caption(
        f"Fitted and measured in {row['fitted in']}"
        + (f" ({params})" if params else "")
        + f"; strict silhouette {row['silhouette, strict']}, in the embedding {row['strict, in the embedding']}."
        + scores.sample_note(galaxies, clustering)
        + scores.class_note(galaxies, clustering)
    )


def draw_silhouettes(galaxies: Galaxies, clustering: str, side: str) -> None:
    """Every galaxy's silhouette, cluster by cluster."""
    labels = galaxies.labels(clustering)
    names = list(scores.sizes_of(labels))
    if len(names) < 2:
        st.info("A silhouette compares clusters, and there are fewer than two.", icon=":material/info:")
        return
    colours = dict(zip(names, category_colours(len(names), frame.is_dark()), strict=True))
    title = f"Silhouette of every galaxy, {words.name_of(clustering)}"
    silhouettes = scores.silhouettes_of(galaxies, clustering)
    figure = figures.silhouette_figure(silhouettes, labels, colours, title, frame.is_dark())
    config = figures.chart_config(f"{galaxies.name}-{clustering}-silhouettes") | {"scrollZoom": False}
    st.plotly_chart(figure, key=f"silhouette-{side}-{clustering}", config=config)


def draw_examples(galaxies: Galaxies, clustering: str, side: str, on_open: OnOpen) -> None:
    """The most typical galaxies of a cluster and those at its border."""
    labels = galaxies.labels(clustering)
    sizes = scores.sizes_of(labels)
    options = [*sizes, *([-1] if (labels < 0).any() else [])]
    if not options:
        return
    label = st.segmented_control(
        f"{words.name_of(clustering)}: cluster",
        options,
        default=options[0],
        required=True,
        format_func=lambda value: "none" if value < 0 else str(value),
        key=f"cluster-{side}-{clustering}",
    )
    membership = galaxies.clusters[f"{clustering}_membership"].to_numpy()
    members = np.flatnonzero(labels == label)
    st.markdown(f"**{words.cluster_name(label)}**: {words.count(len(members))}" + mostly(galaxies, members))
    if label < 0:
        st.caption("in no cluster, taken evenly from the catalog")
        rows = members[np.linspace(0, len(members) - 1, min(2 * N_EXAMPLES, len(members))).astype(int)]
        gallery(galaxies, rows.tolist(), f"none-{side}", on_open=on_open)
        return
    typical, border = example_rows(members, membership, N_EXAMPLES)
    st.caption("most typical: the highest membership")
    gallery(galaxies, typical.tolist(), f"typical-{side}", on_open=on_open)
    if len(border):
        st.caption("at the border: the lowest membership")
        gallery(galaxies, border.tolist(), f"border-{side}", on_open=on_open)


def example_rows(members: np.ndarray, membership: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The members of highest and of lowest membership, ``n`` each at most; none is in both.

    Examples
    --------
    >>> typical, border = example_rows(np.array([0, 2, 3]), np.array([0.5, 1.0, 0.9, 0.1]), 2)
    >>> typical.tolist(), border.tolist()
    ([2, 0], [3])
    """
    order = members[np.argsort(-membership[members], kind="stable")]
    return order[:n], order[n:][::-1][:n]


def mostly(galaxies: Galaxies, members: np.ndarray) -> str:
    """The commonest classes of some galaxies, as the end of a sentence; empty without classes."""
    if "class" not in galaxies.catalog or len(members) == 0:
        return ""
    counts = galaxies.catalog["class"].iloc[members].value_counts().head(2)
    parts = [f"{words.share(n, len(members))} {str(name).replace('_', ' ')}" for name, n in counts.items()]
    return f", {', '.join(parts)}" if parts else ""
