"""What a transform does to k-space and to a point: pictures for the report."""

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from monarch_core.runs.artifacts import Artifact, Curve, Picture
from monarch_core.transforms import Fourier, LinearTransform
from mri.models.sense import SenseReconstruction
from mri.physics.axis_transforms import AxisTransforms, axis_transforms

FLOOR_DB = -60.0


@torch.no_grad()
def kspace_weighting(
    pair: AxisTransforms,
) -> Float[Tensor, "k_h k_w"]:
    """Return the weight that a learned way back to the image gives each frequency.

        w[k, l] = |diag(F T)| = |sum_z (F_y T_y[z])[k, k] F_z[l, z] T_z[k][z, l]|

    T maps k-space to image: the transform itself if it is an inverse one, else its adjoint. F is
    the centred DFT; T_y[z] and T_z[k] are the matrices of a column of the image and of a line of
    k-space, as a rule the same for all. 1 for the FFT.
    """
    T_y, T_z = (
        _way_back(transform, inverse=pair.inverse)
        for transform in (pair.along_height, pair.along_width)
    )
    F_y, F_z = (Fourier(T.shape[-1], centered=True).dense() for T in (T_y, T_z))
    of_column = torch.einsum("ky,zyk->zk", F_y, T_y)
    columns = of_column.repeat_interleave(len(F_z) // len(T_y), 0).unflatten(1, (len(T_z), -1))
    return torch.einsum("zgk,lz,gzl->gkl", columns, F_z, T_z).flatten(0, 1).abs()


@torch.no_grad()
def point_spread(pair: AxisTransforms, sampled: Float[Tensor, "k_h k_w"]) -> Complex[Tensor, "h w"]:
    """Return the image of a point at the centre of the field of view.

        p = T Omega F delta

    Args:
        pair: the transform to or from k-space; T is its way back.
        sampled: mask, or mask times weights, dimensionless.
    """
    height, width = _image_shape(pair)
    point = torch.zeros(height, width, dtype=torch.complex64)
    point[height // 2, width // 2] = 1
    kspace = sampled * axis_transforms(Fourier, (height, width))(point)
    return pair(kspace) if pair.inverse else pair.adjoint(kspace)


def describe_transforms(model: nn.Module, mask: Float[Tensor, "k_h k_w"]) -> list[Artifact]:
    """Return the pictures of a model's transforms, none if it has no transform.

    Args:
        model: on the CPU.
        mask: of the first test scan.
    """
    pairs = [module for module in model.modules() if isinstance(module, AxisTransforms)]
    if not pairs:
        return []
    pair = next((pair for pair in pairs if pair.inverse), pairs[0])
    weights = model.weights() if isinstance(model, SenseReconstruction) else torch.ones_like(mask)
    axes = {"x_label": "kz, samples", "y_label": "ky, samples"}
    spread = point_spread(pair, weights * mask)
    start = point_spread(axis_transforms(Fourier, _image_shape(pair), inverse=True), mask)
    return [
        Picture(
            figure="kspace_weighting",
            title="Weight of each frequency, |diag(F T)|",
            image=(weights * kspace_weighting(pair)).numpy(),
            **axes,
        ),
        Picture(
            figure="point_spread",
            title="Point-spread function at the centre",
            image=_decibel(spread) - FLOOR_DB,
            x_label="width, pixels",
            y_label="height, pixels",
            unit=f"dB above {FLOOR_DB:g} dB of the peak",
        ),
        *_profiles(spread, start),
    ]


def _image_shape(pair: AxisTransforms) -> tuple[int, int]:
    return pair.shape_out if pair.inverse else pair.shape_in


def _way_back(transform: LinearTransform, inverse: bool) -> Complex[Tensor, "heads n k"]:
    matrices = torch.complex(*transform.matrix())
    return matrices if inverse else matrices.mH


def _decibel(spread: Tensor) -> np.ndarray:
    """Return 20 log10 |p| / max |p|, not below `FLOOR_DB`."""
    relative = spread.abs() / spread.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
    return (20 * relative.clamp(min=10 ** (FLOOR_DB / 20)).log10()).numpy()


def _profiles(spread: Tensor, start: Tensor) -> list[Artifact]:
    """Return lines through the centre: before learning (the DFT) and as learned."""
    curves: list[Artifact] = []
    for axis, along in (("height", 1), ("width", 0)):
        centre = spread.shape[along] // 2
        for line, values, shared in (("before: inverse DFT", start, True), ("", spread, False)):
            profile = _decibel(values).take(centre, axis=along)
            curves.append(
                Curve(
                    figure=f"point_spread_{axis}",
                    title=f"Point-spread function along {axis}",
                    x_label=f"{axis}, pixels from the centre",
                    y_label="magnitude, dB of the peak",
                    x=np.arange(len(profile)) - float(len(profile) // 2),
                    y=profile,
                    line=line,
                    shared=shared,
                )
            )
    return curves
