"""What the applications are timed against: SENSE by `torch.fft`, the published flow solver."""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor

from data_scripts.navier_stokes_solver import VorticitySolver, initial_vorticity, record
from monarch_core.transforms import Fourier, Monarch
from mri.physics import axis_transforms, zero_filled

HORIZON = 50.0
PUBLISHED_STEP, PUBLISHED_GRID, TIMED_STEPS = 1e-4, 256, 20


def sense_reconstructions(
    grid: tuple[int, int], coils: int, device: str
) -> dict[str, Callable[[], object]]:
    """Return zero-filled SENSE of one slice: by `torch.fft`, and as mri/ computes it."""
    kspace, maps = (torch.randn(1, coils, *grid, dtype=torch.cfloat, device=device) for _ in "km")
    mask = (torch.rand(1, *grid, device=device) < 0.5).float()

    def plain() -> Tensor:
        shifted = torch.fft.ifftshift(mask * kspace, dim=(-2, -1))
        images = torch.fft.ifft2(shifted, norm="ortho")
        return (maps.conj() * torch.fft.fftshift(images, dim=(-2, -1))).sum(1)

    inverses = {
        "ours, FFT": axis_transforms(Fourier, grid, inverse=True).to(device),
        "ours, Monarch": axis_transforms(Monarch, grid, inverse=True).to(device),
    }

    def reconstruct(name: str) -> Callable[[], object]:
        def run() -> Tensor:
            with torch.no_grad():
                return zero_filled(kspace.unsqueeze(1), maps, mask, inverses[name])

        return run

    return {"torch.fft": plain, **{name: reconstruct(name) for name in inverses}}


def navier_stokes_seconds(viscosity: float, grid: int) -> dict[str, float]:
    """Return seconds per trajectory of 50 time units: ours, and the published recipe.

    The recipe is Crank-Nicolson for diffusion and Euler for the rest, in steps of 1e-4 on
    256 x 256 points (Li et al. 2021, arXiv:2010.08895); it is timed for a few steps of one
    trajectory and multiplied up to its 500 000.
    """
    solver = VorticitySolver(grid, viscosity)
    start = initial_vorticity([(0, 0, i) for i in range(8)], grid)
    begin = time.perf_counter()
    record(solver, start, n_records=round(HORIZON), record_interval=1.0, grid=grid)
    ours = (time.perf_counter() - begin) / len(start)

    w_hat = torch.fft.fft2(torch.randn(1, PUBLISHED_GRID, PUBLISHED_GRID, dtype=torch.float64))
    advance = _published_step(PUBLISHED_GRID, viscosity, PUBLISHED_STEP)
    w_hat = advance(w_hat)
    begin = time.perf_counter()
    for _ in range(TIMED_STEPS):
        w_hat = advance(w_hat)
    step = (time.perf_counter() - begin) / TIMED_STEPS
    return {"published recipe": step * HORIZON / PUBLISHED_STEP, "ours": ours}


def _published_step(n: int, viscosity: float, h: float) -> Callable[[Tensor], Tensor]:
    k = 2 * math.pi * torch.fft.fftfreq(n, 1 / n, dtype=torch.float64)
    kx, ky = k[:, None], k[None, :]
    k2 = kx**2 + ky**2
    inverse_k2 = torch.where(k2 > 0, 1 / k2.clamp(min=1), 0)
    kept = (kx.abs() <= 2 * math.pi * n / 3) & (ky.abs() <= 2 * math.pi * n / 3)
    x = torch.arange(n, dtype=torch.float64) / n
    phase = 2 * math.pi * (x[:, None] + x[None, :])
    forcing = torch.fft.fft2(0.1 * (torch.sin(phase) + torch.cos(phase)))

    def physical(w_hat: Tensor) -> Tensor:
        return torch.fft.ifft2(w_hat).real

    def advance(w_hat: Tensor) -> Tensor:
        psi = w_hat * inverse_k2
        u, v = physical(1j * ky * psi), physical(-1j * kx * psi)
        advection = torch.fft.fft2(u * physical(1j * kx * w_hat) + v * physical(1j * ky * w_hat))
        right = (1 - h * viscosity * k2 / 2) * w_hat + h * (forcing - kept * advection)
        return right / (1 + h * viscosity * k2 / 2)

    return advance
