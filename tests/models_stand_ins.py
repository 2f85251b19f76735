"""A model's folder with all its files and no network, for tests of the page that shows them; and what that says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import plotly.graph_objects as go

PAGE = "pages/5_Models.py"
NAMES = ["round_smooth", "cigar_smooth", "spiral"]
CONFUSION = [[20, 0, 2], [0, 9, 0], [1, 0, 30]]


def history_lines(n: int = 6) -> list[str]:
    """Two phases; the first is best at its fourth pass."""
    lines = []
    for phase, best in (("heads", 3), ("whole", n - 1)):
        for epoch in range(n):
            score = 1 + abs(epoch - best)
            validation = {"score": score, "loss": score, "count": 0.0, "class": score / 2, "accuracy": 0.5 + epoch / 20}
            row = {"phase": phase, "epoch": epoch, "loss": 2.0 / (1 + epoch), "count": 0.0, "class": 1.0 / (1 + epoch)}
            row |= {"validation": validation, "learning_rate": 1e-3 / (1 + epoch), "seconds": 2.5}
            lines.append(json.dumps(row | {"galaxies_per_second": 300.0 + epoch}))
    return lines


def vote_metrics() -> dict:
    """As the recipe `vote_regressor` writes them, of few galaxies."""
    errors = {"rmse": 0.2, "rmse_interval": [0.19, 0.21], "r2": 0.7, "r2_by_column": 0.5}
    curve = {"expected": [0.05, None, 0.9], "observed": [0.04, None, 0.95], "n_values": [40, 0, 10]}
    return {
        "catalog": "synthetic:90",
        "n_test": 62,
        "definitions": {"rmse": "root of the mean squared error"},
        "classes": {
            "n_test": 62,
            "class_names": NAMES,
            "accuracy": 59 / 62,
            "accuracy_interval": [0.86, 0.98],
            "macro_f1": 0.95,
            "macro_f1_interval": [0.9, 1.0],
            "largest_class_share": 0.5,
            "recall": dict(zip(NAMES, (0.909, 1.0, 0.968), strict=True)),
            "precision": dict(zip(NAMES, (0.952, 1.0, 0.938), strict=True)),
            "n_by_class": dict(zip(NAMES, (22, 9, 31), strict=True)),
            "confusion": CONFUSION,
            "confused": [
                {"truth": NAMES[0], "predicted": NAMES[2], "galaxy_ids": ["tiny-00004", "tiny-00007"]},
                {"truth": NAMES[2], "predicted": NAMES[0], "galaxy_ids": ["elsewhere-1"]},
            ],
            "expected_calibration_error": 0.02,
        },
        "votes": {
            "form": "conditional",
            "n_test": 60,
            "model": errors,
            "training_mean": errors | {"rmse": 0.3, "r2": 0.4},
            "asked_model": errors,
            "asked_training_mean": errors,
            "noise_floor": errors | {"rmse": 0.149, "r2": 0.82},
            "noise_variance_of_votes": 1.11,
            "reliability": {
                "something-odd": curve | {"expected_calibration_error": 0.011, "by_chance_95": 0.034},
                "smooth-or-featured": curve | {"expected_calibration_error": 0.022},
            },
            "coverage_90": {"conditional": {"all": 0.9, "something-odd": 0.91}, "cumulative": {"all": 0.89}},
        },
    }


def write_model(root: Path, name: str = "vote_regressor", **metrics) -> Path:
    """Write the folder; ``metrics`` replace entries of `vote_metrics`."""
    folder = root / "models" / name
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"numbers of a network")
    checksum = hashlib.sha256(b"numbers of a network").hexdigest()
    about = {"recipe": "vote_regressor", "catalogs": ["synthetic:90"], "n_train": 500, "n_validation": 60}
    about["training"] = {"seed": 7}
    config = {"model": "morphology_net", "config": {"input_px": 64}, "weights_sha256": checksum, "about": about}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metrics.json").write_text(json.dumps(vote_metrics() | {"weights_sha256": checksum} | metrics))
    (folder / "history.jsonl").write_text("\n".join(history_lines()) + "\n")
    (folder / "card.md").write_text("# vote_regressor\n\nWhat volunteers would say.\n")
    return folder


SECTIONS = ("right", "fails", "numbers", "published", "learned", "labels", "card")


def section(app, key: str):
    """The page after a click on one of its sections."""
    return app.button_group(key="models-section").set_value(key).run()


def every_section(app) -> str:
    """What all sections say, of a page on which none of them fails."""
    said = []
    for key in SECTIONS:
        assert not section(app, key).exception, key
        said.append(text_of(app))
    return " ".join(said)


def text_of(app) -> str:
    kinds = (app.markdown, app.caption, app.info, app.error, app.subheader, app.warning, app.code)
    return " ".join(str(element.value).replace("\\", "") for kind in kinds for element in kind)


def headings(app) -> list[str]:
    return [element.value for element in app.subheader]


def table(app, column: str):
    values = [element.value for element in app.dataframe]
    values += [element.value.map(lambda text: text.replace("\\", "")) for element in app.table]
    return next(value for value in values if column in value)


def charts(app) -> list[go.Figure]:
    return [go.Figure(json.loads(element.proto.spec)) for element in app.get("plotly_chart")]
