"""The galaxy map in a browser, from ten thousand to a million galaxies, beside a bare Plotly page of the same points.

For each number of galaxies artifacts are written (see `many_galaxies`), a fresh server is started, and Chromium opens
the map, moves the mouse over it, clicks galaxies and draws a lasso around a twentieth of them; then it does the same,
but for the lasso, on a page that has nothing but a chart. Every open is that of a new visitor whose browser has stored
nothing. The first one meets a server that has not read the catalog yet and is told apart from the others.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from statistics import median

import numpy as np

from galaxy_core import artifacts
from scripts.benchmarks import map_browser, stopwatch
from scripts.benchmarks.many_galaxies import write_many
from scripts.benchmarks.map_browser import AtlasMap, PlotlyMap
from scripts.benchmarks.stopwatch import Server, Visit

ROWS = (10_000, 100_000, 240_000, 1_000_000)
SOURCES = ("gz_clean5", "demo")
LASSO_SHARE = 0.05
LIMITS = {"interactive": 1.3, "click": 1.5, "payload_mb": 8.0, "lasso_s": 5.0, "server_mib": 2048.0}
BASE_ROWS = 100_000  # the time to interactive is compared with that of as many


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS), metavar="N", help="galaxies (%(default)s)")
    parser.add_argument("--source", help="catalog to resample (gz_clean5 where it is there, else demo)")
    parser.add_argument("--projection", default="umap", help="the map for the bare page (%(default)s)")
    parser.add_argument("--opens", type=int, default=3, help="opens, after the first (%(default)s)")
    parser.add_argument("--clicks", type=int, default=5, help="clicks (%(default)s)")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep the artifacts there, and use those that are there"
    )
    parser.add_argument("--map-only", action="store_true", help="leave the bare Plotly page out")
    parser.add_argument("--no-embedding", action="store_true", help="write none: 768 MB less for a million galaxies")


def measure(options: argparse.Namespace) -> dict:
    """The table, as numbers; ``skipped`` says why where there is no browser."""
    have = artifacts.list_catalogs(options.artifacts)
    source = options.source or next((name for name in SOURCES if name in have), SOURCES[-1])
    artifacts.read_manifest(options.artifacts, source)  # says what to do where there is none, before anything is made
    found = {"benchmark": "map", "source": source, "load_average": os.getloadavg()[0], "sizes": []}
    try:
        with stopwatch.chromium() as browser, _folder(options.keep) as folder:
            found["bare_rerun_ms"] = _measure_button(browser, folder)
            for n in options.rows:
                found["sizes"].append(_measure_size(browser, folder, source, n, options))
                print(_line(found["sizes"][-1]), flush=True)
    except stopwatch.NoBrowserError as error:
        print(f"Skipped: {error}")
        return {"benchmark": "map", "skipped": str(error)}
    found["limits"] = judge(found["sizes"])
    _print_all(found)
    return found


def _folder(keep: Path | None):
    if keep is None:
        return tempfile.TemporaryDirectory(prefix="bench-")
    keep.mkdir(parents=True, exist_ok=True)
    return nullcontext(str(keep))


def _measure_size(browser, folder: str, source: str, n: int, options: argparse.Namespace) -> dict:
    """Both pages at one number of galaxies."""
    root, name = Path(folder) / "artifacts", f"{source}-{n}"
    if not artifacts.catalog_exists(root, name):
        write_many(options.artifacts, source, root, name, n, embedding=not options.no_embedding)
    manifest = artifacts.read_manifest(root, name)
    ids = artifacts.Ids(artifacts.open_columns(root, manifest, "catalog"))
    table = artifacts.open_columns(root, manifest, "projections")
    places = np.stack([table[f"{options.projection}_{axis}"].to_numpy() for axis in "xy"])
    outline = circle_around(places, LASSO_SHARE)
    with Server(stopwatch.PROJECT / "app.py", Path(folder), "--artifacts", str(root)) as server:
        atlas = _measure_page(browser, server, lambda visit: AtlasMap(visit, server, name, ids), options, outline)
    if options.map_only:
        return {"rows": n, "atlas": atlas}
    page = Path(folder) / "plotly_page.py"
    page.write_text(map_browser.PLOTLY_PAGE.format(step=map_browser.TRACE_POINTS), encoding="utf-8")
    np.save(page.with_name("points.npy"), places)
    with Server(page, Path(folder)) as server:
        plotly = _measure_page(browser, server, lambda visit: PlotlyMap(visit, server, places), options, None)
    return {"rows": n, "atlas": atlas, "plotly": plotly, "click_ratio": atlas["click_ms"] / plotly["click_ms"]}


def _measure_page(
    browser, server: Server, make: Callable[[Visit], AtlasMap | PlotlyMap], options, outline: np.ndarray | None
) -> dict:
    """Opens, clicks and lassos on one server, medians of each; the first of its kind apart."""
    opens, clicks, lassos = [], [], []
    for turn in range(1 + options.opens):
        with Visit(browser) as visit:
            page = make(visit)
            opens.append(page.open())
            if turn < options.opens:
                continue
            visit.rest()
            clicks = [page.click(row) for row in page.rows(1 + options.clicks)]
            if outline is not None:
                lassos = [page.lasso(outline) for _ in range(3)]
    first, later = opens[0], opens[1:] or opens
    found = {key: round(median(one[key] for one in later), 3) for key in first}
    found |= {f"first_{key}": round(value, 3) for key, value in first.items()}
    found |= {"first_click_ms": round(clicks[0]), "click_ms": round(median(clicks[1:] or clicks))}
    if lassos:
        found |= {"first_lasso_s": round(lassos[0], 3), "lasso_s": round(median(lassos[1:]), 3)}
    return found | {"server_mib": server.memory_mib(), "each_open": opens, "each_click_ms": clicks}


def _measure_button(browser, folder: str, clicks: int = 7) -> float:
    """Milliseconds of the least that Streamlit can do: a button, and a text that changes."""
    from time import perf_counter

    script = Path(folder) / "button_page.py"
    script.write_text(map_browser.BUTTON_PAGE, encoding="utf-8")
    times = []
    with Server(script, Path(folder)) as server, Visit(browser) as visit:
        visit.page.goto(server.url)
        visit.page.get_by_text("run 0", exact=True).wait_for()
        for click in range(1, clicks + 1):
            visit.rest()
            start = perf_counter()
            visit.page.get_by_role("button", name="Again").click()
            visit.page.get_by_text(f"run {click}", exact=True).wait_for()
            times.append(1000 * (perf_counter() - start))
    return round(median(times))


def circle_around(places: np.ndarray, share: float, corners: int = 24) -> np.ndarray:
    """A circle around the middle of a map with some share of the galaxies in it.

    Parameters
    ----------
    places : float array, shape (2, n_galaxies)

    Returns
    -------
    float array, shape (corners, 2)
    """
    places = places[:, np.isfinite(places).all(axis=0)]
    middle = np.median(places, axis=1)
    radius = np.quantile(np.hypot(*(places - middle[:, None])), share) or 1e-3
    angle = np.linspace(0, 2 * np.pi, corners)
    return np.stack([middle[0] + radius * np.cos(angle), middle[1] + radius * np.sin(angle)], axis=1)


def judge(sizes: list[dict]) -> list[dict]:
    """Each limit with what was measured: ``what``, ``value``, ``limit``, ``holds``."""
    found = []

    def add(what: str, value: float, limit: float) -> None:
        found.append({"what": what, "value": round(value, 3), "limit": limit, "holds": value <= limit})

    largest, base = sizes[-1], next((size for size in sizes if size["rows"] == BASE_ROWS), None)
    if base and largest["rows"] > BASE_ROWS:
        for key, name in (("interactive_s", "to interactive"), ("first_interactive_s", "to interactive, first open")):
            what = f"time {name}, {largest['rows']:,} over {BASE_ROWS:,} galaxies"
            add(what, largest["atlas"][key] / base["atlas"][key], LIMITS["interactive"])
    for size in (size for size in sizes if "click_ratio" in size):
        add(f"click to card over bare rerun, {size['rows']:,} galaxies", size["click_ratio"], LIMITS["click"])
    add(f"first payload [MB], {largest['rows']:,} galaxies", largest["atlas"]["payload_mb"], LIMITS["payload_mb"])
    for key, name in (("first_lasso_s", "first lasso"), ("lasso_s", "lasso")):
        if key in largest["atlas"]:
            add(f"{name} to pictures [s], {largest['rows']:,} galaxies", largest["atlas"][key], LIMITS["lasso_s"])
    if peak := largest["atlas"]["server_mib"].get("peak"):
        add(f"server memory at its highest [MiB], {largest['rows']:,} galaxies", peak, LIMITS["server_mib"])
    return found


HEAD = (
    f"{'galaxies':>10} {'page':8} {'payload MB':>10} {'interactive s':>14} {'first open s':>13} {'picture s':>10}"
    f" {'click ms':>9} {'first ms':>9} {'lasso s':>8} {'first s':>8} {'server MiB':>11} {'peak':>7}"
)


def _line(size: dict) -> str:
    """The two lines of one number of galaxies."""
    lines = []
    for name in (name for name in ("atlas", "plotly") if name in size):
        one = size[name]
        text = {key: f"{one[key]:.2f}" if key in one else "–" for key in ("picture_s", "lasso_s", "first_lasso_s")}
        memory = {key: f"{value:,.0f}" for key, value in one["server_mib"].items()}
        lines.append(
            f"{size['rows']:>10,} {name:8} {one['payload_mb']:>10.2f} {one['interactive_s']:>14.2f}"
            f" {one['first_interactive_s']:>13.2f} {text['picture_s']:>10} {one['click_ms']:>9.0f}"
            f" {one['first_click_ms']:>9.0f} {text['lasso_s']:>8} {text['first_lasso_s']:>8}"
            f" {memory.get('now', '–'):>11} {memory.get('peak', '–'):>7}"
        )
    return "\n".join(lines)


def _print_all(found: dict) -> None:
    print(f"\n{found['source']} resampled; medians; load average at the start {found['load_average']:.1f}")
    print(HEAD)
    for size in found["sizes"]:
        print(_line(size))
    print(f"A bare rerun without any chart takes {found['bare_rerun_ms']} ms.")
    for limit in found["limits"]:
        word = "within" if limit["holds"] else "BEYOND"
        print(f"{limit['what']:66} {limit['value']:>9.2f}  {word} the limit of {limit['limit']:g}")
