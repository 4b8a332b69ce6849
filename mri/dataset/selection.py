"""Which of the prepared scans in a folder a configuration uses, and in which split."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_scripts.mri.dataset_check import check_together, describe_grids, split_by_grid
from data_scripts.mri.schema import SPLITS, Scan, read_info
from mri.config.dataset import DatasetConfig

log = logging.getLogger(__name__)


def select_scans(config: DatasetConfig, splits: Sequence[str] = SPLITS) -> dict[str, list[Scan]]:
    """Return the scans of some splits, by name of the file.

    Args:
        config: which scans.
        splits: which splits there must be.

    Raises:
        ValueError: if there is none for a split, or they do not belong together.
    """
    root = Path(config.root)
    scans = [Scan(path, *read_info(path)) for path in sorted(root.glob("*.h5"))]
    if not scans:
        raise ValueError(f"{root} holds no prepared scan (*.h5); delete it, or set dataset.root")
    with_echo = [scan for scan in scans if echo_groups(scan, config.echoes)]
    if not with_echo:
        names = sorted({name for scan in scans for name in scan.info.echo_names})
        raise ValueError(
            f"no scan of {root} has an echo {config.echoes!r}; dataset.echoes is together, "
            f"separate or one of {names}"
        )
    used = _one_grid(with_echo, config.skip_other_grids)
    _report_left_out(scans, used)
    by_split = {split: [s for s in used if s.info.split == split] for split in splits}
    for split, members in by_split.items():
        if not members:
            others = [scan.info.scan_id for scan in scans if scan.info.split == split]
            but = f", and {others} have another grid or lack dataset.echoes" if others else ""
            raise ValueError(
                f"{root} has no scan of the split {split!r} to use{but}; prepare at least one"
            )
    if "train" in by_split:
        by_split["train"] = _few(by_split["train"], config)
    chosen = [scan for members in by_split.values() for scan in members]
    check_together(
        chosen,
        stored_targets=config.target == "stored",
        allow_duplicates=config.allow_duplicates,
    )
    _check_n_echoes(chosen, config.echoes)
    return by_split


def echo_groups(scan: Scan, echoes: str) -> list[tuple[int, ...]]:
    """Return the echoes of each item of a slice, as `DatasetConfig.echoes` says."""
    names = scan.info.echo_names
    if echoes == "together":
        return [tuple(range(len(names)))]
    if echoes == "separate":
        return [(i,) for i in range(len(names))]
    return [(names.index(echoes),)] if echoes in names else []


def _one_grid(scans: list[Scan], skip_others: bool) -> list[Scan]:
    common, others = split_by_grid(scans)
    if others and not skip_others:
        raise ValueError(describe_grids(scans))
    return common


def _report_left_out(found: Sequence[Scan], used: Sequence[Scan]) -> None:
    kept = {scan.path for scan in used}
    names = [scan.info.scan_id for scan in found if scan.path not in kept]
    if names:
        log.info(
            "left out %d of %d scans, on another grid or without the echo asked for: %s%s",
            len(names),
            len(found),
            ", ".join(names[:5]),
            " .." if len(names) > 5 else "",
        )


def _few(scans: list[Scan], config: DatasetConfig) -> list[Scan]:
    if config.n_train_scans is None:
        return scans
    if config.n_train_scans > len(scans):
        raise ValueError(
            f"dataset.n_train_scans is {config.n_train_scans}, but there are {len(scans)}; lower "
            "it, or prepare more scans"
        )
    order = np.random.default_rng(config.train_scan_seed).permutation(len(scans))
    chosen = sorted(order[: config.n_train_scans])
    return [scans[i] for i in chosen]


def _check_n_echoes(scans: Sequence[Scan], echoes: str) -> None:
    """Check that all items have as many echoes, so that they can share a batch."""
    first = scans[0]
    for scan in scans:
        if len(echo_groups(scan, echoes)[0]) != len(echo_groups(first, echoes)[0]):
            raise ValueError(
                f"the scans {first.info.scan_id} and {scan.info.scan_id} have the echoes "
                f"{first.info.echo_names} and {scan.info.echo_names}, which cannot share a batch; "
                "use dataset.echoes=separate, or the name of one"
            )
