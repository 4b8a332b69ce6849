"""Undersampled slices of prepared MRI scans, read from disk one at a time."""

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor
from torch.utils.data import Dataset

from mri.centred_fft import resize_centred
from mri.coil_maps import combine_rss, combine_sense
from mri.dataset_config import DatasetConfig
from mri.masks import achieved_acceleration, make_masks, scan_seed
from mri.preparation import prepare_if_missing
from mri.schema import (
    SPLITS,
    ScanInfo,
    ScanShape,
    open_scan,
    read_info,
    read_slice,
    stored_masks,
)

Measurement = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Scan:
    """One prepared file: where it is, what it says about itself, its sizes."""

    path: Path
    info: ScanInfo
    shape: ScanShape


@dataclass(frozen=True)
class ItemKey:
    """What one item of a dataset is: slice `slice_index` of a scan, with these echoes."""

    scan_id: str
    slice_index: int
    echo_names: tuple[str, ...]


class SliceDataset(Dataset[tuple[Measurement, Tensor]]):
    """Slices of some scans, each with a mask.

    An item is ((kspace, maps, mask), target): k-space complex64 (echoes, coils, ky, kz), zero where
    it was not sampled; maps complex64 (coils, ky, kz); mask float32 (ky, kz), 0 or 1; target
    complex64 (echoes, ky, kz). Values are acquired values divided by the scan's `scale`.

    A file is opened for each read and closed again, so any number of workers and forked processes
    can share a dataset and its memory does not grow. Scans with fewer coils than `n_coils` get
    coils whose maps and k-space are zero, which changes no reconstruction and makes items equal
    in shape; all items can therefore be put in one batch.

    Args:
        scans: at least one, all on one grid.
        config: how to undersample; `mask_seed` is this split's seed.
        n_coils: coils of every item.
        training: whether `mask_regime=random` draws another mask for every item and epoch.
    """

    def __init__(
        self, scans: Sequence[Scan], config: DatasetConfig, n_coils: int, *, training: bool
    ) -> None:
        self.config = config
        self.n_coils = n_coils
        self.training = training
        self._scans = {scan.info.scan_id: scan for scan in scans}
        self._items: list[tuple[Scan, int, tuple[int, ...]]] = []
        self._items_of: dict[str, list[int]] = {}
        for scan in scans:
            groups = _echo_groups(scan, config.echoes)
            first = len(self._items)
            self._items += [(scan, i, g) for i in range(scan.shape.n_slices) for g in groups]
            self._items_of[scan.info.scan_id] = list(range(first, len(self._items)))
        # in shared memory, so that workers which outlive an epoch see it change
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._acquired = _acquired_masks(scans)
        self._masks = self._prepare_masks()

    @property
    def scan_ids(self) -> list[str]:
        """Names of the scans, in order."""
        return list(self._scans)

    @property
    def grid(self) -> tuple[int, int]:
        """Samples along (ky, kz) of every item; also its pixels."""
        return next(iter(self._scans.values())).shape.grid

    def slices_of(self, scan_id: str) -> list[int]:
        """Return the indices of a scan's items: slices in order, echoes next to each other."""
        return list(self._items_of[scan_id])

    def key(self, index: int) -> ItemKey:
        """Return which scan, slice and echoes item `index` is."""
        scan, slice_index, echoes = self._items[index]
        names = tuple(scan.info.echo_names[echo] for echo in echoes)
        return ItemKey(scan.info.scan_id, slice_index, names)

    def info(self, scan_id: str) -> ScanInfo:
        """Return what a scan says about itself: source, licence, scale, target kind and so on."""
        return self._scans[scan_id].info

    def with_mask_seed(self, mask_seed: int) -> "SliceDataset":
        """Return the same slices under masks of another seed."""
        config = replace(self.config, mask_seed=mask_seed)
        return SliceDataset(
            list(self._scans.values()), config, self.n_coils, training=self.training
        )

    @property
    def targets_have_phase(self) -> bool:
        """Whether the targets are complex images, not root sums of squares."""
        if self.config.target != "stored":
            return self.config.target != "rss"
        return all(scan.info.target_kind != "rss" for scan in self._scans.values())

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch for which `mask_regime=random` draws its masks."""
        self._epoch[0] = epoch

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(
        self, index: int
    ) -> tuple[
        tuple[
            Complex[Tensor, "echoes coils ky kz"],
            Complex[Tensor, "coils ky kz"],
            Float[Tensor, "ky kz"],
        ],
        Complex[Tensor, "echoes ky kz"],
    ]:
        scan, slice_index, echoes = self._items[index]
        where = (slice_index, slice(echoes[0], echoes[-1] + 1))
        with open_scan(scan.path) as file:
            kspace = read_slice(scan.path, file["kspace"], where)
            maps = read_slice(scan.path, file["maps"], (slice_index,))
            if self.config.target == "stored":
                target = read_slice(scan.path, file["target"], where)
            elif self.config.target == "sense":
                target = combine_sense(kspace, maps)
            else:
                target = combine_rss(kspace)
        mask = self._mask(index)
        missing = self.n_coils - scan.shape.n_coils
        if missing:
            kspace = np.pad(kspace, ((0, 0), (0, missing), (0, 0), (0, 0)))
            maps = np.pad(maps, ((0, missing), (0, 0), (0, 0)))
        measurement = (torch.from_numpy(kspace) * mask, torch.from_numpy(maps), mask)
        return measurement, torch.from_numpy(target)

    def mask_of(self, scan_id: str) -> Float[Tensor, "ky kz"]:
        """Return the mask of a scan's first item, in the current epoch."""
        return self._mask(self._items_of[scan_id][0])

    def acceleration_of(self, scan_id: str) -> float:
        """Return measured over kept samples of `mask_of`, which is what the mask achieves."""
        mask = self.mask_of(scan_id)
        measured = self._acquired.get(scan_id, torch.ones_like(mask))
        return achieved_acceleration(mask.numpy()) * float(measured.mean())

    def _prepare_masks(self) -> dict[str, Tensor] | list[Tensor]:
        """Make what can be made once: a mask per scan, or the Poisson masks to draw from."""
        config = self.config
        if config.mask == "stored":
            return _stored_masks(list(self._scans.values()), config, self._acquired)
        masks = _make_masks(config, self.grid, _mask_seeds(self._scans, config, self.training))
        if self.training and config.mask_regime == "random":
            return masks
        if config.mask_regime == "fixed":
            masks *= len(self._scans)
        return {
            scan_id: mask * self._acquired.get(scan_id, 1.0)
            for scan_id, mask in zip(self._scans, masks, strict=True)
        }

    def _mask(self, index: int) -> Float[Tensor, "ky kz"]:
        scan_id = self._items[index][0].info.scan_id
        if isinstance(self._masks, dict):
            return self._masks[scan_id]
        draw = [self.config.mask_seed, int(self._epoch[0]), index]
        seed = int(np.random.default_rng(draw).integers(2**31))
        if self._masks:
            mask = self._masks[seed % len(self._masks)]
        else:
            (mask,) = _make_masks(self.config, self.grid, [seed])
        return mask * self._acquired.get(scan_id, 1.0)


