"""Points between two walls that crowd near both: maps of the computational coordinate s.

In 0 <= s <= 1 the points are even, with both ends of it the walls.

    y(s) = (1 - cos pi s) / 2                                                             (1)
    x(s) = (1 + tanh(b (2 s - 1)) / tanh(b)) / 2,    b > 0                                (2)

With s = j / n, j = 0 ... n, (1) has the Gauss-Lobatto points of Chebyshev polynomials in 2 y - 1,
walls included; with the cell centres s = (i + 1/2) / n its Gauss points, on which a DCT-II along s
is the Chebyshev transform.

Neighbouring points of (2) are x'(s) = b / (tanh(b) cosh(b (2 s - 1))^2) times as far from each
other as even ones: 2.07 in the middle and 0.15 at the walls for b = 2. b -> 0 is the uniform grid.
"""

import numpy as np
from jaxtyping import Float

# b beyond which neighbours at the walls fall together in the single precision of a file.
STRONGEST = 5.0


def chebyshev(s: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """Return y(s) of (1)."""
    return (1 - np.cos(np.pi * s)) / 2


def stretched(s: Float[np.ndarray, " points"], b: float) -> Float[np.ndarray, " points"]:
    """Return x(s) of (2)."""
    return (1 + np.tanh(b * (2 * s - 1)) / np.tanh(b)) / 2
