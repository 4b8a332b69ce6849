"""A linear map on the last two axes, with its adjoint: what stands between image and k-space."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Complex
from torch import Tensor, nn


class PlaneTransform(nn.Module, ABC):
    """A linear map A on the last two axes of a complex tensor, with its adjoint.

    The pair satisfies <A x, y> = <x, A^H y> with <a, b> = sum(conj(a) b). It is the same for every
    entry of the axes before.

    Examples:
        >>> import torch
        >>> from monarch_core.transforms import PlaneTransform
        >>> class Centered(PlaneTransform):
        ...     shape_in = shape_out = (6, 4)
        ...
        ...     def forward(self, x):
        ...         return torch.fft.fftshift(torch.fft.fft2(x, norm="ortho"), dim=(-2, -1))
        ...
        ...     def adjoint(self, y):
        ...         return torch.fft.ifft2(torch.fft.ifftshift(y, dim=(-2, -1)), norm="ortho")
        >>> A = Centered()
        >>> x = torch.randn(6, 4, dtype=torch.complex64)
        >>> torch.allclose(A.adjoint(A(x)), x, atol=1e-5)
        True
    """

    @property
    @abstractmethod
    def shape_in(self) -> tuple[int, int]:
        """Height and width that `forward` takes."""

    @property
    @abstractmethod
    def shape_out(self) -> tuple[int, int]:
        """Height and width that `forward` returns."""

    @abstractmethod
    def forward(self, x: Complex[Tensor, "*batch h w"]) -> Complex[Tensor, "*batch h_out w_out"]:
        """Return A x.

        Raises:
            ValueError: if the last two axes of `x` are not `shape_in`.
        """

    @abstractmethod
    def adjoint(self, y: Complex[Tensor, "*batch h_out w_out"]) -> Complex[Tensor, "*batch h w"]:
        """Return A^H y.

        Raises:
            ValueError: if the last two axes of `y` are not `shape_out`.
        """


def check_grid(what: str, found: Sequence[int], expected: tuple[int, int]) -> None:
    """Raise ValueError when a height and width are not those that a transform was built for."""
    if tuple(found) != tuple(expected):
        raise ValueError(
            f"{what} has height x width {' x '.join(map(str, found))}, but the transform was built "
            f"for {expected[0]} x {expected[1]}; crop or pad the data to that size, or build the "
            "model for the size of the data (one model serves one grid)"
        )
