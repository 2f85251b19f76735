"""Where a model fails: classes it takes for others, faint objects, and the limits that its card states."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from galaxy_core.model_files import ModelFiles
from pages.views import frame, models_about, models_confusion, models_numbers, models_panels, models_sky_numbers

FAINT_HELP = "Signal to noise ratio as the model's card defines it."
NOTHING = "Its mistakes were not measured, and no card states its limits."


def draw_mistakes(model: ModelFiles, root: Path) -> None:
    """Whatever is known of a model's failures, mistakes with their galaxies first."""
    found = models_confusion.has_confusion(model)
    if found:
        models_confusion.draw_confusion(model, root)
    faint, on = models_sky_numbers.faint_table(model.metrics)
    if len(faint):
        st.subheader("How faint", anchor=False, help=FAINT_HELP)
        models_panels.draw_table(faint)
        st.caption(frame.plain(on))
    if least := models_numbers.least_found(model.metrics):
        st.markdown(frame.plain(least))
    if limits := models_about.limits_of(model.card):
        st.subheader("Limits, from its card", anchor=False)
        models_about.warn_of_other_weights(model)
        with st.container(key="models-limits"):
            st.markdown(limits)
    elif not (found or len(faint) or least):
        st.caption(NOTHING)
