"""What each model does, and section by section how right it is, where it fails, what others reached, how it learned."""

from __future__ import annotations

from galaxy_core import artifacts
from pages.views import (
    frame,
    models_about,
    models_headline,
    models_label_curve,
    models_mistakes,
    models_panels,
    models_reliability,
)

SECTIONS = {
    "right": "How right it is",
    "fails": "Where it fails",
    "numbers": "All its numbers",
    "published": "Beside published numbers",
    "learned": "How it learned",
    "labels": "With few labels",
    "card": "Card",
}


def draw_section(section, model, folders, root):
    """One section; the others are neither read nor drawn."""
    if section == "right":
        models_headline.draw_headline(model)
        models_reliability.draw_reliability(model)
    elif section == "fails":
        models_mistakes.draw_mistakes(model, root)
    elif section == "numbers":
        models_panels.draw_numbers(model)
    elif section == "published":
        models_about.draw_published(models_panels.by_recipe(folders), models_label_curve.read_all(root)[0])
    elif section == "learned":
        models_panels.draw_training(model)
        models_about.draw_about(model)
    elif section == "labels":
        models_label_curve.draw_label_curve(root)
    else:
        models_about.draw_card(model)


artifacts_root = frame.open_page("Models")
if artifacts.list_catalogs(artifacts_root):
    frame.choose_catalog(artifacts_root)  # whose pictures are shown
with frame.panel():
    of_models = models_panels.choose_model(artifacts_root)
    chosen = models_panels.read(next(iter(of_models.values())))
    models_headline.draw_what_it_does(chosen)
    models_panels.draw_state(chosen)
    open_section = models_panels.choose_section(SECTIONS)
    with frame.panel():
        draw_section(open_section, chosen, of_models, artifacts_root)
