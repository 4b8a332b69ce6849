"""PDE files whose axes are in another order, and files and trajectories that do not agree."""

import numpy as np
from bad_inputs import BadInput, assert_refused, table
from pde_bad_files import CELLS, LINE, TIMES, edited, in_splits, load_burgers, load_ns, mat
from pde_files import GRID, burgers, flow, write_groups, write_matlab, write_well

from pde.dataset.splits import load_splits

FINE = flow(grid=(64,))


def in_folder(folder, *files):
    """Put files of The Well, each of some fields and attributes, into one folder."""
    for i, (u, options) in enumerate(files):
        write_well(folder / "all" / f"{i}.h5", u, **options)
    return folder / "all"


PROBLEMS = (
    BadInput(
        "as many coordinates as frames",
        load_burgers(LINE.transpose(0, 2, 1), x=CELLS, t=TIMES, Nu=0.1),
        ("x-coordinate has shape (24,)", "6 points", "order of the axes"),
    ),
    BadInput(
        "trajectories on different points",
        load_ns(
            lambda p: edited(
                write_groups(p / "a.h5", flow(), x=(np.arange(GRID) + 0.5) / GRID),
                lambda f: f["0003/grid/x"].write_direct(np.arange(float(GRID))),
            ),
            convention="own",
        ),
        ("the coordinates of /0003 differ from those of /0000", "make a file for each"),
    ),
    BadInput(
        "files of two viscosities in one folder",
        load_ns(
            lambda p: in_folder(p, (flow(), {"viscosity": 1e-3}), (flow(), {"viscosity": 1e-5}))
        ),
        ("must agree in viscosity", "0.001", "1e-05", "folders of their own"),
    ),
    BadInput(
        "files of two step lengths in one folder",
        load_ns(lambda p: in_folder(p, (flow(), {}), (flow(seed=1), {"times": 1 + TIMES}))),
        ("must agree in their times", "0.5 to 3", "1 to 6"),
    ),
    BadInput(
        "files of two grids in one folder",
        load_ns(lambda p: in_folder(p, (flow(), {}), (flow(grid=(6, 6)), {}))),
        ("must agree in frames and grid", "(6, 12, 12)", "(6, 6, 6)"),
    ),
    BadInput(
        "a viscosity that only one file of a folder states",
        load_ns(lambda p: in_folder(p, (flow(), {"viscosity": 1e-3}), (flow(seed=1), {}))),
        ("must agree in viscosity", "None"),
    ),
    BadInput(
        "splits of other times",
        load_ns(
            lambda p: in_splits(
                p,
                train=(flow(), {}),
                valid=(flow(seed=1), {}),
                test=(flow(seed=2), {"times": 1 + TIMES}),
            )
        ),
        ("all splits must have frames at the same times", "1 to 6"),
    ),
    BadInput(
        "a test split of another viscosity",
        load_ns(
            lambda p: in_splits(
                p,
                train=(flow(), {"viscosity": 1e-3}),
                valid=(flow(seed=1), {"viscosity": 1e-3}),
                test=(flow(seed=2), {"viscosity": 1e-4}),
            )
        ),
        ("data/test", "viscosity 0.0001", "set dataset.viscosity=0.0001"),
    ),
    BadInput(
        "points that are no squares",
        load_ns(lambda p: write_matlab(p / "a.mat", flow(grid=(GRID, 2 * GRID)))),
        ("fields of shape (12, 24)", "dataset.convention=own if both axes are of length 1"),
    ),
    BadInput(
        "Python's order of axes by its shape",
        load_ns(mat(u=flow(n_frames=10))),
        ("its u has shape (8, 10, 12, 12)", "store u.transpose(0, 2, 3, 1)"),
    ),
    BadInput(
        "Python's order of axes by its values",
        load_ns(mat(u=flow(n_frames=GRID))),
        ("closes periodically along its last axis", "store u.transpose(0, 2, 3, 1)"),
    ),
    BadInput(
        "space before samples",
        lambda p: load_splits(burgers(mat(a=FINE[:, 0].T, u=FINE[:, 1].T)(p), grid=8)),
        ("changes less from row to row", "store a.T and u.T"),
    ),
)


@table(*PROBLEMS)
def test_axes_and_files_that_do_not_agree_are_refused(case, tmp_path):
    assert_refused(case, tmp_path)
