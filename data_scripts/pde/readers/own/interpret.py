"""From the arrays of a file of any names to its fields."""

import re
from collections.abc import Sequence
from pathlib import Path

from data_scripts.pde.readers.fields import Channel, Fields, ReadOptions
from data_scripts.pde.readers.names import periodic_in_name
from data_scripts.pde.readers.own.choice import choose, named_array, named_arrays
from data_scripts.pde.readers.own.lines import Lines, find_lines, points_of, times_of
from data_scripts.pde.readers.own.numbers import trajectory_numbers
from data_scripts.pde.readers.own.roles import is_parameter, plain, sort_arrays
from data_scripts.pde.readers.own.unused import unused_arrays
from data_scripts.pde.readers.stored import Contents, Placed
from data_scripts.unusable import UnusableFileError
from monarch_core.runs.printable import printable

# Names of fields whose components are those along the axes.
_GROUP = re.compile(r"/(?![^\[(]*[\])])")  # between groups, not that of a unit as in [m/s]
_VECTORS = {"velocity", "vel", "momentum", "force", "forcing", "displacement", "magneticfield"}


def interpret(path: Path, contents: Contents, options: ReadOptions) -> Fields:
    """Return the fields of a file of arrays, as far as options, names and shapes tell what is what.

    Raises:
        UnusableFileError: it is not clear what the file holds; the error names its arrays and every
            option to give.
    """
    named = [
        stored
        for option, key in (("key", options.key), ("input_key", options.input_key))
        for stored in named_arrays(path, contents, f"dataset.{option}", key)
    ]
    said = {
        axis: named_array(path, contents, f"dataset.{axis}_key", key)
        for axis, key in options.point_keys.items()
    }
    if options.times_key is not None:
        said["time"] = named_array(path, contents, "dataset.times_key", options.times_key)
    roles = sort_arrays(contents.arrays.values(), {stored.name for stored in named}, said)
    lines = find_lines(path, roles, contents.attributes)
    choice = choose(path, contents, roles, lines, options)
    main = choice.evolving[0]
    for axis in said:
        _require_fit(path, axis, lines, main)
    coordinates = points_of(path, lines, main, is_sure=choice.is_sure)
    times = None
    if not options.says_times:
        times = times_of(path, lines, main.length("time"), is_sure=choice.is_sure)
    numbers = trajectory_numbers(
        path, roles.numbers, contents.attributes, main.length("trajectory")
    )
    periodic, told = periodic_in_name(path), []
    if periodic:
        told.append(
            f"periodic: all axes, by the name {printable(path.name)}; dataset.periodic=[...]"
        )
    return Fields(
        path=path,
        layout=contents.layout,
        evolving=choice.evolving,
        constant=choice.constant,
        channels=channels_of(choice.evolving),
        constants=channels_of(choice.constant),
        times=times,
        coordinates=coordinates,
        periodic=(periodic,) * len(main.space),
        numbers=numbers,
        parameters=tuple(name for name in numbers if is_parameter(name.partition("[")[0])),
        guesses=(*contents.notes, *choice.guesses, *told),
        unused=unused_arrays(
            contents, roles, lines, choice, has_times=times is not None or options.says_times
        ),
    )


def _require_fit(path: Path, axis: str, lines: Lines, main: Placed) -> None:
    """Raise UnusableFileError where what the user takes for coordinates or times is none."""
    option = f"dataset.{'times' if axis == 'time' else axis}_key"
    if axis not in main.axes:
        raise UnusableFileError(
            f"{path}: {option} is for an axis that {main.stored.described} does not have; its axes "
            f"are {', '.join(main.axes)}, so leave it out or say dataset.axes=[...]"
        )
    line = lines.times if axis == "time" else lines.points.get(axis)
    reason = next(iter(lines.unread.items()), None) if line is None else None
    if line is None or main.length(axis) not in line.lengths:
        name = line.name if line else reason[0] if reason else ""
        has = f"has {line.values.size} values" if line else reason[1] if reason else "is no line"
        raise UnusableFileError(
            f"{path}: {printable(name)}, which {option} names, {has}, where the field has "
            f"{main.length(axis)} entries along {axis}; name another array, or leave it out"
        )


def channels_of(arrays: Sequence[Placed]) -> tuple[Channel, ...]:
    """Return the channels of several arrays, named without their groups unless two are then one."""
    ends = [_GROUP.split(placed.stored.name)[-1] for placed in arrays]
    return tuple(
        channel
        for placed, end in zip(arrays, ends, strict=True)
        for channel in _channels_of(placed, placed.stored.name if ends.count(end) > 1 else end)
    )


def _channels_of(placed: Placed, name: str) -> list[Channel]:
    """Return the channels of an array, of a vector by their axes, else by numbers."""
    name, n = name or "field", placed.length("channel")
    if n == 1:
        return [Channel(name, placed.stored.unit)]
    labels = [f"{name}[{i}]" for i in range(n)]
    if plain(name) in _VECTORS and n == len(placed.space):
        labels = [f"{name}_{axis}" for axis in placed.space]
    return [Channel(label, placed.stored.unit) for label in labels]
