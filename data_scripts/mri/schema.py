"""Prepared MRI scans: one HDF5 file per scan, written, read and checked here.

| name | type, shape | meaning |
| --- | --- | --- |
| `kspace` | complex64 (slices, echoes, coils, ky, kz) | fully sampled, centred, orthonormal |
| `maps` | complex64 (slices, coils, ky, kz) | coil sensitivities of the image grid |
| `target` | complex64 (slices, echoes, ky, kz) | image of the fully sampled data |
| `masks/<name>` | bool (ky, kz), optional | `poisson_4.0x`, ..; `acquired`: what was measured |

All slices are 2-D problems: a 3-D scan is stored in hybrid space, transformed to image space along
the readout, which then numbers the slices. Root attributes:

| attribute | meaning |
| --- | --- |
| `scan_id`, `split` | unique name; `train`, `valid` or `test` |
| `source`, `licence` | where the data came from and what may be done with it |
| `echo_names` | one name per echo or contrast |
| `centered`, `norm` | always true and `ortho`: (1) of `data_scripts.mri.centred_fft` |
| `hybrid_axes` | axes already in image space, for example `x`; empty for a 2-D scan |
| `scale`, `units` | acquired values = stored values * scale; the unit of what is stored |
| `target_kind` | `sense` or `rss` of `kspace`, `ideal` or `pocs` (see below), or `source` |
| `details` | JSON: anything else worth keeping |

A `source` target came with the data. An `ideal` target is the SENSE combination of what a scanner
without the simulated encoding errors would have measured; a `pocs` target that of k-space whose
unmeasured side was completed (`data_scripts.mri.partial_fourier`), while `kspace` stays as it was
measured.

`scale` is the standard deviation of the target's magnitude over the scan, all echoes together (the
convention of SKM-TEA), or 1 for a scan without signal. Chunks hold one echo of one slice and carry
a checksum, so a damaged file is noticed when it is read.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from jaxtyping import Bool, Complex, Float

from data_scripts import hdf5
from data_scripts.file_names import plain_name
from data_scripts.finite import require_finite
from data_scripts.unusable import require_file

SPLITS = ("train", "valid", "test")
TARGET_KINDS = ("sense", "rss", "ideal", "pocs", "source")
UNITS = "arbitrary signal units divided by scale"
# Axes of the arrays of one slice; in a file, slices come first.
AXES = {
    "kspace": ("echo", "coil", "ky", "kz"),
    "maps": ("coil", "y", "z"),
    "target": ("echo", "y", "z"),
}
_REMEDY = "delete it and prepare the data again (data_scripts/mri/check.py lists what is wrong)"


@dataclass(frozen=True)
class ScanInfo:
    """What a prepared file says about itself; the root attributes of the module's table."""

    scan_id: str
    split: str
    source: str
    licence: str
    echo_names: tuple[str, ...]
    hybrid_axes: str = ""
    target_kind: str = "sense"
    units: str = UNITS
    scale: float = 1.0
    centered: bool = True
    norm: str = "ortho"
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {self.split!r}")
        if self.target_kind not in TARGET_KINDS:
            raise ValueError(f"target_kind must be one of {TARGET_KINDS}, got {self.target_kind!r}")
        plain_name(self.scan_id, "scan_id")
        if not self.echo_names or len(set(self.echo_names)) != len(self.echo_names):
            raise ValueError(f"echo_names must be distinct and at least one, got {self.echo_names}")
        if not self.centered or self.norm != "ortho":
            raise ValueError(
                f"k-space is said to have centered={self.centered} and norm={self.norm!r}, but "
                "must be centred and orthonormal"
            )
        if not 0 < self.scale < np.inf:
            raise ValueError(f"scale must be a positive number, got {self.scale}")

    @property
    def accepted(self) -> tuple[str, ...]:
        """Kinds of `kspace_findings` that were accepted when the scan was converted."""
        kinds = self.details.get("accept", ())
        return tuple(kinds) if isinstance(kinds, list | tuple) else ()


