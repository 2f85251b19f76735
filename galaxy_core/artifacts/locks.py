"""One process at a time: locks that the system drops when their holder dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galaxy_core.errors import ArtifactError


@contextmanager
def hold_lock(path: Path, doing: str, option: str = "--name") -> Iterator[None]:
    """Hold a lock file, or say who does and which option avoids them."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system: one user, one run
        yield
        return
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = open(path, "w")  # noqa: SIM115 - held open as long as the lock
        except OSError as error:  # of another user, in a folder that is shared
            raise ArtifactError(
                f"Cannot write {path} ({error.strerror}); get the right to write there, or choose another"
                f" {'--artifacts' if option == '--name' else option}."
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            raise ArtifactError(f"Another run is {doing} now; wait for it, or choose another {option}.") from None
        except OSError:  # a file system without locks, as Lustre may be mounted
            break
        if path.exists() and os.fstat(handle.fileno()).st_ino == path.stat().st_ino:
            break
        handle.close()  # the file was deleted by the run that held it before: try the new one
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        handle.close()
