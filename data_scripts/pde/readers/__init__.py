"""Read trajectories from the file formats in which benchmark data are shared.

Every layout ends up as one array (trajectory, time, *grid) in float32, together with what the file
says of its equation, domain and boundary (`Statement`):

    The Well          folder or HDF5 file with t0_fields/<name> (trajectory, time, x, y)
    PDEBench 1-D      HDF5 file with `tensor` (trajectory, time, x)
    PDEBench 2-D      HDF5 file with /0000/data, /0001/data, ... (time, x, y, channel)
    PDEBench Darcy    HDF5 file with `nu` (sample, x, y) and `tensor` (sample, 1, x, y)
    MATLAB            `u`, `a` and `u`, or `coeff` and `sol`, classic or v7.3 (`matlab`)

Where a sample is one field in and one field out, such as the coefficient and the solution of Darcy
flow, these take the place of two times.
"""

from data_scripts.pde.readers.axes import evenly_spaced
from data_scripts.pde.readers.fields import Channel, Fields, ReadOptions
from data_scripts.pde.readers.folders import is_well_folder
from data_scripts.pde.readers.open_files import open_trajectories, read_trajectories
from data_scripts.pde.readers.own_files import open_fields
from data_scripts.pde.readers.statement import Statement
from data_scripts.pde.readers.trajectories import Trajectories
from data_scripts.unusable import UnusableFileError

__all__ = [
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
