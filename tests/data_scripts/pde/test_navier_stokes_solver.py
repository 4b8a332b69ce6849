import itertools
import math

import pytest
import torch

from data_scripts.pde import navier_stokes_solver
from data_scripts.pde.navier_stokes_solver import (
    VorticitySolver,
    dealiased_cutoff,
    initial_vorticity,
    record,
)


def draw(n, grid, **options):
    return initial_vorticity([(5, 0, i) for i in range(n)], grid, **options)


def points(grid):
    x = torch.arange(grid, dtype=torch.float64) / grid
    return torch.meshgrid(2 * math.pi * x, 2 * math.pi * x, indexing="ij")


def relative_l2(a, b):
    return float(torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b))


@pytest.mark.parametrize("grid", [27, 32])
def test_taylor_green_vortices_decay_exactly(grid):
    viscosity, time = 3e-3, 2.5
    x, y = points(grid)
    w0 = torch.stack([torch.sin(x) * torch.sin(y), torch.cos(4 * x) * torch.sin(3 * y + 1)])
    solver = VorticitySolver(grid, viscosity, forcing_amplitude=0.0)
    w_hat, _ = solver.advance(solver.to_spectrum(w0), time)
    rates = 4 * math.pi**2 * viscosity * torch.tensor([2.0, 25.0], dtype=torch.float64)
    exact = torch.exp(-rates * time)[:, None, None] * w0
    torch.testing.assert_close(solver.to_grid(w_hat), exact, rtol=1e-12, atol=1e-12)


def test_fluid_at_rest_answers_the_forcing_exactly():
    # The forcing varies along x + y only and drives a flow across it, so advection vanishes.
    grid, viscosity, amplitude, time = 20, 7e-3, 0.3, 4.0
    x, y = points(grid)
    rate = 8 * math.pi**2 * viscosity
    exact = amplitude * (torch.sin(x + y) + torch.cos(x + y)) * (1 - math.exp(-rate * time)) / rate
    solver = VorticitySolver(grid, viscosity, forcing_amplitude=amplitude)
    at_rest = solver.to_spectrum(torch.zeros(1, grid, grid, dtype=torch.float64))
    w_hat, _ = solver.advance(at_rest, time, n_steps=200)
    torch.testing.assert_close(solver.to_grid(w_hat)[0], exact, rtol=1e-8, atol=1e-9)


def test_tendency_is_forcing_minus_advection():
    # Fields with modes up to 5 have products with modes up to 10, all kept on this grid.
    grid = 35
    solver = VorticitySolver(grid, 1e-3, forcing_amplitude=0.1)
    x, y = points(grid)
    w = torch.zeros(3, grid, grid, dtype=torch.float64)
    w_x, w_y, u_x, u_y = (torch.zeros_like(w) for _ in range(4))
    generator = torch.Generator().manual_seed(0)
    for kx in range(-5, 6):
        for ky in range(1, 6):
            a, b = torch.randn(2, 3, 1, 1, dtype=torch.float64, generator=generator)
            even, odd = torch.cos(kx * x + ky * y), torch.sin(kx * x + ky * y)
            w += a * even + b * odd
            slope = 2 * math.pi * (b * even - a * odd)
            w_x += kx * slope
            w_y += ky * slope
            psi_slope = slope / (4 * math.pi**2 * (kx**2 + ky**2))
            u_x += ky * psi_slope
            u_y -= kx * psi_slope
    expected = 0.1 * (torch.sin(x + y) + torch.cos(x + y)) - u_x * w_x - u_y * w_y
    found = solver.to_grid(solver.tendency(solver.to_spectrum(w)))
    torch.testing.assert_close(found, expected)


def test_order_of_convergence_in_time_is_four():
    solver = VorticitySolver(27, 5e-3)
    w_hat = draw(2, 27)
    reference = solver.advance(w_hat, 1.0, n_steps=256).w_hat
    errors = [
        relative_l2(solver.advance(w_hat, 1.0, n_steps=n).w_hat, reference) for n in (8, 16, 32)
    ]
    orders = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    assert orders == pytest.approx([4.0, 4.0], abs=0.2)


