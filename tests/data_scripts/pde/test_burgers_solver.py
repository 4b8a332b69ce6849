import itertools
import math

import numpy as np
import pytest
import scipy.fft
import torch

from data_scripts.pde import burgers_solver
from data_scripts.pde.burgers_solver import (
    BurgersSolver,
    initial_dirichlet,
    initial_periodic,
    to_grid,
)

N = 1536


def cole_hopf(u0, viscosity, time):
    """u = -2 nu theta_x / theta with theta_t = nu theta_xx, in the Fourier basis of (0, 1)."""
    k = 2 * np.pi * np.fft.fftfreq(u0.shape[-1], 1 / u0.shape[-1])
    potential = np.zeros_like(u0, dtype=complex)
    potential[:, 1:] = np.fft.fft(u0)[:, 1:] / (1j * k[1:])
    theta_hat = np.fft.fft(np.exp(-np.fft.ifft(potential).real / (2 * viscosity)))
    theta_hat *= np.exp(-viscosity * k**2 * time)
    theta, theta_x = np.fft.ifft(theta_hat).real, np.fft.ifft(1j * k * theta_hat).real
    return -2 * viscosity * theta_x / theta


def cole_hopf_in_sines(b, viscosity, time, n):
    """The same on (0, 1) for u0 = sum_k b_k sin(pi k x): theta has cosines, u has sines."""
    k = np.pi * np.arange(n + 1)
    potential = np.zeros(n + 1)
    potential[1 : len(b) + 1] = -b / k[1 : len(b) + 1]  # of cos(pi k x)
    theta = np.exp(-scipy.fft.dct(np.r_[potential[0], potential[1:] / 2], 1) / (2 * viscosity))
    theta_hat = scipy.fft.idct(theta, 1) * np.exp(-viscosity * k**2 * time)
    sines = scipy.fft.dst((-k * theta_hat)[1:-1], 1)
    return -2 * viscosity * sines / scipy.fft.dct(theta_hat, 1)[1:-1]


def hopf_integral(u_hat, viscosity, time, x):
    """u(x, t) as the mean of (x - y) / t under exp(-G / 2 nu), without under- or overflow."""
    y = np.linspace(-2, 3, 5 * 8192, endpoint=False)
    k = 2 * np.pi * np.arange(len(u_hat))
    coefficients = np.r_[0, u_hat[1:] / (1j * k[1:])]
    one_period = np.fft.irfft(coefficients, n=8192, norm="forward")
    G = np.tile(one_period, 5) + (x[:, None] - y) ** 2 / (2 * time)
    weights = np.exp(-(G - G.min(axis=1, keepdims=True)) / (2 * viscosity))
    return (weights * (x[:, None] - y) / time).sum(1) / weights.sum(1)


def relative(found, expected):
    return np.linalg.norm(found - expected, axis=-1) / np.linalg.norm(expected, axis=-1)


@pytest.mark.parametrize("viscosity", [0.1, 0.03])
def test_random_fields_agree_with_cole_hopf(viscosity):
    u_hat = initial_periodic([(0, i) for i in range(3)], N // 2 - 1)
    expected = cole_hopf(to_grid(u_hat, N).numpy(), viscosity, 1.0)
    found = to_grid(BurgersSolver(256, viscosity).advance(u_hat, 1.0), N).numpy()
    assert relative(found, expected).max() < 1e-6


def test_a_shock_at_small_viscosity_agrees_with_the_hopf_integral():
    u_hat = initial_periodic([(7,)], 60)
    points = np.arange(0, 8192, 97)
    expected = hopf_integral(u_hat[0].numpy(), 1e-3, 0.5, points / 8192)
    solution = BurgersSolver(1024, 1e-3).advance(u_hat, 0.5)
    found = to_grid(solution, 8192)[0, points].numpy()
    assert relative(found, expected) < 1e-6


@pytest.mark.parametrize("viscosity", [0.1, 0.02])
def test_the_odd_extension_agrees_with_cole_hopf_in_the_sine_basis(viscosity):
    n = 1024
    u_hat = initial_dirichlet([(1, 5), (1, 6)], n - 1)
    b = -2 * u_hat.imag.numpy()[:, 1:]
    solution = BurgersSolver(512, viscosity, length=2.0).advance(u_hat, 1.0)
    found = to_grid(solution, 2 * n).numpy()
    for row, sines in zip(found, b, strict=True):
        assert relative(row[1:n], cole_hopf_in_sines(sines, viscosity, 1.0, n)) < 3e-7
    assert np.abs(found[:, [0, n]]).max() < 1e-14
    np.testing.assert_allclose(found[:, n + 1 :], -found[:, n - 1 : 0 : -1], atol=1e-14)


def test_the_error_falls_with_the_fourth_power_of_the_step(monkeypatch):
    # Few intervals, or whole numbers of steps in each would blur the order.
    monkeypatch.setattr(burgers_solver, "INTERVALS_PER_TIME_UNIT", 5)
    u_hat = initial_periodic([(3,)], 20)
    reference = BurgersSolver(96, 0.02, courant=0.05).advance(u_hat, 0.2)
    errors = [
        (BurgersSolver(96, 0.02, courant=c).advance(u_hat, 0.2) - reference).norm()
        for c in (1.6, 0.8, 0.4)
    ]
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert min(orders) > 3.5


def test_a_result_does_not_depend_on_its_batch_and_the_mean_stays_zero():
    u_hat = initial_periodic([(0, i) for i in range(4)], 50)
    u_hat[2] *= 3  # so that the fields need different numbers of steps
    solver = BurgersSolver(200, 0.05)
    together = solver.advance(u_hat, 0.3)
    for i in range(4):
        torch.testing.assert_close(solver.advance(u_hat[i : i + 1], 0.3)[0], together[i])
    assert together[:, 0].abs().max() == 0


def test_the_initial_fields_have_the_covariance_of_the_formula():
    keys = [(9, i) for i in range(3000)]
    k = np.arange(1, 12)
    periodic = initial_periodic(keys, 11)[:, 1:]
    expected = 625 / (4 * np.pi**2 * k**2 + 25) ** 2 * 0.5 * 2
    np.testing.assert_allclose(periodic.abs().square().mean(0), expected, rtol=0.1)
    sines = 2 * initial_dirichlet(keys, 11).imag[:, 1:]
    np.testing.assert_allclose(
        sines.square().mean(0), 2 * 625 / (np.pi**2 * k**2 + 25) ** 2, rtol=0.12
    )
    assert to_grid(initial_periodic(keys, 500), 1024).std().item() == pytest.approx(0.594, abs=0.01)


@pytest.mark.parametrize("draw", [initial_periodic, initial_dirichlet])
def test_more_modes_leave_the_first_ones_as_they_are(draw):
    torch.testing.assert_close(draw([(4, 2)], 30)[:, :14], draw([(4, 2)], 13))
