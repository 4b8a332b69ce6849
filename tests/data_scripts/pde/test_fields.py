"""Own data: every layout is read back exactly, by slices, in the one order of axes."""

import itertools

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from pde_files import write_groups, write_reversed

from data_scripts.pde.readers import ReadOptions, open_fields

N, T, GRID = 5, 7, (12, 9)
TRAJECTORIES, TIMES, POINTS = slice(1, 5, 2), slice(2, 7, 3), (slice(1, 12, 4), slice(0, 9, 2))
LETTERS = {"N": "trajectory", "t": "time", "c": "channel", "x": "x", "y": "y", "z": "z"}


def random(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


U = random(N, T, *GRID)


def assert_holds(fields, u, constants=None):
    """Check that fields are u (trajectory, time, channel, *grid), as a whole and in parts."""
    assert fields.shape == u.shape
    assert len(fields.channels) == u.shape[2]
    points = POINTS[: u.ndim - 3] + (slice(1, None),) * (u.ndim - 5)
    whole = fields.read()
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(whole, u)
    part = fields.read(TRAJECTORIES, TIMES, points)
    np.testing.assert_array_equal(part, u[(TRAJECTORIES, TIMES, slice(None), *points)])
    constants = np.empty((len(u), 0, *u.shape[3:]), np.float32) if constants is None else constants
    assert len(fields.constants) == constants.shape[1]
    np.testing.assert_array_equal(fields.read_constants(), constants)
    np.testing.assert_array_equal(
        fields.read_constants(TRAJECTORIES, points),
        constants[(TRAJECTORIES, slice(None), *points)],
    )


def save_npy(path, u):
    np.save(path.with_suffix(".npy"), u)
    return path.with_suffix(".npy")


def save_fortran(path, u):
    return save_npy(path, np.asfortranarray(u))


def save_npz(path, u):
    np.savez(path.with_suffix(".npz"), u=u)
    return path.with_suffix(".npz")


def save_compressed(path, u):
    np.savez_compressed(path.with_suffix(".npz"), u=u)
    return path.with_suffix(".npz")


def save_torch(path, u):
    torch.save({"run": {"u": torch.from_numpy(u.copy())}}, path.with_suffix(".pt"))
    return path.with_suffix(".pt")


def save_old_torch(path, u):
    tensor = torch.from_numpy(u.copy())
    torch.save(tensor, path.with_suffix(".pth"), _use_new_zipfile_serialization=False)
    return path.with_suffix(".pth")


def save_classic(path, u):
    scipy.io.savemat(path.with_suffix(".mat"), {"u": u}, do_compression=True)
    return path.with_suffix(".mat")


def save_v73(path, u):
    return write_reversed(path.with_suffix(".mat"), u=u)


def save_hdf5(path, u):
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file.create_dataset("run/of/somebody", data=u, compression="gzip", shuffle=True)
    return path.with_suffix(".h5")


def save_netcdf(path, u):
    with scipy.io.netcdf_file(path.with_suffix(".nc"), "w") as file:
        names = [file.createDimension(f"axis_{i}", n) or f"axis_{i}" for i, n in enumerate(u.shape)]
        file.createVariable("u", u.dtype, names)[:] = u
    return path.with_suffix(".nc")


SAVERS = {
    save.__name__[5:]: save
    for save in (
        save_npy,
        save_fortran,
        save_npz,
        save_compressed,
        save_torch,
        save_old_torch,
        save_classic,
        save_v73,
        save_hdf5,
        save_netcdf,
    )
}


@pytest.mark.parametrize("save", SAVERS.values(), ids=SAVERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_every_format_is_read_exactly_and_by_slices(tmp_path, save, dtype):
    u = (100 * U).astype(dtype)
    fields = open_fields(
        save(tmp_path / "a", u), ReadOptions(axes=("trajectory", "time", "x", "y"))
    )
    assert_holds(fields, u.astype(np.float32)[:, :, None])


ORDERS = ["".join(order) for order in itertools.permutations("Ntcx")]
ORDERS += ["xytN", "Nxyct", "cNtyx", "Nztyxc", "zyxctN", "tx", "ctx"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("save", [save_npy, save_v73], ids=["python", "matlab"])
def test_every_order_of_axes_can_be_said(tmp_path, order, save):
    sizes = {"N": N, "t": T, "c": 3, "x": 12, "y": 9, "z": 4}
    stored = random(*(sizes[letter] for letter in order))
    fields = open_fields(
        save(tmp_path / "a", stored), ReadOptions(axes=[LETTERS[letter] for letter in order])
    )
    space = sorted(set(order) & set("xyz"))
    missing = "".join(letter for letter in "Ntc" if letter not in order)
    u = stored.reshape(*[1] * len(missing), *stored.shape)
    wanted = np.einsum(f"{missing}{order}->Ntc{''.join(space)}", u)
    assert_holds(fields, wanted)


@pytest.mark.parametrize("save", [save_npy, save_hdf5, save_torch])
@pytest.mark.parametrize(
    ("order", "shape"),
    [
        ("Ntx", (N, T, 33)),
        ("Ntxy", (N, T, 16, 16)),
        ("Ntxy", (N, T, 16, 12)),
        ("Nxyt", (N, 16, 16, T)),
        ("Ntxc", (N, T, 33, 2)),
        ("Ntcx", (N, T, 3, 33)),
        ("Ntxyc", (N, T, 12, 9, 2)),
        ("Ntcxy", (N, T, 2, 12, 9)),
        ("Ntxyz", (N, T, 9, 10, 11)),
        ("Nxyzt", (N, 9, 9, 9, 11)),
        ("Nxyt", (N, 33, 33, 2)),
        ("Ntxyzc", (N, T, 9, 10, 11, 4)),
        ("Ntcxyz", (N, T, 4, 9, 10, 11)),
    ],
)
def test_the_order_of_axes_is_told_from_the_shape_and_said(tmp_path, save, order, shape):
    fields = open_fields(save(tmp_path / "a", np.zeros(shape, np.float32)))
    said = ", ".join(LETTERS[letter] for letter in order)
    assert any(guess.startswith(f"axes: {said} from the shape") for guess in fields.guesses)
    assert all("dataset." in guess for guess in fields.guesses)


@pytest.mark.parametrize("save", [save_classic, save_v73])
@pytest.mark.parametrize(
    ("order", "shape"),
    [("Nxyt", (N, 16, 16, T)), ("xytN", (16, 16, T, N)), ("Ntxy", (N, T, 16, 16))],
)
def test_the_square_axes_of_matlab_are_those_of_space(tmp_path, save, order, shape):
    stored = random(*shape)
    fields = open_fields(save(tmp_path / "a", stored))
    assert_holds(fields, np.einsum(f"{order}->Ntxy", stored)[:, :, None])


def test_coordinates_tell_the_axes_where_the_shape_does_not(tmp_path):
    x, y, t = np.arange(12) / 3, np.arange(9) / 2, np.arange(T) * 0.1
    scipy.io.savemat(tmp_path / "a.mat", {"u": np.einsum("Ntxy->Nytx", U), "x": x, "y": y, "t": t})
    fields = open_fields(tmp_path / "a.mat", ReadOptions(axes=("trajectory", "y", "time", "x")))
    assert_holds(fields, U[:, :, None])
    scipy.io.savemat(tmp_path / "b.mat", {"u": U[..., 0].transpose(0, 2, 1), "x": x, "t": t})
    line = open_fields(tmp_path / "b.mat")
    assert_holds(line, U[:, :, None, :, 0])
    np.savez(tmp_path / "c.npz", u=np.swapaxes(U, 2, 3), x=x, y=y, t=t)
    swapped = open_fields(tmp_path / "c.npz")
    assert_holds(swapped, U[:, :, None])
    for found in (fields, line, swapped):
        np.testing.assert_allclose(found.times, t)
        np.testing.assert_allclose(found.coordinates[0], x)
    np.testing.assert_allclose(swapped.coordinates[1], y)


def test_a_single_trajectory_is_known_by_its_coordinates(tmp_path):
    u, x, t = random(T, 33), np.arange(33) / 33, np.arange(T) * 0.5
    np.savez(tmp_path / "a.npz", u=u, x=x, t=t)
    assert_single(open_fields(tmp_path / "a.npz"), u)
    np.savez(tmp_path / "b.npz", u=U[0], x=np.arange(12), y=np.arange(9), t=t)
    assert_single(open_fields(tmp_path / "b.npz"), U[0])


def assert_single(fields, u):
    assert fields.shape == (1, len(u), 1, *u.shape[1:])
    np.testing.assert_array_equal(fields.read(times=slice(1, None, 2))[0, :, 0], u[1::2])


def test_coordinates_of_all_points_and_steps_are_taken_too(tmp_path):
    x, y = np.arange(12) / 3, np.arange(9) ** 2 / 81
    X, Y = np.meshgrid(x, y, indexing="ij")
    np.savez(tmp_path / "a.npz", u=U, x=X, y=Y, dt=0.25)
    fields = open_fields(tmp_path / "a.npz")
    assert_holds(fields, U[:, :, None])
    np.testing.assert_allclose(fields.coordinates[0], x)
    np.testing.assert_allclose(fields.coordinates[1], y)
    np.testing.assert_allclose(fields.times, np.arange(T) * 0.25)
    said = open_fields(
        tmp_path / "a.npz",
        ReadOptions(spacing=(0.5, 2), periodic=(True, False), times=np.arange(T) + 3.0),
    )
    np.testing.assert_allclose(said.coordinates[1], 2 * np.arange(9))
    np.testing.assert_allclose(said.times, np.arange(T) + 3)
    assert said.periodic == (True, False)
    stepped = open_fields(tmp_path / "a.npz", ReadOptions(time_step=0.125))
    np.testing.assert_allclose(stepped.times, np.arange(T) / 8)
    assert fields.periodic == (None, None)


def test_names_of_axes_in_the_file_are_taken(tmp_path):
    with h5py.File(tmp_path / "a.nc", "w") as file:
        file["u"] = np.einsum("Ntxy->tyNx", U)
        file["u"].attrs["units"] = b"m/s"
        for i, (name, n) in enumerate((("time", T), ("lat", 9), ("sample", N), ("lon", 12))):
            file[name] = np.arange(n) * 1.0
            file[name].make_scale(name)
            file["u"].dims[i].attach_scale(file[name])
    fields = open_fields(tmp_path / "a.nc")
    assert_holds(fields, U[:, :, None])
    assert fields.channels[0].unit == "m/s"
    np.testing.assert_allclose(fields.times, np.arange(T))


def test_fields_of_one_shape_are_channels_and_varying_numbers_inputs(tmp_path):
    nu = np.linspace(1, 2, N)
    np.savez(tmp_path / "a.npz", u=U, v=2 * U, p=3 * U, nu=nu, seed=np.arange(N), beta=np.ones(N))
    fields = open_fields(tmp_path / "a.npz")
    assert [channel.name for channel in fields.channels] == ["u", "v", "p"]
    filled = np.broadcast_to(nu.astype(np.float32)[:, None, None, None], (N, 1, *GRID))
    assert_holds(fields, np.stack([U, 2 * U, 3 * U], axis=2), filled)
    assert {*fields.unused} == {"seed", "beta"}
    assert "dataset.parameters=[seed]" in fields.unused["seed"]
    some = open_fields(tmp_path / "a.npz", ReadOptions(key="p, u", parameters=["seed", "beta"]))
    assert [channel.name for channel in some.constants] == ["seed", "beta"]
    np.testing.assert_array_equal(some.read(), np.stack([3 * U, U], axis=2))
    assert not open_fields(tmp_path / "a.npz", ReadOptions(parameters=[])).constants


PAIRS = [("x", "y"), ("a", "u"), ("coeff", "sol"), ("input", "output"), ("nu", "tensor")]


@pytest.mark.parametrize("save", [np.savez, scipy.io.savemat])
@pytest.mark.parametrize("names", PAIRS)
def test_steady_pairs_are_known_by_their_names(tmp_path, save, names):
    a, u = U[:, 0] > 0, U[:, 1]
    path = tmp_path / "a.npz"
    if save is np.savez:
        np.savez(path, **dict(zip(names, (a, u), strict=True)))
    else:
        path = tmp_path / "a.mat"
        arrays = zip(names, (np.repeat(a, 2, 0)[:N], u), strict=True)
        a = np.repeat(a, 2, 0)[:N]
        scipy.io.savemat(path, dict(arrays))
    axes = None if save is np.savez else ("trajectory", "x", "y")
    fields = open_fields(path, ReadOptions(axes=axes))
    assert_holds(fields, u[:, None, None], a[:, None].astype(np.float32))


@pytest.mark.parametrize("order", ["Nx", "xN"])
def test_samples_in_one_dimension_are_told_by_their_values(tmp_path, order):
    rough = random(N, 2, 33)
    smooth = np.cumsum(rough, axis=-1) / 8 + 9 * rough[..., :1]
    a, u = (np.einsum(f"Nx->{order}", smooth[:, i]) for i in range(2))
    scipy.io.savemat(tmp_path / "a.mat", {"a": a, "u": u})
    fields = open_fields(tmp_path / "a.mat")
    assert_holds(fields, smooth[:, None, 1:], smooth[:, :1])
    assert "from the values" in fields.guesses[0]


def test_steady_pairs_may_have_channels_anywhere(tmp_path):
    a = random(N, *GRID, 2)
    np.savez(tmp_path / "a.npz", input=a, output=U[:, :3])
    fields = open_fields(tmp_path / "a.npz", ReadOptions(axes=("trajectory", "channel", "x", "y")))
    assert_holds(fields, U[:, None, :3], np.moveaxis(a, -1, 1))
    np.savez(tmp_path / "b.npz", permeability=a[..., 0], foo=U[:, :1])
    said = open_fields(tmp_path / "b.npz", ReadOptions(key="foo", input_key="permeability"))
    assert_holds(said, U[:, None, :1], a[None, ..., 0].swapaxes(0, 1))


def test_a_medium_beside_an_evolution_is_an_input_and_a_first_frame_is_not(tmp_path):
    np.savez(tmp_path / "b.npz", x=U[:, 0], y=U[:, 1])
    named = open_fields(tmp_path / "b.npz", ReadOptions(key="y"))
    assert_holds(named, U[:, 1:2, None], U[:, :1])
    c = random(*GRID)
    np.savez(tmp_path / "a.npz", u=U, c=c, a=U[:, 0], t=np.arange(T))
    fields = open_fields(tmp_path / "a.npz")
    assert_holds(fields, U[:, :, None], np.broadcast_to(c, (N, 1, *GRID)))
    said = open_fields(tmp_path / "a.npz", ReadOptions(input_key="a,c"))
    assert_holds(said, U[:, :, None], np.stack([U[:, 0], np.broadcast_to(c, (N, *GRID))], axis=1))


def test_pdebench_in_one_dimension(tmp_path):
    u = random(N, T, 33)
    more = {"x-coordinate": np.arange(33) / 33, "t-coordinate": np.arange(T + 1) * 0.1}
    for name, tensor in (("a", u), ("b", u[None])):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            for key, values in {"tensor": tensor, **more}.items():
                file[key] = values
        fields = open_fields(tmp_path / f"{name}.h5")
        assert_holds(fields, u[:, :, None])
        np.testing.assert_allclose(fields.times, np.arange(T) * 0.1)
        np.testing.assert_allclose(fields.coordinates[0], np.arange(33) / 33)


@pytest.mark.parametrize("grid", [(33,), GRID, (5, 6, 7)])
def test_compressible_flow_of_pdebench(tmp_path, grid):
    names = ["Vx", "density", "pressure"]
    arrays = dict(zip(names, random(3, N, T, *grid), strict=True))
    with h5py.File(tmp_path / "CFD_Rand_periodic_Train.h5", "w") as file:
        for key, values in arrays.items():
            file[key] = values
        for axis, n in zip("txyz", (T + 1, *grid), strict=False):
            file[f"{axis}-coordinate"] = np.arange(n) * 0.5
    fields = open_fields(tmp_path / "CFD_Rand_periodic_Train.h5")
    assert [channel.name for channel in fields.channels] == names
    assert_holds(fields, np.stack(list(arrays.values()), axis=2))
    assert [len(points) for points in fields.coordinates] == list(grid)
    assert fields.periodic == (True,) * len(grid)
    assert any(guess.startswith("periodic: all axes, by the name") for guess in fields.guesses)
    assert len(fields.times) == T


def test_incompressible_flow_of_pdebench(tmp_path):
    velocity, particles, force = (
        random(N, T, 16, 16, 2),
        random(N, T, 16, 16, 1),
        random(N, 16, 16, 2),
    )
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["velocity"], file["particles"], file["force"] = velocity, particles, force
        file["t"] = np.arange(T) * 0.5 + np.arange(N)[:, None]
    fields = open_fields(tmp_path / "a.h5")
    assert [c.name for c in fields.channels] == ["particles", "velocity_x", "velocity_y"]
    assert [c.name for c in fields.constants] == ["force_x", "force_y"]
    u = np.moveaxis(np.concatenate([particles, velocity], axis=-1), -1, 2)
    assert_holds(fields, u, np.moveaxis(force, -1, 1))
    np.testing.assert_allclose(fields.times, np.arange(T) * 0.5)


def test_groups_of_pdebench(tmp_path):
    assert_holds(open_fields(write_groups(tmp_path / "a.h5", U)), U[:, :, None])
    u = random(N, T, 33, 2)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        for i, frames in enumerate(u):
            file[f"{i:04d}/data"] = frames
    fields = open_fields(tmp_path / "b.h5")
    assert_holds(fields, np.moveaxis(u, -1, 2))
    assert fields.times is None


@pytest.mark.parametrize("version", ["4", "5"])
def test_the_versions_of_matlab_s_classic_format(tmp_path, version):
    a, u = random(N, 33), random(N, 33) + 1
    scipy.io.savemat(tmp_path / "a.mat", {"a": a, "u": u}, format=version)
    fields = open_fields(tmp_path / "a.mat", ReadOptions(axes=("trajectory", "x")))
    assert_holds(fields, u[:, None, None], a[:, None])
