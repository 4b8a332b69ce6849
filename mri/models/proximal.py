"""Sigpy's proximal gradients with an encoding operator of ours: importing it takes seconds."""

import numpy as np
import sigpy
import torch
from jaxtyping import Complex
from sigpy.app import LinearLeastSquares
from torch import Tensor

from mri.physics.encoding import Sense


def l1_wavelet(
    sense: Sense,
    y: Complex[Tensor, "coils k_h k_w"],
    *,
    lamda: float,
    step: float,
    n_iterations: int,
    wavelet: str,
) -> Complex[Tensor, "h w"]:
    """Return argmin_x 1/2 ||A x - y||^2 + lambda ||W x||_1, on the CPU.

    Args:
        sense: the encoding A of one slice, without batch axes.
        y: sampled k-space of one echo, zero elsewhere.
        lamda: the weight.
        step: of the gradient, at most 1 / ||A||^2.
        n_iterations: steps.
        wavelet: name of the orthogonal wavelet W, as in PyWavelets.
    """
    A = _Encoding(sense, y)
    W = sigpy.linop.Wavelet(A.ishape, wave_name=wavelet)
    shrink = sigpy.prox.UnitaryTransform(sigpy.prox.L1Reg(W.oshape, lamda), W)
    app = LinearLeastSquares(
        A, y.cpu().numpy(), proxg=shrink, alpha=step, max_iter=n_iterations, show_pbar=False
    )
    return torch.from_numpy(app.run())


class _Encoding(sigpy.linop.Linop):
    """A of one slice and echo, applied where `like` is."""

    def __init__(self, sense: Sense, like: Tensor, adjoint: bool = False) -> None:
        self.sense, self.like, self.is_adjoint = sense, like, adjoint
        image, kspace = sense.transform.shape_in, like.shape
        super().__init__(*((image, kspace) if adjoint else (kspace, image)))

    def _apply(self, array: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(array).to(self.like)[None]
        y = self.sense.adjoint(x) if self.is_adjoint else self.sense.forward(x)
        return y[0].cpu().numpy()

    def _adjoint_linop(self) -> "_Encoding":
        return _Encoding(self.sense, self.like, not self.is_adjoint)
