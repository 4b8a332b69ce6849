"""From the arrays of a file to its fields: which array is what, and which axis."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data_scripts.pde.readers.fields import Channel, Fields, ReadOptions
from data_scripts.pde.readers.stored import Placed, Stored

# Python's order, by number of axes.
_ORDERS = {
    3: ("trajectory", "time", "x"),
    4: ("trajectory", "time", "x", "y"),
    5: ("trajectory", "time", "x", "y", "channel"),
    6: ("trajectory", "time", "x", "y", "z", "channel"),
}


def interpret(path: Path, layout: str, arrays: Mapping[str, Stored], options: ReadOptions) -> Fields:
    """Return the fields of a file of arrays."""
    (stored,) = arrays.values()
    axes = tuple(options.axes or _ORDERS[len(stored.shape)])
    guesses = ()
    if options.axes is None:
        guesses = (f"axes: {','.join(axes)} from the shape {stored.shape}; dataset.axes=[...]",)
    placed = Placed(stored, axes)
    space = placed.space
    coordinates: tuple[np.ndarray | None, ...] = (None,) * len(space)
    if options.spacing is not None:
        coordinates = tuple(
            step * np.arange(placed.length(axis))
            for axis, step in zip(space, options.spacing, strict=True)
        )
    n = placed.length("channel")
    return Fields(
        path=path,
        layout=layout,
        evolving=(placed,),
        channels=tuple(Channel(f"{path.stem}[{i}]" if n > 1 else path.stem) for i in range(n)),
        times=None if options.times is None else np.asarray(options.times, dtype=np.float64),
        coordinates=coordinates,
        periodic=(None,) * len(space) if options.periodic is None else tuple(options.periodic),
        guesses=guesses,
    )
