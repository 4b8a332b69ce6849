"""A linear layer whose weight has a low rank."""

import math

import torch
from jaxtyping import Num
from torch import Tensor, nn

from monarch_core.layers.precision import in_one_dtype
from monarch_core.layers.structured import StructuredLinear, check_at_most, check_sizes
from monarch_core.transforms.arguments import check_count


class LowRankLinear(StructuredLinear):
    """Drop-in for `torch.nn.Linear` with a weight of low rank: y = U V x + bias.

    With r = rank the factors are V (r, in_features), applied first, and U (out_features, r).
    `MonarchLinear` with N blocks has as many numbers as a layer of rank
    min(in_features, out_features) / N.

    At the start E |V|^2 = 1 / in_features and U has the variance of `torch.nn.Linear` at r inputs.

    Args:
        in_features: length of the last axis of the input.
        out_features: length of the last axis of the output.
        rank: at most the smaller of the two sizes.
        bias: learn an additive bias.
        start: "linear" or "blocks", see `StructuredLinear`.
        device: where the parameters live.
        dtype: real or complex; default: torch's default dtype.

    Raises:
        ValueError: if a size is below 1, rank is not between 1 and the smaller size, or dtype is of
            whole numbers.

    Examples:
        >>> import torch
        >>> from monarch_core import LowRankLinear
        >>> layer = LowRankLinear(12, 20, rank=3)
        >>> torch.linalg.matrix_rank(layer.dense()).item()
        3
    """

    U: nn.Parameter
    V: nn.Parameter

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rank: int,
        bias: bool = True,
        *,
        start: str = "linear",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check_sizes(in_features, out_features)
        check_count("rank", rank, "give the number of columns of U")
        remedy = "no matrix of this size has a higher rank"
        check_at_most("rank", rank, in_features, out_features, remedy)
        shapes = {"U": (out_features, rank), "V": (rank, in_features)}
        super().__init__(
            in_features, out_features, bias, shapes, start=start, device=device, dtype=dtype
        )
        self.rank = rank

    @classmethod
    def from_linear(cls, linear: nn.Linear, rank: int) -> "LowRankLinear":
        """Return the layer whose weight is nearest to that of a dense one in Frobenius norm.

        With the singular values sigma of the weight, U and V are its first left and right singular
        vectors times sqrt(sigma) (Eckart and Young), computed in double precision. Where sigma is
        zero V is the singular vector itself, so that U can learn. The bias is copied; what learns
        and what does not, dtype, device and mode stay.
        """
        weight = linear.weight.detach()
        layer = cls(
            linear.in_features,
            linear.out_features,
            rank,
            linear.bias is not None,
            device=weight.device,
            dtype=weight.dtype,
        )
        double = torch.promote_types(weight.dtype, torch.float64)
        U, sigma, Vh = torch.linalg.svd(weight.to(double), full_matrices=False)
        root = sigma[:rank].sqrt()
        V = torch.where(root > 0, root, 1)[:, None] * Vh[:rank]
        return layer._take_over(linear, U=U[:, :rank] * root, V=V)

    def dense(self) -> Num[Tensor, "n_out n_in"]:
        """Return U V, differentiable in both."""
        return self.U @ self.V

    def _product(
        self, x: Num[Tensor, "*batch n_in"], bias: Tensor | None, *factors: Tensor
    ) -> Num[Tensor, "*batch n_out"]:
        U, V = factors
        return in_one_dtype(_apply_both, x, V, U, bias)

    def _start_linear(self) -> None:
        # Uniform on [-c, c] has the variance c^2 / 3; a complex number has two such parts.
        n_parts = 2 if self.V.is_complex() else 1
        self.V.uniform_(-1, 1).mul_(math.sqrt(3 / (n_parts * self.in_features)))
        self.U.uniform_(-1, 1).div_(math.sqrt(self.U.shape[-1]))

    def extra_repr(self) -> str:
        """Return the sizes, for `print(model)`."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"rank={self.rank}, bias={self.bias is not None}"
        )


def _apply_both(x: Tensor, V: Tensor, U: Tensor, bias: Tensor | None) -> Tensor:
    return nn.functional.linear(nn.functional.linear(x, V), U, bias)
