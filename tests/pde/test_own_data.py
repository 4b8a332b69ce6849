"""Own data through the whole chain: what is understood, read, trained, measured and exported."""

import json
import math
from pathlib import Path

import h5py
import numpy as np
import pde_configs
import pytest
import torch
from omegaconf import OmegaConf
from pde_files import N_FRAMES, flow, navier_stokes, write_matlab, write_well
from pde_own_files import two_fields, write_scalars, write_solid, write_steady, write_vector

from monarch_core.runs.artifacts import load_artifacts
from monarch_core.runs.schema import load_config, save_config, to_dataclass
from monarch_core.runs.sweep import folder_names, multirun
from monarch_core.training.start import start_run
from pde import train
from pde.config.own import OwnConfig
from pde.config.run import PdeConfig, choose_own
from pde.dataset.splits import load_splits, load_test_split
from pde.dataset.understanding import Understanding
from pde.evaluate import evaluate
from pde.models import load_model
from pde.understand import understood


def understand(path, **said):
    return Understanding(OwnConfig(path=str(path), **said)).config


def composed(*overrides):
    return pde_configs.composed("pde", *choose_own(overrides))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    np.save(folder / "line.npy", flow(8, N_FRAMES, (16,)))
    write_vector(folder / "vector.h5", two_fields())
    write_scalars(folder / "scalars.npz")
    write_solid(folder / "solid.npz")
    write_steady(folder / "steady.mat")
    return folder


def test_a_path_without_a_data_set_is_own_data():
    assert choose_own(["-m", "dataset.path=a"]) == ["-m", "dataset=own", "dataset.path=a"]
    assert choose_own(["dataset.path=a", "dataset.grid=8"])[2] == "dataset.grid=[8]"
    for chosen in (["dataset=darcy", "dataset.path=a"], ["experiment=smoke", "dataset.path=a"], []):
        assert choose_own(chosen) == chosen


@pytest.mark.parametrize("typed", [["dataset.path=a", "seed=1"], ["dataset=own"], ["seed=1"]])
def test_overrides_are_told_in_the_words_of_the_user(typed):
    assert PdeConfig.as_typed(choose_own(typed)) == typed


def test_what_does_not_go_with_resume_is_what_was_typed(tmp_path, monkeypatch):
    save_config(tmp_path, pde_configs.config_of())
    asked = choose_own([f"resume={tmp_path}", "dataset.path=a"])
    monkeypatch.setattr("monarch_core.runs.start.asked_overrides", lambda: asked)
    with pytest.raises(ValueError, match=r"so dataset\.path=a cannot be given with it"):
        start_run(OmegaConf.create({"resume": str(tmp_path)}), PdeConfig)


@pytest.mark.parametrize("varied", ["dataset.path=a,b", "dataset.path=a transform=fft,monarch"])
def test_a_sweep_over_own_data_finds_its_folders(tmp_path, varied):
    words = choose_own(multirun(tmp_path, Path("pde/train.py"), varied.split(), 1)[2:])
    name = next(word for word in words if word.startswith("hydra.sweep.subdir"))
    task = [word.replace(",b", "").replace("fft,", "") for word in words if word[0] in "dt"]
    assert "dataset=own" in task
    config = {"hydra": {"overrides": {"task": task}}, "name": name.partition("=")[2].strip("'")}
    assert OmegaConf.create(config).name in folder_names(varied.split())


def test_no_point_of_a_period_is_left_out(files):
    with pytest.raises(ValueError, match="leave out the last point of x"):
        understand(files / "line.npy", grid=[5])
    with pytest.raises(ValueError, match="divisor of 16"):
        load_test_split(understand(files / "line.npy"), 5)


def test_the_file_of_a_named_data_set_has_the_same_frames_as_own_data(tmp_path):
    path = write_matlab(tmp_path / "flow.mat", flow(), t=np.arange(1.0, N_FRAMES + 1))
    sizes = {"n_train": 4, "n_valid": 2, "n_test": 2}
    named = load_splits(navier_stokes(path))
    frames = {"n_input_frames": 2, "n_output_frames": 4}
    axes = ["trajectory", "x", "y", "time"]
    config = understand(path, key="u", axes=axes, parameters=[], constants=[], **frames, **sizes)
    own = load_splits(config)
    for split in ("train", "valid", "test"):
        a, b = getattr(named, split), getattr(own, split)
        assert torch.equal(a.frames, b.frames)
        assert (a.n_input_frames, len(a)) == (b.n_input_frames, len(b))
    assert own.times == named.times
    assert own.grid == named.grid


def test_channels_and_constants_stand_where_the_model_expects_them(files):
    config = understand(files / "scalars.npz", key="density,velocity", parameters=["nu"])
    assert (config.channels, config.constants) == (["density", "velocity"], ["nu"])
    assert (config.in_channels, config.out_channels) == (3, 2)
    test = load_splits(config).test
    stored = np.load(files / "scalars.npz")
    (past,), future = test[0]
    np.testing.assert_array_equal(past[0], stored["density"][-1, 0])
    np.testing.assert_array_equal(past[1], stored["velocity"][-1, 0])
    np.testing.assert_array_equal(past[2], np.full(16, stored["nu"][-1]))
    np.testing.assert_array_equal(future[2::2], stored["density"][-1, 2:])


