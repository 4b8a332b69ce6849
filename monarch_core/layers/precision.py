"""Which dtypes a layer takes: those of `torch.nn.Linear`, with and without autocast."""

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
