"""Stokes modes against the exact condition for them, and the laws of the walls."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import brentq

from data_scripts.pde.stokes_modes import StokesModes, gauss_points


def exact_rates(k, n):
    """mu = k^2 + q^2 where a combination of cosh k z and cos q z, or sinh and sin, is clamped."""
    t = math.tanh(k / 2)

    def even(q):
        return k * t * math.cos(q / 2) + q * math.sin(q / 2)

    def odd(q):
        return k * math.sin(q / 2) - q * t * math.cos(q / 2)

    # the even and the odd modes take turns
    edges = np.linspace(0.1, (n + 2) * math.pi, 40 * n)
    signs = [
        (f, a, b) for a, b in itertools.pairwise(edges) for f in (even, odd) if f(a) * f(b) < 0
    ]
    return k**2 + np.array([brentq(f, a, b, xtol=1e-14) for f, a, b in signs])[:n] ** 2


@pytest.mark.parametrize("k", [0.3, 2 * math.pi, 31.0])
def test_rates_are_roots_of_the_wall_condition_and_none_is_missing(k):
    modes = StokesModes([k], 37)
    np.testing.assert_allclose(modes.rates[0, :14], exact_rates(k, 14), rtol=1e-9)
    np.testing.assert_allclose(modes.rates[0, :18], exact_rates(k, 18), rtol=1e-5)
    assert (np.diff(modes.rates[0]) > 0).all()


def test_without_waves_the_modes_are_sines():
    modes, j, y = StokesModes([0.0], 30), np.arange(1, 10), np.linspace(0, 1, 17)
    np.testing.assert_allclose(modes.rates[0, :9], (math.pi * j) ** 2, rtol=1e-12)
    u, v, w = (profile[0, :, :9] for profile in modes.profiles(y))
    np.testing.assert_allclose(u, math.sqrt(2) * np.sin(math.pi * np.outer(y, j)), atol=1e-9)
    np.testing.assert_array_equal(v, 0)
    slopes = math.sqrt(2) * math.pi * j * np.cos(math.pi * np.outer(y, j))
    np.testing.assert_allclose(w, -slopes, atol=1e-6)


def test_modes_are_orthonormal_in_energy_and_viscosity_is_diagonal():
    modes = StokesModes([0.0, 2.0, 19.0], 23)
    y, weights = gauss_points(30)
    for i, k in enumerate(modes.wavenumbers):
        u, v, w = (profile[i] for profile in modes.profiles(y))
        energy = (u.T * weights) @ u + (v.T * weights) @ v
        np.testing.assert_allclose(energy, np.eye(23), atol=1e-9)
        # |grad u|^2 and w^2 have the same integral between walls at rest
        dissipation = (w.T * weights) @ w / np.sqrt(np.outer(modes.rates[i], modes.rates[i]))
        np.testing.assert_allclose(dissipation, np.eye(23), atol=1e-8, err_msg=f"k = {k}")


def test_flow_sticks_to_the_walls_and_keeps_its_volume():
    modes = StokesModes([0.0, 3.0, 40.0], 21)
    at_walls = modes.profiles(np.array([0.0, 1.0]))
    largest = modes.profiles(np.linspace(0, 1, 50)).u.max()
    assert np.abs(at_walls.u).max() < 1e-11 * largest
    assert np.abs(at_walls.v).max() < 1e-11 * largest
    assert (at_walls.w[:, 0] < 0).all()
    nodes = np.cos(np.pi * np.arange(26) / 25)
    u, v, w = modes.profiles((1 + nodes) / 2)
    slope = np.polynomial.chebyshev.chebder(np.eye(26), scl=2.0, axis=0)
    D = np.polynomial.chebyshev.chebvander(nodes, 24) @ slope
    D = D @ np.linalg.inv(np.polynomial.chebyshev.chebvander(nodes, 25))
    k = np.array(modes.wavenumbers)[:, None, None]
    # with v = -i times its profile: i k u + v_y = 0 and w = i k v - u_y
    np.testing.assert_allclose(D @ v, k * u, atol=1e-7 * largest)
    np.testing.assert_allclose(w, k * v - D @ u, atol=1e-7 * np.abs(w).max())
