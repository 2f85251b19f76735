"""Show on the map: a denoised upload among the galaxies of a catalog, its nearest, and how far denoising moved it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import streamlit as st

from galaxy_core import artifacts
from galaxy_core.denoising import DenoiseResult
from galaxy_core.images import AstroImage, encode_png
from galaxy_core.map_placement import Placement, placement_sentence
from galaxy_core.upload_search import UploadMatch, unusual_sentence
from pages.views import card, frame, gallery, map_choices, readers, selection, upload_choice, upload_search, words
from pages.views.colouring import colour_by, colour_choices
from pages.views.galaxy_map import component
from pages.views.model_view import figure_html
from pages.views.readers import Galaxies

GROUP = "upload"
HEIGHT = 520
DENOISED, UPLOADED = "denoised", "as uploaded"
OPENED = "on-map-opened"  # catalog and row of the galaxy that was clicked
HELP = """The model that embedded the catalog embeds your image too: its nearest galaxies are those that look most like
it, and the map shows where it would lie. Nothing is kept."""


def draw(root: Path, image: AstroImage, result: DenoiseResult) -> None:
    """The choice whether to see an image on a map, and the map, its nearest galaxies and what denoising changed.

    Parameters
    ----------
    root : pathlib.Path
        The artifacts folder.
    image : AstroImage
        As it was denoised.
    result : DenoiseResult
        Of ``image``: same shape.
    """
    names = artifacts.list_catalogs(root)
    if not names or not st.toggle("Show on the map", key="on-map-wanted", help=HELP):
        return
    denoised = replace(image, pixels=result.denoised)
    with st.container(key="on-map"), frame.panel():
        _draw_panel(root, names, image, denoised)


@st.fragment
def _draw_panel(root: Path, names: list[str], image: AstroImage, denoised: AstroImage) -> None:
    with frame.panel():
        first, second, third = st.columns(3, vertical_alignment="bottom")
        galaxies = choose_catalog(root, names, first, "on-map-catalog")
        projection = _choose_map(galaxies, second)
        shown = third.segmented_control(
            "Nearest galaxies of the image", [DENOISED, UPLOADED], default=DENOISED, required=True, key="on-map-version"
        )
        base = upload_search.search_base(galaxies)
        left, right = st.columns([3, 2], gap="medium")
        with right:
            measured = image if image.linear else denoised  # what is stretched by its noise is measured with it
            crop, fraction = upload_choice.choose_part(image, measured, base, galaxies.manifest.layout, "on-map")
        matches = {
            name: upload_search.find_match(galaxies, base, version, crop, fraction, image)
            for name, version in ((DENOISED, denoised), (UPLOADED, image))
        }
        match = matches[shown]
        places = {name: projection and upload_search.place_of(galaxies, projection, matches[name]) for name in matches}
        with left:
            if projection:
                _draw_map(galaxies, projection, match, places, shown)
        with right:
            draw_seen(matches)
            st.markdown(f"**{frame.plain(unusual_sentence(match, len(galaxies)))}**")
            st.caption(frame.plain(moved_sentence(galaxies, projection, matches, places)))
        _draw_nearest(galaxies, match, shown, image.name)


def choose_catalog(root: Path, names: list[str], place, key: str) -> Galaxies:
    """A catalog; the one of the other pages first, real galaxies before simulated ones."""
    names = sorted(names, key=lambda name: name == "demo")
    before = st.session_state.get("catalog") or st.query_params.get("catalog") or st.session_state.get("catalog_before")
    index = names.index(before) if before in names else 0
    return readers.open_catalog(root, place.selectbox("Among the galaxies of", names, index, key=key))


def _choose_map(galaxies: Galaxies, place) -> str | None:
    names = galaxies.projection_names
    if not names:
        place.caption("There is no map of this catalog.")
        return None
    return place.selectbox("Map", names, format_func=words.name_of, key=f"on-map-map-{galaxies.name}")


def _draw_map(
    galaxies: Galaxies, projection: str, match: UploadMatch, places: dict[str, Placement | None], shown: str
) -> None:
    """The map with the nearest galaxies and both versions of the image marked on it."""
    colour = next(iter(colour_choices(galaxies)))
    colouring = colour_by(galaxies, colour)
    look = replace(map_choices.look_of(galaxies, projection, colouring.title, None, "on-map"), group=GROUP)
    component.forget_maps()
    component.draw_map(galaxies, look, colouring, None, (colour, colouring.names), HEIGHT)
    coordinates = np.stack(galaxies.coordinates(projection), axis=1)[match.rows]
    marks = marks_of(projection, coordinates, places, shown)
    with st.container(key="map-channels"):
        component.draw_marks(galaxies, GROUP, opened_row(galaxies), np.sort(match.rows), marks, _on_events(galaxies))
        _draw_hover(galaxies)
        _draw_view(galaxies)
    place = places[shown]
    missing = f"None of its nearest galaxies is on {words.name_of(projection)}, so it has no place there."
    st.caption(frame.plain(placement_sentence(place, words.name_of(projection)) if place else missing))


def marks_of(projection: str, coordinates: np.ndarray, places: dict[str, Placement | None], shown: str) -> list[dict]:
    """What the map component draws: rings around the nearest galaxies, and a cross for each version of the image.

    ``coordinates``, shape (k, 2), are those of the nearest galaxies. The version that is shown has its circle, and is
    drawn above the other; the label of the lower one stands below it, so that labels do not meet.
    """
    near = coordinates[np.isfinite(coordinates).all(axis=1)].astype(float)
    marks = [{"map": projection, "kind": "rings", "x": near[:, 0].tolist(), "y": near[:, 1].tolist()}]
    known = {name: place for name, place in places.items() if place}
    lowest = min(known, key=lambda name: known[name].y, default=None)
    for name, place in sorted(known.items(), key=lambda item: item[0] == shown):
        mark = {"map": projection, "kind": "place", "x": [place.x], "y": [place.y], "label": name}
        circle = place.spread if name == shown else 0.0
        marks.append(mark | {"radius": circle, "faint": name != shown, "below": name == lowest and len(known) > 1})
    return marks


@st.fragment
def _draw_hover(galaxies: Galaxies) -> None:
    component.draw_hover(galaxies, GROUP, lambda row: card.lines_under_mouse(galaxies, row))


@st.fragment
def _draw_view(galaxies: Galaxies) -> None:
    component.draw_view(galaxies, GROUP)


def _on_events(galaxies: Galaxies):
    def handle(events: list[dict]) -> None:
        for event in events:  # from a browser: what makes no sense is ignored
            row = event.get("row")
            if event.get("kind") == "open" and isinstance(row, int) and 0 <= row < len(galaxies):
                _open(galaxies, row)

    return handle


def _open(galaxies: Galaxies, row: int) -> None:
    st.session_state[OPENED] = (galaxies.name, int(row))


def opened_row(galaxies: Galaxies) -> int | None:
    """The galaxy that was clicked on this page, if it is of this catalog."""
    name, row = st.session_state.get(OPENED, ("", 0))
    return row if name == galaxies.name and row < len(galaxies) else None


def draw_seen(matches: dict[str, UploadMatch]) -> None:
    """Each version as the model saw it."""
    figures = [
        figure_html(name, encode_png(match.seen), f"as the model saw it, {match.seen.shape[-1]} px")
        for name, match in sorted(matches.items(), key=lambda item: item[0] == DENOISED)
    ]
    st.html(f'<div class="model-view">{"".join(figures)}</div>')


def moved_sentence(
    galaxies: Galaxies, projection: str | None, matches: dict[str, UploadMatch], places: dict[str, Placement | None]
) -> str:
    """How far denoising moved the image: in the embedding, among its nearest galaxies, and on the map."""
    before, after = matches[UPLOADED], matches[DENOISED]
    similarity = float(np.clip(before.embedding @ after.embedding, -1, 1))
    shared = len(np.intersect1d(before.rows, after.rows))
    text = (
        f"Denoising moved it: the two versions have a similarity of {similarity:.3f} (1 is the same), and "
        f"{shared} of the {words.count(len(after.rows), 'nearest galaxy', 'nearest galaxies')} are the same."
    )
    if projection and places[UPLOADED] and places[DENOISED]:
        apart = np.hypot(places[UPLOADED].x - places[DENOISED].x, places[UPLOADED].y - places[DENOISED].y)
        width = max(float(np.ptp(values[np.isfinite(values)])) for values in galaxies.coordinates(projection))
        text += f" On {words.name_of(projection)} they are {words.share(float(apart), width)} of its width apart."
    return text


def _draw_nearest(galaxies: Galaxies, match: UploadMatch, shown: str, name: str) -> None:
    """The nearest galaxies with their similarity, the one that was clicked, and the way to the galaxy map."""
    st.markdown(
        f"**The {words.count(len(match.rows), 'galaxy', 'galaxies')} most like it, {shown}**", help=similarity_help()
    )
    gallery.gallery(galaxies, match.rows.tolist(), "on-map", upload_search.similarity_captions(match), on_open=_open)
    row = opened_row(galaxies)
    with st.container(horizontal=True, vertical_alignment="center", key="on-map-strip"):
        if row is None:
            st.caption("Click a picture, or a point of the map, to see the galaxy here.")
        else:
            galaxy_id = str(galaxies.ids[row])
            st.html(gallery.small_picture(galaxy_id, readers.thumbnails(galaxies, [row])[0]), width="content")
            facts = [f"{key}: {value}" for key, value in card.main_facts(galaxies, row).items()]
            st.markdown(f"**{frame.plain(galaxy_id)}**  \n{frame.plain(' · '.join(facts[:4]))}")
        if st.button("Open on the galaxy map, with these selected", icon=":material/scatter_plot:", key="on-map-go"):
            go_to_map(galaxies, match, row, name)


def similarity_help() -> str:
    """What the numbers below the pictures are."""
    return "The number is the cosine similarity of the embeddings: 1 for the same picture, about 0 for unrelated ones."


def go_to_map(galaxies: Galaxies, match: UploadMatch, row: int | None, name: str) -> None:
    """Leave for the galaxy map, the nearest galaxies selected and one of them open."""
    row = int(match.rows[0]) if row is None else row
    selection.select_rows(galaxies, match.rows, how=f"most like the upload “{name[:60]}”")
    link = {"catalog": galaxies.name, "galaxy": str(galaxies.ids[row])}
    if "selected" in st.query_params:
        link["selected"] = st.query_params["selected"]
    st.session_state["galaxy"] = link["galaxy"]
    st.session_state["catalog_before"] = galaxies.name
    st.session_state.pop("catalog", None)  # of a widget of this page, which would bring its own catalog along
    st.switch_page("pages/1_Galaxy_map.py", query_params=link)
