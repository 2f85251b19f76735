"""One galaxy, looking the same on every page: picture, id, class, place, clusters, votes, the rest of its row."""

from __future__ import annotations

import html
from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from galaxy_core.clustering import MEMBERSHIP
from galaxy_core.sky import sexagesimal, survey_links
from pages.views import (
    card_image,
    cluster_labels,
    frame,
    most_like,
    readers,
    selection,
    similarity_colour,
    tagging,
    votes,
    words,
)
from pages.views.gallery import gallery
from pages.views.readers import Galaxies
from pages.views.selection_gallery import pictures

MAIN_COLUMNS = ("galaxy_id", "class", "split", "ra_deg", "dec_deg", "split_group")
DEFAULT_FOV_ARCSEC = 120.0
VIEW_IN_PICTURES = 2.0  # of the width of the picture, where the scale is known
SPEAKS_FOR_ITSELF = ("Class", "Votes")
HELP = {
    "Class": "What the catalog calls it; the model never saw it.",
    "Votes": "What most volunteers answered.",
    "Unusual": "By how far the galaxy lies from others in the embedding, ranked among all galaxies of this catalog.",
    "Map trust": "Share of its nearest neighbours in the embedding that stay near it on the map.",
    "RA, Dec": "ICRS: in degrees, and in hours and degrees.",
    "Split": "Whether the model trained on galaxies of this part.",
}


def draw_invitation(galaxies: Galaxies, on_open: Callable[[Galaxies, int], None]) -> None:
    """How to open a galaxy, and some to begin with, where none is open."""
    if asked := selection.lost_galaxy(galaxies):
        st.warning(frame.plain(f"There is no galaxy “{asked}” in this catalog."), icon=":material/link_off:")
    st.markdown("**Click any point of the map** to see the galaxy, or begin with one of these:")
    starters = np.random.default_rng(0).choice(len(galaxies), min(9, len(galaxies)), replace=False)
    with frame.panel():
        gallery(galaxies, starters.tolist(), "starters", on_open=on_open)


def draw_card(galaxies: Galaxies, row: int, on_tag: Callable[[Galaxies], None] | None = None) -> None:
    """The picture of a galaxy, its id, class, place and clusters; how it is shown, and its tags."""
    st.markdown(f"### {frame.plain(str(galaxies.ids[row]))}")
    _draw_picture(galaxies, row)
    tagging.draw_galaxy_tags(galaxies, row, on_tag)


@st.fragment(key="card-picture")
def _draw_picture(galaxies: Galaxies, row: int) -> None:
    # a part of its own: while the contrast is turned, neighbours and votes stay as they are
    place, thumbnail = st.container(gap="small"), b""
    stretch, with_model = card_image.draw_controls()
    with place, frame.panel():
        thumbnail = readers.thumbnails(galaxies, [row])[0]
    scale, galaxy_id = card_image.scale_of(galaxies, row), str(galaxies.ids[row])
    picture = card_image.picture_of(galaxies, row, thumbnail, stretch)
    shown = '<p class="no-picture">There is no picture of this galaxy.</p>'
    if picture is not None:
        shown = card_image.picture_html(galaxy_id, picture, scale)
    with place:
        st.html(f'<div class="card-top">{shown}{main_html(galaxies, row)}</div>')
        if picture is not None and picture.note:
            st.caption(frame.plain(picture.note))
        links = links_of(galaxies, row, card_image.width_arcsec(picture, scale))
        if links:
            st.caption("See it in " + " · ".join(f"[{name}]({address})" for name, address in links.items()))
    if with_model:
        from pages.views.model_view import draw_model_view

        draw_model_view(galaxies, row, thumbnail)


def draw_details(galaxies: Galaxies, row: int) -> None:
    """Votes as bars, and the rest of the galaxy's row in the catalog."""
    votes.draw_votes(galaxies, row)
    rest = other_facts(galaxies, row)
    if rest:
        with st.expander(f"Catalog: {words.count(len(rest), 'more value', 'more values')}"):
            st.html(facts_html(rest))


def draw_neighbors(galaxies: Galaxies, row: int, on_open: Callable[[Galaxies, int], None]) -> None:
    """The nearest neighbours of a galaxy with their similarity; clicking one opens it."""
    st.markdown(
        "**Most similar galaxies**",
        help="Nearest in the embedding, the description of each picture that the model has learned; not on the map."
        " The number is the cosine similarity: 1 for the same description, 0 for nothing in common.",
    )
    with frame.panel():
        index, similarity = readers.neighbors_of(galaxies, row)
        if len(index) == 0:
            st.caption("This catalog has no other galaxy.")
            return
        captions = [f"{value:.3f}" for value in similarity]
        pictures(galaxies, index.tolist(), captions, "neighbors", on_open)  # one element: a click draws it again
    with frame.panel():
        most_like.draw_more(galaxies, row)
        if galaxies.projection_names and similarity_colour.choice_of(galaxies):
            similarity_colour.draw_switch()


