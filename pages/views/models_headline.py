"""What a model's page says first: what it does, how right it is, beside what, and on what that was measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from galaxy_core.model_files import ModelFiles, section
from pages.views import commands, frame, models_numbers, models_sky_numbers, models_vote_numbers, words
from pages.views.models_numbers import decimals, percent, value_of

DOES = {
    "contrastive_denoiser": "Takes the noise out of images, and describes each galaxy by a row of numbers of which"
    " maps, clusters and neighbours are made. It learns without labels.",
    "moco": "Describes each galaxy by a row of numbers of which maps, clusters and neighbours can be made. It learns"
    " without labels, by knowing a galaxy again among others.",
    "cae": "Describes each galaxy by a row of numbers from which it can be drawn again, and of which maps, clusters"
    " and neighbours can be made. It learns without labels.",
    "feature_classifier": "Tells classes apart, for the features it learns them by: maps, clusters and neighbours can"
    " be made of these.",
    "vote_regressor": "Tells the class of a galaxy, and what volunteers of Galaxy Zoo would answer, with 90 %"
    " intervals. The page Morphology asks it.",
    "segmenter": "Finds and outlines the objects of survey frames. The page Frame asks it.",
    "star_galaxy_vae": "Tells stars from galaxies: the probability that what a stamp shows is a galaxy. The page Frame"
    " asks the network that learns without labels; one that is shown labels is beside it.",
}
BY_CHANCE = """By chance, up to: what 19 of 20 models that are right would stay below on as few galaxies and volunteers.
An error below that is no sign that fractions are off."""
STRICT_HELP = """Structural similarity to the image without noise, on the galaxy's own pixels. 1 is the image itself."""
FLUX_HELP = """Light of the galaxy in the output over that in the image without noise, minus one; mean over galaxies."""
PROBE_HELP = """Classes of test galaxies, told by a logistic regression on the numbers that describe them, which was
fitted on training galaxies. The network itself is frozen and saw no class."""
RMSE_HELP = """Root mean square error of a vote fraction, 0 to 1, over all questions. Noise floor: what would be left to
a model that knew every galaxy's true shares, since other volunteers would have voted otherwise."""
INTERVAL_HELP = """Share of the fractions of those asked that lie in the model's 90 % intervals of what they would say:
90 % would be right. The fewer are asked, the wider the intervals: 1 is all that a fraction can be."""
EXPLAINED_HELP = "Share of the squared error of the mean image that is gone when a galaxy is drawn from its code."


@dataclass(frozen=True)
class Fact:
    """One number, and what stands beside it."""

    label: str
    value: str
    beside: str = ""
    help: str | None = None


def draw_what_it_does(model: ModelFiles) -> None:
    """One or two sentences; nothing for a model of another kind."""
    if does := DOES.get(commands.OF_NETWORK.get(model.kind, model.kind)):
        st.markdown(does)


def draw_headline(model: ModelFiles) -> None:
    """The main numbers in a row, each with what it is to be compared with, and on what they were measured."""
    facts, measured = headline_of(model.metrics)
    if not facts:
        st.caption("How right this model is was not measured." if model.measured else "There are no numbers yet.")
        return
    with st.container(key="models-facts"):
        for fact, column in zip(facts, st.columns(len(facts)), strict=True):
            column.metric(fact.label, fact.value, help=fact.help)
            column.caption(frame.plain(fact.beside))
    st.caption(frame.plain(f"{' '.join(measured)} The network learned from none of them."))


def headline_of(metrics: dict) -> tuple[list[Fact], list[str]]:
    """The main numbers of whatever was measured, and a sentence on each kind's galaxies."""
    facts: list[Fact] = []
    measured: list[str] = []
    for part in (_denoising, _redrawn, _classes, _votes, _embedding, *models_sky_numbers.HEADLINES):
        found, on = part(metrics)
        facts += [Fact(*one) for one in found]
        measured += [f"{on[0].upper()}{on[1:]}."] if found else []
    return facts, measured