@dataclass(frozen=True)
class Splits:
    """Training, validation and test slices of one dataset."""

    train: SliceDataset
    valid: SliceDataset
    test: SliceDataset

    @property
    def grid(self) -> tuple[int, int]:
        """Samples along (ky, kz), the same in all splits."""
        return self.train.grid

    @property
    def n_coils(self) -> int:
        """Coils of every item (the largest number that any scan has)."""
        return self.train.n_coils

    @property
    def n_echoes(self) -> int:
        """Echoes of one item."""
        return len(self.train.key(0).echo_names)


def load_splits(config: DatasetConfig) -> Splits:
    """Return the three splits, preparing the data first when it is not there.

    Raises:
        ValueError: if the data cannot be prepared, was prepared with other options, lacks a split,
            mixes grids or numbers of echoes, or no mask of the wanted kind exists.
    """
    root = Path(config.root)
    prepare_if_missing(config)
    scans = [Scan(path, *read_info(path)) for path in sorted(root.glob("*.h5"))]
    if not scans:
        raise ValueError(f"{root} holds no prepared scan (*.h5); delete it, or set dataset.root")
    with_echo = [scan for scan in scans if _echo_groups(scan, config.echoes)]
    if not with_echo:
        names = sorted({name for scan in scans for name in scan.info.echo_names})
        raise ValueError(
            f"no scan of {root} has an echo {config.echoes!r}; dataset.echoes is together, "
            f"separate or one of {names}"
        )
    scans = _one_grid(with_echo, config.skip_other_grids)
    by_split = {split: [s for s in scans if s.info.split == split] for split in SPLITS}
    for split, members in by_split.items():
        if not members:
            raise ValueError(f"{root} has no scan of the split {split!r}; prepare at least one")
    by_split["train"] = _few(by_split["train"], config)
    n_echoes = {len(g) for s in scans for g in _echo_groups(s, config.echoes)}
    if len(n_echoes) > 1:
        raise ValueError(
            f"the scans of {root} have {sorted(n_echoes)} echoes, which cannot share a batch; use "
            "dataset.echoes=separate"
        )
    n_coils = max(scan.shape.n_coils for scan in scans)
    if config.acceleration > n_coils:
        warnings.warn(
            f"acceleration {config.acceleration:g} exceeds the {n_coils} coil(s): the coils alone "
            "cannot determine the image, whatever the reconstruction",
            stacklevel=2,
        )
    if config.mask == "poisson":  # all at once: each time a process is started for them
        seeds = [
            seed
            for split, members in by_split.items()
            for seed in _mask_seeds([s.info.scan_id for s in members], config, split == "train")
        ]
        _make_masks(config, scans[0].shape.grid, seeds)
    return Splits(
        train=SliceDataset(by_split["train"], config, n_coils, training=True),
        valid=SliceDataset(by_split["valid"], config, n_coils, training=False),
        test=SliceDataset(by_split["test"], config, n_coils, training=False),
    )


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


