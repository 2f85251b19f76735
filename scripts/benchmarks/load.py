"""Many visitors at once, in real browsers on this machine: errors, isolation, time from click to card, and memory.

First one visitor is alone, then a crowd comes; each browses the map, draws lassos, uploads pictures of their own and
has them denoised, with pauses in between (see `load_visitor`). Twenty browsers on the server's own processors need far
more of them than the server does, while visitors bring processors of their own. So those of the crowd run only where
nobody else wants a processor, and one visitor of the crowd, the witness, has a browser like that of the visitor who was
alone: the times of these two are compared, those of the others are told. How long the server takes over a click is read
off the wire for all of them (see `load_relay`), and that of all visitors is compared with that of the one alone, too.
Memory is that of the server, read when everybody has left and is forgotten and one more page has been opened, before
and after the crowd.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from galaxy_core import artifacts
from galaxy_core.errors import GalaxyError
from scripts.benchmarks import stopwatch
from scripts.benchmarks.load_relay import Answer, read_answers, relay, time_served
from scripts.benchmarks.load_visitor import Seen, Visitor
from scripts.benchmarks.stopwatch import Server

WHO = ("alone", "witness", "crowd")
LIMITS = {"click": 3.0, "memory": 1.1}
ARRIVE_S = 5.0  # all have come after so long
FIRST_S = 300  # PyTorch may take long to load on a busy machine
FORGET_S = 400  # at most, until who left is forgotten
TIDY_S = 70  # the server tidies its memory once a minute
STAND_BACK = """#!/bin/sh
# a browser is a session of its own, and Linux shares processors among sessions first: priorities count within one
(echo 19 > /proc/self/autogroup) 2> /dev/null
if command -v chrt > /dev/null; then exec chrt --idle 0 "{path}" "$@"; fi
exec nice -n 19 "{path}" "$@"
"""
HURRY = 0.15  # of the others' pauses are those of the witness and of the visitor alone, for there is one of each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("--users", type=int, default=20, metavar="N", help="visitors at once (%(default)s)")
    parser.add_argument("--seconds", type=float, default=120, help="how long they stay (%(default)s)")
    parser.add_argument("--alone", type=float, default=60, help="seconds of the visitor before them (%(default)s)")
    parser.add_argument("--think", type=float, default=8, help="mean pause of the crowd, seconds (%(default)s)")
    parser.add_argument("--patience", type=float, default=60, help="seconds until waiting is an error (%(default)s)")
    parser.add_argument("--catalog", help="the catalog they look at (the first one)")


def measure(options: argparse.Namespace) -> dict:
    """The numbers; ``skipped`` says why where there is no browser."""
    try:
        path = stopwatch.find_chromium()
    except stopwatch.NoBrowserError as error:
        print(f"Skipped: {error}")
        return {"benchmark": "load", "skipped": str(error)}
    catalog = options.catalog or next(iter(artifacts.list_catalogs(options.artifacts)), "demo")
    artifacts.read_manifest(options.artifacts, catalog)  # says what to do where there is none
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        root = str(options.artifacts.resolve())
        script = stopwatch.PROJECT / "scripts" / "serve.py"
        answers = Path(folder) / "answers.jsonl"
        with (
            Server(script, Path(folder), "--artifacts", root, runs_itself=True) as server,
            relay(server.url, answers) as address,
        ):
            found = asyncio.run(_measure(path, server, address, catalog, answers, options))
        log = server.log.read_text(errors="replace")
        found["log_errors"] = log.count("Traceback (most recent call last)")
        found["exit_code"] = server.process.returncode
    found["limits"] = judge(found)
    _print_all(found)
    return found


async def _measure(
    path: str, server: Server, address: str, catalog: str, answers: Path, options: argparse.Namespace
) -> dict:
    from playwright.async_api import async_playwright

    ids = artifacts.read_table(options.artifacts, catalog, "catalog")["galaxy_id"].to_numpy(dtype=object)
    table = artifacts.read_table(options.artifacts, catalog, "projections")
    name = artifacts.read_manifest(options.artifacts, catalog).projections
    places = np.stack([table[f"{'umap' if 'umap' in name else next(iter(name))}_{axis}"].to_numpy() for axis in "xy"])
    found = {"benchmark": "load", "catalog": catalog, "n_galaxies": len(ids), "users": options.users}
    found |= {"seconds": options.seconds, "think_s": options.think, "load_average": os.getloadavg()[0]}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(stopwatch.FLAGS))
        patient = server.log.with_name("chromium-of-the-crowd")
        patient.write_text(STAND_BACK.format(path=path))
        patient.chmod(0o700)
        others = await playwright.chromium.launch(executable_path=str(patient), args=list(stopwatch.FLAGS))
        address = f"{address}/Galaxy_map?catalog={catalog}"

        def visitor(number: int, patience_s: float = options.patience, of_crowd: bool = False) -> Visitor:
            think = options.think * (1 if of_crowd else HURRY)
            return Visitor(number, others if of_crowd else browser, address, places, ids, think, patience_s)

        first = visitor(255, FIRST_S)  # for whom all is loaded that is loaded once: pages, catalog, model
        problems = (await first.stay(time.monotonic() + 1, whole=True)).errors
        if problems:
            raise GalaxyError(f"The server does not work for one visitor: {problems[0]}")
        alone = [await visitor(0).stay(time.monotonic() + options.alone)]
        found["alone"] = summary(alone, read_answers(answers))
        found["memory_start_mib"] = await _memory_when_forgotten(browser, server)
        used, samples = server.processor_s(), []
        watching = asyncio.create_task(_watch(server, samples))
        crowd = [visitor(options.users), *(visitor(number, of_crowd=True) for number in range(1, options.users))]
        seen = await _crowd(crowd, options.seconds)
        watching.cancel()
        heard = read_answers(answers)
        found["witness"] = summary(seen[:1], heard)
        found["crowd"] = summary(seen, heard) | {"server_processor_s": round(server.processor_s() - used, 1)}
        found |= {"memory_peak_mib": max(sample[0] for sample in samples), "most_waiting": max(s[1] for s in samples)}
        found["memory_end_mib"] = await _memory_when_forgotten(browser, server)
        await others.close()
        await browser.close()
    return found


async def _crowd(visitors: list[Visitor], seconds: float) -> list[Seen]:
    async def come(place: int, visitor: Visitor) -> Seen:
        await asyncio.sleep(ARRIVE_S * place / len(visitors))
        return await visitor.stay(end)

    end = time.monotonic() + seconds
    return await asyncio.gather(*(come(place, visitor) for place, visitor in enumerate(visitors)))


async def _watch(server: Server, samples: list) -> None:
    while True:
        state = await asyncio.to_thread(_health, server)
        samples.append((server.memory_mib().get("now", 0.0), state["waiting"]))
        await asyncio.sleep(1)


def _health(server: Server) -> dict:
    with suppress(OSError), stopwatch.ask(f"{server.url}/health", timeout=30) as answer:
        return json.loads(answer.read())["queue"]
    return {"waiting": 0, "visitors": -1}


async def _memory_when_forgotten(browser, server: Server) -> float:
    """MiB of the server once nobody is known to it any more, and one more page was opened and closed."""
    end = time.monotonic() + FORGET_S
    while (await asyncio.to_thread(_health, server))["visitors"] and time.monotonic() < end:
        await asyncio.sleep(1)
    await asyncio.sleep(5)
    page = await browser.new_page()  # sessions that ended are dropped when the next one begins
    await page.goto(server.url)
    await page.get_by_role("heading", name="Galaxy Atlas").wait_for()
    await page.close()
    await asyncio.sleep(TIDY_S)
    return server.memory_mib().get("now", float("nan"))


def summary(seen: list[Seen], answers: list[Answer]) -> dict:
    """Times of some visitors together, median and 95th percentile in seconds, and all that went wrong.

    ``served``: what of the clicks is the server's part.
    """
    found: dict = {}
    times = {key: [value for one in seen for value in getattr(one, key)] for key in ("clicks", "lassos", "denoised")}
    times["served"] = [value for one in seen for value in time_served(one.spans, answers, one.visitor)]
    for key, values in times.items():
        found[key] = {"n": len(values)}
        if values:
            found[key] |= {"median_s": round(float(np.median(values)), 3)}
            found[key] |= {"p95_s": round(float(np.quantile(values, 0.95)), 3)}
    found["last_place"] = max((place for one in seen for place in one.places), default=0)
    return found | {key: [text for one in seen for text in getattr(one, key)] for key in ("errors", "foreign")}


def judge(found: dict) -> list[dict]:
    """Each limit with what was measured: ``what``, ``value``, ``limit``, ``holds``."""
    crowd, alone, witness = found["crowd"], found["alone"], found["witness"]
    values = [
        ("errors", len(crowd["errors"]) + len(alone["errors"]) + found["log_errors"] + bool(found["exit_code"]), 0),
        ("things of other visitors seen", len(crowd["foreign"]) + len(alone["foreign"]), 0),
        ("visitors without a click", int(crowd["clicks"]["n"] < found["users"] or not witness["clicks"]["n"]), 0),
        ("memory after over before", found["memory_end_mib"] / found["memory_start_mib"], LIMITS["memory"]),
    ]
    if witness["clicks"]["n"] and alone["clicks"]["n"]:
        ratio = witness["clicks"]["p95_s"] / alone["clicks"]["p95_s"]
        values.append(("click to card, 95th percentile, witness over alone", ratio, LIMITS["click"]))
    if crowd["served"]["n"] and alone["served"]["n"]:
        ratio = crowd["served"]["p95_s"] / alone["served"]["p95_s"]
        values.append(("server's part of it, 95th percentile, all over alone", ratio, LIMITS["click"]))
    return [{"what": w, "value": round(v, 3), "limit": limit, "holds": bool(v <= limit)} for w, v, limit in values]


def _print_all(found: dict) -> None:
    print(
        f"{found['users']} visitors for {found['seconds']:g} s, {found['catalog']} ({found['n_galaxies']:,} galaxies),"
        f" a pause of {found['think_s']:g} s on average; load average at the start {found['load_average']:.1f}"
    )
    print(f"{'':24}" + "".join(f" {f'{who} n':>10} {'median s':>9} {'p95 s':>7}" for who in WHO))
    rows = (("clicks", "click to card"), ("served", "server's part of it"))
    for key, name in (*rows, ("lassos", "lasso to marks"), ("denoised", "upload to result")):
        line = f"{name:24}"
        for who in WHO:
            one = found[who][key]
            line += f" {one['n']:>10} {one.get('median_s', float('nan')):>9.2f} {one.get('p95_s', float('nan')):>7.2f}"
        print(line)
    print(
        f"Queue: at most {found['most_waiting']} waited, last place told {found['crowd']['last_place']}."
        f" The server used {found['crowd']['server_processor_s']} s of a processor."
    )
    names = ("start", "peak", "end")
    print("Server memory [MiB]: " + ", ".join(f"{name} {found[f'memory_{name}_mib']:,.0f}" for name in names))
    for text in (*found["crowd"]["errors"], *found["crowd"]["foreign"], *found["alone"]["errors"]):
        print(f"  {text}")
    for limit in found["limits"]:
        word = "within" if limit["holds"] else "BEYOND"
        print(f"{limit['what']:60} {limit['value']:>9.2f}  {word} the limit of {limit['limit']:g}")