def _denoising(metrics: dict) -> tuple[list[tuple], str]:
    level = section(metrics, "denoising", "noise_x1")
    ours, plain, classic = (section(level, key) for key in ("model", "noisy_input", "total_variation"))

    def beside(show, key: str) -> str:
        known = ((name, value_of(one, key)) for name, one in (("noisy image", plain), ("total variation", classic)))
        return "; ".join(f"{name} {show(value)}" for name, value in known if np.isfinite(value))

    shown = (
        ("Strict SSIM", "strict_ssim", decimals, STRICT_HELP),
        ("PSNR on the galaxy", "foreground_psnr_db", lambda value: f"{value:.1f} dB", None),
        ("Flux bias", "flux_bias", lambda value: words.minus(f"{100 * value:+.2f} %"), FLUX_HELP),
    )
    facts = [
        (label, show(value_of(ours, key)), beside(show, key), about)
        for label, key, show, about in shown
        if np.isfinite(value_of(ours, key))
    ]
    on = models_numbers.measured_on(metrics, value_of(ours, "n_galaxies"))
    return facts, f"denoising is measured on {on}, with noise as published added"


def _redrawn(metrics: dict) -> tuple[list[tuple], str]:
    scores = section(metrics, "reconstruction")
    ours, pca = value_of(section(scores, "model"), "explained"), value_of(section(scores, "pca"), "explained")
    beside = f"principal components {percent(pca)}" if np.isfinite(pca) else ""
    facts = [("Redrawn from its code", percent(ours), beside, EXPLAINED_HELP)] if np.isfinite(ours) else []
    return facts, f"redrawing on {models_numbers.measured_on(metrics, value_of(scores, 'n_galaxies'))}"


def _classes(metrics: dict) -> tuple[list[tuple], str]:
    classes, facts = section(metrics, "classes"), []
    largest, n_classes = value_of(classes, "largest_class_share"), len(section(classes, "recall"))
    alone = {"accuracy": largest, "macro_f1": 2 * largest / (1 + largest) / n_classes if n_classes else np.nan}
    for label, key in (("Accuracy", "accuracy"), ("Macro-F1", "macro_f1")):
        if np.isfinite(value := value_of(classes, key)):
            within = models_numbers.interval(classes, f"{key}_interval")
            beside = [f"95 %: {within}"] if within else []
            beside += [f"largest class alone {percent(alone[key])}"] if np.isfinite(alone[key]) else []
            facts.append((label, percent(value), "; ".join(beside)))
    error, above = value_of(classes, "expected_calibration_error"), value_of(classes, "by_chance_95")
    if np.isfinite(error):
        beside = f"by chance up to {decimals(above)}" if np.isfinite(above) else ""
        help_ = f"Of the leading class's probability; 0 is perfect. {BY_CHANCE}"
        facts.append(("Calibration error", decimals(error), beside, help_))
    return facts, f"classes are measured on {models_numbers.measured_on(metrics, value_of(classes, 'n_test'))}"


def _votes(metrics: dict) -> tuple[list[tuple], str]:
    """Votes as they were cast where these were measured: the page Morphology shows them first."""
    part = next((part for part in models_vote_numbers.VOTE_PARTS if section(metrics, part, "model")), "votes")
    votes, facts = section(metrics, part), []
    if np.isfinite(ours := value_of(section(votes, "model"), "rmse")):
        beside = [
            f"{models_vote_numbers.PREDICTIONS[key]} {decimals(value)}"
            for key in ("training_mean", "noise_floor")
            if np.isfinite(value := value_of(section(votes, key), "rmse"))
        ]
        facts.append(("Error of a vote fraction", decimals(ours), "; ".join(beside), RMSE_HELP))
    if np.isfinite(held := value_of(section(votes, "coverage_90", "conditional"), "all")):
        width = value_of(section(votes, "interval_width"), "conditional")
        wide = f"; they are {width:.2f} wide on average" if np.isfinite(width) else ""
        facts.append(("In the 90 % intervals", percent(held), f"right would be 90 %{wide}", INTERVAL_HELP))
    form = models_vote_numbers.FORMS.get(str(votes.get("reading")), "")
    return facts, f"votes{form} on {models_numbers.measured_on(metrics, value_of(votes, 'n_test'), part=part)}"


def _embedding(metrics: dict) -> tuple[list[tuple], str]:
    probe = section(metrics, "embedding", "test", "linear_probe")
    if not np.isfinite(accuracy := value_of(probe, "accuracy")):
        return [], ""
    within = models_numbers.interval(probe, "interval")
    near = value_of(section(metrics, "embedding", "test", "knn_probe"), "accuracy")
    beside = [f"95 %: {within}"] if within else []
    beside += [f"by the 15 nearest {percent(near)}"] if np.isfinite(near) else []
    facts = [("Classes read off", percent(accuracy), "; ".join(beside), PROBE_HELP)]
    return facts, f"classes read off on {models_numbers.measured_on(metrics, value_of(probe, 'n_test'))}"
