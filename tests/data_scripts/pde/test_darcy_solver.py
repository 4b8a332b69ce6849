import itertools
import math

import numpy as np
import pytest

from data_scripts.pde.darcy_solver import (
    HIGH,
    LOW,
    face_coefficients,
    gaussian_field,
    solve,
    threshold,
)


def points(n):
    return np.meshgrid(np.arange(n + 1) / n, np.arange(n + 1) / n, indexing="ij")


def poisson_on_the_unit_square(x, y, n_terms=120):
    """-Laplace(u) = 1 with u = 0 on the boundary, as a double sine series."""
    odd = np.arange(1, n_terms, 2)
    k, m = np.meshgrid(odd, odd, indexing="ij")
    coefficients = 16 / (np.pi**4 * k * m * (k**2 + m**2))
    sin_x = np.sin(np.pi * odd * x[:, None])
    sin_y = np.sin(np.pi * odd * y[:, None])
    return sin_x @ coefficients @ sin_y.T


def test_a_constant_coefficient_gives_the_series_solution():
    n = 40
    axis = np.arange(n + 1) / n
    u = solve(np.full((n + 1, n + 1), 2.5))
    np.testing.assert_allclose(2.5 * u, poisson_on_the_unit_square(axis, axis), atol=1e-4)
    assert 2.5 * u[n // 2, n // 2] == pytest.approx(0.0736714, rel=1e-3)


def manufactured(n):
    """Return a smooth a, u = sin(pi x) sin(2 pi y), and f = -div(a grad u)."""
    x, y = points(n)
    pi = np.pi
    a = 1 + 0.5 * np.sin(2 * pi * x) * np.cos(pi * y)
    a_x = pi * np.cos(2 * pi * x) * np.cos(pi * y)
    a_y = -0.5 * pi * np.sin(2 * pi * x) * np.sin(pi * y)
    u = np.sin(pi * x) * np.sin(2 * pi * y)
    u_x = pi * np.cos(pi * x) * np.sin(2 * pi * y)
    u_y = 2 * pi * np.sin(pi * x) * np.cos(2 * pi * y)
    return a, u, -(a * (-5 * pi**2 * u) + a_x * u_x + a_y * u_y)


def test_the_error_of_a_smooth_problem_falls_with_the_square_of_the_spacing():
    errors = []
    for n in (12, 24, 48):
        a, u, f = manufactured(n)
        errors.append(np.abs(solve(a, f) - u).max())
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert min(orders) > 1.9
    assert errors[-1] < 5e-3


def test_layers_conduct_as_resistors_in_series():
    # a depends on x only; far from the ends in y the flux is that of the problem in one dimension.
    n = 33
    x, _ = points(n)
    a = np.where(x < 0.5, 12.0, 3.0)  # the jump lies in the middle between two points
    u = solve(a, np.where(np.abs(x - 0.25) < 0.1, 1.0, 0.0))
    faces, _ = face_coefficients(a)
    flux = -faces * np.diff(u, axis=0) * n
    jump = n // 2  # the face between the layers
    np.testing.assert_allclose(faces[jump], 2 * 12 * 3 / 15)
    assert (flux[jump] >= 0).all()


def test_energy_equals_work():
    n = 31
    a = threshold(gaussian_field((0, 1), n))
    u = solve(a)
    faces_x, faces_y = face_coefficients(a)
    energy = (faces_x * np.diff(u, axis=0) ** 2)[:, 1:-1].sum()
    energy += (faces_y * np.diff(u, axis=1) ** 2)[1:-1].sum()
    assert energy == pytest.approx(u.sum() / n**2, rel=1e-10)


@pytest.mark.parametrize("key", [(0, 0), (0, 3)])
def test_the_solution_lies_between_those_of_the_two_constants(key):
    n = 32
    u = solve(threshold(gaussian_field(key, n)))
    one = solve(np.ones((n + 1, n + 1)))
    assert one.mean() / HIGH < u.mean() < one.mean() / LOW
    assert (u[1:-1, 1:-1] > 0).all()
    for edge in (u[0], u[-1], u[:, 0], u[:, -1]):
        assert (edge == 0).all()


def test_symmetry_of_the_coefficient_is_symmetry_of_the_solution():
    a = threshold(gaussian_field((5,), 21))
    np.testing.assert_allclose(solve(a.T), solve(a).T, atol=1e-14)
    np.testing.assert_allclose(solve(a[::-1]), solve(a)[::-1], atol=1e-14)


def test_the_field_has_the_variances_of_the_formula_and_a_flat_boundary():
    n = 12
    fields = np.stack([gaussian_field((1, i), n) for i in range(2500)])
    x, y = points(n)
    k = np.arange(n)
    for i, j in ((0, 0), (3, 7)):
        modes = 2 * np.outer(np.cos(np.pi * k * x[i, j]) ** 2, np.cos(np.pi * k * y[i, j]) ** 2) * 2
        modes[0] /= 2
        modes[:, 0] /= 2
        modes[0, 0] = 0
        variance = (modes / (np.pi**2 * (k[:, None] ** 2 + k**2) + 9) ** 2).sum()
        assert fields[:, i, j].var() == pytest.approx(variance, rel=0.1)


def test_a_finer_grid_has_the_same_field_with_further_modes():
    coarse, fine = gaussian_field((2, 2), 32), gaussian_field((2, 2), 64)
    assert np.corrcoef(coarse.ravel(), fine[::2, ::2].ravel())[0, 1] > 0.99


def test_a_coefficient_that_is_not_positive_is_refused():
    a = np.ones((6, 6))
    a[2, 3] = 0
    with pytest.raises(ValueError, match="must be positive, got 0"):
        solve(a)
