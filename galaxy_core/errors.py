"""Errors a user can act on.

Every message is one sentence that says what failed and what to do about it. Scripts print it and exit 1; pages show it
in place of the panel that needed the data. Anything that is not a `GalaxyError` is a bug and keeps its traceback.
"""

from __future__ import annotations


class GalaxyError(Exception):
    """Something the user can mend: bad input, a missing file, an impossible request."""


class CatalogError(GalaxyError):
    """A catalog of galaxies cannot be read: wrong folder, missing columns, no usable row."""


class ImageError(GalaxyError):
    """One image cannot be read: not an image, too large, empty, or without a finite pixel."""


class ArtifactError(GalaxyError):
    """A file under ``artifacts/`` is missing, corrupt, or written by a newer version."""


class StorageError(GalaxyError):
    """A store named by an address, such as ``s3://``, cannot be reached, refuses access, or lacks its package."""


class ModelError(GalaxyError):
    """A checkpoint cannot be loaded, or does not fit what it is asked to do."""


class TagError(GalaxyError):
    """A tag cannot be set or read: an impossible name, or a database that is locked, corrupt or read-only."""


class PositionError(GalaxyError):
    """What was written as a position on the sky is none."""


class ExportError(GalaxyError):
    """A table cannot be written in the format that was asked for."""
