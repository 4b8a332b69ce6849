"""Find out what is wrong with a prepared scan: layout, damage, centring, norm, maps, masks."""

from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex

from mri.centred_fft import ifft_centred
from mri.coil_maps import combine_rss, combine_sense
from mri.schema import ScanInfo, open_scan, read_info, read_slice


def check_scan(path: Path) -> list[str]:
    """Return one sentence per problem of a prepared scan; an empty list means it is sound.

    The layout is checked first. If it holds, every chunk is read (which verifies the checksums),
    and on the slice with the most energy the centring of k-space and image is tested and the
    target is compared with the combination of the k-space it came from.
    """
    try:
        info, shape = read_info(path)
    except ValueError as error:
        return [str(error)]
    with open_scan(path) as file:
        problems = _layout_problems(path, file, info)
        if problems:
            return problems
        energy = np.zeros(shape.n_slices)
        for index in range(shape.n_slices):
            for name in ("kspace", "maps", "target"):
                try:
                    values = read_slice(path, file[name], (index,))
                except ValueError as error:
                    problems.append(str(error))
                    continue
                if not np.isfinite(values).all():
                    problems.append(f"{path}: slice {index} of {name} holds NaN or infinity")
                elif name == "kspace":
                    energy[index] = float((np.abs(values) ** 2).sum())
        if problems or not energy.any():
            return problems
        strongest = (int(energy.argmax()),)
        kspace, maps, target = (file[name][strongest] for name in ("kspace", "maps", "target"))
    return [
        f"{path}: {problem}"
        for problem in centring_problems(kspace) or _target_problems(kspace, maps, target, info)
    ]


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
    for name, mask in file.get("masks", {}).items():
        if mask.shape != tuple(grid):
            problems.append(f"{path}: masks/{name} has shape {mask.shape}, expected {tuple(grid)}")
            continue
        values = mask[()].astype(np.float64)
        if not np.isin(values, (0.0, 1.0)).all():
            problems.append(f"{path}: masks/{name} holds values other than 0 and 1")
        elif not values.any():
            problems.append(f"{path}: masks/{name} samples nothing")
    return problems


def centring_problems(kspace: Complex[np.ndarray, "echoes coils ky kz"]) -> list[str]:
    """Tell whether k-space and image of one slice are centred, from where their energy is.

    k-space of anything but pure noise peaks near its centre, and an image that was shifted by half
    the field of view (a forgotten fftshift) has its circular centre of energy near the border.
    """
    grid = kspace.shape[-2:]
    power = (np.abs(kspace) ** 2).sum((0, 1))
    if not power.any():
        return []
    problems = []
    peak = np.unravel_index(int(power.argmax()), grid)
    if any(abs(int(p) - n // 2) > max(2, n // 8) for p, n in zip(peak, grid, strict=True)):
        problems.append(
            f"k-space peaks at {tuple(int(p) for p in peak)}, not near its centre "
            f"{(grid[0] // 2, grid[1] // 2)}: it is not centred; apply fftshift over (ky, kz)"
        )
    image_power = (np.abs(ifft_centred(kspace)) ** 2).sum((0, 1))
    for axis, name in ((0, "first"), (1, "second")):
        profile = image_power.sum(1 - axis)
        n = grid[axis]
        phase = np.exp(2j * np.pi * (np.arange(n) - n // 2) / n)
        centre = float(np.angle((profile * phase).sum())) / (2 * np.pi) * n
        if not problems and abs(centre) > 3 * n / 8:
            problems.append(
                f"the image is centred {centre:+.0f} pixels off along the {name} axis of length "
                f"{n}, about half the field of view: k-space carries alternating signs; multiply "
                "it by (-1)^k along that axis"
            )
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
