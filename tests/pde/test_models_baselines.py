"""The networks of the paper's table that have no Fourier transform."""

import pytest
import torch
from pde_configs import config_of

from monarch_core.training.optimization import n_parameters
from pde.models import build_model
from pde.models.resnet import ResNet
from pde.models.tf_net import TFNet
from pde.models.unet import UNet

BASELINES = ["pde_unet", "tf_net", "resnet"]
PAPER = ["dataset=navier_stokes_paper", "dataset.viscosity=1e-3", "transform=fft"]
NETWORKS = {
    "unet": lambda n_in, axes: UNet(n_in, 8, axes),
    "tf_net": lambda n_in, axes: TFNet(n_in, 8, 2, axes),
    "resnet": lambda n_in, axes: ResNet(n_in, 4, axes),
}


@pytest.mark.parametrize(
    ("model", "published", "extra"),
    [("pde_unet", 24_950_491, 0), ("tf_net", 7_451_724, 1), ("resnet", 266_641, 0)],
)
def test_published_sizes(model, published, extra):
    network = build_model(config_of(*PAPER, f"model={model}"), (64, 64))
    assert n_parameters(network) == published + extra


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("grid", [(37,), (33, 50), (17, 12, 9)])
def test_any_grid_in_one_to_three_dimensions(network, grid):
    """Odd lengths are halved rounding up; every parameter learns."""
    torch.manual_seed(0)
    model = network(3, len(grid))
    y = model(torch.randn(2, 3, *grid))
    assert y.shape == (2, 1, *grid)
    y.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_in_evaluation_the_batch_does_not_matter(network):
    torch.manual_seed(0)
    model = network(3, 2).eval()
    x = torch.randn(3, 3, 32, 48)
    torch.testing.assert_close(model(x)[1:2], model(x[1:2]), rtol=1e-5, atol=1e-5)


def test_the_scales_of_tf_net_add_up_to_the_flow():
    torch.manual_seed(0)
    model = TFNet(6, 8, n_filter_frames=3)
    with torch.no_grad():
        model.S += 0.1 * torch.randn_like(model.S)
        model.g += 0.1 * torch.randn_like(model.g)
    w = torch.randn(2, 6, 16, 20)
    mean, turbulence, small = model.split(w)
    torch.testing.assert_close(mean + turbulence + small, w[:, 2:])


def test_the_filters_of_tf_net_start_as_averages():
    """Inside, a field linear in space and time is its own spatial mean; in time it lags by one."""
    t, x, y = torch.meshgrid(torch.arange(5.0), torch.arange(9.0), torch.arange(8.0), indexing="ij")
    w = (x + 2 * y + 3 * t)[None]
    mean, turbulence, small = TFNet(5, 8, n_filter_frames=3).split(w)
    inside = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(mean[inside], w[:, 1:4][inside])
    torch.testing.assert_close(turbulence[inside], torch.full_like(turbulence[inside], 3.0))
    torch.testing.assert_close(small[inside], torch.zeros_like(small[inside]), atol=1e-5, rtol=0)


def test_a_residual_network_with_zero_branches_passes_its_first_stage_on():
    torch.manual_seed(0)
    model = ResNet(2, 4).eval()
    with torch.no_grad():
        for residual in model.layers[1:3]:
            residual.f[1][1].weight.zero_()
    x = torch.randn(1, 2, 8, 8)
    first = model.layers[0](x)
    torch.testing.assert_close(model.layers[1:3](first), first)


@pytest.mark.parametrize("model", BASELINES)
@pytest.mark.parametrize("transform", ["monarch", "monarch_frozen", "dense", "cosine_frozen"])
def test_a_transform_that_would_be_ignored_is_refused(model, transform):
    config = config_of(f"model={model}", f"transform={transform}")
    with pytest.raises(
        ValueError,
        match=rf"that transform={transform}[^;]* could replace: add transform=fft",
    ):
        build_model(config, (32, 32))


@pytest.mark.parametrize("model", BASELINES)
def test_they_roll_out(model):
    config = config_of(f"model={model}", "transform=fft", "model.hidden_channels=4")
    frames = torch.randn(2, 4, 32, 32)
    assert build_model(config, (32, 32))(frames).shape == (2, 5, 32, 32)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=pde_unet", "model.hidden_channels=6"], "must be a multiple of 4, got 6; use 64"),
        (["model=tf_net", "model.hidden_channels=5"], "must be a multiple of 2, got 5; use 64"),
        (
            ["model=tf_net", "dataset=burgers"],
            "cannot average 4 frames of 1 input frames; set model.n",
        ),
        (
            ["model=tf_net", "model.n_filter_frames=0"],
            "n_filter_frames must be from 1 to 1000000, got 0",
        ),
    ],
)
def test_errors(overrides, message):
    with pytest.raises(ValueError, match=message):
        build_model(config_of(*overrides, "transform=fft"), (32, 32))
