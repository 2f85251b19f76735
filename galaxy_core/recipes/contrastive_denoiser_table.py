"""The headline numbers of the recipe `contrastive_denoiser` as lines of text."""

from __future__ import annotations

from galaxy_core.percent import percent


def table_lines(scores: dict) -> list[str]:
    """What evaluate.py prints, the strict numbers first."""
    lines = [f"Measured on the {scores['n_test']:,} test galaxies of {scores['n_galaxies']:,}: {scores['catalog']}", ""]
    columns = ("strict_ssim", "psnr_db", "foreground_psnr_db", "flux_bias", "published_ssim", "n_galaxies")
    lines.append(f"{'denoising':<28}" + "".join(f"{name:>20}" for name in columns))
    for level, methods in scores["denoising"].items():
        for method, row in methods.items():
            if "strict_ssim" in row:
                lines.append(f"{level + ' ' + method:<28}" + "".join(f"{row[name]:>20.4g}" for name in columns))
    lines += ["", f"{'embedding':<28}{'linear_probe':>20}{'knn_probe':>20}{'n_test':>20}"]
    for split, probes in scores["embedding"].items():
        if isinstance(probes, dict):
            linear, knn = probes["linear_probe"], probes["knn_probe"]
            lines.append(f"{split:<28}{linear['accuracy']:>20.4f}{knn['accuracy']:>20.4f}{linear['n_test']:>20}")
        else:
            lines.append(f"{split}: {probes}")
    for name, row in scores.get("clusterings", {}).items():
        for space, score in ((row["space"], row["fitted_space"]), ("embedding", row["embedding"])):
            clustered = "-" if score["clustered"] is None else f"{score['clustered']:.3f}"
            lines.append(
                f"{name}: {row['n_clusters']} clusters, coverage {percent(row['coverage'])}; silhouette in {space}: "
                f"{score['strict']:.3f} strict, {clustered} over clustered galaxies only"
            )
    return lines
