"""Numbers of strangers, made safe to compute with and to draw.

What a run folder holds may come from anybody; `runs.untrusted` opens its files, and every text
passes through `printable` once, on its way in.
"""

import math
from typing import Any

LARGEST = 1e150  # of a number; the square of a larger one is infinite


def finite(value: Any) -> int | float | None:
    """Return a number that can be squared, None for anything else; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -LARGEST < value < LARGEST else None  # NaN is neither


def not_finite(value: Any) -> bool:
    """Tell whether a value stands for NaN, infinity or a number too large to compute with.

    JSON has none of them, so `results.json` and `log.jsonl` hold null in their place.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (is_number and finite(value) is None)


def as_float(value: Any) -> float:
    """Return a value as a number, NaN where it is none."""
    number = finite(value)
    return math.nan if number is None else float(number)
