"""A model with exchanged layers in a folder: its state dict and a small JSON."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from monarch_core import layers as structured
from monarch_core.adapters.attention import ProjectedAttention
from monarch_core.adapters.dense_layers import as_made, is_dense, parts_of
from monarch_core.adapters.fine_tuning import AdaptedLinear
from monarch_core.adapters.fused import Projections
from monarch_core.layers.swap import exchange

FORMAT = 1
WEIGHTS, LAYERS = "weights.pt", "layers.json"
# What beside the sizes makes a layer.
OPTIONS = {
    "MonarchLinear": ("n_blocks",),
    "BlockDiagonalLinear": ("n_blocks",),
    "LowRankLinear": ("rank",),
    "AdaptedLinear": ("n_blocks", "rank"),
}
SHOWN = 5  # names in an error


def save_monarchized(model: nn.Module, folder: str | Path) -> None:
    """Write a model with exchanged layers, for `load_monarchized`.

    `weights.pt` is its state dict, for `torch.load(..., weights_only=True)`; `layers.json` tells
    for every exchanged layer the kind of the dense one and of what stands in its place.

    `save_pretrained` of transformers writes the weights too, but `from_pretrained` then makes a
    dense model and starts the layers that it does not find at random numbers, with a table in the
    log and no error: use this function, or `densify` first. Spectral convolutions are not
    described: build their model with `conv_module=MonarchSpectralConv`.

    Args:
        model: after `monarchize`, `exchange_linear` or `add_monarch_adapters`.
        folder: made if it is not there; files of these names in it are replaced.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from pathlib import Path
        >>> from torch import nn
        >>> from monarch_core import monarchize, save_monarchized
        >>> model = monarchize(nn.Sequential(nn.Linear(16, 32)))
        >>> folder = mkdtemp()
        >>> save_monarchized(model, folder)
        >>> sorted(path.name for path in Path(folder).iterdir())
        ['layers.json', 'weights.pt']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    described = {"format": FORMAT, "layers": dict(_described(model))}
    weights, text = (folder / f"{name}.part" for name in (WEIGHTS, LAYERS))
    torch.save(model.state_dict(), weights)
    text.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    weights.replace(folder / WEIGHTS)
    text.replace(folder / LAYERS)


def load_monarchized(model: nn.Module, folder: str | Path) -> nn.Module:
    """Make of a dense model the one that `save_monarchized` has written, in place.

    Args:
        model: the dense model, with any numbers, as the code that made the saved one makes it.
            What learns in it learns afterwards, but for the weights beside adapters: to go on
            training adapters alone, freeze the rest first.
        folder: what `save_monarchized` was given.

    Returns:
        The model, or the new layer where the model is itself one of those exchanged.

    Raises:
        ValueError: for files that are not those, a model on the meta device, or one that does not
            fit them, with the names that differ. The layers of the model are then as they were,
            unless the weights do not fit: make it anew.
        FileNotFoundError: if a file is missing.

    Examples:
        >>> from tempfile import mkdtemp
        >>> import torch
        >>> from torch import nn
        >>> from monarch_core import load_monarchized, monarchize, save_monarchized
        >>> model, folder = monarchize(nn.Sequential(nn.Linear(16, 32))), mkdtemp()
        >>> save_monarchized(model, folder)
        >>> again = load_monarchized(nn.Sequential(nn.Linear(16, 32)), folder)
        >>> x = torch.randn(5, 16)
        >>> torch.equal(again(x), model(x))
        True
    """
    folder = Path(folder)
    entries = _read(folder / LAYERS)
    on_meta = [name for name, p in model.named_parameters() if p.is_meta]
    if on_meta:
        raise ValueError(
            f"{on_meta[0]} is on the meta device, which holds no numbers, and nothing could be "
            "loaded into it; make the model on the CPU"
        )
    state = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
    modules = dict(model.named_modules())
    _refuse("the model has no layers of these names", [n for n in entries if n not in modules])
    kinds = {
        name: (type(modules[name]).__name__, entries[name]["dense"])
        for name in entries
        if not _is_structured(modules[name])  # the code of the model makes it so
    }
    _refuse(
        "the model has other kinds of layers",
        [f"{name} ({has}, saved {was})" for name, (has, was) in kinds.items() if has != was],
    )

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        if name not in entries:
            return None
        return _made(name, layer, entries[name]["projections"])

    with torch.random.fork_rng():  # new layers draw weights that are replaced at once
        result = exchange(model, replace)
    own = result.state_dict()
    _refuse("the saved weights lack", [key for key in own if key not in state])
    _refuse("the model has no place for", [key for key in state if key not in own])
    shapes = {key: (tuple(own[key].shape), tuple(state[key].shape)) for key in own}
    _refuse(
        "the saved weights are of other shapes",
        [f"{key} {was}, the model {has}" for key, (has, was) in shapes.items() if has != was],
    )
    result.load_state_dict(state)
    return result


