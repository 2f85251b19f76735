"""Cluster a catalog again, or once more, with other parameters; its images are not read.

python scripts/cluster.py demo --clustering hdbscan --space umap_10 --set min_cluster_size=40
python scripts/cluster.py demo --clustering kmeans_12 --space embedding --set n_clusters=12
python scripts/cluster.py demo --clustering kmeans_12 --remove
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from galaxy_core.artifacts import DEFAULT_ROOT, check_name
from galaxy_core.errors import GalaxyError
from scripts.reporting import Bars, parse_settings, print_headlines, print_made


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", help="catalog under the artifacts folder")
    parser.add_argument("--clustering", required=True, help="its name; begins with its method, hdbscan or kmeans")
    parser.add_argument("--space", default="embedding", help="embedding, umap_10, pca_20, ... (%(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter of the method")
    parser.add_argument("--remove", action="store_true", help="drop this clustering instead")
    parser.add_argument("--artifacts", type=Path, default=Path(DEFAULT_ROOT), help="folder of results (%(default)s)")
    options = parser.parse_args()
    options.params = parse_settings(parser, options.set)
    return options


def main() -> int:
    options = parse()

    def change(config):
        clusterings = {name: value for name, value in config.clusterings.items() if name != options.clustering}
        if not options.remove:
            method = options.clustering.split("_")[0]
            clusterings[options.clustering] = {"method": method, "space": options.space, "params": options.params}
        return replace(config, clusterings=clusterings)

    try:
        check_name(options.clustering, "clustering")
        from galaxy_core.pipeline import rerun_steps

        with Bars() as bars:
            result = rerun_steps(options.artifacts, options.name, change, bars.progress)
    except GalaxyError as error:
        print(error, file=sys.stderr)
        return 1
    print_made(result)
    print_headlines(result.manifest)
    print(result.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
