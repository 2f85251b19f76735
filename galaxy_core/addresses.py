"""Addresses of stores, such as ``s3://bucket/folder``: which are taken, and what went wrong there in one sentence.

Stores are reached through fsspec, whose libraries find credentials by themselves: for S3 in ``AWS_ACCESS_KEY_ID`` and
``AWS_SECRET_ACCESS_KEY``, in ``~/.aws`` by ``AWS_PROFILE``, or in the machine's role; ``AWS_ENDPOINT_URL`` names a
store that is not Amazon's. An address that carries a password or a key is refused, for addresses are shown, logged and
kept in manifests. What a library says of an error is never shown either: sentences are made of its kind alone.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from galaxy_core.errors import GalaxyError, StorageError

SCHEMES = ("s3", "gs", "https", "http")
WRITABLE = ("s3", "gs")
INSTALL = "pip install -r scripts/requirements-cluster.txt"
PACKAGES = {
    "s3": ("s3fs", INSTALL),
    "gs": ("gcsfs", INSTALL),
    "https": ("aiohttp", INSTALL),
    "http": ("aiohttp", INSTALL),
}
CREDENTIALS = {
    "s3": "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or for public data FSSPEC_S3_ANON=true",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or for public data FSSPEC_GS_TOKEN=anon",
}
ENDPOINTS = {"s3": "AWS_ENDPOINT_URL", "gs": "STORAGE_EMULATOR_HOST"}
CONNECT_S, READ_S = 10, 30
REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "401", "403"}
UNREACHABLE = re.compile(r"connect|timeout|endpoint|socket|dns|disconnected", re.IGNORECASE)
LIBRARIES = {"aiobotocore", "aiohttp", "botocore", "fsspec", "gcsfs", "google", "s3fs"}


def is_address(text: object) -> bool:
    """Whether a text names a store and not a local path.

    Examples
    --------
    >>> is_address("s3://sky/gz2"), is_address("data/gz2"), is_address("C:/gz2")
    (True, False, False)
    """
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", str(text)) is not None


def check_address(text: str) -> str | Path:
    """An address in one spelling; the local path of a ``file://`` address.

    Raises
    ------
    StorageError
        No such kind of store, no bucket or host, or something secret in it, which the sentence does not repeat.

    Examples
    --------
    >>> check_address("S3://sky//gz2/"), check_address("file:///data/gz%202").as_posix()
    ('s3://sky/gz2', '/data/gz 2')
    """
    scheme, _, rest = str(text).strip().partition("://")
    scheme, host = scheme.lower(), re.split(r"[/?#]", rest, maxsplit=1)[0]
    port = r"(:\d+)?" if scheme in ("http", "https") else ""
    if scheme == "file":
        return Path(unquote(urlsplit(f"file://{rest}").path))
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in ("file", *SCHEMES))
        raise StorageError(f"An address cannot begin with {scheme}://; use one of {known}.")
    if "@" in host or re.match(r"[^@]*:[^@]*@", rest):
        raise StorageError(
            f"An address must not carry a user or a password, for addresses are shown and stored; leave out what is"
            f" before the @ of the {scheme}:// address and {_credentials(scheme)}."
        )
    if "?" in rest or "#" in rest:
        raise StorageError(
            f"The {scheme}:// address goes on with '?' or '#', where keys may stand that would be shown and stored;"
            " leave that part out."
        )
    parts = [part for part in rest.split("/") if part]
    if not re.fullmatch(rf"[^:\s]+{port}", host) or {".", ".."} & set(parts) or not rest.isprintable():
        raise StorageError(
            f"A {scheme}:// address has a name and folders, as in {scheme}://NAME/FOLDER; mend this one."
        )
    return f"{scheme}://{'/'.join(parts)}"


def without_secrets(text: str) -> str:
    """A text to be shown, without what may be a password or a key in an address in it.

    Examples
    --------
    >>> without_secrets("foldr:s3://me:secret@sky/gz2"), without_secrets("folder:https://sky/a?key=secret")
    ('foldr:s3://...@sky/gz2', 'folder:https://sky/a?...')
    """
    if "://" not in text:
        return text
    before, _, rest = text.partition("://")
    rest = re.sub("[?#].*", "?...", re.sub("^.*@", "...@", rest, flags=re.DOTALL), flags=re.DOTALL)
    return f"{before}://{re.sub(r'^[^/:]*:(?![0-9]+(/|$))[^/]*', '...', rest)}"


def scheme_of(address: str) -> str:
    """What an address begins with, such as ``s3``."""
    return address.partition("://")[0]


def filesystem(address: str):
    """The fsspec file system behind an address; it remembers no listings, since others write there too.

    Raises
    ------
    StorageError
        The package it takes is not installed.
    """
    scheme = scheme_of(address)
    package, install = PACKAGES[scheme]
    if os.environ.get(ENDPOINTS["gs"]):  # a store that is not Google's speaks no gRPC, which gcsfs waits for in vain
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    try:
        importlib.import_module(package)
        import fsspec
    except ImportError:
        raise StorageError(f"{scheme}:// addresses need the package {package}; install it with `{install}`.") from None
    options: dict = {}
    if package == "aiohttp":  # which would wait for minutes
        import aiohttp

        options["client_kwargs"] = {"timeout": aiohttp.ClientTimeout(sock_connect=CONNECT_S, sock_read=READ_S)}
    with told(address):
        return fsspec.filesystem(scheme, use_listings_cache=False, **options)


@contextmanager
def told(address: str, done: str = "read") -> Iterator[None]:
    """Turn what a store's library raises into one sentence; that something is not there stays `FileNotFoundError`."""
    try:
        yield
    except GalaxyError:
        raise
    except Exception as error:  # each store's library raises a family of its own, not all of it `OSError`
        code, kind = _code(error), type(error)
        if isinstance(error, FileNotFoundError) and code != "NoSuchBucket":
            raise FileNotFoundError(address) from None
        if not isinstance(error, OSError) and kind.__module__.partition(".")[0] not in LIBRARIES:
            raise  # a fault of this program
        raise StorageError(_sentence(address, done, error, code)) from None


