"""What files say by their names, and the names that a user gives with commas between them."""

import re
from collections.abc import Container
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


def named_in(words: str, known: Container[str]) -> list[str]:
    """Return the names that are given with commas between them, where names may hold some, too.

    From the first word on, as many as possible make up one that is known, such that the rest are
    known as well; where that is not possible, every word is a name.

    Args:
        words: what a user gives.
        known: the names that there are.
    """
    parts = words.split(",")
    found: dict[int, list[str]] = {len(parts): []}  # of the rest, from each part on
    for start in reversed(range(len(parts))):
        for end in range(len(parts), start, -1):
            name = ",".join(parts[start:end])
            name = name if name in known else name.strip()
            if name in known and end in found and start not in found:
                found[start] = [name, *found[end]]
    return found.get(0, parts)
