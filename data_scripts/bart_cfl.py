"""Convert BART .cfl/.hdr files that you have (bart_cfl.md)."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Complex

from data_scripts.command_line import run_script
from data_scripts.mri_convert import ConvertConfig, find_scans, write_converted
from data_scripts.mri_output import convert_all, finish_dataset, scan_name, scan_recipe
from mri.centred_fft import ifft_centred
from mri.coil_maps import remove_readout_oversampling
from mri.schema import ScanInfo, ScanShape

_HELP = (
    "give the k-space files: python -m data_scripts.bart_cfl train=[a.cfl,b.cfl] valid=[c.cfl] "
    "test=[d.cfl]. Maps of a.cfl are read from a_maps.cfl when it is there, else estimated"
)
# dimensions of BART that are used here; all others must have length one
_X, _Y, _Z, _COIL, _ECHO, _SLICE = 0, 1, 2, 3, 5, 13
_N_DIMENSIONS = 16


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
    """

    out: str = "data/bart"
    oversampling: float = 1.0
    licence: str = "not stated"


def main(config: BartConfig) -> None:
    """Convert the files, then write the metadata."""
    jobs = find_scans(config, ".cfl", lambda path: path.stem, _HELP, _holds_kspace)
    convert_all(config, jobs, lambda path, split: convert(config, path, split))
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


def read_cfl(path: Path) -> Complex[np.ndarray, "..."]:
    """Return a .cfl array as a read-only memory map with 16 axes, in BART's order.

    Raises:
        ValueError: if the header is missing or does not fit the size of the data.
    """
    header = path.with_suffix(".hdr")
    if not header.is_file():
        raise ValueError(f"{header} is missing; a .cfl file needs its .hdr beside it")
    lines = [line for line in header.read_text().splitlines() if line and line[0] != "#"]
    try:
        sizes = [int(word) for word in lines[0].split()]
    except (IndexError, ValueError) as error:
        raise ValueError(f"{header} does not begin with the dimensions") from error
    sizes += [1] * (_N_DIMENSIONS - len(sizes))
    expected = 8 * int(np.prod(sizes))
    if path.stat().st_size != expected:
        raise ValueError(
            f"{path} has {path.stat().st_size} bytes, but its header {sizes} asks for {expected}: "
            "the file is truncated or belongs to another header"
        )
    return np.memmap(path, np.complex64, "r", shape=tuple(sizes), order="F")


def convert(config: BartConfig, path: Path, split: str) -> None:
    """Convert one file.

    BART's data are centred; a scale is arbitrary, so its unnormalised FFT needs no correction.

    Raises:
        ValueError: if the file uses other dimensions than x, y, z, coil, echo and slice.
    """
    kspace = _ordered(path, read_cfl(path))
    n_keep = round(kspace.shape[-3] / config.oversampling)
    kspace = remove_readout_oversampling(kspace, n_keep, axis=-3)
    hybrid = kspace.shape[-1] > 1
    slices = _to_slices(kspace, hybrid)
    beside = path.with_name(f"{path.stem}_maps.cfl")
    maps = None
    if beside.is_file():
        # maps are images in all three directions; only their axes are brought in order
        maps = list(_slice_axes(_ordered(beside, read_cfl(beside)), hybrid)[:, 0])
        if len(maps) != len(slices) or maps[0].shape != slices[0][0].shape:
            raise ValueError(
                f"{beside}: {len(maps)} slices of maps {maps[0].shape} do not fit k-space "
                f"{len(slices)} x {slices[0][0].shape}"
            )
    acquired = (np.abs(slices).sum((0, 1, 2)) > 0) if slices.any() else None
    info = ScanInfo(
        scan_id=scan_name(path),
        split=split,
        source=f"BART file {path.name}",
        licence=config.licence,
        echo_names=tuple(f"echo{i + 1}" for i in range(slices.shape[1])),
        hybrid_axes="x" if hybrid else "",
        target_kind=config.target,
        details={"recipe": scan_recipe(config, split)},
    )
    n_slices, n_echoes, n_coils, *grid = slices.shape
    shape = ScanShape(n_slices, n_echoes, n_coils, (grid[0], grid[1]))
    write_converted(config, info, shape, slices, maps=maps, acquired=acquired)


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


def _to_slices(
    kspace: Complex[np.ndarray, "slices echoes coils x y z"], hybrid: bool
) -> Complex[np.ndarray, "slices echoes coils ky kz"]:
    return _slice_axes(ifft_centred(kspace, (-3,)) if hybrid else kspace, hybrid)


def _slice_axes(
    data: Complex[np.ndarray, "slices echoes coils x y z"], hybrid: bool
) -> Complex[np.ndarray, "slices echoes coils ky kz"]:
    """Make the readout x number the slices of a 3-D scan; drop the empty z of a 2-D one."""
    if not hybrid:
        return np.ascontiguousarray(data[..., 0], np.complex64)
    if data.shape[0] > 1:
        raise ValueError("BART data with both z and slice dimensions are not converted")
    return np.ascontiguousarray(np.moveaxis(data[0], -3, 0), np.complex64)


if __name__ == "__main__":
    sys.exit(run_script(main, BartConfig))
