"""A catalog that grew, anywhere: what is new is embedded, all else is taken over row by row, with the same files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from galaxy_core import artifacts, image_reuse
from galaxy_core.catalogs import read_catalog
from galaxy_core.catalogs.nested_images import NestedImages
from galaxy_core.embedding import Embedder
from galaxy_core.image_reuse import UNKNOWN
from galaxy_core.images import encode_png
from galaxy_core.pipeline import run_pipeline
from tests.pipeline_child import CONFIG, means
from tests.pipeline_runs import hashes, write_images

SEEN: list[int] = []


def counted(images: np.ndarray) -> np.ndarray:
    SEEN.append(len(images))
    return means(images)


def make(images: Path, root: Path, embed=counted, layout: str = "folder") -> int:
    """Run the pipeline in shards of 8; how many images went through the network."""
    SEEN.clear()
    run_pipeline(read_catalog(f"{layout}:{images}"), Embedder("means", "1", 16, 12, embed), root, "sample", CONFIG)
    assert artifacts.verify(root, "sample") == []
    return sum(SEEN)


def grow(images: Path, at: int, *names: str) -> None:
    """Galaxies inserted before a row of the table."""
    for k, name in enumerate(names):
        Image.new("RGB", (20, 20), (250, 120 + k, int(name[-2:]))).save(images / f"images/{name}.png")
    table = pd.read_csv(images / "labels.csv", dtype=str)
    new = pd.DataFrame({"galaxy_id": names})
    pd.concat([table.iloc[:at], new, table.iloc[at:]]).to_csv(images / "labels.csv", index=False)


@pytest.fixture
def made(tmp_path) -> tuple[Path, Path]:
    """Images of 30 galaxies, one broken, and what a run made of them."""
    images, root = write_images(tmp_path / "images", 30, broken=(2,)), tmp_path / "root"
    assert make(images, root) == 29
    return images, root


def test_galaxies_in_between_cost_what_is_new_and_leave_the_files_of_a_first_run(made, tmp_path):
    images, root = made
    grow(images, 0, "200")
    assert make(images, root) == 1
    grow(images, 17, "201", "202")
    grow(images, 5, "203")
    assert make(images, root) == 3
    assert make(images, tmp_path / "anew") == 33 and hashes(root) == hashes(tmp_path / "anew")
    assert not (root / "sample/.work").exists()


def test_a_run_that_is_stopped_while_it_takes_over_ends_with_the_same_files(made, tmp_path, monkeypatch):
    images, root = made
    grow(images, 0, *(str(name) for name in range(200, 210)))

    def stop(some: np.ndarray) -> np.ndarray:
        if sum(SEEN) >= 8:  # the first shard of new images is whole
            raise KeyboardInterrupt
        return counted(some)

    with pytest.raises(KeyboardInterrupt):
        make(images, root, stop)
    monkeypatch.setattr("galaxy_core.artifacts.write_embedding", _stop_at(artifacts.write_embedding, 3))
    with pytest.raises(KeyboardInterrupt):
        make(images, root)
    monkeypatch.undo()
    assert sum(SEEN) == 2 and make(images, root) == 0
    make(images, tmp_path / "anew")
    assert hashes(root) == hashes(tmp_path / "anew")


def _stop_at(function, number: int):
    calls = []

    def stopping(*given):
        calls.append(given)
        if len(calls) == number:
            raise KeyboardInterrupt
        return function(*given)

    return stopping


def test_shards_of_which_no_image_can_be_decoded(made, tmp_path):
    images, root = made
    names = [str(name) for name in range(200, 208)]
    grow(images, 8, *names)
    for name in names:
        (images / f"images/{name}.png").write_bytes(b"none")
    thumbnails = root / "sample/thumbnails/part-00000.parquet"
    thumbnails.write_bytes(thumbnails.read_bytes()[:-1] + b"x")  # so that files of a shard are there in part
    assert make(images, root) == 7
    make(images, tmp_path / "anew")
    assert hashes(root) == hashes(tmp_path / "anew")


def test_other_ids_and_another_order_are_no_other_images(made, tmp_path):
    images, root = made
    table = pd.read_csv(images / "labels.csv", dtype=str)
    table = table.assign(file=table["galaxy_id"], galaxy_id="NGC " + table["galaxy_id"]).iloc[::-1]
    table.to_csv(images / "labels.csv", index=False)
    assert make(images, root) == 0
    assert artifacts.read_embedding(root, "sample", "means")[0][0] == f"NGC {table['file'].iloc[0]}"
    make(images, tmp_path / "anew")
    assert hashes(root) == hashes(tmp_path / "anew")


def test_a_table_of_images_that_is_written_anew_costs_what_is_new_in_it(tmp_path):
    images = write_images(tmp_path / "images", 12, broken=(2,)) / "images"
    stored = [{"id_str": file.stem, "image": file.read_bytes()} for file in sorted(images.iterdir())]

    def run(rows: list[dict]) -> int:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "all.parquet", row_group_size=5)
        return make(tmp_path / "all.parquet", tmp_path / "root", layout="galaxy-zoo")

    assert run(stored) == 11
    stored[7] = {**stored[7], "image": stored[8]["image"]}  # another image, that is known
    assert run([stored[-1] | {"id_str": "new"}, *stored[3:], *stored[:3]]) == 0
    assert run([{"id_str": "newer", "image": encode_png(np.full((3, 9, 9), 0.2, np.float32))}, *stored]) == 1
    assert make(tmp_path / "all.parquet", tmp_path / "anew", layout="galaxy-zoo") == 12
    assert hashes(tmp_path / "root") == hashes(tmp_path / "anew")


def test_nested_pixels_tell_which_image_has_changed(tmp_path):
    rng = np.random.default_rng(0)
    pixels = [rng.normal(size=(3, 4)).tolist() for _ in range(5)] + [None, [[1.0], [2.0, 3.0]]]

    def states(values: list) -> list[str]:
        kind = pa.list_(pa.list_(pa.float32()))
        pq.write_table(pa.table({"image": pa.array(values, kind)}), tmp_path / "all.parquet", row_group_size=3)
        return NestedImages([tmp_path / "all.parquet"], ("image",), np.arange(len(values))).states(range(len(values)))

    before, after = states(pixels), states([rng.normal(size=(4, 3)).tolist(), *pixels])
    assert after[1:6] == before[:5] and len({*before, *after}) == len(before) + 3  # none and no image stay themselves


def test_a_catalog_without_the_record_is_read_and_embedded_anew(made):
    images, root = made
    (root / "sample/states/means.parquet").unlink()
    manifest = artifacts.read_manifest(root, "sample")
    manifest.files.pop("states/means.parquet")
    artifacts.write_json(root / "sample/manifest.json", manifest.to_dict())
    assert artifacts.verify(root, "sample") == []
    grow(images, 0, "200")
    assert make(images, root) == 30


def test_a_shard_is_not_read_for_a_few_of_its_rows_where_many_would_be():
    edges = np.arange(21) * 100
    scattered = np.concatenate([np.arange(9) * 100, 1900 + np.arange(20)])
    assert (image_reuse._worth_taking(scattered.copy(), edges, 29) == UNKNOWN).sum() == 9
    assert (image_reuse._worth_taking(scattered[2:], edges, 10) == UNKNOWN).sum() == 0


def test_states_are_found_by_all_of_their_bytes():
    before = np.array([[5, 1], [3, 2], [9, 9], [3, 7]], np.uint64)
    now = np.array([[9, 9], [3, 2], [3, 3], [2**63, 0], [5, 1]], np.uint64)
    assert image_reuse._find(now, before).tolist() == [2, 1, UNKNOWN, UNKNOWN, 0]
