"""What the published files say by their names."""

import re
from pathlib import Path

# Equations that are none of the data sets here, by parts of the names of their files.
_OTHERS = {
    "advection": "advection",
    "reacdiff": "reaction and diffusion",
    "diff-react": "reaction and diffusion",
    "diff-sorp": "diffusion and sorption",
    "rdb": "shallow water",
    "shallow": "shallow water",
    "cfd": "compressible flow",
}
_NUMBER = r"(\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?=_|$)"


def other_equation(path: Path) -> tuple[str, ...]:
    """Return what the name of a file says of its equation, if that is none of ours, as doubts."""
    name = path.stem.lower()
    for part, equation in _OTHERS.items():
        if re.search(rf"(?<![a-z]){part}(?![a-z])", name):
            return (f"its name speaks of {equation}",)
    return ()


def periodic_in_name(path: Path) -> bool | None:
    """Return whether the name of a file says that its boundary is periodic, None if it does not."""
    return True if re.search(r"(?<![a-z])periodic(?![a-z])", path.stem.lower()) else None


def viscosity_in_name(path: Path) -> float | None:
    """Return the viscosity of ..._Nu0.1, ns_V1e-3_N5000_T50, burgers_v1000_t200 (1/1000), or None.

    What may as well be the number of a version, such as v2, is none.
    """
    nu, v, reynolds = (
        re.search(prefix + _NUMBER, path.stem, re.IGNORECASE)
        for prefix in ("(?:^|_)nu", "(?:^|_)v", "burgers_data_r")
    )
    if nu:
        return float(nu[1]) or None
    if v and float(v[1]) <= 0.1:
        return float(v[1]) or None
    if v and float(v[1]) in (100, 1000, 10000):
        return 1 / float(v[1])
    return 1 / float(reynolds[1]) if reynolds and float(reynolds[1]) else None
