"""Linear transforms: the Fourier transform and what can learn in its place."""

from monarch_core.transforms.base import LinearTransform, matrices_computed_once
from monarch_core.transforms.dense import Dense
from monarch_core.transforms.fourier import Fourier
from monarch_core.transforms.mm_star import factorize_mm_star
from monarch_core.transforms.monarch import Monarch
from monarch_core.transforms.multiply import monarch_multiply
from monarch_core.transforms.projection import project_to_monarch

__all__ = [
    "Dense",
    "Fourier",
    "LinearTransform",
    "Monarch",
    "factorize_mm_star",
    "matrices_computed_once",
    "monarch_multiply",
    "project_to_monarch",
]
