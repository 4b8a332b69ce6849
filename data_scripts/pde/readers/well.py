"""The layout of The Well (Ohana et al. 2024, arXiv:2412.00568).

Scalar, vector and tensor fields lie in the groups t0_fields, t1_fields and t2_fields, with axes

    (trajectory, time, x, y, z, components)

of which an array lacks trajectory or time where its attributes say that it does not vary along it;
an axis of space along which it does not vary is missing or has one entry.
"""

from pathlib import Path

import h5py
import numpy as np

from data_scripts import hdf5
from data_scripts.pde.readers.axes import coordinates_of, numbers, stored_times
from data_scripts.pde.readers.fields import Channel, Fields, ReadOptions
from data_scripts.pde.readers.formats.hdf5_files import numeric, stored_array
from data_scripts.pde.readers.names import named_in
from data_scripts.pde.readers.own.lines import SAY_TIMES, common_times
from data_scripts.pde.readers.stored import SPACE, Placed, merged
from data_scripts.pde.well_format import (
    BOUNDARIES,
    BOUNDARY_AXES,
    BOUNDARY_KIND,
    DIMENSIONS,
    PERIODIC,
    SCALAR_FIELDS,
    SCALARS,
    TIME,
    VARYING,
)
from data_scripts.unusable import UnusableFileError
from monarch_core.runs.printable import listed, printable
from monarch_core.runs.typed import typed

FIELDS = (SCALAR_FIELDS, "t1_fields", "t2_fields")
_SPACE, _N_SPACE, _DIM_VARYING = "spatial_dims", "n_spatial_dims", "dim_varying"
_PARAMETERS = "simulation_parameters"


def well_fields(path: Path, file: h5py.File, options: ReadOptions) -> Fields:
    """Return the fields of a file: those that vary in time evolve, the others are constants.

    Args:
        path: of the file.
        file: the same, open.
        options: whose `key` and `input_key` choose among the fields.

    Raises:
        UnusableFileError: the file has no such fields, or not the axes that its attributes say.
    """
    names = field_names(file)
    evolving = _chosen(path, names, options.key)
    constant = _chosen(path, names, options.input_key)
    if evolving is None or constant is None:
        in_time = {name: _varies(numeric(file, name), VARYING[1]) for name in names}
        evolving = [name for name in names if in_time[name]] if evolving is None else evolving
        constant = [name for name in names if not in_time[name]] if constant is None else constant
    if not evolving:
        raise UnusableFileError(
            f"{path} (The Well) holds no field that varies in time, but {listed(names) or 'none'}; "
            "say dataset.key=NAME for the field to predict and dataset.input_key=NAME for its input"
        )
    constant = [name for name in constant if name not in evolving]
    axes = _axis_names(path, file, names)
    places = [[_place(path, file, name, len(axes)) for name in n] for n in (evolving, constant)]
    n_trajectories, n_times, *grid = (
        max(placed.length(axis) for placed in places[0])
        for axis in ("trajectory", "time", *SPACE[: len(axes)])
    )
    times = numbers(file, TIME)
    if times is not None and times.ndim > 1:
        times = common_times(times)
    numbers_, left = _numbers(file, n_trajectories)
    return Fields(
        path=path,
        layout="The Well",
        evolving=tuple(places[0]),
        constant=tuple(places[1]),
        channels=tuple(c for placed in places[0] for c in _channels(placed, axes)),
        constants=tuple(c for placed in places[1] for c in _channels(placed, axes)),
        times=None
        if times is None or options.says_times
        else stored_times(path, times, n_times, remedy=SAY_TIMES),
        coordinates=tuple(_coordinates(path, file, a, n) for a, n in zip(axes, grid, strict=True)),
        periodic=_periodic(file, axes),
        numbers=numbers_,
        parameters=tuple(numbers_),
        unused={
            **left,
            **{
                name: f"{numeric(file, name).shape}: {typed('dataset.key', name)} to predict it, "
                f"{typed('dataset.input_key', name)} as an input"
                for name in names
                if name not in (*evolving, *constant)
            },
        },
    )


def field_names(file: h5py.File) -> list[str]:
    """Return the names of all fields, with those of their groups."""
    groups = {name: hdf5.find(file, name) for name in FIELDS}
    return [
        f"{name}/{field}"
        for name, group in groups.items()
        if isinstance(group, h5py.Group)
        for field in sorted(group)
    ]


def _chosen(path: Path, names: list[str], key: str | None) -> list[str] | None:
    """Return the full names of the fields that an option names, None if it names none."""
    if key is None:
        return None
    found = []
    known = {*names, *(name.partition("/")[2] for name in names)}
    for word in named_in(key, known):
        same = [name for name in names if word.strip() in (name, name.partition("/")[2])]
        if len(same) != 1:
            raise UnusableFileError(
                f"{path} (The Well) has {len(same) or 'no'} fields {printable(word.strip())}; it "
                f"holds {listed(names) or 'none'}"
            )
        found += same
    return found


