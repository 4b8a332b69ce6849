"""Symmetries of the forced flow on the torus: new training trajectories for nothing."""

import torch
from jaxtyping import Float
from torch import Tensor


def random_symmetry(
    w: Float[Tensor, "*time x y"], generator: torch.Generator
) -> Float[Tensor, "*time x y"]:
    """Return a solution made from a solution w of the vorticity equation, at random.

    The forcing sin 2 pi (x + y) + cos 2 pi (x + y) of Li et al. 2021 (arXiv:2010.08895), hence the
    equation, is left alone by the 4 n maps that these generate on a grid of n points per axis:

        w(x, y) -> w(x - a, y + a),    a = i / n                  (1)
        w(x, y) -> -w(y - 1/4, x - 1/4)                           (2)
        w(x, y) -> w(1/8 - x, 1/8 - y)                            (3)

    Vorticity changes its sign under the reflection (2). Every frame is mapped alike.

    Args:
        w: vorticity on n x n points, or any number of frames of it.
        generator: draws (1), and whether (2) and (3) are applied.

    Raises:
        ValueError: the grid is not square, or n no multiple of 8: shifts are not whole points.
    """
    *_, n_x, n = w.shape
    if n % 8 or n_x != n:
        raise ValueError(
            "the grid must be square and a multiple of 8 for these symmetries, got "
            f"{n_x} x {n}; set augment=false"
        )
    a, reflect, rotate = (int(torch.randint(high, (), generator=generator)) for high in (n, 2, 2))
    w = w.roll((a, -a), (-2, -1))  # (1)
    if reflect:
        w = -w.mT.roll((n // 4, n // 4), (-2, -1))  # (2)
    if rotate:
        w = w.flip(-2, -1).roll((1 + n // 8, 1 + n // 8), (-2, -1))  # (3)
    return w
