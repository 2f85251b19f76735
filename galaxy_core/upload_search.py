"""Search by picture: the galaxies of a catalog that look most like an uploaded image, and where it lies among them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from galaxy_core.artifacts import N_NEIGHBORS
from galaxy_core.embedding import Embedder
from galaxy_core.errors import ModelError
from galaxy_core.images import AstroImage, resize_square
from galaxy_core.similarity import best_of, nearest_neighbors, similarities_to
from galaxy_core.upload_framing import Crop, as_seen
from galaxy_core.vectors import VectorError, check_vectors

N_SAMPLED = 4_000  # galaxies whose neighbours are looked for where they are not given
SAME_SPACE = 0.9  # similarity of a catalog's galaxies, embedded again, to their stored vectors
UNLIKE, UNUSUAL = 1.0, 5.0  # percentiles
COPY = 0.999  # from this similarity on two images are one: no two of 26,093 galaxies of Galaxy Zoo 2 are so alike


@dataclass(frozen=True)
class UploadMatch:
    """What was found for an uploaded image.

    Attributes
    ----------
    embedding : ndarray of float32, shape (n_features,)
        Of length one.
    rows : ndarray of int64, shape (k,)
        The catalog's galaxies most similar to it, the most similar first.
    similarities : ndarray of float64, shape (k,)
        Cosine similarities, from -1 to 1.
    percentile : float
        Share of the catalog's galaxies, in percent, that are no nearer to their own nearest galaxies than the upload is
        to its; by the mean similarity to the k nearest, without the upload itself where the catalog has it. NaN where
        the catalog is too small to tell.
    seen : ndarray of float32, shape (3, input_px, input_px)
        The upload as the model saw it.
    crop : Crop or None
        What was cut; None for the whole image.
    """

    embedding: np.ndarray = field(repr=False)
    rows: np.ndarray
    similarities: np.ndarray
    percentile: float
    seen: np.ndarray = field(repr=False)
    crop: Crop | None = None


def search_upload(
    image: AstroImage,
    vectors: np.ndarray,
    model: Embedder,
    k: int = N_NEIGHBORS,
    *,
    crop: Crop | None = None,
    field_fraction: float = 1.0,
    reference: AstroImage | None = None,
    neighbor_similarities: np.ndarray | None = None,
) -> UploadMatch:
    """Embed an image as the catalog's stamps were, and find its nearest galaxies.

    Parameters
    ----------
    image : AstroImage
    vectors : array, shape (n_galaxies, n_features)
        The catalog's embedding, by the same model.
    model : galaxy_core.embedding.Embedder
    k : int
        Galaxies to find; all of them where there are fewer.
    crop, field_fraction, reference
        See `galaxy_core.upload_framing.as_seen` and ``default_crop``.
    neighbor_similarities : array, shape (n_galaxies, m), optional
        Of the catalog's galaxies to their own nearest, the nearest first; computed for a sample where absent.

    Raises
    ------
    ImageError
        The image, or what is cut from it, has the same brightness everywhere.
    VectorError
        The catalog has no galaxies, or its embedding is not by a model of this length.
    """
    seen, _ = as_seen(image, model.input_px, crop, field_fraction, reference)
    vector = embed_one(model, seen)
    rows, similarities = nearest_galaxies(vector, vectors, k)
    if neighbor_similarities is None:
        neighbor_similarities = sample_similarities(vectors, k)
    return UploadMatch(vector, rows, similarities, percentile_of(similarities, neighbor_similarities), seen, crop)


def embed_one(model: Embedder, seen: np.ndarray) -> np.ndarray:
    """Vector of unit length, float32 (n_features,), of one image (3, input_px, input_px) as the model sees it."""
    vector = model.embed(np.ascontiguousarray(seen[None], dtype=np.float32))[0]
    if not np.isfinite(vector).all():
        raise ModelError(f"The model {model.name} gives values that are not numbers for this image; train it again.")
    return vector


def nearest_galaxies(vector: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows, int64 (k,), and cosine similarities, float64 (k,), of the galaxies most similar to a vector.

    Equal ones are in the order of the catalog. The embedding is read in blocks, never copied as a whole.
    """
    if vectors.ndim != 2 or len(vectors) == 0:
        raise VectorError("There is no galaxy to compare the upload with; choose a catalog that has some.")
    if vectors.shape[1] != len(vector):
        raise VectorError(
            f"The catalog's embedding has {vectors.shape[1]} features and the model's {len(vector)}: they are not of "
            "one model. Run the pipeline on the catalog again."
        )
    return best_of(similarities_to(vectors, vector), max(1, k))


