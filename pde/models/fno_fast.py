"""The published Fourier neural operator as plain matrix products: `build_fno`, faster."""

from torch import nn

from pde.config.model import FnoFastConfig
from pde.config.run import PdeConfig
from pde.models.channels_last import FNO
from pde.models.fno import check_modes, spectral_conv


def build_fno_fast(model: FnoFastConfig, config: PdeConfig, grid: tuple[int, ...]) -> nn.Module:
    """Return the network of `build_fno` without neuralop's host, and without its padding.

    With the same weights it has the same values and gradients; from one seed the two draw
    different weights.

    Args:
        model: sizes.
        config: frames and transform.
        grid: points per axis.

    Raises:
        ValueError: when the grid cannot hold the modes, or the transform does not fit it.
    """
    check_modes(model.n_modes, grid)
    m = model.n_modes
    return FNO(
        (*[2 * m] * (len(grid) - 1), 2 * (m - 1)),
        in_channels=config.dataset.in_channels,
        out_channels=config.dataset.out_channels,
        hidden_channels=model.hidden_channels,
        n_layers=model.n_layers,
        projection_channels=model.projection_channels,
        conv_module=spectral_conv(config, grid),
    )
