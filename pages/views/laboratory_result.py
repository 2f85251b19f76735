"""What a clustering looks like that was just made: map, scores, silhouettes, and the stored ones beside it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from galaxy_core.cluster_agreement import MEASURES, contingency
from galaxy_core.clustering import BECAUSE
from galaxy_core.laboratory import Job, Trial
from pages.views import comparison_panels, figures, frame, map_choices, score_table, scores, selection, words
from pages.views.colours import Colouring, category_colours
from pages.views.galaxy_map import component
from pages.views.readers import Galaxies

HEIGHT = 400
SIZES_SHOWN = 12


def draw_result(
    galaxies: Galaxies,
    projection: str | None,
    job: Job,
    on_select: Callable[[], None],
    draw_null: Callable[[], None],
) -> None:
    """Everything about one clustering; ``on_select`` is called in the callback after galaxies were selected.

    ``draw_null`` draws what data without groups give at the same settings.
    """
    trial = job.trial
    st.markdown(f"**{title_of(job)}**")
    for sentence in sentences(trial):
        st.markdown(f"- {sentence}")
    draw_null()
    left, right = st.columns(2, gap="medium")
    with left, frame.panel():
        _draw_map(galaxies, projection, job)
        _draw_scores(trial)
    with right:
        _draw_silhouettes(galaxies, job, on_select)
    if curve := trial.about["measures"].get("k_distance"):
        figure = k_distance_figure(curve, trial.about["params"]["eps"], frame.is_dark())
        config = figures.chart_config(f"{galaxies.name}-k-distance") | {"scrollZoom": False}
        st.plotly_chart(figure, key="lab-k-distance", config=config)
    st.markdown("**Beside the stored clusterings**")
    st.dataframe(comparison_table(galaxies, job), hide_index=True, height="content")
    n = f"{'a random sample of' if trial.is_sample else 'all'} {words.count(len(trial.rows))}"
    n_reference = trial.about["scores"]["fitted_space"]["n_reference"]
    reference = f"; silhouettes of this result use distances to {n_reference:,} of them" if trial.n_clusters > 1 else ""
    stored = f" The stored clusterings are measured on all {words.count(len(galaxies))}." if trial.is_sample else ""
    st.caption(
        f"Measured on {n}{reference}.{stored} ARI and AMI with this result: 1 the same,"
        " 0 as by chance; unclustered galaxies count as one more group. Silhouettes, Davies-Bouldin (less is"
        " better) and Calinski-Harabasz (more is better) can be compared only within one space."
    )


def title_of(job: Job) -> str:
    """Method, space and parameters."""
    about = job.trial.about
    numbers = {
        key: value for key, value in about["params"].items() if key not in ("n_sample", "cluster_selection_method")
    }
    params = ", ".join(
        f"{key.replace('_', ' ')} {words.number(v) if isinstance(v, int | float) else v}" for key, v in numbers.items()
    )
    return f"{words.name_of(about['method'])} in {words.space_of(about['space'])}: {frame.plain(params)}"


def sentences(trial: Trial) -> list[str]:
    """What it says, in plain words computed from its numbers."""
    about, sizes, n = trial.about, scores.sizes_of(trial.labels), len(trial.labels)
    if trial.is_sample:
        said = [
            f"A random sample of {n:,} of the {words.count(about['n_galaxies'])} was clustered; the map shows these."
        ]
    else:
        said = [f"{words.count(n)} {'was' if n == 1 else 'were'} clustered."]
    said += [f"{note[:1].upper()}{note[1:].rstrip('.')}." for note in about["notes"] if "no cluster" not in note]
    if not sizes and any(note.startswith(BECAUSE) for note in about["notes"]):
        return said  # there can be none, and it says why
    if not sizes:
        return [*said, f"No cluster was found: {scores.NO_CROWD}. Ask for smaller clusters."]
    if len(sizes) == 1:
        return [*said, "There is a single cluster, so there is nothing to separate."]
    strict = about["scores"]["fitted_space"]["strict"]
    said.append(f"The strict silhouette, {scores.in_bands(strict)}")
    return said


def _draw_map(galaxies: Galaxies, projection: str | None, job: Job) -> None:
    if projection is None:
        st.info("There is no map of this catalog.", icon=":material/map:")
        return
    trial = job.trial
    keep = trial.of_all(np.ones(len(trial.rows), dtype=bool), False) if trial.is_sample else None
    title = f"{words.name_of(trial.about['method'])}, live"
    look = map_choices.look_of(galaxies, projection, title, keep, "laboratory")
    names = tuple(words.cluster_name(label) for label in range(trial.n_clusters))
    colouring = Colouring(f"cluster, {title}", trial.of_all(trial.labels, -1), names, nothing="unclustered")
    component.draw_map(galaxies, look, colouring, keep, ("laboratory", job.task.key), HEIGHT)


def _draw_scores(trial: Trial) -> None:
    """Strict beside flattering, and how the galaxies are shared out."""
    measured = trial.about["scores"]
    fitted, inside = measured["fitted_space"], measured["embedding"]
    with st.container(horizontal=True, key="scores-laboratory"):
        st.metric("Clusters", measured["n_clusters"])
        st.metric("Coverage", words.share(measured["coverage"], 1), help="Share of the galaxies that have a cluster.")
        strict = fitted["strict"] if trial.n_clusters > 1 else None
        st.metric("Silhouette, strict", scores.score_text(strict), help=scores.STRICT_HELP)
        st.metric("flattering", scores.score_text(fitted["clustered"]), help="Over clustered galaxies alone.")
    if trial.n_clusters < 2:
        st.caption(sizes_text(measured["sizes"], len(trial.labels)))
        return
    low, high = (scores.score_text(end) for end in fitted["strict_interval"])
    said = [f"Strict {low} to {high} (95 %), in the embedding {scores.score_text(inside['strict'])}."]
    said += [f"DBCV {score_table.dbcv_text(measured)}."] if measured["dbcv"] is not None else []
    if measured["davies_bouldin"] is not None:
        said.append(f"Davies-Bouldin {words.number(measured['davies_bouldin'])},")
        said.append(f"Calinski-Harabasz {words.number(measured['calinski_harabasz'])}, clustered galaxies only.")
    if measured["ami"] is not None:
        said.append(
            f"With the classes: AMI {scores.score_text(measured['ami'])}, ARI {scores.score_text(measured['ari'])}."
        )
    st.caption(" ".join(said) + " " + sizes_text(measured["sizes"], len(trial.labels)))


def sizes_text(sizes: list[int], n: int) -> str:
    """How many galaxies each cluster has.

    Examples
    --------
    >>> sizes_text([60, 30], 100)
    'Sizes: 60 (60 %), 30 (30 %); in none: 10 (10 %).'
    """
    shown = [f"{size:,} ({words.share(size, n)})" for size in sizes[:SIZES_SHOWN]]
    more = f" and {len(sizes) - SIZES_SHOWN} smaller ones" if len(sizes) > SIZES_SHOWN else ""
    rest = n - sum(sizes)
    none = f"; in none: {rest:,} ({words.share(rest, n)})" if rest else ""
    return f"Sizes: {', '.join(shown) or 'no cluster'}{more}{none}."


def _draw_silhouettes(galaxies: Galaxies, job: Job, on_select: Callable[[], None]) -> None:
    """Every galaxy as a bar; a click or a button selects those below zero on every map."""
    trial = job.trial
    sizes = scores.sizes_of(trial.labels)
    if len(sizes) < 2:
        st.info("A silhouette compares clusters, and there are fewer than two.", icon=":material/info:")
        return
    colours = dict(zip(sizes, category_colours(len(sizes), frame.is_dark()), strict=True))
    title = "Silhouette of every galaxy in the space clustered in"
    figure = figures.silhouette_figure(trial.silhouettes, trial.labels, colours, title, frame.is_dark())
    config = figures.chart_config(f"{galaxies.name}-laboratory-silhouettes") | {"scrollZoom": False}
    below = comparison_panels.below_of(trial.silhouettes, trial.labels)
    chart, choice = f"lab-silhouettes-{job.task.key[:12]}", f"lab-below-{job.task.key[:12]}"

    def chosen() -> None:
        key = st.session_state.get(choice)
        if key in below:
            where = "any cluster" if key == comparison_panels.ALL else words.cluster_name(key)
            selection.select_rows(galaxies, trial.rows[below[key]], how=f"below zero in {where} of {title_of(job)}")
        on_select()

    def clicked() -> None:
        label = comparison_panels.label_of_click(st.session_state.get(chart))
        if label in below:
            st.session_state[choice] = label
            chosen()

    st.plotly_chart(figure, key=chart, config=config, on_select=clicked, selection_mode="points")
    if below:
        st.segmented_control(
            "Select the galaxies below zero, in",
            list(below),
            format_func=lambda key: comparison_panels.below_text(key, len(below[key])),
            key=choice,
            on_change=chosen,
            wrap=True,
            help="Closer to another cluster than to their own, on average. A click on a cluster above does the same.",
        )


def k_distance_figure(curve: dict, eps: float, dark: bool) -> go.Figure:
    """The distance to the k-th neighbour of every galaxy, the bend that is suggested, and the eps that was used."""
    ink, accent = ("#e4e7ee", "#E69F00") if dark else ("#20242e", "#b45f00")
    share = 100 * np.asarray(curve["share"], dtype=np.float64)
    figure = go.Figure(
        go.Scatter(
            x=share,
            y=np.asarray(curve["distance"], dtype=np.float64),
            mode="lines",
            line={"color": "#56B4E9", "width": 2},
            hovertemplate="%{x:.0f} % of the galaxies within %{y:.3g}<extra></extra>",
        )
    )
    elbow, at = curve["elbow"], 100 * curve["elbow_share"]
    figure.add_shape(type="line", x0=0, x1=100, y0=eps, y1=eps, line={"color": accent, "dash": "dash", "width": 1.5})
    used = "eps used" if not np.isclose(eps, elbow) else "suggested eps, used here"
    figure.add_annotation(
        x=0, y=eps, text=f"{used}: {words.number(eps)}", showarrow=False, xanchor="left", yanchor="bottom"
    )
    if not np.isclose(eps, elbow):
        figure.add_annotation(x=at, y=elbow, text=f"suggested eps: {words.number(elbow)}", ax=-60, ay=-30)
    figure.add_trace(
        go.Scatter(
            x=[at], y=[elbow], mode="markers", marker={"color": ink, "size": 9}, hovertemplate="the bend<extra></extra>"
        )
    )
    figure.update_xaxes(title="galaxies, sorted by that distance [%]", range=[0, 100])
    figure.update_yaxes(title=f"distance to neighbour {curve['k']}", rangemode="tozero")
    title = f"k-distance curve, k = {curve['k']}: where it bends up, density ends"
    figure.update_layout(title={"text": title}, height=320, showlegend=False, dragmode=False)
    figure.update_layout(margin={"l": 8, "r": 8, "t": 48, "b": 8})
    return figure


def comparison_table(galaxies: Galaxies, job: Job) -> pd.DataFrame:
    """This result and every stored clustering, one row each, with their agreement; text."""
    trial, measured = job.trial, job.trial.about["scores"]
    fitted, inside = measured["fitted_space"], measured["embedding"]
    lines = [
        {
            "clustering": "this result",
            "ARI with this": "",
            "AMI with this": "",
            "fitted in": words.space_of(trial.about["space"]),
            "clusters": str(measured["n_clusters"]),
            "coverage": words.share(measured["coverage"], 1),
            "silhouette, strict": scores.score_text(fitted["strict"] if trial.n_clusters > 1 else None),
            "flattering": scores.score_text(fitted["clustered"]),
            "strict, in the embedding": scores.score_text(inside["strict"] if trial.n_clusters > 1 else None),
            "Davies-Bouldin": words.number(measured["davies_bouldin"]),
            "Calinski-Harabasz": words.number(measured["calinski_harabasz"]),
            "DBCV": scores.score_text(measured["dbcv"]),
        }
    ]
    for name in galaxies.clustering_names:
        row, recorded = scores.score_row(galaxies, name), scores.recorded_scores(galaxies, name)
        ari, ami = agreement_with(galaxies, job, name)
        lines.append(
            {
                "clustering": words.name_of(name),
                "ARI with this": scores.score_text(ari),
                "AMI with this": scores.score_text(ami),
                "fitted in": row["fitted in"],
                "clusters": row["clusters"],
                "coverage": row["coverage"],
                "silhouette, strict": row["silhouette, strict"].split(" (")[0],
                "flattering": row["silhouette, flattering"],
                "strict, in the embedding": row["strict, in the embedding"].split(" (")[0],
                "Davies-Bouldin": words.number(recorded.get("davies_bouldin")),
                "Calinski-Harabasz": words.number(recorded.get("calinski_harabasz")),
                "DBCV": scores.score_text(recorded.get("dbcv")),
            }
        )
    return pd.DataFrame(lines)


def agreement_with(galaxies: Galaxies, job: Job, clustering: str) -> tuple[float, float]:
    """ARI and AMI of the result and a stored clustering, over the galaxies of the result; measured once."""
    key = ("laboratory", job.task.key, clustering)
    if key not in galaxies.memory:
        table = contingency(job.trial.labels, galaxies.labels(clustering)[job.trial.rows])
        galaxies.memory[key] = MEASURES["ari"](table.counts), MEASURES["ami"](table.counts)
    return galaxies.memory[key]
