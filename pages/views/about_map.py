"""How far each map can be trusted: what of the embedding's neighbourhoods it keeps."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.views import words
from pages.views.readers import Galaxies
from pages.views.scores import interval_text

HELP = """A map lays out a description of many numbers on a plane, and must tear or squeeze it somewhere.
**Neighbours kept** is the share of a galaxy's nearest galaxies in the embedding that are among its nearest on the map,
on average over all galaxies. **Trustworthiness** falls when the map sets galaxies side by side that are not alike, and
**continuity** when it sets alike galaxies apart (Venna & Kaski 2001); both are 1 at best. Colour the map by *Trust* to
see where it holds: what lies in a dark region is not a group because the map says so. Neighbours and similarities in
the card never come from a map."""


def draw_about(galaxies: Galaxies) -> None:
    """What each projection was fitted on, where that is not everyone; a row of numbers for each, and what they mean."""
    if not galaxies.projection_names:
        st.info("There is no map of this catalog.", icon=":material/map:")
        return
    if said := fitted_sentence(galaxies):
        st.caption(said)
    rows, measured = [], {}
    for name in galaxies.projection_names:
        trust = galaxies.manifest.projections.get(name, {}).get("trust")
        if trust:
            measured = trust
            rows.append(
                {
                    "map": words.name_of(name),
                    "neighbours kept": words.share(trust["preservation"] or 0, 1),
                    "trustworthiness": interval_text(trust["trustworthiness"], trust["trustworthiness_interval"]),
                    "continuity": interval_text(trust["continuity"], trust["continuity_interval"]),
                }
            )
    if not rows:
        st.info(
            "The trust in these maps was not measured. Running `scripts/run_pipeline.py` again with the same arguments"
            " adds it and leaves the rest as it is.",
            icon=":material/info:",
        )
        return
    if not measured["k"]:
        st.info("So few galaxies have no neighbours that a map could keep or lose.", icon=":material/info:")
        return
    st.dataframe(pd.DataFrame(rows), hide_index=True)
    st.caption(
        f"Among the {measured['k']} nearest of each galaxy. Neighbours kept: measured on all"
        f" {words.count(measured['n_galaxies'])}; trustworthiness and continuity: on"
        f" {words.count(measured['n_queries'])} drawn at random, ranked among all, with 95 % bootstrap intervals."
    )
    st.markdown(HELP)


def fitted_sentence(galaxies: Galaxies) -> str:
    """Which maps and clusterings were fitted on some galaxies only, and how many; empty where all were on every one."""
    manifest, found, kept = galaxies.manifest, {}, {}
    for name, made in manifest.projections.items():
        if numbers := made.get("kept"):
            kept.setdefault((numbers["n_fitted"], numbers["n_placed"]), []).append(words.name_of(name))
        elif n_fitted := made.get("params", {}).get("n_fitted"):
            found.setdefault(n_fitted, []).append(words.name_of(name))
    for name, made in manifest.clusterings.items():
        if n_fitted := made.get("measures", {}).get("n_fitted"):
            found.setdefault(n_fitted, []).append(f"the clustering {words.name_of(name)}")
    said = [
        f"Kept as they were while the catalog grew: {', '.join(names)}. They were fitted on"
        f" {words.count(n_fitted)} that are still here; the other {n_placed:,} were placed among these and moved none."
        for (n_fitted, n_placed), names in kept.items()
    ]
    said += [
        f"Fitted on a stratified sample of {n:,} of the {words.count(len(galaxies))}: {', '.join(names)}."
        " All other galaxies were placed on the finished map and in the finished clusters; they changed neither."
        for n, names in found.items()
    ]
    return " ".join(said)
