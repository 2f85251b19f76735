"""The scores of a clustering as the pages show them: the strict number first, the flattering one beside it."""

from __future__ import annotations

import numpy as np

from galaxy_core.cluster_agreement import adjusted_rand, contingency
from galaxy_core.clustering import BECAUSE
from galaxy_core.spaces import uses_classes
from galaxy_core.vectors import VectorError
from pages.views import cluster_labels, words
from pages.views.readers import Galaxies

STRICT_HELP = (
    "The strict silhouette is the mean over all galaxies, those in no cluster counting 0; the flattering one leaves"
    " these out, as is often published. In brackets the null, the lowest and highest that the same method reaches on"
    " data without groups, and the 95 % bootstrap interval. A strict number no better than its null says nothing."
)

NO_CROWD = "at this setting the galaxies form one continuum"


def recorded_scores(galaxies: Galaxies, clustering: str) -> dict:
    """What the manifest records of a clustering; empty where it records nothing."""
    return galaxies.manifest.clusterings.get(clustering, {}).get("scores") or {}


def learned_classes(galaxies: Galaxies, clustering: str) -> bool:
    """Whether a clustering's space was made with the classes of the training galaxies, as by LDA."""
    try:
        return uses_classes(str(galaxies.manifest.clusterings.get(clustering, {}).get("space", "")))
    except VectorError:  # a space of another version, or none that is recorded
        return False


def score_row(galaxies: Galaxies, clustering: str) -> dict[str, str]:
    """One clustering as a row of text: method, space, clusters, coverage, silhouettes, agreement with classes."""
    about, recorded = galaxies.manifest.clusterings.get(clustering, {}), recorded_scores(galaxies, clustering)
    labels = galaxies.labels(clustering)
    n_clusters = len(np.unique(labels[labels >= 0]))
    fitted, embedding = recorded.get("fitted_space") or {}, recorded.get("embedding") or {}
    null = recorded.get("null") or {}
    parted = n_clusters > 1  # else there is nothing to tell apart, and no silhouette
    row = {
        "clustering": words.name_of(clustering),
        "fitted in": words.space_of(str(about.get("space", ""))),
        "clusters": str(n_clusters),
        "coverage": words.share(int((labels >= 0).sum()), len(labels)),
        "silhouette, strict": beside_null(
            strict_mean(galaxies, clustering) if parted else None, null_range(null), fitted.get("strict_interval")
        ),
        "silhouette, flattering": score_text(flattering_mean(galaxies, clustering)),
        "strict, in the embedding": beside_null(
            embedding.get("strict") if parted else None,
            null_range(null, "strict_embedding"),
            embedding.get("strict_interval"),
        ),
    }
    if recorded.get("ami") is not None:
        row["agreement with classes (AMI)"] = score_text(recorded["ami"])
    return row


def silhouettes_of(galaxies: Galaxies, clustering: str) -> np.ndarray:
    """Silhouette of every galaxy in the space the clusters were fitted in; unclustered ones 0."""
    return galaxies.clusters[f"{clustering}_silhouette"].to_numpy()


def strict_mean(galaxies: Galaxies, clustering: str) -> float:
    """Mean silhouette over all galaxies, unclustered ones counting 0."""
    silhouettes = np.where(galaxies.labels(clustering) >= 0, silhouettes_of(galaxies, clustering), 0)
    return float(np.mean(silhouettes, dtype=np.float64)) if len(silhouettes) else float("nan")


def flattering_mean(galaxies: Galaxies, clustering: str) -> float:
    """Mean silhouette over clustered galaxies alone; not a number with fewer than two clusters."""
    labels = galaxies.labels(clustering)
    clustered = labels >= 0
    if len(np.unique(labels[clustered])) < 2:
        return float("nan")
    return float(np.mean(silhouettes_of(galaxies, clustering)[clustered], dtype=np.float64))


def interval_text(value: float | None, interval: list[float] | None) -> str:
    """A number with its interval.

    Examples
    --------
    >>> interval_text(0.3514, [0.34821, 0.3549]), interval_text(None, None)
    ('0.351 (0.348 to 0.355)', '–')
    """
    if value is None:
        return "–"
    if not interval:
        return score_text(value)
    return f"{score_text(value)} ({score_text(interval[0])} to {score_text(interval[1])})"


def null_range(null: dict, key: str = "strict") -> tuple[float, float] | None:
    """The lowest and the highest of all draws; None where none was tried. Older catalogs have one.

    Examples
    --------
    >>> null_range({"strict": 0.3, "each": [{"strict": 0.3}, {"strict": 0.2}]})
    (0.2, 0.3)
    >>> null_range({"strict": 0.3}), null_range({})
    ((0.3, 0.3), None)
    """
    found = [one[key] for one in null.get("each") or [null] if one.get(key) is not None]
    return (min(found), max(found)) if found else None


def null_text(null: tuple[float, float] | None, n_draws: int = 0) -> str:
    """What data without groups reached, in words, and how often these were drawn where that is told.

    Examples
    --------
    >>> null_text((0.61, 0.64), 3), null_text((0.64, 0.64)), null_text(None)
    ('null 0.610 to 0.640 in 3 draws', 'null 0.640', 'null not measured')
    """
    if null is None:
        return "null not measured"
    low, high = map(score_text, null)
    tried = f" in {words.count(n_draws, 'draw', 'draws')}" if n_draws else ""
    return f"null {high if low == high else f'{low} to {high}'}{tried}"


