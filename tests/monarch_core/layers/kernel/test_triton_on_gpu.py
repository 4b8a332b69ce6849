"""What only a GPU can show of the Triton kernels: that they run there, compiled and in a graph."""

import copy

import pytest
import torch

from monarch_core import MonarchSpectralConv
from monarch_core.layers.kernel import triton_build
from monarch_core.layers.kernel.operator import available, switched_off

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
]
CASES = [  # batch, channels, kept frequencies, grid
    (20, 20, (24, 24), (64, 64)),
    (3, 5, (6, 9), (15, 85)),
    (1, 33, (30, 64), (31, 64)),
    (2, 4, (70, 20), (85, 130)),
]


def step(layer, x):
    leaf = x.clone().requires_grad_()
    y = layer(leaf)
    return [y, *torch.autograd.grad(y.square().sum(), [leaf, *layer.parameters()])]


def made(case):
    batch, channels, modes, grid = case
    torch.manual_seed(0)
    layer = MonarchSpectralConv(channels, channels, modes, grid=grid).cuda()
    return layer, torch.randn(batch, channels, *grid, device="cuda")


def errors(layer, x):
    exact = step(copy.deepcopy(layer).double(), x.double())
    found = step(layer, x)
    return [((a.double() - b).norm() / b.norm()).item() for a, b in zip(found, exact, strict=True)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients_are_as_good_as_those_of_torch(case):
    layer, x = made(case)
    assert triton_build.gpu_kernels() is not None
    assert available(x)
    ours = errors(layer, x)
    with switched_off():
        plain = errors(layer, x)
    assert max(ours) < 2e-6 + 4 * max(plain)
    with torch.autocast("cuda", torch.bfloat16):
        assert max(errors(layer, x)) < 3e-2


def test_a_layer_is_compiled_into_a_graph_with_its_kernels():
    layer, x = made(CASES[0])
    expected = step(layer, x)
    quick = torch.compile(layer, mode="reduce-overhead", fullgraph=True)
    for _ in range(4):  # warm-up, record, and replay
        found = [t.clone() for t in step(quick, x)]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)
