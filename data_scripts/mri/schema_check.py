"""Find out what is wrong with a prepared scan: layout, damage, k-space, norm, maps, masks."""

from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex

from data_scripts import hdf5
from data_scripts.finite import require_finite
from data_scripts.mri.coil_maps import combine_rss, combine_sense
from data_scripts.mri.intake import Intake
from data_scripts.mri.kspace_findings import map_findings, shift_findings
from data_scripts.mri.schema import (
    AXES,
    ScanInfo,
    mask_datasets,
    open_scan,
    read_info,
    read_slice,
)

_REMEDY = "prepare the data again"
_SHORTEST_READOUT = 8  # slices along a readout, of which it can be told that the image is shifted


def check_scan(path: Path) -> list[str]:
    """Return one sentence per problem of a prepared scan; an empty list means it is sound.

    The layout is checked first. If it holds, every chunk is read (which verifies the checksums)
    and every slice is searched for gaps. The slice with the most energy shows whether k-space is
    centred and complete, whether the maps belong to it, and whether the target is the combination
    of the k-space it came from. What was accepted when the scan was converted is no problem.
    """
    try:
        info, shape = read_info(path)
        with open_scan(path) as file:
            problems = _mask_problems(path, file, shape.grid)
            return problems or _content_problems(path, file, info)
    except ValueError as error:
        return [str(error)]


def _content_problems(path: Path, file: h5py.File, info: ScanInfo) -> list[str]:
    problems: list[str] = []
    intake = Intake(path, info.accepted)
    for index in range(len(file["kspace"])):
        arrays = {}
        for name, axes in AXES.items():
            try:
                arrays[name] = read_slice(file, name, (index,))
                require_finite(f"{path}: slice {index} of {name}", arrays[name], axes, _REMEDY)
            except ValueError as error:
                problems.append(str(error))
        if not problems:
            intake.look(arrays["kspace"])
    if problems:
        return problems
    intake.judge_kspace()
    if info.hybrid_axes and len(intake.energies) >= _SHORTEST_READOUT:
        intake.refuse(shift_findings(np.asarray(intake.energies), "slice"))
    strongest = int(np.argmax(intake.energies))
    kspace, maps, target = (file[name][strongest] for name in AXES)
    problems = _target_problems(path, kspace, maps, target, info)
    if not problems:
        intake.refuse(map_findings(kspace, maps))
    return problems


def _mask_problems(path: Path, file: h5py.File, grid: tuple[int, int]) -> list[str]:
    problems = []
    for name, mask in mask_datasets(file, _REMEDY).items():
        where = f"{path}: masks/{name}"
        if mask.shape not in (grid, grid[1:], (1, *grid[1:])):
            problems.append(f"{where} has shape {mask.shape}, expected {grid}")
            continue
        values = hdf5.read(mask, (), _REMEDY).astype(np.float64)
        if not np.isin(values, (0.0, 1.0)).all():
            problems.append(f"{where} holds values other than 0 and 1")
        elif not values.any():
            problems.append(f"{where} samples nothing")
    return problems


def _target_problems(
    path: Path,
    kspace: Complex[np.ndarray, "echoes coils ky kz"],
    maps: Complex[np.ndarray, "coils ky kz"],
    target: Complex[np.ndarray, "echoes ky kz"],
    info: ScanInfo,
) -> list[str]:
    if info.target_kind not in ("sense", "rss"):
        return []
    combined = combine_sense(kspace, maps) if info.target_kind == "sense" else combine_rss(kspace)
    size = max(float(np.linalg.norm(combined)), 1e-30)
    error = float(np.linalg.norm(combined - target)) / size
    if error <= 1e-3:
        return []
    gain = size / max(float(np.linalg.norm(target)), 1e-30)
    return [
        f"{path}: target is not the {info.target_kind} combination of kspace (relative difference "
        f"{error:.2g}, amplitude ratio {gain:.3g}): wrong norm, maps of other coils, or another "
        "centring; prepared k-space is centred and orthonormal"
    ]
