"""Open a scan of any format that is read here, told by its ending and its content."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex

from data_scripts import hdf5
from data_scripts.mri.arrays import (
    KspaceArray,
    measured_array,
    open_hdf5,
    open_mat,
    open_nifti,
    open_npy,
)
from data_scripts.mri.bart_cfl import open_bart
from data_scripts.mri.fastmri import open_fastmri
from data_scripts.mri.ismrmrd import open_ismrmrd
from data_scripts.mri.measured import MeasuredScan
from data_scripts.mri.schema import open_scan, read_info, read_slice, stored_masks
from data_scripts.unusable import require_file
from monarch_core.runs.printable import listed

ENDINGS = (".h5", ".hdf5", ".mrd", ".cfl", ".npy", ".mat", ".nii", ".nii.gz")
log = logging.getLogger(__name__)

_SKM_TEA_AXES = 5
_REMEDY = "give a scan in one of the formats " + ", ".join(ENDINGS)


@dataclass
class ReadOptions:
    """What the formats do not say of themselves.

    Attributes:
        axes: names of the axes of an array (.npy, .mat, NIfTI, your own HDF5), of slice, echo,
            coil, x, y, z; x is the readout. Empty: coil, x, y and slice in front of them (.npy,
            HDF5), or x, y, coil, and with four axes x, y, z, coil (.mat, NIfTI).
        name: of the array in a .mat or HDF5 file, there with its groups; empty: the only one. With
            a name an HDF5 file of any format is read as an array.
        oversampling: how much longer the readout is than the image (arrays and BART).
        group: HDF5 group of the measurement (ISMRMRD).
        whiten: decorrelate the coils with the noise scan, where there is one (ISMRMRD).
    """

    axes: list[str] = field(default_factory=list)
    name: str = ""
    oversampling: float = 1.0
    group: str = "dataset"
    whiten: bool = True


_USED = {
    ".npy": {"axes", "oversampling"},
    ".nii": {"axes", "oversampling"},
    ".mat": {"axes", "name", "oversampling"},
    "HDF5": {"axes", "name", "oversampling"},
    ".cfl": {"oversampling"},
    "ISMRMRD": {"group", "whiten"},
    "fastMRI": set[str](),
    "prepared": set[str](),
}


@contextlib.contextmanager
def open_measured(path: Path, options: ReadOptions | None = None) -> Iterator[MeasuredScan]:
    """Open a scan.

    Raises:
        ValueError: if it is missing, damaged, of a format that is not read, not Cartesian, or if
            an option is given that its format does not read.
    """
    options = options or ReadOptions()
    path = path.with_suffix(".cfl") if path.suffix == ".hdr" else path
    require_file(path, _REMEDY)
    ending = next((e for e in ENDINGS if path.name.lower().endswith(e)), None)
    if ending is None:
        raise ValueError(f"{path} has none of the endings that are read here; {_REMEDY}")
    kind = _kind_of_hdf5(path, options) if ending in ENDINGS[:3] else ending[:4]
    _refuse_unread(path, kind, options)
    if kind == "fastMRI":
        with open_fastmri(path) as scan:
            yield scan
    elif kind == "ISMRMRD":
        with open_ismrmrd(path, options.group, whiten=options.whiten) as scan:
            yield scan
    elif kind == "prepared":
        with open_prepared(path) as scan:
            yield scan
    elif kind == ".cfl":
        yield open_bart(path, options.oversampling)
    elif kind == "HDF5":
        yield _measured(open_hdf5(path, options.name, options.axes), kind, options)
    elif kind == ".npy":
        yield _measured(open_npy(path, options.axes), "NumPy", options)
    elif kind == ".mat":
        yield _measured(open_mat(path, options.name, options.axes), "MATLAB", options)
    else:
        yield _measured(open_nifti(path, options.axes), "NIfTI", options)


def _measured(array: KspaceArray, kind: str, options: ReadOptions) -> MeasuredScan:
    """Return the scan in an array; say so where its axes were told by their number alone.

    Nothing in the numbers tells slices of one coil from coils of one slice.
    """
    if not options.axes and len(array.axes) > 2:
        lengths = ", ".join(f"{a} {n}" for a, n in zip(array.axes, array.shape, strict=True))
        log.warning(
            "%s: its axes were taken for %s, as nothing names them; if they are others, as slices "
            "in place of coils, name them with read.axes=[..]",
            array.path,
            lengths,
        )
    return measured_array(array, kind, oversampling=options.oversampling)


@contextlib.contextmanager
def open_prepared(path: Path) -> Iterator[MeasuredScan]:
    """Open a prepared scan, in acquired units, with its maps and masks; errors as `read_info`."""
    info, shape = read_info(path)
    masks = {name: mask != 0 for name, mask in stored_masks(path).items()}
    with open_scan(path) as file:

        def read(index: int) -> Complex[np.ndarray, "echoes coils ky kz"]:
            return read_slice(file, "kspace", (index,)) * np.float32(info.scale)

        yield MeasuredScan(
            path,
            "prepared scan",
            shape,
            read,
            info.echo_names,
            hybrid_axes=info.hybrid_axes,
            mask=masks.pop("acquired", None),
            masks=masks,
            maps=lambda index: read_slice(file, "maps", (index,)),
        )


def _kind_of_hdf5(path: Path, options: ReadOptions) -> str:
    with hdf5.open_file(path, _REMEDY) as file:
        if options.name:
            if beside := [name for name in ("mask", "maps") if name in file]:
                log.warning("%s: with read.name its %s is not read", path, " or ".join(beside))
            return "HDF5"
        kspace = hdf5.find(file, "kspace")
        if isinstance(kspace, h5py.Dataset):
            if "scan_id" in file.attrs:
                return "prepared"
            if kspace.ndim != _SKM_TEA_AXES:
                return "fastMRI"
            raise ValueError(
                f"{path} has five axes of kspace, as raw scans of SKM-TEA: convert it with "
                "data_scripts/mri/skm_tea.py, and give the prepared scan; an array of your own is "
                "named with read.name=kspace read.axes=[..]"
            )
        if hdf5.find(file, f"{options.group}/data") is not None:
            return "ISMRMRD"
        names = list(hdf5.walk(file))
    headers = [name.removesuffix("/xml") for name in names if name.endswith("/xml")]
    if headers or options.group != ReadOptions.group or not names:
        raise ValueError(
            f"{path} holds {listed(headers) or listed(names) or 'nothing'}, but neither kspace "
            f"(fastMRI, prepared scans) nor {options.group}/data (ISMRMRD, whose group is named "
            "with read.group=NAME); an array of your own is named with read.name=NAME"
        )
    return "HDF5"


def _refuse_unread(path: Path, kind: str, options: ReadOptions) -> None:
    own = ", or name the array with read.name=NAME if it is one of your own"
    for option in fields(ReadOptions):
        given = getattr(options, option.name)
        if given != getattr(ReadOptions(), option.name) and option.name not in _USED[kind]:
            is_known = kind in ("fastMRI", "prepared", "ISMRMRD")
            raise ValueError(
                f"read.{option.name}={given} was given, but {path} ({kind}) is read without it; "
                f"leave it out{own if is_known else ''}"
            )
