"""Which points of a stored grid are those of a coarser one."""

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Float


def thin(n_points: int, grid: int, *, periodic: bool) -> slice:
    """Return the points of an axis of n_points that make up a grid of `grid` points.

    A periodic axis has its points at i / n_points, and every (n_points / grid)-th is taken. Any
    other has them at i / N, i = 0 ... N = n_points - 1, both ends included. Of these are taken

        the centres (i + 1/2) / grid of `grid` equal cells       when 2 grid divides N    (1)
        `grid` equidistant points, both ends among them          when grid - 1 divides N  (2)

    The first choice is the grid on which a cosine or sine transform of type II is at home. As many
    points as there are stand for themselves, wherever they lie.

    Raises:
        ValueError: the grid cannot be had from these points.
    """
    if grid == n_points:
        return slice(None)
    n_intervals = n_points - 1
    if periodic:
        if n_points % grid == 0:
            return slice(None, None, n_points // grid)
        remedy = f"a divisor of {n_points}"
    else:
        if n_intervals % (2 * grid) == 0:  # (1)
            stride = n_intervals // grid
            return slice(stride // 2, None, stride)
        if grid > 1 and n_intervals % (grid - 1) == 0:  # (2)
            return slice(None, None, n_intervals // (grid - 1))
        centres = f"a divisor of {n_intervals // 2}, " if n_intervals % 2 == 0 else ""
        remedy = f"{centres}a divisor of {n_intervals} plus 1, or {n_points}"
    raise ValueError(f"{n_points} points cannot be thinned out to {grid}; set grid to {remedy}")


def thin_own(n_points: int, grid: int, *, periodic: bool) -> slice:
    """Return as `thin` does; a periodic axis may end with a point that repeats the first.

    Raises:
        ValueError: the grid cannot be had from these points.
    """
    if periodic and n_points % grid and (n_points - 1) % grid == 0:
        return slice(0, n_points - 1, (n_points - 1) // grid)
    return thin(n_points, grid, periodic=periodic)


def thinned(points: Float[np.ndarray, " stored"]) -> Callable[[int], Float[np.ndarray, " n"]]:
    """Return what gives, of the stored points from wall to wall, those of a grid of n.

    What is returned raises as `thin`.
    """
    return partial(_thinned, points)


def _thinned(points: Float[np.ndarray, " stored"], n: int) -> Float[np.ndarray, " n"]:
    return points[thin(len(points), n, periodic=False)]
