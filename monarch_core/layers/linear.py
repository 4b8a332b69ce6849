"""A linear layer whose weight is a Monarch matrix."""

import math

import torch
from jaxtyping import Num
from torch import Tensor, nn

from monarch_core.layers import linear_operator
from monarch_core.layers.monarch_product import multiply
from monarch_core.layers.precision import in_one_dtype
from monarch_core.layers.structured import StructuredLinear, check_at_most, check_sizes
from monarch_core.transforms.arguments import check_count
from monarch_core.transforms.classes.projection import project_to_monarch
from monarch_core.transforms.multiply import monarch_dense
from monarch_core.transforms.prepared import Preparable

# Multiplications that the factors save in a batch, below which one product with M is faster than
# theirs, and the same where a core finds all of M in its cache: measured on one thread.
WORTH_FACTORS = 100_000
WORTH_FACTORS_IN_CACHE = 4_000_000
IN_CACHE = 50_000  # numbers of M


class MonarchLinear(StructuredLinear, Preparable):
    """Drop-in for `torch.nn.Linear` with a Monarch weight: y = M x + bias.

    With N = n_blocks, the sizes are padded to in' = N a and out' = N s, the next multiples of N,
    and with h = min(a, s) the factors of `monarch_multiply` are (Dao et al. 2022,
    arXiv:2204.00595)

        R (N, h, a),  L (N, s, h):    N h (a + s) numbers in place of N^2 a s

    so that the N^2 slices of M have rank about h / N: fewer blocks, closer to a dense layer. Below
    h = N some slices are empty, and outputs are then independent of some inputs.

    With start="linear" L and R are uniform with E |R|^2 = 1 / (inputs of the block that are not
    padding) and the variance of `torch.nn.Linear` at h inputs for L. The intermediate values then
    have the variance of the inputs, and the outputs that of a new `torch.nn.Linear`: 1 / 3 of it,
    for a complex dtype 2 / 3.

    In a view by `prepared` M is multiplied out once for good and takes the place of the factors
    where a batch is too small for them to save anything.

    Args:
        in_features: length of the last axis of the input.
        out_features: length of the last axis of the output.
        n_blocks: number of blocks of both factors, at most the smaller of the two sizes.
        bias: learn an additive bias.
        start: "linear" or "blocks", see `StructuredLinear`.
        device: where the parameters live.
        dtype: real or complex; default: torch's default dtype.

    Raises:
        ValueError: if a size is below 1, n_blocks is not between 1 and the smaller size, start is
            unknown, or dtype is of whole numbers.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from monarch_core import MonarchLinear
        >>> layer = MonarchLinear(256, 1024, n_blocks=4)
        >>> layer(torch.randn(5, 256)).shape
        torch.Size([5, 1024])
        >>> sum(p.numel() for p in layer.parameters()), 256 * 1024 + 1024  # and of nn.Linear
        (82944, 263168)
    """

    L: nn.Parameter
    R: nn.Parameter

    def __init__(
        self,
        in_features: int,
        out_features: int,
        n_blocks: int = 4,
        bias: bool = True,
        *,
        start: str = "linear",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_sizes(in_features, out_features)
        check_count("n_blocks", n_blocks, "n_blocks=1 is the dense layer")
        remedy = "use fewer blocks, or torch.nn.Linear for a layer this small"
        check_at_most("n_blocks", n_blocks, in_features, out_features, remedy)
        a, s = math.ceil(in_features / n_blocks), math.ceil(out_features / n_blocks)
        h = min(a, s)
        shapes = {"L": (n_blocks, s, h), "R": (n_blocks, h, a)}
        super().__init__(
            in_features, out_features, bias, shapes, start=start, device=device, dtype=dtype
        )
        self.n_blocks = n_blocks
        n_saved = in_features * out_features - self.L.numel() - self.R.numel()
        in_cache = in_features * out_features <= IN_CACHE
        worth = WORTH_FACTORS_IN_CACHE if in_cache else WORTH_FACTORS
        # Numbers of a batch below which the factors are not worth it.
        self._few_numbers = in_features * worth / n_saved if n_saved > 0 else math.inf

    @classmethod
    def from_linear(cls, linear: nn.Linear, n_blocks: int = 4) -> "MonarchLinear":
        """Return the layer whose weight is nearest to that of a dense one in Frobenius norm.

        The projection is done in double precision. The padding costs nothing: the best
        approximation of a slice with rows or columns of zeros is zero there. The error is that of
        `layer.dense() - linear.weight`. The bias is copied; what learns and what does not, dtype,
        device and mode stay.
        """
        weight = linear.weight.detach()
        layer = cls(
            linear.in_features,
            linear.out_features,
            n_blocks,
            linear.bias is not None,
            device=weight.device,
            dtype=weight.dtype,
        )
        (_, s, h), (_, _, a) = layer.L.shape, layer.R.shape
        padding = (0, n_blocks * a - layer.in_features, 0, n_blocks * s - layer.out_features)
        double = torch.promote_types(weight.dtype, torch.float64)
        L, R, _ = project_to_monarch(
            nn.functional.pad(weight.to(double), padding),
            L_shape=(n_blocks, s, h),
            R_shape=(n_blocks, h, a),
        )
        return layer._take_over(linear, L=L, R=R)

    def dense(self) -> Num[Tensor, "n_out n_in"]:
        """Return M, the counterpart of `torch.nn.Linear.weight`, differentiable in the factors."""
        return monarch_dense(self.L, self.R)[: self.out_features, : self.in_features]

    def forward(self, x: Num[Tensor, "*batch n_in"]) -> Num[Tensor, "*batch n_out"]:
        """Return M x + bias, as `StructuredLinear.forward`."""
        M = self._buffers.get("made_M")
        if M is not None and x.numel() < self._few_numbers:
            try:
                return nn.functional.linear(x, M, self.bias)
            except RuntimeError:
                pass  # what does not fit is said below
        L, R, bias = self._held("L"), self._held("R"), self._held("bias")
        y = linear_operator.product(x, L, R, bias, self.in_features, self.out_features)
        return super().forward(x) if y is None else y

    def _product(
        self, x: Num[Tensor, "*batch n_in"], bias: Tensor | None, *factors: Tensor
    ) -> Num[Tensor, "*batch n_out"]:
        return in_one_dtype(self._apply_factors, x, *factors, bias)

    def make(self) -> dict[str, Tensor]:
        """Return M, for `prepared`, where a row or more is multiplied by it in less time."""
        return {"M": self.dense()} if self._few_numbers > self.in_features else {}

    def _apply_factors(self, x: Tensor, L: Tensor, R: Tensor, bias: Tensor | None) -> Tensor:
        if x.ndim == 2:
            return multiply(x, L, R, bias, self.out_features)
        y = multiply(x.reshape(-1, self.in_features), L, R, bias, self.out_features)
        return y.view(*x.shape[:-1], self.out_features)

    def _start_linear(self) -> None:
        q, h, _ = self.R.shape
        block = torch.arange(q, device=self.R.device)
        n_inputs = (self.in_features - block + q - 1) // q
        # Uniform on [-c, c] has the variance c^2 / 3; a complex number has two such parts.
        n_parts = 2 if self.R.is_complex() else 1
        self.R.uniform_(-1, 1).mul_((3 / (n_parts * n_inputs)).sqrt()[:, None, None])
        self.L.uniform_(-1, 1).div_(math.sqrt(h))

    def extra_repr(self) -> str:
        """Return the sizes, for `print(model)`."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"n_blocks={self.n_blocks}, bias={self.bias is not None}"
        )
