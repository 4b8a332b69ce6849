"""neuralop's neural operator with local kernels (Liu-Schiaffini et al. 2024, arXiv:2402.16845)."""

from torch import nn

from monarch_core.extras import require
from pde.config.model import LocalNoConfig
from pde.config.run import PdeConfig
from pde.models.continuation import ContinuedPadding
from pde.models.fno import check_modes, padded_grid, ratio, spectral_conv


def build_local_no(model: LocalNoConfig, config: PdeConfig, grid: tuple[int, ...]) -> nn.Module:
    """Return neuralop's LocalNO: beside each spectral convolution a learned difference stencil.

    In two dimensions also a local integral kernel, whose size is that of the grid it is made for.

    Args:
        model: sizes.
        config: frames and transform.
        grid: points per axis.

    Raises:
        MissingExtraError: torch-harmonics is not installed, which neuralop imports for it.
        ValueError: as `build_fno`, or local integrals are asked for in other than two dimensions.
    """
    require("local_no", "torch_harmonics")
    from neuralop.models.local_no import LocalNO  # absent without torch-harmonics

    if model.local_integrals and len(grid) != 2:
        raise ValueError(
            f"model.local_integrals=true is for two dimensions, got {len(grid)}; set "
            "model.local_integrals=false"
        )
    padding = [model.domain_padding] * len(grid)
    padded = padded_grid(grid, padding)
    check_modes(model.n_modes, padded)
    network = LocalNO(
        n_modes=(2 * model.n_modes,) * len(grid),
        in_channels=config.dataset.in_channels,
        out_channels=config.dataset.out_channels,
        hidden_channels=model.hidden_channels,
        default_in_shape=padded,
        n_layers=model.n_layers,
        disco_layers=model.local_integrals,
        conv_padding_mode="periodic" if all(config.dataset.periodic) else "zeros",
        lifting_channel_ratio=ratio(model.lifting_channels, model),
        projection_channel_ratio=ratio(model.projection_channels, model),
        domain_padding=padding,
        conv_module=spectral_conv(config, padded),
    )
    if model.continuation:
        network.domain_padding = ContinuedPadding(padding, grid)
    return network