def test_64_and_128_points_agree_at_time_10():
    fields = []
    for grid in (64, 128):
        solver = VorticitySolver(grid, 1e-3)
        recording = record(solver, draw(1, grid), n_records=2, record_interval=5.0, grid=32)
        fields.append(recording.frames)
    assert relative_l2(fields[0][:, 0], fields[1][:, 0]) < 1e-5
    assert relative_l2(fields[0][:, 1], fields[1][:, 1]) < 1e-5


def test_mean_vorticity_stays_what_it_was():
    solver = VorticitySolver(32, 1e-3)
    w_hat = draw(2, 32)
    w_hat[1, 0, 0] = 0.25
    w_hat, _ = solver.advance(w_hat, 2.0)
    means = solver.to_grid(w_hat).mean(dim=(-2, -1))
    torch.testing.assert_close(
        means, torch.tensor([0.0, 0.25], dtype=torch.float64), atol=1e-15, rtol=1e-14
    )


def test_without_viscosity_and_forcing_energy_and_enstrophy_are_conserved():
    solver = VorticitySolver(31, 0.0, forcing_amplitude=0.0)

    def invariants(w_hat):
        energy = solver.velocity(w_hat).square().mean(dim=(1, 2, 3))
        return torch.stack([energy, solver.to_grid(w_hat).square().mean(dim=(1, 2))])

    w_hat = draw(2, 31)
    later, _ = solver.advance(w_hat, 3.0, n_steps=120)
    assert relative_l2(later, w_hat) > 0.1
    torch.testing.assert_close(invariants(later), invariants(w_hat), rtol=1e-6, atol=0.0)


def test_a_trajectory_does_not_depend_on_its_batch():
    solver = VorticitySolver(32, 1e-3)
    w_hat = draw(4, 32) * torch.tensor([1.0, 6.0, 0.5, 3.0], dtype=torch.float64)[:, None, None]
    options = {"n_records": 2, "record_interval": 1.5, "grid": 16}
    together = record(solver, w_hat, **options)
    assert len(set(together.dt_min.tolist())) >= 3
    for i in range(4):
        alone = record(solver, w_hat[i : i + 1], **options)
        torch.testing.assert_close(alone.frames[0], together.frames[i], rtol=1e-11, atol=1e-12)
        assert alone.dt_min[0] == together.dt_min[i]
        assert alone.dt_max[0] == together.dt_max[i]


def test_single_precision_agrees_with_double():
    w_hat = draw(2, 32)
    fields = [
        record(
            VorticitySolver(32, 1e-3, dtype=dtype),
            w_hat.to(dtype.to_complex()),
            n_records=1,
            record_interval=3.0,
            grid=32,
        ).frames
        for dtype in (torch.float32, torch.float64)
    ]
    assert fields[0].dtype == torch.float32
    assert relative_l2(fields[0], fields[1]) < 1e-5


def test_frames_are_every_nth_point_at_the_recorded_times():
    solver = VorticitySolver(24, 1e-3)
    w_hat = draw(1, 24)
    frames = record(solver, w_hat, n_records=3, record_interval=0.5, grid=8).frames
    assert frames.shape == (1, 3, 8, 8)
    for number in range(3):
        w_hat, _ = solver.advance(w_hat, 0.5)
        torch.testing.assert_close(frames[:, number], solver.to_grid(w_hat)[:, ::3, ::3])


def test_transform_to_the_grid_and_back_keeps_the_resolved_modes():
    solver = VorticitySolver(25, 1e-3)
    w_hat = draw(2, 25)
    torch.testing.assert_close(solver.to_spectrum(solver.to_grid(w_hat)), w_hat)
    x, y = points(25)
    too_fine = torch.cos(9 * x) + torch.sin(10 * y)
    torch.testing.assert_close(
        solver.to_spectrum(too_fine), torch.zeros(25, 9, dtype=torch.complex128), atol=1e-14, rtol=0
    )


@pytest.mark.parametrize("grid", range(4, 40))
def test_products_of_kept_modes_never_alias_onto_kept_modes(grid):
    cutoff = dealiased_cutoff(grid)
    assert grid - 2 * cutoff > cutoff
    assert grid - 2 * (cutoff + 1) <= cutoff + 1


