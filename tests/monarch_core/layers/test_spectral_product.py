"""The fast product of the spectral layer is the plain one; its output may be added to in place."""

import pytest
import torch

from monarch_core import MonarchSpectralConv
from monarch_core.layers.kernel.reference import matrix_product


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 1, 1), (5, 7, 3), (26, 64, 333)])
def test_matrix_product(rows, inner, columns, dtype):
    torch.manual_seed(0)
    plain = torch.randn(rows, inner, dtype=dtype), torch.randn(inner, columns, dtype=dtype)
    strided = plain[0].mT.contiguous().mT, plain[1].mT.contiguous().mT
    for a, b in (plain, strided):
        torch.testing.assert_close(matrix_product(a, b), a @ b)


@pytest.mark.parametrize("learn", ["both", "none"])
@pytest.mark.parametrize("bias", [True, False])
def test_adding_to_the_output_in_place_leaves_the_gradients_right(learn, bias):
    layer = MonarchSpectralConv(2, 3, (4, 4), grid=(8, 10), bias=bias, learn=learn)
    x, more = torch.randn(2, 2, 8, 10), torch.randn(2, 3, 8, 10)
    results = []
    for total in (lambda: layer(x).add_(more), lambda: layer(x) + more):
        layer.zero_grad()
        y = total()
        y.square().sum().backward()
        results.append([y, *(p.grad for p in layer.parameters() if p.requires_grad)])
    torch.testing.assert_close(*results)
