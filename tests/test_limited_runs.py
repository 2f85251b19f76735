"""A catalog made with ``--limit``: every step, whenever it is done, means the same galaxies."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace

from galaxy_core import artifacts, pipeline
from galaxy_core.catalogs import read_catalog
from galaxy_core.embedding import Embedder
from galaxy_core.errors import GalaxyError
from scripts import run_pipeline
from tests.pipeline_child import CONFIG, EMBEDDER, means
from tests.pipeline_runs import write_images


def test_maps_drawn_with_another_seed_are_still_of_the_same_galaxies(tmp_path):
    images = write_images(tmp_path / "images", 30, broken=(2,))
    catalog = read_catalog(f"folder:{images}")
    pipeline.run_pipeline(catalog, EMBEDDER, tmp_path, "sample", replace(CONFIG, limit=20, seed=1))
    drawn = artifacts.read_table(tmp_path, "sample", "catalog")["galaxy_id"].tolist()
    pipeline.rerun_steps(tmp_path, "sample", lambda config: replace(config, seed=4))
    other = Embedder("other", "1", 16, 12, lambda some: means(1 - some))
    pipeline.add_embedding(catalog, other, tmp_path, "sample")
    assert artifacts.read_embedding(tmp_path, "sample", "other")[0].tolist() == drawn
    manifest = artifacts.read_manifest(tmp_path, "sample")
    assert manifest.seed == 4 and artifacts.list_embeddings(tmp_path, "sample") == ["means", "other"]
    words = shlex.split(artifacts.mend_command(tmp_path, "sample", manifest))
    options = run_pipeline.parse(words[2:])
    assert (options.limit, options.seed) == (20, 1)
    config = replace(CONFIG, limit=options.limit, seed=options.seed)
    pipeline.run_pipeline(catalog, EMBEDDER, tmp_path, "sample", config)
    assert artifacts.read_table(tmp_path, "sample", "catalog")["galaxy_id"].tolist() == drawn


def test_a_model_is_trained_on_no_more_galaxies_than_asked_for(tmp_path, monkeypatch, capsys):
    def train(recipe, catalog, *_):
        raise GalaxyError(f"{recipe} on {len(catalog)}")

    monkeypatch.setattr("galaxy_core.train_step.train_model", train)
    words = ["synthetic:30", "--name", "few", "--recipe", "moco", "--limit", "12", "--artifacts", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["run_pipeline.py", *words])
    assert run_pipeline.main() == 1 and capsys.readouterr().err.endswith("moco on 12\n")
