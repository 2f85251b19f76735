"""Keep what the laboratory found as a clustering of the catalog, and delete what was kept."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from galaxy_core import laboratory_work
from galaxy_core.errors import ArtifactError
from galaxy_core.laboratory import CANCELLED, FAILED, Job
from galaxy_core.pipeline_config import PipelineConfig
from galaxy_core.stability import N_DRAWS, N_REFITS
from pages.views import frame, words
from pages.views.readers import Galaxies

Change = Callable[..., None]


def suggested_name(settings: dict, taken: list[str]) -> str:
    """A name no clustering has.

    Examples
    --------
    >>> suggested_name({"method": "kmeans", "space": "pca_20", "params": {"n_clusters": 5}}, [])
    'kmeans_5_pca_20'
    >>> suggested_name({"method": "hdbscan", "space": "embedding", "params": {}}, ["hdbscan"])
    'hdbscan_2'
    """
    space = settings["space"].replace("=", "") if settings["space"] != "embedding" else ""
    parts = [settings["method"], str(settings["params"].get("n_clusters", "")), space]
    name = "_".join(filter(None, parts))
    known = {other.casefold() for other in taken}
    names = (name if number == 1 else f"{name}_{number}" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in names if candidate.casefold() not in known)


def draw_save(galaxies: Galaxies, shown: Job | None, change: Change) -> None:
    """A name, what to measure, and the button."""
    if shown is None or not shown.trial.n_clusters:
        return
    task, key = shown.task, shown.task.key[:12]
    st.markdown("**Save as clustering**")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name", suggested_name(task.settings, galaxies.clustering_names), key=f"lab-name-{key}",
                             width=300)  # fmt: skip
        stability = st.checkbox(
            f"Measure stability ({N_REFITS} refits)",
            key="lab-stability",
            help="Clusters bootstrap samples again and asks which clusters come back; takes about ten times as long.",
        )
        problem = _problem_of(galaxies, name)
        null = st.checkbox(
            f"Compare with data without groups ({2 * N_DRAWS} draws)",
            key="lab-null",
            help="Without it, and without stability, the verdict cannot say whether the clusters are more than chance."
            " The space is laid out anew for each draw.",
        )
        settings = task.settings | ({"stability": N_REFITS} if stability else {})
        settings |= {"null": N_DRAWS} if null else {}
        st.button("Save", icon=":material/save:", key="lab-save", disabled=bool(problem), on_click=change,
                  args=(galaxies, "save", name, settings))  # fmt: skip
    if problem:
        st.caption(f":material/build: {frame.plain(problem)}")
    elif shown.trial.is_sample:
        st.caption(
            f"What is shown is a sample: saving clusters all {words.count(len(galaxies))} at the same settings, which"
            " takes longer, and its numbers may differ."
        )
    else:
        st.caption("It then stands in every list of clusterings, for everybody who uses this catalog.")


def _problem_of(galaxies: Galaxies, name: str) -> str:
    try:
        laboratory_work.check_new_name(galaxies.manifest, name)
    except ArtifactError as error:
        return str(error)
    return ""


def saved_names(galaxies: Galaxies) -> list[str]:
    """Clusterings that people added: those the pipeline makes by itself are not among them."""
    return [name for name in galaxies.clustering_names if name not in PipelineConfig().clusterings]


def draw_delete(galaxies: Galaxies, change: Change) -> None:
    """Delete a saved clustering, once it is confirmed."""
    names = saved_names(galaxies)
    if not names:
        return
    with st.popover("Delete a saved clustering", icon=":material/delete:"):
        name = st.selectbox("Clustering", names, format_func=words.name_of, key="lab-delete-name")
        sure = st.checkbox(
            f"Yes, delete {frame.plain(words.name_of(name))} for everybody", key=f"lab-delete-sure-{name}"
        )
        st.button("Delete", icon=":material/delete:", key="lab-delete", disabled=not sure, on_click=change,
                  args=(galaxies, "remove", name))  # fmt: skip


def draw_outcome(state: str, kind: str, name: str, error: str) -> None:
    """What came of saving or deleting."""
    called = frame.plain(words.name_of(name))
    if state == FAILED:
        frame.show_problem(error)
    elif state == CANCELLED:
        st.info("Stopped; the stored clusterings are as they were.", icon=":material/info:")
    elif kind == "save":
        st.success(f"{called} is saved and stands in every list of clusterings.", icon=":material/check:")
    else:
        st.success(f"{called} is deleted.", icon=":material/check:")