@pytest.mark.parametrize(
    ("amplitude", "std"), [("2020", 0.267), ("2022", 0.189), ("paper", 0.0438)]
)
def test_initial_field_has_the_amplitude_of_its_convention(amplitude, std):
    grid = 30
    w = VorticitySolver(grid, 1e-3).to_grid(draw(400, grid, amplitude=amplitude))
    assert float(w.square().mean().sqrt()) == pytest.approx(std, rel=0.03)
    assert float(w.mean(dim=(1, 2)).abs().max()) < 1e-15


def test_initial_field_has_the_spectrum_of_its_covariance():
    grid = 30
    w = VorticitySolver(grid, 1e-3).to_grid(draw(2000, grid))
    power = torch.fft.fft2(w, norm="forward").abs().square().mean(dim=0)
    for kx, ky in ((1, 0), (0, 1), (2, 3), (-2, 3), (3, -2), (-9, 0)):
        expected = 2 * 7**3 * (4 * math.pi**2 * (kx**2 + ky**2) + 49) ** -2.5
        assert float(power[kx, ky]) == pytest.approx(expected, rel=0.12)


def test_initial_field_is_named_by_its_key_and_a_finer_grid_only_adds_modes():
    coarse, fine = draw(3, 16), draw(3, 41)
    cutoff = dealiased_cutoff(16)
    rows = [*range(cutoff + 1), *range(-cutoff, 0)]
    torch.testing.assert_close(coarse[:, rows], fine[:, rows, : cutoff + 1], rtol=0, atol=0)
    torch.testing.assert_close(initial_vorticity([(5, 0, 2)], 16)[0], coarse[2], rtol=0, atol=0)
    others = initial_vorticity([(5, 0, 0), (5, 1, 0), (6, 0, 0)], 16)
    assert len(set(others[:, 1, 1].tolist())) == 3


def test_too_large_steps_are_an_error_that_names_trajectory_and_remedy():
    solver = VorticitySolver(32, 1e-3)
    w_hat = draw(3, 32)
    w_hat[1] *= 100
    with pytest.raises(FloatingPointError, match=r"trajectory 1 .* use a courant below 2.0"):
        solver.advance(w_hat, 1.0, n_steps=30)


def test_not_a_number_is_noticed(monkeypatch):
    solver = VorticitySolver(32, 1e-3)
    monkeypatch.setattr(solver, "_step", lambda w, h, E: w * torch.nan)
    with pytest.raises(FloatingPointError, match=r"trajectory 0 .* finer solver_grid"):
        solver.advance(draw(2, 32), 0.1)


def test_a_trajectory_that_became_too_fast_is_integrated_again_with_smaller_steps(monkeypatch):
    solver = VorticitySolver(32, 1e-3, forcing_amplitude=5.0)
    at_rest = solver.to_spectrum(torch.zeros(1, 32, 32, dtype=torch.float64))
    w_hat = torch.cat([at_rest, draw(1, 32) * 10])
    careful = solver.advance(w_hat, 0.5)
    monkeypatch.setattr(solver, "_forced_acceleration", torch.zeros(()))
    surprised = solver.advance(w_hat, 0.5)
    assert float(surprised.dt[0]) < 0.5
    courant = solver.max_speed(surprised.w_hat) * 2 * math.pi * solver.cutoff * surprised.dt
    assert float(courant.max()) <= navier_stokes_solver.STABLE_COURANT
    assert relative_l2(surprised.w_hat[0], careful.w_hat[0]) < 1e-2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": 3}, "grid must be at least 4, got 3"),
        ({"viscosity": -1e-3}, "viscosity must be zero or more, got -0.001"),
        ({"courant": 3.0}, r"courant must lie in \(0, 2.8\], got 3.0; use 2"),
        ({"dtype": torch.float16}, "dtype must be torch.float64 or torch.float32"),
    ],
)
def test_solver_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        VorticitySolver(**{"grid": 16, "viscosity": 1e-3, **options})


def test_unknown_amplitude_and_indivisible_grid_are_refused():
    with pytest.raises(ValueError, match=r"amplitude must be one of .* got '2021'"):
        draw(1, 16, amplitude="2021")
    with pytest.raises(ValueError, match="grid must divide the solver's grid, got 5 and 16"):
        record(VorticitySolver(16, 1e-3), draw(1, 16), n_records=1, record_interval=1.0, grid=5)