def beside_null(
    value: float | None,
    null: tuple[float, float] | None,
    interval: list[float] | None = None,
    n_draws: int = 0,
) -> str:
    """A strict silhouette, never without the lowest and highest that the same method reaches on data without groups.

    Examples
    --------
    >>> beside_null(0.41, (0.61, 0.64)), beside_null(0.41, None, [0.4, 0.42]), beside_null(None, None)
    ('0.410 (null 0.610 to 0.640)', '0.410 (null not measured; 0.400 to 0.420)', '–')
    """
    if value is None:
        return "–"
    more = [null_text(null, n_draws)]
    more += [f"{score_text(interval[0])} to {score_text(interval[1])}"] if interval else []
    return f"{score_text(value)} ({'; '.join(more)})"


def sizes_of(labels: np.ndarray) -> dict[int, int]:
    """Galaxies in each cluster, without the unclustered.

    Examples
    --------
    >>> sizes_of(np.array([0, 0, 1, -1]))
    {0: 2, 1: 1}
    """
    names, sizes = np.unique(labels[labels >= 0], return_counts=True)
    return {int(name): int(size) for name, size in zip(names, sizes, strict=True)}


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """Adjusted Rand index of two clusterings over the galaxies that have a cluster in both (Hubert & Arabie 1985).

    1 where they group galaxies alike, 0 as expected of chance; not a number where fewer than two galaxies are left.

    Examples
    --------
    >>> agreement(np.array([0, 0, 1, 1, -1]), np.array([5, 5, 2, 2, 2]))
    1.0
    """
    table = contingency(first, second)
    rows = [k for k, label in enumerate(table.rows) if label >= 0]
    columns = [k for k, label in enumerate(table.columns) if label >= 0]
    return adjusted_rand(table.counts[np.ix_(rows, columns)]) if rows and columns else float("nan")


def score_text(value: float | None) -> str:
    """A score between -1 and 1 with three decimals.

    Examples
    --------
    >>> score_text(-0.00008), score_text(None)
    ('0.000', '–')
    """
    return "–" if value is None or not np.isfinite(value) else f"{round(value, 3) + 0.0:.3f}"


def why_nothing(galaxies: Galaxies, clustering: str) -> str:
    """Why a clustering without clusters has none, as the end of a sentence."""
    notes = galaxies.manifest.clusterings.get(clustering, {}).get("notes") or ()
    reasons = [note.removeprefix(BECAUSE).rstrip(".") for note in notes if note.startswith(BECAUSE)]
    return reasons[0] if reasons else NO_CROWD


def meaning(galaxies: Galaxies, clustering: str) -> list[str]:
    """What a clustering says, in plain sentences computed from its numbers."""
    labels, silhouettes = galaxies.labels(clustering), silhouettes_of(galaxies, clustering)
    sizes, n, name = sizes_of(labels), len(labels), words.name_of(clustering)
    if not sizes:
        return [f"{name} found no cluster: {why_nothing(galaxies, clustering)}."]
    if len(sizes) == 1:
        return [
            f"{name} found a single cluster of {words.count(sizes[next(iter(sizes))])}; there is nothing to separate."
        ]
    largest, n_unclustered = max(sizes.values()), int((labels < 0).sum())
    sentences = [
        f"{name} finds {len(sizes)} clusters; the largest holds {words.share(largest, n)} of the galaxies, the smallest"
        f" {words.share(min(sizes.values()), n)}"
        + (f", and {words.share(n_unclustered, n)} are in none." if n_unclustered else ", and every galaxy is in one.")
    ]
    strict = strict_mean(galaxies, clustering)
    space = words.space_of(str(galaxies.manifest.clusterings.get(clustering, {}).get("space", "")))
    sentences.append(f"Its strict silhouette in {space}, {in_bands(strict)}")
    inside = (recorded_scores(galaxies, clustering).get("embedding") or {}).get("strict")
    if inside is not None and abs(inside - strict) > 0.02:
        sentences.append(f"In the embedding itself, before any layout pulled groups apart, it is {score_text(inside)}.")
    wrong = {label: float((silhouettes[labels == label] < 0).mean()) for label in sizes}
    worst = max(wrong, key=wrong.get)
    if wrong[worst] > 0.005:
        sentences.append(
            f"In {cluster_labels.label_text(galaxies, clustering, worst)}, {words.share(wrong[worst], 1)} of the"
            " galaxies lie closer to another cluster than to their own."
        )
    else:
        sentences.append("Hardly any galaxy lies closer to another cluster than to its own.")
    return sentences


def in_bands(strict: float) -> str:
    """What a silhouette is called by itself, as the end of a sentence; `pages.views.verdict` weighs it with the rest.

    Examples
    --------
    >>> in_bands(0.502)  # doctest: +ELLIPSIS
    '0.502, is reasonable structure in the bands of Kaufman & Rousseeuw (1990), which know this number alone: not ...
    """
    band = "strong" if strict > 0.7 else "reasonable" if strict > 0.5 else "weak" if strict > 0.25 else "no substantial"
    return (
        f"{score_text(strict)}, is {band} structure in the bands of Kaufman & Rousseeuw (1990), which know this number"
        " alone: not whether the clusters come back in refits, nor how high their null is."
    )
