"""What the readers share: tables with ids that stay text, and rows that are kept, or counted and left out.

Object ids have 18 digits, more than a float64 holds, so an id column is read as text and never anything else.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from galaxy_core.catalogs.catalog import MOST_NAMED, ReadReport
from galaxy_core.catalogs.missing import without_sentinels
from galaxy_core.catalogs.positions import (
    DEC_COLUMNS,
    DEGREES_AN_HOUR,
    NOT_READ,
    RA_COLUMNS,
    below_zero,
    degrees_of,
    unit_in_name,
)
from galaxy_core.column_notes import OWN_TYPE, gapped_types, notes_of, own_id, set_notes
from galaxy_core.counting import count
from galaxy_core.errors import CatalogError
from galaxy_core.places import Place, place_of

ID_COLUMNS = ("galaxy_id", "galaxyid", "id_str", "id", "objid", "dr7objid", "object_id", "iauname", "ident", "asset_id")
OTHER_ID_COLUMNS = ("number", "source_id", "sourceid", "objectid", "coadd_object_id", "targetid")  # for want of those
FILE_COLUMNS = ("file", "filename", "file_loc", "file_name", "path", "image", "image_id", "name")
CLASS_COLUMNS = ("class", "class5", "label")
GROUP_COLUMNS = ("split_group", "source_frame")
TEXT_COLUMNS = (*ID_COLUMNS, *FILE_COLUMNS, *CLASS_COLUMNS, *GROUP_COLUMNS)
ITS_OWN_COLUMNS = ("galaxy_id", "ra_deg", "dec_deg", "class", "split_group")
MOST_CLASSES = 100  # that are believed of any number of galaxies


def folder_of(root: Path | str, layout: str) -> Path | Place:
    """``root`` as a path or a place in a store, once it is known to be a folder."""
    folder = place_of(root)
    local = isinstance(folder, Path)  # whose own methods raise for a name that is too long
    if not (os.path.isdir(folder) if local else folder.is_dir()):
        reason = "is a file" if (os.path.exists(folder) if local else folder.exists()) else "does not exist"
        raise CatalogError(f"{layout}:{root} {reason}; give the path of the folder that holds the catalog.")
    return folder


def find_column(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """First of ``names`` that is among ``columns``, spelled like that or else in any case; as the file spells it."""
    columns = list(columns)
    spelled = {str(column).strip().lower(): column for column in columns} | {column: column for column in columns}
    return next((spelled[name] for name in names if name in spelled), None)


def find_position(table: pd.DataFrame, names: Sequence[str]) -> tuple[str | None, float]:
    """`find_column`, also with a unit behind the name, and how many degrees one of that unit is; 1 without one.

    Whole hours are none: their minutes are in another column.
    """
    column, named = find_column(table.columns, names), {}
    if column is not None:
        return column, 1.0
    for spelled in table.columns:
        name, unit_deg = unit_in_name(str(spelled))
        numbers = pd.to_numeric(table[spelled], errors="coerce").dropna() if unit_deg == DEGREES_AN_HOUR else ()
        if not len(numbers) or (numbers % 1 != 0).any():
            named.setdefault(name, (spelled, unit_deg))
    return named.get(find_column(named, names), (None, 1.0))


def strip_names(table: pd.DataFrame) -> pd.DataFrame:
    """The table without spaces around the names of its columns, but where another column is called like that."""
    return table.rename(columns={name: name.strip() for name in table if name.strip() not in table})


def clean_text(values: pd.Series) -> pd.Series:
    """A column as stripped text with blanks as nulls; whole numbers once written as floats lose their ``.0``."""
    text = values.astype("str").str.strip().str.replace(r"^(\d+)\.0+$", r"\1", regex=True)
    return text.where(text.notna() & (text != ""))


def select_rows(
    table: pd.DataFrame, ids: pd.Series, images: pd.Series, names: Sequence[str], notes: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str], ReadReport]:
    """Keep the rows that are galaxies: with an id, with an image, and the first of each id; count the others.

    Parameters
    ----------
    table : pandas.DataFrame
    ids, images : pandas.Series
        ``galaxy_id`` and image of each row of ``table``, null where there is none; ids are called like the column they
        are from, if any.
    names : sequence of str
        All images there are.
    notes : sequence of str

    Returns
    -------
    table : pandas.DataFrame
        With ``galaxy_id`` as first column and the common columns under their own names; `galaxy_core.column_notes` of
        it has units, descriptions, and name and type of the column the ids are from.
    images : list
        Image of each row of the returned table.
    report : ReadReport
    """
    has_id, has_image = ids.notna(), images.notna()
    usable = has_id & has_image
    repeated = usable & ids.where(usable).duplicated(keep="first")
    keep = usable & ~repeated
    chosen = images[keep].tolist()
    kept, more_notes = standard_columns(table[keep].drop(columns="galaxy_id", errors="ignore"))
    kept, missing = without_sentinels(kept)
    kept.insert(0, "galaxy_id", ids[keep].astype("str"))
    if "split_group" in kept:  # a stamp of no known frame goes by itself
        kept["split_group"] = kept["split_group"].fillna(kept["galaxy_id"])
    alone, left = ids[has_id & ~has_image], sorted(set(names).difference(images.dropna()))
    repeats = ids[repeated]
    report = ReadReport(
        n_rows=len(table),
        n_galaxies=int(keep.sum()),
        n_rows_without_image=len(alone),
        n_images_without_row=len(left),
        n_duplicate_rows=len(repeats),
        n_null_rows=int((~has_id).sum()),
        named={
            "n_rows_without_image": alone.astype("str").tolist()[:MOST_NAMED],
            "n_images_without_row": list(map(str, left[:MOST_NAMED])),
            "n_duplicate_rows": repeats.astype("str").tolist()[:MOST_NAMED],
        },
        notes=(*notes, *more_notes, *missing, *_rounded_ids(ids)),
    )
    said = notes_of(table)
    own = own_id(ids[keep].astype("str"), said)
    said = {name: of_it for name, of_it in said.items() if name in kept and name not in ITS_OWN_COLUMNS}
    for name, kind in gapped_types(kept, said).items():
        said[name] = said[name] | {OWN_TYPE: kind}
    return set_notes(kept.reset_index(drop=True), said | ({"galaxy_id": own} if own else {})), chosen, report


def _rounded_ids(ids: pd.Series) -> list[str]:
    """A sentence on ids that went through floats on their way here, so that several became one."""
    rounded = ids[ids.notna() & ids.astype("str").str.fullmatch(r"\d(?:\.\d+)?[eE]\+\d+")]
    if rounded.empty:
        return []
    told = count(len(rounded), f"id, {rounded.iloc[0]}, has", f"ids such as {rounded.iloc[0]} have")
    return [f"{told} lost digits; write ids as whole numbers or as text"]


def standard_columns(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rename and check position, class and frame columns, wherever the release has them under any usual name."""
    notes: list[str] = []
    units = dict.fromkeys(("ra_deg", "dec_deg"), 1.0)
    if "release_split" not in table:
        table = table.rename(columns={"split": "release_split"})  # ``split`` is ours to say
    for name, spellings in (
        ("ra_deg", RA_COLUMNS),
        ("dec_deg", DEC_COLUMNS),
        ("class", CLASS_COLUMNS),
        ("split_group", GROUP_COLUMNS),
    ):
        if name in units:
            column, units[name] = find_position(table, spellings)
        else:
            column = find_column(table.columns, spellings)
        if column is not None and name == "class" and (n_different := table[column].nunique()) > _most_classes(table):
            notes.append(f"{column} has {n_different:,} different values, so it was not taken for the class")
            table = table.rename(columns={column: "catalog_class"} if column == name else {})
        elif column is not None:
            table = table.rename(columns={column: name})
    for name, low, high in (("ra_deg", 0.0, 360.0), ("dec_deg", -90.0, 90.0)):
        if name in table:
            degrees = degrees_of(table[name], name == "ra_deg", units[name])
            if name == "ra_deg" and (below := below_zero(degrees)).any():
                degrees = degrees.mask(below, degrees + 360)
                said = count(int(below.sum()), "right ascension below 0 was", "right ascensions below 0 were")
                notes.append(f"{said} read as 360 degrees more")
            table[name] = degrees.where(degrees.between(low, high))
            if n_bad := int(table[name].isna().sum()):
                notes.append(
                    f"{count(n_bad, 'galaxy has', 'galaxies have')} no usable {name} (degrees, {low:g} to {high:g})"
                )
    lacking = [name for name in units if name not in table]
    seen = [str(column) for column in table if NOT_READ.fullmatch(str(column))][:MOST_NAMED]
    if len(lacking) == 1:
        notes.append(f"{lacking[0]} is not known; give positions as columns ra and dec in degrees (ICRS)")
    elif lacking and seen:
        notes.append(f"not read as positions: {', '.join(seen)}; give these as columns ra and dec in degrees (ICRS)")
    for name in ("class", "split_group"):
        if name in table:
            table[name] = clean_text(table[name])
    first = [name for name in ITS_OWN_COLUMNS if name in table]
    return table[[*first, *(column for column in table if column not in first)]], notes


