"""Problems with one field in and one field out, from the file to results.json."""

import json
import math

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from pde_configs import composed

from data_scripts.pde.conventions import BURGERS
from monarch_core.runs.artifacts import Curve, load_artifacts
from monarch_core.runs.schema import to_dataclass, to_dict
from pde import train
from pde.config.dataset import BurgersConfig, DarcyConfig, NavierStokesConfig
from pde.config.run import PdeConfig
from pde.dataset.splits import check_grids, load_splits, load_test_split
from pde.evaluate import evaluate

SIZES = {"n_train": 5, "n_valid": 2, "n_test": 3}


def smooth(n_points, n=10, n_axes=1, ends=False):
    """Random sums of three sines per axis on i / n_points, or on i / (n_points - 1)."""
    rng = np.random.default_rng(3)
    x = np.arange(n_points) / (n_points - ends)
    basis = np.stack([np.sin(math.pi * k * x) for k in (2, 4, 6)])
    amplitudes = rng.standard_normal((n, 2, *[3] * n_axes))
    for _ in range(n_axes):
        amplitudes = np.tensordot(amplitudes, basis, axes=(2, 0))
    return amplitudes.astype(np.float32)


def write_burgers(path, fields, **coordinates):
    with h5py.File(path, "w") as file:
        file["tensor"] = fields
        file["t-coordinate"] = coordinates.get("times", np.array([0.0, 1.0]))
        file.attrs.update({**BURGERS, "name": coordinates.get("name", "burgers")})
        file.attrs["viscosity"] = coordinates.get("viscosity", 0.1)
    return str(path)


def write_darcy(path, fields):
    with h5py.File(path, "w") as file:
        file["nu"], file["tensor"] = 5 + fields[:, 0], 0.01 * fields[:, 1:]
    return str(path)


@pytest.fixture
def files(tmp_path):
    return {
        "burgers": write_burgers(tmp_path / "p.hdf5", smooth(96)),
        "burgers_dirichlet": write_burgers(
            tmp_path / "d.hdf5", smooth(97, ends=True), name="burgers_dirichlet"
        ),
        "darcy": write_darcy(tmp_path / "a.hdf5", smooth(65, n_axes=2, ends=True)),
    }


def test_splits_and_points(files):
    splits = load_splits(BurgersConfig(path=files["burgers"], grid=24, **SIZES))
    np.testing.assert_array_equal(splits.train.frames, smooth(96)[:5, :, ::4])
    np.testing.assert_array_equal(splits.test.past, smooth(96)[-3:, :1, ::4])
    assert splits.grid == (24,)
    assert "from t = 0 to t = 1" in splits.description
    config = DarcyConfig(path=files["darcy"], grid=16, **SIZES)
    splits = load_splits(config)
    u = smooth(65, n_axes=2, ends=True)
    np.testing.assert_array_equal(splits.valid.past, 5 + u[5:7, :1, 2::4, 2::4])
    np.testing.assert_allclose(splits.valid.future, 0.01 * u[5:7, 1:, 2::4, 2::4])
    finer = load_test_split(config, 32)
    np.testing.assert_array_equal(finer.past, 5 + u[-3:, :1, 1::2, 1::2])


def test_the_frame_at_the_final_time_is_the_output(tmp_path):
    fields = smooth(16, n=10)
    frames = np.stack([fields[:, 0] * t for t in range(1, 6)], axis=1)
    path = write_burgers(tmp_path / "a.hdf5", frames, times=np.arange(6) * 0.25)
    splits = load_splits(BurgersConfig(path=path, grid=16, final_time=0.75, **SIZES))
    np.testing.assert_allclose(splits.train.future, 4 * splits.train.past, rtol=1e-6)
    assert splits.times == (0.0, 0.75)
    with pytest.raises(ValueError, match=r"no frame at final_time=0\.6 .* are at 0 to 1"):
        load_splits(BurgersConfig(path=path, grid=16, final_time=0.6, **SIZES))


def test_files_of_another_problem_are_refused(files, tmp_path):
    with pytest.raises(ValueError, match=r"viscosity 0\.1, but dataset.viscosity=0\.01; set dat"):
        load_splits(BurgersConfig(path=files["burgers"], viscosity=0.01, grid=24, **SIZES))
    with pytest.raises(ValueError, match="darcy has 2 axes; choose the data set"):
        load_splits(DarcyConfig(path=files["burgers"], grid=16, **SIZES))
    path = tmp_path / "b.mat"
    scipy.io.savemat(path, {"u": np.zeros((10, 8, 8, 3))})
    with pytest.raises(ValueError, match=r"not clearly of darcy: .* it is of navier_stokes"):
        load_splits(DarcyConfig(path=str(path), grid=8, **SIZES))
    with pytest.raises(ValueError, match="holds 3 frames per sample where Darcy flow has two"):
        load_splits(DarcyConfig(path=str(path), grid=8, convention="own", **SIZES))
    config = BurgersConfig(path=files["burgers"], grid=24, **SIZES)
    with pytest.raises(ValueError, match="96 points cannot be thinned out to 36"):
        check_grids(config, [48, 36])


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (BurgersConfig, {"name": "burger"}, "name must be one of .'burgers', 'burgers_dirichlet'"),
        (BurgersConfig, {"viscosity": 0.0}, "viscosity must be positive"),
        (BurgersConfig, {"final_time": -1.0}, "final_time must be positive"),
        (BurgersConfig, {"stored_grid": 3000}, "stored_grid=3000: 3000 points cannot"),
        (BurgersConfig, {"stored_grid": 1024 * 3}, "stored_grid must be a divisor of 8192"),
        (
            BurgersConfig,
            {"grid": 4096, "stored_grid": 1024},
            "stored_grid=1024: .* divisor of 1024",
        ),
        (BurgersConfig, {"solver_grid": 4}, "solver_grid must be null or at least 8"),
        (BurgersConfig, {"device": "tpu"}, "device must be one of"),
        (BurgersConfig, {"n_train": 0}, "n_train must be at least 1"),
        (DarcyConfig, {"name": "burgers"}, "name must be darcy"),
        (DarcyConfig, {"grid": 128}, "stored_grid=128: 129 points cannot be thinned out to 128"),
        (DarcyConfig, {"stored_grid": 2}, "stored_grid must be at least 4"),
    ],
)
def test_impossible_options_are_refused(kind, changes, message):
    with pytest.raises(ValueError, match=message):
        kind(**changes)


