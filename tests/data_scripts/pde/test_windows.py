"""Windows of long trajectories: which frames they have, and that no two share one."""

import itertools

import h5py
import numpy as np
import pytest

from data_scripts.pde.readers import ReadOptions, UnusableFileError, open_fields

N_TIMES, GRID = 23, (12, 10)
RNG = np.random.default_rng(0)


def field(n):
    return RNG.normal(size=(n, N_TIMES, *GRID)).astype(np.float32)


def windows(path, u, w, first=0, **said):
    options = ReadOptions(window=w, first_frame=first, axes=said.pop("axes", None), **said)
    return open_fields(path, options)


@pytest.mark.parametrize("w", [2, 5, 7, 23])
@pytest.mark.parametrize("first", [0, 3])
def test_a_window_is_that_many_frames_one_after_the_other(tmp_path, w, first):
    if w + first > N_TIMES:
        pytest.skip("no such window")
    u = field(3)
    np.savez(tmp_path / "u.npz", u=u, nu=np.arange(3.0), t=np.arange(N_TIMES) * 0.5)
    fields = windows(tmp_path / "u.npz", u, w, first)
    n = (N_TIMES - first) // w
    assert fields.shape == (3 * n, w, 1, *GRID)
    values, constants = fields.read(), fields.read_constants()
    for k, (i, start) in enumerate(fields.windows):
        np.testing.assert_array_equal(values[k, :, 0], u[i, start : start + w])
        np.testing.assert_array_equal(constants[k], np.full((1, *GRID), i))
    frames = [(i, f) for i, start in fields.windows for f in range(start, start + w)]
    assert len({*frames}) == len(frames) == 3 * n * w
    assert min(f for _, f in frames) == first
    starts = [start for _, start in fields.windows]
    assert starts == sorted(starts)
    np.testing.assert_allclose(fields.times, 0.5 * (first + np.arange(w)))
    some = fields.read(slice(1, 3 * n, 2), slice(0, w, 2), (slice(0, 12, 3), slice(1, 10)))
    np.testing.assert_array_equal(some, values[1::2, ::2, :, ::3, 1:])


def test_one_trajectory_without_an_axis_for_it(tmp_path):
    u = field(1)[0]
    np.save(tmp_path / "u.npy", u)
    fields = windows(tmp_path / "u.npy", u, 4, axes=["time", "x", "y"])
    np.testing.assert_array_equal(fields.read()[:, :, 0], u[:20].reshape(5, 4, *GRID))
    assert any("frames 20 to 22 fill no window" in guess for guess in fields.guesses)


def test_time_behind_space_and_several_channels(tmp_path):
    u = RNG.normal(size=(2, *GRID, N_TIMES, 2)).astype(np.float32)
    with h5py.File(tmp_path / "u.h5", "w") as file:
        file["u"], file["a"] = u, u[..., 0, 0]
    axes = ["trajectory", "x", "y", "time", "channel"]
    fields = windows(tmp_path / "u.h5", u, 6, axes=axes, key="u", input_key="a")
    stored = u.transpose(0, 3, 4, 1, 2)
    wanted = [stored[i, 6 * c : 6 * c + 6] for c, i in itertools.product(range(3), range(2))]
    np.testing.assert_array_equal(fields.read(), wanted)
    np.testing.assert_array_equal(fields.read_constants()[:, 0], u[[0, 1] * 3, ..., 0, 0])


def test_the_splits_of_a_file_stay_apart(tmp_path):
    u, v = field(2), field(1)
    np.savez(tmp_path / "s.npz", u_train=u, u_test=v)
    axes = ["trajectory", "time", "x", "y"]
    fields = windows(tmp_path / "s.npz", u, 5, axes=axes)
    assert fields.splits == {"train": range(8), "test": range(8, 12)}
    np.testing.assert_array_equal(
        fields.read(slice(8, 12))[:, :, 0], v[0, :20].reshape(4, 5, *GRID)
    )


def test_errors(tmp_path):
    u = field(2)
    np.savez(tmp_path / "u.npz", u=u, t=np.arange(N_TIMES) ** 2)
    with pytest.raises(UnusableFileError, match=r"window=5 needs frames that are even in time"):
        windows(tmp_path / "u.npz", u, 5)
    with pytest.raises(
        UnusableFileError, match=r"23 frames, .* at least 2 and at most 20 .* got 21"
    ):
        windows(tmp_path / "u.npz", u, 21, first=3)


def test_a_place_is_that_in_the_file(tmp_path):
    u = field(2)
    u[1, 12, 2, 2] = np.nan
    np.savez(tmp_path / "u.npz", u=u)
    with pytest.raises(UnusableFileError, match="window 5, frame 12 of trajectory 1"):
        windows(tmp_path / "u.npz", u, 5).read()
