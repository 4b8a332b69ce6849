"""What the transform of a run declares of itself, read back, so that nobody compares names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monarch_core.runs.printable import printable

LEARNS = ("both", "forward", "inverse", "none")


@dataclass(frozen=True)
class Declared:
    """What matters to others about a transform; it is taken at its word.

    Attributes:
        basis: what it equals before learning, such as fourier or cosine; empty if not known.
        control: it is what others are compared with.
        learns: which of its directions learn, one of `LEARNS`; empty if not known.
    """

    basis: str = ""
    control: bool = False
    learns: str = ""


UNKNOWN = Declared()

# By what name transforms were known to results that hold no declaration.
_BY_NAME = {
    "fft": Declared("fourier", True, "none"),
    "monarch_frozen": Declared("fourier", False, "none"),
    "monarch": Declared("fourier", False, "both"),
    "dense": Declared("fourier", False, "both"),
}


def declared(results: Mapping[str, Any]) -> Declared:
    """Return what the content of a `results.json` declares of its transform.

    Raises:
        ValueError: the declaration is none that a run writes.
    """
    told = results.get("transform_declares")
    if told in (None, {}):  # of a run from before transforms declared themselves
        name = results.get("transform")
        name = name.get("name") if isinstance(name, dict) else name
        return _BY_NAME.get(name, UNKNOWN) if isinstance(name, str) else UNKNOWN
    values = told if isinstance(told, dict) else {}
    basis, control, learns = (values.get(key) for key in ("basis", "control", "learns"))
    if not isinstance(basis, str) or not isinstance(control, bool) or learns not in LEARNS:
        raise ValueError(
            f"transform_declares is {printable(str(told))}, but a basis, whether it is a control "
            f"and one of {', '.join(LEARNS)} for what learns are needed; evaluate the run again"
        )
    return Declared(printable(basis), control, learns)
