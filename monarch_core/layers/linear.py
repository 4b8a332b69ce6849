"""A linear layer whose weight is a Monarch matrix."""

import math

import torch
from jaxtyping import Num
from torch import Tensor, nn

from monarch_core.layers.precision import check_dtype
from monarch_core.transforms.arguments import check_count, check_flag
from monarch_core.transforms.classes.projection import project_to_monarch
from monarch_core.transforms.multiply import monarch_dense, monarch_multiply


class MonarchLinear(nn.Module):
    """Drop-in for `torch.nn.Linear` with a Monarch weight: y = M x + bias.

    With N = n_blocks, the sizes are padded to in' = N a and out' = N s, the next multiples of N,
    and with h = min(a, s) the factors of `monarch_multiply` are (Dao et al. 2022,
    arXiv:2204.00595)

        R (N, h, a),  L (N, s, h):    N h (a + s) numbers in place of N^2 a s

    so that the N^2 slices of M have rank about h / N: fewer blocks, closer to a dense layer. Below
    h = N some slices are empty, and outputs are then independent of some inputs.

    At the start L and R are uniform with E |R|^2 = 1 / (inputs of the block that are not padding)
    and the variance of `torch.nn.Linear` at h inputs for L. The intermediate values then have the
    variance of the inputs, and the outputs that of a new `torch.nn.Linear`: 1 / 3 of it, for a
    complex dtype 2 / 3. The bias starts as in `torch.nn.Linear`.

    Args:
        in_features: length of the last axis of the input.
        out_features: length of the last axis of the output.
        n_blocks: number of blocks of both factors, at most the smaller of the two sizes.
        bias: learn an additive bias.
        device: where the parameters live.
        dtype: real or complex; default: torch's default dtype.

    Raises:
        ValueError: if a size is below 1, n_blocks is not between 1 and the smaller size, or dtype
            is of whole numbers.
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        n_blocks: int = 4,
        bias: bool = True,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("in_features", in_features), ("out_features", out_features)):
            check_count(name, size, "a layer has at least one input and one output")
        check_count("n_blocks", n_blocks, "n_blocks=1 is the dense layer")
        check_flag("bias", bias)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise ValueError(f"dtype must be real or complex, got {dtype}; use torch.float32")
        if n_blocks > min(in_features, out_features):
            raise ValueError(
                f"n_blocks must be between 1 and the smaller of in_features={in_features} and "
                f"out_features={out_features}, got {n_blocks}; use fewer blocks, or "
                "torch.nn.Linear for a layer this small"
            )
        self.in_features = in_features
        self.out_features = out_features
        self.n_blocks = n_blocks
        a, s = math.ceil(in_features / n_blocks), math.ceil(out_features / n_blocks)
        h = min(a, s)
        self.L = nn.Parameter(torch.empty(n_blocks, s, h, device=device, dtype=dtype))
        self.R = nn.Parameter(torch.empty(n_blocks, h, a, device=device, dtype=dtype))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    @classmethod
    def from_linear(cls, linear: nn.Linear, n_blocks: int = 4) -> "MonarchLinear":
        """Return the layer whose weight is nearest to that of a dense one in Frobenius norm.

        The projection is done in double precision. The padding costs nothing: the best
        approximation of a slice with rows or columns of zeros is zero there. The error is that of
        `layer.dense() - linear.weight`; the bias is copied.
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
        with torch.no_grad():
            layer.L.copy_(L)
            layer.R.copy_(R)
            if layer.bias is not None:
                layer.bias.copy_(linear.bias)
                layer.bias.requires_grad_(linear.bias.requires_grad)
        for factor in (layer.L, layer.R):
            factor.requires_grad_(linear.weight.requires_grad)
        return layer.train(linear.training)

    def to_linear(self) -> nn.Linear:
        """Return the dense layer that computes the same."""
        linear = nn.Linear(
            self.in_features,
            self.out_features,
            self.bias is not None,
            device=self.L.device,
            dtype=self.L.dtype,
        )
        with torch.no_grad():
            linear.weight.copy_(self.dense())
            if self.bias is not None:
                linear.bias.copy_(self.bias)
                linear.bias.requires_grad_(self.bias.requires_grad)
        linear.weight.requires_grad_(self.L.requires_grad or self.R.requires_grad)
        return linear.train(self.training)

    def reset_parameters(self) -> None:
        """Draw the factors and the bias anew from torch's global generator."""
        q, h, _ = self.R.shape
        block = torch.arange(q, device=self.R.device)
        n_inputs = (self.in_features - block + q - 1) // q
        # Uniform on [-c, c] has the variance c^2 / 3; a complex number has two such parts.
        n_parts = 2 if self.R.is_complex() else 1
        with torch.no_grad():
            self.R.uniform_(-1, 1).mul_((3 / (n_parts * n_inputs)).sqrt()[:, None, None])
            self.L.uniform_(-1, 1).div_(math.sqrt(h))
            if self.bias is not None:
                self.bias.uniform_(-1, 1).div_(math.sqrt(self.in_features))

    def forward(self, x: Num[Tensor, "*batch n_in"]) -> Num[Tensor, "*batch n_out"]:
        """Return M x + bias, contiguous, in the dtype that `torch.nn.Linear` returns.

        Raises:
            ValueError: if the last axis of x is not in_features long, or x is of another dtype than
                the layer where autocast does not convert them.
        """
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(
                f"x must have in_features={self.in_features} entries on its last axis, got shape "
                f"{tuple(x.shape)}; bring the axis to the end or make the layer for this length"
            )
        check_dtype(x, L=self.L, R=self.R, bias=self.bias)
        q, _, a = self.R.shape
        padded = nn.functional.pad(x, (0, q * a - self.in_features))
        y = monarch_multiply(padded, self.L, self.R)[..., : self.out_features]
        return (y if self.bias is None else y + self.bias.to(y.dtype)).contiguous()

    def dense(self) -> Num[Tensor, "n_out n_in"]:
        """Return M, the counterpart of `torch.nn.Linear.weight`, differentiable in the factors."""
        return monarch_dense(self.L, self.R)[: self.out_features, : self.in_features]

    @property
    def weight(self) -> Num[Tensor, "n_out n_in"]:
        """`dense()` under the name that code written for `torch.nn.Linear` reads, made anew.

        To write into it changes nothing.
        """
        return self.dense()

    def extra_repr(self) -> str:
        """Return the sizes, for `print(model)`."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"n_blocks={self.n_blocks}, bias={self.bias is not None}"
        )
