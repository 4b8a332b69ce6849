"""Which dtypes a layer takes: those of `torch.nn.Linear`, with and without autocast."""

from collections.abc import Sequence

import torch
from torch import Tensor

CONVERTED = {torch.float32, torch.float16, torch.bfloat16}  # by autocast; double precision is not


def autocast_enabled(device: str) -> bool:
    """Return whether autocast is on for a type of device, of any name."""
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def check_dtype(name: str, x: Tensor, *parameters: Tensor | None) -> None:
    """Raise ValueError unless x has the dtype of the parameters, or autocast converts them all."""
    dtypes = [t.dtype for t in (x, *parameters) if t is not None]
    if all(dtype == x.dtype for dtype in dtypes):
        return
    if not autocast_enabled(x.device.type) or not CONVERTED.issuperset(dtypes):
        own = ", ".join(dict.fromkeys(map(str, dtypes[1:])))
        raise ValueError(
            f"{name} must be of the dtype of the layer, got {x.dtype} and a layer of {own}; use "
            f"{name}.to(...), or layer.to(...) for all of the layer"
        )


def check_dtypes(x: Tensor, **others: Tensor | Sequence[Tensor] | None) -> None:
    """Raise ValueError unless these are real numbers of one dtype; autocast brings them to one.

    Args:
        x: the fields.
        others: what they are multiplied by, under the names that the message gives them.
    """
    dtypes = {"x": x.dtype}
    for name, value in others.items():
        if isinstance(value, Tensor):
            dtypes[name] = value.dtype
        elif value is not None:
            dtypes |= {f"{name}[{i}]": t.dtype for i, t in enumerate(value)}
    found = set(dtypes.values())
    if len(found) == 1 and x.dtype.is_floating_point:
        return
    listed = ", ".join(f"{name}: {dtype}" for name, dtype in dtypes.items())
    if any(dtype.is_complex for dtype in found):
        raise ValueError(
            f"the product is one of real numbers, got {listed}; give real and imaginary part as "
            "two channels"
        )
    if not autocast_enabled(x.device.type):
        own = list(dtypes.values())[1]
        raise ValueError(
            f"the product needs one floating-point dtype, got {listed}; give x.to({own}), or the "
            f"layer as layer.to({x.dtype}), or use torch.autocast"
        )
