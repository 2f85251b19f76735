"""How names and numbers read on the pages: one name for one thing, three significant digits, units beside them."""

from __future__ import annotations

import math
import re

from galaxy_core.clustering import UNCLUSTERED
from galaxy_core.counting import count as count  # for the pages, as words.count
from galaxy_core.galaxy_zoo import read_vote
from galaxy_core.percent import percent

NAMES = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA", "lda": "LDA", "hdbscan": "HDBSCAN", "kmeans": "k-means"}
NAMES |= {"dbscan": "DBSCAN", "gmm": "Gaussian mixture", "agglomerative": "Agglomerative"}
MAP_HELP = {
    "umap": "UMAP keeps close galaxies close. Distances between far groups, and the axes themselves, mean nothing.",
    "tsne": "t-SNE keeps close galaxies close. Sizes of groups and gaps between them, and the axes, mean nothing.",
    "pca": "Principal components: the two directions along which the galaxies differ most. Distances are real, but most"
    " directions are left out.",
    "lda": "Linear discriminants: directions that set the known classes furthest apart, fitted on training galaxies."
    " It uses the classes, so it shows how separable they are, not whether they would be found.",
}
ARBITRARY_AXES = ("umap", "tsne")


def name_of(key: str) -> str:
    """Name of a map or clustering as people write it.

    Examples
    --------
    >>> name_of("tsne"), name_of("kmeans_8_umap"), name_of("hdbscan_fine"), name_of("umap_10")
    ('t-SNE', 'k-means (8 UMAP)', 'HDBSCAN (fine)', 'UMAP (10)')
    """
    stem, _, rest = key.partition("_")
    name = NAMES.get(stem, stem.replace("-", " "))
    return f"{name} ({' '.join(NAMES.get(word, word) for word in rest.split('_'))})" if rest else name


def space_of(space: str) -> str:
    """Name of the space something was fitted in.

    Examples
    --------
    >>> space_of("umap_10"), space_of("embedding")
    ('a UMAP of 10 dimensions', 'the embedding')
    >>> space_of("umap_2_of_pca_16")
    'a UMAP of 2 dimensions of a PCA of 16 dimensions'
    >>> space_of("umap_5_of_smoothed_32,n_neighbors=30,n_steps=1")
    'a UMAP of 5 dimensions of a smoothed embedding of 32 dimensions (n_neighbors=30, n_steps=1)'
    """
    parts = []
    for stage in (space or "").split("_of_"):
        match = re.fullmatch(r"([a-z]+)_(\d+)(,.*)?", stage)
        if match is None:
            return f"the {space}" if space in ("embedding", "") or " " not in space else space
        name = "smoothed embedding" if match[1] == "smoothed" else NAMES.get(match[1], match[1])
        options = f" ({match[3][1:].replace(',', ', ')})" if match[3] else ""
        parts.append(f"a {name} of {match[2]} dimensions{options}")
    return " of ".join(parts)


def ordinal(number: int) -> str:
    """A place in an order.

    Examples
    --------
    >>> [ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)]
    ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '21st', '102nd', '111th']
    """
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def cluster_name(label: int) -> str:
    """Name of a cluster.

    Examples
    --------
    >>> cluster_name(3), cluster_name(-1)
    ('cluster 3', 'unclustered')
    """
    return "unclustered" if label == UNCLUSTERED else f"cluster {label}"


def column_name(column: str) -> str:
    """A column's name without underscores; units at the end go into brackets. Votes read as on a galaxy's card.

    Examples
    --------
    >>> column_name("radius_arcsec"), column_name("clump-count_5-plus"), column_name("t01_smooth")
    ('radius [arcsec]', 'clump count: 5 plus', 't01 smooth')
    >>> column_name("Class7.3"), column_name("bar-dr5_no"), column_name("t06_odd_a14_yes_debiased")
    ('How rounded is it? cigar shaped', 'A bar through the centre? no bar (dr5)', 'Anything odd? something odd (debiased)')
    """  # noqa: E501
    if vote := read_vote(column):
        about, form = vote
        aside = ", ".join(part for part in (about.survey, form) if part)
        return f"{about.question_text} {about.answer_text}" + (f" ({aside})" if aside else "")
    match = re.fullmatch(r"(.+)_(arcsec|deg|px|mag|counts|kpc|mpc)", column)
    if match:
        return f"{match[1].replace('_', ' ')} [{match[2]}]"
    if "-" in column and "_" in column:
        question, _, answer = column.rpartition("_")
        return f"{question} : {answer}".replace("-", " ").replace(" :", ":").replace("_", " ")
    return column.replace("_", " ")


def number(value: float, digits: int = 3) -> str:
    """A number with three significant digits; whole numbers in full.

    Examples
    --------
    >>> number(0.39142), number(26093), number(1234.5), number(0.0000123), number(float("nan"))
    ('0.391', '26,093', '1,230', '1.23e−05', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return minus(f"{int(value):,}")
    if not 1e-3 <= abs(value) < 1e6:
        return minus(f"{value:.{digits}g}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return minus(f"{round(value, digits - 1 - math.floor(math.log10(abs(value)))):,.{decimals}f}")


def minus(number: str) -> str:
    """A number with the sign for minus, as long as that for plus, in place of a hyphen.

    Examples
    --------
    >>> minus("-1.93 %")
    '−1.93 %'
    """
    return number.replace("-", "−")


def ends(low: float, high: float) -> tuple[str, str]:
    """The two ends of a range, with as many digits as tell them apart.

    Examples
    --------
    >>> ends(0.5, 8.96), ends(2459000.6, 2459004.95), ends(5.0, 5.0)
    (('0.500', '8.96'), ('2459000.6', '2459005'), ('5', '5'))
    """
    digits = digits_between(low, high)
    return number(low, digits), number(high, digits)


def digits_between(low: float, high: float) -> int:
    """Significant digits that tell numbers of a range apart: three of the range itself.

    Examples
    --------
    >>> digits_between(0, 9), digits_between(59000.5, 59001.1)
    (3, 7)
    """
    shared = max(1.0, max(abs(low), abs(high)) / abs(high - low)) if low != high else 1.0
    return 3 + math.floor(math.log10(shared))


def in_full(value: float) -> str:
    """A number as a catalog gives it: six significant digits, and three decimals of what is larger.

    Examples
    --------
    >>> [in_full(value) for value in (21.3456789, 59000.517, 1000.0001, 26093.0, 1.23e-17, float("nan"))]
    ['21.3457', '59,000.517', '1,000', '26,093', '1.23e-17', '–']
    """
    if not math.isfinite(value) or (float(value).is_integer() and abs(value) < 1e15):
        return number(value)
    return f"{value:,.3f}".rstrip("0").rstrip(".") if 1e3 <= abs(value) < 1e12 else f"{value:.6g}"


def share(part: float, whole: float) -> str:
    """A share in percent.

    Examples
    --------
    >>> share(1, 3), share(1999, 2000)
    ('33.3 %', 'over 99.9 %')
    """
    return percent(part, whole)
