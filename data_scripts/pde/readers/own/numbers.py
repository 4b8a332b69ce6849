"""Numbers of an equation, such as a viscosity, one for each trajectory."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data_scripts.pde.readers.own.lines import read_small
from data_scripts.pde.readers.own.roles import is_parameter
from data_scripts.pde.readers.stored import Stored


def trajectory_numbers(
    path: Path, arrays: Mapping[str, Stored], attributes: Mapping[str, float], n: int
) -> dict[str, np.ndarray]:
    """Return the numbers of every trajectory by name.

    Args:
        path: of the file.
        arrays: with one number or row for each trajectory or with one for all; others are left
            away.
        attributes: numbers of the whole file; those that are none of an equation are left away.
        n: number of trajectories.
    """
    found = {
        k.rpartition("/")[2]: np.full(n, value)
        for k, value in attributes.items()
        if is_parameter(k)
    }
    for name, stored in arrays.items():
        n_values = int(np.prod(stored.shape))
        if n_values not in (1, n) and (len(stored.shape) != 2 or stored.shape[0] != n):
            continue
        values, name = read_small(path, stored), name.rpartition("/")[2]
        if n_values in (1, n):
            found[name] = np.broadcast_to(values.reshape(-1), (n,))
        else:
            found |= {f"{name}[{i}]": column for i, column in enumerate(values.T)}
    return found