@pytest.mark.parametrize(
    ("viscosity", "expected"), [(1.0, 256), (0.1, 256), (0.01, 256), (0.001, 1024)]
)
def test_the_solver_grid_follows_from_the_viscosity(viscosity, expected):
    assert BurgersConfig(viscosity=viscosity).resolved_solver_grid == expected


def test_the_folder_depends_on_what_is_stored_and_not_on_what_is_used_of_it():
    assert BurgersConfig().folder == BurgersConfig(grid=256).folder
    assert BurgersConfig().folder != BurgersConfig(viscosity=0.01).folder
    assert BurgersConfig().folder != BurgersConfig(name="burgers_dirichlet").folder
    assert DarcyConfig().folder == DarcyConfig(grid=32).folder
    assert DarcyConfig().folder != DarcyConfig(seed=1).folder


@pytest.mark.parametrize(
    ("name", "kind"),
    [("burgers", BurgersConfig), ("burgers_dirichlet", BurgersConfig), ("darcy", DarcyConfig)],
)
def test_the_name_decides_which_options_there_are(name, kind):
    config = to_dataclass(composed("pde", f"dataset={name}"), PdeConfig)
    assert type(config.dataset) is kind
    assert config.dataset.name == name
    from_file = to_dataclass(
        type(
            composed(
                "pde",
            )
        )(to_dict(config)),
        PdeConfig,
    )
    assert from_file == config
    with pytest.raises(Exception, match=r"dataset\.amplitude"):
        composed("pde", f"dataset={name}", "dataset.amplitude=2022")
    assert (
        type(
            to_dataclass(
                composed(
                    "pde",
                ),
                PdeConfig,
            ).dataset
        )
        is NavierStokesConfig
    )
    with pytest.raises(ValueError, match=r"dataset\.name must be one of navier_stokes, burgers"):
        to_dataclass(composed("pde", "dataset.name=heat"), PdeConfig)


def run(folder, name, path, *overrides):
    raw = composed(
        "pde",
        f"dataset={name}",
        f"dataset.path={path}",
        *(f"dataset.{key}={value}" for key, value in SIZES.items()),
        "dataset.grid=16",
        "model.n_modes=3",
        "model.hidden_channels=6",
        "model.n_layers=2",
        "fit.optimizer=adam",  # few gradients leave eigenbases to rounding, and paths apart
        "fit.epochs=2",
        "fit.batch_size=3",
        "fit.n_threads=1",
        "fit.accelerator=cpu",
        f"+run_dir={folder}",
        *overrides,
    )
    train.main.__wrapped__.__wrapped__(raw)
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("name", ["burgers", "burgers_dirichlet", "darcy"])
def test_every_transform_trains_and_is_evaluated_on_other_grids(tmp_path, files, name):
    grids = "evaluation.grids=[16,48]" if name != "darcy" else "evaluation.grids=[8,16,32]"
    errors = {}
    for transform in ("fft", "monarch_frozen", "monarch", "dense"):
        folder = tmp_path / transform
        results = run(folder, name, files[name], f"transform={transform}", grids)
        metrics = results["metrics"]
        assert all(math.isfinite(value) for value in metrics.values())
        assert results["dataset"] == name
        assert "relative_l2_one_step" not in metrics
        assert metrics["relative_l2/16"] == pytest.approx(metrics["relative_l2"], rel=1e-6)
        errors[transform] = metrics
    for key in ("relative_l2", "relative_h1", f"relative_l2/{32 if name == 'darcy' else 48}"):
        assert errors["monarch_frozen"][key] == pytest.approx(errors["fft"][key], rel=1e-3)
    figures = {artifact.figure: artifact for artifact in load_artifacts(folder)}
    assert {"spectrum", "last_frame", "error_over_grid"} <= set(figures)
    assert "error_over_time" not in figures
    assert isinstance(figures["last_frame"], Curve) == (name != "darcy")
    assert evaluate(folder)["metrics"]["relative_l2"] == pytest.approx(metrics["relative_l2"])


def test_a_grid_that_cannot_be_had_is_refused_before_training(tmp_path, files):
    with pytest.raises(ValueError, match="96 points cannot be thinned out to 40"):
        run(tmp_path, "burgers", files["burgers"], "evaluation.grids=[40]")
    assert not (tmp_path / "log.jsonl").exists()
    with pytest.raises(ValueError, match=r"evaluation\.grids must be from 4 to"):
        run(tmp_path / "b", "burgers", files["burgers"], "evaluation.grids=[2]")


def test_inputs_and_outputs_are_scaled_each_by_their_own_numbers(tmp_path, files):
    run(tmp_path, "darcy", files["darcy"])
    weights = torch.load(tmp_path / "weights.pt", weights_only=True)
    weights = weights.get("model", weights)
    splits = load_splits(DarcyConfig(path=files["darcy"], grid=16, **SIZES))
    torch.testing.assert_close(weights["mean"], splits.train.past.mean())
    torch.testing.assert_close(weights["output_std"], splits.train.future.std(correction=0))
