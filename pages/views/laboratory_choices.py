"""What the laboratory is asked: method, space and parameters, as an astronomer names them."""

from __future__ import annotations

import streamlit as st

from galaxy_core import laboratory_limits, laboratory_work
from galaxy_core.clustering import DENSITY_METHODS, default_min_cluster_size
from galaxy_core.spaces import EMBEDDING
from galaxy_core.steps import classes_of
from pages.views import readers, words
from pages.views.readers import Galaxies

METHODS = {
    "hdbscan": "HDBSCAN",
    "kmeans": "k-means",
    "dbscan": "DBSCAN",
    "agglomerative": "Agglomerative",
    "gmm": "Gaussian mixture",
}
METHOD_HELP = (
    "HDBSCAN and DBSCAN look for crowded regions and leave galaxies between them unclustered. k-means, agglomerative"
    " clustering and Gaussian mixtures give every galaxy one of as many clusters as you ask for."
)
SPACES = {"embedding": "the embedding", "pca": "PCA", "umap": "UMAP", "tsne": "t-SNE", "lda": "LDA"}
SPACE_HELP = (
    "Where distances are measured. UMAP and t-SNE pull groups apart, and some of the gaps they show are their own; LDA"
    " knows the classes, and shows how separable they are rather than whether they would be found."
)
SELECTIONS = {"eom": "the most persistent", "leaf": "the finest"}
LINKAGES = {
    "ward": "least spread (Ward)",
    "average": "mean distance",
    "complete": "largest distance",
    "single": "least distance",
}
COVARIANCES = {
    "full": "own shape and tilt",
    "tied": "one shape for all",
    "diag": "along the axes",
    "spherical": "round",
}
SWEPT = {"hdbscan": "min_cluster_size", "kmeans": "n_clusters", "agglomerative": "n_clusters", "gmm": "n_clusters"}
SWEPT_SHARES = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05)


def draw_choices(galaxies: Galaxies, sweeping: bool) -> dict:
    """The widgets of method, space and parameters; what they say, as settings of `galaxy_core.cluster_steps`."""
    methods = [method for method in METHODS if method in SWEPT or not sweeping]
    places = iter(st.columns([1.3, 1.5, 1, 1.2, 1.2, 1.2], vertical_alignment="bottom", gap="small"))
    with next(places):
        method = st.selectbox(
            "Method", methods, format_func=METHODS.get, help=METHOD_HELP, **_kept("method", methods, methods[0])
        )
    space = _draw_space(galaxies, places)
    params = _draw_params(galaxies, method, sweeping, places)
    if method == "agglomerative":
        params["n_sample"] = laboratory_limits.largest_merged(_n_features(galaxies, space))
    return {"method": method, "space": space, "params": params}


def _kept(name: str, options=None, default=None) -> dict:
    """Key of a widget that has its value of before when the panel is opened again."""
    key, kept = f"lab-{name}", st.session_state.setdefault("laboratory-kept", {})
    if key not in st.session_state:
        value = kept.get(key, default)
        st.session_state[key] = default if options is not None and value not in options else value
    elif options is not None and st.session_state[key] not in options:
        st.session_state[key] = default
    return {"key": key, "on_change": lambda: kept.update({key: st.session_state[key]})}


def _draw_space(galaxies: Galaxies, places) -> str:
    """The space to cluster in; a stored UMAP to begin with, where there is one."""
    stored = laboratory_work.stored_spaces(galaxies.manifest)
    plain = [kind for kind in SPACES if kind != "lda" or classes_of(galaxies.catalog) is not None]
    others = [space for space in stored if "," in space or "_of_" in space or space.split("_")[0] not in SPACES]
    names = {**SPACES, **{space: words.space_of(space) for space in others}}
    kinds = [*plain, *others]
    begin = "umap" if any(space.startswith("umap_") and space not in others for space in stored) else EMBEDDING
    with next(places):
        kind = st.selectbox("Space", kinds, format_func=names.get, help=SPACE_HELP, **_kept("space", kinds, begin))
    if kind in others or kind == EMBEDDING:
        return kind
    default = next((int(s.split("_")[1]) for s in stored if s.startswith(f"{kind}_") and s not in others), 10)
    default = {"pca": 20, "tsne": 2, "lda": 4}.get(kind, default)
    most = {"pca": _n_features(galaxies, EMBEDDING), "tsne": 2, "lda": 20, "umap": 50}[kind]
    with next(places):
        number = st.number_input(
            "Dimensions",
            1,
            most,
            step=1,
            disabled=kind == "tsne",
            **_kept(f"dimensions-{kind}-{most}", None, min(default, most)),  # with another limit Streamlit forgets it
        )
    return f"{kind}_{number}"


def _n_features(galaxies: Galaxies, space: str) -> int:
    return laboratory_limits.n_features_of(space, readers.embedding(galaxies).shape[1])


