"""Shares in percent, as every page and command writes them."""

from __future__ import annotations


def percent(part: float, whole: float = 1) -> str:
    """A share with three digits; what is not all is never rounded to all, nor what is something to nothing.

    In words and not by signs: a line that begins with ``>`` is a quotation in Markdown.

    Examples
    --------
    >>> percent(214, 26093), percent(1, 3), percent(0, 0)
    ('0.82 %', '33.3 %', '–')
    >>> percent(1999, 2000), percent(2000, 2000), percent(1, 26093), percent(0, 26093)
    ('over 99.9 %', '100 %', 'under 0.01 %', '0 %')
    """
    if not whole:
        return "–"
    value = 100 * part / whole
    text = "0" if value == 0 else f"{value:.2f}" if value < 1 else f"{value:.3g}"
    if part != whole and text == "100":
        return "over 99.9 %"
    return "under 0.01 %" if text == "0.00" else f"{text} %"
