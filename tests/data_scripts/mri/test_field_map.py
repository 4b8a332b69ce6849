import numpy as np
import pytest

from data_scripts.mri.field_map import measured_columns, measured_field
from data_scripts.mri.scanner import Scanner

GRID = (61, 48)


@pytest.mark.parametrize("seed", range(3))
def test_a_measured_map_is_the_field_to_about_a_hertz(seed):
    scanner = Scanner(b0_hz=40.0, map_seed=seed)
    error = measured_field(scanner, GRID) - scanner.field(GRID)
    assert 0.3 < np.sqrt(np.mean(error[3:-3, 3:-3] ** 2)) < 1.0
    assert np.abs(error).max() < 6
    np.testing.assert_array_equal(measured_field(scanner, GRID), measured_field(scanner, GRID))


def test_a_field_beyond_half_a_turn_between_the_echoes_wraps():
    scanner = Scanner(b0_hz=300.0)
    measured, field = measured_field(scanner, GRID), scanner.field(GRID)
    y, z = np.unravel_index(np.abs(field).argmax(), GRID)
    assert measured[y, z] == pytest.approx(field[y, z] - 500 * np.sign(field[y, z]), abs=20)


def test_the_map_is_all_that_is_known():
    seen = {"b0_hz": 20.0, "line_ms": 0.4, "map_seed": 2}
    columns = measured_columns(Scanner(trajectory=0.5, epi_ghost=0.3, epi_delay=0.2, **seen), GRID)
    np.testing.assert_array_equal(columns, measured_columns(Scanner(**seen), GRID))
    truth = Scanner(**seen).columns(GRID)
    assert 1e-3 < np.linalg.norm(columns - truth) / np.linalg.norm(truth) < 0.03
