"""What of a slice was sampled, and the maps that the sampled centre gives."""

import logging
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Complex

from data_scripts.finite import require_finite
from data_scripts.mri.centred_fft import resize_centred
from data_scripts.mri.coil_maps import echo_of_maps, estimate_map_sets
from data_scripts.mri.kspace_findings import axis_findings, map_findings, unaccepted
from data_scripts.mri.measured import REPAIR, MeasuredScan
from data_scripts.unusable import read_npy
from mri.config.reconstruct import MapsConfig

log = logging.getLogger(__name__)

# Findings that only a ground truth must not have, or that a header alone says.
_TOLD = ("header", "single_coil", "shifted")
_JUDGED = ("no_peak", "off_centre")
_JUDGED_SIDE = 8  # of a centre whose image tells whether maps fit


def check_scan(scan: MeasuredScan, accept: list[str]) -> None:
    """Look at the scan as a whole and at its middle slice, before anything is reconstructed.

    Gaps are what a reconstruction is for, and so is half of k-space. What only a header says is
    logged, and so is an image that lies across the border of its field of view.

    Raises:
        ValueError: if values are not finite or have no phase, no slice has a signal, or if an axis
            is none of centred k-space, unless that is accepted.
    """
    number = scan.shape.n_slices // 2
    middle = scan.read(number)
    where = f"{scan.path}: slice {number} of kspace"
    require_finite(where, middle, ("echo", "coil", "kx", "ky"), REPAIR)
    findings = list(scan.findings())
    if middle.any():
        findings += scan.of_header((middle != 0).any((0, 1)))
        for axis, name in ((-2, "first"), (-1, "second")):
            findings += axis_findings(middle, axis, name)
        if not middle.imag.any():
            raise ValueError(
                f"{scan.path}: k-space has no imaginary part, as when magnitudes or images were "
                "saved; give k-space, as complex numbers"
            )
    elif not any(scan.read(index).any() for index in range(scan.shape.n_slices)):
        raise ValueError(
            f"{scan.path}: k-space is zero in every slice, so that there is nothing to "
            "reconstruct; read another array, or save the scan again"
        )
    for finding in findings:
        if finding.kind in _TOLD:
            log.warning("%s: %s", scan.path, finding.text)
    for text in unaccepted([f for f in findings if f.kind in _JUDGED], accept)[:1]:
        raise ValueError(f"{scan.path}: {text}")


def chosen_mask(scan: MeasuredScan, name: str | None) -> Bool[np.ndarray, "ky kz"] | None:
    """Return the mask that was asked for, or that the file states; None where neither is.

    Args:
        scan: the scan.
        name: of a mask that came with it, or a .npy file.

    Raises:
        ValueError: if there is no such mask, or it has another shape.
    """
    if name is None:
        return scan.mask
    if name in scan.masks:
        mask = scan.masks[name]
    elif name.endswith(".npy"):
        mask = read_npy(Path(name), "save it again with numpy.save")
    else:
        raise ValueError(
            f"{scan.path} has no mask {name!r}, only {sorted(scan.masks)}; give one of these, a "
            ".npy file, or leave mask out: what is not zero was sampled"
        )
    if mask.shape not in (scan.shape.grid, scan.shape.grid[1:], (1, scan.shape.grid[1])):
        raise ValueError(
            f"the mask {name} has the shape {mask.shape}, but the scan has {scan.shape.grid} "
            "samples; give it on that grid, or one value for each column"
        )
    if not np.isin(mask, (0, 1)).all() or not mask.any():
        raise ValueError(f"the mask {name} must be 1 where k-space is sampled and 0 elsewhere")
    sampled = np.broadcast_to(mask != 0, scan.shape.grid)
    return sampled if scan.mask is None else sampled & scan.mask


