"""The map's script in a page without Streamlit, which tests call as Streamlit does."""

from __future__ import annotations

from dataclasses import replace

from pages.views import readers
from pages.views.colouring import colour_by
from pages.views.galaxy_map import component, payload

ROW = 7
LOOK = payload.MapLook("map-0", "tiny", "umap", "UMAP", "", "tiny", "tiny-umap", True)
LOAD = """async ([script, messages, css]) => {
    const style = document.head.appendChild(document.createElement('style'));
    style.textContent = css;
    document.body.innerHTML = '<div id="map" style="width:600px;height:500px"></div>'
        + '<div id="second" style="width:600px;height:500px"></div>'
        + '<div id="marks"></div><div id="hover"></div><div id="view"></div>';
    const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
    const whatStreamlitCalls = (await import(url)).default;
    window.told = [];
    window.setMarks = (message) => { messages.marks = message; call('marks', 2); };
    window.setMap = (message) => { messages.map = message; call('map', 0); };
    window.setView = (message) => { messages.view = message; call('view', 3); };
    window.call = (role, number) => whatStreamlitCalls({
        data: new Uint8Array(messages[role]), parentElement: document.getElementById(role),
        setTriggerValue: (name, events) => window.told.push({ number, events }),
    });
}"""


def script_page(chromium, tiny_root):
    """An empty page with the script; ``call(role, number)`` is a call by Streamlit, which returns its clean-up."""
    galaxies = readers.open_catalog(tiny_root, "tiny")
    x, y = galaxies.coordinates("umap")
    messages = {
        "map": payload.map_message(LOOK, x, y, colour_by(galaxies, "class"), None, "s"),
        "marks": payload.marks_message("tiny", len(galaxies), 0, None, {}, None, {}, []),
        "hover": payload.pack({"role": "hover", "group": "tiny"}),
        "view": payload.pack({"role": "view", "group": "tiny"}),
        "second": payload.map_message(replace(LOOK, map_id="map-1"), x, y, colour_by(galaxies, "class"), None, "t"),
    }
    script = component.scripts() + (component.FOLDER / "component.js").read_text(encoding="utf-8")
    context = chromium.new_context(viewport={"width": 800, "height": 700})
    page = context.new_page()
    page.goto("about:blank")
    page.evaluate(LOAD, [script, {role: list(message) for role, message in messages.items()}, component.style()])
    yield page
    context.close()


def click(page, row: int = ROW) -> None:
    page.wait_for_selector(".atlas-map[data-drawn]")
    place = page.evaluate(f"window.galaxyAtlas.maps.get('map-0').pixelOf({row})")
    page.mouse.click(*place)


def rows_told(page) -> list[tuple[int, int]]:
    """By which call each galaxy was told."""
    return [(one["number"], event["row"]) for one in page.evaluate("window.told") for event in one["events"]]
