"""Reconstruct a scan slice by slice: what is read, is written before the next is."""

import logging
from collections.abc import Iterator

import numpy as np
import torch

from data_scripts.finite import require_finite
from data_scripts.mri.centred_fft import crop_images
from data_scripts.mri.measured import REPAIR, MeasuredScan
from data_scripts.resumable import progress_bar, progress_console
from mri.config.reconstruct import ReconstructConfig
from mri.reconstruction.methods import Method
from mri.reconstruction.sampling import MapEstimator, chosen_mask, sampled_mask
from mri.reconstruction.slices import FinishedSlices, SliceImage

log = logging.getLogger(__name__)


def reconstruct_slices(
    scan: MeasuredScan, config: ReconstructConfig, method: Method, finished: FinishedSlices
) -> Iterator[SliceImage]:
    """Yield the slices of a scan in order, showing how many are done.

    Those that are finished are read, and the others kept there.

    Raises:
        ValueError: a slice holds NaN or infinity, was not sampled where maps need it, or the
            image is not finite.
    """
    mask = chosen_mask(scan, config.mask)
    estimate = MapEstimator(scan, config.maps)
    shape = scan.shape
    if len(finished):
        log.info("%d of %d slices are there already", len(finished), shape.n_slices)
    with progress_bar(progress_console()) as progress:
        task = progress.add_task(f"reconstructing {scan.path.name}", total=shape.n_slices)
        for index in range(shape.n_slices):
            image = finished.read(index)
            if image is not None:
                yield image
                progress.advance(task)
                continue
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
            image = SliceImage(images, maps, sampled)
            finished.write(index, image)
            yield image
            progress.advance(task)
