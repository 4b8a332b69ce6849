"""K-space in one array of a file with axes of names, in parts: BART, .npy, HDF5, .mat, NIfTI."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from jaxtyping import Complex

from data_scripts import hdf5
from data_scripts.mri.kspace_findings import Finding
from data_scripts.mri.measured import (
    NON_CARTESIAN,
    HybridSlices,
    MapReader,
    MeasuredScan,
    Piece,
    echo_numbers,
    refuse_slabs,
)
from data_scripts.mri.schema import ScanShape
from data_scripts.mri.volumes import load_nifti
from data_scripts.unusable import UnusableFileError, reading
from monarch_core.runs.printable import listed

AXES = ("slice", "echo", "coil", "x", "y", "z")
# Axes of arrays whose axes were not named, by their number: those of toolboxes in Python, and those
# of MATLAB and NIfTI, whose first axis is the readout.
NUMPY_AXES = {
    2: ("x", "y"),
    3: ("coil", "x", "y"),
    4: ("slice", "coil", "x", "y"),
    5: ("slice", "echo", "coil", "x", "y"),
}
MATLAB_AXES = {2: ("x", "y"), 3: ("x", "y", "coil"), 4: ("x", "y", "z", "coil")}
_BLOCK_BYTES = 1 << 25  # of a 3-D scan, transformed at a time
_MAPPED_BYTES = 1 << 23  # of a file, mapped at a time
_REMEDY = "save it again, as one array of complex numbers"
_KINDS = hdf5.NUMBERS + hdf5.RECORDS


@dataclass(frozen=True)
class KspaceArray:
    """An array of k-space, not read yet.

    Attributes:
        path: the file.
        axes: names of its axes, of `AXES`; those that are not there have length one.
        shape: their lengths.
        slowest: the axes from the slowest in the file to the fastest.
        read: reads a part, given a slice for each axis.
    """

    path: Path
    axes: tuple[str, ...]
    shape: tuple[int, ...]
    slowest: tuple[str, ...]
    read: Callable[[tuple[slice, ...]], np.ndarray]

    def length(self, axis: str) -> int:
        """Return the length of an axis."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    def part(self, **where: slice) -> Complex[np.ndarray, "slices echoes coils x y z"]:
        """Read a part, all of the axes that are not given."""
        values = self.read(tuple(where.get(axis, slice(None)) for axis in self.axes))
        order = sorted(range(values.ndim), key=lambda i: AXES.index(self.axes[i]))
        lengths = dict(zip(self.axes, values.shape, strict=True))
        ordered = values.transpose(order).reshape([lengths.get(axis, 1) for axis in AXES])
        return np.ascontiguousarray(ordered, np.complex64)

    def pieces(self) -> Iterator[Piece]:
        """Read a 3-D scan in blocks that lie close together in the file."""
        in_file = [axis for axis in self.slowest if self.length(axis) > 1]
        inner = next((axis for axis in in_file if axis in ("y", "z")), "y")
        first = min((in_file.index(axis) for axis in in_file if axis in "xyz"), default=0)
        by_coil = "coil" in in_file and in_file.index("coil") < first
        coils = _steps(self.length("coil"), 1 if by_coil else self.length("coil"))
        in_one = self.length("x") * self.length("y") * self.length("z") // self.length(inner)
        in_one *= 1 if by_coil else self.length("coil")
        for echo in range(self.length("echo")):
            for coil in coils:
                for block in _steps(self.length(inner), max(1, _BLOCK_BYTES // (8 * in_one))):
                    part = self.part(echo=slice(echo, echo + 1), coil=coil, **{inner: block})
                    y, z = (block if axis == inner else slice(None) for axis in "yz")
                    yield (echo, coil, y, z), part[0, 0].swapaxes(0, 1), 1


def _steps(n: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def measured_array(
    array: KspaceArray,
    kind: str,
    *,
    oversampling: float = 1.0,
    maps: Callable[[tuple[int, ...]], MapReader | None] = lambda _: None,
) -> MeasuredScan:
    """Return the scan in an array: 2-D slices, or a 3-D volume as slices along its readout.

    Args:
        array: of k-space, centred; any unit.
        kind: of the file.
        oversampling: how much longer the readout (x) is than the image.
        maps: gives what reads the maps beside the scan, for (slices, coils, x, y, z) of the images.

    Raises:
        ValueError: if there are several volumes, or the oversampling cannot be.
    """
    if not 1 <= oversampling <= 16:
        raise ValueError(
            f"oversampling must be from 1 (none) to 16, got {oversampling}; usual is 2"
        )
    n_slices, n_echoes, n_coils, n_x, n_y, n_z = (array.length(axis) for axis in AXES)
    refuse_slabs(array.path, n_slices, n_z)
    n_keep = max(round(n_x / oversampling), 1)
    of_maps = maps((n_slices, n_coils, n_keep, n_y, n_z))
    names = echo_numbers(n_echoes)
    if n_z == 1:
        return MeasuredScan(
            array.path,
            kind,
            ScanShape(n_slices, n_echoes, n_coils, (n_keep, n_y)),
            lambda index: array.part(slice=slice(index, index + 1))[0, ..., 0],
            names,
            maps=of_maps,
        )
    lengths = (n_echoes, n_coils, n_x, n_y, n_z)
    slices = HybridSlices(array.path, lengths, n_keep, array.pieces)
    return MeasuredScan(
        array.path,
        kind,
        ScanShape(n_keep, n_echoes, n_coils, (n_y, n_z)),
        slices,
        names,
        hybrid_axes="x",
        maps=of_maps,
        findings=lambda: _with_spokes(slices.findings()) if n_x == 1 else slices.findings(),
    )


def _with_spokes(findings: Sequence[Finding]) -> list[Finding]:
    """Say what an axis without a peak may be too where there is one sample along x."""
    hint = f"or, as BART keeps samples and spokes, the scan is not Cartesian: {NON_CARTESIAN}"
    return [Finding(f.kind, f"{f.text}; {hint}") if f.kind == "no_peak" else f for f in findings]


def open_npy(path: Path, axes: Sequence[str] = ()) -> KspaceArray:
    """Return the array of a .npy file, mapped anew for every few megabytes of it that are read.

    What a map has touched counts as memory of the process until the map is gone.

    Raises:
        ValueError: if it is no array of numbers, or its axes have other names.
    """

    def mapped() -> np.ndarray:
        with reading(path, _REMEDY):
            return np.lib.format.open_memmap(path, mode="r")

    array = mapped()
    named = _named(path, axes, NUMPY_AXES, array.shape, array.dtype)
    slowest = named[::-1] if array.flags.f_contiguous and not array.flags.c_contiguous else named
    order = [named.index(axis) for axis in slowest]

    def read(where: tuple[slice, ...]) -> np.ndarray:
        ranges = [range(*part.indices(n)) for part, n in zip(where, array.shape, strict=True)]
        part = np.empty([len(entries) for entries in ranges], array.dtype)
        outer = next((axis for axis in order if len(ranges[axis]) > 1), order[-1])
        n = max(1, _MAPPED_BYTES // array.strides[outer])
        for steps in _steps(len(ranges[outer]), n):
            here, there = [slice(None)] * part.ndim, list(where)
            here[outer] = steps
            there[outer] = slice(ranges[outer][steps.start], ranges[outer][steps.stop - 1] + 1)
            part[tuple(here)] = mapped()[tuple(there)]
        return part

    return KspaceArray(path, named, array.shape, slowest, read)


def open_nifti(path: Path, axes: Sequence[str] = ()) -> KspaceArray:
    """Return the k-space that a NIfTI file holds as complex numbers; errors as `open_npy`."""
    with reading(path, _REMEDY):
        stored = load_nifti(path).dataobj
    named = _named(path, axes, MATLAB_AXES, stored.shape, stored.dtype)

    def read(where: tuple[slice, ...]) -> np.ndarray:
        with reading(path, _REMEDY):
            return np.asarray(stored[where])

    return KspaceArray(path, named, stored.shape, named[::-1], read)


def open_mat(path: Path, name: str = "", axes: Sequence[str] = ()) -> KspaceArray:
    """Return an array of a MATLAB file: whole in memory up to version 7, in parts of version 7.3.

    Args:
        path: the file.
        name: of the array; empty: the only one of at least two axes.
        axes: names in MATLAB's order.

    Raises:
        ValueError: as `open_npy`, or if there is no such array.
    """
    if h5py.is_hdf5(path):
        return open_hdf5(path, name, axes, is_matlab=True)
    with reading(path, _REMEDY):
        arrays = {k: v for k, v in scipy.io.loadmat(path).items() if not k.startswith("__")}
    sizes = {k: v.shape for k, v in arrays.items() if v.dtype.kind in "ciuf"}
    array = arrays[_choose(path, name, sizes)]
    named = _named(path, axes, MATLAB_AXES, array.shape, array.dtype)
    return KspaceArray(path, named, array.shape, named[::-1], lambda where: array[where])


def open_hdf5(
    path: Path, name: str = "", axes: Sequence[str] = (), *, is_matlab: bool = False
) -> KspaceArray:
    """Return an array of an HDF5 file, read in parts.

    Args:
        path: the file.
        name: of the array, with its groups; empty: the only one of at least two axes, in a file of
            MATLAB of those outside structures.
        axes: names in the order of the file; in MATLAB's, which is the other way round, if it
            is a file of MATLAB.
        is_matlab: the file is of version 7.3 of MATLAB.

    Raises:
        ValueError: as `open_mat`.
    """
    order, usual = (-1, MATLAB_AXES) if is_matlab else (1, NUMPY_AXES)
    with hdf5.open_file(path, _REMEDY) as file:
        chosen = name
        if not name or hdf5.find(file, name) is None:
            names = sorted(file) if is_matlab else hdf5.walk(file)
            sizes = {key: shape[::order] for key, shape in _shapes(file, names).items()}
            chosen = _choose(path, name, sizes)
        stored = _stored(file, chosen)
        dtype, shape = stored.dtype, stored.shape[::order]
    is_pair = dtype.kind == "V"  # which is how MATLAB keeps complex numbers
    if is_pair and set(dtype.names or ()) != {"real", "imag"}:
        raise ValueError(f"{path} holds records of {dtype.names}; {_REMEDY}")
    named = _named(path, axes, usual, shape, np.complex64 if is_pair else dtype)

    def read(where: tuple[slice, ...]) -> np.ndarray:
        with hdf5.open_file(path, _REMEDY) as file:
            values = hdf5.read(_stored(file, chosen), where[::order], _REMEDY)
        numbers = values["real"] + 1j * values["imag"] if is_pair else values
        return numbers.T if is_matlab else numbers

    return KspaceArray(path, named, shape, named[::order], read)


def _shapes(file: h5py.File, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of those arrays among names that may be k-space."""
    shapes = {}
    for name in names:
        with contextlib.suppress(UnusableFileError):  # a link to what is not there
            stored = hdf5.find(file, name)
            if isinstance(stored, h5py.Dataset) and stored.dtype.kind in _KINDS and stored.shape:
                shapes[name] = stored.shape
    return shapes


def _stored(file: h5py.File, name: str) -> h5py.Dataset:
    return hdf5.array(file, name, _REMEDY, kinds=_KINDS)


def _choose(path: Path, name: str, sizes: dict[str, tuple[int, ...]]) -> str:
    """Return the name of the array to read."""
    likely = [key for key, shape in sizes.items() if sum(n > 1 for n in shape) > 1]
    if name in sizes or (not name and len(likely) == 1):
        return name or likely[0]
    arrays = listed([f"{key} {shape}" for key, shape in sizes.items()]) or "no arrays"
    raise ValueError(
        f"{path} holds {arrays}; say which is k-space with read.name=NAME"
        + (f", got {name!r}" if name else "")
    )


def _named(
    path: Path,
    axes: Sequence[str],
    usual: dict[int, tuple[str, ...]],
    shape: tuple[int, ...],
    dtype: Any,
) -> tuple[str, ...]:
    """Return the names of the axes of an array of numbers."""
    if np.dtype(dtype).kind not in "ciuf" or min(shape, default=0) < 1:
        raise ValueError(f"{path} holds {dtype} of shape {shape}; {_REMEDY}")
    names = tuple(axes) or usual.get(len(shape), ())
    if len(names) != len(shape) or len(set(names)) < len(names) or not {*names} <= {*AXES}:
        raise ValueError(
            f"{path} has {len(shape)} axes of the lengths {shape}, named {list(names)}; name each "
            f"of them with read.axes=[..], of {', '.join(AXES)} (x is the readout; y and z are "
            "phase encodings)"
        )
    if not {"x", "y"} <= {*names}:
        raise ValueError(f"{path}: read.axes={list(names)} lacks x or y; k-space has both")
    return names
