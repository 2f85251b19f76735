"""One model on the page: which one, which section, what is wrong with its files, all its numbers, how it learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from galaxy_core.artifacts import DEFAULT_MODEL, shown
from galaxy_core.errors import ModelError
from galaxy_core.frame_choices import DEFAULT_SEPARATOR
from galaxy_core.model_files import (
    CONFIG_FILE,
    FILES,
    METRICS_FILE,
    WEIGHTS_FILE,
    ModelFiles,
    model_folders,
    read_model_files,
    section,
)
from pages.views import (
    commands,
    figures,
    frame,
    links,
    models_about,
    models_figures,
    models_numbers,
    models_sky_numbers,
    models_vote_numbers,
    morphology_words,
    page_address,
    words,
)
from pages.views.models_headline import BY_CHANCE
from pages.views.models_numbers import value_of

CHOICE_PX = 340
SECTION = "models-section"  # part of the address, and key of the choice
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


def choose_model(root: Path) -> dict[str, Path]:
    """Folders of all models, the chosen one first; raises `ModelError` where there is none."""
    folders = model_folders(root)
    if not folders:
        train = commands.train(DEFAULT_MODEL, root)
        raise ModelError(f"There is no model under {shown(root, 'models')}; train one with `{train}`.")
    names, asked = list(folders), st.query_params.get("model")
    picked = st.session_state.get("models-model")
    if _went_back("model", picked, names[0]):
        picked = asked or names[0]
    known = (picked, asked, st.session_state.get("model_before"), names[0])
    # a keyed widget forgets its value on another page unless it is set again
    st.session_state["models-model"] = next(name for name in known if name in folders)
    if asked and asked not in folders:
        st.warning(frame.plain(f"There is no model “{asked}” here."), icon=":material/link_off:")
    name = st.selectbox("Model", names, key="models-model", width=CHOICE_PX, help="Trained here, or shipped.")
    st.session_state["model_before"] = name
    page_address.put_into_address("model", name if name != names[0] else None)
    return {one: folders[one] for one in (name, *(other for other in names if other != name))}


def choose_section(sections: dict[str, str]) -> str:
    """The section to show, by its key; it is in the address, and the browser's buttons go back through sections."""
    if _went_back(SECTION, st.session_state.get(SECTION), next(iter(sections))):
        del st.session_state[SECTION]
    return links.choose_panel(sections, SECTION)


def _went_back(parameter: str, picked: str | None, first: str) -> bool:
    """Whether the browser's buttons for back and forward changed the address since this page was drawn, and no pick."""
    left = page_address.left().get(parameter)
    went = picked == (left or first) and st.query_params.get(parameter) != left
    if went:
        page_address.send_again()
    return went


def read(folder: Path) -> ModelFiles:
    """The files of one model, kept until one of them changes."""
    paths = (folder / name for name in FILES)
    stamp = tuple((p.stat().st_mtime_ns, p.stat().st_size) if p.exists() else None for p in paths)
    return _read(folder, stamp)


@st.cache_resource(max_entries=32, show_spinner="Reading the model's files …")
def _read(folder: Path, stamp: tuple) -> ModelFiles:
    return read_model_files(folder)


def by_recipe(folders: dict[str, Path]) -> dict[str, ModelFiles]:
    """The model whose numbers stand for each recipe: the chosen one if it is of that recipe, else the one pages ask."""
    models = {name: read(folder) for name, folder in folders.items()}
    chosen = next(iter(models.values()))
    asked = {model.kind: model for name, model in models.items() if name == ASKED.get(model.kind, model.kind)}
    return {chosen.kind: chosen} | {kind: model for kind, model in asked.items() if kind != chosen.kind}


def draw_state(model: ModelFiles) -> None:
    """What is wrong with the files, which are not there, and whether numbers are of these weights."""
    frame.show_problems(model.problems)
    if gone := [name for name in (WEIGHTS_FILE, CONFIG_FILE) if name in model.missing]:  # sections tell of the others
        st.caption(f"There is no {frame.plain(' and no '.join(gone))} in {frame.plain(commands.place(model.folder))}.")
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
        st.caption("There is no `history.jsonl` that tells how it learned.")
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
    classes, votes = section(metrics, "classes"), any(section(metrics, part) for part in models_vote_numbers.VOTE_PARTS)
    if not (any(len(table) for *_, table in tables) or classes or votes):
        st.caption("There are no numbers of this model to show.")
        return
    st.subheader("All its numbers", anchor=False)
    if classes or votes or any(len(table) for *_, table in tables[:3]):
        on = models_numbers.measured_on(metrics, value_of(metrics, "n_test"), "test galaxies, or as a table says,")
        st.caption(frame.plain(f"Measured on {on}; nothing was learned from them."))
    for title, about, table in tables:
        if len(table):
            st.markdown(title, help=about)
            draw_table(table)
    if classes:
        st.markdown("**Classes**")
        draw_table(models_numbers.class_table(classes))
        st.caption(morphology_words.WITH_A_CLASS)
    for part in models_vote_numbers.VOTE_PARTS:
        if votes := section(metrics, part):
            _draw_votes(votes)
    if meanings := section(metrics, "definitions"):
        with st.expander("What each number means"):
            known = {key.replace("_", " "): text for key, text in meanings.items() if isinstance(text, str)}
            st.markdown("\n".join(f"- **{name}**: {frame.plain(text)}" for name, text in known.items()))
    if (path := model.folder / METRICS_FILE).exists():
        st.download_button(
            "Download the metrics", path.read_bytes(), METRICS_FILE, "application/json", on_click="ignore"
        )


def _draw_votes(votes: dict) -> None:
    form_of = models_vote_numbers.FORMS.get(str(votes.get("reading")), "")
    st.markdown(f"**Votes**{form_of}, beside the mean training galaxy as the prediction")
    n = value_of(votes, "n_test")
    table = models_vote_numbers.votes_table(votes)
    draw_table(table)
    if len(table) and (table["prediction"] == models_vote_numbers.NOISE_FLOOR).any():
        ratio = value_of(votes, "noise_variance_of_votes")
        own = f" Where two or more were asked, the votes alone show {ratio:.2f} times its variance."
        st.caption(NO_LESS + (own if np.isfinite(ratio) else ""))
    if np.isfinite(n):
        of = f" of {votes['catalog']}" if isinstance(votes.get("catalog"), str) else ""
        counted = words.count(int(n), "test galaxy", "test galaxies")
        form = f", stated in {votes['form']} form" if isinstance(votes.get("form"), str) else ""
        st.caption(frame.plain(f"On {counted}{of} with votes{form}."))
    table = models_vote_numbers.calibration_table(votes)
    if len(table):
        st.markdown("**Calibration**, question by question", help=CALIBRATION_HELP)
        draw_table(table)
        if width := models_vote_numbers.width_sentence(votes):
            st.caption(width)
        if (table["by chance, up to"] != models_numbers.decimals(np.nan)).any():
            st.caption(BY_CHANCE)


def draw_table(table: pd.DataFrame) -> None:
    """A table with three decimals; whole numbers as they are."""
    config = {
        name: st.column_config.NumberColumn(format="%d" if name in COUNTED else DIGITS)
        for name in table.columns
        if pd.api.types.is_float_dtype(table[name])
    }
    if len(table):
        st.dataframe(table, column_config=config, hide_index=True, height="content")
