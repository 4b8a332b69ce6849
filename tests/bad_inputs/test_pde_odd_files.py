"""PDE files of HDF5 or MATLAB that hold something else where an array has to be."""

import io

import h5py
import numpy as np
import scipy.io
from bad_inputs import BadInput, assert_refused, table
from pde_bad_files import LINE, edited, load_ns, mat, replaced, well
from pde_files import (
    GRID,
    N,
    flow,
    write_darcy,
    write_groups,
    write_matlab,
    write_matlab_hdf5,
    write_reversed,
    write_tensor,
)

from data_scripts.pde.readers import read_trajectories


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


@table(*ODD_FILES)
def test_odd_files_are_refused(case, tmp_path):
    assert_refused(case, tmp_path)
