"""Names of files, columns and types of every artifact, and the manifest that lists them.

::

    <root>/<name>/manifest.json                      written last; lists every file below
                 /catalog.parquet                    galaxy_id, split, ra_deg?, dec_deg?, class?, answers, metadata
                 /thumbnails/part-00000.parquet      galaxy_id, image (webp bytes), row groups of 64
                 /embedding/<model>/part-00000.parquet   galaxy_id, embedding fixed_size_list<float32>[d]
                 /states/<model>.parquet?            galaxy_id, state (16 bytes) of the image that was embedded: what
                                                     is still the same need not be embedded again
                 /spaces/<space>.parquet             galaxy_id, coordinates: spaces that were clustered
                 /projections.parquet                galaxy_id, <name>_x, <name>_y, <name>_trust?
                 /clusters.parquet                   galaxy_id, <name>_label, <name>_membership, <name>_silhouette
                 /anomalies.parquet?                 galaxy_id, isolation_forest, neighbor_distance, anomaly
                 /neighbors/<model>.parquet          galaxy_id, neighbor_row, similarity
                 /layers/<projection>/*.parquet?     of very many galaxies; see `galaxy_core.artifacts.layers`
                 /sweeps.parquet?                    a row a fit, not a galaxy; grows fit by fit, so the manifest does
                                                     not list it, and a rerun carries it over
    <root>/<name>.tags.sqlite?                       what people tagged: beside the folder, so that replacing the folder
                                                     never touches an open database
    <root>/<name>.tags.sqlite-wal?, -shm?            SQLite's own, while the database is open: part of it, not to delete
    <root>/<name>.clusters.json?                     names that people gave to clusters, each kept by a digest of the
                                                     galaxies in its cluster (`galaxy_core.cluster_names`)
    <root>/.staging/<name>/                          the same files while they are being made
    <root>/.previous/<name>/                         the state before, for the instant in which one replaces the other

What has a question mark may be missing: not every catalog has it, or it was made before there was such a thing.
"""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import pyarrow as pa

from galaxy_core.artifacts.roots import shown
from galaxy_core.errors import ArtifactError

SCHEMA_VERSION = 1
ROW_GROUP = 64  # thumbnails in a row group: one galaxy is one read of about 200 kB
N_NEIGHBORS = 12
DEFAULT_FIT_LIMIT = 100_000  # galaxies that maps and clusterings are fitted on, at most
DEFAULT_ROOT = "artifacts"
DEFAULT_MODEL = "contrastive_denoiser"  # the one that is shipped
MANIFEST_FILE = "manifest.json"
TAGS_ENDING = ".tags.sqlite"
NAMES_ENDING = ".clusters.json"
TABLES = ("catalog", "projections", "clusters")  # every catalog has them
OPTIONAL_TABLES = ("anomalies",)
SPLITS = ("train", "validation", "test")
SWEEPS_FILE = "sweeps.parquet"
CARRIED_FILES = (SWEEPS_FILE,)  # not made by the pipeline and kept when it replaces the folder
STAGING, PREVIOUS = ".staging", ".previous"
RESERVED_NAMES = ("models",)

# Types a table's columns must have: by name for the catalog, by the end of the name for the others.
CATALOG_TYPES = {
    "galaxy_id": pa.string(),
    "split": pa.string(),
    "class": pa.string(),
    "ra_deg": pa.float64(),
    "dec_deg": pa.float64(),
}
SUFFIX_TYPES = {
    "projections": {"_x": pa.float32(), "_y": pa.float32(), "_trust": pa.float32(), "_placed": pa.bool_()},
    "clusters": {"_label": pa.int32(), "_membership": pa.float32(), "_silhouette": pa.float32()},
}
OPTIONAL_SUFFIXES = ("_trust", "_placed")
COLUMN_TYPES = {
    "catalog": CATALOG_TYPES,
    "anomalies": {name: pa.float32() for name in ("isolation_forest", "neighbor_distance", "anomaly")},
}


