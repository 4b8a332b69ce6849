"""The discrete Fourier transform as a `LinearTransform`: the control of every experiment."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from monarch_core.transforms.arguments import check_choice, check_count, check_flag, kept_indices
from monarch_core.transforms.base import check_length
from monarch_core.transforms.indices import IndexedTransform

NORMS = ("ortho", "backward", "forward")
_ADJOINT_NORM = {"ortho": "ortho", "backward": "forward", "forward": "backward"}


class Fourier(IndexedTransform):
    """The discrete Fourier transform, by the FFT.

        A[f, j] = s exp(-2 pi i (f - c) (j - c) / n)     (forward)
        A[j, f] = s exp(+2 pi i (f - c) (j - c) / n)     (inverse)

    with c = 0, or c = n // 2 when `centered` (ifftshift, DFT, fftshift). The scale s is that of
    `torch.fft`: 1/sqrt(n) for "ortho"; 1 forward and 1/n inverse for "backward"; the reverse for
    "forward". Complex input and output, in half precision brought to single; no parameters.

    Args:
        n: length of the grid.
        inverse: build the inverse transform.
        norm: "ortho", "backward" or "forward".
        centered: put the zero frequency and the origin at index n // 2.
        modes: kept frequencies, as signed integers f with |f| <= n / 2 in any order; the output (of
            the inverse: the input) then holds these frequencies only. None keeps all n in the usual
            order.

    Raises:
        ValueError: for n < 1, an unknown norm, or frequencies that repeat or alias.

    Examples:
        >>> import torch
        >>> from monarch_core import Fourier
        >>> x = torch.randn(4, 12, dtype=torch.complex64)
        >>> F = Fourier(12, centered=True)
        >>> torch.allclose(F.adjoint(F(x)), x, atol=1e-5)  # unitary
        True
        >>> Fourier(12, modes=[-1, 0, 1])(x).shape
        torch.Size([4, 3])
    """

    kept: Tensor | None

    def __init__(
        self,
        n: int,
        *,
        inverse: bool = False,
        norm: str = "ortho",
        centered: bool = False,
        modes: Sequence[int] | None = None,
    ) -> None:
        check_choice("norm", norm, NORMS)
        for name, value in (("inverse", inverse), ("centered", centered)):
            check_flag(name, value)
        n = check_count("n", n, "give the number of points of the grid")
        kept = kept_indices(n, modes, signed=True, centered=centered)
        n_kept = n if kept is None else len(kept)
        super().__init__(n_in=n_kept if inverse else n, n_out=n if inverse else n_kept)
        self.inverse, self.norm, self.centered = inverse, norm, centered
        self.set_index("kept", None if kept is None else torch.tensor(kept, device="cpu"))

    def forward(self, x: Complex[Tensor, "*batch n_in"]) -> Complex[Tensor, "*batch n_out"]:
        """Return A x."""
        check_length(x, self.n_in, "x")
        if self.inverse:
            return self._transform(self._pad(x), torch.fft.ifft, self.norm)
        return self._select(self._transform(x, torch.fft.fft, self.norm))

    def adjoint(self, y: Complex[Tensor, "*batch n_out"]) -> Complex[Tensor, "*batch n_in"]:
        """Return A^H y."""
        check_length(y, self.n_out, "y")
        norm = _ADJOINT_NORM[self.norm]
        if self.inverse:
            return self._select(self._transform(y, torch.fft.fft, norm))
        return self._transform(self._pad(y), torch.fft.ifft, norm)

    def matrix(self) -> Float[Tensor, "2 1 n_out n_in"]:
        """Return the real and imaginary part of A, in single precision."""
        return torch.view_as_real(self.dense(torch.complex128)).permute(2, 0, 1)[:, None].float()

    def _transform(self, x: Tensor, fft: Callable[..., Tensor], norm: str) -> Tensor:
        if x.numel() == 0:  # an error of MKL
            return x
        if x.dtype in (torch.float16, torch.bfloat16, torch.complex32):
            x = x.to(torch.complex64)
        if not self.centered:
            return fft(x, norm=norm)
        x = torch.fft.ifftshift(x, dim=-1)
        return torch.fft.fftshift(fft(x, norm=norm), dim=-1)

    def _select(self, x_hat: Tensor) -> Tensor:
        return x_hat if self.kept is None else x_hat[..., self.kept]

    def _pad(self, x_hat: Tensor) -> Tensor:
        if self.kept is None:
            return x_hat
        full = x_hat.new_zeros(*x_hat.shape[:-1], self.n)
        return full.index_copy(-1, self.kept.to(x_hat.device), x_hat)
