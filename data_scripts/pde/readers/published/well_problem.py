"""Which of the data sets with a name a file of The Well belongs to."""

import math
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from data_scripts import hdf5
from data_scripts.pde.conventions import (
    FORCING_AMPLITUDE,
    VORTICITY,
    WALL_REFINED,
    WELL_FIELDS,
)
from data_scripts.pde.readers.axes import field, numbers, unit_axes
from data_scripts.pde.readers.fields import Fields, ReadOptions
from data_scripts.pde.readers.statement import Statement
from data_scripts.pde.readers.well import boundary_kinds, well_fields
from data_scripts.pde.well_format import (
    CARTESIAN,
    DATASET_NAME,
    GRID_TYPE,
    PERIODIC,
    SCALAR_FIELDS,
    SCALARS,
    TIME,
    VARYING,
    WALL,
)
from data_scripts.unusable import UnusableFileError
from monarch_core.runs.printable import listed, printable

PROBLEM = "navier_stokes"
_VISCOSITY, _FORCING = "viscosity", "forcing_amplitude"


def open_well(path: Path, file: h5py.File) -> Fields:
    """Return the one scalar field of a file, or the one named vorticity.

    Raises:
        ValueError: the file has no such field, or it is no trajectory.
    """
    group = hdf5.find(file, SCALAR_FIELDS)
    names = sorted(group) if isinstance(group, h5py.Group) else []
    if VORTICITY in names:
        names = [VORTICITY]
    if len(names) != 1:
        raise UnusableFileError(
            f"{path} must hold one scalar field or one named {VORTICITY}, got "
            f"{listed(names) or 'none'}"
        )
    name = f"{SCALAR_FIELDS}/{names[0]}"
    stored = field(file, name)
    for key in VARYING:
        if not hdf5.number(stored, key):
            raise UnusableFileError(f"{path}: {name} must have {key}=True, as a trajectory has")
    if stored.ndim < 3:
        raise UnusableFileError(
            f"{path}: {name} must have axes (trajectory, time, space), got shape {stored.shape}"
        )
    times = numbers(file, TIME)
    if times is None or times.size != stored.shape[1]:
        raise UnusableFileError(
            f"{path}: {name} has {stored.shape[1]} frames but {TIME} "
            f"{0 if times is None else times.size} entries; time must be there, and the same for "
            "all trajectories"
        )
    fields = well_fields(path, file, ReadOptions(key=name))
    statement = _read_statement(path, file, names[0], fields)
    return replace(fields, constant=(), constants=(), statement=statement)


def _read_statement(path: Path, file: h5py.File, name: str, fields: Fields) -> Statement:
    stated = hdf5.text(file, DATASET_NAME)
    problem = stated if stated in WELL_FIELDS else PROBLEM
    known, periodic = WELL_FIELDS[problem]
    doubts = [] if name == known else [f"its field is {printable(name)}, not {known}"]
    if stated not in (None, problem):
        doubts.append(f"its {DATASET_NAME} is {stated}")
    kind = hdf5.text(file, GRID_TYPE)
    if kind not in (None, CARTESIAN):
        doubts.append(f"its {GRID_TYPE} is {kind}")
    parameters = _parameters(path, file)
    viscosity = parameters.pop(_VISCOSITY, None)
    is_forced = problem == PROBLEM  # the others have no such parameter
    forcing = parameters.pop(_FORCING, FORCING_AMPLITUDE) if is_forced else FORCING_AMPLITUDE
    if not np.isclose(forcing, FORCING_AMPLITUDE, rtol=1e-5):
        doubts.append(f"its {_FORCING} is {forcing:g}, not {FORCING_AMPLITUDE:g}")
    if parameters:
        doubts.append(f"it has the parameters {listed(sorted(parameters))} of another equation")
    misplaced, unit_square = unit_axes(
        fields.known_coordinates, len(fields.axis_names), refined=WALL_REFINED.get(problem, ())
    )
    return Statement(
        problem=problem,
        viscosity=viscosity,
        doubts=(*doubts, *misplaced, *_boundaries(file, periodic)),
        unit_square=unit_square,
    )


def _parameters(path: Path, file: h5py.File) -> dict[str, float]:
    """Return the parameters of the equation by their names; those that are not ours as NaN.

    Raises:
        UnusableFileError: one differs between trajectories, or between attribute and scalar.
    """
    scalars = hdf5.find(file, SCALARS)
    names = list(scalars) if isinstance(scalars, h5py.Group) else []
    found = dict.fromkeys(names, math.nan)
    for name in (_VISCOSITY, _FORCING):
        stored = numbers(scalars, name) if name in names else None
        stated = hdf5.number(file, name)
        values = [*(() if stored is None else stored.flat), *(() if stated is None else (stated,))]
        if not values:
            continue
        low, high = min(values), max(values)
        if not np.isclose(low, high, rtol=1e-5, atol=0):
            raise UnusableFileError(
                f"{path}: {name} must be one number for all trajectories, as an attribute and in "
                f"scalars, got {low:g} to {high:g}; make a file for each"
            )
        found[name] = float(values[-1])
    return found


def _boundaries(file: h5py.File, periodic: tuple[bool, ...]) -> list[str]:
    """Return the boundaries that are other ones than those of the problem, as doubts."""
    wanted = {axis: PERIODIC if p else WALL for axis, p in zip("xy", periodic, strict=True)}
    others = []
    for name, kind, axes in boundary_kinds(file):
        if kind.upper() != wanted.get(axes[0] if len(axes) == 1 else "", PERIODIC):
            others.append(f"{name} ({kind})")
    known = PERIODIC if all(periodic) else " and ".join(f"{k} in {a}" for a, k in wanted.items())
    return [f"not all of its boundaries are {known}: {listed(others)}"] if others else []
