"""A folder or file in a store, with the part of `pathlib.Path` that readers of catalogs use.

`place_of` gives a `pathlib.Path` for what is local, which never touches fsspec, and a `Place` for an address.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from galaxy_core.addresses import check_address, filesystem, is_address, scheme_of, told
from galaxy_core.errors import StorageError

BLOCK_BYTES = 2**20  # read ahead of where a reader is


@dataclass(frozen=True, order=True)
class Place:
    """A folder or file in a store.

    Attributes
    ----------
    address : str
        As `galaxy_core.addresses.check_address` spells it.
    """

    address: str

    def __str__(self) -> str:
        return self.address

    def __truediv__(self, name: str) -> Place:
        web = scheme_of(self.address).startswith("http")
        name = str(name).strip("/")
        return Place(f"{self.address}/{quote(name) if web else name}") if name else self

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self._plain(self.address.rpartition("/")[2])

    @property
    def suffix(self) -> str:
        """The end of the name, as of a path."""
        return Path(self.name).suffix

    @property
    def parent(self) -> Place:
        """The folder it lies in."""
        return Place(self.address.rpartition("/")[0])

    def is_file(self) -> bool:
        """Whether there is a file of this address."""
        return self._kind() == "file"

    def is_dir(self) -> bool:
        """Whether anything lies below this address."""
        kind = self._kind()
        return kind == "directory" or (kind == "" and next(self.children(), None) is not None)

    def exists(self) -> bool:
        """Whether there is a file or a folder of this address."""
        return self.is_file() or self.is_dir()

    def children(self) -> Iterator[tuple[str, bool]]:
        """Name of each file and folder just below, and whether it is a folder; none where there is no such folder."""
        try:
            with told(self.address):
                found = filesystem(self.address).ls(self.address, detail=True)
        except FileNotFoundError:
            return
        for entry in sorted(found, key=lambda entry: entry["name"]):
            name = entry["name"].rstrip("/").rpartition("/")[2]
            if name and entry["name"].rstrip("/").endswith(f"/{name}") and not self._is_itself(entry):
                yield self._plain(name), entry["type"] == "directory" or entry["name"].endswith("/")

    def glob(self, pattern: str) -> list[Place]:
        """Files just below whose name fits ``*.ending``."""
        return [self / name for name, folder in self.children() if not folder and Path(name).match(pattern)]

    def files(self) -> dict[str, dict]:
        """What the store says of every file below, by path relative to this; one request for a thousand files."""
        base = self.address.partition("://")[2] if not scheme_of(self.address).startswith("http") else self.address
        try:
            with told(self.address):
                found = filesystem(self.address).find(self.address, detail=True)
        except FileNotFoundError:
            return {}
        return {
            self._plain(name.removeprefix(base).strip("/")): info
            for name, info in sorted(found.items())
            if name.startswith(f"{base}/") and not name.endswith("/")
        }

    def states(self) -> dict[str, str]:
        """A text for each file below, or for the file itself under an empty name, that changes when its bytes do."""
        found = self.files()
        if not found and self.is_file():
            with told(self.address):
                found = {"": filesystem(self.address).info(self.address)}
        said = {name: sorted((key, str(value)) for key, value in info.items()) for name, info in found.items()}
        return {name: hashlib.sha256(str(state).encode()).hexdigest() for name, state in said.items()}

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """The file, to read and seek in; what is read comes in blocks of `BLOCK_BYTES`."""
        return io.BufferedReader(RangeFile(self, self.size()), BLOCK_BYTES)

    def read_bytes(self, start: int | None = None, end: int | None = None) -> bytes:
        """The file, or its bytes from ``start`` to before ``end``, in one request."""
        with told(self.address):
            data = filesystem(self.address).cat_file(self.address, start=start, end=end)
        whole = start is not None and end is not None and len(data) > end - start  # a web server without ranges
        return data[start:end] if whole else data

    def size(self) -> int:
        """Bytes of the file."""
        with told(self.address):
            size = filesystem(self.address).info(self.address)["size"]
        if size is None:
            raise StorageError(
                f"{self} cannot be read in parts, for its server does not tell how long it is; download it and give the"
                " local path."
            )
        return int(size)

    def _kind(self) -> str:
        """``file`` or ``directory``; empty where nothing is, or where a web server answers with a list."""
        try:
            with told(self.address):
                known = filesystem(self.address).info(self.address)
        except FileNotFoundError:
            return ""
        return "" if known.get("mimetype") == "text/html" else known["type"]

    def _plain(self, name: str) -> str:
        return unquote(name) if scheme_of(self.address).startswith("http") else name

    def _is_itself(self, entry: dict) -> bool:
        return self.address.endswith(entry["name"].rstrip("/"))


class RangeFile(io.RawIOBase):
    """A file in a store of which every read is one request, for just the bytes that were asked for.

    Parameters
    ----------
    place : Place
    size : int
        Bytes of the whole file, as the manifest or the store tells.
    """

    def __init__(self, place: Place, size: int) -> None:
        super().__init__()
        self.place, self.size, self.position = place, size, 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """Its position can be set."""
        return True

    def tell(self) -> int:
        """Position of the next byte to read."""
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position, from the start, from here or from the end."""
        self.position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        return self.position

    def readinto(self, buffer: memoryview) -> int:
        """Fill a buffer, as far as there are bytes."""
        end = min(self.position + len(buffer), self.size)
        if end <= self.position:
            return 0
        data = self.place.read_bytes(self.position, end)
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


def place_of(source: str | Path) -> Path | Place:
    """Where a catalog lies: a local path, or a place in a store.

    Examples
    --------
    >>> place_of("s3://sky/gz2") / "images", place_of("gz2").as_posix()
    (Place(address='s3://sky/gz2/images'), 'gz2')
    """
    if not is_address(source):
        return Path(source).expanduser()
    address = check_address(str(source))
    return address if isinstance(address, Path) else Place(address)


def ranged(place: Path | Place, size: int | None = None) -> Path | RangeFile:
    """What readers of Parquet take: the path, or of a file in a store only the bytes that are asked for."""
    if isinstance(place, Path):
        return place
    return RangeFile(place, place.size() if size is None else size)
