"""Points between two walls that crowd near both, as boundary layers need them.

    y = (1 - cos pi s) / 2,    0 <= s <= 1                                                (1)

With s = j / n, j = 0 ... n, these are the Gauss-Lobatto points of Chebyshev polynomials in 2 y - 1,
walls included; with the cell centres s = (i + 1/2) / n they are its Gauss points, on which a DCT-II
along s is the Chebyshev transform.
"""

import numpy as np
from jaxtyping import Float


def to_width(s: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """Return y of (1), from 0 at one wall to 1 at the other."""
    return (1 - np.cos(np.pi * s)) / 2


def from_width(y: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """Return s of (1), where equidistant points are; NaN beyond the walls."""
    inside = np.where((y >= 0) & (y <= 1), y, np.nan)
    return 2 / np.pi * np.arcsin(np.sqrt(inside))
