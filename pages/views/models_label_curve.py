"""How right models are with few labels: the curve against the number of labels, its table, what was published."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import streamlit as st

from galaxy_core.errors import ArtifactError
from galaxy_core.label_efficiency import (
    NO_MODEL,
    WAYS,
    LabelEfficiency,
    Point,
    find_results,
    measure_command,
    read_results,
)
from galaxy_core.published import CAE, PUBLISHED
from pages.views import figures, frame, models_label_figure, words
from pages.views.models_numbers import percent
from pages.views.morphology_words import class_words

HELP = """Each model learned from images without labels, and is then given the classes of some training galaxies. From
scratch: the same kind of network, which begins with nothing. Bars: 95 % interval of the mean over draws of the labels
(Student's t); what the choice of test galaxies adds is not in it. Hollow: one draw, so there is no interval."""
MEASURES = {"accuracy": "Accuracy", "macro_f1": "Macro-F1"}
CLASSES_PX = 620  # the names of all classes
SAID = {"frozen": "frozen", "fine_tuned": "fine-tuned", "fine_tuned_unlabelled": "fine-tuned, all images"}


def draw_label_curve(root: Path) -> None:
    """The curve of one file of results; one sentence where there is none, or where it cannot be read."""
    st.subheader("With few labels", anchor=False, help=HELP)
    read, problems = read_all(root)
    frame.show_problems(tuple(problems))
    if not read:
        if not problems:
            command = measure_command(root / "models" / "few_labels.json")
            st.caption(f"How right the models are with few labels was not measured here; `{command}` does.")
        return
    with st.container(horizontal=True):
        name = next(iter(read))
        if len(read) > 1:
            name = st.selectbox(
                "Classes",
                list(read),
                format_func=lambda key: choice_of(read[key]),
                key="models-labels",
                width=CLASSES_PX,
            )
        measure = st.segmented_control(
            "Measure", list(MEASURES), format_func=MEASURES.get, default="accuracy", required=True, key="models-measure"
        )
    results = read[name]
    title = f"{MEASURES[measure]} on {results.n_test:,} test galaxies of {results.catalog.removeprefix('folder:')}"
    lines = lines_of(results.points)
    figure = models_label_figure.label_figure(lines, measure, figures.shorten(title, 60), frame.is_dark())
    config = figures.chart_config(f"{Path(name).stem}-{measure}") | {"scrollZoom": False}
    st.plotly_chart(figure, key="models-label-curve", config=config)
    st.caption(frame.plain(caption_of(results)))
    with st.expander("All numbers, and what each way means"):
        st.dataframe(table_of(results.points), hide_index=True, height="content")
        st.markdown("\n".join(f"- **{SAID.get(way, way)}**: {frame.plain(text)}" for way, text in WAYS.items()))


def read_all(root: Path) -> tuple[dict[str, LabelEfficiency], list[str]]:
    """Every file of results that can be read, by its name, and what is wrong with the others."""
    read, problems = {}, []
    for name, path in find_results(root).items():
        try:
            read[name] = _read(path, path.stat().st_mtime_ns)
        except (ArtifactError, OSError) as error:
            problems.append(str(error))
    return read, problems


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(path: Path, stamp: int) -> LabelEfficiency:
    return read_results(path)


def classes_of(results: LabelEfficiency) -> str:
    """The classes that are told apart, in words."""
    named = [" or ".join(class_words(part) for part in name.split("+")) for name in results.class_names]
    return f"{len(named)} classes: {'; '.join(named)}"


def choice_of(results: LabelEfficiency) -> str:
    """What distinguishes a file of results from others: the size of training, where that was set, and the classes."""
    size = f"Trained at {results.trained_px} pixels; " if results.trained_px else ""  # first: long names are cut
    return size + classes_of(results)


def name_of(model: str, way: str) -> str:
    """Name of a line.

    Examples
    --------
    >>> name_of("contrastive_denoiser", "fine_tuned"), name_of("random weights", "scratch")
    ('contrastive denoiser, fine-tuned', 'from scratch')
    """
    return "from scratch" if model == NO_MODEL else f"{model.replace('_', ' ')}, {SAID.get(way, way)}"


def lines_of(points: tuple[Point, ...]) -> list[models_label_figure.Line]:
    """One line for each model and way."""
    groups: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        groups.setdefault((point.model, point.way), []).append(point)
    return [
        models_label_figure.Line(name_of(model, way), model, way, tuple(group))
        for (model, way), group in groups.items()
    ]


def caption_of(results: LabelEfficiency) -> str:
    """On what it was measured, with how many draws, and what others published."""
    seeds = sorted({point.n_seeds for point in results.points})
    draws = f"{seeds[0]} to {seeds[-1]} draws" if len(seeds) > 1 else words.count(seeds[0], "draw", "draws")
    told = next(one for one in PUBLISHED if one.system == CAE and one.task == "classes")
    passes = ", ".join(f"{name} {number}" for name, number in sorted(results.passes.items()))
    learned = f" Passes over the galaxies in which encoders learned: {passes}." if passes else ""
    if results.trained_px:
        learned += f" Encoders that take any size are trained at {results.trained_px} pixels."
    if (share := results.largest_class_share) is not None:
        macro_f1 = 2 * share / (1 + share) / len(results.class_names)
        learned += (
            f" The largest class alone, said of every galaxy: accuracy {percent(share)}, macro-F1 {percent(macro_f1)}."
        )
    kind = "four classes, too, but of" if len(results.class_names) == 4 else "another task, on"
    return (
        f"{classes_of(results)}. All {results.n_test:,} test galaxies of {results.catalog} at their natural mix; labels"
        f" drawn from {results.n_train:,} training galaxies, {draws} each.{learned} Published beside it: the fifth"
        f" system tells round, in between, edge-on or cigar, and spiral from few labels in {told.stated} of cases"
        f" ({kind} other galaxies, chosen in another way)."
    )


def table_of(points: tuple[Point, ...]) -> pd.DataFrame:
    """Every point as a row."""
    rows = []
    for point in points:
        row = {"": name_of(point.model, point.way), "labels": point.n_labels, "share": percent(point.share)}
        row |= {"draws": point.n_seeds}
        for key, name in MEASURES.items():
            bounds = getattr(point, f"{key}_interval")
            row[name.lower() if key == "accuracy" else name] = percent(getattr(point, key))
            text = f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}" if bounds else "–"
            row[f"95 % interval of {name.lower() if key == 'accuracy' else name}"] = text
        rows.append(row)
    return pd.DataFrame(rows)
