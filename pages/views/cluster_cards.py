"""One cluster at a time: its galaxies in pictures, its mean image, how firm it is, what it is rich in, and its name."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import streamlit as st

from galaxy_core.cluster_enrichment import Enrichment
from galaxy_core.clustering import UNCLUSTERED
from galaxy_core.errors import ArtifactError
from pages.views import card, cluster_labels, frame, scores, selection_differences, verdict, words
from pages.views.cluster_card_data import ClusterCard, card_of
from pages.views.colouring import colour_choices
from pages.views.gallery import gallery, image_html
from pages.views.readers import Galaxies

N_SHOWN = 8  # enriched columns before the rest is one step away
MAX_BUTTONS = 12  # clusters beside one another; more are a list
OnOpen = Callable[[Galaxies, int], None]


def draw_cards(galaxies: Galaxies, first: str, on_open: OnOpen, on_name: Callable[[], None]) -> None:
    """The choice of a cluster and its card.

    Parameters
    ----------
    first : str
        The clustering that is offered first.
    on_open : callable
        Called with ``galaxies`` and a row.
    on_name : callable
        Called in the callback after a cluster got another name.
    """
    if sentence := cluster_labels.problem(galaxies):
        frame.show_problem(sentence)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = galaxies.clustering_names
        place = names.index(first)
        clustering = st.selectbox(
            "Clustering", names, index=place, format_func=words.name_of, key=f"card-of-{first}", width=220
        )
        label = choose_cluster(galaxies, clustering)
    if label is None:
        st.info("This clustering has no galaxies to show.", icon=":material/info:")
        return
    found = card_of(galaxies, clustering, label)
    left, right = st.columns([1, 2], gap="medium")
    with left:
        draw_head(galaxies, clustering, label, found, on_name)
    with right, frame.panel():
        draw_pictures(galaxies, found, on_open)
    draw_enrichment(galaxies, clustering, label, found)


def choose_cluster(galaxies: Galaxies, clustering: str) -> int | None:
    """The cluster that is shown, -1 for the unclustered; None where there is no galaxy."""
    labels = galaxies.labels(clustering)
    options = [*scores.sizes_of(labels), *([UNCLUSTERED] if (labels < 0).any() else [])]
    if not options:
        return None
    names = cluster_labels.names_of(galaxies, clustering)
    key = f"cluster-{clustering}"
    kept = st.session_state.get(key)
    st.session_state[key] = kept if kept in options else options[0]  # else another name would lose the choice
    if len(options) > MAX_BUTTONS:
        text = lambda label: cluster_labels.cluster_text(label, names)  # noqa: E731
        return st.selectbox("Cluster", options, format_func=text, key=key, width=320)
    return st.segmented_control(
        "Cluster",
        options,
        required=True,
        format_func=lambda label: "unclustered" if label < 0 else figures_text(label, names),
        key=key,
        wrap=True,
    )


def figures_text(label: int, names: dict[int, str]) -> str:
    """A cluster on a button: its number, and its name as plain Markdown."""
    return frame.plain(f"{label} {names[label]}") if label in names else str(label)


def draw_head(galaxies: Galaxies, clustering: str, label: int, found: ClusterCard, on_name) -> None:
    """Name, mean image and the facts of a cluster."""
    names = cluster_labels.names_of(galaxies, clustering)
    title = cluster_labels.cluster_text(label, names)
    st.markdown(f"#### {frame.plain(title[0].upper() + title[1:])}")
    if label >= 0:
        draw_name(galaxies, clustering, label, found, names.get(label, ""), on_name)
    picture = ""
    if found.mean_image:
        words_of_picture = f"mean of {words.count(found.n_mean, 'picture', 'pictures')}"
        picture = f"<figure>{image_html(words_of_picture, found.mean_image, 128, 128)}<figcaption>{words_of_picture}"
        picture += "</figcaption></figure>"
    facts = card.facts_html(facts_of(galaxies, clustering, label, found))
    st.html(f'<div class="cluster-head">{picture}{facts}</div>')


def draw_name(galaxies: Galaxies, clustering: str, label: int, found: ClusterCard, name: str, on_name) -> None:
    """The name that people give, and the one that the numbers suggest."""
    # A box of its own for each stored name: a browser sends what its box shows along with every other event, and one
    # that has not heard of a colleague's name yet would write the old one over it.
    of_cluster = f"name-{clustering}-{label}"
    key = f"{of_cluster} {name}" if name else of_cluster

    def keep(text: str | None = None) -> None:
        text = st.session_state[key] if text is None else text
        if text == name:  # what the box was drawn with, from such a browser
            return
        try:
            cluster_labels.rename(galaxies, clustering, label, text)
        except ArtifactError as error:
            st.toast(str(error), icon=":material/build:")
            return
        on_name()

    with st.container(horizontal=True, vertical_alignment="bottom", key="cluster-name"):
        st.text_input(
            "Name",
            name,
            key=key,
            max_chars=60,
            placeholder=found.suggestion or "what these galaxies are",
            on_change=keep,
            help="Kept with the catalog and shown to everybody wherever this cluster is named.",
        )
        if found.suggestion and name != found.suggestion:
            text = f"Use “{frame.plain(found.suggestion)}”"
            help_text = "From what the cluster is rich in, below."
            st.button(text, key=f"use-{of_cluster}", on_click=keep, args=(found.suggestion,), help=help_text)


def facts_of(galaxies: Galaxies, clustering: str, label: int, found: ClusterCard) -> dict[str, str]:
    """Size, stability, density, nearest other cluster, in words."""
    n, names = len(galaxies), cluster_labels.names_of(galaxies, clustering)
    facts = {"Size": f"{words.count(found.size)}, {words.share(found.size, n)}"}
    if label >= 0:
        facts["Stability"] = stability_text(verdict.facts_of(galaxies, clustering), label)
        inside = scores.silhouettes_of(galaxies, clustering)[galaxies.labels(clustering) == label]
        if len(scores.sizes_of(galaxies.labels(clustering))) > 1:
            below = words.share(int((inside < 0).sum()), len(inside))
            facts["Silhouette"] = f"{np.mean(inside, dtype=float):.3f} on average, {below} below zero"
    if np.isfinite(found.distance):
        facts["Density"] = density_text(found)
    if found.nearest is not None:
        other, distance = found.nearest
        text = f"{cluster_labels.cluster_text(other, names)}, {words.number(distance)} between the means"
        facts["Nearest cluster"] = f"{text} in {found.space}"
    others = [(other, share) for other, share in found.shares.items() if other != label][:2]
    if found.shares:
        own = words.share(found.shares.get(label, 0), 1)
        which = "the nearest of each" if found.n_neighbors == 1 else f"their {found.n_neighbors} nearest"
        text = f"{own} of {which} in the embedding are here too"
        if others:
            text += ", " + ", ".join(
                f"{words.share(s, 1)} in {cluster_labels.cluster_text(o, names)}" for o, s in others
            )
        facts["Neighbours"] = text.replace("in unclustered", "unclustered")
    return facts


def stability_text(facts: verdict.Facts, label: int) -> str:
    """How often a cluster comes back.

    Examples
    --------
    >>> facts = verdict.Facts("k", "s", 9, 9, 3, 0.4, 0.4, None, None, 10, {0: 0.91}, {0: 1})
    >>> stability_text(facts, 0), stability_text(facts, 1)
    ('stable: mean Jaccard 0.91, dissolves in 1 of 10 refits', 'not measured')
    """
    kept = _refits_text(facts.jaccard.get(label), facts.dissolved.get(label, 0), facts.n_refits)
    redrawn = _refits_text(facts.jaccard_redrawn.get(label), facts.dissolved_redrawn.get(label, 0), facts.n_redraws)
    return f"{kept}; with the space made anew {redrawn}" if facts.jaccard_redrawn else kept


def _refits_text(jaccard: float | None, dissolved: float, n_refits: int) -> str:
    if jaccard is None:
        return "not measured"
    how = "stable" if jaccard >= verdict.STABLE else "doubtful" if jaccard >= 0.5 else "not stable"
    often = f"{dissolved:.0f} of {words.count(n_refits, 'refit', 'refits')}"
    return f"{how}: mean Jaccard {jaccard:.2f}, dissolves in {often}"


def density_text(found: ClusterCard) -> str:
    """How close the galaxies of a cluster lie, beside all galaxies."""
    ratio = found.distance / found.distance_all if found.distance_all else 1.0
    how = "denser than" if ratio < 0.97 else "sparser than" if ratio > 1.03 else "as dense as"
    which = words.ordinal(found.n_neighbors)
    return (
        f"{how} the catalog: {words.number(found.distance)} to the {which} nearest in the embedding, all galaxies"
        f" {words.number(found.distance_all)}"
    )


def draw_pictures(galaxies: Galaxies, found: ClusterCard, on_open: OnOpen) -> None:
    """Medoids, random members and border members."""
    rows = (
        ("typical", found.medoids, f"Medoids: the least mean distance to the others, in {found.space}"),
        ("random", found.random, "Drawn at random"),
        ("border", found.border, "At the border: as near to the next cluster as to their own (silhouette nearest 0)"),
    )
    for key, chosen, title in rows:
        if len(chosen):
            st.caption(title)
            gallery(galaxies, chosen.tolist(), key, on_open=on_open)


def draw_enrichment(galaxies: Galaxies, clustering: str, label: int, found: ClusterCard) -> None:
    """What the cluster is rich in, each with its interval."""
    name = frame.plain(cluster_labels.label_text(galaxies, clustering, label))
    st.markdown(f"**What {'the unclustered are' if label < 0 else f'{name} is'} rich in, and poor in**")
    if not found.enriched:
        st.caption("There is nothing to compare: no class, vote or measurement, or no other galaxies.")
        return
    rich = [item for item in found.enriched if item.is_enriched]
    same = [item for item in found.enriched if not item.is_enriched]
    if rich:
        st.html(enrichment_html(galaxies, rich[:N_SHOWN]))
    else:
        st.caption("In no class, vote or measurement does it differ from the rest by more than chance explains.")
    if rest := rich[N_SHOWN:] + same:
        with st.expander(f"{words.count(len(rest), 'further comparison', 'further comparisons')}"):
            st.html(enrichment_html(galaxies, rest))
    n_clusters = max(1, len(scores.sizes_of(galaxies.labels(clustering))))
    without = "The clusters were found without these columns."
    if scores.learned_classes(galaxies, clustering):
        without = "The space was made with the classes of the training galaxies, so that the clusters differ in these."
    st.caption(
        f"{measured_on(found.enriched)}; 95 % bootstrap intervals. p: rank-sum test, of two or rare values Fisher's"
        f" exact one, corrected by Holm (1979) for"
        f" {words.count(n_tests(found.enriched), 'comparison', 'comparisons')} and for"
        f" {words.count(n_clusters, 'cluster', 'clusters')}. {without}",
        help=selection_differences.WHAT_DELTA_IS,
    )


def measured_on(items: Sequence[Enrichment]) -> str:
    """How many galaxies were compared: columns that not every galaxy has a value in are measured on fewer."""
    ours, others = [item.difference.n_selected for item in items], [item.difference.n_rest for item in items]
    if min(ours) == max(ours) and min(others) == max(others):
        return f"Measured on {words.count(ours[0])} of the cluster and {others[0]:,} others"
    return (
        f"Measured on those that have a value: {min(ours):,} to {words.count(max(ours))} of the cluster and"
        f" {min(others):,} to {max(others):,} others"
    )


def n_tests(items: Sequence[Enrichment]) -> int:
    """How many comparisons there were: of two categories, one says it all."""
    columns = Counter(item.difference.column for item in items)
    return sum(1 if n == 2 else n for n in columns.values())


def enrichment_html(galaxies: Galaxies, items: list[Enrichment]) -> str:
    """A line for each comparison: a sentence with its corrected p, and its interval as a bar around zero."""
    names = colour_choices(galaxies)
    reach = max([0.1, *(np.nanmax(np.abs([i.difference.low, i.difference.high, 0])) for i in items)])
    lines = []
    for item in items:
        title, rest = selection_differences.sentence(item.difference, names)
        text = f"<b>{html.escape(title)}</b> {html.escape(rest)}; {p_text(item.p_adjusted)}"
        lines.append(f"<li><span>{text}</span>{selection_differences.bar_html(item.difference, reach)}</li>")
    return f'<ol class="differences">{"".join(lines)}</ol>'


def p_text(p: float) -> str:
    """A corrected p-value.

    Examples
    --------
    >>> p_text(0.0000001), p_text(0.0312), p_text(1.0), p_text(float("nan"))
    ('p < 0.001', 'p = 0.031', 'p = 1', 'p –')
    """
    if not np.isfinite(p):
        return "p –"
    return "p < 0.001" if p < 0.001 else "p = 1" if p >= 0.9995 else f"p = {p:.3f}"
