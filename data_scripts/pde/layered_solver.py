"""Waves and heat between two walls in a medium of layers, by its normal modes.

    u_tt = (c^2 u_z)_z - k^2 c^2 u      or      u_t = the same right-hand side,
    u(0) = u(1) = 0,                    u_t = 0 at t = 0                              (1)

c^2 is constant within each layer; u and c^2 u_z are continuous. k is the wavenumber along a guide
of which z is the depth, 0 in one dimension. Lengths are in units of the domain.
"""

import functools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.special
from jaxtyping import Float

# Degree of an element beyond what the shortest wave in it asks for, and per radian of that wave.
_DEGREE, _DEGREE_PER_RADIAN = 16, 0.75


@dataclass(frozen=True)
class Medium:
    """Layers between z = 0 and z = 1.

    Attributes:
        edges: where layers begin and end, from 0 to 1, increasing.
        squared_speeds: c^2 of each, in length^2/time^2 (diffusivity: length^2/time).
    """

    edges: Float[np.ndarray, " layers_and_one"]
    squared_speeds: Float[np.ndarray, " layers"]

    @classmethod
    def random(cls, seed: int, n_layers: int, contrast: float) -> "Medium":
        """Draw a medium.

        Thicknesses are uniform random numbers, with a quarter of the mean thickness as the least;
        log c^2 is uniform on +- log(contrast) / 2, so that the geometric mean is about 1.
        """
        rng = np.random.default_rng(seed)
        shares = rng.dirichlet(np.ones(n_layers))
        edges = np.concatenate([[0.0], np.cumsum(0.75 * shares + 0.25 / n_layers)])
        edges[-1] = 1.0
        half = 0.5 * np.log(contrast)
        return cls(edges, np.exp(rng.uniform(-half, half, n_layers)))

    @cached_property
    def widths(self) -> Float[np.ndarray, " layers"]:
        """Thickness of each layer."""
        return np.diff(self.edges)

    @cached_property
    def travel_time(self) -> float:
        """Time of a wave from wall to wall, the sum of h / c over the layers."""
        return float((self.widths / np.sqrt(self.squared_speeds)).sum())

    def as_lists(self) -> dict[str, list[float]]:
        """Return the layers as files say them."""
        return {"edges": self.edges.tolist(), "squared_speeds": self.squared_speeds.tolist()}

    def squared_speed_at(self, z: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
        """Return c^2 at points; on an edge, that of the layer above it."""
        layer = np.searchsorted(self.edges, z, side="right") - 1
        return self.squared_speeds[layer.clip(0, len(self.squared_speeds) - 1)]


class NormalModes:
    """The normal modes of a medium: (c^2 phi')' - k^2 c^2 phi = -omega^2 phi, phi = 0 at the walls.

    Every layer is one spectral element on Gauss-Lobatto-Legendre points, where the modes are
    smooth, so that frequencies and modes converge exponentially in the degree (Komatitsch and
    Tromp 1999, Geophys. J. Int. 139, 806-822, for the method). They are orthonormal:

        integral phi_i phi_j dz = delta_ij

    Args:
        medium: the layers.
        n_modes: modes to keep, those of the lowest frequencies.
        wavenumber: k along the guide, in radians per length.
    """

    def __init__(self, medium: Medium, n_modes: int, wavenumber: float = 0.0) -> None:
        speeds = np.sqrt(medium.squared_speeds)
        highest = np.pi * n_modes / medium.travel_time + wavenumber * speeds.max()
        degrees = _DEGREE + np.ceil(_DEGREE_PER_RADIAN * highest * medium.widths / speeds)
        self._elements = [_Element(int(degree)) for degree in degrees]
        self._edges = medium.edges
        starts = np.concatenate([[0], np.cumsum([e.degree for e in self._elements])])
        n = starts[-1] + 1
        K, mass = np.zeros((n, n)), np.zeros(n)
        self.points = np.zeros(n)
        for i, element in enumerate(self._elements):
            nodes = slice(starts[i], starts[i + 1] + 1)
            h, c2 = medium.widths[i], medium.squared_speeds[i]
            weights = 0.5 * h * element.weights
            stiffness = c2 * 2 / h * (element.D.T * element.weights) @ element.D
            K[nodes, nodes] += stiffness + wavenumber**2 * c2 * np.diag(weights)
            mass[nodes] += weights
            self.points[nodes] = medium.edges[i] + 0.5 * h * (1 + element.nodes)
        root = np.sqrt(mass[1:-1])
        squares, vectors = np.linalg.eigh(K[1:-1, 1:-1] / np.outer(root, root))
        self.frequencies = np.sqrt(squares[:n_modes])
        self._weights = mass
        self._values = np.zeros((n, n_modes))
        self._values[1:-1] = vectors[:, :n_modes] / root[:, None]

    def coefficients(
        self, u: Float[np.ndarray, "samples nodes"]
    ) -> Float[np.ndarray, "samples modes"]:
        """Return integral u phi_i dz of fields at `points`."""
        return (u * self._weights) @ self._values

    def at(self, z: Float[np.ndarray, " points"]) -> Float[np.ndarray, "points modes"]:
        """Return the modes at any points from 0 to 1, by the polynomials of the elements."""
        layer = (np.searchsorted(self._edges, z, side="right") - 1).clip(0, len(self._elements) - 1)
        values = np.zeros((len(z), self._values.shape[1]))
        start = 0
        for i, element in enumerate(self._elements):
            inside, nodes = layer == i, slice(start, start + element.degree + 1)
            a, b = self._edges[i : i + 2]
            x = 2 * (z[inside] - a) / (b - a) - 1
            values[inside] = element.interpolation(x) @ self._values[nodes]
            start += element.degree
        return values

    def rows(self, n: int) -> Float[np.ndarray, "modes n"]:
        """Return the modes at the cell centres (i + 1/2) / n, about of length 1 there."""
        return self.at((np.arange(n) + 0.5) / n).T / np.sqrt(n)


class InLayers:
    """What recipes share whose medium is drawn from their `medium_seed`."""

    medium_seed: int
    n_layers: int
    contrast: float

    @property
    def medium(self) -> Medium:
        """The layers."""
        return Medium.random(self.medium_seed, self.n_layers, self.contrast)

    def modes(self, n_modes: int, wavenumber: float = 0.0) -> NormalModes:
        """Return the lowest modes, of waves with a wavenumber along the layers."""
        return normal_modes(self.medium_seed, self.n_layers, self.contrast, n_modes, wavenumber)


@functools.lru_cache(maxsize=64)
def normal_modes(
    seed: int, n_layers: int, contrast: float, n_modes: int, wavenumber: float
) -> NormalModes:
    """Return those of a random medium, made once in each process."""
    return NormalModes(Medium.random(seed, n_layers, contrast), n_modes, wavenumber)


class _Element:
    """Lagrange polynomials on the Gauss-Lobatto-Legendre points of (-1, 1)."""

    def __init__(self, degree: int) -> None:
        self.degree = degree
        inner = scipy.special.roots_jacobi(degree - 1, 1, 1)[0]
        self.nodes = x = np.concatenate([[-1.0], inner, [1.0]])
        P = scipy.special.eval_legendre(degree, x)
        self.weights = 2 / (degree * (degree + 1) * P**2)
        # the derivative of the j-th polynomial at the i-th point
        apart = x[:, None] - x + np.eye(len(x))
        self.D = P[:, None] / P / apart
        np.fill_diagonal(self.D, 0.0)
        self.D[0, 0], self.D[-1, -1] = np.array([-1, 1]) * degree * (degree + 1) / 4

    def interpolation(self, x: Float[np.ndarray, " points"]) -> Float[np.ndarray, "points nodes"]:
        """Return the polynomials at points, by the barycentric formula."""
        signs = np.where(np.arange(self.degree + 1) % 2, -1.0, 1.0)
        apart = x[:, None] - self.nodes
        hit = apart == 0
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = signs * np.sqrt(self.weights) / apart
            values = terms / terms.sum(1, keepdims=True)
        on_node = hit.any(1)
        values[on_node] = hit[on_node]
        return values
