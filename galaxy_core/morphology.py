"""What kind of galaxy is it: the service behind the classify command and the page. Images in, one `Morphology` out.

The same code reads files that a user gives and galaxies of a catalog: display stretch, central square, the model's
input size; then the mean over eight views, the question tree in both forms with intervals, and the classes.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.embedding import find_model
from galaxy_core.errors import CatalogError, ModelError
from galaxy_core.morphology_items import Item, catalog_items, read_stamp
from galaxy_core.vote_classes import EIGHT_CLASSES, eight_class_shares
from galaxy_core.vote_forms import FROM_KAGGLE
from galaxy_core.vote_intervals import Shares, conditional_intervals, cumulative_intervals, expected_asked
from galaxy_core.vote_tree import CONDITIONAL_COLUMNS, CUMULATIVE_COLUMNS

DEFAULT_CLASSIFIER = "vote_regressor"
BATCH = 64


@dataclass(frozen=True)
class Morphology:
    """What the model says of n galaxies.

    Attributes
    ----------
    galaxy_ids : ndarray of str, shape (n,)
    class_names : tuple of str
    class_probabilities : ndarray of float32, shape (n, n_classes)
        No columns if the model learned no classes.
    concentrations : ndarray of float32, shape (n, 37), or None
        Of the Dirichlet distribution of each question; None, as the next two, if the model learned no votes.
    cumulative, conditional : Shares or None
        Expected fractions, and the 90 % intervals of what forty volunteers would say: of all of them (columns
        ``Class1.1`` to ``Class11.6``), and of those who would be asked the question.
    novelty : ndarray of float32, shape (n,), or None
        How far the image's features lie from those of training galaxies, 1 at the threshold beyond which few galaxies
        of the same surveys lie; None where the model cannot tell. See `galaxy_core.models.novelty`.
    out_of_distribution : ndarray of bool, shape (n,), or None
        Whether the image is unlike all the model learned from: novelty above 1.
    votes : str or None
        Which votes are told: ``cast``, ``debiased`` or ``challenge``.
    """

    galaxy_ids: np.ndarray
    class_names: tuple[str, ...]
    class_probabilities: np.ndarray
    concentrations: np.ndarray | None = None
    cumulative: Shares | None = None
    conditional: Shares | None = None
    novelty: np.ndarray | None = None
    out_of_distribution: np.ndarray | None = None
    votes: str | None = None

    def __len__(self) -> int:
        return len(self.galaxy_ids)

    @property
    def eight_class_shares(self) -> np.ndarray | None:
        """Expected share of volunteers whose answers lead to each of `EIGHT_CLASSES`, float64 (n, 8), or None.

        What is left to 1 see a star or an artifact.
        """
        return None if self.conditional is None else eight_class_shares(self.conditional.expected[:, FROM_KAGGLE])

    def columns(self) -> dict[str, np.ndarray]:
        """The result as the columns of a table.

        ``galaxy_id``; ``class``, the likeliest, and ``probability_<class>``; ``probability_of_8_<class>``, of the eight
        that votes make; ``Class1.1`` to ``Class11.6``; the conditional form as ``<question>_<answer>_fraction``; each
        of these 74 with ``_low`` and ``_high``; ``votes``, which they are of; ``novelty`` and ``out_of_distribution``.
        """
        table = {"galaxy_id": self.galaxy_ids.astype(object)}
        if self.class_names:
            table["class"] = np.array(self.class_names, dtype=object)[self.class_probabilities.argmax(axis=1)]
            table |= {
                f"probability_{name}": p for name, p in zip(self.class_names, self.class_probabilities.T, strict=True)
            }
        if self.eight_class_shares is not None:
            shares = self.eight_class_shares.astype(np.float32)
            table |= {f"probability_of_8_{name}": p for name, p in zip(EIGHT_CLASSES, shares.T, strict=True)}
        forms = ((CUMULATIVE_COLUMNS, self.cumulative), (CONDITIONAL_COLUMNS, self.conditional))
        for what, ending in (("expected", ""), ("low", "_low"), ("high", "_high")):
            for names, shares in forms:
                if shares is not None:
                    values = getattr(shares, what).astype(np.float32)
                    table |= {f"{name}{ending}": column for name, column in zip(names, values.T, strict=True)}
        if self.votes is not None:
            table["votes"] = np.full(len(self), self.votes, dtype=object)
        if self.novelty is not None:
            table["novelty"] = self.novelty
        if self.out_of_distribution is not None:
            table["out_of_distribution"] = self.out_of_distribution
        return table


def join_morphologies(parts: Sequence[Morphology]) -> Morphology:
    """The results of several batches of one model as one."""

    def joined(values: list):
        if values[0] is None:
            return None
        if isinstance(values[0], Shares):
            return Shares(*(np.concatenate([getattr(v, item.name) for v in values]) for item in fields(Shares)))
        return np.concatenate(values)

    made = {item.name: [getattr(part, item.name) for part in parts] for item in fields(Morphology)}
    same = {name: made.pop(name)[0] for name in ("class_names", "votes")}
    return Morphology(**same, **{name: joined(values) for name, values in made.items()})


def load_classifier(names: Sequence[str | Path], root: str | Path, device: str = "auto", reading: str | None = None):
    """The model that tells morphology: of one folder, or an ensemble of several.

    Parameters
    ----------
    names : sequence of str or path
        Names under ``<root>/models``, or paths of models' folders.
    reading : str, optional
        Which votes it tells; see `galaxy_core.models.morphology.set_reading`. By default those of the challenge where
        the model learned both forms.

    Raises
    ------
    ModelError
        One sentence with the command that trains one.
    """
    from galaxy_core.models import load_model, resolve_device
    from galaxy_core.models.morphology import MorphologyNet, join_models, net_config, set_reading

    models = []
    for name in names:
        try:
            folder = find_model(name, root)
        except ModelError:
            raise ModelError(
                f"There is no model {str(name)!r} under {Path(root) / 'models'} that tells morphology; train one with"
                f" `python scripts/train.py {DEFAULT_CLASSIFIER} LAYOUT:PATH --name {name}`, or name one with --model."
            ) from None
        models.append(load_model(folder, resolve_device(device)))
        net_config(models[-1])  # an error of one sentence for a model of another kind
    if len(models) > 1 and not all(isinstance(model, MorphologyNet) for model in models):
        raise ModelError("An ensemble is made of single models; name the members of an ensemble themselves.")
    model = models[0] if len(models) == 1 else join_models(models)
    if reading is not None:
        set_reading(model, reading)
    return model


def classify_images(images: np.ndarray, model, galaxy_ids: Sequence[str]) -> Morphology:
    """What ``model`` says of images.

    Parameters
    ----------
    images : ndarray, float32 (n, 3, P, P)
        In [0, 1], P the model's ``input_px``; see `read_stamp`.
    model : MorphologyNet or MorphologyEnsemble
        See `load_classifier`.
    galaxy_ids : sequence of str, length n
    """
    import torch

    from galaxy_core.models.morphology import net_config, read_votes

    config = net_config(model)
    device = next(model.parameters()).device
    with torch.inference_mode():
        forms, probabilities, novelty = model.tell_forms(torch.from_numpy(np.ascontiguousarray(images)).to(device))
    made = {
        "galaxy_ids": np.asarray(galaxy_ids, dtype=object),
        "class_names": config.class_names,
        "class_probabilities": np.empty((len(images), 0), np.float32),
    }
    if probabilities is not None:
        made["class_probabilities"] = probabilities.cpu().numpy()
    if forms:
        alpha = read_votes(forms, model.reading).cpu().numpy()
        # debiasing moves shares, not people: who is asked follows from the votes as they are cast
        asked = expected_asked(forms["cast"].cpu().numpy())
        made |= {"concentrations": alpha, "cumulative": cumulative_intervals(alpha)}
        made |= {"conditional": conditional_intervals(alpha, asked), "votes": model.reading}
    if novelty is not None:
        made["novelty"] = novelty.cpu().numpy()
        made["out_of_distribution"] = made["novelty"] > 1
    return Morphology(**made)


def classify_items(
    items: Iterable[Item], model, progress: Callable[[int], None] | None = None, batch: int = BATCH
) -> Iterator[tuple[Morphology | None, list[str]]]:
    """Classify what ``items`` give, a batch at a time: images are decoded ahead, and no more than a few are in memory.

    Yields
    ------
    Morphology or None
        Of the images of a batch that could be read; None if none could.
    list of str
        A sentence for each of the others.
    """
    from galaxy_core.models.morphology import net_config

    size = net_config(model).input_px
    for stamps in _batches(_decode_ahead(items, size), batch):
        good = [(name, stamp) for name, stamp, problem in stamps if problem is None]
        made = None
        if good:
            made = classify_images(np.stack([stamp for _, stamp in good]), model, [name for name, _ in good])
        if progress:
            progress(len(stamps))
        yield made, [problem for _, _, problem in stamps if problem is not None]


def classify_rows(
    model, catalog: Catalog, rows: np.ndarray, report: Callable[[str, int, int], None] | None = None
) -> tuple[Morphology, np.ndarray]:
    """What a model says of rows of a catalog, and the rows whose image could be read."""
    done, made = 0, []

    def progress(n: int) -> None:
        nonlocal done
        done += n
        if report:
            report("classify", done, len(rows))

    for part, _ in classify_items(catalog_items(catalog, rows), model, progress):
        made += [part] if part is not None else []
    if not made:
        raise CatalogError(f"No image of the {len(rows):,} galaxies could be read; check the image files.")
    places = {str(catalog.galaxy_ids[row]): row for row in rows}
    told = join_morphologies(made)
    return told, np.array([places[key] for key in told.galaxy_ids])


def _decode_ahead(items: Iterable[Item], size_px: int) -> Iterator[tuple[str, np.ndarray | None, str | None]]:
    threads = max(1, min(8, (os.cpu_count() or 2) - 1))
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(read_stamp, item, size_px))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _batches(values: Iterable, size: int) -> Iterator[list]:
    batch: list = []
    for value in values:
        batch.append(value)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
