"""Reconstruct a scan slice by slice: what is read, is written before the next is."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Complex

from data_scripts.finite import require_finite
from data_scripts.mri.centred_fft import crop_images
from data_scripts.mri.measured import REPAIR, MeasuredScan
from data_scripts.resumable import progress_bar, progress_console
from mri.config.reconstruct import ReconstructConfig
from mri.reconstruction.methods import Method
from mri.reconstruction.sampling import MapEstimator, chosen_mask, sampled_mask

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SliceImage:
    """The image of a slice, in the unit of its k-space, and what it was made with.

    Attributes:
        images: one for each set of maps.
        maps: coil sensitivities.
        mask: what was sampled.
    """

    images: Complex[np.ndarray, "sets echoes y z"]
    maps: Complex[np.ndarray, "sets coils y z"]
    mask: Bool[np.ndarray, "echoes ky kz"]

    @property
    def image(self) -> Complex[np.ndarray, "echoes y z"]:
        """The image; of several sets the root of the sum of their squares."""
        if len(self.images) == 1:
            return self.images[0]
        return np.sqrt((np.abs(self.images) ** 2).sum(0)).astype(np.complex64)


def reconstruct_slices(
    scan: MeasuredScan, config: ReconstructConfig, method: Method
) -> Iterator[SliceImage]:
    """Yield the slices of a scan in order, showing how many are done.

    Raises:
        ValueError: a slice holds NaN or infinity, was not sampled where maps need it, or the
            image is not finite.
    """
    mask = chosen_mask(scan, config.mask)
    estimate = MapEstimator(scan, config.maps)
    shape = scan.shape
    with progress_bar(progress_console()) as progress:
        task = progress.add_task(f"reconstructing {scan.path.name}", total=shape.n_slices)
        for index in range(shape.n_slices):
            measured = scan.read(index)
            where = f"{scan.path}: slice {index}"
            require_finite(f"{where} of kspace", measured, ("echo", "coil", "kx", "ky"), REPAIR)
            sampled = sampled_mask(measured, shape.grid, mask)
            kspace = crop_images(measured, shape.grid).astype(np.complex64) * sampled[:, None]
            maps = estimate(index, kspace, sampled)
            images = method(
                torch.from_numpy(kspace),
                torch.from_numpy(maps),
                torch.from_numpy(sampled.astype(np.float32)),
            ).numpy()
            remedy = "the reconstruction diverged; use another lamda, or another run"
            require_finite(f"{where} of the image", images, ("set", "echo", "y", "z"), remedy)
            if index == 0:
                log.info("%.3g of the samples of the first slice are there", sampled.mean())
            yield SliceImage(images, maps, sampled)
            progress.advance(task)
