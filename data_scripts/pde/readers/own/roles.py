"""Which array of a file is what: fields, coordinates, times, steps, numbers of the equation."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from data_scripts.pde.readers.stored import SPACE, Stored

# Names without capitals, hyphens and underscores: of times, of their step, of axes of space.
_TIMES = re.compile("t|ts|times?|tcoord|tcoordinate|tgrid|gridt|tspan|timestamps")
_TIME_STEPS = re.compile("dt|timestep|deltat")
_ALL_AXES = re.compile("grid|mesh|coords?|coordinates|xy|xyz|points|pos(ition)?s?")
_OTHER_NAMES = {"x": ("lon", "longitude"), "y": ("lat", "latitude"), "z": ("lev", "level")}
# Of what a solution follows from, and of this what is sure to be no frame.
_MEDIA = re.compile(
    "coeff(icients?)?|k|kappa|permeability|conductivity|diffusivity|nu|c|speed|force|forcing|f|"
    "source|mask|medium|topography|bathymetry"
)
_INPUTS = re.compile(f"x|a|in|inputs?|u0|features|{_MEDIA.pattern}")
# Of fields that are predicted.
_OUTPUTS = re.compile(
    "u|y|sol(utions?)?|out|outputs?|targets?|labels?|tensor|data|fields?|w|omega|vorticity|"
    "velocity|p|pressure|density"
)
# Of numbers of an equation, and of arrays that hold several.
_SEVERAL_PARAMETERS = re.compile("param(eter)?s?|theta")
_PARAMETERS = re.compile(
    "nu|visc(osity)?|re|reynolds|mu|kappa|alpha|beta|gamma|delta|eta|zeta|rho|lambda|sigma|eps|"
    "epsilon|diffusivity|conductivity|ra|rayleigh|pr|prandtl|schmidt|mach|amplitude|frequency|"
    f"omega|forcing|buoyancy|buo[xy]|c|speed|{_SEVERAL_PARAMETERS.pattern}"
)


def plain(name: str) -> str:
    """Return the last part of a name without capitals, hyphens and underscores."""
    return name.rpartition("/")[2].lower().replace("-", "").replace("_", "")


def line_length(shape: tuple[int, ...]) -> int | None:
    """Return the length of an array of one axis, or of MATLAB's rows and columns; else None."""
    long = [n for n in shape if n != 1]
    return (long[0] if long else 1) if len(long) <= 1 and shape else None


@dataclass
class Roles:
    """The arrays of a file by what they are; fields are those that are nothing else.

    Attributes:
        coordinates: of points, by axis of space: a line, or a grid of two or three axes.
        times: of the frames, None if there are none.
        steps: distances of two points, by axis, and of two frames, as "time".
        numbers: one for every trajectory, or of the whole file.
        fields: everything else that has at least two axes of more than one entry.
    """

    coordinates: dict[str, Stored] = field(default_factory=dict)
    times: Stored | None = None
    steps: dict[str, Stored] = field(default_factory=dict)
    numbers: dict[str, Stored] = field(default_factory=dict)
    fields: dict[str, Stored] = field(default_factory=dict)


def sort_arrays(
    arrays: Iterable[Stored], named: set[str], lines: Mapping[str, Stored] | None = None
) -> Roles:
    """Return the roles of arrays of real numbers; those of the coordinates of all axes have none.

    Args:
        arrays: of a file.
        named: those that the user takes for fields.
        lines: those that the user takes for coordinates, by axis of space, and for times, "time".
    """
    said = dict(lines or {})
    roles, rest = Roles(times=said.pop("time", None), coordinates=said), []
    are_said = {stored.name for stored in (lines or {}).values()}
    for stored in arrays:
        if not stored.is_real:
            continue
        name = plain(stored.name)
        is_line = line_length(stored.shape) is not None or not stored.shape
        axis = _axis(name)
        if stored.name in named:
            roles.fields[stored.name] = stored
        elif stored.name in are_said:
            continue
        elif _TIMES.fullmatch(name) and len(stored.shape) <= 2 and "time" not in (lines or {}):
            roles.times = stored
        elif (step := step_axis(name)) is not None and is_line:
            roles.steps[step] = stored
        elif _ALL_AXES.fullmatch(name):
            continue
        elif axis is not None and is_line and axis not in said:
            roles.coordinates[axis] = stored
        elif is_line or (_SEVERAL_PARAMETERS.fullmatch(name) and len(stored.shape) == 2):
            roles.numbers[stored.name] = stored
        else:
            rest.append((axis, stored))
    shapes = [stored.shape for _, stored in rest]
    for axis, stored in rest:
        n = len(stored.shape)
        if (
            axis is not None
            and axis not in said
            and any(len(s) > n and _holds(s, stored.shape) for s in shapes)
        ):
            roles.coordinates[axis] = stored
        else:
            roles.fields[stored.name] = stored
    return roles


def _axis(name: str) -> str | None:
    for axis in SPACE:
        forms = (
            axis,
            f"{axis}s",
            f"{axis}coordinate",
            f"{axis}coord",
            f"{axis}grid",
            f"grid{axis}",
        )
        if name in (*forms, *_OTHER_NAMES[axis]):
            return axis
    return None


def is_coordinate(name: str) -> bool:
    """Return whether a name is that of the coordinates of an axis, or of times."""
    return _axis(plain(name)) is not None or _TIMES.fullmatch(plain(name)) is not None


def step_axis(name: str) -> str | None:
    """Return the axis of space, or "time", of which a name is that of the step; None if of none."""
    name = plain(name)
    if _TIME_STEPS.fullmatch(name):
        return "time"
    return next((axis for axis in SPACE if name in (f"d{axis}", f"delta{axis}")), None)


def _holds(shape: tuple[int, ...], part: tuple[int, ...]) -> bool:
    """Return whether a shape has another one as neighbouring axes behind its first."""
    return any(shape[i : i + len(part)] == part for i in range(1, len(shape) - len(part) + 1))


def choose_fields(fields: Iterable[Stored]) -> tuple[list[Stored], list[Stored]]:
    """Return outputs and inputs by their names; fields with other names are outputs.

    What is made from an input, such as its smoothed form, is neither if there is another output.
    """
    outputs: list[Stored] = []
    inputs: list[Stored] = []
    for stored in fields:
        (inputs if _INPUTS.fullmatch(plain(stored.name)) else outputs).append(stored)
    return [s for s in outputs if not _is_made_from(s.name, inputs)] or outputs, inputs


def _is_made_from(name: str, inputs: list[Stored]) -> bool:
    parts = [stored.name.rpartition("/")[2].lower() for stored in inputs]
    words = name.rpartition("/")[2].lower()
    return any(words.startswith(f"{part}_") or (len(part) > 3 and part in words) for part in parts)


def are_input_and_output(names: Collection[str]) -> bool:
    """Return whether some names are those of inputs, and all others those of outputs."""
    others = [name for name in names if not _INPUTS.fullmatch(plain(name))]
    return 0 < len(others) < len(names) and all(map(is_known_output, others))


def is_known_output(name: str) -> bool:
    """Return whether a name is one that outputs have."""
    return _OUTPUTS.fullmatch(plain(name)) is not None


def is_medium(name: str) -> bool:
    """Return whether a name is that of a static field beside an evolution."""
    return _MEDIA.fullmatch(plain(name)) is not None


def is_parameter(name: str) -> bool:
    """Return whether a name is that of a number of an equation."""
    return _PARAMETERS.fullmatch(plain(name)) is not None
