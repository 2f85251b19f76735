"""One visitor in a browser of many: opens galaxies, draws lassos, denoises pictures, and watches for what is another's.

All visitors are driven at once from one event loop, each in a browser context of its own: with its own cookies, its
own cache, and its own session on the server.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from scripts.benchmarks import load_marks, load_relay
from scripts.benchmarks.map_browser import LONELY, MAP, STANDS_STILL, TO_PAGE
from scripts.benchmarks.stopwatch import STOPWATCH, VIEWPORT

CLICKS, CORNERS, SHARE, FEWEST = 3, 24, 0.03, 10
CHOSEN = f"""() => {{
    const map = {MAP}, bits = map && map.chosen, rows = [];
    if (bits) bits.forEach((byte, i) => {{ for (let k = 0; k < 8; k++) if ((byte >> k) & 1) rows.push(8 * i + k); }});
    return rows;
}}"""
PLACE = re.compile(r"waiting, (next|\d+)(?:st|nd|rd|th)? in the queue")
BROKEN = "[data-testid=stException], [data-testid=stAlertContentError]"


@dataclass
class Seen:
    """What a visitor met: times in seconds, places in the queue, and sentences on errors and on others' things.

    ``spans``: when each click was begun and its card was there, by `time.monotonic`.
    """

    visitor: int = -1
    clicks: list[float] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    lassos: list[float] = field(default_factory=list)
    denoised: list[float] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


class Visitor:
    """A person of some number; ``places`` is the map, float (2, n_galaxies), and ``ids`` names its galaxies.

    ``think_s`` is the mean pause, ``patience_s`` how long the visitor waits for anything before it is an error.
    """

    def __init__(
        self, number: int, browser, address: str, places: np.ndarray, ids: np.ndarray, think_s: float, patience_s: float
    ):
        self.number, self.browser, self.address = number, browser, address
        self.map_places, self.ids, self.think_s, self.patience_s = places, ids, think_s, patience_s
        self.rng, self.seen, self.turn = np.random.default_rng(number), Seen(number), 0
        self.chosen: frozenset[int] = frozenset()
        self.opened, self.doing = -1, "opening the map"

    async def stay(self, until: float, whole: bool = False) -> Seen:
        """Look at the map, draw a lasso, denoise, and again, until a time of `time.monotonic`.

        ``whole``: what is begun is done to the end, once at least.
        """
        from playwright.async_api import Error

        self.context = await self.browser.new_context(viewport=VIEWPORT)
        self.context.set_default_timeout(1000 * self.patience_s)
        cookie = {"name": load_relay.COOKIE, "value": str(self.number), "url": self.address}
        await self.context.add_cookies([cookie])
        self.page = await self.context.new_page()
        self.page.on("pageerror", lambda error: self.seen.errors.append(f"script: {error}"))
        try:
            await self.page.goto(self.address, wait_until="commit")
            await self.look_at_the_map(np.inf if whole else until)
            while whole or time.monotonic() < until:
                await self.denoise()
                whole = False
                await self.look_at_the_map(until)
        except Error as error:
            said = " ".join((await self.page.inner_text("body")).split())[:300]
            reason = str(error).splitlines()[0]
            self.seen.errors.append(f"visitor {self.number}, {self.doing}: {reason} The page says: {said}")
        finally:
            await self.context.close()
        return self.seen

    async def think(self, share: float = 1.0) -> None:
        """A pause, exponential of the mean that was asked for."""
        await self.page.wait_for_timeout(1000 * share * self.rng.exponential(self.think_s))

    async def look_at_the_map(self, until: float) -> None:
        """A lasso around the visitor's own part of the map, then galaxies one after the other."""
        await self.page.wait_for_selector(".atlas-map[data-drawn]", state="attached")
        await self.page.wait_for_function(STANDS_STILL, polling=150)  # people wait for what still moves
        await self.check("on the map again")
        await self.think()
        await self.lasso()
        rows = self.rng.permutation(await self.page.evaluate(LONELY, 40))
        for row in rows[rows != self.opened][:CLICKS]:  # of one that is open the card does not change
            await self.think()
            if time.monotonic() > until:
                return
            await self.click(int(row))
            await self.check("after a click")

    async def click(self, row: int) -> None:
        """Open a galaxy; the time runs in the page itself."""
        self.doing = f"clicking galaxy {row}"
        name = str(self.ids[row])
        await self.page.evaluate(STOPWATCH, [".st-key-card-area h3", name])
        place, begun = await self.page.evaluate(f"{MAP}.pixelOf({row})"), time.monotonic()
        await self.page.mouse.click(*place)
        await self.page.wait_for_function("() => window.stopwatch.ended !== null")
        self.seen.spans.append((begun, time.monotonic()))
        self.seen.clicks.append(await self.page.evaluate("(window.stopwatch.ended - window.stopwatch.begun) / 1000"))
        self.opened = row

    async def lasso(self) -> None:
        """Select a circle of the visitor's own, and see that the server marks what is in it."""
        self.doing = "drawing a lasso"
        inside = self.chosen
        while len(inside & self.chosen) > 0.5 * len(inside | self.chosen) or not inside:  # another part than before
            middle = self.map_places[:, self.rng.integers(self.map_places.shape[1])]
            distance = np.hypot(*(self.map_places - middle[:, None]))
            radius = np.quantile(distance, max(SHARE, FEWEST / len(distance)))
            inside = frozenset(np.flatnonzero(distance <= radius).tolist())
        angle = np.linspace(0, 2 * np.pi, CORNERS)
        ring = middle + 1.001 * radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        await self.page.locator('[data-tool="lasso"]').first.click()
        corners = np.array(await self.page.evaluate(TO_PAGE, [*ring.tolist(), self.map_places.mean(axis=1).tolist()]))
        corners, centre = corners[:-1], corners[-1]  # begun where it is surely on the map
        corners = np.roll(corners, -int(np.hypot(*(corners - centre).T).argmin()), axis=0).tolist()
        await self.page.mouse.move(*corners[0])
        await self.page.mouse.down()
        for corner in corners[1:]:
            await self.page.mouse.move(*corner)
        before, start = sorted(self.chosen), time.monotonic()
        await self.page.mouse.up()
        wait = f"(before) => {{ const rows = ({CHOSEN})(); return rows.length && String(rows) !== before; }}"
        await self.page.wait_for_function(wait, arg=",".join(map(str, before)))
        self.seen.lassos.append(time.monotonic() - start)
        self.chosen = frozenset(await self.page.evaluate(CHOSEN))
        if len(self.chosen & inside) < 0.8 * len(self.chosen | inside):
            self.seen.foreign.append(f"visitor {self.number}: a lasso marked other galaxies than those in it")
        await self.page.locator('[data-tool="pan"]').first.click()

    async def denoise(self) -> None:
        """Denoise a picture of the visitor's own and take it home; whose it is can be read off its pixels."""
        self.turn, self.doing = self.turn + 1, "denoising"
        stem = f"visitor-{self.number}-{self.turn}"
        await self.open_page("Denoise")
        chooser = self.page.locator("input[type=file]").first
        data = load_marks.picture(self.number, self.turn)
        start = time.monotonic()
        await chooser.set_input_files([{"name": f"{stem}.png", "mimeType": "image/png", "buffer": data}])
        button = self.page.get_by_role("button", name=f"Download {stem}_denoised.png")
        await self.wait_in_the_queue(button)
        self.seen.denoised.append(time.monotonic() - start)
        await self.check("with a result")
        async with self.page.expect_download() as download:
            await button.click()
        mark = load_marks.read_mark(Path(await (await download.value).path()).read_bytes())
        if mark != (self.number, self.turn):
            self.seen.foreign.append(f"visitor {self.number} was given the picture of visitor {mark[0]}")
        await self.think()
        await self.open_page("Galaxy map")

    async def open_page(self, name: str) -> None:
        """Go to another page by the menu: a galaxy's card has links of the same names."""
        await self.page.get_by_test_id("stSidebar").get_by_role("link", name=name).click()
        await self.page.get_by_role("heading", name=name, exact=True).wait_for()

    async def wait_in_the_queue(self, button) -> None:
        """Until a button appears; places in the queue that the page tells are noted."""
        end = time.monotonic() + self.patience_s
        while not await button.count():
            told = PLACE.search(await self.page.inner_text("body"))
            if told:
                self.seen.places.append(1 if told[1] == "next" else int(told[1]))
            if time.monotonic() > end or await self.page.locator(BROKEN).count():
                break
            await self.page.wait_for_timeout(200)
        await button.wait_for()

    async def check(self, when: str) -> None:
        """Nothing of another visitor is on the page, the selection is still the visitor's own, and nothing failed."""
        text = await self.page.inner_text("body")
        others = set(re.findall(r"visitor-(\d+)-\d+", text)) - {str(self.number)}
        if others:
            self.seen.foreign.append(f"visitor {self.number} saw uploads of {sorted(others)} {when}")
        chosen = frozenset(await self.page.evaluate(CHOSEN))
        if chosen and self.chosen and chosen != self.chosen:
            self.seen.foreign.append(f"visitor {self.number} saw another selection {when}")
        for element in await self.page.locator(BROKEN).all():
            self.seen.errors.append(
                f"visitor {self.number} {when}: {' '.join((await element.inner_text()).split())[:300]}"
            )
