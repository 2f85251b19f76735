"""Widgets that show what is true, though other widgets, keys and other people change it, too.

A browser sends what its widgets hold along with every other event. Were a widget set to something else under the same
key, a browser that has not heard of it yet would seem to ask for what the widget held before, and that would be done: a
tag just given would be taken again, a filter that was undone would be back. So each time it is another widget.
"""

from __future__ import annotations

import streamlit as st


def key_showing(name: str, value: object) -> str:
    """The key of a widget that is to show ``value``: as before while it shows just that, else another one."""
    numbers = st.session_state.setdefault("editions", {})
    if name not in numbers:
        numbers[name] = 0
    elif (key := _key(name)) not in st.session_state or st.session_state[key] != value:
        numbers[name] += 1
    return _key(name)


def is_shown(name: str, key: str) -> bool:
    """In the callback of a widget: whether it is the one shown now, and not one from before."""
    return key == _key(name)


def _key(name: str) -> str:
    number = st.session_state["editions"][name]
    return f"{name}-{number}" if number else name
