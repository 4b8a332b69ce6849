"""Networks for fields on uneven points: the transform there, and the way to even ones and back."""

import numpy as np
import pytest
import torch
from pde_configs import config_of
from torch import nn

from monarch_core import MonarchSpectralConv
from pde.config.own import OwnConfig
from pde.models import build_model, check_model, check_periods
from pde.models.resampled import Resampled, spline_matrix

SMALL = (
    "dataset=burgers_stretched", "dataset.grid=64", "dataset.stored_grid=128", "model.n_modes=6",
    "model.hidden_channels=4", "model.n_layers=2",
)  # fmt: skip


@pytest.mark.parametrize("model", ["fno_1d", "fno_fast_1d"])
def test_the_nonuniform_transform_knows_where_the_points_are(model):
    """With unit weights, waves of the true coordinate pass a layer unchanged."""
    config = config_of(*SMALL, f"model={model}", "transform=nudft")
    network = build_model(config, (64,)).step
    conv = next(m for m in network.modules() if isinstance(m, MonarchSpectralConv))
    with torch.no_grad():
        conv.take_weight(torch.eye(4, dtype=torch.cfloat)[..., None].expand(4, 4, 6))
        conv.bias.zero_()
    x = torch.from_numpy(config.dataset.coordinates(0)(64))
    u = torch.stack([torch.cos(2 * torch.pi * f * x + f) for f in (0, 1, 3, 5)])[None].float()
    torch.testing.assert_close(conv(u), u, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="works on the grid it is made for alone"):
        network(torch.randn(2, 1, 32))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["model=fno_1d", "transform=nudft", "model.domain_padding=0.5"],
            "on the 64 points of the data alone, got 128 with padding",
        ),
        (["transform=nudft", "model.resample=true"], "and transform=nudft is for others; leave"),
        (["transform=nudft", "evaluation.grids=[32]"], "works on the grid it is made for alone"),
        (["transform=fft", "model.resample=true", "evaluation.grids=[32]"], "leave the grids out"),
        (
            ["transform=nudft", "dataset=burgers_dirichlet", "dataset.stored_grid=128"],
            "transform=nudft is for uneven points",
        ),
        (
            ["transform=fft", "model.resample=true", "dataset=burgers"],
            "resample=true is for uneven points, which burgers does not have",
        ),
        (
            ["transform=nudft", "dataset=navier_stokes_channel", "dataset.stored_grid=128"],
            r"those along axis 0 are even; choose .* as in transform.axes=\[1\]",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(overrides, message):
    with pytest.raises(ValueError, match=message):
        check_model(config_of(*SMALL, "model=fno_fast_1d", *overrides))


def test_splines_keep_cubics_and_are_of_fourth_order():
    def uneven(n):
        s = np.linspace(0, 1, n)
        return s + 0.1 * np.sin(2 * np.pi * s)

    x, y = uneven(11), np.linspace(0, 1, 17)
    cubic = np.polynomial.Polynomial([1.0, -2.0, 0.5, 3.0])
    np.testing.assert_allclose(spline_matrix(x, y).numpy() @ cubic(x), cubic(y), atol=1e-12)
    errors = [
        np.abs(spline_matrix(uneven(n), y).numpy() @ np.cos(5 * uneven(n)) - np.cos(5 * y)).max()
        for n in (21, 41, 81)
    ]
    assert np.log2(errors[0] / errors[1]) > 3.5
    assert np.log2(errors[1] / errors[2]) > 3.5


class Mirror(nn.Module):
    """A network that takes its points as even: it mirrors fields about the middle."""

    def forward(self, u):
        return u.flip(-1) * torch.linspace(0, 1, u.shape[-1])


def test_a_resampled_network_sees_even_points_and_answers_on_its_own():
    config = config_of(*SMALL, "model=fno_fast_1d", "transform=fft", "model.resample=true")
    x = config.dataset.coordinates(0)(64)
    network = Resampled(Mirror(), x)
    u = torch.from_numpy(np.sin(3 * x))[None, None].float()
    expected = torch.from_numpy(np.sin(3 * (1 - x)) * x)[None, None].float()
    torch.testing.assert_close(network(u), expected, atol=2e-6, rtol=0)
    with pytest.raises(ValueError, match="works on its 64 points alone, got 32; bring the fields"):
        network(u[..., ::2])


def test_the_option_resamples_around_the_same_network():
    overrides = (*SMALL, "model=fno_fast_1d", "transform=fft")
    models = []
    for value in ("false", "true"):
        torch.manual_seed(3)
        models.append(build_model(config_of(*overrides, f"model.resample={value}"), (64,)))
    plain, wrapped = models
    assert isinstance(wrapped.step, Resampled)
    x = config_of(*overrides).dataset.coordinates(0)(64)
    down, up = (spline_matrix(*pair).float() for pair in ((x, Y), (Y, x)))
    u = torch.randn(3, 1, 64)
    torch.testing.assert_close(wrapped(u), plain(u @ down.mT) @ up.mT, atol=1e-5, rtol=1e-4)
    assert {f"step.{k}" for k in wrapped.step.network.state_dict()} == {
        k for k in plain.state_dict() if k.startswith("step.")
    }


CHANNEL = (
    "dataset=navier_stokes_channel", "dataset.grid=16", "dataset.stored_grid=32", "model=fno_fast",
    "model.n_modes=4", "model.hidden_channels=4", "model.n_layers=2",
)  # fmt: skip


def test_the_nonuniform_transform_across_a_channel():
    """With unit weights, waves of the true y pass a layer unchanged, and waves along x."""
    config = config_of(*CHANNEL, "transform=nudft", "transform.axes=[1]")
    network = build_model(config, (16, 16)).step
    conv = next(m for m in network.modules() if isinstance(m, MonarchSpectralConv))
    with torch.no_grad():
        conv.take_weight(torch.eye(4, dtype=torch.cfloat)[..., None, None].expand(4, 4, 8, 4))
        conv.bias.zero_()
    x, y = torch.arange(16) / 16, torch.from_numpy(config.dataset.coordinates(1)(16))
    assert torch.equal(y, torch.from_numpy((1 - np.cos(np.pi * (np.arange(16) + 0.5) / 16)) / 2))
    waves = ((0, 1), (2, 3), (3, -2), (1, 0))
    u = torch.stack([torch.cos(2 * torch.pi * (f * x[:, None] + g * y)) for f, g in waves])
    torch.testing.assert_close(conv(u[None].float()), u[None].float(), atol=1e-5, rtol=0)


def test_a_channel_is_resampled_across_alone():
    models = []
    for value in ("false", "true"):
        torch.manual_seed(3)
        config = config_of(*CHANNEL, "transform=fft", f"model.resample={value}")
        models.append(build_model(config, (16, 16)))
    plain, wrapped = models
    y, even = config.dataset.coordinates(1)(16), np.linspace(0, 1, 16)
    down, up = (spline_matrix(*pair).float() for pair in ((y, even), (even, y)))
    u = torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(wrapped(u), plain(u @ down.mT) @ up.mT, atol=1e-5, rtol=1e-4)


Y = np.linspace(0, 1, 64)


@pytest.mark.parametrize(
    "overrides", [["transform=nudft"], ["transform=monarch", "model.resample=true"]]
)
def test_a_period_of_uneven_points_has_to_be_known(overrides):
    config = config_of(*SMALL, "model=fno_fast_1d", "model.n_modes=4", *overrides)
    check_periods(config)
    own = {"key": "u", "channels": ["u"], "n_input_frames": 1, "n_output_frames": 1}
    start = (np.arange(32) / 32) ** 1.2
    whole, without_end = ({"x": x} for x in ([*start, 1.0], [*start / start[-1]]))
    for points, periodic, grid in ((whole, True, 32), (whole, True, 16), (without_end, False, 32)):
        config.dataset = OwnConfig(**own, uneven=points, periodic=[periodic], grid=[grid])
        check_periods(config)
        check_model(config)
    for points, grid in ((whole, 33), (whole, 11), (without_end, 32), (without_end, 16)):
        config.dataset = OwnConfig(**own, uneven=points, periodic=[True], grid=[grid])
        with pytest.raises(ValueError, match=r"nothing says where the next period begins.* store"):
            check_periods(config)
        build_model(config, (grid,))  # of a run that is there already
