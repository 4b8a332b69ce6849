"""Convert BART .cfl/.hdr files that you have (bart_cfl.md)."""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Complex

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data_scripts.command_line import run_script
from data_scripts.mri.convert import ConvertConfig, find_scans, write_converted
from data_scripts.mri.intake import hybrid_slices
from data_scripts.mri.kspace_findings import Finding
from data_scripts.mri.output import convert_all, finish_dataset, scan_name
from data_scripts.mri.schema import ScanInfo, ScanShape

_HELP = (
    "give the k-space files: python -m data_scripts.mri.bart_cfl train=[a.cfl,b.cfl] valid=[c.cfl] "
    "test=[d.cfl]. Maps of a.cfl are read from a_maps.cfl when it is there, else estimated"
)
# dimensions of BART that are used here; all others must have length one
_X, _Y, _Z, _COIL, _ECHO, _SLICE = 0, 1, 2, 3, 5, 13
_N_DIMENSIONS = 16
_LONGEST_HEADER = 1 << 16  # bytes; dimensions are in the first lines


@dataclass
class BartConfig(ConvertConfig):
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
        target: sense or rss.
        accept: kinds of findings that are no reason to refuse a scan (schema.md lists them).
    """

    out: str = "data/bart"
    oversampling: float = 1.0
    licence: str = "not stated"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.oversampling <= 16:
            raise ValueError(
                f"oversampling must be from 1 (none) to 16, got {self.oversampling}; usual is 2"
            )


def main(config: BartConfig) -> None:
    """Convert the files, then write the metadata."""
    jobs = find_scans(config, ".cfl", lambda path: path.stem, _HELP, _holds_kspace)
    convert_all(
        config, jobs, lambda path, split, details: convert(config, path, split, details), _files_of
    )
    finish_dataset(
        Path(config.out),
        config,
        {
            "name": Path(config.out).name,
            "equation": "y_c = F S_c x + n_c",
            "units": "units of the file divided by each scan's scale",
            "source": "BART files",
            "licence": config.licence,
        },
    )


def _holds_kspace(path: Path) -> bool:
    """Tell the files of scans from those of their maps, which are read with them."""
    return not path.stem.endswith("_maps")


def _maps_beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}_maps.cfl")


def _files_of(path: Path) -> list[Path]:
    """Return the files that a scan is made from: k-space and, where they are, maps."""
    data = [path, _maps_beside(path)]
    both = [name for cfl in data for name in (cfl, cfl.with_suffix(".hdr"))]
    return [name for name in both if name.is_file()]


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


def convert(config: BartConfig, path: Path, split: str, details: dict[str, Any]) -> None:
    """Convert one file.

    BART's data are centred; a scale is arbitrary, so its unnormalised FFT needs no correction.

    Raises:
        ValueError: if the file uses other dimensions than x, y, z, coil, echo and slice, or its
            maps do not fit.
    """
    kspace = _ordered(path, read_cfl(path))
    hybrid = kspace.shape[-1] > 1
    n_keep = max(round(kspace.shape[-3] / config.oversampling), 1)
    findings: list[Finding] = []
    if hybrid:
        _refuse_slabs(path, kspace)
        slices, findings = hybrid_slices(path, kspace[0], n_keep)
        grid = slices.shape[-2:]
    else:
        slices = np.ascontiguousarray(kspace[..., 0])
        grid = (n_keep, slices.shape[-1])
    n_slices, n_echoes, n_coils = slices.shape[:3]
    maps = None
    beside = _maps_beside(path)
    if beside.is_file():
        maps = _read_maps(beside, hybrid)
        if maps.shape != (n_slices, n_coils, *grid):
            raise ValueError(
                f"{beside}: maps of the shape {maps.shape} do not fit the images "
                f"{(n_slices, n_coils, *grid)} (slices, coils, y, z); estimate them from this scan"
            )
    info = ScanInfo(
        scan_id=scan_name(path),
        split=split,
        source=f"BART file {path.name}",
        licence=config.licence,
        echo_names=tuple(f"echo{i + 1}" for i in range(n_echoes)),
        hybrid_axes="x" if hybrid else "",
        target_kind=config.target,
        details=details,
    )
    shape = ScanShape(n_slices, n_echoes, n_coils, (grid[0], grid[1]))
    write_converted(config, path, info, shape, slices.__getitem__, maps=maps, findings=findings)


def _ordered(path: Path, data: np.ndarray) -> Complex[np.ndarray, "slices echoes coils x y z"]:
    used = (_SLICE, _ECHO, _COIL, _X, _Y, _Z)
    others = {i: n for i, n in enumerate(data.shape) if i not in used and n > 1}
    if others:
        raise ValueError(
            f"{path} uses the BART dimensions {others} (number: length), which are not converted; "
            "take one index of each with `bart slice` first"
        )
    rest = tuple(i for i in range(_N_DIMENSIONS) if i not in used)
    return data.transpose(*used, *rest).reshape([data.shape[i] for i in used])


def _refuse_slabs(path: Path, data: np.ndarray) -> None:
    if data.shape[0] > 1:
        raise ValueError(
            f"{path} has both z and slice dimensions, which are not converted; take one slab at a "
            "time with `bart slice 13`"
        )


def _read_maps(path: Path, hybrid: bool) -> Complex[np.ndarray, "slices coils y z"]:
    """Read maps: images in all directions, of which the readout numbers the slices if 3-D."""
    echoes = _ordered(path, read_cfl(path))
    if echoes.shape[1] > 1:
        raise ValueError(f"{path} holds maps of {echoes.shape[1]} echoes; one set serves them all")
    maps = echoes[:, 0]
    if hybrid:
        _refuse_slabs(path, maps)
        return np.ascontiguousarray(np.moveaxis(maps[0], -3, 0))
    return np.ascontiguousarray(maps[..., 0])


if __name__ == "__main__":
    sys.exit(run_script(main, BartConfig))
