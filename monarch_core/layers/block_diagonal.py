"""A linear layer whose weight is block-diagonal."""

import math

import torch
from jaxtyping import Num
from torch import Tensor, nn

from monarch_core.layers.precision import in_one_dtype
from monarch_core.layers.structured import StructuredLinear, check_at_most, check_sizes
from monarch_core.transforms.arguments import check_count


class BlockDiagonalLinear(StructuredLinear):
    """Drop-in for `torch.nn.Linear` with a block-diagonal weight: y = D x + bias.

    One factor of a Monarch matrix without the other, and the control that tells what the other is
    worth. With N = n_blocks, the sizes are padded to N a and N s, the next multiples of N, and

        y[b s + i] = sum_k D[b, i, k] x[b a + k],    D (N, s, a)

    These are N a s numbers; `MonarchLinear` with N blocks has as many as a block-diagonal layer
    with N max(a, s) / (a + s) blocks: half as many for a square one.

    Args:
        in_features: length of the last axis of the input.
        out_features: length of the last axis of the output.
        n_blocks: number of blocks, at most the smaller of the two sizes.
        bias: learn an additive bias.
        start: "linear" or "blocks", see `StructuredLinear`.
        device: where the parameters live.
        dtype: real or complex; default: torch's default dtype.

    Raises:
        ValueError: if a size is below 1, n_blocks is not between 1 and the smaller size or leaves a
            block without inputs or outputs, or dtype is of whole numbers.

    Examples:
        >>> import torch
        >>> from monarch_core import BlockDiagonalLinear
        >>> layer = BlockDiagonalLinear(12, 12, n_blocks=3, bias=False)
        >>> x = torch.zeros(12)
        >>> x[0] = 1.0  # an input of the first block
        >>> layer(x)[4:].count_nonzero().item()
        0
    """

    D: nn.Parameter

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
        n_full = min(math.ceil(in_features / a), math.ceil(out_features / s))
        if n_full < n_blocks:
            raise ValueError(
                f"n_blocks={n_blocks} blocks of {s} x {a} leave the last without inputs or outputs "
                f"of in_features={in_features} and out_features={out_features}; use {n_full}, or a "
                "number that divides both"
            )
        shapes = {"D": (n_blocks, s, a)}
        super().__init__(
            in_features, out_features, bias, shapes, start=start, device=device, dtype=dtype
        )
        self.n_blocks = n_blocks

    @classmethod
    def from_linear(cls, linear: nn.Linear, n_blocks: int = 4) -> "BlockDiagonalLinear":
        """Return the layer with the diagonal blocks of the weight of a dense one.

        It is the nearest in Frobenius norm. The bias is copied; what learns and what does not,
        dtype, device and mode stay.
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
        N, s, a = layer.D.shape
        padding = (0, N * a - layer.in_features, 0, N * s - layer.out_features)
        blocks = nn.functional.pad(weight, padding).view(N, s, N, a)
        return layer._take_over(linear, D=blocks.diagonal(dim1=0, dim2=2).movedim(-1, 0))

    def dense(self) -> Num[Tensor, "n_out n_in"]:
        """Return D as one matrix, differentiable in the blocks."""
        return torch.block_diag(*self.D)[: self.out_features, : self.in_features]

    def _product(
        self, x: Num[Tensor, "*batch n_in"], bias: Tensor | None, *factors: Tensor
    ) -> Num[Tensor, "*batch n_out"]:
        return in_one_dtype(self._apply_blocks, x, *factors, bias)

    def _apply_blocks(self, x: Tensor, D: Tensor, bias: Tensor | None) -> Tensor:
        N, s, a = D.shape
        padded = nn.functional.pad(x, (0, N * a - self.in_features))
        x_b = padded.reshape(-1, N, a).transpose(0, 1)
        if bias is None:
            y_b = torch.bmm(x_b, D.mT)
        else:
            bias_b = nn.functional.pad(bias, (0, N * s - self.out_features)).view(N, 1, s)
            y_b = torch.baddbmm(bias_b, x_b, D.mT)
        y = y_b.transpose(0, 1).reshape(*x.shape[:-1], N * s)
        return y[..., : self.out_features].contiguous()

    def _start_linear(self) -> None:
        N, _, a = self.D.shape
        n_inputs = (self.in_features - a * torch.arange(N, device=self.D.device)).clamp(max=a)
        self.D.uniform_(-1, 1).div_(n_inputs.sqrt()[:, None, None])

    def extra_repr(self) -> str:
        """Return the sizes, for `print(model)`."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"n_blocks={self.n_blocks}, bias={self.bias is not None}"
        )
