"""What two clusterings say, in three plain sentences computed from their numbers."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from galaxy_core import cluster_agreement
from galaxy_core.cluster_gaps import measure_gaps
from galaxy_core.errors import ArtifactError
from pages.views import cluster_labels, frame, readers, scores, words
from pages.views.readers import Galaxies

STABLE = 0.75
"""Mean Jaccard similarity over refits from which a cluster counts as stable (Hennig 2007)."""

REAL, WEAK, CONTINUUM, UNTESTED, NOTHING = "real", "weak", "continuum", "untested", "nothing"
NO_STRUCTURE = 0.25
"""Up to this silhouette there is no substantial structure, from 0.5 on a reasonable one (Kaufman & Rousseeuw 1990)."""

REASONABLE = 0.5

GAP, WIDE_GAP = 0.5, 0.7
"""From what depth of the valley between two clusters there is a gap at all, and a wide one. At 500 to 4,000 simulated
galaxies, half of the clusters that are cut out of a continuum stay below 0.3; where it is curled up tightly in many
dimensions they reach 0.5. Of five groups four widths apart half have 0.4 to 0.7, at five widths 0.6 to 0.9."""

HELP = (
    "**Stable**: the cluster comes back when about two thirds of the galaxies, drawn at random, are clustered anew;"
    " otherwise it dissolves. **Silhouette**: how much nearer galaxies lie to their own cluster than to the next, 1 far"
    " nearer, 0 no nearer. **Null**: the silhouette that the same method reaches on data made without groups; one that"
    " is no higher says nothing. **Gap**: by how much fewer galaxies lie somewhere between two clusters, in the"
    " embedding, than on either side; where there is none, groups run into or bend around one another, or a continuum"
    " was cut up. **Adjusted Rand index**: 1 where two clusterings group galaxies alike, 0 as by chance."
)


@dataclass(frozen=True)
class Facts:
    """What the verdict on one clustering rests on.

    Attributes
    ----------
    name, space : str
        As people write them.
    n_galaxies, n_clustered, n_clusters : int
    strict, strict_low : float
        Strict silhouette in the fitted space, and the lower end of its interval.
    null : tuple of float or None
        The lowest and highest that the same method reaches on data without groups; None where that was not measured.
    strict_embedding : float or None
        The same clusters in the embedding, where they were fitted in another space.
    n_refits : int
        0 where stability was not measured.
    jaccard, dissolved : dict of int to float
        Mean Jaccard similarity of each cluster over the refits, and in how many it dissolved (0.5 or less).
    null_embedding : tuple of float or None
        As ``null``, in the embedding.
    n_draws : int
        How often data were drawn for these; 0 where that is not told.
    n_redraws, jaccard_redrawn, dissolved_redrawn : int, dict of int to float
        The same as of the refits, where the space was made anew for each of them.
    names : dict of int to str
        Names that people gave to clusters.
    why_nothing : str
        Why there is no cluster, where there is none.
    gaps : dict of int to float
        `galaxy_core.cluster_gaps.measure_gaps`; empty where that cannot be measured.
    """

    name: str
    space: str
    n_galaxies: int
    n_clustered: int
    n_clusters: int
    strict: float
    strict_low: float
    null: tuple[float, float] | None = None
    strict_embedding: float | None = None
    n_refits: int = 0
    jaccard: dict[int, float] = field(default_factory=dict)
    dissolved: dict[int, float] = field(default_factory=dict)
    null_embedding: tuple[float, float] | None = None
    n_draws: int = 0
    n_redraws: int = 0
    jaccard_redrawn: dict[int, float] = field(default_factory=dict)
    dissolved_redrawn: dict[int, float] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    why_nothing: str = scores.NO_CROWD
    gaps: dict[int, float] = field(default_factory=dict)

    @property
    def n_stable(self) -> int:
        """Clusters that come back in the refits."""
        return sum(value >= STABLE for value in self.jaccard.values())

    @property
    def n_stable_redrawn(self) -> int:
        """Clusters that come back when their space is made anew."""
        return sum(value >= STABLE for value in self.jaccard_redrawn.values())

    @property
    def n_lasting(self) -> int:
        """Clusters that come back in every kind of refit that was tried."""
        tried = [values for values in (self.jaccard, self.jaccard_redrawn) if values]
        return sum(all(values.get(k, 0) >= STABLE for values in tried) for k in tried[0]) if tried else 0

    @property
    def is_tested(self) -> bool:
        """Whether stability of any kind was measured."""
        return bool(self.jaccard or self.jaccard_redrawn)

    @property
    def is_as_null(self) -> bool:
        """Whether data without groups do as well, within the interval: the draw that did best."""
        return self.null is not None and self.strict_low <= self.null[1]

    @property
    def is_cut(self) -> bool:
        """Whether there is no gap between most of the clusters, so that they may part a continuum."""
        return bool(self.gaps) and sum(gap >= GAP for gap in self.gaps.values()) < len(self.gaps) / 2


def facts_of(galaxies: Galaxies, clustering: str) -> Facts:
    """Collect them from the manifest and the labels."""
    recorded, labels = scores.recorded_scores(galaxies, clustering), galaxies.labels(clustering)
    strict = scores.strict_mean(galaxies, clustering)
    interval = (recorded.get("fitted_space") or {}).get("strict_interval")
    stability, null = recorded.get("stability") or {}, recorded.get("null") or {}
    redrawn = recorded.get("stability_redrawn") or {}
    space = str(galaxies.manifest.clusterings.get(clustering, {}).get("space", ""))
    inside = (recorded.get("embedding") or {}).get("strict")
    return Facts(
        name=words.name_of(clustering),
        space=words.space_of(space),
        n_galaxies=len(labels),
        n_clustered=int((labels >= 0).sum()),
        n_clusters=len(np.unique(labels[labels >= 0])),
        strict=strict,
        strict_low=float(interval[0]) if interval else strict,
        null=scores.null_range(null),
        n_draws=len(null.get("each") or [null]) if null else 0,
        strict_embedding=None if space == "embedding" else inside,
        n_refits=int(stability.get("n_refits") or 0),
        jaccard=_by_label(stability.get("jaccard")),
        dissolved=_by_label(stability.get("dissolved")),
        null_embedding=scores.null_range(null, "strict_embedding"),
        n_redraws=int(redrawn.get("n_refits") or 0),
        jaccard_redrawn=_by_label(redrawn.get("jaccard")),
        dissolved_redrawn=_by_label(redrawn.get("dissolved")),
        names=cluster_labels.names_of(galaxies, clustering),
        why_nothing=scores.why_nothing(galaxies, clustering),
        gaps=gaps_of(galaxies, clustering),
    )


def gaps_of(galaxies: Galaxies, clustering: str) -> dict[int, float]:
    """The gap around each cluster; measured once, and not where the embedding would fill the memory."""
    key = ("gaps", clustering)
    if key not in galaxies.memory:
        galaxies.memory[key] = {}
        with suppress(ArtifactError):
            if isinstance(vectors := readers.vectors(galaxies), np.ndarray):
                galaxies.memory[key] = measure_gaps(galaxies.labels(clustering), vectors)
    return galaxies.memory[key]


def _by_label(values: dict | None) -> dict[int, float]:
    return {int(label): float(value) for label, value in (values or {}).items() if value is not None}


def judge(facts: Facts) -> str:
    """One of `REAL`, `WEAK`, `CONTINUUM`, `UNTESTED`, `NOTHING`.

    A continuum is what there is when the same method does as well on data without groups, when fewer than half of the
    clusters come back in refits (in the space as it is and, where that was tried, in one made anew), or when the
    silhouette shows no substantial structure. Separate groups also have a wide gap around each: a bent continuum is
    parted better than any even cloud, and its parts come back. No gap alone is no continuum, as groups that bend around
    one another have none.
    """
    if facts.n_clusters < 2:
        return NOTHING
    unstable = facts.is_tested and facts.n_lasting < facts.n_clusters / 2
    if unstable or facts.is_as_null or not facts.strict > NO_STRUCTURE:
        return CONTINUUM
    if not facts.is_tested or facts.null is None or not facts.gaps:
        return UNTESTED
    apart = facts.n_lasting == facts.n_clusters and min(facts.gaps.values()) >= WIDE_GAP
    return REAL if apart and facts.strict > REASONABLE else WEAK


MEANING = {
    REAL: "these are separate groups with blurred edges",
    WEAK: "groups that can be found again, but run into one another",
    CONTINUUM: "the galaxies form a continuum, and these borders cut through it",
}

SOME = "some of these groups can be found again, and they run into one another"


def sentence_of(facts: Facts) -> str:
    """The verdict on one clustering."""
    found = words.count(facts.n_clusters, "cluster", "clusters")
    covered = words.share(facts.n_clustered, facts.n_galaxies)
    if facts.n_clusters == 0:
        return f"{facts.name} found no cluster: {facts.why_nothing}."
    if facts.n_clusters == 1:
        return f"{facts.name} finds a single cluster, of {covered} of the galaxies: there is nothing to separate."
    text = f"{facts.name} finds {found} holding {covered} of the galaxies; {stability_text(facts)};"
    beside = scores.beside_null(facts.strict, facts.null, n_draws=facts.n_draws)
    text += f" the strict silhouette in {facts.space} is {beside}"
    if facts.strict_embedding is not None:
        text += f", in the embedding itself {scores.score_text(facts.strict_embedding)}"
        text += "" if facts.null_embedding is None else f" ({scores.null_text(facts.null_embedding)})"
    as_null = (
        " the same method finds as much structure in data without groups (the null), so" if facts.is_as_null else ""
    )
    parted = "the two" if facts.n_clusters == 2 else "most of them"
    cut = f"; in the embedding no gap parts {parted}" if facts.is_cut and not facts.is_as_null else ""
    return f"{text}:{as_null} {meaning_of(facts)}{cut}."


def meaning_of(facts: Facts) -> str:
    """The judgement in words, the end of a sentence."""
    judged = judge(facts)
    if judged == UNTESTED:
        apart = "groups that stand apart there" if facts.strict > REASONABLE else "groups that run into one another"
        missing = "what data without groups would give" if facts.is_tested else "whether they would come back"
        missing = "whether a gap parts them" if facts.is_tested and facts.null is not None else missing
        return f"{apart}; {missing} is not measured"
    return SOME if judged == WEAK and facts.n_lasting < facts.n_clusters else MEANING[judged]


def stability_text(facts: Facts) -> str:
    """How many clusters are stable, and which one dissolves most often.

    Examples
    --------
    >>> jaccard, dissolved = {0: 0.9, 1: 0.8, 2: 0.4}, {0: 0, 1: 1, 2: 7}
    >>> stability_text(Facts("k", "s", 9, 9, 3, 0.4, 0.4, None, None, 10, jaccard, dissolved))
    '2 of 3 are stable and cluster 2 dissolves in 7 of 10 refits'
    """
    redrawn = f"{facts.n_stable_redrawn} of {facts.n_clusters} {'is' if facts.n_stable_redrawn == 1 else 'are'} stable"
    redrawn = f"with the space made anew for each refit {redrawn}" if facts.jaccard_redrawn else ""
    if not facts.jaccard:
        return redrawn or "their stability is not measured"
    text = f"{facts.n_stable} of {facts.n_clusters} {'is' if facts.n_stable == 1 else 'are'} stable"
    if facts.n_stable == facts.n_clusters:
        text = "all of them are stable" if facts.n_clusters > 2 else "both are stable"
    worst = max(facts.dissolved, key=facts.dissolved.get, default=None)
    if worst is not None and facts.dissolved[worst] >= 1 and facts.n_refits:
        often = f"{facts.dissolved[worst]:.0f} of {words.count(facts.n_refits, 'refit', 'refits')}"
        text += f" and {cluster_labels.cluster_text(worst, facts.names)} dissolves in {often}"
    link = "but" if facts.n_stable_redrawn < facts.n_stable else "and"
    return f"{text}, {link} {redrawn}" if redrawn else text


def sentence_of_pair(galaxies: Galaxies, first: str, second: str) -> str:
    """How far two clusterings agree; counted once for each pair."""
    key = ("agreement", first, second)
    if key not in galaxies.memory:
        labels = galaxies.labels(first), galaxies.labels(second)
        shares = cluster_agreement.agreeing_share(*labels), cluster_agreement.chance_share(*labels)
        n_both = int(((labels[0] >= 0) & (labels[1] >= 0)).sum())
        galaxies.memory[key] = *shares, scores.agreement(*labels), n_both
    share, chance, rand, n_both = galaxies.memory[key]
    if not n_both:
        return f"No galaxy of this catalog has a cluster in both {words.name_of(first)} and {words.name_of(second)}."
    how = "much alike" if rand > 0.65 else "partly alike" if rand > 0.3 else "quite differently"
    text = (
        f"{words.name_of(first)} and {words.name_of(second)} agree on {words.share(share, 1)} of the"
        f" {words.count(len(galaxies))} (about {words.share(chance, 1)} by chance), each cluster matched with at most"
        " one of the other"
    )
    if not np.isfinite(rand):
        return f"{text}."
    return (
        f"{text}; they group the {n_both:,} that have a cluster in both {how} (adjusted Rand index"
        f" {scores.score_text(rand)}; 1 alike, 0 as by chance)."
    )


def sentences(galaxies: Galaxies, first: str, second: str) -> list[str]:
    """One sentence for each clustering, and one for the two together; as Markdown."""
    facts = [facts_of(galaxies, name) for name in dict.fromkeys((first, second))]
    plain = [replace(f, names={label: frame.plain(name) for label, name in f.names.items()}) for f in facts]
    said = [sentence_of(f) for f in plain]
    return said if first == second else [*said, sentence_of_pair(galaxies, first, second)]


def overall(galaxies: Galaxies, first: str, second: str) -> str:
    """The two judgements in a few words, for the head of the verdict; empty where they say different things."""
    said, alone = {judge(facts_of(galaxies, name)) for name in (first, second)}, first == second
    if said == {CONTINUUM}:
        return f"A continuum: {'this' if alone else 'neither'} clustering finds {'no ' * alone}groups that stand apart."
    if said == {REAL}:
        return f"{'This clustering finds' if alone else 'Both clusterings find'} groups that stand apart."
    return ""
