"""One undersampled scan in every format that is read, for the tests."""

import h5py
import nibabel
import numpy as np
import scipy.io
from mri_sources import head, header_xml, write_cfl, write_ismrmrd

from data_scripts.mri.coil_maps import combine_sense
from data_scripts.mri.formats import ReadOptions
from data_scripts.mri.schema import ScanInfo, ScanShape, ScanWriter

GRID = (42, 39)
N_COILS = 4
FORMATS = (
    *("npy", "mat", "mat73", "hdf5", "hdf5_named", "nifti", "bart", "fastmri", "ismrmrd"),
    "prepared",
)


def lines_mask(n=GRID[1], centre=17):
    """A mask of columns: a sampled centre and every third line."""
    mask = np.arange(n) % 3 == 0
    first = n // 2 - centre // 2
    mask[first : first + centre] = True
    return mask


def undersampled(n_slices=2, n_coils=N_COILS, grid=GRID):
    """Return k-space (slices, coils, x, y) without the columns that `lines_mask` lacks."""
    slices = [head(grid, n_coils, seed=s)[0] for s in range(n_slices)]
    return np.stack(slices) * lines_mask(grid[1])


def write_format(folder, kind, kspace):
    """Write 2-D slices (slices, coils, x, y) in a format; return the file and how it is read."""
    n_slices, n_coils, n_x, n_y = kspace.shape
    matlab = kspace.transpose(2, 3, 1, 0)
    axes = ["x", "y", "coil", "slice"]
    if kind == "npy":
        np.save(folder / "scan.npy", kspace)
        return folder / "scan.npy", ReadOptions()
    if kind == "mat":
        scipy.io.savemat(folder / "scan.mat", {"ksp": matlab, "voxel": 1.5})
        return folder / "scan.mat", ReadOptions(axes=axes)
    if kind == "mat73":
        with h5py.File(folder / "scan73.mat", "w") as file:
            pairs = np.zeros(matlab.T.shape, [("real", "<f4"), ("imag", "<f4")])
            pairs["real"], pairs["imag"] = matlab.T.real, matlab.T.imag
            file["ksp"] = pairs
        return folder / "scan73.mat", ReadOptions(axes=axes, name="ksp")
    if kind == "hdf5":
        with h5py.File(folder / "own.h5", "w") as file:
            file["raw/ksp"] = kspace
        return folder / "own.h5", ReadOptions()
    if kind == "hdf5_named":
        with h5py.File(folder / "named.h5", "w") as file:
            file["kspace"] = np.moveaxis(kspace, 1, -1)
            file["maps"] = kspace[0]
            file["gone"] = h5py.SoftLink("/nowhere")
        return folder / "named.h5", ReadOptions(axes=["slice", "x", "y", "coil"], name="kspace")
    if kind == "nifti":
        nibabel.save(nibabel.Nifti1Image(matlab, np.eye(4)), folder / "scan.nii.gz")
        return folder / "scan.nii.gz", ReadOptions(axes=axes)
    if kind == "bart":
        data = np.zeros((n_x, n_y, 1, n_coils, *[1] * 9, n_slices), np.complex64)
        data[:, :, 0, :, 0, 0, 0, 0, 0, 0, 0, 0, 0] = kspace.transpose(2, 3, 1, 0)
        write_cfl(folder / "scan", data)
        return folder / "scan.cfl", ReadOptions()
    if kind == "fastmri":
        with h5py.File(folder / "fastmri.h5", "w") as file:
            file["kspace"] = kspace
            file["mask"] = lines_mask(n_y).astype(np.float32)
        return folder / "fastmri.h5", ReadOptions()
    if kind == "ismrmrd":
        lines = [
            {"data": kspace[s, :, :, y], "kspace_encode_step_1": y, "slice": s}
            for s in range(n_slices)
            for y in np.flatnonzero(lines_mask(n_y))
        ]
        header = header_xml(n_x, n_y, 1, (n_x, n_y, 1), n_y - 1, n_y // 2)
        write_ismrmrd(folder / "ismrmrd.h5", header, lines)
        return folder / "ismrmrd.h5", ReadOptions()
    info = ScanInfo("scan", "test", "made for a test", "CC0-1.0", ("echo1",))
    with ScanWriter(
        folder / "prepared.h5", info, ScanShape(n_slices, 1, n_coils, (n_x, n_y))
    ) as file:
        for s in range(n_slices):
            maps = head((n_x, n_y), n_coils, seed=s)[1]
            file.write(s, kspace[s, None], maps, combine_sense(kspace[s, None], maps))
    return folder / "prepared.h5", ReadOptions()
