"""Which dtypes a layer takes and computes in: those of `torch.nn.Linear`, under autocast too."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from monarch_core.transforms.autocast import autocast_dtype

CONVERTED = {torch.float32, torch.float16, torch.bfloat16}  # by autocast; double precision is not


def in_own_dtype(x: Tensor, *others: Tensor | None) -> bool:
    """Return whether all are of one dtype that `check_dtype` passes, in a microsecond."""
    dtype = x.dtype
    for t in others:
        if t is not None and t.dtype is not dtype:
            return False
    return dtype.is_floating_point or dtype.is_complex


def check_dtype(x: Tensor, **others: Tensor | Sequence[Tensor] | None) -> None:
    """Raise ValueError unless these are of one dtype, not whole numbers, or autocast makes them so.

    Args:
        x: what the layer is given.
        others: what x is multiplied by, under the names that the message gives them.
    """
    own_dtype, is_number = x.dtype, x.is_floating_point() or x.is_complex()
    tensors = [t for t in others.values() if t is not None]
    if is_number and all(isinstance(t, Tensor) and t.dtype == own_dtype for t in tensors):
        return
    dtypes = _dtypes(x, others)
    found = set(dtypes.values())
    if len(found) == 1 and is_number:
        return
    if CONVERTED.issuperset(found) and autocast_dtype(x.device.type):
        return
    own = list(dtypes.values())[1]
    # None that drops an imaginary part.
    remedies = {
        f"x.to({own})": own.is_complex or not x.is_complex(),
        f"the layer as layer.to({x.dtype})": x.is_complex()
        or (x.is_floating_point() and not own.is_complex),
        "both as they are under torch.autocast": CONVERTED.issuperset(found),
    }
    raise ValueError(
        f"x must be of the dtype of the layer, got {_listed(dtypes)}; give "
        f"{', or '.join(remedy for remedy, helps in remedies.items() if helps)}"
    )


def check_real(x: Tensor, **others: Tensor | Sequence[Tensor] | None) -> None:
    """Raise ValueError for complex numbers where only real ones are multiplied."""
    dtypes = _dtypes(x, others)
    if any(dtype.is_complex for dtype in dtypes.values()):
        raise ValueError(
            f"the layer takes real numbers, got {_listed(dtypes)}; give real and imaginary part "
            "as two channels"
        )


def in_one_dtype(function: Callable[..., Tensor], x: Tensor, *others: Tensor | None) -> Tensor:
    """Return function(x, *others): under autocast in its dtype, double and complex as they are."""
    device = x.device.type
    dtype = autocast_dtype(device)
    if dtype is None:
        return function(x, *others)
    if x.dtype == torch.float64 or x.is_complex():
        dtype = x.dtype
    converted = (None if t is None else t.to(dtype) for t in (x, *others))
    with torch.autocast(device, enabled=False):
        return function(*converted)


def _dtypes(
    x: Tensor, others: dict[str, Tensor | Sequence[Tensor] | None]
) -> dict[str, torch.dtype]:
    dtypes = {"x": x.dtype}
    for name, value in others.items():
        if isinstance(value, Tensor):
            dtypes[name] = value.dtype
        elif value is not None:
            dtypes |= {f"{name}[{i}]": t.dtype for i, t in enumerate(value)}
    return dtypes


def _listed(dtypes: dict[str, torch.dtype]) -> str:
    return ", ".join(f"{name}: {dtype}" for name, dtype in dtypes.items())
