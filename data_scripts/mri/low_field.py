"""Prepare measured 0.055 T brain scans, single coil, split by subject (low_field.md)."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from jaxtyping import Complex

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_recipe
from data_scripts.mri.convert import CoilOptions, write_converted
from data_scripts.mri.download import Source, fetch, known_sources
from data_scripts.mri.measured import MeasuredScan
from data_scripts.mri.output import ScanJob, ScanRecipe
from data_scripts.mri.schema import SPLITS, ScanInfo, ScanShape
from data_scripts.recipe import require_one_of
from data_scripts.unusable import reading

_SOURCE = (
    "github.com/bispmri/Ultra-low-field-MRI-Scanner: measured k-space of a 0.055 T scanner "
    "(Liu et al., Nature Communications 2021)"
)
# a grid per sequence family; the transposed grid occurs too and is turned
GRIDS = {"spin_echo": (128, 126), "gradient_echo": (128, 196)}
PANELS = ("4A", "4B", "6A", "6B", "7A", "7B")


@dataclass
class LowFieldRecipe(ScanRecipe):
    """Measured single-coil k-space at 0.055 T, one scan per panel, contrast and orientation.

    Attributes:
        out: folder to make.
        source_dir: folder of the source files; empty: beside the repository, else downloaded.
        mirror: folder or URL used in place of GitHub.
        sequence: spin_echo (FSE and FLAIR, 128 x 126) or gradient_echo (GRE, 128 x 196).
        train: figure panels (subjects) of the training scans.
        valid: panels of the validation scans.
        test: panels of the test scans.
    """

    name: str = "low_field"
    out: str = "data/mri_low_field"
    source_dir: str = ""
    mirror: str = ""
    sequence: str = "spin_echo"
    train: list[str] = field(default_factory=lambda: ["4A", "4B", "6A", "6B"])
    valid: list[str] = field(default_factory=lambda: ["7A"])
    test: list[str] = field(default_factory=lambda: ["7B"])

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_of(self, {"sequence": tuple(GRIDS)})
        panels = [panel for split in SPLITS for panel in getattr(self, split)]
        wrong = [p for p in panels if p not in PANELS or panels.count(p) > 1]
        if wrong:
            raise ValueError(
                f"{wrong[0]!r} is none of the panels {', '.join(PANELS)}, or given twice; a panel "
                "is one subject, who belongs to one split"
            )

    def jobs(self) -> list[ScanJob]:
        """Return a scan for each file of the sequence whose panel belongs to a split."""
        sources = known_sources("bispmri__")
        paths = fetch(sources, self.source_dir, self.mirror)
        jobs = []
        for source, path in zip(sources, paths, strict=True):
            panel, contrast, name = describe(source)
            split = next((s for s in SPLITS if panel in getattr(self, s)), None)
            if split and (contrast == "GRE") == (self.sequence == "gradient_echo"):
                jobs.append(ScanJob(name, split, source.licence, (path,), (source, contrast)))
        for split in SPLITS:
            if split not in {job.split for job in jobs}:
                raise ValueError(
                    f"no {self.sequence} scan of the panels {getattr(self, split)} for the split "
                    f"{split}; the panels are 4A (GRE), 4B (FSE), 6A, 6B, 7A, 7B"
                )
        return jobs

    def details(self, job: ScanJob) -> dict[str, Any]:
        """Return what the scan is made from."""
        source, _ = job.about
        made_from = {"split": job.split, "checksum": source.checksum}
        return {"recipe": {"sequence": self.sequence, **made_from}}

    def description(self) -> dict[str, Any]:
        """Return what was measured."""
        return {
            "equation": "y = F x + n, measured",
            "grid": list(GRIDS[self.sequence]),
            "units": "scanner units divided by each scan's scale",
            "source": _SOURCE,
        }

    def make_scan(self, job: ScanJob, details: dict[str, Any]) -> None:
        """Write one scan."""
        source, contrast = job.about
        grid = GRIDS[self.sequence]
        kspace = read_low_field(job.files[0], grid)
        info = ScanInfo(
            scan_id=job.name,
            split=job.split,
            source=f"{_SOURCE}; {source.file}",
            licence=job.licence,
            echo_names=(contrast,),
            details={**details, "simulated": False, "field_tesla": 0.055},
        )
        shape = ScanShape(len(kspace), 1, 1, grid)
        scan = MeasuredScan(job.files[0], "MATLAB", shape, kspace.__getitem__, info.echo_names)
        write_converted(CoilOptions(out=self.out), info, scan)


def describe(source: Source) -> tuple[str, str, str]:
    """Return figure panel, contrast and scan name that a source file's name tells."""
    stem = Path(source.file).name
    panel = stem.removeprefix("Figure_").split("__")[0]
    contrast = next(c for c in ("FLAIR", "FSE", "GRE") if c in stem)
    plane = next((f"_{p}" for p in ("Coronal", "Sagittal") if p in stem), "")
    return panel, contrast, f"{panel}_{contrast}{plane.lower()}"


def read_low_field(path: Path, grid: tuple[int, int]) -> Complex[np.ndarray, "slices 1 1 ky kz"]:
    """Read the k-space of one file, turned where its axes are the other way round.

    Raises:
        ValueError: if the file holds no k-space of that grid.
    """
    remedy = "fetch it again, or save a MATLAB 7.3 file anew with save(.., '-v7')"
    with reading(path, remedy):
        arrays = {k: v for k, v in scipy.io.loadmat(path).items() if not k.startswith("__")}
    kspace = next((arrays[name] for name in ("ksp", "kspace") if name in arrays), None)
    if kspace is None or kspace.ndim != 3 or kspace.dtype.kind not in "ciuf":
        shapes = {name: f"{v.dtype} {v.shape}" for name, v in arrays.items()}
        raise ValueError(
            f"{path} holds {shapes}; expected ksp or kspace (y, z, slices) of complex numbers"
        )
    if kspace.shape[:2] == grid[::-1]:
        kspace = kspace.transpose(1, 0, 2)
    if kspace.shape[:2] != grid:
        raise ValueError(f"{path} has the grid {kspace.shape[:2]}, expected {grid}")
    return np.ascontiguousarray(np.moveaxis(kspace, -1, 0)[:, None, None], np.complex64)


if __name__ == "__main__":
    sys.exit(run_recipe(LowFieldRecipe))
