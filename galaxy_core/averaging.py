"""One network whose weights are the mean of several that were trained on from the same one.

What was trained further in different ways, or for different lengths, from the same weights lies in one basin of the
loss, and the mean of the weights keeps what each has gained at the cost of one network (Wortsman et al. 2022, ICML
162, 23965, and CVPR 7959). Nothing of the kind holds for networks that began with different weights: theirs point in
directions that have nothing in common, however alike what they say is (Fort et al. 2019, arXiv:1912.02757).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from galaxy_core.artifacts.files import atomic_path
from galaxy_core.ensembles import distinct_folders
from galaxy_core.errors import ModelError
from galaxy_core.model_files import HISTORY_FILE
from galaxy_core.models import load_model, read_model_config, save_model
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiser
from galaxy_core.models.morphology import EnsembleConfig, MorphologyEnsemble, MorphologyNet

READOUT = ("encoder.centre", "encoder.axes")
LEAST_ALIKE = 0.1  # cosine of weights of one start; a model and one trained on from it twice: 0.73, two starts: 0.00


def write_average(folders: Sequence[str | Path], target: str | Path) -> nn.Module:
    """Write the folder of a model whose weights are the mean of those of others; record and history are the last's.

    So is the readout of the embedding: each model has principal axes of its own, in an order and of signs that mean
    nothing, and entries of different axes have no mean. What was set on one model's outputs and is right for it alone
    is left out, to be set anew with its phase: the uncertainty of a contrastive denoiser, the gauge of novelty of a
    model of morphology.

    Parameters
    ----------
    folders : sequence of path
        At least two models of one kind and the same sizes.
    target : path
        None of ``folders``.

    Raises
    ------
    ModelError
        If they are fewer, differ in more than their weights, or began with different ones.
    """
    folders, target = distinct_folders(folders, target)
    models = [_bare(load_model(folder)) for folder in folders]
    mean = models[-1]
    for folder, model in zip(folders, models, strict=True):
        if type(model) is not type(mean) or model.config != mean.config:
            raise ModelError(f"{folder} and {folders[-1]} differ in more than their weights; name models of one kind.")
        if torch.cosine_similarity(_directions(model), _directions(mean), dim=0) < LEAST_ALIKE:
            raise ModelError(
                f"{folder} and {folders[-1]} began with different weights, which have no mean; name models that were"
                " trained on from the same one."
            )
    states = [model.state_dict() for model in models]
    last = states[-1]
    mean.load_state_dict(
        {key: last[key] if key.endswith(READOUT) else _mean([state[key] for state in states]) for key in last}
    )
    records = [read_model_config(folder) for folder in folders]
    about = {key: value for key, value in (records[-1].get("about") or {}).items() if key != "novelty"}
    made_of = [{"model": folder.name, "weights_sha256": record["weights_sha256"]}
               for folder, record in zip(folders, records, strict=True)]  # fmt: skip
    save_model(target, mean, about | {"then": [*about.get("then", []), {"mean_of": made_of}]})
    history = folders[-1] / HISTORY_FILE
    with atomic_path(target / HISTORY_FILE) as temporary:
        temporary.write_text(history.read_text(encoding="utf-8") if history.is_file() else "", encoding="utf-8")
    return load_model(target)


@torch.no_grad()
def _directions(model: nn.Module) -> Tensor:
    """All matrices and convolutions in one vector; gains and biases are much alike in all networks."""
    return torch.cat([weights.flatten() for weights in model.parameters() if weights.ndim > 1])


def _bare(model: nn.Module) -> nn.Module:
    """The same model without what was set on its own outputs."""
    config = model.config
    if isinstance(model, ContrastiveDenoiser):
        config = replace(config, uncertainty_widths=())
    elif isinstance(model, MorphologyNet):
        config = replace(config, novelty=False)
    elif isinstance(model, MorphologyEnsemble):
        config = EnsembleConfig(tuple(member | {"novelty": False} for member in config.members))
    bare, kept = type(model)(config), model.state_dict()
    bare.load_state_dict({key: kept[key] for key in bare.state_dict()})
    return bare.eval()


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    """Of weights; of counts, which have no mean, the last.

    What is alike in all stays to the last bit, so that a part that was not trained on keeps its checksum.
    """
    last = tensors[-1]
    if not last.dtype.is_floating_point or all(torch.equal(last, tensor) for tensor in tensors):
        return last
    return sum(tensors) / len(tensors)
