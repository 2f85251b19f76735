"""Which frame a stamp is of: by a table, by names, by folders; never by what is to be told."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from galaxy_core.errors import CatalogError
from galaxy_core.star_galaxy_names import frames_of, read_frames


def paths(*names: str) -> list[Path]:
    return [Path(name) for name in names]


def test_numbers_at_the_end_are_taken_off_until_names_are_shared():
    """Frame, x, y and band, as ARIES stamps are named, in folders of their class."""
    frames = ("IC3521-H01", "hd146116_R_20_01", "WASP-24_R01", "Ünïcode_7")
    given = [
        Path("all") / ("star" if i % 2 else "galaxy") / f"{frame}_{i}_{97 * i}_3.jpg"
        for frame in frames
        for i in range(15)
    ]
    told, by = frames_of(given, 12)
    assert by == "name" and told.tolist() == [frame for frame in frames for _ in range(15)]


def test_a_running_number_tells_no_frame_and_folders_do():
    given = [Path(f"night{night}/object_{i:03d}.fits.gz") for night in (1, 2) for i in range(20)]
    told, by = frames_of(given, 12)
    assert by == "folder" and told.tolist() == ["night1"] * 20 + ["night2"] * 20
    told, by = frames_of([Path(f"{i:06d}.png") for i in range(20)], 12)
    assert by == "folder" and set(told) == {"."}


@pytest.mark.parametrize(
    "name", ["{kind}_{i:03d}.jpg", "{kind}/{i:03d}.jpg", "{kind}/cut-{i}.jpg", "{kind}/{kind}{i}.jpg"]
)
def test_a_class_is_no_frame(name):
    kinds = ["star"] * 20 + ["Galaxy"] * 20
    told, _ = frames_of([Path("set") / name.format(kind=kind, i=i) for i, kind in enumerate(kinds)], 12)
    assert len(set(told)) == 1
    both = [Path("set") / f"{frame}_{kind}_{i}.jpg" for frame in "AB" for kind in ("star", "galaxy") for i in range(8)]
    assert frames_of(both, 12)[0].tolist() == ["A"] * 16 + ["B"] * 16


def test_one_file_and_none():
    assert frames_of(paths("a/b_1.fits"), 12)[0].tolist() == ["a"]
    assert frames_of([], 12)[0].tolist() == []


def test_a_table_tells_and_its_labels_are_not_read(tmp_path):
    table = tmp_path / "labels.csv"
    rows = [("galaxy/a.jpg", "galaxy", "f1"), ("star/b.jpg", "star", "f2"), ("star/a.jpg", "star", "f3")]
    pd.DataFrame(rows, columns=["file", "label", "source_frame"]).to_csv(table, index=False)
    given = [tmp_path / "star" / "a.jpg", tmp_path / "galaxy" / "a.jpg", Path("elsewhere") / "b.jpg"]
    assert read_frames(table, given).tolist() == ["f3", "f1", "f2"]
    with pytest.raises(CatalogError, match=r"no row for .*c\.jpg"):
        read_frames(table, [tmp_path / "c.jpg"])
    with pytest.raises(CatalogError, match=r"no row for .*a\.jpg"):  # of two frames by its name
        read_frames(table, [Path("elsewhere") / "star" / "a.jpg"])
    table.write_text("file,label\na.jpg,star\n")
    with pytest.raises(CatalogError, match="source_frame"):
        read_frames(table, given)
