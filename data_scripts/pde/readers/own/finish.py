"""What a user says of a file, on top of what the file says of itself."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from data_scripts.pde.readers.axes import is_monotonic
from data_scripts.pde.readers.fields import Channel, Fields, ReadOptions
from data_scripts.pde.readers.stored import Placed, in_memory
from data_scripts.unusable import UnusableFileError
from monarch_core.runs.printable import listed
from monarch_core.runs.typed import typed

_MOST_NAMED = 12


def finished(fields: Fields, options: ReadOptions) -> Fields:
    """Return fields with the coordinates, times, boundaries and parameters that options say.

    Raises:
        UnusableFileError: options do not suit the fields (one error for all), or there is nothing
            that the fields follow from.
    """
    _require_suitable(fields, options)
    coordinates, times, periodic = fields.coordinates, fields.times, fields.periodic
    if options.spacing is not None:
        grid = fields.shape[3:]
        coordinates = tuple(d * np.arange(n) for d, n in zip(options.spacing, grid, strict=True))
    if options.times is not None:
        times = np.asarray(options.times, dtype=np.float64)
    if options.time_step is not None:
        times = options.time_step * np.arange(fields.shape[1])
    if options.periodic is not None:
        periodic = tuple(options.periodic)
    for axis, points in zip(fields.axis_names, coordinates, strict=True):
        if points is not None and not is_monotonic(points):
            raise UnusableFileError(
                f"{fields.path}: the coordinates along {axis} must be finite and grow, or fall, "
                f"from point to point, got {listed(f'{x:g}' for x in points)}; correct them, or "
                "say dataset.spacing=[...]"
            )
    names, guesses = _parameters(fields, options.parameters)
    found = replace(
        fields,
        constant=(
            *fields.constant,
            *(Placed(in_memory(name, fields.numbers[name]), ("trajectory",)) for name in names),
        ),
        constants=(*fields.constants, *map(Channel, names)),
        times=times,
        coordinates=coordinates,
        periodic=periodic,
        guesses=(*fields.guesses, *guesses),
        unused={
            array: reason
            for array, reason in fields.unused.items()
            if not {array.rpartition("/")[2], array} & {name.partition("[")[0] for name in names}
        },
    )
    if found.shape[1] == 1 and not found.constants:
        raise UnusableFileError(
            f"{fields.path} ({fields.layout}) has one frame of shape {fields.shape[3:]}, where an "
            "evolution needs two and a steady problem an input; say dataset.input_key=NAME or "
            "dataset.parameters=[NAME] for its input, or dataset.axes=[...] if another axis is the "
            "time"
        )
    return found


def _require_suitable(fields: Fields, options: ReadOptions) -> None:
    n_axes, n_times = len(fields.axis_names), fields.shape[1]
    axes = ", ".join(fields.axis_names)
    wrong = []
    if options.spacing is not None and not _are_steps(options.spacing, n_axes):
        wrong.append(
            f"dataset.spacing must be {n_axes} positive numbers, for {axes}, got "
            f"{list(options.spacing)}"
        )
    if options.periodic is not None and len(options.periodic) != n_axes:
        wrong.append(
            f"dataset.periodic must be {n_axes} truth values, for {axes}, got "
            f"{list(options.periodic)}"
        )
    if options.times is not None and not _are_times(options.times, n_times):
        wrong.append(
            f"dataset.times must be {n_times} growing numbers, one for each frame; got "
            f"{len(options.times)}: {listed(map(str, options.times))}"
        )
    if options.time_step is not None and not _are_steps([options.time_step], 1):
        wrong.append(f"dataset.time_step must be positive, got {options.time_step}")
    if options.times is not None and options.time_step is not None:
        wrong.append("dataset.times and dataset.time_step are two words for one thing; leave one")
    unknown = [name for name in options.parameters or () if name not in fields.numbers]
    if unknown:
        all_of_them = typed("dataset.parameters", list(fields.numbers)[:_MOST_NAMED])
        wrong.append(
            f"dataset.parameters names {listed(unknown)}, but the numbers of its trajectories are "
            f"{listed(fields.numbers) or 'none'}"
            f"{f'; say some of {all_of_them}' if fields.numbers else ''}"
        )
    if wrong:
        raise UnusableFileError(f"{fields.path} ({fields.layout}): {'; '.join(wrong)}")


def _are_steps(values: Sequence[float], n: int) -> bool:
    return len(values) == n and all(math.isfinite(v) and v > 0 for v in values)


def _are_times(values: Sequence[float], n: int) -> bool:
    times = np.asarray(values, dtype=np.float64)
    return len(times) == n and bool(np.isfinite(times).all() and (np.diff(times) > 0).all())


def _parameters(fields: Fields, said: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Return the names of numbers that are inputs, and what is guessed of them."""
    if said is not None:
        return list(said), []
    varying = [
        name for name, values in fields.numbers.items() if len(values) and np.ptp(values) > 0
    ]
    used = [name for name in varying if name in fields.parameters]
    guesses = []
    if used:
        guesses.append(
            f"inputs besides the field: {listed(used)}, which differ between trajectories; "
            "dataset.parameters=[...]"
        )
    return used, guesses
