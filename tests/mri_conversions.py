"""Conversions of three scans a, b and c, of which tests make the first unsound."""

import h5py
import numpy as np
from mri_sources import head, header_xml

from data_scripts.mri import fastmri
from data_scripts.recipe import produce

GRID = (48, 40)
SPLITS = (("train", "a"), ("valid", "b"), ("test", "c"))


def options(folder, ending, **more):
    """Return options of a converter for the files a, b and c, with an older scan a in `out`."""
    files = {split: [str(folder / f"{name}{ending}")] for split, name in SPLITS}
    return {"out": str(folder / "out"), "calibration": 16, "kernel": 4, **files, **more}


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    '<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>&b;</encoding></ismrmrdHeader>'
)


def fastmri_volume(path, n_coils=3, n_slices=3):
    """Write a sound volume without oversampling and return its k-space."""
    kspace = np.stack([head(GRID, n_coils, seed=s)[0] for s in range(n_slices)])
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace
        n_x, n_y = GRID
        file["ismrmrd_header"] = header_xml(n_x, n_y, 1, (n_x, n_y, 1), n_y - 1, n_y // 2)
    return kspace


def convert_fastmri(folder, change=lambda file: None, **more):
    for _, name in SPLITS:
        fastmri_volume(folder / f"{name}.h5")
    with h5py.File(folder / "a.h5", "r+") as file:
        change(file)
    produce(fastmri.FastMriRecipe(**options(folder, ".h5", **more)))
