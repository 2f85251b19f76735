"""A recipe's configuration changed by text: what is taken, and what is out of range."""

import pytest

from galaxy_core.errors import ModelError
from galaxy_core.models.resnet import ResNetConfig
from galaxy_core.models.segmenter import SegmenterConfig
from galaxy_core.recipes.options import with_options
from galaxy_core.recipes.vote_regressor import Config


def test_configuration_as_text():
    config = with_options(Config(), ["whole.epochs=3", "model.class_names=a, b", "balance=0", "model.votes=False"])
    assert config.whole.epochs == 3 and config.model.class_names == ("a", "b") and config.balance == 0.0
    assert config.model.votes is False and config.heads == Config().heads
    assert with_options(Config(), ["model.encoder_widths=8,16"]).model.encoder_widths == (8, 16)
    for wrong in ("epochs=3", "whole=3", "whole.epochs=many", "whole.epochs", "balance.x=1", "model.votes=perhaps"):
        with pytest.raises(ModelError):
            with_options(Config(), [wrong])


@pytest.mark.parametrize(
    "option",
    [
        "seed=-1",
        "seed=4294967296",
        "whole.epochs=0",
        "whole.batch_size=-4",
        "whole.learning_rate=-1",
        "whole.gradient_clip=inf",
        "balance=nan",
        "model.input_px=0",
        "model.encoder_widths=8,0",
        "n_validation_max=0",
        "balance=50",
        "label_smoothing=5",
        "exact_share=2",
        "model.dropout=1.5",
        "views.noise_probability=2",
        "views.scale_min=0",
    ],
)
def test_numbers_out_of_range_are_one_sentence(option):
    with pytest.raises(ModelError, match=f"'{option}' is out of range"):
        with_options(Config(), [option])


def test_zero_is_taken_where_it_means_none():
    none = ["seed=0", "balance=0", "class_weight=0", "plateau_epochs=0", "whole.warmup_steps=0", "whole.weight_decay=0"]
    config = with_options(Config(), [*none, "classes_beside_votes=false"])
    assert config.plateau_epochs == config.whole.warmup_steps == 0 and not config.classes_beside_votes
    assert with_options(ResNetConfig(projection_size=8), ["projection_size=0"]).projection_size == 0
    assert with_options(SegmenterConfig(), ["filters=0"]).filters == 0
