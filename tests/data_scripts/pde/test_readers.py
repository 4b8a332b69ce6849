import re

import h5py
import numpy as np
import pytest
import scipy.io
from pde_files import (
    write_groups,
    write_matlab,
    write_matlab_hdf5,
    write_reversed,
    write_tensor,
    write_well,
)

from data_scripts.pde.readers import open_trajectories, read_trajectories

N, T, X, Y = 5, 7, 4, 3


@pytest.fixture
def u():
    return np.random.default_rng(0).standard_normal((N, T, X, Y)).astype(np.float32)


def write_pdebench_1d(path, u):
    return write_tensor(path, u[:, :, :, 0], np.arange(X) / X, np.arange(T + 1) * 0.1, Nu=0.1)


def test_the_well_file(tmp_path, u):
    field, times = read_trajectories(write_well(tmp_path / "a.hdf5", u))
    np.testing.assert_array_equal(field, u)
    np.testing.assert_allclose(times, np.arange(1, T + 1) * 0.5)
    assert field.dtype == np.float32


def test_the_well_folder_joins_files_and_splits_in_order(tmp_path, u):
    write_well(tmp_path / "data/train/b.h5", u[2:3])
    write_well(tmp_path / "data/train/a.hdf5", u[:2])
    write_well(tmp_path / "data/valid/a.hdf5", u[3:4])
    write_well(tmp_path / "data/test/a.hdf5", u[4:])
    source = open_trajectories(tmp_path)
    assert source.shape == u.shape
    np.testing.assert_array_equal(source.read(), u)
    np.testing.assert_array_equal(source.read(slice(1, 4), slice(2, None, 3)), u[1:4, 2::3])
    np.testing.assert_array_equal(open_trajectories(tmp_path / "data/train").read(), u[:3])


def test_the_well_takes_vorticity_among_others_and_a_single_field_of_any_name(tmp_path, u):
    path = write_well(tmp_path / "a.hdf5", u)
    with h5py.File(path, "a") as file:
        file["t0_fields/pressure"] = 0 * u
    np.testing.assert_array_equal(read_trajectories(path)[0], u)
    other = write_well(tmp_path / "b.hdf5", u, name="density")
    np.testing.assert_array_equal(read_trajectories(other)[0], u)


def test_matlab_v73_has_reversed_axes(tmp_path, u):
    path = write_matlab_hdf5(tmp_path / "a.mat", u, t=np.arange(T) + 3.0)
    source = open_trajectories(path)
    assert source.shape == (N, T, X, Y)
    np.testing.assert_array_equal(source.read(), u)
    np.testing.assert_array_equal(source.read(slice(3, 5), slice(1, 6, 2)), u[3:5, 1:6:2])
    np.testing.assert_allclose(source.times, np.arange(T) + 3.0)


def test_matlab_v73_is_known_by_its_attribute_too(tmp_path, u):
    path = write_matlab_hdf5(tmp_path / "a.mat", u, header=False)
    with h5py.File(path, "a") as file:
        file["u"].attrs["MATLAB_class"] = np.bytes_("single")
    np.testing.assert_array_equal(read_trajectories(path)[0], u)


def test_classic_matlab(tmp_path, u):
    path = write_matlab(tmp_path / "a.mat", u, t=np.arange(T)[None] + 0.5)
    field, times = read_trajectories(path)
    np.testing.assert_array_equal(field, u)
    np.testing.assert_allclose(times, np.arange(T) + 0.5)
    part = open_trajectories(path).read(slice(1, 3), slice(0, 7, 3))
    np.testing.assert_array_equal(part, u[1:3, ::3])


def test_frames_without_times_are_numbered_from_one(tmp_path, u):
    assert read_trajectories(write_matlab(tmp_path / "a.mat", u))[1].tolist() == [*range(1, T + 1)]
    path = write_matlab_hdf5(tmp_path / "b.mat", u)
    assert read_trajectories(path)[1].tolist() == [*range(1, T + 1)]


