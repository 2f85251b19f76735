"""The scripts of the image and sky viewers when Streamlit cleans up late: the viewer stays, and follows its size."""

from __future__ import annotations

import numpy as np
import pytest
from sky_frames import band_bytes

from pages.views.image_viewer import component as image_viewer
from pages.views.sky_viewer import component as sky_viewer
from pages.views.sky_viewer.payload import VIEWER_ID, sky_message
from tests.test_image_viewer import shown
from tests.test_sky_viewer import searched

pytestmark = pytest.mark.browser

LOAD = """async ([script, message]) => {
    document.body.innerHTML = '<div id="viewer" style="width:600px;height:500px"></div>';
    const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
    const whatStreamlitCalls = (await import(url)).default;
    window.call = () => whatStreamlitCalls({
        data: new Uint8Array(message), parentElement: document.getElementById('viewer'), setTriggerValue: () => {},
    });
}"""


def image_case(_) -> tuple[str, list, bytes]:
    image = shown(np.random.default_rng(0).normal(size=(1, 40, 60)).astype(np.float32))
    files = [image_viewer.FOLDER / name for name in image_viewer.SCRIPTS]
    return image.viewer_id, files, image_viewer._message(image, image.stamp, image.right)


def sky_case(folder) -> tuple[str, list, bytes]:
    files = [*(image_viewer.FOLDER / name for name in sky_viewer.SHARED)]
    files += [sky_viewer.FOLDER / "sky.js", sky_viewer.FOLDER / "component.js"]
    return VIEWER_ID, files, sky_message(searched(folder, ("r.fits", band_bytes("r"))), "s", "r.fits", "r")


@pytest.mark.parametrize("case", [image_case, sky_case])
def test_a_viewer_outlives_a_late_clean_up_and_not_its_own(chromium, tmp_path, case):
    name, files, message = case(tmp_path)
    script = "\n".join(path.read_text(encoding="utf-8") for path in files)
    page = chromium.new_context(viewport={"width": 800, "height": 700}).new_page()
    page.goto("about:blank")
    page.evaluate(LOAD, [script, list(message)])
    known = f"() => window.galaxyAtlasViewers.all.has({name!r})"
    page.evaluate("() => { const late = call(); window.end = call(); late(); }")
    assert page.evaluate(known)
    page.evaluate("() => end()")
    assert not page.evaluate(known)
    page.context.close()


def test_a_viewer_that_comes_back_draws_anew_when_its_size_changes(chromium, tmp_path):
    name, files, message = image_case(tmp_path)
    page = chromium.new_context(viewport={"width": 800, "height": 700}).new_page()
    page.goto("about:blank")
    page.evaluate(LOAD, ["\n".join(path.read_text(encoding="utf-8") for path in files), list(message)])
    page.evaluate("() => { call()(); call(); }")
    page.wait_for_timeout(300)
    page.evaluate(
        f"() => {{ const v = window.galaxyAtlasViewers.all.get({name!r}); window.drawn = 0;"
        " const draw = v.redraw.bind(v); v.redraw = () => { window.drawn++; draw(); }; }"
    )
    page.evaluate("() => { document.getElementById('viewer').style.width = '300px'; }")
    page.wait_for_function("() => window.drawn > 0")
    page.context.close()
