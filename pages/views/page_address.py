"""The address in the browser: its parts, which are the view that somebody can send, and what of a link is not here."""

from __future__ import annotations

import streamlit as st

OF_VIEW = ("view", "hidden", "view2", "hidden2")  # parts of the address that the maps write: galaxy_map/address.js
OF_CATALOG = ("galaxy", "selected", "filters", *OF_VIEW)  # parts of the address
PANELS = ("panel", "clusters-panel")  # parts that are the keys of the choice, too


def put_into_address(parameter: str, value: str | None) -> None:
    """Set a part of the address, or drop it; nothing is sent where it is so already."""
    left()[parameter] = value
    if st.query_params.get(parameter) == value:
        return
    parts = {parameter: value}
    if st.session_state.get("address_of", ())[:1] == (st.session_state.get("page"),):
        # the browser may have asked for this before it had our last answer, and what that put there would be lost
        parts |= {name: left().get(name) for name in (*OF_CATALOG, *PANELS)}
    _write({name: text for name, text in parts.items() if text is not None or name in st.query_params})


def _write(parts: dict[str, str | None]) -> None:
    """All at once, for each change would be a step of its own for the browser's button back."""
    st.query_params.update({name: () if text is None else text for name, text in parts.items()})
    for name in [name for name, text in parts.items() if text is None]:
        del st.query_params[name]


def send_again() -> None:
    """After the button back: the answer to what was done before it may come later, with the address of then."""
    st.query_params.update({})


def left() -> dict[str, str | None]:
    """Each part of the address as it was left; always the same dictionary."""
    return st.session_state.setdefault("address_left", {})


def went_to_catalog(picked: str | None) -> bool:
    """Whether the browser's buttons for back and forward brought another catalog here, and none was picked."""
    before, now = left().get("catalog"), st.query_params.get("catalog")
    went = None not in (before, now) and now != before and picked in (None, before)
    if went:
        send_again()
    return went


def changed_parts(here: tuple) -> list[str]:
    """At the start of a page: which parts the browser's buttons for back and forward have changed since it was drawn.

    Everything else that changes the address does so by `put_into_address`, which remembers what it left. ``here`` is
    the page and its catalog: on another page nothing has changed. In another catalog what the address lacks has not,
    for it may have been too long for one; the open galaxy is that of all catalogs.
    """
    state = st.session_state
    before, state["address_of"] = state.get("address_of", ()), here
    now = {name: st.query_params.get(name) for name in (*OF_CATALOG, *PANELS)}
    changed = [name for name in now if now[name] != left().get(name)] if before[:1] == here[:1] else []
    left().update(now)
    if changed:
        send_again()
    return [name for name in changed if before == here or name == "galaxy" or now[name] is not None]


def forget_link() -> None:
    """After another catalog was chosen: it is in the address, and not what belongs to the one before."""
    chosen = st.session_state.get("catalog")
    _write({name: None for name in OF_CATALOG if name in st.query_params} | ({"catalog": chosen} if chosen else {}))
    left().update(dict.fromkeys(OF_CATALOG), catalog=st.query_params.get("catalog"))
    st.session_state.pop("link_problems", None)


def carried() -> dict[str, str]:
    """What a link to another page of this app carries along: the catalog and the open galaxy."""
    state, link = st.session_state, st.query_params
    catalog = state.get("catalog") or link.get("catalog") or state.get("catalog_before")
    return ({"catalog": catalog} if catalog else {}) | open_address()


def open_address() -> dict[str, str]:
    """The open galaxy as part of an address; `st.switch_page` takes no more, the catalog is bound to its widget."""
    galaxy = st.session_state.get("galaxy") or st.query_params.get("galaxy")
    return {"galaxy": galaxy} if galaxy else {}


def note(sentence: str) -> None:
    """Keep a sentence about this link for `link_problems`."""
    problems = st.session_state.setdefault("link_problems", [])
    if sentence not in problems:
        problems.append(sentence)


def link_problems() -> list[str]:
    """What a link asked for and could not be shown."""
    return st.session_state.get("link_problems", [])
