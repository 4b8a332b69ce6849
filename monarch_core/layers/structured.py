"""What linear layers with a structured weight have in common: they stand for `torch.nn.Linear`."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from jaxtyping import Num
from torch import Tensor, nn

from monarch_core.layers.precision import check_dtype, in_own_dtype
from monarch_core.transforms.arguments import check_choice, check_count, check_flag

STARTS = ("linear", "blocks")
Layer = TypeVar("Layer", bound="StructuredLinear")


class StructuredLinear(nn.Module, ABC):
    """A drop-in for `torch.nn.Linear` whose weight W is a product of factors: y = W x + bias.

    A factor of k blocks of d_out x d_in numbers is a parameter of shape (k, d_out, d_in), or
    (d_out, d_in) where k = 1. There are two starts:

        start="linear":  E y^2 = E x^2 / 3, that of a new `torch.nn.Linear`                     (1)
        start="blocks":  std = d_in^(-1/2) min(1, (d_out / d_in)^(1/2)), normal                 (2)

    (2) is that of Qiu et al. 2024 (arXiv:2406.06248), who derive it together with the rates of
    `rate_factors`. The bias starts as in `torch.nn.Linear`, with (2) at zero.

    Args:
        in_features: length of the last axis of the input.
        out_features: length of the last axis of the output.
        bias: learn an additive bias.
        shapes: of the factors, by name.
        start: "linear" or "blocks".
        device: where the parameters live.
        dtype: real or complex; default: torch's default dtype.

    Raises:
        ValueError: if a size is below 1, start is none of the two, or dtype is of whole numbers.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from monarch_core import LowRankLinear, MonarchLinear
        >>> linear = nn.Linear(24, 36)
        >>> layers = [MonarchLinear.from_linear(linear, 3), LowRankLinear.from_linear(linear, 8)]
        >>> [tuple(layer(torch.randn(5, 24)).shape) for layer in layers]
        [(5, 36), (5, 36)]
        >>> [layer.to_linear().weight.shape == linear.weight.shape for layer in layers]
        [True, True]
    """

    bias: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool,
        shapes: Mapping[str, Sequence[int]],
        *,
        start: str,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        check_flag("bias", bias)
        check_choice("start", start, STARTS)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise ValueError(f"dtype must be real or complex, got {dtype}; use torch.float32")
        self.in_features = in_features
        self.out_features = out_features
        self.start = start
        self.factor_names = tuple(shapes)
        for name, shape in shapes.items():
            factor = nn.Parameter(torch.empty(*shape, device=device, dtype=dtype))
            self.register_parameter(name, factor)
        if bias:
            self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    @classmethod
    @abstractmethod
    def from_linear(cls, linear: nn.Linear, *args: Any, **options: Any) -> "StructuredLinear":
        """Return the layer whose weight is nearest to that of a dense one in Frobenius norm.

        The bias is copied; what learns and what does not, dtype, device and mode stay.
        """

    @abstractmethod
    def dense(self) -> Num[Tensor, "n_out n_in"]:
        """Return W, the counterpart of `torch.nn.Linear.weight`, differentiable in the factors."""

    @abstractmethod
    def _product(
        self, x: Num[Tensor, "*batch n_in"], bias: Tensor | None, *factors: Tensor
    ) -> Num[Tensor, "*batch n_out"]:
        """Return W x + bias, for the factors in the order of `factor_names`."""

    @abstractmethod
    def _start_linear(self) -> None:
        """Draw the factors anew by (1)."""

    @property
    def factors(self) -> dict[str, Tensor]:
        """The parameters that the weight is made of, by name."""
        return {name: getattr(self, name) for name in self.factor_names}

    def rate_factors(self) -> dict[str, float]:
        """Return by which the learning rate of Adam for a dense layer is multiplied, by parameter.

        A step of Adam changes every number by about the rate, hence the outputs of a factor by
        d_in times as much; as many as there are factors add up. The outputs of the layer change
        as those of a dense one do if the rate of each factor is that of the dense layer times
        (Qiu et al. 2024, arXiv:2406.06248)

            in_features / d_in / number of factors

        Parameters that are not named here, as the bias, have the rate itself.
        """
        n_factors = len(self.factor_names)
        return {
            name: self.in_features / (factor.shape[-1] * n_factors)
            for name, factor in self.factors.items()
        }

    def reset_parameters(self) -> None:
        """Draw the factors and the bias anew from torch's global generator."""
        with torch.no_grad():
            if self.start == "blocks":
                for factor in self.factors.values():
                    d_out, d_in = factor.shape[-2:]
                    factor.normal_().mul_(math.sqrt(min(1, d_out / d_in) / d_in))  # (2)
            else:
                self._start_linear()
            if self.bias is None:
                return
            if self.start == "blocks":
                self.bias.zero_()
            else:
                self.bias.uniform_(-1, 1).div_(math.sqrt(self.in_features))

    def forward(self, x: Num[Tensor, "*batch n_in"]) -> Num[Tensor, "*batch n_out"]:
        """Return W x + bias, contiguous, in the dtype that `torch.nn.Linear` returns.

        Raises:
            ValueError: if the last axis of x is not in_features long, or x is of another dtype than
                the layer where autocast does not convert them.
        """
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(
                f"x must have in_features={self.in_features} entries on its last axis, got shape "
                f"{tuple(x.shape)}; bring the axis to the end or make the layer for this length"
            )
        factors, bias = [self._held(name) for name in self.factor_names], self._held("bias")
        if not in_own_dtype(x, *factors, bias):
            check_dtype(x, **self.factors, bias=bias)
        return self._product(x, bias, *factors)

    def _held(self, name: str) -> Any:
        """Return a parameter, or what stands in its place, in less time than `getattr`."""
        parameters = self._parameters
        return parameters[name] if name in parameters else getattr(self, name)

    @property
    def weight(self) -> Num[Tensor, "n_out n_in"]:
        """`dense()` under the name that code written for `torch.nn.Linear` reads, made anew.

        To write into it changes nothing.
        """
        return self.dense()

    def to_linear(self) -> nn.Linear:
        """Return the dense layer that computes the same."""
        factors = self.factors.values()
        first = next(iter(factors))
        linear = nn.Linear(
            self.in_features,
            self.out_features,
            self.bias is not None,
            device=first.device,
            dtype=first.dtype,
        )
        with torch.no_grad():
            linear.weight.copy_(self.dense())
            if self.bias is not None:
                linear.bias.copy_(self.bias)
                linear.bias.requires_grad_(self.bias.requires_grad)
        linear.weight.requires_grad_(any(factor.requires_grad for factor in factors))
        return linear.train(self.training)

    @torch.no_grad()
    def scale_to(self: Layer, weight: Num[Tensor, "n_out n_in"]) -> Layer:
        """Multiply the factors, all by one number, and give W the Frobenius norm of a weight.

        The nearest W is smaller than the weight that it stands for, and by much where the weight is
        random: a square `MonarchLinear` has 0.79 of its norm with 4 blocks, 0.46 with 16, and one
        of four times as many outputs 0.65 and 0.35. A network that is trained from there begins
        with smaller outputs than its authors meant, and learns late; scaled, it does not.

        Args:
            weight: real or complex. Where it or W is zero, or on the meta device, nothing changes.

        Returns:
            This layer.
        """
        norm, own = frobenius_norm(weight), frobenius_norm(self.dense())
        if not (norm.is_meta or own.is_meta) and norm > 0 and own > 0:
            for factor in self.factors.values():
                factor.mul_((norm / own) ** (1 / len(self.factors)))
        return self

    def _take_over(self: Layer, linear: nn.Linear, **factors: Tensor) -> Layer:
        """Copy factors, and all of a dense layer that is not its weight; return this layer."""
        with torch.no_grad():
            for name, value in factors.items():
                factor = self.factors[name]
                factor.copy_(value)
                factor.requires_grad_(linear.weight.requires_grad)
            if self.bias is not None:
                self.bias.copy_(linear.bias)
                self.bias.requires_grad_(linear.bias.requires_grad)
        return self.train(linear.training)


def frobenius_norm(weight: Num[Tensor, "n_out n_in"]) -> Num[Tensor, ""]:
    """Return |W|_F, in float32 at least: lower precisions overflow below the norms of weights."""
    return torch.linalg.vector_norm(weight, dtype=torch.promote_types(weight.dtype, torch.float32))


def check_sizes(in_features: int, out_features: int) -> None:
    """Raise ValueError unless both are whole numbers of at least 1."""
    for name, size in (("in_features", in_features), ("out_features", out_features)):
        check_count(name, size, "a layer has at least one input and one output")


def check_at_most(name: str, value: int, in_features: int, out_features: int, remedy: str) -> None:
    """Raise ValueError where a number of a layer's structure is above its smaller size."""
    if value > min(in_features, out_features):
        raise ValueError(
            f"{name} must be between 1 and the smaller of in_features={in_features} and "
            f"out_features={out_features}, got {value}; {remedy}"
        )
