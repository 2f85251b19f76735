"""What a view in one file holds beside its maps: facts of every galaxy on them, the card, the selection, the tables."""

from __future__ import annotations

import html
from collections.abc import Iterable

import numpy as np

from galaxy_core.errors import GalaxyError
from pages.views import card, readers, votes, words
from pages.views.colouring import by_cluster, by_text, colour_by, colour_choices
from pages.views.colours import Colouring
from pages.views.gallery import data_address, image_html
from pages.views.readers import Galaxies
from pages.views.selection_differences import differences, how_compared, largest_groups, table_html, with_nothing
from pages.views.selection_gallery import AS_LISTED, TYPICAL, captions_of, has_embedding, order_help, ordered_rows

N_PICTURES = 200  # of the selection
N_AT_ONCE = 60  # of these before the rest is unfolded
N_DIFFERENCES = 12
CARD_PX = 256
NOBODY = 65_535  # code of a galaxy without a group
NOWHERE = 2**32 - 1  # place of a galaxy whose coordinates are not known


def facts_of(galaxies: Galaxies, rows: np.ndarray, colouring: Colouring | None) -> tuple[dict, dict[str, np.ndarray]]:
    """What the mouse and the card tell of a galaxy, as columns that take little room.

    Parameters
    ----------
    rows : int array, shape (m,), sorted
    colouring : Colouring or None
        What the maps are coloured by, which is told as well.

    Returns
    -------
    header : dict
        ``ids`` and ``columns``, each with its ``name``, ``kind`` and the names of its arrays.
    arrays : dict of str to unsigned integer array, shape (m,)
        Groups as codes; float32 numbers as the 32 bits they are made of; places in steps of 1e-7 degrees.
    """
    columns: list[dict] = []
    arrays: dict[str, np.ndarray] = {"row": rows.astype(np.uint32)}

    def add(column: dict, **values: np.ndarray) -> None:
        column |= {key: f"{key}_{len(columns)}" for key in values}
        arrays.update({column[key]: array for key, array in values.items()})
        columns.append(column)

    def add_group(name: str, groups: Colouring, membership: np.ndarray | None = None) -> None:
        codes, names = with_nothing(groups) if membership is not None else (groups.codes, groups.names)
        codes = np.where(codes[rows] < 0, NOBODY, codes[rows]).astype(np.uint16)
        column = {"kind": "group", "name": name, "names": list(names)}
        if membership is None:
            return add(column, values=codes)
        column["member"] = [k < len(groups.names) for k in range(len(names))]
        return add(column, values=codes, membership=_bits(membership[rows]))

    def add_number(name: str, values: np.ndarray, factor=1.0, before="", after="", whole=False) -> None:
        column = {"kind": "number", "name": name, "factor": factor, "before": before, "after": after, "whole": whole}
        add(column, values=_bits(values[rows]))

    if "class" in galaxies.catalog and galaxies.catalog["class"].notna().any():
        add_group("Class", by_text(galaxies.catalog["class"], "class"))
    for name in galaxies.clustering_names:
        membership = galaxies.clusters[f"{name}_membership"].to_numpy(dtype=np.float32)
        add_group(words.name_of(name), by_cluster(galaxies, name), membership)
    if galaxies.anomaly is not None:
        add_number("Unusual", _percent_below(galaxies.anomaly), 1, "more than ", " % of this catalog", True)
    for name in galaxies.projection_names:
        if (trust := galaxies.trust(name)) is not None:
            add_number(f"Trust in {words.name_of(name)}", trust, 100, "", " %")
    if {"ra_deg", "dec_deg"} <= set(galaxies.catalog.columns):
        ra, dec = (galaxies.catalog[name].to_numpy(np.float64, na_value=np.nan)[rows] for name in ("ra_deg", "dec_deg"))
        place = np.isfinite(ra) & np.isfinite(dec)
        add(
            {"kind": "place", "name": "RA, Dec"},
            values=np.where(place, np.rint(np.nan_to_num(ra % 360) * 1e7), NOWHERE).astype(np.uint32),
            more=np.rint(np.nan_to_num(np.clip(dec, -90, 90) + 90) * 1e7).astype(np.uint32),
        )
    if colouring is not None and colouring.values is not None:
        add_number(colouring.title, np.asarray(colouring.values, dtype=np.float32))
    elif colouring is not None and colouring.title not in ("class", *_cluster_titles(galaxies)):
        add_group(colouring.title, colouring)
    return {"ids": [str(galaxies.ids[row]) for row in rows], "columns": columns}, arrays


