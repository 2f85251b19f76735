"""Whose turn it is: in which order work of several visitors is started, as a function of what is known of them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence


def turns(
    waiting: Mapping[str, Sequence[Hashable]], running: Mapping[str, int], served: Mapping[str, int]
) -> list[Hashable]:
    """The order in which work is started: round robin over the visitors, each one's work in the order it was wished.

    The next one is always of the visitor for whom the least is under way; among equals, of the one who was served
    longest ago; among those never served, of the one who came first.

    Parameters
    ----------
    waiting : mapping of str to sequence
        What each visitor waits for, visitors in the order in which they came. What two wait for is started once, at
        the first of their turns, and counts for both.
    running : mapping of str to int
        How much is under way for each.
    served : mapping of str to int
        When something was last started for each: any number that grows.

    Returns
    -------
    list
        All that waits, the next first; as if what runs went on until the end.

    Examples
    --------
    >>> turns({"a": ["a1", "a2", "a3"], "b": ["b1"]}, running={"a": 1}, served={"a": 7})
    ['b1', 'a1', 'a2', 'a3']
    >>> turns({"a": ["a1", "a2"], "b": ["b1", "b2"]}, running={}, served={"a": 7, "b": 5})
    ['b1', 'a1', 'b2', 'a2']
    """
    left = {visitor: list(reversed(dict.fromkeys(keys))) for visitor, keys in waiting.items()}
    wishers: dict[Hashable, list[str]] = {}
    for visitor, keys in waiting.items():
        for key in dict.fromkeys(keys):
            wishers.setdefault(key, []).append(visitor)
    load, last = dict(running), dict(served)
    order: list[Hashable] = []
    taken: set[Hashable] = set()
    now = max(last.values(), default=0)
    while left:
        visitor = min(left, key=lambda one: (load.get(one, 0), last.get(one, -1)))
        key = left[visitor].pop() if left[visitor] else None
        if key is None:
            del left[visitor]
            continue
        if key in taken:
            continue
        taken.add(key)
        order.append(key)
        now += 1
        for one in wishers[key]:
            load[one], last[one] = load.get(one, 0) + 1, now
    return order
