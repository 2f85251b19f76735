"""Results of work in the background that are kept: those looked at last, as many as fit within a bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import Any


class KeptResults:
    """Results by key, at most ``max_bytes`` of them together; the last one is kept however large it is.

    Examples
    --------
    >>> kept = KeptResults(10)
    >>> for name in "abc":
    ...     kept.put(name, name.upper(), 4)
    >>> kept.get("a"), kept.get("b"), kept.get("c"), kept.nbytes
    (None, 'B', 'C', 8)
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    @property
    def nbytes(self) -> int:
        """Size of all together."""
        return sum(size for _, size in self._kept.values())

    def get(self, key: str) -> Any | None:
        """A result, which is now the last one looked at; None where it is not kept."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def put(self, key: str, result: Any, size: int) -> None:
        """Keep a result of so many bytes."""
        self._kept[key] = result, size
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and self.nbytes > self.max_bytes:
            self._kept.popitem(last=False)

    def keep_only(self, keys: Collection[str]) -> None:
        """Forget all others."""
        for key in self._kept.keys() - set(keys):
            del self._kept[key]
