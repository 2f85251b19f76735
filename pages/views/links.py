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


def spell_address(choices: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Before choices are drawn that keep themselves in the address: write there what somebody typed as they do.

    Streamlit knows a choice by its name alone, letter for letter, and drops anything else without a word.

    Parameters
    ----------
    choices : dict of str to dict
        For each parameter, the keys and names of what can be chosen. A link may have either, in whatever capitals.

    Returns
    -------
    list of str
        The parameters that ask for what there is not.
    """
    typed = {name: st.query_params[name] for name in choices if st.query_params.get(name)}
    meant = {name: choices[name].get(key_of(text, choices[name], "")) for name, text in typed.items()}
    others = {
        name: text for name, text in meant.items() if text and text != typed[name] and name not in st.session_state
    }
    if others:
        st.query_params.update(others)
        st.rerun()
    return [name for name, text in meant.items() if text is None]


def key_of(asked: str | None, names: Mapping[str, str], default: str | None) -> str | None:
    """The key that is meant by a key or a name, in whatever capitals.

    Examples
    --------
    >>> panels = {"cards": "Cluster by cluster", "scores": "All scores"}
    >>> key_of("Scores", panels, "cards"), key_of("all scores", panels, "cards"), key_of("other", panels, "cards")
    ('scores', 'scores', 'cards')
    """
    if asked in names:
        return asked
    by_words = {words.casefold(): key for key, name in names.items() for words in (name, key)}
    return by_words.get((asked or "").casefold(), default)
