"""What a frame's catalogue becomes on disk: astropy reads each form back, with units, UCDs and coordinates."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse_single_table
from astropy.table import Table
from astropy.units import Unit
from astropy.wcs import WCS
from sky_scenes import header, scene, write

from galaxy_core.frame_bands import open_sky_frame
from galaxy_core.frame_catalog import FrameConfig, catalogue_frame
from galaxy_core.frame_exports import WRITERS, as_table, segmentation_header, write_segmentation
from galaxy_core.frame_headers import celestial_of
from galaxy_core.frame_table import meaning_of


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    """Two bands, with coordinates and a zero point."""
    folder = tmp_path_factory.mktemp("frames")
    head = header(MAGZERO=25.0, FILTER="r", BUNIT="adu", CTYPE3="FREQ", OBJECT="field")
    one = write(folder / "a.fits", scene(), head)
    two = write(folder / "b.fits", scene(seed=1), header(FILTER="g"))
    with open_sky_frame([one, two]) as frame:
        return catalogue_frame(frame, FrameConfig("sep"))


def same(table, catalog) -> bool:
    """Whether every number is the same; what is missing may be masked."""
    columns = {name: np.ma.filled(np.ma.asarray(table[name]).astype(float), np.nan) for name in catalog.objects.columns}
    return all(np.allclose(values, catalog.objects[name], equal_nan=True) for name, values in columns.items())


def test_every_column_has_a_ucd_and_a_meaning(catalog):
    table = as_table(catalog)
    for name in table.colnames:
        assert table[name].meta["ucd"] and table[name].description
    assert table["ra_deg"].unit == "deg" and table["x"].unit == "pix" and table["magnitude_g"].unit == "mag"
    assert meaning_of("flux_err_g").ucd == "stat.error;phot.flux" and "band g" in meaning_of("flux_err_g").description


def test_fits_reads_back(catalog):
    data = WRITERS["fits"](catalog)
    table = Table.read(io.BytesIO(data))
    assert same(table, catalog) and table["half_light_radius"].unit == "pix"
    head = fits.getheader(io.BytesIO(data), 1)
    place = table.colnames.index("dec_deg") + 1
    assert head[f"TUCD{place}"] == "pos.eq.dec;meta.main"
    assert "method: sep" in str(head["HISTORY"]) and "galaxy_share: not given" in str(head["HISTORY"])
    given = replace(catalog, config=replace(catalog.config, galaxy_share=0.05))
    assert "galaxy_share: 0.05 as given" in str(fits.getheader(io.BytesIO(WRITERS["fits"](given)), 1)["HISTORY"])


def test_votable_reads_back(catalog):
    data = WRITERS["votable"](catalog)
    assert same(Table.read(io.BytesIO(data), format="votable"), catalog)
    fields = {field.name: field for field in parse_single_table(io.BytesIO(data)).fields}
    assert fields["ra_deg"].ucd == "pos.eq.ra;meta.main" and fields["ra_deg"].ref == "icrs"
    assert str(fields["magnitude"].unit) == "mag"


def test_light_has_the_unit_of_its_band(tmp_path):
    """In every form, where the form knows such a unit; what the header says stands beside it as it is."""
    paths = [
        write(tmp_path / f"{name}.fits", scene(), header(FILTER=name, BUNIT=unit))
        for name, unit in (("r", "nJy"), ("i", "MJy/sr"), ("err", "image units"))
    ]
    with open_sky_frame(paths) as frame:
        catalog = catalogue_frame(frame, FrameConfig("sep"))
    expected = {"flux": "nJy", "flux_err_r": "nJy", "flux_i": "MJy pix / sr", "flux_band_err": None, "snr": None}
    for data, form in ((WRITERS["fits"](catalog), "fits"), (WRITERS["votable"](catalog), "votable")):
        table = Table.read(io.BytesIO(data), format=form)
        assert {name: table[name].unit for name in expected} == {
            name: unit and Unit(unit) for name, unit in expected.items()
        }
    text = WRITERS["csv"](catalog).decode()
    assert "# flux_unit: r nJy, i MJy/sr, band_err image units" in text and "# column flux_err [nJy] stat.error" in text
    fields = pq.read_schema(io.BytesIO(WRITERS["parquet"](catalog)))
    assert fields.field("flux_r").metadata[b"unit"] == b"nJy"


def test_csv_and_parquet_read_back(catalog):
    text = WRITERS["csv"](catalog)
    assert same(Table.read(text.decode(), format="ascii.csv", comment="#"), catalog)
    assert "# column ra_deg [deg] pos.eq.ra;meta.main" in text.decode()
    table = pq.read_table(io.BytesIO(WRITERS["parquet"](catalog)))
    assert same(table.to_pandas(), catalog)
    assert table.schema.field("flux").metadata[b"ucd"] == b"phot.flux"
    about = json.loads(table.schema.metadata[b"provenance"])
    assert about["bands"] == "r, g" and about["light"] == "linear"
    assert about["zero_points"] == "r 25 mag by its header, g not known"


def test_regions_are_ellipses_counted_from_one(catalog):
    lines = WRITERS["regions"](catalog).decode().splitlines()
    ellipses = [line for line in lines if line.startswith("ellipse(")]
    assert len(ellipses) == len(catalog.objects) and "image" in lines
    x, y = map(float, re.match(r"ellipse\(([\d.]+),([\d.]+),", ellipses[0]).groups())
    row = catalog.objects.iloc[0]
    assert (x, y) == pytest.approx((row["x"] + 1, row["y"] + 1), abs=1e-3)


def test_the_map_has_the_frame_s_coordinates_and_the_catalogue_s_numbers(catalog, tmp_path):
    with fits.open(write_segmentation(catalog, tmp_path / "map.fits")) as file:
        file.verify("exception")
        assert file[0].data.dtype == np.dtype(">i4") and file[0].header["OBJECT"] == "field"
        np.testing.assert_array_equal(file[0].data, catalog.segmentation)
        row = catalog.objects.iloc[1]
        place = WCS(file[0].header).all_pix2world([[row["x"], row["y"]]], 0)[0]
        assert place == pytest.approx((row["ra_deg"], row["dec_deg"]), abs=1e-9)
        assert "BUNIT" not in file[0].header and "CTYPE3" not in file[0].header
    # SCAMP's distortions under the name TAN, which astropy refuses if they are low, and tables of other extensions
    terms = {"PV1_0": 1e-4, "PV1_1": 1.001, "PV1_2": 2e-3, "PV2_1": 0.999, "CPDIS1": "Lookup", "DP1": "EXTVER: 1.0"}
    distorted = replace(catalog, header=catalog.header.copy())
    distorted.header.update(terms)
    place = WCS(segmentation_header(distorted)).all_pix2world([[10.0, 20.0]], 0)
    np.testing.assert_allclose(place, celestial_of(distorted.header)[0].all_pix2world([[10.0, 20.0]], 0), rtol=1e-12)


def test_a_catalogue_without_objects_is_written_too(tmp_path):
    path = write(tmp_path / "a.fits", np.random.default_rng(0).normal(0, 1, (64, 64)).astype(np.float32))
    with open_sky_frame([path]) as frame:
        empty = catalogue_frame(frame, FrameConfig("sep", false_per_megapixel=0.01))
    assert len(empty.objects) == 0
    for form, writer in WRITERS.items():
        assert writer(empty), form
    assert len(Table.read(io.BytesIO(WRITERS["fits"](replace(empty, name="é\n"))))) == 0
