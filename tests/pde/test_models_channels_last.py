"""Our FNO is neuralop's with the same weights: values, gradients, any grid, exported."""

import pytest
import torch
from neuralop import models as neuralop_models
from neuralop.layers.spectral_convolution import SpectralConv

from monarch_core import MonarchSpectralConv
from pde.models.channels_last import FNO, copy_neuralop_weights, unit_grid

SIZES = {"in_channels": 2, "out_channels": 3, "hidden_channels": 6}
GRIDS = [((32,), (8,)), ((16, 24), (6, 8)), ((8, 10, 12), (4, 4, 6))]


def pair(modes, conv, *, lifting=0, n_layers=3):
    """Return neuralop's network with one activation per layer, and ours with its weights.

    Without channel MLP neuralop 2.0.0 applies its activation twice; with the identity in its place
    in all but one call it is the published network.
    """
    torch.manual_seed(0)
    host = neuralop_models.FNO(
        n_modes=modes,
        **SIZES,
        n_layers=n_layers,
        lifting_channel_ratio=lifting / 6,
        projection_channel_ratio=2,
        use_channel_mlp=False,
        conv_module=conv,
    )
    host.fno_blocks.non_linearity = EverySecond(torch.nn.functional.gelu)
    ours = FNO(
        modes,
        **SIZES,
        n_layers=n_layers,
        lifting_channels=lifting,
        projection_channels=12,
        conv_module=conv,
    )
    copy_neuralop_weights(ours, host)
    return host, ours


def test_a_layer_that_needs_its_output_gets_right_gradients():
    class Bounded(torch.nn.Module):
        def __init__(self, in_channels, out_channels, n_modes):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.rand(out_channels, 1, 1))

        def forward(self, x):
            return torch.tanh(self.scale * x)

    torch.manual_seed(0)
    model = FNO((4, 4), **SIZES, n_layers=2, projection_channels=5, conv_module=Bounded).double()
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(model, x)


class EverySecond:
    """Call a function every second time; return the argument in between."""

    def __init__(self, function):
        self.function, self.count = function, 0

    def __call__(self, x):
        self.count += 1
        return self.function(x) if self.count % 2 else x


@pytest.mark.parametrize("lifting", [0, 10])
@pytest.mark.parametrize(("grid", "modes"), GRIDS)
@pytest.mark.parametrize("learned", [True, False])
def test_equals_neuralop_in_values_and_gradients(grid, modes, learned, lifting):
    conv = MonarchSpectralConv.configured(grid=grid) if learned else SpectralConv
    host, ours = pair(modes, conv, lifting=lifting)
    x = torch.randn(2, 2, *grid)
    expected, y = host(x), ours(x)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    target = torch.randn_like(y)
    (expected * target).sum().backward()
    (y * target).sum().backward()
    gradients = {name: p.grad for name, p in ours.named_parameters()}
    for parameter in host.parameters():
        parameter.data = parameter.grad
    copy_neuralop_weights(ours, host)
    for name, p in ours.named_parameters():
        scale = p.abs().max()
        torch.testing.assert_close(gradients[name], p.data, rtol=1e-4, atol=1e-5 * scale.item())


def test_other_grids_than_the_trained_one():
    host, ours = pair((8, 8), MonarchSpectralConv.configured(grid=(16, 16)))
    x = torch.randn(2, 2, 24, 20)
    torch.testing.assert_close(ours(x), host(x), rtol=1e-5, atol=1e-5)


def test_unit_grid():
    grid = unit_grid((2, 4), torch.zeros(1))
    assert grid[0, 0].tolist() == [[0.0] * 4, [0.5] * 4]
    assert grid[0, 1].tolist() == [[0.0, 0.25, 0.5, 0.75]] * 2


def test_a_hook_sees_the_output_of_the_spectral_layer_itself():
    _, ours = pair((8,), MonarchSpectralConv.configured(grid=(16,)), n_layers=1)
    x, seen = torch.randn(3, 2, 16), []
    expected = ours(x)
    layer = ours.convs[0]
    layer.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0], output)))
    torch.testing.assert_close(ours(x), expected)
    [(v, Kv)] = seen
    torch.testing.assert_close(Kv, layer(v))


def test_exported_program_takes_any_batch():
    _, ours = pair((8,), MonarchSpectralConv.configured(grid=(16,)), n_layers=1)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(ours, (torch.randn(3, 2, 16),), dynamic_shapes=({0: batch},))
    x = torch.randn(5, 2, 16)
    torch.testing.assert_close(program.module()(x), ours(x), rtol=1e-5, atol=1e-5)


def test_autocast_is_close_and_gradients_are_float32():
    _, ours = pair((8, 8), MonarchSpectralConv.configured(grid=(16, 16)))
    x = torch.randn(3, 2, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        y = ours(x)
    exact = ours(x)
    assert (y - exact).norm() < 0.03 * exact.norm()
    y.float().square().sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in ours.parameters())


@pytest.mark.parametrize("grid", [(33,), (9, 13)])
def test_single_precision_is_double_precision_rounded(grid):
    """As the kernel computes it, for first and second derivatives."""
    torch.manual_seed(0)
    conv = MonarchSpectralConv.configured(grid=grid)
    single, double = (
        FNO([6] * len(grid), **SIZES, n_layers=3, projection_channels=7, conv_module=conv)
        for _ in range(2)
    )
    double.double().load_state_dict(single.state_dict())
    x = torch.randn(3, 2, *grid)
    results = []
    for model in (single, double):
        given = x.to(next(model.parameters()).dtype).requires_grad_()
        wanted = [given, *model.parameters()]
        y = model(given)
        first = torch.autograd.grad(y.sin().sum(), wanted, retain_graph=True)
        [slope] = torch.autograd.grad(y.sin().sum(), given, create_graph=True)
        second = torch.autograd.grad(slope.square().sum(), wanted, allow_unused=True)
        results.append([y, *first, *(g for g in second if g is not None)])
    for mine, exact in zip(*results, strict=True):
        assert (mine - exact).norm() < 1e-5 * exact.norm()
