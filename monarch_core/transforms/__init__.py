"""Linear transforms: the Fourier transform and what can learn in its place."""

from monarch_core.transforms.base import LinearTransform
from monarch_core.transforms.classes import (
    circulant_mm_star,
    cosine_mm_star_squared,
    fourier_mm_star_squared,
    fourier_monarch,
    hadamard_monarch,
    permutation_mm_star,
    sine_mm_star_squared,
    toeplitz_mm_star,
)
from monarch_core.transforms.dense import Dense
from monarch_core.transforms.fourier import Fourier
from monarch_core.transforms.mm_star import MMStar, factorize_mm_star
from monarch_core.transforms.monarch import Monarch
from monarch_core.transforms.multiply import monarch_adjoint, monarch_dense, monarch_multiply
from monarch_core.transforms.once import computed_once, matrices_computed_once
from monarch_core.transforms.projection import project_to_monarch

__all__ = [
    "Dense",
    "Fourier",
    "LinearTransform",
    "MMStar",
    "Monarch",
    "circulant_mm_star",
    "computed_once",
    "cosine_mm_star_squared",
    "factorize_mm_star",
    "fourier_mm_star_squared",
    "fourier_monarch",
    "hadamard_monarch",
    "matrices_computed_once",
    "monarch_adjoint",
    "monarch_dense",
    "monarch_multiply",
    "permutation_mm_star",
    "project_to_monarch",
    "sine_mm_star_squared",
    "toeplitz_mm_star",
]
