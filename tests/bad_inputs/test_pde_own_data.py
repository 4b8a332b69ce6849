"""Files of own data that hold no fields, or of which nothing tells what they hold."""

import zipfile

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from bad_inputs import BadInput, assert_refused, table

from data_scripts.pde.readers import ReadOptions, open_fields
from monarch_core.runs import machine

N, T = 5, 7


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


U = noise(N, T, 12, 9)


def npy(values, **options):
    def act(folder):
        np.save(folder / "a.npy", values)
        return open_fields(folder / "a.npy", ReadOptions(**options))

    return act


def npz(options=None, compressed=False, **arrays):
    def act(folder):
        (np.savez_compressed if compressed else np.savez)(folder / "a.npz", **arrays)
        return open_fields(folder / "a.npz", ReadOptions(**(options or {})))

    return act


def mat(options=None, **arrays):
    def act(folder):
        scipy.io.savemat(folder / "a.mat", arrays)
        return open_fields(folder / "a.mat", ReadOptions(**(options or {})))

    return act


def hdf5(edit, **options):
    def act(folder):
        with h5py.File(folder / "a.h5", "w") as file:
            edit(file)
        return open_fields(folder / "a.h5", ReadOptions(**options))

    return act


def pt(content):
    def act(folder):
        torch.save(content, folder / "a.pt")
        return open_fields(folder / "a.pt")

    return act


def with_bytes(name, content):
    def act(folder):
        (folder / name).write_bytes(content)
        return open_fields(folder / name)

    return act


def cut(act, name):
    """Read a file of which the second half is missing."""

    def again(folder):
        act(folder)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        open_fields(folder / name).read()

    return again


