"""Which samples of k-space every item of a dataset has: masks by scan, stored, or drawn anew."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from data_scripts.mri.centred_fft import resize_centred
from data_scripts.mri.schema import Scan, stored_masks
from mri.config.dataset import DatasetConfig
from mri.physics.masks import make_masks, scan_seed

# relative difference of accelerations that is worth a word; masks themselves reach theirs to 10 %
_MISSED = 0.25


class ScanMasks:
    """The sampling masks of some scans, as the configuration asks; zero where nothing was measured.

    Args:
        scans: at least one, all on one grid.
        config: how to undersample.
        training: whether `mask_regime=random` draws another mask for every item and epoch.

    Raises:
        ValueError: if there is no mask of the wanted kind, or it samples nothing that was measured.
    """

    def __init__(self, scans: Sequence[Scan], config: DatasetConfig, *, training: bool) -> None:
        self._config = config
        self._grid = scans[0].shape.grid
        self._acquired = _acquired_masks(scans)
        self._by_scan: dict[str, Tensor] | None = None
        self._bank: list[Tensor] = []  # of Poisson masks to draw from
        if config.mask == "stored":
            self._by_scan = _stored_masks(scans, config, self._acquired)
            self._check_acceleration()
            return
        scan_ids = [scan.info.scan_id for scan in scans]
        masks = _make_masks(config, self._grid, _mask_seeds(scan_ids, config, training))
        if training and config.mask_regime == "random":
            self._bank = masks
            return
        if config.mask_regime == "fixed":
            masks *= len(scans)
        self._by_scan = {
            scan_id: mask * self._acquired.get(scan_id, 1.0)
            for scan_id, mask in zip(scan_ids, masks, strict=True)
        }
        self._check_acceleration()

    def of(self, scan_id: str, index: int, epoch: int) -> Float[Tensor, "ky kz"]:
        """Return the mask of item `index`, which belongs to a scan, in an epoch."""
        if self._by_scan is not None:
            return self._by_scan[scan_id]
        draw = [self._config.mask_seed, epoch, index]
        seed = int(np.random.default_rng(draw).integers(2**31))
        if self._bank:
            mask = self._bank[seed % len(self._bank)]
        else:
            (mask,) = _make_masks(self._config, self._grid, [seed])
        mask = mask * self._acquired.get(scan_id, 1.0)
        _check_samples(scan_id, mask)
        return mask

    def acquired(self, scan_id: str) -> Float[Tensor, "ky kz"]:
        """Return 1 where the scanner measured, 0 where it did not."""
        return self._acquired.get(scan_id, torch.ones(self._grid))

    def _check_acceleration(self) -> None:
        """Check what is left of each scan's mask where the scanner measured.

        A mask is made for the whole grid, or came with the scan. Where only a part was measured its
        acceleration may be another one; what it is, is in the scores of each scan.
        """
        assert self._by_scan is not None
        achieved = {}
        for scan_id, mask in self._by_scan.items():
            _check_samples(scan_id, mask)
            achieved[scan_id] = float(self.acquired(scan_id).sum() / mask.sum())
        asked = self._config.acceleration
        others = {k: v for k, v in achieved.items() if abs(v / asked - 1) > _MISSED}
        remedy = "crop the data to what was measured, or store a mask for that acceleration"
        if self._config.mask_name is not None:
            remedy = "give dataset.acceleration what the stored mask has, as tables show it"
        if others:
            scan_id, value = next(iter(others.items()))
            warnings.warn(
                f"{len(others)} of {len(achieved)} scans keep another share of what was measured "
                f"than dataset.acceleration={asked:g} asks for: {scan_id} is sampled at "
                f"{value:.3g}x; {remedy}",
                stacklevel=2,
            )


def make_masks_at_once(by_split: Mapping[str, Sequence[Scan]], config: DatasetConfig) -> None:
    """Put the Poisson masks of all splits into the cache: each call starts a process."""
    if config.mask != "poisson":
        return
    seeds = [
        seed
        for split, scans in by_split.items()
        for seed in _mask_seeds([scan.info.scan_id for scan in scans], config, split == "train")
    ]
    _make_masks(config, by_split["train"][0].shape.grid, seeds)


def _mask_seeds(scan_ids: Iterable[str], config: DatasetConfig, training: bool) -> list[int]:
    """Return the seeds of the masks that can be made before the first item is read."""
    if config.mask_regime == "fixed":
        return [config.mask_seed]
    if not training or config.mask_regime == "scan":
        return [scan_seed(scan_id, config.mask_seed) for scan_id in scan_ids]
    if config.mask != "poisson":
        return []
    first = config.mask_seed * config.n_random_masks
    return [first + i for i in range(config.n_random_masks)]


def _make_masks(
    config: DatasetConfig, grid: tuple[int, int], seeds: Sequence[int]
) -> list[Float[Tensor, "ky kz"]]:
    masks = make_masks(
        config.mask,
        grid,
        config.acceleration,
        seeds,
        calibration=config.calibration,
        center_fraction=config.center_fraction,
        cache_dir=Path(config.mask_cache),
    )
    return [torch.from_numpy(mask.astype(np.float32)) for mask in masks]


def _stored_masks(
    scans: Sequence[Scan], config: DatasetConfig, acquired: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the mask that came with each scan, or a Poisson mask of the same acceleration.

    A mask that the configuration names must have come with every scan.

    The SKM-TEA benchmark trains and validates on Poisson masks and tests on stored ones. A Poisson
    mask is made on the smallest centred grid that holds what was acquired, of which it keeps one
    sample in `acceleration`, and padded with zeros.
    """
    masks = {}
    without: dict[tuple[int, int], list[Scan]] = {}
    for scan in scans:
        measured = acquired.get(scan.info.scan_id, torch.ones(scan.shape.grid))
        stored = _stored_mask(scan, config)
        if stored is None:
            extent = _centred_length(measured.any(1)), _centred_length(measured.any(0))
            without.setdefault(extent, []).append(scan)
        else:
            masks[scan.info.scan_id] = stored * measured
    for extent, members in without.items():  # together: each call starts a process
        scan_ids = [scan.info.scan_id for scan in members]
        seeds = _mask_seeds(scan_ids, config, training=False)
        poisson = _make_masks(replace(config, mask="poisson"), extent, seeds)
        if config.mask_regime == "fixed":
            poisson *= len(members)
        for scan, mask in zip(members, poisson, strict=True):
            padded = torch.from_numpy(resize_centred(mask.numpy(), scan.shape.grid))
            masks[scan.info.scan_id] = padded * acquired.get(scan.info.scan_id, 1.0)
    return masks