def sampled_mask(
    measured: Complex[np.ndarray, "echoes coils rows columns"],
    grid: tuple[int, int],
    mask: Bool[np.ndarray, "ky kz"] | None,
) -> Bool[np.ndarray, "echoes ky kz"]:
    """Return where a slice was sampled: where a coil is not zero, and the mask is not.

    Along an axis that is cropped to the grid samples are mixed, and all of it counts.
    """
    sampled = (measured != 0).any(1)
    for axis in (-2, -1):
        if measured.shape[axis] != grid[axis]:
            sampled = np.repeat(sampled.any(axis, keepdims=True), grid[axis], axis)
    return sampled if mask is None else sampled & mask


class MapEstimator:
    """Coil maps of a slice: those of the scan, or estimated from the centre that was sampled.

    Args:
        scan: the scan.
        config: how they are estimated.
    """

    def __init__(self, scan: MeasuredScan, config: MapsConfig) -> None:
        self._scan = scan
        self._config = config
        self._stored = scan.maps if config.method is None and config.n_sets == 1 else None
        self._side: int | None = None
        if self._stored:
            log.info("coil maps: those that came with the scan")

    def __call__(
        self,
        index: int,
        kspace: Complex[np.ndarray, "echoes coils ky kz"],
        sampled: Bool[np.ndarray, "echoes ky kz"],
    ) -> Complex[np.ndarray, "sets coils ky kz"]:
        """Return the maps of a slice, from its first echo with a signal.

        Those of the middle slice are judged.

        Raises:
            ValueError: if the sampled centre is smaller than the kernel, or none are found.
        """
        echo = echo_of_maps(kspace)
        kspace, sampled = kspace[echo], sampled[echo]
        maps = self._stored(index)[None] if self._stored else self._found(index, kspace, sampled)
        if index == self._scan.shape.n_slices // 2 and len(maps) == 1:
            for text in misfits(kspace[None], sampled, maps[0]):
                log.warning("%s: slice %d: %s", self._scan.path, index, text)
        return maps

    def _found(
        self,
        index: int,
        kspace: Complex[np.ndarray, "coils ky kz"],
        sampled: Bool[np.ndarray, "ky kz"],
    ) -> Complex[np.ndarray, "sets coils ky kz"]:
        config, method = self._config, self._config.method or "espirit"
        side = config.calibration
        if len(kspace) > 1 and kspace.any():
            side = min(side, calibration_side(sampled))
            self._tell(side, method)
            if side < config.kernel:
                raise ValueError(
                    f"{self._scan.path}: slice {index} is fully sampled in the central {side} x "
                    f"{side} samples only, fewer than maps.kernel={config.kernel}, so that no coil "
                    "maps can be estimated; measure a fully sampled centre, or give maps with the "
                    "scan (BART: NAME_maps.cfl beside NAME.cfl; or a prepared scan)"
                )
        return estimate_map_sets(
            kspace,
            method,
            side,
            min(config.kernel, side),
            config.threshold,
            config.crop,
            config.n_sets,
        )

    def _tell(self, side: int, method: str) -> None:
        if self._side is None:
            log.info("coil maps: %s from the central %d x %d samples", method, side, side)
        self._side = side


def misfits(
    kspace: Complex[np.ndarray, "1 coils ky kz"],
    sampled: Bool[np.ndarray, "ky kz"],
    maps: Complex[np.ndarray, "coils ky kz"],
) -> list[str]:
    """Return what is wrong with maps, from the image that the fully sampled centre gives.

    Where that is smaller than 8 x 8, or there is one coil, nothing can be said.
    """
    side = calibration_side(sampled)
    if side < _JUDGED_SIDE or len(maps) < 2:
        return []
    inside = np.ones((side, side), bool)
    centre = kspace * resize_centred(inside, sampled.shape)
    return [finding.text for finding in map_findings(centre, maps)]


def calibration_side(sampled: Bool[np.ndarray, "ky kz"]) -> int:
    """Return the side of the largest central square without a gap, in samples; 0 without any."""
    side = 0
    while side < min(sampled.shape) and resize_centred(sampled, (side + 1, side + 1)).all():
        side += 1
    return side
