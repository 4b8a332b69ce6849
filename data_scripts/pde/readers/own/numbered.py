"""Files with a group, or a tensor of a list, for every trajectory: run_0/u, run_1/u and so on."""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from data_scripts.pde.readers.own.roles import is_coordinate
from data_scripts.pde.readers.stored import Contents, Stored, stacked
from monarch_core.runs.printable import listed

_NUMBER = re.compile(r"\d+")


def stack_numbered(contents: Contents) -> Contents:
    """Return arrays of one shape whose groups differ in numbers as one array, trajectories first.

    Coordinates that are the same for all stay as they are.
    """
    families: dict[str, list[Stored]] = {}
    for name, stored in contents.arrays.items():
        families.setdefault(family_of(name), []).append(stored)
    arrays: dict[str, Stored] = {}
    apart: list[str] = []
    for family, members in families.items():
        shapes = {stored.shape for stored in members}
        if len(members) == 1 or len(shapes) > 1 or any(stored.defect for stored in members):
            arrays |= {stored.name: stored for stored in members}
            if len(shapes) > 1:
                apart.append(
                    f"{family} differ in shape, {listed(map(str, sorted(shapes)))}, and only those "
                    "of one shape are joined as trajectories: cut them to one length"
                )
            continue
        name = family.rpartition("/")[2].replace("#", "")
        members = sorted(members, key=lambda stored: _numbers(stored.name))
        alike = is_coordinate(name) and _are_equal(members)
        arrays[name] = replace(members[0], name=name) if alike else stacked(name, members)
    return replace(contents, arrays=arrays, apart=tuple(apart))


def family_of(name: str) -> str:
    """Return a name with # for the numbers of its groups, or for the name if it is a number."""
    group, slash, last = name.rpartition("/")
    return _NUMBER.sub("#", group) + slash + ("#" if _NUMBER.fullmatch(last) else last)


def _numbers(name: str) -> list[int]:
    return [int(number) for number in _NUMBER.findall(name)]


def _are_equal(members: Sequence[Stored]) -> bool:
    first = members[0].read()
    return all(np.array_equal(stored.read(), first) for stored in members[1:])
