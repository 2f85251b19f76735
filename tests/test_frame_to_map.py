"""A frame that becomes a catalog: sent from its page, made into a map by the pipeline, opened on every page."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from sky_frames import CALIBRATION, WCS_CARDS, fits_bytes, sky_pixels
from test_frame_page import finished, upload

from galaxy_core import artifacts
from galaxy_core.catalogs import read_catalog
from galaxy_core.frame_stamp_catalog import STAMPS
from galaxy_core.pipeline import run_pipeline
from pages.views import colouring, readers, sky_work
from tests.pipeline_child import CONFIG, EMBEDDER

PAGES = [None, *sorted(f"pages/{path.name}" for path in (Path(__file__).resolve().parents[1] / "pages").glob("*.py"))]
FRAME_PAGE = "pages/6_Frame.py"
GALAXIES = tuple(
    (20.0 + 32 * (i % 6), 22.0 + 38 * (i // 6), 9000.0 + 500 * i, 2.0 + 0.1 * i, 0.7, 0.3 * i) for i in range(24)
)


@pytest.fixture
def sent(open_app, tmp_path, monkeypatch):
    """The page after its galaxies were sent, the artifacts folder, and the folder of the stamps."""
    monkeypatch.setattr(sky_work, "method_of", lambda root: "sep")
    bands = [
        (f"{name}.fits", fits_bytes(sky_pixels(seed, gain, GALAXIES), FILTER=name, **WCS_CARDS, **CALIBRATION))
        for seed, (name, gain) in enumerate((("g", 0.6), ("r", 1.0), ("i", 1.4)))
    ]
    app = upload(open_app(tmp_path, FRAME_PAGE), *bands)
    next(one for one in app.number_input if one.key.startswith("sky-seeing-")).set_value(2.5)
    app = finished(app.run())
    app.button(key="sky-send-go").click()
    return finished(app.run()), tmp_path, tmp_path / "frames_on_the_map" / "g"


def test_the_pipeline_reads_what_was_sent_and_every_page_opens_it(sent, open_app):
    app, root, folder = sent
    catalog = read_catalog(f"fits-stamps:{folder}")
    assert len(catalog) >= 20 and {"p_galaxy", "half_light_radius_px"} <= set(catalog.table)
    measured = {"flux_r", "flux_err_i", "magnitude_g", "g_minus_r_mag", "r_minus_i_mag"}
    assert measured <= set(catalog.table)
    assert app.number_input(key="sky-send-snr").label == "Signal to noise in g of at least"
    assert catalog.load_image(0).shape[0] == 3
    run_pipeline(catalog, EMBEDDER, root, "g", CONFIG)
    assert artifacts.verify(root, "g") == []
    again = finished(app.run())
    opener = [button for button in again.button if button.key == "sky-open"]
    assert len(opener) == 1, "the page sees that its map is made"
    for page in PAGES:
        shown = open_app(root, page, catalog="g")
        assert not shown.exception and not shown.error, f"{page} opens the frame's galaxies"
    table = artifacts.read_table(root, "g", "catalog")
    assert np.isfinite(table["ra_deg"]).all() and len(table) == len(catalog)
    assert measured <= set(colouring.colour_choices(readers.open_catalog(root, "g"))), "to colour and filter by"
    # other stamps were written since: the map is not of them
    app.number_input(key="sky-send-snr").set_value(float(catalog.table["snr"].median()))
    app = finished(app.run())
    app.button(key="sky-send-go").click()
    finished(app.run())
    os.utime(folder / STAMPS, (time.time() + 2,) * 2)  # catalogs tell the second they were made in, and this was quick
    app = finished(app.run())
    labels = [button.label for button in app.button]
    assert 5 <= len(read_catalog(f"fits-stamps:{folder}")) < len(catalog)
    assert "Make the map" in labels and not any(label.startswith("Open g on") for label in labels)
