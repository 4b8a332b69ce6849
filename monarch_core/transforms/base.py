"""The one abstraction of the suite: a linear map on the last axis, with its adjoint."""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn


class LinearTransform(nn.Module, ABC):
    """A linear map A on the last axis of a complex tensor, with its adjoint.

    The pair satisfies <A x, y> = <x, A^H y> with <a, b> = sum(conj(a) b). An adjoint is not an
    inverse: the two agree only where A is unitary.

    With `heads` > 1 the map holds several matrices A_g; the axis before the last is then a
    channel axis, cut into `heads` contiguous groups of equal size, and group g is mapped by A_g.

    Attributes:
        n_in: length of the last axis of the input.
        n_out: length of the last axis of the output.
        heads: number of matrices.
        is_transform: marks the parameters of every transform for the optimiser, which gives them
            a learning rate of their own.

    Examples:
        >>> import torch
        >>> from monarch_core import LinearTransform
        >>> class Scaled(LinearTransform):
        ...     def forward(self, x):
        ...         return 2j * x
        ...
        ...     def adjoint(self, y):
        ...         return -2j * y
        ...
        ...     def matrix(self):
        ...         A = self.dense()
        ...         return torch.stack((A.real, A.imag))[:, None]
        >>> A = Scaled(n_in=3, n_out=3)
        >>> x, y = torch.randn(2, 3, dtype=torch.complex64)
        >>> torch.allclose(torch.vdot(A(x), y), torch.vdot(x, A.adjoint(y)), atol=1e-5)
        True
    """

    is_transform = True

    def __init__(self, n_in: int, n_out: int, heads: int = 1) -> None:
        super().__init__()
        if heads < 1:
            raise ValueError(f"heads must be at least 1, got {heads}")
        self.n_in = n_in
        self.n_out = n_out
        self.heads = heads

    @property
    def n(self) -> int:
        """Length of the grid: the longer of the two axes."""
        return max(self.n_in, self.n_out)

    @abstractmethod
    def forward(self, x: Complex[Tensor, "*batch n_in"]) -> Complex[Tensor, "*batch n_out"]:
        """Return A x."""

    @abstractmethod
    def adjoint(self, y: Complex[Tensor, "*batch n_out"]) -> Complex[Tensor, "*batch n_in"]:
        """Return A^H y."""

    @abstractmethod
    def matrix(self) -> Float[Tensor, "2 heads n_out n_in"]:
        """Return the real and the imaginary part of every A_g, differentiable in its parameters."""

    def dense(self, dtype: torch.dtype = torch.complex64) -> Complex[Tensor, "*heads n_out n_in"]:
        """Return A as a matrix by applying it to the unit vectors, for tests and reports.

        Shape (n_out, n_in), or (heads, n_out, n_in) with several heads.
        """
        device = next((t.device for t in (*self.parameters(), *self.buffers())), None)
        unit = torch.eye(self.n_in, dtype=dtype, device=device)
        if self.heads == 1:
            return self(unit).mT
        columns = self(unit.unsqueeze(1).expand(-1, self.heads, -1))
        return columns.permute(1, 2, 0)

    def extra_repr(self) -> str:
        """Return the sizes, for `print(model)`."""
        return f"n_in={self.n_in}, n_out={self.n_out}, heads={self.heads}"


def check_length(x: Tensor, n: int, name: str) -> None:
    """Raise ValueError when the last axis of `x` is not `n` long."""
    if x.ndim == 0 or x.shape[-1] != n:
        raise ValueError(
            f"{name} must have {n} entries on its last axis, got shape {tuple(x.shape)}; "
            "move the axis to transform to the end or build the transform for this length"
        )


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Return `x` (*batch, channels, n) as (*batch, heads, channels / heads, n)."""
    if x.ndim < 2 or x.shape[-2] % heads:
        raise ValueError(
            f"with heads={heads} the axis before the last must be a channel axis that {heads} "
            f"divides, got shape {tuple(x.shape)}; add channels, or use heads=1"
        )
    return x.unflatten(-2, (heads, -1))


def apply_matrices(matrices: Tensor, x: Tensor) -> Tensor:
    """Return A_g x for complex matrices (heads, n_out, n_in)."""
    dtype = torch.promote_types(x.dtype, matrices.dtype)
    x, matrices = x.to(dtype), matrices.to(dtype)
    if len(matrices) == 1:
        return x @ matrices[0].mT
    if x.ndim > 1 and x.shape[-2] == len(matrices):  # a matrix for each: one batch of products
        rows = x.reshape(-1, *x.shape[-2:]).transpose(0, 1)
        return (rows @ matrices.mT).transpose(0, 1).reshape(*x.shape[:-1], -1)
    groups = split_heads(x, len(matrices)).unbind(-3)
    return torch.cat([group @ A.mT for group, A in zip(groups, matrices, strict=True)], dim=-2)
