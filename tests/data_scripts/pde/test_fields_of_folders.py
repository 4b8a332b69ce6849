"""Own data in The Well's layout, in folders and in splits; and how much of a file is read."""

import tracemalloc

import h5py
import numpy as np
import pytest
import torch

from data_scripts.pde.readers import ReadOptions, open_fields, open_trajectories

T, GRID = 6, (12, 10)
SPLITS = {"train": (4, 3), "valid": (2,), "test": (1, 2)}


def random(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(np.float32)


def put(file, name, values, sample=True, time=True, dims=(True, True)):
    file[name] = values
    file[name].attrs.update({"sample_varying": sample, "time_varying": time, "dim_varying": dims})


def write_well(path, n, viscosity, seed):
    """Write a file of The Well with fields of every kind; return what it means."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = [random(n, T, *GRID, *d, seed=seed) for d in ((), (2,), (2, 2))]
    medium, profile = random(*GRID), random(n, GRID[0], seed=seed)
    with h5py.File(path, "w") as file:
        file.attrs.update({"n_spatial_dims": 2, "simulation_parameters": ["viscosity", "gamma"]})
        file.attrs.update({"viscosity": viscosity, "gamma": 1.4})
        file.create_group("dimensions").attrs["spatial_dims"] = ["r", "z"]
        file["dimensions/time"] = np.arange(T) * 0.5
        file["dimensions/r"], file["dimensions/z"] = np.arange(12) / 12, np.arange(10) / 5
        for axis, kind in (("r", "PERIODIC"), ("z", "WALL")):
            group = file.create_group(f"boundary_conditions/{axis}")
            group.attrs.update({"associated_dims": [axis], "bc_type": kind})
        put(file, "scalars/viscosity", np.float32(viscosity), sample=False, time=False)
        put(file, "t0_fields/pressure", rng[0])
        put(file, "t0_fields/medium", medium, sample=False, time=False)
        put(file, "t0_fields/profile", profile[..., None], time=False, dims=(True, False))
        put(file, "t1_fields/velocity", rng[1])
        put(file, "t2_fields/stress", rng[2])
    u = np.concatenate([rng[0][..., None], rng[1], rng[2].reshape(*rng[2].shape[:-2], 4)], axis=-1)
    shape = (n, *GRID)
    number = np.full(shape, viscosity, np.float32)
    constants = [np.broadcast_to(c, shape) for c in (medium, profile[..., None], number)]
    return np.moveaxis(u, -1, 2), np.stack(constants, axis=1)


@pytest.fixture(scope="module")
def well(tmp_path_factory):
    folder = tmp_path_factory.mktemp("well")
    written = [
        write_well(folder / "data" / split / f"{i}.hdf5", n, 0.1 * (i + 1), seed=10 * n + i)
        for split, sizes in SPLITS.items()
        for i, n in enumerate(sizes)
    ]
    return folder, *(np.concatenate(arrays) for arrays in zip(*written, strict=True))


def test_the_well_with_all_that_it_may_hold(well):
    folder, u, constants = well
    fields = open_fields(folder)
    assert [channel.name for channel in fields.channels] == [
        "pressure",
        "velocity_r",
        "velocity_z",
        *("stress_rr", "stress_rz", "stress_zr", "stress_zz"),
    ]
    assert [channel.name for channel in fields.constants] == ["medium", "profile", "viscosity"]
    assert fields.splits == {"train": range(7), "valid": range(7, 9), "test": range(9, 12)}
    assert fields.periodic == (True, False)
    np.testing.assert_allclose(fields.times, np.arange(T) * 0.5)
    np.testing.assert_allclose(fields.coordinates[1], np.arange(10) / 5)
    np.testing.assert_array_equal(fields.read(), u)
    np.testing.assert_array_equal(fields.read_constants(), constants)
    # over the ends of files and splits
    np.testing.assert_array_equal(fields.read(slice(1, 12, 2)), u[1::2])
    some = (slice(2, 11, 3), slice(1, 6, 2)), (slice(0, 12, 5), slice(3, 9, 2))
    np.testing.assert_array_equal(
        fields.read(*some[0], some[1]), u[(*some[0], slice(None), *some[1])]
    )
    np.testing.assert_array_equal(
        fields.read_constants(some[0][0], some[1]), constants[(some[0][0], slice(None), *some[1])]
    )


def test_fields_of_the_well_are_chosen_by_name(well):
    folder, u, constants = well
    options = ReadOptions(key="velocity", input_key="t0_fields/medium", parameters=["gamma"])
    fields = open_fields(folder, options)
    np.testing.assert_array_equal(fields.read(), u[:, :, 1:3])
    assert [channel.name for channel in fields.constants] == ["medium", "gamma"]
    np.testing.assert_array_equal(fields.read_constants()[:, 0], constants[:, 0])
    np.testing.assert_array_equal(fields.read_constants()[:, 1], np.float32(1.4))
    with pytest.raises(ValueError, match=r"no fields speed; it holds .*t1_fields/velocity"):
        open_fields(folder, ReadOptions(key="speed"))


def test_wrong_attributes_of_the_well_are_named(tmp_path):
    write_well(tmp_path / "a.hdf5", 2, 0.1, seed=0)
    with h5py.File(tmp_path / "a.hdf5", "a") as file:
        file["t1_fields/velocity"].attrs["time_varying"] = False
    with pytest.raises(
        ValueError, match=r"t1_fields/velocity must have axes \(trajectory, x, y, c"
    ):
        open_fields(tmp_path / "a.hdf5")


def save_npy(path, u):
    np.save(path.with_suffix(".npy"), u)


def save_pt(path, u):
    torch.save(torch.from_numpy(u), path.with_suffix(".pt"))


def save_h5(path, u):
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file["some/u"] = u


@pytest.mark.parametrize("save", [save_npy, save_pt, save_h5])
@pytest.mark.parametrize(
    "places", [("train", "val", "test"), ("data/train/a", "data/valid/a", "data/test/a")]
)
def test_splits_of_folders_and_names_of_files(tmp_path, save, places):
    parts = [random(n, T, *GRID, seed=n) for n in (4, 2, 3)]
    for place, u in zip(places, parts, strict=True):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        save(tmp_path / place, u)
    fields = open_fields(tmp_path)
    assert fields.splits == {"train": range(4), "valid": range(4, 6), "test": range(6, 9)}
    np.testing.assert_array_equal(fields.read()[:, :, 0], np.concatenate(parts))
    assert len(fields.guesses) == 1


def test_splits_within_a_file(tmp_path):
    """As PDEArena has them, and as archives of NumPy name them."""
    u, v = random(6, T, *GRID), random(6, T, *GRID, seed=1)
    number = np.linspace(0, 1, 6)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for split, part in (("train", slice(4)), ("valid", slice(4, 6))):
            file[f"{split}/u"], file[f"{split}/vx"] = u[part], v[part]
            file[f"{split}/t"] = np.tile(np.arange(T) * 0.5, (len(u[part]), 1))
            file[f"{split}/dx"] = np.full(len(u[part]), 0.1)
            file[f"{split}/buo_y"] = number[part]
    fields = open_fields(tmp_path / "a.h5")
    assert fields.splits == {"train": range(4), "valid": range(4, 6)}
    np.testing.assert_array_equal(fields.read(), np.stack([u, v], axis=2))
    np.testing.assert_allclose(fields.read_constants()[:, 0, 0, 0], number, rtol=1e-6)
    np.testing.assert_allclose(fields.times, np.arange(T) * 0.5)
    np.testing.assert_allclose(fields.coordinates[0], np.arange(12) * 0.1)
    np.savez(
        tmp_path / "b.npz", x_train=u[:4, 0], y_train=v[:4, 0], x_test=u[4:, 0], y_test=v[4:, 0]
    )
    steady = open_fields(tmp_path / "b.npz")
    assert steady.splits == {"train": range(4), "test": range(4, 6)}
    np.testing.assert_array_equal(steady.read()[:, 0, 0], v[:, 0])
    np.testing.assert_array_equal(steady.read_constants()[:, 0], u[:, 0])


def test_a_folder_of_inputs_and_outputs(tmp_path):
    u = random(6, T, *GRID)
    for split, part in (("train", slice(4)), ("test", slice(4, 6))):
        np.save(tmp_path / f"{split}_inputs.npy", u[part, 0])
        np.save(tmp_path / f"{split}_outputs.npy", u[part, 1])
    fields = open_fields(tmp_path)
    assert fields.splits == {"train": range(4), "test": range(4, 6)}
    np.testing.assert_array_equal(fields.read()[:, 0, 0], u[:, 1])
    np.testing.assert_array_equal(fields.read_constants()[:, 0], u[:, 0])


def test_single_trajectories_in_files_of_their_own(tmp_path):
    u = random(4, T, *GRID)
    for i, frames in enumerate(u):
        np.save(tmp_path / f"run{i}.npy", frames)
    fields = open_fields(tmp_path, ReadOptions(axes=("time", "x", "y")))
    np.testing.assert_array_equal(fields.read(slice(1, 4, 2))[:, :, 0], u[1:4:2])


def test_files_that_do_not_agree_are_named(tmp_path):
    for name, shape in (("a", (3, T, *GRID)), ("b", (3, T, 12, 11))):
        np.save(tmp_path / f"{name}.npy", np.zeros(shape))
    with pytest.raises(ValueError, match=r"must agree in frames and grid, got \(6, 12, 10\) in"):
        open_fields(tmp_path)
    (tmp_path / "b.npy").unlink()
    for name, step in (("c", 1.0), ("d", 2.0)):
        (tmp_path / "points").mkdir(exist_ok=True)
        u = np.zeros((3, T, *GRID))
        np.savez(tmp_path / "points" / f"{name}.npz", u=u, x=step * np.arange(12))
    with pytest.raises(ValueError, match=r"must agree in their x, got 0 to 11 in .* and 0 to 22"):
        open_fields(tmp_path / "points")
    np.save(tmp_path / "test.npy", np.zeros((3, T, *GRID)))
    assert open_fields(tmp_path).splits is None
    (tmp_path / "a.npy").unlink()
    (tmp_path / "test.npy").unlink()
    with pytest.raises(
        ValueError,
        match=r"holds no data file .* neither directly nor in folders train, valid and test",
    ):
        open_fields(tmp_path)


BIG = (40, 30, 64, 64)  # 20 MB


def peak(read):
    """Return the most bytes that were held while something was read."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """Large files of every format that is read by parts, by name."""
    folder, u = tmp_path_factory.mktemp("big"), np.ones(BIG, np.float32)
    np.save(folder / "a.npy", u)
    np.savez(folder / "a.npz", u=u)
    torch.save({"u": torch.from_numpy(u)}, folder / "a.pt")
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("u", data=u, chunks=(1, 1, 64, 64))
    for split, part in (("train", u[:20]), ("valid", u[20:30]), ("test", u[30:])):
        (folder / "well/data" / split).mkdir(parents=True)
        with h5py.File(folder / "well/data" / split / "a.hdf5", "w") as file:
            file.create_dataset("t0_fields/vorticity", data=part, chunks=(1, 1, 64, 64))
            file["t0_fields/vorticity"].attrs.update({"sample_varying": 1, "time_varying": 1})
            file["dimensions/time"] = np.arange(30.0)
    return folder


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.pt", "a.h5", "well"])
def test_memory_follows_from_what_is_read_and_not_from_the_size_of_the_file(big, name):
    n_bytes = 4 * 2 * 30 * 16 * 16  # what is read: .25 MB of 20 MB

    def read():
        fields = open_fields(big / name)
        part = fields.read(slice(19, 21), points=(slice(0, 64, 4), slice(0, 64, 4)))
        assert part.nbytes == n_bytes

    assert peak(read) < 4 * n_bytes


def test_named_data_sets_read_the_points_that_are_asked_for_alone(big):
    points = (slice(0, 64, 4), slice(0, 64, 4))
    n_bytes = 4 * 20 * 30 * 16 * 16

    def read():
        source = open_trajectories(big / "well/data/train")
        assert source.read(points=points).nbytes == n_bytes

    assert peak(read) < 2.5 * n_bytes


def test_a_group_or_tensor_for_every_trajectory(tmp_path):
    u, nu = random(11, T, *GRID), np.linspace(0, 1, 11)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i, frames in enumerate(u):
            file[f"runs/run_{i}/u"], file[f"runs/run_{i}/nu"] = frames, nu[i]
            file[f"runs/run_{i}/x"], file[f"runs/run_{i}/t"] = np.arange(12) / 12, i + np.arange(T)
            file[f"runs/run_{i}/grid"] = np.zeros((*GRID, 2))
    fields = open_fields(tmp_path / "a.h5")
    np.testing.assert_array_equal(fields.read(slice(1, 11, 3))[:, :, 0], u[1:11:3])
    np.testing.assert_allclose(fields.read_constants()[:, 0, 0, 0], nu, rtol=1e-6)
    np.testing.assert_allclose(fields.coordinates[0], np.arange(12) / 12)
    np.testing.assert_allclose(fields.times, np.arange(T))
    torch.save([torch.from_numpy(frames) for frames in u], tmp_path / "b.pt")
    np.testing.assert_array_equal(open_fields(tmp_path / "b.pt").read()[:, :, 0], u)
