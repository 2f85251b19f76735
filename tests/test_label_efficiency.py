"""Draws of labels, merged classes, and the file of results: points, intervals, and what is wrong with a broken one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from galaxy_core import embedding
from galaxy_core.errors import ArtifactError, CatalogError
from galaxy_core.label_draws import draw_labels, merge_classes
from galaxy_core.label_efficiency import find_results, read_results, summarise, t_interval

SHIPPED = Path(__file__).parents[1] / "artifacts" / "models" / "few_labels.json"


def result(**changes) -> dict:
    row = {"model": "m", "way": "frozen", "share": 0.1, "seed": 0, "n_labels": 20, "n_test": 50}
    return row | {"accuracy": 0.8, "macro_f1": 0.7} | changes


def write(path: Path, results: object, **changes) -> Path:
    record = {"schema": 1, "catalog": "synthetic:90", "class_names": ["a", "b"], "n_train": 70, "n_test": 50}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record | {"results": results} | changes))
    return path


# ---------------------------------------------------------------- draws


def test_a_draw_has_the_same_share_of_every_class_and_grows_with_it():
    classes = np.repeat([0, 1, 2], [1000, 200, 3])
    rows = np.arange(len(classes))[::-1]  # in any order
    small, large = (draw_labels(classes, rows, share, seed=4) for share in (0.01, 0.1))
    assert np.bincount(classes[small]).tolist() == [10, 2, 1] and np.bincount(classes[large]).tolist() == [100, 20, 1]
    assert set(small) < set(large) and (np.diff(large) > 0).all()
    assert set(draw_labels(classes, rows, 0.01, seed=5)) != set(small)
    np.testing.assert_array_equal(draw_labels(classes, rows, 1.0, seed=5), np.arange(len(classes)))


def test_a_draw_keeps_to_the_rows_it_is_given():
    classes = np.zeros(100, np.int64)
    assert set(draw_labels(classes, np.array([3, 3, 7, 9]), 0.5, seed=0)) < {3, 7, 9}
    assert draw_labels(classes, np.array([3, 3, 7, 9]), 1.0, seed=0).tolist() == [3, 7, 9], "each once"
    assert len(draw_labels(classes, np.arange(100), 0.29, seed=0)) == 29, "0.29 x 100 is a little less in binary"
    assert len(draw_labels(classes, np.array([5]), 0.01, seed=0)) == 1
    assert len(draw_labels(classes, np.array([], dtype=int), 0.5, seed=0)) == 0


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_an_impossible_share_is_one_sentence(share):
    with pytest.raises(CatalogError, match="above 0 and at most 1"):
        draw_labels(np.zeros(3, np.int64), np.arange(3), share, 0)


def test_merged_classes():
    names = np.array(["edge_on", "cigar", "σπείρα", "round", "cigar"], dtype=object)
    merged = merge_classes(names, ["edge_on + cigar", "σπείρα+round"])
    assert merged.tolist() == ["edge_on+cigar", "edge_on+cigar", "σπείρα+round", "σπείρα+round", "edge_on+cigar"]
    assert names[0] == "edge_on" and merge_classes(names, []).tolist() == names.tolist()


@pytest.mark.parametrize(
    ("merges", "sentence"),
    [
        (["round"], "does not merge two"),
        (["round+round"], "does not merge two"),
        (["round+ring"], "no class 'ring'"),
        (["round+spiral", "spiral+edge_on"], "merged twice"),
    ],
)
def test_merges_that_cannot_be(merges, sentence):
    with pytest.raises(CatalogError, match=sentence):
        merge_classes(["round", "spiral", "edge_on"], merges)


# ---------------------------------------------------------------- points


def test_points_are_means_over_seeds_with_students_interval():
    values = [0.80, 0.84, 0.85, 0.79, 0.82]
    point = summarise([result(seed=seed, accuracy=value) for seed, value in enumerate(values)])[0]
    mean = sum(values) / 5
    scatter = (sum((value - mean) ** 2 for value in values) / 4) ** 0.5
    half = 2.776445 * scatter / 5**0.5  # of four degrees of freedom
    assert point.n_seeds == 5 and point.accuracy == pytest.approx(mean)
    assert point.accuracy_interval == pytest.approx((mean - half, mean + half), rel=1e-6)
    assert point.macro_f1_interval == pytest.approx((0.7, 0.7))


def test_one_seed_has_no_interval_and_a_seed_counts_once():
    one = summarise([result(), result(accuracy=0.9)])
    assert [(p.n_seeds, p.accuracy, p.accuracy_interval) for p in one] == [(1, 0.9, None)]
    assert t_interval(np.array([0.9, 1.0]))[1] == 1.0 and t_interval(np.array([0.5])) is None


def test_points_of_other_ways_models_and_shares_stand_apart():
    rows = [result(way="scratch"), result(), result(share=0.01), result(model="k"), result(seed=1)]
    found = [(p.way, p.model, p.share, p.n_seeds) for p in summarise(rows)]
    assert found == [
        ("frozen", "k", 0.1, 1),
        ("frozen", "m", 0.01, 1),
        ("frozen", "m", 0.1, 2),
        ("scratch", "m", 0.1, 1),
    ]


# ---------------------------------------------------------------- the file


def test_a_file_is_read(tmp_path):
    read = read_results(write(tmp_path / "few_labels.json", [result(), result(seed=1, accuracy=1.0)]))
    assert read.points[0].accuracy == pytest.approx(0.9) and read.class_names == ("a", "b") and read.n_test == 50


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "3", "[" * 5000, '{"schema": 1}', '{"schema": 1, "results": 3}'],
)
def test_a_damaged_file_is_one_sentence(tmp_path, content):
    path = tmp_path / "few_labels.json"
    path.write_text(content)
    with pytest.raises(ArtifactError, match="damaged") as caught:
        read_results(path)
    assert "scripts/evaluate.py few_labels" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"accuracy": 1.2},
        {"accuracy": None},
        {"macro_f1": "0.7"},
        {"share": 0},
        {"n_labels": 0},
        {"n_labels": float("nan")},
        {"n_labels": float("inf")},
        {"n_labels": 10**400},
        {"way": "magic"},
        {"model": 3},
        {"accuracy": float("nan")},
        {"seed": True},
    ],
)
def test_a_result_that_cannot_be_is_found(tmp_path, change):
    with pytest.raises(ArtifactError, match="damaged"):
        read_results(write(tmp_path / "few_labels.json", [result(), result(**change)]))


@pytest.mark.parametrize(
    "change",
    [
        {"n_train": float("inf")},
        {"n_test": float("nan")},
        {"models": {"m": {"passes": float("inf")}}},
        {"config": {"training": {"input_px": float("inf")}}},
    ],
)
def test_a_number_without_an_end_is_found(tmp_path, change):
    with pytest.raises(ArtifactError, match="damaged"):
        read_results(write(tmp_path / "few_labels.json", [result()], **change))


def test_the_command_names_a_folder_with_spaces(tmp_path):
    with pytest.raises(ArtifactError, match=f"--json '{tmp_path}/my models/few_labels.json'`"):
        read_results(tmp_path / "my models" / "few_labels.json")


def test_missing_other_version_and_empty(tmp_path):
    with pytest.raises(ArtifactError, match="There is no"):
        read_results(tmp_path / "few_labels.json")
    with pytest.raises(ArtifactError, match="version 2"):
        read_results(write(tmp_path / "a.json", [result()], schema=2))
    with pytest.raises(ArtifactError, match="damaged"):
        read_results(write(tmp_path / "b.json", []))


def test_files_here_come_before_those_shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "_REPOSITORY_MODELS", tmp_path / "shipped")
    assert find_results(tmp_path / "here") == {}
    shipped = [write(tmp_path / "shipped" / f"few_labels{k}.json", [result()]) for k in ("", "_4")]
    here = write(tmp_path / "here" / "models" / "few_labels.json", [result()])
    assert find_results(tmp_path / "here") == {"few_labels.json": here, "few_labels_4.json": shipped[1]}


def test_the_shipped_results():
    if not SHIPPED.exists():
        pytest.skip("no results are shipped")
    read, record = read_results(SHIPPED), json.loads(SHIPPED.read_text())
    assert "frozen" in {point.way for point in read.points}
    assert record["points"] == json.loads(json.dumps([vars(point) for point in read.points]))
    assert all(row["n_test"] == read.n_test for row in record["results"])
    assert "vote_regressor" not in record["models"], "it learned from these labels"
