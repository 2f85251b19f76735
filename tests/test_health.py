"""Health: what is wrong is named, and only what stops everything is "down"."""

from __future__ import annotations

import shutil

import pytest
from conftest import make_catalog

from galaxy_core import artifacts
from galaxy_core.health import DEGRADED, DOWN, OK, check
from galaxy_core.work_queue import WorkQueue
from galaxy_core.work_tasks import Limits, Task


@pytest.fixture
def models(monkeypatch, tmp_path_factory):
    """No models but those of the root."""
    monkeypatch.setattr("galaxy_core.embedding._REPOSITORY_MODELS", tmp_path_factory.mktemp("none"))


def test_all_well_and_an_empty_folder_is_no_problem(tiny_root, tmp_path, models):
    found = check(tiny_root, WorkQueue(Limits(running=3, waiting=7)))
    assert (found["status"], found["problems"], found["catalogs"]) == (OK, [], ["tiny"])
    assert found["queue"] == {
        "running": 0,
        "waiting": 0,
        "visitors": 0,
        "result_bytes": 0,
        "running_limit": 3,
        "waiting_limit": 7,
    }
    for root in (tmp_path, tmp_path / "not there"):
        assert check(root, WorkQueue())["status"] == OK


def test_one_broken_catalog_degrades_and_no_readable_one_is_down(broken_root, models):
    make_catalog(broken_root, "other", 30)
    (broken_root / "other" / artifacts.MANIFEST_FILE).write_text("{")
    found = check(broken_root, WorkQueue())
    assert found["status"] == DEGRADED and found["catalogs"] == ["tiny"]
    assert len(found["problems"]) == 1 and "other" in found["problems"][0]
    shutil.rmtree(broken_root / "tiny")
    assert check(broken_root, WorkQueue())["status"] == DOWN


def test_files_that_are_missing_or_cut_short_degrade_and_without_the_catalog_it_is_down(broken_root, models):
    clusters, catalog = (broken_root / "tiny" / artifacts.table_file(table) for table in ("clusters", "catalog"))
    clusters.write_bytes(clusters.read_bytes()[:-9])
    found = check(broken_root, WorkQueue())
    assert found["status"] == DEGRADED and found["catalogs"] == ["tiny"]
    assert str(clusters) in found["problems"][0] and "run_pipeline.py synthetic:90 --name tiny" in found["problems"][0]
    catalog.unlink()
    found = check(broken_root, WorkQueue())
    assert found["status"] == DOWN and f"{catalog} is missing or damaged (1 of 2 such files)" in found["problems"][0]


def test_damaged_weights_degrade(tiny_root, tmp_path, models):
    from galaxy_core.models import save_model
    from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig

    config = ContrastiveDenoiserConfig(denoiser_widths=(8, 8), encoder_widths=(8, 8), encoder_blocks=(1, 1))
    folder = save_model(tmp_path / "models" / "contrastive_denoiser", ContrastiveDenoiser(config))
    assert check(tmp_path, WorkQueue())["models"] == ["contrastive_denoiser"]
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    found = check(tmp_path, WorkQueue())
    assert found["status"] == DEGRADED and found["models"] == [] and "weights.safetensors" in found["problems"][0]
    weights.unlink()
    assert check(tmp_path, WorkQueue())["models"] == [], "without weights it is no model yet"


def test_a_full_queue_degrades_and_a_closed_one_is_down(tiny_root, models):
    queue = WorkQueue(Limits(waiting=0))
    assert check(tiny_root, queue)["status"] == DEGRADED
    queue.want("a", [Task("x", "x", lambda report: None)])
    assert "full" in " ".join(check(tiny_root, queue)["problems"])
    queue.close(1)
    assert check(tiny_root, queue)["status"] == DOWN


def test_a_folder_that_may_not_be_read_is_down(tiny_root, models, monkeypatch):
    def refuse(root):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(artifacts, "list_catalogs", refuse)
    found = check(tiny_root, WorkQueue())
    assert found["status"] == DOWN and "Permission denied" in found["problems"][0]
