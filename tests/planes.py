"""Transforms of planes that have learned something, and what they are as matrices."""

from functools import partial

import torch

from monarch_core.transforms import Fourier, Monarch
from mri.physics.axis_transforms import AxisTransforms, axis_transforms

GRIDS = [(7, 4), (5, 9), (6, 3)]  # odd and even, none square
DFT = {"fourier": Fourier, "monarch": partial(Monarch, dtype=torch.float64)}


def learned(grid, dtype=torch.float64):
    """A transform of both axes, moved away from the DFT."""
    transform = axis_transforms(partial(Monarch, dtype=dtype), grid)
    with torch.no_grad():
        for parameter in transform.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return transform


def cropping():
    """A transform of a plane of 8 x 6 that keeps 5 x 6 frequencies."""
    return AxisTransforms(Fourier(8, modes=range(-2, 3), centered=True), Fourier(6))


def random_complex(*shape, dtype=torch.complex128):
    return torch.randn(*shape, dtype=dtype)


def inner(a, b):
    return (a.conj() * b).sum()


def solved(transform, y, lamda):
    """Return (A^H A + lamda)^-1 A^H y for one plane, by a dense matrix, differentiable."""
    height, width = transform.shape_in
    planes = torch.eye(height * width, dtype=y.dtype).unflatten(-1, (height, width))
    A = transform(planes).flatten(-2).mT
    normal = A.mH @ A + lamda * torch.eye(height * width, dtype=y.dtype)
    return torch.linalg.solve(normal, A.mH @ y.flatten()).unflatten(-1, (height, width))


def gradients(loss, transform):
    return torch.autograd.grad(loss, list(transform.parameters()))
