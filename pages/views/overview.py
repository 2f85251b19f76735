"""Panels of the first page: what is loaded, some of its galaxies, its numbers, and how to bring your own."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from galaxy_core import artifacts
from pages.views import commands, frame, page_address, readers, scores, selection, words, wrapped
from pages.views.gallery import gallery
from pages.views.readers import Galaxies

N_SAMPLES = 26
MAP_PAGE = "pages/1_Galaxy_map.py"
OTHER_PAGES = {
    "pages/2_Clusters.py": "Which galaxies form groups, and whether the groups are real.",
    "pages/3_Morphology.py": "An image in; its class and the votes of Galaxy Zoo out.",
    "pages/4_Denoise.py": "An image without its noise, and what was taken out.",
    "pages/5_Models.py": "What each model does, and how often it is right.",
    "pages/6_Frame.py": "A survey frame in; a catalogue of its objects out.",
}
SIMULATED = ("synthetic", "star-galaxy")  # layouts
LAYOUTS = {
    "folder:PATH": "a folder of images: flat, in one subfolder for each class, or with a table `labels` beside them"
    " (.csv, .ecsv, .fits, .vot, .parquet or .tbl)",
    "kaggle:PATH": "Galaxy Zoo, The Galaxy Challenge (Kaggle 2013), as released",
    "gz2:PATH": "Galaxy Zoo 2 (Hart et al. 2016), as released",
    "galaxy-zoo:PATH": "Parquet releases of Galaxy Zoo: Hubble, CANDELS, DESI with DECaLS, GZ2",
    "fits-stamps:PATH": "stamps cut from frames, as FITS, with a catalogue beside them",
    "hats:PATH": "a HATS catalog or collection with a cutout of each galaxy",
    "synthetic:N": "N simulated galaxies, nothing to download",
    "star-galaxy:N": "N simulated stars and galaxies in u, g, r, i and z",
}
CITATIONS = """
- **Galaxy Zoo 2**: Willett et al. 2013, [MNRAS 435, 2835](https://doi.org/10.1093/mnras/stt1458); debiased votes:
  Hart et al. 2016, [MNRAS 461, 3663](https://doi.org/10.1093/mnras/stw1588). Images from SDSS DR7, Abazajian et al.
  2009, [ApJS 182, 543](https://doi.org/10.1088/0067-0049/182/2/543); the stamps of
  [Zenodo 3565489](https://doi.org/10.5281/zenodo.3565489) are CC BY 4.0.
- **Galaxy Zoo: Hubble**: Willett et al. 2017, [MNRAS 464, 4176](https://doi.org/10.1093/mnras/stw2568).
- **Galaxy Zoo: CANDELS**: Simmons et al. 2017, [MNRAS 464, 4420](https://doi.org/10.1093/mnras/stw2587).
- **Galaxy Zoo DECaLS**: Walmsley et al. 2022, [MNRAS 509, 3966](https://doi.org/10.1093/mnras/stab2093);
  **DESI**: Walmsley et al. 2023, [MNRAS 526, 4768](https://doi.org/10.1093/mnras/stad2919).
- The Parquet releases on Hugging Face (`mwalmsley/gz_hubble` and others) are CC BY-NC-SA 4.0.
- **Simulated galaxies** (`synthetic:N`) are made by this program: name it, its version and the seed.
"""


def draw_headline(galaxies: Galaxies) -> None:
    """What is loaded: how many galaxies, from where, seen by which model, when."""
    manifest = galaxies.manifest
    kind = "simulated " if manifest.layout in SIMULATED else ""
    counted = words.count(len(galaxies), f"{kind}galaxy", f"{kind}galaxies")
    st.markdown(
        f"**{counted}** of **{frame.plain(galaxies.name)}** on one map: galaxies that look alike lie close together."
        " Click one to see it, its neighbours and its clusters."
    )
    with st.container(horizontal=True, key="facts-row"):
        st.metric("Galaxies", f"{len(galaxies):,}")
        if "class" in galaxies.catalog:
            st.metric(
                "Classes in the catalog", galaxies.catalog["class"].nunique(), help="Given by the catalog's authors."
            )
        st.metric("Maps", len(galaxies.projection_names), help=", ".join(map(words.name_of, galaxies.projection_names)))
        st.metric("Clusterings", len(galaxies.clustering_names), help="Groups found without looking at any class.")
    if st.button("Open the galaxy map", type="primary", icon=frame.ICONS["Galaxy map"]):
        st.switch_page(MAP_PAGE, query_params=page_address.open_address())
    source = f"{manifest.layout}:{manifest.source}" if manifest.layout else manifest.source
    lines = [f"Read from `{source}`, described by the model `{manifest.model}`, made {when(manifest.created)}."]
    lines += [f"{sentence.rstrip('.')}." for sentence in manifest.report]
    st.caption(" ".join(lines))


def draw_samples(galaxies: Galaxies) -> None:
    """Some galaxies, picked at random but always the same; a click opens one on the map."""
    st.subheader("Some of its galaxies")
    rows = np.random.default_rng(1).permutation(len(galaxies))[:N_SAMPLES]
    with frame.panel():
        clicked = gallery(galaxies, rows.tolist(), "samples")
        if clicked is not None:
            selection.open_galaxy(galaxies, clicked)
            st.switch_page(MAP_PAGE, query_params=page_address.open_address())


def draw_pages() -> None:
    """A link to each of the other pages, with what it is for."""
    st.subheader("What else you can do")
    columns = st.columns(len(OTHER_PAGES))
    for column, (page, purpose) in zip(columns, OTHER_PAGES.items(), strict=True):
        label = frame.page_label(Path(page).name)
        with column:
            st.page_link(page, label=f"**{label}**", icon=frame.ICONS[label], query_params=page_address.carried())
            st.caption(purpose)


def draw_numbers(galaxies: Galaxies) -> None:
    """The groups of each clustering, how well they are parted, and the model's card."""
    if galaxies.clustering_names:
        st.subheader("Its groups")
        wrapped.draw_wrapped(pd.DataFrame([group_row(galaxies, name) for name in galaxies.clustering_names]), "groups")
        learned = int((galaxies.catalog["split"] == "train").sum())
        st.caption(
            f"Measured on all {words.count(len(galaxies))} of this catalog, {learned:,} of which models may learn from."
            " How well parted: 1 where galaxies lie far nearer to their own group than to the next, 0 where they do"
            " not (silhouette; galaxies in no group count 0). Beside it, the most that the same method"
            " reaches on data without groups. *Clusters* says what the groups are worth."
        )
    card = readers.model_card(galaxies.root, galaxies.manifest.model)
    if card:
        with st.expander(f"The model: {galaxies.manifest.model}"):
            st.markdown(card)


def group_row(galaxies: Galaxies, clustering: str) -> dict[str, str]:
    """One clustering in plain words: its groups, and whether they are parted better than data without groups."""
    labels, recorded = galaxies.labels(clustering), scores.recorded_scores(galaxies, clustering)
    n_groups = len(np.unique(labels[labels >= 0]))
    parted, null = scores.strict_mean(galaxies, clustering), scores.null_range(recorded.get("null") or {})
    low = ((recorded.get("fitted_space") or {}).get("strict_interval") or [parted])[0]
    clearer = "not compared" if null is None else "yes" if low > null[1] else "no"
    return {
        "method": words.name_of(clustering),
        "groups": str(n_groups),
        "galaxies in a group": words.share(int((labels >= 0).sum()), len(labels)),
        "how well parted": f"{parted:.2f}" if n_groups > 1 else "–",
        "data without groups": "–" if null is None else f"{null[1]:.2f}",
        "clearer than those?": clearer if n_groups > 1 else "–",
    }


def draw_own_data(root: Path) -> None:
    """The commands that bring another catalog here."""
    st.subheader("Bring your own galaxies")
    elsewhere = [] if root == frame.PROJECT / "artifacts" else ["--artifacts", str(artifacts.shown(root))]
    pipeline = ["python", "scripts/run_pipeline.py"]
    st.caption(commands.TERMINAL)
    st.markdown("**Half a minute's wait for real galaxies**, from Galaxy Zoo: Hubble (26 MB):")
    fetch = "python scripts/fetch_catalog.py gz_hubble --size tiny --root data/gz_hubble"
    make = [*pipeline, "galaxy-zoo:data/gz_hubble", "--name", "gz_hubble", *elsewhere]
    st.code(f"{fetch}\n{shlex.join(make)}", language="bash", wrap_lines=True)
    st.markdown("**A folder of your own images** (PNG, JPEG, TIFF or FITS), then choose “mine” in the sidebar:")
    own = [*pipeline, "folder:/path/to/images", "--name", "mine", *elsewhere]
    st.code(shlex.join(own), language="bash", wrap_lines=True)
    with st.expander("Other layouts"):
        st.markdown("\n".join(f"- `{layout}`: {meaning}" for layout, meaning in LAYOUTS.items()))


def draw_links() -> None:
    """How to cite the data, and where more of it is."""
    with st.expander("How to cite the data"):
        st.markdown(CITATIONS)
    st.caption(
        "More galaxies: [Galaxy Zoo data](https://data.galaxyzoo.org) ·"
        " [Galaxy Zoo on Hugging Face](https://huggingface.co/mwalmsley) ·"
        " [Legacy Survey viewer](https://www.legacysurvey.org/viewer) · [SIMBAD](https://simbad.cds.unistra.fr) ·"
        " [ESASky](https://sky.esa.int)"
    )


def when(created: str) -> str:
    """A date and time of the manifest as people write it.

    Examples
    --------
    >>> when("2026-01-31T08:05:00+00:00"), when("")
    ('2026-01-31 08:05 UTC', 'at an unknown time')
    """
    return f"{created[:16].replace('T', ' ')} UTC" if len(created) >= 16 else "at an unknown time"
