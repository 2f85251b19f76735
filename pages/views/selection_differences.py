"""What makes a selection different from the rest, in sentences with small interval bars, and what it is made of."""

from __future__ import annotations

import html

import numpy as np
import streamlit as st

from galaxy_core.differences import Difference, Differences, compare_selection
from pages.views import cluster_labels, figures, words
from pages.views.colouring import colour_by, colour_choices
from pages.views.colours import Colouring
from pages.views.readers import Galaxies
from pages.views.selection_gallery import digest_of

N_SHOWN = 12
MAX_GROUPS = 20
NOT_COMPARED = ("split", "tags")
WHAT_DELTA_IS = (
    "Cliff's delta is the chance that a selected galaxy has the larger value minus the chance that it has the smaller"
    " one: 1 if all are larger than all others, 0 for no difference. For a class or cluster it is the difference of"
    " the two shares. Neither outliers nor units change it (Cliff 1993, Psychological Bulletin 114, 494)."
)


def draw_differences(galaxies: Galaxies, rows: np.ndarray) -> None:
    """The columns in which the selected galaxies differ most from all others."""
    found = differences(galaxies, rows)
    if not found.items:
        st.caption(
            "Everything is selected: there is no rest to compare with."
            if len(rows) == len(galaxies)
            else "This catalog has no column to compare."
        )
        return
    names = colour_choices(galaxies)
    different = [item for item in found.items if item.is_different]
    if different:
        st.html(table_html(different[:N_SHOWN], names))
    else:
        st.markdown("**In no column does the selection differ from the rest** by more than chance explains.")
    if len(different) > N_SHOWN:
        with st.expander(f"{words.count(len(different) - N_SHOWN, 'smaller difference', 'smaller differences')}"):
            st.html(table_html(different[N_SHOWN:], names))
    same = [item for item in found.items if not item.is_different]
    if same:
        with st.expander(f"{words.count(len(same), 'comparison', 'comparisons')} without a difference"):
            st.html(table_html(same, names))
    st.caption(how_compared(found), help=WHAT_DELTA_IS)


def differences(galaxies: Galaxies, rows: np.ndarray) -> Differences:
    """Every number and category of the catalog compared; kept for as long as others do not push it out."""
    stamp = (galaxies.stamp, cluster_labels.edition(galaxies))
    return _differences(galaxies.root, galaxies.name, stamp, digest_of(rows), galaxies, rows)


@st.cache_resource(max_entries=16, show_spinner="Comparing the selection with the rest …")
def _differences(root, name, stamp, digest, _galaxies: Galaxies, _rows: np.ndarray) -> Differences:
    numbers, categories = {}, {}
    for key in colour_choices(_galaxies):
        if key in NOT_COMPARED:
            continue
        colouring = colour_by(_galaxies, key)
        if colouring.values is not None:
            numbers[key] = colouring.values
        else:
            categories[key] = with_nothing(colouring) if key.endswith("_label") else (colouring.codes, colouring.names)
    return compare_selection(len(_galaxies), _rows, numbers, categories)


def with_nothing(colouring: Colouring) -> tuple[np.ndarray, tuple[str, ...]]:
    """Codes and names of a colouring where having no group, such as being unclustered, is the last group."""
    codes = np.where(colouring.codes < 0, len(colouring.names), colouring.codes)
    return codes, (*colouring.names, colouring.nothing)


def table_html(items: list[Difference], names: dict[str, str]) -> str:
    """A line for each difference: a sentence, and its interval as a bar around zero."""
    reach = max([0.1, *(max(abs(i.low), abs(i.high)) for i in items if np.isfinite(i.effect))])
    lines = []
    for item in items:
        title, rest = sentence(item, names)
        lines.append(f"<li><span><b>{html.escape(title)}</b> {html.escape(rest)}</span>{bar_html(item, reach)}</li>")
    return f'<ol class="differences">{"".join(lines)}</ol>'


def bar_html(item: Difference, reach: float) -> str:
    """The interval of an effect on a scale from ``-reach`` to ``reach``, zero in the middle."""
    if not np.isfinite(item.effect):
        return "<span></span>"
    low, high, middle = (50 + 50 * value / reach for value in (item.low, item.high, item.effect))
    return (
        f'<span class="interval" role="img" aria-label="{item.low:+.2f} to {item.high:+.2f}">'
        f'<i style="left:{low:.1f}%;width:{max(high - low, 0.5):.1f}%"></i><b style="left:{middle:.1f}%"></b></span>'
    )