def _bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)


def _cluster_titles(galaxies: Galaxies) -> list[str]:
    return [f"cluster, {words.name_of(name)}" for name in galaxies.clustering_names]


def _percent_below(values: np.ndarray) -> np.ndarray:
    """Percent of the known values that are less than each."""
    known = np.sort(values[np.isfinite(values)])
    below = np.searchsorted(known, values).astype(np.float32)
    return np.where(np.isfinite(values), 100 * below / max(1, len(known)), np.nan)


def pictures_of(galaxies: Galaxies, rows: Iterable[int]) -> dict[int, str]:
    """Pictures as addresses that need no network; galaxies whose picture cannot be read are left out."""
    rows = [int(row) for row in dict.fromkeys(rows)]
    try:
        images = readers.thumbnails(galaxies, rows)
    except GalaxyError:
        return {}
    return {row: data_address(image) for row, image in zip(rows, images, strict=True) if image}


def more_facts(galaxies: Galaxies, rows: Iterable[int]) -> dict:
    """The rest of the catalog's rows, as text: ``names``, and the values of each row in ``rows``."""
    names: list[str] = []
    found = {}
    for row in rows:
        facts = card.other_facts(galaxies, int(row)) | _answers(galaxies, int(row))
        names = names or list(facts)
        found[str(row)] = [facts.get(name, "–") for name in names]
    return {"names": names, "rows": found}


def _answers(galaxies: Galaxies, row: int) -> dict[str, str]:
    values = galaxies.catalog.iloc[row]
    columns = [column for column in galaxies.manifest.answer_columns if column in values.index]
    return {words.column_name(column): card.text_of(values[column]) for column in columns}


def card_html(galaxies: Galaxies, row: int | None, pictures: dict[int, str]) -> str:
    """The open galaxy: picture, facts, atlases of the sky, votes, its row, and the galaxies most like it."""
    if row is None:
        return "<p><b>Click any point of the map</b> to see the galaxy.</p>"
    galaxy_id, image = str(galaxies.ids[row]), readers.thumbnails(galaxies, [row])[0] if row in pictures else b""
    shown = '<p class="no-picture">There is no picture of this galaxy.</p>'
    if image:
        shown = f'<div class="card-picture">{image_html(galaxy_id, image, CARD_PX, CARD_PX)}</div>'
    parts = [f"<h2>{html.escape(galaxy_id)}</h2>"]
    parts.append(f'<div class="card-top">{shown}{card.main_html(galaxies, row)}</div>')
    if links := card.links_of(galaxies, row):
        texts = (
            f'<a href="{html.escape(address, quote=True)}" target="_blank" rel="noreferrer">{html.escape(name)}</a>'
            for name, address in links.items()
        )
        parts.append(f'<p class="quiet">See it in {" · ".join(texts)}</p>')
    parts.append(votes.votes_html(answered.path) if (answered := votes.votes_of(galaxies, row)).path else "")
    parts.append(_neighbors_html(galaxies, row, pictures))
    rest = card.facts_html(card.other_facts(galaxies, row))
    return "".join(parts) + f"<details><summary>The rest of its row in the catalog</summary>{rest}</details>"


def neighbors_of(galaxies: Galaxies, row: int | None) -> list[int]:
    """Rows of the galaxies most like one; none where that is not known."""
    try:
        return [] if row is None else readers.neighbors_of(galaxies, row)[0].tolist()
    except GalaxyError:
        return []


def _neighbors_html(galaxies: Galaxies, row: int, pictures: dict[int, str]) -> str:
    rows = neighbors_of(galaxies, row)
    if not rows:
        return ""
    similarity = readers.neighbors_of(galaxies, row)[1]
    captions = [f"{value:.3f}" for value in similarity]
    text = "Nearest in the embedding, with the cosine similarity; not on the map."
    grid = grid_html(galaxies, rows, captions, pictures)
    return f'<h3>Most similar galaxies</h3><p class="quiet">{text}</p>{grid}'


