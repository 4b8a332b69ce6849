"""Read fields from files, by parts and whatever their layout.

`open_fields` opens files of anybody (`own`): evolving fields of several channels, static ones, and
numbers of the equation, as `Fields`. `open_trajectories` opens those of the data sets that have a
name (`published`): one field, and what the file says of its equation, domain and boundary
(`Statement`), in one of these layouts,

    The Well          folder or HDF5 file with t0_fields/<name> (trajectory, time, x, y)
    PDEBench 1-D      HDF5 file with `tensor` (trajectory, time, x)
    PDEBench 2-D      HDF5 file with /0000/data, /0001/data, ... (time, x, y, channel)
    PDEBench Darcy    HDF5 file with `nu` (sample, x, y) and `tensor` (sample, 1, x, y)
    MATLAB            `u`, `a` and `u`, or `coeff` and `sol`, classic or v7.3

Both find the arrays of a file by its format (`formats`) and keep them as `Fields`.
"""

from data_scripts.pde.readers.axes import evenly_spaced
from data_scripts.pde.readers.fields import Channel, Fields, ReadOptions
from data_scripts.pde.readers.own.folders import is_well_folder
from data_scripts.pde.readers.own.open_files import open_fields
from data_scripts.pde.readers.published.open_files import open_trajectories, read_trajectories
from data_scripts.pde.readers.published.trajectories import Trajectories
from data_scripts.pde.readers.statement import Statement
from data_scripts.pde.readers.stored import SPACE
from data_scripts.unusable import UnusableFileError

__all__ = [
    "SPACE",
    "Channel",
    "Fields",
    "ReadOptions",
    "Statement",
    "Trajectories",
    "UnusableFileError",
    "evenly_spaced",
    "is_well_folder",
    "open_fields",
    "open_trajectories",
    "read_trajectories",
]
