"""How the models here learned, how right they are, on what that was measured, and what others published."""

from __future__ import annotations

import streamlit as st

from galaxy_core import artifacts
from pages.views import frame, models_about, models_confusion, models_label_curve, models_panels

INTRODUCTION = "How each model learned, how right it is on galaxies it never saw, and what others published."

root = frame.open_page("Models")
st.caption(INTRODUCTION)
if artifacts.list_catalogs(root):
    frame.choose_catalog(root)  # whose pictures are shown
with frame.panel():
    models = models_panels.choose_model(root)
    model = next(iter(models.values()))
    models_panels.draw_state(model)
    models_panels.draw_training(model)
    models_panels.draw_numbers(model)
    left, right = st.columns(2, gap="medium")
    with left, frame.panel():
        models_confusion.draw_confusion(model, root)
    with right:
        models_panels.draw_reliability(model)
    models_label_curve.draw_label_curve(root)
    models_about.draw_published(models_panels.by_recipe(models), models_label_curve.read_all(root)[0])
    models_about.draw_about(model)
    models_about.draw_card(model)
