"""What a model of morphology says of one galaxy as it is turned and mirrored; the galaxy stays what it is.

The eight turned and mirrored views are exact; angles between are interpolated. Each is looked at once, by itself: what
is said of the galaxy is the mean over the first eight, and this is what that mean is made of.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import rotate

from galaxy_core.images import resize_square
from galaxy_core.occlusion import sky_of
from galaxy_core.vote_forms import FROM_KAGGLE, TO_KAGGLE, cumulative_from_conditional

ANGLES_DEG = (15, 30, 45, 60, 75)
EXACT = ("0°", "90°", "180°", "270°", "mirrored", "mirrored 90°", "mirrored 180°", "mirrored 270°")
DETAIL = 4  # an angle is turned at up to so many times the model's resolution, then reduced


@dataclass(frozen=True)
class Turned:
    """What is said of each view.

    Attributes
    ----------
    names : tuple of str
        The eight exact views first, then the angles, counterclockwise.
    stamps : ndarray of float32, shape (n_views, 3, P, P)
    class_probabilities : ndarray of float32, shape (n_views, n_classes)
        No columns if the model learned no classes.
    cumulative : ndarray of float64, shape (n_views, 37), or None
        Expected shares of all volunteers, as of `of_all_volunteers`; None if the model learned no votes.
    """

    names: tuple[str, ...]
    stamps: np.ndarray = field(repr=False)
    class_probabilities: np.ndarray
    cumulative: np.ndarray | None

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.stamps.nbytes

    def spread(self, values: np.ndarray) -> tuple[float, float, float]:
        """Smallest and largest of the values of all views, and the standard deviation over the eight exact ones."""
        return float(values.min()), float(values.max()), float(values[: len(EXACT)].std())

    def most_moved(self) -> int | None:
        """Which of the 37 answers moves most over all views, as a share of all volunteers; None without votes."""
        return None if self.cumulative is None else int(np.ptp(self.cumulative, axis=0).argmax())


def turn_views(stamp: np.ndarray, square: np.ndarray | None = None) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the views of a galaxy, and their stamps, float32 (n_views, 3, P, P).

    Parameters
    ----------
    stamp : ndarray of float32, shape (3, P, P)
        As the model is given it.
    square : ndarray of float32, shape (3, side, side), optional
        The same before it was reduced, for the angles; ``stamp`` itself by default. Corners that come in from outside
        are filled with the sky.
    """
    size = stamp.shape[1]
    exact = [np.rot90(stamp, turns, axes=(1, 2)) for turns in range(4)]
    exact += [view[:, :, ::-1] for view in exact]
    square = stamp if square is None else square
    if square.shape[1] > DETAIL * size:
        square = resize_square(square, DETAIL * size)
    sky = sky_of(square).reshape(3, 1, 1)
    turned = [
        rotate(square - sky, angle, axes=(2, 1), reshape=False, order=1, mode="constant") + sky for angle in ANGLES_DEG
    ]
    names = (*EXACT, *(f"{angle}°" for angle in ANGLES_DEG))
    reduced = [np.clip(resize_square(view, size), 0, 1) for view in turned]
    return names, np.stack([*exact, *reduced]).astype(np.float32)


def classify_turned(stamp: np.ndarray, model, square: np.ndarray | None = None) -> Turned:
    """What ``model`` says of each view of a galaxy; parameters as in `turn_views`, and a model of `load_classifier`."""
    names, stamps = turn_views(stamp, square)
    probabilities, conditional = single_views(stamps, model)
    return Turned(names, stamps, probabilities, None if conditional is None else of_all_volunteers(conditional))


def of_all_volunteers(conditional: np.ndarray) -> np.ndarray:
    """Shares of all volunteers, float64 (n, 37) in Kaggle's order, of shares of those who would be asked.

    Unlike in the challenge's table, who sees a star or an artifact is not asked for anything odd.
    """
    return cumulative_from_conditional(conditional[:, FROM_KAGGLE])[:, TO_KAGGLE]


def predict_scores(images: np.ndarray, model) -> np.ndarray:
    """Class probabilities as `classify_images` gives them, then the 37 shares of `of_all_volunteers`.

    Without intervals, which take longer than the network. Float64 (n, n_classes + 37); without the columns of what the
    model did not learn.
    """
    import torch

    from galaxy_core.models.vote_outputs import conditional_shares

    device = next(model.parameters()).device
    with torch.inference_mode():
        concentrations, probabilities = model.predict(torch.from_numpy(np.ascontiguousarray(images)).to(device))
    parts = [] if probabilities is None else [probabilities.double().cpu().numpy()]
    if concentrations is not None:
        parts.append(of_all_volunteers(conditional_shares(concentrations).double().cpu().numpy()))
    return np.concatenate(parts, axis=1)


def single_views(images: np.ndarray, model) -> tuple[np.ndarray, np.ndarray | None]:
    """Class probabilities and conditional shares of images, each seen once as it is; the mean over an ensemble.

    Parameters
    ----------
    images : ndarray, float32 (n, 3, P, P)
    model : MorphologyNet or MorphologyEnsemble

    Returns
    -------
    probabilities : ndarray of float32, shape (n, n_classes)
        No columns if the model learned no classes.
    conditional : ndarray of float64, shape (n, 37), or None
    """
    import torch

    from galaxy_core.models.vote_outputs import conditional_shares

    members = list(getattr(model, "members", [model]))
    device = next(model.parameters()).device
    given = torch.from_numpy(np.ascontiguousarray(images)).to(device).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        made = [member(given) for member in members]
    classes = [logits.softmax(dim=1) for _, logits in made if logits is not None]
    votes = [conditional_shares(concentrations) for concentrations, _ in made if concentrations is not None]
    probabilities = torch.stack(classes).mean(dim=0).cpu().numpy() if classes else np.empty((len(images), 0), "f4")
    return probabilities, torch.stack(votes).mean(dim=0).double().cpu().numpy() if votes else None
