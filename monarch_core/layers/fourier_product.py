"""A spectral convolution on one axis whose transforms stay the DFT: the FFT where it is less work.

Products and FFT compute (1) to (3) of `spectral_conv`, and agree to rounding. The work of products
grows with the kept frequencies, that of the FFT hardly does. On several axes products were faster
at all sizes measured.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from monarch_core.layers.kernel import reference

# In multiply-adds of the products: what the FFT there and back costs for every point of a field,
# and what the product over the channels costs more for every frequency where it is one of torch. By
# `python -m benchmarks.speed suites=fixed`.
POINT_COST = 250.0
MODE_COST = 500_000.0


def fft_is_cheaper(x: Tensor, n_out: int, n_modes: int) -> bool:
    """Return whether the FFT takes less time than matrix products, by a rule.

    On a GPU, where nothing was measured, under autocast, which has no FFT in lower precision, and
    in exported programs, which have none at all, it does not.

    Args:
        x: fields on one axis.
        n_out: points of the result.
        n_modes: kept frequencies, from 0 on.
    """
    if x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    if torch.compiler.is_exporting() or torch.jit.is_tracing():
        return False
    samples, channels, n = x.shape
    points = samples * channels * (n + n_out) / 2
    return 4 * n_modes * points > POINT_COST * points + MODE_COST * n_modes


def fourier_product(
    x: Float[Tensor, "batch in_channels n"],
    W: Float[Tensor, "2 modes in_channels out_channels"],
    bias: Float[Tensor, "out_channels 1"] | None,
    n_out: int,
) -> Float[Tensor, "batch out_channels {n_out}"]:
    """Return what `spectral_product` returns with the rows of the DFT, by the FFT.

    Args:
        x: real fields.
        W: complex weight of the frequencies from 0 on, (real, imaginary) first.
        bias: one number per channel.
        n_out: points of the result.
    """
    X = torch.fft.rfft(x, norm="forward")[..., : W.shape[1]]
    Y = reference.mix(torch.stack((X.real, X.imag)).permute(0, 3, 1, 2).contiguous(), W)
    y = torch.fft.irfft(torch.complex(*Y.permute(0, 2, 3, 1)), n=n_out, norm="forward")
    return y if bias is None else y + bias
