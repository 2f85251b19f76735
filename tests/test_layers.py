"""Who may import whom: `pages -> pages/views -> galaxy_core` and `scripts -> galaxy_core`, never the other way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
BEFORE_INSTALLATION = {"start.py", "test.py", "environment.py"}  # these import one another and the standard library
KNOWS_STREAMLIT = {"serve.py", "load_relay.py"}  # one starts the app, one reads the messages it exchanges with browsers
FORBIDDEN = {
    "galaxy_core": {"streamlit", "argparse", "pages", "scripts", "app"},
    "scripts": {"streamlit", "pages", "app"},
    "pages/views": {"scripts", "app"},
    "pages": {"scripts", "app"},
}
HEAVY = ("torch", "umap", "numba", "hdbscan", "sklearn")
LIGHT_PAGES = ("app.py", *(f"pages/*{name}.py" for name in ("Galaxy_map", "Clusters", "Morphology", "Models")))


def sources(folder: str) -> list[Path]:
    """Python files of a layer; ``pages`` is its own files, without views."""
    return sorted((PROJECT / folder).glob("*.py" if folder == "pages" else "**/*.py"))


def imports_of(path: Path) -> set[str]:
    """Top-level names of the modules a file imports, anywhere in it; ``pages.views`` in full."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names | {name.split(".")[0] for name in names}


@pytest.mark.parametrize("folder", list(FORBIDDEN))
def test_imports_point_downwards(folder):
    files = sources(folder)
    assert files, f"{folder} holds no source; this test would prove nothing"
    files = [path for path in files if path.name not in KNOWS_STREAMLIT]
    wrong = {
        f"{path.relative_to(PROJECT)} imports {name}" for path in files for name in imports_of(path) & FORBIDDEN[folder]
    }
    assert not wrong


def test_views_do_not_import_pages():
    wrong = {
        f"{path.relative_to(PROJECT)} imports {name}"
        for path in sources("pages/views")
        for name in imports_of(path)
        if name.startswith("pages.") and not name.startswith("pages.views")
    }
    assert not wrong


def test_the_core_does_not_print():
    calls = {
        f"{path.relative_to(PROJECT)}:{node.lineno}"
        for path in sources("galaxy_core")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert not calls


def test_scripts_before_installation_need_only_the_standard_library():
    for name in BEFORE_INSTALLATION:
        top = {module.split(".")[0] for module in imports_of(PROJECT / "scripts" / name)}
        assert top <= set(sys.stdlib_module_names) | {"environment"}, name


def loaded_by(code: str, *arguments: str, of: tuple[str, ...] = HEAVY) -> str:
    """What of ``of`` a fresh Python has loaded after running ``code``, as it prints it; ``code`` prints nothing."""
    code = f"import sys\n{code}\nprint('loaded:', *sorted(set({of!r}) & set(sys.modules)))"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("pattern", LIGHT_PAGES)
def test_pages_that_show_stored_maps_load_without_heavy_libraries(pattern, tiny_root):
    found = sorted(PROJECT.glob(pattern))
    assert len(found) == 1, f"expected one page {pattern}, found {found}"
    page = found[0].relative_to(PROJECT).as_posix()
    code = """
from streamlit.testing.v1 import AppTest
page, root = sys.argv[1:]
sys.argv = ["app.py", "--artifacts", root]
app = AppTest.from_file("app.py", default_timeout=120)
if page != "app.py":
    app.switch_page(page)
app.run()
assert not app.exception and app.main.children, app.exception
"""
    assert loaded_by(code, page, str(tiny_root)) == "loaded:"


@pytest.mark.parametrize("script", ["run_pipeline", "embed", "project", "cluster", "export"])
def test_commands_of_the_pipeline_read_their_arguments_without_waiting_for_libraries_of_tables(script):
    assert loaded_by(f"import scripts.{script}", of=(*HEAVY, "pandas", "astropy", "dask")) == "loaded:"


def test_names_of_artifacts_are_those_of_its_modules():
    from galaxy_core import artifacts

    assert {"read_table", "write_table", "open_columns"} <= set(artifacts.__all__) & set(dir(artifacts))
    for name in artifacts.__all__:  # a name that its module lacks would be found out by a user only
        assert getattr(artifacts, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'read_nothing'"):
        _ = artifacts.read_nothing


def test_a_heavy_library_would_be_seen():
    assert loaded_by("import sklearn") == "loaded: sklearn"


def test_ruff_finds_nothing_to_mend():
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "."], cwd=PROJECT, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
