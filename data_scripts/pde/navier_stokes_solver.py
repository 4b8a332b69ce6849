"""Two-dimensional Navier-Stokes in vorticity form on the unit torus, pseudo-spectral.

    w_t + u . grad w = nu Laplace(w) + f,    u = (d psi/dy, -d psi/dx),    -Laplace(psi) = w    (1)

on (0, 1)^2 with periodic boundaries. The last two axes of an array are x and y, with points
x = i / grid; w is in 1/time, u in length/time and nu in length^2/time. The forcing is that of
Li et al. 2021, arXiv:2010.08895:

    f = amplitude (sin 2 pi (x + y) + cos 2 pi (x + y))    (2)
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from data_scripts.pde.steps import integrate_each

# RK4 is stable along the imaginary axis up to 2.83; an interval that ends with a larger Courant
# number is integrated again with half the step, this often at most.
STABLE_COURANT = 2.8
MAX_HALVINGS = 4
# The step is chosen anew at least this often, in time units: flows change slowly against it.
LONGEST_INTERVAL = 1.0
# What multiplies (4 pi^2 |k|^2 + 49)^-1.25 in the standard deviation of one Fourier coefficient.
INITIAL_AMPLITUDE = {
    "2020": math.sqrt(2.0) * 7.0**1.5,
    "2022": 7.0**1.5,
    "paper": 7.0**0.75,
}


def dealiased_cutoff(grid: int) -> int:
    """Return the largest wavenumber K kept by the 2/3 rule, the largest with 3 K < grid.

    The product of two fields with modes up to K then aliases only onto modes beyond K
    (Orszag 1971, J. Atmos. Sci. 28, 1074).
    """
    return (grid - 1) // 3


class Advanced(NamedTuple):
    """State after an interval, and the time step each trajectory took to get there."""

    w_hat: Complex[Tensor, "batch grid modes"]
    dt: Float[Tensor, " batch"]


class VorticitySolver:
    """Integrator of (1) for a batch of trajectories.

    The state `w_hat` holds Fourier-series coefficients, shape (batch, grid, K + 1), with

        w(x, y) = sum_k w_hat[k] exp(2 pi i (kx x + ky y)),    |kx| <= K, 0 <= ky <= K    (3)

    where K = `dealiased_cutoff(grid)`; those with ky < 0 follow because w is real. Advection
    takes four transforms (Basdevant 1983, J. Comput. Phys. 50, 209), not the usual five:

        u . grad w = (dxx - dyy)(ux uy) + dxy(uy^2 - ux^2)    (4)

    One step h is classical Runge-Kutta with the diffusion integrated exactly (integrating factor;
    Canuto et al. 2007, Spectral Methods, appendix D.3). With N the rest of the right-hand side
    and E = exp(-nu |2 pi k|^2 h / 2):

        a = N(w),  b = N(E (w + h/2 a)),  c = N(E w + h/2 b),  d = N(E (E w + h c))    (5)
        w <- E (E (w + h/6 a) + h/3 (b + c)) + h/6 d                                   (6)

    Each trajectory has its own h, so its result does not depend on its batch.

    Args:
        grid: points per axis, at least 4.
        viscosity: nu, zero or more.
        forcing_amplitude: amplitude in (2), in 1/time^2.
        courant: h is chosen such that h 2 pi K max(|ux| + |uy|) is at most this number at the
            beginning of an interval; at most 2.8. If it exceeds 2.8 at the end, the interval is
            done again with smaller steps.
        dtype: torch.float64 or torch.float32.
        device: where everything is computed.

    Raises:
        ValueError: a value is out of range.
    """

    def __init__(
        self,
        grid: int,
        viscosity: float,
        *,
        forcing_amplitude: float = 0.1,
        courant: float = 2.0,
        dtype: torch.dtype = torch.float64,
        device: torch.device | str = "cpu",
    ) -> None:
        if grid < 4:
            raise ValueError(f"grid must be at least 4, got {grid}; 64 is usual")
        if not 0 <= viscosity < math.inf:
            raise ValueError(f"viscosity must be zero or more, got {viscosity}; 1e-3 is usual")
        if not 0 < courant <= STABLE_COURANT:
            raise ValueError(
                f"courant must lie in (0, {STABLE_COURANT}], got {courant}; use 2, or less for "
                "smaller time steps"
            )
        if dtype not in (torch.float64, torch.float32):
            raise ValueError(f"dtype must be torch.float64 or torch.float32, got {dtype}")
        self.grid, self.dtype, self.courant = grid, dtype, courant
        self.cutoff = dealiased_cutoff(grid)
        kx = 2 * math.pi * torch.fft.fftfreq(grid, 1 / grid, dtype=torch.float64)[:, None]
        ky = 2 * math.pi * torch.arange(self.cutoff + 1, dtype=torch.float64)[None, :]
        k2 = kx.square() + ky.square()
        kept = (kx.abs() < 2 * math.pi * (self.cutoff + 0.5)) & torch.ones_like(
            ky, dtype=torch.bool
        )
        inverse_k2 = kept / k2.clamp(min=1.0)
        forcing = torch.zeros_like(k2, dtype=torch.complex128)
        # sin z + cos z = Re (1 - i) exp(i z), and half of that is the conjugate mode's.
        forcing[1, 1] = torch.tensor(forcing_amplitude * (1 - 1j) / 2, dtype=forcing.dtype)

        self.device = torch.device(device)
        complex_dtype = dtype.to_complex()
        self._kept = kept.to(self.device)
        self._diffusion = (-viscosity * k2).to(self.device, dtype)
        self._velocity = torch.stack([1j * ky * inverse_k2, -1j * kx * inverse_k2]).to(
            self.device, complex_dtype
        )
        self._advection = (torch.stack([kx.square() - ky.square(), kx * ky]) * kept).to(
            self.device, complex_dtype
        )
        self._forcing = forcing.to(self.device, complex_dtype)
        self._forced_acceleration = self.max_speed(self._forcing[None])  # of a fluid at rest

    def to_spectrum(self, w: Float[Tensor, "*batch x y"]) -> Complex[Tensor, "*batch x modes"]:
        """Return the coefficients (3) of a field in 1/time, without modes beyond the cutoff."""
        return self._transform(w.to(self.device, self.dtype)) * self._kept

    def to_grid(self, w_hat: Complex[Tensor, "*batch x modes"]) -> Float[Tensor, "*batch x y"]:
        """Return the field with coefficients `w_hat` on the grid: the sum (3)."""
        columns = torch.fft.ifft(w_hat, dim=-2, norm="forward")
        return torch.fft.irfft(columns, n=self.grid, dim=-1, norm="forward")

    def to_other_grid(
        self, w_hat: Complex[Tensor, "*batch x modes"], grid: int
    ) -> Float[Tensor, "*batch new_x new_y"]:
        """Return the sum (3) on a finer grid, or on every (self.grid / grid)-th point.

        Raises:
            ValueError: the grid is coarser and no divisor of the solver's.
        """
        if grid <= self.grid:
            stride, remainder = divmod(self.grid, grid)
            if remainder:
                raise ValueError(f"grid must divide the solver's grid, got {grid} and {self.grid}")
            return self.to_grid(w_hat)[..., ::stride, ::stride]
        positive, negative = w_hat.split([self.grid - self.cutoff, self.cutoff], dim=-2)
        between = w_hat.new_zeros(*w_hat.shape[:-2], grid - self.grid, w_hat.shape[-1])
        columns = torch.fft.ifft(
            torch.cat((positive, between, negative), dim=-2), dim=-2, norm="forward"
        )
        return torch.fft.irfft(columns, n=grid, dim=-1, norm="forward")

    def _transform(self, w: Tensor) -> Tensor:
        """Invert `to_grid`; columns beyond the cutoff are dropped between the two axes."""
        rows = torch.fft.rfft(w, dim=-1, norm="forward")[..., : self.cutoff + 1]
        return torch.fft.fft(rows, dim=-2, norm="forward")

    def velocity(self, w_hat: Complex[Tensor, "batch x modes"]) -> Float[Tensor, "batch 2 x y"]:
        """Return (ux, uy) on the grid, in length/time, with zero mean."""
        return self.to_grid(w_hat.unsqueeze(-3) * self._velocity)

    def max_speed(self, w_hat: Complex[Tensor, "batch x modes"]) -> Float[Tensor, " batch"]:
        """Return the largest |ux| + |uy| on the grid, in length/time."""
        return self.velocity(w_hat).abs().sum(dim=-3).amax(dim=(-2, -1))

    def tendency(self, w_hat: Complex[Tensor, "batch x modes"]) -> Complex[Tensor, "batch x modes"]:
        """Return N = f - u . grad w without modes beyond the cutoff, in 1/time^2."""
        u = self.velocity(w_hat)
        squares = u.square()
        products = torch.empty_like(u)
        torch.mul(u[:, 0], u[:, 1], out=products[:, 0])
        torch.sub(squares[:, 1], squares[:, 0], out=products[:, 1])
        terms = self._transform(products).mul_(self._advection)  # minus (4); dxx is -kx^2
        return terms[:, 0].add_(terms[:, 1]).add_(self._forcing)

    def _step(self, w: Tensor, h: Tensor, E: Tensor) -> Tensor:
        """Return w after one step (5, 6); h and E are complex so that no product converts types."""
        a = self.tendency(w)
        b = self.tendency(torch.addcmul(w, h / 2, a).mul_(E))
        E_w = E * w
        c = self.tendency(torch.addcmul(E_w, h / 2, b))
        d = self.tendency(torch.addcmul(E_w, h, c).mul_(E))
        first_half = a.mul_(h / 6).add_(w).mul_(E)
        return first_half.add_(b.add_(c).mul_(h / 3)).mul_(E).add_(d.mul_(h / 6))

    def advance(
        self,
        w_hat: Complex[Tensor, "batch x modes"],
        interval: float,
        *,
        n_steps: int | None = None,
    ) -> Advanced:
        """Integrate over `interval` time units.

        Args:
            w_hat: coefficients (3), in 1/time.
            interval: time units to integrate over, more than zero.
            n_steps: steps per trajectory; None chooses them by the Courant number.

        Raises:
            FloatingPointError: a trajectory has blown up or become too fast for its time step.
        """
        fastest = 2 * math.pi * self.cutoff * interval  # Courant number of one step at unit speed
        if n_steps is None:
            expected = self.max_speed(w_hat) + self._forced_acceleration * interval
            steps = torch.ceil(expected * fastest / self.courant).long().clamp(min=1)
        else:
            steps = torch.full((w_hat.shape[0],), n_steps, device=self.device)
        w = self._integrate(w_hat, interval, steps)
        for halvings in range(MAX_HALVINGS + 1):
            courant = self.max_speed(w) * fastest / steps
            failed = ~(courant <= STABLE_COURANT)  # not ">", which is false for NaN
            if not failed.any():
                return Advanced(w, interval / steps.to(self.dtype))
            if n_steps is not None or halvings == MAX_HALVINGS:
                break
            steps[failed] *= 2
            w[failed] = self._integrate(w_hat[failed], interval, steps[failed])
        i = int(failed.nonzero()[0])
        raise FloatingPointError(
            f"trajectory {i} of this batch became unstable: its Courant number was "
            f"{float(courant[i]):.3g}, above {STABLE_COURANT}, with steps of "
            f"{interval / int(steps[i]):.3g} time units; use a courant below {self.courant} for "
            "smaller steps, or a finer solver_grid"
        )

    def _integrate(self, w_hat: Tensor, interval: float, steps: Tensor) -> Tensor:
        """Return w_hat after `interval` time units in steps[i] steps for trajectory i."""
        h = (interval / steps.to(self.dtype))[:, None, None]
        E = torch.exp(self._diffusion * h / 2).to(w_hat.dtype)
        return integrate_each(self._step, w_hat, h.to(w_hat.dtype), E, steps)


class Recording(NamedTuple):
    """Vorticity at the recorded times, and each trajectory's smallest and largest time step."""

    frames: Float[Tensor, "batch time x y"]
    dt_min: Float[Tensor, " batch"]
    dt_max: Float[Tensor, " batch"]