def _echo_groups(scan: Scan, echoes: str) -> list[tuple[int, ...]]:
    names = scan.info.echo_names
    if echoes == "together":
        return [tuple(range(len(names)))]
    if echoes == "separate":
        return [(i,) for i in range(len(names))]
    return [(names.index(echoes),)] if echoes in names else []


def _one_grid(scans: list[Scan], skip_others: bool) -> list[Scan]:
    counts = Counter(scan.shape.grid for scan in scans)
    common = counts.most_common(1)[0][0]
    others = [f"{s.info.scan_id} {s.shape.grid}" for s in scans if s.shape.grid != common]
    if others and not skip_others:
        raise ValueError(
            f"most scans have the grid {common}, but these have another: {', '.join(others[:5])}"
            f"{' ..' if len(others) > 5 else ''}; one model serves one grid: set "
            "dataset.skip_other_grids=true or prepare them at one size"
        )
    return [scan for scan in scans if scan.shape.grid == common]


def _few(scans: list[Scan], config: DatasetConfig) -> list[Scan]:
    if config.n_train_scans is None:
        return scans
    if config.n_train_scans > len(scans):
        raise ValueError(
            f"dataset.n_train_scans is {config.n_train_scans}, but there are {len(scans)}"
        )
    order = np.random.default_rng(config.train_scan_seed).permutation(len(scans))
    chosen = sorted(order[: config.n_train_scans])
    return [scans[i] for i in chosen]


def _stored_masks(
    scans: Sequence[Scan], config: DatasetConfig, acquired: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Return the mask that came with each scan, or a Poisson mask of the same acceleration.

    The SKM-TEA benchmark trains and validates on Poisson masks and tests on stored ones. A Poisson
    mask is made on the smallest centred grid that holds what was acquired, of which it keeps one
    sample in `acceleration`, and padded with zeros.
    """
    masks = {}
    without: dict[tuple[int, int], list[Scan]] = {}
    for scan in scans:
        measured = acquired.get(scan.info.scan_id, torch.ones(scan.shape.grid))
        stored = _stored_mask(scan, f"poisson_{float(config.acceleration)}x")
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


def _stored_mask(scan: Scan, name: str) -> Float[Tensor, "ky kz"] | None:
    """Return the mask that came with a scan, None where training and validation have none.

    Raises:
        ValueError: if a test scan lacks it, since results under other masks do not compare.
    """
    masks = stored_masks(scan.path)
    if name not in masks:
        if scan.info.split != "test":
            return None
        raise ValueError(
            f"{scan.path} holds no masks/{name}, only {sorted(set(masks) - {'acquired'})}; use "
            "dataset.mask=poisson or one of those accelerations"
        )
    achieved_acceleration(masks[name])
    return torch.from_numpy(masks[name])


def _centred_length(used: Bool[Tensor, " n"]) -> int:
    """Return the fewest samples that, centred among all n, hold those that are used."""
    first, last = (int(used.nonzero()[i]) for i in (0, -1))
    centre = len(used) // 2
    return max(2 * (centre - first), 2 * (last - centre) + 1)


def _acquired_masks(scans: Sequence[Scan]) -> dict[str, Tensor]:
    """Return masks of what the scanner measured, for the scans where that is not everything."""
    return {
        scan.info.scan_id: torch.from_numpy(masks["acquired"])
        for scan in scans
        if "acquired" in (masks := stored_masks(scan.path))
    }
