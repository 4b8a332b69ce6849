"""Small prepared MRI scans for the tests, written in a millisecond."""

from pathlib import Path

import numpy as np
import torch

from data_scripts.mri.centred_fft import fft_centred
from data_scripts.mri.coil_maps import combine_sense
from data_scripts.mri.schema import ScanInfo, ScanShape, ScanWriter
from mri.config.dataset import DatasetConfig

GRID = (17, 12)


def smooth_maps(n_coils, grid, seed=0):
    """Return smooth complex maps with a root sum of squares of one."""
    rng = np.random.default_rng(seed)
    y, z = (np.linspace(-1, 1, n) for n in grid)
    centres = rng.uniform(-1, 1, (n_coils, 2))
    phases = rng.uniform(-np.pi, np.pi, (n_coils, 2))
    maps = np.stack(
        [
            np.exp(-((y[:, None] - a) ** 2) - (z[None] - b) ** 2)
            * np.exp(1j * (p * y[:, None] + q * z[None]))
            for (a, b), (p, q) in zip(centres, phases, strict=True)
        ]
    )
    return (maps / np.sqrt((np.abs(maps) ** 2).sum(0))).astype(np.complex64)


def blob_image(grid, seed=0):
    """Return a complex image whose energy is in the middle of the field of view."""
    rng = np.random.default_rng(seed)
    y, z = (
        np.linspace(-1, 1, n)[:, None] if i == 0 else np.linspace(-1, 1, n)[None]
        for i, n in enumerate(grid)
    )
    image = np.zeros(grid, np.complex64)
    for _ in range(4):
        a, b = rng.uniform(-0.3, 0.3, 2)
        image += rng.uniform(0.5, 1) * np.exp(-((y - a) ** 2 + (z - b) ** 2) / 0.08)
    return image * np.exp(0.5j * y)


def write_scan(
    path,
    *,
    split="train",
    n_slices=3,
    echo_names=("echo1", "echo2"),
    n_coils=3,
    grid=GRID,
    empty_slices=(),
    masks=None,
    seed=0,
):
    """Write a sound prepared scan; slices in `empty_slices` have no signal."""
    info = ScanInfo(path.stem, split, "made for a test", "CC0-1.0", tuple(echo_names))
    shape = ScanShape(n_slices, len(echo_names), n_coils, grid)
    with ScanWriter(path, info, shape) as writer:
        for i in range(n_slices):
            maps = smooth_maps(n_coils, grid, seed)
            images = np.stack(
                [blob_image(grid, seed + 100 * i + e) for e in range(len(echo_names))]
            )
            kspace = fft_centred(maps * images[:, None] * (i not in empty_slices))
            kspace = kspace.astype(np.complex64)
            writer.write(i, kspace, maps, combine_sense(kspace, maps))
        for name, mask in (masks or {}).items():
            writer.write_mask(name, mask)
    return path


def write_dataset(root: Path, **options):
    """Write two training scans, one validation and one test scan; return the folder."""
    for seed, (name, split) in enumerate(
        [("a", "train"), ("b", "train"), ("c", "valid"), ("d", "test")]
    ):
        write_scan(root / f"{name}.h5", split=split, seed=seed, **options)
    return root


def config(root, **options):
    """Return the configuration of a dataset of the scans in `root`."""
    values = {"mask": "random", "center_fraction": 0.2, "recipe": None, "root": str(root)}
    return DatasetConfig(**{**values, "mask_cache": str(root / "masks"), **options})


def masks_of_an_epoch(dataset, epoch):
    dataset.set_epoch(epoch)
    return torch.stack([dataset[i][0][2] for i in range(len(dataset))])
