"""Build a reconstruction model from its config, a transform and a grid."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from monarch_core.training.transform_config import axis_transform
from mri.config.model import ModelConfig
from mri.config.run import MriConfig
from mri.models.sense import build_cg_sense, build_sense
from mri.models.unet import build_unet
from mri.models.unrolled import build_unrolled
from mri.models.wavelet import build_l1_wavelet
from mri.physics.encoding import AxisFactory

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
        ValueError: if an option does not suit the model, or a learnable transform is given to a
            model that cannot learn it.
    """
    return _BUILDERS[config.name](config, transform, grid)


def model_of(config: MriConfig, grid: Grid) -> nn.Module:
    """Return the model of a run; errors as `build_model`."""
    return build_model(config.model, partial(axis_transform, config.transform), grid)


_BUILDERS: dict[str, Callable[[Any, AxisFactory, Grid], nn.Module]] = {
    "sense": build_sense,
    "cg_sense": build_cg_sense,
    "l1_wavelet": build_l1_wavelet,
    "unet": build_unet,
    "unrolled": build_unrolled,
}
