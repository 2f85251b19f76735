"""Two runs that classify into one table."""

from __future__ import annotations

import pytest

from galaxy_core.artifacts.staging import hold_lock
from galaxy_core.errors import ArtifactError
from galaxy_core.morphology_batch import Wanted, classify_all


def test_a_table_is_written_by_one_run_at_a_time(tmp_path):
    """The first to end removes the rows that both have made: the other would write a table without them."""
    out = tmp_path / "m.csv"
    out.write_text("kept")
    with (
        hold_lock(tmp_path / ".m.csv.lock", f"writing {out}"),
        pytest.raises(ArtifactError, match=r"Another run is writing .*m\.csv now; .* choose another --out"),
    ):
        classify_all(out, [tmp_path / "a.png"], [], Wanted(("none",), tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"] and out.read_text() == "kept"
