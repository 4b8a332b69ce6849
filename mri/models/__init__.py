"""Build a reconstruction model from its config, a transform and a grid."""

from collections.abc import Callable

from torch import nn

from mri.config.run import ModelConfig
from mri.models.sense import CgSense, SenseReconstruction
from mri.models.unet import UNet, UNetReconstruction, check_depth
from mri.models.unrolled import Unrolled
from mri.models.wavelet import L1Wavelet
from mri.physics.encoding import AxisFactory, axis_transforms

Grid = tuple[int, int]


def build_model(config: ModelConfig, transform: AxisFactory, grid: Grid) -> nn.Module:
    """Return a model called as `model(kspace, maps, mask)`, returning one image per echo.

    k-space is (batch, echoes, coils, height, width), maps (batch, coils, height, width), mask
    (batch, height, width), images (batch, echoes, height, width); all in the unit of the data.

    Args:
        config: which model, and its sizes.
        transform: makes the transform of one axis, called as
            `transform(n, inverse=..., norm="ortho", centered=True)`.
        grid: height and width in pixels.

    Raises:
        ValueError: if the name of the model is unknown, an option does not suit it, or a
            learnable transform is given to a model that cannot learn it.
    """
    if config.name not in _BUILDERS:
        raise ValueError(f"model must be one of {', '.join(_BUILDERS)}, got {config.name!r}")
    return _BUILDERS[config.name](config, transform, grid)


def _sense(config: ModelConfig, transform: AxisFactory, grid: Grid) -> nn.Module:
    return SenseReconstruction(axis_transforms(transform, grid, inverse=True), config.weighting)


def _cg_sense(config: ModelConfig, transform: AxisFactory, grid: Grid) -> nn.Module:
    return CgSense(axis_transforms(transform, grid), config.candidates, config.n_iterations)


def _l1_wavelet(config: ModelConfig, transform: AxisFactory, grid: Grid) -> nn.Module:
    if any(True for _ in axis_transforms(transform, grid).parameters()):
        raise ValueError(
            "l1_wavelet runs sigpy's own FFT and cannot use a transform with parameters; set "
            "transform=fft"
        )
    return L1Wavelet(grid, config.candidates, config.n_iterations)


def _unet(config: ModelConfig, transform: AxisFactory, grid: Grid) -> nn.Module:
    check_depth(config.n_pools, grid)
    unet = UNet(n_channels=config.n_channels, n_pools=config.n_pools)
    return UNetReconstruction(axis_transforms(transform, grid, inverse=True), unet, config.residual)


def _unrolled(config: ModelConfig, transform: AxisFactory, grid: Grid) -> nn.Module:
    return Unrolled(
        transform,
        grid,
        n_cascades=config.n_cascades,
        data_consistency=config.data_consistency,
        n_iterations=config.n_iterations,
        n_channels=config.n_channels,
        n_layers=config.n_layers,
        tied=config.tied,
        transform_per_cascade=config.transform_per_cascade,
        regulariser_per_cascade=config.regulariser_per_cascade,
    )


_BUILDERS: dict[str, Callable[[ModelConfig, AxisFactory, Grid], nn.Module]] = {
    "sense": _sense,
    "cg_sense": _cg_sense,
    "l1_wavelet": _l1_wavelet,
    "unet": _unet,
    "unrolled": _unrolled,
}
