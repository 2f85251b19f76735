"""UMAP's package, also on a machine that lets nothing be written beside its packages or at home, as clusters may not.

Numba compiles UMAP when it is imported, keeps the result in one of these places, and refuses to go on without any.
"""

from __future__ import annotations

import atexit
import tempfile
from types import ModuleType


def import_umap() -> ModuleType:
    """The package ``umap``; where numba has no place for what it compiles, one that lasts as long as the program."""
    try:
        import umap
    except RuntimeError as error:
        if "no locator available" not in str(error):
            raise
        from numba import config

        folder = tempfile.TemporaryDirectory(prefix="galaxy-atlas-")
        atexit.register(folder.cleanup)
        config.CACHE_DIR = folder.name
        import umap
    return umap
