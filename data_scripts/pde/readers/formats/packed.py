"""Numbers that a file keeps packed, by the conventions of netCDF (CF 1.11, 2.5 and 8.1)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

_SCALE, _OFFSET = "scale_factor", "add_offset"
_MISSING = ("_FillValue", "missing_value")


@dataclass(frozen=True)
class Packing:
    """How stored numbers become values.

        value = scale * stored + offset, and NaN where stored is one of `missing`

    Attributes:
        scale, offset: None where the file has none.
        missing: numbers that stand for no value.
    """

    scale: float | None = None
    offset: float | None = None
    missing: tuple[float, ...] = ()

    def dtype(self, stored: np.dtype) -> np.dtype:
        """Return the type of the values of stored numbers of a type."""
        are_changed = self.missing or self.scale is not None or self.offset is not None
        return np.dtype(np.float64) if are_changed and stored.kind != "f" else stored

    def unpack(self, stored: np.ndarray) -> np.ndarray:
        """Return the values of stored numbers."""
        values = stored.astype(self.dtype(stored.dtype))
        if self.scale is not None:
            values *= self.scale
        if self.offset is not None:
            values += self.offset
        for number in self.missing:
            values[stored == number] = np.nan
        return values


def packing(attributes: Mapping[str, Any]) -> Packing | None:
    """Return how the numbers of an array with these attributes are packed, None if they are not."""
    missing = [number for key in _MISSING for number in _numbers(attributes, key)]
    found = Packing(
        next(iter(_numbers(attributes, _SCALE)), None),
        next(iter(_numbers(attributes, _OFFSET)), None),
        tuple(number for number in missing if not np.isnan(number)),
    )
    return None if found == Packing() else found


def unpacked(
    load: Callable[[tuple[slice, ...]], np.ndarray], how: Packing | None
) -> Callable[[tuple[slice, ...]], np.ndarray]:
    """Return what loads values, given what loads the stored numbers."""
    return load if how is None else lambda index: how.unpack(load(index))


def _numbers(attributes: Mapping[str, Any], key: str) -> list[float]:
    """Return the numbers of an attribute, none where it is missing or no number."""
    array = np.asarray(attributes[key]) if key in attributes else np.empty(0)
    return [float(number) for number in array.ravel()] if array.dtype.kind in "iuf" else []
