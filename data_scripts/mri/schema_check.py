"""Find out what is wrong with a prepared scan: layout, damage, k-space, norm, maps, masks."""

from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex

from data_scripts.mri.coil_maps import combine_rss, combine_sense
from data_scripts.mri.kspace_findings import (
    Finding,
    gap_findings,
    map_findings,
    missing_images,
    shift_findings,
    slice_findings,
    unaccepted,
)
from data_scripts.mri.schema import ScanInfo, mask_datasets, open_scan, read_info, read_slice

_SHORTEST_READOUT = 8  # slices along a readout, of which it can be told that the image is shifted


def check_scan(path: Path) -> list[str]:
    """Return one sentence per problem of a prepared scan; an empty list means it is sound.

    The layout is checked first. If it holds, every chunk is read (which verifies the checksums)
    and every slice is searched for gaps. The slice with the most energy shows whether k-space is
    centred and complete, whether the maps belong to it, and whether the target is the combination
    of the k-space it came from. What was accepted when the scan was converted is no problem.
    """
    try:
        info, _ = read_info(path)
        with open_scan(path) as file:
            problems = _layout_problems(path, file, info)
            return problems or _content_problems(path, file, info)
    except ValueError as error:
        return [str(error)]


def _content_problems(path: Path, file: h5py.File, info: ScanInfo) -> list[str]:
    problems: list[str] = []
    findings: list[Finding] = []
    n_slices, n_echoes = file["kspace"].shape[:2]
    energy = np.zeros((n_slices, n_echoes))
    for index in range(n_slices):
        for name in ("kspace", "maps", "target"):
            try:
                values = read_slice(path, file[name], (index,))
            except ValueError as error:
                problems.append(str(error))
                continue
            if not np.isfinite(values).all():
                problems.append(f"{path}: slice {index} of {name} holds NaN or infinity")
            elif name == "kspace":
                energy[index] = (np.abs(values).astype(np.float64) ** 2).sum((1, 2, 3))
                findings = findings or gap_findings(values)
    if problems:
        return problems
    if not energy.any():
        return [f"{path}: kspace is zero everywhere, so that no metric is defined; leave it out"]
    strongest = (int(energy.sum(1).argmax()),)
    kspace, maps, target = (file[name][strongest] for name in ("kspace", "maps", "target"))
    findings = findings or missing_images(energy > 0)
    findings += [f for f in slice_findings(kspace) if f.kind != "gaps"]
    if info.hybrid_axes and n_slices >= _SHORTEST_READOUT:
        findings += shift_findings(energy.sum(1), "slice")
    problems = [f"{path}: {text}" for text in unaccepted(findings, info.accepted)]
    if problems:
        return problems
    of_target = _target_problems(kspace, maps, target, info)
    of_maps = unaccepted(map_findings(kspace, maps), info.accepted)
    return [f"{path}: {text}" for text in of_target or of_maps]


def _layout_problems(path: Path, file: h5py.File, info: ScanInfo) -> list[str]:
    problems = []
    slices, echoes, coils, *grid = file["kspace"].shape
    expected = {
        "kspace": file["kspace"].shape,
        "maps": (slices, coils, *grid),
        "target": (slices, echoes, *grid),
    }
    for name, shape in expected.items():
        if file[name].shape != shape:
            problems.append(
                f"{path}: {name} has shape {file[name].shape}, but kspace {file['kspace'].shape} "
                f"asks for {shape}"
            )
        if file[name].dtype != np.complex64:
            problems.append(f"{path}: {name} is {file[name].dtype}, expected complex64")
    if len(info.echo_names) != echoes:
        problems.append(f"{path}: kspace has {echoes} echoes and echo_names is {info.echo_names}")
    if not info.centered or info.norm != "ortho":
        problems.append(
            f"{path}: centered is {info.centered} and norm is {info.norm!r}; prepared k-space is "
            "centred and orthonormal"
        )
    if not (np.isfinite(info.scale) and info.scale > 0):
        problems.append(f"{path}: scale must be positive, got {info.scale}")
    for name, mask in mask_datasets(path, file, "prepare the data again").items():
        if mask.shape != tuple(grid):
            problems.append(f"{path}: masks/{name} has shape {mask.shape}, expected {tuple(grid)}")
            continue
        values = mask[()].astype(np.float64)
        if not np.isin(values, (0.0, 1.0)).all():
            problems.append(f"{path}: masks/{name} holds values other than 0 and 1")
        elif not values.any():
            problems.append(f"{path}: masks/{name} samples nothing")
    return problems


def _target_problems(
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
        f"target is not the {info.target_kind} combination of kspace (relative difference "
        f"{error:.2g}, amplitude ratio {gain:.3g}): wrong norm, maps of other coils, or another "
        "centring; prepared k-space is centred and orthonormal"
    ]
