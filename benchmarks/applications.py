"""What the applications are timed against: SENSE by `torch.fft`, the published flow solver."""

import math
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.contenders import training
from data_scripts.pde.navier_stokes_solver import VorticitySolver, initial_vorticity, record
from monarch_core.transforms import Fourier, Monarch
from mri.physics.axis_transforms import AxisTransforms, axis_transforms
from mri.physics.encoding import Sense, zero_filled

HORIZON = 50.0
PUBLISHED_STEP, PUBLISHED_GRID, TIMED_STEPS = 1e-4, 256, 20


def zero_filled_sense(
    grid: tuple[int, int], coils: int, device: str
) -> dict[str, Callable[[], object]]:
    """Return zero-filled SENSE of one slice, by `torch.fft` and as mri/ computes it."""
    kspace, maps, mask = _measurement(grid, coils, device)

    def plain() -> Tensor:
        return (maps.conj() * _centred(torch.fft.ifft2, mask * kspace)).sum(1)

    def ours(inverse: AxisTransforms) -> Callable[[], object]:
        def run() -> Tensor:
            with torch.no_grad():
                return zero_filled(kspace.unsqueeze(1), maps, mask, inverse)

        return run

    return {
        "torch.fft": plain,
        "ours, FFT": ours(axis_transforms(Fourier, grid, inverse=True).to(device)),
        "ours, learned": ours(axis_transforms(Monarch, grid, inverse=True).to(device)),
    }


def data_consistency(
    grid: tuple[int, int], coils: int, device: str
) -> dict[str, Callable[[], object]]:
    """Return A^H A x of one slice and its gradient: by `torch.fft`, and as mri/ computes it."""
    _, maps, mask = _measurement(grid, coils, device)
    image = torch.randn(1, *grid, dtype=torch.cfloat, device=device, requires_grad=True)
    modules: dict[str, nn.Module] = {"torch.fft": FftNormal(maps, mask)}
    for name, factory in (
        ("ours, FFT", Fourier),
        ("ours, frozen", partial(Monarch, frozen=True)),
        ("ours, learned", Monarch),
    ):
        modules[name] = SenseNormal(maps, mask, axis_transforms(factory, grid).to(device))
    return {name: training(module, image) for name, module in modules.items()}


class FftNormal(nn.Module):
    """A^H A x as one writes it with `torch.fft`."""

    def __init__(self, maps: Tensor, mask: Tensor) -> None:
        super().__init__()
        self.maps, self.conjugate, self.mask = maps, maps.conj().resolve_conj(), mask

    def forward(self, image: Tensor) -> Tensor:
        """Return A^H A of the images (batch, height, width)."""
        kspace = self.mask.square() * _centred(torch.fft.fft2, self.maps * image.unsqueeze(1))
        return (self.conjugate * _centred(torch.fft.ifft2, kspace)).sum(1)


class SenseNormal(nn.Module):
    """A^H A x of `mri.physics.encoding.Sense`."""

    def __init__(self, maps: Tensor, mask: Tensor, transform: AxisTransforms) -> None:
        super().__init__()
        self.transform = transform
        self.sense = Sense(maps, mask, transform)

    def forward(self, image: Tensor) -> Tensor:
        """Return A^H A of the images (batch, height, width)."""
        return self.sense.normal(image.unsqueeze(1)).squeeze(1)


def _measurement(grid: tuple[int, int], coils: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
    kspace, maps = (torch.randn(1, coils, *grid, dtype=torch.cfloat, device=device) for _ in "km")
    return kspace, maps, (torch.rand(1, *grid, device=device) < 0.5).float()


def _centred(transform: Callable[..., Tensor], x: Tensor) -> Tensor:
    axes = (-2, -1)
    return torch.fft.fftshift(transform(torch.fft.ifftshift(x, dim=axes), norm="ortho"), dim=axes)


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
