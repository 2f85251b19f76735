"""What can be measured of models, each by its name: which model and galaxies it takes, its scores, and their table.

Modules of recipes are imported on first use, since each brings torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

from galaxy_core.catalogs import Catalog, read_catalog
from galaxy_core.embedding import find_model
from galaxy_core.errors import CatalogError, ModelError
from galaxy_core.recipes import RECIPES, Report

CLUSTERS_PUBLISHED = 8
VOTES, ELSEWHERE = {"votes": "votes", "votes_as_cast": "votes_as_cast"}, {"votes": "votes_elsewhere"}
ScoresAndLines = tuple[dict, list[str]]


@dataclass(frozen=True)
class Request:
    """What is measured, and on what; each measure reads what it needs.

    Attributes
    ----------
    what : str
        Name of a recipe, or of another of `MEASURES`.
    catalog, against : str, optional
        As ``LAYOUT:PATH``: galaxies to measure on; others to tell surveys from.
    votes : sequence of str
        Catalogs with votes to measure these on, instead, and a second one whose votes stand beside them.
    from_artifacts : str, optional
        Name of a catalog whose stored embedding is clustered.
    frames, segmaps : tuple of path
        FITS frames or folders of them; folders of vetted outlines.
    artifacts : path
        Folder with ``models``.
    model : str, optional
        Name or folder; None: the one that is measured unless told otherwise.
    n_denoise : int
        At most so many test galaxies are denoised.
    clusters : bool
        Whether clusterings are fitted too.
    refits, redraws : int
        See `galaxy_core.recipes.clustering_scores.score_clusterings`.
    """

    what: str
    catalog: str | None = None
    votes: Sequence[str] = ()
    against: str | None = None
    from_artifacts: str | None = None
    frames: tuple[Path, ...] = ()
    segmaps: tuple[Path, ...] = ()
    artifacts: Path = field(default_factory=lambda: Path("artifacts"))
    model: str | None = None
    n_denoise: int = 1000
    clusters: bool = True
    refits: int = 10
    redraws: int = 10
    seed: int = 0
    device: str = "auto"


def measure(request: Request, report: Report | None = None) -> ScoresAndLines:
    """Scores that JSON can hold, and the lines of a table of them.

    Raises
    ------
    GalaxyError
        There is no such recipe, model or catalog, or it cannot be measured.
    """
    from galaxy_core.models import resolve_device

    request = replace(request, device=resolve_device(request.device))
    if request.what == "star_galaxy_vae" and request.catalog is None:
        return _kinds(request, report)
    return MEASURES.get(request.what, _recipe)(request, report)


def _recipe(request: Request, report: Report | None) -> ScoresAndLines:
    """A model by its recipe, on a catalog; votes on another one where that is named."""
    if request.what not in RECIPES:
        known = ", ".join([*RECIPES, *(name for name in MEASURES if name not in RECIPES), "few_labels"])
        raise ModelError(f"There is nothing called '{request.what}' to measure; choose one of {known}.")
    module = RECIPES[request.what].module()
    folder = find_model(request.model or request.what, request.artifacts, request.what)
    options = {"n_denoise": request.n_denoise, "clusters": request.clusters}
    taken = inspect.signature(module.evaluate).parameters
    options = {name: value for name, value in options.items() if name in taken}

    def scores_on(spec: str) -> dict:
        catalog = read_catalog(spec)
        if options.get("clusters") and len(catalog) < CLUSTERS_PUBLISHED:
            raise CatalogError(
                f"{spec} has too few galaxies for the {CLUSTERS_PUBLISHED} clusters of the published clustering; name a"
                " larger catalog, or leave clusterings out with --no-clusters."
            )
        scores = module.evaluate(folder, catalog, seed=request.seed, device=request.device, report=report, **options)
        return scores | {"catalog": _called(catalog)}

    scores = scores_on(request.catalog)
    for spec, names in zip(request.votes, (VOTES, ELSEWHERE), strict=False):
        of_votes = scores_on(spec)
        if "votes" not in of_votes:
            raise CatalogError(f"{spec} has no votes this model tells; name a catalog that has.")
        for name, kept in names.items():
            if name in of_votes:
                scores[kept] = of_votes[name] | {"catalog": of_votes["catalog"]}
        scores["notes"] = [*scores["notes"], *of_votes["notes"]]
    scores["weights_sha256"] = _checksum(folder)
    lines = getattr(module, "table_lines", None) or _lines_of("contrastive_denoiser_table")
    return scores, lines(scores)


def _clustering(request: Request, report: Report | None) -> ScoresAndLines:
    """The clusterings of an embedding, with where it is from."""
    from galaxy_core.recipes import clustering_scores as recipe

    if request.from_artifacts:
        made = recipe.from_artifacts(request.artifacts, request.from_artifacts, request.model)
    else:
        made = recipe.from_catalog(request.catalog, request.artifacts, request.model, request.device, report)
    embedding, classes, source = made
    scores = recipe.score_clusterings(embedding, classes, request.seed, request.refits, request.redraws, report=report)
    scores = source | scores
    return scores, _lines_of("clustering_table")(scores)


def _denoising(request: Request, report: Report | None) -> ScoresAndLines:
    """Everything about denoising: galaxies, blank sky, frames, injected sources."""
    from galaxy_core.recipes.denoising_scores import evaluate

    folder = find_model(request.model or "contrastive_denoiser", request.artifacts)
    catalog = read_catalog(request.catalog)
    frames = list(request.frames) or None
    scores = evaluate(folder, catalog, frames, request.seed, request.device, request.n_denoise, report)
    scores |= {"catalog": _called(catalog), "weights_sha256": _checksum(folder)}
    return scores, _lines_of("denoising_table")(scores)


def _segmenter(request: Request, report: Report | None) -> ScoresAndLines:
    """A segmenter on real frames, beside sep and photutils."""
    from galaxy_core.recipes.segmenter_evaluation import evaluate, table_lines

    folder = find_model(request.model or "segmenter", request.artifacts, "segmenter")
    scores = evaluate(folder, list(request.frames), list(request.segmaps), request.seed, request.device, report)
    return scores, table_lines(scores)


def _kinds(request: Request, report: Report | None) -> ScoresAndLines:
    """Stars told from galaxies on whole frames, simulated and real."""
    from galaxy_core.recipes.star_galaxy_frames import score_frames
    from galaxy_core.recipes.star_galaxy_table import frame_lines
    from galaxy_core.star_galaxy import load_separator

    name = request.model or "star_galaxy"
    model = load_separator(name, request.artifacts, request.device)
    scores = score_frames(model, list(request.frames), request.seed, request.device, report)
    scores["weights_sha256"] = _checksum(find_model(name, request.artifacts))
    return scores, frame_lines(scores)


def _cross_survey(request: Request, report: Report | None) -> ScoresAndLines:
    """A morphology net on images of surveys it never saw."""
    from galaxy_core.recipes.cross_survey_scores import evaluate

    folder = find_model(request.model or "vote_regressor", request.artifacts, "vote_regressor")
    catalog = read_catalog(request.catalog)
    against = read_catalog(request.against) if request.against else None
    scores = evaluate(folder, catalog, against, request.seed, request.device, report)
    if against is not None:
        scores["against"]["catalog"] = _called(against)
    scores |= {"catalog": _called(catalog), "model": folder.name, "weights_sha256": _checksum(folder)}
    return scores, _lines_of("cross_survey_table")(scores)


def _central_object(request: Request, report: Report | None) -> ScoresAndLines:
    """How well votes follow from galaxies cut out in three ways."""
    from galaxy_core.recipes.crop_scores import evaluate

    folder = find_model(request.model or "contrastive_denoiser", request.artifacts)
    catalog = read_catalog(request.catalog)
    scores = evaluate(folder, catalog, request.seed, request.device, report)
    scores |= {"catalog": _called(catalog), "model": folder.name, "weights_sha256": _checksum(folder)}
    return scores, _lines_of("crop_table")(scores)


MEASURES: dict[str, Callable[[Request, Report | None], ScoresAndLines]] = {
    "clustering": _clustering,
    "denoising": _denoising,
    "cross_survey": _cross_survey,
    "central_object": _central_object,
    "segmenter": _segmenter,
}


def _called(catalog: Catalog) -> str:
    return f"{catalog.layout}:{Path(catalog.source).name}"


def _checksum(folder: Path) -> str:
    from galaxy_core.models import read_model_config

    return read_model_config(folder)["weights_sha256"]


def _lines_of(module: str) -> Callable[[dict], list[str]]:
    return import_module(f"galaxy_core.recipes.{module}").table_lines
