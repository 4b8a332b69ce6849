"""Find out the layout of a file or folder, and open it."""

import dataclasses
import itertools
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from data_scripts import hdf5
from data_scripts.pde.pdebench_format import TENSOR
from data_scripts.pde.readers.fields import Fields, ReadOptions
from data_scripts.pde.readers.interpret import interpret
from data_scripts.pde.readers.matlab import open_classic_matlab, open_matlab_hdf5
from data_scripts.pde.readers.numpy_files import npy_arrays
from data_scripts.pde.readers.pdebench import open_pdebench_groups, open_pdebench_tensor
from data_scripts.pde.readers.trajectories import AGAIN, LAYOUTS, Trajectories
from data_scripts.pde.readers.well import open_well
from data_scripts.pde.well_format import SCALAR_FIELDS, SPLITS
from data_scripts.unusable import UnusableFileError, reading, require_file
from monarch_core.runs.printable import listed


def read_trajectories(
    path: str | Path,
) -> tuple[Float[np.ndarray, "trajectory time *grid"], Float[np.ndarray, " time"]]:
    """Return everything in a file or folder: the field in float32, and the times.

    Raises:
        ValueError: as `open_trajectories` and `Trajectories.read`.
    """
    source = open_trajectories(path)
    return source.read(), source.times


def open_fields(path: str | Path, options: ReadOptions | None = None) -> Fields:
    """Find out what a file or folder of anybody holds, without reading the fields.

    Args:
        path: of the file or folder.
        options: what the user says of it; None for nothing.

    Raises:
        ValueError: there is no such file, it is damaged, or it is not clear what it holds; the
            error then names what is there and every option to give.
    """
    path = Path(path)
    require_file(path, f"check the path (relative ones start at {Path.cwd()})")
    return interpret(path, "NumPy array", npy_arrays(path), options or ReadOptions())


def open_trajectories(path: str | Path, convention: str | None = None) -> Trajectories:
    """Find out the layout, shape and times of a file or folder without reading the field.

    Args:
        path: of the file or folder.
        convention: "own" or "pdebench" where the user says by which equation to read a Burgers
            file (`data_scripts.pde.readers.pdebench`); None takes what the file shows.

    Raises:
        ValueError: there is no such file, it is damaged, or its layout is unknown.
    """
    path = Path(path)
    if path.is_dir():
        return _open_folder(path, convention)
    require_file(path, f"check the path (relative ones start at {Path.cwd()})")
    with reading(path, AGAIN):
        with path.open("rb") as opened:
            header = opened.read(128)
        if h5py.is_hdf5(path):
            with hdf5.open_file(path, AGAIN) as file:
                return _open_hdf5(path, file, header, convention)
        if header.startswith(b"MATLAB 5.0 MAT-file"):
            return open_classic_matlab(path)
    raise UnusableFileError(
        f"{path} ({path.stat().st_size} bytes) is neither HDF5 nor a MATLAB file, or its beginning "
        "is damaged; download or make it again"
    )


def is_well_folder(path: Path) -> bool:
    """Return whether a folder has The Well's splits."""
    return (path / "data" / SPLITS[0]).is_dir()


def _open_hdf5(path: Path, file: h5py.File, header: bytes, convention: str | None) -> Trajectories:
    if SCALAR_FIELDS in file:
        return open_well(path, file)
    if TENSOR in file:
        return open_pdebench_tensor(path, file, convention)
    groups = sorted(n for n in file if n.isdigit() and hdf5.find(file, f"{n}/data") is not None)
    if groups:
        return open_pdebench_groups(path, file, groups)
    if "u" in file or ("coeff" in file and "sol" in file):
        return open_matlab_hdf5(path, file, header)
    raise UnusableFileError(
        f"{path} holds {listed(sorted(file)) or 'nothing'}, which is no known layout; {LAYOUTS}"
    )


def _open_folder(path: Path, convention: str | None) -> Trajectories:
    """Join all files of a folder: those of data/train, data/valid and data/test, in this order."""
    folders = [path / "data" / split for split in SPLITS]
    files = [
        file
        for folder in (folders if is_well_folder(path) else [path])
        for file in sorted(itertools.chain(folder.glob("*.hdf5"), folder.glob("*.h5")))
    ]
    if not files:
        raise UnusableFileError(
            f"{path} holds no .hdf5 or .h5 file, neither in data/train nor directly"
        )
    return _join(path, [open_trajectories(file, convention) for file in files])


def _require_alike(parts: list[Trajectories]) -> None:
    """Raise UnusableFileError unless all hold fields of one problem, viscosity, times and grid."""
    first = parts[0]
    for part in parts[1:]:
        for what, mine, other in (
            ("layout", first.layout, part.layout),
            ("problem", first.states.problem, part.states.problem),
            ("viscosity", first.viscosity, part.viscosity),
            ("frames and grid", first.shape[1:], part.shape[1:]),
        ):
            if mine != other and not _close(mine, other):
                raise UnusableFileError(
                    f"the files of one folder must agree in {what}, got {mine} in {first.path} and "
                    f"{other} in {part.path}; put them into folders of their own"
                )
        if not np.allclose(part.times, first.times, rtol=1e-4):
            raise UnusableFileError(
                f"the files of one folder must agree in their times, got {first.times[0]:g} to "
                f"{first.times[-1]:g} in {first.path} and {part.times[0]:g} to {part.times[-1]:g} "
                f"in {part.path}; put them into folders of their own"
            )


def _close(a: object, b: object) -> bool:
    return isinstance(a, float) and isinstance(b, float) and bool(np.isclose(a, b, rtol=1e-5))


def _join(path: Path, parts: list[Trajectories]) -> Trajectories:
    _require_alike(parts)
    first = parts[0]
    starts = np.cumsum([0, *(part.shape[0] for part in parts)])

    def load(trajectories: slice, frames: slice) -> np.ndarray:
        wanted = np.arange(starts[-1])[trajectories]
        pieces = []
        for part, start in zip(parts, starts, strict=False):
            inside = wanted[(wanted >= start) & (wanted < start + part.shape[0])] - start
            if len(inside):
                some = slice(int(inside[0]), int(inside[-1]) + 1, trajectories.step)
                pieces.append(part.read(some, frames))
        return np.concatenate(pieces)

    shape = (int(starts[-1]), *first.shape[1:])
    doubts = tuple(dict.fromkeys(doubt for part in parts for doubt in part.states.doubts))
    states = dataclasses.replace(
        first.states,
        doubts=doubts,
        unit_square=all(part.states.unit_square for part in parts),
    )
    return Trajectories(path, first.layout, shape, first.times, load, states)
