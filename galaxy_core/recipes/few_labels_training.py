"""Networks trained on few labels: an encoder that knows galaxies already, or one that begins with nothing.

Fine-tuning begins with the classifier on frozen features as its last layer, since a random one would bend the features
before it says anything (Kumar et al. 2022, ICLR, "linear probing then fine-tuning").

Where images without a label may be learned from, the fine-tuned net says what all training images are, and goes on
learning from that, sharpened, and from the labels that are known (noisy student, Xie et al. 2020, CVPR; SimCLR v2, Chen
et al. 2020, NeurIPS): it agrees with itself under views it has not seen, and ever more galaxies lie far from where it
is unsure.

A training has its length from the start, and what stands at its end is kept: the 25 validation labels that go with 1 %
of the labels choose an epoch no better than chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from galaxy_core.augment import LABEL_VIEWS, ViewConfig
from galaxy_core.models.contrastive_denoiser import ContrastiveDenoiserConfig, GalaxyEncoder
from galaxy_core.models.dihedral import dihedral_views
from galaxy_core.recipes.few_labels_frozen import LinearHead
from galaxy_core.recipes.stamp_views import shrink, training_views
from galaxy_core.stamps import Stamps
from galaxy_core.training import FitConfig, Phase, Report, fit

BATCH = 256
LEAST_EPOCHS = 6
HISTORY = "history.jsonl"


@dataclass(frozen=True)
class TrainingConfig:
    """How networks are trained on few labels.

    Attributes
    ----------
    input_px : int or None
        Size at which networks see galaxies while they are trained, and when they are judged afterwards; None: the one
        that the encoder learned from, which encoders that take no other keep to in any case.
    views, exact_share : ViewConfig, float
        As in the recipe `vote_regressor`.
    label_smoothing : float
        Share of every target that is spread evenly over the classes.
    temperature : float
        What a net says of images without a label is raised to its inverse before it goes on learning from that.
    fine_tuned, unlabelled, scratch : FitConfig
        ``epochs`` is the most there are; fewer where ``n_views`` are reached before, but never below `LEAST_EPOCHS`.
        ``batch_size`` is the most, too: an eighth of the galaxies where that is less, 16 at least; ``learning_rate``
        goes with its square root.
    fine_tuned_views, unlabelled_views, scratch_views : int
        Views of galaxies a training may see in all.
    """

    input_px: int | None = None
    views: ViewConfig = LABEL_VIEWS
    exact_share: float = 0.25
    label_smoothing: float = 0.05
    temperature: float = 0.6
    fine_tuned: FitConfig = field(default_factory=lambda: FitConfig(60, 64, 1.5e-3, 2e-2, average_decay=0.99))
    fine_tuned_views: int = 42_000
    unlabelled: FitConfig = field(default_factory=lambda: FitConfig(3, 128, 1.5e-3, 2e-2, average_decay=0.99))
    unlabelled_views: int = 80_000
    scratch: FitConfig = field(default_factory=lambda: FitConfig(100, 64, 2e-3, 2e-2, average_decay=0.99))
    scratch_views: int = 60_000


class FewLabelNet(nn.Module):
    """An encoder and one linear layer; galaxy stamps (n, 3, P, P) to logits (n, n_classes)."""

    def __init__(self, encoder: nn.Module, n_classes: int, input_px: int) -> None:
        super().__init__()
        self.encoder, self.input_px = encoder, input_px
        self.head = nn.Linear(encoder.n_features, n_classes)
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def set_head(self, head: LinearHead) -> None:
        """Begin with a classifier that was fitted on the features."""
        self.head.weight.copy_(torch.from_numpy(head.weight))
        self.head.bias.copy_(torch.from_numpy(head.bias))

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, dtype=torch.bfloat16):
            features = self.encoder.features(images.contiguous(memory_format=torch.channels_last))
        return self.head(features.float())


def scratch_net(n_classes: int, seed: int, input_px: int | None = None) -> FewLabelNet:
    """The encoder of the contrastive denoiser with random weights, which ``seed`` decides."""
    torch.manual_seed(seed)
    config = ContrastiveDenoiserConfig()
    return FewLabelNet(GalaxyEncoder(config), n_classes, input_px or config.embedding_input_px)


def fit_config_for(limits: FitConfig, n_views: int, n_items: int) -> FitConfig:
    """How a training on ``n_items`` galaxies goes; see `TrainingConfig`.

    Examples
    --------
    >>> made = fit_config_for(FitConfig(40, 64, 1e-3), 30_000, 2_000)
    >>> made.epochs, made.batch_size, made.warmup_steps
    (15, 64, 46)
    """
    epochs = int(np.clip(n_views // n_items, min(LEAST_EPOCHS, limits.epochs), limits.epochs))
    batch_size = min(max(n_items // 8, 16), limits.batch_size, n_items)
    warmup_steps = epochs * (n_items // batch_size) // 10
    learning_rate = limits.learning_rate * math.sqrt(batch_size / limits.batch_size)
    return replace(limits, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, warmup_steps=warmup_steps)


def train_net(
    net: FewLabelNet,
    stamps: Stamps,
    targets: np.ndarray,
    items: np.ndarray,
    fit_config: FitConfig,
    config: TrainingConfig,
    folder: Path,
    seed: int,
    device: str = "cpu",
    report: Report | None = None,
) -> FewLabelNet:
    """Train a net to the end; its running average is what is left. A training that was stopped goes on.

    Parameters
    ----------
    targets : float32 array, shape (n_stamps, n_classes)
        Probability of each class: 1 and 0 where the label is known. Rows that are not asked for are ignored.
    items : int array
        Rows to learn from, repeated as often as they come in an epoch.
    folder : path
        State of the training and its history.
    """
    net.to(device, memory_format=torch.channels_last)
    net.n_steps.zero_()

    def losses(rows: np.ndarray, generator: Generator) -> dict[str, Tensor]:
        planes = stamps.planes(rows).to(device)
        logits = net(training_views(planes, config, net.input_px, generator))
        net.n_steps.add_(1)
        wanted = torch.from_numpy(targets[rows]).to(device)
        return {"loss": F.cross_entropy(logits, wanted, label_smoothing=config.label_smoothing)}

    def validate() -> dict[str, float]:
        return {"score": -float(net.n_steps)}  # the last is the best; counted in the net, so a stop does not restart it

    phase = Phase("few_labels", net, items, losses, validate, fit_config)
    fit(phase, folder, folder / HISTORY, seed, report)
    return net.eval()


def sharpen(shares: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities to the power ``1 / temperature``, made to sum to 1 again; float32 (n, n_classes).

    Examples
    --------
    >>> sharpen(np.array([[0.8, 0.2]], np.float32), 0.5).round(3).tolist()
    [[0.9409999847412109, 0.05900000035762787]]
    """
    raised = np.power(shares.astype(np.float64), 1 / temperature)
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def predict(
    net: FewLabelNet,
    stamps: Stamps,
    rows: np.ndarray,
    device: str = "cpu",
    n_views: int = 8,
    report: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Probability of each class, float32 (n, n_classes): the mean over the first ``n_views`` of the dihedral views."""
    net.eval()
    made = []
    for start in range(0, len(rows), BATCH):
        images = shrink(stamps.batch(rows[start : start + BATCH])[0].to(device), net.input_px)
        with torch.inference_mode():
            views = [net(view).softmax(dim=1) for view in dihedral_views(images)[:n_views]]
        made.append(torch.stack(views).mean(dim=0).cpu().numpy())
        if report:
            report(min(start + BATCH, len(rows)), len(rows))
    return np.concatenate(made)
