"""PDE files that are not what they have to be, and generators that are asked for too much."""

import io

import h5py
import numpy as np
import scipy.io
from bad_inputs import BadInput, assert_refused, table
from pde_files import (
    GRID,
    N,
    burgers,
    darcy,
    flow,
    navier_stokes,
    own_burgers,
    write_darcy,
    write_groups,
    write_matlab,
    write_matlab_hdf5,
    write_reversed,
    write_tensor,
    write_well,
)
from rich.console import Console

from data_scripts import burgers as burgers_script
from data_scripts import darcy as darcy_script
from data_scripts import navier_stokes as navier_stokes_script
from monarch_core.experiment import machine
from pde.dataset import load_splits
from pde.dataset_config import BurgersConfig, DarcyConfig, NavierStokesConfig
from pde.readers import open_trajectories, read_trajectories

LINE, FINE = flow(grid=(24,)), flow(grid=(64,))
CELLS = -1 + (np.arange(24) + 0.5) / 12  # PDEBench's, on (-1, 1)
TIMES = np.arange(6.0)


def edited(path, edit):
    """Change a file of HDF5 after it was written."""
    with h5py.File(path, "a") as file:
        edit(file)
    return path


def replaced(name, make):
    """Return an edit that puts something else into the place of an array."""

    def edit(file):
        del file[name]
        make(file, name)

    return edit


def well(folder, edit=None, u=None, **attributes):
    path = write_well(folder / "a.h5", flow() if u is None else u, **attributes)
    return path if edit is None else edited(path, edit)


def with_value(value, trajectory, frame, u=None):
    """Return fields of which one frame is something else."""
    u = flow() if u is None else u
    u[trajectory, frame] = value
    return u


def with_twin(first, second):
    u = flow()
    u[second] = u[first]
    return u


def in_folder(folder, *files):
    """Put files of The Well, each of some fields and attributes, into one folder."""
    for i, (u, options) in enumerate(files):
        write_well(folder / "all" / f"{i}.h5", u, **options)
    return folder / "all"


def in_splits(folder, **splits):
    for split, (u, options) in splits.items():
        write_well(folder / "all" / "data" / split / "a.h5", u, **options)
    return folder / "all"


def load_ns(make, **changes):
    return lambda folder: load_splits(navier_stokes(make(folder), **changes))


def load_burgers(*arguments, called="a.hdf5", changes=None, **attributes):
    def act(folder):
        path = write_tensor(folder / called, *arguments, **attributes)
        load_splits(burgers(path, **(changes or {})))

    return act


def a_type(file, name):
    file[name] = np.dtype("f4")


def a_virtual_one(file, name):
    layout = h5py.VirtualLayout((N, 6, GRID, GRID), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "u", (N, 6, GRID, GRID))
    file.create_virtual_dataset(name, layout)


def a_group(file, name):
    file.create_group(name)


def one_value(file, name):
    file[name] = 3.0


def words(file, name):
    file[name] = np.full((N, 6, GRID, GRID), b"word")


def unknown_objects(file, name):
    file.create_dataset(name, (2, 3), h5py.string_dtype())


def a_link_out(file, name):
    file[name] = h5py.ExternalLink("/etc/passwd", "/u")


def a_link_to_nothing(file, name):
    file[name] = h5py.SoftLink("/nowhere")


def a_circle(file, name):
    file[name] = h5py.SoftLink(f"/{name}")


def the_bytes_of_another_file(file, name):
    file.create_dataset(name, (N, 6, 2, 2), "f4", external=[("/etc/passwd", 0, N * 6 * 16)])


def a_claim(file, name):
    file.create_dataset(name, (10**7, 50, 64, 64), "f4", chunks=(1, 1, 64, 64))


