"""What the laboratory is asked for, what comes of it, and how far it is."""

from __future__ import annotations

import subprocess
import uuid
from dataclasses import dataclass, field

import numpy as np

from galaxy_core.artifacts.staging import fingerprint_of

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"


@dataclass(frozen=True)
class Task:
    """What is asked for.

    Attributes
    ----------
    kind : {"cluster", "null", "sweep", "save", "remove"}
    root, catalog : str
    checksum : str
        `galaxy_core.laboratory_work.checksum_of` the catalog: of other galaxies it is another task.
    settings : dict
        ``{"method", "space", "params"}``; of "save" all that `galaxy_core.cluster_steps` knows.
    parameter, values : str, tuple of numbers
        Of a sweep.
    name : str
        The clustering to save or to remove.
    """

    kind: str
    root: str
    catalog: str
    checksum: str = ""
    settings: dict = field(default_factory=dict)
    parameter: str = ""
    values: tuple[float, ...] = ()
    name: str = ""

    @property
    def key(self) -> str:
        """The same for the same task."""
        return fingerprint_of(vars(self))


@dataclass(frozen=True)
class Trial:
    """A clustering as it was computed live.

    Attributes
    ----------
    rows : int64 array, shape (m,)
        The galaxies that were clustered: all, or a random sample.
    labels : int32 array, shape (m,)
        -1 for unclustered.
    membership, silhouettes : float32 array, shape (m,)
        Silhouettes in the space that was clustered in.
    about : dict
        ``method, space, params, scores, measures, notes, seed``, as the manifest has them, ``n_galaxies`` of the whole
        catalog, and ``fit_seconds``.
    """

    rows: np.ndarray
    labels: np.ndarray
    membership: np.ndarray
    silhouettes: np.ndarray
    about: dict

    @property
    def is_sample(self) -> bool:
        """Whether only some of the galaxies were clustered."""
        return len(self.rows) < self.about["n_galaxies"]

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return int(self.labels.max(initial=-1)) + 1

    def of_all(self, values: np.ndarray, missing) -> np.ndarray:
        """One value for every galaxy of the catalog; ``missing`` for those that were not clustered."""
        filled = np.full(self.about["n_galaxies"], missing, dtype=values.dtype)
        filled[self.rows] = values
        return filled


@dataclass(eq=False)
class Job:
    """A task on its way. Only this module changes it.

    Attributes
    ----------
    task : Task
    state : {"waiting", "running", "done", "failed", "cancelled"}
    stage, fraction : str, float
        What is being done, and how much of it all is.
    rows : list of dict
        Fits of a sweep so far, in the order of its values; of a null its draws.
    trial : Trial or None
    error : str
        Why it failed, a sentence.
    seconds : float
        From the start of its process to its end.
    watchers : set of str
        Who waits for it.
    ticket : str
        Its key in the queue.
    """

    task: Task
    state: str = WAITING
    stage: str = ""
    fraction: float = 0.0
    rows: list[dict] = field(default_factory=list)
    trial: Trial | None = None
    error: str = ""
    seconds: float = 0.0
    started: float = 0.0
    watchers: set[str] = field(default_factory=set)
    process: subprocess.Popen | None = None
    ticket: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in (DONE, FAILED, CANCELLED)
