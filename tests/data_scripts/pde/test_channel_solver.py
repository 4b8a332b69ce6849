"""Channel flow against Orr-Sommerfeld, analytic decay, its energy, and finer runs."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import torch
from numpy.polynomial import chebyshev

from data_scripts.pde.channel_solver import (
    ChannelSolver,
    initial_perturbation,
    initial_size,
    mean_square_speed,
)
from data_scripts.pde.stokes_modes import gauss_points


def draw(solver, n=2, **options):
    keys = [(3, 0, i) for i in range(n)]
    options = {"correlation_length": 0.2, "speed": 0.5, **options}
    return solver.poiseuille + initial_perturbation(keys, solver, **options)


def relative_l2(a, b):
    return float(torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b))


def shared(a, other):
    """Return the coefficients that both have; modes are the same where they are converged."""
    waves, modes = min(len(a), len(other)), min(a.shape[1], other.shape[1])
    return a[:waves, :modes], other[:waves, :modes]


def on_grid(solver, a, n=20):
    y = (1 - np.cos(np.pi * (np.arange(n) + 0.5) / n)) / 2
    return solver.vorticity(a, solver.length * np.arange(n) / n, y)


def orr_sommerfeld(alpha, reynolds, n=80):
    """Return the speed c of the most unstable wave on U = 1 - z^2, and the Chebyshev series phi.

    Chebyshev collocation of (U - c)(D^2 - alpha^2) phi - U'' phi =
    (D^2 - alpha^2)^2 phi / (i alpha reynolds), with phi = (1 - z^2)^2 times a polynomial.
    """
    z = np.cos(np.pi * (np.arange(n) + 0.5) / n)
    clamp = chebyshev.poly2cheb([1, 0, -2, 0, 1])
    basis = np.zeros((n + 4, n))
    for j in range(n):
        basis[: j + 5, j] = chebyshev.chebmul(clamp, np.eye(n)[j, : j + 1])
    D0, D2, D4 = (chebyshev.chebval(z, chebyshev.chebder(basis, m)).T for m in (0, 2, 4))
    laplacian = D2 - alpha**2 * D0
    twice = D4 - 2 * alpha**2 * D2 + alpha**4 * D0
    A = (1 - z**2)[:, None] * laplacian + 2 * D0 - twice / (1j * alpha * reynolds)
    speeds, vectors = scipy.linalg.eig(A, laplacian)
    # collocation has some speeds of its own, which are far beyond any of the flow
    found = np.argmax(np.where(np.abs(speeds) < 2, speeds.imag, -np.inf))
    return speeds[found], basis @ vectors[:, found]


def test_a_small_wave_on_poiseuille_flow_grows_as_orr_sommerfeld_say():
    """At Re = 10000, alpha = 1 (Orszag 1971, J. Fluid Mech. 50, 689).

    His lengths are half widths, of which this channel is 2 wide and 2 pi long.
    """
    c, phi = orr_sommerfeld(1.0, 10000.0)
    assert c == pytest.approx(0.23752649 + 0.00373967j, abs=1e-8)
    solver = ChannelSolver(1, 64, 0.5 / 10000, length=math.pi)
    y, weights = gauss_points(90)
    u, v, _ = solver.modes.profiles(y)
    z = 2 * y - 1
    # u = phi' and v = -i k phi, with two half widths to a width and k = 2
    u_wave, v_wave = (2 * chebyshev.chebval(z, series) for series in (chebyshev.chebder(phi), phi))
    wave = (u_wave * weights) @ u[1] + (v_wave * weights) @ v[1]
    a = solver.poiseuille
    a[1, :, 0] = torch.from_numpy(1e-7 * wave / np.linalg.norm(wave))
    later = solver.advance(a, 1.5, n_steps=150)
    grown = np.vdot(a[1, :, 0].numpy(), later[1, :, 0].numpy()) / 1e-14
    assert 1j * np.log(grown) / (2 * 1.5) == pytest.approx(c, abs=1e-6)
    turned = torch.from_numpy(np.array(np.exp(-2j * 1.5 * c)))
    assert relative_l2(later[1], turned * a[1]) < 1e-5


def test_flow_along_the_walls_alone_decays_exactly():
    """At rest at first, the flow becomes Poiseuille's by a series of sines."""
    solver, t = ChannelSolver(2, 19, 0.05), 0.7
    a = torch.zeros(3, 19, 2, dtype=torch.complex128)
    a[:, :, 1:] = solver.poiseuille
    a[0, 1, 1] += 0.3
    later = solver.advance(a, t, n_steps=60)
    y = np.linspace(0, 1, 11)
    j = np.arange(1, 40, 2)
    fading = 32 / (math.pi * j) ** 3 * np.exp(-solver.viscosity * (math.pi * j) ** 2 * t)
    u = torch.from_numpy(solver.modes.profiles(y).u[0]) @ later[0].real
    starting = 4 * y * (1 - y) - np.sin(math.pi * np.outer(y, j)) @ fading
    np.testing.assert_allclose(u[:, 0], starting, atol=1e-8)
    second = math.exp(-solver.viscosity * (2 * math.pi) ** 2 * t)
    second *= 0.3 * math.sqrt(2) * np.sin(2 * math.pi * y)
    np.testing.assert_allclose(u[:, 1], 4 * y * (1 - y) + second, atol=1e-10)
    w = solver.vorticity(later[:, :, 1:], np.array([0.2]), np.array([0.0, 1.0]))[0, 0]
    shear = 0.6 * math.sqrt(2) * math.pi * math.exp(-0.05 * 0.7 * (2 * math.pi) ** 2)
    np.testing.assert_allclose(w, [-4 - shear, 4 - shear], rtol=1e-7)


