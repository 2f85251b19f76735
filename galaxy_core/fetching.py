"""Files from the network: resumed where they were cut, checked against their checksum, and only then in place."""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from galaxy_core.errors import GalaxyError

CHUNK_BYTES = 1 << 20
USER_AGENT = "galaxy-atlas/0.1 (+python urllib)"
Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all if known


class FetchError(GalaxyError):
    """A download cannot be completed: no network, no such file, wrong checksum, or a full disk."""


@dataclass(frozen=True)
class RemoteFile:
    """One file to download."""

    url: str
    path: str  # under the folder it is fetched to, with "/"
    n_bytes: int | None = None
    checksum: str = ""  # "md5:..." or "sha256:..."


def fetch_file(
    remote: RemoteFile,
    folder: Path,
    progress: Progress | None = None,
    *,
    timeout_s: float = 60,
    n_tries: int = 6,
    wait_s: float = 1,
) -> bool:
    """Download one file, unless it is there already and its checksum is right.

    The bytes go to ``<path>.part``, which a later call continues, even after a kill; a cut connection is taken up again
    ``n_tries`` times in a row without progress. The file gets its name when complete and checked, so a file with that
    name is never half a file.

    Parameters
    ----------
    remote : RemoteFile
    folder : Path
    progress : callable, optional
        ``progress(bytes_so_far, bytes_in_all)``, called a few times a second.
    timeout_s, wait_s : float
        Silence after which a connection counts as cut; wait before the first retry, doubled each time.

    Returns
    -------
    bool
        False if the file was there already.

    Raises
    ------
    FetchError
    """
    target = folder / remote.path
    part = target.with_name(target.name + ".part")
    if target.exists() and _is_complete(target, remote):
        return False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(remote, part, progress, timeout_s, n_tries, wait_s)
        _check(part, remote)
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, target)
        _tag_file(part).unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise FetchError(f"Cannot write {target}: {reason}; free some space or choose another --root.") from error
    return True


def _download(
    remote: RemoteFile, part: Path, progress: Progress | None, timeout_s: float, n_tries: int, wait_s: float
) -> None:
    n_failed, last_size = 0, -1
    while True:
        try:
            if _request(remote, part, progress, timeout_s):
                return
            problem = "the connection was cut"
        except urllib.error.HTTPError as error:
            if error.code not in (408, 429, 500, 502, 503, 504):
                raise FetchError(_http_sentence(remote.url, error.code)) from error
            problem = f"the server answers {error.code}"
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
            problem = str(getattr(error, "reason", "") or error or type(error).__name__)
        size = part.stat().st_size if part.exists() else 0
        n_failed = 1 if size > last_size >= 0 else n_failed + 1
        last_size = size
        if n_failed >= n_tries:
            raise FetchError(
                f"Cannot fetch {remote.url} ({problem}); check the network and run the same command again: "
                f"it goes on from the {size / 1e6:.1f} MB that are here."
            )
        time.sleep(min(wait_s * 2 ** (n_failed - 1), 30))


