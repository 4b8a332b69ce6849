"""The Fourier neural operators: published sizes, one swap for every transform, padding, time."""

import math
from functools import partial

import pytest
import torch
from neuralop.layers.padding import DomainPadding
from neuralop.models import FNO
from pde_configs import config_of
from torch import nn

from monarch_core import MonarchSpectralConv
from monarch_core.training.optimization import n_parameters
from pde.models import build_model
from pde.models.continuation import ContinuedPadding
from pde.models.fno import PublishedBlocks

PAPER = ["dataset=navier_stokes_paper", "dataset.viscosity=1e-3", "transform=fft"]
SMALL = ["model.n_modes=3", "model.hidden_channels=6", "model.n_layers=2"]
# The count of the two- and three-dimensional networks in the paper includes four batch norms
# (scale and shift of 20 channels), which the published scripts still define and no longer call.
BATCH_NORMS = 4 * 2 * 20
SWAPS = ["monarch", "monarch_frozen", "dense"]


def model_of(*overrides, grid=(16, 16), seed=0):
    config = config_of(*overrides)
    torch.manual_seed(seed)
    return build_model(config, grid)


@pytest.mark.parametrize(
    ("model", "batch_norms", "published"),
    [
        ("fno", BATCH_NORMS, 414_517),
        ("fno_paper_script", BATCH_NORMS, 926_517),
        ("fno_3d", BATCH_NORMS, 6_558_537),
    ],
)
def test_published_sizes(model, batch_norms, published):
    """A complex weight counts as two numbers, and every corner of the spectrum has its own."""
    network = model_of(*PAPER, f"model={model}", grid=(64, 64))
    assert n_parameters(network) + batch_norms == published


def test_published_size_in_one_dimension():
    assert n_parameters(
        model_of("dataset=burgers", "model=fno_1d", "transform=fft", grid=(256,))
    ) == (549_569)


def test_neuralops_own_has_its_defaults():
    ours = model_of(*PAPER, "model=fno_neuralop", grid=(64, 64)).step
    torch.manual_seed(0)
    theirs = FNO(n_modes=(24, 24), in_channels=10, out_channels=1, hidden_channels=20)
    x = torch.randn(1, 10, 64, 64)
    torch.testing.assert_close(ours(x), theirs(x))