def main_facts(galaxies: Galaxies, row: int) -> dict[str, str]:
    """What is said of a galaxy first: class, clusters, how unusual it is, how far to trust its place, position."""
    facts = {}
    if "class" in galaxies.catalog and not pd.isna(name := galaxies.catalog.iloc[row]["class"]):
        facts["Class"] = str(name).replace("_", " ")
    elif said := votes.summary(votes.votes_of(galaxies, row)):
        facts["Votes"] = said
    clusters = galaxies.clusters.iloc[row]
    for name in galaxies.clustering_names:
        label, membership = int(clusters[f"{name}_label"]), float(clusters[f"{name}_membership"])
        text = cluster_labels.label_text(galaxies, name, label)
        facts[words.name_of(name)] = text if label < 0 else f"{text}, membership {membership:.2f}"
    facts |= _measures(galaxies, row)
    position = position_of(galaxies, row)
    if position is not None:
        ra, dec = sexagesimal(*position)
        facts["RA, Dec"] = f"{position[0]:.5f}°, {position[1]:+.5f}°\n{ra}, {dec}"
    return facts


def main_html(galaxies: Galaxies, row: int) -> str:
    """The facts of `main_facts` as a list, each clustering with what its membership is."""
    helps = {}
    for name in galaxies.clustering_names:
        method = galaxies.manifest.clusterings.get(name, {}).get("method")
        if method in MEMBERSHIP:
            helps[words.name_of(name)] = f"Membership, 0 to 1: {MEMBERSHIP[method]}."
    return facts_html(main_facts(galaxies, row), helps)


def lines_under_mouse(galaxies: Galaxies, row: int) -> list[str]:
    """The facts of `main_facts` in a line each, with their names where these are not plain from what is said."""
    facts = main_facts(galaxies, row)
    return [text if name in SPEAKS_FOR_ITSELF else f"{name}: {text}" for name, text in facts.items()]


def _measures(galaxies: Galaxies, row: int) -> dict[str, str]:
    """How unusual a galaxy is, and how far each map kept its neighbourhood, where that was measured."""
    facts = {}
    if (scores := galaxies.anomaly) is not None and np.isfinite(scores[row]):
        below, known = np.count_nonzero(scores < scores[row]), np.count_nonzero(np.isfinite(scores))
        facts["Unusual"] = f"more than {np.floor(100 * below / known):.0f}\u00a0% of this catalog"
    kept = {name: value for name in galaxies.projection_names if (value := galaxies.trust_at(name, row)) is not None}
    kept = [
        f"{words.name_of(name)}\u00a0{100 * value:.0f}\u00a0%" for name, value in kept.items() if np.isfinite(value)
    ]
    if kept:
        facts["Map trust"] = ", ".join(kept)
    return facts


def position_of(galaxies: Galaxies, row: int) -> tuple[float, float] | None:
    """Right ascension and declination in degrees, None where the catalog does not know them."""
    if not {"ra_deg", "dec_deg"} <= set(galaxies.catalog.columns):
        return None
    position = tuple(float(galaxies.catalog.iloc[row][name]) for name in ("ra_deg", "dec_deg"))
    return position if np.isfinite(position).all() else None


def links_of(galaxies: Galaxies, row: int, width_arcsec: float | None = None) -> dict[str, str]:
    """Addresses of other atlases at a galaxy's place, by their names; none where the place is not known.

    ``width_arcsec`` is that of the picture shown.
    """
    position = position_of(galaxies, row)
    if position is None:
        return {}
    return survey_links(*position, VIEW_IN_PICTURES * width_arcsec if width_arcsec else DEFAULT_FOV_ARCSEC)


def other_facts(galaxies: Galaxies, row: int) -> dict[str, str]:
    """The columns of the catalog that are shown nowhere else."""
    values = galaxies.catalog.iloc[row]
    hidden = {*MAIN_COLUMNS, *galaxies.manifest.answer_columns}
    split = {"Split": {"train": "training"}.get(values["split"], values["split"])}
    return split | {
        words.column_name(column): text_of(values[column]) for column in values.index if column not in hidden
    }


def text_of(value: object) -> str:
    """One value of a table as text.

    Examples
    --------
    >>> text_of(1.23456), text_of(None), text_of("SDSS"), text_of(True)
    ('1.23456', '–', 'SDSS', 'yes')
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | int | np.number):
        return words.in_full(float(value)) if abs(float(value)) < 1e7 or isinstance(value, float) else str(value)
    return "–" if value is None or value is pd.NA or value is pd.NaT else str(value)


def facts_html(facts: dict[str, str], helps: dict[str, str] | None = None) -> str:
    """A list of names and values, with a help text on names that need one, of `HELP` or of ``helps``."""
    items, helps = [], HELP | (helps or {})
    for name, value in facts.items():
        title = f' title="{html.escape(helps[name], quote=True)}"' if name in helps else ""
        kind = ' class="kind"' if name in SPEAKS_FOR_ITSELF else ""
        items.append(f"<div{kind}><dt{title}>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>")
    return f'<dl class="facts">{"".join(items)}</dl>'
