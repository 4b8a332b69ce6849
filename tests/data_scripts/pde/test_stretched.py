"""Burgers on points refined towards both walls: the points, the fields there, what is refused."""

import math

import h5py
import numpy as np
import pytest
import scipy.fft

from data_scripts.pde.burgers import BurgersRecipe
from data_scripts.pde.smooth_fields import sines, smooth_amplitudes
from data_scripts.pde.wall_points import stretched
from data_scripts.resumable import Batch
from pde.config.dataset import BurgersConfig
from pde.dataset.splits import load_splits
from pde.figures import draw_predictions

SIZES = {"n_train": 3, "n_valid": 2, "n_test": 2, "n_workers": 1, "batch_size": 4}
LINE = {"name": "burgers_stretched", "stored_grid": 96, "solver_grid": 48, "device": "cpu"}


def config_of(folder, **changes):
    return BurgersConfig(**{**SIZES, **LINE, "grid": 16, "data_dir": str(folder), **changes})


@pytest.mark.parametrize("b", [0.3, 2.0, 5.0])
def test_the_points_are_refined_alike_towards_both_ends(b):
    s = np.linspace(0, 1, 2001)
    x = stretched(s, b)
    np.testing.assert_allclose(x + x[::-1], 1, atol=1e-15)
    np.testing.assert_allclose(x[[0, -1]], [0, 1], atol=1e-15)
    slope = b / (math.tanh(b) * np.cosh(b * (2 * s - 1)) ** 2)
    np.testing.assert_allclose(np.gradient(x, s)[1:-1], slope[1:-1], rtol=1e-4, atol=1e-5)
    assert (np.diff(x[:1001], 2) > 0).all()


def test_a_weak_map_leaves_the_points_even():
    s = np.linspace(0, 1, 11)
    np.testing.assert_allclose(stretched(s, 1e-4), s, atol=1e-8)


def test_smooth_fields_have_root_mean_square_1_and_their_correlation_length():
    a = smooth_amplitudes([(0, i) for i in range(4000)], 0.08)
    nodes, weights = np.polynomial.legendre.leggauss(120)
    squares = np.square(sines(a[:50], (1 + nodes) / 2))
    np.testing.assert_allclose(squares @ weights / 2, 1, rtol=1e-12)
    # the median of |a_k / a_1|, a Cauchy variable, is the ratio of their deviations
    found = np.median(np.abs(a[:, 1:7] / a[:, :1]), axis=0)
    deviations = np.exp(-0.5 * np.square(np.pi * np.arange(1, 8) * 0.08))
    np.testing.assert_allclose(found, deviations[1:] / deviations[0], rtol=0.1)


def cole_hopf_at(a, viscosity, time, x, n=1024):
    """u = -2 nu theta_x / theta at any x, theta a sum of cosines that decay."""
    k = np.pi * np.arange(n + 1)
    potential = np.zeros(n + 1)
    potential[1 : len(a) + 1] = -a / k[1 : len(a) + 1]
    theta = np.exp(-scipy.fft.dct(np.r_[potential[0], potential[1:] / 2], 1) / (2 * viscosity))
    theta_hat = scipy.fft.idct(theta, 1) * np.exp(-viscosity * k**2 * time)
    theta_hat[1:-1] *= 2
    angles = np.outer(x, k)
    return -2 * viscosity * (np.sin(angles) @ (-k * theta_hat)) / (np.cos(angles) @ theta_hat)


def test_the_frames_are_the_exact_solution_at_uneven_points(tmp_path):
    recipe = config_of(tmp_path, stored_grid=50, grid=25, solver_grid=256, viscosity=0.03)
    frames = recipe.simulate(Batch("test", 0, 3))["frames"]
    x = stretched(np.arange(51) / 50, 2.0)
    for i, (first, last) in enumerate(frames):
        a = smooth_amplitudes([(0, 2, i)], 0.06)
        np.testing.assert_allclose(first, sines(a, x)[0], atol=3e-7)
        exact = cole_hopf_at(a[0], 0.03, 1.0, x)
        assert np.linalg.norm(last - exact) < 1e-6 * np.linalg.norm(exact)
    assert (frames[..., [0, -1]] == 0).all()


