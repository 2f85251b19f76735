"""The map page on catalogs that lack something: what is known is shown, what to run is said, never a traceback."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import make_catalog

from galaxy_core import artifacts

MAP = "pages/1_Galaxy_map.py"
PANELS = ("Selection", "The unusual", "Can I trust this map?")
NAME = "odd"


def rewrite(root, manifest, **tables) -> None:
    """Replace tables of the catalog."""
    for table, frame in tables.items():
        artifacts.write_table(root, NAME, table, frame)
    artifacts.write_manifest(root, NAME, manifest)


def read(root, table: str) -> pd.DataFrame:
    return artifacts.read_table(root, NAME, table)


def all_unclustered(root, manifest) -> None:
    clusters = read(root, "clusters")
    for name in ("hdbscan", "kmeans_8"):
        clusters[f"{name}_label"], clusters[f"{name}_membership"] = -1, 0.0
    rewrite(root, manifest, clusters=clusters)


def nowhere_on_the_map(root, manifest) -> None:
    projections = read(root, "projections")
    projections[[column for column in projections if column != "galaxy_id"]] = np.nan
    rewrite(root, manifest, projections=projections)


def no_position_on_the_sky(root, manifest) -> None:
    catalog = read(root, "catalog")
    catalog["ra_deg"] = catalog["dec_deg"] = np.nan
    rewrite(root, manifest, catalog=catalog)


def numbers_that_are_none(root, manifest) -> None:
    catalog = read(root, "catalog")
    catalog["radius_arcsec"], catalog["smooth-or-featured_smooth"], catalog["class"] = np.nan, np.nan, None
    rewrite(root, manifest, catalog=catalog)


def three_columns(root, manifest) -> None:
    ids = read(root, "catalog")[["galaxy_id", "split"]]
    rewrite(root, manifest, catalog=ids.assign(mass=1.0), projections=ids[["galaxy_id"]], clusters=ids[["galaxy_id"]])


def made_before_anomalies_and_trust(root, manifest) -> None:
    (root / NAME / "anomalies.parquet").unlink()
    projections = read(root, "projections")
    rewrite(root, manifest, projections=projections.drop(columns=["umap_trust", "pca_trust"]))


def no_pictures(root, manifest) -> None:
    ids = read(root, "catalog")["galaxy_id"].tolist()
    artifacts.write_thumbnails(root, NAME, ids, [b""] * len(ids))
    artifacts.write_manifest(root, NAME, manifest)


def corrupt_anomalies(root, manifest) -> None:
    (root / NAME / "anomalies.parquet").write_bytes(b"PAR1 nothing")


def no_embedding(root, manifest) -> None:
    for file in (root / NAME / "embedding").rglob("*.parquet"):
        file.unlink()


STATES = [
    all_unclustered,
    nowhere_on_the_map,
    no_position_on_the_sky,
    numbers_that_are_none,
    three_columns,
    made_before_anomalies_and_trust,
    no_pictures,
    corrupt_anomalies,
    no_embedding,
]
MAY_COMPLAIN = {corrupt_anomalies: "anomalies.parquet", no_embedding: "embedding"}


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_the_map_page_without_something(open_app, tmp_path, state, panel):
    state(tmp_path, make_catalog(tmp_path, NAME, 30))
    app = open_app(tmp_path, MAP, catalog=NAME, galaxy=f"{NAME}-00003", panel=panel)
    assert not app.exception
    for error in app.error:
        said = error.value.replace("\\", "")
        assert state in MAY_COMPLAIN and MAY_COMPLAIN[state] in said and "run_pipeline.py" in said
    if state is corrupt_anomalies:
        assert app.error
    said = " ".join(str(element.value) for kind in (app.markdown, app.subheader, app.info) for element in kind)
    assert "odd" in said  # the card of the galaxy is there all the same
    assert state is not three_columns or "trust in these maps" not in said, "there is no map"


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_one_two_and_three_galaxies_in_every_panel(open_app, tmp_path, n, panel):
    make_catalog(tmp_path, NAME, n)
    app = open_app(tmp_path, MAP, catalog=NAME, galaxy=f"{NAME}-00000", panel=panel)
    assert not app.exception and not app.error
    assert not any("the 0 nearest" in caption.value for caption in app.caption)


def test_names_in_any_script_and_very_long(open_app, tmp_path):
    manifest = make_catalog(tmp_path, NAME, 12)
    ids = [f"Галактика «{i}» <b>&{'x' * 120}" for i in range(12)]
    for table in ("catalog", "projections", "clusters", "anomalies"):
        artifacts.write_table(tmp_path, NAME, table, read(tmp_path, table).assign(galaxy_id=ids))
        artifacts.write_manifest(tmp_path, NAME, manifest)
    app = open_app(tmp_path, MAP, catalog=NAME, galaxy=ids[3])
    assert not app.exception and not app.error
    assert any("Галактика" in str(element.value) for element in app.markdown)
