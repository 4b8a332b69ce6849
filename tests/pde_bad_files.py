"""PDE files that tests make unsound, and what a user would do with them."""

import h5py
import numpy as np
import scipy.io
from pde_files import burgers, flow, navier_stokes, write_tensor, write_well

from pde.dataset.splits import load_splits

LINE = flow(grid=(24,))
CELLS = -1 + (np.arange(24) + 0.5) / 12  # PDEBench's, on (-1, 1)
X = np.arange(24) / 24
TIMES = np.arange(6.0)


def edited(path, edit):
    """Change a file of HDF5 after it was written."""
    with h5py.File(path, "a") as file:
        edit(file)
    return path


def replaced(name, make):
    """Return an edit that puts something else into the place of an array."""

    def edit(file):
        del file[name]
        make(file, name)

    return edit


def well(folder, edit=None, u=None, **attributes):
    path = write_well(folder / "a.h5", flow() if u is None else u, **attributes)
    return path if edit is None else edited(path, edit)


def in_splits(folder, **splits):
    for split, (u, options) in splits.items():
        write_well(folder / "all" / "data" / split / "a.h5", u, **options)
    return folder / "all"


def load_ns(make, **changes):
    return lambda folder: load_splits(navier_stokes(make(folder), **changes))


def load_burgers(*arguments, called="a.hdf5", changes=None, **attributes):
    def act(folder):
        path = write_tensor(folder / called, *arguments, **attributes)
        load_splits(burgers(path, **(changes or {})))

    return act


def mat(**arrays):
    def make(folder):
        scipy.io.savemat(folder / "a.mat", arrays)
        return folder / "a.mat"

    return make
