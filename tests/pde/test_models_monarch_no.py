"""The Monarch neural operator: its equations, its start at the FFT, and the control's size."""

import pytest
import torch
from pde_configs import config_of
from torch.nn.functional import gelu

from pde.models import build_model
from pde.models.channels_last import unit_grid
from pde.models.monarch_no import GatedSpectralLayer

SIZES = ["model=monarch_no", "model.n_modes=3", "model.hidden_channels=4", "model.gate_channels=3"]


@pytest.mark.parametrize("transform", ["fft", "monarch"])
def test_computes_its_equations(transform):
    torch.manual_seed(0)
    step = build_model(config_of(*SIZES, f"transform={transform}"), (10, 8)).step
    x = torch.randn(2, 4, 10, 8)
    v = torch.cat((x, unit_grid((10, 8), x).expand(2, -1, -1, -1)), dim=1)
    v = torch.einsum("oi,bixy->boxy", step.lifting.maps[0].weight, v)
    v = v + step.lifting.maps[0].bias[:, None, None]
    for layer in step.layers:
        both = layer.conv(v) + torch.einsum("oi,bixy->boxy", layer.skip.weight, v)
        product = gelu(both[:, :3]) * both[:, 3:]
        v = v + layer.out(product.movedim(1, -1)).movedim(-1, 1)
    first, second = step.projection.maps
    y = x[:, -1:] + second(gelu(first(v.movedim(1, -1)))).movedim(-1, 1)
    torch.testing.assert_close(step(x), y, rtol=1e-5, atol=1e-5)


def test_before_learning_it_is_the_one_with_the_fft():
    models = []
    for transform in ("fft", "monarch", "monarch_frozen", "dense"):
        torch.manual_seed(0)
        models.append(build_model(config_of(*SIZES, f"transform={transform}"), (12, 10)))
    x = torch.randn(2, 4, 12, 10)
    for model in models[1:]:
        torch.testing.assert_close(model(x), models[0](x), rtol=1e-5, atol=1e-5)


def test_one_layer_forms_a_product_of_two_filtered_fields():
    """Advection needs it: u dw/dx with u and dw/dx linear in w."""
    from neuralop.layers.spectral_convolution import SpectralConv

    torch.manual_seed(0)
    layer = GatedSpectralLayer(1, 1, (4, 4), SpectralConv)
    with torch.no_grad():
        layer.out.weight.fill_(1.0)
        layer.out.bias.zero_()
        layer.conv.bias[0] = 30.0  # where gelu is the identity
    v = torch.randn(3, 1, 8, 8)
    a, b = (layer.conv(v) + layer.skip(v.movedim(1, -1)).movedim(-1, 1)).chunk(2, dim=1)
    torch.testing.assert_close(layer(v) - v, a * b, rtol=1e-4, atol=1e-4)


def test_it_has_the_size_of_the_control():
    sizes = {}
    for model, transform in (("fno", "fft"), ("monarch_no", "monarch")):
        network = build_model(config_of(f"model={model}", f"transform={transform}"), (32, 32))
        sizes[model] = sum(p.numel() * (2 if p.is_complex() else 1) for p in network.parameters())
    assert sizes["monarch_no"] <= 1.1 * sizes["fno"]
