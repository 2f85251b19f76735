"""Where artifacts are: a local folder, or an address such as ``s3://bucket/artifacts`` with a local folder behind it.

Everything takes ``root`` as a local folder. That of an address is ``<home>/<the address, percent-encoded>``, so either
follows from the other and no list of them is kept. In it lies what belongs to this machine: files that were fetched,
a run that is not complete yet, and what people add in the app (tags, names of clusters, sweeps), which is not sent.
``<home>`` is ``GALAXY_ATLAS_HOME``, else ``~/.galaxy-atlas``.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote

from galaxy_core.addresses import check_address, is_address
from galaxy_core.errors import StorageError

HOME_VARIABLE, DEFAULT_HOME = "GALAXY_ATLAS_HOME", "~/.galaxy-atlas"
LONGEST_NAME = 255  # bytes of a folder's name on common file systems


def root_of(text: str | Path) -> Path:
    """The local folder of what ``--artifacts`` names, a folder or an address; nothing is made or looked for.

    ``~`` is the home folder.

    Raises
    ------
    StorageError
        The address is none, or carries a password.

    Examples
    --------
    >>> root_of("data/atlas").as_posix(), root_of("s3://sky/atlas").name
    ('data/atlas', 's3%3A%2F%2Fsky%2Fatlas')
    """
    if not is_address(text):
        return Path(os.path.expanduser(text))  # which bash does not in --artifacts=~/atlas
    address = check_address(str(text))
    if isinstance(address, Path):
        return address
    name = quote(address, safe="")
    if len(name) > LONGEST_NAME:
        raise StorageError(f"{address} is too long an address; put the artifacts where it is shorter.")
    return _home(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME) / name


def address_of(root: str | Path) -> str | None:
    """The address a local folder stands for; None where it is itself what was named.

    Examples
    --------
    >>> address_of(root_of("s3://sky/atlas")), address_of("artifacts")
    ('s3://sky/atlas', None)
    """
    root = Path(root)
    if "%3A%2F%2F" not in root.name or root.parent != _home(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME):
        return None
    return unquote(root.name)


def shown(root: str | Path, *parts: str) -> Path | str:
    """What a person is told of a place under a root: a path, or an address.

    Examples
    --------
    >>> shown(root_of("s3://sky/atlas"), "demo", "manifest.json")
    's3://sky/atlas/demo/manifest.json'
    """
    address = address_of(root)
    return Path(root, *parts) if address is None else "/".join((address, *parts))


@lru_cache(maxsize=8)
def _home(text: str) -> Path:
    return Path(text).expanduser().resolve()
