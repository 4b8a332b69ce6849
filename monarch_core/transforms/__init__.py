"""Linear transforms: the Fourier transform and what can learn in its place."""

from monarch_core.transforms.base import LinearTransform
from monarch_core.transforms.classes import (
    MMStar,
    circulant_mm_star,
    cosine_mm_star_squared,
    factorize_mm_star,
    fourier_mm_star_squared,
    fourier_monarch,
    hadamard_monarch,
    permutation_mm_star,
    project_to_monarch,
    sine_mm_star_squared,
    toeplitz_mm_star,
)
from monarch_core.transforms.dense import Dense
from monarch_core.transforms.fourier import Fourier
from monarch_core.transforms.monarch import Monarch
from monarch_core.transforms.multiply import monarch_adjoint, monarch_dense, monarch_multiply
from monarch_core.transforms.phased import PhasedFourier
from monarch_core.transforms.plane import PlaneTransform
from monarch_core.transforms.prepared import prepared
from monarch_core.transforms.regression import regress

__all__ = [
    "Dense",
    "Fourier",
    "LinearTransform",
    "MMStar",
    "Monarch",
    "PhasedFourier",
    "PlaneTransform",
    "circulant_mm_star",
    "cosine_mm_star_squared",
    "factorize_mm_star",
    "fourier_mm_star_squared",
    "fourier_monarch",
    "hadamard_monarch",
    "monarch_adjoint",
    "monarch_dense",
    "monarch_multiply",
    "permutation_mm_star",
    "prepared",
    "project_to_monarch",
    "regress",
    "sine_mm_star_squared",
    "toeplitz_mm_star",
]