def _request(remote: RemoteFile, part: Path, progress: Progress | None, timeout_s: float) -> bool:
    """One connection: append what it gives to ``part``; True once the file is complete."""
    have = part.stat().st_size if part.exists() else 0
    tag = _tag_file(part).read_text() if have and _tag_file(part).exists() else ""
    if have and not tag and not remote.checksum:  # nothing would tell if the file changed in between
        have = 0
    if remote.n_bytes is not None and have == remote.n_bytes:
        return True
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if tag:
            headers["If-Range"] = tag
    try:
        response = urllib.request.urlopen(urllib.request.Request(remote.url, headers=headers), timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # longer than the file: another version, or already complete without a known size
            part.unlink(missing_ok=True)
            return False
        raise
    with response:
        if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            if response.status == 206:  # another range than the one asked for: begin again
                part.unlink(missing_ok=True)
                return False
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else remote.n_bytes
        version = response.headers.get("ETag") or response.headers.get("Last-Modified", "")
        with open(part, "ab") as file:
            _lock(file, remote)
            file.truncate(have)
            _tag_file(part).write_text("" if version.startswith("W/") else version)  # weak tags allow no ranges
            while block := _read(response):
                file.write(block)
                have += len(block)
                if progress is not None:
                    progress(have, total)
    return total is None or have >= total


def _read(response: http.client.HTTPResponse) -> bytes:
    """The next bytes; no route to the server any more, say, is a cut connection and nothing that a full disk does."""
    try:
        return response.read1(CHUNK_BYTES)
    except OSError as error:
        raise ConnectionError(error.strerror or str(error)) from error


def _lock(file: IO[bytes], remote: RemoteFile) -> None:
    """Hold a file while it is open, or say that another process does: one would go on where the other has finished."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system: one user, one run
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FetchError(f"Another run is fetching {remote.path} to the same folder; wait for it, or end it.") from None
    except OSError:  # no such locks on this file system
        return


def _tag_file(part: Path) -> Path:
    return part.with_name(part.name + ".version")


def _http_sentence(url: str, code: int) -> str:
    if code in (401, 403):
        return f"{url} is not open to the public (HTTP {code}); ask its owners for access, or choose another release."
    if code in (404, 410):
        return f"{url} does not exist (HTTP {code}); the release may have moved, so look at its web page."
    return f"{url} cannot be fetched (HTTP {code}); try again later."


def _is_complete(path: Path, remote: RemoteFile) -> bool:
    if remote.n_bytes is not None and path.stat().st_size != remote.n_bytes:
        return False
    return not remote.checksum or file_checksum(path, remote.checksum.partition(":")[0]) == remote.checksum


def _check(part: Path, remote: RemoteFile) -> None:
    """Raise, and remove the bytes, if they are not the ones that were published."""
    size = part.stat().st_size
    if remote.n_bytes is not None and size != remote.n_bytes:
        problem = f"has {size:,} bytes instead of {remote.n_bytes:,}"
    elif not _is_complete(part, remote):
        problem = f"does not match its published checksum ({remote.checksum})"
    else:
        return
    part.unlink()
    _tag_file(part).unlink(missing_ok=True)
    raise FetchError(f"What came from {remote.url} {problem} and was thrown away; run the same command again.")


def file_checksum(path: Path, algorithm: str) -> str:
    """Checksum of a file as ``"algorithm:hexdigest"``."""
    with open(path, "rb") as file:
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"


def unzip(archive: Path, folder: Path, progress: Progress | None = None) -> int:
    """Unpack a zip file below ``folder``; members already there in full are skipped, so a killed run can be repeated.

    Hidden files, and members whose path leads out of ``folder``, are left out.

    Returns
    -------
    int
        Number of files unpacked.
    """
    n_unpacked = 0
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [member for member in zipped.infolist() if _is_wanted(member)]
            for n_done, member in enumerate(members, start=1):
                target = folder / member.filename
                if not target.exists() or target.stat().st_size != member.file_size:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    part = target.with_name(f".{target.name}.part")
                    part.write_bytes(zipped.read(member))  # read checks the member's CRC
                    os.replace(part, target)
                    n_unpacked += 1
                if progress is not None:
                    progress(n_done, len(members))
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error) as error:
        raise FetchError(f"{archive} is not a whole zip file ({error}); delete it and fetch it again.") from error
    except OSError as error:
        raise FetchError(
            f"Cannot unpack {archive}: {error.strerror or error}; free some space and run again."
        ) from error
    return n_unpacked


def _is_wanted(member: zipfile.ZipInfo) -> bool:
    parts = member.filename.split("/")
    inside = ".." not in parts and not member.filename.startswith("/")
    return inside and not member.is_dir() and not parts[-1].startswith(".") and "__MACOSX" not in parts
