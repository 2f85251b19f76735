"""Momentum contrast as a network: its queue, its keys and its groups, by hand."""

import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from galaxy_core.models.momentum_contrast import MomentumContrast, project
from galaxy_core.models.resnet import GalaxyResNet, ResNetConfig
from galaxy_core.rank_norm import statistics_of_groups

NET = ResNetConfig(18, 8, 3, 2, False, (), 8, 16, 32)


def contrast(n_queue: int = 10) -> MomentumContrast:
    torch.manual_seed(0)
    return MomentumContrast(GalaxyResNet(NET), n_queue)


def images(n: int, seed: int) -> torch.Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def test_keys_follow_queries():
    both = contrast()
    with torch.no_grad():
        both.query["projection"][0].weight.fill_(1.0)
        both.key["projection"][0].weight.fill_(0.0)
    both.follow(0.9)
    torch.testing.assert_close(both.key["projection"][0].weight, torch.full((64, 64), 0.1))
    both.follow(0.9)
    torch.testing.assert_close(both.key["projection"][0].weight, torch.full((64, 64), 0.19))
    assert not any(p.requires_grad for p in both.key.parameters())
    assert all(p.requires_grad for p in both.query.parameters())


def test_the_queue_replaces_its_oldest_keys():
    both = contrast(10)
    expected = [-1] * 10
    for start in (0, 4, 8, 12):
        rows = torch.arange(start, start + 4)
        both.enqueue(rows[:, None].float().repeat(1, 8), rows)
        for row in rows.tolist():
            expected[row % 10] = row
        assert both.queue_rows.tolist() == expected
        assert [v for v in both.queue[3].tolist() if v] == [v for v in map(float, expected) if v > 0]
    both.enqueue(torch.arange(25.0)[:, None].repeat(1, 8), torch.arange(25))  # more than the queue holds: the last
    assert sorted(both.queue_rows.tolist()) == list(range(15, 25))


def test_the_loss_of_a_step_by_hand_and_its_keys_in_order():
    both = contrast(12).eval()  # without batch statistics, so that shuffling changes nothing but the order
    before, rows = torch.randn(7, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2, 3])
    both.enqueue(F.normalize(before, dim=1), torch.tensor([2, 10, 11, 12, 13, 14, 15]))
    queue = F.normalize(before, dim=1).clone()
    loss = both.contrast(images(4, 0), images(4, 1), rows, 0.2, 2, torch.Generator().manual_seed(3))
    with torch.no_grad():
        queries = F.normalize(project(both.query, images(4, 0)), dim=1)
        keys = F.normalize(project(both.key, images(4, 1)), dim=1)
        losses = []
        for i in range(4):
            own = torch.exp(queries[i] @ keys[i] / 0.2)
            others = [torch.exp(queries[i] @ queue[k] / 0.2) for k in range(7) if not (i == 2 and k == 0)]
            losses.append(-torch.log(own / (own + sum(others))))
    torch.testing.assert_close(loss, torch.stack(losses).mean(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(both.queue[:, 7:11].T, keys, rtol=1e-4, atol=1e-5)
    assert both.queue_rows.tolist() == [2, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, -1] and int(both.place) == 11
    loss.backward()
    assert all(p.grad is None for p in both.key.parameters())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in both.query.parameters())


def test_a_query_and_its_key_do_not_share_batch_statistics():
    both = contrast(8)
    both.key.load_state_dict(both.query.state_dict())
    bright = torch.cat([images(4, 0), 0.01 * images(4, 1)])  # halves of a batch with statistics of their own
    both.contrast(bright, bright, torch.arange(8), 0.2, 2, torch.Generator().manual_seed(0))
    together = torch.cat([project(both.query, part) for part in bright.chunk(2)])
    similarity = (F.normalize(together, dim=1) * both.queue.T).sum(dim=1)
    assert similarity.min() < 0.999, "the same images in the same parts would be the same vectors"


def test_groups_in_one_go_are_what_they_are_one_by_one():
    apart, together = contrast().query, contrast().query
    batch = torch.cat([images(4, 0), 0.01 * images(4, 1), images(1, 2)])  # the last group is smaller
    one_by_one = torch.cat([project(apart, part) for part in batch.chunk(2)])
    with statistics_of_groups(together, 2):
        in_one_go = project(together, batch)
    torch.testing.assert_close(in_one_go, one_by_one, rtol=1e-4, atol=1e-5)
    for made in (one_by_one, in_one_go):
        made.square().sum().backward()
    for (name, ours), theirs in zip(together.named_parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-4, msg=name)
    for (name, ours), theirs in zip(together.named_buffers(), apart.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6, msg=name)
    torch.testing.assert_close(project(together, batch), project(apart, batch), rtol=1e-4, atol=1e-5)  # and no longer


class Convolutions(TorchDispatchMode):
    """How many convolutions are computed, gradients not counted."""

    count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.count += function is torch.ops.aten.convolution.default
        return function(*arguments, **(options or {}))


def test_groups_share_convolutions_where_training_is_in_bf16():
    both = contrast()
    with Convolutions() as counted, torch.autocast("cpu", torch.bfloat16):
        both.contrast(images(8, 0), images(8, 1), torch.arange(8), 0.2, 4, torch.Generator().manual_seed(0))
    # of a network of 18 layers, shortcuts included, for queries and for keys; three see four pixels, as linear layers
    assert counted.count == 2 * (20 - 3)
