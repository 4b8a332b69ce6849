"""Dense layers of any model exchanged for others: linear, transposed, fused, attention."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from monarch_core.adapters.attention import KEYS, ProjectedAttention, attention_parts
from monarch_core.adapters.fused import (
    Projections,
    is_conv1d,
    matrix,
    n_projections,
    projection_keys,
    split,
)
from monarch_core.adapters.patterns import chosen_by_name
from monarch_core.layers.structured import frobenius_norm
from monarch_core.layers.swap import exchange, sharing

# Of weights that can be projected; others are quantised.
DTYPES = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.complex64, torch.complex128),
)
Make = Callable[[str, nn.Linear], nn.Module | None]
Replace = Callable[[str, nn.Module], nn.Module | None]


@dataclass(frozen=True)
class ExchangedLayer:
    """What stands in the place of a dense layer, or of one projection of a fused one.

    Attributes:
        name: of the layer in the model, with that of the projection.
        before, after: the classes.
        in_features, out_features: the sizes.
        n_before, n_after: numbers in its parameters, those of the bias and frozen ones included.
        residual: |W - M|_F / |W|_F of the weight W and the new matrix M; None where there are no
            numbers (the meta device), or for a spectral convolution.
    """

    name: str
    before: str
    after: str
    in_features: int
    out_features: int
    n_before: int
    n_after: int
    residual: float | None


class ExchangedLayers(list[ExchangedLayer]):
    """A list of them that prints as a table."""

    def __str__(self) -> str:
        rows = [("layer", "before", "after", "in", "out", "parameters", "then", "residual")]
        rows += [
            (
                layer.name,
                layer.before,
                layer.after,
                str(layer.in_features),
                str(layer.out_features),
                f"{layer.n_before:,}",
                f"{layer.n_after:,}",
                "-" if layer.residual is None else f"{layer.residual:.4f}",
            )
            for layer in self
        ]
        before, after = sum(layer.n_before for layer in self), sum(layer.n_after for layer in self)
        rows.append((f"{len(self)} layers", "", "", "", "", f"{before:,}", f"{after:,}", ""))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            "  ".join(
                cell.ljust(width) if i < 3 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        )
        return "\n".join(line.rstrip() for line in lines)


def exchange_linear(
    model: nn.Module,
    make: Callable[[nn.Linear], nn.Module | None],
    *,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    fused: Mapping[str, int] | None = None,
) -> ExchangedLayers:
    """Exchange the dense layers of a model for others, in place.

    Found are `torch.nn.Linear`; `Conv1D` of transformers, whose weight is in x out;
    `torch.nn.MultiheadAttention`, as four projections; and fused projections q | k | v by their
    names (c_attn of GPT-2, qkv of timm and others, in `adapters.fused.FUSED`), every one by itself.
    Those that lie head by head (query_key_value of GPT-NeoX) stay in one piece, since a block of
    their rows is no projection. `densify` puts layers of the former kinds and names back.

    Left as they are: layers that share parameters with other layers, such as a head tied to the
    embedding, that are compiled by themselves, whose weight is quantised (of whole numbers or 8
    bits) or computed from others (weight norm), and subclasses, since their owners may reach into
    them. Hooks and optimisers do not follow: make the optimiser afterwards.

    Args:
        model: changed in place.
        make: makes the new layer from a dense one, by values: it has `dense()`, the matrix that it
            applies, `to_linear()` and `bias`, as `MonarchLinear` has. None leaves the dense one.
        include: patterns (`fnmatch`) of the names of the layers to exchange, or of modules that
            hold them; a projection is named after its layer, `h.0.attn.c_attn.q`. Default: all.
        exclude: patterns of those to leave.
        fused: names of further fused layers and how many blocks of outputs they are; {"qkv": 1}
            leaves one known in one piece.

    Returns:
        What was exchanged, in the order of the model; it prints as a table.

    Raises:
        ValueError: for a pattern that matches nothing, a layer of `make` that lacks what is needed,
            an attention with add_bias_kv or add_zero_attn, or a model that is itself a dense layer.
            The model is then as it was.

    Examples:
        >>> from torch import nn
        >>> from monarch_core import LowRankLinear, exchange_linear
        >>> model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
        >>> done = exchange_linear(model, lambda linear: LowRankLinear.from_linear(linear, 4))
        >>> [(layer.name, layer.after, layer.n_before, layer.n_after) for layer in done]
        [('0', 'LowRankLinear', 544, 224), ('2', 'LowRankLinear', 132, 148)]
    """
    done = ExchangedLayers()
    if any(name == "" for name, _ in dense_layers(model, fused)):
        raise ValueError(
            f"the model is a {type(model).__name__} itself, which cannot be exchanged in place; "
            "give the model that holds it, or call make with it"
        )

    def named(name: str, linear: nn.Linear) -> nn.Module | None:
        return make(linear)

    order = order_in(model)
    exchange(model, replacement(model, named, done, include=include, exclude=exclude, fused=fused))
    done.sort(key=order)
    return done


def replacement(
    model: nn.Module,
    make: Make,
    done: list[ExchangedLayer],
    *,
    include: str | Sequence[str] = (),
    exclude: str | Sequence[str] = (),
    fused: Mapping[str, int] | None = None,
    select: Callable[[str, nn.Module], bool] = lambda name, layer: True,
) -> Replace:
    """Return what `layers.swap.exchange` takes; it adds to `done` what it exchanges."""
    layers = dict(dense_layers(model, fused))
    names = [_joined(name, key) for name, keys in layers.items() for key in keys]
    is_chosen = chosen_by_name(include, exclude, names)
    is_shared = sharing(model)

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        keys = [key for key in layers.get(name, ()) if is_chosen(_joined(name, key))]
        if not keys or not _own_weight(layer) or is_shared(layer) or not select(name, layer):
            return None
        parts = parts_of(name, layer, len(layers[name]))
        made: dict[str, nn.Module] = dict(parts)
        for key, own in zip(parts, (_joined(name, key) for key in layers[name]), strict=True):
            new = make(own, parts[key]) if is_chosen(own) else None
            if new is not None:
                made[key] = _checked(own, new)
                done.append(_described(own, layer, parts[key], new))
        if all(made[key] is parts[key] for key in parts):
            return None
        return as_made(layer, made)

    return replace


def dense_layers(
    model: nn.Module, fused: Mapping[str, int] | None = None
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give the name of every layer that can be exchanged and those of its projections, if any."""
    for path, owner in model.named_modules():
        for key, layer in owner._modules.items():
            if layer is not None and key != "_orig_mod" and is_dense(layer):
                yield _joined(path, key), _keys(owner, key, layer, fused)
    if is_dense(model):
        yield "", _keys(nn.Module(), "", model, fused)