def _varies(item: h5py.Dataset, key: str) -> bool:
    """Return whether an array varies along trajectories or time; those that do not say it do."""
    said = hdf5.number(item, key)
    return said is None or said != 0


def _axis_names(path: Path, file: h5py.File, names: list[str]) -> list[str]:
    """Return the names that the file has for its axes of space."""
    dimensions = hdf5.find(file, DIMENSIONS.format("")[:-1])
    axes = [] if dimensions is None else hdf5.texts(dimensions, _SPACE)
    n_axes = hdf5.number(file, _N_SPACE)
    if not axes and n_axes is not None:
        axes = list(SPACE[: int(n_axes)])
    if not axes:
        ranks = {name: FIELDS.index(name.partition("/")[0]) for name in names}
        n_most = max(len(stored_array(path, file, n).shape) - 2 - r for n, r in ranks.items())
        axes = list(SPACE[:n_most])
    if not 1 <= len(axes) <= len(SPACE):
        raise UnusableFileError(
            f"{path} (The Well) has {len(axes)} axes of space, {listed(axes)}; one to three can be "
            "read"
        )
    return axes


def _place(path: Path, file: h5py.File, name: str, n_space: int) -> Placed:
    """Return a field with its axes, as its attributes tell them.

    Raises:
        UnusableFileError: it has other axes.
    """
    stored = stored_array(path, file, name)
    rank = FIELDS.index(name.partition("/")[0])
    item = numeric(file, name)
    leading = [a for a, k in zip(("trajectory", "time"), VARYING, strict=True) if _varies(item, k)]
    said = np.atleast_1d(item.attrs.get(_DIM_VARYING, True)).astype(bool)
    varying = [axis for i, axis in enumerate(SPACE[:n_space]) if said[min(i, len(said) - 1)]]
    if rank == 2 and len(stored.shape) - len(leading) - 2 in (n_space, len(varying)):
        stored = merged(stored)
    for space in (SPACE[:n_space], varying):
        axes = (*leading, *space, *(["channel"] if rank else []))
        if len(axes) == len(stored.shape):
            return Placed(stored, axes)
    raise UnusableFileError(
        f"{path}: {name} must have axes ({', '.join((*leading, *SPACE[:n_space]))}"
        f"{', components' if rank else ''}), as its attributes say, got shape {item.shape}; "
        "correct the attributes"
    )


def _channels(placed: Placed, axes: list[str]) -> list[Channel]:
    name, n = placed.stored.name.partition("/")[2], placed.length("channel")
    endings = [""] if n == 1 else [f"[{i}]" for i in range(n)]
    if n > 1 and n == len(axes):
        endings = [f"_{axis}" for axis in axes]
    if n > 1 and n == len(axes) ** 2:
        endings = [f"_{first}{second}" for first in axes for second in axes]
    return [Channel(name + ending, placed.stored.unit) for ending in endings]


def _coordinates(path: Path, file: h5py.File, axis: str, n: int) -> np.ndarray | None:
    name = DIMENSIONS.format(axis)
    values = numbers(file, name)
    return None if values is None else coordinates_of(path, name, values, n, axis)


def _periodic(file: h5py.File, axes: list[str]) -> tuple[bool | None, ...]:
    """Return whether every axis is periodic, None where the file says nothing of its boundaries."""
    kinds = boundary_kinds(file)
    found = []
    for axis in axes:
        mine = [kind for _, kind, of in kinds if axis in of]
        found.append(all(kind.upper() == PERIODIC for kind in mine) if mine else None)
    return tuple(found)


def boundary_kinds(file: h5py.File) -> list[tuple[str, str, list[str]]]:
    """Return name, kind in words and axes of every boundary."""
    boundaries = hdf5.find(file, BOUNDARIES)
    if not isinstance(boundaries, h5py.Group):
        return []
    found = []
    for name in boundaries:
        boundary = hdf5.find(boundaries, name)
        stated = None if boundary is None else hdf5.text(boundary, BOUNDARY_KIND)
        axes = [] if boundary is None else hdf5.texts(boundary, BOUNDARY_AXES)
        kind = f"without {BOUNDARY_KIND}" if stated is None else stated
        found.append((name, kind, axes))
    return found


def _numbers(file: h5py.File, n: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the scalars that are constant in time, one per trajectory, and why others are not."""
    scalars = hdf5.find(file, SCALARS)
    found: dict[str, np.ndarray] = {}
    left: dict[str, str] = {}
    for name in scalars if isinstance(scalars, h5py.Group) else ():
        values, item = numbers(scalars, name), hdf5.find(scalars, name)
        in_time = item is not None and hdf5.number(item, VARYING[1])
        if values is not None and values.size in (1, n) and not in_time:
            found[name] = np.broadcast_to(values.reshape(-1), (n,))
        else:
            shape = () if values is None else values.shape
            left[f"{SCALARS}/{name}"] = f"{shape}: a number that varies in time is no input"
    for name in hdf5.texts(file, _PARAMETERS):
        if name not in found and (value := hdf5.number(file, name)) is not None:
            found[name] = np.full(n, value)
    return found, left
