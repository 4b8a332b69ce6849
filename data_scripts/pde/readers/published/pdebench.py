"""The layouts of PDEBench (Takamoto et al. 2022, arXiv:2210.07182).

Our files of lines have this layout. Those of Burgers have another convention: PDEBench's obey

    u_t + u u_x = (Nu / pi) u_xx    on an interval of length L, which is (-1, 1)            (1)

With x' = (x - x_0) / L and v = u / L this is the equation of the data set here,

    v_t + v v_x' = nu v_x'x'        on (0, 1), with nu = Nu / (pi L^2)                      (2)

Files that are written here say so by their attributes; any other is read by (1) where it has L = 2
and the one parameter Nu, and is doubtful otherwise.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from data_scripts import hdf5
from data_scripts.pde.conventions import BURGERS, EQUATIONS, PDEBENCH, STRETCHED, STRETCHING
from data_scripts.pde.pdebench_format import COEFFICIENT, FORCE, TENSOR
from data_scripts.pde.readers.axes import field, off_stretched, off_unit, spans, unit_axes
from data_scripts.pde.readers.fields import Fields, ReadOptions
from data_scripts.pde.readers.formats.hdf5_files import hdf5_contents
from data_scripts.pde.readers.groups import group_fields
from data_scripts.pde.readers.names import other_equation, viscosity_in_name
from data_scripts.pde.readers.own.interpret import interpret
from data_scripts.pde.readers.statement import Statement
from data_scripts.unusable import UnusableFileError

# Parameters by which PDEBench's other equations are known.
_OTHERS = {"beta": "advection", "rho": "reaction and diffusion", "eta": "compressible flow"}


def open_pdebench_tensor(path: Path, file: h5py.File, convention: str | None) -> Fields:
    """Return a file with `tensor`: trajectories in one dimension, or Darcy flow.

    Args:
        path: of the file.
        file: the same, open.
        convention: "own" reads a Burgers file by (2), "pdebench" by (1), None by what it shows.

    Raises:
        ValueError: the axes are not those of such a file.
    """
    if COEFFICIENT in file:
        return _open_darcy(path, file)
    shape = field(file, TENSOR).shape
    if len(shape) != 3:
        raise UnusableFileError(
            f"{path}: tensor must have axes (trajectory, time, x), got shape {shape}; only the "
            "one-dimensional PDEBench files have such a tensor"
        )
    options = ReadOptions(key=TENSOR, axes=("trajectory", "time", "x"))
    fields = _without_constants(interpret(path, hdf5_contents(path, file), options))
    states, length = _read_line(path, file, fields.known_coordinates, convention)
    evolving = tuple(replace(placed, divisor=length) for placed in fields.evolving)
    return replace(fields, layout="PDEBench 1-D", evolving=evolving, statement=states)


def _without_constants(fields: Fields) -> Fields:
    return replace(fields, constant=(), constants=())


def _read_line(
    path: Path, file: h5py.File, points: Mapping[str, np.ndarray], convention: str | None
) -> tuple[Statement, float]:
    """Return what a file says in units of (2), and the length by which its fields are divided."""
    said = {key: hdf5.text(file, key) for key in BURGERS}
    is_ours = said in EQUATIONS.values()
    nu = hdf5.number(file, "viscosity" if is_ours else "Nu")
    if is_ours and convention != PDEBENCH:
        name = hdf5.text(file, "name") or "burgers"
        stretching = hdf5.number(file, STRETCHING)
        misplaced = off_stretched(points, stretching) if name == STRETCHED else off_unit(points)
        return Statement(name, nu, doubts=misplaced, stretching=stretching), 1.0
    doubts = [
        f"its attribute {key} tells of {equation}"
        for key in file.attrs
        if (equation := _OTHERS.get(key.lower()))
    ]
    doubts += other_equation(path)
    doubts += [f"its {key} is {value}" for key, value in said.items() if value is not None]
    nu = viscosity_in_name(path) if nu is None else nu
    x = points.get("x")
    pdebench = x is not None and spans(x, 2) and abs(x[0] + x[-1]) < 1e-2
    if convention == PDEBENCH or (convention is None and pdebench and nu is not None):
        length = _length(path, x)
        viscosity = None if nu is None else nu / (math.pi * length**2)
        return Statement("burgers", viscosity, doubts=tuple(doubts)), length
    doubts.append(
        f"it does not say whether its equation is u_t + u u_x = {_diffusion(nu)} u_xx on (0, 1) "
        "(dataset.convention=own) or, as in PDEBench, with that divided by pi on (-1, 1) "
        "(dataset.convention=pdebench)"
    )
    return Statement("burgers", nu, doubts=tuple(doubts)), 1.0


def _diffusion(nu: float | None) -> str:
    return "nu" if nu is None else f"{nu:g}"


def _length(path: Path, x: np.ndarray | None) -> float:
    """Return the length of PDEBench's periodic interval, from the centres of its cells."""
    if x is None:
        return 2.0
    for length in (1.0, 2.0):
        if spans(x, length):
            return length
    raise UnusableFileError(
        f"{path}: x-coordinate must run over a length of 1 or 2 in even steps, got {len(x)} "
        f"points from {x[0]:g} to {x[-1]:g}; correct it"
    )


def _open_darcy(path: Path, file: h5py.File) -> Fields:
    """Return coefficient and solution for a force of 1: the equation is linear in beta."""
    coefficient, solution = field(file, COEFFICIENT, integers=True), field(file, TENSOR)
    n, *grid = coefficient.shape
    if len(grid) != 2 or solution.shape != (n, 1, *grid):
        raise UnusableFileError(
            f"{path}: nu must have axes (sample, x, y) and tensor (sample, 1, x, y), got shapes "
            f"{coefficient.shape} and {solution.shape}"
        )
    beta = hdf5.number(file, FORCE)
    force = 1.0 if beta is None else beta
    if force == 0:
        raise UnusableFileError(
            f"{path}: attribute beta is the force on the right-hand side and must not be 0; "
            "correct it"
        )
    options = ReadOptions(
        key=TENSOR, input_key=COEFFICIENT, axes=("trajectory", "channel", "x", "y")
    )
    fields = interpret(path, hdf5_contents(path, file), options)
    misplaced, unit_square = unit_axes(fields.known_coordinates, len(grid))
    doubts = (*misplaced, *other_equation(path))
    return replace(
        fields,
        layout="PDEBench Darcy",
        evolving=tuple(replace(placed, divisor=force) for placed in fields.evolving),
        statement=Statement("darcy", doubts=doubts, unit_square=unit_square),
    )


def open_pdebench_groups(path: Path, file: h5py.File, groups: list[str]) -> Fields:
    """Return a file with one group per trajectory in two dimensions, next to nothing being known.

    Raises:
        ValueError: the trajectories differ in shape, times or points, or hold more than one
            channel.
    """
    fields = group_fields(path, file, groups)
    if len(fields.axis_names) != 2 or len(fields.channels) != 1:
        shape = field(file, f"{groups[0]}/data").shape
        raise UnusableFileError(
            f"{path}: {groups[0]}/data must have axes (time, x, y, channel) with one channel, got "
            f"shape {shape}"
        )
    misplaced, unit_square = unit_axes(fields.known_coordinates, 2)
    statement = Statement(
        viscosity=viscosity_in_name(path),
        by_name=True,
        doubts=(*other_equation(path), *misplaced, "it does not say what its field is"),
        unit_square=unit_square,
    )
    return replace(fields, layout="PDEBench 2-D", statement=statement)