def no_bucket(address: str) -> str:
    """The sentence for a bucket that is not there."""
    scheme = scheme_of(address)
    bucket = address.partition("://")[2].partition("/")[0]
    elsewhere = f", or set {ENDPOINTS[scheme]} to the store that has it" if scheme in ENDPOINTS else ""
    return f"There is no bucket {scheme}://{bucket}; check its name, make it first{elsewhere}."


def _sentence(address: str, done: str, error: Exception, code: str) -> str:
    scheme, name = scheme_of(address), code or type(error).__name__
    if code == "NoSuchBucket":
        return no_bucket(address)
    if isinstance(error, PermissionError) or code in REFUSED:
        return f"{address} cannot be {done}: access is refused ({name}); {_credentials(scheme)}."
    if re.search("credentials|profile", type(error).__name__, re.IGNORECASE):
        return f"{address} cannot be {done}: there are no credentials for it ({name}); {_credentials(scheme)}."
    if isinstance(error, ConnectionError | TimeoutError) or UNREACHABLE.search(type(error).__name__):
        endpoint = f" and {ENDPOINTS[scheme]}" if scheme in ENDPOINTS else ""
        return f"{address} cannot be {done}: its store does not answer ({name}); check the network{endpoint}."
    return f"{address} cannot be {done} ({name}); check the address, or try again."


def _credentials(scheme: str) -> str:
    return CREDENTIALS.get(scheme, "use an address that is public, or one of s3:// or gs://")


def _code(error: BaseException | None) -> str:
    """The store's own code of an error, such as ``NoSuchBucket`` or ``403``; empty where it gave none."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
        if isinstance(status := getattr(error, "status", None) or getattr(error, "code", None), int):
            return str(status)
        error = error.__cause__
    return ""
