"""What each model does, how right it is, on what that was measured, beside what; then how it learned."""

from __future__ import annotations

import streamlit as st

from galaxy_core import artifacts
from pages.views import frame, models_about, models_confusion, models_headline, models_label_curve, models_panels

INTRODUCTION = "What each model does, how right it is on galaxies it never saw, what others published, how it learned."

root = frame.open_page("Models")
st.caption(INTRODUCTION)
if artifacts.list_catalogs(root):
    frame.choose_catalog(root)  # whose pictures are shown
with frame.panel():
    models = models_panels.choose_model(root)
    model = next(iter(models.values()))
    models_headline.draw_what_it_does(model)
    models_panels.draw_state(model)
    models_headline.draw_headline(model)
    drawn = [models_panels.draw_reliability] if models_panels.reliability_of(model) else []
    if models_confusion.has_confusion(model):
        drawn.insert(0, lambda model: models_confusion.draw_confusion(model, root))
    for draw, column in zip(drawn, st.columns(2, gap="medium") if drawn else (), strict=False):
        with column, frame.panel():
            draw(model)
    models_panels.draw_numbers(model)
    models_about.draw_published(models_panels.by_recipe(models), models_label_curve.read_all(root)[0])
    models_panels.draw_training(model)
    models_label_curve.draw_label_curve(root)
    models_about.draw_about(model)
    models_about.draw_card(model)
