"""What the frame viewer is sent: pixels as the image viewer has them, objects, and the grid. Nothing of streamlit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from galaxy_core.sky_grid import sky_grid, world_of
from galaxy_core.tiles import Progress
from pages.views import sky_colours
from pages.views.galaxy_map.payload import pack
from pages.views.image_viewer.payload import HALF_MAX, MARGIN, limits_of, shift_limits
from pages.views.sky_work import MAX_VALUES, SkyWork, read_region

VIEWER_ID = "sky"
MAX_OBJECTS = 100_000  # drawn over a frame, the brightest
AXES = 3.0  # half axes of an ellipse over the dispersions of the light
PLACES, MANY_PLACES = 33, 257  # along each side, of the grid in which coordinates are read off
WIDE_DEG = 0.2  # between such places, from which on there are many
Region = tuple[int, int, int, int]


def sky_message(work: SkyWork, stamp: str, name: str, stem: str) -> bytes:
    """The whole frame, its objects, and the grid of its sky.

    Parameters
    ----------
    stamp : str
        Of the frame: view and stretch stay while it is the same.
    """
    height, width = work.frame.shape
    offsets, gain = coding(work)
    linear = work.catalog.calibrated
    limits = limits_of(work.picture.pixels, linear, 1.0)
    objects = object_arrays(work.catalog.objects)
    header = {
        **region_header(work, stamp, (0, 0, width, height), work.picture.factor),
        "role": "sky",
        "single": True,
        "name": name,
        "stem": stem,
        "kind": "linear" if linear else "display",
        "full_width": width,
        "full_height": height,
        "titles": {"before": title_of(work)},
        "words": {"before": "value"},
        "unit": work.unit,
        "offsets": offsets.tolist(),
        "gain": gain,
        "limits": shift_limits(limits, offsets, gain),
        "curve": "asinh" if linear else "linear",
        "flip": linear,
        "first_pixel": 1 if linear else 0,
        "objects_stamp": work.key,
        "palette": sky_colours.PALETTE,
        "known": bool(np.isfinite(work.catalog.objects["p_galaxy"]).any()),
        "total": len(work.catalog.objects),
    }
    lines, line_arrays = grid_arrays(work)
    places, place_arrays = place_grid(work)
    coded = {"before": encode(work.picture.pixels, offsets, gain)}
    return pack(header | {"grid": lines, "sky": places}, **coded, **objects, **line_arrays, **place_arrays)


def detail_message(work: SkyWork, stamp: str, seen: list[float], report: Progress = lambda done: None) -> bytes:
    """A part of the frame, and some around it, with as many pixels as fit a screen; see the image viewer's."""
    region = region_of(seen, work.frame.shape)
    left, top, right, bottom = region
    n_values = (right - left) * (bottom - top) * len(work.picture.bands)
    factor = max(1, int(np.ceil(np.sqrt(n_values / MAX_VALUES))))
    pixels = read_region(work.frame, work.picture.bands, region, factor, report)
    header = region_header(work, stamp, region, factor) | {"role": "detail"}
    return pack(header, before=encode(pixels, *coding(work)))


def region_of(seen: object, shape: tuple[int, int]) -> Region:
    """A region (left, top, right, bottom) with a margin; the whole frame for what is no region."""
    height, width = shape
    try:
        x0, y0, x1, y1 = (float(value) for value in seen)
        if not np.isfinite([x0, y0, x1, y1]).all():
            raise ValueError
    except (TypeError, ValueError):
        x0, y0, x1, y1 = 0.0, 0.0, width, height
    more_x, more_y = MARGIN * (x1 - x0), MARGIN * (y1 - y0)
    left, top = (int(np.clip(v, 0, side - 1)) for v, side in ((x0 - more_x, width), (y0 - more_y, height)))
    right, bottom = (
        int(np.clip(v, a + 1, side)) for v, a, side in ((x1 + more_x, left, width), (y1 + more_y, top, height))
    )
    return left, top, right, bottom


