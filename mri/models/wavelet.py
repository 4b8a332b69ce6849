"""Compressed sensing with an l1 penalty on wavelet coefficients, through sigpy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from monarch_core.transforms import prepared
from mri.config.model import L1WaveletConfig
from mri.models.tuning import Regularised
from mri.physics.conjugate_gradient import check_iterations
from mri.physics.encoding import (
    AxisFactory,
    AxisTransforms,
    Sense,
    axis_transforms,
    check_measurement,
    zero_filled_scale,
)


class L1Wavelet(Regularised):
    """L1-wavelet reconstruction of each echo (Lustig et al. 2007), without anything to learn.

        x = argmin_x 1/2 ||A x - y||^2 + lambda s ||W x||_1,   A = Omega F S

    solved by accelerated proximal gradients in `sigpy.app.LinearLeastSquares`, as
    `sigpy.mri.app.L1WaveletRecon` does, with F the injected transform in place of the DFT. s is
    the zero-filled scale of the echo, so `lamda` is dimensionless and the result follows the unit
    of the data. `lamda` starts at the first candidate; `mri.models.tuning.choose_lamda` picks
    among the candidates on the validation split. Runs on the CPU and passes no gradient.

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
        grid = self.transform.shape_in
        check_measurement(kspace, maps, mask, self.transform.shape_out, grid)
        scale = zero_filled_scale(kspace)
        scaled = (mask[:, None, None] * kspace / scale.unsqueeze(-3)).cpu().numpy()
        transform = prepared(self.transform)
        gain = largest_gain(transform)
        image = torch.empty(kspace.shape[:2] + grid, dtype=kspace.dtype)
        for b, (slice_maps, slice_mask) in enumerate(zip(maps, mask, strict=True)):
            sense = Sense(slice_maps, slice_mask, transform)
            # at least ||A||^2, which spares sigpy's power iterations
            squares = gain * float(slice_maps.abs().square().sum(0).max())
            for e in range(kspace.shape[1]):
                image[b, e] = torch.from_numpy(self._solve(sense, scaled[b, e], squares))
        return image.to(kspace.device) * scale

    def _solve(
        self, sense: Sense, y: Complex[np.ndarray, "coils k_h k_w"], squares: float
    ) -> Complex[np.ndarray, "h w"]:
        """Return the image of one echo; `squares` bounds the squares of the singular values."""
        import sigpy  # here, since importing it takes seconds

        grid = sense.transform.shape_in
        W = sigpy.linop.Wavelet(grid, wave_name=self.wavelet)
        penalty = sigpy.prox.UnitaryTransform(sigpy.prox.L1Reg(W.oshape, float(self.lamda)), W)
        A = _as_sigpy(sense, grid, y.shape)
        return sigpy.app.LinearLeastSquares(
            A,
            y,
            proxg=penalty,
            max_iter=self.n_iterations,
            alpha=1.0 / max(squares, 1e-12),
            show_pbar=False,
        ).run()


@torch.no_grad()
def largest_gain(transform: AxisTransforms) -> float:
    """Return the largest squared singular value of a transform: 1 for the orthonormal DFT."""
    axes = (transform.along_height, transform.along_width)
    values = [torch.linalg.matrix_norm(axis.dense(), ord=2) for axis in axes]
    return float(torch.stack(values).prod().square())


def _as_sigpy(sense: Sense, grid: tuple[int, int], measured: tuple[int, ...]) -> Any:
    """Return the operator A of one echo, and its adjoint, as sigpy applies them."""
    from sigpy.linop import Linop

    device = sense.mask.device

    class Encode(Linop):  # type: ignore[misc]  # sigpy has no types
        def _apply(self, x: np.ndarray) -> np.ndarray:
            return sense.forward(torch.from_numpy(x).to(device)[None])[0].cpu().numpy()

        def _adjoint_linop(self) -> Linop:
            return Decode(grid, measured)

    class Decode(Linop):  # type: ignore[misc]  # sigpy has no types
        def _apply(self, y: np.ndarray) -> np.ndarray:
            return sense.adjoint(torch.from_numpy(y).to(device)[None])[0].cpu().numpy()

        def _adjoint_linop(self) -> Linop:
            return Encode(measured, grid)

    return Encode(measured, grid)


def build_l1_wavelet(
    config: L1WaveletConfig, transform: AxisFactory, grid: tuple[int, int]
) -> L1Wavelet:
    """Return compressed sensing.

    Raises:
        ValueError: the transform would learn, and no gradient passes through sigpy.
    """
    pair = axis_transforms(transform, grid)
    if any(parameter.requires_grad for parameter in pair.parameters()):
        raise ValueError(
            "l1_wavelet passes no gradient to a transform that learns; use transform=fft, or hold "
            "it with transform.learn=none"
        )
    return L1Wavelet(pair, config.candidates, config.n_iterations)
