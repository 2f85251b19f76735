"""Tell what kind of galaxy each image shows: its class, and what volunteers of Galaxy Zoo would say of it.

    python scripts/classify.py galaxy.jpg stamps/ "night2/**/*.fits" --out morphology.csv
    python scripts/classify.py gz2:data/gz2 --out gz2.parquet
    python scripts/classify.py sdss_424px/ --field-fraction 0.6 --out kaggle.csv --model first second third
    python scripts/classify.py sdss_424px/ --crop central-object --out cut_as_large_as_they_are.csv

IN is a file, a folder (with its subfolders), a pattern, or a catalog LAYOUT:PATH. A row an image: galaxy_id; class and
probability_<class>; probability_of_8_<class>, the eight classes that votes make, with stars and artifacts for the rest;
Class1.1 to Class11.6, the expected vote fractions as shares of all volunteers ("anything odd?" as though all were asked
it, as in the challenge's table); <question>_<answer>_fraction, as shares of those who would be asked; the 90 % interval
of each of these 74, _low and _high, is of what forty volunteers would say, or as many of them as are asked; novelty,
how unlike the galaxies the model learned from, and out_of_distribution, where it is above 1 (train.py --phases novelty
adds these two to a model that lacks them). An image that cannot be read is named in one sentence, the others go on, and
the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.catalogs import LAYOUTS, read_catalog
from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.catalogs.image_files import image_ids
from galaxy_core.central_object import CROPS
from galaxy_core.denoise_jobs import find_jobs, sources_of
from galaxy_core.engine import Engine
from galaxy_core.errors import GalaxyError
from galaxy_core.morphology import DEFAULT_CLASSIFIER
from galaxy_core.morphology_batch import Wanted, classify_all
from galaxy_core.morphology_table import check_table_path
from scripts.engine_options import add_engine_options, engine_of
from scripts.reporting import artifacts_folder

ROOT = Path(__file__).resolve().parents[1]


def share(text: str) -> float:
    if not 0 < float(text) <= 1:
        raise argparse.ArgumentTypeError(f"a share is above 0 and 1 at most, and {text} is not")
    return float(text)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    summary, _, rest = __doc__.partition("\n\n")
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=summary, epilog=rest, formatter_class=style)
    parser.add_argument("inputs", metavar="IN", nargs="+", help="image files, folders, patterns or LAYOUT:PATH")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="table to write: .csv or .parquet")
    parser.add_argument(
        "--model",
        nargs="+",
        default=[DEFAULT_CLASSIFIER],
        help=f"name or folder; several speak as one ({DEFAULT_CLASSIFIER})",
    )
    field_help = (
        "central share of each side that is looked at of files, and of catalogs that do not know theirs (default: all,"
        " but of pictures of 424 px, which are Galaxy Zoo's, the central 256)"
    )
    parser.add_argument("--field-fraction", type=share, metavar="F", help=field_help)
    crop_help = "what is looked at: the centre, or the object there as large as it is, found in the whole field"
    parser.add_argument("--crop", choices=CROPS, default=CROPS[0], help=f"{crop_help} (%(default)s)")
    votes_help = "which votes to tell: as the Kaggle challenge states them, as cast, or debiased (default: challenge)"
    parser.add_argument("--votes", choices=("challenge", "cast", "debiased"), help=votes_help)
    parser.add_argument("--hdu", help="FITS extension, by number or EXTNAME (default: the first with an image)")
    parser.add_argument(
        "--artifacts", type=artifacts_folder, default=ROOT / "artifacts", help="where models are kept (artifacts)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    add_engine_options(parser)
    options = parser.parse_args(arguments)
    if options.hdu and any(map(is_catalog, options.inputs)):
        parser.error("--hdu is for files and folders of them, not for LAYOUT:PATH")
    return options


def is_catalog(text: str) -> bool:
    layout, colon, source = text.partition(":")
    return bool(colon and source) and layout in LAYOUTS and not os.path.exists(text)


def read_catalogs(texts: list[str], field_fraction: float | None) -> list[Catalog]:
    """Catalogs, each once however often it is named, with a line each of what they leave out."""
    catalogs: dict[tuple[str, str], Catalog] = {}
    for text in texts:
        catalog = read_catalog(text)
        key = (catalog.layout, os.path.realpath(catalog.source))
        if key not in catalogs:
            told = field_fraction is None or catalog.field_fraction < 1
            catalogs[key] = catalog if told else replace(catalog, field_fraction=field_fraction)
            print(f"{text}: {'; '.join(catalog.report.sentences())}", file=sys.stderr)
    return list(catalogs.values())


def repeated(ids: Iterable[str]) -> str:
    """A sentence on galaxies that are in the table more than once; empty where none is."""
    again = [name for name, count in Counter(ids).items() if count > 1]
    few = ", ".join(again[:3]) + (", ..." if len(again) > 3 else "")
    return f"{len(again):,} galaxy_id come from more than one input and have a row each ({few})." if again else ""


def run(options: argparse.Namespace, engine: Engine) -> int:
    check_table_path(options.out)
    jobs, told = find_jobs([text for text in options.inputs if not is_catalog(text)], options.out)
    problems = list(told.values())
    paths = sources_of(jobs)
    how = (options.votes, options.field_fraction, options.crop, options.hdu)
    wanted = Wanted(tuple(options.model), options.artifacts, options.device, *how)
    catalogs = read_catalogs([text for text in options.inputs if is_catalog(text)], options.field_fraction)
    if said := repeated(chain(image_ids([path.as_posix() for path in paths]), *(one.galaxy_ids for one in catalogs))):
        print(said, file=sys.stderr)
    total = len(paths) + sum(map(len, catalogs))
    for problem in problems:
        print(problem, file=sys.stderr)
    from tqdm import tqdm

    with tqdm(total=total, unit="image", desc="classify", delay=2, disable=None) as bar:

        def report(problem: str) -> None:
            bar.write(problem, file=sys.stderr)
            problems.append(problem)

        def show(done: float) -> None:
            bar.update(int(done) - bar.n)

        note = partial(bar.write, file=sys.stderr)
        n_rows = classify_all(options.out, paths, catalogs, wanted, engine, show, report, note)
    print(f"{options.out}  {n_rows:,} of {total:,} images")
    return 1 if problems else 0


def main() -> int:
    try:
        options = parse()
        with engine_of(options) as engine:
            return run(options, engine)
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
