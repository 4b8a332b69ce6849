"""What scans need to be one dataset, and what a slice needs to be used: told before training."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Complex

from data_scripts.finite import require_finite
from data_scripts.mri.schema import AXES, Scan, open_scan, read_slice
from monarch_core.runs.fingerprint import fingerprint_arrays

# Prepared targets have magnitudes of standard deviation one. The root mean square of the middle
# slice is 1.2 to 1.6 for 19 simulated brains, 8 phantoms and 10 scans measured at 0.055 T.
_USUAL_SIZE = (1e-3, 1e3)
_REMEDY = (
    "repair it, or leave the scan out and prepare the data again (data_scripts/mri/check.py lists "
    "what is wrong)"
)


def check_together(scans: Sequence[Scan], *, stored_targets: bool, allow_duplicates: bool) -> None:
    """Check that scans make one dataset, from their headers and the middle slice of each.

    Scans may differ in slices, coils and names of echoes. Each has a name and a content of its own;
    all have one unit and, if stored targets are used, one kind of target.

    Args:
        scans: of all splits.
        stored_targets: whether the targets of the files are used.
        allow_duplicates: whether two scans may hold the same images.

    Raises:
        ValueError: naming the scans that do not belong together, or what is wrong with one.
    """
    twice = _first_pair(scans, lambda scan: scan.info.scan_id)
    if twice:
        a, b = twice
        raise ValueError(
            f"{a.path} and {b.path} both call themselves scan {a.info.scan_id!r}; delete one of "
            "them, or prepare it under another name"
        )
    _check_same(scans, "unit", lambda scan: scan.info.units, "prepare them in one unit")
    if stored_targets:
        remedy = "compute all from k-space with dataset.target=sense or dataset.target=rss"
        _check_same(scans, "kind of target", lambda scan: scan.info.target_kind, remedy)
    contents = {scan.path: _content(scan) for scan in scans}
    twice = _first_pair([s for s in scans if contents[s.path]], lambda scan: contents[scan.path])
    if twice and not allow_duplicates:
        a, b = twice
        raise ValueError(
            f"the scans {a.info.scan_id} ({a.info.split}) and {b.info.scan_id} ({b.info.split}) "
            "hold the same images, which makes a test meaningless where they are in two splits; "
            f"delete {b.path}, or set dataset.allow_duplicates=true"
        )


def split_by_grid(scans: Sequence[Scan]) -> tuple[list[Scan], list[Scan]]:
    """Return the scans on the most common grid, and those on others."""
    common = Counter(scan.shape.grid for scan in scans).most_common(1)[0][0]
    chosen = [scan for scan in scans if scan.shape.grid == common]
    return chosen, [scan for scan in scans if scan.shape.grid != common]


def describe_grids(scans: Sequence[Scan]) -> str:
    """Return a sentence on scans that cannot be trained on together; empty when there are none."""
    common, others = split_by_grid(scans) if scans else ([], [])
    if not others:
        return ""
    named = ", ".join(f"{s.info.scan_id} {s.shape.grid}" for s in others[:5])
    return (
        f"most scans have the grid {common[0].shape.grid}, but these have another: {named}"
        f"{' ..' if len(others) > 5 else ''}; one model serves one grid: set "
        "dataset.skip_other_grids=true or prepare them at one size"
    )


def check_finite(
    scan: Scan, slice_index: int, arrays: Mapping[str, Complex[np.ndarray, "..."]]
) -> None:
    """Check that arrays of a slice, by name, hold no NaN and no infinity.

    Raises:
        ValueError: naming scan, slice, array and place.
    """
    where = f"{scan.path}: scan {scan.info.scan_id}, slice {slice_index}"
    for name, values in arrays.items():
        require_finite(f"{where}: {name}", values, AXES[name], _REMEDY)


def _content(scan: Scan) -> str | None:
    """Return a fingerprint of the middle slice's target, None if that is zero; look at its size."""
    middle = scan.shape.n_slices // 2
    with open_scan(scan.path) as file:
        target = read_slice(file, "target", (middle,))
    check_finite(scan, middle, {"target": target})
    size = float(np.sqrt(np.mean(np.square(np.abs(target), dtype=np.float64))))
    if size == 0:
        return None
    if not _USUAL_SIZE[0] < size < _USUAL_SIZE[1]:
        warnings.warn(
            f"{scan.path}: the target of slice {middle} has a root mean square of {size:.2g}, but "
            "in prepared scans it is about 1, and losses and rates are in that unit; divide kspace "
            "and target by the standard deviation of the target's magnitude",
            stacklevel=2,
        )
    return fingerprint_arrays([target])


def _check_same(scans: Sequence[Scan], what: str, of: Callable[[Scan], str], remedy: str) -> None:
    for scan in scans:
        if of(scan) != of(scans[0]):
            raise ValueError(
                f"the scans of a dataset must share one {what}, but {scans[0].info.scan_id} has "
                f"{of(scans[0])!r} and {scan.info.scan_id} has {of(scan)!r}; {remedy}, or keep "
                "them in folders of their own"
            )


def _first_pair(
    scans: Sequence[Scan], key: Callable[[Scan], str | None]
) -> tuple[Scan, Scan] | None:
    """Return the first two scans with equal keys."""
    seen: dict[str | None, Scan] = {}
    for scan in scans:
        if key(scan) in seen:
            return seen[key(scan)], scan
        seen[key(scan)] = scan
    return None
