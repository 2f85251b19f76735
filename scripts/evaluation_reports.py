"""What evaluate.py shows: a progress bar for each thing being measured, and the headline numbers of a recipe."""

from __future__ import annotations

from tqdm import tqdm

from galaxy_core.percent import percent


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
                f"{name}: {row['n_clusters']} clusters, coverage {percent(row['coverage'])}; silhouette in {space}: "
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
