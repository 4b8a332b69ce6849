"""Convert fastMRI knee and brain volumes that you have (fastmri.md)."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
from jaxtyping import Bool, Complex

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts import hdf5
from data_scripts.command_line import run_recipe
from data_scripts.mri.convert import ConvertRecipe, convert_measured
from data_scripts.mri.ismrmrd_header import Header, parse_header
from data_scripts.mri.kspace_findings import Finding
from data_scripts.mri.measured import MeasuredScan
from data_scripts.mri.output import ScanJob
from data_scripts.mri.schema import ScanShape

_PORTAL = (
    "fastMRI is not downloaded by this script: register at https://fastmri.med.nyu.edu (form, data "
    "use agreement, no redistribution; knee multi-coil about 1.2 TB), unpack, then give the "
    "folders: python -m data_scripts.mri.fastmri "
    "train=[multicoil_train] valid=[multicoil_val]. Each folder holds file*.h5 with kspace and "
    "ismrmrd_header"
)
LICENCE = "fastMRI data use agreement, no redistribution"
_REMEDY = "unpack or fetch the file again, or leave it out"


@dataclass
class FastMriRecipe(ConvertRecipe):
    """fastMRI volumes, knee or brain, single- or multi-coil.

    Attributes:
        out: folder to make.
        train: folders or files, usually multicoil_train.
        valid: folders or files, usually multicoil_val.
        test: folders or files; empty: every second patient of valid.
        max_scans: volumes per split, 0 for all.
        height: pixels along the readout; 0: the reconstructed size (oversampling removed).
        width: pixels along the phase encoding; 0: as acquired.
        maps: espirit or jsense.
        calibration: side of the calibration square for the maps, in samples.
        kernel: kernel width of the maps, in samples.
        threshold: of ESPIRiT: singular values count above this share of the largest.
        crop: of ESPIRiT: maps are zero where the eigenvalue is not above this.
        target: sense or rss.
        partial_fourier: pocs to complete the targets of partial Fourier scans, or none.
        accept: kinds of findings that are no reason to refuse a scan (schema.md lists them).
    """

    HELP: ClassVar[str] = _PORTAL
    SOURCE: ClassVar[str] = "fastMRI (Zbontar et al. 2018, arXiv:1811.08839)"

    name: str = "fastmri"
    out: str = "data/fastmri"
    height: int = 0
    width: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.height, self.width) < 0:
            raise ValueError(
                f"height and width must not be negative, got {self.height} and {self.width}; 0 "
                "takes what the file has"
            )

    def subject_of(self, path: Path) -> str:
        """Return the patient a volume belongs to; its name where the file does not tell."""
        return patient(path)

    @property
    def licence_of_files(self) -> str:
        """Licence of the data."""
        return LICENCE

    def description(self) -> dict[str, Any]:
        """Return what was measured."""
        return {
            "equation": "y_c = F S_c x + n_c, measured",
            "units": "scanner units divided by each scan's scale",
            "source": self.SOURCE,
        }

    def make_scan(self, job: ScanJob, details: dict[str, Any]) -> None:
        """Convert one volume."""
        convert(self, job, details)


def patient(path: Path) -> str:
    """Return the patient a volume belongs to; its name where the file does not tell."""
    with hdf5.open_file(path, _REMEDY) as file:
        return hdf5.text(file, "patient_id") or path.stem


def convert(config: FastMriRecipe, job: ScanJob, details: dict[str, Any]) -> None:
    """Convert one volume in the fastMRI layout.

    A mask that came with a fully sampled volume is kept as `masks/mask`.

    Raises:
        ValueError: if it is undersampled, or as `open_fastmri`.
    """
    path = job.files[0]
    with open_fastmri(path, config.height, config.width) as scan:
        if scan.mask is not None:
            middle = scan.read(scan.shape.n_slices // 2)
            if not middle[..., ~scan.mask[0]].any():
                raise ValueError(
                    f"{path} is undersampled (it has a 'mask'), so it has no ground truth; "
                    "use the training and validation volumes"
                )
            scan = replace(scan, masks={"mask": scan.mask})
        convert_measured(config, job, details, scan, config.SOURCE)


@contextlib.contextmanager
def open_fastmri(path: Path, height: int = 0, width: int = 0) -> Iterator[MeasuredScan]:
    """Open a volume in the fastMRI layout, fully sampled or not.

    Args:
        path: the file.
        height: pixels along the readout; 0: the reconstructed size (oversampling removed).
        width: pixels along the phase encoding; 0: as acquired.

    Raises:
        ValueError: if it has no k-space, another layout, or its header says otherwise.
    """
    with hdf5.open_file(path, _REMEDY) as file:
        kspace = hdf5.array(file, "kspace", _REMEDY)
        if kspace.ndim not in (3, 4):
            raise ValueError(
                f"{path}: kspace has shape {kspace.shape}, expected (slices, [coils,] "
                "height, width); bring its axes in this order"
            )
        header = _header(path, file)
        readout = min(header.reconstructed[0], kspace.shape[-2]) if header else kspace.shape[-2]
        grid = (height or readout, width or kspace.shape[-1])
        if any(new > 2 * old for new, old in zip(grid, kspace.shape[-2:], strict=True)):
            raise ValueError(
                f"{path}: height and width {grid} are more than twice the k-space grid "
                f"{kspace.shape[-2:]}; take smaller ones"
            )
        n_coils = kspace.shape[1] if kspace.ndim == 4 else 1
        yield MeasuredScan(
            path,
            "fastMRI",
            ScanShape(len(kspace), 1, n_coils, grid),
            lambda index: _slice(kspace, index),
            (hdf5.text(file, "acquisition") or "echo1",),
            mask=_mask(path, file, kspace.shape[-1], grid),
            findings=lambda: [
                *_coil_findings(file, kspace),
                *_size_findings(header, kspace, grid),
            ],
            of_header=lambda sampled: _column_findings(header, np.any(sampled, 0)),
        )


def _mask(
    path: Path, file: h5py.File, n_columns: int, grid: tuple[int, int]
) -> Bool[np.ndarray, "ky kz"] | None:
    """Return the mask of a volume, one value for each column, on the grid of the images.

    None without one, or where images are cropped along the width, which mixes the columns.
    """
    if "mask" not in file or grid[1] != n_columns:
        return None
    columns = np.squeeze(hdf5.read(hdf5.array(file, "mask", _REMEDY), (), _REMEDY)) != 0
    if columns.shape != (n_columns,):
        raise ValueError(
            f"{path}: mask has the shape {columns.shape}, but kspace has {n_columns} columns; "
            + _REMEDY
        )
    return np.broadcast_to(columns, grid).copy()


def _header(path: Path, file: h5py.File) -> Header | None:
    if "ismrmrd_header" not in file:
        return None
    text = hdf5.array(file, "ismrmrd_header", _REMEDY, kinds=hdf5.TEXTS)[()]
    return parse_header(np.asarray(text).ravel()[0] if np.size(text) == 1 else text, path)


def _slice(kspace: h5py.Dataset, index: int) -> Complex[np.ndarray, "1 coils kx ky"]:
    measured = hdf5.read(kspace, (index,), _REMEDY).astype(np.complex64)
    return measured.reshape(1, -1, *measured.shape[-2:])


def _coil_findings(file: h5py.File, kspace: h5py.Dataset) -> list[Finding]:
    """Tell whether the first of three axes may number coils.

    It cannot be seen in the data: coils of a slice are as alike as neighbouring slices. Published
    single-coil volumes carry the reconstruction of each slice.
    """
    images = [file.get(name) for name in ("reconstruction_esc", "reconstruction_rss")]
    lengths = [image.shape[:1] for image in images if isinstance(image, h5py.Dataset)]
    if kspace.ndim == 4 or kspace.shape[:1] in lengths:
        return []
    text = (
        f"kspace has the shape {kspace.shape}, and no reconstruction_esc of as many slices says "
        "that its first axis numbers slices of a single coil; if it numbers coils, store one slice "
        "as (1, coils, height, width)"
    )
    return [Finding("single_coil", text)]


def _size_findings(
    header: Header | None, kspace: h5py.Dataset, grid: tuple[int, int]
) -> list[Finding]:
    """Tell whether the readout, from which the oversampling is removed, is the header's."""
    height, width = kspace.shape[-2:]
    if header is None or grid[0] == height or header.encoded[0] == height:
        return []
    swapped = header.encoded[:2] == (width, height)
    text = (
        f"kspace is {height} x {width}, but the header encodes {header.encoded[0]} readout samples "
        f"and {header.encoded[1]} phase encodings: "
        + ("the axes are swapped, store" if swapped else "its rows are no readout; store")
        + " k-space as (slices, coils, readout, phase encoding)"
    )
    return [Finding("header", text)]


def _column_findings(
    header: Header | None, measured: Bool[np.ndarray, " columns"]
) -> list[Finding]:
    """Compare the columns that are not zero with those that the header says were measured.

        first = n_y // 2 - center + minimum,  last = n_y // 2 - center + maximum

    The others were padded with zeros before publication. Data outside are refused, and a measured
    range that lacks more than a sixteenth of the columns; headers of other widths do not tell.
    """
    n = len(measured)
    if header is None or header.encoded[1] != n or header.step_1.limits is None:
        return []
    first, last = (n // 2 - header.step_1.center + i for i in header.step_1.limits)
    columns = np.flatnonzero(measured)
    missing = max(columns[0] - first, 0) + max(last - columns[-1], 0)
    if columns[0] >= first and columns[-1] <= last and missing <= n // 16:
        return []
    text = (
        f"the header says that the columns {first} to {last} of {n} were measured, but "
        f"{columns[0]} to {columns[-1]} hold data; correct its encodingLimits, or take the whole "
        "volume"
    )
    return [Finding("header", text)]


if __name__ == "__main__":
    sys.exit(run_recipe(FastMriRecipe))
