"""Parts of the U-Net that do what torch does, faster: values and gradients beside torch's own."""

import pytest
import torch

from galaxy_core.models.denoising_unet import ResidualConv, UpConv, blocks_of, pixels_of


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_up_convolution_is_that_of_torch(dtype):
    torch.manual_seed(0)
    up = UpConv(6, 5).to(dtype)
    x = torch.randn(3, 6, 4, 7, dtype=dtype, requires_grad=True)
    wanted = torch.nn.functional.conv_transpose2d(x.float(), up.weight.float(), up.bias.float(), stride=2)
    tolerance = 1e-5 if dtype == torch.float32 else 0.02
    torch.testing.assert_close(up(x).float(), wanted, rtol=tolerance, atol=tolerance)
    weights = torch.randn(wanted.shape)
    for made, theirs in zip(
        torch.autograd.grad((up(x).float() * weights).sum(), [x, *up.parameters()]),
        torch.autograd.grad((wanted * weights).sum(), [x, *up.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(made.float(), theirs.float(), rtol=tolerance, atol=20 * tolerance)
    assert ("Convolution" in str(up(x).grad_fn)) == (dtype == torch.float32)  # in bf16 its gradient is slow


@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
def test_blocks_of_pixels_are_those_of_torch_and_come_back(order):
    images = torch.rand(2, 3, 4, 6).contiguous(memory_format=order).requires_grad_()
    blocks = blocks_of(images)
    assert torch.equal(blocks, torch.nn.functional.pixel_unshuffle(images, 2))
    assert torch.equal(pixels_of(blocks), images)
    assert torch.equal(pixels_of(blocks.contiguous(memory_format=order)), images)
    (slope,) = torch.autograd.grad((pixels_of(blocks) ** 2).sum(), images)
    torch.testing.assert_close(slope, 2 * images)


def test_a_residual_convolution_keeps_what_it_is_given():
    torch.manual_seed(0)
    block, x = ResidualConv(4), torch.randn(2, 4, 5, 5, requires_grad=True)
    given = x.detach().clone()
    wanted = x + block.second(torch.relu(block.first(x)))
    parts = [x, *block.parameters()]
    slopes = zip(
        torch.autograd.grad(block(x).square().sum(), parts),
        torch.autograd.grad(wanted.square().sum(), parts),
        strict=True,
    )
    for made, theirs in slopes:
        torch.testing.assert_close(made, theirs)
    assert torch.equal(x, given) and torch.equal(block(x), wanted)
