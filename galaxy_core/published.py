"""Numbers that others published for the same tasks, as data, and where among our own metrics their counterpart is.

A number is worth what it was measured on, so each has that beside it. Ours are never written down here: they are looked
up in the ``metrics.json`` of a model, and are None where nothing comparable was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from galaxy_core.model_files import section

Lookup = Callable[[dict], float | None]

CONTRASTIVE = "Contrastive denoiser (students)"
CLUSTERING = "ResNet34 clusters (students)"
VAE = "Star-galaxy VAE (students)"
LAPTOP = "Laptop CNN (students)"
CAE = "CAE and MoCo (students)"
RESNET50 = "ResNet50 (same students)"
WINNER = "Galaxy Challenge winner"
REFERENCE = "Reference"  # measured for this project, published nowhere

HUBBLE = "Galaxy Zoo: Hubble"
KAGGLE = "Kaggle Galaxy Challenge"
GZ2 = "Galaxy Zoo 2, 59,817 test galaxies"
STARS = "photometric images; of which survey and how many is not stated"
CLEAN = "Galaxy Zoo, four classes: round, in between, edge-on or cigar, spiral"


@dataclass(frozen=True)
class Published:
    """One number that was published.

    Attributes
    ----------
    system, task, data, metric : str
        Who, what for, measured on what, and which number.
    value : float or None
        None where the authors state none.
    stated : str
        The value as it was stated, where that is more than a number.
    recipe : str
        Whose model has our counterpart; empty where there is none yet.
    ours : callable
        ``metrics.json`` to our counterpart, or None.
    n_ours : callable
        ``metrics.json`` to the number of galaxies ours was measured on, or None.
    what : str
        What these galaxies are.
    remark : str
        What is to be known when the two are compared.
    """

    system: str
    task: str
    data: str
    metric: str
    value: float | None
    stated: str = ""
    recipe: str = ""
    ours: Lookup = lambda metrics: None
    n_ours: Lookup = lambda metrics: None
    remark: str = ""
    what: str = "test galaxies"


def at(*keys: str) -> Lookup:
    """Looks up one number.

    Examples
    --------
    >>> at("votes", "model", "r2")({"votes": {"model": {"r2": 0.6}}}), at("votes", "model", "r2")({"votes": []})
    (0.6, None)
    """

    def look_up(metrics: dict) -> float | None:
        value = section(metrics, *keys[:-1]).get(keys[-1])
        known = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
        return float(value) if known else None

    return look_up


def of_form(form: str, *keys: str) -> Lookup:
    """The same of the votes, where the catalog stated them in that form: numbers of two forms cannot be compared."""

    def look_up(metrics: dict) -> float | None:
        return at(*keys)(metrics) if section(metrics, "votes").get("form") == form else None

    return look_up


def four_class_accuracy(metrics: dict) -> float | None:
    """Accuracy where cigars and edge-on disks are one class, from the confusion matrix of the five.

    Examples
    --------
    >>> names = ["round_smooth", "in_between_smooth", "cigar_smooth", "edge_on", "spiral"]
    >>> confusion = np.diag([5, 5, 3, 4, 2])
    >>> confusion[2, 3] = 1  # a cigar taken for a disk on edge is right
    >>> four_class_accuracy({"classes": {"class_names": names, "confusion": confusion.tolist()}})
    1.0
    """
    names = ["round_smooth", "in_between_smooth", "cigar_smooth", "edge_on", "spiral"]
    classes = section(metrics, "classes")
    try:
        confusion = np.array(classes["confusion"], dtype=np.float64)
        order = [classes["class_names"].index(name) for name in names]
        counts = confusion[np.ix_(order, order)]
    except (KeyError, ValueError, TypeError, IndexError, AttributeError):
        return None
    if len(classes["class_names"]) != 5 or not np.isfinite(counts).all() or not counts.sum():
        return None
    merged = np.trace(counts) + counts[2, 3] + counts[3, 2]
    return float(merged / counts.sum())


DENOISER, VOTES, SEPARATOR = "contrastive_denoiser", "vote_regressor", "star_galaxy_vae"
PUBLISHED = (
    Published(
        CONTRASTIVE,
        "denoising",
        HUBBLE,
        "SSIM, both images times the foreground",
        0.96,
        "~0.96",
        DENOISER,
        at("denoising", "noise_x1", "model", "published_ssim"),
        at("denoising", "noise_x1", "model", "n_galaxies"),
        "By this measure the noisy input looks restored, too: compare strict SSIM.",
    ),
    Published(
        CONTRASTIVE,
        "clusters",
        f"{HUBBLE}, 1,000 galaxies, without unclustered",
        "silhouette, HDBSCAN with 3 clusters",
        0.48,
        "~0.48",
        DENOISER,
        at("clusterings", "hdbscan", "fitted_space", "clustered"),
        at("clusterings", "hdbscan", "n_galaxies"),
        "0.43 in the run they keep. Ours likewise without unclustered galaxies, with as many clusters as it found.",
        "galaxies, training ones included,",
    ),
    Published(
        CONTRASTIVE,
        "clusters",
        HUBBLE,
        "silhouette, k-means with 8 clusters",
        0.23,
        "~0.23",
        DENOISER,
        at("clusterings", "kmeans_8", "fitted_space", "clustered"),
        at("clusterings", "kmeans_8", "n_galaxies"),
        "Ours in the embedding itself, not on a map.",
        "galaxies, training ones included,",
    ),
    Published(CLUSTERING, "classes", f"{KAGGLE}, eight classes from the question tree", "accuracy", None, "not stated"),
    Published(
        VAE,
        "stars or galaxies",
        STARS,
        "accuracy, without labels",
        0.889,
        "88.9 %",
        SEPARATOR,
        at("methods", "without labels", "accuracy"),
        at("n_test"),
        "Ours on simulated ugriz stamps to r = 22; both were given the share of galaxies.",
        "simulated test objects",
    ),
    Published(
        VAE,
        "stars or galaxies",
        STARS,
        "area under the ROC curve",
        0.92,
        "over 0.92, true labels included",
        SEPARATOR,
        at("methods", "without labels", "auc"),
        at("n_test"),
        "Ours without labels.",
        "simulated test objects",
    ),
    Published(
        VAE,
        "stars or galaxies",
        STARS,
        "accuracy, supervised",
        0.95,
        "about 95 %",
        SEPARATOR,
        at("methods", "supervised", "accuracy"),
        at("n_test"),
        "Ours on simulated ugriz stamps to r = 22.",
        "simulated test objects",
    ),
    Published(
        VAE, "segmentation", "one frame with 40 central objects, as shown", "central objects found", 0.95, "38 of 40"
    ),
    Published(
        LAPTOP,
        "votes",
        GZ2,
        "R2 over all 37 debiased columns together",
        0.6049,
        "",
        VOTES,
        of_form("conditional", "votes", "model", "r2"),
        at("votes", "n_test"),
        "Trained 31 hours on tens of thousands of galaxies.",
    ),
    Published(
        LAPTOP,
        "votes",
        GZ2,
        "RMSE, 37 debiased columns",
        0.2265,
        "",
        VOTES,
        of_form("conditional", "votes", "model", "rmse"),
        at("votes", "n_test"),
    ),
    Published(
        WINNER,
        "votes",
        f"{KAGGLE}, trained on 61,578 galaxies",
        "RMSE, 37 cumulative columns",
        0.07491,
        "",
        VOTES,
        of_form("cumulative", "votes", "model", "rmse"),
        at("votes", "n_test"),
    ),
    Published(
        f"{REFERENCE}: plain CNN",
        "votes",
        f"{KAGGLE}, trained on its 700 galaxies at hand",
        "RMSE, 37 cumulative columns",
        0.121,
        "",
        VOTES,
        of_form("cumulative", "votes", "model", "rmse"),
        at("votes", "n_test"),
    ),
    Published(
        f"{REFERENCE}: training mean",
        "votes",
        f"{KAGGLE}, galaxies kept aside",
        "RMSE, 37 cumulative columns",
        0.1975,
        "",
        VOTES,
        of_form("cumulative", "votes", "training_mean", "rmse"),
        at("votes", "n_test"),
        "Ours is the training mean of the catalog it was measured on.",
    ),
    Published(CAE, "classes", CLEAN, "accuracy, few labels", 0.75, "75 to 80 %"),
    Published(
        RESNET50,
        "classes",
        CLEAN,
        "accuracy",
        0.9395,
        "",
        VOTES,
        four_class_accuracy,
        at("classes", "n_test"),
        "Ours from the confusion matrix of five classes, cigars and edge-on disks as one.",
    ),
    Published(
        f"{REFERENCE}: plain small ResNet, 9 epochs",
        "classes",
        "gz_clean5, five classes at the natural mix",
        "accuracy",
        0.949,
        "",
        VOTES,
        at("classes", "accuracy"),
        at("classes", "n_test"),
        "Found 30 % of the cigars.",
    ),
)
