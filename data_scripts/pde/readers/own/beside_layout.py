"""Arrays beside those of a known layout: what a user may say to have them used."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import h5py

from data_scripts import hdf5
from data_scripts.pde.readers.fields import Fields, ReadOptions
from data_scripts.pde.readers.formats.hdf5_files import hdf5_contents
from data_scripts.pde.readers.own.choice import beside
from data_scripts.pde.readers.own.finish import finished
from data_scripts.pde.readers.own.interpret import interpret
from data_scripts.pde.readers.own.numbered import family_of, stack_numbered
from data_scripts.pde.readers.own.numbers import trajectory_numbers
from data_scripts.pde.readers.own.roles import is_parameter, line_length, sort_arrays
from data_scripts.pde.readers.stored import Contents, Stored
from data_scripts.unusable import UnusableFileError
from monarch_core.runs.printable import printable
from monarch_core.runs.typed import typed

# Names that the layouts read: of PDEBench's groups, and of The Well.
_KNOWN = re.compile(
    r"\d+/(data|grid/[txyz])|(t[012]_fields|dimensions|boundary_conditions)/.*", re.DOTALL
)


def with_unused(path: Path, file: h5py.File, fields: Fields) -> Fields:
    """Return fields that name all further arrays of their file, and the options that use them.

    Every option has been tried: the file can be read with it, as one of no layout, and the array is
    used then.

    Args:
        path: of the file.
        file: the same, open.
        fields: as its layout, PDEBench's groups or The Well, has them.
    """
    if all(map(_KNOWN.fullmatch, hdf5.walk(file))):
        return fields
    contents = stack_numbered(hdf5_contents(path, file))
    lines = zip((*fields.axis_names, "t"), (*fields.coordinates, fields.times), strict=True)
    used = {placed.stored.name for placed in fields.evolving} | {*fields.unused}
    used |= {name for name, line in lines if line is not None}  # of groups, joined
    others = {
        name: stored
        for name, stored in contents.arrays.items()
        if name not in used and not _KNOWN.fullmatch(name)
    }
    roles = sort_arrays(others.values(), set())
    found = trajectory_numbers(path, roles.numbers, {}, fields.shape[0])
    new = [name for name in found if name not in fields.numbers and is_parameter(name)]
    fields = replace(
        fields,
        numbers={**found, **fields.numbers},
        parameters=(*fields.parameters, *new),
    )
    hints: dict[str, str] = {}
    for family in dict.fromkeys(map(family_of, others)):
        first, *more = (stored for name, stored in others.items() if family_of(name) == family)
        like_it = f"; so are {len(more)} more, {printable(family)}" if more else ""
        hints[first.name] = f"{first.shape}: {_hint(path, contents, first, fields)}{like_it}"
    return replace(fields, unused={**fields.unused, **hints})


def _hint(path: Path, contents: Contents, stored: Stored, fields: Fields) -> str:
    if not stored.is_real:
        return "cannot be read" if stored.defect else "holds no real numbers"
    if not stored.shape or line_length(stored.shape) == 1:
        return "one number, the same for all trajectories"
    ways = [
        f"{' '.join(typed(f'dataset.{key}', value) for key, value in said.items())} {purpose}"
        for said, purpose in _candidates(stored, fields)
        if _is_used(path, contents, stored, said)
    ]
    return ", ".join(ways) or "fits neither the field, nor trajectories, frames or points"


def _candidates(
    stored: Stored, fields: Fields
) -> Iterator[tuple[dict[str, str | Sequence[str]], str]]:
    """Yield what may be said to have an array used, and what it is then."""
    main = fields.evolving[0]
    key = ",".join(placed.stored.name for placed in fields.evolving)
    inputs = [placed.stored.name for placed in fields.constant if placed.stored.name]
    same: dict[str, str | Sequence[str]] = {"key": key, "axes": main.axes}
    placed = beside(stored, main.stored, main.axes, is_static=False)
    if placed is not None:
        yield {"key": f"{key},{stored.name}", "axes": main.axes}, "to predict it, too"
        yield {"key": stored.name, "axes": placed.axes}, "to predict it alone"
    elif beside(stored, main.stored, main.axes, is_static=True) is not None:
        yield {**same, "input_key": ",".join([*inputs, stored.name])}, "as an input"
    n = line_length(stored.shape)
    if n == main.length("time") and fields.times is None:
        yield {**same, "times_key": stored.name}, "if these are the times of the frames"
    for axis, points in zip(fields.axis_names, fields.coordinates, strict=True):
        if n == main.length(axis) and points is None:
            yield {**same, f"{axis}_key": stored.name}, f"if these are the points along {axis}"
    if n == fields.shape[0] > 1:
        number = [stored.name.rpartition("/")[2]]
        yield {"parameters": number}, "if it is a number of each trajectory"


def _is_used(
    path: Path, contents: Contents, stored: Stored, said: Mapping[str, str | Sequence[str]]
) -> bool:
    if "key" not in said:
        return True  # as a number of trajectories, beside the layout
    lines = {key[0]: value for key, value in said.items() if key in ("x_key", "y_key", "z_key")}
    others = {key: value for key, value in said.items() if key[:2] not in ("x_", "y_", "z_")}
    options = ReadOptions(**others, point_keys=lines)  # type: ignore[arg-type]
    try:
        fields = finished(interpret(path, contents, options), options)
    except UnusableFileError:
        return False
    return stored.name not in fields.unused
