"""neuralop's U-shaped neural operator (Rahman et al. 2023, arXiv:2204.11127)."""

import contextlib
import io
import math
from fractions import Fraction
from itertools import accumulate
from operator import mul
from typing import Any

from neuralop.layers.fno_block import FNOBlocks
from neuralop.models import UNO
from torch import nn

from monarch_core.layers.resample import BASES
from pde.config.model import UnoConfig
from pde.config.run import PdeConfig
from pde.models.continuation import ContinuedPadding
from pde.models.fno import check_modes, convolves, padded_grid, spectral_conv


def build_uno(model: UnoConfig, config: PdeConfig, grid: tuple[int, ...]) -> nn.Module:
    """Return neuralop's UNO, whose layers change the grid by the factors of `model.scalings`.

    The transforms of a layer are on the grid that comes in. A layer that reads or returns a grid of
    a fraction r of the points has hidden_channels / r channels and 2 n_modes r modes per axis, both
    signs counted; layer L - 1 - i also reads what layer i returned. Layers that change the grid
    lose or move the frequencies f < 0, neuralop's and `MonarchSpectralConv` alike
    (`adapters.neuralop.grids`). neuralop has no activation between these layers but those in their
    channel MLPs.

    Args:
        model: sizes.
        config: frames and transform.
        grid: points per axis.

    Raises:
        ValueError: when a grid cannot hold the modes, the transform does not fit one or cannot be
            interpolated between two, or there is nothing to continue.
    """
    bases = {config.transform.basis_of(axis) for axis in range(len(grid))}
    if not bases <= {*BASES}:
        raise ValueError(
            f"model={model.name} needs transforms that are interpolated from grid to grid, got "
            f"transform={config.transform.name}; use one that starts at {', '.join(BASES)}"
        )
    padding = [model.domain_padding] * len(grid)
    grids = _grids(model, grid)
    after = list(accumulate(model.scalings, mul))
    sizes = [min(r, r * s) for r, s in zip([1.0, *after], model.scalings, strict=False)]
    if config.transform.is_control:
        check_uno_grid(model, grid)
    n_modes = [max(1, round(model.n_modes * r)) for r in sizes]
    for modes, points in zip(n_modes, grids, strict=True):
        check_modes(modes, points)
    layers = iter(grids)

    def blocks(*args: Any, **options: Any) -> FNOBlocks:  # neuralop makes them in this order
        return FNOBlocks(*args, conv_module=spectral_conv(config, next(layers)), **options)

    with contextlib.redirect_stdout(io.StringIO()):  # neuralop prints its options
        network = UNO(
            in_channels=config.dataset.in_channels,
            out_channels=config.dataset.out_channels,
            hidden_channels=model.hidden_channels,
            lifting_channels=model.lifting_channels,
            projection_channels=model.projection_channels,
            n_layers=model.n_layers,
            uno_out_channels=[round(model.hidden_channels / r) for r in sizes],
            uno_n_modes=[[2 * m] * len(grid) for m in n_modes],
            uno_scalings=[[s] * len(grid) for s in model.scalings],
            channel_mlp_skip="linear",  # soft gating, its default, cannot change the channels
            domain_padding=padding,
            operator_block=blocks,
        )
    network.operator_block = FNOBlocks  # which can be pickled
    if model.continuation:
        network.domain_padding = ContinuedPadding(padding, grid)
    return network


def _grids(model: UnoConfig, grid: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the points per axis that come into each layer."""
    grids = [padded_grid(grid, [model.domain_padding] * len(grid))]
    for scaling in model.scalings[:-1]:
        grids.append(tuple(round(n * scaling) for n in grids[-1]))
    return grids


def check_uno_grid(model: UnoConfig, grid: tuple[int, ...]) -> None:
    """Raise ValueError where a layer of neuralop inside of the U is no convolution on its grid."""
    grids = _grids(model, grid)
    wrong = [level for level, points in enumerate(grids) if not convolves(points)]
    if not wrong or not convolves(grids[0]):  # a layer refuses the grid of the data by itself
        return
    outer, inner = ("x".join(map(str, points)) for points in (grid, grids[wrong[0]]))
    fractions = (Fraction(r).limit_denominator(64) for r in accumulate(model.scalings, mul))
    multiple = 2 * math.lcm(*(fraction.denominator for fraction in fractions))
    raise ValueError(
        f"neuralop's SpectralConv is wrong on an odd number of points, and the grid {outer} of the "
        f"data becomes {inner} inside of the U, in layer {wrong[0]} (from 0) of model.scalings="
        f"{model.scalings}; use transform=monarch_frozen, which is the FFT by other means, other "
        f"model.scalings, or a dataset.grid of multiples of {multiple}"
    )
