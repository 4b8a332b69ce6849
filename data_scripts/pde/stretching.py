"""Points on (0, 1) that are refined towards both walls.

    x(s) = (1 + tanh(b (2 s - 1)) / tanh(b)) / 2,    0 <= s <= 1,    b > 0    (1)

s is the computational coordinate, in which the points are even. Neighbouring points are
x'(s) = b / (tanh(b) cosh(b (2 s - 1))^2) times as far from each other as even ones: 2.07 in the
middle and 0.15 at the walls for b = 2. b -> 0 is the uniform grid.
"""

import numpy as np
from jaxtyping import Float

# Beyond, neighbours at the walls fall together in the single precision of a file.
STRONGEST = 5.0


def stretched(s: Float[np.ndarray, " points"], b: float) -> Float[np.ndarray, " points"]:
    """Return x(s) of (1)."""
    return (1 + np.tanh(b * (2 * s - 1)) / np.tanh(b)) / 2
