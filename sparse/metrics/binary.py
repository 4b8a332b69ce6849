"""What one number can say of two classes, from how often one was taken for the other."""

import math

import numpy as np
from jaxtyping import Int


def f1_score(confusion: Int[np.ndarray, "2 2"]) -> float:
    """Return 2 t / (2 t + f), 0 where both are 0: the mean of precision and recall, harmonic.

    Args:
        confusion: how often a class (row) was taken for another (column). t is how often the second
            class was found, f the number of errors.
    """
    t, f = int(confusion[1, 1]), int(confusion[0, 1] + confusion[1, 0])
    return 2 * t / (2 * t + f) if t + f else 0.0


def matthews_correlation(confusion: Int[np.ndarray, "2 2"]) -> float:
    """Return the correlation of truth and prediction (Matthews 1975), 0 where one is constant.

        (c_00 c_11 - c_01 c_10) / sqrt(product of the four sums of rows and columns)

    Args:
        confusion: c, how often a class (row) was taken for another (column).
    """
    (a, b), (c, d) = confusion.tolist()
    product = (a + b) * (c + d) * (a + c) * (b + d)
    return (a * d - b * c) / math.sqrt(product) if product else 0.0
