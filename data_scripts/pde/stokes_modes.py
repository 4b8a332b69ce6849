"""Slow flows between two walls: the eigenfunctions of the Stokes operator in a channel.

With a streamfunction psi = phi(y) exp(i k x) between the walls y = 0 and y = 1, decay by viscosity
alone, exp(-viscosity mu t), asks for

    (D^2 - k^2)^2 phi = -mu (D^2 - k^2) phi,    phi = phi' = 0 at both walls             (1)

and at k = 0, where the velocity along the walls is all there is, for u'' = -mu u with u = 0 there.
In them viscosity is diagonal, and the walls are obeyed whatever their coefficients are. Lengths are
in units of the width of the channel.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Float
from numpy.polynomial import legendre

Matrices = Float[np.ndarray, "wavenumbers points modes"]


class Profiles(NamedTuple):
    """What a mode of amplitude 1 has at points across the channel, times exp(i k x).

    Attributes:
        u: velocity along the walls.
        v: velocity across, divided by -i.
        w: vorticity.
    """

    u: Matrices
    v: Matrices
    w: Matrices


class StokesModes:
    """The `n_modes` slowest modes of each wavenumber, by Galerkin's method.

    phi is a polynomial of degree n_modes + 3 in the clamped Legendre basis of Shen 1994 (SIAM J.
    Sci. Comput. 15, 1489), u at k = 0 one of degree n_modes + 1 that vanishes at the walls. Of each
    wavenumber the modes span all such polynomials, and about the slower half of them are converged.
    They are orthonormal in kinetic energy, and positive in shear at the wall y = 0:

        integral phi_i' phi_j' + k^2 phi_i phi_j dy = delta_ij,    phi_i''(0) > 0         (2)

    Args:
        wavenumbers: k, in radians per length, zero or more.
        n_modes: modes of each.

    Attributes:
        rates: mu, in 1/length^2, increasing; (wavenumbers, modes).
    """

    def __init__(self, wavenumbers: Sequence[float], n_modes: int) -> None:
        self.wavenumbers = tuple(wavenumbers)
        self.n_modes = n_modes
        self._clamped, self._pinned = _clamped_basis(n_modes), _pinned_basis(n_modes)
        y, weights = gauss_points(n_modes + 4)
        root = np.sqrt(weights)[:, None]
        solved = [
            self._solve(k, *(root * values for values in self._basis(k, y)))
            for k in self.wavenumbers
        ]
        self.rates = np.stack([rates for rates, _ in solved])
        self._vectors = [vectors for _, vectors in solved]

    def _basis(
        self, k: float, y: Float[np.ndarray, " points"]
    ) -> tuple[Float[np.ndarray, "points modes"], ...]:
        """Return values and two derivatives at points; at k = 0 of a potential of u."""
        if k == 0:
            u, shear = (_evaluate(self._pinned, y, order) for order in range(2))
            return np.zeros_like(u), u, shear
        first, second, third = (_evaluate(self._clamped, y, order) for order in range(3))
        return first, second, third

    def _solve(
        self, k: float, phi: np.ndarray, d_phi: np.ndarray, dd_phi: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rates, and the modes in the basis of which values times root weights are given."""
        energy = d_phi.T @ d_phi + k**2 * phi.T @ phi
        dissipation = dd_phi.T @ dd_phi + 2 * k**2 * d_phi.T @ d_phi + k**4 * phi.T @ phi
        # this way round, the matrix that must be definite is well conditioned in Shen's basis
        times, vectors = scipy.linalg.eigh(energy, dissipation)
        times, vectors = times[::-1], vectors[:, ::-1] / np.sqrt(times[::-1])
        shear = self._basis(k, np.zeros(1))[2] @ vectors
        return 1 / times, vectors * np.sign(shear)

    def profiles(self, y: Float[np.ndarray, " points"]) -> Profiles:
        """Return velocities and vorticity of every mode at points from 0 to 1."""
        found = []
        for k, vectors in zip(self.wavenumbers, self._vectors, strict=True):
            phi, d_phi, dd_phi = (values @ vectors for values in self._basis(k, y))
            found.append((d_phi, k * phi, k**2 * phi - dd_phi))
        return Profiles(*(np.stack(of_all) for of_all in zip(*found, strict=True)))


def gauss_points(n: int) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return points between the walls and weights that integrate degree 2 n - 1 exactly."""
    nodes, weights = legendre.leggauss(n)
    return (1 + nodes) / 2, weights / 2


def _clamped_basis(n: int) -> Float[np.ndarray, "n degrees"]:
    """Return Legendre coefficients of functions with phi = phi' = 0 at the walls.

    They are Shen's, scaled such that the second derivatives are orthonormal on (-1, 1).
    """
    j = np.arange(n)
    scale = 1 / ((2 * j + 3) * np.sqrt(2 * (2 * j + 5)))
    basis = np.zeros((n, n + 4))
    basis[j, j] = scale
    basis[j, j + 2] = -scale * 2 * (2 * j + 5) / (2 * j + 7)
    basis[j, j + 4] = scale * (2 * j + 3) / (2 * j + 7)
    return basis


def _pinned_basis(n: int) -> Float[np.ndarray, "n degrees"]:
    """Return Legendre coefficients of functions that vanish at the walls.

    They are scaled such that the first derivatives are orthonormal on (-1, 1).
    """
    j = np.arange(n)
    basis = np.zeros((n, n + 2))
    basis[j, j] = 1 / np.sqrt(4 * j + 6)
    basis[j, j + 2] = -basis[j, j]
    return basis


def _evaluate(
    basis: Float[np.ndarray, "n degrees"], y: Float[np.ndarray, " points"], order: int
) -> Float[np.ndarray, "points n"]:
    """Return derivatives with respect to y, of which the nodes 2 y - 1 lie in (-1, 1)."""
    derived = legendre.legder(basis, order, scl=2.0, axis=1)
    return legendre.legvander(2 * y - 1, derived.shape[1] - 1) @ derived.T
