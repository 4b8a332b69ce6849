"""Conjugate gradients for the normal equations, differentiable by running through its steps."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Complex
from torch import Tensor

from mri.physics.encoding import power_of_two

# a mistyped number would run for days; single precision is reached long before
MOST_ITERATIONS = 10_000


def conjugate_gradient(
    normal: Callable[[Tensor], Tensor],
    b: Complex[Tensor, "*batch h w"],
    lamda: float | Tensor,
    n_iterations: int,
    start: Complex[Tensor, "*batch h w"] | None = None,
) -> Complex[Tensor, "*batch h w"]:
    """Solve (N + lambda I) x = b, one system per image, with N = A^H A.

        r = b - (N + lambda I) x,  p = r                        (1)
        alpha = <r, r> / <p, (N + lambda I) p>                  (2)
        x <- x + alpha p,  r <- r - alpha (N + lambda I) p      (3)
        beta = <r_new, r_new> / <r, r>,  p <- r + beta p        (4)

    (Hestenes and Stiefel 1952; for SENSE: Pruessmann et al. 2001.) A system whose residual has
    reached rounding level is left where it is, so a right-hand side of zero returns zero.

    Args:
        normal: applies N to (*batch, h, w) images; Hermitian and positive semi-definite.
        b: right-hand sides, in image units.
        lamda: Tikhonov weight, not negative, dimensionless.
        n_iterations: number of steps.
        start: first guess; zero when not given.

    Raises:
        ValueError: if `n_iterations` is not from 1 to `MOST_ITERATIONS`, or a number `lamda` is
            negative or not finite.
    """
    check_iterations(n_iterations)
    if not isinstance(lamda, Tensor) and not 0 <= lamda < math.inf:
        raise ValueError(
            f"lamda must be a number and not negative, got {lamda}; 1e-3 to 1e-1 is usual"
        )
    unit = power_of_two(b, (-2, -1))  # energies of any unit then have digits
    b = b / unit
    x = torch.zeros_like(b) if start is None else start / unit
    r = b if start is None else b - (normal(x) + lamda * x)  # (1)
    p = r
    rr = _energy(r)
    floor = _energy(b) * (4 * torch.finfo(rr.dtype).eps) ** 2
    for _ in range(n_iterations):
        n_p = normal(p) + lamda * p
        alpha = _ratio(rr, _inner(p, n_p), rr > floor)  # (2)
        x = x + alpha * p  # (3)
        r = r - alpha * n_p
        rr_new = _energy(r)
        p = r + _ratio(rr_new, rr, rr > floor) * p  # (4)
        rr = rr_new
    return unit * x


def check_iterations(n_iterations: int) -> None:
    """Check a number of iterations, before any is made.

    Raises:
        ValueError: if it is not from 1 to `MOST_ITERATIONS`.
    """
    if not 1 <= n_iterations <= MOST_ITERATIONS:
        raise ValueError(
            f"n_iterations must be from 1 to {MOST_ITERATIONS}, got {n_iterations}; 10 to 100 are "
            "usual"
        )


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Real part of <a, b> per image, kept as (*batch, 1, 1)."""
    return (a.real * b.real + a.imag * b.imag).sum((-2, -1), keepdim=True)


def _energy(a: Tensor) -> Tensor:
    return _inner(a, a)


def _ratio(numerator: Tensor, denominator: Tensor, active: Tensor) -> Tensor:
    """Return numerator / denominator where the system is active, 0 elsewhere, without 0 / 0."""
    active = active & (denominator > 0)
    return torch.where(active, numerator / torch.where(active, denominator, 1.0), 0.0)
