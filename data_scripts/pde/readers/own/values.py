"""The order of two axes, told from the values: they change less along space than along samples."""

from collections.abc import Sequence

import numpy as np

from data_scripts.pde.readers.stored import Stored

# By how much less neighbouring points differ than neighbouring samples, at the least.
_LESS = 2.0
_CORNER = slice(64)
_ORDERS = (("trajectory", "x"), ("x", "trajectory"))


def steps(values: np.ndarray) -> tuple[float, float]:
    """Return the median change from row to row, and from column to column."""
    with np.errstate(all="ignore"):
        down, right = (np.median(np.abs(np.diff(values, axis=axis))) for axis in (0, 1))
    return float(down), float(right)


def changes_less(first: float, second: float) -> bool:
    """Return whether one change is clearly the smaller one."""
    return first < second / _LESS


def told_by_values(stored: Stored, readings: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return those of the orders of axes that the values of an array speak for.

    Only samples of fields in one dimension are told, whichever comes first.
    """
    if set(readings) != set(_ORDERS) or min(stored.shape) < 2:
        return list(readings)
    down, right = steps(np.asarray(stored.load((_CORNER, _CORNER)), dtype=np.float64))
    if changes_less(right, down):
        return [_ORDERS[0]]
    return [_ORDERS[1]] if changes_less(down, right) else list(readings)
