"""How much does an embedding know? Fit something simple on it, with the network frozen, and count what it gets right.

Two probes: a linear one, which asks whether classes are separated by planes, and the vote of the nearest neighbours,
which asks whether galaxies that lie together are of a kind.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from galaxy_core.similarity import unit_vectors
from galaxy_core.vectors import VectorError, check_length, check_vectors, has_class


@dataclass(frozen=True)
class ProbeResult:
    """What a probe scored on galaxies it was not fitted on.

    Attributes
    ----------
    accuracy : float
        Share of the test galaxies given their true class.
    interval : tuple of float
        95 % interval of ``accuracy`` (Wilson 1927).
    n_test : int
    recall : dict of str to float
        Share of each class found, for the classes among the test galaxies.
    """

    accuracy: float
    interval: tuple[float, float]
    n_test: int
    recall: dict[str, float]

    def as_dict(self) -> dict:
        """Return the result as plain values that JSON can hold."""
        return asdict(self)


def linear_probe(
    vectors_train: np.ndarray, classes_train: np.ndarray, vectors_test: np.ndarray, classes_test: np.ndarray, seed: int
) -> ProbeResult:
    """Accuracy of logistic regression (L2 penalty, C = 1) on standardised features.

    Mean and scale of every feature come from the training galaxies alone.

    Parameters
    ----------
    vectors_train, vectors_test : array, shape (n, n_features)
    classes_train, classes_test : array of str, shape (n,)
        Galaxies without a class (None, NaN, "") are left out.
    seed : int
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = labelled(vectors_train, classes_train), labelled(vectors_test, classes_test)
    check_probe(train, test)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2_000, random_state=seed))
    classifier.fit(train[0].astype(np.float64), train[1])
    return score_probe(classifier.predict(test[0].astype(np.float64)), test[1])


def knn_probe(
    vectors_train: np.ndarray,
    classes_train: np.ndarray,
    vectors_test: np.ndarray,
    classes_test: np.ndarray,
    k: int = 15,
) -> ProbeResult:
    """Accuracy of the majority vote of the ``k`` training galaxies nearest by cosine (all, where there are fewer).

    Parameters
    ----------
    vectors_train, vectors_test : array, shape (n, n_features)
    classes_train, classes_test : array of str, shape (n,)
        Galaxies without a class (None, NaN, "") are left out.
    k : int
    """
    from sklearn.neighbors import KNeighborsClassifier

    if k < 1:
        raise VectorError(f"The neighbour probe needs at least one neighbour, but k is {k}.")
    train, test = labelled(vectors_train, classes_train), labelled(vectors_test, classes_test)
    check_probe(train, test)
    # between vectors of length one the Euclidean order is that of the cosine
    classifier = KNeighborsClassifier(min(k, len(train[0])), algorithm="brute").fit(unit_vectors(train[0]), train[1])
    return score_probe(classifier.predict(unit_vectors(test[0])), test[1])


def labelled(vectors: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and classes of the galaxies that have a class."""
    vectors = check_vectors(vectors, "A probe")
    classes = check_length(np.asarray(classes, dtype=object), len(vectors), "the class column")
    known = has_class(classes)
    return vectors[known], classes[known].astype(str)


def check_probe(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> None:
    """Say why these galaxies cannot be probed, if they cannot."""
    if len(np.unique(train[1])) < 2 or len(test[1]) == 0:
        raise VectorError(
            "A probe needs training galaxies of at least two classes and test galaxies with a class, but got "
            f"{len(np.unique(train[1]))} training classes and {len(test[1])} test galaxies."
        )
    if train[0].shape[1] != test[0].shape[1]:
        raise VectorError(
            f"Training vectors have {train[0].shape[1]} features and test vectors {test[0].shape[1]}; "
            "embed both with the same model."
        )


def score_probe(predicted: np.ndarray, truth: np.ndarray) -> ProbeResult:
    """Accuracy, its interval and the recall of each class."""
    right = predicted == truth
    recall = {str(name): float(right[truth == name].mean()) for name in np.unique(truth)}
    return ProbeResult(float(right.mean()), wilson_interval(int(right.sum()), len(right)), len(right), recall)


def wilson_interval(n_right: int, n: int) -> tuple[float, float]:
    """95 % interval of a share, ``n_right`` of ``n`` (Wilson 1927, J. Am. Stat. Assoc. 22, 209); (0, 1) of none.

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson_interval(90, 100)]
    [0.826, 0.945]
    """
    if n == 0:
        return 0.0, 1.0
    z = 1.959964
    share = n_right / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return float(max(0, middle - half)), float(min(1, middle + half))
