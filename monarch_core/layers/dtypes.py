"""Which dtypes go into one product of real matrices."""

from collections.abc import Sequence

import torch
from torch import Tensor


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
    if not torch.is_autocast_enabled(x.device.type):
        own = list(dtypes.values())[1]
        raise ValueError(
            f"the product needs one floating-point dtype, got {listed}; give x.to({own}), or the "
            f"layer as layer.to({x.dtype}), or use torch.autocast"
        )
