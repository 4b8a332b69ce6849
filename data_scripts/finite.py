"""NaN and infinity, named by their place."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Num


def require_finite(
    where: str, values: Num[np.ndarray, "..."], axes: Sequence[str], remedy: str
) -> None:
    """Raise ValueError if values are NaN or infinite, naming how many and the first place.

    Args:
        where: file, slice and array, the beginning of the error.
        values: of any shape.
        axes: a name for each of their axes, for example ("coil", "y", "z").
        remedy: what to do about it, the end of the error.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        # NaN and infinity survive a sum, which takes a third of the time of isfinite
        if np.isfinite(values.sum()):
            return
    wrong = ~np.isfinite(values)
    if wrong.any():
        first = np.argwhere(wrong)[0]
        place = ", ".join(f"{axis} {index}" for axis, index in zip(axes, first, strict=True))
        raise ValueError(
            f"{where} holds NaN or infinity in {int(wrong.sum())} of {wrong.size} values, the "
            f"first at {place}; {remedy}"
        )
