"""Waves in a guide against d'Alembert, finite differences, energy, and the law of the field."""

import math

import numpy as np
import pytest
import torch
from pde_configs import config_of

from data_scripts.pde.layered_solver import Medium, NormalModes
from data_scripts.pde.readers import open_trajectories
from data_scripts.pde.waveguide import WaveguideRecipe
from data_scripts.recipe import ensure
from data_scripts.resumable import Batch

SMALL = {"n_train": 3, "n_valid": 2, "n_test": 2, "n_workers": 1, "correlation_length": 0.1}
SMALL["n_medium_modes"] = 64


def frames_of(n=4, **options):
    return WaveguideRecipe(**{**SMALL, **options}).simulate(Batch("train", 0, n))["frames"]


def spectrum(u):
    """Fourier coefficients in x and sine coefficients in z of fields with both walls."""
    odd = np.concatenate([u, -u[..., -2:0:-1]], axis=-1)
    return np.fft.fftfreq(u.shape[-2], 1 / u.shape[-2]), np.fft.fft2(odd)


def test_one_speed_is_separated_into_fourier_and_sine_waves():
    frames = frames_of(contrast=1.0, n_layers=3, final_time=0.37).astype(np.float64)
    k, u = spectrum(frames[:, 0])
    q = np.fft.fftfreq(u.shape[-1], 1 / u.shape[-1]) / 2
    omega = 2 * math.pi * np.hypot(k[:, None], q)  # c = 1
    later = np.fft.ifft2(u * np.cos(omega * 0.37)).real[..., : frames.shape[-1]]
    np.testing.assert_allclose(frames[:, 1], later, atol=3e-6)


def finite_differences(medium, u, t):
    """Leap-frog on points i / n in x, j / n in z, faces of cells of c^2 in z between them."""
    n = u.shape[-2]
    faces = medium.squared_speed_at((np.arange(n) + 0.5) / n)
    points = 0.5 * (faces[1:] + faces[:-1])
    n_steps = math.ceil(t * n * math.sqrt(2 * faces.max()) / 0.9)
    dt = t / n_steps

    def force(v):
        across = np.diff(faces * np.diff(v, axis=-1), axis=-1)
        inner = v[..., 1:-1]
        along = points * (np.roll(inner, 1, -2) + np.roll(inner, -1, -2) - 2 * inner)
        out = np.zeros_like(v)
        out[..., 1:-1] = n * n * (across + along)
        return out

    before, now = u, u + 0.5 * dt**2 * force(u)
    for _ in range(n_steps - 1):
        before, now = now, 2 * now - before + dt**2 * force(now)
    return now


def test_layers_agree_with_finite_differences():
    """Of order 3/2: the gradient of the first field does not jump at an edge as it should."""
    medium = Medium(np.array([0.0, 0.25, 0.5, 1.0]), np.array([1.0, 0.5, 2.0]))
    errors = []
    for n in (64, 128):
        recipe = WaveguideRecipe(**{**SMALL, "stored_grid": n, "final_time": 0.3, "n_layers": 3})
        recipe.modes = modes_in(medium)
        frames = recipe.simulate(Batch("train", 0, 2))["frames"].astype(np.float64)
        found = finite_differences(medium, frames[:, 0], 0.3)
        errors.append(np.linalg.norm(found - frames[:, 1]) / np.linalg.norm(frames[:, 1]))
    assert errors[1] < errors[0] / 2.4 < 0.01


def modes_in(medium):
    return lambda n_modes, wavenumber: NormalModes(medium, n_modes, wavenumber)


def test_more_modes_hardly_change_the_field():
    few, more = (frames_of(n_medium_modes=n)[:, 1] for n in (64, 128))
    assert 0 < np.linalg.norm(few - more) / np.linalg.norm(more) < 1e-3


@pytest.mark.parametrize("j", [0, 3])
def test_frequencies_lie_between_those_of_the_slowest_and_the_fastest_layer(j):
    """By Courant and Fischer, for each mode: c^2 (k^2 + (pi n)^2) of uniform guides."""
    recipe = WaveguideRecipe(**SMALL)
    found = recipe.modes(40, 2 * math.pi * j).frequencies
    uniform = np.hypot(2 * math.pi * j, math.pi * np.arange(1, 41))
    c = np.sqrt(recipe.medium.squared_speeds)
    assert (c.min() * uniform < found).all()
    assert (found < c.max() * uniform).all()


def test_initial_fields_have_their_law():
    recipe = WaveguideRecipe(**{**SMALL, "n_train": 400})
    first = recipe.simulate(Batch("train", 0, 400))["frames"][:, 0].astype(np.float64)
    interior = np.square(first).mean(axis=1)
    mean_square = (interior[:, 1:-1].sum(1) + 0.5 * interior[:, [0, -1]].sum(1)) / 128
    np.testing.assert_allclose(mean_square, 1, rtol=1e-5)
    assert np.abs(first[..., [0, -1]]).max() < 1e-6
    _, u = spectrum(first)
    power = np.square(np.abs(u)).mean(axis=0)
    length = 0.1
    # ratios of power follow exp(-(k^2 + q^2) l^2)
    along = math.log(power[1, 4] / power[3, 4]) / (8 * (2 * math.pi * length) ** 2)
    across = math.log(power[2, 2] / power[2, 6]) / (32 * (math.pi * length) ** 2)
    assert along == pytest.approx(1, abs=0.2)
    assert across == pytest.approx(1, abs=0.2)


def test_samples_are_named_by_split_and_number():
    recipe = WaveguideRecipe(**SMALL)
    whole = recipe.simulate(Batch("train", 0, 3))["frames"]
    part = recipe.simulate(Batch("train", 1, 3))["frames"]
    np.testing.assert_allclose(part, whole[1:], atol=1e-6)
    other = recipe.simulate(Batch("test", 0, 3))["frames"]
    assert np.abs(other - whole).max() > 0.1


def test_files_are_read_back_without_doubts(tmp_path):
    recipe = WaveguideRecipe(**SMALL, data_dir=str(tmp_path))
    folder = ensure(recipe)
    found = open_trajectories(folder / "data" / "test", None)
    assert found.states.problem == "waveguide"
    assert found.states.doubts == ()
    assert found.shape == (2, 2, 128, 129)
    expected = recipe.simulate(Batch("test", 0, 2))["frames"]
    np.testing.assert_allclose(found.read(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("correlation_length=0.01", "correlation_length must be at least 0.0149 with stored_grid"),
        ("n_layers=0", "n_layers must be from 1 to 100, got 0"),
        ("contrast=0.5", "contrast must be from 1 to 10000"),
        ("final_time=0", "final_time must be positive, such as 0.6"),
        ("n_medium_modes=4", "n_medium_modes must be from 16 to 1024"),
        ("medium_seed=-1", "medium_seed must be at least 0"),
        ("grid=36", "stored_grid=128: 128 points cannot be thinned out to 36"),
    ],
)
def test_impossible_values_are_named(option, message):
    with pytest.raises(ValueError, match=message):
        config_of("dataset=waveguide", f"dataset.{option}")


def test_modes_belong_to_the_depth_alone():
    data = config_of("dataset=waveguide").dataset
    assert data.normal_modes(0) is None
    rows = data.normal_modes(1)(48)
    torch.testing.assert_close(rows[:20] @ rows[:20].mT, torch.eye(20).double(), atol=0.03, rtol=0)
