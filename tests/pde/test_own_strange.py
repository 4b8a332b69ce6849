"""Own files that are read otherwise than their maker may think: nothing of that in silence."""

import h5py
import numpy as np
import pytest
import scipy.io
from pde_files import flow

from pde.config.own import OwnConfig
from pde.dataset.own import load_own_splits
from pde.dataset.summary import summarize
from pde.dataset.understanding import Understanding

U = flow(12, 8, (16, 16))
X = np.arange(16) / 16


def understood(path, **said):
    return Understanding(OwnConfig(path=str(path), **said))


def words(path, **said):
    found = understood(path, **said)
    return summarize(found.fields, found.config, found.notes)


def test_points_that_fall_evenly_are_even(tmp_path):
    np.savez(tmp_path / "a.npz", u=U, lat=X[::-1], lon=X)
    assert understood(tmp_path / "a.npz").config.uneven == {}
    assert "from 0.9375 to 0 0.0625 apart" in words(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", u=U, x=X[::-1] ** 2, y=X)
    assert understood(tmp_path / "b.npz").config.uneven["x"][0] == 0


@pytest.mark.parametrize("points", [np.roll(X, 5), np.where(X == 0, np.nan, X), 0 * X])
def test_points_in_no_order_are_refused_with_the_remedy(tmp_path, points):
    np.savez(tmp_path / "a.npz", u=U, x=points, y=X)
    with pytest.raises(ValueError, match=r"along x must be finite and grow.*dataset\.spacing=\["):
        understood(tmp_path / "a.npz")
    assert understood(tmp_path / "a.npz", spacing=[0.1, 0.1]).config.uneven == {}


@pytest.mark.parametrize("times", [np.arange(8.0)[::-1], np.array([0, 1, 1, 2, 3, 4, 5, 6.0])])
@pytest.mark.parametrize("said", [{"time_step": 0.5}, {"times": list(np.arange(8) * 0.5)}])
def test_what_is_said_of_times_takes_the_place_of_wrong_ones(tmp_path, times, said):
    np.savez(tmp_path / "a.npz", u=U, t=times)
    with pytest.raises(
        ValueError, match=r"or say dataset\.times=\[\.\.\.\] or dataset\.time_step="
    ):
        understood(tmp_path / "a.npz")
    assert "times 0 to 3.5, steps of 0.5" in words(tmp_path / "a.npz", **said)


def test_values_that_float32_cannot_tell_apart_are_said_once(tmp_path, caplog):
    np.save(tmp_path / "a.npy", 1e-2 * U.astype(np.float64) + 1e3)
    load_own_splits(understood(tmp_path / "a.npy").config)
    assert caplog.text.count("steps of float32") == 1
    assert "subtract what is common" in caplog.text
    caplog.clear()
    np.save(tmp_path / "b.npy", U.astype(np.float64) + 1)
    load_own_splits(understood(tmp_path / "b.npy").config)
    assert "float32" not in caplog.text


def test_frames_that_never_change_are_said(tmp_path):
    np.save(tmp_path / "a.npy", np.repeat(U[:, :1], 8, 1))
    assert "nothing changes from frame to frame" in words(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", U)
    assert "nothing changes" not in words(tmp_path / "b.npy")


def test_trajectories_of_several_lengths_are_named(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i, u in enumerate(U):
            file[f"run_{i}/u"] = u[: 8 - i % 2]
    with pytest.raises(ValueError, match=r"run_#/u differ in shape, \(7, 16, 16\), \(8, 16, 16\)"):
        understood(tmp_path / "a.h5")


def test_what_has_parts_is_to_be_stored_by_parts(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"data": {"u": U}})
    with pytest.raises(ValueError, match=r"class struct, .* save\('own.mat', '-struct', 'data'\)"):
        understood(tmp_path / "a.mat")
    np.save(tmp_path / "a.npy", np.zeros(U.shape, [("u", "f4"), ("v", "f4")]))
    with pytest.raises(ValueError, match="of records each part as an array"):
        understood(tmp_path / "a.npy")


def test_no_order_of_axes_is_named_that_could_not_be_meant(tmp_path):
    np.save(tmp_path / "a.npy", U[:, :1])
    with pytest.raises(ValueError, match=r"dataset\.axes=\[\.\.\.\] with one of") as refused:
        understood(tmp_path / "a.npy")
    assert "such as" not in str(refused.value)


def test_only_what_is_used_has_to_be_finite(tmp_path):
    u = np.stack([U, U + 1, U - 1], axis=-1)
    u[:, :1] = u[3, 6:] = np.nan  # before the first frame that is used, after the last
    u[..., 1] = np.nan
    u[9] = np.inf  # beyond the trajectories that are used
    np.savez(tmp_path / "a.npz", w=u, nu=np.arange(12.0), re=np.full(12, np.nan))
    axes = ["trajectory", "time", "x", "y", "channel"]
    said = {"axes": axes, "n_train": 7, "n_valid": 1, "n_test": 1, "first_frame": 1}
    said |= {"n_input_frames": 2, "n_output_frames": 3, "parameters": ["nu"]}
    config = understood(tmp_path / "a.npz", channels=["w[2]", "w[0]"], **said).config
    assert config.periodic == [True, True]
    frames = load_own_splits(config).train.frames.unflatten(1, (5, 2))
    np.testing.assert_array_equal(frames[:, :, 0], (U - 1)[:7, 1:6])
    np.testing.assert_array_equal(frames[:, :, 1], U[:7, 1:6])
    with pytest.raises(ValueError, match=r"NaN or infinity, first in .* 0, frame 1, w\[1\]"):
        load_own_splits(understood(tmp_path / "a.npz", channels=["w[1]"], **said).config)
    with pytest.raises(ValueError, match=r"first in trajectory 3, frame 6"):
        load_own_splits(
            understood(tmp_path / "a.npz", channels=["w[0]"], **said | {"first_frame": 2}).config
        )


def test_a_channel_that_float32_cannot_tell_apart_is_said_beside_others(tmp_path, caplog):
    u = np.stack([U.astype(np.float64), 1e3 + 1e-2 * U.astype(np.float64)], axis=2)
    np.save(tmp_path / "a.npy", u)
    load_own_splits(understood(tmp_path / "a.npy").config)
    assert caplog.text.count("a.npy, field[1]: values differ by fewer") == 1
    assert "field[0]" not in caplog.text
