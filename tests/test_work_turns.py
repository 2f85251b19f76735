"""Whose turn it is: round robin, whatever each visitor asks for."""

from __future__ import annotations

import numpy as np
import pytest

from galaxy_core.work_turns import turns


def test_turns_are_round_robin_and_what_two_want_comes_once():
    assert turns({}, {}, {}) == []
    assert turns({"a": ["a1", "a2", "a3"], "b": ["b1"]}, {}, {}) == ["a1", "b1", "a2", "a3"]
    assert turns({"a": ["x", "x", "a2"], "b": ["b1", "x", "b2"]}, {}, {}) == ["x", "a2", "b1", "b2"]
    assert turns({"a": ["a1"], "b": ["b1"], "c": ["c1"]}, {"a": 2, "b": 1}, {"a": 0, "b": 9}) == ["c1", "b1", "a1"]


@pytest.mark.parametrize("n_visitors", [2, 5])
def test_nobody_waits_for_more_than_one_of_each_other_visitors_jobs(n_visitors):
    rng = np.random.default_rng(n_visitors)
    waiting = {f"v{v}": [f"v{v}-{n}" for n in range(rng.integers(1, 20))] for v in range(n_visitors)}
    order = turns(waiting, {}, {})
    assert sorted(order) == sorted(key for keys in waiting.values() for key in keys)
    for visitor, keys in waiting.items():
        assert [key for key in order if key.startswith(visitor)] == keys, "in the order they were wished"
        for n, key in enumerate(keys):
            before = [other.split("-")[0] for other in order[: order.index(key)]]
            assert all(before.count(other) <= n + 1 for other in waiting)
