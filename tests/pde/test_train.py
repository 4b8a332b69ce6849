"""The training command from the outside: a sweep over all transforms on a file of fields."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from programs import run_program

from monarch_core.runs.artifacts import Curve, Table, load_artifacts
from monarch_core.runs.start import load_config
from pde.config.run import PdeConfig
from pde.evaluate import evaluate

ROOT = Path(__file__).parents[2]
KEYS = {
    "task",
    "dataset",
    "model",
    "transform",
    "seed",
    "split_sizes",
    "metrics",
    "n_parameters",
    "train_seconds",
    "seconds_per_epoch",
    "peak_memory_bytes",
    "device",
    "versions",
    "git_commit",
    "config",
}
TRANSFORMS = ["fft", "monarch_frozen", "monarch", "dense"]


def travelling_waves(n, grid=16, n_frames=8):
    rng = np.random.default_rng(0)
    x = np.arange(grid) / grid
    phase, speed = rng.uniform(0, 2 * np.pi, n), rng.uniform(0.02, 0.1, n)
    t = np.arange(n_frames)
    angle = 2 * np.pi * (x[:, None, None] + x[None, :, None] - speed[:, None, None, None] * t)
    return np.sin(angle + phase[:, None, None, None]).astype(np.float32)


def train(*overrides):
    script = ROOT / "pde/train.py"
    return run_program(script, *overrides, imports=("pde.train",), no_warning_of=r"pde\b")


@pytest.fixture(scope="module")
def overrides(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "waves.mat"
    scipy.io.savemat(path, {"u": travelling_waves(12), "t": np.arange(8.0)})
    return [
        "dataset=navier_stokes",
        f"dataset.path={path}",
        "dataset.grid=16",
        "dataset.n_train=6",
        "dataset.n_valid=3",
        "dataset.n_test=3",
        "dataset.first_frame=0",
        "dataset.frame_spacing=1",
        "dataset.n_input_frames=3",
        "dataset.n_output_frames=3",
        "model.n_modes=3",
        "model.hidden_channels=6",
        "model.n_layers=2",
        "fit.epochs=2",
        "fit.batch_size=3",
        "fit.optimizer=adam",  # few gradients leave eigenbases to rounding, and paths apart
        "fit.transform_learning_rate=1e-2",  # seen after two epochs
        "fit.n_threads=1",
        "fit.accelerator=cpu",
    ]


@pytest.fixture(scope="module")
def runs(overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    sweep = [f"transform={','.join(TRANSFORMS)}", f"hydra.sweep.dir={folder}"]
    finished = train("-m", *overrides, *sweep)
    assert finished.returncode == 0, finished.stderr
    found = {}
    for path in folder.glob("*/results.json"):
        results = json.loads(path.read_text())
        found[results["transform"]] = (path.parent, results)
    return found


def test_every_transform_leaves_complete_results(runs):
    assert set(runs) == set(TRANSFORMS)
    for folder, results in runs.values():
        assert set(results) >= KEYS
        assert results["split_sizes"] == {"train": 6, "valid": 3, "test": 3}
        assert all(math.isfinite(value) for value in results["metrics"].values())
        assert results["seconds_per_epoch"] > 0
        names = {"config.yaml", "weights.pt", "checkpoint.pt", "log.jsonl", "artifacts.npz"}
        assert names <= {path.name for path in folder.iterdir()}


def test_the_frozen_transform_tracks_the_fft(runs):
    fft, frozen = (runs[name][1]["metrics"]["relative_l2"] for name in ("fft", "monarch_frozen"))
    assert frozen == pytest.approx(fft, rel=1e-4)
    assert runs["fft"][1]["n_parameters"] == runs["monarch_frozen"][1]["n_parameters"]
    assert runs["monarch"][1]["metrics"]["relative_l2"] != pytest.approx(fft, rel=1e-4)


def test_evaluating_again_gives_the_same_numbers(runs):
    folder, results = runs["monarch"]
    again = evaluate(folder)
    timing = "milliseconds_per_trajectory"
    for name, value in results["metrics"].items():
        if name != timing:
            assert again["metrics"][name] == pytest.approx(value, rel=1e-5)


def test_a_run_can_be_measured_on_other_grids_later(runs, tmp_path):
    folder = shutil.copytree(runs["monarch"][0], tmp_path / "run")
    script = ROOT / "pde/evaluate.py"
    for grid, ok in ((8, True), (7, False)):
        words = [f"run={folder}", f"evaluation.grids=[{grid}]"]
        finished = run_program(script, *words, imports=("pde.train",))
        assert (finished.returncode == 0) == ok, finished.stderr
    results = json.loads((folder / "results.json").read_text())
    assert {name for name in results["metrics"] if "/" in name} == {"relative_l2/8"}
    assert results["config"]["evaluation"]["grids"] == [8]
    configs = [path / "config.yaml" for path in (folder, runs["monarch"][0])]
    assert configs[0].read_bytes() == configs[1].read_bytes()


def test_numbers_are_not_lost_where_nothing_can_be_written(runs, tmp_path, monkeypatch, caplog):
    folder = shutil.copytree(runs["fft"][0], tmp_path / "run")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    def read_only(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("os.fsync", read_only)
    caplog.set_level("INFO")
    with pytest.raises(OSError, match=r"could not write .*artifacts\.npz: Read-only") as caught:
        evaluate(folder)
    assert "\n" not in str(caught.value)
    error = runs["fft"][1]["metrics"]["relative_l2"]
    assert f"relative_l2: {error:.4g}" in caplog.text
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_weights_of_nan_are_no_result(runs, tmp_path):
    folder = shutil.copytree(runs["fft"][0], tmp_path / "run")
    weights = torch.load(folder / "weights.pt", weights_only=True)
    next(iter(weights.values())).fill_(float("nan"))
    torch.save(weights, folder / "weights.pt")
    before = (folder / "results.json").read_bytes()
    with pytest.raises(ValueError, match=r"weights\.pt holds NaN or infinite weights"):
        evaluate(folder)
    assert (folder / "results.json").read_bytes() == before


def test_predictions_that_overflow_are_no_result(runs, tmp_path, caplog):
    folder = shutil.copytree(runs["fft"][0], tmp_path / "run")
    weights = torch.load(folder / "weights.pt", weights_only=True)
    for value in weights.values():
        value.mul_(1e30) if value.is_floating_point() or value.is_complex() else None
    torch.save(weights, folder / "weights.pt")
    (folder / "results.json").unlink()
    with pytest.raises(ValueError, match=r"gives relative_l2=(nan|inf), .*which is no result"):
        evaluate(folder)
    assert not (folder / "results.json").exists()


def test_a_run_goes_on_with_its_own_data_and_config_only(runs, tmp_path):
    folder = shutil.copytree(runs["fft"][0], tmp_path / "run")
    (folder / "results.json").unlink()
    config = (folder / "config.yaml").read_text()
    path = load_config(folder, PdeConfig).dataset.path
    moved, other = tmp_path / "moved.mat", tmp_path / "other.mat"
    shutil.copy(path, moved)
    scipy.io.savemat(other, {"u": travelling_waves(12)[::-1], "t": np.arange(8.0)})
    assert "augment: null" in config
    edited = config.replace("augment: null", "augment: true").replace(path, str(other))
    (folder / "config.yaml").write_text(edited)
    finished = train(f"resume={folder}")
    assert finished.returncode == 1
    assert "data fingerprint of train=" in finished.stderr
    assert "augment=True (the run was started with " in finished.stderr
    assert not (folder / "results.json").exists()
    (folder / "config.yaml").write_text(config.replace(path, str(moved)))
    finished = train(f"resume={folder}")
    assert finished.returncode == 0, finished.stderr
    again = json.loads((folder / "results.json").read_text())
    assert again["data_fingerprints"] == runs["fft"][1]["data_fingerprints"]
    assert set(again["data_fingerprints"]) == {"train", "valid", "test"}


def test_numbers_of_other_data_or_another_config_are_said(runs, tmp_path, caplog):
    folder = shutil.copytree(runs["fft"][0], tmp_path / "run")
    evaluate(folder, {"grids": [8]})  # how it is measured is free
    assert "these are not the numbers" not in caplog.text
    config = (folder / "config.yaml").read_text()
    other = tmp_path / "other.mat"
    scipy.io.savemat(other, {"u": travelling_waves(12)[::-1], "t": np.arange(8.0)})
    edited = config.replace(load_config(folder, PdeConfig).dataset.path, str(other))
    edited = edited.replace("teacher_forcing: 0.8", "teacher_forcing: 0")
    (folder / "config.yaml").write_text(edited)
    evaluate(folder)
    message = next(m for m in caplog.messages if m.startswith("these are not the numbers"))
    assert "data fingerprint of test='" in message
    assert "teacher_forcing=0.0 (trained with 0.8)" in message
    assert "bring back data and config.yaml" in message
    assert "dataset.path" not in message


def test_artifacts_for_the_report(runs):
    artifacts = load_artifacts(runs["monarch"][0])
    figures = {artifact.figure for artifact in artifacts}
    assert {"error_over_time", "spectrum", "last_frame", "transform_distance"} <= figures
    error = next(a for a in artifacts if isinstance(a, Curve) and a.figure == "error_over_time")
    assert error.x.tolist() == [3.0, 4.0, 5.0]
    distances = next(a for a in artifacts if isinstance(a, Table))
    assert len(distances.rows) == 2 * 2 * 2  # layers, directions, axes
    assert all(distance > 0 for _, _, distance, _ in distances.rows)
    assert not any(isinstance(a, Table) for a in load_artifacts(runs["fft"][0]))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dataset.n_trian=3", "n_trian"),
        ("fit.epochs=many", "fit.epochs"),
        ("transform=wavelet", "wavelet"),
        ("model.n_modes=9", "a grid of 16x16 points holds k < 8 modes"),
    ],
)
def test_user_errors_are_one_paragraph(overrides, override, message, tmp_path):
    others = [o for o in overrides if o.split("=")[0] != override.split("=")[0]]
    finished = train(*others, override, f"hydra.run.dir={tmp_path}")
    assert finished.returncode == 1
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
    assert not (tmp_path / "weights.pt").exists()
