"""How many clusters? Scores along the parameter of a method: the elbow, silhouettes, least cluster size."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pandas as pd
import streamlit as st

from galaxy_core import artifacts
from pages.views import agreement_figures, figures, frame, words
from pages.views.colours import category_colours
from pages.views.readers import Galaxies

CHARTS = (
    ("Silhouette", {"strict": "strict", "clustered": "flattering"}),
    ("Elbow: squared distance to the centres", {"inertia": "inertia"}),
    ("Bayesian information criterion, less is better", {"bic": "BIC"}),
    ("Density-based validity (DBCV)", {"dbcv": "DBCV"}),
    ("Share of the galaxies with a cluster", {"coverage": "coverage"}),
    ("Clusters found", {"n_clusters": "clusters"}),
    ("Agreement with the classes, not for choosing", {"ami": "AMI", "ari": "ARI"}),
)
PARAMETERS = {"n_clusters": "number of clusters k", "n_components": "number of components"}
LOGARITHMIC = ("min_cluster_size", "eps")
SIZES_TRIED = (0.001, 0.003, 0.01, 0.03)  # least cluster sizes that the command tries, as shares of the galaxies


def draw_sweeps(galaxies: Galaxies) -> None:
    """Curves of a stored sweep, or the command that makes one."""
    sweeps = artifacts.read_sweeps(galaxies.root, galaxies.name)
    groups = groups_of(sweeps)
    if not groups:
        st.info(
            "No sweep is stored for this catalog. The Laboratory draws these curves at once; these commands fit k-means"
            " with 2 to 20 clusters and HDBSCAN with growing least cluster sizes, and keep every score:",
            icon=":material/info:",
        )
        st.code("\n".join(commands(galaxies)), language="bash", wrap_lines=True)
        return
    chosen = st.selectbox("Sweep", list(groups), format_func=lambda key: group_name(*key), key="sweep", width=420)
    points = groups[chosen]
    colours, n_fits = category_colours(2, frame.is_dark()), len(points)
    shown = charts_of(points, chosen[2])
    for start in range(0, len(shown), 3):
        for (title, columns), place in zip(shown[start : start + 3], st.columns(3, gap="medium"), strict=False):
            parameter = PARAMETERS.get(chosen[2], words.column_name(chosen[2]))
            log = chosen[2] in LOGARITHMIC and bool((points["value"] > 0).all())
            figure = agreement_figures.curve_figure(points, parameter, columns, title, colours, log)
            config = figures.chart_config(f"{galaxies.name}-sweep-{'-'.join(columns)}") | {"scrollZoom": False}
            place.plotly_chart(figure, key=f"sweep-{'-'.join(columns)}", config=config)
    seeds = points["seed"].nunique()
    st.caption(
        f"{words.count(n_fits, 'fit', 'fits')} in {words.space_of(chosen[0])}, with"
        f" {words.count(seeds, 'seed', 'seeds')}; lines are means over seeds. Strict silhouettes count unclustered"
        " galaxies as 0; the flattering ones leave them out. " + best_sentence(points, chosen[2])
    )


def groups_of(sweeps: pd.DataFrame) -> dict[tuple[str, str, str, str], pd.DataFrame]:
    """The fits of each space, method, parameter and its other parameters, in the order of their value."""
    if not len(sweeps):
        return {}
    others = sweeps["params"].fillna("") if "params" in sweeps else ""
    keys = ["space", "method", "parameter", "params"]
    groups = sweeps.assign(params=others).groupby(keys, sort=True)
    return {key: group.sort_values("value") for key, group in groups}


def group_name(space: str, method: str, parameter: str, params: str = "") -> str:
    """A sweep as people write it.

    Examples
    --------
    >>> group_name("umap_10", "hdbscan", "min_cluster_size", '{"min_samples": 5}')
    'HDBSCAN in a UMAP of 10 dimensions: min cluster size (min samples 5)'
    """
    try:
        others = json.loads(params) if params else {}
    except ValueError:
        others = {}
    text = ", ".join(f"{words.column_name(name)} {value}" for name, value in others.items())
    name = f"{words.name_of(method)} in {words.space_of(space)}: {words.column_name(parameter)}"
    return f"{name} ({text})" if text else name


def charts_of(points: pd.DataFrame, parameter: str) -> list[tuple[str, dict[str, str]]]:
    """Titles and columns of the charts that have something to show; what the parameter sets is not drawn against it."""
    shown = []
    for title, columns in CHARTS:
        known = {c: n for c, n in columns.items() if c in points and points[c].notna().any() and c != parameter}
        same = "coverage" in known and (points["coverage"] == 1).all()
        if known and not same:
            shown.append((title, known))
    return shown


def best_sentence(points: pd.DataFrame, parameter: str) -> str:
    """Where the strict silhouette is highest, the mean over seeds, among the fits that found clusters to tell apart."""
    name, values = PARAMETERS.get(parameter, words.column_name(parameter)), points["value"]
    mean = points[points["n_clusters"] > 1].groupby("value")["strict"].mean().dropna()
    if not len(mean):
        return f"No value of {name} gives two clusters or more, so there is no silhouette."
    best = float(mean.idxmax())
    at_end = " (at an end of the sweep: a wider one may find more)" if best in (values.min(), values.max()) else ""
    return f"The strict silhouette is highest, {mean.max():.3f}, at {name} = {words.number(best)}{at_end}."


def commands(galaxies: Galaxies) -> list[str]:
    """The commands that make sweeps of this catalog."""
    elsewhere = Path(galaxies.root).resolve() != frame.PROJECT / artifacts.DEFAULT_ROOT
    more = ["--artifacts", str(artifacts.shown(galaxies.root))] if elsewhere else []
    start = ["python", "scripts/cluster.py", galaxies.name]
    kmeans = ["--method", "kmeans", "--space", "embedding", "--sweep", "n_clusters=2..20"]
    sizes = sorted({max(5, round(len(galaxies) * share)) for share in SIZES_TRIED})
    hdbscan = ["--method", "hdbscan", "--space", "umap_10", "--sweep", f"min_cluster_size={','.join(map(str, sizes))}"]
    return [shlex.join([*start, *kmeans, *more]), shlex.join([*start, *hdbscan, *more])]
