"""PDEBench's files with one group per trajectory: /0000/data, /0001/data and so on.

Each has axes (time, x, y, channel), or as many of space as there are; its times and coordinates lie
in /0000/grid as t, x, y.
"""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from data_scripts import hdf5
from data_scripts.pde.readers.axes import coordinates_of, field, numbers, stored_times
from data_scripts.pde.readers.fields import Channel, Fields
from data_scripts.pde.readers.statement import AGAIN
from data_scripts.pde.readers.stored import SPACE, Placed, Stored
from data_scripts.unusable import UnusableFileError


def trajectory_groups(file: h5py.File) -> list[str]:
    """Return the names of the groups that hold a trajectory, by their numbers."""
    found = [n for n in file if n.isdecimal() and hdf5.find(file, f"{n}/data") is not None]
    return sorted(found, key=lambda name: (int(name), name))


def group_fields(path: Path, file: h5py.File, groups: Sequence[str]) -> Fields:
    """Return the fields of a file.

    Args:
        path: of the file.
        file: the same, open.
        groups: of `trajectory_groups`, at least one.

    Raises:
        UnusableFileError: the trajectories differ in shape, times or points.
    """
    arrays = [field(file, f"{group}/data") for group in groups]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1:
        raise UnusableFileError(
            f"{path}: all trajectories must have one shape, got {sorted(shapes)}"
        )
    shape = shapes.pop()
    if not 3 <= len(shape) <= 2 + len(SPACE):
        raise UnusableFileError(
            f"{path}: {groups[0]}/data must have axes (time, x, y, channel), as many of space as "
            f"there are, got shape {shape}"
        )
    space = SPACE[: len(shape) - 2]

    def load(index: tuple[slice, ...]) -> np.ndarray:
        chosen = groups[index[0]]
        with hdf5.open_file(path, AGAIN) as opened:
            pieces = [field(opened, f"{group}/data")[index[1:]] for group in chosen]
        return np.stack(pieces) if pieces else np.empty((0, *shape), np.float32)

    stored = Stored("data", (len(groups), *shape), arrays[0].dtype, load)
    names = ["data"] if shape[-1] == 1 else [f"data[{i}]" for i in range(shape[-1])]
    points = _common_points(path, file, groups, dict(zip(space, shape[1:-1], strict=True)))
    return Fields(
        path=path,
        layout=f"PDEBench {len(space)}-D",
        evolving=(Placed(stored, ("trajectory", "time", *space, "channel")),),
        channels=tuple(map(Channel, names)),
        times=_common_times(path, file, groups, shape[0]),
        coordinates=tuple(points.get(axis) for axis in space),
        periodic=(None,) * len(space),
    )


def _common_times(
    path: Path, file: h5py.File, groups: Sequence[str], n_times: int
) -> np.ndarray | None:
    """Return the times of all trajectories, None if they have none."""
    times = [numbers(file, f"{group}/grid/t") for group in groups]
    if times[0] is None:
        return None
    first = stored_times(path, times[0], n_times)
    for group, other in zip(groups, times, strict=True):
        if other is None or not np.allclose(stored_times(path, other, n_times), first, rtol=1e-5):
            raise UnusableFileError(
                f"{path}: the times of {group} differ from those of {groups[0]}; make a file for "
                "each"
            )
    return first


def _common_points(
    path: Path, file: h5py.File, groups: Sequence[str], grid: dict[str, int]
) -> dict[str, np.ndarray]:
    """Return the coordinates of all trajectories by axis, as far as they have some."""
    first = _points(path, file, groups[0], grid)
    for group in groups[1:]:
        others = _points(path, file, group, grid)
        if first.keys() != others.keys() or any(
            not np.allclose(others[axis], x, rtol=1e-5) for axis, x in first.items()
        ):
            raise UnusableFileError(
                f"{path}: the coordinates of /{group} differ from those of /{groups[0]}; make a "
                "file for each"
            )
    return first


def _points(path: Path, file: h5py.File, group: str, grid: dict[str, int]) -> dict[str, np.ndarray]:
    found = {}
    for axis, n in grid.items():
        name = f"{group}/grid/{axis}"
        values = numbers(file, name)
        if values is not None:
            found[axis] = coordinates_of(path, name, values, n, axis)
    return found
