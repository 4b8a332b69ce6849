"""Data sets of one field in and one out as files: layout, splits, determinism, restart, checks."""

import io
import re

import h5py
import numpy as np
import pytest
import yaml
from rich.console import Console

from data_scripts.command_line import run_recipe
from data_scripts.pde import check as pde_check
from data_scripts.pde import darcy
from data_scripts.pde.burgers import BurgersRecipe
from data_scripts.pde.burgers_solver import BurgersSolver, initial_dirichlet, to_grid
from data_scripts.pde.channel import ChannelRecipe
from data_scripts.pde.darcy import DarcyRecipe
from data_scripts.pde.layered import LayeredRecipe
from data_scripts.pde.readers import read_trajectories
from data_scripts.recipe import produce
from data_scripts.resumable import Batch

SIZES = {"n_train": 3, "n_valid": 2, "n_test": 2, "n_workers": 1, "batch_size": 2}


def tiny_burgers(folder, **changes):
    options = {"stored_grid": 128, "solver_grid": 48, "device": "cpu", **SIZES}
    return BurgersRecipe(**{**options, "data_dir": str(folder), **changes})


def tiny_darcy(folder, **changes):
    options = {"stored_grid": 16, **SIZES}
    return DarcyRecipe(**{**options, "data_dir": str(folder), **changes})


def tiny_layered(folder, **changes):
    options = {"stored_grid": 64, "n_layers": 3, "n_medium_modes": 40, **SIZES}
    return LayeredRecipe(**{**options, "data_dir": str(folder), **changes})


def tiny_channel(folder, **changes):
    solver = {"n_waves": 4, "n_modes": 14, "time_step": 0.02, "correlation_length": 0.3}
    options = {"stored_grid": 16, "final_time": 0.1, **solver, **SIZES}
    return ChannelRecipe(**{**options, "data_dir": str(folder), **changes})


MAKERS = {
    "burgers": tiny_burgers,
    "dirichlet": lambda folder, **c: tiny_burgers(folder, name="burgers_dirichlet", **c),
    "stretched": lambda folder, **c: tiny_burgers(folder, name="burgers_stretched", **c),
    "darcy": tiny_darcy,
    "channel": tiny_channel,
    "wave": tiny_layered,
    "heat": lambda folder, **c: tiny_layered(folder, name="heat_layered", **c),
}


def generate(recipe):
    said = io.StringIO()
    return produce(recipe, Console(file=said, width=200)), said.getvalue()


@pytest.fixture(params=MAKERS)
def configure(request):
    return MAKERS[request.param]


def test_the_data_set_is_complete_and_says_how_it_was_made(tmp_path, configure):
    config = configure(tmp_path)
    folder, said = generate(config)
    assert folder == config.folder
    assert "7/7" in said
    metadata = yaml.safe_load((folder / "metadata.yaml").read_text())
    assert metadata["recipe"] == config.identity()
    assert {"equation", "boundary", "grid", "units", "seed", "source"} <= set(metadata)
    frames, _ = read_trajectories(folder)
    assert frames.shape == (7, 2, *config.stored_points)
    assert len(np.unique(frames[:, 1].reshape(7, -1), axis=0)) == 7
    assert "is there already" in generate(config)[1]


