"""Symmetries of the forced flow on the torus: new training trajectories for nothing."""

import torch
from jaxtyping import Float
from torch import Tensor


def random_symmetry(
    w: Float[Tensor, "*time n n"], generator: torch.Generator
) -> Float[Tensor, "*time n n"]:
    """Return a solution made from a solution w of the vorticity equation, at random.

    The forcing sin 2 pi (x + y) + cos 2 pi (x + y) of Li et al. 2021 (arXiv:2010.08895), hence the
    equation, is left alone by the 4 n maps that these generate on a grid of n points per axis:

        w(x, y) -> w(x - a, y + a),    a = i / n                  (1)
        w(x, y) -> -w(y - 1/4, x - 1/4)                           (2)
        w(x, y) -> w(1/8 - x, 1/8 - y)                            (3)

    Vorticity changes its sign under the reflection (2). Every frame is mapped alike.

    Args:
        w: vorticity, or any number of frames of it.
        generator: draws (1), and whether (2) and (3) are applied.

    Raises:
        ValueError: when n is not a multiple of 8, so that the shifts are not whole points.
    """
    n = w.shape[-1]
    if n % 8:
        raise ValueError(
            f"the grid must be a multiple of 8 for these symmetries, got {n}; set augment=false"
        )
    a, reflect, rotate = (int(torch.randint(high, (), generator=generator)) for high in (n, 2, 2))
    w = w.roll((a, -a), (-2, -1))  # (1)
    if reflect:
        w = -w.mT.roll((n // 4, n // 4), (-2, -1))  # (2)
    if rotate:
        w = w.flip(-2, -1).roll((1 + n // 8, 1 + n // 8), (-2, -1))  # (3)
    return w
