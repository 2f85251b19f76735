"""A model's card, what it was made from and how long; others' published numbers beside ours."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pandas as pd
import streamlit as st

from galaxy_core.label_efficiency import LabelEfficiency
from galaxy_core.model_files import CARD_FILE, ModelFiles, section
from galaxy_core.published import PUBLISHED, Published
from pages.views import commands, frame, models_numbers, words, wrapped
from pages.views.models_numbers import value_of

PUBLISHED_HELP = """Others measured on other galaxies, often with another definition: read what each number was measured
on before comparing. Ours is blank where nothing comparable was measured on these weights."""

OF_VOTES = "Losses of votes are sums over the galaxies with votes, divided by all:"
MEASURED_IN = {"stars or galaxies": "fresh"}  # part of the metrics with a catalog of its own
LEARNED_FROM = {"segmenter": "scenes", "star_galaxy_vae": "objects"}  # all others learn from galaxies
BELOW_ZERO = "A loss below zero is that of a probability density: where it lies means nothing, only how it falls."


def draw_published(models: dict[str, ModelFiles], labels: Mapping[str, LabelEfficiency]) -> None:
    """Published numbers beside ours.

    Parameters
    ----------
    models : dict
        Those whose numbers stand for each recipe, the one on show first.
    labels : mapping
        Results with few labels by the name of their file.
    """
    st.subheader("Published numbers beside ours", anchor=False, help=PUBLISHED_HELP)
    table = published_table(models, labels)
    wrapped.draw_wrapped(table, "published")
    n = int((table["ours"] != "").sum())
    st.caption(
        f"Of {len(table)} numbers {n} {'has' if n == 1 else 'have'} a counterpart that was measured on a model here."
        " References were measured for this project and published nowhere."
    )


def published_table(models: Mapping[str, ModelFiles], labels: Mapping[str, LabelEfficiency]) -> pd.DataFrame:
    """Published numbers with ours beside them; blank where nothing comparable was measured on these weights.

    ``models`` are as for `draw_published`.
    """
    rows = []
    chosen = next(iter(models), "")
    for one in sorted(PUBLISHED, key=lambda one: one.recipe != chosen):  # those of the model on show first
        metrics = metrics_for(one, models, labels)
        ours = None if metrics is None else one.ours(metrics)
        stated = one.stated or ("" if one.value is None else f"{one.value:g}")
        where = ""
        if ours is not None:
            part = one.part(metrics) or MEASURED_IN.get(one.task, "")
            where = models_numbers.measured_on(metrics, one.n_ours(metrics), one.what, part=part)
        rows.append(
            {"system": one.system, "task": one.task, "metric": one.metric, "published": stated}
            | {"ours": "" if ours is None else _as_stated(ours, stated), "theirs measured on": one.data}
            | {"ours measured on": where, "remark": one.remark}
        )
    return pd.DataFrame(rows)


def _as_stated(ours: float, stated: str) -> str:
    """Our number in three digits, in percent where theirs is."""
    return f"{100 * ours:.3g} %" if "%" in stated else f"{ours:.3g}"


def metrics_for(one: Published, models: Mapping[str, ModelFiles], labels: Mapping[str, LabelEfficiency]) -> dict | None:
    """Where the counterpart of a published number is looked up; None where that was not measured on these weights."""
    if one.results:
        return asdict(labels[one.results]) if one.results in labels else None
    model = models.get(one.recipe)
    return model.metrics if model is not None and model.measured == "these" else None


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
        f" Measured on {' and '.join(on)} {learned_from(model)}{' of ' + ' and '.join(map(str, of)) if of else ''}."
        if on
        else ""
    )
    losses = [value for row in passes for value in (value_of(row, "loss"), value_of(row.get("validation"), "loss"))]
    below = f" {BELOW_ZERO}" if np.nanmin([*losses, np.inf]) < 0 else ""
    return frame.plain(f"{'; '.join(parts)}.{measured}{apart_sentence(about)}{below}")


def learned_from(model: ModelFiles) -> str:
    """What the images are of that a model learned from."""
    return LEARNED_FROM.get(commands.OF_NETWORK.get(model.kind, model.kind), "galaxies")


def apart_sentence(about: dict) -> str:
    """Why losses of votes are larger in training than in validation; empty where they should be alike.

    Examples
    --------
    >>> apart_sentence({"n_train": 10, "n_train_with_votes": 2, "training": {"vote_repeats": 3}})[-74:]
    ' in training these come 3 times as often, so the dashed curves lie higher.'
    >>> apart_sentence({"n_train": 10, "n_train_with_votes": 10, "training": {"vote_repeats": 3}})
    ''
    """
    training, votes = section(about, "training"), value_of(about, "n_train_with_votes")
    if not 0 < votes < value_of(about, "n_train"):
        return ""
    often = value_of(training, "vote_repeats")
    why = f"these come {often:.0f} times as often" if often > 1 else ""
    if training.get("taught_by"):
        why = "another model tells the votes of all others, too"
    return f" {OF_VOTES} in training {why}, so the dashed curves lie higher." if why else ""


def draw_card(model: ModelFiles) -> None:
    """The model's own description, and the file to take home."""
    if not model.card:
        st.caption("This model has no card: `card.md` in its folder would be shown here.")
        return
    warn_of_other_weights(model)
    st.download_button("Download the card", model.card, CARD_FILE, "text/markdown", on_click="ignore")
    with st.container(key="models-card", border=True):
        st.markdown(model.card)


