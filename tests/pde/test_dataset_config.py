import dataclasses

import pytest
from omegaconf import OmegaConf

from pde.config.dataset import NavierStokesConfig


@pytest.mark.parametrize(("viscosity", "horizon"), [(1e-3, 50.0), (1e-4, 30.0), (1e-5, 20.0)])
def test_null_final_time_is_the_published_horizon(viscosity, horizon):
    config = NavierStokesConfig(viscosity=viscosity, final_time=None)
    assert config.horizon == horizon
    assert config.n_records == round(horizon)


@pytest.mark.parametrize(
    ("viscosity", "grid", "expected"),
    [(1e-3, 32, 64), (1e-3, 48, 96), (1e-4, 64, 128), (1e-5, 64, 256), (1e-5, 96, 288)],
)
def test_null_solver_grid_follows_from_the_viscosity_and_is_a_multiple_of_grid(
    viscosity, grid, expected
):
    assert NavierStokesConfig(viscosity=viscosity, grid=grid).resolved_solver_grid == expected


def test_the_folder_depends_on_what_the_numbers_depend_on_and_on_nothing_else():
    base = NavierStokesConfig()
    for changes in (
        {"viscosity": 2e-3},
        {"grid": 64},
        {"test_grid": 64},
        {"solver_grid": 128},
        {"final_time": 60.0},
        {"record_interval": 2.0},
        {"n_test": 51},
        {"amplitude": "2022"},
        {"seed": 1},
        {"courant": 1.0},
        {"precision": "float32"},
    ):
        assert dataclasses.replace(base, **changes).folder != base.folder, changes
    for changes in (
        {"solver_grid": 64},
        {"frame_spacing": 2},
        {"n_workers": 3},
        {"batch_size": 1},
        {"device": "cpu"},
    ):
        assert dataclasses.replace(base, **changes).folder == base.folder, changes


def test_the_default_frames_are_at_4_8_and_so_on_to_36():
    config = NavierStokesConfig()
    config.check_frames()
    assert [t + 1 for t in range(config.n_records)][config.frames] == [*range(4, 37, 4)]


@pytest.mark.parametrize(("viscosity", "n_left"), [(1e-3, 40), (1e-4, 20), (1e-5, 10)])
def test_zero_output_frames_are_all_that_are_left(viscosity, n_left):
    config = NavierStokesConfig(
        viscosity=viscosity,
        final_time=None,
        n_input_frames=10,
        n_output_frames=0,
        first_frame=0,
        frame_spacing=1,
    )
    config.check_frames()
    assert config.n_output_frames == n_left
    spaced = NavierStokesConfig(n_output_frames=0, first_frame=1, frame_spacing=5)
    assert [*range(spaced.n_records)][spaced.frames][-1] == 31


def test_it_is_a_schema_that_omegaconf_understands():
    node = OmegaConf.merge(
        OmegaConf.structured(NavierStokesConfig),
        {"viscosity": 1, "amplitude": 2022, "n_workers": 2},
    )
    config = OmegaConf.to_object(node)
    assert config == NavierStokesConfig(viscosity=1.0, amplitude="2022", n_workers=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"viscosity": 0.0}, "viscosity must be positive"),
        ({"viscosity": float("nan")}, "viscosity must be positive"),
        ({"grid": 2}, "grid must be at least 4"),
        ({"courant": 3.0}, "courant must be in"),
        ({"n_valid": 0}, "n_valid must be at least 1, got 0"),
        ({"n_output_frames": -1}, "n_output_frames must be at least 0"),
        ({"n_output_frames": 0, "n_input_frames": 12}, r"every frame after the 12 inputs, but"),
        ({"frame_spacing": 0}, "frame_spacing must be at least 1"),
        ({"first_frame": -1}, "first_frame must be at least 0"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"n_workers": 0}, "n_workers must be null or at least 1"),
        ({"batch_size": 0}, "batch_size must be null or at least 1"),
        ({"amplitude": "2021"}, "amplitude must be one of"),
        ({"precision": "half"}, "precision must be one of"),
        ({"device": "tpu"}, "device must be one of"),
        ({"record_interval": -1.0}, "record_interval must be positive"),
        ({"solver_grid": 48}, "solver_grid must be a multiple of grid, .* use solver_grid=64"),
        ({"test_grid": 48}, "test_grid must be a multiple of grid, .* use test_grid=64"),
        ({"record_interval": 0.7}, "final_time must be a multiple of record_interval, got 36 and"),
        ({"viscosity": 2e-3, "final_time": None}, "exists for a viscosity of 0.001, 0.0001, 1e-05"),
    ],
)
def test_impossible_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        NavierStokesConfig(**changes)
