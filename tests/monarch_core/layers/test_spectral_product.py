"""The output of the spectral layer may be added to in place."""

import pytest
import torch

from monarch_core import MonarchSpectralConv


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