def _draw_params(galaxies: Galaxies, method: str, sweeping: bool, place) -> dict:
    """The parameters of a method, without the one that a sweep goes over."""
    params: dict = {}
    takes_k = method in ("kmeans", "agglomerative", "gmm")
    if takes_k and not sweeping:
        with next(place):
            params["n_clusters"] = _number("Clusters k", "k", 8, 1, "How many clusters it shall make.")
    if method == "hdbscan":
        if not sweeping:
            default = default_min_cluster_size(len(galaxies))
            text = "Fewer galaxies than that are no cluster: the smallest group you would call a population."
            with next(place):
                params["min_cluster_size"] = _number("Least galaxies", f"least-{galaxies.name}", default, 2, text)
        with next(place):
            text = "Density is measured by the distance to so many neighbours; more gives smoother, fewer clusters."
            params["min_samples"] = _number("Neighbours", "neighbours", 10, 1, text)
        with next(place):
            params["cluster_selection_method"] = st.selectbox(
                "Clusters taken", SELECTIONS, format_func=SELECTIONS.get, **_kept("selection", SELECTIONS, "eom"),
                help="Of the tree of clusters within clusters: those that persist over most densities, or its leaves.",
            )  # fmt: skip
    elif method == "kmeans":
        with next(place):
            params["n_init"] = _number("Starts", "starts", 3, 1, "From other centres each; the best is kept.")
    elif method == "agglomerative":
        with next(place):
            params["linkage"] = st.selectbox(
                "Merged by", LINKAGES, format_func=LINKAGES.get, **_kept("linkage", LINKAGES, "ward")
            )
    elif method == "gmm":
        with next(place):
            params["covariance"] = st.selectbox(
                "Components are", COVARIANCES, format_func=COVARIANCES.get, **_kept("covariance", COVARIANCES, "full")
            )
    elif method == "dbscan":
        with next(place):
            text = (
                "Galaxies closer than this are neighbours. Empty: the bend of the k-distance curve, shown afterwards."
            )
            params["eps"] = st.number_input(
                "Radius eps", 0.0, placeholder="suggested", format="%.4g", help=text, **_kept("eps")
            )
        with next(place):
            text = "So many galaxies within the radius make a region dense. Empty: twice the number of dimensions."
            params["min_samples"] = st.number_input(
                "Galaxies within", 2, step=1, placeholder="suggested", help=text, **_kept("within")
            )
    return params


def _number(label: str, name: str, default: int, least: int, text: str) -> int:
    return st.number_input(label, least, step=1, help=text, **_kept(name, None, default))


def default_values(galaxies: Galaxies, method: str) -> str:
    """The values a sweep begins with.

    Examples
    --------
    >>> default_values(range(26093), "kmeans"), default_values(range(26093), "hdbscan")
    ('2..20', '52,130,261,522,783,1305')
    """
    if SWEPT[method] == "n_clusters":
        return "2..20"
    return ",".join(map(str, sorted({max(5, round(len(galaxies) * share)) for share in SWEPT_SHARES})))


def draw_values(galaxies: Galaxies, method: str) -> str:
    """The values of a sweep, as text."""
    name = f"values-{galaxies.name}-{SWEPT[method]}"
    label = "Numbers of clusters k" if SWEPT[method] == "n_clusters" else "Least galaxies of a cluster"
    return st.text_input(
        label,
        help="2..20 is every number from 2 to 20, 100..500:50 goes in steps of 50, and 50,100,200 names each.",
        width=320,
        **_kept(name, None, default_values(galaxies, method)),
    )


def what_is_clustered(galaxies: Galaxies, settings: dict) -> str:
    """How many galaxies are clustered where, before it is done."""
    method, space, n = settings["method"], settings["space"], len(galaxies)
    stored, n_features = laboratory_work.stored_spaces(galaxies.manifest), _n_features(galaxies, space)
    limit = laboratory_limits.largest_sample(method, space, n_features, space in stored)
    where = f"{METHODS[method]} in {words.space_of(space)}"
    if n > limit:
        laid = "" if space in stored or space == EMBEDDING else ", which is laid out first"
        text = (
            f"{where}{laid}: a random sample of {limit:,} of the {words.count(n)}, so that it takes about 10 seconds."
        )
        if method in DENSITY_METHODS:
            text += " Least sizes and numbers of neighbours are those of the whole catalog, and brought to its share."
    elif method == "agglomerative" and n > settings["params"]["n_sample"]:
        text = (
            f"{where}: a random sample of {settings['params']['n_sample']:,} of the {words.count(n)} is merged; every"
            " other galaxy joins the cluster of its nearest neighbour in the sample."
        )
    else:
        text = f"{where}: all {words.count(n)}."
    return text
