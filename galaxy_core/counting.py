"""Numbers of things, as every page and command writes them."""

from __future__ import annotations


def count(n: int, noun: str = "galaxy", plural: str = "galaxies") -> str:
    """A number of things.

    Examples
    --------
    >>> count(1), count(2000)
    ('1 galaxy', '2,000 galaxies')
    """
    return f"{n:,} {noun if n == 1 else plural}"
