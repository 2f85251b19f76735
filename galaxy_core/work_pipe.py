"""Values through a pipe to another process: arrays pass as they lie in memory (pickle protocol 5, PEP 574)."""

from __future__ import annotations

import pickle
import struct
from typing import Any, BinaryIO


def send(stream: BinaryIO, value: Any) -> None:
    """Write a value, which can be pickled."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    parts = [memoryview(head), *(buffer.raw() for buffer in buffers)]
    sizes = [part.nbytes for part in parts]
    for part in (struct.pack(f"<Q{len(sizes)}Q", len(sizes), *sizes), *parts):
        stream.write(part)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read the next value; raises EOFError where nobody is at the other end."""
    (count,) = struct.unpack("<Q", _read(stream, 8))
    head, *buffers = [_read(stream, size) for size in struct.unpack(f"<{count}Q", _read(stream, 8 * count))]
    return pickle.loads(head, buffers=buffers)


def _read(stream: BinaryIO, size: int) -> bytearray:
    """So many bytes, which arrays made of them can be written to; EOFError where there are no more."""
    data = bytearray(size)
    view = memoryview(data)
    while len(view):
        n_read = stream.readinto(view)
        if not n_read:
            raise EOFError
        view = view[n_read:]
    return data
