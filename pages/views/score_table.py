"""All scores of all clusterings in one table, each with what it was measured on, the strict ones named apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from pages.views import cluster_labels, scores, verdict, words, wrapped
from pages.views.readers import Galaxies

NOT_MEASURED = "not measured"
STRICT, FLATTERING = "strict", "flattering"
N_QUESTIONS = 3  # of the votes, in the table of scores; the others are one step away
ABOUT = f"""
- **Strict** scores count every galaxy. **Strict silhouette**: the mean over *all* galaxies, those in no cluster
  counting 0, in the space that was clustered and in the embedding. In brackets its **null**, and the 95 % bootstrap
  interval. **Flattering**: over clustered galaxies alone, as often published; it rises when difficult galaxies are left
  out.
- **Null**: what the same space and method reach on data without groups; the lowest and the highest of several draws.
  One kind has every column of the embedding shuffled on its own, so that no two are related; the other is one even
  cloud, as long in each direction as the embedding, since any method can halve what is long (Tibshirani, Walther &
  Hastie 2001). A silhouette that is no better than the highest says nothing about the galaxies.
  `python scripts/cluster.py CATALOG --name CLUSTERING --null 20` draws more often.
- **DBCV** (Moulavi et al. 2014) asks whether dense regions are separated, −1 to 1, unclustered galaxies counting 0; for
  methods that go by density. **Calinski-Harabasz** (more is better) and **Davies-Bouldin** (less is better) leave the
  unclustered galaxies out, and are in the space that was clustered: compare them only within one space.
- **Stability**: mean adjusted Rand index over refits on the galaxies of a bootstrap sample, each once, with least sizes
  and numbers of neighbours brought to their share; a cluster is stable where its mean Jaccard similarity is at least
  {verdict.STABLE} (Hennig 2007), and dissolves in a refit where it is 0.5 or less. In the **space as it is** a refit
  gets the places that all galaxies gave it; with the **space made anew**, from the galaxies drawn, it does not, which
  is harder. `python scripts/cluster.py CATALOG --name CLUSTERING --redraws 10` measures the latter.
- **Gap** (with the sizes of every cluster): the share of its galaxies, or of the next cluster's where that is less,
  that lie denser in the embedding, nearer to their neighbours, than the way between the two. A cut through a continuum
  has about 0, crowds far from one another have 1, and a few galaxies between two crowds narrow it. However high the
  silhouette is, groups that stand apart need {verdict.WIDE_GAP}; below {verdict.GAP} around most clusters the verdict
  says that no gap parts them. What goes by density, such as HDBSCAN, leaves the sparse galaxies out, which widens gaps.
- **AMI, ARI** with the classes: 0 as by chance, 1 the same; the unclustered count as one more group. **Homogeneity**:
  is each cluster of one class; **completeness**: is each class in one cluster; neither is corrected for chance, and
  many small clusters are homogeneous by themselves. **AMI with votes**: the same with the
  answer that most volunteers gave. Measured on the galaxies that have a class, or one such answer; where the space is
  made by LDA, on those of them that it did not learn from. Classes and votes choose nothing here.
