"""One model on the page: which one, what is wrong with its files, all its numbers, its calibration, how it learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from galaxy_core.artifacts import DEFAULT_MODEL, shown
from galaxy_core.errors import ModelError
from galaxy_core.frame_choices import DEFAULT_SEPARATOR
from galaxy_core.model_files import FILES, METRICS_FILE, ModelFiles, model_folders, read_model_files, section
from pages.views import (
    commands,
    figures,
    frame,
    models_about,
    models_figures,
    models_numbers,
    models_sky_numbers,
    morphology_words,
    page_address,
    words,
)
from pages.views.models_headline import BY_CHANCE
from pages.views.models_numbers import value_of

CHOICE_PX = 340
ASKED = {"star_galaxy_vae": DEFAULT_SEPARATOR}  # of a recipe whose model has another name
DIGITS = "%.3f"
COUNTED = ("galaxies", "test galaxies", "objects")
NO_LESS = (
    "Noise floor: the error that would at least be left to a model that knew every galaxy's true shares, since other "
    "volunteers would have voted otherwise; by this model's account of how far opinions are divided."
)
CALIBRATION_HELP = """Fractions: all that the calibration error and the intervals are of, wherever somebody was asked.
The intervals are of what those asked say: where only a few are, they are wide."""
CURVES_HELP = """Dashed: galaxies that are learned from. Solid: validation galaxies, which choose the pass whose weights
are kept (dotted), and are never learned from. Training galaxies are turned, blurred or drawn in another mix, so the two
may lie apart from the start. Losses are on logarithmic axes where all are positive."""
STRICT_HELP = """Strict numbers are measured on the galaxy's own pixels. SSIM as published counts the black sky around
it, too, by which the noisy input itself looks restored."""
SEARCH_HELP = """Simulated sources put into source-free places of real frames. Gain: how much fainter the sources are of
which half is found, beside SExtractor's search at a threshold that is as pure. False detections are counted on noise
like that of the frames."""
REDRAWN_HELP = """Root mean square error of pixels in [0, 1]. Principal components are the best linear code of that
length. Explained: share of the squared error of the mean image that is gone."""
RELIABILITY_HELP = """Each point: all fractions the model expects to be in a tenth of the range, against what volunteers
really said. On the diagonal the model is right on average; below it, it expects too much."""


def choose_model(root: Path) -> dict[str, ModelFiles]:
    """Files of all models, the chosen one first; raises `ModelError` where there is none."""
    folders = model_folders(root)
    if not folders:
        train = commands.train(DEFAULT_MODEL, root)
        raise ModelError(f"There is no model under {shown(root, 'models')}; train one with `{train}`.")
    names, asked = list(folders), st.query_params.get("model")
    picked = st.session_state.get("models-model")
    if _went_back(asked, picked, names[0]):
        picked = asked or names[0]
    known = (picked, asked, st.session_state.get("model_before"), names[0])
    # a keyed widget forgets its value on another page unless it is set again
    st.session_state["models-model"] = next(name for name in known if name in folders)
    if asked and asked not in folders:
        st.warning(frame.plain(f"There is no model “{asked}” here."), icon=":material/link_off:")
    name = st.selectbox("Model", names, key="models-model", width=CHOICE_PX, help="Trained here, or shipped.")
    st.session_state["model_before"] = name
    page_address.put_into_address("model", name if name != names[0] else None)
    ordered = [name, *(other for other in names if other != name)]
    return {one: _read(folders[one], _stamp_of(folders[one])) for one in ordered}


def _went_back(asked: str | None, picked: str | None, first: str) -> bool:
    """Whether the browser's buttons for back and forward changed the address since this page was drawn, and no pick."""
    here, left = ("Models",), st.session_state.get("address_left", {}).get("model")
    was_here, st.session_state["address_of"] = st.session_state.get("address_of") == here, here
    return was_here and asked != left and picked == (left or first)


def _stamp_of(folder: Path) -> tuple:
    paths = (folder / name for name in FILES)
    return tuple((p.stat().st_mtime_ns, p.stat().st_size) if p.exists() else None for p in paths)


@st.cache_resource(max_entries=32, show_spinner="Reading the model's files …")
def _read(folder: Path, stamp: tuple) -> ModelFiles:
    return read_model_files(folder)