def grid_html(galaxies: Galaxies, rows: Iterable[int], captions: Iterable[str], pictures: dict[int, str]) -> str:
    """Pictures to click."""
    buttons = []
    for row, caption in zip(rows, captions, strict=True):
        name = html.escape(str(galaxies.ids[row]), quote=True)
        picture = f'<span class="no-picture">{name}</span>'
        if row in pictures:
            picture = f'<img alt="galaxy {name}" src="{pictures[row]}">'
        text = f"<span>{html.escape(caption)}</span>" if caption else ""
        buttons.append(f'<button type="button" data-row="{int(row)}" title="{name}">{picture}{text}</button>')
    return f'<div class="picture-grid">{"".join(buttons)}</div>'


def gallery_rows(galaxies: Galaxies, selected: np.ndarray | None) -> tuple[np.ndarray, list[str], str]:
    """Selected galaxies to show, what stands below each, and by what they are ordered: the most typical first."""
    if selected is None or len(selected) == 0:
        return np.empty(0, dtype=np.int32), [], ""
    order = TYPICAL if has_embedding(galaxies) else AS_LISTED
    rows, values = ordered_rows(galaxies, selected, order, True)
    captions = captions_of(values, order, slice(N_PICTURES))
    n_shown = min(len(rows), N_PICTURES)
    which = f"{words.count(n_shown)} of {len(rows):,}" if n_shown < len(rows) else f"All {words.count(n_shown)}"
    how = ", the most typical first" if order == TYPICAL else ""
    return rows[:N_PICTURES], captions, f"{which}{how}. {order_help(galaxies, order, {})}"


def selection_html(
    galaxies: Galaxies, selected: np.ndarray | None, how: str, shown: tuple, pictures: dict[int, str]
) -> str:
    """The selection as it was when the file was made: count, pictures, what sets it apart, what it is made of."""
    if selected is None:
        return '<p class="quiet">Nothing was selected when this file was made.</p>'
    n_all = len(galaxies)
    head = f"<p><b>{words.count(len(selected))}</b>, {words.share(len(selected), n_all)} of the catalog</p>"
    head += f'<p class="quiet">{html.escape(how)}</p>'
    if len(selected) == 0:
        return head
    rows, captions, note = shown
    rows = rows.tolist()
    head += f'<p class="quiet">{html.escape(note)}</p>'
    head += grid_html(galaxies, rows[:N_AT_ONCE], captions[:N_AT_ONCE], pictures)
    if len(rows) > N_AT_ONCE:
        others = grid_html(galaxies, rows[N_AT_ONCE:], captions[N_AT_ONCE:], pictures)
        head += f"<details><summary>{len(rows) - N_AT_ONCE} more</summary>{others}</details>"
    return head + _differences_html(galaxies, selected) + _composition_html(galaxies, selected)


def _differences_html(galaxies: Galaxies, selected: np.ndarray) -> str:
    found = differences(galaxies, selected)
    different = [item for item in found.items if item.is_different][:N_DIFFERENCES]
    if not found.items:
        return ""
    listed = table_html(different, colour_choices(galaxies)) if different else "<p>No column differs.</p>"
    return f'<h3>What is different</h3>{listed}<p class="quiet">{html.escape(how_compared(found))}</p>'


def _composition_html(galaxies: Galaxies, selected: np.ndarray) -> str:
    """Classes and clusters of the selection beside those of the catalog."""
    tables = []
    for key in ("class", *(f"{name}_label" for name in galaxies.clustering_names)):
        if key not in colour_choices(galaxies):
            continue
        colouring = colour_by(galaxies, key)
        codes, names, left_out = largest_groups(*with_nothing(colouring), selected)
        everyone = np.bincount(codes[codes >= 0], minlength=len(names))
        inside = np.bincount(codes[selected][codes[selected] >= 0], minlength=len(names))
        lines = [
            f"<tr><td>{html.escape(name)}</td><td>{inside[k]:,}</td><td>{words.share(inside[k], len(selected))}</td>"
            f"<td>{words.share(everyone[k], len(galaxies))}</td></tr>"
            for k, name in enumerate(names)
        ]
        head = f"<tr><th>{html.escape(colouring.title)}</th><th>selected</th><th>share</th><th>of all</th></tr>"
        more = f'<p class="quiet">{left_out:,} smaller groups are left out.</p>' if left_out else ""
        tables.append(f"<div><table><thead>{head}</thead><tbody>{''.join(lines)}</tbody></table>{more}</div>")
    return f'<h3>What it is made of</h3><div class="tables">{"".join(tables)}</div>' if tables else ""
