"""Files of channel flow: their points, their reader, and what is refused."""

import io

import h5py
import numpy as np
import pytest
import scipy.fft
from rich.console import Console

from data_scripts.pde import check as pde_check
from data_scripts.pde.channel import ChannelRecipe
from data_scripts.pde.channel_solver import ChannelSolver, initial_perturbation
from data_scripts.pde.readers import open_trajectories
from data_scripts.pde.wall_points import chebyshev
from data_scripts.recipe import produce
from data_scripts.resumable import Batch
from pde.config.dataset import ChannelConfig, NavierStokesConfig
from pde.dataset.splits import load_splits

TINY = {
    "n_train": 3,
    "n_valid": 2,
    "n_test": 1,
    "n_workers": 1,
    "stored_grid": 24,
    "viscosity": 0.01,
    "correlation_length": 0.3,
    "final_time": 0.1,
    "n_waves": 5,
    "n_modes": 16,
    "time_step": 0.02,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    recipe = ChannelRecipe(**TINY, data_dir=str(tmp_path_factory.mktemp("data")))
    return produce(recipe, Console(file=io.StringIO()))


@pytest.fixture
def edited(folder, tmp_path):
    """Return what copies one of the files and changes the copy."""

    def change(edit):
        path = tmp_path / "channel.hdf5"
        path.write_bytes((folder / "data/train/navier_stokes_channel_train.hdf5").read_bytes())
        with h5py.File(path, "a") as file:
            edit(file)
        return path

    return change


def replace(file, name, values):
    del file[name]
    file[name] = values


def test_cell_centres_are_those_of_the_chebyshev_transform():
    n = 9
    y = chebyshev((np.arange(n) + 0.5) / n)
    a = np.random.default_rng(0).standard_normal(n)
    values = np.polynomial.chebyshev.chebval(1 - 2 * y, a)
    found = scipy.fft.dct(values, type=2) / n
    found[0] /= 2
    np.testing.assert_allclose(found, a)


def test_the_stored_fields_are_the_solver_s_at_the_stored_points(folder):
    solver = ChannelSolver(5, 16, 0.01)
    keys = [(0, 2, 0)]  # seed, test split, number
    a = initial_perturbation(keys, solver, correlation_length=0.3, speed=0.5) + solver.poiseuille
    later = solver.advance(a, 0.1, n_steps=5)
    with h5py.File(folder / "data/test/navier_stokes_channel_test.hdf5") as file:
        x, y, t = (file[f"dimensions/{axis}"][:] for axis in ("x", "y", "time"))
        frames = file["t0_fields/vorticity"][0]
        walls = file["boundary_conditions/y_wall"]
        assert walls.attrs["bc_type"] == "WALL"
        assert walls["mask"][:].nonzero()[0].tolist() == [0, 24]
        assert file["boundary_conditions/x_periodic"].attrs["bc_type"] == "PERIODIC"
        assert file.attrs["viscosity"] == 0.01
    assert (x.shape, y.shape, t.tolist()) == ((24,), (25,), [0.0, np.float32(0.1)])
    assert y[[0, -1]].tolist() == [0, 1]
    for frame, state in zip(frames, (a, later), strict=True):
        np.testing.assert_allclose(frame, solver.vorticity(state, x, y)[0], atol=1e-4)
    assert np.linalg.norm(frames[1] - frames[0]) > 0.05 * np.linalg.norm(frames[0])
    # the fluid is at rest at both walls: there is no mean vorticity
    coefficients = scipy.fft.dct(frames.mean(axis=1), type=1)[:, ::2]
    coefficients[:, [0, -1]] /= 2
    orders = np.arange(0, 25, 2)
    mean = (coefficients / (1 - orders**2)).sum(axis=1) / 24
    np.testing.assert_allclose(mean, 0, atol=1e-4)


def test_a_model_sees_gauss_points(folder):
    config = ChannelConfig(**TINY, grid=6, path=str(folder))
    splits = load_splits(config)
    assert splits.train.frames.shape == (3, 2, 6, 6)
    with h5py.File(folder / "data/train/navier_stokes_channel_train.hdf5") as file:
        y = file["dimensions/y"][2::4]
        stored = file["t0_fields/vorticity"][:, :, ::4, 2::4]
    np.testing.assert_allclose(y, chebyshev((np.arange(6) + 0.5) / 6), rtol=1e-6)
    np.testing.assert_allclose(config.coordinates(1)(6), y, rtol=1e-6)
    assert config.coordinates(0) is None
    np.testing.assert_array_equal(splits.train.frames, stored)
    with pytest.raises(ValueError, match="stored_grid=24: 25 points cannot be thinned out to 8"):
        ChannelConfig(**TINY, grid=8)
    with pytest.raises(ValueError, match=r"has viscosity 0.01, but dataset.viscosity=0.02"):
        load_splits(ChannelConfig(**{**TINY, "viscosity": 0.02}, grid=6, path=str(folder)))
    with pytest.raises(ValueError, match=r"by stored_grid=24, but dataset.stored_grid=48"):
        load_splits(ChannelConfig(**{**TINY, "stored_grid": 48}, grid=6, path=str(folder)))
    with pytest.raises(ValueError, match=r"no frame at final_time=0.2"):
        load_splits(ChannelConfig(**{**TINY, "final_time": 0.2}, grid=6, path=str(folder)))


def test_the_reader_knows_the_files_without_doubts(folder, capsys):
    states = open_trajectories(folder).states
    assert (states.problem, states.doubts) == ("navier_stokes_channel", ())
    assert states.viscosity == pytest.approx(0.01)
    assert states.unit_square
    assert pde_check.main([str(folder)]) == 0
    assert "no problems" in capsys.readouterr().out
    other = NavierStokesConfig(path=str(folder), grid=24, n_train=3, n_valid=1, n_test=1)
    with pytest.raises(ValueError, match="by layout and attributes it is of navier_stokes_channel"):
        load_splits(other)


@pytest.mark.parametrize(
    ("edit", "doubt"),
    [
        (lambda f: replace(f, "dimensions/y", np.arange(25) / 24), "y is not .1 - cos pi s. / 2"),
        (lambda f: replace(f, "dimensions/y", chebyshev(np.arange(25) / 24) * 2), "its y is not"),
        (lambda f: replace(f, "dimensions/y", chebyshev((np.arange(25) + 0.5) / 25)), "to wall"),
        (lambda f: f.pop("dimensions/y"), "it has no y, whose points are not even"),
        (lambda f: replace(f, "dimensions/x", np.arange(24) / 12), "its x runs from 0 to 1.9"),
        (
            lambda f: f["boundary_conditions/y_wall"].attrs.update(bc_type="PERIODIC"),
            "not all of its boundaries are PERIODIC in x and WALL in y: y_wall .PERIODIC.",
        ),
        (lambda f: f.attrs.update(dataset_name="navier_stokes"), "y runs from 0 to 1, not evenly"),
        (lambda f: f.move("t0_fields/vorticity", "t0_fields/w"), "its field is w, not vorticity"),
        (
            lambda f: f["scalars"].create_dataset("forcing_amplitude", data=0.1),
            "the parameters forcing_amplitude of another equation",
        ),
    ],
)
def test_other_files_are_refused(edited, edit, doubt):
    path = edited(edit)
    config = ChannelConfig(**{**TINY, "n_train": 1, "n_valid": 1}, grid=6, path=str(path))
    with pytest.raises(ValueError, match=f"not clearly of navier_stokes_channel: .*{doubt}"):
        load_splits(config)


def test_a_file_of_uneven_points_is_not_one_of_the_torus(edited):
    path = edited(lambda f: f.attrs.update(dataset_name="navier_stokes"))
    assert "its y runs from 0 to 1, not evenly over a length of 1" in (
        open_trajectories(path).states.doubts
    )


def test_a_flow_too_fast_for_the_step_is_named_with_its_place():
    recipe = ChannelRecipe(**{**TINY, "time_step": 0.1, "initial_speed": 20.0})
    with pytest.raises(FloatingPointError, match=r"valid 0 to 2: flow 0 .* use a time_step below"):
        recipe.simulate(Batch("valid", 0, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"viscosity": 0.0}, "viscosity must be positive, such as 2e-3, got 0.0"),
        ({"time_step": -1.0}, "time_step must be positive, such as 0.005, got -1.0"),
        ({"n_waves": 3}, "n_waves must be at least 4 with correlation_length=0.3, got 3"),
        ({"correlation_length": 0.2}, "n_modes must be at least 20 with correlation_length=0.2"),
        ({"n_modes": 5000}, "n_modes must be from 4 to 1024, such as 48, got 5000"),
    ],
)
def test_refused_options(options, message):
    with pytest.raises(ValueError, match=message):
        ChannelRecipe(**{**TINY, **options})
