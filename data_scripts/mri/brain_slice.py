"""Prepare the measured, fully sampled 7-coil brain slice, for end-to-end checks (schema.md)."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Complex

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_recipe
from data_scripts.mri.centred_fft import fft_centred
from data_scripts.mri.convert import CoilOptions, write_converted
from data_scripts.mri.download import fetch, known_sources
from data_scripts.mri.measured import MeasuredScan
from data_scripts.mri.output import ScanJob, ScanRecipe
from data_scripts.mri.schema import ScanInfo, ScanShape

_SOURCE = "github.com/lab-midas/ismrm-moco-workshop: axial brain, 7 coils, fully sampled, measured"


@dataclass
class BrainSliceRecipe(ScanRecipe):
    """One measured slice, 256 x 216, 7 coils; a test split of its own.

    Attributes:
        out: folder to make.
        source_dir: folder of the source files; empty: beside the repository, else downloaded.
        mirror: folder or URL used in place of GitHub.
        maps: espirit or jsense.
    """

    name: str = "brain_slice"
    out: str = "data/mri_brain_slice"
    source_dir: str = ""
    mirror: str = ""
    maps: str = "espirit"

    def jobs(self) -> list[ScanJob]:
        """Return the one slice."""
        return [ScanJob("brain_slice", "test", "MIT")]

    def description(self) -> dict[str, Any]:
        """Return what was measured."""
        return {
            "equation": "y_c = F S_c x + n_c, measured",
            "grid": [256, 216],
            "units": "scanner units divided by scale",
            "source": _SOURCE,
        }

    def make_scan(self, job: ScanJob, details: dict[str, Any]) -> None:
        """Write the slice."""
        kspace = load_brain_slice(self.source_dir, self.mirror)
        n_coils, *grid = kspace.shape
        info = ScanInfo(job.name, job.split, _SOURCE, job.licence, ("echo1",), details=details)
        shape = ScanShape(1, 1, n_coils, (grid[0], grid[1]))
        options = CoilOptions(out=self.out, maps=self.maps)
        scan = MeasuredScan(Path(job.name), "NumPy", shape, lambda _: kspace[None], info.echo_names)
        write_converted(options, info, scan)


def load_brain_slice(source_dir: str = "", mirror: str = "") -> Complex[np.ndarray, "coils ky kz"]:
    """Return the measured k-space (7, 256, 216), centred, orthonormal, in scanner units.

    Raises:
        ValueError: if the file is missing or broken and cannot be downloaded.
    """
    (path,) = fetch(known_sources("lab-midas__"), source_dir, mirror)
    with np.load(path) as archive:
        images = np.moveaxis(archive["arr_0"], -1, 0)
    return fft_centred(images).astype(np.complex64)


if __name__ == "__main__":
    sys.exit(run_recipe(BrainSliceRecipe))
