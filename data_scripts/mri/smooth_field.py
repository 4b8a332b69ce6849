"""Random smooth functions of two coordinates: phases and off-resonance."""

import numpy as np
from jaxtyping import Float


def smooth_field(
    shape: tuple[int, int], rng: np.random.Generator, n_waves: int = 6, cycles: float = 1.2
) -> Float[np.ndarray, "y z"]:
    """Return a random smooth function with values between -1 and 1.

        f(y, z) = sum_j a_j cos(2 pi (u_j y + v_j z) + w_j),  |(u_j, v_j)| <= cycles

    Args:
        shape: number of points; the domain is the unit square.
        rng: source of the waves.
        n_waves: number of terms.
        cycles: highest frequency, in cycles per field of view.
    """
    y = np.linspace(0, 1, shape[0], dtype=np.float32)[:, None]
    z = np.linspace(0, 1, shape[1], dtype=np.float32)[None, :]
    total = np.zeros(shape, np.float32)
    for _ in range(n_waves):
        angle, length, start = rng.uniform(0, 2 * np.pi), rng.uniform(0, cycles), rng.uniform(0, 1)
        wave = np.cos(angle) * y + np.sin(angle) * z
        total += np.float32(rng.normal()) * np.cos(2 * np.pi * (length * wave + start))
    return total / max(float(np.abs(total).max()), 1e-6)
