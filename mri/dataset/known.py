"""Scans of known objects, to calibrate an encoding with."""

import torch

from mri.dataset.splits import SliceDataset
from mri.physics.calibration import KnownScan


def read_known(scans: SliceDataset) -> KnownScan:
    """Return all slices of some scans, of which the targets are known without this scanner.

    Raises:
        ValueError: samples are missing, or a target was made of the k-space that it is to explain,
            of which no other encoding could be learned than the one it was made with.
    """
    for scan_id in scans.scan_ids:
        kind = scans.info(scan_id).target_kind if scans.config.target == "stored" else "computed"
        if kind not in ("ideal", "source"):
            raise ValueError(
                f"the target of {scan_id} ({kind}) was computed from its own k-space by the FFT, "
                "so only the FFT could be learned from it; give scans with the image of a known "
                "object (target_kind ideal or source), as dataset=mri_beads has"
            )
        if not scans.mask_of(scan_id).all():
            raise ValueError(
                f"{scan_id} lacks samples of k-space with dataset.acceleration="
                f"{scans.config.acceleration:g}, but a calibration is fully sampled; use "
                "dataset.acceleration=1"
            )
    items = [scans[i] for i in range(len(scans))]
    kspace, maps, known = (
        torch.stack(parts)
        for parts in zip(*((k, maps, target) for (k, maps, _), target in items), strict=True)
    )
    return KnownScan.of(kspace, maps, known)
