"""The fields of several files as those of one."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_scripts.pde.readers.fields import Fields
from data_scripts.pde.readers.stored import Placed, joined, repeated
from data_scripts.pde.well_format import SPLITS
from data_scripts.unusable import UnusableFileError


def join_splits(path: Path, parts: Mapping[str | None, Sequence[Fields]]) -> Fields:
    """Return the trajectories of several files by split, in the order train, valid, test.

    Args:
        path: of their folder.
        parts: of every split; None is the split of no split.

    Raises:
        UnusableFileError: as `join_fields`, or only some of the files are of a split.
    """
    if None in parts and len(parts) > 1:
        raise UnusableFileError(
            f"{path} has files of {', '.join(filter(None, parts))} and files of no split, such as "
            f"{parts[None][0].path}; put them into folders train, valid and test"
        )
    order = [split for split in (None, *SPLITS) if split in parts]
    fields = join_fields(path, [part for split in order for part in parts[split]])
    ends = np.cumsum([0, *(sum(part.shape[0] for part in parts[split]) for split in order)])
    ranges = [range(*pair) for pair in itertools.pairwise(ends.tolist())]
    if len(parts) > 1:
        splits = {split: r for split, r in zip(order, ranges, strict=True) if split is not None}
        return replace(fields, splits=splits)
    return fields


def join_fields(path: Path, parts: Sequence[Fields]) -> Fields:
    """Return the trajectories of several files, one after the other.

    Args:
        path: of their folder.
        parts: at least one.

    Raises:
        UnusableFileError: they are not fields of one problem, viscosity, times and grid.
    """
    _require_alike(parts)
    first = parts[0]
    statement = replace(
        first.statement,
        doubts=_union(part.statement.doubts for part in parts),
        unit_square=all(part.statement.unit_square for part in parts),
    )
    names = [name for name in first.numbers if all(name in part.numbers for part in parts)]
    return replace(
        first,
        path=path,
        evolving=_join([part.evolving for part in parts], parts),
        constant=_join([part.constant for part in parts], parts),
        numbers={name: np.concatenate([part.numbers[name] for part in parts]) for name in names},
        statement=statement,
        guesses=_first_of_each(part.guesses for part in parts),
        unused={name: reason for part in parts for name, reason in part.unused.items()},
    )


def _first_of_each(lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return guesses that differ in what they are about."""
    found: dict[str, str] = {}
    for guess in (guess for guesses in lists for guess in guesses):
        found.setdefault(guess.partition(":")[0], guess)
    return tuple(found.values())


def _union(lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for items in lists for item in items))


def _join(arrays: Sequence[Sequence[Placed]], parts: Sequence[Fields]) -> tuple[Placed, ...]:
    if len(parts) == 1:
        return tuple(arrays[0])
    found = []
    for same in zip(*arrays, strict=True):
        full = [_by_trajectory(p, part.shape[0]) for p, part in zip(same, parts, strict=True)]
        axes = full[0].axes
        stored = joined([placed.stored for placed in full], axes.index("trajectory"))
        found.append(replace(full[0], stored=stored))
    return tuple(found)


def _by_trajectory(placed: Placed, n: int) -> Placed:
    """Return an array with an axis of trajectories, along which it is the same if it had none."""
    if "trajectory" in placed.axes:
        return placed
    return replace(placed, stored=repeated(placed.stored, n), axes=("trajectory", *placed.axes))


def _require_alike(parts: Sequence[Fields]) -> None:
    """Raise UnusableFileError unless all hold fields of one problem, viscosity, times and grid."""
    first = parts[0]
    for part in parts[1:]:
        for what, mine, other in zip(_KINDS, _described(first), _described(part), strict=True):
            if mine != other and not _close(mine, other):
                raise UnusableFileError(
                    f"the files of one folder must agree in {what}, got {mine} in {first.path} and "
                    f"{other} in {part.path}; put them into folders of their own"
                )
        for what, mine, other in _lines(first, part):
            if not _are_close(mine, other):
                raise UnusableFileError(
                    f"the files of one folder must agree in their {what}, got {_span(mine)} in "
                    f"{first.path} and {_span(other)} in {part.path}; put them into folders of "
                    "their own"
                )


_KINDS = ("layout", "problem", "viscosity", "channels", "frames and grid", "axes and units")


def _described(fields: Fields) -> tuple[object, ...]:
    n_times, _, *grid = fields.shape[1:]
    return (
        fields.layout,
        fields.statement.problem,
        fields.statement.viscosity,
        tuple(channel.name for channel in (*fields.channels, *fields.constants)),
        (n_times, *grid),
        tuple((placed.axes, placed.divisor) for placed in (*fields.evolving, *fields.constant)),
    )


def _close(a: object, b: object) -> bool:
    return isinstance(a, float) and isinstance(b, float) and bool(np.isclose(a, b, rtol=1e-5))


Line = np.ndarray | None


def _lines(a: Fields, b: Fields) -> list[tuple[str, Line, Line]]:
    """Return the times and the coordinates of two files, and what they are."""
    points = zip(a.axis_names, a.coordinates, b.coordinates, strict=True)
    return [("times", a.times, b.times), *points]


def _are_close(a: Line, b: Line) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.allclose(a, b, rtol=1e-4, atol=1e-6 * np.ptp(a)))


def _span(line: Line) -> str:
    return "none" if line is None else f"{line[0]:g} to {line[-1]:g}"
