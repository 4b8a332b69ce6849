"""The acceleration of a sampling mask: the ratio of all samples to those kept."""

import math

import numpy as np
from jaxtyping import Bool, Shaped


def achieved_acceleration(mask: Shaped[np.ndarray, "ky kz"]) -> float:
    """Return n_all / n_sampled.

    Raises:
        ValueError: if the mask samples nothing.
    """
    n_sampled = int(np.count_nonzero(mask))
    if n_sampled == 0:
        raise ValueError(
            f"the mask of shape {mask.shape} samples nothing; lower the acceleration or enlarge "
            "the calibration region"
        )
    return mask.size / n_sampled


def check_acceleration(acceleration: float, n: int) -> None:
    """Check that a mask of `n` samples can have an acceleration at all.

    Raises:
        ValueError: if it is no number of at least 1, or leaves less than one sample.
    """
    if not 1 <= acceleration < math.inf:
        raise ValueError(f"acceleration must be a number of at least 1, got {acceleration}")
    if acceleration > n:
        raise ValueError(
            f"acceleration {acceleration:g} leaves less than one of {n} samples; use a lower one"
        )


def reaches(mask: Bool[np.ndarray, "..."], acceleration: float, tolerance: float) -> bool:
    """Return whether a mask has as many samples as an acceleration asks for, to a tolerance."""
    wanted = mask.size / acceleration
    return bool(abs(int(mask.sum()) - wanted) <= tolerance * wanted)