def test_a_model_sees_the_images_of_cell_centres(tmp_path):
    config = config_of(tmp_path)
    splits = load_splits(config)
    x = config.coordinates(0)(16)
    np.testing.assert_allclose(x, stretched((np.arange(16) + 0.5) / 16, 2.0), atol=1e-15)
    a = smooth_amplitudes([(0, 2, 1)], 0.06)
    np.testing.assert_allclose(splits.test.past[1], sines(a, x), atol=3e-7)
    with h5py.File(next(config.folder.glob("*.hdf5"))) as file:
        np.testing.assert_allclose(file["x-coordinate"][3::6], x, atol=1e-7)
    assert BurgersConfig(name="burgers_dirichlet").coordinates(0) is None
    with pytest.raises(ValueError, match="97 points cannot be thinned out to 40"):
        config.coordinates(0)(40)


def test_figures_have_the_true_coordinate(tmp_path):
    config = config_of(tmp_path)
    splits = load_splits(config)
    u = splits.test.future
    drawn = {curve.figure: curve for curve in draw_predictions(config, splits, u, u)}
    for figure in ("last_frame", "first_input"):
        np.testing.assert_allclose(drawn[figure].x, config.coordinates(0)(16))
    assert drawn["spectrum"].x_label.endswith("box of the computational coordinate")


def test_the_other_data_sets_are_what_they_were():
    kept = {"name", "viscosity", "stored_grid", "solver_grid", "final_time"}
    assert set(BurgersRecipe().numbers) == kept
    assert BurgersRecipe().folder.name == "burgers_nu0.1_8192_6c749f41"
    dirichlet = BurgersRecipe(name="burgers_dirichlet", viscosity=0.01)
    assert dirichlet.folder.name == "burgers_dirichlet_nu0.01_8192_060072d7"
    ours = BurgersRecipe(name="burgers_stretched")
    assert ours.folder != BurgersRecipe(name="burgers_stretched", stretching=1.0).folder
    assert ours.folder != BurgersRecipe(name="burgers_stretched", correlation_length=0.1).folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"name": "burgers", "stretching": 1.0},
            "stretching must be left at 2.0 with name=burgers",
        ),
        (
            {"name": "burgers_dirichlet", "correlation_length": 0.1},
            "correlation_length must be left at 0.06 with name=burgers_dirichlet",
        ),
        ({"stretching": 0.0}, "stretching must be above 0 and at most 5, got 0"),
        ({"stretching": math.nan}, "stretching must be above 0 and at most 5, got nan"),
        ({"correlation_length": 0.001}, "correlation_length must be from 0.02 to 1, got 0.001"),
        ({"grid": 40}, "stored_grid=96: 97 points cannot be thinned out to 40"),
    ],
)
def test_impossible_options_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        config_of(tmp_path, **({"stored_grid": 64} if "name" in changes else {}), **changes)


@pytest.fixture
def path(tmp_path):
    config = config_of(tmp_path)
    load_splits(config)
    return next(config.folder.glob("*.hdf5"))


def test_a_file_says_where_its_points_are(path, tmp_path):
    assert load_splits(config_of(tmp_path, path=str(path))).grid == (16,)
    for changes, message in (
        ({"stretching": 1.5}, "stretching=2, but dataset.stretching=1.5, .* set dataset.stretch"),
        ({"stored_grid": 192}, "stored_grid=96, but dataset.stored_grid=192"),
        ({"name": "burgers_dirichlet", "stored_grid": 64}, "it is of burgers_stretched"),
    ):
        with pytest.raises(ValueError, match=message):
            load_splits(config_of(tmp_path, path=str(path), **changes))


def change_points(file):
    file["x-coordinate"][:] = np.linspace(0, 1, 97)


def other_stretching(file):
    file.attrs["stretching"] = 1.9


def rename(file):
    file.attrs["name"] = "burgers_dirichlet"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change_points, "its x from 0 to 1 is not refined towards both ends .* stretching 2"),
        (other_stretching, "not refined towards both ends of .0, 1. by its stretching 1.9"),
        (lambda file: file.attrs.pop("stretching"), "its attribute stretching must be .* got no"),
        (lambda file: file.attrs.update(stretching=-1.0), "at most 5, got -1"),
        (rename, "its x runs from 0 to 1, not evenly over a length of 1"),
    ],
)
def test_points_that_a_file_does_not_explain_are_doubtful(path, tmp_path, edit, message):
    with h5py.File(path, "a") as file:
        edit(file)
    with pytest.raises(ValueError, match=message):
        load_splits(config_of(tmp_path, path=str(path)))
    own = config_of(tmp_path, path=str(path), convention="own")
    if edit in (change_points, rename):
        assert load_splits(own).grid == (16,)
