"""The laboratory in a real browser: stop a sweep, cluster, click meanwhile, save under a name, find it in the lists."""

from __future__ import annotations

import pytest
from conftest import settle

from galaxy_core import artifacts
from tests.pipeline_child import run
from tests.pipeline_runs import write_images

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Artifacts of a small catalog that the pipeline made."""
    root = tmp_path_factory.mktemp("artifacts")
    run(write_images(tmp_path_factory.mktemp("catalog"), 60, broken=()), root)
    return root


def test_stop_cluster_and_save(visit, root):
    page = visit("/Clusters?catalog=sample&clusters-panel=Laboratory", viewport={"width": 1440, "height": 2400})
    page.get_by_text("A sweep", exact=True).click()
    values = page.get_by_role("textbox", name="Least galaxies of a cluster")
    values.fill("2..59")
    values.press("Enter")
    page.get_by_role("button", name="Sweep", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Sweep", exact=True).wait_for()  # it can be started again: nothing runs
    page.get_by_text("One clustering", exact=True).last.click()
    least = page.locator("[class*=st-key-lab-least] input")
    least.fill("8")
    least.press("Tab")
    page.get_by_role("button", name="Cluster", exact=True).click()
    page.get_by_role("button", name="Cancel").wait_for()
    page.locator(".st-key-map-box-left canvas").first.click(position={"x": 200, "y": 150})  # the page answers meanwhile
    page.get_by_text("Beside the stored clusterings").wait_for()
    page.locator(".st-key-map-box-laboratory .atlas-map[data-drawn]").wait_for(state="attached")
    name = page.locator("[class*=st-key-lab-name] input")
    name.fill("my groups")
    name.press("Enter")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("stands in every list of clusterings.").wait_for()
    settle(page)
    assert "my groups" in artifacts.read_manifest(root, "sample").clusterings
    for _ in range(20):  # the first click after its options changed gives the list the focus and does not open it
        page.get_by_role("combobox", name="One clustering").click()
        page.wait_for_timeout(500)
        if page.get_by_role("option", name="my groups").count():
            break
        page.keyboard.press("Escape")
    else:
        pytest.fail("the new clustering is not in the list")
