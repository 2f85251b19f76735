"""UMAP can be imported where nothing can be written beside packages or at home."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from numba import config

from galaxy_core.umap_package import KEPT, import_umap

NO_PLACE = "cannot cache function 'rdist': no locator available for file 'layouts.py'"  # numba's words


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A package of that name that fails as the text says, as long as there is no place for what is compiled."""

    def make(text):
        lines = f"from numba import config\nif not config.CACHE_DIR:\n    raise RuntimeError({text!r})\n"
        (tmp_path / "umap.py").write_text(lines)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "umap", raising=False)
        monkeypatch.setattr(config, "CACHE_DIR", "")

    yield make
    sys.modules.pop("umap", None)


def test_numba_is_given_a_place_where_it_has_none(stand_in):
    stand_in(NO_PLACE)
    assert import_umap().__name__ == "umap" and Path(config.CACHE_DIR).is_dir()


def test_other_errors_are_not_hidden(stand_in):
    stand_in("numba and this Python do not go together")
    with pytest.raises(RuntimeError, match="do not go together"):
        import_umap()


def test_what_takes_long_to_compile_is_kept_for_other_processes():
    import_umap()
    assert all(getattr(sys.modules[module], name).stats.cache_path for module, name in KEPT)