def order_in(model: nn.Module) -> Callable[[ExchangedLayer], int]:
    """Return a key that sorts what is exchanged into the order of the model as it is now."""
    names = (name for name, _ in model.named_modules(remove_duplicate=False))
    places = {name: place for place, name in enumerate(names)}

    def place(layer: ExchangedLayer) -> int:
        holder = layer.name.rpartition(".")[0]  # of a projection that is no module yet
        return places.get(layer.name, places.get(holder, 0))

    return place


def is_dense(layer: nn.Module) -> bool:
    """Tell whether a layer is of one of the kinds that can be exchanged."""
    return type(layer) in (nn.Linear, nn.MultiheadAttention) or is_conv1d(layer)


def _keys(
    owner: nn.Module, name: str, layer: nn.Module, fused: Mapping[str, int] | None
) -> tuple[str, ...]:
    if isinstance(layer, nn.MultiheadAttention):
        return KEYS
    n = n_projections(owner, name, layer, fused)
    return projection_keys(n) if n > 1 else ("",)


def _own_weight(layer: nn.Module) -> bool:
    """Tell whether the weight is the parameter of the layer, neither quantised nor computed."""
    weights = [layer._parameters.get("weight")]
    if isinstance(layer, nn.MultiheadAttention):
        name = "in_proj_weight" if layer._qkv_same_embed_dim else "q_proj_weight"
        weights = [layer._parameters.get(name), layer.out_proj._parameters.get("weight")]
    return all(W is not None and W.dtype in DTYPES for W in weights)


def parts_of(name: str, layer: nn.Module, n: int) -> dict[str, nn.Linear]:
    """Return a dense layer as its n projections, or as itself under the name ""."""
    if isinstance(layer, nn.MultiheadAttention):
        return attention_parts(name, layer)
    return {"": layer} if type(layer) is nn.Linear and n == 1 else split(layer, n)


def as_made(layer: nn.Module, made: Mapping[str, nn.Module]) -> nn.Module:
    """Return what stands in the place of a dense layer, with these projections."""
    if isinstance(layer, nn.MultiheadAttention):
        return ProjectedAttention(layer, made)
    return made[""] if "" in made else Projections(layer, made)


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}".strip(".")


def _checked(name: str, layer: nn.Module) -> nn.Module:
    lacks = [needed for needed in ("dense", "to_linear", "bias") if not hasattr(layer, needed)]
    if lacks:
        raise ValueError(
            f"make returned a {type(layer).__name__} for {name}, which has no {lacks[0]}; return a "
            "layer with dense(), to_linear() and bias, such as MonarchLinear, or None"
        )
    return layer


def _described(name: str, whole: nn.Module, linear: nn.Linear, new: nn.Module) -> ExchangedLayer:
    return ExchangedLayer(
        name,
        type(whole).__name__,
        type(new).__name__,
        linear.in_features,
        linear.out_features,
        n_numbers(linear),
        n_numbers(new),
        _residual(linear, new),
    )


def n_numbers(layer: nn.Module) -> int:
    """Return the numbers in the parameters of a layer."""
    return sum(p.numel() for p in layer.parameters())


@torch.no_grad()
def _residual(linear: nn.Linear, new: nn.Module) -> float | None:
    W = linear.weight
    if W.is_meta:
        return None
    size = frobenius_norm(W)
    return (frobenius_norm(W - matrix(new)) / size).item() if size > 0 else 0.0
