"""Arrays of a file that nothing is made of: which option would use them, or why none can."""

import math

from data_scripts.pde.readers.own.choice import Choice, beside, names_of
from data_scripts.pde.readers.own.lines import Lines, unfit
from data_scripts.pde.readers.own.roles import Roles, line_length
from data_scripts.pde.readers.stored import Contents, Placed, Stored
from monarch_core.runs.typed import typed


def unused_arrays(
    contents: Contents, roles: Roles, lines: Lines, choice: Choice, *, has_times: bool
) -> dict[str, str]:
    """Return for every array that is not used its shape, and the option or the reason.

    Numbers of trajectories are among them; whether they are inputs is decided later.

    Args:
        contents: all arrays.
        roles: what they seem to be.
        lines: coordinates and times.
        choice: the fields.
        has_times: whether the times of the frames are known.
    """
    main = choice.evolving[0]
    reasons = {**lines.unread, **unfit(lines, main)}
    used = {placed.stored.name for placed in (*choice.evolving, *choice.constant)}
    for axis, line in lines.points.items():
        if axis in main.space and line.name not in reasons:
            used.add(line.name)
    if has_times and lines.times is not None and lines.times.name not in reasons:
        used.add(lines.times.name)
    used |= {stored.name for axis, stored in roles.steps.items() if axis in lines.steps}
    return {
        name: f"{stored.shape}: {reason}"
        for name, stored in contents.arrays.items()
        if stored.name not in used
        for reason in (reasons.get(stored.name) or _hint(stored, contents, roles, lines, choice),)
    }


def _hint(stored: Stored, contents: Contents, roles: Roles, lines: Lines, choice: Choice) -> str:
    """Return what a user may say to have an array used, or why it cannot be."""
    if not stored.is_real:
        return "holds no real numbers" if not stored.defect else "cannot be read"
    main, name = choice.evolving[0], stored.name
    if name in roles.fields:
        return _hint_of_field(stored, contents, choice)
    n = line_length(stored.shape) if stored.shape else 1
    if n == 1:
        return "one number, the same for all trajectories"
    ways = []
    if n == main.length("time") and _is_missing("time", lines, main):
        ways.append(f"{typed('dataset.times_key', name)} if these are the times of the frames")
    ways += [
        f"{typed(f'dataset.{axis}_key', name)} if these are the points along {axis}"
        for axis in main.space
        if n == main.length(axis) and _is_missing(axis, lines, main)
    ]
    n_trajectories, short = main.length("trajectory"), name.rpartition("/")[2]
    if n == n_trajectories > 1:
        ways.append(f"{typed('dataset.parameters', [short])} if it is a number of each trajectory")
    elif n is None and stored.shape[0] == n_trajectories and name in roles.numbers:
        columns = [f"{short}[{i}]" for i in range(math.prod(stored.shape[1:]))]
        ways.append(f"{typed('dataset.parameters', columns)} if it has numbers of each trajectory")
    return ", ".join(ways) or "fits neither trajectories, frames nor points that lack anything"


def _is_missing(axis: str, lines: Lines, main: Placed) -> bool:
    """Return whether nothing in the file says where the points or frames along an axis are."""
    line = lines.times if axis == "time" else lines.points.get(axis)
    return axis not in lines.steps and (line is None or main.length(axis) not in line.lengths)


def _hint_of_field(stored: Stored, contents: Contents, choice: Choice) -> str:
    main = choice.evolving[0]
    ways = []
    if beside(stored, main.stored, main.axes, is_static=False) is not None:
        names = [placed.stored.name for placed in choice.evolving]
        ways += _with_others("dataset.key", names, stored, contents, "to predict it, too")
        ways.append(f"{typed('dataset.key', stored.name)} to predict it alone")
    elif beside(stored, main.stored, main.axes, is_static=True) is not None:
        inputs = [placed.stored.name for placed in choice.constant]
        ways += _with_others("dataset.input_key", inputs, stored, contents, "as an input")
    return ", ".join(ways) or f"is not on the grid of {main.stored.name or 'the field'}"


def _with_others(
    option: str, names: list[str], stored: Stored, contents: Contents, purpose: str
) -> list[str]:
    """Return the option with an array behind others, unless their names would be read otherwise."""
    all_of_them = [*names, stored.name]
    words = ",".join(all_of_them)
    return [f"{typed(option, words)} {purpose}"] if names_of(contents, words) == all_of_them else []