def test_more_training_data_leave_the_other_splits_as_they_are(tmp_path, configure):
    small, _ = read_trajectories(generate(configure(tmp_path))[0])
    config = configure(tmp_path, n_train=4, batch_size=3)
    large, _ = read_trajectories(generate(config)[0])
    np.testing.assert_allclose(large[:3], small[:3], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(large[4:], small[3:], rtol=1e-5, atol=1e-6)


def test_an_interrupted_run_continues(tmp_path, configure, monkeypatch):
    config, batches = configure(tmp_path), []
    simulate = type(config).simulate

    def interrupted(recipe, batch):
        if len(batches) == 2:
            raise KeyboardInterrupt
        batches.append(batch)
        return simulate(recipe, batch)

    with monkeypatch.context() as patch:
        patch.setattr(type(config), "simulate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            generate(config)
    _, said = generate(config)
    assert "4 of 7 trajectories are there already" in said or "3 of 7" in said


def test_a_coarser_storage_holds_the_same_fields(tmp_path):
    batch = Batch("test", 0, 2)
    for name in ("burgers", "burgers_dirichlet"):
        fine = tiny_burgers(tmp_path, name=name).simulate(batch)["frames"]
        coarse = tiny_burgers(tmp_path, name=name, stored_grid=64).simulate(batch)
        np.testing.assert_array_equal(coarse["frames"], fine[..., ::2])


def test_the_dirichlet_file_has_both_ends_where_the_field_vanishes(tmp_path):
    config = tiny_burgers(tmp_path, name="burgers_dirichlet")
    folder, _ = generate(config)
    with h5py.File(folder / "1D_Burgers_viscosity0.1.hdf5") as file:
        assert file["x-coordinate"][[0, -1]].tolist() == [0.0, 1.0]
        assert np.abs(file["tensor"][..., [0, -1]]).max() < 1e-12
        assert file.attrs["viscosity"] == 0.1
        assert "Nu" not in file.attrs
        assert file["t-coordinate"][:].tolist() == [0.0, 1.0]
        stored = file["tensor"][5, 1]
    u_hat = initial_dirichlet([(0, 2, 0)], 8191)
    final = to_grid(BurgersSolver(96, 0.1, length=2.0).advance(u_hat, 1.0), 256)[0, :129]
    np.testing.assert_allclose(stored, final, rtol=1e-5, atol=1e-7)


def test_layers_hold_fields_between_walls(tmp_path):
    waves, heat = (
        MAKERS[kind](tmp_path, stored_grid=512, n_medium_modes=200).simulate(Batch("test", 0, 3))
        for kind in ("wave", "heat")
    )
    for frames in (waves["frames"], heat["frames"]):
        assert np.abs(frames[..., [0, -1]]).max() < 1e-12
        np.testing.assert_allclose(np.square(frames[:, 0]).sum(-1) / 512, 1, rtol=1e-5)
    np.testing.assert_array_equal(waves["frames"][:, 0], heat["frames"][:, 0])
    norms = np.square(heat["frames"]).sum(-1)
    assert (norms[:, 1] < 0.9 * norms[:, 0]).all()
    finer = tiny_layered(tmp_path, stored_grid=512, n_medium_modes=400)
    change = finer.simulate(Batch("test", 0, 3))["frames"][:, 1] - waves["frames"][:, 1]
    assert np.linalg.norm(change) < 1e-3 * np.linalg.norm(waves["frames"][:, 1])


def test_the_darcy_file_is_that_of_pdebench(tmp_path):
    folder, _ = generate(tiny_darcy(tmp_path))
    with h5py.File(folder / darcy.FILE_NAME) as file:
        assert set(np.unique(file["nu"])) == {3.0, 12.0}
        assert file["tensor"].shape == (7, 1, 17, 17)
        assert file.attrs["beta"] == 1.0
        assert (file["tensor"][:, 0, 0] == 0).all()
        np.testing.assert_allclose(file["x-coordinate"], np.arange(17) / 16)


def test_the_command_lines_make_the_data_and_explain_mistakes(tmp_path, capfd):
    options = [f"data_dir={tmp_path}", "n_train=1", "n_valid=1", "n_test=1", "n_workers=1"]
    assert run_recipe(DarcyRecipe, [*options, "stored_grid=8"]) == 0
    assert run_recipe(BurgersRecipe, [*options, "stored_grid=32", "solver_grid=32"]) == 0
    assert "3 samples" in capfd.readouterr().err
    assert run_recipe(BurgersRecipe, [*options, "stored_grid=48"]) == 2
    assert "stored_grid must be a divisor of 8192" in capfd.readouterr().err
    assert run_recipe(LayeredRecipe, [*options, "contrast=0.5"]) == 2
    assert "contrast must be from 1 to 10000, got 0.5" in capfd.readouterr().err
    assert run_recipe(DarcyRecipe, [*options, "viscosity=1"]) == 2
    assert "unknown option 'viscosity'" in capfd.readouterr().err


def test_the_checker_describes_good_files(tmp_path, configure, capsys):
    config = configure(tmp_path)
    folder, _ = generate(config)
    assert pde_check.main([str(folder)]) == 0
    said = capsys.readouterr().out
    found = re.findall(r"(\d+) trajectories, 2 frames", said)  # of one file, or of each split
    assert sum(map(int, found)) == 7
    assert "no problems" in said
    viscosity = getattr(config, "viscosity", None)
    assert f"viscosity {viscosity or 'not stated'}" in said


def test_the_checker_names_every_problem(tmp_path, capsys):
    path = generate(tiny_burgers(tmp_path))[0] / "1D_Burgers_viscosity0.1.hdf5"
    with h5py.File(path, "a") as file:
        del file["t-coordinate"]
        del file.attrs["equation"]
        file["tensor"][4, 1, 7] = np.nan
    (tmp_path / "broken.h5").write_bytes(b"nothing")
    assert pde_check.main([str(path), str(tmp_path / "broken.h5")]) == 1
    said = capsys.readouterr().out
    for part in (
        "no t-coordinate",
        "does not say whether its equation is u_t + u u_x",
        "NaN or infinity, first in trajectory 4",
    ):
        assert part in said
    assert "broken.h5: not readable" in said
    assert "5 problems" in said
    with h5py.File(path, "a") as file:
        file["tensor"][4] = 0.0
    pde_check.main([str(path)])
    assert "the field is constant, first in trajectory 4, frame 0" in capsys.readouterr().out


def test_the_checker_refuses_a_wrong_place(tmp_path, capsys):
    assert pde_check.main([str(tmp_path)]) == 2
    assert "holds none of" in capsys.readouterr().out
    assert pde_check.main([]) == 2


@pytest.mark.parametrize(("kind", "n_axes"), [("burgers", 1), ("dirichlet", 1), ("darcy", 2)])
def test_pdebench_s_own_reader_opens_it(tmp_path, kind, n_axes):
    pdebench = pytest.importorskip("pdebench.models.fno.utils")
    configure = MAKERS[kind]
    folder, _ = generate(configure(tmp_path))
    path = next(folder.glob("*.hdf5"))
    reader = pdebench.FNODatasetSingle(path.name, saved_folder=str(folder), initial_step=1)
    assert len(reader) > 0
    first, whole, points = reader[0]
    assert first.ndim == n_axes + 2
    assert len(whole) == len(points)


def test_the_documented_keys_of_pdebench(tmp_path):
    """What its reader takes from a file: `tensor` by its number of axes, and the coordinates."""
    folder, _ = generate(tiny_burgers(tmp_path))
    with h5py.File(next(folder.glob("*.hdf5"))) as file:
        assert file["tensor"].ndim == 3
        assert file["tensor"].dtype == np.float32
        assert file["x-coordinate"].shape == file["tensor"].shape[2:]
    folder, _ = generate(tiny_darcy(tmp_path))
    with h5py.File(next(folder.glob("*.hdf5"))) as file:
        assert file["tensor"].ndim == 4
        assert file["nu"].shape == (7, *file["tensor"].shape[2:])
        for axis, n in zip("xy", file["nu"].shape[1:], strict=True):
            assert file[f"{axis}-coordinate"].shape == (n,)


def test_the_checker_goes_on_after_a_file_it_cannot_read(tmp_path, capsys):
    folder = generate(tiny_burgers(tmp_path))[0]
    with h5py.File(folder / "1D_Burgers_viscosity0.1.hdf5", "a") as file:
        file.create_dataset("u", data=1.0)
    with h5py.File(folder / "0.h5", "w") as file:
        file["tensor"] = h5py.ExternalLink("/etc/passwd", "/")
    with h5py.File(folder / "1.h5", "w") as file:
        file["u"], file["tensor"] = 1.0, np.full(3, b"text")
    with h5py.File(folder / "2.h5", "w") as file:
        file["t0_fields"] = h5py.SoftLink("/t0_fields")
    (folder / "3.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(126) + b"IM" + 200 * b"\x07")
    assert pde_check.main([str(folder)]) == 1
    said = capsys.readouterr().out
    assert "7 trajectories, 2 frames" in said
    for name in ("0.h5", "1.h5", "2.h5", "3.mat"):
        assert f"{folder / name}: not readable" in said
    assert "4 problems" in said


def test_the_checker_calls_a_field_constant_whatever_its_last_digits(tmp_path, capsys):
    path = generate(tiny_burgers(tmp_path))[0] / "1D_Burgers_viscosity0.1.hdf5"
    with h5py.File(path, "a") as file:
        noise = np.random.default_rng(0).standard_normal(file["tensor"].shape[2])
        file["tensor"][2, 1] = 1e-6 + 1e-15 * noise
    assert pde_check.main([str(path)]) == 1
    assert "the field is constant, first in trajectory 2, frame 1" in capsys.readouterr().out