def test_at_small_reynolds_numbers_a_flow_decays_by_the_rates_of_its_modes():
    viscosity, t = 100.0, 1e-4  # in this time the flow gets 1e-4 widths far
    solver = ChannelSolver(5, 24, viscosity)
    a = draw(solver) - solver.poiseuille
    later = solver.advance(a + solver.poiseuille, t, n_steps=2) - solver.poiseuille
    decay = torch.from_numpy(np.exp(-viscosity * t * solver.modes.rates))
    for k in range(3):
        assert float(decay[k, 0]) < 0.95
        assert relative_l2(later[k], decay[k, :, None] * a[k]) < 3e-3


def test_tendency_is_the_projection_of_minus_u_grad_u():
    """In rotational form with exact integrals, against the convective form on another grid."""
    solver = ChannelSolver(4, 13, 0.02, length=1.7)
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(5, 13, 2, dtype=torch.complex128, generator=generator)
    a[0].imag = 0
    y, weights = gauss_points(31)
    n_x, k = 16, np.array(solver.modes.wavenumbers)
    x = solver.length * np.arange(n_x) / n_x
    waves = np.exp(1j * np.outer(x, k))
    twice = np.where(k > 0, 2.0, 1.0)

    def field(profile, factor=1.0):
        hat = (factor * twice)[:, None, None] * (profile @ a.numpy())
        return np.einsum("xk,kyb->xyb", waves, hat).real

    u_hat, v_hat, w_hat = solver.modes.profiles(y)
    u, v = field(u_hat), field(v_hat, -1j)
    u_x, v_x, w = field(u_hat, 1j * k), field(v_hat, k), field(w_hat)
    np.testing.assert_allclose(solver.vorticity(a, x, y), w.transpose(2, 0, 1), atol=1e-10)
    u_y, v_y = v_x - w, -u_x
    along, across = -(u * u_x + v * u_y) + 8 * solver.viscosity, -(u * v_x + v * v_y)
    back = waves.conj().T / n_x
    expected = np.einsum("kyj,kx,xyb,y->kjb", u_hat, back, along, weights)
    expected = expected + np.einsum("kyj,kx,xyb,y->kjb", 1j * v_hat, back, across, weights)
    np.testing.assert_allclose(solver.tendency(a), expected, atol=1e-12 * np.abs(expected).max())


def test_energy_changes_by_dissipation_and_the_work_of_the_pressure_alone():
    solver = ChannelSolver(8, 24, 2e-3)
    a = draw(solver, speed=1.0)
    rates = torch.from_numpy(solver.modes.rates)[:, :, None]

    def budget(a):
        dissipation = solver.viscosity * mean_square_speed(a * rates.sqrt())
        work = (a[0].conj() * solver.poiseuille[0] * rates[0]).sum(0).real * solver.viscosity
        return work - dissipation

    conserved = solver.tendency(a) - solver.poiseuille * rates * solver.viscosity
    conserved[1:] *= 2
    made = (a.conj() * conserved).sum(dim=(0, 1)).real
    assert float(made.abs().max()) < 1e-12 * float((a.conj() * conserved).abs().sum())

    h, energies, budgets = 1e-3, [mean_square_speed(a) / 2], [budget(a)]
    for _ in range(20):
        a = solver.advance(a, h, n_steps=1)
        energies.append(mean_square_speed(a) / 2)
        budgets.append(budget(a))
    weights = h / 3 * torch.tensor([1.0, *[4.0, 2.0] * 9, 4.0, 1.0], dtype=torch.float64)
    change = (weights[:, None] * torch.stack(budgets)).sum(0)  # Simpson's rule
    assert float(change.abs().min()) > 1e-4
    torch.testing.assert_close(energies[-1] - energies[0], change, rtol=1e-4, atol=0.0)


def test_order_of_convergence_in_time_is_four():
    solver = ChannelSolver(6, 24, 2e-3)
    a = draw(solver, speed=1.0)
    reference = solver.advance(a, 0.2, n_steps=320)
    errors = [relative_l2(solver.advance(a, 0.2, n_steps=n), reference) for n in (20, 40, 80)]
    orders = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    assert errors[-1] < 1e-6
    assert orders == pytest.approx([4.0, 4.0], abs=0.3)