def test_pdebench_1d(tmp_path, u):
    field, times = read_trajectories(write_pdebench_1d(tmp_path / "a.hdf5", u))
    np.testing.assert_array_equal(field, u[..., 0])
    np.testing.assert_allclose(times, np.arange(T) * 0.1)


def test_pdebench_2d(tmp_path, u):
    source = open_trajectories(write_groups(tmp_path / "a.h5", u))
    np.testing.assert_array_equal(source.read(), u)
    np.testing.assert_array_equal(source.read(slice(2, 4), slice(1, 7, 2)), u[2:4, 1::2])
    np.testing.assert_allclose(source.times, np.arange(T) * 2.0)


def test_double_precision_is_read_as_single(tmp_path, u):
    field, _ = read_trajectories(write_well(tmp_path / "a.hdf5", u.astype(float)))
    assert field.dtype == np.float32
    np.testing.assert_array_equal(field, u)


WRITERS = {
    "well": write_well,
    "v7.3": write_matlab_hdf5,
    "classic": write_matlab,
    "1-D": write_pdebench_1d,
    "2-D": write_groups,
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_located(tmp_path, u, write, bad):
    u[3, 4, 2, 0] = bad
    source = open_trajectories(write(tmp_path / "a.mat", u))
    message = (
        f"holds NaN or infinity, first in trajectory 3, frame 4 (time {source.times[4]:g}); 1 "
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        source.read(slice(1, 5), slice(2, None))
    assert source.read(slice(0, 3)).shape[0] == 3


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_file_is_named(tmp_path, u, write, keep):
    path = write(tmp_path / "a.mat", u)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(ValueError, match=r"a\.mat.*(truncated or damaged|is damaged|but no u)"):
        read_trajectories(path)


def test_a_damaged_chunk_is_found_by_its_checksum(tmp_path, u):
    path = write_well(tmp_path / "a.hdf5", u)
    content = path.read_bytes()
    position = content.index(u[2, 3].tobytes())
    path.write_bytes(content[:position] + b"\x01\x02" + content[position + 2 :])
    with pytest.raises(ValueError, match=r"a\.hdf5 is truncated or damaged"):
        read_trajectories(path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    for name, content in (("a.csv", b"1,2,3\n"), ("empty.mat", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} .{len(content)} bytes. is neither HDF5 nor"):
            read_trajectories(tmp_path / name)


def test_missing_files_and_empty_folders_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.mat does not exist; check the path"):
        read_trajectories(tmp_path / "nothing.mat")
    with pytest.raises(ValueError, match=r"holds no \.hdf5 or \.h5 file"):
        read_trajectories(tmp_path)


def test_unknown_layouts_name_what_they_hold(tmp_path, u):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["velocity"] = u
    with pytest.raises(ValueError, match=r"holds velocity, which is no known layout; The W"):
        read_trajectories(tmp_path / "a.h5")
    scipy.io.savemat(tmp_path / "b.mat", {"v": u})
    with pytest.raises(ValueError, match=r"holds v, but no u; The Well"):
        read_trajectories(tmp_path / "b.mat")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["u"] = u
    with pytest.raises(ValueError, match="not written by MATLAB, so the order of its axes"):
        read_trajectories(tmp_path / "c.h5")


def test_wrong_shapes_are_named(tmp_path, u):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["tensor"] = u
    with pytest.raises(ValueError, match=r"tensor must have axes \(trajectory, time, x\), got"):
        read_trajectories(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["0000/data"] = np.zeros((T, X, Y, 2))
    with pytest.raises(ValueError, match=r"with one channel, got shape \(7, 4, 3, 2\)"):
        read_trajectories(tmp_path / "b.h5")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["0000/data"] = np.zeros((T, X, Y, 1))
        file["0001/data"] = np.zeros((T, X, X, 1))
    with pytest.raises(ValueError, match="all trajectories must have one shape"):
        read_trajectories(tmp_path / "c.h5")
    scipy.io.savemat(tmp_path / "d.mat", {"u": u[0]})
    with pytest.raises(ValueError, match=r"u must have axes .* got shape \(7, 4, 3\)"):
        read_trajectories(tmp_path / "d.mat")
    write_matlab_hdf5(tmp_path / "e.mat", u)
    with h5py.File(tmp_path / "e.mat", "a") as file:
        del file["u"]
        file["u"] = u[0]
    with pytest.raises(ValueError, match=r"u must have axes .* got shape \(3, 4, 7\)"):
        read_trajectories(tmp_path / "e.mat")


def test_inconsistent_well_files_are_named(tmp_path, u):
    write_well(tmp_path / "a/a.hdf5", u)
    write_well(tmp_path / "a/b.hdf5", u[:, :3])
    with pytest.raises(ValueError, match="files of one folder must agree in frames and grid"):
        read_trajectories(tmp_path / "a")
    write_well(tmp_path / "c.hdf5", u, times=np.zeros((N, T)))
    with pytest.raises(ValueError, match="has 7 frames but dimensions/time 35 entries"):
        read_trajectories(tmp_path / "c.hdf5")
    path = write_well(tmp_path / "d.hdf5", u, name="density")
    with h5py.File(path, "a") as file:
        file["t0_fields/density"].attrs["time_varying"] = False
        file["t0_fields/pressure"] = u
    with pytest.raises(ValueError, match=r"got density, pressure"):
        read_trajectories(path)
    with h5py.File(path, "a") as file:
        del file["t0_fields/pressure"]
    with pytest.raises(ValueError, match="t0_fields/density must have time_varying=True"):
        read_trajectories(path)


def write_pair(path, first, second, names, kind):
    arrays = dict(zip(names, (first, second), strict=True))
    if kind == "v7.3":
        return write_reversed(path, **arrays)
    scipy.io.savemat(path, arrays)
    return path


@pytest.mark.parametrize("kind", ["classic", "v7.3"])
@pytest.mark.parametrize("names", [("a", "u"), ("coeff", "sol")])
def test_published_files_with_one_field_in_and_one_out(tmp_path, u, names, kind):
    fields = u[:, :2, :, 0] if names == ("a", "u") else u[:, :2]
    path = write_pair(tmp_path / "a.mat", fields[:, 0], fields[:, 1], names, kind)
    source = open_trajectories(path)
    assert source.shape == fields.shape
    assert source.times.tolist() == [0.0, 1.0]
    np.testing.assert_array_equal(source.read(), fields)
    np.testing.assert_array_equal(source.read(slice(2, 4), slice(1, 2)), fields[2:4, 1:])
    wrong = write_pair(tmp_path / "b.mat", fields[:, 0], fields[:, 0, :-1], names, kind)
    with pytest.raises(ValueError, match="must both have axes"):
        open_trajectories(wrong)


def test_pdebench_darcy(tmp_path, u):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["nu"], file["tensor"] = u[:, 0], u[:, 1:2]
    source = open_trajectories(tmp_path / "a.hdf5")
    np.testing.assert_array_equal(source.read(), u[:, :2])
    np.testing.assert_array_equal(source.read(slice(1, 3), slice(0, 1)), u[1:3, :1])
    with h5py.File(tmp_path / "a.hdf5", "a") as file:
        del file["tensor"]
        file["tensor"] = u[:, :3]
    with pytest.raises(ValueError, match=r"tensor \(sample, 1, x, y\), got shapes"):
        open_trajectories(tmp_path / "a.hdf5")


def test_the_viscosity_is_read_where_it_is_stated(tmp_path, u):
    assert open_trajectories(write_pdebench_1d(tmp_path / "a.h5", u)).viscosity == 0.1
    path = write_well(tmp_path / "w" / "a.h5", u)
    assert open_trajectories(path).viscosity is None
    with h5py.File(path, "a") as file:
        file.attrs["viscosity"] = 1e-4
    assert open_trajectories(path.parent).viscosity == 1e-4