def by_recipe(models: dict[str, ModelFiles]) -> dict[str, ModelFiles]:
    """The model whose numbers stand for each recipe: the chosen one if it is of that recipe, else the one pages ask."""
    chosen = next(iter(models.values()))
    asked = {model.kind: model for name, model in models.items() if name == ASKED.get(model.kind, model.kind)}
    return {chosen.kind: chosen} | {kind: model for kind, model in asked.items() if kind != chosen.kind}


def draw_state(model: ModelFiles) -> None:
    """What is wrong with the files, which are not there, and whether numbers are of these weights."""
    frame.show_problems(model.problems)
    if model.missing:
        listed = " and ".join(
            [", ".join(model.missing[:-1]), model.missing[-1]] if model.missing[1:] else model.missing
        )
        st.caption(f"There is no {frame.plain(listed)} in {frame.plain(str(model.folder))}.")
    again = f"`{commands.measure(model.kind, model.folder)}`"
    if model.measured == "others":
        st.warning(
            f"{frame.plain(METRICS_FILE)} was measured on other weights than these; measure again: {again}",
            icon=":material/warning:",
        )
    elif model.measured == "unknown":
        st.warning(
            f"{frame.plain(METRICS_FILE)} does not say on which weights it was measured; measure again: {again}",
            icon=":material/warning:",
        )
    elif METRICS_FILE in model.missing:
        st.info(f"This model was not measured yet: {again}", icon=":material/straighten:")


def draw_training(model: ModelFiles) -> None:
    """Loss, its parts, learning rate and speed of one phase along its passes; nothing without a history."""
    phases = models_numbers.phases_of(model.history)
    if not phases:
        return
    st.subheader("How it learned", anchor=False, help=CURVES_HELP)
    phase = max(phases, key=lambda name: np.nansum([value_of(row, "seconds") for row in phases[name]]))
    if len(phases) > 1:
        phase = st.segmented_control(
            "Phase", list(phases), default=phase, required=True, key=f"models-phase-{model.name}"
        )
    passes, dark = phases[phase], frame.is_dark()
    best = models_numbers.best_pass(passes)
    learned, how = models_numbers.curves_of(passes)
    sides = st.columns([3, 2], gap="medium")
    for side, panels, what in ((sides[0], learned, "learned"), (sides[1], how, "pace")):
        if panels:
            title = f"{phase}: {'loss and measures' if what == 'learned' else 'learning rate and speed'}"
            rows, from_zero = max(len(learned), len(how)), what == "pace"
            figure = models_figures.curves_figure(panels, best, figures.shorten(title, 48), dark, rows, from_zero)
            config = figures.chart_config(f"{model.name}-{phase}-{what}") | {"scrollZoom": False}
            side.plotly_chart(figure, key=f"models-curves-{what}", config=config)
    st.caption(models_about.training_sentence(model, passes, best))


def draw_numbers(model: ModelFiles) -> None:
    """Whatever of the metrics there is, as tables: denoising, probes, classes, votes, searches, stars and galaxies."""
    metrics = model.metrics
    tables = (
        ("**Denoising**, strict numbers first", STRICT_HELP, models_numbers.denoising_table(metrics)),
        ("**Redrawn galaxies**", REDRAWN_HELP, models_numbers.redrawn_table(metrics)),
        ("**Classes read off the embedding**, the network frozen", None, models_numbers.probe_table(metrics)),
        ("**Objects found in frames**", SEARCH_HELP, models_sky_numbers.detection_table(metrics)),
        ("**Stars told from galaxies**", None, models_sky_numbers.separation_table(metrics)),
    )
    classes, votes = section(metrics, "classes"), any(section(metrics, part) for part in models_numbers.VOTE_PARTS)
    if not (any(len(table) for *_, table in tables) or classes or votes):
        return
    st.subheader("All its numbers", anchor=False)
    if classes or votes or any(len(table) for *_, table in tables[:3]):
        on = models_numbers.measured_on(metrics, value_of(metrics, "n_test"), "test galaxies, or as a table says,")
        st.caption(frame.plain(f"Measured on {on}; nothing was learned from them."))
    for title, about, table in tables:
        if len(table):
            st.markdown(title, help=about)
            _table(table)
    if classes:
        st.markdown("**Classes**")
        _table(models_numbers.class_table(classes))
        st.caption(morphology_words.WITH_A_CLASS)
    for part in models_numbers.VOTE_PARTS:
        if votes := section(metrics, part):
            _draw_votes(votes)
    if meanings := section(metrics, "definitions"):
        with st.expander("What each number means"):
            known = {key.replace("_", " "): text for key, text in meanings.items() if isinstance(text, str)}
            st.markdown("\n".join(f"- **{name}**: {frame.plain(text)}" for name, text in known.items()))


