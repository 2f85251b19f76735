"""Tables of text whose cells wrap, so that a page shows all columns; the dataframe of Streamlit cuts them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from pages.views import frame


def draw_wrapped(table: pd.DataFrame, key: str) -> None:
    """A table of text and its header; it scrolls sideways only where a screen is too narrow for its columns."""
    with st.container(key=f"wrapped-{key}"):
        st.table(table.map(frame.plain).rename(columns=frame.plain), border="horizontal", hide_index=True)