def region_header(work: SkyWork, stamp: str, region: Region, factor: int) -> dict:
    """Where pixels lie in the frame, and of which frame they are."""
    left, top, right, bottom = region
    size = {"width": -(-(right - left) // factor), "height": -(-(bottom - top) // factor)}
    return {"id": VIEWER_ID, "stamp": stamp, "right": "", "x0": left, "y0": top, "factor": factor, **size}


def coding(work: SkyWork) -> tuple[np.ndarray, float]:
    """Offset of each band and the gain: value = offset + gain x the 16-bit float that is sent."""
    pixels = work.picture.pixels
    if not work.catalog.calibrated:
        return np.zeros(len(pixels)), 1.0
    medians = [float(np.median(band[np.isfinite(band)])) if np.isfinite(band).any() else 0.0 for band in pixels]
    largest = [
        np.abs(band[np.isfinite(band)] - middle).max(initial=0) for band, middle in zip(pixels, medians, strict=True)
    ]
    sigma = max(work.frame.bands[band].survey.sigma for band in work.picture.bands)
    return np.array(medians), float(max(sigma, max(largest) / HALF_MAX)) or 1.0


def encode(pixels: np.ndarray, offsets: np.ndarray, gain: float) -> np.ndarray:
    """Pixels as the codes of 16-bit floats, uint16 (n,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        coded = (pixels.astype(np.float64) - offsets[:, None, None]) / gain
        return np.clip(coded, -65504, 65504).astype(np.float16).view(np.uint16).ravel()


def object_arrays(objects: pd.DataFrame) -> dict[str, np.ndarray]:
    """Ellipses of the objects, the brightest of too many, and the number of each one's row and colour."""
    rows = np.arange(len(objects))
    if len(rows) > MAX_OBJECTS:
        rows = np.sort(np.argsort(-objects["flux"].to_numpy(), kind="stable")[:MAX_OBJECTS])
    part = objects.iloc[rows]
    major = AXES * part["semi_major"].to_numpy()
    shapes = {
        "obj_x": part["x"].to_numpy(),
        "obj_y": part["y"].to_numpy(),
        "obj_a": major,
        "obj_b": major * (1 - part["ellipticity"].to_numpy()),
        "obj_theta": np.radians(part["theta_deg"].to_numpy()),
    }
    codes = sky_colours.codes_of(part["p_galaxy"].to_numpy())
    arrays = {name: values.astype(np.float32) for name, values in shapes.items()}
    return arrays | {"obj_row": rows.astype(np.uint32), "obj_code": codes.astype(np.uint8)}


def grid_arrays(work: SkyWork) -> tuple[list[dict], dict[str, np.ndarray]]:
    """Lines of the grid one behind the other, and where each begins; none without coordinates."""
    lines = sky_grid(work.frame.wcs, work.frame.shape) if work.frame.wcs is not None else []
    places, start = [], 0
    for line in lines:
        places.append({"axis": line.axis, "label": line.label, "start": start, "length": len(line.x)})
        start += len(line.x)
    joined = {f"grid_{name}": [getattr(line, name) for line in lines] for name in ("x", "y")}
    return places, {name: np.concatenate(parts) if parts else np.zeros(0, np.float32) for name, parts in joined.items()}


def place_grid(work: SkyWork) -> tuple[dict | None, dict[str, np.ndarray]]:
    """Directions in a grid of places from edge to edge, as differences to their mean; NaN where there is no sky.

    Directions are unit vectors, which know no pole and no end of a circle; between places they are interpolated.
    """
    wcs = work.frame.wcs
    if wcs is None:
        return None, {}
    height, width = work.frame.shape
    n = PLACES
    longitude, latitude = world_of(wcs, *_grid_of_places(n, height, width))
    if np.isfinite(latitude).any() and _widest_step(longitude, latitude, n) > WIDE_DEG:
        n = MANY_PLACES
        longitude, latitude = world_of(wcs, *_grid_of_places(n, height, width))
    directions = _directions(longitude, latitude)
    known = np.isfinite(directions).all(axis=0)
    if not known.any():
        return None, {}
    middle = directions[:, known].mean(axis=1)
    names = ("RA", "Dec") if str(wcs.wcs.lngtyp).strip() == "RA" else (wcs.wcs.lngtyp.strip(), wcs.wcs.lattyp.strip())
    said = {"n": n, "names": names, "middle": middle.tolist()}
    return said, {
        f"sky_{name}": (part - at).astype(np.float32) for name, part, at in zip("xyz", directions, middle, strict=True)
    }


def _grid_of_places(n: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    across, down = np.meshgrid(*(np.linspace(0, side, n) - 0.5 for side in (width, height)))
    return across.ravel(), down.ravel()


def _directions(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Unit vectors, float64 (3, n)."""
    along, up = np.radians(longitude), np.radians(latitude)
    return np.stack([np.cos(up) * np.cos(along), np.cos(up) * np.sin(along), np.sin(up)])


def _widest_step(longitude: np.ndarray, latitude: np.ndarray, n: int) -> float:
    """Degrees between neighbouring places of a grid, at most."""
    directions = _directions(longitude, latitude).reshape(3, n, n)
    steps = [np.linalg.norm(np.diff(directions, axis=axis), axis=0) for axis in (1, 2)]
    return float(np.degrees(max(np.nanmax(step, initial=0) for step in steps)))


def marks_message(work: SkyWork, seen: int, opened: int | None, centre: bool, selected: np.ndarray) -> bytes:
    """What is marked: the open object, and the selected ones, a bit for each row of the catalogue."""
    objects, bits = work.catalog.objects, np.empty(0, dtype=np.uint8)
    if len(selected):
        chosen = np.zeros(len(objects), dtype=bool)
        chosen[selected] = True
        bits = np.packbits(chosen, bitorder="little")
    mark = None
    if opened is not None:
        row = objects.iloc[opened]
        mark = {"x": float(row["x"]), "y": float(row["y"]), "a": AXES * float(row["semi_major"])}
        mark |= {"number": int(row["number"]), "centre": centre}
    header = {"role": "marks", "id": VIEWER_ID, "stamp": work.key, "seen": seen, "opened": mark}
    return pack(header | {"n_selected": len(selected)}, bits=bits)


def title_of(work: SkyWork) -> str:
    """What the picture shows.

    Three bands are named in the order red, green, blue.
    """
    names = [work.frame.bands[band].name for band in work.picture.bands]
    if not work.catalog.calibrated:
        return "A picture, its light is stretched"
    return names[0] if len(set(names)) == 1 else f"{' / '.join(names)} as red / green / blue"
