"""Darcy flow on the unit square with Dirichlet conditions, by finite volumes.

    -div(a grad u) = f in (0, 1)^2,    u = 0 on the boundary    (1)

Points are (i / N, j / N), i, j = 0 ... N, boundary included; all quantities are dimensionless.
"""

import math

import numpy as np
import scipy.fft
import scipy.sparse
import scipy.sparse.linalg
from jaxtyping import Bool, Float

HIGH, LOW = 12.0, 3.0


def solve(
    a: Float[np.ndarray, "points points"], f: float | Float[np.ndarray, "points points"] = 1.0
) -> Float[np.ndarray, "points points"]:
    """Return the solution u of (1).

    Every interior point P is the centre of a square of side h = 1 / N in which a is constant, and
    the flux through the face between two squares is that of two resistors in series (Patankar
    1980, Numerical Heat Transfer and Fluid Flow, section 4.2):

        sum_Q a_PQ (u_P - u_Q) = h^2 f_P,    a_PQ = 2 a_P a_Q / (a_P + a_Q)    (2)

    over the four neighbours Q. The matrix is symmetric and positive definite; it is factorised
    directly. The error is of order h^2 for a smooth coefficient.

    Args:
        a: coefficient at all points, positive.
        f: right-hand side, one number or its values at all points.

    Raises:
        ValueError: the coefficient is not positive everywhere.
    """
    if not (a > 0).all():
        raise ValueError(f"the coefficient must be positive, got {a.min()} as its smallest value")
    n_intervals = len(a) - 1
    right = np.broadcast_to(f, a.shape)[1:-1, 1:-1].ravel() / n_intervals**2
    factors = scipy.sparse.linalg.splu(
        _matrix(a),
        permc_spec="MMD_AT_PLUS_A",  # with the next two: an ordering for symmetric matrices
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    u = np.zeros_like(a)
    u[1:-1, 1:-1] = factors.solve(right).reshape(n_intervals - 1, n_intervals - 1)
    return u


def face_coefficients(
    a: Float[np.ndarray, "points points"],
) -> tuple[Float[np.ndarray, "intervals points"], Float[np.ndarray, "points intervals"]]:
    """Return a_PQ of (2) between neighbours in x and between neighbours in y."""
    x = 2 * a[1:] * a[:-1] / (a[1:] + a[:-1])
    y = 2 * a[:, 1:] * a[:, :-1] / (a[:, 1:] + a[:, :-1])
    return x, y


def _matrix(a: np.ndarray) -> scipy.sparse.csc_matrix:
    """Return the matrix of (2) for the interior points in row-major order."""
    x, y = face_coefficients(a)
    x, y = x[:, 1:-1], y[1:-1]  # faces that touch an interior point
    diagonal = x[1:] + x[:-1] + y[:, 1:] + y[:, :-1]
    number = np.arange(diagonal.size).reshape(diagonal.shape)
    entries = [
        (number, number, diagonal),
        (number[1:], number[:-1], -x[1:-1]),
        (number[:-1], number[1:], -x[1:-1]),
        (number[:, 1:], number[:, :-1], -y[:, 1:-1]),
        (number[:, :-1], number[:, 1:], -y[:, 1:-1]),
    ]
    rows, columns, values = (
        np.concatenate([entry[i].ravel() for entry in entries]) for i in range(3)
    )
    return scipy.sparse.csc_matrix((values, (rows, columns)), shape=(diagonal.size,) * 2)


def gaussian_field(key: tuple[int, ...], n_intervals: int) -> Float[np.ndarray, "points points"]:
    """Draw one field from N(0, (-Laplace + 9)^-2) with Neumann conditions, without a mean.

        g(x, y) = sum_{0 <= k, l < N, (k, l) != (0, 0)} c_k c_l xi_kl cos(pi k x) cos(pi l y)
                                                        / (pi^2 (k^2 + l^2) + 9)

    with c_0 = 1, else sqrt(2), and xi independent standard normal; the mean is left out as in the
    code of Li et al. 2021 (arXiv:2010.08895). Modes are drawn in the order of max(k, l), so that a
    key names a field, to which a finer grid adds modes.

    Args:
        key: non-negative integers, such as (seed, split, number).
        n_intervals: N.
    """
    k, l = np.indices((n_intervals, n_intervals)).reshape(2, -1)  # noqa: E741  # letters of above
    order = np.lexsort((l, k, np.maximum(k, l)))
    k, l = k[order][1:], l[order][1:]  # noqa: E741
    c_k, c_l = (np.where(index > 0, math.sqrt(2), 1.0) for index in (k, l))
    xi = np.random.default_rng(key).standard_normal(len(k))
    coefficients = np.zeros((n_intervals + 1, n_intervals + 1))
    # scipy's DCT-I counts every mode but the first and the last twice.
    doubled = np.where(k > 0, 2, 1) * np.where(l > 0, 2, 1)
    coefficients[k, l] = c_k * c_l * xi / (np.pi**2 * (k**2 + l**2) + 9) / doubled
    return scipy.fft.dctn(coefficients, type=1)


def threshold(field: Float[np.ndarray, "points points"]) -> Float[np.ndarray, "points points"]:
    """Return the coefficient: 12 where the field is positive, 3 elsewhere."""
    positive: Bool[np.ndarray, "points points"] = field > 0
    return np.where(positive, HIGH, LOW)
