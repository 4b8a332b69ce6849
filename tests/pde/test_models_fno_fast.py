"""`model=fno_fast` is `model=fno` with the same weights: values and gradients, every axis count."""

import copy

import pytest
import torch
from pde_configs import config_of

from monarch_core.training.optimization import n_parameters
from pde.models import build_model
from pde.models.channels_last import copy_neuralop_weights

SMALL = ["model.n_modes=3", "model.hidden_channels=6", "model.n_layers=3"]


def step_of(*overrides, grid):
    torch.manual_seed(0)
    return build_model(config_of(*overrides), grid).step


def in_our_names(host, fast):
    """Return the weights of neuralop's network as our network names and lays them out."""
    bare = copy.deepcopy(host)
    bare.fno_blocks = bare.fno_blocks.blocks
    named = copy.deepcopy(fast)
    copy_neuralop_weights(named, bare)
    return dict(named.named_parameters())


@pytest.mark.parametrize("transform", ["fft", "monarch", "monarch_cosine"])
@pytest.mark.parametrize(
    ("overrides", "grid"), [(["dataset=burgers"], (20,)), ([], (16, 12)), ([], (8, 10, 12))]
)
def test_it_is_the_published_network(overrides, grid, transform):
    overrides = [*overrides, f"transform={transform}"]
    host = step_of(*overrides, "model=fno", *SMALL, grid=grid)
    fast = step_of(*overrides, "model=fno_fast", *SMALL, grid=grid)
    assert n_parameters(fast) == n_parameters(host)
    fast.load_state_dict(in_our_names(host, fast))
    x = torch.randn(2, host.in_channels, *grid)
    y, expected = fast(x), host(x)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)

    target = torch.randn_like(y) / y.numel()
    for output in (y, expected):
        (output * target).sum().backward()
    for parameter in host.parameters():
        parameter.data = parameter.grad
    gradients = in_our_names(host, fast)
    for name, parameter in fast.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name].data, rtol=1e-5, atol=1e-5)


def test_it_has_the_published_size():
    overrides = ["dataset=navier_stokes_paper", "dataset.viscosity=1e-3", "transform=fft"]
    fast = step_of(*overrides, "model=fno_fast", grid=(64, 64))
    batch_norms = 4 * 2 * 20  # in the printed count, and no longer in the published scripts
    assert n_parameters(fast) + batch_norms == 414_517


@pytest.mark.parametrize("transform", ["monarch", "monarch_frozen", "dense"])
def test_every_transform_starts_at_the_fft(transform):
    fft, swapped = (
        step_of("model=fno_fast", *SMALL, f"transform={name}", grid=(16, 12))
        for name in ("fft", transform)
    )
    x = torch.randn(2, 4, 16, 12)
    torch.testing.assert_close(swapped(x), fft(x), rtol=1e-5, atol=1e-5)