def test_some_channels_in_any_order(files):
    both = load_splits(understand(files / "vector.h5")).train.frames.unflatten(1, (-1, 2))
    names = understand(files / "vector.h5").channels
    swapped = load_splits(understand(files / "vector.h5", channels=names[::-1])).train
    assert torch.equal(swapped.frames.unflatten(1, (-1, 2)), both.flip(2))
    one = load_splits(understand(files / "vector.h5", channels=names[1:])).train
    assert torch.equal(one.frames, both[:, :, 1])


def test_frames_points_and_trajectories_are_those_that_are_said(files):
    said = {"first_frame": 1, "stride": 2, "n_input_frames": 1, "n_output_frames": 1}
    config = understand(files / "vector.h5", grid=[6, 4], periodic=[True, True], n_test=3, **said)
    stored = two_fields()
    splits = load_splits(config)
    np.testing.assert_array_equal(
        splits.test.frames.unflatten(1, (2, 2)),
        stored[-3:, 1:5:2, ::2, ::2].transpose(0, 1, 4, 2, 3),
    )
    assert splits.times == (0.5, 1.5)
    other = load_test_split(config, 12)
    np.testing.assert_array_equal(other.frames[:, :, ::2, ::2], splits.test.frames)
    assert other.frames.shape[2:] == (12, 8)


def test_one_number_is_the_grid_of_every_axis(files):
    assert understand(files / "solid.npz", grid=[4]).grid == [4, 4, 4]


def test_a_steady_problem_has_inputs_and_no_frames(files):
    config = understand(files / "steady.mat", axes=["trajectory", "x", "y"])
    assert (config.n_input_frames, config.n_output_frames, config.evolves) == (0, 1, False)
    (past,), future = load_splits(config).train[0]
    assert past.shape == future.shape == (1, 12, 13)
    torch.testing.assert_close(future[0], past[0].cumsum(0) / 12)


CASES = {
    "line.npy": ["transform=monarch", "model=fno_fast"],
    "vector.h5": ["transform=fft", "evaluation.grids=[6]"],
    "scalars.npz": [
        "model=monarch_no",
        "dataset.periodic=[false]",
        "dataset.key='density,velocity'",
        "teacher_forcing=1.0",
    ],
    "solid.npz": ["transform=monarch"],
    "steady.mat": ["model=resnet", "transform=fft", "dataset.axes=[trajectory,x,y]"],
}


@pytest.mark.parametrize("name", CASES)
def test_one_line_trains_measures_and_leaves_a_complete_folder(files, tmp_path, name, caplog):
    caplog.set_level("INFO")
    raw = composed(
        f"dataset.path={files / name}",
        "model.hidden_channels=6",
        *(["model.n_layers=2"] if name != "steady.mat" else []),
        f"+run_dir={tmp_path}",
        "fit.epochs=1",
        "fit.optimizer=adam",
        "fit.transform_learning_rate=1e-3",
        "fit.n_threads=1",
        "fit.accelerator=cpu",
        *CASES[name],
    )
    train.main.__wrapped__.__wrapped__(raw)
    messages = caplog.messages
    summary = next(i for i, text in enumerate(messages) if text.startswith("own data"))
    assert "run folder" in messages[summary + 1]  # nothing runs before it
    results = json.loads((tmp_path / "results.json").read_text())
    metrics, config = results["metrics"], load_config(tmp_path, PdeConfig)
    assert all(math.isfinite(value) for value in metrics.values())
    assert config.dataset.is_understood
    names = config.dataset.channels
    of_each = {key for key in metrics if key.startswith("relative_l2/") and key[12:] in names}
    assert len(of_each) == (len(names) if len(names) > 1 else 0)
    figures = {artifact.figure for artifact in load_artifacts(tmp_path)}
    assert {f"last_frame_{n}" if len(names) > 1 else "last_frame" for n in names} <= figures
    again = evaluate(tmp_path)["metrics"]
    assert again["relative_l2"] == pytest.approx(metrics["relative_l2"], rel=1e-5)
    model, _ = load_model(tmp_path)
    test = load_splits(config.dataset).test
    prediction = model(test.past)
    assert prediction.shape == test.future.shape


def test_what_was_understood_is_what_is_read_again(files, tmp_path):
    raw = composed(f"dataset.path={files / 'scalars.npz'}", "model.n_modes=50")
    config = to_dataclass(understood(raw), PdeConfig)
    assert config.model.n_modes == 8  # of 16 points
    save_config(tmp_path, config)
    again = load_config(tmp_path, PdeConfig)
    assert again == config
    first, second = (load_splits(c.dataset).fingerprints for c in (config, again))
    assert first == second


