"""The whole way through S3: the pipeline as it is called writes there, and every page reads from there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from galaxy_core import artifacts, tags
from tests.s3_store import KEY_ID, SECRET

PROJECT = Path(__file__).resolve().parents[1]
PAGES = [f"pages/{path.name}" for path in sorted((PROJECT / "pages").glob("[0-9]*.py"))]
N = 80


@pytest.fixture(scope="module")
def made(store) -> tuple[str, str]:
    """Address of artifacts that the script made, and what it printed."""
    address = f"s3://{store.bucket}/atlas"
    command = [sys.executable, "scripts/run_pipeline.py", f"synthetic:{N}", "--name", "demo", "--artifacts", address]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return address, done.stdout + done.stderr


def test_the_script_says_where_it_wrote(made):
    address, output = made
    assert f"\nWritten: {address}/demo\n" in output
    assert "upload" in output


def test_the_store_has_the_whole_catalog(made, elsewhere):
    root = artifacts.root_of(made[0])
    assert artifacts.list_catalogs(root) == ["demo"] and artifacts.verify(root, "demo") == []
    manifest = artifacts.read_manifest(root, "demo")
    assert manifest.n_galaxies == N == len(artifacts.read_table(root, "demo", "catalog"))
    assert artifacts.read_embedding(root, "demo", manifest.model)[1].shape[0] == N
    assert all(image.startswith(b"RIFF") for image in artifacts.read_thumbnails(root, "demo", [0, 70, N - 1]))


@pytest.mark.parametrize("page", [None, *PAGES])
def test_every_page_reads_from_the_store(made, elsewhere, open_app, page):
    app = open_app(made[0], page, galaxy="sim-0-000005")
    assert not app.exception and not app.error
    assert "demo" in str([box.options for box in app.selectbox]) or page in PAGES[3:]
    if page == PAGES[0]:
        assert any("sim" in str(text.value) and "000005" in str(text.value) for text in app.markdown)


def test_pages_name_the_address_and_not_the_folder_behind_it(made, elsewhere, open_app):
    app = open_app(made[0])
    words = "\n".join(str(e.value) for kind in (app.markdown, app.caption, app.code) for e in kind)
    assert f"--artifacts {made[0]}" in words and str(elsewhere) not in words


def test_an_address_without_catalogs_offers_the_demo(made, elsewhere, open_app):
    app = open_app(f"{made[0]}/empty")
    assert not app.exception and not app.error
    assert [button.label for button in app.button] == ["Make the demo"]
    assert f"--artifacts {made[0]}/empty" in app.code[0].value


def test_tags_stay_on_this_machine(made, elsewhere, store):
    path = artifacts.tags_path(artifacts.root_of(made[0]), "demo")
    assert path.is_relative_to(elsewhere)
    tags.tag_galaxies(path, "merger", ["sim-0-000005"], "me")
    assert list(tags.galaxies_with(path, "merger")) == ["sim-0-000005"]
    assert not [key for key in store.objects() if "sqlite" in key]


def test_no_secret_is_printed_or_stored(made, store):
    objects = store.objects("atlas")
    kept = [path.read_bytes() for path in (store.home / "atlas").rglob("*") if path.is_file()]
    for secret in (KEY_ID, SECRET):
        assert secret not in made[1]
        assert not [key for key, data in objects.items() if secret.encode() in data]
        assert not [data for data in kept if secret.encode() in data]
    assert len(objects) > 8 and len(kept) > 8
