"""Open a file or folder of a data set that has a name, in one of the published layouts."""

import itertools
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float

from data_scripts import hdf5
from data_scripts.pde.pdebench_format import TENSOR
from data_scripts.pde.readers.fields import Fields
from data_scripts.pde.readers.formats.matlab_files import HEADER, classic_contents
from data_scripts.pde.readers.groups import trajectory_groups
from data_scripts.pde.readers.join import join_fields
from data_scripts.pde.readers.own.folders import is_well_folder
from data_scripts.pde.readers.published.matlab import open_matlab, open_matlab_hdf5
from data_scripts.pde.readers.published.pdebench import open_pdebench_groups, open_pdebench_tensor
from data_scripts.pde.readers.published.trajectories import Trajectories, trajectories_of
from data_scripts.pde.readers.published.well_problem import open_well
from data_scripts.pde.readers.statement import AGAIN, LAYOUTS
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


def open_trajectories(path: str | Path, convention: str | None = None) -> Trajectories:
    """Find out the layout, shape and times of a file or folder of a data set that has a name.

    Args:
        path: of the file or folder.
        convention: "own" or "pdebench" where the user says by which equation to read a Burgers
            file (`data_scripts.pde.readers.published.pdebench`); None takes what the file shows.

    Raises:
        ValueError: there is no such file, it is damaged, or its layout is unknown.
    """
    path = Path(path)
    if not path.is_dir():
        return trajectories_of(_open_published(path, convention))
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
    parts = [trajectories_of(_open_published(file, convention)).fields for file in files]
    return trajectories_of(join_fields(path, parts))


def _open_published(path: Path, convention: str | None) -> Fields:
    """Return the fields of a file in one of the published layouts."""
    require_file(path, f"check the path (relative ones start at {Path.cwd()})")
    with reading(path, AGAIN):
        with path.open("rb") as opened:
            header = opened.read(128)
        if h5py.is_hdf5(path):
            with hdf5.open_file(path, AGAIN) as file:
                return _open_published_hdf5(path, file, header, convention)
        if header.startswith(HEADER):
            return open_matlab(path, classic_contents(path))
    raise UnusableFileError(
        f"{path} ({path.stat().st_size} bytes) is neither HDF5 nor a MATLAB file, or its beginning "
        "is damaged; download or make it again"
    )


def _open_published_hdf5(
    path: Path, file: h5py.File, header: bytes, convention: str | None
) -> Fields:
    if SCALAR_FIELDS in file:
        return open_well(path, file)
    if TENSOR in file:
        return open_pdebench_tensor(path, file, convention)
    if groups := trajectory_groups(file):
        return open_pdebench_groups(path, file, groups)
    if "u" in file or ("coeff" in file and "sol" in file):
        return open_matlab_hdf5(path, file, header)
    raise UnusableFileError(
        f"{path} holds {listed(sorted(file)) or 'nothing'}, which is no known layout; {LAYOUTS}"
    )
