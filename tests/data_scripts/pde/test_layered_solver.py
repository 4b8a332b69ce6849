"""Normal modes of layers against transfer matrices, travelling waves and finite differences."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from data_scripts.pde.layered_solver import Medium, NormalModes

UNIFORM = Medium(np.array([0.0, 0.3, 1.0]), np.array([0.49, 0.49]))


def wall_condition(medium, omega, wavenumber=0.0):
    """u(1) for u(0) = 0 and c^2 u'(0) = 1, by the exact solution of every layer."""
    transfer = np.eye(2)
    for h, c2 in zip(medium.widths, medium.squared_speeds, strict=True):
        q = complex(omega**2 / c2 - wavenumber**2) ** 0.5
        s, c = np.sin(q * h) / q, np.cos(q * h)
        transfer = np.array([[c, s / c2], [-c2 * q * q * s, c]]).real @ transfer
    return transfer[0, 1]


@pytest.mark.parametrize("wavenumber", [0.0, 20.0])
@pytest.mark.parametrize(("seed", "n_layers", "contrast"), [(0, 1, 1.0), (1, 5, 3.0), (2, 12, 30)])
def test_frequencies_are_roots_of_the_wall_condition(seed, n_layers, contrast, wavenumber):
    medium = Medium.random(seed, n_layers, contrast)
    found = NormalModes(medium, 40, wavenumber).frequencies
    exact = [
        brentq(lambda x: wall_condition(medium, x, wavenumber), w * (1 - 1e-7), w * (1 + 1e-7))
        for w in found
    ]
    np.testing.assert_allclose(found, exact, rtol=1e-9)


def test_no_mode_is_missing():
    """Between two neighbouring frequencies the wall condition changes its sign no further."""
    medium = Medium.random(1, 5, 3.0)
    found = NormalModes(medium, 20).frequencies
    fine = np.linspace(0.1, found[-1] + 0.1, 20001)
    values = np.array([wall_condition(medium, w) for w in fine])
    assert (values[1:] * values[:-1] < 0).sum() == len(found)


def test_modes_are_orthonormal_and_vanish_at_the_walls():
    medium = Medium.random(3, 7, 5.0)
    modes = NormalModes(medium, 30)
    nodes, weights = np.polynomial.legendre.leggauss(80)
    z = [
        a + (b - a) * (1 + nodes) / 2
        for a, b in zip(medium.edges[:-1], medium.edges[1:], strict=True)
    ]
    values = modes.at(np.concatenate(z))
    weights = np.concatenate([h * weights / 2 for h in medium.widths])
    np.testing.assert_allclose((values * weights[:, None]).T @ values, np.eye(30), atol=1e-9)
    np.testing.assert_array_equal(modes.at(np.array([0.0, 1.0])), 0)
    np.testing.assert_allclose(modes.at(modes.points) @ np.eye(30), modes.at(modes.points))


def test_one_speed_has_sines():
    modes = NormalModes(UNIFORM, 15)
    k, z = np.arange(1, 16), np.linspace(0, 1, 101)
    np.testing.assert_allclose(modes.frequencies, 0.7 * math.pi * k, rtol=1e-11)
    sines = math.sqrt(2) * np.sin(math.pi * np.outer(z, k))
    np.testing.assert_allclose(np.abs(modes.at(z)), np.abs(sines), atol=1e-9)


def test_a_pulse_travels_both_ways_and_turns_round_at_the_wall():
    def pulse(z):
        return np.exp(-0.5 * ((z - 0.4) / 0.04) ** 2)

    modes, z, t = NormalModes(UNIFORM, 80), np.linspace(0, 1, 201), 1.1
    later = (
        modes.coefficients(pulse(modes.points)[None]) * np.cos(modes.frequencies * t)
    ) @ modes.at(z).T
    images = [(shift, sign) for shift in (-2, 0, 2) for sign in (1, -1)]
    exact = sum(
        0.5 * sign * pulse(sign * (z + way * 0.7 * t) + shift)
        for shift, sign in images
        for way in (-1, 1)
    )
    np.testing.assert_allclose(later[0], exact, atol=1e-8)


def finite_differences(medium, u, t):
    """Leap-frog on cells whose faces are the points of u."""
    n = len(u) - 1
    c2 = medium.squared_speed_at((np.arange(n) + 0.5) / n)
    n_steps = math.ceil(t * n * math.sqrt(c2.max()) / 0.5)
    dt = t / n_steps

    def force(v):
        return np.pad(np.diff(c2 * np.diff(v)) * n * n, 1)

    before, now = u, u + 0.5 * dt**2 * force(u)
    for _ in range(n_steps - 1):
        before, now = now, 2 * now - before + dt**2 * force(now)
    return now


def test_layers_agree_with_finite_differences():
    medium = Medium(np.array([0.0, 0.25, 0.5, 1.0]), np.array([1.0, 0.3, 2.0]))
    modes, t = NormalModes(medium, 200), 0.7
    start = NormalModes.at(modes, modes.points)[:, :6] @ [1.0, -0.5, 0.3, 0.2, 0.4, -0.1]
    errors = []
    for n in (400, 800):
        z = np.arange(n + 1) / n
        u = modes.at(z)[:, :6] @ [1.0, -0.5, 0.3, 0.2, 0.4, -0.1]
        later = (modes.coefficients(start[None]) * np.cos(modes.frequencies * t)) @ modes.at(z).T
        errors.append(np.abs(later[0] - finite_differences(medium, u, t)).max())
    assert errors[1] < errors[0] / 3.5 < 2e-3


def test_a_medium_is_its_seed():
    medium = Medium.random(7, 12, 4.0)
    assert medium.edges[0] == 0
    assert medium.edges[-1] == 1
    assert medium.widths.min() >= 0.25 / 12
    assert 1 < medium.squared_speeds.max() / medium.squared_speeds.min() <= 4
    np.testing.assert_array_equal(medium.edges, Medium.random(7, 12, 4.0).edges)
    assert (medium.edges != Medium.random(8, 12, 4.0).edges).any()
    z = np.array([0.0, medium.edges[3], 1.0])
    np.testing.assert_array_equal(medium.squared_speed_at(z), medium.squared_speeds[[0, 3, 11]])
