"""The FFT and the matrix products compute one layer, and the rule takes the one with less work."""

import math

import pytest
import torch

from monarch_core import Fourier, Monarch, MonarchSpectralConv
from monarch_core.layers import fourier_product, spectral_conv
from monarch_core.layers.fourier_product import MODE_COST, POINT_COST, fft_is_cheaper


def layer(n, n_modes, transform=Fourier, dtype=torch.float64):
    torch.manual_seed(0)
    return MonarchSpectralConv(3, 2, n_modes, grid=(n,), transform=transform).to(dtype)


@pytest.mark.parametrize(
    ("n", "n_modes", "n_in", "n_out"),
    [(30, 9, 30, 30), (31, 31, 31, 31), (12, 12, 12, 12), (30, 8, 20, 45), (16, 16, 10, 16)],
)
def test_both_ways_agree_in_values_and_gradients(n, n_modes, n_in, n_out, monkeypatch):
    conv, results = layer(n, n_modes), []
    x = torch.randn(2, 3, n_in, dtype=torch.float64, requires_grad=True)
    grad = torch.randn(2, 2, n_out, dtype=torch.float64)
    for cost in (-math.inf, math.inf):
        monkeypatch.setattr(fourier_product, "POINT_COST", cost)
        y = conv(x, output_shape=(n_out,))
        first = torch.autograd.grad(y, [x, *conv.parameters()], grad, create_graph=True)
        second = torch.autograd.grad(first[1].square().sum(), x)
        results.append([y, *first, *second])
    torch.testing.assert_close(*results)


def test_the_rule_weighs_the_kept_frequencies():
    x = torch.zeros(2, 16, 4096)
    points = x.numel()
    level = (
        POINT_COST * points / (4 * points - MODE_COST)
    )  # frequencies at which both cost the same
    few, many = math.floor(level), math.ceil(level) + 1
    assert not fft_is_cheaper(x, 4096, few)
    assert fft_is_cheaper(x, 4096, many)
    assert not fft_is_cheaper(x[:1, :1], 4096, 2048)  # thin: the product over the channels counts
    assert not fft_is_cheaper(x.to("meta"), 4096, many)
    with torch.autocast("cpu", torch.bfloat16):
        assert not fft_is_cheaper(x, 4096, many)


def test_only_a_layer_that_stays_the_dft_takes_the_fft(monkeypatch):
    monkeypatch.setattr(fourier_product, "POINT_COST", -math.inf)
    taken = []

    def counted(*given):
        taken.append(given)
        return fourier_product.fourier_product(*given)

    monkeypatch.setattr(spectral_conv, "fourier_product", counted)
    layer(16, 4)(torch.randn(1, 3, 16, dtype=torch.float64))
    assert len(taken) == 1
    layer(16, 4, Monarch)(torch.randn(1, 3, 16, dtype=torch.float64))
    two = MonarchSpectralConv(1, 1, (4, 4), grid=(8, 8), transform=Fourier)
    two(torch.randn(1, 1, 8, 8))
    one_grid = MonarchSpectralConv(3, 2, 4, grid=(16,), transform=Fourier, basis="complex")
    one_grid(torch.randn(1, 3, 16))
    assert len(taken) == 1
