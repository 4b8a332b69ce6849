"""Which axis of an array is which, where a file does not say.

An order of axes is written with one letter each: N trajectory, t time, c channel, x, y, z.
"""

from collections.abc import Collection, Mapping, Sequence

from data_scripts.pde.readers.stored import AXES, SPACE, Stored

_LETTERS = {"N": "trajectory", "t": "time", "c": "channel", "x": "x", "y": "y", "z": "z"}
# What is tried, by number of axes, the most usual first; an evolution has a time, a steady problem
# has none, and what MATLAB wrote mostly has its last axes where Python has its first.
_EVOLVING = {
    2: "tx",
    3: "Ntx Nxt txy",
    4: "cNtx Ntxy Ntyx Nxyt Ntxc Ntcx Nxtc",
    5: "cNtxy Ntxyc Ntcxy Ntyxc Ntcyx Ntxyz Ntzyx Nxyzt Nxytc",
    6: "Ntxyzc Ntcxyz Ntzyxc Ntczyx Nxyztc",
}
_EVOLVING_MATLAB = {
    2: "tx xt",
    3: "Nxt Ntx xtN txy xyt",
    4: "Nxyt Ntxy xytN Nxtc Ntxc",
    5: "Nxyzt Nxytc Ntxyc Ntxyz xyztN",
    6: "Nxyztc Ntxyzc",
}
_STEADY = {
    2: "Nx",
    3: "Nxy Nyx Ncx Nxc",
    4: "Ncxy Nxyc Ncyx Nyxc Nxyz Nzyx",
    5: "Ncxyz Nxyzc Nczyx Nzyxc",
}
_STEADY_MATLAB = {2: "Nx xN", 3: "Nxy xyN Nxc", 4: "Nxyc Nxyz xyzN", 5: "Nxyzc"}
# Names that files have for axes.
_LABELS = {
    "trajectory": "trajectory trajectories sample samples batch member ensemble realization run n",
    "time": "time times t nt timestep step frame frames",
    "channel": "channel channels component components variable feature field c",
    "x": "x nx lon longitude xcoordinate",
    "y": "y ny lat latitude ycoordinate",
    "z": "z nz lev level height depth zcoordinate",
}
_BY_LABEL = {label: axis for axis, labels in _LABELS.items() for label in labels.split()}
# Most components of a field, and how much longer than a few points the other axes of a grid are.
FEW_CHANNELS, _TIMES_LONGER = 8, 3


def labelled_axes(stored: Stored) -> tuple[str, ...] | None:
    """Return the axes that the file itself names, None where it does not name all of a field."""
    axes = tuple(
        _BY_LABEL.get(label.lower().replace("-", "").replace("_", ""), "")
        for label in stored.labels
    )
    space = {axis for axis in axes if axis in SPACE}
    is_all = space and space == set(SPACE[: len(space)]) and len(set(axes)) == len(axes)
    return axes if is_all and "" not in axes else None


def possible_axes(
    shape: Sequence[int],
    lengths: Mapping[str, Collection[int]],
    *,
    by_matlab: bool,
    steady: bool,
) -> list[tuple[str, ...]]:
    """Return the orders of axes that a shape and coordinates allow, the most usual first.

    Args:
        shape: of the array.
        lengths: that an axis may have, for axes whose coordinates are known.
        by_matlab: whether the file is one of MATLAB.
        steady: whether the field has no time.
    """
    if steady:
        words = (_STEADY_MATLAB if by_matlab else _STEADY).get(len(shape), "")
        readings = [_spelt_out(word) for word in words.split()]
    else:
        readings = _evolving(len(shape), by_matlab)
    return [axes for axes in readings if _allows(_lengths(axes, shape), lengths)]


def usual_axes(shape: Sequence[int], *, by_matlab: bool) -> list[tuple[str, ...]]:
    """Return the orders of axes that evolutions have, though nothing speaks for one of them."""
    readings = _evolving(len(shape), by_matlab)
    return [axes for axes in readings if _is_field(_lengths(axes, shape))]


def _evolving(n_axes: int, by_matlab: bool) -> list[tuple[str, ...]]:
    words = (_EVOLVING_MATLAB if by_matlab else _EVOLVING).get(n_axes, "")
    return [_spelt_out(word) for word in words.split()]


def _spelt_out(word: str) -> tuple[str, ...]:
    return tuple(_LETTERS[letter] for letter in word)


