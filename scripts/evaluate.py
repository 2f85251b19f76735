"""Measure a trained model on a catalog: nothing is trained, and only held-out galaxies are scored.

python scripts/evaluate.py contrastive_denoiser folder:data/gz_clean5 --json metrics.json
python scripts/evaluate.py clustering folder:data/gz_clean5 --json clusters.json     # all galaxies, no classes needed
python scripts/evaluate.py clustering --from-artifacts gz_clean5                     # with the embedding made already
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # galaxy_core lives beside scripts/

from tqdm import tqdm

from galaxy_core.errors import GalaxyError


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="whose model is measured, e.g. contrastive_denoiser; or: clustering")
    parser.add_argument("catalog", metavar="LAYOUT:PATH", nargs="?", help="images to measure it on")
    parser.add_argument("--from-artifacts", metavar="NAME", help="clustering: this catalog's embedding, as it is")
    parser.add_argument("--refits", type=int, default=10, help="clustering: bootstrap samples, 0 or more (%(default)s)")
    parser.add_argument("--redraws", type=int, default=10, help="those that make the space anew: slow (%(default)s)")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"), help="where models/ is (%(default)s)")
    parser.add_argument("--model", help="name or folder of the model (default: the recipe's)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--n-denoise", type=int, default=1000, help="at most so many test galaxies (%(default)s)")
    parser.add_argument("--no-clusters", action="store_true", help="leave out the clusterings, which take a minute")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ...")
    options = parser.parse_args()
    if bool(options.catalog) == bool(options.from_artifacts):
        parser.error("name one catalog: LAYOUT:PATH, or for clustering --from-artifacts NAME")
    if options.from_artifacts and options.recipe != "clustering":
        parser.error("--from-artifacts is for clustering; a recipe needs the images: LAYOUT:PATH")
    if options.refits < 1 or options.redraws < 0:
        parser.error("--refits takes 1 or more, --redraws 0 or more")
    return options


def print_scores(scores: dict) -> None:
    """The headline numbers as tables, the strict ones first."""
    print(f"\nMeasured on the {scores['n_test']:,} test galaxies of {scores['n_galaxies']:,}: {scores['catalog']}")
    columns = ("strict_ssim", "psnr_db", "foreground_psnr_db", "flux_bias", "published_ssim", "n_galaxies")
    print(f"\n{'denoising':<28}" + "".join(f"{name:>20}" for name in columns))
    for level, methods in scores["denoising"].items():
        for method, row in methods.items():
            if "strict_ssim" in row:
                print(f"{level + ' ' + method:<28}" + "".join(f"{row[name]:>20.4g}" for name in columns))
    print(f"\n{'embedding':<28}{'linear_probe':>20}{'knn_probe':>20}{'n_test':>20}")
    for split, probes in scores["embedding"].items():
        if isinstance(probes, dict):
            linear, knn = probes["linear_probe"], probes["knn_probe"]
            print(f"{split:<28}{linear['accuracy']:>20.4f}{knn['accuracy']:>20.4f}{linear['n_test']:>20}")
        else:
            print(f"{split}: {probes}")
    for name, row in scores.get("clusterings", {}).items():
        for space, score in ((row["space"], row["fitted_space"]), ("embedding", row["embedding"])):
            clustered = "-" if score["clustered"] is None else f"{score['clustered']:.3f}"
            print(
                f"{name}: {row['n_clusters']} clusters, coverage {row['coverage']:.1%}; silhouette in {space}: "
                f"{score['strict']:.3f} strict, {clustered} over clustered galaxies only"
            )


def bars_for(unit: str):
    """A function that shows a progress bar for each label, and one that closes them."""
    bars: dict[str, tqdm] = {}

    def report(label: str, done: int, total: int) -> None:
        if label not in bars:
            bars[label] = tqdm(total=total, desc=label, unit=unit)
        bars[label].update(done - bars[label].n)

    return report, lambda: [bar.close() for bar in bars.values()]


def score_clusters(arguments: argparse.Namespace) -> dict:
    """Scores of the clusterings of an embedding, with where it is from."""
    from galaxy_core.recipes import clustering_scores as recipe

    report, close = bars_for("step")
    if arguments.from_artifacts:
        embedding, classes, source = recipe.from_artifacts(
            arguments.artifacts, arguments.from_artifacts, arguments.model
        )
    else:
        embedding, classes, source = recipe.from_catalog(
            arguments.catalog, arguments.artifacts, arguments.model, arguments.device, report
        )
    scores = recipe.score_clusterings(
        embedding, classes, arguments.seed, arguments.refits, arguments.redraws, report=report
    )
    close()
    return source | scores


def score_recipe(arguments: argparse.Namespace) -> dict:
    from galaxy_core.catalogs import read_catalog
    from galaxy_core.embedding import find_model
    from galaxy_core.models import read_model_config, resolve_device
    from galaxy_core.recipes import find_recipe

    module = find_recipe(arguments.recipe).module()
    folder = find_model(arguments.model or arguments.recipe, arguments.artifacts)
    catalog = read_catalog(arguments.catalog)
    report, close = bars_for("galaxy")
    scores = module.evaluate(
        folder,
        catalog,
        seed=arguments.seed,
        device=resolve_device(arguments.device),
        n_denoise=arguments.n_denoise,
        clusters=not arguments.no_clusters,
        report=report,
    )
    close()
    scores["catalog"] = f"{catalog.layout}:{Path(catalog.source).name}"
    scores["weights_sha256"] = read_model_config(folder)["weights_sha256"]
    return scores


def run(arguments: argparse.Namespace) -> None:
    from galaxy_core.artifacts import write_json

    if arguments.recipe == "clustering":
        from galaxy_core.recipes.clustering_table import table_lines

        scores = score_clusters(arguments)
        print("\n" + "\n".join(table_lines(scores)))
    else:
        scores = score_recipe(arguments)
        print_scores(scores)
    if arguments.json:
        print(f"\nWritten: {write_json(arguments.json, scores)}")


if __name__ == "__main__":
    try:
        run(parse_arguments())
    except GalaxyError as error:
        sys.exit(str(error))
