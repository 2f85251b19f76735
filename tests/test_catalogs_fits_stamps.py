"""The reader of FITS stamps: extensions of one file, one file a stamp, and files that are damaged."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from galaxy_core.catalogs import read_catalog
from galaxy_core.errors import CatalogError, ImageError
from tests.catalog_files import counts, png, put


def write_stamps(path: Path, n: int, primary: bool = False) -> None:
    hdus = [fits.PrimaryHDU(np.full((4, 4), 100.0) if primary else None)]
    for k in range(n):
        pixels = np.full((5 + k, 7), float(k), dtype=np.float64)
        kind = fits.CompImageHDU if k == 1 else fits.ImageHDU
        hdus.append(kind(pixels, name=f"STAMP{k}"))
    hdus.insert(2, fits.BinTableHDU.from_columns([fits.Column("x", "E", array=[1.0])]))
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList(hdus).writeto(path)


def test_fits_extensions_with_catalog(tmp_path):
    write_stamps(tmp_path / "stamps.fits", 3)  # extensions 1, 3 (compressed) and 4; 2 is a table
    put(
        tmp_path / "catalog.csv",
        "IDENT,hdu,ra,dec,pixel_scale_arcsec\n14,4,150,2,0.03\n11,1,150,2,0.03\n12,2,150,2,0.03\n13,3,150,2,0.03\n",
    )
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    assert counts(catalog) == (1, 0, 0, 0)
    assert catalog.galaxy_ids.tolist() == ["14", "11", "13"]
    assert [catalog.load_image(i).shape for i in range(3)] == [(1, 7, 7), (1, 5, 7), (1, 6, 7)]
    assert [float(catalog.load_image(i).mean()) for i in range(3)] == [2.0, 0.0, 1.0]
    assert catalog.linear
    assert catalog.pixel_scale_arcsec == 0.03
    assert pickle.loads(pickle.dumps(catalog.load_image))(0).mean() == 2.0


def test_extensions_may_be_given_by_name(tmp_path):
    hdus = [fits.ImageHDU(np.full((4, 4), float(k)), name=name) for k, name in enumerate("abb", 1)]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "stamps.fits")
    put(tmp_path / "catalog.csv", "objid,extension\n7,a\n8,2.0\n9,B\n")  # two are called B
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == ["7", "8"] and counts(catalog) == (1, 1, 0, 0)
    assert [catalog.load_image(k).mean() for k in range(2)] == [1.0, 2.0]


def test_fits_extensions_without_catalog_or_without_hdu_column(tmp_path):
    write_stamps(tmp_path / "any.fits", 2, primary=True)
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == ["any.fits[0]", "STAMP0", "STAMP1"]
    assert [float(catalog.load_image(i).mean()) for i in range(3)] == [100.0, 0.0, 1.0]
    put(tmp_path / "catalog.csv", "id,mag\nSTAMP1,20\nSTAMP9,21\n")  # by name
    assert counts(read_catalog(f"fits-stamps:{tmp_path}")) == (1, 2, 0, 0)
    fits.setval(tmp_path / "any.fits", "BUNIT", value="mag")
    put(tmp_path / "catalog.csv", "id,mag\nx,20\ny,21\nz,22\n")  # by order
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    assert [float(catalog.load_image(i).mean()) for i in range(3)] == [100.0, 0.0, 1.0]
    assert catalog.report.notes[0].startswith("any.fits[0]: BUNIT is mag, but pixels are taken as linear")
    put(tmp_path / "catalog.csv", "id,mag\nx,20\ny,21\n")
    with pytest.raises(CatalogError, match="2 rows for 3 stamps and no hdu column"):
        read_catalog(f"fits-stamps:{tmp_path}")


def test_what_a_galaxy_is_called_is_no_file(tmp_path):
    for k in (1, 2):
        fits.writeto(tmp_path / f"{k}.fits", np.full((4, 4), float(k)))
    put(tmp_path / "catalog.csv", "objid,name\n2,KiDS J0001-02\n1,KiDS J0002-01\n")
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    assert catalog.galaxy_ids.tolist() == ["2", "1"]
    assert [float(catalog.load_image(k).mean()) for k in range(2)] == [2.0, 1.0]
    write_stamps(tmp_path / "one/stamps.fits", 2)
    put(tmp_path / "one/catalog.csv", "objid,name,hdu\n8,KiDS J0001-02,3\n9,KiDS J0002-01,1\n")
    catalog = read_catalog(f"fits-stamps:{tmp_path / 'one'}")
    assert catalog.galaxy_ids.tolist() == ["8", "9"]
    assert [float(catalog.load_image(k).mean()) for k in range(2)] == [1.0, 0.0]


def test_names_of_extensions_are_ids_whatever_their_capitals(tmp_path):
    """The names `astropy.io.fits` was given are in capitals in the file, and other rows are not theirs by order."""
    hdus = [fits.ImageHDU(np.full((4, 4), float(k)), name=name) for k, name in enumerate(["ngc1300", "M 51b"], 1)]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "stamps.fits")
    put(tmp_path / "catalog.csv", "id,mag\nM 51b,9\nngc1300,11\n")
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    found = {galaxy: float(catalog.load_image(i).mean()) for i, galaxy in enumerate(catalog.galaxy_ids)}
    assert found == {"ngc1300": 1.0, "M 51b": 2.0}


@pytest.mark.parametrize(
    "table", [None, "file,z\nb.fits,0.2\na.fits.gz,0.1\nc.fits,0.3\n", "id,z\nb,0.2\na,0.1\nc,0.3\n"]
)
def test_one_fits_file_per_stamp(tmp_path, table):
    fits.PrimaryHDU(np.full((3, 4), 1.0)).writeto(tmp_path / "a.fits.gz")
    fits.PrimaryHDU(np.full((2, 5, 6), 2.0)).writeto(tmp_path / "b.fits")
    if table:
        put(tmp_path / "catalog.csv", table)
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    means = {galaxy: float(catalog.load_image(i).mean()) for i, galaxy in enumerate(catalog.galaxy_ids)}
    assert means == {"a": 1.0, "b": 2.0}
    assert counts(catalog) == ((1 if table else 0), 0, 0, 0)


def test_a_picture_that_is_called_a_stamp_is_one_sentence(tmp_path):
    fits.PrimaryHDU(np.full((3, 4), 7.0)).writeto(tmp_path / "a.fits")
    put(tmp_path / "b.fits", png(9))
    images = read_catalog(f"fits-stamps:{tmp_path}").load_image.take([1, 0])
    assert images(1).mean() == 7.0
    with pytest.raises(ImageError, match=r"b\.fits is a stretched picture"):
        images(0)


def test_several_stamp_files_need_a_file_column(tmp_path):
    write_stamps(tmp_path / "one.fits", 2)
    write_stamps(tmp_path / "two.fits", 2)
    put(tmp_path / "catalog.csv", "id,hdu\na,1\n")
    with pytest.raises(CatalogError, match="file column"):
        read_catalog(f"fits-stamps:{tmp_path}")
    put(tmp_path / "catalog.csv", "ident,gal_filename,gal_hdu\na,two.fits,3\nb,one.fits,1\nc,one.fits,7\nd,,1\n")
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    assert [float(catalog.load_image(i).mean()) for i in range(2)] == [1.0, 0.0]
    assert counts(catalog) == (2, 2, 0, 0)


def test_truncated_and_gzipped_stamp_files(tmp_path):
    write_stamps(tmp_path / "stamps.fits", 3)
    whole = (tmp_path / "stamps.fits").read_bytes()
    (tmp_path / "stamps.fits").write_bytes(whole[:-4000])
    catalog = read_catalog(f"fits-stamps:{tmp_path}")
    assert float(catalog.load_image(0).mean()) == 0.0
    said = ("stamps.fits cannot be read to its end, so stamps are missing; fetch or copy it again",)
    assert catalog.report.notes == said
    (tmp_path / "stamps.fits").write_bytes(whole[:-100])  # of the zeros that fill up the last block
    assert read_catalog(f"fits-stamps:{tmp_path}").report.notes == ()
    (tmp_path / "stamps.fits").write_bytes(whole + bytes(2880))
    assert read_catalog(f"fits-stamps:{tmp_path}").report.notes == ()
    (tmp_path / "stamps.fits").write_bytes(whole[: -2880 - 100])  # in a header
    assert read_catalog(f"fits-stamps:{tmp_path}").report.notes == said
    (tmp_path / "stamps.fits").write_bytes(b"no FITS at all" * 500)
    with pytest.raises(CatalogError, match="as FITS"):
        read_catalog(f"fits-stamps:{tmp_path}")
    (tmp_path / "stamps.fits").rename(tmp_path / "stamps.fits.gz")
    with pytest.raises(CatalogError, match="gunzip"):
        read_catalog(f"fits-stamps:{tmp_path}")
