"""Embed a catalog that run_pipeline.py has made with one more model, and find each galaxy's neighbours in it.

python scripts/embed.py folder:data/my_galaxies --name my_galaxies --model my_model
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.artifacts import DEFAULT_ROOT, check_name
from galaxy_core.errors import GalaxyError
from scripts.engine_options import add_engine_options, engine_of
from scripts.reporting import Bars, artifacts_folder, count, print_made


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalog", metavar="CATALOG", help="LAYOUT:SOURCE the catalog was made from")
    parser.add_argument("--name", required=True, help="its name under the artifacts folder")
    parser.add_argument("--model", required=True, help="trained model, by name or folder")
    parser.add_argument(
        "--artifacts", type=artifacts_folder, default=DEFAULT_ROOT, help="folder or s3://... (%(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    add_engine_options(parser)
    return parser.parse_args()


def main() -> int:
    options = parse()
    try:
        check_name(options.name)
        from galaxy_core.catalogs import read_catalog
        from galaxy_core.embedding import find_model, load_embedder
        from galaxy_core.pipeline import add_embedding

        with engine_of(options) as engine, Bars() as bars:
            embedder = load_embedder(find_model(options.model, options.artifacts), options.device)
            catalog = read_catalog(options.catalog)
            result = add_embedding(catalog, embedder, options.artifacts, options.name, bars.progress, engine)
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    print_made(result)
    print(f"{count(result.manifest.n_galaxies)} embedded by {embedder.name}: {result.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
