"""One model on the page: which one, what is wrong with its files, how it learned, its numbers, its calibration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from galaxy_core.artifacts import DEFAULT_MODEL, shown
from galaxy_core.errors import ModelError
from galaxy_core.model_files import FILES, METRICS_FILE, ModelFiles, model_folders, read_model_files, section
from pages.views import commands, figures, frame, models_figures, models_numbers, morphology_words, page_address, words
from pages.views.models_numbers import percent, value_of

CHOICE_PX = 340
DIGITS = "%.3f"
NO_LESS = (
    "Noise floor: the error that would at least be left to a model that knew every galaxy's true shares, since other "
    "volunteers would have voted otherwise; by this model's account of how far opinions are divided."
)
BY_CHANCE = """By chance, up to: what 19 of 20 models that are right would stay below on as few galaxies and volunteers.
An error below that is no sign that fractions are off."""
CALIBRATION_HELP = """Fractions: those that the calibration error is of, wherever somebody was asked. The share within
the intervals of those asked is of fewer, since three of four right may be chance: where ten or more were asked."""
CURVES_HELP = """Dashed: galaxies that are learned from. Solid: validation galaxies, which choose the pass whose weights
are kept (dotted), and are never learned from. Axes are logarithmic where all values are positive."""
STRICT_HELP = """Strict numbers are measured on the galaxy's own pixels. SSIM as published counts the black sky around
it, too, by which the noisy input itself looks restored."""
FORMS = {"cast": " as cast", "debiased": " debiased", "challenge": " as in the challenge"}
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
    known = (st.session_state.get("models-model"), asked, st.session_state.get("model_before"), names[0])
    # a keyed widget forgets its value on another page unless it is set again
    st.session_state["models-model"] = next(name for name in known if name in folders)
    if asked and asked not in folders:
        st.warning(frame.plain(f"There is no model “{asked}” here."), icon=":material/link_off:")
    name = st.selectbox("Model", names, key="models-model", width=CHOICE_PX, help="Trained here, or shipped.")
    st.session_state["model_before"] = name
    page_address.put_into_address("model", name if name != names[0] else None)
    ordered = [name, *(other for other in names if other != name)]
    return {one: _read(folders[one], _stamp_of(folders[one])) for one in ordered}


def _stamp_of(folder: Path) -> tuple:
    paths = (folder / name for name in FILES)
    return tuple((p.stat().st_mtime_ns, p.stat().st_size) if p.exists() else None for p in paths)


@st.cache_resource(max_entries=32, show_spinner="Reading the model's files …")
def _read(folder: Path, stamp: tuple) -> ModelFiles:
    return read_model_files(folder)


def by_recipe(models: dict[str, ModelFiles]) -> dict[str, ModelFiles]:
    """The model whose numbers stand for each recipe: the chosen one if it is of that recipe, else the recipe's own."""
    chosen = next(iter(models.values()))
    return {name: model for name, model in models.items() if model.kind == name} | {chosen.kind: chosen}


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
    phase = next(iter(phases))
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
            figure = models_figures.curves_figure(panels, best, figures.shorten(title, 48), dark)
            config = figures.chart_config(f"{model.name}-{phase}-{what}") | {"scrollZoom": False}
            side.plotly_chart(figure, key=f"models-curves-{what}", config=config)
    st.caption(training_sentence(model, passes, best))


def training_sentence(model: ModelFiles, passes: list[dict], best: int | None) -> str:
    """How long a phase was, which pass was kept, and on which galaxies it was measured."""
    about = section(model.config, "about")
    seconds = np.array([value_of(row, "seconds") for row in passes])
    parts = [words.count(len(passes), "pass", "passes")]
    if np.isfinite(seconds).any():
        total = np.nansum(seconds)
        parts[0] += f" in {words.number(total / 60)} minutes" if total >= 120 else f" in {words.number(total)} seconds"
    parts += [f"validation was best after pass {best}"] if best is not None else []
    on = [
        f"{value_of(about, key):,.0f} {word}"
        for key, word in (("n_train", "training"), ("n_validation", "validation"))
        if np.isfinite(value_of(about, key))
    ]
    of = about.get("catalogs") if isinstance(about.get("catalogs"), list) else []
    measured = (
        f" Measured on {' and '.join(on)} galaxies{' of ' + ' and '.join(map(str, of)) if of else ''}." if on else ""
    )
    return frame.plain(f"Solid: validation; dashed: training. {'; '.join(parts)}.{measured}")


