"""Layers in the place of fused projections, and of dense ones whose weight is in x out."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Num
from torch import Tensor, nn

# What follows q | k | v in equal blocks of rows, under the names that networks give it, and into
# how many: c_attn of GPT-2, qkv of timm, Wqkv of ModernBERT and MPT, to_qkv of many others.
FUSED = {
    "c_attn": (2, 3),
    "qkv": (3,),
    "Wqkv": (3,),
    "in_proj": (3,),
    "to_qkv": (3,),
    "kv": (2,),
    "to_kv": (2,),
}
# Owners that lay the same names out head by head (q, k, v of head 1, of head 2, ...). The names
# query_key_value (GPT-NeoX, Bloom, Falcon, Persimmon) and qkv_proj (CodeGen) always are.
INTERLEAVED = ("transformers.models.gpt_bigcode.", "transformers.models.deberta.")
KEYS = {2: ("k", "v"), 3: ("q", "k", "v")}


class Projections(nn.Module):
    """Layers side by side on one input, in the place of a dense layer that holds all of them.

        y = [y_1, ..., y_n],    y_i = layer_i(x)

    Args:
        dense: the layer in whose place it stands, an `nn.Linear` or a `Conv1D` of transformers
            (weight in x out). It is read, not kept.
        layers: by name, in the order of their outputs.
    """

    def __init__(self, dense: nn.Module, layers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.dense_class = type(dense)
        for key, layer in layers.items():
            self.add_module(key, layer)
        self.in_features, self.out_features = in_and_out(dense)
        if self.dense_class is not nn.Linear:
            self.nx, self.nf = self.in_features, self.out_features  # names of Conv1D
        self.train(dense.training)

    def forward(self, x: Num[Tensor, "*batch n_in"]) -> Num[Tensor, "*batch n_out"]:
        """Return the outputs of all layers, one after the other on the last axis."""
        outputs = [layer(x) for layer in self.children()]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)

    @property
    def weight(self) -> Num[Tensor, "..."]:
        """The weight that the dense layer would have, in its layout, made anew."""
        rows = torch.cat([matrix(layer) for layer in self.children()])
        return rows if self.dense_class is nn.Linear else rows.mT

    @property
    def bias(self) -> Num[Tensor, " n_out"] | None:
        """The bias that the dense layer would have, made anew."""
        biases = [layer.bias for layer in self.children() if isinstance(layer.bias, Tensor)]
        return torch.cat(biases) if biases else None

    def to_dense(self) -> nn.Module:
        """Return the dense layer that computes the same, of the kind in whose place this stands."""
        parts = [as_linear(layer) for layer in self.children()]
        dense: Any = _empty(self, parts[0].weight)
        with torch.no_grad():
            rows = torch.cat([part.weight for part in parts])
            dense.weight.copy_(rows if self.dense_class is nn.Linear else rows.mT)
            if dense.bias is not None:
                dense.bias.copy_(torch.cat([part.bias for part in parts]))
                dense.bias.requires_grad_(any(part.bias.requires_grad for part in parts))
        dense.weight.requires_grad_(any(part.weight.requires_grad for part in parts))
        return dense.train(self.training)


def n_projections(
    owner: nn.Module, name: str, layer: nn.Module, fused: Mapping[str, int] | None = None
) -> int:
    """Return how many projections a dense layer holds in equal blocks of its outputs.

    Args:
        owner: the module that calls the layer.
        name: of the layer in it.
        layer: an `nn.Linear` or a `Conv1D`.
        fused: numbers for further names; they come before those known.
    """
    if fused and name in fused:
        return fused[name]
    n_in, n_out = in_and_out(layer)
    if n_out % n_in or type(owner).__module__.startswith(INTERLEAVED):
        return 1
    return n_out // n_in if n_out // n_in in FUSED.get(name, ()) else 1


def projection_keys(n: int) -> tuple[str, ...]:
    """Return the names of so many projections."""
    return KEYS.get(n, tuple(map(str, range(n))))


def split(layer: nn.Module, n: int) -> dict[str, nn.Linear]:
    """Return the projections of a dense layer, with copies of their rows of the weight.

    Raises:
        ValueError: if they are not of equal size.
    """
    n_out = in_and_out(layer)[1]
    if n_out % n:
        raise ValueError(
            f"a layer of {n_out} outputs does not hold {n} projections of equal size; leave its "
            "name out of fused"
        )
    weight = layer.weight if isinstance(layer, nn.Linear) else layer.get_parameter("weight").mT
    bias = layer._parameters["bias"]
    keys = projection_keys(n) if n > 1 else ("layer",)
    biases = bias.chunk(n) if bias is not None else [None] * n
    return {
        key: dense_linear(rows, part, layer, weight.requires_grad, bias)
        for key, rows, part in zip(keys, weight.chunk(n), biases, strict=True)
    }


def dense_linear(
    weight: Tensor, bias: Tensor | None, like: nn.Module, learns: bool, whole: Tensor | None
) -> nn.Linear:
    """Return a layer with copies of these numbers that learns where the whole did."""
    n_out, n_in = weight.shape
    linear = nn.Linear(n_in, n_out, bias is not None, device="meta", dtype=weight.dtype)
    linear.weight = nn.Parameter(weight.detach().clone(), requires_grad=learns)
    if bias is not None and whole is not None:
        linear.bias = nn.Parameter(bias.detach().clone(), requires_grad=whole.requires_grad)
    return linear.train(like.training)


def is_conv1d(layer: nn.Module) -> bool:
    """Tell whether a layer is the `Conv1D` of transformers, without an import of it."""
    kind = type(layer)
    return kind.__name__ == "Conv1D" and kind.__module__ == "transformers.pytorch_utils"


def in_and_out(layer: nn.Module) -> tuple[int, int]:
    """Return the numbers of inputs and of outputs of an `nn.Linear` or a `Conv1D`."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    n_in, n_out = layer.get_parameter("weight").shape
    return n_in, n_out


def as_linear(layer: Any) -> nn.Linear:
    """Return a layer multiplied out, or itself where it is dense."""
    if isinstance(layer, nn.Linear):
        return layer
    linear = layer.to_linear()
    assert isinstance(linear, nn.Linear)
    return linear


def matrix(layer: Any) -> Num[Tensor, "n_out n_in"]:
    """Return the matrix that a layer applies, differentiable in what it is made of."""
    return layer.weight if isinstance(layer, nn.Linear) else layer.dense()


def _empty(projections: Projections, like: Tensor) -> nn.Module:
    """Return a dense layer of the kind and the sizes that projections stand for."""
    if projections.dense_class is nn.Linear:
        sizes = (projections.in_features, projections.out_features)
        options = {"bias": projections.bias is not None}
    else:
        sizes, options = (projections.out_features, projections.in_features), {}
    with torch.device("meta"):
        dense = projections.dense_class(*sizes, **options)
    return dense.to(like.dtype).to_empty(device=like.device)
