"""An unconstrained learnable matrix: the ablation that asks whether the Monarch structure helps."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Complex, Float, Num
from torch import Tensor, nn

from monarch_core.transforms.arguments import (
    DTYPES,
    check_choice,
    check_count,
    check_flag,
    check_matrix,
)
from monarch_core.transforms.base import LinearTransform, apply_matrices, check_length
from monarch_core.transforms.fourier import Fourier


class Dense(LinearTransform):
    """A learnable complex matrix without structure that starts at the DFT.

    `weight` (heads, n_out, n_in, 2) holds real and imaginary parts. Options as in `Fourier`, plus
    `heads` (`LinearTransform`), `frozen` and the `dtype` of the real parameters, torch.float32 or
    torch.float64.

    Raises:
        ValueError: as `Fourier`, and for another dtype or heads below 1.

    Examples:
        >>> import torch
        >>> from monarch_core import Dense, Fourier
        >>> x = torch.randn(4, 10, dtype=torch.complex64)
        >>> A = Dense(10)
        >>> torch.allclose(A(x), Fourier(10)(x), atol=1e-5)
        True
        >>> A.weight.shape
        torch.Size([1, 10, 10, 2])
    """

    def __init__(
        self,
        n: int,
        *,
        inverse: bool = False,
        norm: str = "ortho",
        centered: bool = False,
        modes: Sequence[int] | None = None,
        heads: int = 1,
        frozen: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        heads = check_count("heads", heads, "use heads=1 for one matrix")
        check_choice("dtype", dtype, DTYPES)
        check_flag("frozen", frozen)
        start = partial(Fourier, n, inverse=inverse, norm=norm, centered=centered, modes=modes)
        dft = start()
        super().__init__(n_in=dft.n_in, n_out=dft.n_out, heads=heads)
        self._start: Callable[[], Fourier] | None = start
        weight = torch.empty(heads, dft.n_out, dft.n_in, 2, dtype=dtype)
        self.weight = nn.Parameter(weight, requires_grad=not frozen)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Go back to the start, as is needed after `Module.to_empty`.

        Raises:
            ValueError: for a matrix of `from_matrix` or `of`, which has no start.
        """
        if self._start is None:
            raise ValueError(
                f"this Dense of {self.n_out} x {self.n_in} was made of a matrix or another "
                "transform and has no start to go back to; load its weights"
            )
        with torch.no_grad(), torch.device("cpu"):
            weight = torch.view_as_real(self._start().dense(torch.complex128))
            self.weight.copy_(weight.to(self.weight.dtype))

    @classmethod
    def from_matrix(
        cls,
        A: Num[Tensor, "*heads n_out n_in"],
        *,
        frozen: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> "Dense":
        """Start at a given matrix, such as the normal modes of a problem.

        Args:
            A: real or complex, of any two sizes; with three axes, one matrix per head.
            frozen: keep it fixed.
            dtype: of the real parameters.

        Raises:
            ValueError: A is no finite matrix, or as the class.
        """
        check_choice("dtype", dtype, DTYPES)
        check_flag("frozen", frozen)
        matrices = A[None] if A.ndim == 2 else A
        check_matrix(matrices.flatten(0, -2))
        dense = cls.__new__(cls)
        LinearTransform.__init__(dense, matrices.shape[-1], matrices.shape[-2], len(matrices))
        dense._start = None
        weight = torch.view_as_real(matrices.to(torch.complex128)).to(dtype)
        device = torch.get_default_device()
        dense.weight = nn.Parameter(weight.to(device, copy=True), requires_grad=not frozen)
        return dense

    @classmethod
    def of(cls, transform: LinearTransform) -> "Dense":
        """Return the unconstrained matrix that another transform is now; it learns if that does."""
        dense = cls.__new__(cls)
        LinearTransform.__init__(dense, transform.n_in, transform.n_out, transform.heads)
        dense._start = None
        weight = (
            transform.matrix().detach().movedim(0, -1).clone(memory_format=torch.contiguous_format)
        )
        learns = any(p.requires_grad for p in transform.parameters())
        dense.weight = nn.Parameter(weight, requires_grad=learns)
        return dense.train(transform.training)

    def forward(self, x: Complex[Tensor, "*batch n_in"]) -> Complex[Tensor, "*batch n_out"]:
        """Return A x."""
        check_length(x, self.n_in, "x")
        return apply_matrices(torch.view_as_complex(self.weight), x)

    def adjoint(self, y: Complex[Tensor, "*batch n_out"]) -> Complex[Tensor, "*batch n_in"]:
        """Return A^H y."""
        check_length(y, self.n_out, "y")
        return apply_matrices(torch.view_as_complex(self.weight).mH, y)

    def matrix(self) -> Float[Tensor, "2 heads n_out n_in"]:
        """Return the real and imaginary part of the weight."""
        return self.weight.movedim(-1, 0)
