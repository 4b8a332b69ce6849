"""Calibration: the encoding of a scanner from one fully sampled scan of a known object.

    minimise sum_j |A_H X_j A_W^T - Y_j|^2,   X = S_c x    (1)

over the images j of all slices, echoes and coils. In one of the two matrices alone this is a linear
least-squares problem (`monarch_core.transforms.regression`); both are found in turn. With a matrix
A_H for each of several groups of columns, each sees the columns of its own, of Y A_W^-T. Where the
object has no signal nothing is learned: there a ridge holds both at the DFT, and those of a group
at what is best for all columns.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Complex
from torch import Tensor

from monarch_core.transforms import Fourier, LinearTransform, prepared, regress
from monarch_core.transforms.regression import regress_dense
from mri.physics.axis_transforms import AxisTransforms
from mri.physics.encoding import CoilMaps

# Weights of the ridge to choose from, relative to the mean energy of a pixel.
RIDGES = tuple(10.0**power for power in range(-6, 3))
# Pixels with less than this share of the energy of the brightest count as empty.
EMPTY = 1e-3
_BATCH = 32  # images whose vectors are held at a time
_WORTH = 0.95  # a sweep that leaves more of the residual than this is the last

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KnownScan:
    """What a known object sends to every coil, and what the scanner made of it.

    Attributes:
        images: X, the object as each coil sees it; of all slices, echoes and coils.
        kspace: Y, all samples of it; of the same unit.
    """

    images: Complex[Tensor, "images h w"]
    kspace: Complex[Tensor, "images k_h k_w"]

    @classmethod
    def of(
        cls,
        kspace: Complex[Tensor, "slices echoes coils k_h k_w"],
        maps: Complex[Tensor, "slices coils h w"],
        known: Complex[Tensor, "slices echoes h w"],
    ) -> "KnownScan":
        """Return the scan of an object, given its image and the maps of the coils."""
        return cls(CoilMaps(maps).forward(known).flatten(0, 2), kspace.flatten(0, 2))

    @property
    def coverage(self) -> float:
        """The share of pixels that hold enough of the object to be calibrated."""
        energy = self.images.abs().square().sum(0)
        return float((energy > EMPTY * energy.max()).float().mean())

    def residual(self, transform: AxisTransforms) -> float:
        """Return sqrt(sum |A_H X A_W^T - Y|^2 / sum |Y|^2)."""
        missed = (transform(self.images) - self.kspace).abs().square().sum()
        return float((missed / self.kspace.abs().square().sum()).sqrt().detach())


@torch.no_grad()
def calibrate(
    transform: AxisTransforms, scan: KnownScan, held_out: KnownScan, n_sweeps: int = 10
) -> float:
    """Set the transforms of both axes to what explains a scan best (1).

    Each is as its class can be: a dense matrix the minimiser itself, a Monarch matrix one of its
    rank, phases the best phases; one without parameters stays. The ridge is the one of `RIDGES`
    with which a dense matrix explains the held-out scan best.

    Args:
        transform: image to k-space, as it starts, on the CPU; changed in place.
        scan: to learn from.
        held_out: of another object, to choose the ridge by.
        n_sweeps: how often each axis is done at most; it ends when the residual hardly falls.

    Returns:
        The residual of `held_out`.

    Raises:
        ValueError: if the scan has no signal, or as `regress`.
    """
    if not scan.images.abs().amax() > 0:
        raise ValueError("the known object has no signal in any slice; give one that has")
    scans = (scan, held_out)
    residual = held_out.residual(transform)
    for _ in range(n_sweeps):
        _fit(transform.along_height, *(_along_height(s, transform) for s in scans))
        _fit(transform.along_width, *(_along_width(s, transform) for s in scans))
        before, residual = residual, held_out.residual(transform)
        if residual > _WORTH * before:
            break
    return residual


@dataclass(frozen=True)
class _Moments:
    """Second moments of the vectors along one axis, for every head, in double precision."""

    G: Complex[Tensor, "heads n_in n_in"]
    B: Complex[Tensor, "heads n_out n_in"]

    def of_all(self) -> "_Moments":
        """Return those of all heads together."""
        return _Moments(self.G.sum(0, keepdim=True), self.B.sum(0, keepdim=True))

    def held_at(self, A: Complex[Tensor, "n_out n_in"], weight: float) -> "_Moments":
        """Return them with a ridge towards A, relative to the mean energy of a pixel."""
        ridge = weight * self.G.diagonal(dim1=1, dim2=2).real.mean()
        return _Moments(self.G + ridge * torch.eye(A.shape[1], dtype=A.dtype), self.B + ridge * A)

    def best(self) -> Complex[Tensor, "heads n_out n_in"]:
        """Return the dense matrices that minimise the error."""
        return torch.stack([regress_dense(G, B) for G, B in zip(self.G, self.B, strict=True)])

    def error(self, A: Complex[Tensor, "heads n_out n_in"]) -> float:
        """Return the squared error of matrices but for a constant."""
        return float(((A @ self.G) * A.conj()).sum().real - 2 * (A * self.B.conj()).sum().real)


def _along_height(scan: KnownScan, transform: AxisTransforms) -> _Moments:
    """Return the moments of the columns, of the image and of k-space back along width."""
    heads = transform.along_height.heads
    back = torch.linalg.pinv(transform.along_width.dense(torch.complex128)).mT
    return _moments(heads, scan, lambda X, Y: (X, Y @ back))


def _along_width(scan: KnownScan, transform: AxisTransforms) -> _Moments:
    """Return the moments of the lines, of the image taken along height and of k-space."""
    along_height = prepared(transform.along_height)
    return _moments(1, scan, lambda X, Y: (along_height(X.mT), Y.mT))


def _moments(
    heads: int, scan: KnownScan, vectors: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
) -> _Moments:
    """Sum x x^H and y x^H over the columns x and y that every image and its k-space give."""
    G: Tensor | float = 0.0
    B: Tensor | float = 0.0
    for images, kspace in zip(scan.images.split(_BATCH), scan.kspace.split(_BATCH), strict=True):
        pair = vectors(images.to(torch.complex128), kspace.to(torch.complex128))
        x, y = (s.unflatten(-1, (heads, -1)).permute(2, 1, 0, 3).flatten(2) for s in pair)
        G, B = G + x @ x.mH, B + y @ x.mH
    return _Moments(torch.as_tensor(G), torch.as_tensor(B))


def _fit(transform: LinearTransform, known: _Moments, held_out: _Moments) -> None:
    """Set a transform by its moments, with the ridge that serves the others best."""
    if not any(True for _ in transform.parameters()):
        return
    A = Fourier(transform.n_in, centered=True).dense(torch.complex128)
    found = _with_ridge(known.of_all(), held_out.of_all(), A)
    if transform.heads > 1:
        found = _with_ridge(known, held_out, found.best()[0])
    regress(transform, found.G, found.B)


def _with_ridge(known: _Moments, held_out: _Moments, A: Tensor) -> _Moments:
    ridged = [known.held_at(A, weight) for weight in RIDGES]
    errors = [held_out.error(moments.best()) for moments in ridged]
    chosen = errors.index(min(errors))
    log.info("%d matrices of %d points: ridge %g", len(known.G), len(A), RIDGES[chosen])
    return ridged[chosen]
