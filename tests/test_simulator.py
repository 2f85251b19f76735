"""Simulated galaxies as wholes: fluxes, repeatability at every size, classes, votes, and the catalog they make."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from galaxy_core.catalogs import synthetic
from galaxy_core.errors import CatalogError, ImageError
from galaxy_core.simulator import simulate
from galaxy_core.simulator.galaxy import part_fluxes, render_galaxy
from galaxy_core.simulator.light import make_frame
from galaxy_core.simulator.parameters import CLASSES, draw_parameters
from galaxy_core.simulator.votes import TREE, answer_odds, count_votes, vote_fractions


def first_of(galaxy_class: str, condition=lambda p: True):
    """Parameters of the first simulated galaxy of a class that meets a condition."""
    return next(
        p for p in (draw_parameters(0, i) for i in range(5000)) if p.galaxy_class == galaxy_class and condition(p)
    )


# --- the whole galaxy


def test_a_whole_spiral_keeps_its_flux():
    p = replace(first_of("spiral", lambda p: p.bar_fraction and p.n_clumps > 3), dust_depth=0.0, ring_fraction=0.1)
    frame = make_frame(640, 0.04 * p.r90_arcsec)
    light = render_galaxy(p, frame, np.random.default_rng(1))
    assert light.sum((1, 2), dtype=float) == pytest.approx(sum(part_fluxes(p).values()), rel=1e-3)


def test_dust_only_absorbs():
    p = first_of("edge_on", lambda p: p.dust_depth > 1)
    frame = make_frame(256, 0.08 * p.r90_arcsec)
    dusty = render_galaxy(p, frame, np.random.default_rng(1)).sum((1, 2))
    clear = render_galaxy(replace(p, dust_depth=0.0), frame, np.random.default_rng(1)).sum((1, 2))
    assert np.all(dusty < 0.99 * clear)
    assert dusty[2] / clear[2] < dusty[0] / clear[0]


def test_a_galaxy_is_the_same_whatever_else_is_simulated():
    once, again = simulate(7, seed=3), simulate(7, seed=3)
    assert np.array_equal(once.image, again.image)
    assert once.parameters == again.parameters
    assert not np.array_equal(once.image, simulate(7, seed=4).image)
    few, many = synthetic.read("9@3"), synthetic.read("30@3")
    assert few.table.equals(many.table.iloc[:9])
    many.load_image(20)
    assert np.array_equal(few.load_image(7), many.load_image(7))
    assert np.array_equal(few.load_image(7), once.image)


def test_a_galaxy_is_the_same_at_every_size():
    large, small = simulate(11, size_px=128), simulate(11, size_px=64)
    assert large.parameters == small.parameters
    assert small.pixel_scale_arcsec == pytest.approx(2 * large.pixel_scale_arcsec)
    binned = large.linear.reshape(3, 64, 2, 64, 2).sum((2, 4))
    assert np.abs(binned - small.linear).max() < 0.08 * binned.max()


@pytest.mark.parametrize("size_px", [1, 2, 33, 64, 128])
def test_image_is_an_8_bit_display_image(size_px):
    galaxy = simulate(0, size_px=size_px)
    for image in (galaxy.image, galaxy.noiseless):
        assert image.shape == (3, size_px, size_px)
        assert image.dtype == np.float32
        assert 0 <= image.min() <= image.max() <= 1
        assert np.abs(image * 255 - np.rint(image * 255)).max() < 1e-3
    assert galaxy.linear.min() > -0.02 * galaxy.linear.max()


def test_noiseless_is_the_truth_behind_the_image():
    galaxy = simulate(2)
    assert not np.array_equal(galaxy.image, galaxy.noiseless)
    bright = galaxy.noiseless.mean(0) > 0.25
    difference = (galaxy.image - galaxy.noiseless).mean(0)[bright]
    assert abs(difference.mean()) < 0.01
    assert 0 < difference.std() < 0.06


def test_galaxies_of_every_class_look_like_it():
    catalog = synthetic.read(120)
    table = catalog.table
    assert set(table["class"]) == set(CLASSES)
    colors = {}
    for galaxy_class in ("round_smooth", "spiral"):
        rows = np.flatnonzero((table["class"] == galaxy_class) & (table["glow_level"] == 0))[:15]
        images = [catalog.load_image(int(row))[:, 54:74, 54:74].mean((1, 2)) for row in rows]
        colors[galaxy_class] = np.median([image[0] / image[2] for image in images])
    assert colors["round_smooth"] > 1.2 * colors["spiral"]
    edge_on = simulate(int(np.flatnonzero(table["class"] == "edge_on")[0]))
    light = edge_on.noiseless.mean(0)
    y, x = np.mgrid[:128, :128] - 63.5
    moments = np.cov(np.stack([x.ravel(), y.ravel()]), aweights=np.where(light > 0.15, light, 0).ravel())
    small, large = np.linalg.eigvalsh(moments)
    assert small / large < 0.25


# --- votes


def test_votes_obey_the_question_tree():
    for index in range(60):
        counts = count_votes(draw_parameters(1, index), 1, index)
        fractions = vote_fractions(counts)
        for question, (answers, led_by) in TREE.items():
            given = sum(counts[f"{question}_{answer}"] for answer in answers)
            if led_by:
                assert given == sum(counts[answer] for answer in led_by)
            values = [fractions[f"{question}_{answer}_fraction"] for answer in answers]
            if given:
                assert sum(values) == pytest.approx(1)
                assert min(values) >= 0
            else:
                assert np.isnan(values).all()


def test_votes_tell_the_classes_apart():
    table = synthetic.read(400).table
    right = {
        "round_smooth": table["how-rounded_round_fraction"] > 0.5,
        "in_between_smooth": table["how-rounded_in-between_fraction"] > 0.5,
        "cigar_smooth": table["how-rounded_cigar_fraction"] > 0.5,
        "edge_on": table["disk-edge-on_yes_fraction"] > 0.6,
        "spiral": (table["smooth-or-featured_featured-or-disk_fraction"] > 0.43)
        & (table["has-spiral-arms_yes_fraction"] > 0.5),
        "merger": table["something-odd_yes_fraction"] > 0.5,
    }
    for galaxy_class, agrees in right.items():
        assert agrees[table["class"] == galaxy_class].mean() > 0.8, galaxy_class


def test_votes_follow_the_parameters():
    p = first_of("spiral", lambda p: p.bar_fraction == 0)
    plain, barred = answer_odds(p)["bar"], answer_odds(replace(p, bar_fraction=0.2))["bar"]
    assert barred[0] > plain[0] + 0.2
    blurred = answer_odds(replace(p, seeing_fwhm_arcsec=5 * p.seeing_fwhm_arcsec))
    assert blurred["has-spiral-arms"][0] < answer_odds(p)["has-spiral-arms"][0]
    for odds in answer_odds(p).values():
        assert odds.sum() == pytest.approx(1)


# --- the catalog


def test_reading_renders_nothing(monkeypatch):
    monkeypatch.setattr(synthetic, "simulate", lambda *_: pytest.fail("an image was rendered"))
    catalog = synthetic.read(3)
    assert len(catalog) == 3
    assert catalog.galaxy_ids.tolist() == ["sim-0-000000", "sim-0-000001", "sim-0-000002"]
    assert set(catalog.answer_columns) <= set(catalog.table.columns)
    assert catalog.table["pixel_scale_arcsec"][2] == simulate(2).pixel_scale_arcsec
    assert (catalog.layout, catalog.source, catalog.answer_kind) == ("synthetic", "3", "fraction")


@pytest.mark.parametrize("n", [0, -3, "0", "x", "", "1.5", "5@", "5@x", "99999999999", "٣"])
def test_bad_counts_are_one_sentence(n):
    with pytest.raises(CatalogError) as failure:
        synthetic.read(n)
    assert "synthetic:2000" in str(failure.value)
    assert "\n" not in str(failure.value)


def test_rows_beyond_the_catalog_are_refused():
    catalog = synthetic.read(2)
    for row in (-1, 2):
        with pytest.raises(IndexError):
            catalog.load_image(row)


def test_contact_sheet_puts_the_catalogs_side_by_side():
    from scripts.contact_sheet import GAP_PX, contact_sheet

    catalogs = [synthetic.read("60"), synthetic.read("60@1")]
    sheet = contact_sheet(catalogs, columns=2, rows=1, size_px=32, seed=0)
    assert sheet.shape == (3, len(CLASSES) * 32, 2 * 2 * 32 + GAP_PX)
    assert sheet[:, :, :64].std() > 0.02
    assert sheet[:, :, -64:].std() > 0.02


def test_contact_sheet_draws_another_galaxy_for_one_that_cannot_be_decoded(capsys):
    from scripts.contact_sheet import block

    whole = synthetic.read("3")

    def load_image(i: int) -> np.ndarray:
        if i == 2:  # the first to be drawn
            raise ImageError("b.png is damaged.")
        return whole.load_image(i)

    sheet = block(replace(whole, load_image=load_image), None, columns=2, rows=1, size_px=32, seed=0)
    assert sheet[:, :, :32].any() and sheet[:, :, 32:].any()
    assert capsys.readouterr().err == "Left out: b.png is damaged.\n"


def test_contact_sheet_that_cannot_be_written_is_one_sentence_before_catalogs_are_read(tmp_path, monkeypatch, capsys):
    from scripts import contact_sheet

    monkeypatch.setattr(sys, "argv", ["contact_sheet.py", "synthetic:9", "folder:nowhere", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="1"):
        contact_sheet.main()
    assert capsys.readouterr().err == f"Cannot write {tmp_path}: it is a folder; name a file in it.\n"
