"""Draw galaxies of two catalogs side by side, class by class: can you tell which are simulated?

python scripts/contact_sheet.py synthetic:2000 folder:../shared/data/gz_clean5 --out sheet.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.artifacts import atomic_path
from galaxy_core.catalogs import Catalog, read_catalog
from galaxy_core.catalogs.display import load_display
from galaxy_core.errors import CatalogError, GalaxyError, ImageError
from galaxy_core.images import encode_png, resize_square
from scripts.reporting import check_output

if TYPE_CHECKING:
    import numpy as np

GAP_PX = 6


def block(catalog: Catalog, galaxy_class: str | None, columns: int, rows: int, size_px: int, seed: int) -> np.ndarray:
    """Random galaxies of one class as one image, float32 (3, rows * size_px, columns * size_px); bad ones are told."""
    import numpy as np

    table = catalog.table
    found = np.arange(len(table)) if galaxy_class is None else np.flatnonzero(table["class"] == galaxy_class)
    sheet, place = np.zeros((3, rows * size_px, columns * size_px), np.float32), 0
    for row in np.random.default_rng(seed).permutation(found):
        if place == columns * rows:
            break
        try:
            stamp = resize_square(load_display(catalog, int(row)), size_px)
        except ImageError as error:
            print(f"Left out: {error}", file=sys.stderr)
            continue
        top, left = (place // columns) * size_px, (place % columns) * size_px
        sheet[:, top : top + size_px, left : left + size_px] = stamp
        place += 1
    return sheet


def classes_of(catalogs: list[Catalog]) -> list[str | None]:
    """Classes both catalogs have, in order of name; [None] where one of them has no classes."""
    if not all("class" in catalog.table for catalog in catalogs):
        return [None]
    shared = set.intersection(*(set(catalog.table["class"].dropna()) for catalog in catalogs))
    if not shared:
        raise CatalogError("The two catalogs have no class in common; give catalogs whose classes bear the same names.")
    return sorted(shared)


def contact_sheet(catalogs: list[Catalog], columns: int, rows: int, size_px: int, seed: int) -> np.ndarray:
    """The left half from the first catalog, the right half from the second, one band of rows a class."""
    import numpy as np

    bands = []
    for galaxy_class in classes_of(catalogs):
        left, right = (block(catalog, galaxy_class, columns, rows, size_px, seed) for catalog in catalogs)
        gap = np.full((3, left.shape[1], GAP_PX), 0.35, np.float32)
        bands.append(np.concatenate((left, gap, right), axis=2))
    return np.concatenate(bands, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("left", metavar="CATALOG", help="LAYOUT:PATH of the left half, as in synthetic:2000")
    parser.add_argument("right", metavar="CATALOG", help="LAYOUT:PATH of the right half, as in folder:my_images")
    parser.add_argument("--out", type=Path, default=Path("contact_sheet.png"), help="PNG to write (%(default)s)")
    parser.add_argument("--columns", type=int, default=6, help="galaxies a row of each half (%(default)s)")
    parser.add_argument("--rows", type=int, default=2, help="rows of each class (%(default)s)")
    parser.add_argument("--size", type=int, default=128, help="pixels a stamp (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="which galaxies are drawn (%(default)s)")
    options = parser.parse_args()
    if min(options.columns, options.rows, options.size) < 1 or options.seed < 0:
        parser.error("--columns, --rows and --size must be at least 1, --seed at least 0")
    try:
        check_output(options.out)
        catalogs = [read_catalog(spec) for spec in (options.left, options.right)]
        sheet = contact_sheet(catalogs, options.columns, options.rows, options.size, options.seed)
        with atomic_path(options.out) as temporary:
            temporary.write_bytes(encode_png(sheet))
    except GalaxyError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nStopped; nothing was written.", file=sys.stderr)
        sys.exit(130)
    print(f"{options.out}: {sheet.shape[2]} by {sheet.shape[1]} pixels; left {options.left}, right {options.right}")


if __name__ == "__main__":
    main()