def damaged_archive(folder):
    npz(compressed=True, u=U)(folder)
    content = bytearray((folder / "a.npz").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (folder / "a.npz").write_bytes(content)
    open_fields(folder / "a.npz").read()


def bomb(folder):
    """A compressed archive that claims more than it can hold."""
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 100, 100)}
    with (
        zipfile.ZipFile(folder / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("u.npy", "w") as file,
    ):
        np.lib.format.write_array_header_1_0(file, header)
    open_fields(folder / "a.npz")


def place(value, *index):
    u = U.astype(np.float64)
    u[index] = value
    return u


def read(act):
    return lambda folder: act(folder).read(slice(1, None), slice(2, None))


AXES = "dataset.axes=[...] with one of trajectory, time, channel, x, y, z"

CASES = (
    BadInput("no file", lambda p: open_fields(p / "a.npy"), ("does not exist", "check the path")),
    BadInput(
        "no such format",
        with_bytes("a.csv", b"1,2,3\n"),
        ("a.csv (6 bytes) is of no known format", ".npy, .npz", ".mat", "HDF5"),
    ),
    BadInput("an empty file", with_bytes("a.npy", b""), ("a.npy (0 bytes)",)),
    BadInput("half an array", cut(npy(U), "a.npy"), ("a.npy is truncated or damaged",)),
    BadInput("half an archive", cut(npz(u=U), "a.npz"), ("a.npz is truncated or damaged",)),
    BadInput(
        "half a file of torch", cut(pt(torch.ones(N, T, 9)), "a.pt"), ("truncated or damaged",)
    ),
    BadInput(
        "half a MATLAB file", cut(mat(u=noise(N, 9, 9, T)), "a.mat"), ("truncated or damaged",)
    ),
    BadInput("wrong bytes in an archive", damaged_archive, ("a.npz is truncated or damaged",)),
    BadInput("more than an archive can hold", bomb, ("claims shape (1000000, 100, 100)",)),
    BadInput(
        "Python objects",
        npy(np.array([{}], dtype=object)),
        ("Python objects, which are never unpickled", "store an array of numbers"),
    ),
    BadInput(
        "Python objects in an archive",
        npz({"key": "u"}, u=np.array([{}], dtype=object)),
        ("u holds Python objects",),
    ),
    BadInput(
        "a network",
        pt(torch.nn.Linear(2, 2)),
        ("other things than tensors, which are never unpickled", "dictionary of tensors"),
    ),
    BadInput("words of torch", pt({"u": "word"}), ("holds no tensor but dict",)),
    BadInput(
        "sparse tensors",
        pt({"u": torch.eye(9).to_sparse()}),
        ("no field of real numbers", "not dense real numbers"),
    ),
    BadInput(
        "complex numbers",
        npy(U + 1j),
        ("complex64", "no field of real numbers", "np.stack([u.real, u.imag], axis=2)"),
    ),
    BadInput(
        "complex numbers by name",
        npz({"key": "w"}, u=U, w=U + 1j),
        ("w (5, 7, 12, 9) complex64 holds no real numbers", "np.stack([u.real, u.imag], axis=2)"),
    ),
    BadInput("words", npy(np.array(["a", "b"])), ("no field of real numbers", "<U1")),
    BadInput("a line", npy(noise(20)), ("no field of real numbers", "an axis for trajectories")),
    BadInput("nothing", npy(np.zeros((0, T, 9))), ("is empty", "(0, 7, 9)")),
    BadInput("no array", hdf5(lambda f: f.create_group("a")), ("no field of real", "but nothing")),
    BadInput(
        "links into another file",
        hdf5(lambda f: f.update(u=h5py.ExternalLink("/etc/passwd", "/u")), key="u"),
        ("u is a link into another file (/etc/passwd)",),
    ),
    BadInput(
        "a field of The Well in another file",
        hdf5(
            lambda f: f.create_group("t0_fields").__setitem__(
                "u", h5py.ExternalLink("/etc/passwd", "/u")
            )
        ),
        ("t0_fields/u is a link into another file (/etc/passwd)",),
    ),
    BadInput(
        "a group for a field of The Well",
        hdf5(lambda f: f.create_group("t0_fields/u")),
        ("t0_fields/u is a group where an array is expected",),
    ),
    BadInput(
        "an array that nobody wrote",
        hdf5(lambda f: f.create_dataset("u", (10**7, 9, 64), "f4", chunks=(1, 9, 64))),
        ("claims shape (10000000, 9, 64)", "unfinished"),
    ),
    BadInput(
        "a cell of MATLAB", mat(u=np.array([[U, "a"]], dtype=object)), ("u is of class cell",)
    ),
    BadInput(
        "NaN",
        read(npy(place(np.nan, 3, 4, 5, 6))),
        ("NaN or infinity, first in trajectory 3, frame 4",),
    ),
    BadInput(
        "infinity in one channel",
        read(npz(u=U, v=place(np.inf, 2, 6))),
        ("first in trajectory 2, frame 6, v", "1 of 4 trajectories"),
    ),
    BadInput(
        "more than float32 holds",
        read(npy(place(1e40, 1, 2))),
        ("values beyond float32", "frame 2"),
    ),
    BadInput(
        "NaN in an input",
        lambda p: npz(x=place(np.nan, 2, 0)[:, 0], y=U[:, 0])(p).read_constants(),
        ("NaN or infinity, first in trajectory 2, x",),
    ),
    BadInput(
        "one frame",
        npy(U[:, :1], axes=("trajectory", "time", "x", "y")),
        ("one frame of shape (12, 9)", "dataset.input_key=NAME", "dataset.parameters=[NAME]"),
    ),
    BadInput(
        "frames or samples",
        npy(noise(20, 9, 9)),
        (
            "(20, 9, 9)",
            "dataset.axes=[time,x,y] dataset.window=2 (one trajectory of 20 frames",
            AXES,
            "dataset.input_key=NAME",
        ),
    ),
    BadInput("two axes", npy(noise(20, 9)), ("(20, 9)", AXES)),
    BadInput(
        "three axes of MATLAB",
        mat(u=noise(9, 12, 7)),
        ("u (9, 12, 7)", "axes=[trajectory,time,x] (9 trajectories of 12 frames) or", AXES),
    ),
    BadInput(
        "channels or frames",
        npz(x=noise(N, 12, 9), y=noise(N, 12, 9, 3)),
        (
            "y (5, 12, 9, 3)",
            "[trajectory,x,y,channel] (5 trajectories) or dataset.axes=[trajectory,x,y,time] (5",
        ),
    ),
    BadInput(
        "several arrays, all options in one error",
        npz(first=noise(20, 9, 9), second=noise(20, 9, 8, 3)),
        ("first (20, 9, 9) float32, second (20, 9, 8, 3)", "dataset.key=NAME", AXES, "input_key"),
    ),
    BadInput(
        "no array of that name",
        npz({"key": "w"}, u=U, t=np.arange(T)),
        ("has no arrays w; it holds u (5, 7, 12, 9) float32, t (7,)",),
    ),
    BadInput(
        "an input on another grid",
        npz(
            {"key": "u", "input_key": "f", "axes": ("trajectory", "time", "x", "y")},
            u=U,
            f=noise(N, 12, 12),
        ),
        ("f (5, 12, 12)", "dataset.input_key=NAME, on the grid of the output"),
    ),
    *(
        BadInput(f"axes {axes}", npy(U, axes=axes), ("dataset.axes must name each of the 4 axes",))
        for axes in (
            ("trajectory", "time", "x"),
            ("trajectory", "time", "x", "x"),
            ("trajectory", "time", "x", "z"),
            ("trajectory", "time", "x", "lat"),
        )
    ),
    BadInput(
        "as many coordinates as frames",
        npz({"axes": ("trajectory", "time", "x")}, u=U[..., 0], x=np.arange(7.0)),
        ("x has shape (7,), but there are 12 points along x",),
    ),
    BadInput(
        "too few times",
        npz({"axes": ("trajectory", "time", "x")}, u=U[..., 0], t=np.arange(5.0)),
        ("7 frames but 5 times",),
    ),
    BadInput(
        "falling times",
        npz(u=U, t=-np.arange(T)),
        ("times must be finite and grow", "correct them"),
    ),
    BadInput(
        "several options that do not suit, in one error",
        npz({"spacing": [1], "periodic": [True], "times": [1, 2], "parameters": ["mu"]}, u=U),
        (
            "dataset.spacing must be 2 positive numbers, for x, y, got [1]",
            "dataset.periodic must be 2 truth values",
            "dataset.times must be 7 growing numbers",
            "dataset.parameters names mu, but the numbers of its trajectories are none",
        ),
    ),
    BadInput(
        "two words for the times",
        npy(U, times=range(T), time_step=-1.0),
        ("dataset.times and dataset.time_step", "dataset.time_step must be positive, got -1"),
    ),
    BadInput(
        "more than the memory holds", lambda p: npy(U)(p).read(), ("5 trajectories", "memory")
    ),
)


@table(*CASES)
def test_own_data_that_cannot_be_used_are_refused(case, tmp_path, monkeypatch):
    if "memory" in case.name:
        monkeypatch.setattr(machine, "memory_bytes", lambda: 1000)
    assert_refused(case, tmp_path)


def test_half_precision_is_said(tmp_path, caplog):
    npy(U.astype(np.float16))(tmp_path).read()
    assert "half precision" in caplog.text


@pytest.mark.parametrize("name", ["u", "run/u"])
def test_arrays_are_found_by_the_end_of_their_names(tmp_path, name):
    fields = hdf5(lambda f: f.update({name: U, "other/w": U}), key="u")(tmp_path)
    np.testing.assert_array_equal(fields.read()[:, :, 0], U)
