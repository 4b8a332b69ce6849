"""Fourier neural operators (Li et al. 2021, arXiv:2010.08895), made of neuralop's parts."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial

from jaxtyping import Float
from neuralop.layers.fno_block import FNOBlocks
from neuralop.layers.spectral_convolution import SpectralConv
from neuralop.models import FNO
from torch import Tensor, nn

from monarch_core.adapters.neuralop import MonarchSpectralConv
from monarch_core.adapters.neuralop.release import convolves_odd_grids
from monarch_core.layers.resample import BASES
from monarch_core.training.transform_config import axis_transform
from pde.config.model import FnoConfig, FnoNeuralopConfig, PaddedConfig
from pde.config.run import PdeConfig
from pde.models.continuation import ContinuedPadding

# What a layer calls the basis that a transform declares; those of other rows have no name there.
LAYER_BASES = {**{basis: basis for basis in BASES}, "nudft": "complex"}


class PublishedBlocks(nn.Module):
    """The Fourier layers as published, with one activation between two of them.

        v_l = gelu(K_l v_(l-1) + W_l v_(l-1)),    the last one without gelu

    K is the spectral convolution with its bias, W a matrix on the channels of each point. Without
    a channel MLP, `FNOBlocks` of neuralop 2.0.0 computes gelu(gelu(...)) instead.

    Args:
        blocks: neuralop's blocks, with linear skip connections and without norm or channel MLP.
    """

    def __init__(self, blocks: FNOBlocks) -> None:
        super().__init__()
        self.blocks = blocks

    def forward(
        self,
        v: Float[Tensor, "batch channels *grid"],
        index: int = 0,
        output_shape: Sequence[int] | None = None,
    ) -> Float[Tensor, "batch channels *out_grid"]:
        """Return the output of layer `index`, on a grid of `output_shape` points (None: v's)."""
        conv, W = self.blocks.convs[index], self.blocks.fno_skips[index]
        Wv = conv.transform(W(v), output_shape=output_shape)
        v = conv(v, output_shape=output_shape) + Wv
        return v if index == self.blocks.n_layers - 1 else nn.functional.gelu(v)

    @property
    def n_modes(self) -> Sequence[int]:
        """Kept modes per axis, both signs, as in neuralop."""
        return self.blocks.n_modes

    @n_modes.setter
    def n_modes(self, n_modes: Sequence[int]) -> None:
        self.blocks.n_modes = n_modes


def build_fno(model: FnoConfig, config: PdeConfig, grid: tuple[int, ...]) -> nn.Module:
    """Return the published network: linear lifting, Fourier layers, projection of one hidden layer.

    The input channels are the frames and the coordinates i / n of the points. The frequencies
    -m <= k < m are kept, on the last axis 0 <= k < m, as the two corner weights of the published
    scripts do; neuralop's modes count both signs.

    Args:
        model: sizes.
        config: frames and transform.
        grid: points per axis.

    Raises:
        ValueError: when the padded grid cannot hold the modes, the transform does not fit it, or
            there is nothing to continue.
    """
    return published_fno(model, config, grid, [model.domain_padding] * len(grid))


def published_fno(
    model: PaddedConfig, config: PdeConfig, grid: tuple[int, ...], padding: list[float]
) -> nn.Module:
    """Return the published network on a grid of any axes, padded by a fraction of each."""
    m = model.n_modes
    network = _neuralop_fno(
        model,
        config,
        grid,
        padding,
        n_modes=(*[2 * m] * (len(grid) - 1), 2 * (m - 1)),
        use_channel_mlp=False,
        lifting_channels=0,
    )
    network.fno_blocks = PublishedBlocks(network.fno_blocks)
    return network


def build_fno_neuralop(
    model: FnoNeuralopConfig, config: PdeConfig, grid: tuple[int, ...]
) -> nn.Module:
    """Return neuralop's FNO untouched, with its channel MLP and hidden lifting layer.

    Arguments and errors as `build_fno`; the last axis also keeps k = n_modes.
    """
    return _neuralop_fno(
        model,
        config,
        grid,
        [model.domain_padding] * len(grid),
        n_modes=(2 * model.n_modes,) * len(grid),
        use_channel_mlp=model.use_channel_mlp,
        lifting_channels=model.lifting_channels,
        factorization=model.factorization,
        rank=model.rank,
    )


def _neuralop_fno(
    model: PaddedConfig,
    config: PdeConfig,
    grid: tuple[int, ...],
    padding: list[float],
    *,
    n_modes: tuple[int, ...],
    use_channel_mlp: bool,
    lifting_channels: int,
    factorization: str | None = None,
    rank: float = 1.0,
) -> FNO:
    padded = padded_grid(grid, padding)
    check_modes(model.n_modes, padded)
    network = FNO(
        n_modes=n_modes,
        in_channels=config.dataset.in_channels,
        out_channels=config.dataset.out_channels,
        hidden_channels=model.hidden_channels,
        n_layers=model.n_layers,
        lifting_channel_ratio=ratio(lifting_channels, model),
        projection_channel_ratio=ratio(model.projection_channels, model),
        use_channel_mlp=use_channel_mlp,
        factorization=factorization,
        rank=rank,
        domain_padding=padding,
        conv_module=spectral_conv(config, padded),
    )
    if model.continuation:
        network.domain_padding = ContinuedPadding(padding, grid)
    return network


def padded_grid(grid: Sequence[int], padding: Sequence[float]) -> tuple[int, ...]:
    """Return the points per axis that neuralop pads a grid to, at both ends and rounded."""
    return tuple(n + 2 * round(p * n) for n, p in zip(grid, padding, strict=True))


def ratio(channels: int, model: PaddedConfig) -> float:
    """Return the ratio to the width of which neuralop makes a number of channels."""
    return (channels + 0.5) / model.hidden_channels  # it multiplies and rounds down


def check_modes(n_modes: int, grid: tuple[int, ...]) -> None:
    """Raise ValueError when a grid cannot hold the modes."""
    if 2 * n_modes > min(grid):
        raise ValueError(
            f"a grid of {'x'.join(map(str, grid))} points holds k < {min(grid) // 2} modes per "
            f"axis, got model.n_modes={n_modes}; use a smaller number or a finer grid"
        )


def spectral_conv(config: PdeConfig, grid: tuple[int, ...]) -> Callable[..., nn.Module]:
    """Return what makes a spectral convolution: here the FFT becomes a Monarch.

    Raises:
        ValueError: neuralop's layer, the control, is no convolution on this grid.
    """
    transform = config.transform
    if transform.is_control:
        if getattr(config.model, "transform_grid", None) is not None:
            raise ValueError(
                f"transform={transform.name} learns on no grid; leave model.transform_grid out"
            )
        check_fft_grid(grid)
        return SpectralConv
    data, axes = config.dataset, range(len(grid))
    grid = _learned_on(config, grid)
    bases = [transform.basis_of(axis) for axis in axes]
    for n, stored, basis in zip(grid, data.points, bases, strict=False):  # time has no points
        if basis == "nudft" and n != stored:
            raise ValueError(
                f"transform={transform.name} is on the {stored} points of the data alone, got {n} "
                "with padding; set model.domain_padding=0"
            )
    return MonarchSpectralConv.configured(
        grid=grid,
        periodic=[*data.periodic, *[True] * (len(grid) - data.n_axes)],  # time is padded
        transform=[
            partial(
                axis_transform,
                transform,
                axis=axis,
                normal_modes=data.normal_modes(axis),
                coordinates=data.coordinates(axis),
            )
            for axis in axes
        ],
        basis=[LAYER_BASES.get(basis) for basis in bases],
    )


def _learned_on(config: PdeConfig, grid: tuple[int, ...]) -> tuple[int, ...]:
    """Return the grid of the transforms for fields on a grid, in the ratio of `transform_grid`."""
    learned = getattr(config.model, "transform_grid", None)
    if learned is None:
        return grid
    points = config.dataset.points
    known = {config.transform.basis_of(axis) for axis in range(len(points))} <= {*BASES}
    if len(learned) != len(points) or min(learned) < 4 or not known:
        raise ValueError(
            f"model.transform_grid must have the points of {len(points)} axes, at least 4, for a "
            f"transform that starts at {', '.join(BASES)}, got {learned} and transform="
            f"{config.transform.name}; leave it out for one on the grid of the data"
        )
    ratios = [Fraction(m, n) for m, n in zip(learned, points, strict=True)]
    ratios += [Fraction(1)] * (len(grid) - len(points))
    return tuple(round(n * ratio) for n, ratio in zip(grid, ratios, strict=True))


def check_fft_grid(grid: tuple[int, ...]) -> None:
    """Raise ValueError where neuralop's layer is no convolution, as found by trying it."""
    if not convolves(grid):
        raise ValueError(
            "neuralop's SpectralConv is wrong on an odd number of points, as in the grid "
            f"{'x'.join(map(str, grid))}; use an even number, or transform=monarch_frozen, which "
            "is the FFT by other means"
        )


def convolves(grid: tuple[int, ...]) -> bool:
    """Return whether neuralop's layer is a convolution on a grid, as found by trying it."""
    return not any(n % 2 for n in grid[:-1]) or convolves_odd_grids()