class PublishedNetwork(nn.Module):
    """Li et al. 2021 written out with torch.fft: corner weights, one activation between layers."""

    def __init__(self, fno):
        super().__init__()
        self.fno = fno

    def forward(self, x):
        fno = self.fno
        coordinates = torch.meshgrid(*(torch.arange(n) / n for n in x.shape[2:]), indexing="ij")
        coordinates = torch.stack(coordinates).expand(len(x), *[-1] * (x.ndim - 1))
        v = self.pointwise(fno.lifting.fcs[0], torch.cat((x, coordinates), 1))
        for i, (conv, skip) in enumerate(
            zip(fno.fno_blocks.blocks.convs, fno.fno_blocks.blocks.fno_skips, strict=True)
        ):
            v = self.spectral(v, conv) + conv.bias + skip(v)
            v = nn.functional.gelu(v) if i < len(fno.fno_blocks.blocks.convs) - 1 else v
        v = nn.functional.gelu(self.pointwise(fno.projection.fcs[0], v))
        return self.pointwise(fno.projection.fcs[1], v)

    @staticmethod
    def pointwise(linear, v):
        return linear(v.flatten(2)).unflatten(-1, v.shape[2:])

    @staticmethod
    def spectral(v, conv):
        W = conv.weight.to_tensor()
        axes = tuple(range(2, v.ndim))
        v_hat, out = torch.fft.rfftn(v, dim=axes), None
        out = torch.zeros(len(v), W.shape[1], *v_hat.shape[2:], dtype=v_hat.dtype)
        signed = [torch.arange(-(m // 2), m // 2) for m in W.shape[2:-1]]
        index = torch.meshgrid(*signed, torch.arange(W.shape[-1]), indexing="ij")
        where = (slice(None), slice(None), *index)
        out[where] = torch.einsum("bc...,co...->bo...", v_hat[where], W)
        return torch.fft.irfftn(out, s=v.shape[2:], dim=axes)


@pytest.mark.parametrize(
    ("overrides", "grid"), [(["dataset=burgers"], (20,)), ([], (16, 12)), ([], (8, 10, 12))]
)
def test_it_is_the_published_network(overrides, grid):
    fno = model_of(*overrides, *SMALL, "model.n_layers=3", "transform=fft", grid=grid).step
    x = torch.randn(2, fno.in_channels, *grid)
    torch.testing.assert_close(fno(x), PublishedNetwork(fno)(x), rtol=1e-5, atol=1e-5)


def test_neuralops_blocks_would_apply_the_activation_twice():
    """Why `PublishedBlocks` exists."""
    fno = model_of(*SMALL, "transform=fft").step
    x = torch.randn(2, 4, 16, 16)
    published = fno(x)
    fno.fno_blocks = fno.fno_blocks.blocks
    assert (fno(x) - published).norm() / published.norm() > 1e-2


@pytest.mark.parametrize("transform", SWAPS)
@pytest.mark.parametrize(
    ("overrides", "grid"),
    [
        (["dataset=burgers", "model=fno_1d"], (32,)),
        (["model=fno_neuralop", "model.lifting_channels=5"], (16, 12)),
        (["model=fno_3d", "model.time_padding=4"], (12, 10)),
        (["model=fno", "model.domain_padding=0.2"], (16, 12)),
        (["model=fno", "model.domain_padding=0.2", "model.continuation=true"], (16, 12)),
    ],
    ids=["1d", "neuralop", "3d", "padded", "continued"],
)
def test_every_transform_starts_at_the_fft(transform, overrides, grid):
    overrides = [*overrides, *SMALL]
    fft = model_of(*overrides, "transform=fft", grid=grid)
    swapped = model_of(*overrides, f"transform={transform}", grid=grid)
    n_input_frames = config_of(*overrides, "transform=fft").dataset.n_input_frames
    frames = torch.randn(2, n_input_frames, *grid)
    torch.testing.assert_close(swapped(frames), fft(frames), rtol=1e-5, atol=1e-5)
    layers = [m for m in swapped.modules() if isinstance(m, MonarchSpectralConv)]
    assert len(layers) == 2


@pytest.mark.parametrize(
    "transform", ["monarch_cosine", "cosine_frozen", "monarch_sine", "sine_frozen"]
)
def test_a_real_transform_has_as_many_weights_and_learns_if_asked(transform):
    fft = model_of(*SMALL, "transform=fft")
    model = model_of(*SMALL, f"transform={transform}")
    learned = sum(
        p.numel()
        for m in model.modules()
        if getattr(m, "is_transform", False)
        for p in m.parameters()
        if p.requires_grad
    )
    assert (learned > 0) == transform.startswith("monarch")
    assert n_parameters(model) - learned == n_parameters(fft)
    model(torch.randn(2, 4, 16, 16)).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_with_padding_the_grid_of_the_transforms_is_the_padded_one():
    model = model_of(*SMALL, "transform=monarch", "model.domain_padding=0.25", grid=(16, 12))
    grids = {m.grid for m in model.modules() if isinstance(m, MonarchSpectralConv)}
    assert grids == {(16 + 2 * 4, 12 + 2 * 3)}
    assert model(torch.randn(1, 4, 16, 12)).shape == (1, 5, 16, 12)


@pytest.mark.parametrize("grid", [(256,), (100, 64)])
def test_a_continued_field_is_smooth_on_the_ring(grid):
    """Of a field with different ends; with zeros it has a jump. `unpad` gives it back."""
    x, y = ((torch.arange(n, dtype=torch.float64) + 0.5) / n for n in (grid[0], grid[-1]))
    u = torch.exp(x) * torch.sin(5 * x + 1)
    u = (u if len(grid) == 1 else u[:, None] * torch.cos(3 * y))[None, None]
    beyond = []
    for padding in (DomainPadding, partial(ContinuedPadding, grid=grid)):
        padding = padding([0.125] * len(grid))
        padded = padding.pad(u)
        torch.testing.assert_close(padding.unpad(padded), u, rtol=0, atol=0)
        for axis, n in enumerate(padded.shape[2:], start=2):
            assert n == u.shape[axis] + 2 * round(0.125 * u.shape[axis])
            u_hat = torch.fft.rfft(padded, dim=axis)
            beyond.append(float(u_hat.narrow(axis, n // 4, n // 4).norm() / u_hat.norm()))
    for zeros, continued in zip(beyond[: len(grid)], beyond[len(grid) :], strict=True):
        assert zeros > 0.01
        assert continued < 0.01 * zeros


def test_the_option_continues_what_the_layers_see():
    """The network is that of zero padding, with the polynomial where zeros were."""
    overrides = ["dataset=burgers", *SMALL, "transform=fft", "model.domain_padding=0.25"]
    padded = model_of(*overrides, grid=(32,)).step
    continued = model_of(*overrides, "model.continuation=true", grid=(32,)).step
    x = torch.randn(2, 1, 32)
    assert (continued(x) - padded(x)).norm() > 0.01 * padded(x).norm()
    v = padded.lifting(padded.positional_embedding(x))
    v = ContinuedPadding([0.25], (32,)).pad(v)
    for layer in range(2):
        v = padded.fno_blocks(v, layer)
    torch.testing.assert_close(continued(x), padded.projection(v[..., 8:-8]))


def test_padding_gives_up_periodicity():
    """A shifted input is a shifted output without padding and coordinates, not with padding."""

    def defect(padding):
        fno = model_of(*SMALL, "transform=fft", f"model.domain_padding={padding}").step
        with torch.no_grad():
            fno.lifting.fcs[0].weight[:, -2:] = 0
        x = torch.randn(1, 4, 16, 16)
        shifted = fno(x.roll(5, -1))
        return ((shifted - fno(x).roll(5, -1)).norm() / shifted.norm()).item()

    assert defect(0.0) < 1e-5
    assert defect(0.25) > 1e-2


def test_time_is_padded_as_if_at_its_end():
    """Half of the zeros before and half behind is the published network, zeros at the end."""
    model = model_of("model=fno_3d", *SMALL, "transform=fft", grid=(8, 10))
    fno = model.step.network
    past = torch.randn(2, 4, 8, 10)
    v = fno.lifting(fno.positional_embedding(past.unsqueeze(-1).expand(-1, -1, -1, -1, 5)))
    v = nn.functional.pad(v, (0, 6))
    for layer in range(2):
        v = fno.fno_blocks(v, layer)
    expected = fno.projection(v[..., :5])[:, 0].movedim(-1, 1)
    torch.testing.assert_close(model(past), expected, rtol=1e-5, atol=1e-5)


def test_space_time_predicts_all_frames_at_once_or_the_first_of_them():
    model = model_of("model=fno_3d", *SMALL, "transform=fft")
    frames = torch.randn(2, 4, 16, 16)
    assert model(frames).shape == (2, 5, 16, 16)
    torch.testing.assert_close(model(frames, n_steps=1), model(frames)[:, :1])
    assert model(frames, n_steps=7).shape == (2, 7, 16, 16)


def test_published_blocks_pass_on_the_number_of_modes():
    fno = model_of(*SMALL, "transform=fft").step
    assert isinstance(fno.fno_blocks, PublishedBlocks)
    fno.n_modes = (4, 4)
    assert fno.fno_blocks.n_modes == (4, 4)
    assert list(fno.fno_blocks.blocks.convs[0].n_modes) == [4, 3]


@pytest.mark.parametrize("width", [7, 12, 14, 20, 49])
def test_the_projection_has_the_channels_asked_for(width):
    model = model_of(*SMALL, "transform=fft", f"model.hidden_channels={width}")
    assert model.step.projection.hidden_channels == 128
    assert math.prod(model.step.lifting.fcs[0].weight.shape) == 6 * width


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=fno_3d"], "a grid of 16x16x11 points holds k < 5 modes"),
        (["model=fno_3d", "model.time_padding=5"], "time_padding must be even, got 5"),
        (["model.domain_padding=-0.1"], "domain_padding must be from 0 to 1, got -0.1"),
        (["model.continuation=true"], "there is none; set model.domain_padding, as in 0.125"),
        (
            ["model=fno_neuralop", "model.lifting_channels=-1"],
            "lifting_channels must be from 0 to 1000000, got -1",
        ),
        (["model.architecture=fno2"], "model.architecture must be one of fno, fno_fast"),
        (["model=fno_fast", "model.n_modes=9"], "a grid of 16x16 points holds k < 8 modes"),
        (
            ["model.architecture=fno_fast"],
            "architecture=fno_fast; choose another .* model=fno_fast",
        ),
        (["model=fno_fast", "model.domain_padding=0.1"], "not override 'model.domain_padding'"),
        (["model=fno_fast", "+model.domain_padding=0.1"], "unknown config key model.domain_padd"),
        (["model.gate_channels=3"], "not override 'model.gate_channels'"),
    ],
)
def test_errors(overrides, message):
    with pytest.raises(Exception, match=message):
        model_of(*overrides)


def test_too_few_points_to_continue():
    with pytest.raises(ValueError, match="joins 5 points of each end, got a grid of 8x16; use at"):
        ContinuedPadding([0.25, 0.0], (8, 16))
    ContinuedPadding([0.0, 0.25], (8, 16))


@pytest.mark.parametrize("model", ["fno_1d", "fno_fast_1d"])
def test_the_normal_modes_of_a_medium_are_a_transform(model):
    """With unit weights the layer keeps what the kept modes can say: it is their projection."""
    config = config_of(
        "dataset=wave_layered", "dataset.grid=128", f"model={model}", "transform=modes",
        "model.n_modes=8", "model.hidden_channels=4",
    )  # fmt: skip
    network = build_model(config, (128,)).step
    conv = next(m for m in network.modules() if isinstance(m, MonarchSpectralConv))
    assert not any(p.requires_grad for p in conv.forward_transforms.parameters())
    with torch.no_grad():
        conv.take_weight(torch.eye(4, dtype=torch.cfloat)[..., None].expand(4, 4, 16))
        conv.bias.zero_()
    modes = config.dataset.normal_modes(0)(128)
    torch.testing.assert_close(
        modes[:16] @ modes[:16].mT, torch.eye(16).double(), atol=2e-3, rtol=0
    )
    x = torch.randn(2, 4, 16) @ modes[:16].float()
    torch.testing.assert_close(conv(x), x, atol=1e-2, rtol=0)


@pytest.mark.parametrize("start", ["hadamard", "identity"])
def test_starts_without_rows_on_other_grids(start):
    small = ("dataset=wave_layered", "dataset.grid=32", "model=fno_fast_1d", "model.n_modes=4")
    network = build_model(config_of(*small, f"transform=monarch_{start}"), (32,))
    assert network(torch.randn(2, 1, 32)).shape == (2, 1, 32)
    with pytest.raises(ValueError, match="works on the grid it is made for alone, got 64 points"):
        network(torch.randn(2, 1, 64))


def test_a_guide_is_fourier_along_and_has_modes_across():
    small = ("dataset=waveguide", "dataset.grid=16", "model=fno_fast", "model.n_modes=4")
    for name in ("modes", "monarch_sine", "dense"):
        config = config_of(*small, f"transform={name}", "transform.axes=[1]")
        network = build_model(config, (16, 16))
        conv = next(m for m in network.modules() if isinstance(m, MonarchSpectralConv))
        assert conv.kinds == (("signed", "half") if name == "dense" else ("half", "real"))
        learned = [any(p.requires_grad for p in t.parameters()) for t in conv.forward_transforms]
        assert learned == [False, name != "modes"]
        assert network(torch.randn(2, 1, 16, 16)).shape == (2, 1, 16, 16)


def test_axes_beyond_those_of_the_data():
    with pytest.raises(ValueError, match=r"transform.axes must be below 1, .* got \[1\]"):
        config_of("dataset=burgers", "model=fno_1d", "transform=monarch", "transform.axes=[1]")


def test_modes_that_are_not_known():
    with pytest.raises(
        ValueError, match="normal modes of the problem, which are not known along axis 0"
    ):
        build_model(config_of("dataset=burgers", "model=fno_1d", "transform=modes"), (1024,))
