"""Fine-tuning: a Monarch matrix of small rank learns beside every frozen weight."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Num
from torch import Tensor, nn

from monarch_core.adapters.attention import ProjectedAttention
from monarch_core.adapters.dense_layers import ExchangedLayers, replacement
from monarch_core.adapters.fused import Projections
from monarch_core.adapters.patterns import as_patterns, check_matched, matches
from monarch_core.layers.swap import exchange
from monarch_core.transforms.arguments import check_count
from monarch_core.transforms.multiply import monarch_dense, monarch_multiply


class AdaptedLinear(nn.Module):
    """A linear layer with a frozen weight W and a Monarch matrix M that learns: y = W x + M x + b.

    With N = n_blocks, the sizes padded to N a and N s and r = rank (at most a and s), M has the
    factors L (N, s, r) and R (N, r, a) of `monarch_multiply`: N r (a + s) numbers, of total rank N
    r (Tan et al. 2024, MoRe, arXiv:2408.17383). L starts at zero, so that nothing changes at the
    start, R uniform with E |R|^2 = 1 / (inputs of the block that are not padding).

    Args:
        linear: the dense layer. Its numbers are shared, not copied.
        n_blocks: at most the smaller of the two sizes.
        rank: of every block.

    Raises:
        ValueError: for numbers below 1, or more blocks than inputs or outputs.
    """

    def __init__(self, linear: nn.Linear, n_blocks: int = 4, rank: int = 4) -> None:
        super().__init__()
        check_count("n_blocks", n_blocks, "n_blocks=1 is an adapter of low rank")
        check_count("rank", rank, "rank=4 is that of MoRe")
        self.in_features, self.out_features = linear.in_features, linear.out_features
        if n_blocks > min(self.in_features, self.out_features):
            raise ValueError(
                f"n_blocks must be at most in_features={self.in_features} and "
                f"out_features={self.out_features}, got {n_blocks}; use fewer blocks"
            )
        a, s = math.ceil(self.in_features / n_blocks), math.ceil(self.out_features / n_blocks)
        self.n_blocks, self.rank = n_blocks, min(rank, a, s)
        W = linear.weight.detach()
        self.W = nn.Parameter(W, requires_grad=False)
        if linear.bias is None:
            self.register_parameter("bias", None)
        else:
            learns = linear.bias.requires_grad
            self.bias = nn.Parameter(linear.bias.detach(), requires_grad=learns)
        self.L = nn.Parameter(W.new_empty(n_blocks, s, self.rank))
        self.R = nn.Parameter(W.new_empty(n_blocks, self.rank, a))
        self.reset_parameters()
        self.train(linear.training)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw R anew from torch's global generator and set L to zero."""
        block = torch.arange(self.n_blocks, device=self.R.device)
        n_inputs = (self.in_features - block + self.n_blocks - 1) // self.n_blocks
        self.R.uniform_(-1, 1).mul_((3 / n_inputs).sqrt()[:, None, None])
        self.L.zero_()

    def forward(self, x: Num[Tensor, "*batch n_in"]) -> Num[Tensor, "*batch n_out"]:
        """Return W x + M x + b."""
        N, _, a = self.R.shape
        padded = nn.functional.pad(x, (0, N * a - self.in_features))
        beside = monarch_multiply(padded, self.L, self.R)[..., : self.out_features]
        y = nn.functional.linear(x, self.W, self.bias)
        return y + beside.to(y.dtype)

    def dense(self) -> Num[Tensor, "n_out n_in"]:
        """Return W + M, differentiable in the factors."""
        return self.W + monarch_dense(self.L, self.R)[: self.out_features, : self.in_features]

    @property
    def weight(self) -> Num[Tensor, "n_out n_in"]:
        """`dense()` under the name that code written for `torch.nn.Linear` reads, made anew."""
        return self.dense()

    def to_linear(self) -> nn.Linear:
        """Return the dense layer with the weight W + M, frozen as W is."""
        has_bias = self.bias is not None
        with torch.device("meta"):
            linear = nn.Linear(self.in_features, self.out_features, has_bias)
        linear.weight = nn.Parameter(self.dense().detach(), requires_grad=self.W.requires_grad)
        if self.bias is not None:
            learns = self.bias.requires_grad
            linear.bias = nn.Parameter(self.bias.detach(), requires_grad=learns)
        return linear.train(self.training)

    def to_dense(self) -> nn.Linear:
        """Return what `densify` puts in the place of this layer."""
        return self.to_linear()

    def extra_repr(self) -> str:
        """Return the sizes, for `print(model)`."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"n_blocks={self.n_blocks}, rank={self.rank}, bias={self.bias is not None}"
        )


def add_monarch_adapters(
    model: nn.Module,
    n_blocks: int = 4,
    rank: int = 4,
    *,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    also_learn: str | Sequence[str] = (),
) -> nn.Module:
    """Put a Monarch matrix of small rank beside dense weights, in place, and freeze all else.

    The layers are those that `exchange_linear` finds, q, k and v one by one, but for those with
    fewer inputs or outputs than blocks. The model computes the same until the adapters have
    learned; give an optimiser `[p for p in model.parameters() if p.requires_grad]`.

    Args:
        model: changed in place.
        n_blocks: as in `AdaptedLinear`.
        rank: as in `AdaptedLinear`.
        include: patterns of names, as in `exchange_linear`.
        exclude: likewise.
        also_learn: patterns of the names of further parameters, or of modules that hold them, in
            the model as given, that learn as they did: "classifier", "*.bias". A parameter of
            several names, such as a tied weight, learns if one of them matches. Weights with an
            adapter are frozen always.

    Returns:
        The model, or the new layer where the model is a linear layer itself.

    Raises:
        ValueError: as `exchange_linear` and `AdaptedLinear`, for a model without a layer to adapt,
            or one that has adapters. The model is then as it was.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from monarch_core import add_monarch_adapters
        >>> model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
        >>> x = torch.randn(5, 16)
        >>> y = model(x)
        >>> model = add_monarch_adapters(model, rank=2, also_learn="2.bias")
        >>> torch.allclose(model(x), y, atol=1e-6)  # the same until it learns
        True
        >>> [name for name, p in model.named_parameters() if p.requires_grad]
        ['0.L', '0.R', '2.bias', '2.L', '2.R']
    """
    check_count("n_blocks", n_blocks, "n_blocks=1 is an adapter of low rank")
    check_count("rank", rank, "rank=4 is that of MoRe")
    if any(isinstance(layer, AdaptedLinear) for layer in model.modules()):
        raise ValueError("the model has adapters already; merge them first with merge_adapters")
    kept = as_patterns("also_learn", also_learn)
    named = dict(model.named_parameters(remove_duplicate=False))
    check_matched("also_learn", kept, list(named))
    done = ExchangedLayers()

    def make(name: str, linear: nn.Linear) -> nn.Module | None:
        small = n_blocks > min(linear.in_features, linear.out_features)
        return None if small else AdaptedLinear(linear, n_blocks, rank)

    # Frozen before the exchange: the parts of a layer are made to learn where the whole of it does.
    learned = {p: p.requires_grad for p in named.values()}
    chosen = {p for name, p in named.items() if matches(name, kept)}
    stay: set[nn.Parameter] = set()
    for parameter in learned.keys() - chosen:
        parameter.requires_grad_(False)
    try:
        result = exchange(model, replacement(model, make, done, include=include, exclude=exclude))
        if not done:
            raise ValueError(
                f"the model has no dense linear layer of at least n_blocks={n_blocks} inputs and "
                "outputs; use fewer blocks, or densify a model of Monarch layers first"
            )
        stay.update(result.parameters())
    finally:
        for parameter in learned.keys() - stay:
            parameter.requires_grad_(learned[parameter])
    return result


def merge_adapters(model: nn.Module) -> nn.Module:
    """Add adapters to the weights that they stand beside and give the plain layers back, in place.

    The names and kinds of all layers are again those of before `add_monarch_adapters`. What is
    frozen stays frozen.

    Returns:
        The model, or the new layer where the model is one of those exchanged.

    Examples:
        >>> from torch import nn
        >>> from monarch_core import add_monarch_adapters, merge_adapters
        >>> model = add_monarch_adapters(nn.Sequential(nn.Linear(16, 32)))
        >>> merge_adapters(model)
        Sequential(
          (0): Linear(in_features=16, out_features=32, bias=True)
        )
    """

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        adapted = any(isinstance(part, AdaptedLinear) for part in layer.children())
        if isinstance(layer, AdaptedLinear) or (
            adapted and isinstance(layer, Projections | ProjectedAttention)
        ):
            return layer.to_dense()
        return None

    return exchange(model, replace)