def half_of_it(file, name):
    array = file.create_dataset(name, (N, 6, GRID, GRID), "f4", chunks=(1, 6, GRID, GRID))
    array[: N // 2] = flow()[: N // 2]


def field(make):
    """Return an edit that puts something else into the place of the field, marked as one."""

    def edit(file):
        replaced("t0_fields/vorticity", make)(file)
        link = file.get("t0_fields/vorticity", getlink=True)
        if isinstance(link, h5py.HardLink):
            file["t0_fields/vorticity"].attrs.update({"sample_varying": 1, "time_varying": 1})

    return edit


def well_of(make):
    return load_ns(lambda p: well(p, field(make)))


def mat(**arrays):
    def make(folder):
        scipy.io.savemat(folder / "a.mat", arrays)
        return folder / "a.mat"

    return make


def mat_twice(folder):
    """A classic file in which `u` is there twice, with other values."""
    first, second = (io.BytesIO(), io.BytesIO())
    for target, u in ((first, flow()), (second, flow(seed=1))):
        scipy.io.savemat(target, {"u": u.transpose(0, 2, 3, 1)})
    path = folder / "a.mat"
    path.write_bytes(first.getvalue() + second.getvalue()[128:])
    return path


def mat_bomb(folder):
    """A classic file that claims more than it can hold."""
    path = write_matlab(folder / "a.mat", flow())
    content = bytearray(path.read_bytes())
    place = content.rindex(np.array([N, GRID, GRID, 6], np.int32).tobytes())
    content[place : place + 16] = np.array([10**6, 1000, 1000, 6], np.int32).tobytes()
    path.write_bytes(content)
    return path


RIGHT = {"x": CELLS, "t": TIMES, "Nu": 0.1}
X = np.arange(24) / 24

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
        "as many coordinates as frames",
        load_burgers(LINE.transpose(0, 2, 1), x=CELLS, t=TIMES, Nu=0.1),
        ("x-coordinate has shape (24,)", "6 points", "order of the axes"),
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

CONTENTS = (
    BadInput(
        "complex numbers",
        load_ns(lambda p: well(p, u=(flow() + 1j * flow(seed=1)))),
        ("a.h5", "t0_fields/vorticity is complex (complex64)", "store its real part"),
    ),
    BadInput(
        "complex numbers of MATLAB",
        load_ns(mat(u=(flow() + 1j * flow(seed=1)).transpose(0, 2, 3, 1))),
        ("complex", "a.mat"),
    ),
    BadInput(
        "whole numbers for a field",
        load_ns(lambda p: well(p, u=(100 * flow()).astype(np.int16))),
        ("has type int16", "store float32"),
    ),
    BadInput(
        "truth values for a field",
        load_ns(lambda p: well(p, u=flow() > 0)),
        ("has type bool",),
    ),
    BadInput(
        "NaN",
        load_ns(lambda p: well(p, u=with_value(np.nan, 7, 3))),
        ("NaN or infinity", "trajectory 7, frame 3 (time 2)"),
    ),
    BadInput(
        "more than float32 holds",
        load_ns(lambda p: well(p, u=with_value(1e40, 1, 2, flow().astype(float)))),
        ("values beyond float32", "trajectory 1, frame 2 (time 1.5)"),
    ),
    BadInput(
        "squares beyond float32",
        load_ns(lambda p: well(p, u=1e20 * flow())),
        ("at most", "e+20 in trajectory 0, frame 0", "change the unit"),
    ),
    BadInput(
        "squares below float32",
        load_ns(lambda p: well(p, u=1e-25 * flow())),
        ("at most", "e-25 in trajectory 0, frame 2", "change the unit"),
    ),
    *(
        BadInput(
            f"zeros in the {split} split",
            load_ns(lambda p, n=number: well(p, u=with_value(0, n, slice(None)))),
            ("zero everywhere", f"trajectory {number}, frame 2 (time 1.5)", "Remove them"),
        )
        for split, number in (("training", 2), ("validation", 5), ("test", 7))
    ),
    BadInput(
        "one frame of zeros",
        load_ns(lambda p: well(p, u=with_value(0, 6, 5))),
        ("zero everywhere", "trajectory 6, frame 5 (time 3)", "1 of 2"),
    ),
    BadInput(
        "one value everywhere but for rounding",
        load_ns(lambda p: well(p, u=1 + 1e-9 * flow().astype(float))),
        ("all inputs of the training split have the same value 1",),
    ),
    BadInput(
        "outputs that are all alike",
        load_burgers(
            np.concatenate([LINE[:, :1], 0 * LINE[:, 1:] + 2], 1), t=TIMES, **own_burgers()
        ),
        ("all outputs of the training split have the same value 2",),
    ),
    BadInput(
        "the same trajectory in two splits",
        load_ns(lambda p: well(p, u=with_twin(1, 6))),
        ("trajectory 6 of", "(test)", "trajectory 1 of", "dataset.allow_duplicates=true"),
    ),
    BadInput(
        "the training data as validation data",
        load_ns(
            lambda p: in_splits(p, train=(flow(), {}), valid=(flow(), {}), test=(flow(seed=2), {}))
        ),
        ("2 trajectories are in more than one split", "data/valid", "data/train"),
    ),
    BadInput("no trajectory", load_ns(lambda p: well(p, u=flow()[:0])), ("a.h5 is empty",)),
    BadInput(
        "no frame",
        load_burgers(LINE[:, :0], x=X, t=TIMES[:0], **own_burgers()),
        ("a.hdf5 is empty", "(8, 0, 24)"),
    ),
    *(
        BadInput(f"{name} times", load_ns(mat(u=flow().transpose(0, 2, 3, 1), t=t)), says)
        for name, t, says in (
            ("too few", TIMES[:4], ("6 frames but 4 times", "correct the times")),
            ("too many", np.arange(9.0), ("6 frames but 9 times",)),
            (
                "undefined",
                [1, 2, np.nan, 4, 5, 6],
                ("must be finite and grow, got nan for frame 2",),
            ),
            ("falling", TIMES[::-1], ("got 4 for frame 1 after 5", "correct them")),
            ("equal", [1, 2, 2, 3, 4, 5], ("got 2 for frame 2 after 2",)),
            ("uneven", [1, 2, 3, 4, 5, 9], ("evenly spaced", "4, 5, 9", "frame_spacing")),
        )
    ),
    BadInput(
        "other times in another trajectory",
        load_ns(
            lambda p: edited(
                write_groups(p / "a.h5", flow()),
                replaced("0003/grid/t", lambda f, n: f.create_dataset(n, data=TIMES)),
            )
        ),
        ("the times of 0003 differ from those of 0000",),
    ),
    BadInput(
        "more than the memory holds",
        lambda p: open_trajectories(edited(write_well(p / "a.h5", flow()), lambda f: None)).read(),
        ("8 trajectories of", "GB of memory", "lower n_train"),
    ),
)

ODD_FILES = (
    BadInput("a group for a field", well_of(a_group), ("is a group", "t0_fields/vorticity")),
    BadInput("a type for a field", well_of(a_type), ("is a type where an array",)),
    BadInput("one value for a field", well_of(one_value), ("is a single value",)),
    BadInput("words for a field", well_of(words), ("has type |S4",)),
    BadInput("strings for a field", well_of(unknown_objects), ("has type object",)),
    BadInput(
        "a link into another file",
        well_of(a_link_out),
        ("link into another file (/etc/passwd)", "copy the array"),
    ),
    BadInput("a link to nothing", well_of(a_link_to_nothing), ("a link to /nowhere", "nothing")),
    BadInput("a link to itself", well_of(a_circle), ("t0_fields/vorticity",)),
    BadInput(
        "storage in another file",
        well_of(the_bytes_of_another_file),
        ("lie in another file", "h5repack"),
    ),
    BadInput("a virtual array", well_of(a_virtual_one), ("lie in another file",)),
    BadInput(
        "an array that nobody wrote",
        well_of(a_claim),
        ("claims shape (10000000, 50, 64, 64)", "never written", "unfinished"),
    ),
    BadInput("an array half written", well_of(half_of_it), ("4 of its 8 pieces",)),
    BadInput(
        "fields that are an array",
        load_ns(lambda p: edited(well(p), replaced("t0_fields", one_value))),
        ("must hold one scalar field", "got none"),
    ),
    BadInput(
        "no times",
        load_ns(lambda p: edited(well(p), lambda f: f.pop("dimensions"))),
        ("6 frames but dimensions/time 0 entries",),
    ),
    BadInput(
        "a group for times",
        load_ns(lambda p: edited(well(p), replaced("dimensions/time", a_group))),
        ("dimensions/time is a group",),
    ),
    BadInput(
        "an attribute that is no truth value",
        load_ns(
            lambda p: edited(
                well(p),
                lambda f: f["t0_fields/vorticity"].attrs.update(sample_varying=[True, False]),
            )
        ),
        ("sample_varying", "one finite number"),
    ),
    BadInput(
        "a field of too few axes",
        load_ns(lambda p: well(p, field(lambda f, n: f.create_dataset(n, data=np.ones(3))))),
        ("must have axes (trajectory, time, space)", "(3,)"),
    ),
    BadInput(
        "a link for a tensor",
        lambda p: read_trajectories(
            edited(write_tensor(p / "a.h5", LINE), replaced("tensor", a_link_out))
        ),
        ("tensor is a link into another file",),
    ),
    BadInput(
        "a link for one trajectory of many",
        lambda p: read_trajectories(
            edited(write_groups(p / "a.h5", flow()), replaced("0002/data", a_link_out))
        ),
        ("0002/data is a link into another file",),
    ),
    BadInput(
        "a link for the whole group",
        lambda p: read_trajectories(
            edited(write_groups(p / "a.h5", flow()), replaced("0000", a_link_out))
        ),
        ("link into another file",),
    ),
    BadInput(
        "a link in a file of MATLAB",
        lambda p: read_trajectories(
            edited(write_matlab_hdf5(p / "a.mat", flow()), replaced("u", a_link_out))
        ),
        ("u is a link into another file",),
    ),
    BadInput(
        "one coefficient for all",
        lambda p: read_trajectories(
            edited(write_darcy(p / "a.h5", flow()[:, 0], flow()[:, 1]), replaced("nu", one_value))
        ),
        ("nu is a single value",),
    ),
    BadInput(
        "coordinates beyond measure",
        lambda p: read_trajectories(
            edited(
                write_tensor(p / "a.h5", LINE),
                lambda f: f.create_dataset("x-coordinate", data=np.zeros((1 << 23) + 1)),
            )
        ),
        ("too large for coordinates",),
    ),
    BadInput(
        "objects of MATLAB",
        load_ns(mat(u=np.array([[flow(), "a"]], dtype=object))),
        ("u is of class cell", "store it as double"),
    ),
    BadInput("words of MATLAB", load_ns(mat(u="abc")), ("u is of class char",)),
    BadInput("a struct of MATLAB", load_ns(mat(u={"x": 1.0})), ("u is of class struct",)),
    BadInput(
        "whole numbers of MATLAB",
        load_ns(mat(u=flow().astype(np.int8).transpose(0, 2, 3, 1))),
        ("u is of class int8",),
    ),
    BadInput("wrong names in MATLAB", load_ns(mat(w=flow())), ("holds w, but no u",)),
    BadInput("an array there twice", load_ns(mat_twice), ("a.mat", "2 arrays named u")),
    BadInput("more than a file can hold", load_ns(mat_bomb), ("a.mat", "claims shape")),
    BadInput(
        "objects of MATLAB 7.3",
        lambda p: read_trajectories(
            edited(
                write_reversed(p / "a.mat", a=LINE[:, 0], u=LINE[:, 1]),
                replaced("u", lambda f, n: f.create_dataset(n, (2, 2), h5py.ref_dtype)),
            )
        ),
        ("u has type object",),
    ),
)

SCRIPTS = (
    (burgers_script, BurgersConfig),
    (darcy_script, DarcyConfig),
    (navier_stokes_script, NavierStokesConfig),
)


def left_over(script, config):
    """Put something into the folder that is to be made."""
    config.folder.mkdir(parents=True)
    (config.folder / "notes.txt").touch()
    script.generate(config, Console(file=io.StringIO()))


GENERATORS = tuple(
    case
    for script, kind in SCRIPTS
    for case in (
        BadInput(
            f"too many samples of {kind.__name__}",
            lambda p, s=script, k=kind: s.generate(
                k(n_train=10**10, data_dir=str(p)), Console(file=io.StringIO())
            ),
            ("n_train=10000000000", "GB on disk", "GB in memory", "fewer samples"),
        ),
        BadInput(
            f"too many samples of {kind.__name__} to train on",
            lambda p, k=kind: load_splits(k(n_train=10**10, data_dir=str(p))),
            ("n_train=10000000000", "GB of memory", "lower n_train"),
        ),
        BadInput(
            f"a folder of something else for {kind.__name__}",
            lambda p, s=script, k=kind: left_over(s, k(data_dir=str(p))),
            ("holds files but no metadata.yaml", "delete it"),
        ),
    )
) + tuple(
    BadInput(
        f"a solver of too many points for {kind.__name__}",
        lambda p, s=script, k=kind: s.generate(
            k(solver_grid=2**30, data_dir=str(p)), Console(file=io.StringIO())
        ),
        (str(n_points), "GB of memory", "lower solver_grid or batch_size"),
    )
    for script, kind, n_points in (
        (burgers_script, BurgersConfig, 2**30),
        (navier_stokes_script, NavierStokesConfig, 2**60),
    )
)


@table(*GENERATORS)
def test_generators_refuse_before_they_write(case, tmp_path):
    assert_refused(case, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.name != "notes.txt" and path.is_file()]
    assert not list(tmp_path.glob("*.partial"))


@table(*PROBLEMS)
def test_files_of_another_problem_are_refused(case, tmp_path):
    assert_refused(case, tmp_path)


@table(*CONTENTS)
def test_fields_that_cannot_be_learned_from_are_refused(case, tmp_path, monkeypatch):
    if "memory" in case.name:
        monkeypatch.setattr(machine, "memory_bytes", lambda: 1000)
    assert_refused(case, tmp_path)


@table(*ODD_FILES)
def test_odd_files_are_refused(case, tmp_path):
    assert_refused(case, tmp_path)
