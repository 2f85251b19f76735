"""Write a catalog that run_pipeline.py has made in a format that other programs open.

As a HATS collection, for LSDB, partitioned by HEALPix, with everything that is known of each galaxy:
python scripts/export.py my_galaxies --format hats --out exports/my_galaxies --with clusters embedding images
As a VOTable, for TOPCAT and Aladin, with units and UCDs:
python scripts/export.py my_galaxies --format votable --out my_galaxies.vot
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.artifacts import DEFAULT_ROOT, check_name
from galaxy_core.errors import GalaxyError
from scripts.reporting import Bars, artifacts_folder, count


def parse() -> argparse.Namespace:
    from galaxy_core.catalog_export import ALL_FORMATS, DEFAULT_PARTS, PARTS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", help="the catalog's name under the artifacts folder")
    parser.add_argument("--format", required=True, choices=ALL_FORMATS, help="what to write")
    parser.add_argument("--out", type=Path, required=True, help="folder (hats) or file (the others) to write")
    parser.add_argument(
        "--with",
        dest="parts",
        nargs="*",
        choices=PARTS,
        default=list(DEFAULT_PARTS),
        help=f"what goes along beside the catalog's own columns (default: {' '.join(DEFAULT_PARTS)})",
    )
    parser.add_argument("--model", help="whose embedding (default: the one the maps were made from)")
    parser.add_argument(
        "--partition-rows",
        type=int,
        metavar="N",
        help="at most so many rows in a partition of hats (default: 256 MiB of them, up to 1,000,000)",
    )
    parser.add_argument(
        "--artifacts", type=artifacts_folder, default=DEFAULT_ROOT, help="folder or s3://... (%(default)s)"
    )
    return parser.parse_args()


def main() -> int:
    options = parse()
    try:
        check_name(options.name)
        from galaxy_core.catalog_export import export_hats, export_table

        if options.format != "hats":
            path, n_rows = export_table(options.artifacts, options.name, options.out, options.format, options.parts)
            print(f"{count(n_rows)}: {path}")
            return 0
        with Bars() as bars:
            made = export_hats(
                options.artifacts,
                options.name,
                options.out,
                options.parts,
                options.model,
                options.partition_rows,
                lambda done, total: bars.progress("export", done, total),
            )
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; nothing was written, and the same command starts anew.", file=sys.stderr)
        return 130
    left = f", {made.n_without_position:,} without a position left out" if made.n_without_position else ""
    print(f"{count(made.n_rows)} in {count(made.n_partitions, 'partition', 'partitions')}{left}: {made.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
