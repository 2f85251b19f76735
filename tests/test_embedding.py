"""The embedding step: the same vectors however the work is cut, and nothing lost in silence."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from galaxy_core.catalogs.catalog import Catalog, ReadReport
from galaxy_core.embedding import Embedder, ImageSettings, embed_shards, find_model, load_embedder, n_shards, shards_of
from galaxy_core.errors import ImageError, ModelError
from galaxy_core.images import decode_image, resize_square
from galaxy_core.stretch import to_display

SETTINGS = ImageSettings(shard_size=10, batch_size=4, thumbnail_px=24)
BROKEN = (3, 4, 5, 6, 7, 22)


def make_catalog(n: int = 27, broken=BROKEN, bands: int = 3, linear: bool = False, size=(40, 52)) -> Catalog:
    """Random images of which some cannot be decoded."""

    def load_image(i: int) -> np.ndarray:
        if i in broken:
            raise ImageError(f"image {i} is damaged.")
        return np.random.default_rng(i).random((bands, *size), dtype=np.float32)

    table = pd.DataFrame({"galaxy_id": [f"g{i}" for i in range(n)]})
    return Catalog(table, load_image, "test", "memory", ReadReport(n, n), linear=linear)


def pool(images: np.ndarray) -> np.ndarray:
    """A network: means over blocks, of unit length."""
    blocks = images.reshape(len(images), 3, 2, images.shape[2] // 2, 2, images.shape[3] // 2).mean(axis=(3, 5))
    flat = blocks.reshape(len(images), 12) + 1e-3
    return (flat / np.linalg.norm(flat, axis=1, keepdims=True)).astype(np.float32)


EMBEDDER = Embedder("pool", "1", 16, 12, pool)


def by_row(shards) -> dict[int, bytes]:
    """Row -> its vector and thumbnail."""
    rows = {}
    for shard in shards:
        for k, row in enumerate(shard.rows):
            rows[int(row)] = shard.vectors[k].tobytes() + b"".join(shard.thumbnails[k : k + 1])
    return rows


def test_every_vector_is_that_of_its_image():
    """Naive re-derivation, one image at a time."""
    catalog = make_catalog()
    seen = []
    for shard in embed_shards(shards_of(catalog, SETTINGS, [0, 1, 2]), EMBEDDER, SETTINGS):
        for row, vector, thumbnail in zip(shard.rows, shard.vectors, shard.thumbnails, strict=True):
            display = to_display(catalog.load_image(int(row)), False)
            np.testing.assert_allclose(vector, pool(resize_square(display, 16)[None])[0], atol=1e-6)
            assert Image.open(io.BytesIO(thumbnail)).format == "WEBP"
            shown = decode_image(thumbnail, "thumbnail").pixels
            assert shown.shape == (3, 24, 24)
            assert np.abs(shown.mean(axis=0) - resize_square(display, 24).mean(axis=0)).mean() < 0.12
            seen.append(int(row))
    assert seen == [row for row in range(27) if row not in BROKEN]


def test_shards_do_not_depend_on_which_are_asked_for():
    catalog = make_catalog()
    together = by_row(embed_shards(shards_of(catalog, SETTINGS, [0, 1, 2]), EMBEDDER, SETTINGS))
    apart = {}
    for shard in (2, 0, 1):
        apart |= by_row(embed_shards(shards_of(catalog, SETTINGS, [shard]), EMBEDDER, SETTINGS))
    assert together == apart and len(together) == 21


def test_the_network_sees_the_same_batches_after_a_resume():
    """Batches are cut by row number: sizes must not change with the shards that are left."""
    sizes: list[int] = []

    def note(images: np.ndarray) -> np.ndarray:
        sizes.append(len(images))
        return pool(images)

    embedder = Embedder("note", "1", 16, 12, note)
    list(embed_shards(shards_of(make_catalog(broken=()), SETTINGS, [0, 1, 2]), embedder, SETTINGS))
    assert sizes == [4, 4, 2, 4, 4, 2, 4, 3]
    sizes.clear()
    list(embed_shards(shards_of(make_catalog(broken=()), SETTINGS, [1]), embedder, SETTINGS))
    assert sizes == [4, 4, 2]


def test_a_shard_without_one_good_image_is_empty():
    shards = list(embed_shards(shards_of(make_catalog(12, broken=range(10)), SETTINGS, [0, 1]), EMBEDDER, SETTINGS))
    assert [len(shard.rows) for shard in shards] == [0, 2]
    assert shards[0].vectors.shape == (0, 12) and shards[0].thumbnails == []


def test_progress_counts_every_galaxy_tried():
    counts: list[int] = []
    list(embed_shards(shards_of(make_catalog(), SETTINGS, [0, 1, 2]), EMBEDDER, SETTINGS, False, counts.append))
    assert sum(counts) == 27


def test_without_thumbnails_there_are_none():
    assert all(
        s.thumbnails == []
        for s in embed_shards(shards_of(make_catalog(), SETTINGS, [0]), EMBEDDER, SETTINGS, thumbnails=False)
    )


@pytest.mark.parametrize(("bands", "linear", "size"), [(1, False, (8, 9)), (2, True, (30, 30)), (5, True, (1, 1))])
def test_any_bands_and_sizes(bands, linear, size):
    """Grey, linear, single pixels: three bands in, and a small image is not blown up in its thumbnail."""
    catalog = make_catalog(3, broken=(), bands=bands, linear=linear, size=size)
    (shard,) = embed_shards(shards_of(catalog, SETTINGS, [0]), EMBEDDER, SETTINGS)
    assert len(shard.rows) == 3
    assert decode_image(shard.thumbnails[0], "thumbnail").pixels.shape[1:] == (min(24, *size),) * 2


def test_a_network_that_gives_no_numbers_is_said_so():
    embedder = Embedder("nan", "1", 16, 12, lambda images: np.full((len(images), 12), np.nan, np.float32))
    with pytest.raises(ModelError, match="values that are not numbers"):
        list(embed_shards(shards_of(make_catalog(), SETTINGS, [0]), embedder, SETTINGS))


def test_number_of_shards():
    assert [n_shards(n, SETTINGS) for n in (1, 10, 11)] == [1, 1, 2]


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match=r"no model 'nowhere'.* vote_regressor\); .*train\.py contrastive_denoiser"):
        find_model("nowhere", tmp_path)
    with pytest.raises(ModelError, match=r"no model 'cae'.*train\.py cae LAYOUT"):  # which no other recipe makes
        find_model("cae", tmp_path)


@pytest.fixture(scope="module")
def small_model(tmp_path_factory):
    """A real network with random weights, saved as the product saves it."""
    torch = pytest.importorskip("torch")
    from galaxy_core.models import save_model
    from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser, ContrastiveDenoiserConfig

    torch.manual_seed(0)
    config = ContrastiveDenoiserConfig(
        denoiser_widths=(4, 4), encoder_widths=(4, 8), encoder_blocks=(1, 1), embedding_size=16
    )
    return save_model(tmp_path_factory.mktemp("models") / "models" / "small", ContrastiveDenoiser(config))


def test_a_real_checkpoint_embeds(small_model):
    root = small_model.parents[1]
    embedder = load_embedder(find_model("small", root), "cpu")
    images = np.random.default_rng(0).random((5, 3, embedder.input_px, embedder.input_px), dtype=np.float32)
    vectors = embedder.embed(images)
    assert (embedder.name, vectors.shape, vectors.dtype) == ("small", (5, 16), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors.tobytes() == load_embedder(small_model, "cpu").embed(images).tobytes()


def test_the_fingerprint_follows_the_weights(small_model, tmp_path):
    import torch

    from galaxy_core.models import load_model, save_model

    model = load_model(small_model)
    before = load_embedder(save_model(tmp_path / "a", model), "cpu").fingerprint
    assert before == load_embedder(small_model, "cpu").fingerprint
    with torch.no_grad():
        next(model.encoder.parameters()).add_(1e-3)
    assert load_embedder(save_model(tmp_path / "b", model), "cpu").fingerprint != before


def test_a_device_that_is_not_there(small_model):
    with pytest.raises(ModelError, match="evice"):
        load_embedder(small_model, "cuda:99")


def test_the_benchmark_reports_both_rates_and_their_ratio(small_model, tmp_path, capsys):
    from argparse import Namespace

    from scripts.benchmarks.embed import measure

    options = {"catalog": "synthetic:12", "model": str(small_model), "artifacts": tmp_path, "device": "cpu"}
    numbers = measure(Namespace(**options, limit=8, repeats=1))
    rates, ratios = numbers["galaxies_per_second"], numbers["ratio_to_forward_pass"]
    assert numbers["n_galaxies"] == 8 and len(rates) == 3
    for name in rates:
        assert ratios[name] == pytest.approx(rates[name] / rates["forward pass alone"], rel=1e-2)
    assert "of the forward pass alone" in capsys.readouterr().out