"""


def draw_table(galaxies: Galaxies) -> None:
    """The table of every clustering, and what its numbers mean."""
    if sentence := as_null_sentence(galaxies):
        st.warning(sentence, icon=":material/shuffle:")
    wrapped.draw_wrapped(score_table(galaxies), "all-scores")
    st.caption(measured_on(galaxies))
    with st.expander("What each score means"):
        st.markdown(ABOUT)
    with st.expander("Sizes and stability of every cluster"):
        st.dataframe(cluster_table(galaxies), hide_index=True)
    if len(votes := votes_table(galaxies)):
        with st.expander("Agreement with the answers to every question"):
            st.dataframe(votes, hide_index=True)
            st.caption(
                "AMI of the clusters with the answer that most volunteers gave: 0 as by chance, 1 the same. Measured on"
                " the galaxies that have one such answer; below 100 of them nothing is measured."
            )


def as_null_sentence(galaxies: Galaxies) -> str:
    """Which clusterings are no better than their null, as Markdown; empty where none is."""
    facts = [verdict.facts_of(galaxies, name) for name in galaxies.clustering_names]
    found = [f"{f.name} {scores.beside_null(f.strict, f.null)}" for f in facts if f.n_clusters > 1 and f.is_as_null]
    if not found:
        return ""
    return (
        f"**The same method finds as much structure in data without groups:** {', '.join(found)}. Such a strict"
        " silhouette says nothing about the galaxies."
    )


def score_table(galaxies: Galaxies) -> pd.DataFrame:
    """One row a score, one column a clustering; text."""
    names = galaxies.clustering_names
    columns = {name: dict(_scores_of(galaxies, name)) for name in names}
    keys = list(dict.fromkeys(key for name in names for key in columns[name]))
    table = {"score": [key[0] for key in keys], "kind": [key[1] for key in keys]}
    for name in names:
        heading = words.name_of(name)
        table[heading if heading not in table else name] = [columns[name].get(key, NOT_MEASURED) for key in keys]
    return pd.DataFrame(table)


def _scores_of(galaxies: Galaxies, clustering: str) -> list[tuple[tuple[str, str], str]]:
    """Name, kind and text of each score."""
    row, recorded = scores.score_row(galaxies, clustering), scores.recorded_scores(galaxies, clustering)
    inside, null = recorded.get("embedding") or {}, recorded.get("null") or {}
    return [
        (("fitted in", ""), row["fitted in"]),
        (("parameters", ""), parameters_of(galaxies, clustering)),
        (("clusters", ""), row["clusters"]),
        (("coverage", ""), row["coverage"]),
        (("silhouette, fitted space", STRICT), row["silhouette, strict"]),
        (("silhouette, fitted space", FLATTERING), row["silhouette, flattering"]),
        (("silhouette, embedding", STRICT), row["strict, in the embedding"] if inside else NOT_MEASURED),
        (("silhouette, embedding", FLATTERING), _text(inside.get("clustered"))),
        (("null: on data without groups", STRICT), null_text(null)),
        (("stability, space as it is", ""), stability_text(galaxies, clustering)),
        (("stability, space made anew", ""), redrawn_text(galaxies, clustering)),
        (("DBCV", STRICT), dbcv_text(recorded)),
        (("Calinski-Harabasz", FLATTERING), _number(recorded.get("calinski_harabasz"))),
        (("Davies-Bouldin", FLATTERING), _number(recorded.get("davies_bouldin"))),
        (("AMI with the classes", STRICT), _text(recorded.get("ami"))),
        (("ARI with the classes", STRICT), _text(recorded.get("ari"))),
        (("homogeneity", STRICT), _text(recorded.get("homogeneity"))),
        (("completeness", STRICT), _text(recorded.get("completeness"))),
        *(((f"AMI with votes: {text}", STRICT), value) for text, value in votes_of(galaxies, clustering)),
    ]


def votes_of(galaxies: Galaxies, clustering: str, n: int = N_QUESTIONS) -> list[tuple[str, str]]:
    """AMI with the answers to the questions that most galaxies were asked, each with the galaxies it is of."""
    votes = scores.recorded_scores(galaxies, clustering).get("votes") or {}
    known = questions_of(galaxies)[:n]
    return [
        (text, f"{scores.score_text(votes[name]['ami'])} (of {votes[name]['n_galaxies']:,})")
        for name, text in known
        if name in votes
    ]


def questions_of(galaxies: Galaxies) -> list[tuple[str, str]]:
    """Key and words of every question that a clustering was compared with, those asked of most galaxies first."""
    asked: dict[tuple[str, str], int] = {}
    for clustering in galaxies.clustering_names:
        for name, about in (scores.recorded_scores(galaxies, clustering).get("votes") or {}).items():
            survey = name[name.index(" (") :] if " (" in name else ""
            key = name, f"{about['text']}{survey}"
            asked[key] = max(asked.get(key, 0), about["n_galaxies"])
    return sorted(asked, key=lambda key: (-asked[key], key))


def votes_table(galaxies: Galaxies) -> pd.DataFrame:
    """One row a question, one column a clustering; text. Empty where no catalog's votes were compared with."""
    table: dict[str, list[str]] = {"question": [text for _, text in questions_of(galaxies)]}
    for clustering in galaxies.clustering_names if table["question"] else ():
        found = dict(votes_of(galaxies, clustering, len(table["question"])))
        heading = words.name_of(clustering)
        table[heading if heading not in table else clustering] = [
            found.get(text, NOT_MEASURED) for text in table["question"]
        ]
    return pd.DataFrame(table)


