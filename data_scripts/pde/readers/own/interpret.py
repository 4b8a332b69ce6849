"""From the arrays of a file of any names to its fields."""

from pathlib import Path

from data_scripts.pde.readers.fields import Channel, Fields, ReadOptions
from data_scripts.pde.readers.names import periodic_in_name
from data_scripts.pde.readers.own.choice import choose, named_arrays
from data_scripts.pde.readers.own.lines import find_lines, points_of, times_of, unfit
from data_scripts.pde.readers.own.numbers import trajectory_numbers
from data_scripts.pde.readers.own.roles import is_parameter, plain, sort_arrays
from data_scripts.pde.readers.stored import Contents, Placed
from monarch_core.runs.printable import printable

# Names of fields whose components are those along the axes.
_VECTORS = {"velocity", "vel", "momentum", "force", "forcing", "displacement", "magneticfield"}


def interpret(path: Path, contents: Contents, options: ReadOptions) -> Fields:
    """Return the fields of a file of arrays, as far as options, names and shapes tell what is what.

    Raises:
        UnusableFileError: it is not clear what the file holds; the error names its arrays and every
            option to give.
    """
    named = [
        stored
        for key in (options.key, options.input_key)
        for stored in named_arrays(path, contents, key)
    ]
    roles = sort_arrays(contents.arrays.values(), {stored.name for stored in named})
    lines = find_lines(path, roles, contents.attributes)
    choice = choose(path, contents, roles, lines, options)
    main = choice.evolving[0]
    coordinates = points_of(path, lines, main, is_sure=choice.is_sure)
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
        channels=tuple(c for placed in choice.evolving for c in channels_of(placed)),
        constants=tuple(c for placed in choice.constant for c in channels_of(placed)),
        times=times_of(path, lines, main.length("time"), is_sure=choice.is_sure),
        coordinates=coordinates,
        periodic=(periodic,) * len(main.space),
        numbers=numbers,
        parameters=tuple(name for name in numbers if is_parameter(name.partition("[")[0])),
        guesses=(*contents.notes, *lines.notes, *choice.guesses, *unfit(lines, main), *told),
    )


def channels_of(placed: Placed) -> list[Channel]:
    """Return the channels of an array, of a vector by their axes, else by numbers."""
    name, n = placed.stored.name.rpartition("/")[2] or "field", placed.length("channel")
    if n == 1:
        return [Channel(name, placed.stored.unit)]
    labels = [f"{name}[{i}]" for i in range(n)]
    if plain(name) in _VECTORS and n == len(placed.space):
        labels = [f"{name}_{axis}" for axis in placed.space]
    return [Channel(label, placed.stored.unit) for label in labels]
