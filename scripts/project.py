"""Draw the maps of a catalog again, with another seed or other parameters; its images are not read.

python scripts/project.py demo --projection umap --set n_neighbors=30 --set min_dist=0.05
python scripts/project.py demo --seed 3
python scripts/project.py big --projection umap --workers 4
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.artifacts import DEFAULT_ROOT
from galaxy_core.errors import GalaxyError
from scripts.engine_options import add_engine_options, engine_of
from scripts.reporting import Bars, add_fit_limit, artifacts_folder, count, parse_settings, print_made, print_trust

METHODS = ("umap", "tsne", "pca", "lda")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", help="catalog under the artifacts folder")
    parser.add_argument("--projection", choices=METHODS, help="the map that --set is for")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a parameter of that map: n_neighbors and min_dist of umap, perplexity of tsne",
    )
    parser.add_argument(
        "--seed", type=int, help="another seed, for all maps and clusters (default: as the catalog was made)"
    )
    parser.add_argument(
        "--artifacts", type=artifacts_folder, default=DEFAULT_ROOT, help="folder or s3://... (%(default)s)"
    )
    add_engine_options(parser)
    add_fit_limit(parser)
    options = parser.parse_args()
    if options.set and not options.projection:
        parser.error("--set needs --projection")
    options.params = parse_settings(parser, options.set)
    return options


def main() -> int:
    options = parse()

    def change(config):
        projections = dict(config.projections)
        if options.projection:
            projections[options.projection] = {"method": options.projection, **options.params}
        given = {"seed": options.seed, "fit_limit": options.fit_limit}
        given = {key: value for key, value in given.items() if value is not None}
        return replace(config, projections=projections, **given)

    try:
        from galaxy_core.clustering import check_params
        from galaxy_core.pipeline import rerun_steps
        from galaxy_core.projection import METHODS as FITS

        if options.projection:
            check_params(FITS, options.projection, options.params, "map")  # not after all other maps are made
        with engine_of(options) as engine, Bars() as bars:
            asked = [options.projection] if options.projection else []
            result = rerun_steps(options.artifacts, options.name, change, bars.progress, asked, engine)
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    print_made(result)
    print_trust(result.manifest)
    maps = count(len(result.manifest.projections), "map", "maps")
    print(f"{maps} of {count(result.manifest.n_galaxies)}: {result.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
