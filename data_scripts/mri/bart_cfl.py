"""Convert BART .cfl/.hdr files that you have (bart_cfl.md)."""

import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Complex

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_recipe
from data_scripts.mri.arrays import KspaceArray, measured_array
from data_scripts.mri.convert import ConvertRecipe, convert_measured
from data_scripts.mri.measured import MapReader, MeasuredScan
from data_scripts.mri.output import ScanJob

_HELP = (
    "give the k-space files: python -m data_scripts.mri.bart_cfl train=[a.cfl,b.cfl] valid=[c.cfl] "
    "test=[d.cfl]. Maps of a.cfl are read from a_maps.cfl when it is there, else estimated"
)
# dimensions of BART that are used here, by number; all others must have length one
_USED = {0: "x", 1: "y", 2: "z", 3: "coil", 5: "echo", 13: "slice"}
_N_DIMENSIONS = 16
_LONGEST_HEADER = 1 << 16  # bytes; dimensions are in the first lines


@dataclass
class BartRecipe(ConvertRecipe):
    """BART k-space: 3-D, or 2-D slices, with coils and echoes.

    Attributes:
        out: folder to make.
        train: .cfl files or folders.
        valid: .cfl files or folders.
        test: .cfl files or folders; empty: every second file of valid.
        max_scans: scans per split, 0 for all.
        oversampling: how much longer the readout (dimension 0) is than the image; 1 for none.
        licence: licence of the data.
        maps: espirit or jsense, where there is no maps file.
        calibration: side of the calibration square for the maps, in samples.
        kernel: kernel width of the maps, in samples.
        threshold: of ESPIRiT: singular values count above this share of the largest.
        crop: of ESPIRiT: maps are zero where the eigenvalue is not above this.
        target: sense or rss.
        partial_fourier: pocs to complete the targets of partial Fourier scans, or none.
        accept: kinds of findings that are no reason to refuse a scan (schema.md lists them).
    """

    ENDING: ClassVar[str] = ".cfl"
    HELP: ClassVar[str] = _HELP

    name: str = "bart_cfl"
    out: str = "data/bart"
    oversampling: float = 1.0
    licence: str = "not stated"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.oversampling <= 16:
            raise ValueError(
                f"oversampling must be from 1 (none) to 16, got {self.oversampling}; usual is 2"
            )

    @property
    def licence_of_files(self) -> str:
        """Licence of the data."""
        return self.licence

    def description(self) -> dict[str, Any]:
        """Return what was measured."""
        return {
            "equation": "y_c = F S_c x + n_c",
            "units": "units of the file divided by each scan's scale",
            "source": "BART files",
        }

    def make_scan(self, job: ScanJob, details: dict[str, Any]) -> None:
        """Convert one file."""
        convert(self, job, details)

    def is_scan(self, path: Path) -> bool:
        """Tell the files of scans from those of their maps, which are read with them."""
        return not path.stem.endswith("_maps")

    def files_of(self, path: Path) -> list[Path]:
        """Return the files that a scan is made from: k-space and, where they are, maps."""
        return [path, *_files_beside(path)]


def _files_beside(path: Path) -> list[Path]:
    """Return the files that are read with a .cfl file, where they are: header and maps."""
    maps = _maps_beside(path)
    others = [path.with_suffix(".hdr"), maps, maps.with_suffix(".hdr")]
    return [name for name in others if name.is_file()]


def _maps_beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}_maps.cfl")


def read_cfl(path: Path) -> Complex[np.ndarray, "..."]:
    """Return a .cfl array as a read-only memory map with 16 axes, in BART's order.

    Raises:
        ValueError: if the header is missing, is none, or does not fit the size of the data.
    """
    header = path.with_suffix(".hdr")
    if not header.is_file():
        raise ValueError(f"{header} is missing; a .cfl file needs its .hdr beside it")
    with header.open("rb") as file:
        lines = file.read(_LONGEST_HEADER).decode(errors="replace").splitlines()
    words = next((line.split() for line in lines if line.strip() and line[0] != "#"), [])
    sizes = [int(word) if word.isdecimal() else 0 for word in words]
    if not 1 <= len(sizes) <= _N_DIMENSIONS or min(sizes) < 1:
        raise ValueError(
            f"{header} does not begin with the dimensions: expected 1 to {_N_DIMENSIONS} positive "
            f"integers, got {' '.join(words)[:80]!r}; write it again with BART"
        )
    sizes += [1] * (_N_DIMENSIONS - len(sizes))
    expected = 8 * math.prod(sizes)
    size = path.stat().st_size
    if size != expected:
        raise ValueError(
            f"{path} has {size} bytes, but its header {sizes} asks for {expected}: the file is "
            f"{'truncated' if size < expected else 'longer'}, or belongs to another header; copy "
            "both again"
        )
    return np.memmap(path, np.complex64, "r", shape=tuple(sizes), order="F")


def convert(config: BartRecipe, job: ScanJob, details: dict[str, Any]) -> None:
    """Convert one file; errors as `open_bart`."""
    path = job.files[0]
    scan = open_bart(path, config.oversampling)
    convert_measured(config, job, details, scan, f"BART file {path.name}")


def open_bart(path: Path, oversampling: float = 1.0) -> MeasuredScan:
    """Return the scan of one file, with the maps beside it if there are any.

    BART's data are centred; a scale is arbitrary, so its unnormalised FFT needs no correction.

    Raises:
        ValueError: if the file uses other dimensions than x, y, z, coil, echo and slice, or its
            maps do not fit.
    """
    scan = measured_array(
        _open_cfl(path),
        "BART",
        oversampling=oversampling,
        maps=lambda shape: _maps_reader(path, shape),
    )
    return replace(scan, beside=tuple(_files_beside(path)))


def _open_cfl(path: Path) -> KspaceArray:
    data = read_cfl(path)
    others = {i: n for i, n in enumerate(data.shape) if i not in _USED and n > 1}
    if others:
        raise ValueError(
            f"{path} uses the BART dimensions {others} (number: length), which are not converted; "
            "take one index of each with `bart slice` first"
        )
    axes = tuple(_USED.values())

    def read(where: tuple[slice, ...]) -> np.ndarray:
        index: list[Any] = [0] * _N_DIMENSIONS
        for number, part in zip(_USED, where, strict=True):
            index[number] = part
        # mapped anew for each part: what is left of a map that is gone takes no memory
        return np.array(read_cfl(path)[tuple(index)])

    return KspaceArray(path, axes, tuple(data.shape[i] for i in _USED), axes[::-1], read)


def _maps_reader(path: Path, shape: tuple[int, ...]) -> MapReader | None:
    """Return what reads the maps beside a scan, if there are any: images in all directions."""
    beside = _maps_beside(path)
    if not beside.is_file():
        return None
    array = _open_cfl(beside)
    n_echoes = array.length("echo")
    if n_echoes > 1:
        raise ValueError(f"{beside} holds maps of {n_echoes} echoes; one set serves them all")
    found = tuple(array.length(axis) for axis in ("slice", "coil", "x", "y", "z"))
    if found != shape:
        raise ValueError(
            f"{beside}: maps of the shape {found} do not fit the images {shape} (slices, "
            "coils, x, y, z); estimate them from this scan"
        )

    def read(index: int) -> np.ndarray:
        one = slice(index, index + 1)
        if shape[-1] == 1:
            return array.part(slice=one)[0, 0, ..., 0]
        return array.part(x=one)[0, 0, :, 0]

    return read


if __name__ == "__main__":
    sys.exit(run_recipe(BartRecipe))
