"""Neural operators, and the networks that they are compared with."""

from collections.abc import Callable

from neuralop.layers.spectral_convolution import SpectralConv
from torch import nn

from pde.config import PdeConfig
from pde.models.fno import build_fno, build_fno_neuralop, spectral_conv
from pde.models.fno_3d import build_fno_3d
from pde.models.fno_fast import build_fno_fast
from pde.models.monarch_no import build_monarch_no
from pde.models.resnet import ResNet
from pde.models.roll_out import RollOut
from pde.models.tf_net import TFNet
from pde.models.unet import UNet

__all__ = ["RollOut", "build_model"]

Grid = tuple[int, ...]


def build_model(config: PdeConfig, grid: Grid) -> RollOut:
    """Return the surrogate: a network from frames to frames, rolled out in time.

    Args:
        config: `model` is the network, `transform` what stands where its Fourier transforms are
            (the one thing that differs between two compared runs), `dataset` has the frames.
        grid: points per axis.

    Raises:
        ValueError: when the grid cannot hold the modes, the transform does not fit the grid, an
            option does not suit the data, or a network without a Fourier transform is given
            another transform.
    """
    step = _BUILDERS[config.model.architecture](config, grid)
    return RollOut(
        step,
        config.dataset.n_output_frames,
        config.dataset.normalization,
        checkpoint_steps=config.model.checkpoint_steps,
    )


def _unet(config: PdeConfig, grid: Grid) -> nn.Module:
    _require_fft(config, grid)
    return UNet(config.dataset.n_input_frames, config.model.hidden_channels, n_axes=len(grid))


def _tf_net(config: PdeConfig, grid: Grid) -> nn.Module:
    _require_fft(config, grid)
    return TFNet(
        config.dataset.n_input_frames,
        config.model.hidden_channels,
        config.model.n_filter_frames,
        n_axes=len(grid),
    )


def _resnet(config: PdeConfig, grid: Grid) -> nn.Module:
    _require_fft(config, grid)
    return ResNet(config.dataset.n_input_frames, config.model.hidden_channels, n_axes=len(grid))


def _require_fft(config: PdeConfig, grid: Grid) -> None:
    """Raise ValueError for any transform but the control, which would be ignored."""
    if spectral_conv(config, grid) is not SpectralConv:
        raise ValueError(
            f"{config.model.architecture} has no Fourier transform that transform="
            f"{config.transform.name} could replace; set transform=fft, or choose one of the fno "
            "models"
        )


_BUILDERS: dict[str, Callable[[PdeConfig, Grid], nn.Module]] = {
    "fno": build_fno,
    "fno_fast": build_fno_fast,
    "fno_neuralop": build_fno_neuralop,
    "fno_3d": build_fno_3d,
    "monarch_no": build_monarch_no,
    "unet": _unet,
    "tf_net": _tf_net,
    "resnet": _resnet,
}
