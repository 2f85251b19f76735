"""Curves of a sweep that grow while it runs."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from galaxy_core.laboratory import Job
from pages.views import agreement_figures, figures, frame, sweep_panels, words
from pages.views.colours import category_colours
from pages.views.readers import Galaxies


def draw_curves(galaxies: Galaxies, job: Job) -> None:
    """Every score of the fits so far along the parameter, and where the strict silhouette is highest."""
    rows, failed = list(job.rows), [row for row in job.rows if "failed" in row]
    made = [row for row in rows if "failed" not in row]
    task = job.task
    name = sweep_panels.PARAMETERS.get(task.parameter, words.column_name(task.parameter))
    if made:
        points = pd.DataFrame(made)
        log = task.parameter in sweep_panels.LOGARITHMIC
        colours = category_colours(2, frame.is_dark())
        charts = sweep_panels.charts_of(points, task.parameter)
        for start in range(0, len(charts), 3):
            for (title, columns), place in zip(charts[start : start + 3], st.columns(3, gap="medium"), strict=False):
                figure = agreement_figures.curve_figure(points, name, columns, title, colours, log)
                config = figures.chart_config(f"{galaxies.name}-live-sweep-{'-'.join(columns)}") | {"scrollZoom": False}
                place.plotly_chart(figure, key=f"lab-sweep-{'-'.join(columns)}", config=config)
        n = int(made[0]["n_galaxies"])
        measured = f"all {words.count(n)}" if n == len(galaxies) else f"a random sample of {words.count(n)}"
        if n < len(galaxies) and task.parameter == "min_cluster_size":
            measured += ", where least sizes, which are of the whole catalog, are brought to its share"
        st.caption(
            f"{len(rows)} of {words.count(len(task.values), 'fit', 'fits')} of {words.name_of(task.settings['method'])}"
            f" in {words.space_of(task.settings['space'])}, on {measured}. Strict silhouettes count unclustered"
            f" galaxies as 0. {sweep_panels.best_sentence(points, task.parameter)}"
        )
    for row in failed[:3]:
        st.caption(f"{name} = {row['value']:g} was left out: {frame.plain(row['failed'])}")
    if len(failed) > 3:
        st.caption(f"and {len(failed) - 3} more values were left out.")
