"""PDE files of another problem than the one that is asked for."""

import numpy as np
from bad_inputs import BadInput, assert_refused, table
from pde_bad_files import CELLS, LINE, TIMES, X, edited, load_burgers, load_ns, well
from pde_files import (
    GRID,
    N,
    darcy,
    flow,
    navier_stokes,
    own_burgers,
    write_darcy,
    write_groups,
    write_matlab,
    write_tensor,
    write_well,
)

from pde.config.dataset import BurgersConfig
from pde.dataset.splits import load_splits

RIGHT = {"x": CELLS, "t": TIMES, "Nu": 0.1}

PROBLEMS = (
    BadInput(
        "our equation or PDEBench's",
        load_burgers(LINE, x=X, t=TIMES, Nu=0.1),
        ("0.1 u_xx", "dataset.convention=own", "dataset.convention=pdebench"),
    ),
    BadInput(
        "a PDEBench file with the viscosity of its name",
        load_burgers(LINE, **RIGHT, called="1D_Burgers_Sols_Nu0.1.hdf5"),
        ("viscosity 0.007957747", "set dataset.viscosity=0.007957747"),
    ),
    BadInput(
        "advection by its attribute",
        load_burgers(LINE, x=CELLS, t=TIMES, beta=0.1),
        ("a.hdf5", "attribute beta tells of advection", "dataset.convention=own"),
    ),
    BadInput(
        "advection by its name",
        load_burgers(LINE, x=CELLS, t=TIMES, called="1D_Advection_Sols_beta0.1.hdf5"),
        ("its name speaks of advection",),
    ),
    BadInput(
        "reaction and diffusion",
        load_burgers(LINE, **RIGHT, rho=1.0, called="ReacDiff_Nu0.1_Rho1.0.hdf5"),
        ("attribute rho tells of reaction and diffusion", "its name speaks of reaction"),
    ),
    BadInput(
        "advection on the word that it is PDEBench's",
        load_burgers(LINE, x=CELLS, t=TIMES, beta=0.1, changes={"convention": "pdebench"}),
        ("attribute beta tells of advection",),
    ),
    BadInput(
        "ours as PDEBench's",
        load_burgers(LINE, t=TIMES, **own_burgers(), changes={"convention": "pdebench"}),
        ("its equation is u_t + u u_x = viscosity u_xx", "its domain is (0, 1)"),
    ),
    BadInput(
        "ours, of the other boundary",
        load_burgers(LINE, t=TIMES, **own_burgers("burgers_dirichlet")),
        ("it is of burgers_dirichlet",),
    ),
    BadInput(
        "an equation in words",
        load_burgers(LINE, **RIGHT, equation="u_t = u_xx"),
        ("its equation is u_t = u_xx",),
    ),
    BadInput(
        "ours on another interval",
        load_burgers(LINE, x=CELLS, t=TIMES, **own_burgers()),
        ("its x runs from -0.958333 to 0.958333",),
    ),
    BadInput(
        "an uneven grid",
        load_burgers(LINE, x=np.linspace(0, 1, 24) ** 2, t=TIMES, **own_burgers()),
        ("its x runs from 0 to 1, not evenly",),
    ),
    BadInput(
        "an interval of PDEBench of another length",
        load_burgers(LINE, x=5 * CELLS, t=TIMES, Nu=0.1, changes={"convention": "pdebench"}),
        ("x-coordinate", "from -4.79167 to 4.79167", "correct it"),
    ),
    BadInput(
        "a viscosity in words",
        load_burgers(LINE, x=CELLS, t=TIMES, Nu="small"),
        ("attribute Nu", "'small'", "correct it"),
    ),
    BadInput(
        "a file of one space dimension for two",
        lambda p: load_splits(
            darcy(write_tensor(p / "a.hdf5", LINE[:, :2], t=TIMES[:2], **own_burgers()))
        ),
        ("fields of shape (24,)", "darcy has 2 axes", "choose the data set"),
    ),
    BadInput(
        "vorticity for darcy",
        lambda p: load_splits(darcy(write_matlab(p / "a.mat", flow(n_frames=2)))),
        ("it is of navier_stokes", "not clearly of darcy"),
    ),
    BadInput(
        "darcy for vorticity",
        load_ns(
            lambda p: write_darcy(p / "a.h5", flow()[:, 0], flow()[:, 1]),
            n_input_frames=1,
            n_output_frames=1,
        ),
        ("it is of darcy", "not clearly of navier_stokes"),
    ),
    BadInput(
        "darcy without a force",
        lambda p: load_splits(darcy(write_darcy(p / "a.h5", flow()[:, 0], flow()[:, 1], beta=0.0))),
        ("attribute beta", "must not be 0"),
    ),
    BadInput(
        "darcy on another square",
        lambda p: load_splits(
            darcy(
                edited(
                    write_darcy(p / "a.h5", flow()[:, 0], flow()[:, 1]),
                    lambda f: f.create_dataset("x-coordinate", data=np.linspace(0, 2, GRID)),
                )
            )
        ),
        ("its x runs from 0 to 2",),
    ),
    BadInput(
        "a density",
        load_ns(lambda p: write_well(p / "a.h5", flow(), name="density")),
        ("its field is density, not vorticity", "dataset.convention=own"),
    ),
    BadInput(
        "another data set by its name",
        load_ns(lambda p: well(p, dataset_name="shear_flow")),
        ("its dataset_name is shear_flow",),
    ),
    BadInput(
        "walls",
        load_ns(
            lambda p: well(
                p, lambda f: f.create_group("boundary_conditions/y").attrs.update(bc_type="WALL")
            )
        ),
        ("not all of its boundaries are PERIODIC: y (WALL)",),
    ),
    BadInput(
        "a boundary that does not say its kind",
        load_ns(lambda p: well(p, lambda f: f.create_group("boundary_conditions/x_wall"))),
        ("not all of its boundaries are PERIODIC: x_wall (without bc_type)",),
    ),
    BadInput(
        "a boundary of many parts",
        load_ns(
            lambda p: well(
                p,
                lambda f: [
                    f.create_group(f"boundary_conditions/{i}").attrs.update(bc_type="WALL")
                    for i in range(100)
                ],
            )
        ),
        ("11 (WALL)", "more", "dataset.convention=own"),
    ),
    BadInput(
        "words that act on a terminal",
        load_ns(lambda p: well(p, dataset_name="flow\nerror: \x1b[31mnone")),
        ("its dataset_name is flow\\nerror: \\x1b[31mnone",),
    ),
    BadInput(
        "words without end",
        load_ns(lambda p: well(p, dataset_name="x" * 10**4)),
        ("xxx… (10000 letters",),
    ),
    BadInput(
        "parameters whose names act on a terminal",
        load_ns(lambda p: well(p, lambda f: f.create_dataset("scalars/\x1b[31m", data=1.0))),
        ("it has the parameters \\x1b[31m of another equation",),
    ),
    BadInput(
        "no field among many, with names that act on a terminal",
        load_ns(
            lambda p: well(
                p,
                lambda f: [
                    f["t0_fields"].move("vorticity", "\x1b[31m"),
                    *(f.create_group(f"t0_fields/f{i}") for i in range(100)),
                ],
            )
        ),
        ("must hold one scalar field", "\\x1b[31m, f0, f1", "and 89 more"),
    ),
    BadInput(
        "reaction and diffusion by an attribute in capitals",
        load_burgers(LINE, CELLS, TIMES, Nu=0.5, Rho=1.0),
        ("its attribute Rho tells of reaction and diffusion",),
    ),
    BadInput(
        "burgers without the initial field",
        load_burgers(LINE, CELLS, TIMES + 0.5, Nu=0.4 * np.pi, changes={"final_time": 1.5}),
        ("its times begin at t = 0.5", "store the times from 0 on", "dataset.convention"),
    ),
    BadInput(
        "burgers without times",
        load_burgers(LINE, CELLS, None, Nu=0.4 * np.pi, changes={"final_time": 3.0}),
        ("or there are none and frames count as 1, 2", "store the times from 0 on"),
    ),
    BadInput(
        "a sphere",
        load_ns(lambda p: well(p, grid_type="equiangular")),
        ("its grid_type is equiangular",),
    ),
    BadInput(
        "another equation by its parameters",
        load_ns(lambda p: well(p, lambda f: f.create_dataset("scalars/Rayleigh", data=1e6))),
        ("it has the parameters Rayleigh",),
    ),
    BadInput(
        "another forcing",
        load_ns(lambda p: well(p, forcing_amplitude=0.5)),
        ("its forcing_amplitude is 0.5, not 0.1",),
    ),
    BadInput(
        "a box of 2 pi",
        load_ns(
            lambda p: well(
                p,
                lambda f: f.create_dataset("dimensions/x", data=2 * np.pi * np.arange(GRID) / GRID),
            )
        ),
        ("its x runs from 0 to 5.75959, not evenly over a length of 1",),
    ),
    BadInput(
        "two viscosities in one file",
        load_ns(
            lambda p: well(
                p, lambda f: f.create_dataset("scalars/viscosity", data=np.logspace(-5, -3, N))
            )
        ),
        ("viscosity must be one number for all trajectories", "1e-05 to 0.001"),
    ),
    BadInput(
        "a viscosity and another one",
        load_ns(
            lambda p: well(
                p, lambda f: f.create_dataset("scalars/viscosity", data=1e-5), viscosity=1e-3
            )
        ),
        ("viscosity must be one number", "1e-05 to 0.001", "make a file for each"),
    ),
    BadInput(
        "shallow water",
        load_ns(
            lambda p: write_groups(p / "2D_rdb_NA_NA.h5", flow(), x=np.linspace(-2.5, 2.5, GRID))
        ),
        ("its name speaks of shallow water", "its x runs from -2.5 to 2.5", "what its field is"),
    ),
    BadInput(
        "a field without a name",
        load_ns(lambda p: write_groups(p / "a.h5", flow())),
        ("it does not say what its field is", "dataset.convention=own"),
    ),
    BadInput(
        "the viscosity of the name of a file",
        load_ns(lambda p: write_matlab(p / "NavierStokes_V1e-5_N1200_T20.mat", flow())),
        ("viscosity 1e-05 by its name", "set dataset.viscosity=1e-05"),
    ),
    BadInput(
        "a convention of nobody",
        lambda p: navier_stokes(p / "a.mat", convention="pdebench"),
        ("convention", "'pdebench'", "null or one of ('own',)"),
    ),
    BadInput(
        "a convention for generated data",
        lambda p: BurgersConfig(convention="own"),
        ("convention", "whose path is missing"),
    ),
)


@table(*PROBLEMS)
def test_files_of_another_problem_are_refused(case, tmp_path):
    assert_refused(case, tmp_path)