@dataclass(frozen=True)
class ScanShape:
    """Sizes of one scan; `grid` is (ky, kz) in samples, which is also the image grid in pixels."""

    n_slices: int
    n_echoes: int
    n_coils: int
    grid: tuple[int, int]

    def __post_init__(self) -> None:
        if min(self.n_slices, self.n_echoes, self.n_coils, *self.grid) < 1:
            raise ValueError(f"a scan has at least one of everything, got {self}")

    @property
    def arrays(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the arrays of the file, by name."""
        s, e, c = self.n_slices, self.n_echoes, self.n_coils
        return {
            "kspace": (s, e, c, *self.grid),
            "maps": (s, c, *self.grid),
            "target": (s, e, *self.grid),
        }


@dataclass(frozen=True)
class Scan:
    """One prepared file: where it is, what it says about itself, its sizes."""

    path: Path
    info: ScanInfo
    shape: ScanShape


class ScanWriter:
    """Write one scan slice by slice, so that a scan larger than memory can be written.

    Values are given in acquired units. Leaving the context computes `scale`, divides the data by
    it, and only then puts the file in its place: a broken run, or one that left out a slice, leaves
    no scan, and an older one of that name as it was.

    Args:
        path: the file to make.
        info: attributes; `scale` is replaced.
        shape: sizes of the scan.
    """

    def __init__(self, path: Path, info: ScanInfo, shape: ScanShape) -> None:
        _require_names(info, shape)
        self.path = path
        self.info = info
        self.shape = shape
        path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._sum, self._sum_squares = 0.0, 0.0
        self._written: set[int] = set()

    def __enter__(self) -> "ScanWriter":
        self._file = h5py.File(self._temporary, "w")
        for name, shape in self.shape.arrays.items():
            one_image = (1, *shape[1:]) if name == "maps" else (1, 1, *shape[2:])
            self._file.create_dataset(name, shape, np.complex64, chunks=one_image, fletcher32=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        complete = False
        try:
            if kind is None:
                self._normalise()
                complete = True
        finally:
            self._file.close()
            if complete:
                self._temporary.replace(self.path)
            else:
                self._temporary.unlink(missing_ok=True)

    def write(
        self,
        index: int,
        kspace: Complex[np.ndarray, "..."],
        maps: Complex[np.ndarray, "..."],
        target: Complex[np.ndarray, "..."],
    ) -> None:
        """Store slice `index`, in acquired units.

        Args:
            index: which slice.
            kspace: (echoes, coils, ky, kz).
            maps: (coils, ky, kz).
            target: (echoes, ky, kz).

        Raises:
            ValueError: if the slice is none of the scan or was written before, a shape is not the
                one the writer was made for, or a value is not finite in complex64.
        """
        if index not in range(self.shape.n_slices) or index in self._written:
            raise ValueError(
                f"{self.info.scan_id}: slice {index} was written before or is none of the "
                f"{self.shape.n_slices}; write each of them once"
            )
        for name, values in (("kspace", kspace), ("maps", maps), ("target", target)):
            dataset = self._file[name]
            where = f"{self.info.scan_id}, slice {index}: {name}"
            if values.shape != dataset.shape[1:]:
                raise ValueError(
                    f"{where} has shape {values.shape}, expected {dataset.shape[1:]}; give the "
                    "writer the shape of the data"
                )
            with np.errstate(over="ignore"):
                stored = np.asarray(values, np.complex64)
            require_finite(where, stored, AXES[name], "repair the data or leave the scan out")
            dataset[index] = stored
        self._written.add(index)
        magnitude = np.abs(target).astype(np.float64)
        self._sum += float(magnitude.sum())
        self._sum_squares += float((magnitude**2).sum())

    def write_mask(self, name: str, mask: Bool[np.ndarray, "ky kz"]) -> None:
        """Store a sampling mask under `masks/<name>`.

        Raises:
            ValueError: if the name is a path, or the mask has another shape than the grid.
        """
        plain_name(name, f"{self.info.scan_id}: the name of a mask")
        if mask.shape != self.shape.grid:
            raise ValueError(
                f"{self.info.scan_id}: the mask {name} has shape {mask.shape}, expected "
                f"{self.shape.grid}; put it on the grid of k-space"
            )
        self._file.create_dataset(f"masks/{name}", data=np.asarray(mask, bool))

    def _normalise(self) -> None:
        missing = sorted(set(range(self.shape.n_slices)) - self._written)
        if missing:
            raise ValueError(
                f"{self.info.scan_id}: {len(missing)} of {self.shape.n_slices} slices were not "
                f"written, the first is {missing[0]}; write all of them, or make the scan smaller"
            )
        count = self.shape.n_slices * self.shape.n_echoes * int(np.prod(self.shape.grid))
        mean = self._sum / count
        scale = float(np.sqrt(max(self._sum_squares / count - mean**2, 0.0)))
        scale = scale if scale > 0 else 1.0
        for name in ("kspace", "target"):
            for index in range(self.shape.n_slices):
                self._file[name][index] = self._file[name][index] / np.float32(scale)
        attributes = {**vars(self.info), "scale": scale}
        attributes["details"] = json.dumps(self.info.details)
        attributes["echo_names"] = list(self.info.echo_names)
        for name, value in attributes.items():
            self._file.attrs[name] = value


def _require_names(info: ScanInfo, shape: ScanShape) -> None:
    if len(info.echo_names) != shape.n_echoes:
        raise ValueError(
            f"{info.scan_id} has {shape.n_echoes} echoes and the names {info.echo_names}; give one "
            "name per echo"
        )


def read_info(path: Path) -> tuple[ScanInfo, ScanShape]:
    """Read the attributes and sizes of a prepared scan, not its arrays.

    Raises:
        ValueError: if the file is not a prepared scan (attributes, arrays, and whether these belong
            together), naming what is missing or wrong.
    """
    with open_scan(path) as file:
        arrays = {name: hdf5.array(file, name, _REMEDY) for name in AXES}
        stored = {name: (array.shape, array.dtype) for name, array in arrays.items()}
        required = [name for name in ScanInfo.__dataclass_fields__ if name not in file.attrs]
        if required:
            raise ValueError(f"{path}: the root attributes {required} are missing; {_REMEDY}")
        attributes = {name: file.attrs[name] for name in ScanInfo.__dataclass_fields__}
    try:
        info = ScanInfo(**_python_values(attributes))
        shape = _shape(stored)
        _require_names(info, shape)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}; {_REMEDY}") from error
    return info, shape


def _shape(stored: dict[str, tuple[tuple[int, ...], np.dtype]]) -> ScanShape:
    """Return the sizes of a scan from the shapes and types of its arrays, which must agree."""
    of_kspace, _ = stored["kspace"]
    if len(of_kspace) != 5:
        raise ValueError(
            f"kspace has {len(of_kspace)} axes, expected 5 (slices, echoes, coils, ky, kz)"
        )
    slices, echoes, coils, *grid = of_kspace
    shape = ScanShape(slices, echoes, coils, (grid[0], grid[1]))
    for name, wanted in shape.arrays.items():
        found, dtype = stored[name]
        if found != wanted or dtype != np.complex64:
            raise ValueError(
                f"{name} is {dtype} of shape {found}, but must be complex64 of {wanted} to go with "
                f"kspace {of_kspace}"
            )
    return shape


def _python_values(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return root attributes as what `ScanInfo` holds."""
    if np.ndim(attributes["echo_names"]) != 1:
        raise ValueError(f"echo_names must be a list, got {attributes['echo_names']!r}")
    values = {name: str(value) for name, value in attributes.items()}
    details = json.loads(values["details"])
    if not isinstance(details, dict):
        raise ValueError(f"details must be a JSON object, got {values['details']!r}")
    return {
        **values,
        "details": details,
        "echo_names": tuple(str(name) for name in attributes["echo_names"]),
        "scale": float(attributes["scale"]),
        "centered": bool(attributes["centered"]),
    }


def open_scan(path: Path) -> h5py.File:
    """Open a prepared scan for reading.

    Raises:
        ValueError: if the file is missing, truncated or not HDF5.
    """
    require_file(path, "prepare the data again or correct dataset.root")
    return hdf5.open_file(path, _REMEDY)


def read_slice(file: h5py.File, name: str, index: tuple[Any, ...]) -> np.ndarray:
    """Read part of an array of a scan.

    Raises:
        ValueError: if the chunk is truncated or its checksum is wrong.
    """
    return hdf5.read(file[name], index, _REMEDY)


def stored_masks(path: Path) -> dict[str, Float[np.ndarray, "ky kz"]]:
    """Read every mask that came with a scan.

    Raises:
        ValueError: if a mask is no array of the file.
    """
    with open_scan(path) as file:
        return {
            name: hdf5.read(mask, (), _REMEDY).astype(np.float32)
            for name, mask in mask_datasets(file, _REMEDY).items()
        }


def mask_datasets(file: h5py.File, remedy: str) -> dict[str, h5py.Dataset]:
    """Return the arrays below `masks`, if there are any.

    Raises:
        ValueError: if `masks` is no group, or one of its members is no array of the file.
    """
    if "masks" not in file:
        return {}
    group = hdf5.group(file, "masks", remedy)
    return {name: hdf5.array(group, name, remedy) for name in group}
