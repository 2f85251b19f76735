"""What the scripts of the pipeline show: progress bars with rates, a table of what was made, headline numbers."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from galaxy_core.artifacts import root_of
from galaxy_core.counting import count
from galaxy_core.errors import ArtifactError, GalaxyError
from galaxy_core.percent import percent
from galaxy_core.sampling import fitted_words

_UNITS = {
    "images": "galaxy",
    "projections": "map",
    "clusters": "clustering",
    "trust": "map",
    "layers": "map",
    "sweep": "fit",
    "redraws": "refit",
    "upload": "file",
}


def artifacts_folder(text: str) -> Path:
    """The type of ``--artifacts``: a folder, or the local folder of an address such as ``s3://bucket/artifacts``."""
    try:
        return root_of(text)
    except GalaxyError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def check_output(path: Path | None) -> None:
    """Raise `ArtifactError`, before hours of work, where no file can be written that is named for its result."""
    if path is None:
        return
    if path.is_dir():
        raise ArtifactError(f"Cannot write {path}: it is a folder; name a file in it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ArtifactError(f"Cannot write {path}: {error.strerror}; choose a folder you may write to.") from error


class Bars:
    """One progress bar a step; ``progress`` is what the pipeline calls."""

    def __init__(self) -> None:
        self.name, self.bar = "", None

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def progress(self, step: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` of a step are done."""
        if step != self.name:
            from tqdm import tqdm

            self.__exit__()
            unit = _UNITS.get(step, "galaxy")
            self.name, self.bar = (
                step,
                tqdm(
                    total=total,
                    initial=done,
                    desc=f"{step:12}",
                    unit=f" {unit}",
                    mininterval=0.5 if sys.stderr.isatty() else 1,
                    dynamic_ncols=True,
                ),
            )
        self.bar.update(done - self.bar.n)


def print_made(result) -> None:
    """A table of files and of the seconds each step took."""
    groups: dict[str, list[dict]] = {}
    for path, entry in result.manifest.files.items():
        groups.setdefault(path.rsplit("/part-", 1)[0], []).append(entry)
    print(f"\n{'file':40} {'rows':>10} {'parts':>6} {'size':>10}")
    for path, entries in sorted(groups.items()):
        rows, size = sum(entry["rows"] for entry in entries), sum(entry["bytes"] for entry in entries)
        print(f"{path:40} {rows:>10,} {len(entries):>6,} {size / 2**20:>7.2f} MB")
    print(f"\n{'step':40} {'seconds':>12}")
    for step in result.steps:
        print(f"{step.name:40} {'made earlier' if step.reused else f'{step.seconds:,.1f}':>12}")
    print(f"{'total':40} {sum(step.seconds for step in result.steps if not step.reused):>12,.1f}\n")


def print_headlines(manifest) -> None:
    """The numbers that matter, with what each was measured on."""
    print(f"{manifest.name}: {count(manifest.n_galaxies)}, embedding by {manifest.model}")
    for name, clustering in manifest.clusterings.items():
        scores = clustering["scores"]
        if scores["n_clusters"] < 2:
            print(f"{name}: {without_groups(scores)} in {clustering['space']}")
            continue
        fitted, embedded = scores["fitted_space"], scores["embedding"]
        low, high = fitted["strict_interval"]
        print(
            f"{name}: {scores['n_clusters']} clusters hold {percent(scores['coverage'])} of all galaxies; strict"
            f" silhouette {fitted['strict']:.3f} [{low:.3f}, {high:.3f}] in {clustering['space']}, over all galaxies"
            + (f", {embedded['strict']:.3f} in the embedding" if clustering["space"] != "embedding" else "")
            + (f"; AMI with the classes {scores['ami']:.3f}" if scores["ami"] is not None else "")
            + tests_of(scores)
        )
    print_trust(manifest)
    agreement = manifest.config["steps"]["neighbors"]["result"]["class_agreement"]
    if agreement is not None:
        print(
            f"neighbours: {percent(agreement)} of the 12 nearest share the galaxy's class, over all galaxies with one"
        )
    for sentence in manifest.report[1:]:
        print(f"note: {sentence}")


def without_groups(scores: dict) -> str:
    """What a clustering found that has no silhouette."""
    if not scores["n_clusters"]:
        return "no cluster found"
    return f"a single cluster of {percent(scores['coverage'])} of all galaxies, so nothing to tell apart,"


def tests_of(scores: dict) -> str:
    """Stability and the null of a clustering as the end of a sentence; empty where not measured."""
    words = ""
    stability, null = scores.get("stability"), scores.get("null")
    if stability and stability["ari"] is not None:
        kept = [value for value in stability["jaccard"].values() if value is not None]
        words += f"; {stability['n_refits']} refits on bootstrap samples agree with it by an ARI of"
        words += f" {stability['ari']:.3f}, its least stable cluster by a Jaccard coefficient of {min(kept):.2f}"
    redrawn = scores.get("stability_redrawn")
    if redrawn and redrawn["ari"] is not None:
        words += f"; {redrawn['n_refits']} refits with the space made anew agree by an ARI of {redrawn['ari']:.3f}"
    if null:
        tried = len(null.get("each", [null]))
        found = count(null["n_clusters"], "cluster", "clusters")
        words += f"; on data without groups it finds {found} with {percent(null['coverage'])} of"
        words += f" all galaxies and a strict silhouette of {null['strict']:.3f}"
        words += f", the highest of {tried} draws" if tried > 1 else ", in one draw"
    return words


def print_sweep(fits, notes: list[str]) -> None:
    """A line for each fit of a sweep, and the value at which the strict silhouette is highest."""
    space, method, parameter = fits.loc[0, ["space", "method", "parameter"]]
    print(f"\n{method} in {space}: strict silhouette over all galaxies, with its 95 % interval")
    print(f"{parameter:>24} {'seed':>6} {'clusters':>9} {'coverage':>12} {'strict':>8} {'interval':>16} {'AMI':>7}")
    for fit in fits.itertuples():
        parted = fit.n_clusters > 1  # else there is nothing to tell apart, and no silhouette
        strict = f"{fit.strict:.3f}" if parted else "-"
        interval = f"{fit.strict_low:.3f} to {fit.strict_high:.3f}" if parted else "-"
        ami = f"{fit.ami:.3f}" if parted and fit.ami == fit.ami else "-"
        numbers = f"{fit.n_clusters:>9} {percent(fit.coverage):>12} {strict:>8} {interval:>16} {ami:>7}"
        print(f"{fit.value:>24g} {fit.seed:>6} {numbers}")
    means = fits[fits["n_clusters"] > 1].groupby("value")["strict"].mean()
    if len(means):
        print(f"The strict silhouette is highest, {means.max():.3f}, at {parameter} = {means.idxmax():g}.")
    else:
        print(f"No value of {parameter} gives two clusters or more, so there is no silhouette.")
    for sentence in notes:
        print(f"note: {sentence}")


def print_trust(manifest) -> None:
    """A line for each map: how many neighbours it keeps, and how far it can be trusted."""
    for name, projection in manifest.projections.items():
        trust = projection.get("trust") or {"k": 0}
        if n_fitted := projection.get("params", {}).get("n_fitted"):
            print(f"{name}: {fitted_words(n_fitted, manifest.n_galaxies, 'placed on the finished map')}")
        if trust["k"] == 0:
            print(f"{name}: too few galaxies to measure how far it can be trusted")
            continue
        measured = []
        for kind in ("trustworthiness", "continuity"):
            low, high = trust[f"{kind}_interval"]
            measured.append(f"{kind} {trust[kind]:.3f} [{low:.3f}, {high:.3f}]")
        print(
            f"{name}: keeps {percent(trust['preservation'])} of the {trust['k']} nearest, over all galaxies;"
            f" {', '.join(measured)}, over {trust['n_queries']:,} of {trust['n_galaxies']:,} galaxies"
        )


def peak_memory_gib() -> float:
    """The most memory this process has held, in GiB; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0.0
    scale = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, kilobytes on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**30


def add_fit_limit(parser, default: int | None = None) -> None:
    """The flag that says how many galaxies maps and clusterings are fitted on; None leaves it as the catalog has it."""
    unless = f"{default:,}" if default else "as the catalog was made"
    parser.add_argument(
        "--fit-limit",
        type=int,
        default=default,
        metavar="N",
        help=f"fit maps and clusters on a stratified sample of N galaxies where there are more ({unless}; 0: on all)",
    )


def parse_settings(parser, pairs: list[str], flag: str = "--set") -> dict:
    """``KEY=VALUE`` pairs as a dictionary: whole numbers, numbers or text; anything else is a usage error."""
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key.isidentifier() and equals and value):
            parser.error(f"{flag} takes KEY=VALUE, not {pair!r}")
        for kind in (int, float, str):
            try:
                settings[key] = kind(value)
                break
            except ValueError:
                continue
    return settings
