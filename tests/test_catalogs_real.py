"""Readers on the real data, where they are present."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from galaxy_core.catalogs import read_catalog
from tests.catalog_files import counts, needs

REAL = {
    "kaggle:kaggle_gz": (700, (3, 424, 424)),
    "gz2:gz2": (700, (3, 224, 224)),
    "folder:gz_clean5": (26_093, (3, 128, 128)),
    "folder:star_galaxy": (3_080, (3, 64, 64)),
    "folder:gz_examples": (658, (3, 212, 212)),
    "fits-stamps:hst_cosmos": (60, (1, 92, 92)),
}


@pytest.mark.parametrize("spec", REAL)
def test_real_catalogs(spec):
    layout, _, folder = spec.partition(":")
    n_galaxies, shape = REAL[spec]
    catalog = read_catalog(f"{layout}:{needs(folder)}")
    assert len(catalog) == n_galaxies
    assert counts(catalog)[0] == counts(catalog)[1] == 0
    assert catalog.load_image(0).shape == shape
    for i in np.random.default_rng(3).integers(n_galaxies, size=3):
        assert np.isfinite(catalog.load_image(int(i))).any()


def test_real_kaggle_fractions_are_cumulative():
    table = read_catalog(f"kaggle:{needs('kaggle_gz')}").table
    np.testing.assert_allclose(table["Class2.1"] + table["Class2.2"], table["Class1.2"], atol=1e-4)


def test_real_classes_and_frames():
    classes = read_catalog(f"folder:{needs('gz_clean5')}").table["class"].value_counts().to_dict()
    assert classes == {
        "round_smooth": 7743,
        "in_between_smooth": 7389,
        "spiral": 7135,
        "edge_on": 3365,
        "cigar_smooth": 461,
    }
    stars = read_catalog(f"folder:{needs('star_galaxy')}")
    assert len(set(stars.split_keys)) == 23


def test_real_hst_stamps_are_the_extensions_astropy_reads():
    folder = needs("hst_cosmos")
    catalog = read_catalog(f"fits-stamps:{folder}")
    with fits.open(folder / "stamps.fits") as hdus:
        for i in (0, 17, 59):
            expected = hdus[int(catalog.table["hdu"][i])].data.astype(np.float32)
            np.testing.assert_array_equal(catalog.load_image(i)[0], expected)
            assert hdus[int(catalog.table["hdu"][i])].name == f"STAMP{catalog.galaxy_ids[i]}"
