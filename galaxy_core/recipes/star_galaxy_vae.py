"""Recipe `star_galaxy_vae`: tell stars from galaxies without a label, and with labels for comparison.

A variational autoencoder maximises E_q[ln p(x | z)] - KL(q(z | x) || p(z)) with one peak in the prior p(z), N(0, 1).
That draws all objects to one place, and stars and galaxies part only as far as reconstruction pushes them apart. The
third system's change was the prior: two peaks along one latent number, in several closed forms (a divergence from each
peak, or the squared distance between the densities), so that the bound pays for being near either peak and charges what
lies between. Latent space then has the form that the mixture fitted afterwards assumes. Here the two peaks are kept and
the rest is made exact:

- The sum over the peaks is taken within the logarithm (`galaxy_core.star_galaxy_losses.two_peak_bound`), as in the
  joint mixture of Jiang et al. (2017), so clustering is part of the training and not a step after it.
- The first latent number is the intrinsic extent, as the decoder is the seeing of the very stamp. One peak lies at no
  extent: that component is the star because it looks as the seeing does. No label says so, and the two cannot swap.
- The proportion of galaxies is a prior, learned by the same bound as a function of brightness and colour: where shapes
  are clear they teach which colours and magnitudes galaxies have, which helps where shapes are lost in noise. The few
  passes that teach shapes are too few for that, as the stellar locus is thin; so it goes on in a phase of its own, with
  likelihoods held, where a pass takes a second. Its overall level is that of the number counts, one number for all
  objects (`Config.galaxy_share`).

PSF-aware normalisation is in `galaxy_core.star_galaxy_stamps` and `galaxy_core.models.point_fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from galaxy_core.catalogs.catalog import Catalog
from galaxy_core.errors import ModelError
from galaxy_core.models import load_model
from galaxy_core.models.star_galaxy import Evidence, StarGalaxyConfig, StarGalaxyNet
from galaxy_core.ranks import first_goes_first, in_shares, is_first
from galaxy_core.recipes.star_galaxy_scores import evaluate
from galaxy_core.recipes.star_galaxy_steps import FitTable, fit_table, set_photometry, set_share, shapes_said, summaries
from galaxy_core.recipes.star_galaxy_table import table_lines
from galaxy_core.splits import TRAIN, VALIDATION
from galaxy_core.stamps import some_of
from galaxy_core.star_galaxy_losses import label_loss, two_peak_bound
from galaxy_core.star_galaxy_stamps import make_object_stamps
from galaxy_core.training import FitConfig, Phase, Report, fit
from galaxy_core.training_state import begin_state, finish_training, state_of, training_record

PHASES = ("unlabelled", "share", "labelled")

__all__ = ["PHASES", "Config", "evaluate", "table_lines", "train"]


@dataclass(frozen=True)
class Config:
    """Everything that decides a training run.

    Attributes
    ----------
    n_draws : int
        Draws of the encoder for each object of a batch.
    galaxy_share : float
        Proportion of galaxies among the objects, from number counts: the one number that is taken over, as in the third
        system. 0: what the bound makes of it.
    n_share_max : int
        Training objects on which the level of the prior is set to that proportion.
    blind_share : float
        Share of objects whose brightness and colours are hidden, so that stamps without a zero point can be told too.
    """

    seed: int = 0
    model: StarGalaxyConfig = field(default_factory=StarGalaxyConfig)
    unlabelled: FitConfig = field(default_factory=lambda: FitConfig(7, 128, 2e-3, 1e-4, average_decay=0.99))
    share: FitConfig = field(default_factory=lambda: FitConfig(30, 256, 2e-3, 0.1))
    labelled: FitConfig = field(default_factory=lambda: FitConfig(5, 128, 2e-3, 1e-2, average_decay=0.99))
    n_draws: int = 8
    galaxy_share: float = 0.68
    n_share_max: int = 3000
    blind_share: float = 0.25
    n_validation_max: int = 2048


def train(
    catalogs: Sequence[Catalog],
    folder: str | Path,
    config: Config | None = None,
    device: str = "cpu",
    report: Report | None = None,
    report_decoding: Callable[[int, int], None] | None = None,
    phases: Collection[str] = PHASES,
    start_from: str | Path | None = None,
) -> StarGalaxyNet:
    """Train on the training split of one catalog and write the model's folder; resumes a run that was stopped.

    Parameters
    ----------
    catalogs : sequence of one Catalog
        Labels (``class``: star or galaxy) are read in the phase "labelled" alone, which is left out without them.
    phases : collection of str
        Which of `PHASES` to train.
    start_from : path, optional
        A star-galaxy model to go on from.
    """
    config, folder = config or Config(), Path(folder)
    if set(phases) - set(PHASES) or not phases:
        raise ModelError(f"There is no such phase among {', '.join(phases) or 'none'}; choose among {PHASES}.")
    if len(catalogs) != 1:
        raise ModelError("Stars and galaxies are learned from one catalog, whose bands are those of the model.")
    state_folder, history_path = state_of(folder)
    torch.manual_seed(config.seed)
    model = StarGalaxyNet(config.model) if start_from is None else load_model(start_from)
    if not isinstance(model, StarGalaxyNet):
        raise ModelError(f"{start_from} is not a star-galaxy model; start from one, or from none.")
    with first_goes_first():
        begin_state(folder, "star_galaxy_vae", config, catalogs, phases, start_from)
        stamps = make_object_stamps(catalogs[0], state_folder, report_decoding)
    usable = np.isfinite(stamps.noise_sigma).all(axis=1)
    rows = {split: np.flatnonzero((stamps.splits == split) & usable) for split in (TRAIN, VALIDATION)}
    rows[VALIDATION] = some_of(rows[VALIDATION], config.n_validation_max, config.seed)
    if len(rows[VALIDATION]) < 2:
        raise ModelError("Too few objects to hold any out for validation; train on a hundred or more.")
    table = fit_table(stamps, np.concatenate([rows[TRAIN], rows[VALIDATION]]))
    n_train = len(rows[TRAIN])
    if start_from is None and table.noise_sigma is not None:
        set_photometry(model, table, n_train)
    labelled = bool((table.truth >= 0).all())
    if not labelled and set(phases) == {"labelled"}:
        raise ModelError("Not every training object is labelled star or galaxy; leave --phases out, or give labels.")
    # only the network that a phase trains is in the state of training, in which it computes with fewer digits
    for phase in _phases(model.to(device).eval(), table, n_train, config, device):
        if phase.name in phases and (labelled or phase.name != "labelled"):
            fit(phase, state_folder, history_path, config.seed, report)
        if phase.name != "labelled" and phase.name in phases:
            some = some_of(np.arange(n_train), config.n_share_max, config.seed)
            set_share(model.eval(), table, some, config.galaxy_share, device)
    if not is_first():
        return model
    model.config = replace(model.config, supervised=labelled and "labelled" in phases)
    trained = [phase for phase in PHASES if phase in phases and (labelled or phase != "labelled")]
    counts = {"n_train": n_train, "n_validation": len(rows[VALIDATION])}
    about = training_record("star_galaxy_vae", config, catalogs, phases=trained, **counts)
    return finish_training(folder, model, about, device)


def _phases(model: StarGalaxyNet, table: FitTable, n_train: int, config: Config, device: str) -> list[Phase]:
    items, held_out = np.arange(n_train), np.arange(n_train, len(table))
    told: dict[str, Tensor] = {}
    shapes: dict[str, tuple[Tensor, Tensor]] = {}

    def fitted(indices, generator: Generator | None) -> tuple:
        fits = table.take(indices, device)
        photometry = model.photometry(fits, table.noise(indices, device))
        draws = None
        if generator is not None:
            draws = torch.randn(len(indices), config.n_draws, 4, generator=generator).to(device)
            blind = torch.rand(len(indices), 1, generator=generator).to(device) < config.blind_share
            photometry = torch.where(blind, torch.zeros_like(photometry), photometry)
        return fits, photometry, draws

    def bound(batch, _: Generator | None) -> dict[str, Tensor]:
        return {"loss": two_peak_bound(in_shares(model.evidence, *batch))}

    def lit(indices, generator: Generator | None) -> tuple[Tensor, Tensor]:
        # made once the first phase is done
        if not shapes:
            shapes.update(seen=shapes_said(model, table, device), blind=shapes_said(model, table, device, blind=True))
        light, gain = (part[indices] for part in shapes["seen"])
        if generator is not None:
            blind = torch.rand(len(indices), generator=generator) < config.blind_share
            light = torch.where(blind[:, None], shapes["blind"][0][indices], light)
            gain = torch.where(blind, shapes["blind"][1][indices], gain)
        return light.to(device), gain.to(device)

    def shared(batch, _: Generator | None) -> dict[str, Tensor]:
        light, gain = batch
        odds = in_shares(model.share, light).squeeze(1)
        return {"loss": two_peak_bound(Evidence(torch.zeros_like(gain), gain, odds))}

    def seen(indices, generator: Generator | None) -> tuple[Tensor, Tensor, Tensor]:
        # made once the other phases are done, whose networks it keeps as they are
        if not told:
            told.update(seen=summaries(model, table, device), blind=summaries(model, table, device, blind=True))
        planes, summary = table.planes(indices, device), told["seen"][indices]
        if generator is not None:
            blind = torch.rand(len(indices), 1, generator=generator) < config.blind_share
            summary = torch.where(blind, told["blind"][indices], summary)
            flips, turns = (
                torch.randint(0, 2, (1,), generator=generator),
                torch.randint(0, 4, (1,), generator=generator),
            )
            planes = turned(planes, int(turns), bool(flips))
        return planes, summary.to(device), torch.from_numpy(table.truth[indices]).to(device)

    def labelled(batch, _: Generator | None) -> dict[str, Tensor]:
        planes, summary, truth = batch
        return {"loss": label_loss(in_shares(model.supervised, planes, summary).squeeze(1), truth)}

    def phase(name: str, module, prepare, losses, settings: FitConfig) -> Phase:
        def validate() -> dict[str, float]:
            parts = np.array_split(held_out, max(len(held_out) // 256, 1))
            total = sum(float(losses(prepare(part, None), None)["loss"]) * len(part) for part in parts)
            return {"score": total / len(held_out), "loss": total / len(held_out)}

        return Phase(name, module, items, losses, validate, settings, prepare=prepare)

    # as few objects as the other phases take are enough for this one
    share = replace(config.share, batch_size=min(config.share.batch_size, n_train))
    return [
        phase("unlabelled", model, fitted, bound, config.unlabelled),
        phase("share", model.share, lit, shared, share),
        phase("labelled", model.supervised, seen, labelled, config.labelled),
    ]


def turned(planes: Tensor, quarters: int, mirrored: bool) -> Tensor:
    """Planes centred on pixel size // 2, turned by quarters about that pixel; the first row and column wrap around."""
    out = torch.rot90(planes, quarters, (2, 3))
    # a turn about the middle of an even stamp moves the central pixel by one
    shift = {0: (0, 0), 1: (1, 0), 2: (1, 1), 3: (0, 1)}[quarters % 4]
    out = torch.roll(out, shift, (2, 3))
    return torch.roll(out.flip(3), 1, 3) if mirrored else out
