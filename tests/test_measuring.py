"""What evaluate.py asks for is measured, or one sentence says before any work why it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from galaxy_core.errors import CatalogError, ModelError
from galaxy_core.recipes import RECIPES
from galaxy_core.recipes.measuring import Request, measure
from scripts.evaluation_bars import progress_bars

ARTIFACTS = Path(__file__).resolve().parents[1] / "artifacts"


@pytest.mark.parametrize("recipe", ["moco", "contrastive_denoiser"])
def test_too_few_galaxies_for_the_published_clusters_is_said_first(recipe):
    asked = []
    with pytest.raises(CatalogError, match="--no-clusters"):
        measure(
            Request(recipe, "synthetic:7", model="contrastive_denoiser", artifacts=ARTIFACTS, device="cpu"),
            lambda *step: asked.append(step),
        )
    assert not asked


def test_a_missing_model_is_to_be_trained_by_the_recipe_that_is_measured(tmp_path):
    for recipe in ("cae", "cross_survey"):
        trained = {"cross_survey": "vote_regressor"}.get(recipe, recipe)
        with pytest.raises(ModelError, match=f"train.py {trained} LAYOUT:SOURCE"):
            measure(Request(recipe, "synthetic:9", model="missing", artifacts=tmp_path, device="cpu"))


def test_a_second_catalog_has_bars_of_its_own(capsys):
    with progress_bars("galaxy") as report:
        for total in (9, 4):
            for done in range(1, total + 1):
                report("embed", done, total)
    told = capsys.readouterr().err
    assert "9/9" in told and "4/4" in told


def test_what_nobody_measures_is_refused_with_all_that_is():
    with pytest.raises(ModelError, match=r"nothing called .clusterings. .* moco, .* clustering, .*few_labels"):
        measure(Request("clusterings", "synthetic:7", device="cpu"))


def test_votes_of_two_catalogs_stand_beside_one_another(monkeypatch):
    module = RECIPES["vote_regressor"].module()

    def evaluate(folder, catalog, seed, device, report):
        votes = {"votes": {"n_test": len(catalog)}} if len(catalog) < 9 else {}
        return {"n_test": len(catalog), "notes": [], **votes, "votes_as_cast": {"n_test": -len(catalog)}}

    monkeypatch.setattr(module, "evaluate", evaluate)
    monkeypatch.setattr(module, "table_lines", lambda scores: [])
    asked = {"what": "vote_regressor", "catalog": "synthetic:9", "artifacts": ARTIFACTS, "device": "cpu"}
    scores, _ = measure(Request(**asked, votes=("synthetic:7", "synthetic:5")))
    told = {name: (part["n_test"], part["catalog"]) for name, part in scores.items() if name.startswith("votes")}
    seven = "synthetic:7"
    assert told == {"votes": (7, seven), "votes_as_cast": (-7, seven), "votes_elsewhere": (5, "synthetic:5")}
    with pytest.raises(CatalogError, match="synthetic:9 has no votes"):
        measure(Request(**asked, votes=("synthetic:7", "synthetic:9")))
