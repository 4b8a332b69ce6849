"""Convert fastMRI knee and brain volumes that you have (fastmri.md)."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Bool, Complex

from data_scripts.command_line import run_script
from data_scripts.ismrmrd_header import Header, parse_header
from data_scripts.mri_convert import ConvertConfig, crop_images, find_scans, write_converted
from data_scripts.mri_output import (
    convert_all,
    finish_dataset,
    scan_name,
    scan_recipe,
)
from mri.schema import ScanInfo, ScanShape

_PORTAL = (
    "fastMRI is not downloaded by this script: register at https://fastmri.med.nyu.edu (form, data "
    "use agreement, no redistribution; knee multi-coil about 1.2 TB), unpack, then give the "
    "folders: python -m data_scripts.fastmri "
    "train=[multicoil_train] valid=[multicoil_val]. Each folder holds file*.h5 with kspace and "
    "ismrmrd_header"
)
SOURCE = "fastMRI (Zbontar et al. 2018, arXiv:1811.08839)"
LICENCE = "fastMRI data use agreement, no redistribution"


@dataclass
class FastMriConfig(ConvertConfig):
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
        target: sense or rss.
    """

    out: str = "data/fastmri"
    height: int = 0
    width: int = 0


def main(config: FastMriConfig) -> None:
    """Convert the volumes, then write the metadata."""
    jobs = find_scans(config, ".h5", patient, _PORTAL)
    convert_volumes(config, jobs, SOURCE, LICENCE)


def convert_volumes(
    config: FastMriConfig, jobs: list[tuple[Path, str]], source: str, licence: str
) -> None:
    """Convert (volume, split) pairs in the fastMRI layout, then write the metadata."""
    convert_all(config, jobs, lambda path, split: convert(config, path, split, source, licence))
    finish_dataset(
        Path(config.out),
        config,
        {
            "name": Path(config.out).name,
            "equation": "y_c = F S_c x + n_c, measured",
            "units": "scanner units divided by each scan's scale",
            "source": source,
            "licence": licence,
        },
    )


def patient(path: Path) -> str:
    """Return the patient a volume belongs to; its name where the file does not tell."""
    with h5py.File(path, "r") as file:
        return str(file.attrs.get("patient_id", path.stem))


def convert(config: FastMriConfig, path: Path, split: str, source: str, licence: str) -> None:
    """Convert one volume in the fastMRI layout.

    Raises:
        ValueError: if it has no k-space, is undersampled, or another layout.
    """
    with h5py.File(path, "r") as file:
        if "kspace" not in file:
            raise ValueError(f"{path} has no 'kspace', only {sorted(file)}; not a fastMRI volume")
        if "mask" in file:
            raise ValueError(
                f"{path} is undersampled (it has a 'mask'), so it has no ground truth; "
                "use the training and validation volumes"
            )
        kspace = file["kspace"]
        if kspace.ndim not in (3, 4):
            raise ValueError(
                f"{path}: kspace has shape {kspace.shape}, expected (slices, [coils,] "
                "height, width)"
            )
        header = (
            parse_header(file["ismrmrd_header"][()], path) if "ismrmrd_header" in file else None
        )
        readout = min(header.reconstructed[0], kspace.shape[-2]) if header else kspace.shape[-2]
        grid = (config.height or readout, config.width or kspace.shape[-1])
        n_coils = kspace.shape[1] if kspace.ndim == 4 else 1
        info = ScanInfo(
            scan_id=scan_name(path),
            split=split,
            source=source,
            licence=licence,
            echo_names=(str(file.attrs.get("acquisition", "echo1")),),
            target_kind=config.target,
            details={"recipe": scan_recipe(config, split)},
        )
        write_converted(
            config,
            info,
            ScanShape(len(kspace), 1, n_coils, grid),
            _slices(kspace, grid),
            acquired=_acquired(header, kspace.shape[-1], grid),
        )


def _slices(
    kspace: h5py.Dataset, grid: tuple[int, int]
) -> Iterator[Complex[np.ndarray, "1 coils ky kz"]]:
    for index in range(len(kspace)):
        measured = np.asarray(kspace[index], np.complex64)
        measured = measured.reshape(1, -1, *measured.shape[-2:])
        yield crop_images(measured, grid).astype(np.complex64)


def _acquired(
    header: Header | None, n_columns: int, grid: tuple[int, int]
) -> Bool[np.ndarray, "ky kz"] | None:
    """Return the measured columns; the others were padded with zeros before publication.

        first = n_y // 2 - center,  last = first + maximum

    None where the columns were changed by cropping, or the header does not describe them.
    """
    if header is None or grid[1] != n_columns or header.encoded[1] != n_columns:
        return None
    first = n_columns // 2 - header.step_1.center
    columns = np.zeros(n_columns, bool)
    columns[max(first, 0) : first + header.step_1.maximum + 1] = True
    return np.broadcast_to(columns, grid).copy()


if __name__ == "__main__":
    sys.exit(run_script(main, FastMriConfig))
