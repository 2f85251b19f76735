"""Download a public galaxy catalog, ready for the pipeline; a second run goes on where the first was stopped.

python scripts/fetch_catalog.py gz_hubble --size tiny --root data/gz_hubble     # 26 MB of real galaxies
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that it runs from any directory

from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.releases import RELEASES, SIZES, list_files
from galaxy_core.errors import GalaxyError
from galaxy_core.fetching import RemoteFile, fetch_file, unzip
from scripts.reporting import count


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="releases:\n" + "\n".join(f"  {name:14}{release.title}" for name, release in RELEASES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=RELEASES, metavar="NAME", help="which release; see the list below")
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder to put it in")
    parser.add_argument(
        "--size",
        choices=SIZES,
        help="tiny, a sample (26 MB of gz_hubble), which all but gz2_original have, or full (default)",
    )
    return parser.parse_args(arguments)


def fetch_with_bar(remote: RemoteFile, root: Path) -> None:
    from tqdm import tqdm

    with tqdm(total=remote.n_bytes, unit="B", unit_scale=True, unit_divisor=1000, desc=remote.path) as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        if not fetch_file(remote, root, show):
            bar.set_postfix_str("already here")


def unzip_with_bar(archive: Path, root: Path) -> None:
    from tqdm import tqdm

    with tqdm(unit=" files", desc=f"unpacking {archive.name}") as bar:

        def show(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        unzip(archive, root, show)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    release, root = RELEASES[options.name], options.root.expanduser()
    try:
        print(f"{release.title}\n  licence: {release.license}\n  cite:    {release.cite}")
        files = list_files(options.name, options.size or "full")
        known = sum(file.n_bytes or 0 for file in files)
        print(f"  {count(len(files), 'file', 'files')}, {known / 1e6:,.0f} MB, into {root}")
        for remote in files:
            fetch_with_bar(remote, root)
            if remote.path.endswith(".zip"):
                unzip_with_bar(root / remote.path, root)
        spec = f"{release.layout}:{root}"
        print("\n".join(read_catalog(spec).report.sentences()))
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; the same command goes on from here.", file=sys.stderr)
        return 1
    print(f"Next: python scripts/run_pipeline.py {shlex.quote(spec)} --name {options.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
