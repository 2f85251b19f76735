"""Choices that a link can make: by their keys, which stay what they are when the words on the page change."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from pages.views import page_address


def choose_panel(panels: Mapping[str, str], parameter: str) -> str:
    """The choice of a panel, kept in the address.

    Parameters
    ----------
    panels : dict of str to str
        Key to name, the first one to begin with.
    parameter : str
        Of the address, and the key of the widget. A link may have a panel's key or, as older links do, its name.

    Returns
    -------
    str
        The key that is chosen.
    """
    first = next(iter(panels))
    if parameter not in st.session_state:
        st.session_state[parameter] = key_of(st.query_params.get(parameter), panels, first)
    chosen = st.segmented_control(
        "Panel", list(panels), required=True, format_func=panels.get, key=parameter, label_visibility="collapsed"
    )
    page_address.put_into_address(parameter, None if chosen == first else chosen)
    return chosen


def key_of(asked: str | None, names: Mapping[str, str], default: str) -> str:
    """The key that is meant by a key or a name.

    Examples
    --------
    >>> panels = {"cards": "Cluster by cluster", "scores": "All scores"}
    >>> key_of("scores", panels, "cards"), key_of("All scores", panels, "cards"), key_of("other", panels, "cards")
    ('scores', 'scores', 'cards')
    """
    by_name = {name: key for key, name in names.items()}
    return asked if asked in names else by_name.get(asked, default)
