"""The maps of training trajectories against the solver that made them."""

import pytest
import torch

from data_scripts.pde.navier_stokes_solver import VorticitySolver, record
from pde.dataset.symmetries import random_symmetry


def solve(solver, w):
    w_hat = solver.to_spectrum(w[None])
    return record(solver, w_hat, n_records=2, record_interval=1.0, grid=solver.grid).frames[0]


def smooth_field(n):
    generator = torch.Generator().manual_seed(1)
    w_hat = torch.zeros(n, n // 2 + 1, dtype=torch.complex128)
    w_hat[:4, :4] = torch.randn(4, 4, dtype=torch.complex128, generator=generator)
    return torch.fft.irfft2(w_hat, s=(n, n), norm="forward")


@pytest.mark.parametrize("seed", range(8))
def test_the_copy_of_a_solution_is_the_solution_from_the_copy(seed):
    solver, w = VorticitySolver(24, 1e-2, dtype=torch.float64), smooth_field(24)

    def of(fields):
        return random_symmetry(fields, torch.Generator().manual_seed(seed))

    assert not torch.allclose(of(w), w)
    torch.testing.assert_close(of(solve(solver, w)), solve(solver, of(w)))


def test_a_shift_that_moves_the_forcing_is_no_symmetry():
    solver, w = VorticitySolver(24, 1e-2, dtype=torch.float64), smooth_field(24)
    shifted = solve(solver, w.roll((1, 0), (-2, -1)))
    assert not torch.allclose(shifted, solve(solver, w).roll((1, 0), (-2, -1)), atol=1e-2)


def test_all_4n_copies_are_drawn_and_differ():
    w = torch.randn(8, 8, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    copies = torch.stack([random_symmetry(w, generator).flatten() for _ in range(600)])
    assert len(copies.unique(dim=0)) == 32


def test_a_grid_without_eighths_is_refused():
    with pytest.raises(ValueError, match="multiple of 8 for these symmetries, got 20"):
        random_symmetry(torch.randn(20, 20), torch.Generator())
    with pytest.raises(ValueError, match=r"must be square .* got 8 x 16"):
        random_symmetry(torch.randn(8, 16), torch.Generator())
