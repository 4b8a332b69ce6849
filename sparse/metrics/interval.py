"""How far a share that was counted may be from the true one."""

import math

_NORMAL = 1.959964  # 97.5 % quantile of the normal distribution


def wilson_interval(n_hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927), with z = 1.96 and p = n_hits / n.

        (p + z^2 / 2n  -+  z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    Args:
        n_hits: how often it happened.
        n: of how many independent trials; at least 1.
    """
    p, z2 = n_hits / n, _NORMAL**2
    middle = p + z2 / (2 * n)
    half_width = _NORMAL * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, (middle - half_width) / (1 + z2 / n)), min(
        1.0, (middle + half_width) / (1 + z2 / n)
    )