def _stored_mask(scan: Scan, config: DatasetConfig) -> Float[Tensor, "ky kz"] | None:
    """Return the mask that came with a scan, None where training and validation have none.

    Raises:
        ValueError: if a test scan lacks it, since results under other masks do not compare, or any
            scan lacks the one that was named.
    """
    name = config.mask_name or f"poisson_{float(config.acceleration)}x"
    masks = stored_masks(scan.path)
    if name in masks:
        return _checked_mask(scan, name, masks[name])
    if scan.info.split != "test" and config.mask_name is None:
        return None
    raise ValueError(
        f"{scan.path} holds no masks/{name}, only {sorted(set(masks) - {'acquired'})}; name one of "
        "these with dataset.mask_name, or use another dataset.mask"
    )


def _checked_mask(scan: Scan, name: str, mask: np.ndarray) -> Float[Tensor, "ky kz"]:
    """Return a mask that lies in a file, if it is one of that scan; lines may be one row of it.

    Raises:
        ValueError: if it has another grid, holds weights, or is empty.
    """
    where = f"{scan.path}: masks/{name}"
    if mask.shape in (scan.shape.grid[1:], (1, *scan.shape.grid[1:])):
        mask = np.broadcast_to(mask, scan.shape.grid).copy()
    if mask.shape != scan.shape.grid:
        raise ValueError(
            f"{where} has the shape {mask.shape}, but k-space has {scan.shape.grid}; store it on "
            "the grid of the scan"
        )
    if not np.isin(mask, (0, 1)).all():
        values = np.unique(mask[~np.isin(mask, (0, 1))])
        raise ValueError(f"{where} holds {values[0]:g}; a mask is 1 where it samples, 0 elsewhere")
    if not mask.any():
        raise ValueError(f"{where} samples nothing; delete it, or store the right one")
    return torch.from_numpy(mask)


def _check_samples(scan_id: str, mask: Float[Tensor, "ky kz"]) -> None:
    if not mask.any():
        raise ValueError(
            f"the mask of scan {scan_id} samples nothing of what was measured; use a lower "
            "dataset.acceleration, or another mask"
        )


def _centred_length(used: Bool[Tensor, " n"]) -> int:
    """Return the fewest samples that, centred among all n, hold those that are used."""
    first, last = (int(used.nonzero()[i]) for i in (0, -1))
    centre = len(used) // 2
    return max(2 * (centre - first), 2 * (last - centre) + 1)


def _acquired_masks(scans: Sequence[Scan]) -> dict[str, Tensor]:
    """Return masks of what the scanner measured, for the scans where that is not everything."""
    return {
        scan.info.scan_id: _checked_mask(scan, "acquired", masks["acquired"])
        for scan in scans
        if "acquired" in (masks := stored_masks(scan.path))
    }