def _most_classes(table: pd.DataFrame) -> int:
    """Of more the column numbers the galaxies, as ``label`` of photutils does."""
    return max(MOST_CLASSES, len(table) // 2)


def clean_answers(table: pd.DataFrame, columns: Sequence[str], kind: str) -> tuple[pd.DataFrame, list[str]]:
    """Votes as float32, null where they are no number, negative, or as fractions above 1; nulls are counted."""
    votes = table[list(columns)].apply(pd.to_numeric, errors="coerce").astype("float32")
    votes = votes.where((votes >= 0) & (votes <= (1.0 if kind == "fraction" else 1e9)))
    table = table.assign(**{column: votes[column] for column in votes})
    n_gaps = int(votes.isna().any(axis=1).sum())
    told = f"{count(n_gaps, 'galaxy has', 'galaxies have')} answers without a usable number"
    return table, [told] if n_gaps else []


def missing_answers(source: str, wanted: Sequence[str], there: Sequence[str]) -> list[str]:
    """What a table of votes lacks of the answers of its release, as a note where it lacks any.

    Examples
    --------
    >>> missing_answers("votes.csv", ("Class1.1", "Class1.2", "Class1.3"), ("Class1.1", "Class1.3"))
    ['votes.csv lacks 1 of the 3 answers (Class1.2): how many gave these is not known']
    """
    lacking = [column for column in wanted if column not in there]
    named = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
    told = f"{source} lacks {len(lacking)} of the {len(wanted)} answers ({named}): how many gave these is not known"
    return [told] if lacking else []


def constant_scale(table: pd.DataFrame) -> float | None:
    """Pixel scale in arcseconds if the table has a ``pixel_scale_arcsec`` column with one positive value."""
    if "pixel_scale_arcsec" not in table:
        return None
    scales = pd.to_numeric(table["pixel_scale_arcsec"], errors="coerce").dropna().unique()
    return float(scales[0]) if len(scales) == 1 and scales[0] > 0 else None
