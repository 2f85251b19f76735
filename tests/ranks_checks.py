"""What `torchrun` starts to check the parts of training on many ranks; every assertion must hold on every rank."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import Generator, nn

from galaxy_core.losses import nt_xent_loss
from galaxy_core.rank_norm import joined_statistics
from galaxy_core.ranks import (
    as_first_says,
    first_goes_first,
    in_shares,
    is_first,
    joined_ranks,
    loss_step_of,
    on_share,
    prepare_batch,
    ranks,
    share_bounds,
)


@dataclass(frozen=True)
class Pair:
    left: torch.Tensor
    right: torch.Tensor | None


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 4)).double()


def rows(n: int = 13, width: int = 5) -> torch.Tensor:
    return torch.randn(n, width, dtype=torch.float64, generator=Generator().manual_seed(1))


def check_structures() -> None:
    """Whatever a network returns comes back whole and in order, whatever its kind."""
    n, seen = 13, []

    def returns(values, pair):
        assert on_share()
        seen.append(len(values))
        return {"a": values * 2, "b": (pair.left > 0, None), "c": pair}

    values = rows(n)
    made = in_shares(returns, values, Pair(values[:, 0], None))
    start, stop = share_bounds(n, ranks().count)[ranks().rank]
    assert seen == [stop - start] and not on_share()
    assert torch.equal(made["a"], values * 2) and torch.equal(made["c"].left, values[:, 0])
    assert made["b"][0].dtype == torch.bool and torch.equal(made["b"][0], values[:, 0] > 0)
    assert made["b"][1] is None and made["c"].right is None


def check_gradients() -> None:
    """A contrast over all rows and a norm on shares: loss, gradients and statistics are those of one rank.

    One rank's share is larger than the other's, and parameters lie on both sides of the gathering.
    """
    values, views = rows(), rows(13)[torch.randperm(13, generator=Generator().manual_seed(2))]
    whole, shared = network(), network()
    loss = nt_xent_loss(whole(values), whole(views), 0.2)
    loss.backward()

    def step(batch, _):
        first, second = (in_shares(shared[:3], part) for part in batch)  # the last layer sees the whole batch
        return {"loss": nt_xent_loss(shared[3](first), shared[3](second), 0.2)}

    wrapped = loss_step_of(shared, step)
    for _ in range(2):  # twice: gradients do not depend on what DDP learns in the first step
        shared.zero_grad()
        with joined_statistics(shared):
            made = wrapped((values, views), None)["loss"]
        made.backward()
        torch.testing.assert_close(made, loss, rtol=1e-12, atol=0)
        for one, two in zip(whole.parameters(), shared.parameters(), strict=True):
            torch.testing.assert_close(one.grad, two.grad, rtol=1e-9, atol=1e-12)
        if int(shared[1].num_batches_tracked) == 2:
            torch.testing.assert_close(shared[1].running_var, whole[1].running_var, rtol=1e-12, atol=0)
            torch.testing.assert_close(shared[1].running_mean, whole[1].running_mean, rtol=1e-12, atol=1e-15)
    assert "forward" not in vars(shared[1])
    negatives_of_the_share = nt_xent_loss(whole(values)[:6], whole(views)[:6], 0.2)
    assert (negatives_of_the_share - loss).abs().item() > 0.1, "a contrast among a share alone would be seen"


def check_a_part_without_gradient() -> None:
    """A parameter that no loss touches keeps None, as on one rank: AdamW must not let it decay."""
    module = nn.ModuleDict({"used": nn.Linear(5, 1), "idle": nn.Linear(5, 1)}).double()
    step = loss_step_of(module, lambda batch, _: {"loss": in_shares(module["used"], batch).square().mean()})
    for _ in range(3):
        module.zero_grad()
        step(rows(), None)["loss"].backward()
        assert module["idle"].weight.grad is None and module["used"].weight.grad is not None


def check_few_rows() -> None:
    """Of fewer rows than ranks each rank computes all, and statistics are not joined."""
    norm = nn.BatchNorm1d(5).double().eval()
    with joined_statistics(norm):
        assert torch.equal(in_shares(norm, rows(1)), norm(rows(1)))
    assert torch.equal(in_shares(lambda x: x + 1, rows(1)), rows(1) + 1)


def check_own_views() -> None:
    """Each rank prepares its rows with draws of its own; together they are one batch, the same on all ranks."""
    asked = []

    def prepare(indices, generator):
        asked.append(indices)
        return torch.from_numpy(indices), torch.rand(len(indices), generator=generator), indices

    indices, generator = np.arange(20, 33), Generator().manual_seed(4)
    numbers, drawn, back = prepare_batch(prepare, indices, generator)
    start, stop = share_bounds(13, ranks().count)[ranks().rank]
    assert np.array_equal(asked[0], indices[start:stop])
    assert numbers.tolist() == back.tolist() == indices.tolist() and len(set(drawn.tolist())) == 13
    assert as_first_says(drawn.tolist()) == drawn.tolist()
    after = float(torch.rand((), generator=generator))
    assert as_first_says(after) == after, "what is drawn next is the same on all ranks"


def check_order(folder: Path) -> None:
    """The first rank makes a file, and the others find it."""
    with first_goes_first():
        found = (folder / "made").exists()
        if not found:
            (folder / "made").touch()
    assert found == (not is_first()), f"rank {ranks().rank} found {found}"
    assert as_first_says(ranks().rank) == 0


if __name__ == "__main__":
    with joined_ranks("cpu", own_views=True):
        assert ranks().count == int(sys.argv[2])
        check_structures()
        check_gradients()
        check_a_part_without_gradient()
        check_few_rows()
        check_own_views()
        check_order(Path(sys.argv[1]))