def _draw_votes(votes: dict) -> None:
    form_of = models_numbers.FORMS.get(str(votes.get("reading")), "")
    st.markdown(f"**Votes**{form_of}, beside the mean training galaxy as the prediction")
    n = value_of(votes, "n_test")
    table = models_numbers.votes_table(votes)
    _table(table)
    if len(table) and (table["prediction"] == models_numbers.NOISE_FLOOR).any():
        ratio = value_of(votes, "noise_variance_of_votes")
        own = f" Where two or more were asked, the votes alone show {ratio:.2f} times its variance."
        st.caption(NO_LESS + (own if np.isfinite(ratio) else ""))
    if np.isfinite(n):
        of = f" of {votes['catalog']}" if isinstance(votes.get("catalog"), str) else ""
        counted = words.count(int(n), "test galaxy", "test galaxies")
        form = f", stated in {votes['form']} form" if isinstance(votes.get("form"), str) else ""
        st.caption(frame.plain(f"On {counted}{of} with votes{form}."))
    table = models_numbers.calibration_table(votes)
    if len(table):
        st.markdown("**Calibration**, question by question", help=CALIBRATION_HELP)
        _table(table)
        if (table["by chance, up to"] != models_numbers.decimals(np.nan)).any():
            st.caption(BY_CHANCE)


def _table(table: pd.DataFrame) -> None:
    """A table with three decimals; whole numbers as they are."""
    config = {
        name: st.column_config.NumberColumn(format="%d" if name in COUNTED else DIGITS)
        for name in table.columns
        if pd.api.types.is_float_dtype(table[name])
    }
    if len(table):
        st.dataframe(table, column_config=config, hide_index=True, height="content")


def reliability_of(model: ModelFiles) -> dict[str, dict[str, tuple]]:
    """The curves of each form of votes that was measured."""
    forms = {part: reliability_curves(section(model.metrics, part)) for part in models_numbers.VOTE_PARTS}
    return {part: curves for part, curves in forms.items() if curves}


def draw_reliability(model: ModelFiles) -> None:
    """How often volunteers say what the model expects, for one question."""
    forms = reliability_of(model)
    st.subheader("Reliability", anchor=False, help=RELIABILITY_HELP)
    part = next(iter(forms))
    if len(forms) > 1:
        readings = {one: str(section(model.metrics, one).get("reading")) for one in forms}
        named = {one: models_numbers.FORMS.get(reading, "").strip() for one, reading in readings.items()}
        part = st.segmented_control(
            "Votes", list(forms), format_func=named.get, default=part, required=True, key="models-votes"
        )
    curves = forms[part]
    key = st.selectbox(
        "Question", list(curves), format_func=models_numbers.question_text, key="models-question", width=CHOICE_PX
    )
    expected, observed, n, error = curves[key]
    title = f"Reliability: {figures.shorten(models_numbers.question_text(key), 40)}"
    figure = models_figures.reliability_figure(expected, observed, n, title, frame.is_dark())
    config = figures.chart_config(f"{model.name}-reliability-{key}") | {"scrollZoom": False}
    st.plotly_chart(figure, key="models-reliability", config=config)
    chance = value_of(section(model.metrics, part, "reliability", key), "by_chance_95")
    beside = f", by chance up to {words.number(chance)}" if np.isfinite(chance) else ""
    known = f" Expected calibration error {words.number(error)}{beside}." if np.isfinite(error) else ""
    n_galaxies = value_of(section(model.metrics, part), "n_test")
    of = models_numbers.measured_on(model.metrics, n_galaxies, part=part)
    counted = words.count(int(n.sum()), "fraction", "fractions")
    st.caption(frame.plain(f"{counted} of those who were asked, on {of}.{known}"))


def reliability_curves(votes: dict) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """Expected, observed, number in each bin, and calibration error of each question whose record is whole."""
    found = {}
    for key, record in models_numbers.in_order(section(votes, "reliability")).items():
        try:
            expected, observed = (np.array(record[name], dtype=np.float64) for name in ("expected", "observed"))
            n = np.nan_to_num(np.array(record["n_values"], dtype=np.float64)).astype(np.int64)
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        if expected.ndim == 1 and expected.shape == observed.shape == n.shape and n.sum() > 0:
            found[key] = expected, observed, n, value_of(record, "expected_calibration_error")
    return found
