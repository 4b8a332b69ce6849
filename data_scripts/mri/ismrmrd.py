"""Convert Cartesian ISMRMRD files that you have, for example of mridata.org (ismrmrd.md)."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Complex

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_recipe
from data_scripts.mri.coil_maps import noise_covariance, whitening_matrix
from data_scripts.mri.convert import ConvertRecipe, convert_measured
from data_scripts.mri.ismrmrd_lines import IsmrmrdLines, open_lines
from data_scripts.mri.measured import (
    HybridSlices,
    MeasuredScan,
    Piece,
    echo_numbers,
    refuse_slabs,
)
from data_scripts.mri.output import ScanJob
from data_scripts.mri.schema import ScanShape

_HELP = (
    "give ISMRMRD files: python -m data_scripts.mri.ismrmrd train=[a.h5,b.h5] valid=[c.h5] "
    "test=[d.h5]. Open ones: http://mridata.org, data set 'Stanford Fullysampled 3D FSE Knees' "
    "(20 scans, 8 coils, about 1.7 GB each)"
)


@dataclass
class IsmrmrdRecipe(ConvertRecipe):
    """Fully sampled Cartesian scans, 3-D or 2-D multi-slice.

    Attributes:
        out: folder to make.
        train: files or folders.
        valid: files or folders.
        test: files or folders; empty: every second file of valid.
        max_scans: scans per split, 0 for all.
        group: HDF5 group of the measurement.
        whiten: decorrelate the coils with the noise scan, where the file has one.
        licence: licence of the data.
        maps: espirit or jsense.
        calibration: side of the calibration square for the maps, in samples.
        kernel: kernel width of the maps, in samples.
        threshold: of ESPIRiT: singular values count above this share of the largest.
        crop: of ESPIRiT: maps are zero where the eigenvalue is not above this.
        target: sense or rss.
        partial_fourier: pocs to complete the targets of partial Fourier scans, or none.
        accept: kinds of findings that are no reason to refuse a scan (schema.md lists them).
    """

    HELP: ClassVar[str] = _HELP

    name: str = "ismrmrd"
    out: str = "data/ismrmrd"
    group: str = "dataset"
    whiten: bool = True
    licence: str = "not stated"

    @property
    def licence_of_files(self) -> str:
        """Licence of the data."""
        return self.licence

    def description(self) -> dict[str, Any]:
        """Return what was measured."""
        return {
            "equation": "y_c = F S_c x + n_c, measured",
            "units": "noise standard deviations where whitened, divided by each scan's scale",
            "source": "ISMRMRD files",
        }

    def make_scan(self, job: ScanJob, details: dict[str, Any]) -> None:
        """Convert one file."""
        convert(self, job, details)


def convert(config: IsmrmrdRecipe, job: ScanJob, details: dict[str, Any]) -> None:
    """Convert one file; errors as `open_ismrmrd`."""
    path = job.files[0]
    with open_ismrmrd(path, config.group, whiten=config.whiten) as scan:
        convert_measured(config, job, details, scan, f"ISMRMRD file {path.name}")


@contextlib.contextmanager
def open_ismrmrd(
    path: Path, group: str = "dataset", *, whiten: bool = True
) -> Iterator[MeasuredScan]:
    """Open a file: lines sorted, whitened, in hybrid space if 3-D.

    Raises:
        ValueError: as `open_lines`, or if there are several volumes.
    """
    with open_lines(path, group) as lines:
        n_slices, n_contrasts, n_coils, n_x, n_y, n_z = lines.shape
        refuse_slabs(path, n_slices, n_z)
        noise = lines.noise() if whiten else np.zeros((n_coils, 0))
        whitening = whitening_matrix(noise_covariance(noise)) if noise.size else None
        n_keep = min(lines.header.reconstructed[0], n_x)
        hybrid = n_z > 1
        volume = HybridSlices(
            path, (n_contrasts, n_coils, n_x, n_y, n_z), n_keep, lambda: _pieces(lines, whitening)
        )
        yield MeasuredScan(
            path,
            "ISMRMRD",
            ScanShape(n_keep, n_contrasts, n_coils, (n_y, n_z))
            if hybrid
            else ScanShape(n_slices, n_contrasts, n_coils, (n_keep, n_y)),
            volume if hybrid else lambda index: _slice(lines, whitening, index),
            echo_numbers(n_contrasts),
            hybrid_axes="x" if hybrid else "",
            findings=lambda: [*lines.findings, *(volume.findings() if hybrid else [])],
            details={"whitened": whitening is not None},
        )


def _pieces(
    lines: IsmrmrdLines, whitening: Complex[np.ndarray, "coils coils"] | None
) -> Iterator[Piece]:
    for line, place, n_averages in lines.imaging():
        samples = line if whitening is None else whitening @ line
        where = (place.contrast, slice(None), place.y, place.z)
        yield where, (samples / n_averages).T.astype(np.complex64), n_averages


def _slice(
    lines: IsmrmrdLines, whitening: Complex[np.ndarray, "coils coils"] | None, index: int
) -> Complex[np.ndarray, "contrasts coils x y"]:
    _, n_contrasts, n_coils, n_x, n_y, _ = lines.shape
    kspace = np.zeros((n_contrasts, n_coils, n_x, n_y), np.complex64)
    for line, place, n_averages in lines.imaging(of_slice=index):
        samples = line if whitening is None else whitening @ line
        kspace[place.contrast, :, :, place.y] += samples / n_averages
    return kspace


if __name__ == "__main__":
    sys.exit(run_recipe(IsmrmrdRecipe))
