"""UMAP's package, also on a machine that lets nothing be written beside its packages or at home, as clusters may not.

Numba compiles UMAP, some of it when it is imported, keeps part of the result in one of these places, and refuses to go
on without any.
"""

from __future__ import annotations

import atexit
import sys
import tempfile
from types import ModuleType

KEPT = (("umap.umap_", "smooth_knn_dist"),)
"""Functions that take most of the time to compile: what the first map in a process waits for.

Others are called with several types of numbers. Numba numbers what it keeps, so of two processes that keep one type
each at the same moment, one could later be given the other's.
"""


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
    keep_compiled()
    return umap


def keep_compiled() -> None:
    """Let numba keep `KEPT`, too, for as long as UMAP's file, numba and the processor stay; UMAP does not ask for it.

    Without it each process compiles them before its first map, for five to ten seconds.
    """
    for module, name in KEPT:
        function = getattr(sys.modules.get(module), name, None)
        if hasattr(function, "enable_caching") and not function.stats.cache_path:
            function.enable_caching()