def sample_similarities(vectors: np.ndarray, k: int) -> np.ndarray:
    """Similarities of some of a catalog's galaxies to their k nearest others, float32 (n_sampled, k); of all if few."""
    vectors = check_vectors(vectors, "Comparing the upload with the catalog")
    if len(vectors) <= N_SAMPLED:
        return nearest_neighbors(vectors, k)[1]
    rows = np.linspace(0, len(vectors) - 1, N_SAMPLED // 4).astype(int)
    return np.stack([nearest_galaxies(vectors[row], vectors, k + 1)[1][1:] for row in rows])


def percentile_of(similarities: np.ndarray, neighbor_similarities: np.ndarray) -> float:
    """Percentage of galaxies whose mean similarity to their k nearest is at most that of the upload to its own."""
    similarities = _without_itself(similarities)
    k = min(len(similarities), neighbor_similarities.shape[1] if neighbor_similarities.ndim == 2 else 0)
    if k == 0:
        return float("nan")
    usual = neighbor_similarities[:, :k].mean(axis=1, dtype=np.float64)
    return float(100 * np.mean(usual <= similarities[:k].mean() + 1e-9))


def _without_itself(similarities: np.ndarray) -> np.ndarray:
    """Without the nearest where that is the upload itself, as no galaxy is among its own nearest."""
    return similarities[1:] if len(similarities) and similarities[0] >= COPY else similarities


def unusual_sentence(match: UploadMatch, n_galaxies: int) -> str:
    """How unusual the upload is among the catalog's galaxies, in words."""
    nearest = f"similarity to the nearest: {match.similarities[0]:.3f}"
    if not np.isfinite(match.percentile):
        return f"The catalog is too small to say how unusual this is ({nearest})."
    share = "fewer than 0.1 %" if match.percentile < 0.1 else f"{match.percentile:.3g} %"
    k = len(_without_itself(match.similarities))
    nearest += ", the same image, which does not count" if k < len(match.rows) else ""
    measured = f"{share} of this catalog's {n_galaxies:,} galaxies are no closer to their own {k} nearest ({nearest})"
    if match.percentile < UNLIKE:
        return f"Unlike anything here: {measured}. It is of a kind this catalog lacks, or no galaxy."
    if match.percentile < UNUSUAL:
        return f"Unusual here: {measured}."
    return f"Like galaxies of this catalog: {measured}."


def check_model(model: Embedder, stamps: Iterable[np.ndarray], vectors: np.ndarray) -> float:
    """Median similarity of some of a catalog's stamps, embedded again, to their stored vectors.

    Parameters
    ----------
    stamps : iterable of ndarray, shape (3, h, w)
        Display images, as stored.
    vectors : array, shape (n_stamps, n_features)

    Raises
    ------
    ModelError
        It is below `SAME_SPACE`: the model is not the one the catalog was embedded with.
    """
    again = [embed_one(model, resize_square(stamp, model.input_px)) for stamp in stamps]
    if not again:
        return float("nan")
    if len(again[0]) != vectors.shape[1]:
        median = 0.0
    else:
        lengths = np.linalg.norm(vectors, axis=1)
        median = float(np.median((np.stack(again) * vectors).sum(axis=1) / np.where(lengths > 0, lengths, 1)))
    if median < SAME_SPACE:
        raise ModelError(
            f"The model {model.name} has changed since this catalog was embedded: {len(again)} of its galaxies come "
            f"back with a similarity of {median:.2f} to themselves. Run the pipeline on the catalog again."
        )
    return median
