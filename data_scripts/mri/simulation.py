"""The options that simulated scans share, checked before anything is simulated."""

import math
from typing import Protocol

from data_scripts.recipe import require_range


class Acquisition(Protocol):
    """Options of a simulated acquisition; `data_scripts.mri.phantom` says what they mean."""

    height: int
    width: int
    n_coils: int
    noise: float
    trajectory: float
    epi_ghost: float
    b0_hz: float
    seed: int


def check_acquisition(options: Acquisition) -> None:
    """Check the options of a simulated acquisition.

    Raises:
        ValueError: naming the option, its value and what it may be.
    """
    for name, lowest, highest, unit in (
        ("height", 8, 8192, "pixels"),
        ("width", 8, 8192, "pixels"),
        ("n_coils", 1, 1024, "coils"),
        ("noise", 0.0, 10.0, "times the brightest signal"),
        ("trajectory", -options.height / 2, options.height / 2, "samples"),
        ("epi_ghost", -math.pi, math.pi, "radians"),
        ("b0_hz", -1e4, 1e4, "Hz"),
        ("seed", 0, 2**63 - 1, "(whole)"),
    ):
        require_range(name, getattr(options, name), lowest, highest, unit)
