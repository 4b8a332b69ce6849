import h5py
import numpy as np
import pytest
import scipy.io
import torch
from torch.utils.data import DataLoader

from data_scripts.pde import navier_stokes
from pde.config.dataset import NavierStokesConfig
from pde.dataset.samples import TrajectoryDataset
from pde.dataset.splits import check_grids, load_splits, load_test_split

FRAMES = {"n_input_frames": 2, "n_output_frames": 3, "first_frame": 1, "frame_spacing": 2}
SIZES = {"n_train": 4, "n_valid": 2, "n_test": 3}


def numbered(n, n_times=10, grid=(6, 6)):
    """Entry = 1000 trajectory + 10 frame + point / 100, so that every value tells its place."""
    i, t = np.arange(n)[:, None, None, None], np.arange(n_times)[None, :, None, None]
    point = np.arange(np.prod(grid)).reshape(grid) / 100
    return (1000 * i + 10 * t + point).astype(np.float32)


@pytest.fixture
def own_file(tmp_path):
    path = tmp_path / "own.mat"

    def write(u):
        scipy.io.savemat(path, {"u": u.transpose(0, 2, 3, 1)})
        return NavierStokesConfig(path=str(path), grid=6, **FRAMES, **SIZES)

    return write


def trajectories(split):
    return [int(past[0, 0, 0] // 1000) for (past,), _ in split]


def test_splits_of_an_own_file_are_disjoint_and_the_last_ones_are_for_testing(own_file):
    splits = load_splits(own_file(numbered(12)))
    assert trajectories(splits.train) == [0, 1, 2, 3]
    assert trajectories(splits.valid) == [4, 5]
    assert trajectories(splits.test) == [9, 10, 11]
    assert splits.sizes == {"train": 4, "valid": 2, "test": 3}
    assert splits.grid == (6, 6)


def test_past_and_future_are_the_frames_asked_for(own_file):
    u = numbered(9)
    splits = load_splits(own_file(u))
    (past,), future = splits.test[1]
    assert past.dtype == future.dtype == torch.float32
    np.testing.assert_array_equal(past, u[7, [1, 3]])
    np.testing.assert_array_equal(future, u[7, [5, 7, 9]])
    assert splits.times == (2.0, 4.0, 6.0, 8.0, 10.0)
    assert "6 x 6 points: 2 frames in, 3 out, times 2 to 10" in splits.description


def test_a_loader_batches_the_splits(own_file):
    splits = load_splits(own_file(numbered(9)))
    (past,), future = next(iter(DataLoader(splits.train, batch_size=4)))
    assert past.shape == (4, 2, 6, 6)
    assert future.shape == (4, 3, 6, 6)


def test_a_finer_file_is_thinned_out(own_file):
    config = own_file(numbered(9, grid=(12, 6)))
    config.grid = 3
    with pytest.raises(ValueError, match=r"dataset\.convention=own if both axes are of length 1"):
        load_splits(config)
    config.convention = "own"
    splits = load_splits(config)
    assert splits.grid == (3, 3)
    np.testing.assert_array_equal(
        splits.train[0][0][0], numbered(9, grid=(12, 6))[0, [1, 3], ::4, ::2]
    )


def test_own_well_folder_keeps_its_splits(tmp_path):
    u = numbered(15)
    for split, part in (("train", u[:6]), ("valid", u[6:9]), ("test", u[9:])):
        (tmp_path / "data" / split).mkdir(parents=True)
        with h5py.File(tmp_path / "data" / split / "a.hdf5", "w") as file:
            file["t0_fields/vorticity"] = part
            file["t0_fields/vorticity"].attrs.update({"sample_varying": True, "time_varying": True})
            file["dimensions/time"] = np.arange(10.0)
    splits = load_splits(NavierStokesConfig(path=str(tmp_path), grid=6, **FRAMES, **SIZES))
    assert trajectories(splits.train) == [0, 1, 2, 3]
    assert trajectories(splits.valid) == [6, 7]
    assert trajectories(splits.test) == [9, 10, 11]
    with pytest.raises(ValueError, match="has 3 trajectories, but n_valid=4 need 4"):
        load_splits(
            NavierStokesConfig(path=str(tmp_path), grid=6, **FRAMES, **{**SIZES, "n_valid": 4})
        )


def test_too_few_trajectories_are_an_error(own_file):
    with pytest.raises(
        ValueError, match="has 8 trajectories, but n_train=4, n_valid=2 and n_test=3 need 9"
    ):
        load_splits(own_file(numbered(8)))


def test_too_few_frames_are_an_error(own_file):
    with pytest.raises(ValueError, match=r"has 9 frames, but the last one asked for is number 10 "):
        load_splits(own_file(numbered(9, n_times=9)))


def test_a_grid_that_does_not_fit_is_an_error(own_file):
    with pytest.raises(ValueError, match=r"fields of shape \(6, 8\), which cannot be thinned out"):
        load_splits(own_file(numbered(9, grid=(6, 8))))


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        load_splits(NavierStokesConfig(path=str(tmp_path / "no.mat")))


def test_an_item_is_a_tuple_of_inputs_and_a_target():
    frames = torch.arange(30.0).reshape(2, 5, 3)
    inputs, target = TrajectoryDataset(frames, 2)[1]
    assert isinstance(inputs, tuple)
    torch.testing.assert_close(inputs[0], frames[1, :2])
    torch.testing.assert_close(target, frames[1, 2:])


def small(folder, **changes):
    options = {
        "grid": 4,
        "solver_grid": 8,
        "final_time": 5.0,
        "data_dir": str(folder),
        "n_input_frames": 1,
        "n_output_frames": 2,
        "first_frame": 0,
        "frame_spacing": 2,
        "n_train": 2,
        "n_valid": 1,
        "n_test": 1,
        "n_workers": 1,
        "device": "cpu",
    }
    return NavierStokesConfig(**{**options, **changes})


def test_missing_data_are_generated_once(tmp_path, capfd, monkeypatch):
    config = small(tmp_path / "with space, and = sign")
    splits = load_splits(config)
    assert "4/4" in capfd.readouterr().err
    assert splits.times == (1.0, 3.0, 5.0)
    assert len(splits.train) == 2
    monkeypatch.setattr(config, "make", lambda console: pytest.fail("made again"))
    again = load_splits(config)
    torch.testing.assert_close(again.test.frames, splits.test.frames)
    damaged = config.folder / "data" / "valid" / "navier_stokes_valid.hdf5"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"truncated or damaged.* Delete .* and it is made again"):
        load_splits(config)


def test_a_solution_that_becomes_unstable_is_an_error_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setattr(navier_stokes, "FORCING_AMPLITUDE", float("nan"))
    with pytest.raises(ValueError, match=r"could not be made: .*trajectory 0") as info:
        load_splits(small(tmp_path))
    assert "\n" not in str(info.value)


def test_what_the_numbers_depend_on_is_known_of_generated_data_alone(tmp_path, own_file):
    config = small(tmp_path)
    assert load_splits(config).identity == config.identity()
    assert config.identity()["seed"] == 0
    assert load_splits(own_file(numbered(9))).identity is None


def test_frames_beyond_the_horizon_are_refused_before_anything_is_generated(tmp_path, monkeypatch):
    config = small(tmp_path, frame_spacing=3)
    monkeypatch.setattr(config, "make", lambda console: pytest.fail("generated"))
    with pytest.raises(ValueError, match=r"end at stored frame 7, but final_time=5 .* stores 5"):
        load_splits(config)


def test_a_finer_test_split_is_thinned_out_to_any_of_its_grids(tmp_path):
    config = small(tmp_path, test_grid=16)
    splits = load_splits(config)
    assert splits.train.frames.shape == (2, 3, 4, 4)
    check_grids(config, [4, 8, 16])
    finest = load_test_split(config, 16)
    torch.testing.assert_close(finest.frames[..., ::4, ::4], splits.test.frames)
    with pytest.raises(ValueError, match="16 points cannot be thinned out to 32"):
        check_grids(config, [32])
