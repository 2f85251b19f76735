"""Finding a rare class by answers: what share of it has been seen after 10, 20, ... answers, by four ways of choosing.

Somebody is shown galaxies and says "interesting" of those of one class; the ranking is told nothing else of the class.
Recall is the share of the class among the galaxies shown. The four ways are Galaxy Atlas's active learning, the formula
of Astronomaly (Lochner & Bassett 2021) with its random forest, the anomaly score as it is, and chance.

The first run is on the whole catalog. Each further seed leaves out a random fifth of it, so that it begins elsewhere.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from galaxy_core import active, artifacts
from galaxy_core.errors import ArtifactError

WAYS = ("active learning", "Astronomaly's formula", "anomaly score")
LEFT_OUT = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument("catalog", metavar="NAME", nargs="?", default="gz_clean5", help="a catalog (%(default)s)")
    parser.add_argument("--target", action="append", help="class that is interesting; repeatable (the rarest)")
    parser.add_argument("--column", default="class", help="column of the catalog that holds it (%(default)s)")
    parser.add_argument("--answers", type=int, default=200, help="(%(default)s)")
    parser.add_argument("--batch", type=int, default=12, help="galaxies shown at once (%(default)s)")
    parser.add_argument("--seeds", type=int, default=10, help="runs on four fifths of the catalog (%(default)s)")


def measure(options: argparse.Namespace) -> dict:
    """Recall curves of every way, on the whole catalog and over the seeds, and ratios after 100 answers."""
    vectors, anomaly, classes = _read(options.artifacts, options.catalog, options.column)
    names, sizes = np.unique(classes[classes != ""], return_counts=True)
    targets = options.target or [str(names[sizes.argmin()])]
    missing = [target for target in targets if target not in names]
    if missing:
        raise ArtifactError(f"No galaxy is {missing[0]!r} in {options.column}; choose from {', '.join(names)}.")
    numbers = {"benchmark": "unusual", "catalog": options.catalog, "n_galaxies": len(vectors), "batch": options.batch}
    return numbers | {"targets": {t: _one_target(vectors, anomaly, classes == t, t, options) for t in targets}}


def _one_target(vectors: np.ndarray, anomaly: np.ndarray, target: np.ndarray, name: str, options) -> dict:
    print(f"\n{name}: {target.sum():,} of {len(target):,} galaxies of {options.catalog}, {options.batch} at a time")
    curves: dict[str, list] = {way: [] for way in (*WAYS, "chance")}
    tops, seconds = [], []
    for seed in range(options.seeds + 1):
        rng = np.random.default_rng(seed)
        n = len(target) if seed == 0 else round((1 - LEFT_OUT) * len(target))
        kept = np.sort(rng.choice(len(target), n, replace=False))
        space, mine = active.make_space(vectors[kept], seed), target[kept]
        choosers = dict(zip(WAYS, (learn, astronomaly_chooser(vectors[kept], rng), by_score), strict=True))
        for way, choose in choosers.items():
            started = time.perf_counter()
            rows = answer(space, anomaly[kept], mine, choose, options.answers, options.batch)
            curves[way].append(np.cumsum(mine[rows]) / max(mine.sum(), 1))
            if way == WAYS[0]:
                seconds.append((time.perf_counter() - started) / (len(rows) / options.batch))
                tops.append(top_share(space, anomaly[kept], mine, rows[:100]))
        curves["chance"].append(np.arange(1, len(rows) + 1) / n)
    return _report(curves, tops, seconds, options)


def answer(space: active.Space, anomaly, target, choose: Callable, n_answers: int, size: int) -> np.ndarray:
    """Rows in the order in which they were answered, as the page asks: while few interesting galaxies are known, a
    batch is left at the first of them."""
    rows = np.zeros(0, np.int64)
    while len(rows) < min(n_answers, len(space)):
        batch = choose(space, anomaly, rows, target[rows], size)
        hits = np.flatnonzero(target[batch])
        if choose is learn and len(hits) and target[rows].sum() < active.N_EAGER:
            batch = batch[: hits[0] + 1]
        rows = np.r_[rows, batch]
    return rows[:n_answers]


def learn(space: active.Space, anomaly, rows, interesting, size: int) -> np.ndarray:
    """The next batch of `galaxy_core.active`."""
    return active.choose_batch(space, anomaly, rows, interesting, size)[0]


def by_score(space: active.Space, anomaly, rows, interesting, size: int) -> np.ndarray:
    """The most unusual galaxies that were not shown yet."""
    return best_of(anomaly, rows, size)


def astronomaly_chooser(vectors: np.ndarray, rng: np.random.Generator) -> Callable:
    """Their formula as published and with the settings of their code: a random forest of 100 trees, labels 0 and 5."""

    def choose(space: active.Space, anomaly, rows, interesting, size: int) -> np.ndarray:
        from sklearn.ensemble import RandomForestRegressor

        if len(rows) == 0:
            return best_of(anomaly, rows, size)
        forest = RandomForestRegressor(100, random_state=int(rng.integers(2**31)), n_jobs=1)
        expected = forest.fit(vectors[rows], interesting.astype(float)).predict(vectors)
        return best_of(active.lower_near(anomaly, active.nearest_answer(vectors, rows), expected), rows, size)

    return choose


def best_of(scores: np.ndarray, rows: np.ndarray, size: int) -> np.ndarray:
    """Rows of the highest scores that are not among ``rows``."""
    scores = np.nan_to_num(scores.astype(np.float64), nan=-1)
    scores[rows] = -np.inf
    return np.argsort(-scores, kind="stable")[: min(size, len(scores) - len(rows))]


def top_share(space: active.Space, anomaly, target, rows) -> float:
    """Share of a class of n galaxies among the first n of the ranking after some answers."""
    scores = active.rank_galaxies(space, anomaly, rows, target[rows])
    return float(target[np.argsort(-scores, kind="stable")[: target.sum()]].mean()) if target.any() else 0.0


def _report(curves: dict[str, list], tops: list, seconds: list, options) -> dict:
    ways = list(curves)
    print(
        f"{'answers':>8}" + "".join(f"{way:>34}" for way in ways) + "   recall [%]: whole catalog, mean (95 % of seeds)"
    )
    table = {}
    n_answers = min(map(len, curves[ways[0]]))  # of a small catalog, as many as four fifths of it take
    for n in range(10, n_answers + 1, 10):
        line, table[n] = f"{n:>8}", {}
        for way in ways:
            values = 100 * np.array([curve[n - 1] for curve in curves[way]])
            seeds = values[1:] if len(values) > 1 else values
            low, high = np.percentile(seeds, [2.5, 97.5])
            table[n][way] = {"whole": values[0], "mean": seeds.mean(), "low": low, "high": high}
            line += f"{f'{values[0]:.2f}, {seeds.mean():.2f} ({low:.2f}-{high:.2f})':>34}"
        print(line)
    n = min(100, max(table, default=0))
    ratios = {}
    for way in ways[1:] if n else ():
        here, theirs = table[n][ways[0]], table[n][way]
        ratios[way] = {k: here[k] / theirs[k] if theirs[k] else None for k in ("whole", "mean")}
        whole, mean = (f"{r:.1f} times" if r else "not comparable (none found)" for r in ratios[way].values())
        print(f"recall after {n} answers beside {way}: {whole} on the whole catalog, {mean} over the seeds")
    print(f"top of the ranking after {n} answers: {tops[0]:.1%} of the class, {np.mean(tops):.1%} over all runs")
    print(f"{1e3 * np.median(seconds):.0f} ms for a new ranking and batch")
    return {"recall_percent": table, f"ratio_after_{n}": ratios, "top_share": tops, "seconds_for_a_batch": seconds}


def _read(root, name: str, column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    manifest = artifacts.read_manifest(root, name)
    if not artifacts.has_table(manifest, "anomalies"):
        command = artifacts.mend_command(root, name, manifest)
        raise ArtifactError(f"{name} has no anomaly scores yet; measure them with `{command}`.")
    table = artifacts.read_table(root, name, "catalog")
    if column not in table:
        raise ArtifactError(f"{name} has no column {column!r}; choose another with --column.")
    _, vectors = artifacts.read_embedding(root, name, manifest.model)
    anomaly = artifacts.read_table(root, name, "anomalies")["anomaly"].to_numpy()
    return vectors, anomaly, table[column].fillna("").astype(str).to_numpy(dtype=object)
