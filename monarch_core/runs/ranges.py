"""Between which bounds the numbers of a config lie."""

from collections.abc import Mapping
from typing import Any

MOST = 10**6  # of what is counted: epochs, samples of a batch, channels; far beyond any use
SEEDS = {"seed": (0, 2**32 - 1)}  # what every generator of random numbers takes


def check_ranges(config: Any, section: str, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raise ValueError for a number, or one in a list, out of its range; null has none.

    Args:
        config: has the numbers as attributes.
        section: the part of the config, for the message; empty at the top level.
        ranges: smallest and largest value of each, both allowed. NaN is in no range.
    """
    for key, (low, high) in ranges.items():
        value = getattr(config, key)
        values = value if isinstance(value, list) else [value]
        if not all(number is None or low <= number <= high for number in values):
            name = f"{section}.{key}".lstrip(".")
            raise ValueError(f"{name} must be from {low} to {high}, got {value!r}")