def _text(value: float | None) -> str:
    return NOT_MEASURED if value is None else scores.score_text(value)


def _number(value: float | None) -> str:
    return NOT_MEASURED if value is None else words.number(value)


def parameters_of(galaxies: Galaxies, clustering: str) -> str:
    """The numbers a clustering was made with."""
    params = galaxies.manifest.clusterings.get(clustering, {}).get("params") or {}
    numbers = {name: value for name, value in params.items() if isinstance(value, int | float)}
    return ", ".join(f"{name.replace('_', ' ')} {words.number(value)}" for name, value in numbers.items()) or "none"


def null_text(null: dict) -> str:
    """What the method finds in data without groups.

    Examples
    --------
    >>> null_text({}), null_text({"strict": 0.02, "n_clusters": 3, "coverage": 0.5})
    ('not measured', '0.020 (1 draw; 3 clusters, 50 % covered)')
    """
    if (reached := scores.null_range(null)) is None:
        return NOT_MEASURED
    each = null.get("each") or [null]
    more = []
    if found := [int(one["n_clusters"]) for one in each if one.get("n_clusters") is not None]:
        few = f"{min(found):,} to " if min(found) < max(found) else ""
        more.append(few + words.count(max(found), "cluster", "clusters"))
    if covered := [one["coverage"] for one in each if one.get("coverage") is not None]:
        low, high = (words.share(share, 1) for share in (min(covered), max(covered)))
        more.append(f"{high if low == high else f'{low} to {high}'} covered")
    draws = words.count(len(each), "draw", "draws")
    return f"{scores.null_text(reached).removeprefix('null ')} ({'; '.join([draws, ', '.join(more)])})"


def dbcv_text(recorded: dict) -> str:
    """DBCV, with the galaxies it was measured on where these are a sample.

    Examples
    --------
    >>> dbcv_text({"dbcv": 0.31, "n_dbcv": 5000, "n_galaxies": 26093}), dbcv_text({})
    ('0.310 (on a sample of 5,000)', 'not measured')
    """
    n = recorded.get("n_dbcv") or 0
    sample = f" (on a sample of {n:,})" if 0 < n < (recorded.get("n_galaxies") or 0) else ""
    return NOT_MEASURED if recorded.get("dbcv") is None else scores.score_text(recorded["dbcv"]) + sample


def redrawn_text(galaxies: Galaxies, clustering: str) -> str:
    """The same with the space made anew for each refit."""
    redrawn = scores.recorded_scores(galaxies, clustering).get("stability_redrawn") or {}
    facts = verdict.facts_of(galaxies, clustering)
    if galaxies.manifest.clusterings.get(clustering, {}).get("space") == "embedding":
        return "not made anew: the embedding itself"
    if not facts.jaccard_redrawn:
        return NOT_MEASURED
    return f"{scores.score_text(redrawn.get('ari'))} ({facts.n_stable_redrawn} of {facts.n_clusters} stable)"


