"""Compressed sensing with an l1 penalty on wavelet coefficients."""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from monarch_core.transforms import prepared
from mri.config.model import L1WaveletConfig
from mri.models.tuning import Regularised
from mri.physics.axis_transforms import AxisTransforms, EncodingFactory
from mri.physics.conjugate_gradient import check_iterations
from mri.physics.encoding import Sense, check_measurement, zero_filled_scale


class L1Wavelet(Regularised):
    """L1-wavelet reconstruction of each echo (Lustig et al. 2007), without anything to learn.

        x = argmin_x 1/2 ||Omega F S x - y||^2 + lambda s ||W x||_1

    solved by sigpy's accelerated proximal gradients, as in its `L1WaveletRecon`, where F is the
    DFT. s is the zero-filled scale of the echo, so `lamda` is dimensionless and the result follows
    the unit of the data. `lamda` starts at the first candidate; `mri.models.tuning.choose_lamda`
    picks among the candidates on the validation split. The wavelets are on the CPU, and no gradient
    is passed.

    Args:
        transform: image to k-space.
        candidates: values of lambda to choose from.
        n_iterations: proximal gradient steps.
        wavelet: name of the wavelet, as in PyWavelets.

    Raises:
        ValueError: if a candidate or the number of steps makes no sense.
    """

    def __init__(
        self,
        transform: AxisTransforms,
        candidates: Sequence[float],
        n_iterations: int,
        wavelet: str = "db4",
    ) -> None:
        super().__init__(candidates)
        check_iterations(n_iterations)
        self.transform = transform
        self.n_iterations = n_iterations
        self.wavelet = wavelet

    @torch.no_grad()
    def forward(
        self,
        kspace: Complex[Tensor, "batch echoes coils k_h k_w"],
        maps: Complex[Tensor, "batch coils h w"],
        mask: Float[Tensor, "batch k_h k_w"],
    ) -> Complex[Tensor, "batch echoes h w"]:
        """Return one image per echo, in the unit of the data.

        Raises:
            ValueError: if the shapes do not belong together or do not fit the transform.
        """
        from mri.models.proximal import l1_wavelet  # here, since importing sigpy takes seconds

        transform = prepared(self.transform)
        check_measurement(kspace, maps, mask, transform.shape_out, transform.shape_in)
        scale = zero_filled_scale(kspace)
        y = mask[:, None, None] * kspace / scale.unsqueeze(-3)
        # ||A||^2 is at most this times the largest sum of squares of the maps.
        largest = _largest_eigenvalue(transform, maps)
        image = torch.empty(kspace.shape[:2] + transform.shape_in, dtype=kspace.dtype)
        for b in range(len(kspace)):
            sense = Sense(maps[b], mask[b], transform)
            squares = float(maps[b].abs().square().sum(0).max())
            step = 1.0 / max(largest * squares, 1e-12)
            for e in range(kspace.shape[1]):
                image[b, e] = l1_wavelet(
                    sense,
                    y[b, e],
                    lamda=float(self.lamda),
                    step=step,
                    n_iterations=self.n_iterations,
                    wavelet=self.wavelet,
                )
        return image.to(kspace.device) * scale


def _largest_eigenvalue(
    transform: AxisTransforms, like: Complex[Tensor, "..."], n_iterations: int = 30
) -> float:
    """Return that of F^H F by power iterations from a fixed start: 1 for the DFT at once."""
    start = torch.randn(transform.shape_in, generator=torch.Generator().manual_seed(0))
    x = start.to(like)
    size = x.norm()
    for _ in range(n_iterations):
        x = transform.adjoint(transform(x / size))
        size = x.norm()
    return float(size)


def build_l1_wavelet(
    config: L1WaveletConfig, encoding: EncodingFactory, grid: tuple[int, int]
) -> L1Wavelet:
    """Return compressed sensing.

    Raises:
        ValueError: the transform has parameters to learn, which no gradient would reach.
    """
    transform = encoding(grid)
    if any(parameter.requires_grad for parameter in transform.parameters()):
        raise ValueError(
            "l1_wavelet passes no gradient, so it cannot learn a transform; set transform=fft, or "
            "transform.learn=none for one that is fixed"
        )
    return L1Wavelet(transform, config.candidates, config.n_iterations)
