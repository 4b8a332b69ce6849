"""Which arrays of a file are the fields to predict and their inputs, and in which order of axes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_scripts.pde.readers.fields import ReadOptions
from data_scripts.pde.readers.names import named_in
from data_scripts.pde.readers.own.axis_order import (
    FEW_CHANNELS,
    credible_axes,
    decided,
    fitted_axes,
    labelled_axes,
    possible_axes,
    usual_axes,
)
from data_scripts.pde.readers.own.lines import Lines
from data_scripts.pde.readers.own.roles import Roles, choose_fields, is_known_output, is_medium
from data_scripts.pde.readers.own.values import told_by_values
from data_scripts.pde.readers.stored import AXES, SPACE, Contents, Placed, Stored
from data_scripts.pde.readers.windows import likely_window
from data_scripts.unusable import UnusableFileError
from monarch_core.runs.printable import listed, printable
from monarch_core.runs.typed import typed

_PARTS = (
    "store real numbers: of complex ones the real and the imaginary part as two channels, "
    "np.stack([u.real, u.imag], axis=2), of records each part as an array"
)
_FIELD = "store one with an axis for trajectories, for time and for every axis of space"
_SAY_KEY = (
    "which array is the field to predict: dataset.key=NAME, several with commas between them for "
    "its channels"
)
_SAY_INPUT = "whether it follows from a static field, and which: dataset.input_key=NAME"
_SAY_AXES = f"dataset.axes=[...] with one of {', '.join(AXES)} for each"
_MOST_READINGS = 6


@dataclass(frozen=True)
class Choice:
    """The fields of a file.

    Attributes:
        evolving: or the output of a steady problem; at least one.
        constant: static inputs.
        is_sure: whether the order of the axes is the user's word.
        guesses: what was guessed, one line each.
    """

    evolving: tuple[Placed, ...]
    constant: tuple[Placed, ...]
    is_sure: bool
    guesses: tuple[str, ...]


def choose(
    path: Path,
    contents: Contents,
    roles: Roles,
    lines: Lines,
    options: ReadOptions,
) -> Choice:
    """Return the fields of a file as options, names and shapes tell them.

    Raises:
        UnusableFileError: it is not clear; the error names the arrays, and every option to give.
    """
    said = named_arrays(path, contents, "dataset.key", options.key)
    said_inputs = named_arrays(path, contents, "dataset.input_key", options.input_key)
    fields = [s for s in roles.fields.values() if s not in said and s not in said_inputs]
    outputs, inputs = choose_fields(fields)
    if not outputs and not said:
        outputs, inputs = inputs, []  # they are inputs of nothing else
    outputs, inputs = said or outputs, said_inputs or inputs
    if not outputs:
        raise _no_field(path, contents)
    main = next((s for s in outputs if said or is_known_output(s.name)), outputs[0])
    readings = _readings(path, main, inputs, bool(said_inputs), lines, contents, options)
    by_shape, readings = readings, told_by_values(main, readings)
    axes = decided(readings, by_matlab=contents.by_matlab)
    if axes is None:
        readings = readings or usual_axes(main.shape, by_matlab=contents.by_matlab)
        raise _unclear(path, contents, _missing(outputs, main, readings, inputs, options))
    evolving = [
        placed for s in outputs if (placed := beside(s, main, axes, is_static=False)) is not None
    ]
    if len(evolving) < len(outputs) and (said or not is_known_output(main.name)):
        raise _unclear(path, contents, [f"{_SAY_KEY}, on one grid", _SAY_INPUT])
    constant = [
        placed
        for s in inputs
        if said_inputs or "time" not in axes or is_medium(s.name)
        if (placed := beside(s, main, axes, is_static=True)) is not None
    ]
    if said_inputs and len(constant) < len(inputs):
        raise _unclear(path, contents, [f"{_SAY_INPUT}, on the grid of the output"])
    guesses = []
    if options.axes is None:
        seen = "shape" if by_shape == readings else "values and the shape"
        reason = (
            "as the file names them" if labelled_axes(main) else f"from the {seen} {main.shape}"
        )
        guesses.append(f"axes: {', '.join(axes)} {reason}; dataset.axes=[...]")
    used = [placed.stored.name for placed in (*evolving, *constant)]
    unused = any(s.name not in used for s in fields)
    guesses += _told(None if said else evolving, None if said_inputs else constant, unused)
    return Choice(tuple(evolving), tuple(constant), options.axes is not None, tuple(guesses))


def _told(
    evolving: Sequence[Placed] | None, constant: Sequence[Placed] | None, unused: bool
) -> list[str]:
    """Return what was guessed of the roles of fields; None for what the user said.

    Args:
        evolving: fields to predict.
        constant: static inputs.
        unused: whether there are others.
    """
    guesses = []
    if evolving is not None and (constant or unused or len(evolving) > 1):
        guesses.append(f"field to predict: {_names(evolving)}; dataset.key=NAME")
    if constant is not None and (constant or unused):
        guesses.append(f"static input: {_names(constant)}; dataset.input_key=NAME")
    return guesses


def _names(arrays: Sequence[Placed]) -> str:
    return ",".join(printable(placed.stored.name) for placed in arrays) or "none"


def _readings(
    path: Path,
    main: Stored,
    inputs: Sequence[Stored],
    are_said: bool,
    lines: Lines,
    contents: Contents,
    options: ReadOptions,
) -> list[tuple[str, ...]]:
    """Return the orders that the axes of the main field may have, by all that is known."""
    if options.axes is not None:
        return [_said_axes(path, main, options.axes)]
    if labels := labelled_axes(main):
        return [labels]
    for lengths in (lines.lengths, {}):
        for given in (inputs, *(() if are_said or not inputs else ((),))):
            possible = [
                axes
                for steady in ((True, False) if given else (False,))
                for axes in possible_axes(
                    main.shape, lengths, by_matlab=contents.by_matlab, steady=steady
                )
                if not given or any(_suits(s, main, axes) for s in given)
            ]
            if possible:
                return credible_axes(possible, main.shape, lengths)
    return []


def beside(stored: Stored, main: Stored, axes: Sequence[str], *, is_static: bool) -> Placed | None:
    """Return an array on the grid of the main one with its axes, None if it does not fit."""
    sizes = dict(zip(axes, main.shape, strict=True))
    if not is_static and stored.shape == main.shape:
        return Placed(stored, tuple(axes))
    reference = [axis for axis in axes if axis != "channel" and not (is_static and axis == "time")]
    found = fitted_axes(stored.shape, reference, sizes)
    if found is None or not (is_static or set(reference) <= set(found)):
        return None
    return Placed(stored, found)


def _suits(stored: Stored, main: Stored, axes: Sequence[str]) -> bool:
    """Return whether an array may be an input of the main one, if that has these axes."""
    placed = beside(stored, main, axes, is_static=True)
    if placed is None or placed.length("channel") > FEW_CHANNELS:
        return False
    return "time" in axes or "trajectory" in placed.axes


def _missing(
    outputs: Sequence[Stored],
    main: Stored,
    readings: Sequence[tuple[str, ...]],
    inputs: Sequence[Stored],
    options: ReadOptions,
) -> list[str]:
    """Return what a user has to say where the order of axes is not clear.

    Args:
        outputs: fields to predict.
        main: the first of them.
        readings: orders that its axes may have.
        inputs: static ones.
        options: what is said already.
    """
    ways = [_as_said(axes, main, options) for axes in readings[:_MOST_READINGS]]
    what = [] if len(outputs) == 1 else [_SAY_KEY]
    what.append(
        f"the order of the axes of {main.described}: {_SAY_AXES}"
        f"{', such as ' * bool(ways)}{' or '.join(ways)}"
    )
    return what if inputs else [*what, _SAY_INPUT]


def _as_said(axes: Sequence[str], main: Stored, options: ReadOptions) -> str:
    """Return the words that say an order of axes, and what a file is then."""
    words, sizes = f"dataset.axes=[{','.join(axes)}]", dict(zip(axes, main.shape, strict=True))
    n, n_times = sizes.get("trajectory", 1), sizes.get("time", 1)
    window = likely_window(n, n_times)
    frames = "" if n_times == 1 else f" of {n_times} frames"
    if n > 1 or window is None or options.window:
        return f"{words} ({n} {'trajectory' if n == 1 else 'trajectories'}{frames})"
    return f"{words} dataset.window={window} (one trajectory{frames}, cut into pieces of {window})"


def _said_axes(path: Path, main: Stored, axes: Sequence[str]) -> tuple[str, ...]:
    """Return the axes that the user says.

    Raises:
        UnusableFileError: they are not those of an array of this shape.
    """
    space = [axis for axis in axes if axis in SPACE]
    if (
        len(axes) != len(main.shape)
        or len(set(axes)) < len(axes)
        or not set(axes) <= set(AXES)
        or set(space) != set(SPACE[: len(space)])
        or not space
    ):
        raise UnusableFileError(
            f"{path}: dataset.axes must name each of the {len(main.shape)} axes of "
            f"{main.described} once, of {', '.join(AXES)}, x before y and y before z if there are "
            f"fewer than three of space; got [{', '.join(map(str, axes))}]"
        )
    return tuple(axes)


def named_arrays(path: Path, contents: Contents, option: str, key: str | None) -> list[Stored]:
    """Return the arrays that an option names, several with commas between them.

    Raises:
        UnusableFileError: there is no such array, or it does not hold real numbers.
    """
    names = [] if key is None else names_of(contents, key)
    return [named_array(path, contents, option, name) for name in names]


def names_of(contents: Contents, key: str) -> list[str]:
    """Return the names of arrays in a text that has commas between them, and in some of them."""
    ends = {name.rpartition("/")[2] for name in contents.arrays}
    return named_in(key, {*contents.arrays, *ends})


def named_array(path: Path, contents: Contents, option: str, name: str) -> Stored:
    """Return the array that an option names; errors as `named_arrays`."""
    arrays, asked = contents.arrays, name if name in contents.arrays else name.strip()
    same = [s for full, s in arrays.items() if asked in (full, full.rpartition("/")[2])]
    if len(same) != 1 and asked not in arrays:
        lines = option not in ("dataset.key", "dataset.input_key")
        examples = (
            full
            for full, stored in arrays.items()
            if full and stored.is_real and (len(stored.shape) < 2) == lines
        )
        example = next(examples, None)
        raise UnusableFileError(
            f"{path} ({contents.layout}) has {len(same) or 'no'} arrays {printable(asked)}; it "
            f"holds {_holdings(contents)}"
            f"{'' if example is None else f'; name one as in {typed(option, example)}'}"
        )
    stored = arrays.get(asked, same[0])
    if stored.defect:
        raise UnusableFileError(stored.defect)
    if not stored.is_real:
        raise UnusableFileError(f"{path}: {stored.described} holds no real numbers; {_PARTS}")
    return stored


def _holdings(contents: Contents) -> str:
    return listed(stored.described for stored in contents.arrays.values()) or "nothing"


def _no_field(path: Path, contents: Contents) -> UnusableFileError:
    arrays = contents.arrays.values()
    defect = next((stored.defect for stored in arrays if stored.defect), "")
    all_real = all(stored.is_real for stored in arrays)
    return UnusableFileError(
        f"{path} ({contents.layout}) holds no field of real numbers, but {_holdings(contents)}"
        f"{f' ({defect})' if defect else f'; {_FIELD if all_real else _PARTS}'}"
    )


def _unclear(path: Path, contents: Contents, missing: Sequence[str]) -> UnusableFileError:
    apart = f". {'; '.join(contents.apart)}" if contents.apart else ""
    return UnusableFileError(
        f"{path} ({contents.layout}) holds {_holdings(contents)}{apart}. That leaves open "
        f"{'; and '.join(missing)}"
    )