def draw_numbers(model: ModelFiles) -> None:
    """Whatever of the metrics there is: denoising, probes, classes, votes."""
    metrics = model.metrics
    denoising, probes = models_numbers.denoising_table(metrics), models_numbers.probe_table(metrics)
    redrawn = models_numbers.redrawn_table(metrics)
    classes, votes = section(metrics, "classes"), section(metrics, "votes")
    if not (len(denoising) or len(redrawn) or len(probes) or classes or votes):
        return
    st.subheader("Its numbers", anchor=False)
    n = value_of(metrics, "n_test")
    on = models_numbers.measured_on(metrics, n, "test galaxies, or as many as a table says,")
    st.caption(frame.plain(f"Measured on {on}; none of them was learned from."))
    if len(denoising):
        st.markdown("**Denoising**, strict numbers first", help=STRICT_HELP)
        _table(denoising)
    if len(redrawn):
        st.markdown("**Redrawn galaxies**", help=REDRAWN_HELP)
        _table(redrawn)
    if len(probes):
        st.markdown("**Classes read off the embedding**, the network frozen")
        _table(probes)
    if classes:
        _draw_classes(classes)
    if votes:
        _draw_votes(votes)
    if as_cast := section(metrics, "votes_as_cast"):
        _draw_votes(as_cast)
    if meanings := section(metrics, "definitions"):
        with st.expander("What each number means"):
            known = {key.replace("_", " "): text for key, text in meanings.items() if isinstance(text, str)}
            st.markdown("\n".join(f"- **{name}**: {frame.plain(text)}" for name, text in known.items()))


def _draw_classes(classes: dict) -> None:
    st.markdown("**Classes**")
    with st.container(horizontal=True, key="models-class-facts"):
        for label, key in (("Accuracy", "accuracy"), ("Macro-F1", "macro_f1")):
            within = models_numbers.interval(classes, f"{key}_interval")
            st.metric(label, percent(value_of(classes, key)), help=f"95 % interval: {within} %" if within else None)
        st.metric("Largest class alone", percent(value_of(classes, "largest_class_share")))
        error = value_of(classes, "expected_calibration_error")
        above = value_of(classes, "by_chance_95")
        beside = f"by chance up to {words.number(above)}" if np.isfinite(above) else None
        st.metric(
            "Calibration error",
            words.number(error),
            beside,
            delta_color="off",
            delta_arrow="off",
            help=f"Of the leading class's probability; 0 is perfect. {BY_CHANCE}",
        )
    _table(models_numbers.class_table(classes))
    st.caption(morphology_words.WITH_A_CLASS)


def _draw_votes(votes: dict) -> None:
    form_of = FORMS.get(str(votes.get("reading")), "")
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
        name: st.column_config.NumberColumn(format="%d" if "galaxies" in name else DIGITS)
        for name in table.columns
        if pd.api.types.is_float_dtype(table[name])
    }
    if len(table):
        st.dataframe(table, column_config=config, hide_index=True, height="content")


def draw_reliability(model: ModelFiles) -> None:
    """How often volunteers say what the model expects, for one question; nothing where votes were not measured."""
    forms = {part: reliability_curves(section(model.metrics, part)) for part in ("votes", "votes_as_cast")}
    forms = {part: curves for part, curves in forms.items() if curves}
    if not forms:
        return
    st.subheader("Reliability", anchor=False, help=RELIABILITY_HELP)
    part = next(iter(forms))
    if len(forms) > 1:
        named = {one: FORMS.get(str(section(model.metrics, one).get("reading")), "").strip() for one in forms}
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
    known = f" Expected calibration error {words.number(error)}." if np.isfinite(error) else ""
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
