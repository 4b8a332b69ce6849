"""One-dimensional Burgers equation with periodic boundaries, pseudo-spectral.

    u_t + u u_x = nu u_xx,    u(x + length, t) = u(x, t)    (1)

Points are x = i length / grid; u is in length/time and nu in length^2/time. A field that is zero
at both ends of (0, 1) is one half of an odd periodic field of length 2, which (1) keeps odd, so
that the same solver is exact for Dirichlet conditions.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from data_scripts.pde.navier_stokes_solver import dealiased_cutoff
from data_scripts.pde.steps import integrate_each

# Steps are chosen anew this many times per time unit: |u| shrinks as time goes on.
INTERVALS_PER_TIME_UNIT = 100


class BurgersSolver:
    """Integrator of (1) for a batch of fields.

    The state `u_hat` holds Fourier-series coefficients, shape (batch, K + 1), with

        u(x) = sum_k u_hat[k] exp(i kappa_k x),    kappa_k = 2 pi k / length,    |k| <= K    (2)

    where K = `dealiased_cutoff(grid)`; those with k < 0 follow because u is real. One step h is
    classical Runge-Kutta with the diffusion integrated exactly (integrating factor; Canuto et al.
    2007, Spectral Methods, appendix D.3). With N = -(u^2 / 2)_x and E = exp(-nu kappa^2 h / 2):

        a = N(u),  b = N(E (u + h/2 a)),  c = N(E u + h/2 b),  d = N(E (E u + h c))    (3)
        u <- E (E (u + h/6 a) + h/3 (b + c)) + h/6 d                                   (4)

    Each field has its own h, such that h kappa_K max|u| is at most `courant`. As max|u| never
    grows under (1), no step is unstable, and a result does not depend on its batch.

    Args:
        grid: points per period, at least 4.
        viscosity: nu, more than zero.
        length: of a period.
        courant: see above; RK4 is stable up to 2.8.
        device: where everything is computed, in double precision.
    """

    def __init__(
        self,
        grid: int,
        viscosity: float,
        *,
        length: float = 1.0,
        courant: float = 0.5,
        device: torch.device | str = "cpu",
    ) -> None:
        self.grid, self.courant = grid, courant
        self.cutoff = dealiased_cutoff(grid)
        self.device = torch.device(device)
        kappa = 2 * math.pi / length * torch.arange(self.cutoff + 1, dtype=torch.float64)
        self._kappa_max = float(kappa[-1])
        self._half_derivative = (-0.5j * kappa).to(self.device)
        self._diffusion = (-viscosity * kappa.square()).to(self.device)

    def tendency(self, u_hat: Complex[Tensor, "batch modes"]) -> Complex[Tensor, "batch modes"]:
        """Return N, the coefficients of -(u^2 / 2)_x without modes beyond the cutoff."""
        square = to_grid(u_hat, self.grid).square_()
        products = torch.fft.rfft(square, norm="forward")[:, : self.cutoff + 1]
        return products * self._half_derivative

    def advance(
        self, u_hat: Complex[Tensor, "batch modes"], time: float
    ) -> Complex[Tensor, "batch kept_modes"]:
        """Return the coefficients (2) after `time`.

        Args:
            u_hat: of any number of modes; those beyond the cutoff are dropped.
            time: more than zero.
        """
        kept = u_hat[:, : self.cutoff + 1].to(self.device)
        u_hat = torch.nn.functional.pad(kept, (0, self.cutoff + 1 - kept.shape[1]))
        n_intervals = math.ceil(time * INTERVALS_PER_TIME_UNIT)
        for _ in range(n_intervals):
            u_hat = self._integrate(u_hat, time / n_intervals)
        return u_hat

    def _integrate(self, u_hat: Tensor, interval: float) -> Tensor:
        fastest = to_grid(u_hat, self.grid).abs().amax(dim=1)
        n_steps = torch.ceil(interval * self._kappa_max * fastest / self.courant).long().clamp(1)
        h = (interval / n_steps.double())[:, None]
        E = torch.exp(self._diffusion * h / 2)
        return integrate_each(self._step, u_hat, h, E, n_steps)

    def _step(self, u: Tensor, h: Tensor, E: Tensor) -> Tensor:
        a = self.tendency(u)  # (3)
        b = self.tendency(E * (u + h / 2 * a))
        E_u = E * u
        c = self.tendency(E_u + h / 2 * b)
        d = self.tendency(E * (E_u + h * c))
        return E * (E * (u + h / 6 * a) + h / 3 * (b + c)) + h / 6 * d  # (4)


def to_grid(u_hat: Complex[Tensor, "batch modes"], grid: int) -> Float[Tensor, "batch grid"]:
    """Return the field (2) on `grid` points per period, more than twice the largest mode."""
    return torch.fft.irfft(u_hat, n=grid, norm="forward")


def initial_periodic(
    keys: Sequence[tuple[int, ...]], n_modes: int
) -> Complex[Tensor, "batch modes"]:
    """Draw fields from N(0, 625 (-Laplace + 25)^-2) on the unit torus, without a mean.

    As coefficients (2) of a period of length 1, with independent standard normal xi and eta:

        u0(x) = sum_{k=1}^{n_modes} sqrt(2) 25 / (4 pi^2 k^2 + 25) (xi_k cos 2 pi k x
                                                                    + eta_k sin 2 pi k x)

    the field of Li et al. 2021 (arXiv:2010.08895), of standard deviation 0.59. Modes are drawn
    from low to high, each field from a generator of its own, so that a key names a field.

    Args:
        keys: non-negative integers, such as (seed, split, number), that name each field.
        n_modes: largest wavenumber.
    """
    u_hat = np.zeros((len(keys), n_modes + 1), dtype=np.complex128)
    std = _standard_deviations(2 * np.pi * np.arange(1, n_modes + 1))
    for field, key in zip(u_hat, keys, strict=True):
        xi, eta = np.random.default_rng(key).standard_normal((n_modes, 2)).T
        field[1:] = std * (xi - 1j * eta) / 2
    return torch.from_numpy(u_hat)


def initial_dirichlet(
    keys: Sequence[tuple[int, ...]], n_modes: int
) -> Complex[Tensor, "batch modes"]:
    """Draw fields from N(0, 625 (-Laplace + 25)^-2) on (0, 1), zero at both ends.

    As coefficients (2) of the odd extension, of period 2, with independent standard normal xi:

        u0(x) = sum_{k=1}^{n_modes} sqrt(2) 25 / (pi^2 k^2 + 25) xi_k sin pi k x

    Args:
        keys: as for `initial_periodic`.
        n_modes: number of sines.
    """
    u_hat = np.zeros((len(keys), n_modes + 1), dtype=np.complex128)
    std = _standard_deviations(np.pi * np.arange(1, n_modes + 1))
    for field, key in zip(u_hat, keys, strict=True):
        field[1:] = -0.5j * std * np.random.default_rng(key).standard_normal(n_modes)
    return torch.from_numpy(u_hat)


def _standard_deviations(kappa: np.ndarray) -> np.ndarray:
    """Return the factors of the normalised eigenfunctions sqrt(2) cos and sqrt(2) sin."""
    return math.sqrt(2) * 25 / (kappa**2 + 25)