def credible_axes(
    readings: Sequence[tuple[str, ...]],
    shape: Sequence[int],
    lengths: Mapping[str, Collection[int]],
) -> list[tuple[str, ...]]:
    """Return those of several orders of axes that nothing speaks against, in their order.

    Fields have few channels and many points along every axis of space. Axes of space have
    coordinates, all or none; x comes before y unless these say otherwise. Grids are square rather
    than not, and where two axes agree they are those of space.
    """
    left = list(readings)
    known = [axis for axis in SPACE if axis in lengths]
    for speaks_for in (
        _has_few_channels,
        lambda found: "time" in found or "time" not in lengths,
        lambda found: not known or _space(found) == set(known),
        lambda found: (order := [axis for axis in found if axis in SPACE]) == sorted(order),
    ):
        left = [axes for axes in left if speaks_for(_lengths(axes, shape))] or left
    plane = [axes for axes in left if len(set(axes) & set(SPACE)) > 1]
    square = [axes for axes in plane if _is_square(_lengths(axes, shape))]
    if any("trajectory" in axes for axes in square):
        # what other axis is the trajectory, if any, is another question
        return [axes for axes in left if axes in square or axes[0] in ("channel", "time")]
    return [axes for axes in left if axes in square or axes not in plane] or left


def decided(readings: Sequence[tuple[str, ...]], *, by_matlab: bool) -> tuple[str, ...] | None:
    """Return the first of several credible orders; None where another one would be as good.

    That is so where they differ in what is a trajectory or in whether there is a time, and of
    MATLAB's files, which have no usual order, wherever there are several with a time.
    """
    if not readings:
        return None
    first, *others = readings
    for axes in others:
        if ("time" in axes) != ("time" in first) or (by_matlab and "time" in first):
            return None
        if _place("trajectory", axes) != _place("trajectory", first):
            return None
    return first


def fitted_axes(
    shape: Sequence[int], reference: Sequence[str], sizes: Mapping[str, int]
) -> tuple[str, ...] | None:
    """Return the axes of an array that lies on the grid of another one, None where it does not.

    It may lack the axis of trajectories, being the same for all, and have one of channels.

    Args:
        shape: of the array.
        reference: axes of the other one, the channel left away.
        sizes: length of each of these.
    """
    space = [axis for axis in reference if axis in SPACE]
    others = [axis for axis in AXES[:2] if axis in reference]
    for base in (list(reference), [*others, *space], [a for a in reference if a != "trajectory"]):
        wanted = [sizes[axis] for axis in base]
        if list(shape) == wanted:
            return tuple(base)
        for place in (len(base), *range(len(base))):
            if len(shape) == len(base) + 1 and [*shape[:place], *shape[place + 1 :]] == wanted:
                return (*base[:place], "channel", *base[place:])
    return None


def _place(axis: str, axes: tuple[str, ...]) -> int | None:
    return axes.index(axis) if axis in axes else None


def _lengths(axes: Sequence[str], shape: Sequence[int]) -> dict[str, int]:
    return dict(zip(axes, shape, strict=True))


def _space(found: Mapping[str, int]) -> set[str]:
    return set(found) & set(SPACE)


def _is_square(found: Mapping[str, int]) -> bool:
    return len({found[axis] for axis in _space(found)}) == 1


def _allows(found: Mapping[str, int], lengths: Mapping[str, Collection[int]]) -> bool:
    """Return whether an order agrees with coordinates, and is one of a field at all."""
    space = _space(found)
    if any(axis in SPACE and axis not in found for axis in lengths):
        return False
    if any(found[axis] not in allowed for axis, allowed in lengths.items() if axis in found):
        return False
    if not _is_field(found):
        return False
    is_alone = len(space) > 1 and _is_square(found)  # a single trajectory without an axis for it
    return "trajectory" in found or is_alone or {"time", *space} <= set(lengths)


def _is_field(found: Mapping[str, int]) -> bool:
    """Return whether axes may be those of a field: with several frames and points."""
    if found.get("time") == 1 or 1 in {found[axis] for axis in _space(found)}:
        return False
    return next(iter(found)) != "channel" or found["channel"] == 1


def _has_few_channels(found: Mapping[str, int]) -> bool:
    grid = [found[axis] for axis in _space(found)]
    if "channel" in found:
        return found["channel"] <= FEW_CHANNELS and min(grid) > found["channel"]
    return min(grid) > FEW_CHANNELS or max(grid) < _TIMES_LONGER * min(grid)
