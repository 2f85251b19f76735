"""Names that people give to clusters, kept beside the catalog's folder so that a rerun of the pipeline keeps them.

::

    <root>/<name>.clusters.json     {"version": 1, "names": {clustering: {digest: {"name", "label", "size"}}}}

A name belongs to the galaxies of a cluster, not to its number: it is kept under a digest of their ids, whatever the
order of the catalog. When a clustering is made again and comes out the same, its names are there again; a cluster of
other galaxies has none.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from galaxy_core.artifacts import check_name, write_json
from galaxy_core.artifacts.schemas import NAMES_ENDING
from galaxy_core.errors import ArtifactError

VERSION = 1
MAX_LETTERS = 60
_writing = threading.Lock()


def names_path(root: str | Path, name: str) -> Path:
    """The file of a catalog's cluster names; it need not exist.

    Examples
    --------
    >>> names_path("artifacts", "demo").as_posix()
    'artifacts/demo.clusters.json'
    """
    return Path(root) / f"{check_name(name)}{NAMES_ENDING}"


def digest_of(ids: np.ndarray) -> str:
    """A short name of a set of galaxies, from their ids in any order.

    Examples
    --------
    >>> digest_of(np.array(["a", "b"])) == digest_of(np.array(["b", "a"])) != digest_of(np.array(["ab"]))
    True
    """
    return _digest_in_order(sorted(str(galaxy_id) for galaxy_id in ids))


def _digest_in_order(ids: Sequence) -> str:
    """The same of ids as they come: what files of earlier versions hold, in the order of their catalog."""
    text = "\0".join(str(galaxy_id) for galaxy_id in ids)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()


def digests_of(ids: np.ndarray, labels: np.ndarray) -> dict[int, tuple[str, str]]:
    """The digest of every cluster of a clustering, and that of earlier versions; unclustered galaxies are none."""
    members = {int(label): ids[labels == label] for label in np.unique(labels[labels >= 0])}
    return {label: (digest_of(own), _digest_in_order(own)) for label, own in members.items()}


def read_names(root: str | Path, name: str) -> dict[str, dict[str, dict]]:
    """What is stored of each clustering: digest to ``{"name", "label", "size"}``; empty where there is no file.

    Raises
    ------
    ArtifactError
        The file cannot be read, or is none of these.
    """
    path = names_path(root, name)
    mend = "mend or delete it; clusters then go by their numbers."
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["version"] > VERSION:
            raise ArtifactError(f"{path} was written by a newer version of Galaxy Atlas; update Galaxy Atlas.")
        names = {
            str(c): {str(d): {**e, "name": str(e["name"])} for d, e in n.items()} for c, n in stored["names"].items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); {mend}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path} is corrupt ({type(error).__name__}: {str(error)[:80]}); {mend}") from error
    return names


def names_of(
    stored: dict[str, dict[str, dict]], clustering: str, digests: dict[int, tuple[str, str]]
) -> dict[int, str]:
    """Names of the clusters of one clustering, by label; clusters without one are left out."""
    known = stored.get(clustering, {})
    found = {label: [known[digest] for digest in both if digest in known] for label, both in digests.items()}
    return {label: entries[0]["name"] for label, entries in found.items() if entries}


def name_cluster(root: str | Path, name: str, clustering: str, label: int, ids: np.ndarray, text: str) -> str:
    """Give a cluster a name, or take it away with an empty one; the file is replaced whole.

    Parameters
    ----------
    ids : array of str
        All galaxies of the cluster, in the order of the catalog: a name of an earlier version gives way.
    text : str
        White space is made single; at most `MAX_LETTERS` are kept.

    Returns
    -------
    str
        The name as stored.
    """
    text = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:MAX_LETTERS].strip()
    with _writing:
        stored = read_names(root, name)
        names = stored.setdefault(clustering, {})
        for digest in (digest_of(ids), _digest_in_order(ids)):
            names.pop(digest, None)
        if text:
            names[digest_of(ids)] = {"name": text, "label": int(label), "size": len(ids)}
        write_json(names_path(root, name), {"version": VERSION, "names": {c: n for c, n in stored.items() if n}})
    return text
