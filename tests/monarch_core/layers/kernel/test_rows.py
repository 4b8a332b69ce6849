"""The kernel sorts numbers into blocks and back exactly as operations of torch do."""

import math

import pytest
import torch

from monarch_core import MonarchLinear
from monarch_core.layers import rows as plain
from monarch_core.layers.kernel import rows
from monarch_core.layers.kernel.operator import switched_off

X = torch.zeros(rows.WORTH_CALLING, 1)
pytestmark = pytest.mark.skipif(not rows.takes(X), reason="no kernel here")
SIZES = [(12, 1), (12, 2), (13, 2), (35, 3), (64, 4), (61, 4), (160, 8), (157, 8), (768, 16)]
SIZES += [(250, 16), (256, 16), (320, 8), (576, 24), (96, 32), (5, 5)]  # numbers in a row, blocks


@pytest.mark.parametrize(("n", "n_blocks"), SIZES)
def test_sorting_is_that_of_torch(n, n_blocks):
    torch.manual_seed(0)
    width = math.ceil(n / n_blocks)
    bias = torch.randn(2 * n)[::2]
    wide = torch.randn(17, n + 3)
    for x in (wide[:, :n].contiguous(), wide[:, 2 : 2 + n], torch.randn(n, 17).mT):
        blocks = rows.take_apart(x, n_blocks, width)
        assert torch.equal(blocks, plain.take_apart(x, n_blocks, width))
        for b in (None, bias):
            ours, expected = torch.full((17, n), torch.nan), torch.empty(17, n)
            rows.put_together(blocks, b, ours)
            plain.put_together(blocks, b, expected)
            assert torch.equal(ours, expected)
            assert torch.equal(ours, x if b is None else x + b)
    assert torch.equal(rows.shuffle(blocks), plain.shuffle(blocks))
    assert torch.equal(rows.shuffle_back(blocks), plain.shuffle_back(blocks))
    assert torch.equal(rows.shuffle_back(rows.shuffle(blocks)), blocks)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("sizes", [(48, 32, 4), (50, 64, 8), (64, 61, 2)])
def test_a_training_step_is_that_of_torch(sizes, n_threads):
    torch.manual_seed(0)
    layer = MonarchLinear(*sizes)
    x = torch.randn(2, 20, sizes[0], requires_grad=True)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        steps = []
        for step in (switched_off(), torch.enable_grad()):
            with step:
                y = layer(x)
                steps.append((y, *torch.autograd.grad(y.sin().sum(), (x, *layer.parameters()))))
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(*steps)


def test_few_rows_and_other_numbers_are_left_to_torch():
    assert not rows.takes(X[1:])
    assert not rows.takes(X.double())
    assert not rows.takes(X.to("meta"))
    with switched_off():
        assert not rows.takes(X)
