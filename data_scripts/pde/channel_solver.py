"""Two-dimensional Navier-Stokes in a channel, spectral: Fourier along it, Stokes modes across.

    w_t + u . grad w = nu Laplace(w),    (u, v) = (psi_y, -psi_x),    w = -Laplace(psi)      (1)

for 0 <= x < length, periodic, and 0 < y < 1 with u = v = 0 at the walls y = 0 and y = 1. A constant
pressure gradient G = 8 nu per unit length drives the flow; left alone it becomes Poiseuille's,
u = 4 y (1 - y). Lengths are in units of the width, velocities in units of Poiseuille's on the
centre line, so that 1 / nu is the Reynolds number and times are in units of width over velocity.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from data_scripts.pde.exponential_steps import ExponentialSteps
from data_scripts.pde.stokes_modes import StokesModes, gauss_points

State = Complex[Tensor, "waves modes batch"]
# Without viscosity the steps are those of Runge and Kutta, stable up to a Courant number of 2.83.
STABLE_COURANT = 2.8
# An initial field has modes up to exp(-6^2 / 2) of the standard deviation of the slowest ones.
_DEVIATIONS = 6.0


class ChannelSolver:
    """Integrator of (1) for a batch of flows.

    The state is a[k, j], shape (n_waves + 1, n_modes, batch), the coefficients of Stokes modes:

        psi(x, y) = sum_k sum_j a[k, j] phi_kj(y) exp(2 pi i k x / length),  |k| <= n_waves  (2)

    those of k < 0 being conjugates; u = sum_j a[0, j] u_j(y) at k = 0, real. (1) times a mode,
    integrated over the channel, is

        da[k, j]/dt = -nu mu_kj a[k, j] + <v w, (u)_kj> - <u w, (v)_kj> + G <1, u_j>      (3)

    with the velocity (u)_kj, (v)_kj of the mode and <f, g> the mean of f conj(g). The pressure is
    gone, and advection makes no energy, however the means are taken. Here they are exact: products
    are taken on 3 n_waves + 1 points or more along the channel, and on Gauss points across.

    Args:
        n_waves: largest wavenumber along the channel, in waves per length.
        n_modes: Stokes modes of each wavenumber.
        viscosity: nu, in width x velocity; its inverse is the Reynolds number.
        length: period along the channel, in widths.

    Raises:
        ValueError: a value is out of range.
    """

    def __init__(
        self, n_waves: int, n_modes: int, viscosity: float, *, length: float = 1.0
    ) -> None:
        if n_waves < 1 or n_modes < 4:
            raise ValueError(
                "n_waves must be at least 1 and n_modes at least 4, got "
                f"{n_waves} and {n_modes}; 32 and 64 are usual"
            )
        if not (0 < viscosity < math.inf and 0 < length < math.inf):
            raise ValueError(
                f"viscosity and length must be positive, got {viscosity} and {length}; 1e-3 and 1 "
                "are usual"
            )
        self.n_waves, self.n_modes = n_waves, n_modes
        self.viscosity, self.length = viscosity, length
        self._n_x = 3 * n_waves + 1 + (n_waves + 1) % 2  # an even number
        k = 2 * math.pi / length * np.arange(n_waves + 1)
        self.modes = StokesModes(k.tolist(), n_modes)
        y, weights = gauss_points(math.ceil(1.5 * (n_modes + 3)))
        u, v, w = self.modes.profiles(y)
        self._to_points = torch.from_numpy(np.concatenate([u, v, w], axis=1))
        onto = np.concatenate([u, v], axis=1) * np.tile(weights, 2)[:, None]
        self._onto_modes = torch.from_numpy(onto).mT.contiguous()
        self._driving = torch.zeros(n_waves + 1, n_modes, 1, dtype=torch.complex128)
        self._driving[0, :, 0] = torch.from_numpy(8 * viscosity * weights @ u[0])
        # the shortest wave of a polynomial of this degree is shorter near the walls
        across = 2 * (n_modes + 3) / np.sqrt(1 - (2 * y - 1) ** 2)
        self._highest = k[-1], torch.from_numpy(across)[:, None]

    @property
    def poiseuille(self) -> State:
        """The laminar flow, a batch of one."""
        rates = torch.from_numpy(self.viscosity * self.modes.rates)[:, :, None]
        return self._driving / rates

    def _on_points(self, a: State) -> Float[Tensor, "x uvw y batch"]:
        batch = a.shape[2]
        values = self._to_points @ torch.view_as_real(a).flatten(2)
        hat = torch.view_as_complex(values.unflatten(2, (batch, 2))).unflatten(1, (3, -1))
        hat[:, 1] *= -1j
        return torch.fft.irfft(hat, n=self._n_x, dim=0, norm="forward")

    def tendency(self, a: State) -> State:
        """Return what advection and the pressure gradient do, the rest of (3)."""
        u, v, w = self._on_points(a).unbind(1)
        products = torch.stack([v * w, u * w], dim=1)
        hat = torch.fft.rfft(products, dim=0, norm="forward")[: len(a)]
        hat[:, 1] *= -1j
        real = torch.view_as_real(hat.flatten(1, 2)).flatten(2)
        found = self._onto_modes @ real
        return torch.view_as_complex(found.unflatten(2, (a.shape[2], 2))) + self._driving

    def courant(self, a: State, h: float) -> Float[Tensor, " batch"]:
        """Return the largest h (|k| |u| + |q| |v|), q the highest wavenumber across, at a point."""
        u, v, _ = self._on_points(a).unbind(1)
        along, across = self._highest
        return h * (along * u.abs() + across * v.abs()).amax(dim=(0, 1))

    def advance(self, a: State, time: float, *, n_steps: int) -> State:
        """Integrate over `time` in equal steps of order 4 (`ExponentialSteps`).

        Raises:
            FloatingPointError: a flow is too fast for the steps, or has become so.
        """
        h = time / n_steps
        steps = ExponentialSteps((self.viscosity * self.modes.rates)[:, :, None], h, self.tendency)
        self._require_stable(a, h)
        for _ in range(n_steps):
            a = steps.step(a)
        self._require_stable(a, h)
        return a

    def _require_stable(self, a: State, h: float) -> None:
        courant = self.courant(a, h)
        failed = ~(courant <= STABLE_COURANT)  # not ">", which is false for NaN
        if failed.any():
            i = int(failed.nonzero()[0])
            raise FloatingPointError(
                f"flow {i} of this batch is too fast for steps of {h:.3g} time units: its Courant "
                f"number is {float(courant[i]):.3g}, above {STABLE_COURANT}; use a time_step below "
                f"{h:.3g}"
            )

    def vorticity(
        self, a: State, x: Float[np.ndarray, " x"], y: Float[np.ndarray, " y"]
    ) -> Float[Tensor, "batch x y"]:
        """Return w at points 0 <= x < length along the channel and 0 <= y <= 1 across."""
        w_hat = torch.from_numpy(self.modes.profiles(y).w).to(a.dtype) @ a
        waves = np.exp(1j * np.outer(x, self.modes.wavenumbers))
        waves[:, 1:] *= 2  # the conjugates at -k
        return torch.einsum("xk,kyb->bxy", torch.from_numpy(waves), w_hat).real


def initial_size(correlation_length: float, length: float) -> tuple[int, int]:
    """Return how many waves, k = 0 aside, and modes of each an initial field is made of."""
    shortest = _DEVIATIONS / (math.pi * correlation_length)
    return math.ceil(0.5 * length * shortest), math.ceil(shortest)


def initial_perturbation(
    keys: Sequence[tuple[int, ...]],
    solver: ChannelSolver,
    *,
    correlation_length: float,
    speed: float,
) -> State:
    """Draw random flows between the walls.

    The coefficients are Gaussian and independent, complex for k > 0 and real for k = 0, with

        E |a[k, j]|^2 = s^2 exp(-mu_kj correlation_length^2)

    for all but the smallest of them (`initial_size`), then scaled such that the root mean square of
    the velocity is `speed`. What a key draws does not depend on the solver's resolution.

    Args:
        keys: non-negative integers, such as (seed, split, number), that name each flow.
        solver: whose modes they are.
        correlation_length: in widths.
        speed: in units of Poiseuille's velocity on the centre line.

    Raises:
        ValueError: the solver has too few waves or modes; of the latter half can be trusted.
    """
    n_waves, n_modes = initial_size(correlation_length, solver.length)
    if n_waves > solver.n_waves or 2 * n_modes > solver.n_modes:
        raise ValueError(
            f"correlation_length={correlation_length:g} asks for at least n_waves={n_waves} and "
            f"n_modes={2 * n_modes}, got {solver.n_waves} and {solver.n_modes}; raise them, or "
            "correlation_length"
        )
    drawn = (slice(n_waves + 1), slice(n_modes))
    g = np.stack(
        [np.random.default_rng(key).standard_normal((n_waves + 1, n_modes, 2)) for key in keys], -2
    )
    g[0, ..., 1] = 0.0
    g[1:] /= math.sqrt(2)
    deviation = np.exp(-0.5 * correlation_length**2 * solver.modes.rates[drawn])
    a = torch.zeros(*solver.modes.rates.shape, len(keys), dtype=torch.complex128)
    a[drawn] = torch.from_numpy(g.view(np.complex128)[..., 0] * deviation[..., None])
    return a * (speed / mean_square_speed(a).sqrt())


def mean_square_speed(a: State) -> Float[Tensor, " batch"]:
    """Return the mean of u^2 + v^2 over the channel, twice the kinetic energy."""
    squares = torch.view_as_real(a).square().sum(dim=(1, 3))
    return squares[0] + 2 * squares[1:].sum(dim=0)