def record(
    solver: VorticitySolver,
    w_hat: Complex[Tensor, "batch x modes"],
    *,
    n_records: int,
    record_interval: float,
    grid: int,
) -> Recording:
    """Integrate from t = 0 and keep the field at record_interval, 2 record_interval, ...

    Args:
        solver: the integrator.
        w_hat: coefficients at t = 0, in 1/time.
        n_records: frames to keep; the field at t = 0 is not one of them.
        record_interval: time between frames, in time units.
        grid: points per axis of the frames: more than the solver's, or a divisor of them.

    Raises:
        FloatingPointError: the run became unstable.
        ValueError: the grid is coarser than the solver's and no divisor.
    """
    n_intervals = math.ceil(record_interval / LONGEST_INTERVAL)
    frames, dts = [], []
    for _ in range(n_records):
        for _ in range(n_intervals):
            w_hat, dt = solver.advance(w_hat, record_interval / n_intervals)
            dts.append(dt)
        frames.append(solver.to_other_grid(w_hat, grid))
    steps = torch.stack(dts)
    return Recording(torch.stack(frames, dim=1), steps.amin(dim=0), steps.amax(dim=0))


def initial_vorticity(
    keys: Sequence[tuple[int, ...]], grid: int, *, amplitude: str = "2020"
) -> Complex[Tensor, "batch grid modes"]:
    """Draw Gaussian random fields of zero mean, as coefficients (3) in double precision.

    The coefficient of mode k is complex normal with

        E |w_hat[k]|^2 = s^2 (4 pi^2 |k|^2 + 49)^-2.5

    where s depends on the convention: "2020" for the code with which the published data were made
    (s^2 = 2 * 7^3, field std 0.27), "2022" for its rewrite (7^3, 0.19), "paper" for the formula
    printed in arXiv:2010.08895 (7^1.5, 0.044).

    Modes are drawn in the order of max(|kx|, |ky|), each field from a generator of its own. A key
    therefore gives the same field whatever the batch, and a finer grid only adds modes.

    Args:
        keys: non-negative integers, such as (seed, split, number), that name each field.
        grid: points per axis; modes up to `dealiased_cutoff(grid)` are drawn.
        amplitude: "2020", "2022" or "paper".

    Raises:
        ValueError: the convention is unknown.
    """
    if amplitude not in INITIAL_AMPLITUDE:
        raise ValueError(f"amplitude must be one of {list(INITIAL_AMPLITUDE)}, got {amplitude!r}")
    cutoff = dealiased_cutoff(grid)
    kx, ky = np.meshgrid(np.arange(-cutoff, cutoff + 1), np.arange(cutoff + 1), indexing="ij")
    free = (ky > 0) | (kx > 0)  # the others are conjugates of these
    kx, ky = kx[free], ky[free]
    order = np.lexsort((ky, kx, np.maximum(np.abs(kx), ky)))
    kx, ky = kx[order], ky[order]
    k2 = 4 * np.pi**2 * (kx**2 + ky**2)
    std = INITIAL_AMPLITUDE[amplitude] * (k2 + 49.0) ** -1.25 / math.sqrt(2)
    w_hat = np.zeros((len(keys), grid, cutoff + 1), dtype=np.complex128)
    for field, key in zip(w_hat, keys, strict=True):
        real, imaginary = np.random.default_rng(key).standard_normal((len(std), 2)).T
        field[kx, ky] = std * (real + 1j * imaginary)
        on_axis = ky == 0
        field[-kx[on_axis], 0] = field[kx[on_axis], 0].conj()
    return torch.from_numpy(w_hat)
