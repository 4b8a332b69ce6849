"""Find out the layout of a file or folder, and open it."""

import itertools
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from pde.readers.matlab import open_classic_matlab, open_matlab_hdf5
from pde.readers.pdebench import open_pdebench_groups, open_pdebench_tensor
from pde.readers.trajectories import LAYOUTS, Trajectories, damaged
from pde.readers.well import open_well


def read_trajectories(
    path: str | Path,
) -> tuple[Float[np.ndarray, "trajectory time *grid"], Float[np.ndarray, " time"]]:
    """Return everything in a file or folder: the field in float32, and the times.

    Raises:
        ValueError: as `open_trajectories` and `Trajectories.read`.
    """
    source = open_trajectories(path)
    return source.read(), source.times


def open_trajectories(path: str | Path) -> Trajectories:
    """Find out the layout, shape and times of a file or folder without reading the field.

    Raises:
        ValueError: there is no such file, it is damaged, or its layout is unknown.
    """
    path = Path(path)
    if path.is_dir():
        return _open_well_folder(path)
    if not path.is_file():
        raise ValueError(
            f"{path} does not exist; check the path (relative ones start at {Path.cwd()})"
        )
    with path.open("rb") as file:
        header = file.read(128)
    if h5py.is_hdf5(path):
        try:
            with h5py.File(path) as file:
                return _open_hdf5(path, file, header)
        except OSError as error:
            raise damaged(path, error) from error
    if header.startswith(b"MATLAB 5.0 MAT-file"):
        return open_classic_matlab(path)
    raise ValueError(
        f"{path} ({path.stat().st_size} bytes) is neither HDF5 nor a MATLAB file, or its beginning "
        "is damaged; download or make it again"
    )


def is_well_folder(path: Path) -> bool:
    """Return whether a folder has The Well's splits."""
    return (path / "data" / "train").is_dir()


def _open_hdf5(path: Path, file: h5py.File, header: bytes) -> Trajectories:
    if "t0_fields" in file:
        return open_well(path, file)
    if "tensor" in file:
        return open_pdebench_tensor(path, file)
    groups = sorted(name for name in file if name.isdigit() and f"{name}/data" in file)
    if groups:
        return open_pdebench_groups(path, file, groups)
    if "u" in file or ("coeff" in file and "sol" in file):
        return open_matlab_hdf5(path, file, header)
    raise ValueError(f"{path} holds {sorted(file)}, which is no known layout; {LAYOUTS}")


def _open_well_folder(path: Path) -> Trajectories:
    """Join all files of a folder: those of data/train, data/valid and data/test, in this order."""
    folders = [path / "data" / split for split in ("train", "valid", "test")]
    files = [
        file
        for folder in (folders if is_well_folder(path) else [path])
        for file in sorted(itertools.chain(folder.glob("*.hdf5"), folder.glob("*.h5")))
    ]
    if not files:
        raise ValueError(f"{path} holds no .hdf5 or .h5 file, neither in data/train nor directly")
    return _join(path, [open_trajectories(file) for file in files])


def _join(path: Path, parts: list[Trajectories]) -> Trajectories:
    first = parts[0]
    for part in parts[1:]:
        if part.shape[1:] != first.shape[1:]:
            raise ValueError(
                f"the files of one folder must agree in frames and grid, got {first.shape[1:]} in "
                f"{first.path} and {part.shape[1:]} in {part.path}"
            )
    starts = np.cumsum([0, *(part.shape[0] for part in parts)])

    def load(trajectories: slice, frames: slice) -> np.ndarray:
        wanted = np.arange(starts[-1])[trajectories]
        pieces = []
        for part, start in zip(parts, starts, strict=False):
            inside = wanted[(wanted >= start) & (wanted < start + part.shape[0])] - start
            if len(inside):
                pieces.append(part.load(slice(None), frames)[inside])
        return np.concatenate(pieces)

    shape = (int(starts[-1]), *first.shape[1:])
    return Trajectories(path, first.layout, shape, first.times, load, viscosity=first.viscosity)