def test_everything_that_is_wrong_is_said_at_once(files):
    raw = composed(
        f"dataset.path={files / 'vector.h5'}",
        "dataset.n_output_frames=9",
        "dataset.channels=[pressure]",
        "dataset.n_train=20",
        "transform.heads=7",
        "evaluation.grids=[5]",
    )
    with pytest.raises(ValueError, match="ask for frame 9") as caught:
        understood(raw)
    for words in (
        "dataset.channels must be among velocity_x, velocity_y, got pressure",
        "there are 8 trajectories, too few for n_train=20",
        "transform.heads must divide model.hidden_channels",
    ):
        assert words in str(caught.value)
    with pytest.raises(
        ValueError, match=r"dataset\.stride must .*; dataset\.grid must .*three pos"
    ):
        OwnConfig(stride=0, grid=[2, 8], fractions=[1.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"grid": [5, 8]},
            r"a grid of 5 x 8 points, along x: 12 points cannot be thinned out to 5",
        ),
        ({"grid": [8] * 3}, r"there are 2 axes of space \(x, y\), got dataset\.grid=\[8, 8, 8\]"),
        ({"times": [0, 1, 3, 4, 9]}, r"must be evenly spaced in time.*got times 0, 1, 3, 4, 9"),
        ({"channels": ["w"]}, r"dataset\.channels must be among velocity_x, velocity_y, got w"),
        ({"n_test": 8}, "too few for n_train"),
    ],
)
def test_what_does_not_fit_the_file_is_refused(files, said, message):
    with pytest.raises(ValueError, match=message):
        understand(files / "vector.h5", **said)


def test_one_frame_without_an_input_is_nothing_to_learn(tmp_path):
    np.save(tmp_path / "one.npy", flow(8, 1, (12, 12)))
    with pytest.raises(ValueError, match=r"has one frame.*dataset\.input_key"):
        understand(tmp_path / "one.npy", axes=["trajectory", "time", "x", "y"])


def test_a_channel_of_one_value_is_refused_by_name(tmp_path):
    u = two_fields()
    u[..., 1] = 3
    config = understand(write_vector(tmp_path / "still.h5", u))
    with pytest.raises(ValueError, match=r"velocity_y: all outputs.*channels=\[velocity_x\]"):
        load_splits(config)


def test_the_same_trajectory_in_two_splits_is_refused(tmp_path):
    u = two_fields()
    u[-1] = u[0]
    path = write_vector(tmp_path / "twice.h5", u)
    with pytest.raises(ValueError, match=r"in more than one split.*allow_duplicates"):
        load_splits(understand(path))
    assert load_splits(understand(path, allow_duplicates=True)).sizes["test"] == 1


def test_a_file_that_no_longer_holds_what_it_held(files, tmp_path):
    config = understand(files / "vector.h5")
    config.path = str(tmp_path / "other.h5")
    with h5py.File(config.path, "w") as file:
        file["speed"] = two_fields()
    with pytest.raises(ValueError, match=r"no longer holds velocity_x, velocity_y"):
        load_splits(config)
    with pytest.raises(ValueError, match="does not say what the file holds"):
        load_splits(OwnConfig(path=config.path))


def test_what_does_not_fit_into_memory_is_refused_before_it_is_read(files, monkeypatch):
    config = understand(files / "vector.h5")
    monkeypatch.setattr("monarch_core.runs.machine.memory_bytes", lambda: 1000)
    with pytest.raises(ValueError, match=r"8 trajectories of 10 fields on 12 x 8 points.*grid="):
        load_splits(config)


def test_uneven_points_are_known_to_the_model(tmp_path):
    y = np.array([0.0, 0.1, 0.3, 0.6, 1.0, 1.5, 1.9, 2.0])
    path = write_vector(tmp_path / "uneven.h5", two_fields(), x=np.arange(12) / 12, y=y)
    config = understand(path)
    assert config.coordinates(0) is None
    np.testing.assert_allclose(config.coordinates(1)(8), y / 2)
    assert not config.is_even


def test_a_run_without_the_period_of_its_points_does_not_start(tmp_path):
    x = np.linspace(0, 1, 16) ** 1.2
    np.savez(tmp_path / "ring.npz", u=flow(8, N_FRAMES, (16,)), x=x)
    options = [f"dataset.path={tmp_path / 'ring.npz'}", "dataset.periodic=[true]"]
    options += ["dataset.grid=[8]", "model=fno_1d", "model.n_modes=3"]
    understood(composed(*options, "transform=fft"))
    with pytest.raises(ValueError, match=r"the 8 points along axis 0 .* where the next period"):
        understood(composed(*options, "transform=nudft"))


def test_a_file_of_a_named_problem_is_said_to_be_one(tmp_path, files, caplog):
    caplog.set_level("INFO")
    well = write_well(tmp_path / "flow.hdf5", flow(), dataset_name="navier_stokes", viscosity=1e-3)
    understood(composed(f"dataset.path={well}"))
    assert "of navier_stokes: dataset=navier_stokes " in caplog.text
    caplog.clear()
    understood(composed(f"dataset.path={files / 'vector.h5'}", "dataset.grid=[6,4]"))
    assert "hint" not in caplog.text
    for words in ("x 6 of 12 points", "frames 0 in, 1 to 4 out", "times 0 to 2, steps of 0.5"):
        assert words in caplog.text
    assert "6 train (0 to 5), 1 valid (6), 1 test (7)" in caplog.text
