"""The headline numbers of `vote_regressor` as lines of text."""

from __future__ import annotations


def table_lines(scores: dict) -> list[str]:
    """What evaluate.py prints of the scores of `galaxy_core.recipes.vote_regressor_scores.evaluate`."""
    lines = [f"Measured on the {scores['n_test']:,} test galaxies of {scores['n_galaxies']:,}: {scores['catalog']}"]
    lines += [f"note: {note}" for note in scores["notes"]]
    if "classes" in scores:
        lines += ["", *class_lines(scores["classes"])]
    for part in ("votes", "votes_as_cast", "votes_elsewhere"):
        if part in scores:
            lines += ["", *vote_lines(scores[part])]
    return lines


def class_lines(classes: dict) -> list[str]:
    """Accuracy, macro-F1, and the confusion matrix with recall."""
    (low, high), (f1_low, f1_high) = classes["accuracy_interval"], classes["macro_f1_interval"]
    lines = [
        f"classes: accuracy {classes['accuracy']:.4f} ({low:.4f} to {high:.4f}), "
        f"macro-F1 {classes['macro_f1']:.4f} ({f1_low:.4f} to {f1_high:.4f}), "
        f"largest class alone {classes['largest_class_share']:.4f}, "
        f"calibration error {classes['expected_calibration_error']:.4f} "
        f"(by chance up to {classes['by_chance_95']:.4f}), n = {classes['n_test']:,}",
    ]
    names = classes["class_names"]
    lines.append(f"{'true class':<20}" + "".join(f"{name[:17]:>19}" for name in names) + f"{'recall':>10}")
    for name, row in zip(names, classes["confusion"], strict=True):
        lines.append(f"{name:<20}" + "".join(f"{number:>19,}" for number in row) + f"{classes['recall'][name]:>10.3f}")
    return lines


def vote_lines(votes: dict) -> list[str]:
    """Errors beside the mean training galaxy's, then calibration and coverage of each question."""
    of = f" of {votes['catalog']}" if "catalog" in votes else ""
    lines = [f"votes, {votes['form']} as released, read as {votes['reading']}, n = {votes['n_test']:,}{of}"]
    tried = votes.get("rmse_of_readings_on_training")
    if tried:
        said = ", ".join(f"{reading} {error:.4f}" for reading, error in tried.items())
        lines.append(f"RMSE of the readings on training galaxies of this table: {said}")
    lines.append(f"{'':<24}{'RMSE':>10}{'interval':>20}{'R2':>10}{'R2 by column':>15}")
    names = ("model", "training_mean", "noise_floor", "asked_model", "asked_training_mean", "asked_noise_floor")
    for name in filter(votes.get, names):
        row = votes[name]
        interval = "{:.4f} to {:.4f}".format(*row["rmse_interval"])
        lines.append(
            f"{name.replace('_', ' '):<24}{row['rmse']:>10.4f}{interval:>20}{row['r2']:>10.4f}"
            f"{row['r2_by_column']:>15.4f}"
        )
    if (ratio := votes.get("noise_variance_of_votes")) is not None:
        lines.append(f"noise variance that the votes show by themselves: {ratio:.2f} times that of the noise floor")
    below = votes["model"]["rmse_below_training_mean"]
    if votes["training_mean"] is None:
        lines.append("No training galaxy of this catalog has votes, so there is no mean galaxy to compare with.")
    elif below is not None:
        lines.append(f"RMSE below that of the training mean: {below:.1%}")
    coverage = votes["coverage_90"]
    lines += [
        "",
        f"{'question':<24}{'calibration error':>20}{'by chance':>12}{'at most':>10}{'in 90 %':>12}{'cumulative':>12}",
    ]
    for key, curve in votes["reliability"].items():
        values = (
            *(curve[name] for name in ("expected_calibration_error", "by_chance", "by_chance_95")),
            *(coverage[form][key] for form in ("conditional", "cumulative")),
        )
        error, chance, most, conditional, cumulative = ("-" if value is None else f"{value:.4f}" for value in values)
        lines.append(f"{key:<24}{error:>20}{chance:>12}{most:>10}{conditional:>12}{cumulative:>12}")
    conditional, cumulative = (
        "-" if coverage[form]["all"] is None else f"{coverage[form]['all']:.4f}" for form in coverage
    )
    lines.append(f"{'all':<24}{'':>42}{conditional:>12}{cumulative:>12}")
    return lines
