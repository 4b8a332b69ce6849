"""A spectral convolution on one axis whose transforms stay the DFT: the FFT where it is less work.

Products and FFT compute (1) to (3) of `spectral_conv`, and agree to rounding. The work of products
grows with the kept frequencies, that of the FFT hardly does. On several axes products were faster
at all sizes measured.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from monarch_core.layers.kernel import reference

# The FFT, there and back, takes as long as this many multiply-adds of the products for every point:
# measured by `python -m benchmarks.speed suites=fixed`, where 100 to 500 would be right.
FFT_COST = 200.0


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
    n = x.shape[-1]
    multiply_adds = 2 * n_modes * (n + n_out)  # of all points of one field
    return multiply_adds > FFT_COST * (n + n_out) / 2


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
