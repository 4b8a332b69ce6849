"""Undersampled slices of prepared MRI scans, read from disk one at a time."""

import logging
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.utils.data import Dataset

from data_scripts.mri.coil_maps import combine_rss, combine_sense
from data_scripts.mri.dataset_check import check_finite
from data_scripts.mri.field_map import measured_columns
from data_scripts.mri.scanner import Scanner
from data_scripts.mri.schema import SPLITS, Scan, ScanInfo, open_scan, read_slice
from monarch_core.runs.fingerprint import fingerprint_files
from mri.config.dataset import DatasetConfig
from mri.dataset.preparation import prepare_if_missing
from mri.dataset.sampling import ScanMasks, make_masks_at_once
from mri.dataset.selection import echo_groups, select_scans
from mri.physics.acceleration import achieved_acceleration

Measurement = tuple[Tensor, Tensor, Tensor]

log = logging.getLogger(__name__)


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
            groups = echo_groups(scan, config.echoes)
            first = len(self._items)
            self._items += [(scan, i, g) for i in range(scan.shape.n_slices) for g in groups]
            self._items_of[scan.info.scan_id] = list(range(first, len(self._items)))
        # in shared memory, so that workers which outlive an epoch see it change
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()
        self._masks = ScanMasks(scans, config, training=training)

    @property
    def scan_ids(self) -> list[str]:
        """Names of the scans, in order."""
        return list(self._scans)

    @property
    def grid(self) -> tuple[int, int]:
        """Samples along (ky, kz) of every item; also its pixels."""
        return next(iter(self._scans.values())).shape.grid

    @property
    def paths(self) -> list[Path]:
        """Files of the scans, in order."""
        return [scan.path for scan in self._scans.values()]

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
        kspace, maps, target = self._read(index)
        mask = self._mask(index)
        missing = self.n_coils - len(maps)
        if missing:
            kspace = np.pad(kspace, ((0, 0), (0, missing), (0, 0), (0, 0)))
            maps = np.pad(maps, ((0, missing), (0, 0), (0, 0)))
        measurement = (torch.from_numpy(kspace) * mask, torch.from_numpy(maps), mask)
        return measurement, torch.from_numpy(target)

    def _read(
        self, index: int
    ) -> tuple[
        Complex[np.ndarray, "echoes coils ky kz"],
        Complex[np.ndarray, "coils ky kz"],
        Complex[np.ndarray, "echoes ky kz"],
    ]:
        """Return the full k-space, the maps and the target of an item, all finite."""
        scan, slice_index, echoes = self._items[index]
        where = (slice_index, slice(echoes[0], echoes[-1] + 1))
        with open_scan(scan.path) as file:
            kspace = read_slice(file, "kspace", where)
            maps = read_slice(file, "maps", (slice_index,))
            if self.config.target == "stored":
                target = read_slice(file, "target", where)
            elif self.config.target == "sense":
                target = combine_sense(kspace, maps)
            else:
                target = combine_rss(kspace)
        check_finite(scan, slice_index, {"kspace": kspace, "maps": maps, "target": target})
        return kspace, maps, target

    def check(self, *, needs_signal: bool) -> None:
        """Read every slice once and check it, which takes as long as reading an epoch.

        Args:
            needs_signal: whether every echo of every scan must have one, as metrics do.

        Raises:
            ValueError: if a slice holds NaN or infinity, or a scan has no signal; names it.
        """
        for scan_id, items in self._items_of.items():
            strength: defaultdict[str, float] = defaultdict(float)
            for index in items:
                _, _, target = self._read(index)
                for name, image in zip(self.key(index).echo_names, target, strict=True):
                    strength[name] += float(np.abs(image).max())
            silent = [name for name, value in strength.items() if value == 0]
            if needs_signal and silent:
                raise ValueError(
                    f"{self._scans[scan_id].path}: scan {scan_id}, {silent[0]}: the target has no "
                    "signal in any slice, so no metric is defined; leave this scan or echo out of "
                    "the test split"
                )

    def check_signal(self) -> None:
        """Check that a scan has a signal; reads slices until one has, usually one or two.

        Raises:
            ValueError: if every target is zero, of which nothing can be learned or chosen.
        """
        if not any(self._read(index)[2].any() for index in range(len(self))):
            first = next(iter(self._scans.values()))
            raise ValueError(
                f"{first.path.parent}: the targets of all {len(self._scans)} {first.info.split} "
                f"scans are zero ({first.info.scan_id}, ..), so no weights can be learned from or "
                "chosen by them; prepare scans with a signal, or another dataset.echoes"
            )

    def mask_of(self, scan_id: str) -> Float[Tensor, "ky kz"]:
        """Return the mask of a scan's first item, in the current epoch."""
        return self._mask(self._items_of[scan_id][0])

    def acceleration_of(self, scan_id: str) -> float:
        """Return measured over kept samples of `mask_of`, which is what the mask achieves."""
        mask = self.mask_of(scan_id)
        measured = self._masks.acquired(scan_id)
        return achieved_acceleration(mask.numpy()) * float(measured.mean())

    def _mask(self, index: int) -> Float[Tensor, "ky kz"]:
        scan_id = self._items[index][0].info.scan_id
        return self._masks.of(scan_id, index, int(self._epoch[0]))


