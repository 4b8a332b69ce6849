"""Open a file or folder of anybody, whatever its format."""

from collections.abc import Sequence
from pathlib import Path

import h5py

from data_scripts import hdf5
from data_scripts.pde.readers.fields import Fields, ReadOptions
from data_scripts.pde.readers.formats.hdf5_files import hdf5_contents
from data_scripts.pde.readers.formats.matlab_files import classic_contents, is_classic_matlab
from data_scripts.pde.readers.formats.netcdf_files import NETCDF_MAGIC, netcdf_contents
from data_scripts.pde.readers.formats.numpy_files import (
    NPY_MAGIC,
    npy_contents,
    npy_folder,
    npz_contents,
)
from data_scripts.pde.readers.formats.torch_files import torch_contents
from data_scripts.pde.readers.formats.zarr_files import is_zarr, zarr_contents
from data_scripts.pde.readers.groups import group_fields, trajectory_groups
from data_scripts.pde.readers.join import join_splits
from data_scripts.pde.readers.own.beside_layout import with_unused
from data_scripts.pde.readers.own.finish import finished
from data_scripts.pde.readers.own.folders import (
    SUFFIXES,
    folder_files,
    split_contents,
    without_split,
)
from data_scripts.pde.readers.own.interpret import interpret
from data_scripts.pde.readers.own.numbered import stack_numbered
from data_scripts.pde.readers.own.roles import are_input_and_output
from data_scripts.pde.readers.statement import AGAIN
from data_scripts.pde.readers.stored import Contents
from data_scripts.pde.readers.well import FIELDS, well_fields
from data_scripts.pde.readers.windows import cut
from data_scripts.unusable import UnusableFileError, reading, require_file

# The fields of a file by split; None is the split of a file that has none.
Parts = dict[str | None, Fields]


def open_fields(path: str | Path, options: ReadOptions | None = None) -> Fields:
    """Find out what a file or folder of anybody holds, without reading the fields.

    The trajectories of all files of a folder follow each other, those of its splits in the order
    train, valid, test.

    Args:
        path: of the file or folder.
        options: what the user says of it; None for nothing.

    Raises:
        UnusableFileError: there is no such file, it is damaged, or it is not clear what it holds;
            the error then names what is there and every option to give.
    """
    path, options = Path(path), options or ReadOptions()
    parts: dict[str | None, list[Fields]] = {}
    for split, files in _files(path).items():
        for part in _open_together(files, options):
            for inner, fields in part.items():
                parts.setdefault(split or inner, []).append(fields)
    fields = finished(join_splits(path, parts), options)
    return cut(fields, options.window, options.first_frame) if options.window else fields


def _files(path: Path) -> dict[str | None, list[Path]]:
    """Return the files to open by split."""
    if is_zarr(path):
        return {None: [path]}
    if not path.is_dir():
        require_file(path, f"check the path (relative ones start at {Path.cwd()})")
        return {None: [path]}
    files = folder_files(path)
    if not files:
        raise UnusableFileError(
            f"{path} holds no data file ({', '.join(SUFFIXES)}), neither directly nor in folders "
            "train, valid and test"
        )
    return files


def _open_together(files: Sequence[Path], options: ReadOptions) -> list[Parts]:
    """Return the fields of files; some of NumPy may be the input and the output of one set."""
    names = [without_split(file.stem)[0] for file in files]
    if are_input_and_output(names) and all(file.suffix == ".npy" for file in files):
        return [_interpret_splits(files[0].parent, npy_folder(files), options)]
    return [_open(file, options) for file in files]


def _open(path: Path, options: ReadOptions) -> Parts:
    if is_zarr(path):
        return _interpret_splits(path, zarr_contents(path), options)
    with reading(path, AGAIN), path.open("rb") as opened:
        header = opened.read(128)
    if h5py.is_hdf5(path):
        with reading(path, AGAIN), hdf5.open_file(path, AGAIN) as file:
            return _open_hdf5(path, file, header, options)
    return _interpret_splits(path, _contents(path, header), options)


def _open_hdf5(path: Path, file: h5py.File, header: bytes, options: ReadOptions) -> Parts:
    are_lines_said = options.times_key is not None or options.point_keys
    if options.axes is None and not are_lines_said and any(name in file for name in FIELDS):
        return {None: with_unused(path, file, well_fields(path, file, options))}
    is_told = are_lines_said or any(
        said is not None for said in (options.axes, options.key, options.input_key)
    )
    if not is_told and (groups := trajectory_groups(file)):
        return {None: with_unused(path, file, group_fields(path, file, groups))}
    return _interpret_splits(path, hdf5_contents(path, file, header), options)


def _contents(path: Path, header: bytes) -> Contents:
    if header.startswith(NPY_MAGIC):
        return npy_contents(path)
    if header.startswith(NETCDF_MAGIC):
        return netcdf_contents(path)
    if path.suffix.lower() == ".npz":
        return npz_contents(path)
    if path.suffix.lower() in (".pt", ".pth"):
        return torch_contents(path)
    if is_classic_matlab(path, header):
        return classic_contents(path)
    raise UnusableFileError(
        f"{path} ({path.stat().st_size} bytes) is of no known format, or its beginning is damaged; "
        "NumPy (.npy, .npz), PyTorch (.pt), MATLAB (.mat), HDF5, netCDF and Zarr files are read"
    )


def _interpret_splits(path: Path, contents: Contents, options: ReadOptions) -> Parts:
    """Return the fields of a file whose names may say the split, as `u_train` does."""
    if options.key is None or options.key not in contents.arrays:
        contents = stack_numbered(contents)
    splits = {} if without_split(options.key or "")[1] else split_contents(contents)
    if not splits:
        return {None: interpret(path, contents, options)}
    return {split: interpret(path, part, options) for split, part in splits.items()}