def sentence(item: Difference, names: dict[str, str]) -> tuple[str, str]:
    """What differs, and how: two parts of one sentence.

    Examples
    --------
    >>> item = Difference("radius_arcsec", None, 0.42, 0.38, 0.461, 5.21, 3.1, 100, 900)
    >>> "".join(sentence(item, {"radius_arcsec": "radius [arcsec]"}))
    'radius [arcsec]: larger, delta 0.42 (0.38 to 0.46); median 5.21, of the rest 3.10'
    >>> "".join(sentence(Difference("class", "spiral", -0.3, -0.4, -0.2, 0.1, 0.4, 100, 900), {"class": "Class"}))
    'Class spiral: less frequent, 10 %, of the rest 40 %; delta −0.30 (−0.40 to −0.20)'
    """
    name = names.get(item.column, words.column_name(item.column)).removeprefix("Cluster, ")
    if item.value is not None:
        name += f", {item.value}" if item.column.endswith("_label") else f" {item.value}"
    if not np.isfinite(item.effect):
        return f"{name}:", " no values to compare"
    delta = words.minus(f"delta {item.effect:.2f} ({item.low:.2f} to {item.high:.2f})")
    if item.value is not None:
        how = "more frequent" if item.effect > 0 else "less frequent" if item.effect < 0 else "as frequent"
        shares = f"{words.share(item.selected, 1)}, of the rest {words.share(item.rest, 1)}"
        return f"{name}:", f" {how if item.is_different else 'no difference'}, {shares}; {delta}"
    how = "larger" if item.effect > 0 else "smaller"
    medians = "median {}, of the rest {}".format(*words.ends(item.selected, item.rest))
    # Where most values are the same the two medians are, too, and would only puzzle.
    medians = f"; {medians}" if item.selected != item.rest else ""
    return f"{name}:", f" {how if item.is_different else 'no difference'}, {delta}{medians}"


def how_compared(found: Differences) -> str:
    """What the numbers were measured on.

    Examples
    --------
    >>> how_compared(Differences((None,) * 250, 10, 90, 10, 90, 0, 400)).rpartition(". ")[2]
    'Of 250 comparisons, about 10 would seem different by chance.'
    """
    ours = words.count(found.n_selected_used, "selected galaxy", "selected galaxies")
    text = f"Measured on {ours} and {words.count(found.n_rest_used, 'other', 'others')}"
    if found.sampled:
        text += f", drawn at random from {found.n_selected:,} and {found.n_rest:,}"
    by_chance = (1 - found.level) * len(found.items)
    return (
        f"{text}; in brackets the {100 * found.level:.0f} % bootstrap interval ({found.n_resamples} resamples). Of"
        f" {len(found.items)} comparisons, about {words.number(by_chance, 1)} would seem different by chance."
    )


def draw_composition(galaxies: Galaxies, rows: np.ndarray) -> None:
    """Shares of the classes, or of the clusters of any clustering, inside the selection and overall."""
    choices = {
        key: name
        for key, name in colour_choices(galaxies).items()
        if key != "tags" and colour_by(galaxies, key).values is None
    }
    if not choices:
        st.caption("This catalog has neither classes nor clusters.")
        return
    key = st.selectbox("By", list(choices), format_func=choices.get, key="composition-by", width=280)
    colouring = colour_by(galaxies, key)
    codes, names, left_out = largest_groups(*with_nothing(colouring), rows)
    figure = figures.composition_figure(codes, names, rows, f"{words.count(len(rows))} by {colouring.title}")
    st.plotly_chart(figure, key="composition", config=figures.chart_config(f"{galaxies.name}-composition"))
    if left_out:
        st.caption(f"The {len(names)} largest groups of the selection; {left_out:,} more are not shown.")


def largest_groups(
    codes: np.ndarray, names: tuple[str, ...], rows: np.ndarray
) -> tuple[np.ndarray, tuple[str, ...], int]:
    """At most `MAX_GROUPS` groups, those with most selected galaxies, in their order; groups of nobody are dropped.

    Returns
    -------
    codes : int array, shape (n,)
        -1 where the group is not among them.
    names : tuple of str
    left_out : int
        Groups that somebody is in and that are not among them.
    """
    everyone = np.bincount(codes, minlength=len(names))
    inside = np.bincount(codes[rows], minlength=len(names))
    order = np.lexsort((-everyone, -inside))
    order = order[everyone[order] > 0]
    kept = np.sort(order[:MAX_GROUPS])
    new = np.full(len(names), -1)
    new[kept] = np.arange(len(kept))
    return new[codes], tuple(names[k] for k in kept), len(order) - len(kept)