@dataclass(frozen=True)
class Manifest:
    """What a catalog's folder holds and how it was made.

    Attributes
    ----------
    name, source, layout : str
        The catalog's name here; ``f"{layout}:{source}"`` reads the images again.
    model : str
        Name of the model whose embedding the projections and clusters are drawn from.
    config : dict
        Every parameter of the run, and a fingerprint for each step.
    created, timings : str, dict
        UTC time of the run and seconds for each step: the two fields in which two equal runs differ.
    files : dict
        ``{relative path: {"sha256", "rows", "bytes"}}`` of every file but the manifest itself.
    projections : dict
        ``{name: {"space", "params", "trust"?}}``; ``trust`` has the numbers of `galaxy_core.map_trust.MapTrust`.
    clusterings : dict
        ``{name: {"method", "space", "space_params", "params", "model", "seed", "scores", "measures", "notes"}}``;
        ``scores`` as of `galaxy_core.comparison`, with ``stability``, ``stability_redrawn`` (the space made anew from
        each bootstrap sample) and ``null`` where they were asked for (`galaxy_core.stability`, ``cluster_trials``).
    """

    name: str
    source: str = ""
    layout: str = ""
    model: str = ""
    seed: int = 0
    config: dict = field(default_factory=dict)
    versions: dict = field(default_factory=dict)
    created: str = ""
    n_galaxies: int = 0
    answer_columns: tuple[str, ...] = ()
    answer_kind: str = ""
    linear: bool = False
    pixel_scale_arcsec: float | None = None
    report: tuple[str, ...] = ()
    files: dict = field(default_factory=dict)
    projections: dict = field(default_factory=dict)
    clusterings: dict = field(default_factory=dict)
    timings: dict = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict:
        """Plain types, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> Manifest:
        """The inverse of `to_dict`; raises KeyError or TypeError where a field is missing or of the wrong kind."""
        wanted = {f.name: values[f.name] for f in fields(cls)}
        for name in ("config", "versions", "files", "projections", "clusterings", "timings"):
            if not isinstance(wanted[name], dict):
                raise TypeError(f"{name} is not an object")
        for path, entry in wanted["files"].items():
            if not {"sha256", "rows", "bytes"} <= set(entry):
                raise KeyError(path)
            if path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"{path} is outside the folder")
        wanted["n_galaxies"], wanted["seed"] = int(wanted["n_galaxies"]), int(wanted["seed"])
        wanted["answer_columns"] = tuple(wanted["answer_columns"])
        wanted["report"] = tuple(wanted["report"])
        return cls(**wanted)


def check_name(name: str, what: str = "catalog") -> str:
    """``name`` if a folder can be called that; any language is fine, paths are not.

    Examples
    --------
    >>> check_name("Галактики 2")
    'Галактики 2'
    >>> check_name("../gz2")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    galaxy_core.errors.ArtifactError: '../gz2' cannot name a catalog: use 1 to 80 letters, digits, ...
    """
    bad = (
        not isinstance(name, str)
        or not 1 <= len(name.encode("utf-8", "replace")) <= 200
        or name.startswith(".")
        or name != name.strip()
        or TAGS_ENDING in name.lower()  # the tags of another catalog, or a file SQLite keeps beside them
        or name.lower().endswith(NAMES_ENDING)  # the names of another catalog's clusters
        or any(character in '/\\:*?"<>|' or not character.isprintable() for character in name)
        or (what == "catalog" and name.lower() in RESERVED_NAMES)
        or (what != "catalog" and any(character in "[]" for character in name))  # these go into globs
    )
    if bad:
        raise ArtifactError(
            f"{name!r} cannot name a {what}: use 1 to 80 letters, digits, spaces, '-', '_' and '.',"
            " not starting with a dot, and not 'models'."
        )
    return name


def catalog_folder(root: str | Path, name: str) -> Path:
    """Folder of a catalog. While a rerun replaces it, the previous one is where it was put aside."""
    folder = Path(root) / check_name(name)
    aside = Path(root) / PREVIOUS / name
    if not folder.exists() and (aside / MANIFEST_FILE).exists():
        return aside
    return folder


def tags_path(root: str | Path, name: str) -> Path:
    """The SQLite file of what people tagged in a catalog; it need not exist.

    Examples
    --------
    >>> tags_path("artifacts", "demo").as_posix()
    'artifacts/demo.tags.sqlite'
    """
    return Path(root) / f"{check_name(name)}{TAGS_ENDING}"


def part_name(part: int) -> str:
    """File name of one shard of a table."""
    return f"part-{part:05d}.parquet"


def table_file(table: str) -> str:
    """Relative path of a small table."""
    if table not in TABLES + OPTIONAL_TABLES:
        raise ValueError(f"no table {table!r}; there are {TABLES + OPTIONAL_TABLES}")
    return f"{table}.parquet"


def has_table(manifest: Manifest, table: str) -> bool:
    """Whether a catalog has a small table, such as ``anomalies``; nothing is opened."""
    return table_file(table) in manifest.files


def embedding_file(model: str, part: int) -> str:
    """Relative path of one shard of an embedding."""
    return f"embedding/{check_name(model, 'model')}/{part_name(part)}"


def states_file(model: str) -> str:
    """Relative path of what tells whether images are still those that were embedded."""
    return f"states/{check_name(model, 'model')}.parquet"


def thumbnails_file(part: int) -> str:
    """Relative path of one shard of thumbnails."""
    return f"thumbnails/{part_name(part)}"


def image_patterns(model: str, thumbnails: bool) -> tuple[str, ...]:
    """Globs of all that a step makes of images by a model."""
    embedding = embedding_file(model, 0).replace(part_name(0), "part-*.parquet")
    return (embedding, states_file(model), *(["thumbnails/part-*.parquet"] if thumbnails else []))


def neighbors_file(model: str) -> str:
    """Relative path of the neighbours found in one embedding."""
    return f"neighbors/{check_name(model, 'model')}.parquet"


def space_file(space: str) -> str:
    """Relative path of a stored space, such as the 10-d UMAP that HDBSCAN works in."""
    return f"spaces/{check_name(space, 'space')}.parquet"


def mend_command(root: str | Path, name: str, manifest: Manifest | None = None) -> str:
    """The command that makes a catalog's folder again, with the catalog it was made from where that is known."""
    spec = f"{manifest.layout}:{manifest.source}" if manifest and manifest.layout else "LAYOUT:SOURCE"
    words = ["python", "scripts/run_pipeline.py", spec, "--name", name]
    config = manifest.config if manifest else {}
    if manifest and manifest.model not in ("", DEFAULT_MODEL):
        words += ["--model", manifest.model]
    if config.get("limit"):
        words += ["--limit", str(config["limit"])]
    if config.get("fit_limit", DEFAULT_FIT_LIMIT) != DEFAULT_FIT_LIMIT:
        words += ["--fit-limit", str(config["fit_limit"])]
    if manifest and (seed := config.get("limit_seed", manifest.seed)):  # with another, other galaxies would be drawn
        words += ["--seed", str(seed)]
    if (config.get("steps", {}).get("projections", {}).get("result") or {}).get("kept"):  # without, they would move
        words += ["--keep-maps"]
    if Path(root).resolve() != Path(DEFAULT_ROOT).resolve():
        words += ["--artifacts", str(shown(root))]
    return shlex.join(words)
