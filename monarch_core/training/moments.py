"""What Adam knows of the factors of a layer, carried over to the dense weight that they make."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer

from monarch_core.layers.linear import MonarchLinear
from monarch_core.layers.low_rank import LowRankLinear
from monarch_core.layers.structured import StructuredLinear
from monarch_core.layers.swap import densify, exchange
from monarch_core.training.change import Moments

KEYS = ("exp_avg", "exp_avg_sq")
# From l, r and a moment of each to that of their product.
Rule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def carried_moments(model: nn.Module, optimizer: Optimizer) -> Moments:
    """Return the moments of Adam for a model after `densify`, from those of the model before.

    Every slice of the weight of a `MonarchLinear`, and the whole one of a `LowRankLinear`, is a
    product l r of a part of its factors. The loss has the gradients G r^T in l and l^T G in r, if G
    is the one in the product; so the first moments of l and r tell of one of G, the smallest that
    gives them (`least_gradient`), and the second ones of one that is a product of a number for each
    row and one for each column (`spread_square`). All other parameters keep theirs.

    Args:
        model: with its layers still factored; it is left as it is.
        optimizer: `torch.optim.Adam` or `AdamW`, after at least one step.

    Raises:
        ValueError: the optimiser keeps other moments, or a structured layer is of another kind.
    """
    known = {name: optimizer.state.get(p, {}) for name, p in model.named_parameters()}
    odd = {key for state in known.values() for key in state} - {"step", *KEYS}
    if odd:
        raise ValueError(
            f"moments can be carried over for Adam and AdamW, got an optimiser that keeps "
            f"{', '.join(sorted(odd))}; let them begin anew, or use fit.optimizer=adamw"
        )
    step = next((state["step"] for state in known.values() if state), None)
    if step is None:
        return {}
    twins = [_dense_twin(model, known, key) for key in KEYS]
    first, second = (dict(twin.named_parameters()) for twin in twins)
    return {
        name: {"step": step.clone(), "exp_avg": first[name].data, "exp_avg_sq": second[name].data}
        for name in first
    }


def least_gradient(
    l: Float[Tensor, "s t"],  # noqa: E741
    r: Float[Tensor, "t a"],
    gradient_l: Float[Tensor, "s t"],
    gradient_r: Float[Tensor, "t a"],
) -> Float[Tensor, "s a"]:
    """Return the smallest G in Frobenius norm with G r^T = gradient_l and l^T G = gradient_r.

    With ^+ the pseudo-inverse, X = gradient_l (r^T)^+ is G projected onto the rows of r and
    Y = (l^T)^+ gradient_r is G projected onto the columns of l, so that

        G = X + Y - l l^+ X

    which is any G projected onto the tangent space of the matrices of rank t in l r.
    """
    X = gradient_l @ torch.linalg.pinv(r.mT)
    Y = torch.linalg.pinv(l.mT) @ gradient_r
    return X + Y - l @ (torch.linalg.pinv(l) @ X)


def spread_square(
    l: Float[Tensor, "s t"],  # noqa: E741
    r: Float[Tensor, "t a"],
    square_l: Float[Tensor, "s t"],
    square_r: Float[Tensor, "t a"],
) -> Float[Tensor, "s a"]:
    """Return the mean squares V of a gradient from those of the factors, with V = u w^T.

    If the entries of G are independent with mean zero, G r^T and l^T G have the mean squares
    V (r r)^T and (l l)^T V, squared by entry. Sums over t give u and w up to a factor each, and the
    factors from one another: with A_i = sum_t square_l, B_j = sum_t square_r,

        V_ij = A_i B_j / sqrt(sum_tj B_j r_tj^2  sum_ti A_i l_it^2)

    the factor of Adafactor (Shazeer and Stern 2018, arXiv:1804.04235) for a product of factors.
    """
    A, B = square_l.sum(1), square_r.sum(0)
    scale = (B @ r.square().sum(0)) * (A @ l.square().sum(1))
    return A[:, None] * B / scale.sqrt().clamp(min=torch.finfo(l.dtype).tiny)


def _dense_twin(model: nn.Module, known: dict[str, Any], key: str) -> nn.Module:
    """Return the model after `densify`, with a moment of each parameter in the place of it."""
    rule = {"exp_avg": least_gradient, "exp_avg_sq": spread_square}[key]
    twin = copy.deepcopy(model)
    factors = {name: p.detach().clone() for name, p in twin.named_parameters()}
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            parameter.copy_(known[name].get(key, torch.zeros_like(parameter)))

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        if not isinstance(layer, StructuredLinear):
            return None
        prefix = f"{name}." if name else ""
        own = {key: factors[f"{prefix}{key}"] for key in layer.factors}
        linear = layer.to_linear()
        linear.weight.copy_(_dense_moment(layer, own, rule))
        return linear

    with torch.random.fork_rng(), torch.no_grad():
        return densify(exchange(twin, replace))


def _dense_moment(
    layer: StructuredLinear, factors: dict[str, Tensor], rule: Rule
) -> Float[Tensor, "n_out n_in"]:
    """Return a moment of the dense weight.

    Args:
        layer: with a moment of each factor in the place of it.
        factors: themselves.
        rule: for a product of two.
    """
    if isinstance(layer, LowRankLinear):
        return rule(factors["U"], factors["V"], layer.U, layer.V)
    if not isinstance(layer, MonarchLinear):
        raise ValueError(
            f"moments of a {type(layer).__name__} tell nothing of what is zero in its weight; let "
            "them begin anew, or use MonarchLinear or LowRankLinear"
        )
    L, R = _without_padding(layer, factors["L"], factors["R"])
    moment = L.new_zeros(len(L) * L.shape[1], len(R) * R.shape[2])
    for rows, columns, of_l, of_r in _slices(len(L), R.shape[1]):
        moment[rows, columns] = rule(L[of_l], R[of_r], layer.L[of_l], layer.R[of_r])
    return moment[: layer.out_features, : layer.in_features]


def _without_padding(layer: MonarchLinear, L: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
    """Return the factors with zeros where they meet padded inputs and outputs only."""
    N = layer.n_blocks
    block = torch.arange(N, device=L.device)[:, None]
    is_output = torch.arange(L.shape[1], device=L.device) * N + block < layer.out_features
    is_input = torch.arange(R.shape[2], device=R.device) * N + block < layer.in_features
    return L * is_output[:, :, None], R * is_input[:, None, :]


def _slices(N: int, h: int) -> list[tuple[Any, Any, Any, Any]]:
    """Return, for each of the N^2 slices, where it is in M and where its factors are in L and R.

    Value f = b h + j = r N + m between the two factors is row j of block b of R and column r of
    block m of L (`monarch_multiply`).
    """
    found = []
    for m in range(N):
        for b in range(N):
            f = torch.arange(b * h, (b + 1) * h)
            f = f[f % N == m]
            rows, columns = slice(m, None, N), slice(b, None, N)
            found.append((rows, columns, (m, slice(None), f // N), (b, f - b * h)))
    return found
