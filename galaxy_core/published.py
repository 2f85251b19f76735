"""Numbers that others published for the same tasks, as data, and where among our own metrics their counterpart is.

A number is worth what it was measured on, so each has that beside it. Ours are never written down here: they are looked
up in the ``metrics.json`` of a model, and are None where nothing comparable was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from galaxy_core.published_lookups import Lookup, at, at_fresh, four_class_accuracy, of_form, votes_of, with_labels

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
    part : callable
        ``metrics.json`` to the part of it that has our counterpart and a catalog of its own; empty for none.
    results : str
        File of results with few labels that has our counterpart, in place of a model's metrics; then ``ours`` and
        ``n_ours`` take `galaxy_core.label_efficiency.LabelEfficiency` as a dict.
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
    part: Callable[[dict], str] = lambda metrics: ""
    results: str = ""


DENOISER, VOTES, SEPARATOR, SEGMENTER = "contrastive_denoiser", "vote_regressor", "star_galaxy_vae", "segmenter"
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
        at_fresh("methods", "without labels", "accuracy"),
        at_fresh("n_test"),
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
        at_fresh("methods", "without labels", "auc"),
        at_fresh("n_test"),
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
        at_fresh("methods", "supervised", "accuracy"),
        at_fresh("n_test"),
        "Ours on simulated ugriz stamps to r = 22.",
        "simulated test objects",
    ),
    Published(
        VAE,
        "segmentation",
        "one frame with 40 central objects, as shown",
        "central objects found",
        0.95,
        "38 of 40",
        SEGMENTER,
        remark="Ours is measured on sources put into real frames, and not on such a frame.",
    ),
    Published(
        LAPTOP,
        "votes",
        GZ2,
        "R2 over all 37 debiased columns together",
        0.6049,
        "",
        VOTES,
        of_form("conditional", "model", "r2"),
        of_form("conditional", "n_test"),
        "Trained 31 hours on tens of thousands of galaxies.",
        part=votes_of("conditional"),
    ),
    Published(
        LAPTOP,
        "votes",
        GZ2,
        "RMSE, 37 debiased columns",
        0.2265,
        "",
        VOTES,
        of_form("conditional", "model", "rmse"),
        of_form("conditional", "n_test"),
        part=votes_of("conditional"),
    ),
    Published(
        WINNER,
        "votes",
        f"{KAGGLE}, trained on 61,578 galaxies",
        "RMSE, 37 cumulative columns",
        0.07491,
        "",
        VOTES,
        of_form("cumulative", "model", "rmse"),
        of_form("cumulative", "n_test"),
        part=votes_of("cumulative"),
    ),
    Published(
        f"{REFERENCE}: plain CNN",
        "votes",
        f"{KAGGLE}, trained on its 700 galaxies at hand",
        "RMSE, 37 cumulative columns",
        0.121,
        "",
        VOTES,
        of_form("cumulative", "model", "rmse"),
        of_form("cumulative", "n_test"),
        part=votes_of("cumulative"),
    ),
    Published(
        f"{REFERENCE}: training mean",
        "votes",
        f"{KAGGLE}, galaxies kept aside",
        "RMSE, 37 cumulative columns",
        0.1975,
        "",
        VOTES,
        of_form("cumulative", "training_mean", "rmse"),
        of_form("cumulative", "n_test"),
        "Ours is the training mean of the catalog it was measured on; 0.1975 was not reproduced.",
        part=votes_of("cumulative"),
    ),
    Published(
        CAE,
        "classes",
        CLEAN,
        "accuracy, few labels",
        0.75,
        "75 to 80 %",
        ours=with_labels(DENOISER, "frozen", 0.01),
        n_ours=at("n_test"),
        remark="How many labels they gave is not stated. Ours with 1 % of the training labels, on frozen features.",
        results="few_labels_4_classes.json",
    ),
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
    Published(
        f"{REFERENCE}: plain small ResNet from scratch",
        "classes",
        "gz_clean5, five classes at the natural mix, 10 % of the training labels",
        "accuracy, 10 % of the labels",
        0.932,
        ours=with_labels(DENOISER, "fine_tuned", 0.1),
        n_ours=at("n_test"),
        remark="Ours fine-tuned at 96 pixels, mean over draws of the labels.",
        results="few_labels_96_px.json",
    ),
)
