"""Build a reconstruction model from its config, a transform and a grid."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from monarch_core.runs.folder import RunFolder
from monarch_core.training.checkpoint import read_state
from monarch_core.training.transform_config import KNOWN, TransformConfig, axis_transform
from mri.config.model import ModelConfig
from mri.config.run import MriConfig
from mri.dataset.splits import Splits
from mri.models.sense import build_cg_sense, build_sense
from mri.models.unet import build_unet
from mri.models.unrolled import build_unrolled
from mri.models.wavelet import build_l1_wavelet
from mri.physics.axis_transforms import AxisTransforms, EncodingFactory

Grid = tuple[int, int]


def build_model(config: ModelConfig, encoding: EncodingFactory, grid: Grid) -> nn.Module:
    """Return a model called as `model(kspace, maps, mask)`, returning one image per echo.

    k-space is (batch, echoes, coils, height, width), maps (batch, coils, height, width), mask
    (batch, height, width), images (batch, echoes, height, width); all in the unit of the data.

    Args:
        config: which model, and its sizes.
        encoding: makes the transform of a grid, centred and orthonormal, called as
            `encoding(grid, inverse=...)`; `partial(axis_transforms, Fourier)` is one.
        grid: height and width in pixels.

    Raises:
        ValueError: if an option does not suit the model, or a learnable transform is given to a
            model that cannot learn it.
    """
    return _BUILDERS[config.name](config, encoding, grid)


def model_of(config: MriConfig, grid: Grid, splits: Splits | None = None) -> nn.Module:
    """Return the model of a run.

    Args:
        config: of the run.
        grid: height and width in pixels.
        splits: the scans; None where they are not at hand, for a model that is to get its weights.

    Raises:
        ValueError: as `build_model`, or the transform is the encoding of the scanner and the scans
            do not have one in common, or are not at hand.
    """
    return build_model(config.model, partial(encoding_of, config.transform, splits), grid)


def model_of_run(run_dir: Path, config: MriConfig, grid: Grid) -> nn.Module:
    """Return the model of a run without its scans, for the weights that it left.

    A transform that was made of the scans is a dense matrix, of which the weights are all there is.

    Args:
        run_dir: the run folder.
        config: of the run.
        grid: height and width in pixels.

    Raises:
        ValueError: as `model_of`, or the weights are missing or damaged.
    """
    if config.transform.kind in KNOWN:
        state = read_state(RunFolder(run_dir).weights)
        along_height = [w for name, w in state.items() if name.endswith("along_height.weight")]
        heads = len(along_height[0]) if along_height else 1
        dense = replace(config.transform, kind="dense", heads=heads)
        config = replace(config, transform=dense)
    return model_of(config, grid)


def encoding_of(
    config: TransformConfig, splits: Splits | None, grid: Grid, *, inverse: bool = False
) -> AxisTransforms:
    """Return the transform of a grid, axis by axis; errors as `model_of`.

    Args:
        config: which transform. Its heads are matrices along height, which the columns of the
            image share out.
        splits: the scans, of which a transform may be known; None where they are not at hand.
        grid: height and width in pixels.
        inverse: the transform from k-space to image.
    """
    along = [
        axis_transform(
            config if axis == 0 else replace(config, heads=1),
            n,
            axis=axis,
            inverse=inverse,
            known=partial(splits.encoding, axis) if splits else None,
            norm="ortho",
            centered=True,
        )
        for axis, n in enumerate(grid)
    ]
    return AxisTransforms(*along, inverse=inverse)


_BUILDERS: dict[str, Callable[[Any, EncodingFactory, Grid], nn.Module]] = {
    "sense": build_sense,
    "cg_sense": build_cg_sense,
    "l1_wavelet": build_l1_wavelet,
    "unet": build_unet,
    "unrolled": build_unrolled,
}