def _described(model: nn.Module) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give the name of every exchanged layer and what it is made of."""
    inside: set[nn.Module] = set()
    for name, layer in model.named_modules():
        if isinstance(layer, Projections | ProjectedAttention):
            parts = dict(layer.named_children())
            inside.update(parts.values())
            kind = "MultiheadAttention"
            if isinstance(layer, Projections):
                kind = layer.dense_class.__name__
        elif _is_structured(layer) and layer not in inside:
            parts, kind = {"": layer}, "Linear"
        else:
            continue
        yield name, {"dense": kind, "projections": {k: _made_of(p) for k, p in parts.items()}}


def _is_structured(layer: nn.Module) -> bool:
    return type(layer) is _kinds().get(type(layer).__name__)


def _kinds() -> dict[str, Any]:
    found = {name: getattr(structured, name, None) for name in OPTIONS}
    return found | {"AdaptedLinear": AdaptedLinear}


def _made_of(layer: nn.Module) -> dict[str, Any]:
    kind = type(layer).__name__
    return {"kind": kind} | {option: getattr(layer, option) for option in OPTIONS.get(kind, ())}


def _made(name: str, layer: nn.Module, projections: Mapping[str, Any]) -> nn.Module:
    """Return a layer of the saved structure in the place of a dense one, with any numbers."""
    if not is_dense(layer):
        return layer
    parts = parts_of(name, layer, len(projections))
    if list(parts) != list(projections):
        raise ValueError(
            f"{name} was saved as the projections {list(projections)}, and is {list(parts)}; load "
            "it into the model that it was made of"
        )
    made: dict[str, nn.Module] = {}
    for key, linear in parts.items():
        kind, *options = projections[key].values()
        made[key] = linear if kind == "Linear" else _new(kind, linear, options)
    return as_made(layer, made)


def _new(kind: str, linear: nn.Linear, options: list[int]) -> nn.Module:
    """Return a layer of this kind that learns where a dense one does."""
    if kind == "AdaptedLinear":
        return AdaptedLinear(linear, *options)
    W, bias = linear.weight, linear.bias
    sizes = linear.in_features, linear.out_features
    layer: nn.Module = _kinds()[kind](
        *sizes, *options, bias is not None, device=W.device, dtype=W.dtype
    )
    for name, parameter in layer.named_parameters():
        learns = bias.requires_grad if name == "bias" else W.requires_grad
        parameter.requires_grad_(learns)
    return layer.train(linear.training)


def _read(path: Path) -> dict[str, Any]:
    """Return the layers that a file describes.

    Raises:
        ValueError: for a file that is not one of `save_monarchized`.
    """
    wrong = f"{path} is not a file of save_monarchized of format {FORMAT}; save the model again"
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        if described["format"] != FORMAT:
            raise ValueError(wrong)
        entries: dict[str, Any] = described["layers"]
        kinds = [part for entry in entries.values() for part in entry["projections"].values()]
        sound = all(isinstance(entry["dense"], str) for entry in entries.values())
        known = {"Linear": (), **OPTIONS}
        sound &= all(tuple(part) == ("kind", *known[part["kind"]]) for part in kinds)
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(wrong) from error
    if not sound:
        raise ValueError(wrong)
    return entries


def _refuse(reason: str, names: list[str]) -> None:
    """Raise ValueError with the first of the names, if there are any."""
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise ValueError(
            f"the model does not fit what was saved: {reason}: {', '.join(names[:SHOWN])}{more}; "
            "build it as the one that was saved was built"
        )