def test_the_field_converges_spectrally_in_both_directions():
    def final(n_waves, n_modes):
        solver = ChannelSolver(n_waves, n_modes, 5e-3)
        return on_grid(solver, solver.advance(draw(solver), 0.5, n_steps=60))

    fine = final(18, 64)
    across = [relative_l2(final(18, n), fine) for n in (20, 32, 44)]
    along = [relative_l2(final(n, 64), fine) for n in (5, 8, 11)]
    for errors in (across, along):
        assert errors[1] < errors[0] / 8
        assert errors[2] < errors[1] / 8
        assert errors[2] < 1e-4


def test_a_flow_moved_along_the_channel_stays_so_and_does_not_depend_on_its_batch():
    solver = ChannelSolver(7, 22, 3e-3, length=1.3)
    a = draw(solver, 3)
    moved = torch.exp(-0.4j * torch.tensor(solver.modes.wavenumbers, dtype=torch.float64))
    both = torch.cat([a, a * moved[:, None, None]], dim=2)
    later = solver.advance(both, 0.3, n_steps=30)
    torch.testing.assert_close(later[..., 3:], later[..., :3] * moved[:, None, None])
    x, y = np.array([0.1, 0.65]), np.array([0.0, 0.3, 0.9])
    first = solver.vorticity(later[..., :3], x, y)
    second = solver.vorticity(later[..., 3:], x + 0.4, y)
    torch.testing.assert_close(first, second)
    alone = solver.advance(a[..., 1:2], 0.3, n_steps=30)
    torch.testing.assert_close(alone[..., 0], later[..., 1])
    assert float(later[0].imag.abs().max()) == 0


def test_initial_flows_have_their_speed_and_spectrum():
    solver, ell = ChannelSolver(13, 50, 1e-3), 0.08
    n_waves, n_modes = initial_size(ell, 1.0)
    assert (n_waves, n_modes) == (12, 24)
    a = draw(solver, 400, speed=0.7, correlation_length=ell) - solver.poiseuille
    torch.testing.assert_close(mean_square_speed(a), torch.full((400,), 0.49, dtype=torch.float64))
    assert float(a[n_waves + 1 :].abs().max()) == float(a[:, n_modes:].abs().max()) == 0
    power = a.abs().square().mean(dim=2)[:5, :6]
    expected = np.exp(-(ell**2) * solver.modes.rates[:5, :6])
    ratio = power.numpy() / expected
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.25)
    assert float(a[0].imag.abs().max()) == 0
    # the speed is that of the field
    u, v, _ = solver.modes.profiles(gauss_points(30)[0])
    twice = torch.tensor([1.0, *[2.0] * 13])[:, None]
    at = (torch.from_numpy(np.concatenate([u, v], 1)).to(a.dtype) @ a[..., :1]).abs().square()
    weights = np.tile(gauss_points(30)[1], 2)
    total = (twice * at[..., 0] * torch.from_numpy(weights)).sum()
    assert float(total) == pytest.approx(0.49)


def test_an_initial_flow_is_named_by_its_key_and_the_same_at_any_resolution():
    coarse, fine = ChannelSolver(5, 24, 1e-3), ChannelSolver(9, 40, 5e-3)
    a, b = draw(coarse, 3) - coarse.poiseuille, draw(fine, 3) - fine.poiseuille
    y = np.linspace(0, 1, 7)
    x = np.arange(5) / 5
    torch.testing.assert_close(
        coarse.vorticity(a, x, y), fine.vorticity(b, x, y), rtol=1e-5, atol=1e-5
    )
    options = {"correlation_length": 0.2, "speed": 0.5}
    alone = initial_perturbation([(3, 0, 2)], coarse, **options)
    torch.testing.assert_close(alone[..., 0], a[..., 2])
    others = initial_perturbation([(3, 0, 0), (3, 1, 0), (4, 0, 0)], coarse, **options)
    assert len(set(others[1, 0].tolist())) == 3


def test_too_large_steps_are_an_error_that_names_flow_and_remedy():
    solver = ChannelSolver(5, 20, 1e-3)
    a = draw(solver)
    a[..., 1] *= 30
    with pytest.raises(FloatingPointError, match=r"flow 1 .* steps of 0.01 .* time_step below"):
        solver.advance(a, 0.1, n_steps=10)
    solver.tendency = lambda a: a * torch.nan
    with pytest.raises(FloatingPointError, match=r"flow 0 .* number is nan"):
        solver.advance(a[..., :1], 0.01, n_steps=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_waves": 0}, "n_waves must be at least 1 and n_modes at least 4, got 0 and 20; 32"),
        ({"n_modes": 3}, "got 5 and 3"),
        ({"viscosity": 0.0}, "viscosity and length must be positive, got 0.0 and 1.0; 1e-3"),
        ({"length": math.inf}, "got 0.001 and inf"),
    ],
)
def test_solver_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        ChannelSolver(**{"n_waves": 5, "n_modes": 20, "viscosity": 1e-3, **options})


def test_an_initial_field_finer_than_the_solver_is_refused():
    with pytest.raises(ValueError, match=r"=0.1 asks for at least n_waves=10 and n_modes=40, got"):
        draw(ChannelSolver(5, 20, 1e-3), correlation_length=0.1)
