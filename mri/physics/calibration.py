"""Calibration: the encoding of a scanner from one fully sampled scan of a known object.

    minimise sum_j |A_H X_j A_W^T - Y_j|^2,   X = S_c x    (1)

over the images j of all slices, echoes and coils. In one of the two matrices alone this is a linear
least-squares problem (`monarch_core.transforms.regression`); both are found in turn. Where the
object has no signal nothing is learned: there a ridge holds both at the DFT.
"""

import logging
from dataclasses import dataclass

import torch
from jaxtyping import Complex
from torch import Tensor

from monarch_core.transforms import Fourier, LinearTransform, regress
from monarch_core.transforms.regression import regress_dense
from mri.physics.encoding import AxisTransforms, CoilMaps

# Weights of the ridge to choose from, relative to the mean energy of a pixel.
RIDGES = tuple(10.0**power for power in range(-6, 3))
# Pixels with less than this share of the energy of the brightest count as empty.
EMPTY = 1e-3

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
    transform: AxisTransforms, scan: KnownScan, held_out: KnownScan, n_sweeps: int = 2
) -> float:
    """Set the transforms of both axes to what explains a scan best (1), started at the DFT.

    Each is as its class can be: a dense matrix the minimiser itself, a Monarch matrix one of its
    rank, phases the best phases; one without parameters stays. The ridge is the one of `RIDGES`
    with which a dense matrix explains the held-out scan best.

    Args:
        transform: image to k-space, on the CPU; changed in place.
        scan: to learn from.
        held_out: of another object, to choose the ridge by.
        n_sweeps: how often each axis is done; after the first the other axis is known.

    Returns:
        The residual of `held_out`.

    Raises:
        ValueError: if the scan has no signal, or as `regress`.
    """
    if not scan.images.abs().amax() > 0:
        raise ValueError("the known object has no signal in any slice; give one that has")
    other = Fourier(transform.shape_in[1], centered=True)
    for _ in range(n_sweeps):
        _calibrate_axis(transform.along_height, _moments(scan, other), _moments(held_out, other))
        other = transform.along_height
        turned = [KnownScan(s.images.mT, s.kspace.mT) for s in (scan, held_out)]
        _calibrate_axis(transform.along_width, *(_moments(s, other) for s in turned))
        other = transform.along_width
    return held_out.residual(transform)


@dataclass(frozen=True)
class _Moments:
    """Second moments of the vectors along one axis, in double precision."""

    G: Tensor
    B: Tensor

    def error(self, A: Tensor) -> float:
        """Return the squared error of A but for a constant."""
        return float(((A @ self.G) * A.conj()).sum().real - 2 * (A * self.B.conj()).sum().real)


def _moments(scan: KnownScan, other: LinearTransform) -> _Moments:
    """Return those of axis -2, with `other` along axis -1."""
    x = other.dense(torch.complex128)
    n_in, n_out = scan.images.shape[1], scan.kspace.shape[1]
    G = torch.zeros(n_in, n_in, dtype=torch.complex128)
    B = torch.zeros(n_out, n_in, dtype=torch.complex128)
    for image, kspace in zip(scan.images, scan.kspace, strict=True):
        seen = image.to(torch.complex128) @ x.mT
        G += seen @ seen.mH
        B += kspace.to(torch.complex128) @ seen.mH
    return _Moments(G, B)


def _calibrate_axis(transform: LinearTransform, known: _Moments, held_out: _Moments) -> None:
    if not any(True for _ in transform.parameters()):
        return
    n = len(known.G)
    F = Fourier(n, centered=True).dense(torch.complex128)
    mean = known.G.diagonal().real.mean()
    eye = torch.eye(n, dtype=F.dtype)
    ridged = [(known.G + r * mean * eye, known.B + r * mean * F) for r in RIDGES]
    errors = [held_out.error(regress_dense(G, B)) for G, B in ridged]
    chosen = errors.index(min(errors))
    log.info("%d points: ridge %g of the mean energy", n, RIDGES[chosen])
    regress(transform, *ridged[chosen])
