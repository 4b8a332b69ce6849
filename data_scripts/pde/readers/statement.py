"""What a file says of its equation, and the words that errors about files end with."""

from dataclasses import dataclass

LAYOUTS = (
    "The Well (t0_fields), PDEBench (tensor, or 0000/data) and MATLAB (u, a and u, or coeff and "
    "sol, classic or v7.3) layouts are known"
)
# What to do about a file that is damaged, and about one that holds something else.
AGAIN = "download or make it again"
CORRECT = "store float32 in physical units, or choose the data set that the file belongs to"
# What to do where there is too little memory.
FEWER = "lower n_train, n_valid, n_test, the grid or the number of frames"


@dataclass(frozen=True)
class Statement:
    """What a file says of its fields: by layout, attributes, coordinates and name.

    Attributes:
        problem: the data set whose equation, domain and boundary the fields obey, None where
            nothing tells.
        viscosity: of the equation in the units of that data set, None where nothing tells.
        by_name: whether the viscosity is only in the name of the file.
        doubts: what speaks against that problem, or would have to be said, one clause each.
        unit_square: whether coordinates say that every axis is of length 1.
        stretching: how much the points are refined towards the walls, None where nothing tells.
    """

    problem: str | None = None
    viscosity: float | None = None
    by_name: bool = False
    doubts: tuple[str, ...] = ()
    unit_square: bool = False
    stretching: float | None = None