def warn_of_other_weights(model: ModelFiles) -> None:
    """Say so where a card is of weights that are here no longer."""
    if model.measured == "others":
        st.warning(
            "This card was written of other weights, those that were measured: the model has been trained anew"
            " since. What it says of training and results is not of this model.",
            icon=":material/history:",
        )


def limits_of(card: str) -> str:
    """What a card says below its heading *Limits*; empty where it has none.

    Examples
    --------
    >>> limits_of("# a\\n\\n## Limits\\n\\n- It is slow.\\n\\n## More\\n\\nb")
    '- It is slow.'
    """
    _, heading, rest = f"\n{card}".partition("\n## Limits\n")
    return rest.partition("\n## ")[0].strip() if heading else ""


def draw_about(model: ModelFiles) -> None:
    """Where it comes from, and how large it is."""
    about = section(model.config, "about")
    st.subheader("Where it comes from", anchor=False)
    st.markdown("\n".join(f"- **{name}**: {text}" for name, text in facts_of(model).items()))
    if started := commands_of(about):
        st.code("\n".join(started), language="bash", wrap_lines=True)
        st.caption("Catalogs are called by their names, without their folders; all settings are below.")
    if about or section(model.config, "config"):
        with st.expander("All settings"):
            st.json({"network": section(model.config, "config"), "about": about}, expanded=1)


def facts_of(model: ModelFiles) -> dict[str, str]:
    """What is known of a model's origin and size, as Markdown; what is not known is left out."""
    about = section(model.config, "about")
    catalogs = about.get("catalogs") if isinstance(about.get("catalogs"), list) else []
    network = model.config.get("model")
    facts = {"Network": frame.plain(network)} if isinstance(network, str) else {}
    if catalogs:
        facts["Trained on"] = " and ".join(f"`{str(name).replace('`', '')}`" for name in catalogs)
    counted = {"n_train": "training", "n_validation": "validation", "n_train_with_votes": "of those with votes"}
    counted["n_train_with_class"] = "with a class"
    known = [(value_of(about, key), word) for key, word in counted.items()]
    if listed := ", ".join(f"{n:,.0f} {word}" for n, word in known if np.isfinite(n)):
        facts[learned_from(model).capitalize()] = listed
    seed = value_of(section(about, "training"), "seed")
    if np.isfinite(seed):
        facts["Seed"] = f"{seed:.0f}"
    if model.weights_bytes is not None:
        facts["Weights"] = f"{model.weights_bytes / 1e6:.3g} MB"
    if isinstance(checksum := model.config.get("weights_sha256"), str):
        facts["sha256 of the weights"] = f"`{checksum.replace('`', '')}`"
    facts["Folder"] = frame.plain(str(model.folder))
    return facts


def commands_of(about: dict) -> list[str]:
    """The commands that train such a model: the first run, and those that went on from it."""
    runs = [about, *(about.get("then") if isinstance(about.get("then"), list) else [])]
    started = []
    for number, run in enumerate(runs):
        recipe, catalogs = section(run).get("recipe"), section(run).get("catalogs")
        if not isinstance(recipe, str) or not isinstance(catalogs, list):
            continue
        words = ["python", "scripts/train.py", recipe, *map(str, catalogs)]
        if number and isinstance(run.get("phases"), list):
            words += ["--phases", *map(str, run["phases"]), "--start-from", "MODEL"]
        elif begun := section(run, "started_from"):
            folder = begun.get("folder")  # not kept before, but for the name of the network, which is no folder
            words += ["--start-from", f"artifacts/models/{folder}" if isinstance(folder, str) else "MODEL"]
        seed = value_of(section(run, "training"), "seed")
        words += ["--seed", f"{seed:.0f}"] if np.isfinite(seed) else []
        started.append(shlex.join(words))
    return started