def stability_text(galaxies: Galaxies, clustering: str) -> str:
    """Mean ARI over the refits and how many clusters are stable."""
    stability = scores.recorded_scores(galaxies, clustering).get("stability") or {}
    facts = verdict.facts_of(galaxies, clustering)
    if not facts.jaccard:
        return NOT_MEASURED
    return f"{scores.score_text(stability.get('ari'))} ({facts.n_stable} of {facts.n_clusters} stable)"


def measured_on(galaxies: Galaxies) -> str:
    """What the numbers of the table were measured on."""
    facts = [verdict.facts_of(galaxies, name) for name in galaxies.clustering_names]
    refits = counts_text("Stability, space as it is", {f.n_refits for f in facts})
    refits += counts_text("Space made anew", {f.n_redraws for f in facts})
    refits += counts_text("Null", {f.n_draws for f in facts}, "draw", "draws")
    samples = {
        fitted["n_reference"]
        for name in galaxies.clustering_names
        for fitted in [scores.recorded_scores(galaxies, name).get("fitted_space") or {}]
        if not fitted.get("exact", True)
    }
    sample = f" Silhouettes above {max(samples):,} galaxies are to a random sample of so many." if samples else ""
    return f"Measured on all {words.count(len(galaxies))} of {galaxies.name}.{sample}{refits}{of_fitted(galaxies)}"


def of_fitted(galaxies: Galaxies) -> str:
    """On how many galaxies stability and null were measured, where clusterings were fitted on a sample; else empty."""
    fitted = set()
    for name in galaxies.clustering_names:
        about, recorded = galaxies.manifest.clusterings.get(name, {}), scores.recorded_scores(galaxies, name)
        n_fitted = (about.get("measures") or {}).get("n_fitted")
        if n_fitted and any(recorded.get(key) for key in ("stability", "stability_redrawn", "null")):
            fitted.add(n_fitted)
    if not fitted:
        return ""
    return f" Stability and null are of the {max(fitted):,} galaxies that the clusters were fitted on."


def counts_text(what: str, counts: set[int], one: str = "refit", many: str = "refits") -> str:
    """How many refits there were, a sentence; empty for none.

    Examples
    --------
    >>> counts_text("Stability", {0, 10}), counts_text("Stability", {5, 10}), counts_text("Stability", {0})
    (' Stability: 10 refits.', ' Stability: 5 to 10 refits.', '')
    """
    counts = counts - {0}
    if not counts:
        return ""
    few = f"{min(counts):,} to " if len(counts) > 1 else ""
    return f" {what}: {few}{words.count(max(counts), one, many)}."


def cluster_table(galaxies: Galaxies) -> pd.DataFrame:
    """One row a cluster of every clustering: size, silhouette, stability."""
    lines = []
    for clustering in galaxies.clustering_names:
        labels, silhouettes = galaxies.labels(clustering), scores.silhouettes_of(galaxies, clustering)
        facts, names = verdict.facts_of(galaxies, clustering), cluster_labels.names_of(galaxies, clustering)
        inside = labels >= 0
        sizes = scores.sizes_of(labels)
        totals = np.bincount(labels[inside], silhouettes[inside])
        for label, size in sizes.items():
            jaccard, dissolved = facts.jaccard.get(label), facts.dissolved.get(label)
            lines.append(
                {
                    "clustering": words.name_of(clustering),
                    "cluster": cluster_labels.cluster_text(label, names),
                    "galaxies": size,
                    "share": words.share(size, len(labels)),
                    "mean silhouette": scores.score_text(totals[label] / size) if len(sizes) > 1 else NOT_MEASURED,
                    "mean Jaccard": _text(jaccard),
                    "dissolved": NOT_MEASURED if dissolved is None else f"{dissolved:.0f} of {facts.n_refits}",
                    "mean Jaccard, space made anew": _text(facts.jaccard_redrawn.get(label)),
                    "gap": _text(facts.gaps.get(label)),
                }
            )
    return pd.DataFrame(lines)