@dataclass(frozen=True)
class Splits:
    """Training, validation and test slices of one dataset.

    Attributes:
        train: to learn from.
        valid: to choose by.
        test: to report on.
        identity: what the scans depend on: the options of their recipe, None for your own.
    """

    train: SliceDataset
    valid: SliceDataset
    test: SliceDataset
    identity: dict[str, Any] | None = None

    @property
    def parts(self) -> tuple[SliceDataset, SliceDataset, SliceDataset]:
        """The three splits."""
        return self.train, self.valid, self.test

    @property
    def sizes(self) -> dict[str, int]:
        """Slices in each split."""
        return {name: len(getattr(self, name)) for name in SPLITS}

    @property
    def grid(self) -> tuple[int, int]:
        """Samples along (ky, kz), the same in all splits."""
        return self.train.grid

    @cached_property
    def scanner(self) -> Scanner:
        """The scanner that all scans were simulated with.

        Raises:
            ValueError: a scan was not simulated with one, or not all with the same.
        """
        scans = [(part, name) for part in self.parts for name in part.scan_ids]
        found = {name: Scanner.of_scan(part.info(name).details) for part, name in scans}
        names = list(found)
        first = found[names[0]]
        for name, scanner in found.items():
            if scanner is None:
                raise ValueError(
                    f"{self.train.config.root}: the scan {name} does not tell the encoding of its "
                    "scanner, as those made by data_scripts.mri.phantom and simulate do; prepare "
                    "it again if it is one, or use a transform that learns the encoding, as "
                    "transform=monarch, or transform=fft"
                )
            if scanner != first:
                raise ValueError(
                    f"{self.train.config.root}: the scans {names[0]} and {name} have scanners with "
                    "other errors, so no encoding is that of all; prepare them with "
                    "dataset.recipe.scanner=fixed, or use transform=fft"
                )
        assert first is not None
        return first

    def encoding(self, axis: int, kind: str, n: int) -> Complex[Tensor, "*columns n n"]:
        """Return the matrix of `scanner` along an axis of n samples, complex128.

        Args:
            axis: 0 for ky, where each column of the image may have a matrix of its own; 1 for kz.
            kind: `exact`, or `measured`: with a map of off-resonance and no other error known.
            n: samples.

        Raises:
            ValueError: as `scanner`.
        """
        scanner, is_exact = self.scanner, kind == "exact"
        if axis:
            matrix = (scanner if is_exact else Scanner()).along_readout(n)
        else:
            matrix = (Scanner.columns if is_exact else measured_columns)(scanner, self.grid)
        return torch.from_numpy(matrix)

    @property
    def n_coils(self) -> int:
        """Coils of every item (the largest number that any scan has)."""
        return self.train.n_coils

    @property
    def n_echoes(self) -> int:
        """Echoes of one item."""
        return len(self.train.key(0).echo_names)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprint of the files of each split, in order; their masks follow from the config."""
        return {name: fingerprint_files(getattr(self, name).paths) for name in SPLITS}

    def check_held_out(self) -> None:
        """Read the validation and test splits once, so that no training ends in a bad slice.

        Training slices are checked as they are read, but a signal is looked for in every split.
        This costs what one validation and the evaluation read, once per training.

        Raises:
            ValueError: naming the scan with NaN, infinity, or no signal to measure, or a split
                without any.
        """
        self.train.check_signal()
        self.valid.check_signal()
        log.info("checking %d validation and %d test slices", len(self.valid), len(self.test))
        self.valid.check(needs_signal=False)
        self.test.check(needs_signal=True)


def load_splits(config: DatasetConfig) -> Splits:
    """Return the three splits, preparing the data first when it is not there.

    Raises:
        ValueError: if the data cannot be prepared, was prepared with other options, lacks a split,
            its scans do not belong together, or no mask of the wanted kind exists.
    """
    identity = prepare_if_missing(config)
    by_split = select_scans(config)
    n_coils = max(scan.shape.n_coils for scans in by_split.values() for scan in scans)
    if config.acceleration > n_coils:
        warnings.warn(
            f"acceleration {config.acceleration:g} exceeds the {n_coils} coil(s): the coils alone "
            "cannot determine the image, whatever the reconstruction",
            stacklevel=2,
        )
    make_masks_at_once(by_split, config)
    test = SliceDataset(by_split["test"], config, n_coils, training=False)  # may lack its masks
    return Splits(
        train=SliceDataset(by_split["train"], config, n_coils, training=True),
        valid=SliceDataset(by_split["valid"], config, n_coils, training=False),
        test=test,
        identity=identity,
    )
