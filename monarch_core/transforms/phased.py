"""The Fourier transform between two diagonals of phases: the least that can learn an encoding."""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from monarch_core.transforms.arguments import DTYPES, check_choice, check_flag
from monarch_core.transforms.base import LinearTransform
from monarch_core.transforms.fourier import Fourier


class PhasedFourier(LinearTransform):
    """The DFT with a learnable phase for every output and every input.

        A = diag(exp(i a)) F diag(exp(i b))

    F is `Fourier`; a (`after`, n_out) and b (`before`, n_in) are in radians and start at zero. In
    MRI they are a phase per line and one per pixel, which is what corrections of a ghost or of a
    shifted field of view adjust. With an orthonormal F the map stays unitary. Options as in
    `Fourier`, plus `frozen` and the `dtype` of the phases, torch.float32 or torch.float64.

    Raises:
        ValueError: as `Fourier`, and for another dtype.

    Examples:
        >>> import torch
        >>> from monarch_core import Fourier
        >>> from monarch_core.transforms import PhasedFourier
        >>> A = PhasedFourier(8)
        >>> x = torch.randn(8, dtype=torch.complex64)
        >>> torch.allclose(A(x), Fourier(8)(x), atol=1e-5)
        True
        >>> _ = torch.nn.init.uniform_(A.after, -1.0, 1.0)
        >>> torch.allclose(A.adjoint(A(x)), x, atol=1e-5)  # unitary whatever the phases are
        True
    """

    def __init__(
        self,
        n: int,
        *,
        inverse: bool = False,
        norm: str = "ortho",
        centered: bool = False,
        modes: Sequence[int] | None = None,
        frozen: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        check_choice("dtype", dtype, DTYPES)
        check_flag("frozen", frozen)
        dft = Fourier(n, inverse=inverse, norm=norm, centered=centered, modes=modes)
        super().__init__(n_in=dft.n_in, n_out=dft.n_out)
        self.fourier = dft
        self.after, self.before = (
            nn.Parameter(torch.zeros(length, dtype=dtype), requires_grad=not frozen)
            for length in (dft.n_out, dft.n_in)
        )

    def reset_parameters(self) -> None:
        """Go back to the DFT, as is needed after `Module.to_empty`."""
        for phase in (self.after, self.before):
            nn.init.zeros_(phase)

    def forward(self, x: Complex[Tensor, "*batch n_in"]) -> Complex[Tensor, "*batch n_out"]:
        """Return A x."""
        return _turn(self.after) * self.fourier(_turn(self.before) * x)

    def adjoint(self, y: Complex[Tensor, "*batch n_out"]) -> Complex[Tensor, "*batch n_in"]:
        """Return A^H y."""
        return _turn(-self.before) * self.fourier.adjoint(_turn(-self.after) * y)

    def matrix(self) -> Float[Tensor, "2 heads n_out n_in"]:
        """Return the real and the imaginary part of A."""
        dtype = torch.complex64 if self.after.dtype == torch.float32 else torch.complex128
        F = self.fourier.dense(dtype).to(self.after.device)
        A = _turn(self.after)[:, None] * F * _turn(self.before)
        return torch.stack((A.real, A.imag))[:, None]


def _turn(phase: Tensor) -> Tensor:
    return torch.complex(phase.cos(), phase.sin())
