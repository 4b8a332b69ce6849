"""The convolutions that the baselines share, in one, two or three dimensions.

All pad with zeros, as the published baselines do, also where the field is periodic.
"""

from torch import Tensor, nn

NEGATIVE_SLOPE = 0.1
_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def convolution(n_axes: int, n_in: int, n_out: int) -> nn.Module:
    """Return a convolution of width 3 that keeps the grid."""
    return _CONV[n_axes](n_in, n_out, 3, padding=1)


def normed_convolution(
    n_axes: int, n_in: int, n_out: int, *, stride: int = 1, bias: bool = True
) -> nn.Sequential:
    """Return a convolution of width 3, batch norm and leaky ReLU; stride 2 halves, rounding up."""
    return nn.Sequential(
        _CONV[n_axes](n_in, n_out, 3, stride=stride, padding=1, bias=bias),
        _NORM[n_axes](n_out),
        nn.LeakyReLU(NEGATIVE_SLOPE),
    )


def enlargement(n_axes: int, n_in: int, n_out: int) -> nn.Sequential:
    """Return a transposed convolution of width 4 that doubles the grid, and leaky ReLU."""
    return nn.Sequential(
        _TRANSPOSED[n_axes](n_in, n_out, 4, stride=2, padding=1), nn.LeakyReLU(NEGATIVE_SLOPE)
    )


def crop(x: Tensor, like: Tensor) -> Tensor:
    """Cut the ends of x so that it has the grid of `like`."""
    for axis, n in enumerate(like.shape[2:], start=2):
        x = x.narrow(axis, 0, n)
    return x
