"""Smooth random fields between two walls, as sums of a few sines."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Num


def smooth_amplitudes(
    keys: Sequence[tuple[int, ...]], correlation_length: float
) -> Float[np.ndarray, "samples waves"]:
    """Draw fields u(x) = sum_{k >= 1} a_k sin pi k x with root mean square 1.

    a_k is Gaussian with standard deviation exp(-(pi k l)^2 / 2), l the correlation length, up to
    the k where that is 1e-8; each field is then divided by its root mean square.

    Args:
        keys: non-negative integers, such as (seed, split, number), that name each field.
        correlation_length: in lengths of the domain.
    """
    n_waves = math.ceil(6 / (np.pi * correlation_length))
    width = np.exp(-0.5 * (np.pi * correlation_length * np.arange(1, n_waves + 1)) ** 2)
    a = np.stack([np.random.default_rng(key).standard_normal(n_waves) for key in keys])
    a *= width
    return a / np.sqrt(np.square(a).sum(axis=1, keepdims=True) / 2)


def sines(
    amplitudes: Num[np.ndarray, "*samples waves"], x: Float[np.ndarray, " points"]
) -> Num[np.ndarray, "*samples points"]:
    """Return sum_k a_k sin pi k x, k = 1, 2, ..., at any points."""
    k = np.arange(1, amplitudes.shape[-1] + 1)
    return amplitudes @ np.sin(np.pi * np.outer(k, x))
